//! Log-ins: how many may wait for their password to be checked, and how often someone may be wrong. Pure.
//!
//! Checking a password costs tens of milliseconds on purpose, so whoever sends wrong ones costs others their turn. An *address*
//! that was wrong too often is refused before anything is checked. A *name* never is: an attacker elsewhere must not be able to
//! lock its owner out. What is wrong under a name that was tried too often is answered late; what is right is let in at once.
//! Whether the name exists makes no difference to any of it.

use std::{
    collections::HashMap,
    hash::{BuildHasher as _, RandomState},
    net::IpAddr,
    time::{Duration, Instant},
};

use crate::{bucket::Pace, config, limits::Limit, throttle::Throttle};

/// Who waits, and who was wrong.
#[derive(Debug, Default)]
pub(crate) struct Logins {
    waiting: HashMap<IpAddr, usize>,
    in_all: usize,
    addresses: Throttle<IpAddr>,
    /// By a keyed hash: what is typed as a name is a password now and then, and is not kept.
    names: Throttle<u64>,
    hasher: RandomState,
}

/// Why nobody looks at a log-in.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refusal {
    #[error("too many registrations wait for their password to be checked (logins.max_waiting); try again in a second")]
    Full,
    #[error(
        "too many registrations from your address wait for their password (logins.max_waiting_per_address); try again in a second"
    )]
    AddressFull,
    #[error("too many log-ins from your address have failed (logins.failures_per_minute); wait")]
    TooManyFailures(Duration),
}

impl Refusal {
    pub(crate) fn limit(&self) -> Limit {
        match self {
            Self::Full => Limit::LoginsWaiting,
            Self::AddressFull => Limit::LoginsWaitingPerAddress,
            Self::TooManyFailures(_) => Limit::FailedLogins,
        }
    }

    /// After how long it makes sense to try again.
    pub(crate) fn wait(&self) -> Duration {
        match self {
            Self::Full | Self::AddressFull => Duration::from_secs(1),
            Self::TooManyFailures(wait) => *wait,
        }
    }
}

fn of_address(limits: &config::Logins) -> Pace {
    Pace::per_minute(limits.failures_burst, limits.failures_per_minute)
}

fn of_name(limits: &config::Logins) -> Pace {
    Pace::per_minute(limits.name_failures_burst, limits.name_failures_per_minute)
}

impl Logins {
    /// Takes a place for a log-in from `address`; [`leave`](Self::leave) gives it back.
    ///
    /// # Errors
    /// There is none for it.
    pub(crate) fn enter(&mut self, address: IpAddr, limits: &config::Logins, now: Instant) -> Result<(), Refusal> {
        self.may_try(address, limits, now)?;
        if self.in_all >= limits.max_waiting {
            return Err(Refusal::Full);
        }
        let waiting = self.waiting.entry(address).or_default();
        if *waiting >= limits.max_waiting_per_address {
            return Err(Refusal::AddressFull);
        }
        *waiting += 1;
        self.in_all += 1;
        Ok(())
    }

    /// Its turn has come: may it still try? Others from the same address may have been wrong meanwhile.
    ///
    /// # Errors
    /// They were.
    pub(crate) fn may_try(&mut self, address: IpAddr, limits: &config::Logins, now: Instant) -> Result<(), Refusal> {
        self.addresses.look(&address, of_address(limits), now).map_err(Refusal::TooManyFailures)
    }

    /// Gives a place back.
    pub(crate) fn leave(&mut self, address: IpAddr) {
        let Some(waiting) = self.waiting.get_mut(&address) else { return };
        *waiting -= 1;
        self.in_all -= 1;
        if *waiting == 0 {
            self.waiting.remove(&address);
        }
    }

    /// A log-in was wrong. Returns for how long the answer is to be held back, if it is.
    pub(crate) fn failed(&mut self, address: IpAddr, name: &str, limits: &config::Logins, now: Instant) -> Option<Duration> {
        // Those that were being checked at the same time were let through: no further one is.
        let _ = self.addresses.take(&address, of_address(limits), now);
        let name = self.hasher.hash_one(name);
        self.names.take(&name, of_name(limits), now).is_err().then_some(limits.slow_answer)
    }

    /// Forgets who was not wrong lately.
    pub(crate) fn tick(&mut self, limits: &config::Logins, now: Instant) {
        self.addresses.forget_full(of_address(limits), now);
        self.names.forget_full(of_name(limits), now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits() -> config::Logins {
        config::Logins {
            failures_burst: 3,
            name_failures_burst: 3,
            max_waiting: 5,
            max_waiting_per_address: 2,
            ..config::Logins::default()
        }
    }

    fn address(n: u8) -> IpAddr {
        [10, 0, 0, n].into()
    }

    /// The attacker's own address is refused; the user it pretends to be gets in from everywhere else, however often the name
    /// was tried.
    #[test]
    fn an_address_is_refused_and_a_name_never_is() {
        let (mut logins, limits, now) = (Logins::default(), limits(), Instant::now());
        for n in 0..200 {
            for _ in 0..3 {
                assert_eq!(logins.enter(address(n), &limits, now), Ok(()));
                logins.failed(address(n), "ana", &limits, now);
                logins.leave(address(n));
            }
            let refusal = logins.enter(address(n), &limits, now).unwrap_err();
            assert_eq!((refusal.limit(), refusal.wait()), (Limit::FailedLogins, Duration::from_secs(3)));
        }
        assert_eq!(logins.enter(address(250), &limits, now), Ok(()));
        assert_eq!(logins.enter(address(0), &limits, now + Duration::from_secs(3)), Ok(()));
    }

    /// What is wrong is answered late, whether there is such a user or not.
    #[test]
    fn a_name_that_is_tried_too_often_is_answered_late() {
        let (mut logins, limits, now) = (Logins::default(), limits(), Instant::now());
        let late =
            |logins: &mut Logins, name, now| (0..5).map(|n| logins.failed(address(n), name, &limits, now).is_some()).collect();
        let (known, unknown): (Vec<bool>, Vec<bool>) = (late(&mut logins, "ana", now), late(&mut logins, "nobody", now));
        assert_eq!(known, [false, false, false, true, true]);
        assert_eq!(unknown, known);
        assert_eq!(logins.failed(address(1), "ana", &limits, now + Duration::from_mins(1)), None);
    }

    #[test]
    fn those_who_wait_are_bounded_in_all_and_by_address() {
        let (mut logins, limits, now) = (Logins::default(), limits(), Instant::now());
        for n in 0..2 {
            assert_eq!(logins.enter(address(n), &limits, now), Ok(()));
            assert_eq!(logins.enter(address(n), &limits, now), Ok(()));
            assert_eq!(logins.enter(address(n), &limits, now), Err(Refusal::AddressFull));
        }
        assert_eq!(logins.enter(address(7), &limits, now), Ok(()));
        assert_eq!(logins.enter(address(8), &limits, now), Err(Refusal::Full));
        logins.leave(address(0));
        assert_eq!(logins.enter(address(8), &limits, now), Ok(()));
        for n in [0, 1, 1, 7, 8] {
            logins.leave(address(n));
        }
        assert_eq!((logins.in_all, logins.waiting.len()), (0, 0));
    }

    /// An address that fills the queue with wrong passwords has a burst of them checked, not all.
    #[test]
    fn who_waits_is_looked_at_again_when_its_turn_comes() {
        let (mut logins, now) = (Logins::default(), Instant::now());
        let limits = config::Logins { failures_burst: 1, ..limits() };
        assert_eq!(logins.enter(address(1), &limits, now), Ok(()));
        assert_eq!(logins.enter(address(1), &limits, now), Ok(()));
        assert_eq!(logins.may_try(address(1), &limits, now), Ok(()));
        logins.failed(address(1), "ana", &limits, now);
        assert!(matches!(logins.may_try(address(1), &limits, now), Err(Refusal::TooManyFailures(_))));
    }
}
