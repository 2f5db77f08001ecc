//! A session fails: its client is told 500, its subscribers end, its id is remembered, and no other session feels it.

use cordboard::{
    control::{Control, Outcome},
    events::{Event, SessionEnd},
    faults::Fault,
    wire::{ClientFrame, Code, RegistrationRequest},
};

use super::{ends_as_new, goodbye, plan, refused, scene, subscriber, texts, told, ways};
use crate::fixture::{Raw, Reply, ended, eventually, order};

#[tokio::test(start_paused = true)]
async fn a_session_that_fails_takes_nobody_with_it() {
    for (how, words) in ways() {
        let (broker, baseline) = scene().await;
        let (mut bad, response) = subscriber(&broker, "bad").await;
        let (mut good, _) = subscriber(&broker, "good").await;
        plan(&broker, Fault::new("Session.Chunk", how).of(response.session));
        bad.enqueue("t", "never").await;
        assert_eq!(goodbye(&mut bad).await, Code::Internal);
        let (why, _) = ended(&broker, response.session).await;
        assert!(matches!(&why, SessionEnd::Failed { why } if why.starts_with(&format!("{words} Chunk"))), "{why:?}");
        assert_eq!(refused(&broker, response.session).await, (Code::Gone, "the session failed".to_owned()));
        eventually(&broker, "its subscriber has ended", |board| board.subscriptions.len() == 1).await;
        good.publish("t", "still").await;
        assert_eq!(texts(&mut good, 1).await, ["still"]);
        drop((good, bad));
        ends_as_new(&broker, baseline).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_session_that_does_not_start_is_one_clients_misfortune() {
    for place in ["Session.Start", "Session.Started"] {
        for (how, _) in ways() {
            let (broker, baseline) = scene().await;
            let (mut other, _) = Raw::register(&broker, "other").await;
            plan(&broker, Fault::new(place, how));
            let mut unlucky = Raw::connect(broker.endpoints()[0]).await;
            unlucky.send(&ClientFrame::RegistrationRequest(RegistrationRequest::new("unlucky"))).await;
            assert_eq!(unlucky.closing_error().await.code, Code::Internal);
            other.publish("t", "x").await;
            assert_eq!(broker.bus().board().broker.restarts, 0);
            drop(other);
            ends_as_new(&broker, baseline).await;
        }
    }
}

/// Neither the connection that came nor the one that was there is left to wait for a session that is gone.
#[tokio::test(start_paused = true)]
async fn a_session_that_fails_in_a_takeover_leaves_no_connection() {
    for (how, _) in ways() {
        let (broker, baseline) = scene().await;
        let (mut before, response) = Raw::register(&broker, "c").await;
        plan(&broker, Fault::new("Session.Attach", how));
        let mut after = Raw::connect(broker.endpoints()[0]).await;
        let request = RegistrationRequest { session: Some(response.session), ..RegistrationRequest::new("c") };
        after.send(&ClientFrame::RegistrationRequest(request)).await;
        for raw in [&mut before, &mut after] {
            assert!(matches!(goodbye(raw).await, Code::Internal | Code::TooSlow));
        }
        ends_as_new(&broker, baseline).await;
    }
}

/// The order is carried out by whoever is left, and its client is told what it was told to be told.
#[tokio::test(start_paused = true)]
async fn an_eviction_is_answered_although_its_session_fails() {
    for (how, _) in ways() {
        let (broker, baseline) = scene().await;
        let (mut sub, response) = subscriber(&broker, "sub").await;
        let (mut publisher, _) = Raw::register(&broker, "pub").await;
        publisher.publish("t", "one").await;
        texts(&mut sub, 1).await;
        plan(&broker, Fault::new("Session.End", how).of(response.session));
        let outcome = order(&broker, Control::EvictSession { session: response.session }).await;
        assert!(matches!(outcome, Outcome::Done { lost } if lost.queued == 1), "{outcome:?}");
        assert!(matches!(sub.next().await, Reply::Evicted(_)));
        told(&broker, "it was evicted", |event| match event {
            Event::SessionEnded { why: SessionEnd::Evicted { .. }, .. } => Some(()),
            _ => None,
        })
        .await;
        drop((sub, publisher));
        ends_as_new(&broker, baseline).await;
    }
}
