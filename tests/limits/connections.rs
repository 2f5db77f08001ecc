//! Limits of connections: how many, how fast they come, how long they may say nothing, take nothing, or take their time.

use std::{
    io,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use cordboard::{
    Broker, Platform,
    board::Attachment,
    entropy::OsEntropy,
    events::CloseReason,
    name::SessionId,
    net::{Accept, Eventually, Socket},
    wire::{AckMode, ClientFrame, Code, RegistrationRequest},
};
use tokio::{io::AsyncReadExt, net::TcpListener};

use super::{hits, is_told, registers, was_told};
use crate::fixture::{Raw, broker, broker_with, config, eventually, eventually_true, let_pass, publish};

/// The caps on connections, each with its code; who is in stays in, and the room of who leaves is given again.
#[tokio::test]
async fn connections_beyond_a_cap_are_told_and_closed() {
    type Cap = fn(&mut cordboard::config::Connections);
    let caps: [(Cap, &str, &str, Code); 2] = [
        (|caps| caps.max = 3, "connections.max", "broker", Code::Unavailable),
        (|caps| caps.max_per_address = 3, "connections.max_per_address", "127.0.0.1", Code::TooMany),
    ];
    for (cap, limit, who, code) in caps {
        let broker = broker_with(|config| cap(&mut config.connections)).await;
        let (mut inside, _) = Raw::register(&broker, "inside").await;
        let idle = [Raw::connect(broker.endpoints()[0]).await, Raw::connect(broker.endpoints()[0]).await];
        eventually(&broker, "both are there", |board| board.listeners.len() == 3).await;
        for _ in 0..20 {
            let error = Raw::connect(broker.endpoints()[0]).await.closing_error().await;
            assert_eq!(error.code, code);
            assert!(error.reason.contains(limit), "{}", error.reason);
        }
        is_told(&broker, limit, who).await;
        assert_eq!(broker.counters().refused_connections, 20);
        inside.publish("still", "here").await;
        drop(idle);
        eventually(&broker, "they are gone", |board| board.listeners.len() == 1).await;
        eventually_true("they are not counted any more", || broker.counters().unregistered == 0).await;
        Raw::register(&broker, "next").await;
        broker.shutdown().await;
    }
}

/// Those who say nothing give their places up, the oldest of the greediest address first; whoever registers is in.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn whoever_registers_gets_in_while_others_hold_all_places() {
    let broker = broker_with(|config| config.connections.max_unregistered = 8).await;
    let address = broker.endpoints()[0];
    let slow = Raw::connect(address).await;
    let mut silent = Vec::new();
    for _ in 0..40 {
        silent.push(Raw::connect_from(2, address).await);
        assert!(broker.counters().unregistered <= 10);
    }
    for honest in ["one", "two", "three"] {
        Raw::register(&broker, honest).await.0.publish("t", "x").await;
    }
    let error = silent.remove(0).closing_error().await;
    assert_eq!(error.code, Code::TooSlow);
    assert!(error.reason.contains("connections.max_unregistered"), "{}", error.reason);
    is_told(&broker, "connections.max_unregistered", "127.0.0.2").await;
    // Older than all of them, but alone at its address.
    registers(slow, RegistrationRequest::new("slow")).await;
    broker.shutdown().await;
}

/// An address that connects too fast is told how long to wait, and may when it did; another one notices nothing.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn an_address_that_connects_too_fast_is_told_how_long_to_wait() {
    let broker = broker_with(|config| {
        (config.connections.connect_burst, config.connections.connects_per_second) = (5, 20);
    })
    .await;
    let address = broker.endpoints()[0];
    let mut refused = None;
    // Slow as this machine may be, twenty a second are soon too many.
    for _ in 0..10_000 {
        let mut raw = Raw::connect_from(2, address).await;
        raw.send(&ClientFrame::RegistrationRequest(RegistrationRequest::new("fast"))).await;
        if let crate::fixture::Reply::Error(error) = raw.next().await {
            refused = Some(error);
            break;
        }
    }
    let error = refused.expect("it is refused in the end");
    assert_eq!(error.code, Code::TooMany);
    assert!(error.reason.contains("connections.connects_per_second"), "{}", error.reason);
    assert!(error.retry_ms.is_some_and(|ms| (1..=50).contains(&ms)), "{:?}", error.retry_ms);
    is_told(&broker, "connections.connects_per_second", "127.0.0.2").await;
    Raw::register(&broker, "elsewhere").await;
    broker.shutdown().await;
}

#[tokio::test]
async fn no_registration_within_the_deadline_is_told_and_said() {
    let broker = broker_with(|config| {
        config.connections.registration_deadline = Duration::from_millis(50);
        config.logins.slow_answer = Duration::from_millis(20);
    })
    .await;
    let error = Raw::connect(broker.endpoints()[0]).await.closing_error().await;
    assert_eq!(error.code, Code::TooSlow);
    assert!(error.reason.contains("50 ms"), "{}", error.reason);
    is_told(&broker, "connections.registration_deadline", "127.0.0.1").await;
    broker.shutdown().await;
}

/// A client that is silent and yet alive hears why it was closed.
#[tokio::test]
async fn a_client_that_is_silent_for_too_long_is_told_to_ping() {
    let broker = broker_with(|config| config.connections.keep_alive = Duration::from_millis(500)).await;
    let (mut raw, _) = Raw::register(&broker, "silent").await;
    let error = raw.closing_error().await;
    assert_eq!(error.code, Code::TooSlow);
    assert!(error.reason.contains("ping"), "{}", error.reason);
    is_told(&broker, "connections.keep_alive", "127.0.0.1").await;
    broker.shutdown().await;
}

fn detached_because(board: &cordboard::Board, session: SessionId, reason: CloseReason) -> bool {
    matches!(board.sessions[&session].attachment, Attachment::Detached { why, .. } if why == reason)
}

/// A client to which more is written than all buffers hold, and how many bytes of it.
async fn flooded(broker: &cordboard::Handle) -> (Raw, SessionId) {
    let request = RegistrationRequest { ack: AckMode::None, ..RegistrationRequest::new("choking") };
    let (mut raw, response) = Raw::register_with(broker, request).await;
    socket2::SockRef::from(&raw.socket).set_recv_buffer_size(4 << 10).unwrap();
    raw.subscribe("flood").await;
    let (mut publisher, _) = Raw::register(broker, "flood").await;
    let payload = vec![0; 512 << 10];
    for _ in 0..24 {
        publisher.publish("flood", &payload).await;
    }
    publisher.disconnect(true).await;
    (raw, response.session)
}

/// Who takes nothing is closed, and its session waits for it.
#[tokio::test]
async fn a_reader_that_takes_nothing_is_closed() {
    let broker = broker_with(|config| {
        config.connections.stall_after = Duration::from_millis(200);
        // The connection is what is full, not the window.
        config.queues.window_bytes = 8 << 20;
    })
    .await;
    let (_raw, session) = flooded(&broker).await;
    eventually(&broker, "it is detached", |board| detached_because(board, session, CloseReason::Stalled)).await;
    is_told(&broker, "connections.stall_after", "127.0.0.1").await;
    assert!(hits(&broker, "connections.outbound_bytes") > 0, "what did not fit waited in the queue");
    assert!(!was_told(&broker, "connections.outbound_bytes"), "that is its pace, and no news");
    broker.shutdown().await;
}

/// A reader that takes a little now and then makes progress for ever; a frame has its deadline all the same.
#[tokio::test]
async fn a_reader_that_drips_is_closed_like_one_that_takes_nothing() {
    let broker = broker_with(|config| {
        (config.connections.stall_after, config.connections.frame_deadline) =
            (Duration::from_hours(1), Duration::from_millis(300));
        config.connections.outbound_bytes = 8 << 20;
        config.queues.window_bytes = 8 << 20;
    })
    .await;
    let (mut raw, session) = flooded(&broker).await;
    let drips = tokio::spawn(async move {
        let mut drop = [0; 2 << 10];
        while matches!(raw.socket.read(&mut drop).await, Ok(1..)) {
            let_pass(Duration::from_millis(20)).await;
        }
    });
    eventually(&broker, "it is detached", |board| detached_because(board, session, CloseReason::Stalled)).await;
    drips.abort();
    broker.shutdown().await;
}

/// A frame that is begun is finished in time, however busy the connection looks; one that is does not matter any more.
#[tokio::test(start_paused = true)]
async fn a_frame_that_drips_is_closed_at_its_deadline() {
    let broker = broker_with(|config| config.connections.frame_deadline = Duration::from_secs(10)).await;
    let (mut raw, _) = Raw::register(&broker, "dripping").await;
    let mut frame = Vec::new();
    publish(1, "t", b"a payload of many bytes").encode(&mut frame);
    // Each of these is in time.
    for n in 1..=3 {
        let (first, rest) = frame.split_at(6);
        raw.send_bytes(first).await;
        let_pass(Duration::from_secs(8)).await;
        raw.send_bytes(rest).await;
        raw.acked(n).await;
        frame[6..14].copy_from_slice(&(n + 1).to_be_bytes());
    }
    for byte in &frame[..11] {
        raw.send_bytes(&[*byte]).await;
        let_pass(Duration::from_secs(1)).await;
    }
    let error = raw.closing_error().await;
    assert_eq!(error.code, Code::TooSlow);
    assert!(error.reason.contains("connections.frame_deadline"), "{}", error.reason);
    is_told(&broker, "connections.frame_deadline", "127.0.0.1").await;
    broker.shutdown().await;
}

/// One byte too many is known from the length alone, and said with both numbers.
#[tokio::test]
async fn a_frame_over_the_limit_is_told_its_size() {
    let broker = broker_with(|config| config.connections.max_frame_bytes = 2_000).await;
    let (mut raw, response) = Raw::register(&broker, "large").await;
    assert_eq!(response.max_frame, 2_000);
    raw.send_bytes(&2_001_u32.to_be_bytes()).await;
    let error = raw.closing_error().await;
    assert_eq!(error.code, Code::TooLarge);
    assert!(error.reason.contains("2001") && error.reason.contains("2000"), "{}", error.reason);
    is_told(&broker, "connections.max_frame_bytes", "127.0.0.1").await;
    broker.shutdown().await;
}

/// A client that asks and does not listen is not read until it does, and keeps its connection.
#[tokio::test]
async fn a_client_that_does_not_read_its_answers_is_not_read() {
    let broker = broker().await;
    let (raw, _) = Raw::register(&broker, "deaf").await;
    let mut pings = Vec::new();
    for n in 0..4_000 {
        ClientFrame::Ping(n).encode(&mut pings);
    }
    let (mut read, mut write) = raw.socket.into_split();
    let asks = tokio::spawn(async move { while tokio::io::AsyncWriteExt::write_all(&mut write, &pings).await.is_ok() {} });
    eventually_true("its answers lie unread", || hits(&broker, "unread replies") > 0).await;
    let mut bytes = vec![0; 1 << 20];
    let mut answers = 0;
    while answers < 4 << 20 {
        answers += read.read(&mut bytes).await.unwrap();
    }
    asks.abort();
    broker.shutdown().await;
}

/// What is held at a stop has a time, too: a receipt that is held back for longer does not keep the broker.
#[tokio::test(start_paused = true)]
async fn a_shutdown_waits_for_held_receipts_until_its_deadline() {
    let broker = broker_with(|config| {
        config.connections.drain_deadline = Duration::from_secs(3);
        config.queues.hold_publisher = Duration::from_hours(1);
        (config.queues.max_messages, config.queues.window_messages) = (1, 1);
    })
    .await;
    let (mut sub, _) = Raw::register(&broker, "slow").await;
    sub.subscribe("t").await;
    let (mut publisher, _) = Raw::register(&broker, "pub").await;
    publisher.publish("t", "taken").await;
    publisher.enqueue("t", "held").await;
    eventually_true("its receipt is held", || broker.counters().unsettled == 1 && broker.counters().published == 2).await;
    let from = tokio::time::Instant::now();
    // The other one went when its client was told goodbye: a queue without a client is cut to its bound.
    assert_eq!(broker.shutdown().await.queued, 1);
    let took = from.elapsed();
    assert!(took >= Duration::from_secs(3) && took < Duration::from_secs(10), "{took:?}");
}

/// An endpoint that has no descriptor left for its first clients.
#[derive(Debug)]
struct Exhausted {
    endpoint: TcpListener,
    refusals: AtomicUsize,
}

impl Accept for Exhausted {
    fn accept(&self) -> Eventually<'_, (Socket, SocketAddr)> {
        let refused = self.refusals.fetch_update(Relaxed, Relaxed, |left| left.checked_sub(1)).is_ok();
        if refused {
            // EMFILE: too many open files.
            return Box::pin(async { Err(io::Error::from_raw_os_error(24)) });
        }
        Accept::accept(&self.endpoint)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.endpoint.local_addr()
    }
}

/// A client that the system has no room for waits for a moment; those who are in feel nothing.
#[tokio::test]
async fn what_the_system_does_not_grant_is_said_and_tried_again() {
    let endpoint = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let exhausted = Arc::new(Exhausted { endpoint, refusals: AtomicUsize::new(3) });
    let platform = Platform { endpoints: vec![Arc::clone(&exhausted) as Arc<dyn Accept>], entropy: Arc::new(OsEntropy) };
    let broker = Broker::start_on(config(), platform).await.unwrap();
    let (mut raw, _) = Raw::register(&broker, "late").await;
    is_told(&broker, "accept", "the system: Too many open files (os error 24)").await;
    assert_eq!(hits(&broker, "accept"), 3);
    exhausted.refusals.store(2, Relaxed);
    // The endpoint waits for this one already; the two behind it are refused for now.
    for name in ["one", "two", "three"] {
        Raw::register(&broker, name).await;
        raw.publish("t", "x").await;
    }
    assert_eq!(hits(&broker, "accept"), 5);
    broker.shutdown().await;
}
