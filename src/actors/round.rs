//! A manager's round: once a second it looks at all it has. Not at once: while it looks at a hundred thousand, whoever has asked
//! it something would wait, and so would everybody else on its worker thread. It goes in strides, each a message of its own.

use std::{collections::BTreeMap, mem, ops::Bound, time::Duration};

/// How many are looked at in one message: that takes some tenths of a millisecond.
const STRIDE: usize = 256;
/// Between two strides.
pub(crate) const PAUSE: Duration = Duration::from_millis(1);
/// So often a stride doubles, once for each second that a round has taken: a busy broker's rounds must come to an end, too.
const DOUBLINGS: u64 = 6;

/// How far a round through a map is.
#[derive(Debug)]
pub(crate) struct Round<K> {
    place: Place<K>,
    /// In which second it began, if one ever did.
    began: Option<u64>,
    /// How many seconds after the one before.
    seconds: u64,
}

#[derive(Debug)]
enum Place<K> {
    Over,
    Start,
    After(K),
}

impl<K> Default for Round<K> {
    fn default() -> Self {
        Self { place: Place::Over, began: None, seconds: 1 }
    }
}

impl<K: Ord + Clone> Round<K> {
    /// Another one begins.
    pub(crate) fn begin(&mut self, second: u64) {
        self.seconds = self.began.map_or(1, |before| second.saturating_sub(before).max(1));
        (self.place, self.began) = (Place::Start, Some(second));
    }

    /// It has come to the end.
    pub(crate) fn is_over(&self) -> bool {
        matches!(self.place, Place::Over)
    }

    /// What is counted in this round came in about so many seconds: more than one, if the round before took longer than that.
    pub(crate) fn seconds(&self) -> u64 {
        self.seconds
    }

    /// The next stride through `all`, at `second`. Some may weigh more than others.
    pub(crate) fn stride<'a, V>(
        &mut self,
        all: &'a mut BTreeMap<K, V>,
        second: u64,
        weight: impl Fn(&V) -> usize,
    ) -> Vec<(&'a K, &'a mut V)> {
        let from = match mem::replace(&mut self.place, Place::Over) {
            Place::Over => return Vec::new(),
            Place::Start => Bound::Unbounded,
            Place::After(last) => Bound::Excluded(last),
        };
        let taken = self.began.map_or(0, |began| second.saturating_sub(began));
        let most = STRIDE << taken.min(DOUBLINGS);
        let (mut stride, mut weighed) = (Vec::new(), 0);
        for (key, value) in all.range_mut((from, Bound::Unbounded)) {
            weighed += weight(value).max(1);
            stride.push((key, value));
            if weighed >= most {
                self.place = Place::After(key.clone());
                break;
            }
        }
        stride
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(stride: &[(&usize, &mut usize)]) -> Vec<usize> {
        stride.iter().map(|(key, _)| **key).collect()
    }

    /// Whatever comes and goes meanwhile: what was there all the time is looked at, and nothing is looked at twice.
    #[test]
    fn a_round_comes_by_everything_once() {
        let mut all: BTreeMap<usize, usize> = (0..1_000).map(|key| (2 * key, 1)).collect();
        let (mut round, mut seen) = (Round::default(), Vec::new());
        assert!(round.is_over() && round.stride(&mut all, 1, |_| 1).is_empty());
        round.begin(1);
        while !round.is_over() {
            seen.extend(keys(&round.stride(&mut all, 1, |_| 1)));
            // The last one that was looked at is gone, and there are others on both sides of it.
            let last = seen.last().copied().unwrap_or_default();
            all.remove(&last);
            all.extend([(last.saturating_sub(1), 1), (last + 1, 1)]);
        }
        assert!(seen.is_sorted_by(|one, next| one < next) && (0..1_000).all(|key| seen.binary_search(&(2 * key)).is_ok()));
    }

    #[test]
    fn a_stride_is_bounded_by_what_it_weighs() {
        let mut all: BTreeMap<usize, usize> = [(1, STRIDE - 1), (2, 0), (3, 10 * STRIDE), (4, 1)].into();
        let mut round = Round::default();
        round.begin(1);
        let mut strides = Vec::new();
        while !round.is_over() {
            strides.push(keys(&round.stride(&mut all, 1, |weight| *weight)));
        }
        assert_eq!(strides, [vec![1, 2], vec![3], vec![4]]);
    }

    #[test]
    fn a_round_that_takes_long_takes_longer_strides() {
        let mut all: BTreeMap<usize, usize> = (0..100_000).map(|key| (key, 1)).collect();
        let mut round = Round::default();
        round.begin(7);
        let strides = [7, 8, 9, 99].map(|second| round.stride(&mut all, second, |_| 1).len());
        assert_eq!(strides, [STRIDE, 2 * STRIDE, 4 * STRIDE, 64 * STRIDE]);
    }

    #[test]
    fn a_round_knows_how_long_it_is_since_the_one_before() {
        let mut round = Round::<usize>::default();
        let seconds = [5_000, 5_001, 5_004, 5_004].map(|second| {
            round.begin(second);
            round.seconds()
        });
        assert_eq!(seconds, [1, 1, 3, 1]);
    }
}
