//! A topic fails: another one goes on with its backlog and its subscribers; publishes without a receipt get 503.

use cordboard::{
    control::{Control, Outcome},
    events::Event,
    faults::{Fault, How},
    wire::Code,
};

use super::{broker_of, ends_as_new, plan, scene, subscriber, texts, told, ways};
use crate::fixture::{Raw, Reply, eventually, order};

/// Nothing that was acknowledged is lost, and what was not is told, whatever became of it.
#[tokio::test(start_paused = true)]
async fn a_publish_that_a_topic_failed_with_has_an_unknown_outcome() {
    for (place, arrives) in [("Publish", false), ("appended", true)] {
        for (how, words) in ways() {
            let (broker, baseline) = scene().await;
            let (mut sub, _) = subscriber(&broker, "sub").await;
            let (mut publisher, _) = Raw::register(&broker, "pub").await;
            publisher.publish("t", "before").await;
            plan(&broker, Fault::new(&format!("Topic.{place}"), how).of("t"));
            let sequence = publisher.enqueue("t", "unknown").await;
            let error = publisher.error().await;
            assert_eq!((error.code, error.sequence, error.count), (Code::Unavailable, Some(sequence), 1));
            publisher.acked(sequence).await;
            publisher.publish("t", "after").await;
            let expected: &[&str] = if arrives { &["before", "unknown", "after"] } else { &["before", "after"] };
            assert_eq!(texts(&mut sub, expected.len()).await, expected);
            let row = broker.bus().board().topics[&"t".parse::<cordboard::name::TopicName>().unwrap()].clone();
            let why = row.last_failure.unwrap().why;
            assert!(row.restarts == 1 && (arrives || why.starts_with(&format!("{words} Publish"))), "{why}");
            drop((sub, publisher));
            ends_as_new(&broker, baseline).await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_backlog_outlives_its_topic() {
    for (how, _) in ways() {
        let (broker, baseline) = scene().await;
        let (mut publisher, _) = Raw::register(&broker, "pub").await;
        publisher.publish("t", "one").await;
        plan(&broker, Fault::new("Topic.Publish", how.clone()));
        publisher.enqueue("t", "two").await;
        assert_eq!(publisher.error().await.code, Code::Unavailable);
        publisher.publish("t", "three").await;
        // It fails again over its first subscriber, whom it must not forget.
        plan(&broker, Fault::new("Topic.Wake", how));
        let (mut sub, _) = subscriber(&broker, "sub").await;
        assert_eq!(texts(&mut sub, 2).await, ["one", "three"]);
        drop((sub, publisher));
        eventually(&broker, "it has failed twice", |board| board.topics.values().all(|row| row.restarts == 2)).await;
        ends_as_new(&broker, baseline).await;
    }
}

/// Its subscribers are told, and the next publish makes it anew.
#[tokio::test(start_paused = true)]
async fn a_topic_that_fails_too_often_is_killed() {
    // Those that never come to serve have failed as much as those that fail while they do.
    for (place, how) in [("Publish", How::Panic), ("Start", How::Error), ("Start", How::Hang)] {
        let (broker, baseline) = scene().await;
        let (mut sub, _) = subscriber(&broker, "sub").await;
        let (mut publisher, _) = Raw::register(&broker, "pub").await;
        publisher.publish("t", "one").await;
        plan(&broker, Fault::new("Topic.Publish", How::Panic).of("t"));
        plan(&broker, Fault::new(&format!("Topic.{place}"), how).of("t").times(3));
        for _ in 0..if place == "Publish" { 4 } else { 1 } {
            publisher.enqueue("t", "x").await;
            assert_eq!(publisher.error().await.code, Code::Unavailable);
        }
        let by = told(&broker, "it was killed", |event| match event {
            Event::TopicKilled { by, .. } => Some(by.clone()),
            _ => None,
        });
        assert!(by.await.starts_with("the broker: it failed 4 times"));
        assert_eq!(texts(&mut sub, 1).await, ["one"]);
        let ended = sub.next().await;
        let Reply::Ended(ended) = ended else { panic!("{place}: {ended:?}") };
        // Nobody ordered it, and nobody is said to have.
        assert_eq!((ended.code, ended.reason.contains("operator")), (Code::Gone, false), "{place}: {ended:?}");
        publisher.publish("t", "anew").await;
        sub.subscribe("t").await;
        assert_eq!(texts(&mut sub, 1).await, ["anew"]);
        drop((sub, publisher));
        ends_as_new(&broker, baseline).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_topic_that_does_not_start_refuses_what_wanted_it() {
    for (how, _) in ways() {
        let (broker, baseline) = scene().await;
        let (mut publisher, _) = Raw::register(&broker, "pub").await;
        plan(&broker, Fault::new("Topic.Start", how));
        publisher.enqueue("t", "x").await;
        assert_eq!(publisher.error().await.code, Code::Internal);
        publisher.publish("t", "x").await;
        assert_eq!(broker.bus().board().broker.restarts, 0);
        drop(publisher);
        ends_as_new(&broker, baseline).await;
    }
}

/// It fails over what it still had to answer: it is killed all the same, and the order says so.
#[tokio::test(start_paused = true)]
async fn a_kill_is_answered_although_its_topic_fails() {
    for (how, _) in ways() {
        let (broker, baseline) = scene().await;
        let (mut publisher, _) = Raw::register(&broker, "pub").await;
        publisher.publish("t", "one").await;
        let topic = "t".parse().unwrap();
        plan(&broker, Fault::new("Topic.Publish", how));
        publisher.enqueue("t", "x").await;
        let outcome = order(&broker, Control::KillTopic { topic }).await;
        assert!(matches!(outcome, Outcome::Done { lost } if lost.backlog == 1), "{outcome:?}");
        assert!(matches!(publisher.error().await.code, Code::Unavailable | Code::Gone));
        drop(publisher);
        ends_as_new(&broker, baseline).await;
    }
}

/// Receipts that a queue holds are the queue's: the topic that gave them away may fail.
#[tokio::test(start_paused = true)]
async fn held_receipts_outlive_their_topic() {
    let broker = broker_of(|config| {
        config.queues.max_messages = 4;
        config.queues.window_messages = 4;
    })
    .await;
    let (mut sub, _) = Raw::register(&broker, "sub").await;
    let handle = sub.subscribe("t").await;
    let (mut publisher, _) = Raw::register(&broker, "pub").await;
    let mut last = 0;
    for text in ["1", "2", "3", "4", "5", "6"] {
        last = publisher.enqueue("t", text).await;
    }
    let got = sub.messages(4).await;
    plan(&broker, Fault::new("Topic.Publish", How::Panic));
    let (mut other, _) = Raw::register(&broker, "other").await;
    other.enqueue("t", "unknown").await;
    assert_eq!(other.error().await.code, Code::Unavailable);
    sub.ack(handle, got[3].number).await;
    publisher.acked(last).await;
    assert_eq!(texts(&mut sub, 2).await, ["5", "6"]);
    broker.shutdown().await;
}
