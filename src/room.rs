//! Room: byte budgets that travel with what they pay for and are given back when it is dropped.
//!
//! A [`Room`] is one atomic; a [`Guard`] holds some of it. Whoever drops the last reference to a batch, wherever that happens
//! to be, gives its bytes back: there is no bookkeeping to forget.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering::Relaxed},
};

/// A budget of bytes. Clones share it.
#[derive(Debug, Clone)]
pub(crate) struct Room {
    used: Arc<AtomicU64>,
    bound: u64,
}

impl Room {
    pub(crate) fn new(bound: u64) -> Self {
        Self { used: Arc::default(), bound }
    }

    /// Takes `bytes`, even beyond the bound: who takes looks at [`is_full`](Self::is_full) first, so the excess is one item each.
    pub(crate) fn take(&self, bytes: u64) -> Guard {
        self.used.fetch_add(bytes, Relaxed);
        Guard { used: Arc::clone(&self.used), bytes }
    }

    pub(crate) fn used(&self) -> u64 {
        self.used.load(Relaxed)
    }

    pub(crate) fn is_full(&self) -> bool {
        self.used() >= self.bound
    }

    /// How much must be given back for a tenth of it to be free again.
    pub(crate) fn excess(&self) -> u64 {
        self.used().saturating_sub(self.bound / 10 * 9)
    }

    /// What is left of the bound.
    pub(crate) fn left(&self) -> u64 {
        self.bound.saturating_sub(self.used())
    }
}

/// Some of a [`Room`], given back when dropped.
#[derive(Debug)]
pub(crate) struct Guard {
    used: Arc<AtomicU64>,
    bytes: u64,
}

impl Guard {
    /// Takes `bytes` more of the same room, for a copy of what this pays for.
    pub(crate) fn another(&self, bytes: u64) -> Self {
        self.used.fetch_add(bytes, Relaxed);
        Self { used: Arc::clone(&self.used), bytes }
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.used.fetch_sub(self.bytes, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_taken_is_given_back_by_the_drop() {
        let room = Room::new(10);
        let one = room.take(9);
        assert!(!room.is_full());
        let two = room.clone().take(5);
        assert!(room.is_full());
        drop(one);
        assert_eq!(room.used(), 5);
        drop(two);
        assert_eq!(room.used(), 0);
    }
}
