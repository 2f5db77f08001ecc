//! Floods of connections: those that say nothing, those that register and go, those that come back and back.

use std::time::Duration;

use cordboard::{
    board::SessionRow,
    wire::{ClientFrame, Code, RegistrationRequest},
};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::{scaled, survives};
use crate::fixture::{Raw, Reply, baseline::Baseline, broker, eventually, eventually_true};

/// How many sockets of `wished` this process may have at both ends, after it has asked for as many as it gets.
fn affordable(wished: usize) -> usize {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    // Refused only if it is as high as it may be already.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
    let most = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    // Other tests of this process have theirs.
    let affordable = wished.min((most / 4) as usize);
    if affordable < wished {
        println!("the system grants {most} descriptors: {affordable} sockets instead of {wished}");
    }
    affordable
}

/// Whoever says nothing takes no place from whoever does: registered clients work on, and new ones get in.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sockets_that_say_nothing_keep_nobody_out() {
    let many = affordable(scaled(1_000));
    survives(
        "silent sockets",
        |config| {
            config.connections.connect_burst = u32::MAX;
            config.connections.max_unregistered = 256;
            config.connections.registration_deadline = Duration::from_mins(1);
        },
        async |broker| {
            let mut silent = Vec::new();
            for n in 0..many {
                silent.push(Raw::connect_from(2 + (n % 3) as u8, broker.endpoints()[0]).await);
                if n % 100 == 99 {
                    let (mut honest, _) = Raw::register(broker, "honest").await;
                    honest.publish("honest", "x").await;
                    honest.disconnect(true).await;
                }
            }
            assert!(broker.counters().unregistered <= 256 + 8, "{}", broker.counters().unregistered);
            // What the first of them, which gave its place up, reads.
            assert_eq!(silent.remove(0).closing_error().await.code, Code::TooSlow);
        },
    )
    .await;
}

/// Clients that register and are gone again leave sessions, up to a bound, and nothing else.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_of_registrations_leaves_a_bounded_number_of_sessions() {
    let many = scaled(500);
    survives(
        "registrations",
        |config| {
            config.connections.connect_burst = u32::MAX;
            config.sessions.max_detached_per_principal = 100;
        },
        async |broker| {
            let flood = async |host: u8| {
                for n in 0..many / 4 {
                    let mut raw = Raw::connect_from(host, broker.endpoints()[0]).await;
                    raw.send(&ClientFrame::RegistrationRequest(RegistrationRequest::new("short"))).await;
                    if n % 2 == 0 {
                        raw.response().await;
                    }
                }
            };
            tokio::join!(flood(2), flood(3), flood(4), flood(5));
            Raw::register(broker, "honest").await.0.disconnect(true).await;
            eventually(broker, "those that were too many have ended", |board| {
                let attached = board.sessions.values().filter(|row| SessionRow::is_attached(row)).count();
                board.broker.detached <= 100 && attached == 1
            })
            .await;
        },
    )
    .await;
}

/// A client that loses its connection a thousand times has one session, and one timer when it is away.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_reconnects_leave_one_timer() {
    let broker = broker().await;
    let baseline = Baseline::of(&broker);
    let (raw, response) = Raw::register(&broker, "restless").await;
    raw.disconnect(false).await;
    for n in 0..scaled(1_000) as u64 {
        let mut raw = Raw::connect(broker.endpoints()[0]).await;
        // Each wish is shorter than the one before: the soonest deadline changes each time.
        let reclaim_ms = Some(3_600_000 - n);
        let request = RegistrationRequest { session: Some(response.session), reclaim_ms, ..RegistrationRequest::new("restless") };
        raw.send(&ClientFrame::RegistrationRequest(request)).await;
        match raw.next().await {
            Reply::Response(response) => assert!(response.resumed),
            // It was quicker than the loss of the one before, fifteen times.
            Reply::Error(error) => assert_eq!(error.code, Code::TooMany),
            other => panic!("{other:?}"),
        }
        raw.reset();
    }
    eventually(&broker, "it is away", |board| board.broker.detached == 1 && board.listeners.is_empty()).await;
    eventually_true("one timer is left", || broker.counters().timers == 1).await;
    assert_eq!(broker.bus().board().sessions.len(), 1);
    baseline.returns(&broker).await;
    broker.shutdown().await;
}
