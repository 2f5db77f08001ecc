//! Credentials that were verified a while ago: verifying costs tens of milliseconds, and ten thousand clients that come back at
//! once must not outlast their own timers.
//!
//! What is kept is a hash under a key that only this process has, so that a copy of its memory's pages gives nobody a password
//! to try, and nothing that a client sends can be aimed at an entry. Only what was right is kept, and only until the users are
//! read again. Pure: the key and the moment come from outside.

use std::{
    collections::{HashMap, VecDeque},
    fmt,
    time::{Duration, Instant},
};

use blake2::{Blake2sMac256, digest::Mac};

use super::Credentials;
use crate::name::Principal;

/// How long a credential is remembered after it was verified.
pub(crate) const LIFE: Duration = Duration::from_mins(10);
/// The most that are remembered; a user has one, so that many users have theirs.
const MOST: usize = 16_384;

type Digest = [u8; 32];

/// Credentials that were verified. `Debug` shows how many.
pub(crate) struct Memory {
    key: Digest,
    known: HashMap<Digest, Known>,
    /// Oldest first; one that was verified again is in here twice.
    order: VecDeque<(Instant, Digest)>,
}

struct Known {
    principal: Principal,
    until: Instant,
}

impl Memory {
    /// An empty one. `key` must be random and this process's own.
    pub(crate) fn new(key: Digest) -> Self {
        Self { key, known: HashMap::new(), order: VecDeque::new() }
    }

    /// Who this is, if it was verified lately.
    pub(crate) fn recall(&self, credentials: &Credentials, now: Instant) -> Option<Principal> {
        let known = self.known.get(&self.digest(credentials)?)?;
        (now < known.until).then(|| known.principal.clone())
    }

    /// Remembers what was verified.
    pub(crate) fn keep(&mut self, credentials: &Credentials, principal: Principal, now: Instant) {
        let Some(digest) = self.digest(credentials) else { return };
        let until = now + LIFE;
        self.known.insert(digest, Known { principal, until });
        self.order.push_back((until, digest));
        while let Some((until, digest)) = self.order.front().copied()
            && (until <= now || self.order.len() > MOST)
        {
            self.order.pop_front();
            if self.known.get(&digest).is_some_and(|known| known.until <= until) {
                self.known.remove(&digest);
            }
        }
    }

    /// Name and password under the key; the name's length comes first, so that no other pair makes the same text.
    fn digest(&self, credentials: &Credentials) -> Option<Digest> {
        let (user, password) = (credentials.user.as_ref()?, credentials.password.as_ref()?);
        let mut mac = <Blake2sMac256 as Mac>::new(&self.key.into());
        mac.update(&(user.len() as u64).to_be_bytes());
        mac.update(user.as_bytes());
        mac.update(password.as_bytes());
        Some(mac.finalize().into_bytes().into())
    }
}

impl fmt::Debug for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Memory({})", self.known.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn credentials(user: &str, password: &str) -> Credentials {
        Credentials { user: Some(user.to_owned()), password: Some(password.to_owned()), peer: "10.0.0.1:1".parse().unwrap() }
    }

    fn principal(name: &str) -> Principal {
        name.parse().unwrap()
    }

    #[test]
    fn what_was_right_is_known_for_a_while_and_nothing_like_it_is() {
        let (mut memory, now) = (Memory::new([7; 32]), Instant::now());
        memory.keep(&credentials("ana", "secret"), principal("ana"), now);
        let recall = |user, password, at| memory.recall(&credentials(user, password), at);
        assert_eq!(recall("ana", "secret", now), Some(principal("ana")));
        assert_eq!(recall("ana", "secret", now + (LIFE - Duration::from_nanos(1))), Some(principal("ana")));
        assert_eq!(recall("ana", "secret", now + LIFE), None);
        for (user, password) in
            [("ana", "Secret"), ("ana", ""), ("an", "asecret"), ("anas", "ecret"), ("bob", "secret"), ("", "")]
        {
            assert_eq!(recall(user, password, now), None, "{user} {password}");
        }
        let nameless = Credentials { user: None, ..credentials("", "secret") };
        assert_eq!(memory.recall(&nameless, now), None);
    }

    /// A credential that is verified again lives on from then.
    #[test]
    fn the_first_end_does_not_take_the_second_life() {
        let (mut memory, now) = (Memory::new([7; 32]), Instant::now());
        let half = now + LIFE / 2;
        memory.keep(&credentials("ana", "secret"), principal("ana"), now);
        memory.keep(&credentials("ana", "secret"), principal("ana"), half);
        memory.keep(&credentials("bob", "other"), principal("bob"), now + LIFE);
        assert!(memory.recall(&credentials("ana", "secret"), now + LIFE).is_some());
        assert!(memory.recall(&credentials("ana", "secret"), half + LIFE).is_none());
        memory.keep(&credentials("eve", "x"), principal("eve"), now + LIFE * 3);
        assert_eq!((memory.known.len(), memory.order.len()), (1, 1));
    }

    /// I5: it never grows past its bound, and what goes is the oldest.
    #[test]
    fn the_oldest_go_at_the_bound() {
        let (mut memory, now) = (Memory::new([7; 32]), Instant::now());
        for n in 0..=MOST {
            let at = now + Duration::from_micros(n as u64);
            memory.keep(&credentials(&n.to_string(), "x"), principal("x"), at);
        }
        assert_eq!((memory.known.len(), memory.order.len()), (MOST, MOST));
        assert!(memory.recall(&credentials("0", "x"), now).is_none());
        assert!(memory.recall(&credentials("1", "x"), now).is_some());
    }

    /// Two processes make nothing of each other's memory.
    #[test]
    fn another_key_is_another_memory() {
        let digest = |key| Memory::new(key).digest(&credentials("ana", "secret"));
        assert_eq!(digest([1; 32]), digest([1; 32]));
        assert_ne!(digest([1; 32]), digest([2; 32]));
        assert!(!format!("{:?}", Memory::new([9; 32])).contains('9'));
    }
}
