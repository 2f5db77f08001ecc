//! A look at a queue: its first messages and its first poison, copied.

use super::{Queue, Run};
use crate::peek::{MAX_MESSAGES, Peek, Peeked, Place};

impl<R> Queue<R> {
    /// A copy of at most `most` messages in flight or waiting, and of as many of the poison.
    pub(crate) fn peek(&self, most: u32) -> Peek {
        let most = most.min(MAX_MESSAGES) as usize;
        let in_flight = self.in_flight.iter().flat_map(|run| copies(run, Place::InFlight));
        let waiting = self.waiting.iter().flat_map(|run| copies(run, Place::Waiting));
        let poison = self.poison.iter().take(most).map(super::Poison::peek);
        Peek { depth: self.depth(), messages: in_flight.chain(waiting).take(most).chain(poison).collect() }
    }
}

/// The messages of a run, one by one: made when they are asked for.
fn copies(run: &Run, place: Place) -> impl Iterator<Item = Peeked> + '_ {
    (0..run.len).map(move |at| Peeked {
        number: Some(run.first + u64::from(at)),
        // Whoever came back is alone in its run, or first in it.
        attempts: if at == 0 { run.attempts } else { 0 },
        redelivered: run.redelivered,
        ..Peeked::of_batch(place, &run.batch, run.start + at)
    })
}
