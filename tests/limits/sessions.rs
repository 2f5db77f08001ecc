//! Limits of sessions: how many, how often they change hands, what may be asked for, and how fast.

use std::time::Duration;

use cordboard::{
    Handle,
    events::SessionEnd,
    name::SessionId,
    wire::{ClientFrame, Code, ErrorFrame, RegistrationRequest, SubscribeRequest, UnsubscribeRequest},
};

use super::{hits, is_told, of_user, user, was_told};
use crate::fixture::{Raw, Reply, broker_with, ended, eventually, let_pass};

fn comes_back(session: SessionId) -> RegistrationRequest {
    RegistrationRequest { session: Some(session), ..RegistrationRequest::new("back") }
}

/// What a registration is refused with, and that the connection is closed for it.
async fn refused(broker: &Handle, request: RegistrationRequest) -> ErrorFrame {
    let mut raw = Raw::connect(broker.endpoints()[0]).await;
    raw.send(&ClientFrame::RegistrationRequest(request)).await;
    raw.closing_error().await
}

/// One user has so many sessions, connected or not; its own it may resume, and another user feels nothing.
#[tokio::test]
async fn sessions_are_bounded_by_user() {
    let broker = broker_with(|config| {
        config.users = vec![user("ana"), user("bob")];
        config.sessions.max_per_principal = 2;
    })
    .await;
    let (_one, _) = Raw::register_with(&broker, of_user("ana")).await;
    let (two, response) = Raw::register_with(&broker, of_user("ana")).await;
    drop(two);
    eventually(&broker, "the session is detached", |board| board.broker.detached == 1).await;
    let error = refused(&broker, of_user("ana")).await;
    assert_eq!(error.code, Code::TooMany);
    assert!(error.reason.contains("sessions.max_per_principal"), "{}", error.reason);
    is_told(&broker, "sessions.max_per_principal", "ana").await;
    Raw::register_with(&broker, of_user("bob")).await;
    let (two, _) = Raw::register_with(&broker, RegistrationRequest { session: Some(response.session), ..of_user("ana") }).await;
    two.disconnect(true).await;
    eventually(&broker, "there is room", |board| !board.sessions.contains_key(&response.session)).await;
    Raw::register_with(&broker, of_user("ana")).await;
    broker.shutdown().await;
}

/// Who is over a bound of detached sessions is who ends, and it learns why.
#[tokio::test]
async fn detached_sessions_are_bounded_by_user_and_in_all() {
    type Bound = fn(&mut cordboard::config::Sessions);
    let bounds: [(Bound, &str, &str, bool); 2] = [
        (|bounds| bounds.max_detached = 1, "sessions.max_detached", "broker", false),
        (|bounds| bounds.max_detached_per_principal = 1, "sessions.max_detached_per_principal", "ana", true),
    ];
    for (bound, limit, who, bob_may) in bounds {
        let broker = broker_with(|config| {
            config.users = vec![user("ana"), user("bob")];
            bound(&mut config.sessions);
        })
        .await;
        let mut sessions = Vec::new();
        for (n, name) in ["ana", "ana", "bob"].into_iter().enumerate() {
            let (raw, response) = Raw::register_with(&broker, of_user(name)).await;
            raw.disconnect(false).await;
            let session = response.session;
            if n == 1 || (n == 2 && !bob_may) {
                assert_eq!(ended(&broker, session).await.0, SessionEnd::NoRoom);
            } else {
                eventually(&broker, "it is detached", |board| !board.sessions[&session].is_attached()).await;
            }
            sessions.push(session);
        }
        is_told(&broker, limit, who).await;
        let mut raw = Raw::connect(broker.endpoints()[0]).await;
        let request = RegistrationRequest { session: Some(sessions[1]), ..of_user("ana") };
        raw.send(&ClientFrame::RegistrationRequest(request)).await;
        let error = raw.error().await;
        assert_eq!(error.code, Code::Gone);
        assert!(error.reason.contains(limit), "{}", error.reason);
        let request = RegistrationRequest { session: Some(sessions[0]), ..of_user("ana") };
        raw.send(&ClientFrame::RegistrationRequest(request)).await;
        assert!(raw.response().await.resumed);
        broker.shutdown().await;
    }
}

/// Two that take a session from each other are told so in the end: the one that has it keeps it, nothing is lost, and when it
/// goes the other may have it at once.
#[tokio::test]
async fn a_session_that_is_taken_over_too_often_stays_where_it_is() {
    let broker = broker_with(|config| {
        (config.sessions.max_takeovers, config.sessions.takeover_window) = (3, Duration::from_hours(1));
        config.sessions.takeover_ban = Duration::from_mins(5);
        config.queues.max_attempts = u32::MAX;
    })
    .await;
    let (mut holder, response) = Raw::register(&broker, "ping").await;
    let session = response.session;
    holder.subscribe("ball").await;
    let (mut publisher, _) = Raw::register(&broker, "pub").await;
    for n in 0..3_u64 {
        publisher.publish("ball", n.to_string()).await;
        let (new, _) = Raw::resume(&broker, "pong", session).await;
        let mut old = std::mem::replace(&mut holder, new);
        while !matches!(old.next().await, Reply::Displaced) {}
    }
    let mut follower = broker.bus().follow().1;
    for _ in 0..200 {
        let error = refused(&broker, comes_back(session)).await;
        assert_eq!(error.code, Code::TooMany);
        assert!(error.reason.contains("sessions.max_takeovers"), "{}", error.reason);
        assert!(error.retry_ms.is_some_and(|ms| ms > 0 && ms <= 300_000), "{:?}", error.retry_ms);
    }
    is_told(&broker, "sessions.max_takeovers", &session.to_string()).await;
    let told = follower.take(usize::MAX).events;
    let words = told.iter().filter(|it| !matches!(it.event, cordboard::events::Event::Sample(_))).count();
    // Each attempt is a connection that opens and closes; what is said of the refusals themselves is rate-limited.
    assert!(words < 2 * 200 + 200, "{words} events for 200 attempts");
    publisher.publish("ball", "3").await;
    let mut got: Vec<_> = holder.messages(4).await.iter().map(crate::fixture::Got::text).collect();
    got.dedup();
    assert_eq!(got, ["0", "1", "2", "3"]);
    holder.reset();
    eventually(&broker, "the session is detached", |board| board.broker.detached == 1).await;
    let (mut other, _) = Raw::resume(&broker, "pong", session).await;
    assert_eq!(other.messages(4).await[3].text(), "3");
    broker.shutdown().await;
}

/// Coming back is not taking over: a client whose connection is lost again and again is never told to wait for that.
#[tokio::test]
async fn a_client_that_loses_its_connection_often_may_always_come_back() {
    let broker = broker_with(|config| config.sessions.max_takeovers = 1).await;
    let (raw, response) = Raw::register(&broker, "restless").await;
    raw.disconnect(false).await;
    for _ in 0..40 {
        let (raw, _) = Raw::resume(&broker, "restless", response.session).await;
        raw.disconnect(false).await;
        eventually(&broker, "it is detached", |board| board.broker.detached == 1).await;
    }
    broker.shutdown().await;
}

/// Who asks for what is not there, again and again, is told to wait; what is there is found all the same.
#[tokio::test]
async fn guesses_of_sessions_are_bounded_and_cost_nobody_its_own() {
    let broker = broker_with(|config| {
        (config.sessions.failed_resumes_burst, config.sessions.failed_resumes_per_second) = (3, 1);
    })
    .await;
    let (raw, response) = Raw::register(&broker, "honest").await;
    drop(raw);
    eventually(&broker, "the session is detached", |board| board.broker.detached == 1).await;
    let mut raw = Raw::connect(broker.endpoints()[0]).await;
    let mut tries = 0;
    let error = loop {
        tries += 1;
        raw.send(&ClientFrame::RegistrationRequest(comes_back(SessionId::from_bytes([tries; 16])))).await;
        let error = raw.error().await;
        if error.code != Code::NotFound {
            break error;
        }
    };
    assert!(tries >= 4);
    assert_eq!(error.code, Code::TooMany);
    assert!(error.reason.contains("sessions.failed_resumes_per_second"), "{}", error.reason);
    assert!(error.retry_ms.is_some_and(|ms| (1..=1_000).contains(&ms)), "{:?}", error.retry_ms);
    assert!(matches!(raw.next().await, Reply::Closed));
    is_told(&broker, "sessions.failed_resumes_per_second", "127.0.0.1").await;
    Raw::resume(&broker, "honest", response.session).await;
    broker.shutdown().await;
}

/// Ended sessions are remembered in a bounded number, and for a time; then they are as if they had never been.
#[tokio::test(start_paused = true)]
async fn tombstones_are_bounded_in_number_and_time() {
    let broker = broker_with(|config| {
        config.sessions.tombstones = 2;
        config.sessions.tombstone_life = Duration::from_mins(1);
        config.connections.registration_deadline = Duration::from_hours(1);
    })
    .await;
    let mut sessions = Vec::new();
    for name in ["one", "two", "three"] {
        let (raw, response) = Raw::register(&broker, name).await;
        raw.disconnect(true).await;
        ended(&broker, response.session).await;
        sessions.push(response.session);
    }
    let mut raw = Raw::connect(broker.endpoints()[0]).await;
    for (pause, codes) in [
        (Duration::ZERO, [Code::NotFound, Code::Gone, Code::Gone]),
        (Duration::from_mins(1), [Code::NotFound, Code::NotFound, Code::NotFound]),
    ] {
        let_pass(pause).await;
        for (session, code) in sessions.iter().zip(codes) {
            raw.send(&ClientFrame::RegistrationRequest(comes_back(*session))).await;
            assert_eq!(raw.error().await.code, code);
        }
    }
    broker.shutdown().await;
}

/// A client that wants to be waited for for longer than is allowed is told for how long it is.
#[tokio::test]
async fn a_wished_reclaim_time_is_clamped_and_told() {
    let broker = broker_with(|config| {
        config.sessions.reclaim_after = Duration::from_secs(7);
        config.sessions.max_reclaim_after = Duration::from_secs(70);
    })
    .await;
    for (wished, granted) in [(None, 7_000), (Some(0), 0), (Some(69_999), 69_999), (Some(u64::MAX), 70_000)] {
        let request = RegistrationRequest { reclaim_ms: wished, ..RegistrationRequest::new("patient") };
        assert_eq!(Raw::register_with(&broker, request).await.1.reclaim_ms, granted);
    }
    broker.shutdown().await;
}

fn subscribe(request: u32, filter: &str) -> ClientFrame<'static> {
    ClientFrame::SubscribeRequest(SubscribeRequest { request, filter: filter.to_owned(), ack_timeout_ms: None, group: None })
}

/// Requests beyond their pace are read later: each is answered, none is refused, and a new connection buys no new burst.
#[tokio::test]
async fn requests_beyond_their_pace_are_read_later_and_all_answered() {
    let broker = broker_with(|config| {
        (config.sessions.request_burst, config.sessions.requests_per_second) = (5, 50);
    })
    .await;
    let (mut raw, response) = Raw::register(&broker, "eager").await;
    let mut bytes = Vec::new();
    for request in 1..=20 {
        subscribe(request, &format!("t/{request}")).encode(&mut bytes);
    }
    raw.send_bytes(&bytes).await;
    let mut answered = Vec::new();
    while answered.len() < 20 {
        match raw.next().await {
            Reply::Subscribed(ack) => answered.push(ack.request),
            other => panic!("{other:?}"),
        }
    }
    answered.sort_unstable();
    assert!((1..=20).eq(answered));
    let before = hits(&broker, "sessions.requests_per_second");
    assert!(before >= 10 && !was_told(&broker, "sessions.requests_per_second"), "{before}");
    raw.reset();
    eventually(&broker, "the session is detached", |board| board.broker.detached == 1).await;
    let (mut raw, _) = Raw::resume(&broker, "eager", response.session).await;
    raw.send_bytes(&bytes).await;
    raw.settle().await;
    assert!(hits(&broker, "sessions.requests_per_second") > before, "the burst of the session was used up");
    broker.shutdown().await;
}

/// Requests on one filter wait for each other, up to a bound: what is beyond it is refused alone.
#[tokio::test]
async fn requests_that_wait_on_one_filter_are_bounded() {
    let broker = broker_with(|_| {}).await;
    let (mut raw, _) = Raw::register(&broker, "fickle").await;
    let mut bytes = Vec::new();
    for request in (1..=200).step_by(2) {
        subscribe(request, "t").encode(&mut bytes);
        ClientFrame::UnsubscribeRequest(UnsubscribeRequest { request: request + 1, filter: "t".into() }).encode(&mut bytes);
    }
    raw.send_bytes(&bytes).await;
    let (mut answers, mut refused) = (0, 0);
    while answers + refused < 200 {
        match raw.next().await {
            Reply::Error(error) => {
                assert_eq!(error.code, Code::TooMany);
                assert!(error.reason.contains("64"), "{}", error.reason);
                refused += 1;
            }
            Reply::Subscribed(_) | Reply::Other(_) => answers += 1,
            other => panic!("{other:?}"),
        }
    }
    assert!(refused > 0 && answers >= 65, "{answers} answered, {refused} refused");
    is_told(&broker, "requests on one filter", "local").await;
    raw.settle().await;
    broker.shutdown().await;
}
