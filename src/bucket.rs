//! A token bucket: so many at once, then so many in a time. Pure; the pace comes with the call, so that a new one holds at once.

use std::time::{Duration, Instant};

/// How many at once, and how fast they come again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Pace {
    burst: u32,
    /// The time in which one comes again.
    each: Duration,
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
        Self { burst, each: time / count.max(1) }
    }

    /// The time in which an empty bucket fills.
    fn whole(self) -> Duration {
        self.each * self.burst
    }
}

/// How much of a burst is left, kept as the time at which nothing of it would be missing: whole numbers, so that it makes no
/// difference how often it is looked at.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bucket {
    full_at: Instant,
}

impl Bucket {
    /// A full one.
    pub(crate) fn new(now: Instant) -> Self {
        Self { full_at: now }
    }

    /// The time until it is full. A pace that was lowered makes it no emptier than empty.
    fn missing(&self, pace: Pace, now: Instant) -> Duration {
        self.full_at.saturating_duration_since(now).min(pace.whole())
    }

    /// Takes one.
    ///
    /// # Errors
    /// There is none; the next one comes after this time.
    pub(crate) fn take(&mut self, pace: Pace, now: Instant) -> Result<(), Duration> {
        self.look(pace, now)?;
        self.full_at = now + self.missing(pace, now) + pace.each;
        Ok(())
    }

    /// Is there one?
    ///
    /// # Errors
    /// There is none; the next one comes after this time.
    pub(crate) fn look(&self, pace: Pace, now: Instant) -> Result<(), Duration> {
        let wait = (self.missing(pace, now) + pace.each).saturating_sub(pace.whole());
        if wait.is_zero() {
            return Ok(());
        }
        // Rounded up to a whole millisecond: whoever waits that long finds one.
        Err(Duration::from_millis(wait.as_nanos().div_ceil(1_000_000) as u64))
    }

    /// How full it is: 1 is a whole burst, and need not be remembered.
    pub(crate) fn fill(&self, pace: Pace, now: Instant) -> f64 {
        1.0 - self.missing(pace, now).as_secs_f64() / pace.whole().as_secs_f64()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_then_a_rate() {
        let (pace, start) = (Pace::per_second(3, 10), Instant::now());
        let mut bucket = Bucket::new(start);
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
            let mut bucket = Bucket::new(now);
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
        let mut bucket = Bucket::new(start);
        let lower = Pace::per_second(2, 1);
        assert_eq!((0..9).filter(|_| bucket.take(lower, start).is_ok()).count(), 2);
    }
}
