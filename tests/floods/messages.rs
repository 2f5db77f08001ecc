//! Floods of messages: into a queue nobody reads, to ten thousand subscriptions, to a hundred thousand topics.

use std::time::Duration;

use cordboard::{
    name::SubscriptionId,
    wire::{AckMode, Code, RegistrationRequest},
};

use super::{scaled, survives};
use crate::fixture::{Raw, Reply, eventually, publish};

const MIB: u64 = 1 << 20;

/// A reader that stops costs its queue and its connection's share, however much is published; its publisher goes on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_that_stops_costs_a_bounded_amount() {
    let many = scaled(64);
    survives(
        "stopped reader",
        |config| {
            (config.queues.max_bytes, config.queues.window_bytes) = (2 << 20, 1 << 20);
            config.queues.hold_publisher = Duration::from_millis(20);
            config.connections.outbound_bytes = 1 << 20;
        },
        async |broker| {
            let (mut stopped, response) = Raw::register(broker, "stopped").await;
            socket2::SockRef::from(&stopped.socket).set_recv_buffer_size(4 << 10).unwrap();
            stopped.subscribe("flood").await;
            let (mut publisher, _) = Raw::register(broker, "flood").await;
            let payload = vec![0; 256 << 10];
            for _ in 0..many {
                publisher.publish("flood", &payload).await;
            }
            let id = SubscriptionId { session: response.session, filter: "flood".parse().unwrap() };
            eventually(broker, "what is held is at the bound", |board| {
                let held = board.broker.sample.held_bytes;
                board.subscriptions[&id].depth.dropped > 0 && held > 0 && held <= 3 * MIB
            })
            .await;
        },
    )
    .await;
}

/// A reader that is slow and alive loses nothing: its publisher waits for it as soon as its queue is full.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_reader_loses_nothing() {
    let many = scaled(4_000) as u64;
    survives(
        "slow reader",
        |config| {
            (config.queues.max_messages, config.queues.window_messages) = (200, 50);
            config.queues.hold_publisher = Duration::from_hours(1);
            config.publishing.credit_messages = 100;
        },
        async |broker| {
            let (mut slow, _) = Raw::register(broker, "slow").await;
            let handle = slow.subscribe("much").await;
            let (mut publisher, _) = Raw::register(broker, "fast").await;
            let publishes = async {
                for sequence in 1..=many {
                    publisher.send(&publish(sequence, "much", &sequence.to_be_bytes())).await;
                }
                publisher.acked(many).await;
            };
            let reads = async {
                let mut next = 1;
                while next <= many {
                    for got in slow.messages(1).await {
                        assert_eq!(got.payload, next.to_be_bytes());
                        next += 1;
                        slow.ack(handle, got.number).await;
                    }
                    tokio::task::yield_now().await;
                }
            };
            tokio::join!(publishes, reads);
            assert_eq!(broker.counters().dropped, 0);
        },
    )
    .await;
}

/// One message for thousands of subscriptions is held once, and each of them gets it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_to_thousands_of_subscriptions_is_held_once() {
    const LEVELS: usize = 10;
    const FILTERS: usize = 500;
    let sessions = scaled(2);
    let topic = ["x"; LEVELS].join("/");
    // Each level itself, or any: a filter for each number.
    let filter = |n: usize| (0..LEVELS).map(|level| if n >> level & 1 == 1 { "+" } else { "x" }).collect::<Vec<_>>().join("/");
    survives(
        "fan-out",
        |_| {},
        async |broker| {
            let mut away = Vec::new();
            for _ in 0..sessions {
                let request = RegistrationRequest { ack: AckMode::None, ..RegistrationRequest::new("crowd") };
                let (mut raw, response) = Raw::register_with(broker, request).await;
                for n in 0..FILTERS {
                    raw.subscribe(&filter(n)).await;
                }
                raw.disconnect(false).await;
                away.push(response.session);
            }
            eventually(broker, "all are away", |board| board.broker.detached == sessions as u64).await;
            let (mut publisher, _) = Raw::register(broker, "one").await;
            publisher.publish(&topic, vec![7; 16 << 10]).await;
            eventually(broker, "each has it, and it is there once", |board| {
                let held = board.broker.sample.held_bytes;
                board.broker.dead_letters >= (sessions * FILTERS) as u64 && (16 << 10..40 << 10).contains(&held)
            })
            .await;
            for session in away {
                let request =
                    RegistrationRequest { session: Some(session), ack: AckMode::None, ..RegistrationRequest::new("crowd") };
                let (mut raw, _) = Raw::register_with(broker, request).await;
                let got = raw.messages(FILTERS).await;
                assert!(got.len() == FILTERS && got.iter().all(|message| message.payload == [7; 16 << 10]));
                raw.disconnect(true).await;
            }
        },
    )
    .await;
}

/// Random topic names fill their bound and no more; topics that are there work on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_of_topics_stops_at_their_bound() {
    let many = scaled(5_000) as u64;
    let bound = scaled(500);
    survives(
        "topics",
        |config| config.topics.max = bound,
        async |broker| {
            let (mut raw, _) = Raw::register(broker, "random").await;
            let (mut refused, mut settled) = (0, 0);
            for from in (1..=many).step_by(500) {
                let mut bytes = Vec::new();
                for sequence in from..from + 500 {
                    publish(sequence, &format!("random/{sequence}"), b"x").encode(&mut bytes);
                }
                raw.send_bytes(&bytes).await;
                while settled < from + 499 {
                    match raw.next().await {
                        Reply::Error(error) => {
                            assert_eq!(error.code, Code::NoRoom);
                            refused += u64::from(error.count);
                        }
                        Reply::Acked(sequence) => settled = sequence,
                        other => panic!("{other:?}"),
                    }
                }
            }
            let topics = broker.bus().board().topics.len();
            assert!(topics <= bound, "{topics}");
            // One of them is the canary's.
            assert_eq!(refused, many - (bound as u64 - 1));
        },
    )
    .await;
}
