//! Limits of publishers and topics: credit, ingress, names, how many topics, how fast.

use std::time::Duration;

use cordboard::wire::{ClientFrame, Code};

use super::{hits, is_told, of_user, user, was_told};
use crate::fixture::{Raw, Reply, broker_with, eventually, eventually_true, publish};

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
    assert!(hits(&broker, "publishing.credit_messages") > 0 && !was_told(&broker, "publishing.credit_messages"));
    assert!(matches!(publisher.next().await, Reply::Other(text) if text.starts_with("Pong")));
    // The oldest that waited made room, and was counted.
    eventually_true("the loss is counted", || broker.counters().dropped == 1).await;
    broker.shutdown().await;
}

/// The bytes of what is not settled count like the messages.
#[tokio::test]
async fn credit_is_counted_in_bytes_too() {
    let broker = broker_with(|config| {
        (config.connections.max_frame_bytes, config.publishing.credit_bytes) = (2_000, 2_000);
        (config.queues.max_messages, config.queues.window_messages) = (1, 1);
        config.queues.hold_publisher = Duration::from_millis(200);
    })
    .await;
    let (mut sub, _) = Raw::register(&broker, "slow").await;
    sub.subscribe("t").await;
    let (mut publisher, response) = Raw::register(&broker, "fast").await;
    assert_eq!(response.credit_bytes, 2_000);
    publisher.publish("t", "x").await;
    let mut bytes = Vec::new();
    publish(2, "t", &[0; 1_500]).encode(&mut bytes);
    publish(3, "t", &[0; 1_500]).encode(&mut bytes);
    publisher.send_bytes(&bytes).await;
    publisher.sequence = 3;
    eventually_true("they are in the queue", || broker.counters().published == 3).await;
    publisher.send(&ClientFrame::Ping(1)).await;
    // The answers come before the pong, although the ping could have been answered at once.
    publisher.acked(3).await;
    assert!(matches!(publisher.next().await, Reply::Other(text) if text.starts_with("Pong")));
    broker.shutdown().await;
}

/// What all connections have sent and no topic has accepted is bounded: at the bound they are read later, and nothing is lost.
#[tokio::test]
async fn publishers_are_read_later_while_nothing_more_may_come_in() {
    let broker = broker_with(|config| {
        config.connections.max_frame_bytes = 64 << 10;
        (config.publishing.credit_bytes, config.publishing.ingress_bytes) = (64 << 10, 64 << 10);
    })
    .await;
    let (mut publisher, _) = Raw::register(&broker, "pub").await;
    // One of them is all that may come in, with what it costs beside its bytes.
    let payload = vec![0; (64 << 10) - 20];
    let mut bytes = Vec::new();
    for sequence in 1..=64 {
        publish(sequence, &format!("t/{sequence}"), &payload).encode(&mut bytes);
    }
    publisher.send_bytes(&bytes).await;
    publisher.acked(64).await;
    is_told(&broker, "publishing.ingress_bytes", "broker").await;
    eventually(&broker, "nothing is on its way", |board| board.broker.sample.ingress_bytes == 0).await;
    broker.shutdown().await;
}

/// A name over a bound is refused with the bound, and the connection lives.
#[tokio::test]
async fn names_are_bounded_in_bytes_and_levels() {
    let broker = broker_with(|config| (config.topics.max_name_bytes, config.topics.max_levels) = (8, 2)).await;
    let (mut raw, response) = Raw::register(&broker, "names").await;
    assert_eq!((response.max_topic_bytes, response.max_topic_levels), (8, 2));
    for (name, bound, limit) in [("ninebytes", "8", "topics.max_name_bytes"), ("a/b/c", "2", "topics.max_levels")] {
        let sequence = raw.enqueue(name, "x").await;
        let error = raw.error().await;
        assert_eq!((error.code, error.sequence), (Code::Malformed, Some(sequence)));
        assert!(error.reason.contains(bound), "{}", error.reason);
        raw.acked(sequence).await;
        let request = raw.ask_subscribe(name).await;
        let error = raw.error().await;
        assert_eq!((error.code, error.request), (Code::Malformed, Some(request)));
        is_told(&broker, limit, "local").await;
        assert_eq!(hits(&broker, limit), 2);
    }
    raw.publish("eight/by", "x").await;
    broker.shutdown().await;
}

/// A backlog keeps the newest, in messages and in bytes; what goes is counted and said as a loss of its topic.
#[tokio::test]
async fn a_backlog_keeps_the_newest_messages_and_bytes() {
    for by_bytes in [false, true] {
        let broker = broker_with(|config| {
            config.connections.max_frame_bytes = 2_000;
            if by_bytes {
                config.topics.backlog_bytes = 3_100;
            } else {
                config.topics.backlog_messages = 3;
            }
        })
        .await;
        let (mut raw, _) = Raw::register(&broker, "early").await;
        for n in 0..10 {
            raw.publish("t", vec![n; 1_000]).await;
        }
        raw.subscribe("t").await;
        let got: Vec<_> = raw.messages(3).await.iter().map(|message| message.payload[0]).collect();
        assert_eq!(got, [7, 8, 9]);
        eventually(&broker, "the loss is counted", |board| board.broker.sample.dropped == 7).await;
        assert_eq!(hits(&broker, "topics.backlog_messages"), 7);
        broker.shutdown().await;
    }
}
