//! Counters: atomics that the data path bumps once a batch and the sampler reads once a second.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use serde::{Deserialize, Serialize};

/// A count that only grows, or a gauge that goes both ways.
#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    pub(crate) fn add(&self, n: u64) {
        self.0.fetch_add(n, Relaxed);
    }

    pub(crate) fn sub(&self, n: u64) {
        self.0.fetch_sub(n, Relaxed);
    }

    pub(crate) fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }

    pub(crate) fn set(&self, n: u64) {
        self.0.store(n, Relaxed);
    }
}

/// A counter and what it was a second ago.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Rate {
    before: u64,
    /// What came in the last second, or each second since the last sample.
    pub(crate) last: u64,
}

impl Rate {
    /// True if the counter has moved since the last sample.
    pub(crate) fn differs(&self, now: u64) -> bool {
        self.before != now
    }

    /// Takes the counter's value now, so many seconds after the last sample; true if the rate has changed.
    pub(crate) fn sample(&mut self, now: u64, seconds: u64) -> bool {
        let rate = (now - self.before).div_ceil(seconds);
        self.before = now;
        std::mem::replace(&mut self.last, rate) != rate
    }
}

macro_rules! stats {
    ($($(#[$doc:meta])* $name:ident),* $(,)?) => {
        /// The broker's counters.
        #[derive(Debug, Default)]
        pub(crate) struct Stats {
            $($(#[$doc])* pub(crate) $name: Counter,)*
        }

        /// The broker's counters at one moment; see [`Handle::counters`](crate::Handle::counters).
        #[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
        pub struct Counters {
            $($(#[$doc])* pub $name: u64,)*
        }

        impl Stats {
            pub(crate) fn read(&self) -> Counters {
                Counters { $($name: self.$name.get(),)* }
            }
        }
    };
}

stats! {
    /// Messages accepted: in the queue of every subscription that matched, or in a backlog.
    published,
    /// Messages written to subscribers.
    delivered,
    /// Passwords verified by hashing; credentials that were remembered are not among them.
    hashed,
    /// Messages acknowledged by subscribers.
    acknowledged,
    /// Publishes refused, whatever the code.
    refused_publishes,
    /// Messages dropped from queues and backlogs.
    dropped,
    /// Connections refused by a cap, or while not accepting.
    refused_connections,
    /// Registrations refused.
    refused_registrations,
    /// Things dropped because they carried an older epoch (I4).
    stale,
    /// Acknowledgements of unknown handles or of numbers never sent.
    bad_acks,
    /// Publish sequences that came again and were answered, not enqueued.
    repeats,
    /// Actor messages sent.
    casts,
    /// Publish chunks whose last group has not answered yet.
    unsettled,
    /// Connections that have not registered yet.
    unregistered,
    /// Actors that are alive.
    actors,
    /// Reader and writer tasks that are alive.
    tasks,
    /// Timers that are set.
    timers,
    /// Bytes read from clients.
    bytes_in,
    /// Bytes written to clients.
    bytes_out,
}

/// Counts something as alive until it is dropped, however it ends.
#[derive(Debug)]
pub(crate) struct Alive<F: Fn(&Stats) -> &Counter> {
    stats: std::sync::Arc<Stats>,
    which: F,
}

impl<F: Fn(&Stats) -> &Counter> Alive<F> {
    pub(crate) fn new(stats: &std::sync::Arc<Stats>, which: F) -> Self {
        which(stats).add(1);
        Self { stats: std::sync::Arc::clone(stats), which }
    }
}

impl<F: Fn(&Stats) -> &Counter> Drop for Alive<F> {
    fn drop(&mut self) {
        (self.which)(&self.stats).sub(1);
    }
}
