//! Clients that lie, and losses that must be counted all the same.

use cordboard::{
    control::{Control, Order, Outcome},
    wire::{ClientFrame, Code, RegistrationRequest},
};

use crate::fixture::{Raw, broker, broker_with, eventually, publish};

/// I6: the largest sequence there is, and the number that would come after it, in one read.
#[tokio::test]
async fn a_sequence_at_the_end_of_numbers_is_an_error_like_any_gap() {
    let broker = broker().await;
    let (mut raw, _) = Raw::register(&broker, "liar").await;
    let mut bytes = Vec::new();
    for sequence in [u64::MAX, 0, 1] {
        publish(sequence, "a", b"x").encode(&mut bytes);
    }
    raw.send_bytes(&bytes).await;
    assert_eq!(raw.closing_error().await.code, Code::Malformed);
    broker.shutdown().await;
}

/// I6: a client that says it knows everything to be settled resumes like any other.
#[tokio::test]
async fn nobody_knows_more_to_be_settled_than_is() {
    let broker = broker().await;
    let (mut raw, response) = Raw::register(&broker, "liar").await;
    raw.publish("a", "x").await;
    let mut request = RegistrationRequest::new("liar");
    (request.session, request.settled) = (Some(response.session), Some(u64::MAX));
    let (mut raw, again) = Raw::register_with(&broker, request).await;
    assert_eq!((again.resumed, again.settled, again.unknown_to), (true, 1, None));
    raw.sequence = 1;
    raw.publish("a", "y").await;
    broker.shutdown().await;
}

/// I1: what a queue dropped just before it ended is counted with what it still held.
#[tokio::test]
async fn what_was_dropped_last_is_counted_when_its_session_ends() {
    let broker = broker_with(|config| {
        (config.queues.max_messages, config.queues.window_messages, config.topics.backlog_messages) = (10, 10, 10);
    })
    .await;
    let order = |control| Order::new("op", control);
    let (mut sub, response) = Raw::register(&broker, "sub").await;
    let (mut publisher, _) = Raw::register(&broker, "pub").await;
    sub.subscribe("full").await;
    sub.reset();
    eventually(&broker, "the session is detached", |board| board.broker.detached == 1).await;
    for _ in 0..25 {
        publisher.publish("full", "x").await;
        publisher.publish("nobody", "x").await;
    }
    let outcome = broker.order(order(Control::EvictSession { session: response.session })).await;
    assert!(matches!(outcome, Outcome::Done { lost } if lost.queued == 10), "{outcome}");
    assert!(broker.counters().dropped >= 25);
    broker.order(order(Control::KillTopic { topic: "nobody".parse().unwrap() })).await;
    assert_eq!(broker.counters().dropped, 50);
    // What a shutdown costs is counted like any other loss.
    publisher.publish("later", "x").await;
    assert_eq!(broker.shutdown().await.backlog, 1);
    assert_eq!(broker.counters().dropped, 51);
}

/// A subscription whose topic is killed while it is being made is refused, not forgotten: each request has one answer.
#[tokio::test]
async fn a_subscribe_request_is_answered_whenever_its_topic_is_killed() {
    let broker = broker().await;
    let (mut raw, _) = Raw::register(&broker, "sub").await;
    for round in 0..40 {
        let kill = Order::new("op", Control::KillTopic { topic: "t".parse().unwrap() });
        let (request, _) = tokio::join!(raw.ask_subscribe("t"), broker.order(kill));
        loop {
            match raw.next().await {
                crate::fixture::Reply::Subscribed(ack) => {
                    assert_eq!(ack.request, request);
                    break;
                }
                crate::fixture::Reply::Error(error) => {
                    assert_eq!((error.request, error.code), (Some(request), Code::Gone), "round {round}");
                    break;
                }
                _ => {}
            }
        }
    }
    raw.send(&ClientFrame::Ping(1)).await;
    broker.shutdown().await;
}
