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

#[cfg(test)]
mod tests {
    use cordboard::{
        name::Epoch,
        wire::{Deliver, RegistrationResponse},
    };

    use super::*;

    fn response() -> RegistrationResponse {
        RegistrationResponse {
            version: wire::VERSION,
            session: "0123456789abcdef0123456789abcdef".parse().unwrap(),
            resumed: false,
            epoch: Epoch(1),
            server: "fake".to_owned(),
            keep_alive_ms: 30_000,
            reclaim_ms: 90_000,
            max_frame: 1 << 20,
            max_topic_bytes: 255,
            max_topic_levels: 16,
            window_messages: 1_024,
            window_bytes: 1 << 20,
            credit_messages: 10,
            credit_bytes: 1_000,
            settled: 0,
            taken: None,
            failures: Vec::new(),
            unknown_to: None,
            subscriptions: Vec::new(),
        }
    }

    /// What `client` hears of `frames` and answers, if they come in one read.
    fn hear(client: &mut Cordboard, frames: &[ServerFrame<'_>]) -> (Vec<u8>, usize) {
        let (mut bytes, mut out, mut messages) = (Vec::new(), Vec::new(), 0);
        for frame in frames {
            frame.encode(&mut bytes);
        }
        let mut heard = |heard: Heard<'_>| messages += usize::from(heard == Heard::Message(b"hello"));
        // The last byte is still on its way.
        let whole = client.read(&bytes[..bytes.len() - 1], &mut out, &mut heard).unwrap();
        let rest = client.read(&bytes[whole..], &mut out, &mut heard).unwrap();
        assert_eq!(whole + rest, bytes.len());
        (out, messages)
    }

    #[test]
    fn a_credit_is_used_up_and_given_back() {
        let mut client = Cordboard::open(&Identity::new("n"), &mut Vec::new());
        assert_eq!(client.credit(16), 0);
        hear(&mut client, &[ServerFrame::RegistrationResponse(response())]);
        assert_eq!(client.credit(16), 10);
        (0..4).for_each(|_| client.publish("bench/0", &[0; 16], &mut Vec::new()));
        assert_eq!((client.credit(16), client.is_settled()), (6, false));
        // Its bytes bound it, too: two frames of a little over 400.
        assert_eq!(client.credit(400), 0);
        hear(&mut client, &[ServerFrame::PublishAck(4)]);
        assert_eq!((client.credit(16), client.credit(400), client.is_settled()), (10, 2, true));
    }

    /// One acknowledgement a subscription and read, of the last message; and none where none is wanted.
    #[test]
    fn deliveries_are_acknowledged_together() {
        let records = [&b"\0hello"[..], b"\0hello"].concat();
        let table: Vec<u8> = [0_u32, 6, 12].iter().flat_map(|offset| offset.to_be_bytes()).collect();
        let deliver = |first| {
            ServerFrame::Deliver(Deliver {
                handle: SubscriptionHandle(3),
                first,
                accepted_ms: 0,
                redelivered: false,
                returns: false,
                topic: "bench/0",
                count: 2,
                table: &table,
                records: &records,
            })
        };
        let frames = [deliver(1), deliver(3), ServerFrame::Ping(9)];
        let mut expected = Vec::new();
        ClientFrame::DeliverAck(DeliverAck { handle: SubscriptionHandle(3), number: 4 }).encode(&mut expected);
        ClientFrame::Pong(9).encode(&mut expected);
        let identity = Identity { acks: Acks::Explicit, ..Identity::new("n") };
        let mut client = Cordboard::open(&identity, &mut Vec::new());
        assert_eq!(hear(&mut client, &frames), (expected, 4));
        let mut client = Cordboard::open(&Identity::new("n"), &mut Vec::new());
        let mut pong = Vec::new();
        ClientFrame::Pong(9).encode(&mut pong);
        assert_eq!(hear(&mut client, &frames), (pong, 4));
    }

    #[test]
    fn an_error_ends_it_in_the_brokers_words() {
        let mut client = Cordboard::open(&Identity::new("n"), &mut Vec::new());
        let mut bytes = Vec::new();
        ServerFrame::Error(ErrorFrame::new(wire::Code::TooMany, "no \u{1b}more")).encode(&mut bytes);
        let error = client.read(&bytes, &mut Vec::new(), &mut |_| {}).unwrap_err().to_string();
        assert!(
            error.starts_with("the broker refused: no ") && error.ends_with("more (429)") && !error.contains('\u{1b}'),
            "{error}"
        );
    }
}
