//! A manager fails: all four are started anew, clients are told 503 and come back, and what that cost is counted; too often, and
//! the broker stops in order.

use std::time::Duration;

use cordboard::{
    Client, Handle,
    client::ClientEvent,
    control::{Control, Outcome},
    events::{Event, Lost},
    faults::{Fault, How},
    wire::Code,
};

use super::{all_struck, broker, broker_of, ends_as_new, goodbye, is_as_new, plan, refused, scene, subscriber, told, ways};
use crate::fixture::{Raw, Reply, eventually, eventually_true, order};

const MANAGERS: [&str; 4] = ["TopicManager", "SubscriberManager", "SessionManager", "ListenerManager"];

/// What the first restart cost.
async fn cost(broker: &Handle) -> Lost {
    told(broker, "the managers were restarted", |event| match event {
        Event::ManagersRestarted { lost, .. } => Some(*lost),
        _ => None,
    })
    .await
}

/// Whichever it is and however it fails: clients are told, queues are counted to the last message, and nothing is left over.
#[tokio::test(start_paused = true)]
async fn a_manager_that_fails_restarts_all_four() {
    for manager in MANAGERS {
        for (how, words) in ways() {
            let (broker, baseline) = scene().await;
            let (mut sub, response) = Raw::register(&broker, "sub").await;
            sub.subscribe("queued").await;
            let (mut publisher, _) = Raw::register(&broker, "pub").await;
            // Not one of these has been sampled when it happens.
            for topic in ["queued", "queued", "kept", "kept", "kept"] {
                publisher.publish(topic, "x").await;
            }
            plan(&broker, Fault::new(&format!("{manager}.Tick"), how));
            for raw in [&mut sub, &mut publisher] {
                assert_eq!(goodbye(raw).await, Code::Unavailable, "{manager}");
            }
            let lost = cost(&broker).await;
            assert_eq!((lost.queued, lost.backlog), (2, 3), "{manager}");
            assert_eq!(broker.counters().dropped, 5);
            let failure = broker.bus().board().broker.last_failure.unwrap().why;
            assert!(failure.starts_with(&format!("{manager} {words} Tick")), "{failure}");
            assert_eq!(refused(&broker, response.session).await.0, Code::NotFound);
            drop((sub, publisher));
            is_as_new(&broker, baseline).await;
            assert!(broker.shutdown().await.is_nothing());
        }
    }
}

/// In the middle of a deed, over a client's request or the end of a child: each is the end of the same four.
#[tokio::test(start_paused = true)]
async fn it_does_not_matter_what_a_manager_fails_in() {
    for place in [
        "TopicManager.Find",
        "SubscriberManager.Create",
        "SubscriberManager.Unsubscribe",
        "SessionManager.ConnectionGone",
        "SessionManager.attaching",
        "ListenerManager.Supervision",
    ] {
        let (broker, baseline) = scene().await;
        let (mut sub, response) = Raw::register(&broker, "sub").await;
        plan(&broker, Fault::new(place, How::Panic));
        sub.ask_subscribe("t").await;
        if place == "SubscriberManager.Unsubscribe" {
            assert!(matches!(sub.next().await, Reply::Subscribed(_)));
            let (request, filter) = (9, "t".into());
            sub.send(&cordboard::wire::ClientFrame::UnsubscribeRequest(cordboard::wire::UnsubscribeRequest { request, filter }))
                .await;
        } else if place.starts_with("Session") || place.starts_with("Listener") {
            let mut second = Raw::connect(broker.endpoints()[0]).await;
            let request = cordboard::wire::RegistrationRequest {
                session: Some(response.session),
                ..cordboard::wire::RegistrationRequest::new("sub")
            };
            second.send(&cordboard::wire::ClientFrame::RegistrationRequest(request)).await;
            drop(second);
        }
        cost(&broker).await;
        drop(sub);
        ends_as_new(&broker, baseline).await;
    }
}

/// Clients of the library come back by themselves, register anew, and their streams go on.
#[tokio::test]
async fn clients_come_back_by_themselves() {
    let broker = broker().await;
    let address = broker.endpoints()[0].to_string();
    let (subscriber, publisher) = (Client::connect(&address).await.unwrap(), Client::connect(&address).await.unwrap());
    let mut stream = subscriber.subscribe("t").await.unwrap();
    let mut events = subscriber.events();
    let before = subscriber.session();
    plan(&broker, Fault::new("SessionManager.Tick", How::Panic));
    let mut resubscribed = false;
    while !resubscribed {
        match events.next().await.unwrap() {
            ClientEvent::SessionLost(lost) => assert_eq!((lost.session, lost.code), (before, Code::NotFound)),
            ClientEvent::Resubscribed { .. } => resubscribed = true,
            _ => {}
        }
    }
    publisher.publish("t", "again").await.unwrap();
    assert_eq!(stream.next().await.unwrap().payload, "again");
    assert_ne!(subscriber.session(), before);
    broker.shutdown().await;
}

/// Restarts are bounded: the one too many is an end, in order, that says what it cost and that it was not asked for.
#[tokio::test(start_paused = true)]
async fn managers_that_fail_too_often_stop_the_broker() {
    for (how, _) in ways() {
        let broker = broker_of(|config| config.failures.manager_window = Duration::from_hours(1)).await;
        plan(&broker, Fault::new("TopicManager.Tick", how.clone()).times(3));
        eventually(&broker, "they were restarted three times", |board| board.broker.restarts == 3).await;
        let (mut raw, _) = Raw::register(&broker, "c").await;
        raw.publish("kept", "x").await;
        plan(&broker, Fault::new("TopicManager.Tick", how));
        assert_eq!(goodbye(&mut raw).await, Code::Unavailable);
        assert!(!broker.stopped().await);
        let row = broker.bus().board().broker;
        assert!(row.stopped && row.failed.unwrap().starts_with("managers failed 4 times, the last time TopicManager "));
        let lost = told(&broker, "it stopped", |event| match event {
            Event::Stopped { lost, .. } => Some(lost.backlog),
            _ => None,
        });
        assert_eq!(lost.await, 1);
        assert!(tokio::net::TcpStream::connect(broker.endpoints()[0]).await.is_err(), "nobody listens any more");
        eventually_true("all actors have ended", || broker.counters().actors == 0).await;
    }
}

/// One that does not even start again has failed again, and does not take the broker with it at once.
#[tokio::test(start_paused = true)]
async fn a_manager_that_does_not_start_is_tried_again() {
    for (how, _) in ways() {
        let (broker, baseline) = scene().await;
        plan(&broker, Fault::new("TopicManager.Tick", How::Panic));
        plan(&broker, Fault::new("SessionManager.Start", how));
        eventually(&broker, "it was tried twice", |board| board.broker.restarts == 2).await;
        ends_as_new(&broker, baseline).await;
    }
}

#[tokio::test(start_paused = true)]
async fn two_failures_at_once_are_one_restart_each_at_the_most() {
    let (broker, baseline) = scene().await;
    let (mut raw, _) = subscriber(&broker, "c").await;
    for place in ["TopicManager.Tick", "SessionManager.Tick", "Subscriber.Ready", "Topic.Publish"] {
        plan(&broker, Fault::new(place, How::Panic));
    }
    raw.enqueue("t", "x").await;
    assert_eq!(goodbye(&mut raw).await, Code::Unavailable);
    eventually(&broker, "they were restarted", |board| (1..=2).contains(&board.broker.restarts)).await;
    drop(raw);
    // Whoever ended before it could fail is served another time.
    let (mut raw, _) = subscriber(&broker, "c").await;
    for _ in 0..2 {
        raw.enqueue("t", "x").await;
    }
    drop(raw);
    all_struck(&broker).await;
    ends_as_new(&broker, baseline).await;
}

/// Whoever was to carry it out is gone: that is an answer, and it does not take long.
#[tokio::test(start_paused = true)]
async fn an_order_that_a_manager_fails_with_is_answered() {
    for (how, _) in ways() {
        let (broker, baseline) = scene().await;
        let (mut raw, response) = Raw::register(&broker, "c").await;
        raw.publish("t", "x").await;
        let session = response.session;
        let subscription = cordboard::name::SubscriptionId { session, filter: "t".parse().unwrap() };
        for (place, control) in [
            ("SessionManager.Order", Control::EvictSession { session }),
            ("SubscriberManager.Order", Control::Purge { subscription }),
            ("TopicManager.Order", Control::KillTopic { topic: "t".parse().unwrap() }),
        ] {
            plan(&broker, Fault::new(place, how.clone()));
            assert_eq!(order(&broker, control).await, Outcome::Unknown, "{place}");
        }
        eventually(&broker, "they were restarted", |board| board.broker.restarts == 3).await;
        ends_as_new(&broker, baseline).await;
    }
}

/// An orderly end stays one although those who should help fail over it, and it says what was lost.
#[tokio::test(start_paused = true)]
async fn a_shutdown_is_orderly_although_managers_fail_in_it() {
    for place in ["ListenerManager.SayGoodbye", "SubscriberManager.Close", "TopicManager.Close"] {
        for (how, _) in ways() {
            let broker = broker().await;
            let (_sub, _) = subscriber(&broker, "sub").await;
            let (mut raw, _) = Raw::register(&broker, "pub").await;
            raw.publish("t", "queued").await;
            raw.publish("kept", "x").await;
            plan(&broker, Fault::new(place, how));
            let lost = broker.shutdown().await;
            assert_eq!((lost.queued, lost.backlog), (1, 1), "{place}");
            assert!(broker.stopped().await);
            assert_eq!(goodbye(&mut raw).await, Code::Unavailable);
            eventually_true("all actors have ended", || broker.counters().actors == 0).await;
        }
    }
}
