//! A token bucket: so many at once, then so many in a time. Pure; the pace comes with the call, so that a new one holds at once.

use std::time::{Duration, Instant};

/// How many at once, and how fast they come again.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Pace {
    burst: f64,
    per_second: f64,
}

impl Pace {
    /// `burst` at once, then `count` a second.
    pub(crate) fn per_second(burst: u32, count: u32) -> Self {
        Self::over(burst, count, Duration::from_secs(1))
    }

    /// `burst` at once, then `count` a minute.
    pub(crate) fn per_minute(burst: u32, count: u32) -> Self {
        Self::over(burst, count, Duration::from_mins(1))
    }

    /// `burst` at once, then `count` in each `time`.
    pub(crate) fn over(burst: u32, count: u32, time: Duration) -> Self {
        Self { burst: f64::from(burst), per_second: f64::from(count) / time.as_secs_f64() }
    }
}

/// How much of a burst is left.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bucket {
    tokens: f64,
    at: Instant,
}

impl Bucket {
    /// A full one.
    pub(crate) fn new(pace: Pace, now: Instant) -> Self {
        Self { tokens: pace.burst, at: now }
    }

    fn refill(&mut self, pace: Pace, now: Instant) {
        let elapsed = now.saturating_duration_since(self.at).as_secs_f64();
        self.tokens = (self.tokens + elapsed * pace.per_second).min(pace.burst);
        self.at = now;
    }

    /// Takes one.
    ///
    /// # Errors
    /// There is none; the next one comes after this time.
    pub(crate) fn take(&mut self, pace: Pace, now: Instant) -> Result<(), Duration> {
        self.look(pace, now)?;
        self.tokens -= 1.0;
        Ok(())
    }

    /// Is there one?
    ///
    /// # Errors
    /// There is none; the next one comes after this time.
    pub(crate) fn look(&mut self, pace: Pace, now: Instant) -> Result<(), Duration> {
        self.refill(pace, now);
        if self.tokens >= 1.0 {
            return Ok(());
        }
        // Rounded up to a whole millisecond: whoever waits that long finds one.
        let wait = (1.0 - self.tokens) / pace.per_second;
        Err(Duration::from_millis((wait * 1_000.0).ceil() as u64))
    }

    /// How full it is: 1 is a whole burst, and need not be remembered.
    pub(crate) fn fill(&mut self, pace: Pace, now: Instant) -> f64 {
        self.refill(pace, now);
        self.tokens / pace.burst
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_then_a_rate() {
        let (pace, start) = (Pace::per_second(3, 10), Instant::now());
        let mut bucket = Bucket::new(pace, start);
        let taken = |bucket: &mut Bucket, now| (0..5).filter(|_| bucket.take(pace, now).is_ok()).count();
        assert_eq!(taken(&mut bucket, start), 3);
        assert_eq!(taken(&mut bucket, start + Duration::from_millis(200)), 2);
        assert!(bucket.fill(pace, start + Duration::from_millis(200)) < 1.0);
        assert!(bucket.fill(pace, start + Duration::from_secs(9)) >= 1.0);
    }

    /// Whoever is told to wait, and does, is not told to wait again.
    #[test]
    fn the_time_to_wait_is_enough() {
        for (pace, most) in [(Pace::per_second(1, 7), 143), (Pace::per_minute(2, 20), 3_000), (Pace::per_second(1, 1_000), 1)] {
            let mut now = Instant::now();
            let mut bucket = Bucket::new(pace, now);
            for _ in 0..100 {
                if let Err(wait) = bucket.take(pace, now) {
                    assert!(wait <= Duration::from_millis(most), "{wait:?}");
                    now += wait;
                    assert_eq!(bucket.take(pace, now), Ok(()));
                }
            }
        }
    }

    /// A pace that was lowered holds at once, for what is left of a larger burst, too.
    #[test]
    fn a_new_pace_holds_at_once() {
        let start = Instant::now();
        let mut bucket = Bucket::new(Pace::per_second(1_000, 1), start);
        let lower = Pace::per_second(2, 1);
        assert_eq!((0..9).filter(|_| bucket.take(lower, start).is_ok()).count(), 2);
    }
}
