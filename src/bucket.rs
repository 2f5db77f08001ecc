//! A token bucket: so many at once, then so many a second. Pure; the limits come with the call, so that a reload holds at once.

use std::time::Instant;

/// How much of a burst is left.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bucket {
    tokens: f64,
    at: Instant,
}

impl Bucket {
    pub(crate) fn new(burst: u32, now: Instant) -> Self {
        Self { tokens: f64::from(burst), at: now }
    }

    fn refill(&mut self, burst: u32, per_second: u32, now: Instant) {
        let elapsed = now.saturating_duration_since(self.at).as_secs_f64();
        self.tokens = (self.tokens + elapsed * f64::from(per_second)).min(f64::from(burst));
        self.at = now;
    }

    /// Takes one, if there is one.
    pub(crate) fn take(&mut self, burst: u32, per_second: u32, now: Instant) -> bool {
        self.refill(burst, per_second, now);
        let there = self.tokens >= 1.0;
        if there {
            self.tokens -= 1.0;
        }
        there
    }

    /// True if it holds a whole burst: then it need not be remembered.
    pub(crate) fn is_full(&mut self, burst: u32, per_second: u32, now: Instant) -> bool {
        self.refill(burst, per_second, now);
        self.tokens >= f64::from(burst)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_burst_then_a_rate() {
        let start = Instant::now();
        let mut bucket = Bucket::new(3, start);
        assert_eq!((0..5).filter(|_| bucket.take(3, 10, start)).count(), 3);
        let later = start + Duration::from_millis(200);
        assert_eq!((0..5).filter(|_| bucket.take(3, 10, later)).count(), 2);
        assert!(!bucket.is_full(3, 10, later));
        assert!(bucket.is_full(3, 10, later + Duration::from_secs(9)));
    }
}
