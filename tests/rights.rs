//! A change of rights while the broker runs: what is no longer allowed stops at once, on every way that a message goes (I2), and
//! what that costs is counted (I1).

mod files;
mod operators;
mod secrets;
mod sessions;
mod users;

use std::time::Duration;

use cordboard::{
    control::{Control, Outcome},
    events::{DropReason, Event, SubscriptionEnd},
    name::SubscriptionId,
    wire::{ClientFrame, Code, DeliverNack, Nack, SubscriptionEnded},
};

use crate::fixture::{self, Raw, Reply, eventually, eventually_true};
#[cfg(unix)]
pub(crate) use files::user_lines;
use users::{Bench, filters, lost};

/// The texts of messages.
fn texts(messages: &[fixture::Got]) -> Vec<String> {
    messages.iter().map(fixture::Got::text).collect()
}

/// Waits for the end of a subscription: what the client is told.
async fn ended(raw: &mut Raw) -> SubscriptionEnded {
    loop {
        match raw.next().await {
            Reply::Ended(ended) => return ended,
            Reply::Deliver(_) | Reply::Acked(_) => {}
            other => panic!("the end of a subscription was expected, not {other:?}"),
        }
    }
}

#[tokio::test]
async fn a_subscription_that_is_no_longer_allowed_ends_at_once_and_others_go_on() {
    let bench = Bench::with(&["ana", "bob"], |_| {}).await;
    let (mut ana, response) = bench.register("ana").await;
    let (mut bob, _) = bench.register("bob").await;
    ana.subscribe("orders/eu").await;
    ana.subscribe("news/#").await;
    for number in 0..3 {
        bob.publish("orders/eu", number.to_string()).await;
    }
    ana.messages(3).await;
    let outcome = bench.grant("ana", |ana| ana.allow.subscribe = filters(&["news/#"])).await;
    assert_eq!(lost(&outcome), 3);
    let told = ended(&mut ana).await;
    assert_eq!((told.filter.as_str(), told.code, told.lost), ("orders/eu", Code::Forbidden, 3));
    let id = SubscriptionId { session: response.session, filter: "orders/eu".parse().unwrap() };
    let is_it = |event: &Event| matches!(event, Event::SubscriptionEnded { id: i, why: SubscriptionEnd::RightWithdrawn, lost } if *i == id && lost.queued == 3);
    assert!(bench.events().iter().any(is_it));
    // The session, its other subscription, and the topic live on.
    bob.publish("orders/eu", "x").await;
    bob.publish("news/a", "hello").await;
    assert_eq!(texts(&ana.messages(1).await), ["hello"]);
    ana.ask_subscribe("orders/eu").await;
    assert_eq!(ana.error().await.code, Code::Forbidden);
    assert_eq!(bench.broker.counters().dropped, 3);
}

/// A wide subscription stays; what waits in it, is in flight, or was given up goes by its topic, and does not come again.
#[tokio::test]
async fn what_a_partial_deny_covers_goes_from_the_whole_queue() {
    let bench = Bench::with(&["ana", "bob"], |config| config.queues.window_messages = 4).await;
    let (mut ana, response) = bench.register("ana").await;
    let (mut bob, _) = bench.register("bob").await;
    let handle = ana.subscribe("#").await;
    for (number, topic) in ["secret", "open", "secret", "open", "secret", "open", "secret"].iter().enumerate() {
        bob.publish(topic, (number + 1).to_string()).await;
    }
    assert_eq!(texts(&ana.messages(4).await), ["1", "2", "3", "4"]);
    ana.send(&ClientFrame::DeliverNack(DeliverNack { handle, number: 1, what: Nack::Poison })).await;
    assert_eq!(texts(&ana.messages(1).await), ["5"]);
    let outcome = bench.grant("ana", |ana| ana.deny.subscribe = filters(&["secret"])).await;
    assert_eq!(lost(&outcome), 4);
    // The window was full of what has gone.
    assert_eq!(texts(&ana.messages(1).await), ["6"]);
    ana.send(&ClientFrame::DeliverNack(DeliverNack { handle, number: 1, what: Nack::Again })).await;
    assert_eq!(texts(&ana.messages(3).await), ["2", "4", "6"]);
    let id = SubscriptionId { session: response.session, filter: "#".parse().unwrap() };
    let redelivered = fixture::order(&bench.broker, Control::Redeliver { subscription: id.clone() }).await;
    assert_eq!(redelivered, Outcome::AlreadyGone);
    let is_it = |event: &Event| matches!(event, Event::SubscriptionOverflowed { id: i, dropped: 4, why: DropReason::RightWithdrawn } if *i == id);
    assert!(bench.events().iter().any(is_it));
    bob.publish("secret", "8").await;
    bob.publish("open", "9").await;
    assert_eq!(texts(&ana.messages(1).await), ["9"]);
    ana.ack(handle, 9).await;
    let empty = |board: &cordboard::Board| board.subscriptions.get(&id).is_some_and(|row| row.depth.queued() == 0);
    eventually(&bench.broker, "all is acknowledged", empty).await;
    let counters = bench.broker.counters();
    assert_eq!((counters.dropped, counters.published), (4, 9));
}

/// Dead letters are judged before anybody comes back for them, and once more as of then.
#[tokio::test]
async fn who_comes_back_finds_only_what_may_be_seen() {
    let bench = Bench::with(&["ana", "bob"], |_| {}).await;
    let (mut ana, response) = bench.register("ana").await;
    let (mut bob, _) = bench.register("bob").await;
    ana.subscribe("#").await;
    ana.subscribe("secret/#").await;
    ana.disconnect(false).await;
    for topic in ["secret/a", "open", "secret/b"] {
        bob.publish(topic, topic).await;
    }
    assert_eq!(lost(&bench.grant("ana", |ana| ana.deny.subscribe = filters(&["secret/#"])).await), 4);
    // Allowed again is not brought back.
    assert_eq!(lost(&bench.grant("ana", |ana| ana.deny.subscribe.clear()).await), 0);
    let (mut ana, response) = bench.resume("ana", response.session).await;
    assert_eq!(response.subscriptions.iter().map(|of| of.filter.as_str()).collect::<Vec<_>>(), ["#"]);
    assert_eq!(texts(&ana.messages(1).await), ["open"]);
    bob.publish("secret/a", "now").await;
    assert_eq!(texts(&ana.messages(1).await), ["now"]);
}

/// What lies between the queue and the socket is not sent either: a slow reader gets what the system had taken by then.
#[tokio::test]
async fn what_waits_for_a_slow_reader_is_withheld() {
    let all = 600;
    let bench = Bench::with(&["ana", "bob"], |config| {
        let large = 128 << 20;
        (config.queues.window_bytes, config.queues.max_bytes, config.connections.outbound_bytes) = (large, large, large);
        config.connections.stall_after = Duration::from_hours(1);
    })
    .await;
    let (mut ana, response) = bench.register("ana").await;
    let (mut bob, _) = bench.register("bob").await;
    let handle = ana.subscribe("#").await;
    for _ in 0..all {
        bob.publish("secret", vec![b's'; 64 << 10]).await;
    }
    let id = SubscriptionId { session: response.session, filter: "#".parse().unwrap() };
    let in_flight = |board: &cordboard::Board| board.subscriptions.get(&id).is_some_and(|row| row.depth.in_flight == all);
    eventually(&bench.broker, "all is on its way", in_flight).await;
    assert_eq!(lost(&bench.grant("ana", |ana| ana.deny.subscribe = filters(&["secret"])).await), all);
    bob.publish("open", "end").await;
    let mut read = Vec::new();
    while read.last().is_none_or(|last: &fixture::Got| last.topic != "open") {
        read.extend(ana.messages(1).await);
    }
    assert!((read.len() as u64) < all, "all {} were sent", read.len());
    // Numbers go on, so the client can acknowledge the last one, and nothing is counted twice.
    assert_eq!(read.last().unwrap().number, all + 1);
    ana.ack(handle, all + 1).await;
    eventually_true("the last one is acknowledged", || bench.broker.counters().acknowledged == 1).await;
    assert_eq!(bench.broker.counters().dropped, all);
}

/// The way to a topic was open: it closes with the right, and opens with it.
#[tokio::test]
async fn a_publish_is_judged_by_the_rights_of_now() {
    let bench = Bench::with(&["ana"], |_| {}).await;
    let (mut ana, _) = bench.register("ana").await;
    ana.publish("orders", "1").await;
    ana.publish("news", "1").await;
    assert_eq!(lost(&bench.grant("ana", |ana| ana.deny.publish = filters(&["orders"])).await), 0);
    let sequence = ana.enqueue("orders", "2").await;
    let error = ana.error().await;
    assert_eq!((error.code, error.sequence), (Code::Forbidden, Some(sequence)));
    ana.acked(sequence).await;
    ana.publish("news", "2").await;
    // The right to create is another one, and judged where topics are made.
    bench.grant("ana", |ana| (ana.deny.publish, ana.allow.create) = (Vec::new(), filters(&["mine/#"]))).await;
    ana.publish("orders", "3").await;
    ana.enqueue("new", "x").await;
    assert_eq!(ana.error().await.code, Code::Forbidden);
    let sequence = ana.enqueue("mine/new", "x").await;
    ana.acked(sequence).await;
}

/// However a change falls among what is under way: what was published after a deny had been answered is never seen, what was
/// published while it was allowed is seen or counted.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rights_that_come_and_go_under_load_are_never_late() {
    let bench = Bench::with(&["ana", "bob"], |_| {}).await;
    let (mut ana, _) = bench.register("ana").await;
    let (mut bob, _) = bench.register("bob").await;
    let handle = ana.subscribe("#").await;
    let reader = tokio::spawn(async move {
        let mut secrets = 0_u64;
        loop {
            for message in ana.messages(1).await {
                assert!(message.text() != "denied", "{message:?}");
                secrets += u64::from(message.topic == "secret");
                ana.ack(handle, message.number).await;
                if message.text() == "end" {
                    return secrets;
                }
            }
        }
    });
    let mut allowed = 0_u64;
    for round in 0..60 {
        for _ in 0..40 {
            bob.enqueue("secret", "allowed").await;
            allowed += 1;
        }
        if round % 2 == 0 {
            let sequence = bob.sequence;
            bob.acked(sequence).await;
        } else {
            // The deny overtakes some of them: then nobody was allowed to see those.
            bob.enqueue("open", "x").await;
        }
        bench.grant("ana", |ana| ana.deny.subscribe = filters(&["secret"])).await;
        let sequence = bob.sequence;
        if round % 2 != 0 {
            bob.acked(sequence).await;
        }
        for _ in 0..10 {
            bob.enqueue("secret", "denied").await;
        }
        let sequence = bob.enqueue("open", "fence").await;
        bob.acked(sequence).await;
        bench.grant("ana", |ana| ana.deny.subscribe.clear()).await;
    }
    bob.publish("open", "end").await;
    let seen = tokio::time::timeout(fixture::PATIENCE, reader).await.unwrap().unwrap();
    assert!(seen <= allowed);
    // Half of them were acknowledged before the deny was ordered: each of those was seen, or is counted.
    let dropped = bench.broker.counters().dropped;
    assert!(seen + dropped >= allowed / 2, "{seen} seen, {dropped} counted, {allowed} allowed");
    bench.broker.shutdown().await;
}
