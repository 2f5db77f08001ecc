//! A seed and what follows from it, so that a story can be told again.

use std::time::Duration;

/// `SplitMix64`: small, and the same everywhere.
#[derive(Debug, Clone)]
pub(crate) struct Rng(u64);

impl Rng {
    /// All that follows from `seed`.
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// One for somebody else, who may draw from it as often as it likes without a change to what is drawn here.
    pub(crate) fn fork(&mut self) -> Self {
        Self(self.next())
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number from `least` up to, but not, `bound`.
    pub(crate) fn within(&mut self, least: u64, bound: u64) -> u64 {
        least + self.next() % (bound - least)
    }

    /// True once in `n` times.
    pub(crate) fn once_in(&mut self, n: u64) -> bool {
        self.within(0, n) == 0
    }

    /// A number from 0 up to, but not, 1.
    pub(crate) fn share(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// A time from the shortest to the longest of `range`.
    pub(crate) fn time(&mut self, (shortest, longest): (Duration, Duration)) -> Duration {
        shortest + longest.saturating_sub(shortest).mul_f64(self.share())
    }

    /// One of `all`.
    pub(crate) fn pick<'a>(&mut self, all: &[&'a str]) -> &'a str {
        all[self.within(0, all.len() as u64) as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_tells_the_same_story() {
        let story = |seed| {
            let mut rng = Rng::new(seed);
            let mut other = rng.fork();
            (other.within(0, 1_000), rng.within(0, 1_000), rng.pick(&["a", "b", "c"]), rng.share().to_bits())
        };
        assert_eq!(story(7), story(7));
        assert_ne!(story(7), story(8));
    }

    #[test]
    fn what_is_drawn_stays_within_its_bounds() {
        let mut rng = Rng::new(1);
        let range = (Duration::from_secs(20), Duration::from_mins(1));
        let times: Vec<_> = (0..1_000).map(|_| rng.time(range)).collect();
        assert!(times.iter().all(|time| (range.0..=range.1).contains(time)));
        assert!(times.iter().any(|time| time.as_secs() < 25) && times.iter().any(|time| time.as_secs() > 55));
        assert!((0..1_000).all(|_| (5..8).contains(&rng.within(5, 8))));
        assert_eq!((0..1_000).filter(|_| rng.once_in(1)).count(), 1_000);
    }
}
