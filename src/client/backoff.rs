//! How long a client waits before it tries again: longer each time, and never as long as its neighbour.

use std::time::Duration;

use crate::entropy::Entropy;

/// When to try again after a connection was lost. Each wait is drawn between half of a bound and the bound, which doubles from
/// [`first`](Self::first) to [`max`](Self::max); so ten thousand clients that lost the same broker do not return at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backoff {
    /// The longest first wait.
    pub first: Duration,
    /// The longest wait of all.
    pub max: Duration,
    /// Attempts before the client gives up; 0: it does not come back by itself at all.
    pub attempts: u32,
}

impl Default for Backoff {
    /// From 100 ms to 10 s, for ever.
    fn default() -> Self {
        Self { first: Duration::from_millis(100), max: Duration::from_secs(10), attempts: u32::MAX }
    }
}

impl Backoff {
    /// Never come back: a lost connection is the client's end.
    pub const NEVER: Self = Self { first: Duration::ZERO, max: Duration::ZERO, attempts: 0 };

    /// The wait before `attempt`, counted from 1; none if that is one too many. `random` is uniform over all of `u32`.
    pub(super) fn wait(&self, attempt: u32, random: u32) -> Option<Duration> {
        if attempt > self.attempts {
            return None;
        }
        let doubled = self.first.saturating_mul(1 << attempt.saturating_sub(1).min(30));
        let half = doubled.min(self.max) / 2;
        Some(half + half.mul_f64(f64::from(random) / f64::from(u32::MAX)))
    }
}

/// Random bits. A source that has none left is not worth failing a reconnect for.
pub(super) fn random(entropy: &dyn Entropy) -> u32 {
    let mut bytes = [0; 4];
    entropy.fill(&mut bytes).map_or(u32::MAX / 2, |()| u32::from_ne_bytes(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_to_the_bound_and_are_spread_over_half_of_it() {
        let backoff = Backoff::default();
        let wait = |attempt, random| backoff.wait(attempt, random).map(|wait| wait.as_millis());
        assert_eq!(wait(1, 0), Some(50));
        assert_eq!(wait(1, u32::MAX), Some(100));
        assert_eq!(wait(3, u32::MAX), Some(400));
        assert_eq!(wait(8, u32::MAX), Some(10_000));
        assert_eq!(wait(1_000_000, 0), Some(5_000));
    }

    #[test]
    fn it_gives_up_after_its_attempts() {
        let backoff = Backoff { attempts: 2, ..Backoff::default() };
        assert!(backoff.wait(2, 0).is_some());
        assert_eq!(backoff.wait(3, 0), None);
        assert_eq!(Backoff::NEVER.wait(1, 0), None);
    }
}
