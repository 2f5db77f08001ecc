//! Numbers about numbers: the middle of a few rounds and how far they lie apart, and percentiles of many times.
//!
//! Percentiles come from all times that were measured, sorted, and not from a histogram: a run has at most some millions of
//! them, eight bytes each, and nothing is rounded.

use std::time::Duration;

/// Several measurements of one thing.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Spread {
    pub(super) least: f64,
    pub(super) median: f64,
    pub(super) most: f64,
}

impl Spread {
    /// None of nothing.
    pub(super) fn of(values: impl IntoIterator<Item = f64>) -> Option<Self> {
        let mut values: Vec<f64> = values.into_iter().collect();
        values.sort_by(f64::total_cmp);
        let (least, most) = (*values.first()?, *values.last()?);
        let middle = values.len() / 2;
        let median = if values.len() % 2 == 1 { values[middle] } else { f64::midpoint(values[middle - 1], values[middle]) };
        Some(Self { least, median, most })
    }
}

/// Of pairs that were measured next to one another: each first over its second.
pub(super) fn ratio(pairs: impl Iterator<Item = (f64, f64)>) -> Option<Spread> {
    Spread::of(pairs.filter(|(_, second)| *second > 0.0).map(|(first, second)| first / second))
}

/// Times of many messages.
#[derive(Debug, Default)]
pub(super) struct Times(Vec<u64>);

impl Times {
    pub(super) fn add(&mut self, time: Duration) {
        self.0.push(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX));
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// The time that so many in a thousand did not exceed, by the nearest rank. None if there is none.
    pub(super) fn not_exceeded_by(&mut self, thousandths: usize) -> Option<Duration> {
        self.0.sort_unstable();
        let rank = (thousandths * self.0.len()).div_ceil(1_000);
        self.0.get(rank.max(1) - 1).copied().map(Duration::from_nanos)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spread_has_its_middle_between_its_ends() {
        assert_eq!(Spread::of([3.0, 1.0, 2.0]), Some(Spread { least: 1.0, median: 2.0, most: 3.0 }));
        assert_eq!(Spread::of([4.0, 1.0]), Some(Spread { least: 1.0, median: 2.5, most: 4.0 }));
        assert_eq!(Spread::of([]), None);
    }

    #[test]
    fn a_ratio_is_of_neighbours() {
        let of = |pairs: &[(f64, f64)]| ratio(pairs.iter().copied());
        assert_eq!(of(&[(1.0, 2.0), (6.0, 3.0)]), Some(Spread { least: 0.5, median: 1.25, most: 2.0 }));
        assert_eq!(of(&[(1.0, 0.0)]), None);
    }

    #[test]
    fn percentiles_are_times_that_were_measured() {
        let mut times = Times::default();
        assert_eq!(times.not_exceeded_by(500), None);
        (1..=1_000).rev().for_each(|millis| times.add(Duration::from_millis(millis)));
        let millis = [500, 990, 999, 1_000, 0].map(|thousandths| times.not_exceeded_by(thousandths).unwrap().as_millis());
        assert_eq!(millis, [500, 990, 999, 1_000, 1]);
    }
}
