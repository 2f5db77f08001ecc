//! A manager's round: once a second it looks at all it has. Not at once: while it looks at a hundred thousand, whoever has asked
//! it something would wait, and so would everybody else on its worker thread. It goes in strides, each a message of its own.

use std::{collections::BTreeMap, mem, ops::Bound};

/// How many are looked at in one message: that takes some tenths of a millisecond.
const STRIDE: usize = 256;

/// How far a round through a map is.
#[derive(Debug)]
pub(crate) struct Round<K> {
    place: Place<K>,
    /// In which second it began.
    began: u64,
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
        Self { place: Place::Over, began: 0, seconds: 1 }
    }
}

impl<K: Ord + Clone> Round<K> {
    /// Another one begins.
    pub(crate) fn begin(&mut self, second: u64) {
        self.seconds = second.saturating_sub(self.began).max(1);
        (self.place, self.began) = (Place::Start, second);
    }

    /// It has come to the end.
    pub(crate) fn is_over(&self) -> bool {
        matches!(self.place, Place::Over)
    }

    /// What is counted in this round came in so many seconds: more than one, if the round before took longer than that.
    pub(crate) fn seconds(&self) -> u64 {
        self.seconds
    }

    /// The next stride through `all`, in which some may weigh more than others.
    pub(crate) fn stride<'a, V>(&mut self, all: &'a mut BTreeMap<K, V>, weight: impl Fn(&V) -> usize) -> Vec<(&'a K, &'a mut V)> {
        let from = match mem::replace(&mut self.place, Place::Over) {
            Place::Over => return Vec::new(),
            Place::Start => Bound::Unbounded,
            Place::After(last) => Bound::Excluded(last),
        };
        let (mut stride, mut weighed) = (Vec::new(), 0);
        for (key, value) in all.range_mut((from, Bound::Unbounded)) {
            weighed += weight(value).max(1);
            stride.push((key, value));
            if weighed >= STRIDE {
                self.place = Place::After(key.clone());
                break;
            }
        }
        stride
    }
}

/// Before another stride: a message to itself alone would be handled at once, as an actor handles many at a time.
pub(crate) async fn others_first() {
    tokio::task::yield_now().await;
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
        assert!(round.is_over() && round.stride(&mut all, |_| 1).is_empty());
        round.begin(1);
        while !round.is_over() {
            seen.extend(keys(&round.stride(&mut all, |_| 1)));
            // The last one that was looked at is gone, and there are others on both sides of it.
            let last = seen.last().copied().unwrap_or_default();
            all.remove(&last);
            all.extend([(last.saturating_sub(1), 1), (last + 1, 1)]);
        }
        assert!(seen.is_sorted() && (0..1_000).all(|key| seen.binary_search(&(2 * key)).is_ok()));
        seen.dedup();
        assert_eq!(seen.iter().filter(|key| *key % 2 == 0).count(), 1_000);
    }

    #[test]
    fn a_stride_is_bounded_by_what_it_weighs() {
        let mut all: BTreeMap<usize, usize> = [(1, STRIDE - 1), (2, 0), (3, 10 * STRIDE), (4, 1)].into();
        let mut round = Round::default();
        round.begin(1);
        let mut strides = Vec::new();
        while !round.is_over() {
            strides.push(keys(&round.stride(&mut all, |weight| *weight)));
        }
        assert_eq!(strides, [vec![1, 2], vec![3], vec![4]]);
    }

    #[test]
    fn a_round_knows_how_long_it_is_since_the_one_before() {
        let mut round = Round::<usize>::default();
        let seconds = [1, 2, 5, 5].map(|second| {
            round.begin(second);
            round.seconds()
        });
        assert_eq!(seconds, [1, 1, 3, 1]);
    }
}
