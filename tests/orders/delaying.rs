//! An order that waits: seen by everyone, stopped by anyone, judged by what is so when its time has come.

use std::time::Duration;

use cordboard::{
    Handle,
    control::{Control, Order, Outcome, Precondition},
    events::Event,
    name::{Epoch, SessionId},
};
use tokio::{task::JoinHandle, time::Instant};

use crate::fixture::{Raw, broker, broker_with, eventually, let_pass, order};

fn evict_in(seconds: u64, session: SessionId) -> Order {
    Order { delay_ms: seconds * 1_000, ..Order::new("ana", Control::EvictSession { session }) }
}

fn give(broker: &Handle, order: Order) -> JoinHandle<Outcome> {
    let broker = broker.clone();
    tokio::spawn(async move { broker.order(order).await })
}

/// The number of the one order that waits.
async fn waiting(broker: &Handle) -> u64 {
    eventually(broker, "an order waits", |board| board.waiting_orders.len() == 1).await;
    *broker.bus().board().waiting_orders.keys().next().unwrap()
}

#[tokio::test(start_paused = true)]
async fn an_order_waits_out_its_delay_and_is_then_carried_out() {
    let broker = broker().await;
    let (_raw, response) = Raw::register(&broker, "c").await;
    let given = Instant::now();
    let evict = give(&broker, evict_in(10, response.session));
    let number = waiting(&broker).await;
    let due = broker.bus().board().waiting_orders[&number].due;
    let left = broker.bus().clock().now().up.until(due.up);
    assert!(left > Duration::from_secs(9) && left <= Duration::from_secs(10), "{left:?}");
    let_pass(Duration::from_secs(9)).await;
    assert!(broker.bus().board().sessions.contains_key(&response.session));
    assert!(matches!(evict.await.unwrap(), Outcome::Done { .. }));
    assert!(given.elapsed() >= Duration::from_secs(10));
    assert!(broker.bus().board().waiting_orders.is_empty());
    broker.shutdown().await;
}

/// Asked, cancelled: both on record, and nothing happened.
#[tokio::test]
async fn a_cancelled_order_does_nothing_and_says_who_stopped_it() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("audit.jsonl");
    let broker = broker_with(|config| config.audit.file = Some(file.clone())).await;
    let (_raw, response) = Raw::register(&broker, "c").await;
    let evict = give(&broker, evict_in(600, response.session));
    let number = waiting(&broker).await;
    // Who keeps something from happening changes nothing: a read-only gate lets that through.
    broker.set_read_only(true);
    let cancel = || Order::new("bob", Control::Cancel { number });
    assert!(matches!(broker.order(cancel()).await, Outcome::Done { .. }));
    assert_eq!(evict.await.unwrap(), Outcome::Cancelled { by: "bob".into() });
    assert_eq!(broker.order(cancel()).await, Outcome::AlreadyGone);
    let board = broker.bus().board();
    assert!(board.waiting_orders.is_empty() && board.sessions.contains_key(&response.session));
    let records = std::fs::read_to_string(&file).unwrap();
    let of_evict: Vec<_> = records.lines().filter(|line| line.contains("evict_session")).collect();
    assert_eq!(of_evict.len(), 2, "{records}");
    assert!(of_evict[0].contains("\"asked\"") && of_evict[0].contains("\"due\""), "{records}");
    assert!(of_evict[1].contains("\"cancelled\"") && of_evict[1].contains("\"by\":\"bob\""), "{records}");
    broker.shutdown().await;
}

/// What was so when it was given is not what counts.
#[tokio::test(start_paused = true)]
async fn a_precondition_is_judged_when_the_order_acts() {
    let broker = broker().await;
    let (sub, response) = Raw::register(&broker, "c").await;
    let session = response.session;
    let seen = Precondition { epoch: Some(Epoch(1)), loss: Some(0) };
    let evict = give(&broker, Order { precondition: seen, ..evict_in(10, session) });
    waiting(&broker).await;
    sub.reset();
    eventually(&broker, "the session is detached", |board| board.broker.detached == 1).await;
    let (_back, _) = Raw::resume(&broker, "c", session).await;
    assert!(matches!(evict.await.unwrap(), Outcome::Refused { why } if why.contains("epoch")));
    assert!(broker.bus().board().sessions.contains_key(&session));
    // A gate that has closed meanwhile is closed.
    let evict = give(&broker, evict_in(10, session));
    waiting(&broker).await;
    broker.set_read_only(true);
    assert!(matches!(evict.await.unwrap(), Outcome::Refused { why } if why.contains("read-only")));
    broker.shutdown().await;
}

/// An order is the gate's from the moment it is given: a screen that is closed takes nothing back.
#[tokio::test(start_paused = true)]
async fn an_order_outlives_whoever_gave_it() {
    let broker = broker().await;
    let (_raw, response) = Raw::register(&broker, "c").await;
    let evict = give(&broker, evict_in(10, response.session));
    waiting(&broker).await;
    evict.abort();
    assert!(evict.await.unwrap_err().is_cancelled());
    eventually(&broker, "it is evicted all the same", |board| board.sessions.is_empty()).await;
    eventually(&broker, "no order waits", |board| board.waiting_orders.is_empty()).await;
    broker.shutdown().await;
}

#[tokio::test]
async fn waiting_orders_and_their_delays_are_bounded() {
    let broker = broker_with(|config| config.orders.max_waiting = 1).await;
    let (_raw, response) = Raw::register(&broker, "c").await;
    let first = give(&broker, evict_in(600, response.session));
    let number = waiting(&broker).await;
    let refused = |outcome: &Outcome, key| matches!(outcome, Outcome::Refused { why } if why.contains(key));
    let outcome = broker.order(evict_in(600, response.session)).await;
    assert!(refused(&outcome, "orders.max_waiting"), "{outcome}");
    let hit = |event: &Event| matches!(event, Event::LimitHit { limit, .. } if limit == "orders.max_waiting");
    assert!(broker.bus().follow_from_start().take(usize::MAX).events.iter().any(|stamped| hit(&stamped.event)));
    assert!(matches!(order(&broker, Control::Cancel { number }).await, Outcome::Done { .. }));
    assert!(matches!(first.await.unwrap(), Outcome::Cancelled { .. }));
    let outcome = broker.order(Order { delay_ms: u64::MAX, ..evict_in(0, response.session) }).await;
    assert!(refused(&outcome, "orders.max_delay"), "{outcome}");
    let cancel = Order { delay_ms: 1, ..Order::new("ana", Control::Cancel { number }) };
    assert!(refused(&broker.order(cancel).await, "delay_ms"));
    let wordy = Order { reason: "x".repeat(1_001), ..evict_in(0, response.session) };
    assert!(refused(&broker.order(wordy).await, "1000"));
    broker.shutdown().await;
}

/// The broker's end answers what waits: not carried out.
#[tokio::test]
async fn a_shutdown_answers_orders_that_wait() {
    let broker = broker().await;
    let (_raw, response) = Raw::register(&broker, "c").await;
    let evict = give(&broker, evict_in(600, response.session));
    waiting(&broker).await;
    broker.shutdown().await;
    assert!(matches!(evict.await.unwrap(), Outcome::Refused { why } if why.contains("shutting down")));
    let late = broker.order(evict_in(600, response.session)).await;
    assert!(matches!(late, Outcome::Refused { .. }), "{late}");
    assert!(broker.bus().board().waiting_orders.is_empty());
}

/// A cancel and the deed at the same moment: one of them, and both operators hear which.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cancel_at_the_last_moment_ends_in_one_answer() {
    let broker = broker().await;
    for round in 0..60 {
        let (_raw, response) = Raw::register(&broker, "c").await;
        let session = response.session;
        let evict = give(&broker, Order { delay_ms: 1 + round % 3, ..evict_in(0, session) });
        eventually(&broker, "it waits, or is done", |board| {
            !board.waiting_orders.is_empty() || !board.sessions.contains_key(&session)
        })
        .await;
        let number = broker.bus().board().waiting_orders.keys().next().copied();
        let cancelled = match number {
            Some(number) => order(&broker, Control::Cancel { number }).await,
            None => Outcome::AlreadyGone,
        };
        let lives = broker.bus().board().sessions.contains_key(&session);
        match (cancelled, evict.await.unwrap()) {
            (Outcome::Done { .. }, Outcome::Cancelled { .. }) => assert!(lives, "round {round}"),
            (Outcome::AlreadyGone, Outcome::Done { .. }) => {}
            other => panic!("{other:?} in round {round}"),
        }
        order(&broker, Control::EvictSession { session }).await;
    }
    broker.shutdown().await;
}
