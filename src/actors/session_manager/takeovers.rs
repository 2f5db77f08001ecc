//! How often a session is taken over. Two clients with one session would take it from each other for ever, each thinking that
//! it only comes back.

use std::time::{Duration, Instant};

use crate::{
    bucket::{Bucket, Pace},
    config::Sessions,
};

/// The takeovers of one session.
#[derive(Debug, Default)]
pub(super) struct Takeovers {
    /// Nothing until the first one: most sessions never see one.
    bucket: Option<Bucket>,
    banned_until: Option<Instant>,
}

impl Takeovers {
    /// Counts one.
    ///
    /// # Errors
    /// There were too many; for this long there shall be none.
    pub(super) fn count(&mut self, limits: &Sessions, now: Instant) -> Result<(), Duration> {
        if let Some(until) = self.banned_until {
            let left = until.saturating_duration_since(now);
            if !left.is_zero() {
                return Err(left);
            }
            *self = Self::default();
        }
        let pace = Pace::over(limits.max_takeovers, limits.max_takeovers, limits.takeover_window);
        let bucket = self.bucket.get_or_insert_with(|| Bucket::new(now));
        bucket.take(pace, now).map_err(|_| {
            self.banned_until = Some(now + limits.takeover_ban);
            limits.takeover_ban
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn too_many_in_a_window_are_followed_by_a_ban_and_then_by_a_new_start() {
        let limits = Sessions::default();
        let (mut takeovers, start) = (Takeovers::default(), Instant::now());
        let allowed = |takeovers: &mut Takeovers, now| (0..100).filter(|_| takeovers.count(&limits, now).is_ok()).count();
        assert_eq!(allowed(&mut takeovers, start), 15);
        let later = start + limits.takeover_ban.saturating_sub(Duration::from_secs(1));
        assert_eq!(takeovers.count(&limits, later), Err(Duration::from_secs(1)));
        // Whoever was told to wait, and did, finds all of it.
        assert_eq!(allowed(&mut takeovers, start + limits.takeover_ban), 15);
    }

    #[test]
    fn a_client_that_comes_back_now_and_then_is_never_banned() {
        let limits = Sessions::default();
        let (mut takeovers, mut now) = (Takeovers::default(), Instant::now());
        for _ in 0..1_000 {
            assert_eq!(takeovers.count(&limits, now), Ok(()));
            now += limits.takeover_window / 15;
        }
    }
}
