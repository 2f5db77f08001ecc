//! Cordboard's own protocol: publishes are always acknowledged, and stay within the credit that the broker grants.

use cordboard::{
    Printable,
    name::{SessionId, SubscriptionHandle},
    wire::{
        self, AckMode, ClientFrame, DeliverAck, Disconnect, ErrorFrame, Headers, Publish, RegistrationRequest, ServerFrame,
        SubscribeRequest,
    },
};

use super::{Heard, Identity, LoadError, Protocol};
use crate::cli::Acks;

/// A client of ours.
#[derive(Debug)]
pub(in super::super) struct Cordboard {
    acks: Acks,
    requests: u32,
    sequence: u64,
    settled: u64,
    credit_messages: u64,
    credit_bytes: u64,
    max_frame: usize,
    /// Bytes of a publish around its payload: all of a connection's topics are about as long.
    overhead: usize,
    /// What is to be acknowledged of what was read, a subscription each.
    done: Vec<DeliverAck>,
    /// Once it is registered.
    pub(in super::super) session: Option<SessionId>,
}

impl Cordboard {
    fn hear(&mut self, frame: &ServerFrame<'_>, out: &mut Vec<u8>, hear: &mut impl FnMut(Heard<'_>)) -> Result<(), LoadError> {
        match frame {
            ServerFrame::Deliver(deliver) => {
                for record in deliver.records() {
                    hear(Heard::Message(record.payload));
                }
                if self.acks == Acks::Explicit {
                    self.done(deliver.handle, deliver.first + u64::from(deliver.count) - 1);
                }
            }
            ServerFrame::PublishAck(sequence) => self.settled = *sequence,
            ServerFrame::RegistrationResponse(response) => {
                self.session = Some(response.session);
                self.settled = response.settled;
                self.sequence = response.taken.unwrap_or(response.settled);
                self.credit_messages = u64::from(response.credit_messages);
                self.credit_bytes = response.credit_bytes;
                self.max_frame = wire::MAX_DELIVER_FRAME.max(2 * response.max_frame as usize);
                hear(Heard::Answered);
            }
            ServerFrame::SubscribeAck(_) => hear(Heard::Answered),
            ServerFrame::Ping(token) => ClientFrame::Pong(*token).encode(out),
            ServerFrame::Pong(_) => {}
            ServerFrame::Error(ErrorFrame { code, reason, .. }) => {
                return Err(LoadError::Refused(format!("{} ({})", Printable(reason), code.number())));
            }
            ServerFrame::Displaced
            | ServerFrame::Evicted(_)
            | ServerFrame::Resubscribe(_)
            | ServerFrame::SubscriptionEnded(_)
            | ServerFrame::UnsubscribeAck(_) => return Err(LoadError::Unexpected(Printable(&format!("{frame:?}")).to_string())),
        }
        Ok(())
    }

    fn done(&mut self, handle: SubscriptionHandle, number: u64) {
        match self.done.iter_mut().find(|done| done.handle == handle) {
            Some(done) => done.number = done.number.max(number),
            None => self.done.push(DeliverAck { handle, number }),
        }
    }

    fn unsettled(&self) -> u64 {
        self.sequence - self.settled
    }
}

impl Protocol for Cordboard {
    const SEPARATOR: char = '/';
    const WILDCARD: char = '+';

    fn open(identity: &Identity, out: &mut Vec<u8>) -> Self {
        let mut request = RegistrationRequest::new(identity.name);
        if let Some((user, password)) = &identity.user {
            request.user = Some(user.clone());
            request.password = Some(password.as_str().into());
        }
        request.ack = match identity.acks {
            Acks::None => AckMode::None,
            Acks::Explicit => AckMode::Explicit,
        };
        request.session = identity.session;
        ClientFrame::RegistrationRequest(request).encode(out);
        Self {
            acks: identity.acks,
            requests: 0,
            sequence: 0,
            settled: 0,
            credit_messages: 0,
            credit_bytes: 0,
            max_frame: wire::MAX_DELIVER_FRAME,
            overhead: wire::HEADER,
            done: Vec::new(),
            session: None,
        }
    }

    fn subscribe(&mut self, filter: &str, out: &mut Vec<u8>) {
        self.requests += 1;
        let request = SubscribeRequest { request: self.requests, filter: filter.to_owned(), ack_timeout_ms: None, group: None };
        ClientFrame::SubscribeRequest(request).encode(out);
    }

    fn publish(&mut self, topic: &str, payload: &[u8], out: &mut Vec<u8>) {
        self.sequence += 1;
        let publish = Publish { sequence: self.sequence, topic: topic.as_bytes(), headers: Headers::NONE, payload };
        self.overhead = wire::PREFIX + publish.length() - payload.len();
        ClientFrame::Publish(publish).encode(out);
    }

    fn heartbeat(&mut self, out: &mut Vec<u8>) {
        ClientFrame::Ping(self.sequence).encode(out);
    }

    fn goodbye(&mut self, out: &mut Vec<u8>) {
        ClientFrame::Disconnect(Disconnect { end: true }).encode(out);
    }

    fn read(&mut self, bytes: &[u8], out: &mut Vec<u8>, hear: &mut impl FnMut(Heard<'_>)) -> Result<usize, LoadError> {
        let unexpected = |error: wire::WireError| LoadError::Unexpected(error.to_string());
        let mut taken = 0;
        while let Some((raw, len)) = wire::split(&bytes[taken..], self.max_frame).map_err(unexpected)? {
            self.hear(&ServerFrame::decode(raw).map_err(unexpected)?, out, hear)?;
            taken += len;
        }
        // One a read, however many frames it brought.
        self.done.drain(..).for_each(|done| ClientFrame::DeliverAck(done).encode(out));
        Ok(taken)
    }

    fn credit(&self, payload: usize) -> u64 {
        let by_bytes = self.credit_bytes / (self.overhead + payload) as u64;
        self.credit_messages.min(by_bytes).saturating_sub(self.unsettled())
    }

    fn is_settled(&self) -> bool {
        self.unsettled() == 0
    }
}
