//! Limits that were hit: each is told to the one who hit it, counted, and said on the bus at most once a second.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

/// The most (limit, cause) pairs remembered; beyond it the causes of a limit are counted together.
const PAIRS: usize = 1_024;

/// Which limits were hit, by whom, since they were last told.
#[derive(Debug, Default)]
pub(crate) struct Limits {
    hits: Mutex<HashMap<(&'static str, String), Hits>>,
}

#[derive(Debug, Clone, Copy)]
struct Hits {
    told: Instant,
    untold: u64,
}

impl Limits {
    /// Counts a hit of `limit` by `who`. Returns how many to tell now, if it is time.
    pub(crate) fn hit(&self, limit: &'static str, who: &str, now: Instant) -> Option<u64> {
        let mut hits = self.hits.lock().unwrap_or_else(PoisonError::into_inner);
        if hits.len() >= PAIRS {
            hits.retain(|_, hits| now.duration_since(hits.told) < Duration::from_mins(1));
        }
        let who = if hits.len() >= PAIRS { "many" } else { who };
        match hits.get_mut(&(limit, who.to_owned())) {
            None => {
                hits.insert((limit, who.to_owned()), Hits { told: now, untold: 0 });
                Some(1)
            }
            Some(known) => {
                known.untold += 1;
                (now.duration_since(known.told) >= Duration::from_secs(1)).then(|| {
                    known.told = now;
                    std::mem::take(&mut known.untold)
                })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A million refused topics are a million counts and one line a second.
    #[test]
    fn a_flood_is_told_once_a_second_with_its_count() {
        let (limits, start) = (Limits::default(), Instant::now());
        assert_eq!(limits.hit("topics.max", "ana", start), Some(1));
        for _ in 0..500 {
            assert_eq!(limits.hit("topics.max", "ana", start), None);
        }
        assert_eq!(limits.hit("topics.max", "bob", start), Some(1));
        assert_eq!(limits.hit("topics.max", "ana", start + Duration::from_secs(1)), Some(501));
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let (limits, start) = (Limits::default(), Instant::now());
        for n in 0..PAIRS * 2 {
            limits.hit("connections.max_per_address", &n.to_string(), start);
        }
        assert!(limits.hits.lock().unwrap().len() <= PAIRS + 1);
    }
}
