//! Clients that feed themselves and each other: nobody waits for anybody in a circle, so nothing freezes.

use std::time::Duration;

use cordboard::{Config, wire::ClientFrame};

use super::{scaled, survives};
use crate::fixture::{Raw, Reply, publish};

/// Everything is narrow: credit, window, queue, what may wait to be written.
fn narrow(config: &mut Config) {
    (config.connections.max_frame_bytes, config.connections.outbound_bytes) = (2_000, 2_000);
    (config.publishing.credit_messages, config.publishing.credit_bytes) = (8, 2_000);
    (config.queues.max_messages, config.queues.window_messages, config.queues.window_bytes) = (16, 4, 2_000);
    config.queues.hold_publisher = Duration::from_millis(5);
}

/// A client that is subscribed to what it publishes, and reads nothing before it has sent everything.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_publisher_that_subscribes_to_itself_never_freezes() {
    let many = scaled(1_000) as u64;
    survives("self-fed", narrow, async |broker| {
        let (mut raw, _) = Raw::register(broker, "narcissus").await;
        let handle = raw.subscribe("mirror").await;
        let mut bytes = Vec::new();
        for sequence in 1..=many {
            publish(sequence, "mirror", &[0; 200]).encode(&mut bytes);
        }
        // More than the system's buffers hold comes only with a larger flood; then it must be written aside.
        raw.send_bytes(&bytes).await;
        let mut settled = 0;
        while settled < many {
            match raw.next().await {
                Reply::Acked(sequence) => settled = sequence,
                Reply::Deliver(messages) => {
                    for got in messages {
                        raw.ack(handle, got.number).await;
                    }
                }
                other => panic!("{other:?}"),
            }
        }
        raw.send(&ClientFrame::Ping(1)).await;
        while !matches!(raw.next().await, Reply::Other(text) if text.starts_with("Pong")) {}
    })
    .await;
}

/// Passes everything that comes on one topic on to the other, until nothing more is to come.
async fn passes_on(mut raw: Raw, from: &str, to: &str, many: u64) -> u64 {
    let handle = raw.subscribe(from).await;
    let (mut passed, mut settled) = (0, 0);
    while settled < many {
        match raw.next().await {
            Reply::Acked(sequence) => settled = sequence,
            Reply::Deliver(messages) => {
                for got in messages {
                    // Each is multiplied: without a bound there would be ever more of them.
                    for _ in 0..2 {
                        if passed < many {
                            passed += 1;
                            raw.send(&publish(passed, to, &got.payload)).await;
                        }
                    }
                    raw.ack(handle, got.number).await;
                }
            }
            other => panic!("{other:?}"),
        }
    }
    passed
}

/// Two that answer each message of the other with two of their own.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_that_feed_each_other_never_freeze() {
    let many = scaled(1_000) as u64;
    survives("feeding each other", narrow, async |broker| {
        let (left, _) = Raw::register(broker, "left").await;
        let (right, _) = Raw::register(broker, "right").await;
        let (mut spark, _) = Raw::register(broker, "spark").await;
        for topic in ["left", "right"] {
            spark.publish(topic, [0; 200]).await;
        }
        // Whoever is first has nothing more to say, and the other nothing more to answer.
        let first = tokio::select! {
            passed = passes_on(left, "left", "right", many) => passed,
            passed = passes_on(right, "right", "left", many) => passed,
        };
        assert_eq!(first, many);
        spark.disconnect(true).await;
    })
    .await;
}
