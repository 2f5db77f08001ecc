//! What clients send.

use super::{
    Disconnect, HEADER, Kind, MAX_CONTROL_FRAME, PREFIX, Publish, RawFrame, RegistrationRequest, SubscribeRequest,
    UnsubscribeRequest, WireError, body, frame::put, reader::Reader,
};
use crate::name::SubscriptionHandle;

/// A frame from a client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ClientFrame<'a> {
    /// Who I am and which session I mean.
    RegistrationRequest(RegistrationRequest),
    /// Deliver me what matches a filter.
    SubscribeRequest(SubscribeRequest),
    /// No more of this filter.
    UnsubscribeRequest(UnsubscribeRequest),
    /// Goodbye.
    Disconnect(Disconnect),
    /// A message.
    Publish(Publish<'a>),
    /// Done with a subscription's messages up to here.
    DeliverAck(DeliverAck),
    /// Not done with a message.
    DeliverNack(DeliverNack),
    /// Are you there?
    Ping(u64),
    /// I am; the token of your Ping.
    Pong(u64),
}

/// Every message of `handle` up to `number` is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeliverAck {
    /// Which subscription.
    pub handle: SubscriptionHandle,
    /// The last message that is done.
    pub number: u64,
}

/// A message is given back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeliverNack {
    /// Which subscription.
    pub handle: SubscriptionHandle,
    /// Which message.
    pub number: u64,
    /// What shall become of it.
    pub what: Nack,
}

/// What shall become of a message that is given back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Nack {
    /// It and all after it shall come again.
    Again = 1,
    /// It shall not come again, but be kept for an operator.
    Poison = 2,
}

impl ClientFrame<'_> {
    /// What a frame from a client says.
    ///
    /// # Errors
    /// A frame only the broker sends, a body that is not its kind's, a control frame over [`MAX_CONTROL_FRAME`].
    #[inline]
    pub fn decode(raw: RawFrame<'_>) -> Result<ClientFrame<'_>, WireError> {
        match raw.kind {
            Kind::Publish => Publish::decode(raw).map(ClientFrame::Publish),
            Kind::DeliverAck => DeliverAck::decode(raw.body).map(ClientFrame::DeliverAck),
            Kind::DeliverNack => DeliverNack::decode(raw.body).map(ClientFrame::DeliverNack),
            Kind::Ping => number(raw).map(ClientFrame::Ping),
            Kind::Pong => number(raw).map(ClientFrame::Pong),
            Kind::RegistrationRequest => map(raw).map(ClientFrame::RegistrationRequest),
            Kind::SubscribeRequest => map(raw).map(ClientFrame::SubscribeRequest),
            Kind::UnsubscribeRequest => map(raw).map(ClientFrame::UnsubscribeRequest),
            Kind::Disconnect => map(raw).map(ClientFrame::Disconnect),
            Kind::RegistrationResponse
            | Kind::SubscribeAck
            | Kind::UnsubscribeAck
            | Kind::SubscriptionEnded
            | Kind::Resubscribe
            | Kind::Displaced
            | Kind::Evicted
            | Kind::Error
            | Kind::PublishAck
            | Kind::Deliver => Err(WireError::NotFromClient { kind: raw.kind }),
        }
    }

    /// Appends the frame.
    pub fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Self::RegistrationRequest(it) => put(out, Kind::RegistrationRequest, 0, |out| body::encode(it, out)),
            Self::SubscribeRequest(it) => put(out, Kind::SubscribeRequest, 0, |out| body::encode(it, out)),
            Self::UnsubscribeRequest(it) => put(out, Kind::UnsubscribeRequest, 0, |out| body::encode(it, out)),
            Self::Disconnect(it) => put(out, Kind::Disconnect, 0, |out| body::encode(it, out)),
            Self::Publish(it) => it.encode(out),
            Self::DeliverAck(it) => it.encode(out),
            Self::DeliverNack(it) => it.encode(out),
            Self::Ping(token) => put_number(out, Kind::Ping, *token),
            Self::Pong(token) => put_number(out, Kind::Pong, *token),
        }
    }
}

impl DeliverAck {
    fn decode(body: &[u8]) -> Result<Self, WireError> {
        let mut reader = Reader::new(Kind::DeliverAck, body);
        let handle = SubscriptionHandle(reader.u32("handle")?);
        let number = reader.u64("number")?;
        reader.end()?;
        Ok(Self { handle, number })
    }

    fn encode(self, out: &mut Vec<u8>) {
        put(out, Kind::DeliverAck, 0, |out| {
            out.extend_from_slice(&self.handle.0.to_be_bytes());
            out.extend_from_slice(&self.number.to_be_bytes());
        });
    }
}

impl DeliverNack {
    fn decode(body: &[u8]) -> Result<Self, WireError> {
        let mut reader = Reader::new(Kind::DeliverNack, body);
        let handle = SubscriptionHandle(reader.u32("handle")?);
        let number = reader.u64("number")?;
        let what = match reader.u8("what")? {
            1 => Nack::Again,
            2 => Nack::Poison,
            _ => return Err(reader.invalid("what", "1 (again) or 2 (poison)")),
        };
        reader.end()?;
        Ok(Self { handle, number, what })
    }

    fn encode(self, out: &mut Vec<u8>) {
        put(out, Kind::DeliverNack, 0, |out| {
            out.extend_from_slice(&self.handle.0.to_be_bytes());
            out.extend_from_slice(&self.number.to_be_bytes());
            out.push(self.what as u8);
        });
    }
}

/// A client's map, if it is not too large for one.
fn map<T: serde::de::DeserializeOwned>(raw: RawFrame<'_>) -> Result<T, WireError> {
    let length = HEADER - PREFIX + raw.body.len();
    if length > MAX_CONTROL_FRAME {
        return Err(WireError::TooLarge { length, max: MAX_CONTROL_FRAME });
    }
    body::decode(raw.kind, raw.body)
}

/// A body that is one number.
pub(super) fn number(raw: RawFrame<'_>) -> Result<u64, WireError> {
    let mut reader = Reader::new(raw.kind, raw.body);
    let number = reader.u64(if raw.kind == Kind::PublishAck { "sequence" } else { "token" })?;
    reader.end()?;
    Ok(number)
}

pub(super) fn put_number(out: &mut Vec<u8>, kind: Kind, number: u64) {
    put(out, kind, 0, |out| out.extend_from_slice(&number.to_be_bytes()));
}
