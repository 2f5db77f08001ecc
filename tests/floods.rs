//! Floods: what many clients, or one without measure, may cost. Others are served meanwhile (I6), what is held stays at its
//! bounds, and afterwards the broker is as it was (I5).
//!
//! They are as large as a small machine manages in seconds. `CORDBOARD_FLOOD` multiplies their size, `CORDBOARD_FLOOD_ROUNDS`
//! repeats each; what others waited and what the process holds is then to be read with `--nocapture`, on a machine that does
//! nothing else.

mod clients;
mod messages;
mod sockets;

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use cordboard::{Config, Handle, name::SubscriptionHandle};
use tokio::task::JoinHandle;

use crate::fixture::{Raw, baseline::Baseline, broker_with, from_env};

/// So many, or as many times more as was asked for.
fn scaled(count: usize) -> usize {
    count * from_env("CORDBOARD_FLOOD", 1) as usize
}

/// A client that goes on working, whatever others do, and remembers how long each of its messages took to come back.
struct Canary {
    enough: Arc<AtomicBool>,
    trips: JoinHandle<Vec<Duration>>,
}

impl Canary {
    async fn set_free(broker: &Handle) -> Self {
        let (mut raw, _) = Raw::register(broker, "canary").await;
        let handle: SubscriptionHandle = raw.subscribe("canary").await;
        let enough = Arc::new(AtomicBool::new(false));
        let until = Arc::clone(&enough);
        let trips = tokio::spawn(async move {
            let mut trips = Vec::new();
            while trips.is_empty() || !until.load(Relaxed) {
                let from = Instant::now();
                let got = raw.publish_and_get("canary", "tweet").await;
                trips.push(from.elapsed());
                raw.ack(handle, got.number).await;
            }
            raw.disconnect(true).await;
            trips
        });
        Self { enough, trips }
    }

    /// How long its messages took, shortest first.
    async fn caught(self) -> Vec<Duration> {
        self.enough.store(true, Relaxed);
        let mut trips = self.trips.await.expect("the canary lives");
        trips.sort_unstable();
        trips
    }
}

/// What the process holds, in MiB.
fn resident() -> u64 {
    let pages = std::fs::read_to_string("/proc/self/statm").ok();
    let pages = pages.and_then(|text| text.split_whitespace().nth(1)?.parse::<u64>().ok());
    pages.map_or(0, |pages| pages * 4 / 1_024)
}

/// Lets a flood come over a broker, as often as was asked for.
async fn survives(name: &str, change: impl FnOnce(&mut Config), flood: impl AsyncFn(&Handle)) {
    let broker = broker_with(change).await;
    let baseline = Baseline::of(&broker);
    for round in 1..=from_env("CORDBOARD_FLOOD_ROUNDS", 1) {
        let canary = Canary::set_free(&broker).await;
        let from = Instant::now();
        flood(&broker).await;
        let took = from.elapsed();
        let trips = canary.caught().await;
        assert_eq!(broker.bus().board().broker.restarts, 0, "no manager failed");
        baseline.returns(&broker).await;
        let (p99, worst) = (trips[trips.len() * 99 / 100], trips[trips.len() - 1]);
        let (count, held) = (trips.len(), resident());
        println!("{name} {round}: {took:.1?}; canary {count} round trips, p99 {p99:.1?}, worst {worst:.1?}; {held} MiB resident");
    }
    broker.shutdown().await;
}
