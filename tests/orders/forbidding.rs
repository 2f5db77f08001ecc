//! What is forbidden stays so until it is allowed: topics, and who may register.

use cordboard::{
    control::{Control, Order, Outcome, Precondition},
    events::{Event, SessionEnd},
    name::{Principal, TopicName},
    wire::{ClientFrame, Code, RegistrationRequest},
};

use crate::{
    fixture::{Got, Raw, Reply, broker, broker_with, ended, eventually, order},
    limits::{of_user, user},
};

fn forbid(topic: &str) -> Control {
    Control::ForbidTopic { topic: topic.parse().unwrap() }
}

fn allow(topic: &str) -> Control {
    Control::AllowTopic { topic: topic.parse().unwrap() }
}

fn done(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::Done { .. })
}

/// Kill, then 403: to publishers, to exact subscribers, and nothing comes through filters; what those hold stays theirs.
#[tokio::test]
async fn a_forbidden_topic_is_killed_and_refused_until_it_is_allowed() {
    let broker = broker().await;
    let (mut exact, _) = Raw::register(&broker, "exact").await;
    exact.subscribe("orders/eu").await;
    let (mut wide, _) = Raw::register(&broker, "wide").await;
    wide.subscribe("orders/#").await;
    let (mut publisher, _) = Raw::register(&broker, "pub").await;
    publisher.publish("orders/eu", "before").await;
    exact.messages(1).await;
    let because = Order { reason: "OPS-7".into(), ..Order::new("ana", forbid("orders/eu")) };
    assert!(matches!(broker.order(because).await, Outcome::Done { lost } if lost.queued == 1));
    match exact.next().await {
        Reply::Ended(ended) => {
            assert_eq!((ended.code, ended.lost), (Code::Forbidden, 1));
            assert!(ended.reason.contains("OPS-7"), "{}", ended.reason);
        }
        other => panic!("{other:?}"),
    }
    let sequence = publisher.enqueue("orders/eu", "refused").await;
    let error = publisher.error().await;
    assert_eq!(error.code, Code::Forbidden);
    assert!(error.reason.contains("operator") && error.reason.contains("OPS-7"), "{}", error.reason);
    publisher.acked(sequence).await;
    publisher.publish("orders/us", "another topic").await;
    let request = exact.ask_subscribe("orders/eu").await;
    let error = exact.error().await;
    assert_eq!((error.request, error.code), (Some(request), Code::Forbidden));
    let board = broker.bus().board();
    let ban = &board.forbidden.topics[&"orders/eu".parse::<TopicName>().unwrap()];
    assert_eq!((ban.by.as_str(), ban.why.as_str()), ("ana", "OPS-7"));
    assert_eq!(order(&broker, forbid("orders/eu")).await, Outcome::AlreadyGone);
    assert!(done(&order(&broker, allow("orders/eu")).await));
    assert_eq!(order(&broker, allow("orders/eu")).await, Outcome::AlreadyGone);
    publisher.publish("orders/eu", "after").await;
    let got = wide.messages(3).await;
    assert_eq!(got.iter().map(Got::text).collect::<Vec<_>>(), ["before", "another topic", "after"]);
    exact.subscribe("orders/eu").await;
    assert!(broker.bus().board().forbidden.is_empty());
    broker.shutdown().await;
}

/// What need not exist: a name is forbidden before anyone has used it.
#[tokio::test]
async fn a_topic_is_forbidden_before_it_exists() {
    let broker = broker().await;
    assert_eq!(order(&broker, forbid("t")).await, Outcome::Done { lost: cordboard::events::Lost::default() });
    let (mut raw, _) = Raw::register(&broker, "c").await;
    raw.enqueue("t", "x").await;
    assert_eq!(raw.error().await.code, Code::Forbidden);
    assert!(!broker.bus().board().topics.contains_key(&"t".parse::<TopicName>().unwrap()));
    let told = |event: &Event| matches!(event, Event::RightRefused { action: cordboard::events::Action::Publish, .. });
    let news = broker.bus().follow_from_start().take(usize::MAX);
    assert!(news.events.iter().any(|stamped| told(&stamped.event)), "a refusal is told");
    broker.shutdown().await;
}

/// The sessions of one user go, with what they hold, and it cannot register, whatever it tries; nobody else is touched.
#[tokio::test]
async fn a_forbidden_user_is_evicted_and_refused_and_nobody_else_is() {
    let broker = broker_with(|config| config.users = vec![user("ana"), user("bob")]).await;
    let (mut first, one) = Raw::register_with(&broker, of_user("ana")).await;
    first.subscribe("t").await;
    let (second, two) = Raw::register_with(&broker, of_user("ana")).await;
    drop(second);
    eventually(&broker, "the session is detached", |board| board.broker.detached == 1).await;
    let (mut bob, _) = Raw::register_with(&broker, of_user("bob")).await;
    bob.publish("t", "held").await;
    first.messages(1).await;
    let principal = || "ana".parse().unwrap();
    let too_cheap = Order {
        precondition: Precondition { epoch: Some(cordboard::name::Epoch(1)), loss: None },
        ..Order::new("op", Control::ForbidPrincipal { principal: principal() })
    };
    assert!(matches!(broker.order(too_cheap).await, Outcome::Refused { .. }), "it is not about one session");
    let because = Order { reason: "OPS-8".into(), ..Order::new("op", Control::ForbidPrincipal { principal: principal() }) };
    assert!(matches!(broker.order(because).await, Outcome::Done { lost } if lost.queued == 1));
    match first.next().await {
        Reply::Evicted(reason) => assert_eq!(reason, "this user was forbidden: OPS-8"),
        other => panic!("{other:?}"),
    }
    for session in [one.session, two.session] {
        assert!(matches!(ended(&broker, session).await.0, SessionEnd::Evicted { .. }));
    }
    for session in [None, Some(one.session)] {
        let mut raw = Raw::connect(broker.endpoints()[0]).await;
        raw.send(&ClientFrame::RegistrationRequest(RegistrationRequest { session, ..of_user("ana") })).await;
        let error = raw.closing_error().await;
        assert_eq!(error.code, Code::Forbidden);
        assert!(error.reason.contains("OPS-8"), "{}", error.reason);
    }
    // Whoever does not know the password learns nothing of it.
    let mut raw = Raw::connect(broker.endpoints()[0]).await;
    let wrong = RegistrationRequest { password: Some("wrong".to_owned().into()), ..of_user("ana") };
    raw.send(&ClientFrame::RegistrationRequest(wrong)).await;
    assert_eq!(raw.closing_error().await.code, Code::Unauthorized);
    bob.publish("t", "still here").await;
    assert!(done(&order(&broker, Control::AllowPrincipal { principal: principal() }).await));
    Raw::register_with(&broker, of_user("ana")).await;
    broker.shutdown().await;
}

/// A bound that is reached is said, and forgets nothing that is forbidden already (I5).
#[tokio::test]
async fn as_much_may_be_forbidden_as_the_configuration_says() {
    let broker = broker_with(|config| config.orders.max_forbidden = 2).await;
    assert!(done(&order(&broker, forbid("a")).await));
    assert!(done(&order(&broker, Control::ForbidPrincipal { principal: "ghost".parse().unwrap() }).await));
    for control in [forbid("b"), Control::ForbidPrincipal { principal: Principal::local() }] {
        let outcome = order(&broker, control).await;
        assert!(matches!(&outcome, Outcome::Refused { why } if why.contains("orders.max_forbidden")), "{outcome}");
    }
    let hit = |event: &Event| matches!(event, Event::LimitHit { limit, .. } if limit == "orders.max_forbidden");
    assert!(broker.bus().follow_from_start().take(usize::MAX).events.iter().any(|stamped| hit(&stamped.event)));
    Raw::register(&broker, "c").await;
    assert_eq!(broker.bus().board().forbidden.len(), 2);
    broker.shutdown().await;
}

/// Whoever registers while its user is being forbidden is evicted or refused; nobody is left over, in any round.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_registers_between_the_eviction_and_the_refusal() {
    let broker = broker().await;
    let principal = Principal::local;
    for round in 0..60 {
        let register = async {
            let mut raw = Raw::connect(broker.endpoints()[0]).await;
            raw.send(&ClientFrame::RegistrationRequest(RegistrationRequest::new("c"))).await;
            match raw.next().await {
                Reply::Response(_) => assert!(matches!(raw.next().await, Reply::Evicted(_)), "round {round}"),
                Reply::Evicted(_) => {}
                Reply::Error(error) => assert_eq!(error.code, Code::Forbidden, "round {round}"),
                other => panic!("{other:?} in round {round}"),
            }
        };
        let (outcome, ()) = tokio::join!(order(&broker, Control::ForbidPrincipal { principal: principal() }), register);
        assert!(done(&outcome), "{outcome} in round {round}");
        assert!(broker.bus().board().sessions.is_empty(), "round {round}");
        assert!(done(&order(&broker, Control::AllowPrincipal { principal: principal() }).await));
    }
    broker.shutdown().await;
}
