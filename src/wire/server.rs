//! What the broker sends.

use super::{
    Deliver, ErrorFrame, Evicted, Kind, RawFrame, RegistrationResponse, Resubscribe, SubscribeAck, SubscriptionEnded,
    UnsubscribeAck, WireError, body,
    client::{number, put_number},
    frame::put,
    maps::Nothing,
};

/// A frame from the broker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ServerFrame<'a> {
    /// Your session and its limits.
    RegistrationResponse(RegistrationResponse),
    /// Subscribed, under this handle.
    SubscribeAck(SubscribeAck),
    /// Unsubscribed.
    UnsubscribeAck(UnsubscribeAck),
    /// A subscription is over; do not subscribe again by yourself.
    SubscriptionEnded(SubscriptionEnded),
    /// A subscription failed; subscribe again.
    Resubscribe(Resubscribe),
    /// Another connection has your session now.
    Displaced,
    /// An operator ended your session; do not come back by yourself.
    Evicted(Evicted),
    /// Refused or failed.
    Error(ErrorFrame),
    /// Publishes are settled up to this sequence.
    PublishAck(u64),
    /// Messages of a subscription.
    Deliver(Deliver<'a>),
    /// Are you there?
    Ping(u64),
    /// I am; the token of your Ping.
    Pong(u64),
}

impl ServerFrame<'_> {
    /// What a frame from the broker says.
    ///
    /// # Errors
    /// A frame only clients send, a body that is not its kind's.
    #[inline]
    pub fn decode(raw: RawFrame<'_>) -> Result<ServerFrame<'_>, WireError> {
        let RawFrame { kind, body: bytes, .. } = raw;
        match kind {
            Kind::Deliver => Deliver::decode(raw).map(ServerFrame::Deliver),
            Kind::PublishAck => number(raw).map(ServerFrame::PublishAck),
            Kind::Ping => number(raw).map(ServerFrame::Ping),
            Kind::Pong => number(raw).map(ServerFrame::Pong),
            Kind::RegistrationResponse => body::decode(kind, bytes).map(ServerFrame::RegistrationResponse),
            Kind::SubscribeAck => body::decode(kind, bytes).map(ServerFrame::SubscribeAck),
            Kind::UnsubscribeAck => body::decode(kind, bytes).map(ServerFrame::UnsubscribeAck),
            Kind::SubscriptionEnded => body::decode(kind, bytes).map(ServerFrame::SubscriptionEnded),
            Kind::Resubscribe => body::decode(kind, bytes).map(ServerFrame::Resubscribe),
            Kind::Displaced => body::decode(kind, bytes).map(|Nothing {}| ServerFrame::Displaced),
            Kind::Evicted => body::decode(kind, bytes).map(ServerFrame::Evicted),
            Kind::Error => body::decode(kind, bytes).map(ServerFrame::Error),
            Kind::RegistrationRequest
            | Kind::SubscribeRequest
            | Kind::UnsubscribeRequest
            | Kind::Disconnect
            | Kind::Publish
            | Kind::DeliverAck
            | Kind::DeliverNack => Err(WireError::NotFromServer { kind }),
        }
    }

    /// Appends the frame.
    pub fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Self::RegistrationResponse(it) => put(out, Kind::RegistrationResponse, 0, |out| body::encode(it, out)),
            Self::SubscribeAck(it) => put(out, Kind::SubscribeAck, 0, |out| body::encode(it, out)),
            Self::UnsubscribeAck(it) => put(out, Kind::UnsubscribeAck, 0, |out| body::encode(it, out)),
            Self::SubscriptionEnded(it) => put(out, Kind::SubscriptionEnded, 0, |out| body::encode(it, out)),
            Self::Resubscribe(it) => put(out, Kind::Resubscribe, 0, |out| body::encode(it, out)),
            Self::Displaced => put(out, Kind::Displaced, 0, |out| body::encode(&Nothing {}, out)),
            Self::Evicted(it) => put(out, Kind::Evicted, 0, |out| body::encode(it, out)),
            Self::Error(it) => put(out, Kind::Error, 0, |out| body::encode(it, out)),
            Self::PublishAck(sequence) => put_number(out, Kind::PublishAck, *sequence),
            Self::Deliver(it) => it.encode(out),
            Self::Ping(token) => put_number(out, Kind::Ping, *token),
            Self::Pong(token) => put_number(out, Kind::Pong, *token),
        }
    }
}
