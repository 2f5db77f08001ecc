//! Time as the broker tells it: a monotonic count for everything that must not jump, the wall clock only to be read by people.
//!
//! Deadlines are kept as instants. Events carry them twice, as milliseconds of uptime (to count down with) and as wall-clock
//! time (to print), so that a clock set back by a day moves no timer.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};
use tokio::time::Instant;

/// Milliseconds since 1970-01-01T00:00:00Z.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct UnixMillis(pub u64);

/// Milliseconds since the broker started, on the monotonic clock.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Uptime(pub u64);

impl Uptime {
    /// How long from `self` to `later`; zero if it is not later.
    pub fn until(self, later: Uptime) -> Duration {
        Duration::from_millis(later.0.saturating_sub(self.0))
    }
}

/// One moment on both clocks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Moment {
    /// To compute with.
    pub up: Uptime,
    /// To print.
    pub wall: UnixMillis,
}

/// The broker's clock. Cheap to copy; all copies agree.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    started: Instant,
    started_wall: UnixMillis,
}

impl Clock {
    /// A clock whose uptime is zero now.
    pub fn start() -> Self {
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self { started: Instant::now(), started_wall: UnixMillis(wall.as_millis() as u64) }
    }

    /// Now, on both clocks. The wall time is the start's plus the uptime: it never goes back.
    pub fn now(&self) -> Moment {
        self.at(Instant::now())
    }

    /// `instant` on both clocks.
    pub fn at(&self, instant: Instant) -> Moment {
        let up = instant.saturating_duration_since(self.started).as_millis() as u64;
        Moment { up: Uptime(up), wall: UnixMillis(self.started_wall.0 + up) }
    }
}
