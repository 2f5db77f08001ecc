//! The root fails, or an actor keeps its thread: what nobody can mend has an end that can be seen.

use std::time::Duration;

use cordboard::{
    control::{Control, Outcome},
    events::ActorName,
    faults::{Fault, Gate, How},
    wire::Code,
};

use super::{broker, broker_of, ends_as_new, goodbye, plan, scene, subscriber, texts, ways};
use crate::fixture::{Raw, eventually, eventually_true, order};

/// There is nobody above it: the broker stops, tells its clients, counts what that cost, and is not called stopped in order.
#[tokio::test(start_paused = true)]
async fn a_root_that_fails_is_an_end_that_can_be_seen() {
    for (how, words) in ways() {
        let broker = broker().await;
        let (mut raw, _) = Raw::register(&broker, "c").await;
        raw.publish("kept", "x").await;
        plan(&broker, Fault::new("Broker.Tick", how));
        assert_eq!(goodbye(&mut raw).await, Code::Unavailable);
        assert!(!broker.stopped().await);
        let failed = broker.bus().board().broker.failed.unwrap();
        assert!(failed.starts_with(&format!("the broker {words} Tick")), "{failed}");
        assert_eq!(broker.counters().dropped, 1);
        let outcome = order(&broker, Control::Accept { on: false }).await;
        assert!(matches!(outcome, Outcome::Refused { .. }), "{outcome:?}");
        assert!(broker.shutdown().await.is_nothing());
        eventually_true("all actors have ended", || broker.counters().actors == 0).await;
    }
}

#[tokio::test(start_paused = true)]
async fn an_order_that_the_root_fails_with_is_answered() {
    for (how, _) in ways() {
        let broker = broker().await;
        plan(&broker, Fault::new("Broker.Order", how));
        assert_eq!(order(&broker, Control::Accept { on: false }).await, Outcome::Unknown);
        assert!(!broker.stopped().await);
    }
}

/// Before it is ended it is on the board: which actor, in which message, for how long; and afterwards it is not.
#[tokio::test(start_paused = true)]
async fn an_actor_that_takes_long_is_told() {
    let broker = broker_of(|config| config.failures.hang_after = Duration::from_secs(5)).await;
    let (mut raw, _) = Raw::register(&broker, "c").await;
    raw.publish("t", "x").await;
    plan(&broker, Fault::new("Topic.Publish", How::Hang));
    raw.enqueue("t", "x").await;
    eventually(&broker, "it is on the board", |board| {
        board.busy.get(&ActorName::TopicManager).is_some_and(|busy| {
            let [busy] = &busy[..] else { return false };
            busy.actor == ActorName::Topic("t".parse().unwrap()) && busy.message == "Publish" && busy.seconds >= 3
        })
    })
    .await;
    assert_eq!(raw.error().await.code, Code::Unavailable);
    eventually(&broker, "it is not busy any more", |board| board.busy.is_empty()).await;
    broker.shutdown().await;
}

/// Opens its gate when it is dropped.
struct Opens(Gate);

impl Drop for Opens {
    fn drop(&mut self) {
        self.0.open();
    }
}

/// What cannot be ended is replaced without waiting for it; when it lets go of its thread at last, it finds itself ended.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn an_actor_that_keeps_its_thread_is_given_up() {
    let (broker, baseline) = scene().await;
    let gate = Gate::default();
    // Whatever fails here: a thread that is kept for ever would keep the runtime from ending.
    let opens = Opens(gate.clone());
    let (mut sub, _) = subscriber(&broker, "sub").await;
    let (mut publisher, _) = Raw::register(&broker, "pub").await;
    publisher.publish("t", "before").await;
    plan(&broker, Fault::new("Topic.Publish", How::Block(gate)));
    publisher.enqueue("t", "blocked").await;
    eventually(&broker, "it was replaced", |board| board.topics.values().all(|row| row.restarts > 0)).await;
    let (mut other, _) = Raw::register(&broker, "other").await;
    other.publish("t", "after").await;
    assert_eq!(texts(&mut sub, 2).await, ["before", "after"]);
    drop(opens);
    publisher.acked(2).await;
    drop((sub, publisher, other));
    ends_as_new(&broker, baseline).await;
}
