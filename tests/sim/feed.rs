//! What one subscription delivers to its client, held to I3: in order, each under one number, and marked if it came before.

use std::collections::BTreeMap;

use cordboard::{filters::matches, name::Filter};

use super::{
    TOPICS,
    judge::{FeedId, Message, Stream},
    stage::Stage,
};
use crate::fixture::Got;

pub(super) struct Feed {
    pub(super) filter: Filter,
    pub(super) id: FeedId,
    /// Each number's message.
    messages: BTreeMap<u64, Message>,
    /// The newest of each stream.
    last: BTreeMap<Stream, u64>,
    /// The highest number seen.
    highest: u64,
    /// Everything up to here was acknowledged, and the broker has handled that.
    confirmed: u64,
    pub(super) acknowledged: u64,
    /// The last number that came on this connection.
    cursor: u64,
    /// Given back, and what comes is still from before.
    replay: Option<u64>,
}

impl Feed {
    pub(super) fn new(filter: Filter, id: FeedId) -> Self {
        Self {
            filter,
            id,
            messages: BTreeMap::new(),
            last: BTreeMap::new(),
            highest: 0,
            confirmed: 0,
            acknowledged: 0,
            cursor: 0,
            replay: None,
        }
    }

    pub(super) fn new_connection(&mut self) {
        (self.cursor, self.acknowledged, self.replay) = (self.confirmed, self.confirmed, None);
    }

    /// What was acknowledged when a barrier was sent was handled when it is answered.
    pub(super) fn confirm(&mut self, acknowledged: u64) {
        self.confirmed = acknowledged.max(self.confirmed);
    }

    /// How far may be acknowledged.
    pub(super) fn acknowledgeable(&self) -> u64 {
        self.replay.map_or(self.cursor, |number| self.cursor.min(number - 1))
    }

    /// What came on this connection last and is not acknowledged: what may be given back. Nothing, while what was given back
    /// before is still on its way.
    pub(super) fn unsettled(&self) -> std::ops::RangeInclusive<u64> {
        self.acknowledged + 1..=if self.replay.is_some() { 0 } else { self.cursor }
    }

    pub(super) fn gives_back(&mut self, number: u64) {
        self.replay = Some(number);
    }

    /// Judges one message.
    pub(super) fn take(&mut self, got: &Got, stage: &Stage) {
        let message: Message = got.text().parse().unwrap();
        assert_eq!(got.topic, TOPICS[message.stream.topic]);
        assert!(matches(&self.filter, &got.topic.parse().unwrap()), "{got:?} does not match {}", self.filter);
        assert!(got.number > self.confirmed, "{got:?} was settled, up to {}", self.confirmed);
        if got.returns {
            // What was asked for may be poison by now, or purged: then it starts with what comes after that.
            assert!(self.replay.is_none_or(|number| got.number >= number), "{got:?} and not {:?}", self.replay);
            self.replay = None;
        } else {
            assert!(got.number > self.cursor || got.redelivered, "{got:?} came after {}, unmarked", self.cursor);
        }
        self.cursor = got.number;
        if let Some(known) = self.messages.get(&got.number) {
            assert_eq!(*known, message, "{got:?} has the number of another message");
            assert!(got.redelivered, "{got:?} came again, unmarked");
            stage.judge.borrow_mut().sees(self.id, message, true);
            return;
        }
        assert!(got.number > self.highest, "{got:?} is new, and {} was seen already", self.highest);
        self.highest = got.number;
        self.messages.insert(got.number, message);
        let (new, was_poison) = {
            let mut judge = stage.judge.borrow_mut();
            (judge.sees(self.id, message, got.redelivered), got.redelivered && judge.redelivers(self.id))
        };
        if was_poison {
            return;
        }
        assert!(new, "{got:?} came before, under another number");
        let last = self.last.insert(message.stream, message.n).unwrap_or_default();
        assert!(message.n > last, "{got:?} came after number {last} of the same publisher and topic");
    }
}
