//! Section B: registrations that drip, lie, repeat and race; sessions that come and go too quickly.

use std::time::Duration;

use cordboard::{
    events::Event,
    name::SessionId,
    wire::{ClientFrame, Code, RegistrationRequest},
};
use tokio::time;

use super::{Scene, encoded};
use crate::fixture::{Raw, Reply, eventually};

fn comes_back(session: SessionId) -> RegistrationRequest {
    RegistrationRequest { session: Some(session), ..RegistrationRequest::new("back") }
}

/// The deadline is for the whole registration, however busy the connection looks.
#[tokio::test]
async fn a_registration_that_drips_is_too_slow() {
    let scene = Scene::set_with(|config| {
        config.connections.registration_deadline = Duration::from_millis(200);
        config.logins.slow_answer = Duration::from_millis(100);
    })
    .await;
    let mut raw = scene.connect().await;
    let bytes = encoded(&ClientFrame::RegistrationRequest(RegistrationRequest::new("x".repeat(100))));
    let mut drops = bytes.iter();
    let reply = loop {
        if let Some(byte) = drops.next() {
            raw.send_bytes(&[*byte]).await;
        }
        if let Ok(reply) = time::timeout(Duration::from_millis(10), raw.next()).await {
            break reply;
        }
    };
    assert!(matches!(&reply, Reply::Error(error) if error.code == Code::TooSlow), "{reply:?}");
    assert!(drops.len() > 0, "it was still being sent");
    scene.end().await;
}

/// An id that is wrong in one bit finds nothing, as often as it is tried; one that is no id is malformed.
#[tokio::test]
async fn a_session_id_that_is_nearly_right_finds_nothing() {
    let scene = Scene::set().await;
    let (_victim, response) = Raw::register(&scene.broker, "victim").await;
    let id = u128::from_str_radix(&response.session.to_string(), 16).unwrap();
    let mut raw = scene.connect().await;
    for bit in 0..128 {
        let guess = format!("{:032x}", id ^ (1 << bit)).parse().unwrap();
        raw.send(&ClientFrame::RegistrationRequest(comes_back(guess))).await;
        assert_eq!(raw.error().await.code, Code::NotFound);
    }
    raw.send(&ClientFrame::RegistrationRequest(RegistrationRequest::new("honest"))).await;
    assert!(!raw.response().await.resumed);
    let text = encoded(&ClientFrame::RegistrationRequest(comes_back(response.session)));
    let at = text.windows(7).position(|window| window == b"session").unwrap() + 7;
    for wrong in [b'g', b'-', 0xff] {
        let mut bytes = text.clone();
        bytes[at + 5] = wrong;
        assert_eq!(scene.closed_for(false, &bytes).await.code, Code::Malformed);
    }
    scene.end().await;
}

/// I6: `settled` is the client's word; no word of it may hurt.
#[tokio::test]
async fn a_client_may_claim_anything_to_be_settled() {
    let scene = Scene::set().await;
    let (mut raw, response) = Raw::register(&scene.broker, "claims").await;
    raw.enqueue("ba//d", "x").await;
    assert_eq!(raw.error().await.sequence, Some(1));
    drop(raw);
    for settled in [0, 1, u64::MAX - 1, u64::MAX] {
        let request = RegistrationRequest { settled: Some(settled), ..comes_back(response.session) };
        let (_raw, response) = Raw::register_with(&scene.broker, request).await;
        assert!(response.resumed);
        assert_eq!((response.settled, response.failures.len()), (1, usize::from(settled == 0)));
    }
    scene.end().await;
}

/// Two that take the session from each other lose no message over it, and leave one connection.
#[tokio::test]
async fn a_takeover_ping_pong_loses_nothing() {
    let mut scene = Scene::set_with(|config| {
        config.queues.max_attempts = u32::MAX;
        config.sessions.max_takeovers = u32::MAX;
    })
    .await;
    let (mut holder, response) = Raw::register(&scene.broker, "ping").await;
    holder.subscribe("ball").await;
    for n in 0..100_u64 {
        scene.canary.publish("ball", n.to_string()).await;
        let (new, resumed) = Raw::resume(&scene.broker, "pong", response.session).await;
        assert_eq!(resumed.epoch.0, n + 2);
        let mut old = std::mem::replace(&mut holder, new);
        while !matches!(old.next().await, Reply::Displaced) {}
    }
    let mut got: Vec<u64> = holder.messages(100).await.iter().map(|message| message.text().parse().unwrap()).collect();
    got.dedup();
    assert!((0..100).eq(got));
    eventually(&scene.broker, "one connection is left", |board| board.listeners.len() == 2).await;
    scene.end().await;
}

/// A client that comes and goes has one timer and one session, not as many as it came.
#[tokio::test]
async fn coming_and_going_quickly_leaves_one_session() {
    let scene = Scene::set().await;
    let mut follower = scene.broker.bus().follow().1;
    let (raw, response) = Raw::register(&scene.broker, "restless").await;
    raw.reset();
    for _ in 0..200 {
        Raw::resume(&scene.broker, "restless", response.session).await.0.reset();
    }
    eventually(&scene.broker, "all connections are gone", |board| board.listeners.len() == 1 && board.broker.detached == 1).await;
    let events = follower.take(usize::MAX).events;
    let created = events.iter().filter(|it| matches!(it.event, Event::SessionCreated { .. })).count();
    let attached = events.iter().filter(|it| matches!(it.event, Event::SessionAttached { .. })).count();
    assert_eq!((created, attached), (1, 200));
    scene.end().await;
}
