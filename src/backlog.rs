//! A topic's backlog: what was published while nobody was subscribed, for the first exact subscription to come. Pure.

use std::{
    collections::VecDeque,
    sync::Arc,
    time::{Duration, Instant},
};

use crate::{
    batch::Batch,
    events::{Depth, DropReason, Lost},
    peek::{MAX_MESSAGES, Peek, Peeked, Place},
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
    closed: bool,
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
        Self { max_messages, max_bytes, life, parts: VecDeque::new(), messages: 0, bytes: 0, untold: [0; 3], closed: false }
    }

    /// Appends; the oldest go where the bound is passed. False if the topic has ended meanwhile: then they are lost.
    pub(crate) fn append(&mut self, batch: Arc<Batch>, from: u32, now: Instant) -> bool {
        if self.closed {
            return false;
        }
        let part = Part { batch, from, since: now };
        self.messages += part.len();
        self.bytes += part.bytes();
        self.parts.push_back(part);
        while self.messages > self.max_messages || self.bytes > self.max_bytes {
            self.drop_oldest(DropReason::BacklogFull);
        }
        true
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
        self.closed = true;
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

    /// A copy of the oldest `most` messages.
    pub(crate) fn peek(&self, most: u32) -> Peek {
        let all = self.parts.iter().flat_map(|part| (part.from..part.batch.len()).map(move |at| (part, at)));
        let copy = |(part, at): (&Part, u32)| Peeked::of_batch(Place::Backlog, &part.batch, at);
        let depth = Depth { waiting: self.messages, bytes: self.bytes, ..Depth::default() };
        Peek { depth, messages: all.take(most.min(MAX_MESSAGES) as usize).map(copy).collect() }
    }

    /// Since when the oldest waits.
    pub(crate) fn oldest(&self) -> Option<Instant> {
        self.parts.front().map(|part| part.since)
    }

    /// When the next of it expires.
    pub(crate) fn next_expiry(&self) -> Option<Instant> {
        Some(self.oldest()? + self.life)
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

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*};

    use super::*;
    use crate::{
        batch::{BatchBuilder, BatchSize},
        wire::{Headers, Publish, read_record},
    };

    const LIFE: Duration = Duration::from_secs(10);
    const MAX: (u64, u64) = (8, 200);

    fn batch(ids: std::ops::Range<u64>, len: usize, now: Instant) -> Arc<Batch> {
        let mut builder = BatchBuilder::new("t".parse().unwrap(), BatchSize::default());
        for id in ids {
            let mut payload = id.to_be_bytes().to_vec();
            payload.resize(len.max(8), 0);
            builder.push(&Publish { sequence: 1, topic: b"t", headers: Headers::NONE, payload: &payload });
        }
        Arc::new(builder.seal(now))
    }

    fn ids(part: &Part) -> impl Iterator<Item = u64> + '_ {
        let id = |at| {
            let (_, payload) = read_record(part.batch.records(at, 1)).unwrap();
            u64::from_be_bytes(payload[..8].try_into().unwrap())
        };
        (part.from..part.batch.len()).map(id)
    }

    #[derive(Debug, Clone)]
    enum Step {
        Append { count: u64, from: u32, len: usize },
        Pass(u64),
        Expire,
        Take,
        GiveUp,
    }

    fn any_step() -> impl Strategy<Value = Step> {
        prop_oneof![
            6 => (1_u64..6, 0_u32..4, 8_usize..90).prop_map(|(count, from, len)| Step::Append { count, from, len }),
            3 => (0_u64..6).prop_map(Step::Pass),
            2 => Just(Step::Expire),
            1 => Just(Step::Take),
            1 => Just(Step::GiveUp),
        ]
    }

    /// What a backlog is meant to hold: (id, bytes, since), oldest first.
    type Model = VecDeque<(u64, u64, Instant)>;

    fn bytes(model: &Model) -> u64 {
        model.iter().map(|(_, bytes, _)| bytes).sum()
    }

    proptest! {
        /// I1 and I5: oldest first, within its bounds, and what is gone is counted.
        #[test]
        fn a_backlog_holds_the_newest_and_counts_the_rest(steps in vec(any_step(), 0..60)) {
            let (mut backlog, mut now) = (Backlog::new(MAX.0, MAX.1, LIFE), Instant::now());
            let (mut model, mut next) = (Model::new(), 0);
            let (mut accepted, mut handed_over, mut gone) = (0_u64, 0_u64, [0_u64; 3]);
            for step in steps {
                match step {
                    Step::Append { count, from, len } => {
                        let (batch, from) = (batch(next..next + count, len, now), from.min(count as u32 - 1));
                        for at in from..count as u32 {
                            model.push_back((next + u64::from(at), batch.bytes(at, 1) as u64, now));
                            accepted += 1;
                        }
                        next += count;
                        prop_assert!(backlog.append(batch, from, now));
                        while model.len() as u64 > MAX.0 || bytes(&model) > MAX.1 {
                            model.pop_front();
                            gone[0] += 1;
                        }
                    }
                    Step::Pass(seconds) => now += Duration::from_secs(seconds),
                    Step::Expire => {
                        backlog.expire(now);
                        while model.pop_front_if(|(_, _, since)| *since + LIFE <= now).is_some() {
                            gone[1] += 1;
                        }
                    }
                    Step::Take => {
                        let taken: Vec<u64> = backlog.take().flat_map(|part| ids(&part).collect::<Vec<_>>()).collect();
                        prop_assert_eq!(&taken, &model.drain(..).map(|(id, ..)| id).collect::<Vec<_>>());
                        handed_over += taken.len() as u64;
                    }
                    Step::GiveUp => {
                        prop_assert_eq!(backlog.give_up(), bytes(&model));
                        gone[2] += model.drain(..).count() as u64;
                    }
                }
                prop_assert_eq!((backlog.messages(), backlog.bytes()), (model.len() as u64, bytes(&model)));
                prop_assert_eq!(backlog.oldest(), model.front().map(|(.., since)| *since));
                prop_assert_eq!(accepted, handed_over + backlog.messages() + gone.iter().sum::<u64>());
            }
            let reasons = Backlog::REASONS.into_iter().zip(gone).filter(|(_, messages)| *messages > 0);
            prop_assert_eq!(backlog.take_untold().collect::<Vec<_>>(), reasons.collect::<Vec<_>>());
            prop_assert_eq!(backlog.take_untold().count(), 0);
            let lost = Lost { backlog: model.len() as u64, bytes: bytes(&model), ..Lost::default() };
            prop_assert_eq!(backlog.close(), lost);
            prop_assert!(!backlog.append(batch(0..1, 8, now), 0, now));
            prop_assert_eq!((backlog.messages(), backlog.bytes(), backlog.oldest()), (0, 0, None));
        }
    }
}
