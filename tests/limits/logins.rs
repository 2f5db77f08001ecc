//! Limits of log-ins: whoever is wrong too often waits, alone; whoever is right gets in.
#![cfg(target_os = "linux")] // other addresses of this machine

use std::time::Duration;

use cordboard::{
    Handle,
    wire::{ClientFrame, Code, ErrorFrame, RegistrationRequest},
};
use tokio::{task::JoinSet, time::Instant};

use super::{hits, is_told, of_user, registers, user, user_at_cost, with_password};
use crate::fixture::{Raw, Reply, baseline::Baseline, broker_with, eventually_true};

async fn fails(broker: &Handle, host: u8, request: RegistrationRequest) -> ErrorFrame {
    let mut raw = Raw::connect_from(host, broker.endpoints()[0]).await;
    raw.send(&ClientFrame::RegistrationRequest(request)).await;
    raw.closing_error().await
}

/// It is the address that is refused, whatever it says then; the user gets in from everywhere else, and the words do not tell
/// whether there is such a user.
#[tokio::test]
async fn an_address_that_is_wrong_too_often_waits_and_its_victim_does_not() {
    let broker = broker_with(|config| {
        config.users = vec![user("ana")];
        (config.logins.failures_burst, config.logins.failures_per_minute) = (4, 1);
    })
    .await;
    let mut words = Vec::new();
    for name in ["ana", "nobody", "ana", "nobody"] {
        let error = fails(&broker, 2, with_password(name, "wrong")).await;
        assert_eq!(error.code, Code::Unauthorized);
        words.push(error.reason);
    }
    for request in [with_password("ana", "wrong"), with_password("nobody", "wrong"), of_user("ana")] {
        let error = fails(&broker, 2, request).await;
        assert_eq!(error.code, Code::TooMany);
        assert!(error.retry_ms.is_some_and(|ms| (1..=60_000).contains(&ms)), "{:?}", error.retry_ms);
        assert!(error.reason.contains("logins.failures_per_minute"), "{}", error.reason);
    }
    words.dedup();
    assert_eq!(words.len(), 1, "{words:?}");
    is_told(&broker, "logins.failures_per_minute", "127.0.0.2").await;
    Raw::register_with(&broker, of_user("ana")).await;
    broker.shutdown().await;
}

/// A name that is tried from many addresses is answered late when that is wrong, whether there is such a user or not, and at
/// once when it is right.
#[tokio::test(start_paused = true)]
async fn a_name_that_is_tried_from_everywhere_is_answered_late_and_never_locked() {
    let slow_answer = Duration::from_secs(3);
    let broker = broker_with(|config| {
        config.users = vec![user("ana")];
        (config.logins.name_failures_burst, config.logins.name_failures_per_minute) = (2, 1);
        config.logins.slow_answer = slow_answer;
    })
    .await;
    for name in ["ana", "nobody"] {
        let mut late = Vec::new();
        for host in 2..6 {
            let from = Instant::now();
            assert_eq!(fails(&broker, host, with_password(name, "wrong")).await.code, Code::Unauthorized);
            late.push(from.elapsed() >= slow_answer);
        }
        assert_eq!(late, [false, false, true, true], "{name}");
    }
    is_told(&broker, "logins.name_failures_per_minute", "127.0.0.5").await;
    let from = Instant::now();
    Raw::register_with(&broker, of_user("ana")).await;
    assert!(from.elapsed() < slow_answer);
    broker.shutdown().await;
}

/// Whoever waits longer than it may costs those behind it no time: its password is not looked at any more.
#[tokio::test]
async fn a_password_is_not_checked_for_who_has_been_told_to_go() {
    let broker = broker_with(|config| {
        config.users = vec![user_at_cost("ana", 64 << 10)];
        config.connections.registration_deadline = Duration::from_millis(50);
        config.logins.slow_answer = Duration::from_millis(1);
    })
    .await;
    // The broker's tasks are this runtime's: each registration that waits is one.
    let tasks = || tokio::runtime::Handle::current().metrics().num_alive_tasks();
    let (before, mut all) = (tasks(), Vec::new());
    for _ in 0..16 {
        let mut raw = Raw::connect(broker.endpoints()[0]).await;
        raw.send(&ClientFrame::RegistrationRequest(with_password("ana", "wrong"))).await;
        all.push(raw);
    }
    for mut raw in all {
        assert!(matches!(raw.closing_error().await.code, Code::TooSlow | Code::Unauthorized));
    }
    eventually_true("nobody waits", || tasks() <= before).await;
    assert!(broker.counters().hashed < 12, "{} of 16 were checked", broker.counters().hashed);
    broker.shutdown().await;
}

/// Passwords are tried from many addresses at once: each has its burst looked at and no more, whoever is right gets in all the
/// same, whoever is in works on, and nothing is left of it.
#[tokio::test]
async fn a_flood_of_wrong_passwords_keeps_nobody_out() {
    const HOSTS: u8 = 40;
    let broker = broker_with(|config| {
        config.users = vec![user("ana"), user("canary")];
        (config.logins.failures_burst, config.logins.failures_per_minute) = (3, 1);
        config.logins.name_failures_burst = 10_000;
    })
    .await;
    let baseline = Baseline::of(&broker);
    let (mut canary, _) = Raw::register_with(&broker, of_user("canary")).await;
    canary.subscribe("canary").await;
    let mut flood = JoinSet::new();
    for host in 2..2 + HOSTS {
        let broker = broker.clone();
        flood.spawn(async move {
            for n in 0..9 {
                let name = ["ana", "nobody"][n % 2];
                let expected = if n < 3 { Code::Unauthorized } else { Code::TooMany };
                assert_eq!(fails(&broker, host, with_password(name, "wrong")).await.code, expected, "{n}");
            }
        });
    }
    while !flood.is_empty() {
        let (raw, _) = Raw::register_with(&broker, of_user("ana")).await;
        raw.disconnect(true).await;
        assert_eq!(canary.publish_and_get("canary", "tweet").await.text(), "tweet");
        while let Some(done) = flood.try_join_next() {
            done.unwrap();
        }
    }
    assert_eq!(hits(&broker, "logins.failures_per_minute"), u64::from(HOSTS) * 6);
    canary.disconnect(true).await;
    baseline.returns(&broker).await;
    broker.shutdown().await;
}

/// Registers many at once; how many got in, and what the others were told.
async fn all_at_once(broker: &Handle, hosts: impl Iterator<Item = u8>) -> (usize, Vec<ErrorFrame>) {
    let mut all = Vec::new();
    for host in hosts {
        let mut raw = Raw::connect_from(host, broker.endpoints()[0]).await;
        raw.send(&ClientFrame::RegistrationRequest(of_user("ana"))).await;
        all.push(raw);
    }
    let (mut inside, mut errors) = (0, Vec::new());
    for mut raw in all {
        match raw.next().await {
            Reply::Response(_) => inside += 1,
            Reply::Error(error) => errors.push(error),
            other => panic!("{other:?}"),
        }
    }
    (inside, errors)
}

/// Those who wait for their password to be checked are bounded, in all and by address; the others are told to come back.
#[tokio::test]
async fn registrations_that_wait_for_their_password_are_bounded() {
    type Bound = fn(&mut cordboard::config::Logins);
    let bounds: [(Bound, &str, &str, Code); 2] = [
        (|logins| logins.max_waiting = 3, "logins.max_waiting", "127.0.0.9", Code::Unavailable),
        (|logins| logins.max_waiting_per_address = 2, "logins.max_waiting_per_address", "127.0.0.2", Code::TooMany),
    ];
    for (bound, limit, who, code) in bounds {
        let broker = broker_with(|config| {
            config.users = vec![user_at_cost("ana", 32 << 10)];
            config.connections.registration_deadline = Duration::from_mins(1);
            bound(&mut config.logins);
        })
        .await;
        let hosts: Vec<u8> = if limit == "logins.max_waiting" { (2..10).collect() } else { vec![2; 8] };
        let (inside, errors) = all_at_once(&broker, hosts.into_iter()).await;
        assert!(inside >= 2 && inside + errors.len() == 8, "{inside} of 8 are in");
        for error in &errors {
            assert_eq!((error.code, error.retry_ms), (code, Some(1_000)));
            assert!(error.reason.contains(limit), "{}", error.reason);
        }
        is_told(&broker, limit, who).await;
        assert_eq!(hits(&broker, limit), errors.len() as u64);
        // Whoever comes when they are done gets in.
        registers(Raw::connect_from(2, broker.endpoints()[0]).await, of_user("ana")).await;
        broker.shutdown().await;
    }
}
