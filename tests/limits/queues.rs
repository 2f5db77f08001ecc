//! Limits of queues: the window, the bound, poison, attempts, and what all of them hold together.

use cordboard::wire::{ClientFrame, Code, DeliverNack, Nack};

use super::{hits, is_told, was_told};
use crate::fixture::{Raw, Reply, broker_with, eventually};

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
    assert!(hits(&broker, "queues.window_messages") > 0 && !was_told(&broker, "queues.window_messages"));
    broker.shutdown().await;
}

/// The window is counted in bytes too; one message alone may be larger.
#[tokio::test]
async fn a_window_is_counted_in_bytes_too() {
    let broker = broker_with(|config| {
        (config.connections.max_frame_bytes, config.queues.window_bytes) = (4_000, 4_000);
    })
    .await;
    let (mut sub, response) = Raw::register(&broker, "sub").await;
    assert_eq!(response.window_bytes, 4_000);
    let handle = sub.subscribe("t").await;
    let (mut publisher, _) = Raw::register(&broker, "pub").await;
    for n in 1..=4 {
        publisher.publish("t", vec![n; 1_900]).await;
    }
    for last in [2, 4] {
        assert_eq!(sub.messages(2).await[1].number, last);
        sub.send(&ClientFrame::Ping(7)).await;
        assert!(matches!(sub.next().await, Reply::Other(text) if text.starts_with("Pong")));
        sub.ack(handle, last).await;
    }
    broker.shutdown().await;
}

/// A queue whose client is away keeps the newest, in messages and in bytes; what goes is counted.
#[tokio::test]
async fn a_queue_keeps_the_newest_messages_and_bytes() {
    for by_bytes in [false, true] {
        let broker = broker_with(|config| {
            config.connections.max_frame_bytes = 1_100;
            config.queues.window_messages = 3;
            if by_bytes {
                (config.queues.window_bytes, config.queues.max_bytes) = (3_100, 3_100);
            } else {
                config.queues.max_messages = 3;
            }
        })
        .await;
        let (mut sub, response) = Raw::register(&broker, "away").await;
        sub.subscribe("t").await;
        sub.reset();
        eventually(&broker, "the session is detached", |board| board.broker.detached == 1).await;
        let (mut publisher, _) = Raw::register(&broker, "pub").await;
        for n in 0..10 {
            publisher.publish("t", vec![n; 1_000]).await;
        }
        eventually(&broker, "the loss is counted", |board| board.broker.sample.dropped == 7).await;
        assert_eq!(hits(&broker, "queues.max_messages"), 7);
        let (mut sub, _) = Raw::resume(&broker, "away", response.session).await;
        let got: Vec<_> = sub.messages(3).await.iter().map(|message| message.payload[0]).collect();
        assert_eq!(got, [7, 8, 9]);
        broker.shutdown().await;
    }
}

/// What was given up is kept up to a bound, and its loss is said.
#[tokio::test]
async fn poison_is_bounded_and_its_loss_is_said() {
    let broker = broker_with(|config| config.queues.max_poison = 1).await;
    let (mut raw, _) = Raw::register(&broker, "picky").await;
    let handle = raw.subscribe("food").await;
    for number in 1..=3 {
        raw.publish_and_get("food", number.to_string()).await;
        raw.send(&ClientFrame::DeliverNack(DeliverNack { handle, number, what: Nack::Poison })).await;
    }
    eventually(&broker, "one is kept", |board| (board.broker.depth.poison, board.broker.depth.dropped) == (1, 2)).await;
    is_told(&broker, "queues.max_poison", "local").await;
    broker.shutdown().await;
}

/// I5: what clients call poison is bounded in bytes like a queue, and is part of what all queues hold together.
#[tokio::test]
async fn poison_takes_its_part_of_the_memory_there_is() {
    let broker = broker_with(|config| {
        (config.connections.max_frame_bytes, config.queues.window_bytes) = (16 << 10, 16 << 10);
        config.queues.max_bytes = 64 << 10;
    })
    .await;
    let (mut raw, _) = Raw::register(&broker, "picky").await;
    let handle = raw.subscribe("food").await;
    for number in 1..=6 {
        raw.publish_and_get("food", vec![0; 15 << 10]).await;
        raw.send(&ClientFrame::DeliverNack(DeliverNack { handle, number, what: Nack::Poison })).await;
    }
    eventually(&broker, "four fit", |board| (board.broker.depth.poison, board.broker.depth.dropped) == (4, 2)).await;
    is_told(&broker, "queues.max_poison", "local").await;
    eventually(&broker, "they take room", |board| board.broker.sample.held_bytes >= 60 << 10).await;
    raw.disconnect(true).await;
    eventually(&broker, "it is given back", |board| board.broker.sample.held_bytes == 0).await;
    broker.shutdown().await;
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
    is_told(&broker, "queues.all_bytes", "broker").await;
    broker.shutdown().await;
}

/// Messages are shared: what many clients wait for is one. The oldest go from all of their queues, and the newest stay in each.
#[tokio::test]
async fn room_is_made_of_the_oldest_messages_whoever_waits_for_them() {
    let broker = broker_with(|config| (config.queues.all_bytes, config.queues.max_bytes) = (4 << 20, 4 << 20)).await;
    let mut sessions = Vec::new();
    for name in ["one", "two", "three"] {
        let (mut away, response) = Raw::register(&broker, name).await;
        away.subscribe("shared/#").await;
        sessions.push((name, response.session));
    }
    eventually(&broker, "all are detached", |board| board.broker.detached == 3).await;
    let (mut publisher, _) = Raw::register(&broker, "pub").await;
    // What a client that is there holds does not go, so that the others' queues are within their own bounds.
    let (mut live, _) = Raw::register(&broker, "live").await;
    live.subscribe("live").await;
    for n in 0..45_u8 {
        if n < 10 {
            publisher.publish("live", vec![n; 100 << 10]).await;
        }
        publisher.publish("shared/t", vec![n; 100 << 10]).await;
    }
    for (name, session) in sessions {
        let (mut back, response) = Raw::resume(&broker, name, session).await;
        let mut next = back.messages(1).await[0].payload[0];
        assert!((12..22).contains(&next), "{name} has what came from {next} on");
        loop {
            back.ack(response.subscriptions[0].handle, u64::from(next) + 1).await;
            if next == 44 {
                break;
            }
            next += 1;
            assert_eq!(back.messages(1).await[0].payload[0], next);
        }
    }
    broker.shutdown().await;
}
