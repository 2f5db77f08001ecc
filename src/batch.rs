//! The batch: the messages of one topic that were accepted together, encoded once and shared by every queue they are in.
//!
//! It is already in the form in which a `Deliver` frame carries it (`assets/protocol.md`): a table of offsets and the records
//! behind it, so that any run of it is two slices. The reader copies each payload into it, once; nothing copies it again.

use std::time::{Duration, Instant};

use crate::{
    name::TopicName,
    room::{Guard, Room},
    wire::Publish,
};

/// What a batch costs beside its records and table: itself, its `Arc`, and the runs that point at it.
const OVERHEAD: usize = 160;
const ENTRY: usize = size_of::<u32>();

/// Messages of one topic, in the order in which they were accepted. Never empty.
#[derive(Debug)]
pub(crate) struct Batch {
    topic: TopicName,
    accepted_ms: u64,
    /// One big-endian offset a message, and one for the end.
    table: Vec<u8>,
    records: Vec<u8>,
    /// When each message is of no use any more; absent if none has a time to live.
    expiries: Option<Box<[Option<Instant>]>>,
    /// Absent until it is accepted.
    room: Option<Guard>,
}

impl Batch {
    /// A batch of one message that was a record before.
    pub(crate) fn of_record(topic: TopicName, accepted_ms: u64, record: Vec<u8>, room: &Room) -> Self {
        let table = [0, record.len() as u32].into_iter().flat_map(u32::to_be_bytes).collect();
        let mut batch = Self { topic, accepted_ms, table, records: record, expiries: None, room: None };
        batch.account(room);
        batch
    }

    /// The moment of acceptance and the room it takes: said by the topic, once.
    pub(crate) fn accept(&mut self, now_ms: u64, room: &Room) {
        self.accepted_ms = now_ms;
        self.account(room);
    }

    fn account(&mut self, room: &Room) {
        self.room = Some(room.take(self.footprint() as u64));
    }

    /// The room that a copy of the message at `index` takes, for as long as there is one.
    pub(crate) fn room_for_copy(&self, index: u32) -> Option<Guard> {
        Some(self.room.as_ref()?.another((OVERHEAD + self.bytes(index, 1)) as u64))
    }

    /// Bytes it holds in memory.
    pub(crate) fn footprint(&self) -> usize {
        let expiries = self.expiries.as_ref().map_or(0, |all| size_of_val::<[_]>(all));
        OVERHEAD + self.table.capacity() + self.records.capacity() + expiries
    }

    pub(crate) fn topic(&self) -> &TopicName {
        &self.topic
    }

    pub(crate) fn accepted_ms(&self) -> u64 {
        self.accepted_ms
    }

    /// How many messages.
    pub(crate) fn len(&self) -> u32 {
        (self.table.len() / ENTRY - 1) as u32
    }

    fn offset(&self, index: u32) -> usize {
        let at = index as usize * ENTRY;
        let entry = self.table[at..at + ENTRY].try_into().expect("a table entry has four bytes");
        u32::from_be_bytes(entry) as usize
    }

    /// The records of `len` messages from `start` on.
    pub(crate) fn records(&self, start: u32, len: u32) -> &[u8] {
        &self.records[self.offset(start)..self.offset(start + len)]
    }

    /// Their table: one entry more than messages.
    pub(crate) fn table(&self, start: u32, len: u32) -> &[u8] {
        &self.table[start as usize * ENTRY..(start + len + 1) as usize * ENTRY]
    }

    /// Bytes of the records of `len` messages from `start` on.
    pub(crate) fn bytes(&self, start: u32, len: u32) -> usize {
        self.offset(start + len) - self.offset(start)
    }

    /// True if any of its messages has a time to live.
    pub(crate) fn expires(&self) -> bool {
        self.expiries.is_some()
    }

    /// True if the time of the message at `index` has passed.
    pub(crate) fn is_expired(&self, index: u32, now: Instant) -> bool {
        self.expiries.as_ref().and_then(|all| all[index as usize]).is_some_and(|at| at <= now)
    }
}

/// How much is in a batch.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct BatchSize {
    messages: usize,
    bytes: usize,
}

impl BatchSize {
    /// Bytes of its records.
    pub(crate) fn bytes(self) -> usize {
        self.bytes
    }

    /// This, or nothing if it is more than `bytes`.
    pub(crate) fn if_within(self, bytes: usize) -> Self {
        if self.bytes <= bytes { self } else { Self::default() }
    }
}

/// A batch being filled by a reader.
#[derive(Debug)]
pub(crate) struct BatchBuilder {
    topic: TopicName,
    table: Vec<u8>,
    records: Vec<u8>,
    lives: Option<Vec<Option<Duration>>>,
}

impl BatchBuilder {
    /// An empty one, that grows no more once it is as large as `expected`.
    pub(crate) fn new(topic: TopicName, expected: BatchSize) -> Self {
        let mut table = Vec::with_capacity((expected.messages.max(1) + 1) * ENTRY);
        table.resize(ENTRY, 0);
        Self { topic, table, records: Vec::with_capacity(expected.bytes), lives: None }
    }

    /// Copies one message in.
    pub(crate) fn push(&mut self, publish: &Publish<'_>) {
        if let Some(life) = publish.headers.ttl() {
            let before = self.len();
            self.lives.get_or_insert_with(|| vec![None; before]).push(Some(life));
        } else if let Some(lives) = &mut self.lives {
            lives.push(None);
        }
        publish.write_record(&mut self.records);
        self.table.extend_from_slice(&(self.records.len() as u32).to_be_bytes());
    }

    fn len(&self) -> usize {
        self.table.len() / ENTRY - 1
    }

    pub(crate) fn size(&self) -> BatchSize {
        BatchSize { messages: self.len(), bytes: self.records.len() }
    }

    /// Closes the batch; times to live run from `now`.
    pub(crate) fn seal(mut self, now: Instant) -> Batch {
        // Growing by doubling leaves up to half of the buffer unused; a batch may wait for hours.
        if self.records.capacity() - self.records.len() > self.records.len() / 4 {
            self.records.shrink_to_fit();
        }
        if self.table.capacity() - self.table.len() > self.table.len() / 4 {
            self.table.shrink_to_fit();
        }
        let expiries =
            self.lives.map(|lives| lives.into_iter().map(|life| life.and_then(|life| now.checked_add(life))).collect());
        Batch { topic: self.topic, accepted_ms: 0, table: self.table, records: self.records, expiries, room: None }
    }
}
