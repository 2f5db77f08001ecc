//! What the inner parts cost: the wire, the filters, a batch and its queue, and the whole chain of actors.
//!
//! ```text
//! cargo bench --bench inner -- [NAMES]
//! ```
//!
//! For finding out which part a change has made dearer; what a broker costs whole, beside others, is what `cordboard bench`
//! measures. Figures are for one message where a counter is printed beside them.

#![allow(clippy::unwrap_used)] // a benchmark that cannot run should stop

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    time::Instant,
};

use cordboard::{
    Broker, Config, Handle,
    filters::{self, Filters},
    name::{SessionId, SubscriptionHandle, TopicName},
    wire::{self, ClientFrame, Deliver, Headers, Publish, RegistrationRequest, ServerFrame, SubscribeRequest},
    workbench,
};
use divan::{Bencher, black_box, counter::ItemsCount};
use tokio::runtime::Runtime;

fn main() {
    divan::main();
}

const PAYLOADS: [usize; 2] = [16, 256];
/// Messages that come with one read of a busy connection.
const TOGETHER: u32 = 1_000;

fn topic(text: &str) -> TopicName {
    text.parse().unwrap()
}

/// `count` publishes as they arrive.
fn publishes(count: u64, from: u64, payload: usize) -> Vec<u8> {
    let (payload, mut bytes) = (vec![b'x'; payload], Vec::new());
    for sequence in from..from + count {
        let publish = Publish { sequence, topic: b"bench/eu", headers: Headers::NONE, payload: &payload };
        ClientFrame::Publish(publish).encode(&mut bytes);
    }
    bytes
}

#[divan::bench(args = PAYLOADS)]
fn wire_encode_publish(bencher: Bencher<'_, '_>, payload: usize) {
    let payload = vec![b'x'; payload];
    let publish = Publish { sequence: 7, topic: b"bench/eu", headers: Headers::NONE, payload: &payload };
    bencher.with_inputs(|| Vec::with_capacity(512)).bench_local_refs(|bytes| black_box(publish).encode(bytes));
}

#[divan::bench(args = PAYLOADS)]
fn wire_decode_publishes(bencher: Bencher<'_, '_>, payload: usize) {
    let bytes = publishes(u64::from(TOGETHER), 1, payload);
    bencher.counter(ItemsCount::new(TOGETHER)).bench_local(|| {
        let mut rest = black_box(&bytes[..]);
        while let Some((raw, len)) = wire::split(rest, wire::MAX_DELIVER_FRAME).unwrap() {
            black_box(ClientFrame::decode(raw).unwrap());
            rest = &rest[len..];
        }
    });
}

/// As a client reads what a subscription brings: a frame of many messages.
#[divan::bench(args = PAYLOADS)]
fn wire_decode_deliver(bencher: Bencher<'_, '_>, payload: usize) {
    let (payload, mut table, mut records) = (vec![b'x'; payload], vec![0; 4], Vec::new());
    for _ in 0..TOGETHER {
        Publish { sequence: 1, topic: b"", headers: Headers::NONE, payload: &payload }.write_record(&mut records);
        table.extend_from_slice(&(records.len() as u32).to_be_bytes());
    }
    let mut bytes = Vec::new();
    let deliver = Deliver {
        handle: SubscriptionHandle(1),
        first: 1,
        accepted_ms: 0,
        redelivered: false,
        returns: false,
        topic: "bench/eu",
        count: TOGETHER,
        table: &table,
        records: &records,
    };
    ServerFrame::Deliver(deliver).encode(&mut bytes);
    bencher.counter(ItemsCount::new(TOGETHER)).bench_local(|| {
        let (raw, _) = wire::split(black_box(&bytes), wire::MAX_DELIVER_FRAME).unwrap().unwrap();
        let ServerFrame::Deliver(deliver) = ServerFrame::decode(raw).unwrap() else { unreachable!() };
        for record in deliver.records() {
            black_box(record.payload);
        }
    });
}

/// A batch is filled from what a reader has decoded, and dropped.
#[divan::bench(args = PAYLOADS)]
fn batch_fill(bencher: Bencher<'_, '_>, payload: usize) {
    let (topic, now) = (topic("bench/eu"), Instant::now());
    bencher.counter(ItemsCount::new(TOGETHER)).bench_local(|| workbench::fill(&topic, TOGETHER, payload, now));
}

/// In, into the window, and acknowledged: batches of one message, and of many.
#[divan::bench(args = [1, 10, TOGETHER])]
fn queue_pass(bencher: Bencher<'_, '_>, together: u32) {
    let mut queue = workbench::Bench::new(&topic("bench/eu"), together, 16);
    bencher.counter(ItemsCount::new(together)).bench_local(|| {
        queue.append();
        assert_eq!(queue.take_and_acknowledge(), u64::from(together));
    });
}

/// A thousand batches of one message each wait, and are taken at once.
#[divan::bench]
fn queue_fill_and_drain(bencher: Bencher<'_, '_>) {
    let mut queue = workbench::Bench::new(&topic("bench/eu"), 1, 256);
    bencher.counter(ItemsCount::new(TOGETHER)).bench_local(|| {
        (0..TOGETHER).for_each(|_| queue.append());
        assert_eq!(queue.take_and_acknowledge(), u64::from(TOGETHER));
    });
}

/// A topic is looked up among so many filters that do not match it, and two that do.
#[divan::bench(args = [0, 100, 10_000])]
fn filters_match(bencher: Bencher<'_, '_>, others: u32) {
    let mut table = Filters::new();
    let session = SessionId::from_bytes([7; 16]);
    for other in 0..others {
        let filter = if other % 2 == 0 { format!("bench/{other}/+") } else { format!("other/{other}/#") };
        table.insert(&filter.parse().unwrap(), session, other);
    }
    table.insert(&"bench/#".parse().unwrap(), session, u32::MAX);
    table.insert(&"+/eu".parse().unwrap(), session, u32::MAX);
    let topic = topic("bench/eu");
    bencher.bench_local(|| assert_eq!(table.matches(black_box(&topic)).len(), 2));
}

#[divan::bench]
fn filters_one(bencher: Bencher<'_, '_>) {
    let (filter, topic) = ("bench/+/orders/#".parse().unwrap(), topic("bench/eu/orders/1/paid"));
    bencher.bench_local(|| assert!(filters::matches(black_box(&filter), black_box(&topic))));
}

/// Reader, session, topic, queue, subscriber, session, writer: a burst of so many messages from socket to socket.
#[divan::bench(args = [1, 100, TOGETHER])]
fn chain(bencher: Bencher<'_, '_>, together: u32) {
    let mut line = Line::new();
    bencher.counter(ItemsCount::new(together)).bench_local(|| line.send(u64::from(together)));
}

/// A broker, one who publishes to it, and one who reads that.
struct Line {
    publisher: TcpStream,
    subscriber: TcpStream,
    sent: u64,
    buffer: Vec<u8>,
    end: usize,
    _broker: (Handle, Runtime),
}

impl Line {
    fn new() -> Self {
        let runtime = Runtime::new().unwrap();
        let config = Config { listen: vec!["127.0.0.1:0".parse().unwrap()], ..Config::default() };
        let broker = runtime.block_on(Broker::start(config)).unwrap();
        let address = broker.endpoints()[0];
        let (publisher, subscriber) = (register(address, "publisher"), register(address, "subscriber"));
        let mut line = Self { publisher, subscriber, sent: 0, buffer: vec![0; 1 << 20], end: 0, _broker: (broker, runtime) };
        let request = SubscribeRequest { request: 1, filter: "bench/#".into(), ack_timeout_ms: None, group: None };
        say(&mut line.subscriber, &ClientFrame::SubscribeRequest(request));
        line.hear(|frame| matches!(frame, ServerFrame::SubscribeAck(_)));
        line
    }

    /// Publishes `count` messages at once and waits for all of them.
    fn send(&mut self, count: u64) {
        self.publisher.write_all(&publishes(count, self.sent + 1, 16)).unwrap();
        self.sent += count;
        let last = self.sent;
        self.hear(|frame| matches!(frame, ServerFrame::Deliver(deliver) if deliver.first + u64::from(deliver.count) > last));
        // The acknowledgements: nobody waits for them here, and they must not fill the socket.
        self.publisher.set_nonblocking(true).unwrap();
        while self.publisher.read(&mut [0; 4096]).is_ok_and(|read| read > 0) {}
        self.publisher.set_nonblocking(false).unwrap();
    }

    /// Reads what the subscriber is sent, up to a frame that `is_it`.
    fn hear(&mut self, is_it: impl Fn(&ServerFrame<'_>) -> bool) {
        let mut found = false;
        while !found {
            let read = self.subscriber.read(&mut self.buffer[self.end..]).unwrap();
            assert!(read > 0, "the broker closed");
            self.end += read;
            let mut start = 0;
            while let Some((raw, len)) = wire::split(&self.buffer[start..self.end], wire::MAX_DELIVER_FRAME).unwrap() {
                found |= is_it(&ServerFrame::decode(raw).unwrap());
                start += len;
            }
            self.buffer.copy_within(start..self.end, 0);
            self.end -= start;
        }
    }
}

fn register(address: SocketAddr, name: &str) -> TcpStream {
    let mut socket = TcpStream::connect(address).unwrap();
    socket.set_nodelay(true).unwrap();
    say(&mut socket, &ClientFrame::RegistrationRequest(RegistrationRequest::new(name)));
    let mut head = [0; 4];
    socket.read_exact(&mut head).unwrap();
    socket.read_exact(&mut vec![0; u32::from_be_bytes(head) as usize]).unwrap();
    socket
}

fn say(socket: &mut TcpStream, frame: &ClientFrame<'_>) {
    let mut bytes = Vec::new();
    frame.encode(&mut bytes);
    socket.write_all(&bytes).unwrap();
}
