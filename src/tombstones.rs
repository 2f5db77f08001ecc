//! Tombstones: sessions that have ended and are remembered for a while, so that a client that comes back too late hears why.
//! Pure, bounded in number and in time.

use std::{
    collections::{HashMap, VecDeque},
    time::{Duration, Instant},
};

use crate::{
    clock::UnixMillis,
    name::{Principal, SessionId},
};

/// What is left of a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Tombstone {
    pub(crate) principal: Principal,
    pub(crate) reason: String,
    pub(crate) at: UnixMillis,
}

/// The sessions that ended last.
#[derive(Debug)]
pub(crate) struct Tombstones {
    max: usize,
    life: Duration,
    stones: HashMap<SessionId, Tombstone>,
    order: VecDeque<(Instant, SessionId)>,
}

impl Tombstones {
    pub(crate) fn new(max: usize, life: Duration) -> Self {
        Self { max, life, stones: HashMap::new(), order: VecDeque::new() }
    }

    pub(crate) fn add(&mut self, session: SessionId, stone: Tombstone, now: Instant) {
        self.stones.insert(session, stone);
        self.order.push_back((now, session));
        self.forget(now);
    }

    fn forget(&mut self, now: Instant) {
        while let Some((at, session)) = self.order.front()
            && (self.order.len() > self.max || now.saturating_duration_since(*at) >= self.life)
        {
            self.stones.remove(session);
            self.order.pop_front();
        }
    }

    /// What is remembered of `session`, for its own principal.
    pub(crate) fn find(&mut self, session: SessionId, principal: &Principal, now: Instant) -> Option<&Tombstone> {
        self.forget(now);
        self.stones.get(&session).filter(|stone| stone.principal == *principal)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stone(principal: &str) -> Tombstone {
        Tombstone { principal: principal.parse().unwrap(), reason: "reclaimed".into(), at: UnixMillis(7) }
    }

    fn id(n: u8) -> SessionId {
        SessionId::from_bytes([n; 16])
    }

    /// Whether an id ever was another's session is nobody else's business (I2).
    #[test]
    fn only_its_own_principal_finds_a_tombstone() {
        let (mut stones, now) = (Tombstones::new(9, Duration::from_mins(1)), Instant::now());
        stones.add(id(1), stone("ana"), now);
        assert!(stones.find(id(1), &"ana".parse().unwrap(), now).is_some());
        assert!(stones.find(id(1), &"bob".parse().unwrap(), now).is_none());
    }

    #[test]
    fn they_are_bounded_in_number_and_time() {
        let (mut stones, now) = (Tombstones::new(2, Duration::from_mins(1)), Instant::now());
        let ana = "ana".parse().unwrap();
        for n in 1..=3 {
            stones.add(id(n), stone("ana"), now);
        }
        assert!(stones.find(id(1), &ana, now).is_none());
        assert!(stones.find(id(3), &ana, now).is_some());
        assert!(stones.find(id(3), &ana, now + Duration::from_mins(1)).is_none());
        assert_eq!((stones.stones.len(), stones.order.len()), (0, 0));
    }
}
