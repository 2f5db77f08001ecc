//! Limits of patience: how often what has failed is started again, within which time.

use std::time::Duration;

use cordboard::{
    Handle,
    events::Event,
    faults::{Fault, How},
};

use crate::fixture::{PATIENCE, Raw, Reply, broker_with, let_pass};

const WINDOW: Duration = Duration::from_mins(1);

/// Waits until an event was said `count` times.
async fn said(broker: &Handle, count: usize, is_it: impl Fn(&Event) -> bool) {
    let mut follower = broker.bus().follow_from_start();
    let mut left = count;
    while left > 0 {
        let news = tokio::time::timeout(PATIENCE, follower.changed()).await;
        assert!(news.is_ok(), "{left} of {count} were never said");
        left = left.saturating_sub(follower.take(usize::MAX).events.iter().filter(|stamped| is_it(&stamped.event)).count());
    }
}

/// Failures that lie a window apart are forgiven, each anew; two within one are one too many. With `leaf_restarts` at zero
/// the first one is.
#[tokio::test(start_paused = true)]
async fn restarts_of_a_leaf_are_bounded_within_their_window() {
    let broker = broker_with(|config| {
        (config.failures.leaf_restarts, config.failures.leaf_window) = (1, WINDOW);
        // Nobody pings while the clock is moved on.
        config.connections.keep_alive = Duration::from_hours(1);
    })
    .await;
    let (mut sub, _) = Raw::register(&broker, "sub").await;
    sub.subscribe("s/#").await;
    let (mut publisher, _) = Raw::register(&broker, "pub").await;
    let subscriber = |event: &Event| matches!(event, Event::SubscriptionRestarted { .. });
    let topic = |event: &Event| matches!(event, Event::TopicRestarted { .. });
    for round in 1..=3 {
        broker.faults().plan(Fault::new("Subscriber.Ready", How::Panic));
        publisher.publish("s/t", "x").await;
        said(&broker, round, subscriber).await;
        broker.faults().plan(Fault::new("Topic.Publish", How::Panic).of("t"));
        publisher.enqueue("t", "x").await;
        publisher.error().await;
        said(&broker, round, topic).await;
        let_pass(WINDOW).await;
    }
    broker.faults().plan(Fault::new("Subscriber.Ready", How::Panic).times(2));
    publisher.publish("s/t", "x").await;
    said(&broker, 4, subscriber).await;
    publisher.publish("s/t", "y").await;
    assert!(loop {
        match sub.next().await {
            Reply::Deliver(_) => {}
            Reply::Other(text) => break text.starts_with("Resubscribe"),
            other => panic!("{other:?}"),
        }
    });
    broker.faults().plan(Fault::new("Topic.Publish", How::Panic).of("t").times(2));
    for _ in 0..2 {
        publisher.enqueue("t", "x").await;
        publisher.error().await;
    }
    said(&broker, 1, |event| matches!(event, Event::TopicKilled { by, .. } if by.contains("failed 2 times"))).await;
    broker.shutdown().await;

    let broker = broker_with(|config| config.failures.leaf_restarts = 0).await;
    let (mut publisher, _) = Raw::register(&broker, "pub").await;
    broker.faults().plan(Fault::new("Topic.Publish", How::Panic));
    publisher.enqueue("t", "x").await;
    publisher.error().await;
    said(&broker, 1, |event| matches!(event, Event::TopicKilled { .. })).await;
    broker.shutdown().await;
}

/// The same for the managers; there the one too many is the end of the broker.
#[tokio::test(start_paused = true)]
async fn restarts_of_the_managers_are_bounded_within_their_window() {
    let broker = broker_with(|config| (config.failures.manager_restarts, config.failures.manager_window) = (1, WINDOW)).await;
    let fail = || broker.faults().plan(Fault::new("SessionManager.Tick", How::Panic));
    let restart = |event: &Event| matches!(event, Event::ManagersRestarted { .. });
    for round in 1..=3 {
        fail();
        said(&broker, round, restart).await;
        let_pass(WINDOW).await;
    }
    fail();
    said(&broker, 4, restart).await;
    fail();
    assert!(!broker.stopped().await);
    assert!(broker.bus().board().broker.failed.unwrap().starts_with("managers failed 2 times"));

    let broker = broker_with(|config| config.failures.manager_restarts = 0).await;
    broker.faults().plan(Fault::new("SessionManager.Tick", How::Panic));
    assert!(!broker.stopped().await);
}
