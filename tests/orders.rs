//! What an operator can do, what it costs, and what the client is told.

mod delaying;
mod draining;
mod forbidding;
mod peeking;
mod races;

use cordboard::{
    control::{Control, Order, Outcome, Precondition},
    events::{Event, SessionEnd},
    name::Epoch,
    wire::{ClientFrame, Code, RegistrationRequest},
};

use crate::fixture::{Raw, Reply, broker, broker_with, ended, eventually, order};

#[tokio::test]
async fn an_evicted_client_is_told_why_and_its_session_is_gone() {
    let broker = broker().await;
    let (mut sub, response) = Raw::register(&broker, "sub").await;
    sub.subscribe("t").await;
    let session = response.session;
    let evict = Order {
        reason: "OPS-114 stuck consumer".into(),
        precondition: Precondition { epoch: Some(Epoch(1)), loss: Some(0) },
        ..Order::new("ana", Control::EvictSession { session })
    };
    assert!(matches!(broker.order(evict.clone()).await, Outcome::Done { lost } if lost.is_nothing()));
    match sub.next().await {
        Reply::Evicted(reason) => assert_eq!(reason, "OPS-114 stuck consumer"),
        other => panic!("{other:?}"),
    }
    assert!(matches!(sub.next().await, Reply::Closed));
    let (why, _) = ended(&broker, session).await;
    assert_eq!(why, SessionEnd::Evicted { by: "ana".into(), why: "OPS-114 stuck consumer".into() });
    assert_eq!(broker.order(evict).await, Outcome::AlreadyGone);
    let mut back = Raw::connect(broker.endpoints()[0]).await;
    let mut request = RegistrationRequest::new("sub");
    request.session = Some(session);
    back.send(&ClientFrame::RegistrationRequest(request)).await;
    let error = back.error().await;
    assert_eq!(error.code, Code::Gone);
    assert!(error.reason.contains("OPS-114"), "{}", error.reason);
    broker.shutdown().await;
}

/// The operator confirmed a price; a higher one, or another connection, is not what was confirmed.
#[tokio::test]
async fn an_order_is_refused_when_the_world_has_moved_on() {
    let broker = broker().await;
    let (mut sub, response) = Raw::register(&broker, "sub").await;
    sub.subscribe("t").await;
    let session = response.session;
    drop(sub);
    eventually(&broker, "the session is detached", |board| board.broker.detached == 1).await;
    let (mut publisher, _) = Raw::register(&broker, "pub").await;
    for n in 0..102_u8 {
        publisher.publish("t", [n]).await;
    }
    let evict = |epoch, loss| Order {
        precondition: Precondition { epoch: Some(Epoch(epoch)), loss: Some(loss) },
        ..Order::new("ana", Control::EvictSession { session })
    };
    assert!(matches!(broker.order(evict(2, 500)).await, Outcome::Refused { .. }));
    assert!(matches!(broker.order(evict(1, 0)).await, Outcome::Refused { .. }));
    assert!(matches!(broker.order(evict(1, 50)).await, Outcome::Done { lost } if lost.queued == 102));
    broker.shutdown().await;
}

#[tokio::test]
async fn a_dropped_connection_leaves_its_session_to_come_back() {
    let broker = broker().await;
    let (mut raw, response) = Raw::register(&broker, "sub").await;
    let session = response.session;
    assert!(matches!(order(&broker, Control::DropConnection { session }).await, Outcome::Done { .. }));
    let error = raw.closing_error().await;
    assert_eq!(error.code, Code::Unavailable);
    assert!(error.reason.contains("operator"), "{}", error.reason);
    eventually(&broker, "the session is detached", |board| board.broker.detached == 1).await;
    assert_eq!(order(&broker, Control::DropConnection { session }).await, Outcome::AlreadyGone);
    Raw::resume(&broker, "sub", session).await;
    broker.shutdown().await;
}

/// Kill: exact subscriptions end and are told; what filter subscriptions hold stays theirs; the next publish creates it anew.
#[tokio::test]
async fn a_killed_topic_takes_its_exact_subscriptions_and_nothing_else() {
    let broker = broker().await;
    let (mut exact, _) = Raw::register(&broker, "exact").await;
    exact.subscribe("orders/eu").await;
    let (mut wide, wide_response) = Raw::register(&broker, "wide").await;
    wide.subscribe("orders/#").await;
    let (mut publisher, _) = Raw::register(&broker, "pub").await;
    publisher.publish("orders/eu", "1").await;
    assert_eq!(exact.messages(1).await[0].text(), "1");
    wide.settle().await;
    wide.reset();
    eventually(&broker, "the session is detached", |board| board.broker.detached == 1).await;
    let topic = || "orders/eu".parse().unwrap();
    assert!(matches!(order(&broker, Control::KillTopic { topic: topic() }).await, Outcome::Done { lost } if lost.queued == 1));
    match exact.next().await {
        Reply::Ended(ended) => assert_eq!(ended.code, Code::Gone),
        other => panic!("{other:?}"),
    }
    assert_eq!(order(&broker, Control::KillTopic { topic: topic() }).await, Outcome::AlreadyGone);
    publisher.publish("orders/eu", "2").await;
    let (mut wide, _) = Raw::resume(&broker, "wide", wide_response.session).await;
    let got = wide.messages(2).await;
    assert_eq!(got.iter().map(super::fixture::Got::text).collect::<Vec<_>>(), ["1", "2"]);
    let board = broker.bus().board();
    assert_eq!(board.subscriptions.len(), 1);
    assert!(board.topics[&topic()].subscribers.is_empty());
    broker.shutdown().await;
}

/// Publishing while the topic is killed again and again: each publish is answered, with success or 410, and none is lost track of.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killing_a_topic_while_it_is_published_to_gives_every_publish_an_answer() {
    let broker = broker().await;
    let (mut publisher, _) = Raw::register(&broker, "pub").await;
    let killer = tokio::spawn({
        let broker = broker.clone();
        async move {
            for _ in 0..50 {
                order(&broker, Control::KillTopic { topic: "t".parse().unwrap() }).await;
            }
        }
    });
    for n in 0..500_u32 {
        publisher.enqueue("t", n.to_be_bytes()).await;
    }
    let mut settled = 0;
    while settled < 500 {
        match publisher.next().await {
            Reply::Acked(sequence) => settled = sequence,
            Reply::Error(error) => assert_eq!(error.code, Code::Gone),
            other => panic!("{other:?}"),
        }
    }
    killer.await.unwrap();
    assert_eq!(broker.counters().unsettled, 0);
    broker.shutdown().await;
}

#[tokio::test]
async fn poison_goes_back_to_its_queue_and_a_purge_throws_it_away() {
    let broker = broker_with(|config| config.queues.max_attempts = 1).await;
    let (mut sub, response) = Raw::register(&broker, "sub").await;
    let handle = sub.subscribe("t").await;
    let (mut publisher, _) = Raw::register(&broker, "pub").await;
    publisher.publish("t", "x").await;
    let number = sub.messages(1).await[0].number;
    let what = cordboard::wire::Nack::Poison;
    sub.send(&ClientFrame::DeliverNack(cordboard::wire::DeliverNack { handle, number, what })).await;
    let poisoned = |count| move |board: &cordboard::Board| board.broker.depth.poison == count;
    eventually(&broker, "it is poison", poisoned(1)).await;
    let subscription = || cordboard::name::SubscriptionId { session: response.session, filter: "t".parse().unwrap() };
    let redeliver = Control::Redeliver { subscription: subscription() };
    assert_eq!(order(&broker, redeliver).await, Outcome::PutBack { messages: 1 });
    let again = sub.messages(1).await;
    assert!(again[0].redelivered && again[0].number > number);
    eventually(&broker, "it is no poison any more", poisoned(0)).await;
    sub.send(&ClientFrame::DeliverNack(cordboard::wire::DeliverNack { handle, number: again[0].number, what })).await;
    eventually(&broker, "it is poison again", poisoned(1)).await;
    let outcome = order(&broker, Control::Purge { subscription: subscription() }).await;
    assert!(matches!(outcome, Outcome::Done { lost } if lost.poison == 1), "{outcome:?}");
    eventually(&broker, "it is gone", poisoned(0)).await;
    broker.shutdown().await;
}

#[tokio::test]
async fn a_read_only_gate_refuses_and_every_order_is_on_record() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("audit.jsonl");
    let broker = broker_with(|config| config.audit.file = Some(file.clone())).await;
    broker.set_read_only(true);
    assert!(matches!(order(&broker, Control::Accept { on: false }).await, Outcome::Refused { .. }));
    broker.set_read_only(false);
    assert!(matches!(order(&broker, Control::Accept { on: false }).await, Outcome::Done { .. }));
    let mut refused = Raw::connect(broker.endpoints()[0]).await;
    assert_eq!(refused.closing_error().await.code, Code::Unavailable);
    assert!(matches!(order(&broker, Control::Accept { on: true }).await, Outcome::Done { .. }));
    let records = std::fs::read_to_string(&file).unwrap();
    let outcomes: Vec<_> = records
        .lines()
        .map(|line| serde_json::from_str::<cordboard::control::OrderRecord>(line).unwrap())
        .map(|record| matches!(record.outcome, Outcome::Done { .. }))
        .collect();
    assert_eq!(outcomes, [false, true, true]);
    let mut follower = broker.bus().follow_from_start();
    let told = follower.take(usize::MAX).events.iter().filter(|stamped| matches!(stamped.event, Event::Order(_))).count();
    assert_eq!(told, 3);
    broker.shutdown().await;
}

/// Whoever reads the file next week, or the lines of several processes, must find who was hit, when, and what became of it.
#[tokio::test]
async fn the_audit_names_whom_an_order_hit() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("audit.jsonl");
    let broker = broker_with(|config| config.audit.file = Some(file.clone())).await;
    let (_client, response) = Raw::register(&broker, "billing-7").await;
    let delayed = Order { delay_ms: 1, ..Order::new("ana", Control::EvictSession { session: response.session }) };
    assert!(matches!(broker.order(delayed).await, Outcome::Done { .. }));
    let lines: Vec<serde_json::Value> =
        std::fs::read_to_string(&file).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let stages: Vec<_> = lines.iter().map(|line| line["stage"].as_str().unwrap()).collect();
    assert_eq!(stages, ["asked", "intent", "ended"]);
    for line in &lines {
        assert_eq!((&line["about"]["client"], &line["operator"]), (&"billing-7".into(), &"ana".into()), "{line}");
        assert_eq!((line["number"].as_u64(), line["pid"].as_u64()), (Some(1), Some(std::process::id().into())));
        humantime::parse_rfc3339(line["time"].as_str().unwrap()).unwrap();
    }
    broker.shutdown().await;
}

/// The end of the broker is an order like any other: refused in read-only mode, priced, recorded.
#[tokio::test]
async fn a_shutdown_is_an_order_that_leaves_a_record() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("audit.jsonl");
    let broker = broker_with(|config| config.audit.file = Some(file.clone())).await;
    let (mut raw, _) = Raw::register(&broker, "c").await;
    raw.publish("to/nobody", "x").await;
    broker.set_read_only(true);
    assert!(matches!(order(&broker, Control::Shutdown).await, Outcome::Refused { .. }));
    broker.set_read_only(false);
    let outcome = order(&broker, Control::Shutdown).await;
    assert!(matches!(outcome, Outcome::Done { lost } if lost.backlog == 1), "{outcome}");
    assert!(broker.stopped().await);
    assert_eq!(raw.closing_error().await.code, Code::Unavailable);
    let records = std::fs::read_to_string(&file).unwrap();
    let kinds: Vec<_> = records.lines().map(|line| line.contains("\"intent\"")).collect();
    assert_eq!(kinds, [false, true, false], "refused, then the intent, then how it ended");
    assert!(matches!(order(&broker, Control::Shutdown).await, Outcome::Refused { .. }));
}

/// What a shutdown costs is counted when it begins, not when it was last sampled; the record's figures are of the moment, too.
#[tokio::test]
async fn a_shutdown_is_refused_when_more_would_be_lost_than_was_seen() {
    let broker = broker().await;
    let (mut away, response) = Raw::register(&broker, "away").await;
    away.subscribe("t").await;
    drop(away);
    eventually(&broker, "the session is detached", |board| board.broker.detached == 1).await;
    let (mut publisher, _) = Raw::register(&broker, "pub").await;
    for n in 0..60_u8 {
        publisher.publish("t", [n]).await;
        publisher.publish("nobody", [n]).await;
    }
    let shutdown = |loss| Order { precondition: Precondition { epoch: None, loss }, ..Order::new("ana", Control::Shutdown) };
    let outcome = broker.order(shutdown(Some(18))).await;
    assert!(matches!(&outcome, Outcome::Refused { why } if why.starts_with("120 messages")), "{outcome}");
    let evict = Order::new("ana", Control::EvictSession { session: response.session });
    assert!(matches!(broker.order(evict).await, Outcome::Done { lost } if lost.queued == 60));
    assert!(matches!(broker.order(shutdown(Some(0))).await, Outcome::Done { lost } if lost.backlog == 60));
    let news = broker.bus().follow_from_start().take(usize::MAX).events;
    let counted: Vec<_> = news
        .iter()
        .filter_map(|stamped| match &stamped.event {
            Event::Order(record) => Some(record.queued),
            _ => None,
        })
        .collect();
    assert_eq!(counted[1..], [(60, 0), (0, 0)]);
}

/// Who is over the bound is who ends: nobody else pays for it.
#[tokio::test]
async fn one_session_too_many_to_be_detached_ends_itself() {
    let broker = broker_with(|config| config.sessions.max_detached = 1).await;
    let (first, first_response) = Raw::register(&broker, "first").await;
    drop(first);
    eventually(&broker, "the session is detached", |board| board.broker.detached == 1).await;
    let (second, second_response) = Raw::register(&broker, "second").await;
    drop(second);
    assert_eq!(ended(&broker, second_response.session).await.0, SessionEnd::NoRoom);
    Raw::resume(&broker, "first", first_response.session).await;
    broker.shutdown().await;
}

/// An order that destroys leaves a trace, or is not carried out.
#[tokio::test]
async fn what_cannot_be_recorded_is_not_destroyed() {
    let broker = broker_with(|config| config.audit.file = Some("/dev/null/no/such/file".into())).await;
    let (_raw, response) = Raw::register(&broker, "c").await;
    let outcome = order(&broker, Control::EvictSession { session: response.session }).await;
    assert!(matches!(&outcome, Outcome::Refused { why } if why.contains("audit")), "{outcome:?}");
    assert!(matches!(order(&broker, Control::DropConnection { session: response.session }).await, Outcome::Done { .. }));
    broker.shutdown().await;
}

/// An evict and a resume at the same moment: either the session lives, attached, or it is gone; never in between.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn evicting_while_resuming_ends_in_a_definite_answer() {
    let broker = broker().await;
    for _ in 0..50 {
        let (raw, response) = Raw::register(&broker, "c").await;
        raw.reset();
        let evict = order(&broker, Control::EvictSession { session: response.session });
        let resume = async {
            let mut raw = Raw::connect(broker.endpoints()[0]).await;
            let mut request = RegistrationRequest::new("c");
            request.session = Some(response.session);
            raw.send(&ClientFrame::RegistrationRequest(request)).await;
            match raw.next().await {
                Reply::Response(_) => assert!(matches!(raw.next().await, Reply::Evicted(_))),
                Reply::Error(error) => assert_eq!(error.code, Code::Gone),
                Reply::Evicted(_) => {}
                other => panic!("{other:?}"),
            }
        };
        let (outcome, ()) = tokio::join!(evict, resume);
        assert!(matches!(outcome, Outcome::Done { .. }), "{outcome:?}");
    }
    eventually(&broker, "all sessions are gone", |board| board.sessions.is_empty() && board.broker.detached == 0).await;
    broker.shutdown().await;
}

/// An order that finds nothing to do must not leave a subscription waiting for a word that was never sent.
#[tokio::test(start_paused = true)]
async fn a_subscription_without_poison_goes_on_after_a_redeliver() {
    let broker = broker().await;
    let (mut client, response) = Raw::register(&broker, "c").await;
    client.subscribe("t").await;
    let subscription = cordboard::name::SubscriptionId { session: response.session, filter: "t".parse().unwrap() };
    assert_eq!(order(&broker, Control::Redeliver { subscription }).await, Outcome::AlreadyGone);
    client.enqueue("t", "still there").await;
    assert_eq!(client.messages(1).await[0].text(), "still there");
    broker.shutdown().await;
}
