//! Everything that waits: reclaim timers, registration deadlines, ack clocks, held receipts, on tokio's paused clock.

use std::time::Duration;

use cordboard::{
    board::Attachment,
    control::{Control, Outcome},
    events::{CloseReason, SessionEnd},
    wire::{ClientFrame, Code, RegistrationRequest},
};
use tokio::time::{self, Instant};

use crate::fixture::{Raw, broker, broker_with, ended, eventually, let_pass, order};

/// A session is reclaimed when its timer runs out, not before, and what was lost is said.
#[tokio::test(start_paused = true)]
async fn a_detached_session_is_reclaimed_at_its_deadline_and_the_event_says_what_was_lost() {
    let broker = broker().await;
    let (mut sub, response) = Raw::register(&broker, "sub").await;
    sub.subscribe("t").await;
    drop(sub);
    eventually(&broker, "the session is detached", |board| board.broker.detached == 1).await;
    let detached = Instant::now();
    let (mut publisher, _) = Raw::register(&broker, "pub").await;
    for n in 0..5 {
        publisher.publish("t", [n]).await;
    }
    let board = broker.bus().board();
    let Attachment::Detached { deadline, .. } = board.sessions[&response.session].attachment else { panic!("it is detached") };
    let left = broker.bus().clock().now().up.until(deadline.up);
    assert!(left > Duration::from_secs(80) && left <= Duration::from_secs(90), "{left:?}");
    let (why, lost) = ended(&broker, response.session).await;
    assert_eq!((why, lost.queued), (SessionEnd::Reclaimed, 5));
    assert!(detached.elapsed() >= left && detached.elapsed() < Duration::from_secs(95), "{:?}", detached.elapsed());
    assert!(!broker.bus().board().sessions.contains_key(&response.session));
    broker.shutdown().await;
}

/// At any moment around the deadline it is either resumed with its whole queue, or gone; never a half.
#[tokio::test(start_paused = true)]
async fn a_resume_around_the_deadline_gets_all_or_410() {
    for early in [1_000, 2, 1, 0] {
        let broker = broker_with(|config| {
            config.sessions.reclaim_after = Duration::from_secs(10);
            config.connections.registration_deadline = Duration::from_mins(1);
        })
        .await;
        let (mut publisher, _) = Raw::register(&broker, "pub").await;
        let (mut sub, response) = Raw::register(&broker, "sub").await;
        sub.subscribe("t").await;
        drop(sub);
        eventually(&broker, "the session is detached", |board| board.broker.detached == 1).await;
        publisher.publish("t", "x").await;
        let board = broker.bus().board();
        let Attachment::Detached { deadline, .. } = board.sessions[&response.session].attachment else {
            panic!("it is detached")
        };
        let mut back = Raw::connect(broker.endpoints()[0]).await;
        let_pass(broker.bus().clock().now().up.until(deadline.up).saturating_sub(Duration::from_millis(early))).await;
        let mut request = RegistrationRequest::new("sub");
        request.session = Some(response.session);
        back.send(&ClientFrame::RegistrationRequest(request)).await;
        match back.next().await {
            crate::fixture::Reply::Response(resumed) => {
                assert!(resumed.resumed);
                assert_eq!(back.messages(1).await[0].text(), "x");
            }
            crate::fixture::Reply::Error(error) => assert_eq!(error.code, Code::Gone),
            other => panic!("{other:?}"),
        }
        broker.shutdown().await;
    }
}

/// Hold stops the timer; extend starts it again, later.
#[tokio::test(start_paused = true)]
async fn a_held_session_outlives_its_deadline_until_it_is_extended() {
    let broker = broker().await;
    let (sub, response) = Raw::register(&broker, "sub").await;
    let session = response.session;
    assert!(matches!(order(&broker, Control::HoldSession { session }).await, Outcome::Refused { .. }));
    drop(sub);
    eventually(&broker, "the session is detached", |board| board.broker.detached == 1).await;
    assert!(matches!(order(&broker, Control::HoldSession { session }).await, Outcome::Done { .. }));
    assert_eq!(order(&broker, Control::HoldSession { session }).await, Outcome::AlreadyGone);
    let_pass(Duration::from_hours(1)).await;
    assert!(broker.bus().board().sessions.contains_key(&session));
    assert!(matches!(order(&broker, Control::ExtendSession { session, by_ms: 60_000 }).await, Outcome::Done { .. }));
    let from = Instant::now();
    ended(&broker, session).await;
    assert!(from.elapsed() >= Duration::from_mins(1) && from.elapsed() < Duration::from_secs(62), "{:?}", from.elapsed());
    broker.shutdown().await;
}

/// The deadline is for the whole registration, not for each read.
#[tokio::test(start_paused = true)]
async fn a_registration_that_drips_is_closed_at_the_deadline() {
    let broker = broker().await;
    let mut raw = Raw::connect(broker.endpoints()[0]).await;
    let from = Instant::now();
    let mut bytes = Vec::new();
    ClientFrame::RegistrationRequest(RegistrationRequest::new("slow")).encode(&mut bytes);
    for byte in &bytes[..4] {
        raw.send_bytes(&[*byte]).await;
        let_pass(Duration::from_secs(1)).await;
    }
    assert_eq!(raw.closing_error().await.code, Code::TooSlow);
    assert!(from.elapsed() >= Duration::from_secs(5) && from.elapsed() < Duration::from_secs(7), "{:?}", from.elapsed());
    broker.shutdown().await;
}

/// A client that says nothing for one and a half keep-alive times is gone.
#[tokio::test(start_paused = true)]
async fn a_silent_client_is_detached() {
    let broker = broker().await;
    let mut request = RegistrationRequest::new("silent");
    request.keep_alive_ms = Some(4_000);
    let from = Instant::now();
    let (raw, response) = Raw::register_with(&broker, request).await;
    assert_eq!(response.keep_alive_ms, 4_000);
    eventually(&broker, "the session is detached", |board| board.broker.detached == 1).await;
    assert!(from.elapsed() >= Duration::from_secs(6) && from.elapsed() < Duration::from_secs(8), "{:?}", from.elapsed());
    let board = broker.bus().board();
    let Attachment::Detached { why, .. } = board.sessions[&response.session].attachment else { panic!("it is detached") };
    assert_eq!(why, CloseReason::KeepAliveMissed);
    drop(raw);
    broker.shutdown().await;
}

/// Nothing acknowledged for `ack_timeout`: it comes again, marked, five times, and then it is poison and the queue goes on.
#[tokio::test(start_paused = true)]
async fn a_message_nobody_acknowledges_comes_again_and_becomes_poison() {
    let broker = broker_with(|config| config.connections.keep_alive = Duration::from_hours(1)).await;
    let (mut sub, response) = Raw::register(&broker, "sub").await;
    let handle = sub.subscribe("t").await;
    let (mut publisher, _) = Raw::register(&broker, "pub").await;
    publisher.publish("t", "bad").await;
    publisher.publish("t", "good").await;
    let from = Instant::now();
    for attempt in 1..=5 {
        let got = sub.messages(2).await;
        assert_eq!(got.iter().map(super::fixture::Got::text).collect::<Vec<_>>(), ["bad", "good"]);
        assert!(got.iter().all(|message| message.redelivered == (attempt > 1)), "{attempt}");
        assert!(from.elapsed() >= Duration::from_secs(30 * (attempt - 1)));
    }
    let good = sub.messages(1).await;
    assert_eq!(good[0].text(), "good");
    sub.ack(handle, good[0].number).await;
    eventually(&broker, "the poison is on the board", |board| board.sessions[&response.session].depth.poison == 1).await;
    broker.shutdown().await;
}

/// Who says again and again what settles nothing has acknowledged nothing.
#[tokio::test(start_paused = true)]
async fn acknowledgements_of_nothing_do_not_set_the_ack_clock_back() {
    let broker = broker_with(|config| config.connections.keep_alive = Duration::from_hours(1)).await;
    let (mut sub, _) = Raw::register(&broker, "sub").await;
    let handle = sub.subscribe("t").await;
    for text in ["settled", "not"] {
        assert_eq!(sub.publish_and_get("t", text).await.text(), text);
    }
    sub.ack(handle, 1).await;
    sub.settle().await;
    let from = Instant::now();
    for number in [0, 1, 3, u64::MAX].repeat(5) {
        let_pass(Duration::from_secs(1)).await;
        sub.ack(handle, number).await;
        sub.settle().await;
    }
    let again = sub.messages(1).await;
    assert_eq!((again[0].text().as_str(), again[0].redelivered), ("not", true));
    assert!(from.elapsed() < Duration::from_secs(32), "{:?}", from.elapsed());
    broker.shutdown().await;
}

/// One slow client never stops a publisher: its receipt is held for two seconds at the most.
#[tokio::test(start_paused = true)]
async fn a_publisher_waits_two_seconds_for_a_full_queue_and_then_no_more() {
    let broker = broker_with(|config| {
        config.queues.max_messages = 4;
        config.queues.window_messages = 2;
    })
    .await;
    let (mut sub, _) = Raw::register(&broker, "slow").await;
    sub.subscribe("t").await;
    let (mut publisher, _) = Raw::register(&broker, "pub").await;
    for n in 0..4 {
        publisher.publish("t", [n]).await;
    }
    let from = Instant::now();
    publisher.publish("t", [4]).await;
    let held = from.elapsed();
    assert!(held >= Duration::from_secs(2) && held < Duration::from_millis(2_500), "{held:?}");
    for n in 5..9 {
        publisher.publish("t", [n]).await;
    }
    assert!(from.elapsed() < Duration::from_secs(3), "nobody waits for it again: {:?}", from.elapsed());
    eventually(&broker, "the drops are counted", |board| board.broker.depth.dropped == 5).await;
    broker.shutdown().await;
}

/// An unused topic is forgotten; one with a backlog is not.
#[tokio::test(start_paused = true)]
async fn an_idle_topic_is_forgotten_and_one_with_a_backlog_lives_until_that_has_expired() {
    let broker = broker_with(|config| config.topics.idle_after = Duration::from_mins(10)).await;
    let (mut client, _) = Raw::register(&broker, "c").await;
    let from = Instant::now();
    client.publish("used", "x").await;
    client.subscribe("all/#").await;
    client.publish("all/day", "x").await;
    let held = |board: &cordboard::Board| board.topics.len();
    assert_eq!(held(&broker.bus().board()), 2);
    let pings = tokio::spawn(async move {
        loop {
            client.send(&ClientFrame::Ping(0)).await;
            let_pass(Duration::from_secs(10)).await;
        }
    });
    eventually_within(&broker, Duration::from_mins(50), |board| held(board) == 0).await;
    assert!(from.elapsed() >= Duration::from_mins(10), "{:?}", from.elapsed());
    pings.abort();
    broker.shutdown().await;
}

async fn eventually_within(broker: &cordboard::Handle, most: Duration, so: impl Fn(&cordboard::Board) -> bool) {
    let wait = async {
        while !so(&broker.bus().board()) {
            let_pass(Duration::from_secs(1)).await;
        }
    };
    time::timeout(most, wait).await.unwrap();
}
