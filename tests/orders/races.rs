//! Orders that meet what flows, or each other: every one ends in a definite answer, and so does every client's request. Each
//! race is run many times, on one thread and on two.

use std::{future::Future, time::Duration};

use cordboard::{
    Handle,
    board::Attachment,
    control::{Control, Outcome},
    name::{SessionId, SubscriptionId, TopicName},
    wire::{ClientFrame, Code, DeliverNack, Nack, RegistrationRequest},
};

use crate::fixture::{Raw, Reply, baseline::Baseline, broker, broker_with, ended, eventually, let_pass, order};

const ROUNDS: usize = 40;

/// Runs a race on both runtimes.
fn on_both<F: Future<Output = ()>>(race: fn() -> F) {
    let one = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    one.block_on(race());
    let two = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    two.block_on(race());
}

fn topic() -> TopicName {
    "t".parse().unwrap()
}

fn subscription(session: SessionId) -> SubscriptionId {
    SubscriptionId { session, filter: "t".parse().unwrap() }
}

fn is_done(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::Done { .. } | Outcome::PutBack { .. })
}

/// Exactly one of two equal orders is carried out; the other finds it gone.
#[track_caller]
fn one_of(two: &(Outcome, Outcome), what: &str) {
    let done = [&two.0, &two.1].into_iter().filter(|outcome| is_done(outcome)).count();
    let gone = [&two.0, &two.1].into_iter().filter(|outcome| **outcome == Outcome::AlreadyGone).count();
    assert_eq!((done, gone), (1, 1), "{what}: {two:?}");
}

#[test]
fn of_two_equal_orders_one_is_carried_out() {
    on_both(|| async {
        let broker = broker().await;
        for _ in 0..ROUNDS {
            let (sub, response) = Raw::register(&broker, "sub").await;
            let session = response.session;
            let twice = |control: Control| {
                let broker = &broker;
                async move { tokio::join!(order(broker, control.clone()), order(broker, control)) }
            };
            one_of(&twice(Control::DropConnection { session }).await, "drop");
            drop(sub);
            eventually(&broker, "it is detached", |board| board.broker.detached == 1).await;
            one_of(&twice(Control::HoldSession { session }).await, "hold");
            one_of(&twice(Control::EvictSession { session }).await, "evict");
            let (mut publisher, _) = Raw::register(&broker, "pub").await;
            publisher.publish("t", "x").await;
            one_of(&twice(Control::KillTopic { topic: topic() }).await, "kill");
            one_of(&twice(Control::ForbidTopic { topic: topic() }).await, "forbid");
            one_of(&twice(Control::AllowTopic { topic: topic() }).await, "allow");
            publisher.disconnect(true).await;
            eventually(&broker, "all are gone", |board| board.sessions.is_empty()).await;
        }
        broker.shutdown().await;
    });
}

/// Publishing while the topic is killed, forbidden and allowed: each publish succeeds, or fails with a reason that is true.
#[test]
fn publishing_while_a_topic_is_killed_forbidden_and_allowed() {
    on_both(|| async {
        let broker = broker().await;
        let (mut publisher, _) = Raw::register(&broker, "pub").await;
        let operator = tokio::spawn({
            let broker = broker.clone();
            async move {
                for _ in 0..ROUNDS {
                    let (kill, forbid) = tokio::join!(
                        order(&broker, Control::KillTopic { topic: topic() }),
                        order(&broker, Control::ForbidTopic { topic: topic() }),
                    );
                    assert!(is_done(&forbid) && (is_done(&kill) || kill == Outcome::AlreadyGone), "{kill} {forbid}");
                    assert!(is_done(&order(&broker, Control::AllowTopic { topic: topic() }).await));
                }
            }
        });
        for n in 0..1_000_u32 {
            publisher.enqueue("t", n.to_be_bytes()).await;
        }
        let mut settled = 0;
        while settled < 1_000 {
            match publisher.next().await {
                Reply::Acked(sequence) => settled = sequence,
                Reply::Error(error) => assert!(matches!(error.code, Code::Gone | Code::Forbidden), "{error:?}"),
                other => panic!("{other:?}"),
            }
        }
        operator.await.unwrap();
        publisher.publish("t", "anew").await;
        assert_eq!(broker.counters().unsettled, 0);
        broker.shutdown().await;
    });
}

/// Subscribing while the topic is forbidden and allowed: each request has one answer, and no subscription outlives a ban.
#[test]
fn subscribing_while_a_topic_is_forbidden() {
    on_both(|| async {
        let broker = broker().await;
        let (mut raw, _) = Raw::register(&broker, "sub").await;
        for round in 0..ROUNDS {
            let (request, outcome) =
                tokio::join!(raw.ask_subscribe("t"), order(&broker, Control::ForbidTopic { topic: topic() }));
            assert!(is_done(&outcome), "{outcome}");
            match raw.next().await {
                Reply::Subscribed(ack) => {
                    assert_eq!(ack.request, request);
                    match raw.next().await {
                        Reply::Ended(ended) => assert_eq!(ended.code, Code::Forbidden, "round {round}"),
                        other => panic!("{other:?} in round {round}"),
                    }
                }
                Reply::Error(error) => {
                    assert_eq!(error.request, Some(request), "round {round}");
                    assert!(matches!(error.code, Code::Gone | Code::Forbidden), "{error:?}");
                }
                other => panic!("{other:?} in round {round}"),
            }
            let board = broker.bus().board();
            assert!(board.subscriptions.is_empty() && board.topics.is_empty(), "round {round}: {board:?}");
            assert!(is_done(&order(&broker, Control::AllowTopic { topic: topic() }).await));
        }
        broker.shutdown().await;
    });
}

/// An order to a subscription that is just ending is carried out, or finds it gone: never no answer.
#[test]
fn purging_and_redelivering_while_a_subscription_ends_or_drains() {
    on_both(|| async {
        let broker = broker_with(|config| config.queues.max_attempts = 1).await;
        let (mut publisher, _) = Raw::register(&broker, "pub").await;
        for round in 0..ROUNDS {
            let (mut sub, response) = Raw::register(&broker, "sub").await;
            let session = response.session;
            let handle = sub.subscribe("t").await;
            publisher.publish("t", "poison").await;
            let number = sub.messages(1).await[0].number;
            sub.send(&ClientFrame::DeliverNack(DeliverNack { handle, number, what: Nack::Poison })).await;
            sub.settle().await;
            sub.reset();
            eventually(&broker, "it is parked", |board| board.broker.detached == 1).await;
            for n in 0..20_u8 {
                publisher.publish("t", [n]).await;
            }
            // The subscriber empties its queue, or ends, while it is told.
            let ends = round % 2 == 0;
            let client = async {
                let (mut sub, _) = Raw::resume(&broker, "sub", session).await;
                if ends {
                    sub.disconnect(true).await;
                } else {
                    sub.settle().await;
                }
            };
            let (redeliver, purge, ()) = tokio::join!(
                order(&broker, Control::Redeliver { subscription: subscription(session) }),
                order(&broker, Control::Purge { subscription: subscription(session) }),
                client,
            );
            for outcome in [&redeliver, &purge] {
                assert!(is_done(outcome) || *outcome == Outcome::AlreadyGone, "{outcome:?} in round {round}");
            }
            if !ends {
                order(&broker, Control::EvictSession { session }).await;
            }
            ended(&broker, session).await;
        }
        broker.shutdown().await;
    });
}

/// Evict, hold and resume a session at once: it is held or evicted, attached or told 410, and nothing is left of it.
#[test]
fn evicting_holding_and_resuming_at_once() {
    on_both(|| async {
        let broker = broker().await;
        let baseline = Baseline::of(&broker);
        for round in 0..ROUNDS {
            let (raw, response) = Raw::register(&broker, "c").await;
            let session = response.session;
            raw.reset();
            let resume = async {
                let mut raw = Raw::connect(broker.endpoints()[0]).await;
                let request = RegistrationRequest { session: Some(session), ..RegistrationRequest::new("c") };
                raw.send(&ClientFrame::RegistrationRequest(request)).await;
                match raw.next().await {
                    Reply::Response(_) => assert!(matches!(raw.next().await, Reply::Evicted(_)), "round {round}"),
                    Reply::Error(error) => assert_eq!(error.code, Code::Gone, "round {round}"),
                    Reply::Evicted(_) => {}
                    other => panic!("{other:?} in round {round}"),
                }
            };
            let (hold, evict, ()) = tokio::join!(
                order(&broker, Control::HoldSession { session }),
                order(&broker, Control::EvictSession { session }),
                resume,
            );
            assert_ne!(hold, Outcome::Unknown, "round {round}");
            assert!(is_done(&evict), "{evict} in round {round}");
        }
        baseline.returns(&broker).await;
        broker.shutdown().await;
    });
}

/// At the very tick at which the reclaim timer fires, a hold or an evict comes before it or after it, and says which.
#[tokio::test(start_paused = true)]
async fn an_order_at_the_tick_the_timer_fires_is_before_it_or_after_it() {
    for early_ms in [2, 1, 0] {
        for what in ["hold", "extend", "evict"] {
            let broker = broker_with(|config| config.sessions.reclaim_after = Duration::from_secs(10)).await;
            let (raw, response) = Raw::register(&broker, "c").await;
            let session = response.session;
            raw.reset();
            eventually(&broker, "the session is detached", |board| board.broker.detached == 1).await;
            let board = broker.bus().board();
            let Attachment::Detached { deadline, .. } = board.sessions[&session].attachment else { panic!("it is detached") };
            let left = broker.bus().clock().now().up.until(deadline.up);
            let_pass(left.saturating_sub(Duration::from_millis(early_ms))).await;
            let control = match what {
                "hold" => Control::HoldSession { session },
                "extend" => Control::ExtendSession { session, by_ms: 60_000 },
                _ => Control::EvictSession { session },
            };
            let outcome = order(&broker, control).await;
            let_pass(Duration::from_secs(1)).await;
            let lives = broker.bus().board().sessions.contains_key(&session);
            assert!(is_done(&outcome) || outcome == Outcome::AlreadyGone, "{outcome} of {what}, {early_ms} ms early");
            assert_eq!(lives, is_done(&outcome) && what != "evict", "{outcome} of {what}, {early_ms} ms early");
            broker.shutdown().await;
        }
    }
}

/// A topic that is being forgotten is killed, or gone, or alive again: asked at the second at which it is swept.
#[tokio::test(start_paused = true)]
async fn killing_and_forbidding_a_topic_while_it_is_forgotten() {
    let broker = broker_with(|config| {
        config.topics.idle_after = Duration::from_secs(5);
        config.topics.backlog_life = Duration::from_millis(1);
    })
    .await;
    let (mut publisher, _) = Raw::register(&broker, "pub").await;
    for round in 0..ROUNDS as u64 {
        publisher.publish("t", "x").await;
        let_pass(Duration::from_millis(6_900 + round * 10)).await;
        let (kill, forbid, sequence) = tokio::join!(
            order(&broker, Control::KillTopic { topic: topic() }),
            order(&broker, Control::ForbidTopic { topic: topic() }),
            publisher.enqueue("t", "y"),
        );
        assert!(is_done(&kill) || kill == Outcome::AlreadyGone, "{kill} in round {round}");
        assert!(is_done(&forbid), "{forbid} in round {round}");
        loop {
            match publisher.next().await {
                Reply::Acked(settled) if settled == sequence => break,
                Reply::Acked(_) => {}
                Reply::Error(error) => assert!(matches!(error.code, Code::Gone | Code::Forbidden), "{error:?}"),
                other => panic!("{other:?} in round {round}"),
            }
        }
        eventually(&broker, "nothing is left of it", |board| board.topics.is_empty()).await;
        assert!(is_done(&order(&broker, Control::AllowTopic { topic: topic() }).await));
    }
    broker.shutdown().await;
}

/// Every kind of order.
fn every_order(session: SessionId) -> Vec<Control> {
    let subscription = || subscription(session);
    vec![
        Control::DropConnection { session },
        Control::HoldSession { session },
        Control::ExtendSession { session, by_ms: 1 },
        Control::PeekQueue { subscription: subscription(), most: 1 },
        Control::PeekBacklog { topic: topic(), most: 1 },
        Control::Purge { subscription: subscription() },
        Control::Redeliver { subscription: subscription() },
        Control::KillTopic { topic: topic() },
        Control::ForbidTopic { topic: topic() },
        Control::AllowTopic { topic: topic() },
        Control::ForbidPrincipal { principal: "ana".parse().unwrap() },
        Control::AllowPrincipal { principal: "ana".parse().unwrap() },
        Control::EvictSession { session },
        Control::Accept { on: false },
        Control::Accept { on: true },
        Control::Drain,
        Control::Cancel { number: 1 },
    ]
}

async fn all_at_once(broker: &Handle, session: SessionId) -> Vec<Outcome> {
    let given = every_order(session).into_iter().map(|control| {
        let broker = broker.clone();
        tokio::spawn(async move { order(&broker, control).await })
    });
    let mut outcomes = Vec::new();
    for order in given.collect::<Vec<_>>() {
        outcomes.push(order.await.unwrap());
    }
    outcomes
}

/// Every order at once, while the broker shuts down, and again after: none is left without an answer.
#[test]
fn orders_around_a_shutdown_are_all_answered() {
    on_both(|| async {
        for _ in 0..10 {
            let broker = broker().await;
            let (mut raw, response) = Raw::register(&broker, "c").await;
            raw.subscribe("t").await;
            let sequence = raw.enqueue("t", "x").await;
            while !matches!(raw.next().await, Reply::Acked(settled) if settled == sequence) {}
            let (outcomes, lost) = tokio::join!(all_at_once(&broker, response.session), broker.shutdown());
            assert!(lost.messages() <= 1);
            // Whoever was being asked when it ended cannot tell; nobody waits for ever, and the broker ended in order.
            assert_eq!(outcomes.len(), every_order(response.session).len());
            assert!(broker.stopped().await);
            for outcome in all_at_once(&broker, response.session).await {
                assert!(matches!(outcome, Outcome::Refused { .. } | Outcome::AlreadyGone), "{outcome}");
            }
        }
    });
}

/// Every order on every object at once, many times: no hang, no contradiction, and afterwards nothing is left (I5).
#[test]
fn every_order_at_once_leaves_nothing_behind() {
    on_both(|| async {
        let broker = broker().await;
        let baseline = Baseline::of(&broker);
        // Each round has a drain, whose goodbyes take their second.
        for round in 0..ROUNDS / 4 {
            let (mut raw, response) = Raw::register(&broker, "c").await;
            raw.subscribe("t").await;
            let sequence = raw.enqueue("t", "x").await;
            while !matches!(raw.next().await, Reply::Acked(settled) if settled == sequence) {}
            for outcome in all_at_once(&broker, response.session).await {
                assert_ne!(outcome, Outcome::Unknown, "round {round}");
            }
            for control in [
                Control::Accept { on: true },
                Control::AllowTopic { topic: topic() },
                Control::AllowPrincipal { principal: "ana".parse().unwrap() },
            ] {
                assert_ne!(order(&broker, control).await, Outcome::Unknown, "round {round}");
            }
            assert!(broker.bus().board().forbidden.is_empty() && broker.bus().board().broker.accepting, "round {round}");
        }
        baseline.returns(&broker).await;
        broker.shutdown().await;
    });
}
