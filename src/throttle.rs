//! A throttle: a token bucket for each of many keys, such as addresses, users or names. Pure, and bounded in keys.
//!
//! A full bucket says nothing, so it is forgotten. If too many are not full, the fullest are: whoever has misused it most is
//! remembered longest, and no flood of other keys makes it forget them.

use std::{
    collections::HashMap,
    hash::Hash,
    net::{IpAddr, Ipv6Addr},
    time::{Duration, Instant},
};

use crate::bucket::{Bucket, Pace};

/// The most keys of one throttle: about a MiB.
const KEYS: usize = 16_384;

/// A bucket a key.
#[derive(Debug)]
pub(crate) struct Throttle<K> {
    buckets: HashMap<K, Bucket>,
    max_keys: usize,
}

impl<K> Default for Throttle<K> {
    fn default() -> Self {
        Self { buckets: HashMap::new(), max_keys: KEYS }
    }
}

impl<K: Eq + Hash + Clone> Throttle<K> {
    /// Takes one of `key`'s.
    ///
    /// # Errors
    /// There is none left; the next one comes after this time.
    pub(crate) fn take(&mut self, key: &K, pace: Pace, now: Instant) -> Result<(), Duration> {
        if let Some(bucket) = self.buckets.get_mut(key) {
            return bucket.take(pace, now);
        }
        if self.buckets.len() >= self.max_keys {
            self.forget_the_fullest(pace, now);
        }
        let mut bucket = Bucket::new(now);
        let taken = bucket.take(pace, now);
        self.buckets.insert(key.clone(), bucket);
        taken
    }

    /// Does `key` have one left?
    ///
    /// # Errors
    /// There is none left; the next one comes after this time.
    pub(crate) fn look(&self, key: &K, pace: Pace, now: Instant) -> Result<(), Duration> {
        self.buckets.get(key).map_or(Ok(()), |bucket| bucket.look(pace, now))
    }

    /// Forgets the keys that have used nothing lately.
    pub(crate) fn forget_full(&mut self, pace: Pace, now: Instant) {
        self.buckets.retain(|_, bucket| bucket.fill(pace, now) < 1.0);
    }

    /// Makes room for an eighth of the keys, so that a flood of new ones pays for the search once in so many.
    fn forget_the_fullest(&mut self, pace: Pace, now: Instant) {
        let room = (self.max_keys / 8).max(1);
        self.forget_full(pace, now);
        let over = (self.buckets.len() + room).saturating_sub(self.max_keys);
        if over == 0 {
            return;
        }
        let mut fills: Vec<f64> = self.buckets.values().map(|bucket| bucket.fill(pace, now)).collect();
        let at = fills.len() - over;
        let (_, bound, _) = fills.select_nth_unstable_by(at, f64::total_cmp);
        let bound = *bound;
        // Many may be equally full: no more of them go than must.
        let mut left = over;
        self.buckets.retain(|_, bucket| {
            let stays = left == 0 || bucket.fill(pace, now) < bound;
            left -= usize::from(!stays);
            stays
        });
    }
}

/// What counts as one address. Whoever has an IPv6 address has 2^64 of them: they count as one.
pub(crate) fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => address.into(),
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX)).into(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*};

    use super::*;

    const PACE: fn() -> Pace = || Pace::per_second(3, 2);

    #[derive(Debug, Clone)]
    enum Step {
        Take(u8),
        Look(u8),
        Pass(u16),
        Forget,
    }

    fn any_step() -> impl Strategy<Value = Step> {
        prop_oneof![
            8 => (0_u8..12).prop_map(Step::Take),
            2 => (0_u8..12).prop_map(Step::Look),
            2 => (1_u16..900).prop_map(Step::Pass),
            1 => Just(Step::Forget),
        ]
    }

    /// What each key was given, in a model that forgets nothing: its tokens, refilled at each step.
    fn model(steps: &[Step], key: u8) -> Vec<bool> {
        let (mut now, mut bucket, mut said) = (Instant::now(), None, Vec::new());
        for step in steps {
            match step {
                Step::Take(it) if *it == key => {
                    said.push(bucket.get_or_insert_with(|| Bucket::new(now)).take(PACE(), now).is_ok());
                }
                Step::Look(it) if *it == key => {
                    said.push(bucket.get_or_insert_with(|| Bucket::new(now)).look(PACE(), now).is_ok());
                }
                Step::Pass(ms) => now += Duration::from_millis((*ms).into()),
                Step::Take(_) | Step::Look(_) | Step::Forget => {}
            }
        }
        said
    }

    fn real(steps: &[Step], key: u8, max_keys: usize) -> (Vec<bool>, usize) {
        let mut throttle = Throttle { max_keys, ..Throttle::default() };
        let (mut now, mut said, mut most) = (Instant::now(), Vec::new(), 0);
        for step in steps {
            let answer = match step {
                Step::Take(it) => Some((*it, throttle.take(it, PACE(), now).is_ok())),
                Step::Look(it) => Some((*it, throttle.look(it, PACE(), now).is_ok())),
                Step::Pass(ms) => {
                    now += Duration::from_millis((*ms).into());
                    None
                }
                Step::Forget => {
                    throttle.forget_full(PACE(), now);
                    None
                }
            };
            said.extend(answer.filter(|(it, _)| *it == key).map(|(_, given)| given));
            most = most.max(throttle.buckets.len());
        }
        (said, most)
    }

    proptest! {
        /// With room for all keys, each has a bucket of its own, and forgetting a full one changes nothing.
        #[test]
        fn each_key_has_its_own_bucket(steps in vec(any_step(), 1..120)) {
            for key in 0..12 {
                prop_assert_eq!(real(&steps, key, 12).0, model(&steps, key));
            }
        }

        /// With less room it stays within its bound, and no key is given less than it would have been. Given, not shown: who took
        /// more for having been forgotten may have less to look at later.
        #[test]
        fn it_is_bounded_and_never_stricter_for_it(steps in vec(any_step(), 1..120), max_keys in 1_usize..12) {
            let steps: Vec<Step> = steps.into_iter().filter(|step| !matches!(step, Step::Look(_))).collect();
            for key in 0..12 {
                let (said, most) = real(&steps, key, max_keys);
                prop_assert!(most <= max_keys);
                let given = |said: &[bool]| said.iter().filter(|it| **it).count();
                prop_assert!(given(&said) >= given(&model(&steps, key)));
            }
        }
    }

    /// I5: a flood of keys costs a bounded room, and whoever has used its burst up is not forgotten for it.
    #[test]
    fn a_flood_of_keys_does_not_make_it_forget_the_worst() {
        let (mut throttle, now) = (Throttle::default(), Instant::now());
        while throttle.take(&u64::MAX, PACE(), now).is_ok() {}
        for key in 0..10 * KEYS as u64 {
            assert_eq!(throttle.take(&key, PACE(), now), Ok(()));
        }
        assert!(throttle.buckets.len() <= KEYS);
        assert_eq!(throttle.take(&u64::MAX, PACE(), now), Err(Duration::from_millis(500)));
    }

    #[test]
    fn an_address_is_a_network_where_one_customer_has_many() {
        let same = |a: &str, b: &str| network(a.parse().unwrap()) == network(b.parse().unwrap());
        assert!(same("2001:db8::1", "2001:db8::ffff:1:2:3"));
        assert!(!same("2001:db8:0:1::1", "2001:db8:0:2::1"));
        assert!(same("10.0.0.1", "::ffff:10.0.0.1") && !same("10.0.0.1", "10.0.0.2"));
    }
}
