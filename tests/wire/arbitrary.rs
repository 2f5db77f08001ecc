//! Properties over bytes and frames that nobody thought of.

use cordboard::{
    name::{Epoch, Filter, SessionId, SubscriptionHandle},
    wire::{
        AckMode, ClientFrame, Code, Deliver, DeliverAck, DeliverNack, Disconnect, ErrorFrame, Evicted, Failure, HandleOf,
        Headers, Kind, MAX_FRAME, Nack, Publish, RawFrame, RegistrationRequest, RegistrationResponse, Resubscribe, ServerFrame,
        SubscribeAck, SubscribeRequest, SubscriptionEnded, UnsubscribeAck, UnsubscribeRequest, headers_from, split,
    },
};
use proptest::{collection::vec, option, prelude::*, sample::select};

use super::{encoded, whole};

/// What a frame borrows from, so that proptest can own it.
#[derive(Debug, Clone)]
struct Message {
    headers: Vec<u8>,
    payload: Vec<u8>,
}

impl Message {
    fn as_publish<'a>(&'a self, sequence: u64, topic: &'a [u8]) -> Publish<'a> {
        Publish { sequence, topic, headers: Headers::from_bytes(&self.headers).unwrap(), payload: &self.payload }
    }
}

prop_compose! {
    fn message()(
        pairs in proptest::collection::btree_map("[a-z]{1,9}", any::<String>(), 0..4),
        ttl in option::of(1_u64..),
        payload in vec(any::<u8>(), 0..64),
    ) -> Message {
        let ttl = ttl.map(|ms| ms.to_string());
        let all = pairs.iter().map(|(key, value)| (key.as_str(), value.as_str()));
        let headers = headers_from(all.chain(ttl.as_deref().map(|ms| (Headers::TTL_MS, ms)))).unwrap();
        Message { headers, payload }
    }
}

prop_compose! {
    fn registration()(
        versions in vec(any::<u16>(), 1..=16), name in any::<String>(), user in option::of(".{1,32}"),
        password in option::of(any::<String>()), session in option::of(any::<[u8; 16]>()), keep_alive_ms in any::<Option<u64>>(),
        reclaim_ms in any::<Option<u64>>(), ack in select(vec![AckMode::Explicit, AckMode::None]),
        settled in any::<Option<u64>>(),
    ) -> RegistrationRequest {
        let (password, session) = (password.map(Into::into), session.map(SessionId::from_bytes));
        RegistrationRequest { versions, name, user, password, session, keep_alive_ms, reclaim_ms, ack, settled }
    }
}

fn client_frame() -> impl Strategy<Value = ClientFrame<'static>> {
    let handle = any::<u32>().prop_map(SubscriptionHandle);
    prop_oneof![
        registration().prop_map(ClientFrame::RegistrationRequest),
        (any::<u32>(), any::<String>(), any::<Option<u64>>(), option::of(any::<String>())).prop_map(
            |(request, filter, ack_timeout_ms, group)| {
                ClientFrame::SubscribeRequest(SubscribeRequest { request, filter, ack_timeout_ms, group })
            }
        ),
        (any::<u32>(), any::<String>())
            .prop_map(|(request, filter)| ClientFrame::UnsubscribeRequest(UnsubscribeRequest { request, filter })),
        any::<bool>().prop_map(|end| ClientFrame::Disconnect(Disconnect { end })),
        (handle.clone(), any::<u64>()).prop_map(|(handle, number)| ClientFrame::DeliverAck(DeliverAck { handle, number })),
        (handle, any::<u64>(), select(vec![Nack::Again, Nack::Poison]))
            .prop_map(|(handle, number, what)| ClientFrame::DeliverNack(DeliverNack { handle, number, what })),
        any::<u64>().prop_map(ClientFrame::Ping),
        any::<u64>().prop_map(ClientFrame::Pong),
    ]
}

fn code() -> impl Strategy<Value = Code> {
    select(Code::ALL.to_vec())
}

fn filter() -> impl Strategy<Value = Filter> {
    "[a-z+]/[a-zé]{0,40}x(/#)?".prop_map(|text| text.parse().unwrap())
}

fn handle() -> impl Strategy<Value = SubscriptionHandle> {
    any::<u32>().prop_map(SubscriptionHandle)
}

prop_compose! {
    fn response()(
        (version, session, resumed, epoch, server) in any::<(u16, [u8; 16], bool, u64, String)>(),
        (keep_alive_ms, reclaim_ms, max_frame, max_topic_bytes, max_topic_levels) in any::<(u64, u64, u32, u16, u16)>(),
        (window_messages, window_bytes, credit_messages, credit_bytes) in any::<(u32, u64, u32, u64)>(),
        (settled, taken, unknown_to) in any::<(u64, Option<u64>, Option<u64>)>(),
        failures in vec((any::<(u64, u32)>(), code()), 0..20),
        subscriptions in vec((filter(), handle()), 0..20),
    ) -> RegistrationResponse {
        RegistrationResponse {
            version, session: SessionId::from_bytes(session), resumed, epoch: Epoch(epoch), server, keep_alive_ms, reclaim_ms,
            max_frame, max_topic_bytes, max_topic_levels, window_messages, window_bytes, credit_messages, credit_bytes, settled,
            failures: failures.into_iter().map(|((sequence, count), code)| Failure { sequence, count, code }).collect(),
            taken, unknown_to,
            subscriptions: subscriptions.into_iter().map(|(filter, handle)| HandleOf { filter, handle }).collect(),
        }
    }
}

prop_compose! {
    fn error()(
        code in code(), reason in any::<String>(), request in any::<Option<u32>>(), sequence in any::<Option<u64>>(),
        count in any::<u32>(), (at_ms, retry_ms) in any::<(Option<u64>, Option<u64>)>(), versions in vec(any::<u16>(), 0..=16),
    ) -> ErrorFrame {
        ErrorFrame { code, reason, request, sequence, count, at_ms, retry_ms, versions }
    }
}

fn server_frame() -> impl Strategy<Value = ServerFrame<'static>> {
    prop_oneof![
        response().prop_map(ServerFrame::RegistrationResponse),
        (any::<u32>(), filter(), handle(), any::<u64>(), any::<bool>()).prop_map(
            |(request, filter, handle, ack_timeout_ms, existing)| {
                ServerFrame::SubscribeAck(SubscribeAck { request, filter, handle, ack_timeout_ms, existing })
            }
        ),
        (any::<u32>(), filter(), any::<bool>())
            .prop_map(|(request, filter, existed)| ServerFrame::UnsubscribeAck(UnsubscribeAck { request, filter, existed })),
        (filter(), handle(), code(), any::<String>(), any::<u64>()).prop_map(|(filter, handle, code, reason, lost)| {
            ServerFrame::SubscriptionEnded(SubscriptionEnded { filter, handle, code, reason, lost })
        }),
        (filter(), handle(), any::<u64>()).prop_map(|(filter, handle, lost)| ServerFrame::Resubscribe(Resubscribe {
            filter,
            handle,
            lost
        })),
        Just(ServerFrame::Displaced),
        any::<String>().prop_map(|reason| ServerFrame::Evicted(Evicted { reason })),
        error().prop_map(ServerFrame::Error),
        any::<u64>().prop_map(ServerFrame::PublishAck),
        any::<u64>().prop_map(ServerFrame::Ping),
        any::<u64>().prop_map(ServerFrame::Pong),
    ]
}

proptest! {
    /// I6: no bytes make anything panic; what decodes encodes to a frame that means the same.
    #[test]
    fn any_body_of_any_kind_is_a_frame_or_an_error(
        kind in select(Kind::ALL.to_vec()), flags in 0_u8..2, body in vec(any::<u8>(), 0..200),
    ) {
        let raw = RawFrame { kind, flags, body: &body };
        if let Ok(frame) = ClientFrame::decode(raw) {
            let bytes = encoded(&frame);
            prop_assert_eq!(ClientFrame::decode(whole(&bytes)).unwrap(), frame);
        }
        if let Ok(frame) = ServerFrame::decode(raw) {
            let mut bytes = Vec::new();
            frame.encode(&mut bytes);
            prop_assert_eq!(ServerFrame::decode(whole(&bytes)).unwrap(), frame);
        }
    }

    #[test]
    fn any_bytes_split_or_are_refused(bytes in vec(any::<u8>(), 0..64), length in any::<u8>()) {
        let mut short = vec![0, 0, 0, length];
        short.extend_from_slice(&bytes);
        for bytes in [&bytes, &short] {
            if let Ok(Some((raw, len))) = split(bytes, MAX_FRAME) {
                prop_assert_eq!(raw.body.len() + 6, len);
                prop_assert!(len <= bytes.len());
            }
        }
    }

    /// One byte changed in a good frame: an error, or a frame that means something else, and no more.
    #[test]
    fn a_damaged_frame_is_a_frame_or_an_error(
        client in client_frame(), server in server_frame(), of_client in any::<bool>(), at in any::<prop::sample::Index>(),
        byte in any::<u8>(),
    ) {
        let mut bytes = Vec::new();
        if of_client { client.encode(&mut bytes) } else { server.encode(&mut bytes) }
        let at = at.index(bytes.len());
        bytes[at] = byte;
        if let Ok(Some((raw, _))) = split(&bytes, MAX_FRAME) {
            let _ = (ServerFrame::decode(raw).is_ok(), ClientFrame::decode(raw).is_ok());
        }
    }

    #[test]
    fn a_client_frame_is_the_same_after_the_wire(frame in client_frame()) {
        let bytes = encoded(&frame);
        prop_assert_eq!(ClientFrame::decode(whole(&bytes)).unwrap(), frame);
    }

    #[test]
    fn a_server_frame_is_the_same_after_the_wire(frame in server_frame()) {
        let mut bytes = Vec::new();
        frame.encode(&mut bytes);
        prop_assert_eq!(ServerFrame::decode(whole(&bytes)).unwrap(), frame);
    }

    #[test]
    fn a_publish_is_the_same_after_the_wire(message in message(), sequence in any::<u64>(), topic in vec(any::<u8>(), 0..300)) {
        let publish = message.as_publish(sequence, &topic);
        let bytes = encoded(&ClientFrame::Publish(publish));
        prop_assert_eq!(bytes.len(), 4 + publish.length());
        prop_assert_eq!(ClientFrame::decode(whole(&bytes)).unwrap(), ClientFrame::Publish(publish));
    }

    /// Any run of a block that many subscriptions share is a Deliver of its own, by slices of the block.
    #[test]
    fn any_run_of_a_block_is_a_deliver_of_its_messages(
        messages in vec(message(), 1..20), from in any::<prop::sample::Index>(), to in any::<prop::sample::Index>(),
        base in 0..u32::MAX - 100_000, (redelivered, returns) in any::<(bool, bool)>(), first in 0..u64::MAX - 20,
    ) {
        let (mut records, mut offsets) = (Vec::new(), vec![base]);
        for message in &messages {
            let publish = message.as_publish(0, b"");
            let before = records.len();
            publish.write_record(&mut records);
            prop_assert_eq!(records.len() - before, publish.record_len());
            offsets.push(base + records.len() as u32);
        }
        let table: Vec<u8> = offsets.iter().flat_map(|offset| offset.to_be_bytes()).collect();
        let (from, to) = (from.index(messages.len()), to.index(messages.len()));
        let (from, to) = (from.min(to), from.max(to) + 1);

        let deliver = Deliver {
            handle: SubscriptionHandle(3), first, accepted_ms: 9, redelivered, returns, topic: "a/é", count: (to - from) as u32,
            table: &table[from * 4..(to + 1) * 4],
            records: &records[(offsets[from] - base) as usize..(offsets[to] - base) as usize],
        };
        let mut bytes = Vec::new();
        deliver.encode(&mut bytes);
        prop_assert_eq!(bytes.len(), 4 + deliver.head().length());
        prop_assert_eq!(ServerFrame::decode(whole(&bytes)).unwrap(), ServerFrame::Deliver(deliver));
        prop_assert_eq!(deliver.records().count(), to - from);
        for (record, (number, message)) in deliver.records().zip((first..).zip(&messages[from..to])) {
            let expected = (number, &message.headers[..], &message.payload[..]);
            prop_assert_eq!((record.number, record.headers.as_bytes(), record.payload), expected);
        }
    }
}
