//! Poison: a message given up after too many attempts. It is copied out of its batch, so that one message kept for days does
//! not keep a thousand others in memory.

use super::Run;
use crate::{
    batch::Batch,
    name::TopicName,
    peek::{Peeked, Place},
    room::{Guard, Room},
};

/// One message that only an operator's order moves.
#[derive(Debug)]
pub(crate) struct Poison {
    topic: TopicName,
    accepted_ms: u64,
    record: Vec<u8>,
    /// Its part of what all queues may hold, given back when it is dropped.
    _room: Option<Guard>,
}

impl Poison {
    /// The first message of `run`.
    pub(crate) fn new(run: &Run) -> Self {
        let batch = &run.batch;
        Self {
            topic: batch.topic().clone(),
            accepted_ms: batch.accepted_ms(),
            record: batch.records(run.start, 1).to_vec(),
            _room: batch.room_for_copy(run.start),
        }
    }

    pub(crate) fn topic(&self) -> &TopicName {
        &self.topic
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.record.len() as u64
    }

    pub(super) fn peek(&self) -> Peeked {
        Peeked::of_record(Place::Poison, &self.topic, self.accepted_ms, &self.record)
    }

    pub(crate) fn into_batch(self, room: &Room) -> Batch {
        Batch::of_record(self.topic, self.accepted_ms, self.record, room)
    }
}
