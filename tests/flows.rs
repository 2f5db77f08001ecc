//! The flows of a client's life: register, subscribe, publish, lose the connection, come back.

use cordboard::{
    name::SubscriptionHandle,
    wire::{ClientFrame, Code, Disconnect, Headers, Publish, RegistrationRequest, SubscribeRequest},
};

use crate::fixture::{PATIENCE, Raw, Reply, broker, broker_with, eventually, eventually_true, publish};

/// I1: what was published before the subscriber came, while it was here, and while it was away, reaches it in order.
#[tokio::test]
async fn a_subscriber_that_comes_back_gets_what_it_missed_and_then_what_is_new() {
    let broker = broker().await;
    let (mut billing, first) = Raw::register(&broker, "billing").await;
    let (mut shop, _) = Raw::register(&broker, "shop").await;
    let orders = billing.subscribe("orders/#").await;
    shop.publish("orders/eu", "1").await;
    let got = billing.messages(1).await;
    assert_eq!((got[0].text().as_str(), got[0].topic.as_str(), got[0].redelivered), ("1", "orders/eu", false));
    billing.ack(orders, got[0].number).await;
    billing.settle().await;
    billing.reset();
    eventually(&broker, "the session is detached", |board| board.broker.detached == 1).await;

    for missed in ["2", "3", "4"] {
        shop.publish("orders/eu", missed).await;
    }
    let (mut billing, second) = Raw::resume(&broker, "billing", first.session).await;
    assert_eq!((second.epoch.0, second.subscriptions.len()), (2, 1));
    shop.publish("orders/us", "5").await;
    let got = billing.messages(4).await;
    assert_eq!(got.iter().map(super::fixture::Got::text).collect::<Vec<_>>(), ["2", "3", "4", "5"]);
    assert!(got.iter().all(|message| !message.redelivered));
    broker.shutdown().await;
}

/// I3: what was sent and not acknowledged comes again, marked, before anything newer.
#[tokio::test]
async fn what_was_in_flight_comes_again_marked() {
    let broker = broker().await;
    let (mut sub, response) = Raw::register(&broker, "sub").await;
    let (mut publisher, _) = Raw::register(&broker, "pub").await;
    let handle = sub.subscribe("a").await;
    for text in ["1", "2", "3"] {
        publisher.publish("a", text).await;
    }
    let got = sub.messages(3).await;
    sub.ack(handle, got[0].number).await;
    sub.settle().await;
    sub.reset();
    eventually(&broker, "the session is detached", |board| board.broker.detached == 1).await;
    publisher.publish("a", "4").await;
    let (mut sub, _) = Raw::resume(&broker, "sub", response.session).await;
    let got = sub.messages(3).await;
    let told: Vec<_> = got.iter().map(|message| (message.text(), message.redelivered)).collect();
    assert_eq!(told, [("2".into(), true), ("3".into(), true), ("4".into(), false)]);
    broker.shutdown().await;
}

/// A backlog is for the first exact subscription, and goes before anything newer.
#[tokio::test]
async fn what_was_published_to_nobody_waits_for_the_first_subscriber() {
    let broker = broker().await;
    let (mut publisher, _) = Raw::register(&broker, "pub").await;
    for n in 0..10 {
        publisher.publish("early", n.to_string()).await;
    }
    let (mut sub, _) = Raw::register(&broker, "sub").await;
    sub.subscribe("early").await;
    publisher.publish("early", "10").await;
    let got = sub.messages(11).await;
    assert_eq!(
        got.iter().map(super::fixture::Got::text).collect::<Vec<_>>(),
        (0..=10).map(|n| n.to_string()).collect::<Vec<_>>()
    );
    broker.shutdown().await;
}

/// Overlapping subscriptions of one client each deliver.
#[tokio::test]
async fn each_matching_subscription_gets_each_message() {
    let broker = broker().await;
    let (mut client, _) = Raw::register(&broker, "both").await;
    let handles = [client.subscribe("a/#").await, client.subscribe("a/+").await, client.subscribe("a/b").await];
    client.enqueue("a/b", "x").await;
    let mut got: Vec<_> = client.messages(3).await.into_iter().map(|message| message.handle).collect();
    got.sort_unstable();
    assert_eq!(got, handles.map(|handle| handle.0));
    broker.shutdown().await;
}

/// I4: one live connection a session; the newcomer has it, the other is told.
#[tokio::test]
async fn a_takeover_tells_the_displaced_connection() {
    let broker = broker().await;
    let (mut old, response) = Raw::register(&broker, "twice").await;
    let handle = old.subscribe("t").await;
    let (mut new, _) = Raw::resume(&broker, "twice", response.session).await;
    assert!(matches!(old.next().await, Reply::Displaced));
    assert!(matches!(old.next().await, Reply::Closed));
    new.publish("t", "x").await;
    assert_eq!(new.messages(1).await[0].handle, handle.0);
    eventually(&broker, "one connection is left", |board| board.listeners.len() == 1).await;
    assert!(broker.bus().board().sessions[&response.session].is_attached());
    broker.shutdown().await;
}

/// A session that never was is 404, and the client may register anew on the same connection.
#[tokio::test]
async fn an_unknown_session_is_not_found_and_the_client_may_register_anew() {
    let broker = broker().await;
    let mut raw = Raw::connect(broker.endpoints()[0]).await;
    let mut request = RegistrationRequest::new("stranger");
    request.session = Some("00112233445566778899aabbccddeeff".parse().unwrap());
    raw.send(&ClientFrame::RegistrationRequest(request.clone())).await;
    assert_eq!(raw.error().await.code, Code::NotFound);
    request.session = None;
    raw.send(&ClientFrame::RegistrationRequest(request)).await;
    assert!(!raw.response().await.resumed);
    broker.shutdown().await;
}

/// An ended session is gone, with the reason and the time.
#[tokio::test]
async fn an_ended_session_is_gone_with_its_reason() {
    let broker = broker().await;
    let (raw, response) = Raw::register(&broker, "short").await;
    raw.disconnect(true).await;
    eventually(&broker, "the session has ended", |board| board.sessions.is_empty()).await;
    let mut raw = Raw::connect(broker.endpoints()[0]).await;
    let mut request = RegistrationRequest::new("short");
    request.session = Some(response.session);
    raw.send(&ClientFrame::RegistrationRequest(request)).await;
    let error = raw.error().await;
    assert_eq!(error.code, Code::Gone);
    assert!(error.reason.contains("ended by its client"), "{}", error.reason);
    assert!(error.at_ms.is_some());
    broker.shutdown().await;
}

/// A publish that comes again is answered again and not enqueued again.
#[tokio::test]
async fn a_repeated_publish_is_answered_once_more_and_delivered_once() {
    let broker = broker().await;
    let (mut sub, _) = Raw::register(&broker, "sub").await;
    sub.subscribe("once").await;
    let (mut publisher, response) = Raw::register(&broker, "pub").await;
    for text in ["1", "2", "3"] {
        publisher.publish("once", text).await;
    }
    publisher.reset();
    let (mut publisher, resumed) = Raw::resume(&broker, "pub", response.session).await;
    assert_eq!(resumed.settled, 3);
    publisher.sequence = 1;
    for text in ["2", "3", "4"] {
        publisher.enqueue("once", text).await;
    }
    publisher.acked(4).await;
    let got = sub.messages(4).await;
    assert_eq!(got.iter().map(super::fixture::Got::text).collect::<Vec<_>>(), ["1", "2", "3", "4"]);
    assert_eq!(broker.counters().repeats, 2);
    broker.shutdown().await;
}

/// Whatever a client sends before its goodbye is done before its session ends, and nothing after it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn publishes_before_a_goodbye_are_answered_before_it_and_nothing_behind_it_is_done() {
    let broker = broker().await;
    let (mut sub, _) = Raw::register(&broker, "sub").await;
    sub.subscribe("bye/#").await;
    for round in 0..20_u32 {
        for end in [true, false] {
            let (mut raw, response) = Raw::register(&broker, "leaver").await;
            let mut bytes = Vec::new();
            let topic = format!("bye/{round}/{end}");
            for sequence in 1..=10 {
                publish(sequence, &topic, b"before").encode(&mut bytes);
            }
            ClientFrame::Disconnect(Disconnect { end }).encode(&mut bytes);
            publish(11, &topic, b"behind").encode(&mut bytes);
            raw.send_bytes(&bytes).await;
            raw.acked(10).await;
            assert!(matches!(raw.next().await, Reply::Closed));
            let got = sub.messages(10).await;
            sub.ack(SubscriptionHandle(1), got[9].number).await;
            assert!(got.iter().all(|message| message.topic == topic && message.payload == b"before"));
            let gone = |board: &cordboard::Board| board.sessions.contains_key(&response.session) != end;
            eventually(&broker, "the session has ended, or not", gone).await;
        }
    }
    assert_eq!(broker.counters().published, 400);
    broker.shutdown().await;
}

/// A gap in the sequence would hide a loss: 400, and the connection is closed.
#[tokio::test]
async fn a_gap_in_the_publish_sequence_closes_the_connection() {
    let broker = broker().await;
    let (mut raw, _) = Raw::register(&broker, "gap").await;
    let mut bytes = Vec::new();
    for sequence in [2, 1] {
        let frame = Publish { sequence, topic: b"a", headers: Headers::NONE, payload: b"x" };
        ClientFrame::Publish(frame).encode(&mut bytes);
    }
    raw.send_bytes(&bytes).await;
    assert_eq!(raw.closing_error().await.code, Code::Malformed);
    // What stood behind it was not taken either, however right it would have been.
    let (mut after, _) = Raw::register(&broker, "after").await;
    after.subscribe("a").await;
    assert_eq!(after.publish_and_get("a", "y").await.text(), "y");
    broker.shutdown().await;
}

/// A bad topic fails alone: its neighbours are delivered, and the failure comes before the acknowledgement.
#[tokio::test]
async fn a_publish_to_a_bad_topic_fails_alone() {
    let broker = broker().await;
    let (mut raw, _) = Raw::register(&broker, "typo").await;
    raw.subscribe("good").await;
    let mut bytes = Vec::new();
    for (sequence, topic) in [(1, "good"), (2, "ba//d"), (3, "good")] {
        let frame = Publish { sequence, topic: topic.as_bytes(), headers: Headers::NONE, payload: b"x" };
        ClientFrame::Publish(frame).encode(&mut bytes);
    }
    raw.send_bytes(&bytes).await;
    let (mut seen, mut delivered) = (Vec::new(), 0);
    while seen.len() < 2 || delivered < 2 {
        match raw.next().await {
            Reply::Error(error) => seen.push(format!("{} {:?}", error.code, error.sequence)),
            Reply::Acked(sequence) => seen.push(format!("acked {sequence}")),
            Reply::Deliver(messages) => delivered += messages.len(),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(seen, ["400 Some(2)", "acked 3"]);
    broker.shutdown().await;
}

/// Unsubscribing twice, subscribing twice: each is answered, neither does harm.
#[tokio::test]
async fn requests_on_one_filter_are_handled_one_after_another() {
    let broker = broker().await;
    let (mut raw, _) = Raw::register(&broker, "again").await;
    for _ in 0..2 {
        raw.ask_subscribe("f").await;
    }
    let mut acks = Vec::new();
    for _ in 0..2 {
        match raw.next().await {
            Reply::Subscribed(ack) => acks.push((ack.handle, ack.existing)),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(acks[0].0, acks[1].0);
    assert_eq!((acks[0].1, acks[1].1), (false, true));
    broker.shutdown().await;
}

/// Nothing is left when all clients are gone and the broker has stopped.
#[tokio::test]
async fn a_shutdown_tells_every_client_and_counts_what_is_lost() {
    let broker = broker().await;
    let (mut raw, _) = Raw::register(&broker, "last").await;
    raw.publish("to/nobody", "lost").await;
    let handle = broker.clone();
    let shutdown = tokio::spawn(async move { handle.shutdown().await });
    assert_eq!(raw.closing_error().await.code, Code::Unavailable);
    let lost = shutdown.await.unwrap();
    assert_eq!((lost.backlog, lost.queued), (1, 0));
    assert!(broker.stopped().await);
    let counters = broker.counters();
    assert_eq!((counters.actors, counters.tasks, counters.unsettled), (0, 0, 0));
}

/// A wish outside its bounds is granted as far as they go, and the answer says how far; a subscription that is there keeps what
/// it was granted.
#[tokio::test]
async fn what_is_granted_is_told() {
    let broker = broker().await;
    let wishes = RegistrationRequest { keep_alive_ms: Some(1), reclaim_ms: Some(u64::MAX), ..RegistrationRequest::new("wishes") };
    let (mut raw, response) = Raw::register_with(&broker, wishes).await;
    assert_eq!((response.keep_alive_ms, response.reclaim_ms), (500, 86_400_000));
    assert_eq!(response.server, format!("cordboard/{}", env!("CARGO_PKG_VERSION")));
    for (filter, wish, granted, existing) in [
        ("a", None, 30_000, false),
        ("b", Some(1), 100, false),
        ("c", Some(u64::MAX), 86_400_000, false),
        ("b", Some(5_000), 100, true),
    ] {
        let request = SubscribeRequest { request: 1, filter: filter.to_owned(), ack_timeout_ms: wish, group: None };
        raw.send(&ClientFrame::SubscribeRequest(request)).await;
        match raw.next().await {
            Reply::Subscribed(ack) => assert_eq!((ack.ack_timeout_ms, ack.existing), (granted, existing), "{filter}"),
            other => panic!("{other:?}"),
        }
    }
    broker.shutdown().await;
}

/// A process that resumes another one's session goes on behind all that was taken: nothing new passes for a repeat (I1).
#[tokio::test]
async fn a_new_process_publishes_behind_what_another_has_sent() {
    let broker = broker_with(|config| {
        (config.queues.max_messages, config.queues.window_messages) = (2, 1);
        config.queues.hold_publisher = PATIENCE;
    })
    .await;
    let (mut sub, _) = Raw::register(&broker, "slow").await;
    let handle = sub.subscribe("t").await;
    let (mut first, registered) = Raw::register(&broker, "first").await;
    first.publish("t", "1").await;
    first.publish("t", "2").await;
    first.enqueue("t", "held").await;
    eventually_true("it is in the queue", || broker.counters().published == 3).await;
    let (mut second, response) = Raw::resume(&broker, "second", registered.session).await;
    assert_eq!((response.settled, response.taken), (2, Some(3)));
    let sequence = second.enqueue("t", "new").await;
    for text in ["1", "2", "held", "new"] {
        let got = sub.messages(1).await.remove(0);
        assert_eq!(got.text(), text);
        sub.ack(handle, got.number).await;
    }
    second.acked(sequence).await;
    broker.shutdown().await;
}
