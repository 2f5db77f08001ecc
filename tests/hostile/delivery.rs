//! Section C: publishers that vanish before their answer, subscribers that choke, crash, or do not read at all.

use std::time::{Duration, Instant};

use cordboard::{
    control::Control,
    events::{CloseReason, DropReason, Event},
    name::{SubscriptionHandle, SubscriptionId},
    wire::{ClientFrame, Code, DeliverNack, Headers, Nack, Publish, RegistrationRequest, headers_from},
};

use super::Scene;
use crate::fixture::{Raw, Reply, baseline::order, eventually, eventually_true, publish};

/// The outcome of a publish that failed is told again, as a failure, to who repeats it.
#[tokio::test]
async fn a_repeated_failure_is_told_as_a_failure() {
    let scene = Scene::set().await;
    let (mut raw, _) = Raw::register(&scene.broker, "again").await;
    for _ in 0..2 {
        raw.sequence = 0;
        raw.enqueue("ba//d", "x").await;
        let error = raw.error().await;
        assert_eq!((error.code, error.sequence), (Code::Malformed, Some(1)));
        raw.acked(1).await;
    }
    scene.end().await;
}

/// A repeat of what is pending is answered once, with it: an acknowledgement of nothing is no answer.
#[tokio::test]
async fn a_repeat_before_its_outcome_is_answered_with_it() {
    let scene = Scene::set().await;
    for round in 0..20 {
        let (mut raw, _) = Raw::register(&scene.broker, "eager").await;
        let (mut bytes, topic) = (Vec::new(), format!("eager/{round}"));
        for sequence in [1, 1, 2, 1, 2, 2] {
            publish(sequence, &topic, b"x").encode(&mut bytes);
        }
        raw.send_bytes(&bytes).await;
        let mut last = 0;
        while last < 2 {
            match raw.next().await {
                Reply::Acked(sequence) => {
                    assert!(sequence >= last.max(1), "{sequence} after {last}");
                    last = sequence;
                }
                other => panic!("{other:?}"),
            }
        }
        raw.disconnect(true).await;
    }
    scene.end().await;
}

/// After `again`, what was under way comes unmarked, and then the Deliver that says where the return starts; also if what was
/// given back is put aside by this very attempt, and if nothing is left but what is published later.
#[tokio::test]
async fn a_client_is_told_where_what_it_gave_back_starts() {
    let mut scene = Scene::set().await;
    let (mut raw, _) = Raw::register(&scene.broker, "giver").await;
    let handle = raw.subscribe("back").await;
    for text in ["a", "b"] {
        scene.canary.publish("back", text).await;
    }
    let got = raw.messages(2).await;
    assert!(got.iter().all(|message| !message.returns));
    let again = |number| ClientFrame::DeliverNack(DeliverNack { handle, number, what: Nack::Again });
    for _ in 1..5 {
        raw.send(&again(2)).await;
        let got = raw.messages(1).await;
        assert_eq!((got[0].number, got[0].redelivered, got[0].returns), (2, true, true));
        // The writer tells the queue that it was written after the client has it: only then does the attempt count.
        raw.settle().await;
    }
    raw.send(&again(2)).await;
    scene.canary.publish("back", "c").await;
    let got = raw.messages(1).await;
    assert_eq!((got[0].number, got[0].redelivered, got[0].returns), (3, false, true));
    raw.ack(handle, 3).await;
    scene.canary.publish("back", "d").await;
    let got = raw.messages(1).await;
    assert_eq!((got[0].number, got[0].returns), (4, false));
    scene.end().await;
}

/// Who publishes and is gone before the answer has published all the same.
#[tokio::test]
async fn a_publisher_that_is_gone_before_its_answer_has_published() {
    let mut scene = Scene::set().await;
    let (mut sub, _) = Raw::register(&scene.broker, "sub").await;
    sub.subscribe("last/words").await;
    for n in 0..20 {
        let (mut publisher, _) = Raw::register(&scene.broker, "pub").await;
        let before = scene.broker.counters().published;
        publisher.enqueue("last/words", n.to_string()).await;
        if n % 2 == 0 {
            drop(publisher);
        } else {
            eventually_true("it is accepted", || scene.broker.counters().published > before).await;
            publisher.reset();
        }
        assert_eq!(sub.messages(1).await[0].text(), n.to_string());
    }
    scene.canary_sings().await;
    scene.end().await;
}

/// Who does not read is bounded, closed as stalled, and nobody else's problem.
#[tokio::test]
async fn a_reader_that_does_not_read_is_closed_and_costs_a_bounded_queue() {
    const QUEUE: u64 = 16 << 20;
    let mut scene = Scene::set_with(|config| {
        config.connections.stall_after = Duration::from_millis(300);
        config.queues.hold_publisher = Duration::from_millis(50);
        config.queues.max_bytes = QUEUE as usize;
        // More than the system's own buffers take in.
        config.queues.window_bytes = QUEUE as usize;
    })
    .await;
    let mut follower = scene.broker.bus().follow().1;
    let (mut reader, response) = Raw::register(&scene.broker, "stuck").await;
    socket2::SockRef::from(&reader.socket).set_recv_buffer_size(4 << 10).unwrap();
    reader.subscribe("flood").await;
    let (mut publisher, _) = Raw::register(&scene.broker, "flood").await;
    let payload = vec![0; 256 << 10];
    for n in 0..256 {
        publisher.publish("flood", &payload).await;
        if n % 32 == 0 {
            scene.canary_sings().await;
        }
    }
    eventually(&scene.broker, "it is detached", |board| !board.sessions[&response.session].is_attached()).await;
    eventually(&scene.broker, "what is held is at the queue's bound", |board| {
        let id = SubscriptionId { session: response.session, filter: "flood".parse().unwrap() };
        let held = board.broker.sample.held_bytes;
        board.subscriptions[&id].depth.dropped > 0 && held > 0 && held < QUEUE + (QUEUE >> 3)
    })
    .await;
    let events = follower.take(usize::MAX).events;
    assert!(events.iter().any(|it| matches!(it.event, Event::ListenerClosed { why: CloseReason::Stalled, .. })));
    assert!(events.iter().any(|it| matches!(it.event, Event::SubscriptionOverflowed { why: DropReason::QueueFull, .. })));
    scene.end().await;
}

/// A connection's budget that is too small for the next message is waited for, whether or not the client acknowledges.
#[tokio::test]
async fn what_found_no_room_in_the_connection_comes_when_there_is_some() {
    let mut scene = Scene::set_with(|config| {
        (config.connections.max_frame_bytes, config.connections.outbound_bytes) = (64 << 10, 64 << 10);
    })
    .await;
    let (mut sub, _) = Raw::register(&scene.broker, "batches").await;
    sub.subscribe("large").await;
    let payload = vec![0; 40 << 10];
    let mut bytes = Vec::new();
    for _ in 0..8 {
        scene.canary.sequence += 1;
        publish(scene.canary.sequence, "large", &payload).encode(&mut bytes);
    }
    scene.canary.send_bytes(&bytes).await;
    scene.canary.acked(8).await;
    assert_eq!(sub.messages(8).await.len(), 8);
    scene.end().await;
}

/// A message that its subscriber crashes on is put aside after its last attempt, and the queue behind it flows.
#[tokio::test]
async fn a_message_that_kills_its_reader_is_put_aside() {
    let mut scene = Scene::set_with(|config| config.queues.max_attempts = 3).await;
    let (mut raw, response) = Raw::register(&scene.broker, "fragile").await;
    raw.subscribe("food").await;
    for text in ["poison", "bread"] {
        scene.canary.publish("food", text).await;
    }
    for attempt in 0..3 {
        let got = raw.messages(1).await;
        assert_eq!((got[0].text().as_str(), got[0].redelivered), ("poison", attempt > 0));
        raw.reset();
        eventually(&scene.broker, "it is gone", |board| !board.sessions[&response.session].is_attached()).await;
        raw = Raw::resume(&scene.broker, "fragile", response.session).await.0;
    }
    let got = raw.messages(1).await;
    assert_eq!((got[0].text().as_str(), got[0].number), ("bread", 2));
    let id = SubscriptionId { session: response.session, filter: "food".parse().unwrap() };
    eventually(&scene.broker, "it is counted", |board| board.subscriptions[&id].depth.poison == 1).await;
    order(&scene.broker, Control::Redeliver { subscription: id }).await;
    let got = raw.messages(1).await;
    assert_eq!((got[0].text().as_str(), got[0].number, got[0].redelivered), ("poison", 3, true));
    scene.end().await;
}

/// Poison is bounded, the oldest goes first, and each loss is counted.
#[tokio::test]
async fn poison_beyond_its_bound_is_dropped_and_counted() {
    let mut scene = Scene::set_with(|config| config.queues.max_poison = 2).await;
    let (mut raw, response) = Raw::register(&scene.broker, "picky").await;
    let handle = raw.subscribe("food").await;
    for text in ["1", "2", "3", "4", "5"] {
        scene.canary.publish("food", text).await;
    }
    raw.messages(5).await;
    for number in [1, 3, 4, 2] {
        raw.send(&ClientFrame::DeliverNack(DeliverNack { handle, number, what: Nack::Poison })).await;
    }
    let id = SubscriptionId { session: response.session, filter: "food".parse().unwrap() };
    eventually(&scene.broker, "two are kept and two were dropped", |board| {
        let depth = board.subscriptions[&id].depth;
        (depth.poison, depth.dropped, depth.in_flight) == (2, 2, 1)
    })
    .await;
    order(&scene.broker, Control::Redeliver { subscription: id }).await;
    let got: Vec<_> = raw.messages(2).await.iter().map(|message| (message.text(), message.redelivered)).collect();
    assert_eq!(got, [("4".into(), true), ("2".into(), true)]);
    scene.end().await;
}

/// What has expired is not delivered, in a queue or in a backlog, and counted.
#[tokio::test]
async fn what_has_expired_is_counted_and_not_delivered() {
    let scene = Scene::set_with(|config| config.topics.backlog_life = Duration::from_millis(50)).await;
    let (mut sub, response) = Raw::register(&scene.broker, "late").await;
    sub.subscribe("news").await;
    sub.reset();
    eventually(&scene.broker, "it is away", |board| !board.sessions[&response.session].is_attached()).await;
    let (mut publisher, _) = Raw::register(&scene.broker, "pub").await;
    let headers = headers_from([(Headers::TTL_MS, "1")]).unwrap();
    let headers = Headers::from_bytes(&headers).unwrap();
    publisher.sequence = 1;
    publisher.send(&ClientFrame::Publish(Publish { sequence: 1, topic: b"news", headers, payload: b"stale" })).await;
    publisher.acked(1).await;
    let accepted = Instant::now();
    publisher.publish("news", "fresh").await;
    publisher.publish("nobody/listens", "waits").await;
    eventually_true("its time has passed", || accepted.elapsed() > Duration::from_millis(2)).await;
    let (mut sub, _) = Raw::resume(&scene.broker, "late", response.session).await;
    assert_eq!(sub.messages(1).await[0].text(), "fresh");
    eventually_true("both are counted", || scene.broker.counters().dropped == 2).await;
    sub.subscribe("nobody/listens").await;
    publisher.publish("nobody/listens", "new").await;
    assert_eq!(sub.messages(1).await[0].text(), "new");
    scene.end().await;
}

/// I6: acknowledgements of what never was are counted, and nothing else.
#[tokio::test]
async fn acknowledgements_of_nothing_are_counted() {
    let scene = Scene::set().await;
    let (mut raw, _) = Raw::register(&scene.broker, "liar").await;
    let handle = raw.subscribe("t").await;
    raw.ack(SubscriptionHandle(9), 1).await;
    raw.ack(handle, 1).await;
    raw.ack(handle, u64::MAX).await;
    for what in [Nack::Again, Nack::Poison] {
        for (handle, number) in [(handle, 0), (handle, 7), (handle, u64::MAX), (SubscriptionHandle(u32::MAX), 1)] {
            raw.send(&ClientFrame::DeliverNack(DeliverNack { handle, number, what })).await;
        }
    }
    raw.enqueue("t", "x").await;
    let got = raw.messages(1).await;
    assert_eq!((got[0].number, got[0].redelivered), (1, false));
    assert!(scene.broker.counters().bad_acks >= 5);
    scene.end().await;
}

/// `ack: none` settles what was written: what the client says of it is ignored, and nothing comes again.
#[tokio::test]
async fn without_acknowledgements_nothing_comes_again() {
    let mut scene = Scene::set().await;
    let request = RegistrationRequest { ack: cordboard::wire::AckMode::None, ..RegistrationRequest::new("trusting") };
    let (mut raw, response) = Raw::register_with(&scene.broker, request).await;
    let handle = raw.subscribe("t").await;
    scene.canary.publish("t", "0").await;
    assert_eq!(raw.messages(1).await[0].text(), "0");
    raw.send(&ClientFrame::DeliverNack(DeliverNack { handle, number: 1, what: Nack::Again })).await;
    raw.settle().await;
    scene.canary.publish("t", "1").await;
    let got = raw.messages(1).await;
    assert_eq!((got[0].text().as_str(), got[0].returns), ("1", false));
    eventually_true("it is settled", || scene.broker.counters().acknowledged >= 2).await;
    raw.reset();
    scene.canary.publish("t", "2").await;
    let (mut raw, _) = Raw::resume(&scene.broker, "trusting", response.session).await;
    match raw.next().await {
        Reply::Deliver(messages) => assert_eq!((messages[0].text().as_str(), messages.len()), ("2", 1)),
        other => panic!("{other:?}"),
    }
    scene.end().await;
}
