//! A subscriber fails: another one goes on at its queue; too often, and its client is asked to subscribe again.

use std::time::Duration;

use cordboard::{
    Client, Handle,
    client::ClientEvent,
    faults::{Fault, How},
    name::SubscriptionId,
    wire::{ClientFrame, Code, DeliverNack, Nack},
};
use tokio::time::Instant;

use super::{HANG_AFTER, all_struck, broker, broker_of, ends_as_new, plan, scene, texts, ways};
use crate::fixture::{Raw, Reply, eventually, let_pass};

fn numbers(range: std::ops::Range<u32>) -> Vec<String> {
    range.map(|number| number.to_string()).collect()
}

/// A subscriber to `t` and a publisher.
async fn pair(broker: &Handle) -> (Raw, SubscriptionId, Raw) {
    let (mut sub, response) = Raw::register(broker, "sub").await;
    sub.subscribe("t").await;
    let id = SubscriptionId { session: response.session, filter: "t".parse().unwrap() };
    (sub, id, Raw::register(broker, "pub").await.0)
}

async fn restarted(broker: &Handle, id: &SubscriptionId, restarts: u32) {
    eventually(broker, "it was restarted", |board| board.subscriptions.get(id).is_some_and(|row| row.restarts == restarts)).await;
}

/// Whatever it fails in, what it had sent comes again first, marked, and what was not sent comes behind it.
#[tokio::test(start_paused = true)]
async fn a_queue_outlives_its_subscriber() {
    for place in ["Ready", "Ack", "taken"] {
        for (how, words) in ways() {
            let (broker, baseline) = scene().await;
            let (mut sub, id, mut publisher) = pair(&broker).await;
            for text in numbers(0..3) {
                publisher.publish("t", text).await;
            }
            let first = sub.messages(3).await;
            plan(&broker, Fault::new(&format!("Subscriber.{place}"), how.clone()).of(&id));
            sub.ack(cordboard::name::SubscriptionHandle(1), first[0].number).await;
            publisher.publish("t", "3").await;
            restarted(&broker, &id, 1).await;
            let mut got = sub.messages(3).await;
            // Acknowledged before it failed, or with it.
            if got[0].text() == "0" {
                got.extend(sub.messages(1).await);
                got.remove(0);
            }
            let got: Vec<_> = got.iter().map(|got| (got.text(), got.redelivered)).collect();
            let marked = place == "taken";
            assert_eq!((&got[0], &got[1], got[2].0.as_str()), (&("1".into(), true), &("2".into(), true), "3"), "{place}");
            assert!(!got[2].1 || marked, "{place}: {got:?}");
            let failure = broker.bus().board().subscriptions[&id].last_failure.clone().unwrap().why;
            let words = if place == "taken" { "failed in" } else { words };
            assert!(failure.starts_with(words) && (place == "taken" || failure.contains(place)), "{failure}");
            drop((sub, publisher));
            ends_as_new(&broker, baseline).await;
        }
    }
}

/// What the client asked for is owed, also by the one that never heard of it: without its mark the client would wait for ever.
#[tokio::test(start_paused = true)]
async fn what_was_given_back_returns_although_the_subscriber_failed() {
    for (how, _) in ways() {
        let broker = broker().await;
        let (mut sub, id, mut publisher) = pair(&broker).await;
        for text in numbers(0..3) {
            publisher.publish("t", text).await;
        }
        let got = sub.messages(3).await;
        plan(&broker, Fault::new("Subscriber.Nack", how).of(&id));
        let (handle, number) = (cordboard::name::SubscriptionHandle(1), got[1].number);
        sub.send(&ClientFrame::DeliverNack(DeliverNack { handle, number, what: Nack::Again })).await;
        let again = sub.messages(3).await;
        assert_eq!((again[0].returns, again[0].redelivered, again[0].text().as_str()), (true, true, "0"));
        all_struck(&broker).await;
        broker.shutdown().await;
    }
}

/// Its client has gone and it failed over that: nobody waits for a queue whose client is not there.
#[tokio::test(start_paused = true)]
async fn a_subscription_is_parked_although_its_subscriber_failed() {
    for (how, _) in ways() {
        let broker = broker_of(|config| {
            config.queues.max_messages = 10;
            config.queues.window_messages = 10;
        })
        .await;
        let (sub, id, mut publisher) = pair(&broker).await;
        plan(&broker, Fault::new("Subscriber.Park", how).of(&id));
        drop(sub);
        restarted(&broker, &id, 1).await;
        publisher.settle().await;
        let from = Instant::now();
        for text in numbers(0..30) {
            publisher.publish("t", text).await;
        }
        assert!(from.elapsed() < Duration::from_secs(1), "{:?}", from.elapsed());
        let (mut back, _) = Raw::resume(&broker, "sub", id.session).await;
        assert_eq!(texts(&mut back, 10).await, numbers(20..30));
        broker.shutdown().await;
    }
}

/// A long queue is being emptied when it fails, twice: all of it arrives, in order.
#[tokio::test(start_paused = true)]
async fn a_drain_goes_on_where_its_subscriber_failed() {
    for (how, _) in ways() {
        let broker = broker_of(|config| config.queues.window_messages = 2_000).await;
        let (sub, id, mut publisher) = pair(&broker).await;
        drop(sub);
        eventually(&broker, "it is detached", |board| board.broker.detached == 1).await;
        for text in numbers(0..1_000) {
            publisher.enqueue("t", text).await;
        }
        publisher.acked(1_000).await;
        plan(&broker, Fault::new("Subscriber.taken", how.clone()).of(&id).after(1));
        plan(&broker, Fault::new("Subscriber.Ready", how).of(&id).after(1));
        let (mut back, _) = Raw::resume(&broker, "sub", id.session).await;
        let mut seen: Vec<u32> = Vec::new();
        while seen.last() != Some(&999) {
            for got in back.messages(1).await {
                let number = got.text().parse().unwrap();
                let next = seen.last().map_or(0, |last| last + 1);
                assert!(number == next || number < next && got.redelivered, "{number} instead of {next}");
                seen.retain(|seen| *seen < number);
                seen.push(number);
            }
        }
        assert_eq!(seen, (0..1_000).collect::<Vec<_>>());
        all_struck(&broker).await;
        broker.shutdown().await;
    }
}

/// Receipts that a full queue holds are released in their time, whatever its subscriber does.
#[tokio::test(start_paused = true)]
async fn a_publisher_does_not_wait_for_a_subscriber_that_hangs() {
    let broker = broker_of(|config| {
        config.queues.max_messages = 10;
        config.queues.window_messages = 10;
        config.failures.hang_after = Duration::from_mins(1);
    })
    .await;
    let (sub, id, mut publisher) = pair(&broker).await;
    plan(&broker, Fault::new("Subscriber.Ready", How::Hang).of(&id));
    let from = Instant::now();
    for text in numbers(0..30) {
        publisher.publish("t", text).await;
    }
    assert!(from.elapsed() < Duration::from_secs(3), "{:?}", from.elapsed());
    all_struck(&broker).await;
    drop((sub, publisher));
    broker.shutdown().await;
}

/// Given up after the limit: the client is told what that cost and subscribes again, in the same session.
#[tokio::test(start_paused = true)]
async fn a_subscriber_that_fails_too_often_is_given_up() {
    // Those that never come to serve have failed as much as those that fail while they do.
    for (place, how) in [("Ready", How::Panic), ("Start", How::Error), ("PostStart", How::Panic), ("Start", How::Hang)] {
        let (broker, baseline) = scene().await;
        let (mut sub, id, mut publisher) = pair(&broker).await;
        plan(&broker, Fault::new("Subscriber.Ready", How::Panic).of(&id));
        plan(&broker, Fault::new(&format!("Subscriber.{place}"), how).of(&id).times(3));
        let mut told = None;
        for text in numbers(0..40) {
            publisher.publish("t", text).await;
            let_pass(HANG_AFTER / 4).await;
            sub.settle_until(&mut told).await;
            if told.is_some() {
                break;
            }
        }
        let told = told.expect("the client is told");
        assert!(told.starts_with("Resubscribe") && told.contains("lost: "), "{told}");
        assert!(!told.contains("lost: 0"), "{told}");
        assert!(broker.bus().board().sessions.contains_key(&id.session));
        sub.subscribe("t").await;
        publisher.publish("t", "after").await;
        assert_eq!(texts(&mut sub, 1).await, ["after"]);
        drop((sub, publisher));
        ends_as_new(&broker, baseline).await;
    }
}

/// The library does so by itself: its stream goes on.
#[tokio::test]
async fn a_client_subscribes_again_by_itself() {
    let broker = broker_of(|config| config.failures.leaf_restarts = 0).await;
    let address = broker.endpoints()[0].to_string();
    let (subscriber, publisher) = (Client::connect(&address).await.unwrap(), Client::connect(&address).await.unwrap());
    let mut events = subscriber.events();
    let mut stream = subscriber.subscribe("t").await.unwrap();
    plan(&broker, Fault::new("Subscriber.Ready", How::Panic));
    publisher.publish("t", "lost").await.unwrap();
    loop {
        if let ClientEvent::Resubscribed { lost, .. } = events.next().await.unwrap() {
            assert_eq!(lost, Some(1));
            break;
        }
    }
    publisher.publish("t", "found").await.unwrap();
    assert_eq!(stream.next().await.unwrap().payload, "found");
    broker.shutdown().await;
}

/// Its client is refused, may try again, and nothing is left of the first attempt.
#[tokio::test(start_paused = true)]
async fn a_subscriber_that_does_not_start_refuses_one_subscription() {
    for (how, _) in ways() {
        let (broker, baseline) = scene().await;
        let (mut sub, _) = Raw::register(&broker, "sub").await;
        plan(&broker, Fault::new("Subscriber.Start", how));
        let request = sub.ask_subscribe("t").await;
        let error = sub.error().await;
        assert_eq!((error.code, error.request), (Code::Internal, Some(request)));
        eventually(&broker, "nothing is left of it", |board| board.subscriptions.is_empty()).await;
        sub.publish("t", "kept").await;
        sub.subscribe("t").await;
        assert_eq!(texts(&mut sub, 1).await, ["kept"]);
        drop(sub);
        ends_as_new(&broker, baseline).await;
    }
}

impl Raw {
    /// Reads until everything sent before is handled; a Resubscribe among it goes into `told`.
    async fn settle_until(&mut self, told: &mut Option<String>) {
        self.send(&ClientFrame::Ping(7)).await;
        loop {
            match self.next().await {
                Reply::Other(text) if text.starts_with("Resubscribe") => *told = Some(text),
                Reply::Other(text) if text.starts_with("Pong") => return,
                Reply::Closed => panic!("the session lives"),
                _ => {}
            }
        }
    }
}
