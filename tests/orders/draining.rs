//! A drain and a shutdown: each phase is told, receipts are waited for, clients hear 503, and there is a deadline.

use std::time::Duration;

use cordboard::{
    Config, Handle,
    board::{Attachment, Course},
    control::{Control, Outcome},
    events::{CloseReason, Event, StopPhase},
    wire::{Code, RegistrationRequest},
};

use crate::fixture::{Raw, Reply, broker, broker_with, eventually, order};

/// The phases that were told, each once, in their order.
fn phases(broker: &Handle) -> Vec<StopPhase> {
    let events = broker.bus().follow_from_start().take(usize::MAX).events;
    let mut all: Vec<_> = events
        .iter()
        .filter_map(|stamped| match stamped.event {
            Event::StopPhase { phase, .. } => Some(phase),
            _ => None,
        })
        .collect();
    all.dedup();
    all
}

/// A subscriber who acknowledges nothing, and a publisher of twice as many messages as its queue may hold: a receipt is held.
async fn held_up(change: impl FnOnce(&mut Config)) -> (Handle, Raw, Raw) {
    let broker = broker_with(|config| {
        (config.queues.max_messages, config.queues.window_messages) = (4, 2);
        change(config);
    })
    .await;
    let (mut sub, _) = Raw::register(&broker, "sub").await;
    sub.subscribe("t").await;
    let (mut publisher, _) = Raw::register(&broker, "pub").await;
    for n in 0..8_u8 {
        publisher.enqueue("t", [n]).await;
    }
    eventually(&broker, "the last is taken", |board| board.broker.sample.published == 8).await;
    (broker, sub, publisher)
}

/// Everybody is sent away and told to come back; the broker, its sessions and what they hold live on.
#[tokio::test]
async fn a_drained_broker_lives_and_takes_clients_again_when_it_is_told() {
    let broker = broker().await;
    let (mut sub, response) = Raw::register(&broker, "sub").await;
    sub.subscribe("t").await;
    let (mut publisher, _) = Raw::register(&broker, "pub").await;
    publisher.publish("t", "kept").await;
    assert_eq!(order(&broker, Control::Drain).await, Outcome::Done { lost: cordboard::events::Lost::default() });
    sub.messages(1).await;
    for raw in [&mut sub, &mut publisher] {
        let error = raw.closing_error().await;
        assert_eq!(error.code, Code::Unavailable);
    }
    assert_eq!(phases(&broker), [StopPhase::StopAccepting, StopPhase::Receipts, StopPhase::Goodbyes]);
    let board = broker.bus().board();
    assert_eq!((board.broker.course, board.broker.draining), (Course::Drained, None));
    assert!(board.listeners.is_empty());
    let attachment = &board.sessions[&response.session].attachment;
    assert!(matches!(attachment, Attachment::Detached { why: CloseReason::ShuttingDown, .. }), "{attachment:?}");
    assert_eq!(order(&broker, Control::Drain).await, Outcome::AlreadyGone);
    let mut refused = Raw::connect(broker.endpoints()[0]).await;
    assert_eq!(refused.closing_error().await.code, Code::Unavailable);
    assert!(matches!(order(&broker, Control::Accept { on: true }).await, Outcome::Done { .. }));
    assert_eq!(broker.bus().board().broker.course, Course::Serving);
    let (mut sub, _) = Raw::resume(&broker, "sub", response.session).await;
    assert_eq!(sub.messages(1).await[0].text(), "kept");
    let (mut publisher, _) = Raw::register(&broker, "pub").await;
    publisher.publish("t", "flows again").await;
    assert_eq!(sub.messages(1).await[0].text(), "flows again");
    broker.shutdown().await;
}

/// A queue over its bound holds a receipt for 2 s: a drain gives it that time, and the publisher its answer, before goodbye.
#[tokio::test(start_paused = true)]
async fn a_drain_waits_for_held_receipts() {
    let (broker, _sub, mut publisher) = held_up(|_| {}).await;
    assert!(broker.counters().unsettled > 0, "a receipt is held");
    let (outcome, last) = tokio::join!(order(&broker, Control::Drain), async {
        let mut settled = 0;
        loop {
            match publisher.next().await {
                Reply::Acked(sequence) => settled = sequence,
                Reply::Error(error) => break (settled, error.code),
                other => panic!("{other:?}"),
            }
        }
    });
    assert!(matches!(outcome, Outcome::Done { .. }), "{outcome}");
    assert_eq!(last, (8, Code::Unavailable), "first the receipts, then goodbye");
    broker.shutdown().await;
}

/// Whatever holds a receipt for longer than the deadline does not hold the broker.
#[tokio::test(start_paused = true)]
async fn a_drain_and_a_shutdown_have_a_deadline_and_tell_their_phases() {
    let (broker, _sub, mut publisher) = held_up(|config| {
        config.queues.hold_publisher = Duration::from_hours(1);
        config.connections.drain_deadline = Duration::from_secs(4);
    })
    .await;
    let began = tokio::time::Instant::now();
    let lost = broker.shutdown().await;
    assert!(began.elapsed() < Duration::from_secs(6), "{:?}", began.elapsed());
    // What was over the bound went when the subscriber was sent away, the rest with the broker.
    assert_eq!((lost.queued, broker.counters().dropped), (4, 8));
    loop {
        match publisher.next().await {
            Reply::Error(error) => {
                assert_eq!(error.code, Code::Unavailable, "it is told, late as it is");
                break;
            }
            Reply::Acked(_) => {}
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(
        phases(&broker),
        [StopPhase::StopAccepting, StopPhase::Receipts, StopPhase::Goodbyes, StopPhase::Stopping],
        "an event each"
    );
}

/// A shutdown does not wait behind a drain, and the drain's operator hears of it.
#[tokio::test(start_paused = true)]
async fn a_shutdown_takes_over_from_a_drain() {
    let (broker, _sub, _publisher) = held_up(|config| config.queues.hold_publisher = Duration::from_hours(1)).await;
    let drain = tokio::spawn({
        let broker = broker.clone();
        async move { order(&broker, Control::Drain).await }
    });
    eventually(&broker, "it drains", |board| board.broker.draining.is_some()).await;
    assert!(matches!(order(&broker, Control::Accept { on: true }).await, Outcome::Refused { .. }));
    assert_eq!(order(&broker, Control::Drain).await, Outcome::AlreadyGone);
    let (first, second) = tokio::join!(order(&broker, Control::Shutdown), order(&broker, Control::Shutdown));
    assert!(matches!(drain.await.unwrap(), Outcome::Refused { why } if why.contains("shutting down")));
    assert!(matches!(first, Outcome::Done { lost } if lost.queued == 4), "{first}");
    assert_eq!(broker.counters().dropped, 8);
    assert_eq!(second, Outcome::AlreadyGone);
    assert!(broker.stopped().await);
}

/// What the end of the broker costs is one figure. No session ends by itself on the way, because its time is up or because all
/// are detached at once.
#[tokio::test]
async fn a_shutdown_leaves_no_session_to_its_timer() {
    let broker = broker_with(|config| (config.sessions.max_detached, config.queues.window_messages) = (1, 1)).await;
    for name in ["one", "two"] {
        let request = RegistrationRequest { reclaim_ms: Some(0), ..RegistrationRequest::new(name) };
        let (mut sub, _) = Raw::register_with(&broker, request).await;
        sub.subscribe("t").await;
        tokio::spawn(async move { while !matches!(sub.next().await, Reply::Closed) {} });
    }
    let (mut publisher, _) = Raw::register(&broker, "pub").await;
    for text in ["1", "2", "3"] {
        publisher.publish("t", text).await;
    }
    assert_eq!(broker.shutdown().await.queued, 6);
    let events = broker.bus().follow_from_start().take(usize::MAX).events;
    let by_itself = events.iter().find(|stamped| matches!(stamped.event, Event::SessionEnded { .. }));
    assert!(by_itself.is_none(), "{by_itself:?}");
}
