//! A run: consecutive messages of one batch in one queue. Queues hold runs, so that appending a batch costs the same for one
//! message and for a thousand.

use std::{collections::VecDeque, sync::Arc, time::Instant};

use super::Size;
use crate::batch::Batch;

/// `len` messages of `batch` from `start` on, numbered from `first` on in their queue.
#[derive(Debug, Clone)]
pub(crate) struct Run {
    pub(crate) batch: Arc<Batch>,
    pub(crate) start: u32,
    pub(crate) len: u32,
    pub(crate) first: u64,
    /// How often its first message was written and came back. Whoever came back is alone in its run.
    pub(crate) attempts: u32,
    pub(crate) redelivered: bool,
    /// What was given back with `again` starts here.
    pub(crate) returns: bool,
}

impl Run {
    /// `len` messages of `batch` from `start` on, which nobody has seen.
    pub(crate) fn new(batch: Arc<Batch>, start: u32, len: u32, first: u64) -> Self {
        Self { batch, start, len, first, attempts: 0, redelivered: false, returns: false }
    }

    /// The number of its last message.
    pub(crate) fn last(&self) -> u64 {
        self.first + u64::from(self.len) - 1
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.batch.bytes(self.start, self.len) as u64
    }

    /// Keeps the first `len` messages and returns the others.
    pub(crate) fn split_off(&mut self, len: u32) -> Self {
        let rest = Self::new(Arc::clone(&self.batch), self.start + len, self.len - len, self.first + u64::from(len));
        let rest = Self { redelivered: self.redelivered, ..rest };
        self.len = len;
        rest
    }

    /// Keeps the messages numbered below `number` and returns the others, if both kinds are there.
    pub(crate) fn split_at_number(&mut self, number: u64) -> Option<Self> {
        (self.first < number && number <= self.last()).then(|| self.split_off((number - self.first) as u32))
    }

    /// How many of its messages fit `messages` and `bytes`; at least one if `force`.
    pub(crate) fn fits(&self, messages: u64, bytes: u64, force: bool) -> u32 {
        let most = u64::from(self.len).min(messages) as u32;
        if self.batch.bytes(self.start, most) as u64 <= bytes {
            return most;
        }
        // Offsets only grow, so the largest run that fits is found by halving.
        let (mut low, mut high) = (0, most);
        while low < high {
            let middle = (low + high).div_ceil(2);
            if self.batch.bytes(self.start, middle) as u64 <= bytes {
                low = middle;
            } else {
                high = middle - 1;
            }
        }
        low.max(u32::from(force && most > 0))
    }

    /// How many of its first messages are alike in being expired or not, and which.
    pub(crate) fn expired_prefix(&self, now: Instant) -> (u32, bool) {
        if !self.batch.expires() {
            return (self.len, false);
        }
        let expired = self.batch.is_expired(self.start, now);
        let alike = (0..self.len).take_while(|i| self.batch.is_expired(self.start + i, now) == expired).count();
        (alike as u32, expired)
    }
}

/// Removes everything up to `number`.
pub(super) fn settle(runs: &mut VecDeque<Run>, size: &mut Size, number: u64) {
    while let Some(run) = runs.front_mut()
        && run.first <= number
    {
        size.sub(run);
        match run.split_at_number(number + 1) {
            Some(rest) => {
                size.add(&rest);
                *run = rest;
            }
            None => {
                runs.pop_front();
            }
        }
    }
}

/// Takes the one message `number` out.
pub(super) fn cut_out(runs: &mut VecDeque<Run>, size: &mut Size, number: u64) -> Option<Run> {
    let at = runs.iter().position(|run| run.first <= number && number <= run.last())?;
    let mut before = runs.remove(at)?;
    size.sub(&before);
    let mut found = match before.split_at_number(number) {
        Some(found) => {
            size.add(&before);
            runs.insert(at, before);
            found
        }
        None => before,
    };
    if found.len > 1 {
        let after = found.split_off(1);
        size.add(&after);
        let at = runs.iter().position(|run| run.first > number).unwrap_or(runs.len());
        runs.insert(at, after);
    }
    Some(found)
}
