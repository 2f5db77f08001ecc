//! Limits: each one holds, is told in clear to the one who hit it and to nobody else, and is said on the bus.

use std::time::Duration;

use argon2::{Argon2, PasswordHasher as _, password_hash::SaltString};
use cordboard::{
    Handle,
    config::{Grants, PasswordHash, User},
    events::Event,
    wire::{ClientFrame, Code, RegistrationRequest},
};

use crate::fixture::{Raw, Reply, broker_with, eventually, eventually_true};

/// Waits until the bus has said that `limit` was hit, by `who`.
async fn is_told(broker: &Handle, limit: &str, who: &str) {
    let mut follower = broker.bus().follow_from_start();
    loop {
        let events = follower.take(usize::MAX).events;
        let is_it = |event: &Event| matches!(event, Event::LimitHit { limit: l, who: w, .. } if l == limit && w == who);
        if events.iter().any(|stamped| is_it(&stamped.event)) {
            return;
        }
        let news = tokio::time::timeout(crate::fixture::PATIENCE, follower.changed()).await;
        assert!(news.is_ok(), "{limit} was never said to be hit by {who}");
    }
}

/// The caps on connections, each with its code; who is in stays in, and the room of who leaves is given again.
#[tokio::test]
async fn connections_beyond_a_cap_are_told_and_closed() {
    type Cap = fn(&mut cordboard::config::Connections);
    let caps: [(Cap, &str, &str, Code); 3] = [
        (|caps| caps.max = 3, "connections.max", "broker", Code::Unavailable),
        (|caps| caps.max_unregistered = 2, "connections.max_unregistered", "127.0.0.1", Code::Unavailable),
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

#[tokio::test]
async fn subscriptions_are_bounded_by_session_and_in_all() {
    let broker = broker_with(|config| {
        config.sessions.max_subscriptions = 2;
        config.queues.max_subscriptions = 3;
    })
    .await;
    let (mut one, _) = Raw::register(&broker, "one").await;
    let (mut two, _) = Raw::register(&broker, "two").await;
    for filter in ["a", "b/+"] {
        one.subscribe(filter).await;
    }
    two.subscribe("a").await;
    for (raw, code, limit) in
        [(&mut one, Code::TooMany, "sessions.max_subscriptions"), (&mut two, Code::NoRoom, "queues.max_subscriptions")]
    {
        let request = raw.ask_subscribe("c").await;
        let error = raw.error().await;
        assert_eq!((error.code, error.request), (code, Some(request)));
        assert!(error.reason.contains(limit), "{}", error.reason);
        is_told(&broker, limit, "local").await;
    }
    one.disconnect(true).await;
    eventually(&broker, "there is room", |board| board.subscriptions.len() == 1).await;
    two.subscribe("c").await;
    broker.shutdown().await;
}

pub(crate) fn user(name: &str) -> User {
    let params = argon2::Params::new(8, 1, 1, None).unwrap();
    let argon2 = Argon2::new(argon2::Algorithm::Argon2id, argon2::Version::V0x13, params);
    let salt = SaltString::encode_b64(&[7; 16]).unwrap();
    let hash = argon2.hash_password(name.as_bytes(), &salt).unwrap();
    let all = || vec!["#".parse().unwrap()];
    User {
        name: name.parse().unwrap(),
        password_hash: PasswordHash::parse(&hash.to_string()).unwrap(),
        allow: Grants { publish: all(), subscribe: all(), create: all(), operate: Vec::new() },
        deny: Grants::default(),
    }
}

pub(crate) fn of_user(name: &str) -> RegistrationRequest {
    RegistrationRequest { user: Some(name.into()), password: Some(name.to_owned().into()), ..RegistrationRequest::new(name) }
}

/// One user's random names are refused; another user, and topics that are there, feel nothing.
#[tokio::test]
async fn topics_are_bounded_in_all_by_user_and_by_rate() {
    type Limit = fn(&mut cordboard::config::Topics);
    let limits: [(Limit, &str, Code, bool); 3] = [
        (|topics| topics.max = 5, "topics.max", Code::NoRoom, false),
        (|topics| topics.max_per_principal = 5, "topics.max_per_principal", Code::TooMany, true),
        (|topics| (topics.create_burst, topics.create_per_second) = (5, 1), "topics.create_per_second", Code::TooMany, true),
    ];
    for (limit, key, code, others_may) in limits {
        let broker = broker_with(|config| {
            config.users = vec![user("ana"), user("bob")];
            limit(&mut config.topics);
        })
        .await;
        let (mut ana, _) = Raw::register_with(&broker, of_user("ana")).await;
        let (mut bob, _) = Raw::register_with(&broker, of_user("bob")).await;
        for n in 0..5 {
            ana.publish(&format!("random/{n}"), "x").await;
        }
        let sequence = ana.enqueue("random/5", "x").await;
        let error = ana.error().await;
        assert_eq!((error.code, error.sequence), (code, Some(sequence)), "{key}");
        assert!(error.reason.contains(key), "{}", error.reason);
        is_told(&broker, key, "ana").await;
        ana.acked(sequence).await;
        ana.publish("random/4", "x").await;
        bob.enqueue("of/bob", "x").await;
        assert_eq!(matches!(bob.next().await, Reply::Acked(1)), others_may, "{key}");
        broker.shutdown().await;
    }
}

/// A subscription pauses at its window, and goes on when it is acknowledged.
#[tokio::test]
async fn a_window_that_is_full_pauses_its_subscription() {
    let broker = broker_with(|config| config.queues.window_messages = 3).await;
    let (mut sub, _) = Raw::register(&broker, "sub").await;
    let handle = sub.subscribe("t").await;
    let (mut publisher, _) = Raw::register(&broker, "pub").await;
    for n in 1..=7 {
        publisher.publish("t", n.to_string()).await;
    }
    for window in [1..=3_u64, 4..=6, 7..=7] {
        let got = sub.messages(window.clone().count()).await;
        assert!(window.clone().eq(got.iter().map(|message| message.number)));
        // Nothing comes between it and the answer to a ping.
        sub.send(&ClientFrame::Ping(7)).await;
        assert!(matches!(sub.next().await, Reply::Other(text) if text.starts_with("Pong")));
        sub.ack(handle, *window.end()).await;
    }
    broker.shutdown().await;
}

/// A full queue holds its publisher's receipt, and beyond its credit the publisher is not read: not even a ping.
#[tokio::test]
async fn a_publisher_beyond_its_credit_is_read_when_its_receipt_is_released() {
    let broker = broker_with(|config| {
        (config.queues.max_messages, config.queues.window_messages) = (2, 1);
        config.queues.hold_publisher = Duration::from_millis(300);
        config.publishing.credit_messages = 1;
    })
    .await;
    let (mut sub, _) = Raw::register(&broker, "slow").await;
    sub.subscribe("t").await;
    let (mut publisher, _) = Raw::register(&broker, "fast").await;
    for _ in 0..2 {
        publisher.publish("t", "x").await;
    }
    publisher.enqueue("t", "held").await;
    eventually_true("it is in the queue", || broker.counters().published == 3).await;
    assert_eq!(broker.counters().unsettled, 1, "its receipt is held");
    publisher.send(&ClientFrame::Ping(9)).await;
    assert!(matches!(publisher.next().await, Reply::Acked(3)));
    assert!(matches!(publisher.next().await, Reply::Other(text) if text.starts_with("Pong")));
    // The oldest that waited made room, and was counted.
    eventually_true("the loss is counted", || broker.counters().dropped == 1).await;
    broker.shutdown().await;
}

/// All queues and backlogs together have a bound. At it the oldest backlogs go, then the oldest parked messages; only when
/// nothing may go any more is a publish refused (507).
#[tokio::test]
async fn a_full_broker_makes_room_before_it_refuses() {
    let broker = broker_with(|config| {
        (config.queues.all_bytes, config.queues.max_bytes) = (4 << 20, 4 << 20);
        config.queues.max_messages = 100_000;
    })
    .await;
    let (mut publisher, _) = Raw::register(&broker, "pub").await;
    let payload = vec![0; 100 << 10];
    for n in 0..100 {
        publisher.publish(&format!("nobody/{}", n % 20), &payload).await;
    }
    let (mut away, _) = Raw::register(&broker, "away").await;
    away.subscribe("parked").await;
    drop(away);
    eventually(&broker, "the session is detached", |board| board.broker.detached == 1).await;
    for _ in 0..100 {
        publisher.publish("parked", &payload).await;
    }
    eventually(&broker, "the drops are on the board", |board| board.broker.sample.dropped > 100).await;
    assert!(broker.bus().board().broker.sample.held_bytes <= 5 << 20);
    let (mut live, _) = Raw::register(&broker, "live").await;
    // Each within its own bound, and together over the broker's.
    for n in 0..8 {
        live.subscribe(&format!("live/{n}")).await;
    }
    let refused = async {
        loop {
            let topic = format!("live/{}", publisher.sequence % 8);
            publisher.enqueue(&topic, &payload).await;
            match publisher.next().await {
                Reply::Error(error) => return error,
                Reply::Acked(_) => {}
                other => panic!("{other:?}"),
            }
        }
    };
    let error = refused.await;
    assert_eq!(error.code, Code::NoRoom);
    assert!(error.reason.contains("queues.all_bytes"), "{}", error.reason);
    broker.shutdown().await;
}
