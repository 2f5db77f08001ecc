//! A listener, its reader or its writer fails: its client is told 500 and closed, its session waits for it with everything.

use cordboard::{
    board::Attachment,
    control::Control,
    events::{CloseReason, Event},
    faults::Fault,
    name::{ListenerId, SessionId},
    wire::Code,
};

use super::{all_struck, ends_as_new, goodbye, plan, scene, subscriber, told, ways};
use crate::fixture::{Raw, Reply, eventually, order};

fn listener_of(broker: &cordboard::Handle, session: SessionId) -> ListenerId {
    match broker.bus().board().sessions[&session].attachment {
        Attachment::Attached { listener, .. } => listener,
        Attachment::Detached { .. } => panic!("it is attached"),
    }
}

#[tokio::test(start_paused = true)]
async fn the_client_of_a_listener_that_fails_comes_back_to_everything() {
    for (how, _) in ways() {
        let (broker, baseline) = scene().await;
        let (mut sub, response) = subscriber(&broker, "sub").await;
        let (mut publisher, _) = Raw::register(&broker, "pub").await;
        publisher.publish("t", "one").await;
        sub.messages(1).await;
        // The one thing that a registered listener is told while its client is well.
        let listener = listener_of(&broker, response.session);
        plan(&broker, Fault::new("Listener.Close", how).of(listener));
        order(&broker, Control::DropConnection { session: response.session }).await;
        assert_eq!(goodbye(&mut sub).await, Code::Internal);
        let why = told(&broker, "it closed", |event| match event {
            Event::ListenerClosed { id, why } if *id == listener => Some(*why),
            _ => None,
        });
        assert_eq!(why.await, CloseReason::Failed);
        eventually(&broker, "its session is detached", |board| board.broker.detached == 1).await;
        publisher.publish("t", "two").await;
        let (mut back, _) = Raw::resume(&broker, "sub", response.session).await;
        let got: Vec<_> = back.messages(2).await.iter().map(|got| (got.text(), got.redelivered)).collect();
        assert_eq!(got, [("one".to_owned(), true), ("two".to_owned(), false)]);
        drop((back, publisher));
        ends_as_new(&broker, baseline).await;
    }
}

/// Nobody but the one who came then feels it, and no task is left behind.
#[tokio::test(start_paused = true)]
async fn a_listener_that_does_not_start_costs_one_client_its_connection() {
    for place in ["Listener.Start", "Listener.Started"] {
        for (how, _) in ways() {
            let (broker, baseline) = scene().await;
            let (mut other, _) = Raw::register(&broker, "other").await;
            plan(&broker, Fault::new(place, how));
            let mut unlucky = Raw::connect(broker.endpoints()[0]).await;
            match unlucky.next().await {
                Reply::Closed => assert_eq!(place, "Listener.Start"),
                Reply::Error(error) => assert_eq!((place, error.code), ("Listener.Started", Code::Internal)),
                other => panic!("{other:?}"),
            }
            other.publish("t", "x").await;
            drop((other, unlucky));
            ends_as_new(&broker, baseline).await;
        }
    }
}

/// What the reader has passed on is settled once, although its client asks for it again.
#[tokio::test(start_paused = true)]
async fn a_publisher_comes_back_from_a_reader_that_failed() {
    for (how, _) in ways() {
        let (broker, baseline) = scene().await;
        let (mut sub, _) = subscriber(&broker, "sub").await;
        let (mut publisher, response) = Raw::register(&broker, "pub").await;
        let listener = listener_of(&broker, response.session);
        plan(&broker, Fault::new("Reader.Decode", how).of(listener));
        publisher.enqueue("t", "one").await;
        assert!(matches!(goodbye_or_closed(&mut publisher).await, Some(Code::Internal) | None));
        eventually(&broker, "its session is detached", |board| board.broker.detached == 1).await;
        let (mut back, _) = Raw::resume(&broker, "pub", response.session).await;
        back.sequence = 0;
        for text in ["one", "two"] {
            back.publish("t", text).await;
        }
        assert_eq!(super::texts(&mut sub, 2).await, ["one", "two"]);
        assert_eq!(broker.counters().repeats, 1);
        drop((sub, back));
        ends_as_new(&broker, baseline).await;
    }
}

/// Written and not known to be written: it comes again, marked.
#[tokio::test(start_paused = true)]
async fn a_subscriber_comes_back_from_a_writer_that_failed() {
    for (how, _) in ways() {
        let (broker, baseline) = scene().await;
        let (mut sub, response) = subscriber(&broker, "sub").await;
        let (mut publisher, _) = Raw::register(&broker, "pub").await;
        plan(&broker, Fault::new("Writer.Write", how).of(listener_of(&broker, response.session)));
        publisher.publish("t", "one").await;
        assert_eq!(super::texts(&mut sub, 1).await, ["one"]);
        // Whoever cannot be written to cannot be told.
        assert_eq!(goodbye_or_closed(&mut sub).await, None);
        all_struck(&broker).await;
        eventually(&broker, "its session is detached", |board| board.broker.detached == 1).await;
        let (mut back, _) = Raw::resume(&broker, "sub", response.session).await;
        let again = back.messages(1).await.remove(0);
        assert_eq!((again.text().as_str(), again.redelivered), ("one", true));
        drop((back, publisher));
        ends_as_new(&broker, baseline).await;
    }
}

/// The code of the goodbye, if one is said.
async fn goodbye_or_closed(raw: &mut Raw) -> Option<Code> {
    loop {
        match raw.next().await {
            Reply::Error(error) => return Some(error.code),
            Reply::Closed => return None,
            _ => {}
        }
    }
}
