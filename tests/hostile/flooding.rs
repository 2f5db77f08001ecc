//! Clients that never stop sending: what they cost is theirs, and the thread they are read on is everybody's.

use std::{
    io,
    net::SocketAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use cordboard::{
    Broker, Platform,
    entropy::OsEntropy,
    name::SubscriptionHandle,
    net::{Accept, Eventually, Socket},
    wire::{ClientFrame, DeliverAck, RegistrationRequest},
};
use tokio::{
    io::{AsyncRead, ReadBuf},
    net::TcpListener,
    sync::Mutex,
};

use super::{Scene, encoded};
use crate::fixture::{Raw, config};

/// A client whose next bytes are always there: it registers, and then acknowledges what it never got.
struct Endless {
    frames: Vec<u8>,
    at: usize,
    /// Where it begins again.
    from: usize,
}

impl Endless {
    fn new() -> Self {
        let mut frames = encoded(&ClientFrame::RegistrationRequest(RegistrationRequest::new("endless")));
        let from = frames.len();
        frames.extend(acknowledgements());
        Self { frames, at: 0, from }
    }
}

/// Of as many subscriptions as one read can name, none of which there is.
fn acknowledgements() -> Vec<u8> {
    let ack = |handle| encoded(&ClientFrame::DeliverAck(DeliverAck { handle: SubscriptionHandle(handle), number: 1 }));
    (0..4_000).rev().flat_map(ack).collect()
}

impl AsyncRead for Endless {
    fn poll_read(mut self: Pin<&mut Self>, _: &mut Context<'_>, room: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        while room.remaining() > 0 {
            let len = room.remaining().min(self.frames.len() - self.at);
            room.put_slice(&self.frames[self.at..self.at + len]);
            self.at += len;
            if self.at == self.frames.len() {
                self.at = self.from;
            }
        }
        Poll::Ready(Ok(()))
    }
}

/// An endpoint at which the endless client is the first to connect.
#[derive(Debug)]
struct Endpoint {
    listener: TcpListener,
    first: Mutex<bool>,
}

impl Accept for Endpoint {
    fn accept(&self) -> Eventually<'_, (Socket, SocketAddr)> {
        Box::pin(async {
            let mut first = self.first.lock().await;
            if std::mem::take(&mut *first) {
                return Ok((Socket::from_halves(Endless::new(), tokio::io::sink()), SocketAddr::from(([127, 0, 0, 1], 1))));
            }
            let (stream, peer) = self.listener.accept().await?;
            Ok((stream.into(), peer))
        })
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

/// A reader that always finds more does not keep its thread: others are read on it, too.
#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_client_that_never_stops_sending_leaves_others_their_turn() {
    let endpoint = Endpoint { listener: TcpListener::bind("127.0.0.1:0").await.unwrap(), first: Mutex::new(true) };
    let platform = Platform { endpoints: vec![Arc::new(endpoint)], entropy: Arc::new(OsEntropy) };
    let broker = Broker::start_on(config(), platform).await.unwrap();
    let (mut canary, _) = Raw::register(&broker, "canary").await;
    let handle = canary.subscribe("canary").await;
    for _ in 0..20 {
        let got = canary.publish_and_get("canary", "tweet").await;
        canary.ack(handle, got.number).await;
    }
    assert!(broker.counters().bad_acks > 4_000, "the other one has had its turns, too");
    broker.shutdown().await;
}

/// Acknowledgements of thousands of subscriptions that are not there are read, counted, and forgotten.
#[tokio::test]
async fn acknowledgements_of_unknown_subscriptions_are_counted_each() {
    let scene = Scene::set().await;
    let (mut raw, _) = Raw::register(&scene.broker, "liar").await;
    let bytes = acknowledgements();
    raw.send_bytes(&bytes).await;
    raw.settle().await;
    assert_eq!(scene.broker.counters().bad_acks, 4_000);
    scene.end().await;
}
