//! Chaos: clients that come, subscribe, vanish in every way there is, resume and take over from themselves, at random moments
//! and all at once, while publishers do the same. Not one acknowledged message may be lost, come twice without its mark, or
//! out of order (I1, I3, I4), and afterwards nothing of it is left (I5).
//!
//! `CORDBOARD_CHAOS_SEED` and `CORDBOARD_CHAOS_ROUNDS` choose another run. The seed decides what each client does; how their
//! doings interleave is the scheduler's part of the chaos.

mod publisher;
mod subscriber;
mod visitor;

use std::{
    iter,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use cordboard::{Handle, name::SessionId, wire::RegistrationRequest};
use tokio::sync::watch;

use self::{publisher::Publisher, subscriber::Subscriber, visitor::Visitor};
use crate::fixture::{Raw, baseline::Baseline, broker_with, from_env, rng::Rng};

const PUBLISHERS: u32 = 3;
const TOPICS: [&str; 4] = ["news", "news/eu", "news/us", "sport/eu"];
/// What each surviving subscriber subscribes to. Overlaps, wildcards and exact ones.
const FILTERS: [&[&str]; 4] = [&["#"], &["news/#", "+/eu"], &["news", "news/eu", "news/us", "sport/eu"], &["+/+", "news"]];
const VISITORS: u64 = 2;

/// The rounds that are left; every act of every client takes one.
#[derive(Debug, Clone)]
struct Rounds(Arc<AtomicU64>);

impl Rounds {
    fn take(&self) -> bool {
        self.0.fetch_update(Relaxed, Relaxed, |left| left.checked_sub(1)).is_ok()
    }
}

/// A way to lose a connection.
#[derive(Debug, Clone, Copy)]
enum Loss {
    Eof,
    Reset,
    /// The first bytes of a frame, then the end of it all.
    MidFrame {
        reset: bool,
    },
    /// Said goodbye, and did not wait for an answer.
    Goodbye,
}

impl Loss {
    const ALL: [Self; 5] =
        [Self::Eof, Self::Reset, Self::MidFrame { reset: false }, Self::MidFrame { reset: true }, Self::Goodbye];

    /// Loses the connection; `frame` is what would have been sent next.
    async fn of(self, mut raw: Raw, frame: &[u8], rng: &mut Rng) {
        match self {
            Self::Eof => drop(raw),
            Self::Reset => raw.reset(),
            Self::MidFrame { reset } => {
                let len = 1 + rng.below(frame.len() as u64 - 1) as usize;
                raw.send_bytes(&frame[..len]).await;
                if reset {
                    raw.reset();
                }
            }
            Self::Goodbye => {
                let goodbye = cordboard::wire::Disconnect { end: false };
                raw.send(&cordboard::wire::ClientFrame::Disconnect(goodbye)).await;
            }
        }
    }
}

/// A request to come back to `session`, with all publishes up to `settled` known.
fn comes_back(name: &str, session: SessionId, settled: u64) -> RegistrationRequest {
    RegistrationRequest { session: Some(session), settled: Some(settled), ..RegistrationRequest::new(name) }
}

async fn chaos_broker() -> Handle {
    broker_with(|config| {
        config.sessions.reclaim_after = Duration::from_hours(1);
        // Nothing may be dropped for want of room, and nothing given up for coming back too often: that would be losses with a
        // reason, and this looks for losses without one.
        config.queues.max_messages = 1_000_000;
        config.queues.max_attempts = u32::MAX;
        config.queues.window_messages = 48;
        config.queues.ack_timeout = Duration::from_mins(10);
        // Chaos on purpose is no flapping.
        config.sessions.max_takeovers = u32::MAX;
        config.connections.connect_burst = u32::MAX;
    })
    .await
}

async fn run(seed: u64) {
    let seed = from_env("CORDBOARD_CHAOS_SEED", seed);
    let rounds = from_env("CORDBOARD_CHAOS_ROUNDS", 1_000);
    // Shown if it fails.
    println!("CORDBOARD_CHAOS_SEED={seed} CORDBOARD_CHAOS_ROUNDS={rounds}");
    let mut rng = Rng(seed);
    let mut rngs = iter::from_fn(move || Some(Rng(rng.next())));
    let mut rng = move || rngs.next().unwrap_or(Rng(seed));
    let broker = chaos_broker().await;
    let baseline = Baseline::of(&broker);
    let rounds = Rounds(Arc::new(AtomicU64::new(rounds)));

    let (publish_totals, totals) = watch::channel(None);
    let mut subscribers = Vec::new();
    for (n, filters) in FILTERS.into_iter().enumerate() {
        let subscriber = Subscriber::start(&broker, &format!("sub-{n}"), filters, rng()).await;
        subscribers.push(tokio::spawn(subscriber.live(rounds.clone(), totals.clone())));
    }
    let mut visitors = Vec::new();
    for _ in 0..VISITORS {
        visitors.push(tokio::spawn(Visitor::new(&broker, rng()).live(rounds.clone())));
    }
    let mut publishers = Vec::new();
    for n in 0..PUBLISHERS {
        publishers.push(tokio::spawn(Publisher::start(&broker, n, rng()).await.live(rounds.clone())));
    }
    let mut acknowledged = Vec::new();
    for publisher in publishers {
        acknowledged.push(publisher.await.unwrap());
    }
    assert!(acknowledged.iter().flatten().all(|messages| *messages > 0), "every publisher reached every topic");
    publish_totals.send_replace(Some(acknowledged));
    for task in subscribers.into_iter().chain(visitors) {
        task.await.unwrap();
    }
    assert_eq!(broker.counters().refused_publishes, 0);
    assert_eq!(broker.bus().board().broker.restarts, 0);
    baseline.returns(&broker).await;
    broker.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nothing_acknowledged_is_lost_in_a_thousand_rounds_of_chaos() {
    run(0x0c0d_b0a2_d001).await;
}

/// On one thread other interleavings come up: every actor runs until it waits.
#[tokio::test]
async fn nothing_acknowledged_is_lost_in_a_thousand_rounds_on_one_thread() {
    run(0x0c0d_b0a2_d002).await;
}
