//! Losing connections and sessions, and what survives.

use super::*;
use crate::client::{ClientEnd, LostSession, PingError, PublishError};

async fn connected_again(events: &mut Events) -> bool {
    event(events, |event| match event {
        ClientEvent::Connected { resumed, .. } => Some(resumed),
        _ => None,
    })
    .await
}

/// Settled while away: known. Not settled: sent again under the same sequence, and new ones follow.
#[tokio::test]
async fn a_resume_sends_what_is_unsettled_again() {
    let broker = Broker::start().await;
    let (client, mut peer) = broker.connected().await;
    let mut outcomes = Vec::new();
    for payload in ["1", "2", "3"] {
        outcomes.push(client.enqueue("t", payload).await.unwrap());
    }
    for sequence in 1..=3 {
        assert!(matches!(peer.hear().await, Said::Publish { sequence: heard, .. } if heard == sequence));
    }
    drop(peer);
    let (mut peer, request) = broker.accept_registration().await;
    assert_eq!((request.session, request.settled), (Some(welcome().session), Some(0)));
    let failures = vec![wire::Failure { sequence: 1, count: 1, code: Code::NoRoom }];
    peer.say(ServerFrame::RegistrationResponse(RegistrationResponse { failures, ..resumed(2, &[]) })).await;
    assert_eq!(peer.hear().await, Said::publish(3, "t", "3"));
    outcomes.push(client.enqueue("t", "4").await.unwrap());
    assert_eq!(peer.hear().await, Said::publish(4, "t", "4"));
    peer.say(ServerFrame::PublishAck(4)).await;
    let mut settled = Vec::new();
    for outcome in outcomes {
        settled.push(soon(outcome).await);
    }
    assert!(matches!(settled[0], Err(PublishError::Refused { code: Code::NoRoom, .. })));
    assert!(settled[1..].iter().all(Result::is_ok), "{settled:?}");
}

/// The stream does not notice; acknowledgements that may have been lost are told again.
#[tokio::test]
async fn a_resumed_subscription_goes_on() {
    let broker = Broker::start().await;
    let (client, mut peer) = broker.connected().await;
    let (stream, ()) = tokio::join!(client.subscribe("t/#"), peer.accept_subscription("t/#", 3, false));
    let mut stream = stream.unwrap();
    let mut events = client.events();
    peer.deliver(3, 1, false, &["a", "b"]).await;
    assert_eq!(soon(stream.next()).await.unwrap().number, 1);
    drop(peer);
    let mut peer = broker.welcome(resumed(0, &[("t/#", 3)])).await;
    assert!(connected_again(&mut events).await);
    assert_eq!(peer.hear().await, Said::Ack { handle: 3, number: 1 });
    peer.deliver(3, 1, true, &["a", "b", "c"]).await;
    for number in [2, 3] {
        assert_eq!(soon(stream.next()).await.unwrap().number, number);
    }
}

/// 410: a new session on the same connection, its filters again; what was sent has no known outcome.
#[tokio::test]
async fn a_lost_session_is_replaced_and_told() {
    let broker = Broker::start().await;
    let (client, mut peer) = broker.connected().await;
    let (stream, ()) = tokio::join!(client.subscribe("t/#"), peer.accept_subscription("t/#", 1, false));
    let mut stream = stream.unwrap();
    let mut events = client.events();
    let sent = client.enqueue("t", "sent").await.unwrap();
    assert_eq!(peer.hear().await, Said::publish(1, "t", "sent"));
    peer.deliver(1, 1, false, &["untaken"]).await;
    drop(peer);
    event(&mut events, |event| matches!(event, ClientEvent::Lost { .. }).then_some(())).await;
    let unsent = client.enqueue("t", "unsent").await.unwrap();

    let (mut peer, _) = broker.accept_registration().await;
    let gone = ErrorFrame { at_ms: Some(5), ..ErrorFrame::new(Code::Gone, "reclaimed") };
    peer.say(ServerFrame::Error(gone)).await;
    let Said::Register(second) = peer.hear().await else { panic!("no second registration") };
    assert_eq!((second.session, second.settled), (None, None));
    let session = SessionId::from_bytes([2; 16]);
    peer.say(ServerFrame::RegistrationResponse(RegistrationResponse { session, ..welcome() })).await;
    peer.accept_subscription("t/#", 1, false).await;
    assert_eq!(peer.hear().await, Said::publish(1, "t", "unsent"));
    peer.say(ServerFrame::PublishAck(1)).await;

    let lost = LostSession { session: welcome().session, code: Code::Gone, reason: "reclaimed".to_owned(), at_ms: Some(5) };
    let told = event(&mut events, |event| match event {
        ClientEvent::SessionLost(lost) => Some(lost),
        _ => None,
    });
    assert_eq!(told.await, lost);
    assert_eq!(client.lost_session(), Some(lost));
    assert_eq!((client.session(), client.resumed()), (session, false));
    assert!(matches!(soon(sent).await, Err(PublishError::OutcomeUnknown(None))));
    soon(unsent).await.unwrap();
    peer.deliver(1, 1, false, &["new"]).await;
    assert_eq!(soon(stream.next()).await.unwrap().payload, "new");
    assert_eq!(peer.hear().await, Said::Ack { handle: 1, number: 1 });
}

/// A process that starts again finds what its session held, and acknowledges none of it before someone takes it.
#[tokio::test]
async fn deliveries_wait_for_the_one_who_subscribes() {
    let broker = Broker::start().await;
    let session = welcome().session;
    let serve = async {
        let (mut peer, request) = broker.accept_registration().await;
        assert_eq!((request.session, request.settled), (Some(session), None));
        let mut bytes = Vec::new();
        ServerFrame::RegistrationResponse(resumed(41, &[("t/#", 9), ("old", 4)])).encode(&mut bytes);
        bytes.extend(delivery(9, 7, (true, false), &["kept"]));
        peer.stream.write_all(&bytes).await.unwrap();
        peer
    };
    let (client, mut peer) = tokio::join!(broker.client().session(session).connect(), serve);
    let client = client.unwrap();
    assert!(client.resumed());
    assert_eq!(client.unclaimed(), ["old".parse().unwrap(), "t/#".parse().unwrap()]);
    peer.say(ServerFrame::Ping(1)).await;
    assert_eq!(peer.hear().await, Said::Pong(1));
    let (stream, ()) = tokio::join!(client.subscribe("t/#"), peer.accept_subscription("t/#", 9, true));
    let mut stream = stream.unwrap();
    let kept = soon(stream.next()).await.unwrap();
    assert_eq!((kept.number, &kept.payload[..]), (7, &b"kept"[..]));
    assert_eq!(peer.hear().await, Said::Ack { handle: 9, number: 7 });
    // Its sequences go on where the session's last publisher stopped.
    drop(client.enqueue("t", "x").await.unwrap());
    assert_eq!(peer.hear().await, Said::publish(42, "t", "x"));
}

/// A request whose answer was lost with the connection is asked again.
#[tokio::test]
async fn an_unanswered_request_is_asked_again() {
    let broker = Broker::start().await;
    let (client, mut peer) = broker.connected().await;
    let subscribe = tokio::spawn({
        let client = client.clone();
        async move { client.subscribe("t/#").await }
    });
    assert!(matches!(peer.hear().await, Said::Subscribe { .. }));
    drop(peer);
    let mut peer = broker.welcome(resumed(0, &[("t/#", 1)])).await;
    peer.accept_subscription("t/#", 1, true).await;
    assert!(soon(subscribe).await.unwrap().unwrap().existing());
}

/// Ended while nobody could be told: the stream ends, and is not made again.
#[tokio::test]
async fn a_subscription_that_did_not_survive_is_over() {
    let broker = Broker::start().await;
    let (client, mut peer) = broker.connected().await;
    let (stream, ()) = tokio::join!(client.subscribe("t/1"), peer.accept_subscription("t/1", 1, false));
    let mut stream = stream.unwrap();
    drop(peer);
    let _peer = broker.welcome(resumed(0, &[])).await;
    assert!(soon(stream.next()).await.is_none());
    assert_eq!(stream.over().unwrap().code, Code::Gone);
}

#[tokio::test]
async fn it_does_not_come_back_from_an_eviction() {
    let broker = Broker::start().await;
    let (client, mut peer) = broker.connected().await;
    let pending = client.enqueue("t", "x").await.unwrap();
    assert_eq!(peer.hear().await, Said::publish(1, "t", "x"));
    peer.say(ServerFrame::Evicted(wire::Evicted { reason: "maintenance".to_owned() })).await;
    assert!(matches!(soon(client.ended()).await, ClientEnd::Evicted { reason } if reason == "maintenance"));
    // The broker may have taken it before.
    assert!(matches!(soon(pending).await, Err(PublishError::OutcomeUnknown(Some(ClientEnd::Evicted { .. })))));
    assert!(matches!(client.publish("t", "x").await, Err(PublishError::Ended(_))));
    assert!(client.subscribe("t").await.is_err());
}

/// Two clients with one session would take it from each other for ever.
#[tokio::test]
async fn it_does_not_come_back_when_displaced() {
    let broker = Broker::start().await;
    let (client, mut peer) = broker.connected().await;
    peer.say(ServerFrame::Displaced).await;
    assert!(matches!(soon(client.ended()).await, ClientEnd::Displaced));
}

/// 503 is "not now"; 403 is "not you".
#[tokio::test]
async fn it_comes_back_from_a_draining_broker_and_not_from_a_refusal() {
    let broker = Broker::start().await;
    let (client, mut peer) = broker.connected().await;
    peer.say(ServerFrame::Error(ErrorFrame::new(Code::Unavailable, "draining"))).await;
    drop(peer);
    let (mut peer, _) = broker.accept_registration().await;
    peer.say(ServerFrame::Error(ErrorFrame::new(Code::Unavailable, "full"))).await;
    drop(peer);
    let mut peer = broker.welcome(resumed(0, &[])).await;
    peer.say(ServerFrame::Error(ErrorFrame::new(Code::Forbidden, "forbidden"))).await;
    assert!(matches!(soon(client.ended()).await, ClientEnd::Refused { code: Code::Forbidden, .. }));
}

#[tokio::test]
async fn a_client_that_must_not_come_back_does_not() {
    let broker = Broker::start().await;
    let connect = broker.client().reconnect(Backoff::NEVER).connect();
    let (client, peer) = tokio::join!(connect, broker.welcome(welcome()));
    drop(peer);
    assert!(matches!(soon(client.unwrap().ended()).await, ClientEnd::Lost { .. }));
}

/// A broker that has gone silent is noticed after one and a half keep-alive times.
#[tokio::test]
async fn silence_is_a_loss() {
    let broker = Broker::start().await;
    let quiet = RegistrationResponse { keep_alive_ms: 30_000, ..welcome() };
    let (client, mut peer) = tokio::join!(broker.client().reconnect(Backoff::NEVER).connect(), broker.welcome(quiet));
    let client = client.unwrap();
    // Only now: while sockets connect, a paused clock would run ahead to the next deadline.
    tokio::time::pause();
    let began = tokio::time::Instant::now();
    let ClientEnd::Lost { why } = client.ended().await else { panic!("it ended otherwise") };
    assert_eq!(why, "nothing was heard from the broker for 45 s");
    let silence = began.elapsed();
    assert!(silence > Duration::from_secs(40) && silence < Duration::from_secs(50), "{silence:?}");
    tokio::time::resume();
    let mut pings = 0;
    while let Some(said) = peer.hear_or_end().await {
        pings += u32::from(matches!(said, Said::Ping(_)));
    }
    assert_eq!(pings, 2);
}

#[tokio::test]
async fn nobody_there_is_said_in_words_that_help() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    drop(listener);
    let error = Client::connect(&address).await.unwrap_err();
    assert!(matches!(error, ConnectError::Unreachable { .. }));
    let text = error.to_string();
    assert!(
        text.starts_with(&format!("cannot connect to {address}: ")) && text.ends_with("is a broker running there?"),
        "{text}"
    );
    // RFC 6761: this name never resolves.
    let text = Client::connect("no-such-host.invalid").await.unwrap_err().to_string();
    assert!(text.contains("no-such-host.invalid") && text.ends_with("is the host's name right?"), "{text}");
}

#[tokio::test]
async fn a_refused_registration_is_an_error_and_no_client() {
    let broker = Broker::start().await;
    let refuse = async {
        let (mut peer, request) = broker.accept_registration().await;
        assert_eq!((request.user.as_deref(), request.password.as_deref()), (Some("ada"), Some("secret")));
        peer.say(ServerFrame::Error(ErrorFrame::new(Code::Unauthorized, "unknown user or wrong password"))).await;
    };
    let (client, ()) = tokio::join!(broker.client().credentials("ada", "secret").connect(), refuse);
    let error = client.unwrap_err();
    assert_eq!(error.to_string(), "the broker refused: unknown user or wrong password (401)");
    assert!(!error.is_temporary());
}

#[tokio::test]
async fn what_is_not_a_broker_is_found_out() {
    let broker = Broker::start().await;
    let answer = async {
        let mut peer = broker.accept().await;
        peer.stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await.unwrap();
        peer
    };
    let (client, _peer) = tokio::join!(broker.client().connect(), answer);
    assert!(matches!(client.unwrap_err(), ConnectError::NotABroker { .. }));
}

/// What it says after that would be read as what it is not.
#[tokio::test]
async fn a_broker_that_answers_in_another_version_is_not_talked_to() {
    let broker = Broker::start().await;
    let newer = RegistrationResponse { version: 2, ..welcome() };
    let (client, _peer) = tokio::join!(broker.client().connect(), broker.welcome(newer));
    let error = client.unwrap_err();
    assert!(matches!(error, ConnectError::OtherVersion { version: 2, .. }) && !error.is_temporary(), "{error}");
    assert!(error.to_string().contains("speaks version 2 of the protocol, and this client version 1"), "{error}");
}

/// Who waits to come back has let go of the old connection: a broker that shuts down need not wait for it.
#[tokio::test]
async fn a_lost_connection_is_closed_before_the_next_is_tried() {
    let broker = Broker::start().await;
    let hour = Duration::from_hours(1);
    let connect = broker.client().reconnect(Backoff { first: hour, max: hour, attempts: 1 }).connect();
    let (client, mut peer) = tokio::join!(connect, broker.welcome(welcome()));
    let _client = client.unwrap();
    peer.stream.shutdown().await.unwrap();
    assert_eq!(peer.hear_or_end().await, None);
}

/// A broker that asks for patience gets it: the next attempt comes no earlier than it said.
#[tokio::test]
async fn a_client_waits_as_long_as_the_broker_asks() {
    let broker = Broker::start().await;
    let (client, peer) = broker.connected().await;
    let mut events = client.events();
    drop(peer);
    let (mut peer, _) = broker.accept_registration().await;
    let patience = Duration::from_millis(700);
    peer.say(ServerFrame::Error(ErrorFrame::new(Code::TooMany, "wait").retry_after(Some(patience)))).await;
    drop(peer);
    let waited = |event| match event {
        ClientEvent::Reconnecting { attempt: 2, after } => Some(after),
        _ => None,
    };
    assert_eq!(event(&mut events, waited).await, patience);
    let (_peer, request) = broker.accept_registration().await;
    assert_eq!(request.session, Some(welcome().session));
}

/// An answer belongs to the ping that asked for it, and no answer at all to a connection that is gone.
#[tokio::test]
async fn a_ping_is_answered_or_its_connection_is_lost() {
    let broker = Broker::start().await;
    let (client, mut peer) = broker.connected().await;
    let asking = {
        let client = client.clone();
        tokio::spawn(async move { client.ping().await })
    };
    let Said::Ping(token) = peer.hear().await else { panic!("no ping") };
    peer.say(ServerFrame::Pong(token + 1)).await;
    peer.say(ServerFrame::Pong(token)).await;
    assert!(soon(asking).await.unwrap().is_ok());
    let asking = {
        let client = client.clone();
        tokio::spawn(async move { client.ping().await })
    };
    assert_ne!(peer.hear().await, Said::Ping(token));
    drop(peer);
    assert!(matches!(soon(asking).await.unwrap(), Err(PingError::Lost)));
    client.door.shared.end(&ClientEnd::Displaced);
    assert!(matches!(client.ping().await, Err(PingError::Ended(ClientEnd::Displaced))));
}
