//! The last moment of a reclaim timer: a client that comes back within a millisecond of it has everything or nothing.

use std::{cell::RefCell, rc::Rc, sync::Arc, time::Duration};

use cordboard::{
    Broker, Config, Handle, Platform,
    board::Attachment,
    entropy::OsEntropy,
    events::{Event, SessionEnd},
    name::SessionId,
    wire::{ClientFrame, Code, RegistrationRequest, SubscribeRequest},
};
use tokio::time;
use turmoil::Sim;

use super::net::{Line, Port};
use crate::{
    fixture::{Reply, let_pass, publish},
    limits::user,
};

const TICK: Duration = Duration::from_millis(1);
const RECLAIM: Duration = Duration::from_secs(3);
const MESSAGES: u64 = 20;
/// How long anything may take here.
const LONG: Duration = Duration::from_secs(10);

/// Where the broker leaves its handle for the client that looks over its shoulder.
type Desk = Rc<RefCell<Option<Handle>>>;

fn world(config: Config, desk: &Desk) -> Sim<'static> {
    let mut sim = turmoil::Builder::new()
        .rng_seed(1)
        .tick_duration(TICK)
        .min_message_latency(TICK)
        .max_message_latency(TICK)
        .simulation_duration(Duration::from_mins(1))
        .build();
    let desk = Rc::clone(desk);
    sim.host("broker", move || {
        let (config, desk) = (config.clone(), Rc::clone(&desk));
        async move {
            let platform = Platform { endpoints: vec![Arc::new(Port::open().await?)], entropy: Arc::new(OsEntropy) };
            let broker = Broker::start_on(config, platform).await?;
            *desk.borrow_mut() = Some(broker.clone());
            broker.stopped().await;
            Ok(())
        }
    });
    sim
}

async fn hear(line: &mut Line) -> Reply {
    line.hear(LONG).await.expect("the broker answers")
}

async fn register(line: &mut Line, request: RegistrationRequest) -> Reply {
    assert!(line.send(&[ClientFrame::RegistrationRequest(request)]).await);
    hear(line).await
}

/// A session with a subscription, left behind with messages in it. Its id.
async fn leaves_messages_behind() -> SessionId {
    let (mut sub, mut publisher) = (Line::connect().await.unwrap(), Line::connect().await.unwrap());
    let Reply::Response(response) = register(&mut sub, RegistrationRequest::new("sub")).await else { panic!("not registered") };
    let subscribe = SubscribeRequest { request: 1, filter: "t".into(), ack_timeout_ms: None, group: None };
    assert!(sub.send(&[ClientFrame::SubscribeRequest(subscribe)]).await);
    assert!(matches!(hear(&mut sub).await, Reply::Subscribed(_)));
    assert!(matches!(register(&mut publisher, RegistrationRequest::new("pub")).await, Reply::Response(_)));
    drop(sub);
    for sequence in 1..=MESSAGES {
        assert!(publisher.send(&[publish(sequence, "t", &sequence.to_be_bytes())]).await);
    }
    while !matches!(hear(&mut publisher).await, Reply::Acked(MESSAGES)) {}
    response.session
}

/// Asks for the session `early` milliseconds before its time. How many milliseconds before it the broker gave it back, or
/// none if it did not.
async fn comes_back(broker: &Handle, early: u64) -> Option<u64> {
    let session = leaves_messages_behind().await;
    let Attachment::Detached { deadline, .. } = broker.bus().board().sessions[&session].attachment else { panic!("attached") };
    let mut line = Line::connect().await.unwrap();
    let left = broker.bus().clock().now().up.until(deadline.up);
    let_pass(left.saturating_sub(Duration::from_millis(early))).await;
    let request = RegistrationRequest { session: Some(session), ..RegistrationRequest::new("sub") };
    let resumed = match register(&mut line, request).await {
        Reply::Response(response) => {
            assert!(response.resumed);
            let mut got = Vec::new();
            while got.len() < MESSAGES as usize {
                if let Reply::Deliver(messages) = hear(&mut line).await {
                    got.extend(messages.into_iter().map(|message| u64::from_be_bytes(message.payload.try_into().unwrap())));
                }
            }
            assert!(got.into_iter().eq(1..=MESSAGES), "all of it, in order");
            true
        }
        Reply::Error(error) => {
            assert_eq!(error.code, Code::Gone);
            false
        }
        other => panic!("{other:?}"),
    };
    let events = broker.bus().follow_from_start().take(usize::MAX).events;
    let at = events.iter().find_map(|stamped| match &stamped.event {
        Event::SessionAttached { id, .. } if *id == session => Some((stamped.at.up, true)),
        Event::SessionEnded { id, why: SessionEnd::Reclaimed, lost } if *id == session => {
            assert_eq!((lost.queued, stamped.at.up), (MESSAGES, deadline.up), "reclaimed in time, with all it held");
            Some((stamped.at.up, false))
        }
        _ => None,
    });
    let (at, attached) = at.expect("it ended one way or the other");
    assert_eq!(resumed, attached, "what the client hears is what happened");
    resumed.then(|| at.until(deadline.up).as_millis() as u64)
}

/// Whatever happens in between, there is one moment up to which a session is there, and it is its deadline.
#[test]
fn a_session_is_there_to_the_last_millisecond_and_not_beyond() {
    let mut left = Vec::new();
    for early in (0..8).rev() {
        let desk = Desk::default();
        let mut config = Config::default();
        config.sessions.reclaim_after = RECLAIM;
        let mut sim = world(config, &desk);
        let outcome = Rc::new(RefCell::new(None));
        sim.client("client", {
            let outcome = Rc::clone(&outcome);
            async move {
                let broker = desk.borrow().clone().expect("the broker has started");
                *outcome.borrow_mut() = Some(comes_back(&broker, early).await);
                Ok(())
            }
        });
        sim.run().unwrap();
        left.push(outcome.borrow().expect("the client has finished"));
    }
    let resumed = left.iter().take_while(|left| left.is_some()).count();
    assert!(left[resumed..].iter().all(Option::is_none), "resumed after it was gone: {left:?}");
    assert!(resumed > 0 && resumed < left.len(), "both ways: {left:?}");
    assert!(left[resumed - 1].is_some_and(|left| left <= 1), "gone before its time: {left:?}");
}

/// Passwords are hashed on threads that the paused clock does not know: it waits for them, and nobody is too slow.
#[test]
fn a_password_is_checked_while_the_clock_stands_still() {
    let config = Config { users: vec![user("ada")], ..Config::default() };
    let mut sim = world(config, &Desk::default());
    sim.client("client", async {
        let mut request = RegistrationRequest::new("client");
        (request.user, request.password) = (Some("ada".into()), Some("ada".to_owned().into()));
        let mut line = Line::connect().await.unwrap();
        let from = time::Instant::now();
        assert!(matches!(register(&mut line, request).await, Reply::Response(_)));
        assert!(from.elapsed() < Duration::from_secs(1), "{:?}", from.elapsed());
        Ok(())
    });
    sim.run().unwrap();
}
