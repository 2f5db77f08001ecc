//! What the client does, whatever a broker says: a scripted broker on a real socket says it.

mod losing;
mod publishing;
mod settling;
mod subscribing;

use std::{future::Future, time::Duration};

use bytes::{Bytes, BytesMut};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    time::timeout,
};

use super::{Backoff, Builder, Client, ClientEvent, ConnectError, Events};
use crate::{
    name::{Epoch, SessionId, SubscriptionHandle},
    wire::{
        self, ClientFrame, Code, Deliver, DeliverAck, DeliverNack, ErrorFrame, HandleOf, Nack, RegistrationRequest,
        RegistrationResponse, ServerFrame, SubscribeAck,
    },
};

/// Nothing on this machine takes that long; a test that would hang fails instead.
const LONG: Duration = Duration::from_secs(10);

/// A client's frame, owned.
#[derive(Debug, Clone, PartialEq)]
enum Said {
    Register(RegistrationRequest),
    Subscribe { request: u32, filter: String, ack_timeout_ms: Option<u64> },
    Unsubscribe { request: u32, filter: String },
    Disconnect { end: bool },
    Publish { sequence: u64, topic: String, payload: Bytes },
    Ack { handle: u32, number: u64 },
    Nack { handle: u32, number: u64, what: Nack },
    Ping(u64),
    Pong(u64),
}

impl Said {
    fn publish(sequence: u64, topic: &str, payload: &'static str) -> Self {
        Self::Publish { sequence, topic: topic.to_owned(), payload: payload.into() }
    }
}

/// Waits, but not for ever.
async fn soon<T>(what: impl Future<Output = T>) -> T {
    timeout(LONG, what).await.expect("it takes too long")
}

struct Broker {
    listener: TcpListener,
}

impl Broker {
    async fn start() -> Self {
        Self { listener: TcpListener::bind("127.0.0.1:0").await.unwrap() }
    }

    /// A client for this broker that comes back at once.
    fn client(&self) -> Builder {
        let backoff = Backoff { first: Duration::from_millis(1), ..Backoff::default() };
        Client::builder(&self.listener.local_addr().unwrap().to_string()).name("test").reconnect(backoff)
    }

    async fn accept(&self) -> Peer {
        let (stream, _) = soon(self.listener.accept()).await.unwrap();
        Peer { stream, received: BytesMut::new() }
    }

    /// The next connection, up to its registration.
    async fn accept_registration(&self) -> (Peer, RegistrationRequest) {
        let mut peer = self.accept().await;
        match peer.hear().await {
            Said::Register(request) => (peer, request),
            other => panic!("{other:?} instead of a registration"),
        }
    }

    /// The next connection, registered with `welcome`.
    async fn welcome(&self, welcome: RegistrationResponse) -> Peer {
        let (mut peer, _) = self.accept_registration().await;
        peer.say(ServerFrame::RegistrationResponse(welcome)).await;
        peer
    }

    /// A client with a new session, and its connection.
    async fn connected(&self) -> (Client, Peer) {
        let (client, peer) = tokio::join!(self.client().connect(), self.welcome(welcome()));
        (client.unwrap(), peer)
    }
}

/// The broker's end of a connection.
struct Peer {
    stream: TcpStream,
    received: BytesMut,
}

impl Peer {
    /// The next frame of the client.
    async fn hear(&mut self) -> Said {
        self.hear_or_end().await.expect("the client has closed the connection")
    }

    /// The next frame of the client; none at the end.
    async fn hear_or_end(&mut self) -> Option<Said> {
        loop {
            if let Some((raw, length)) = wire::split(&self.received, wire::MAX_FRAME).unwrap() {
                let said = said(ClientFrame::decode(raw).unwrap());
                drop(self.received.split_to(length));
                return Some(said);
            }
            if soon(self.stream.read_buf(&mut self.received)).await.unwrap() == 0 {
                return None;
            }
        }
    }

    async fn say(&mut self, frame: ServerFrame<'_>) {
        self.say_all([frame]).await;
    }

    /// Frames in one write.
    async fn say_all<'f>(&mut self, frames: impl IntoIterator<Item = ServerFrame<'f>>) {
        let mut bytes = Vec::new();
        for frame in frames {
            frame.encode(&mut bytes);
        }
        self.stream.write_all(&bytes).await.unwrap();
    }

    /// Answers a `SubscribeRequest` for `filter`.
    async fn accept_subscription(&mut self, filter: &str, handle: u32, existing: bool) {
        match self.hear().await {
            Said::Subscribe { request, filter: asked, .. } if asked == filter => {
                self.say(subscribe_ack(request, filter, handle, existing)).await;
            }
            other => panic!("{other:?} instead of a subscription to {filter}"),
        }
    }

    /// Delivers `payloads` on `handle`, numbered from `first`.
    async fn deliver(&mut self, handle: u32, first: u64, redelivered: bool, payloads: &[&str]) {
        let bytes = delivery(handle, first, (redelivered, false), payloads);
        self.stream.write_all(&bytes).await.unwrap();
    }

    /// Delivers what was given back.
    async fn deliver_back(&mut self, handle: u32, first: u64, payloads: &[&str]) {
        let bytes = delivery(handle, first, (true, true), payloads);
        self.stream.write_all(&bytes).await.unwrap();
    }
}

fn said(frame: ClientFrame<'_>) -> Said {
    match frame {
        ClientFrame::RegistrationRequest(request) => Said::Register(request),
        ClientFrame::SubscribeRequest(it) => {
            Said::Subscribe { request: it.request, filter: it.filter, ack_timeout_ms: it.ack_timeout_ms }
        }
        ClientFrame::UnsubscribeRequest(it) => Said::Unsubscribe { request: it.request, filter: it.filter },
        ClientFrame::Disconnect(it) => Said::Disconnect { end: it.end },
        ClientFrame::Publish(it) => Said::Publish {
            sequence: it.sequence,
            topic: String::from_utf8(it.topic.to_vec()).unwrap(),
            payload: Bytes::copy_from_slice(it.payload),
        },
        ClientFrame::DeliverAck(DeliverAck { handle, number }) => Said::Ack { handle: handle.0, number },
        ClientFrame::DeliverNack(DeliverNack { handle, number, what }) => Said::Nack { handle: handle.0, number, what },
        ClientFrame::Ping(token) => Said::Ping(token),
        ClientFrame::Pong(token) => Said::Pong(token),
    }
}

/// A Deliver frame on topic `t/1`.
fn delivery(handle: u32, first: u64, (redelivered, returns): (bool, bool), payloads: &[&str]) -> Vec<u8> {
    let (mut table, mut records) = (0_u32.to_be_bytes().to_vec(), Vec::new());
    for payload in payloads {
        records.push(0);
        records.extend_from_slice(payload.as_bytes());
        table.extend_from_slice(&(records.len() as u32).to_be_bytes());
    }
    let mut bytes = Vec::new();
    let deliver = Deliver {
        handle: SubscriptionHandle(handle),
        first,
        accepted_ms: 1_700_000_000_000,
        redelivered,
        returns,
        topic: "t/1",
        count: payloads.len() as u32,
        table: &table,
        records: &records,
    };
    deliver.encode(&mut bytes);
    bytes
}

fn subscribe_ack(request: u32, filter: &str, handle: u32, existing: bool) -> ServerFrame<'static> {
    let filter = filter.parse().unwrap();
    ServerFrame::SubscribeAck(SubscribeAck {
        request,
        filter,
        handle: SubscriptionHandle(handle),
        ack_timeout_ms: 30_000,
        existing,
    })
}

/// A new session with small limits and no keep-alive to disturb the script.
fn welcome() -> RegistrationResponse {
    RegistrationResponse {
        version: wire::VERSION,
        session: SessionId::from_bytes([1; 16]),
        resumed: false,
        epoch: Epoch(1),
        server: "scripted".to_owned(),
        keep_alive_ms: 0,
        reclaim_ms: 90_000,
        max_frame: 4096,
        max_topic_bytes: 255,
        max_topic_levels: 16,
        window_messages: 8,
        window_bytes: 1 << 20,
        credit_messages: 4,
        credit_bytes: 4096,
        settled: 0,
        taken: None,
        failures: Vec::new(),
        unknown_to: None,
        subscriptions: Vec::new(),
    }
}

/// The same session again, settled up to `settled`, with these subscriptions.
fn resumed(settled: u64, subscriptions: &[(&str, u32)]) -> RegistrationResponse {
    let handles = subscriptions
        .iter()
        .map(|(filter, handle)| HandleOf { filter: filter.parse().unwrap(), handle: SubscriptionHandle(*handle) });
    RegistrationResponse { resumed: true, epoch: Epoch(2), settled, subscriptions: handles.collect(), ..welcome() }
}

/// Takes events until one is `wanted`.
async fn event<T>(events: &mut Events, wanted: impl Fn(ClientEvent) -> Option<T>) -> T {
    loop {
        let event = soon(events.next()).await.expect("the client is over");
        if let Some(wanted) = wanted(event) {
            return wanted;
        }
    }
}

/// Lets the client's task do what it can, so that what it must not do would have happened.
async fn settle_down() {
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
}
