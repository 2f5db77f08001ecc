//! A topic's backlog: what was published while nobody was subscribed, for the first exact subscription to come. Pure.

use std::{
    collections::VecDeque,
    sync::Arc,
    time::{Duration, Instant},
};

use crate::{
    batch::Batch,
    events::{DropReason, Lost},
};

/// Messages that wait for a first subscriber, oldest first.
#[derive(Debug)]
pub(crate) struct Backlog {
    max_messages: u64,
    max_bytes: u64,
    life: Duration,
    parts: VecDeque<Part>,
    messages: u64,
    bytes: u64,
    untold: [u64; 3],
}

/// The messages of a batch from `from` on.
#[derive(Debug)]
pub(crate) struct Part {
    pub(crate) batch: Arc<Batch>,
    pub(crate) from: u32,
    since: Instant,
}

impl Part {
    fn len(&self) -> u64 {
        u64::from(self.batch.len() - self.from)
    }

    fn bytes(&self) -> u64 {
        self.batch.bytes(self.from, self.batch.len() - self.from) as u64
    }
}

impl Backlog {
    const REASONS: [DropReason; 3] = [DropReason::BacklogFull, DropReason::Expired, DropReason::MemoryFull];

    pub(crate) fn new(max_messages: u64, max_bytes: u64, life: Duration) -> Self {
        Self { max_messages, max_bytes, life, parts: VecDeque::new(), messages: 0, bytes: 0, untold: [0; 3] }
    }

    /// Appends; the oldest go where the bound is passed.
    pub(crate) fn append(&mut self, batch: Arc<Batch>, from: u32, now: Instant) {
        let part = Part { batch, from, since: now };
        self.messages += part.len();
        self.bytes += part.bytes();
        self.parts.push_back(part);
        while self.messages > self.max_messages || self.bytes > self.max_bytes {
            self.drop_oldest(DropReason::BacklogFull);
        }
    }

    /// Drops the oldest message.
    fn drop_oldest(&mut self, why: DropReason) {
        let Some(part) = self.parts.front_mut() else { return };
        self.messages -= 1;
        self.bytes -= part.batch.bytes(part.from, 1) as u64;
        part.from += 1;
        if part.from == part.batch.len() {
            self.parts.pop_front();
        }
        self.count(why, 1);
    }

    fn count(&mut self, why: DropReason, messages: u64) {
        if let Some(at) = Self::REASONS.iter().position(|reason| *reason == why) {
            self.untold[at] += messages;
        }
    }

    /// Drops what has waited for longer than its life.
    pub(crate) fn expire(&mut self, now: Instant) {
        while let Some(part) = self.parts.front()
            && now.saturating_duration_since(part.since) >= self.life
        {
            let (messages, bytes) = (part.len(), part.bytes());
            self.parts.pop_front();
            self.messages -= messages;
            self.bytes -= bytes;
            self.count(DropReason::Expired, messages);
        }
    }

    /// Takes everything, for a subscription.
    pub(crate) fn take(&mut self) -> impl Iterator<Item = Part> + use<> {
        (self.messages, self.bytes) = (0, 0);
        std::mem::take(&mut self.parts).into_iter()
    }

    /// Throws everything away because the topic ends; it is lost.
    pub(crate) fn close(&mut self) -> Lost {
        let lost = Lost { backlog: self.messages, bytes: self.bytes, ..Lost::default() };
        self.take().for_each(drop);
        lost
    }

    /// Throws everything away because the whole broker is full; returns how many bytes that were.
    pub(crate) fn give_up(&mut self) -> u64 {
        let (messages, bytes) = (self.messages, self.bytes);
        self.take().for_each(drop);
        self.count(DropReason::MemoryFull, messages);
        bytes
    }

    /// Since when the oldest waits.
    pub(crate) fn oldest(&self) -> Option<Instant> {
        self.parts.front().map(|part| part.since)
    }

    pub(crate) fn messages(&self) -> u64 {
        self.messages
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// What was dropped since the last call, by reason.
    pub(crate) fn take_untold(&mut self) -> impl Iterator<Item = (DropReason, u64)> + use<> {
        let untold = std::mem::take(&mut self.untold);
        Self::REASONS.into_iter().zip(untold).filter(|(_, messages)| *messages > 0)
    }
}
