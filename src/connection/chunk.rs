//! A chunk: everything that one read brought and a session can handle in one go, its publishes grouped by topic.
//!
//! A request that must be handled in its place (subscribe, a nack, goodbye) ends a chunk, and so does a publish sequence that
//! does not follow on: the session sees whole, gapless stretches and checks each once.

use std::{
    collections::{BTreeMap, HashMap},
    mem,
};

use super::credit::{Credit, Spent};
use crate::{
    batch::{Batch, BatchBuilder, BatchSize},
    commons::Commons,
    name::{Epoch, NameError, NameRules, SubscriptionHandle, TopicName},
    receipt::Sequences,
    room::{Guard, Room},
    wire::{DeliverNack, Disconnect, PREFIX, Publish, SubscribeRequest, UnsubscribeRequest},
};

/// Memory a chunk may take for what its topics had the last time, in bytes: what one read brings.
const FORESEEN: usize = 64 << 10;
/// Names kept by a reader, so that each is checked once; at the bound it starts again.
const NAMES: usize = 4_096;

/// What one read brought.
#[derive(Debug)]
pub(crate) struct Chunk {
    pub(crate) epoch: Epoch,
    /// The sequence of the first publish; the others follow without a gap.
    pub(crate) first: u64,
    /// How many publishes.
    pub(crate) count: u64,
    pub(crate) groups: Vec<Group>,
    /// Publishes to what is no topic name.
    pub(crate) misnamed: Vec<(Sequences, NameError)>,
    /// The furthest acknowledgement of each subscription.
    pub(crate) acks: Vec<(SubscriptionHandle, u64)>,
    /// What ended the chunk.
    pub(crate) request: Option<Request>,
    /// Held until the publishes are settled.
    pub(crate) spent: Spent,
}

/// The publishes of a chunk to one topic.
#[derive(Debug)]
pub(crate) struct Group {
    pub(crate) batch: Batch,
    /// Messages at the front of the batch that came before and are not appended again.
    pub(crate) skip: u32,
    pub(crate) sequences: Sequences,
    /// Held until the topic has accepted it.
    pub(crate) ingress: Unaccepted,
}

/// What a group takes of the broker's ingress, and of its connection's share in it.
#[derive(Debug)]
pub(crate) struct Unaccepted {
    _broker: Guard,
    _connection: Guard,
}

/// What a session is asked beside publishes and acknowledgements.
#[derive(Debug)]
pub(crate) enum Request {
    Subscribe(SubscribeRequest),
    Unsubscribe(UnsubscribeRequest),
    Nack(DeliverNack),
    Disconnect(Disconnect),
}

/// Groups a connection's frames into chunks.
#[derive(Debug)]
pub(crate) struct Chunker {
    epoch: Epoch,
    rules: NameRules,
    credit: Credit,
    ingress: Room,
    /// What of it is this connection's.
    own: Room,
    /// A slot for each topic name seen; slots are reused by every chunk.
    slots: HashMap<TopicName, usize>,
    topics: Vec<Slot>,
    last: usize,
    order: Vec<usize>,
    /// Bytes of batches that were opened as large as the last one of their topic.
    foreseen: usize,
    misnamed: Vec<(Sequences, NameError)>,
    /// By subscription: a client may name as many as it likes, whether or not it has them.
    acks: BTreeMap<SubscriptionHandle, u64>,
    first: u64,
    count: u64,
    bytes: u64,
}

/// A topic name that a connection publishes to.
#[derive(Debug)]
struct Slot {
    name: TopicName,
    /// The slot of the publish that came after one of this topic the last time: who repeats, repeats an order.
    next: usize,
    /// What the last batch of it took, so that the next one need not grow into its size.
    size: BatchSize,
    open: Option<Open>,
}

#[derive(Debug)]
struct Open {
    batch: BatchBuilder,
    sequences: Sequences,
}

impl Chunker {
    pub(crate) fn new(epoch: Epoch, rules: NameRules, credit: Credit, ingress: Room) -> Self {
        Self {
            epoch,
            rules,
            credit,
            ingress,
            own: Room::new(u64::MAX),
            slots: HashMap::new(),
            topics: Vec::new(),
            last: 0,
            order: Vec::new(),
            foreseen: 0,
            misnamed: Vec::new(),
            acks: BTreeMap::new(),
            first: 0,
            count: 0,
            bytes: 0,
        }
    }

    /// True if `sequence` continues the chunk. If not, [`close`](Self::close) it first.
    pub(crate) fn continues(&self, sequence: u64) -> bool {
        self.count == 0 || self.first.checked_add(self.count) == Some(sequence)
    }

    /// Takes one publish in.
    pub(crate) fn publish(&mut self, publish: &Publish<'_>) {
        if self.count == 0 {
            self.first = publish.sequence;
        }
        self.count += 1;
        self.bytes += (PREFIX + publish.length()) as u64;
        match self.slot(publish.topic) {
            Ok(at) => {
                let slot = &mut self.topics[at];
                let open = slot.open.get_or_insert_with(|| {
                    self.order.push(at);
                    let expected = slot.size.if_within(FORESEEN - self.foreseen);
                    self.foreseen += expected.bytes();
                    Open { batch: BatchBuilder::new(slot.name.clone(), expected), sequences: Sequences::default() }
                });
                open.batch.push(publish);
                open.sequences.push(publish.sequence);
            }
            Err(error) => match self.misnamed.last_mut() {
                Some((sequences, last)) if *last == error => sequences.push(publish.sequence),
                _ => {
                    let mut sequences = Sequences::default();
                    sequences.push(publish.sequence);
                    self.misnamed.push((sequences, error));
                }
            },
        }
    }

    /// Most publishes go to the topic that came after the one before the last time; only where one does not is it looked up.
    fn slot(&mut self, topic: &[u8]) -> Result<usize, NameError> {
        let is_it = |at: &usize| self.topics.get(*at).is_some_and(|slot| slot.name.as_str().as_bytes() == topic);
        let expected = self.topics.get(self.last).map(|slot| slot.next).filter(is_it);
        let seen = || self.slots.get(str::from_utf8(topic).ok()?).copied();
        let at = match expected.or_else(seen) {
            Some(at) => at,
            None => {
                let (at, name) = (self.topics.len(), TopicName::from_bytes(topic, &self.rules)?);
                self.slots.insert(name.clone(), at);
                self.topics.push(Slot { name, next: at, size: BatchSize::default(), open: None });
                at
            }
        };
        if expected.is_none() {
            self.topics[self.last].next = at;
        }
        self.last = at;
        Ok(at)
    }

    /// Takes an acknowledgement in. They are cumulative: of each subscription the furthest counts.
    pub(crate) fn ack(&mut self, handle: SubscriptionHandle, number: u64) {
        let furthest = self.acks.entry(handle).or_default();
        *furthest = number.max(*furthest);
    }

    /// True while the broker has taken in as much as it may, and something of it came from here.
    pub(crate) fn must_wait(&self) -> bool {
        self.ingress.is_full() && self.own.used() > 0
    }

    /// Bytes of publishes in the chunk so far, as whole frames: what the client's credit is counted in.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Closes the chunk, with `request` behind it. None if there is nothing in it.
    pub(crate) fn close(&mut self, request: Option<Request>) -> Option<Chunk> {
        if self.count == 0 && self.acks.is_empty() && request.is_none() {
            return None;
        }
        let now = Commons::now();
        let mut groups = Vec::with_capacity(self.order.len());
        for slot in self.order.drain(..) {
            let slot = &mut self.topics[slot];
            if let Some(open) = slot.open.take() {
                slot.size = open.batch.size();
                let batch = open.batch.seal(now);
                let bytes = batch.footprint() as u64;
                let ingress = Unaccepted { _broker: self.ingress.take(bytes), _connection: self.own.take(bytes) };
                groups.push(Group { batch, skip: 0, sequences: open.sequences, ingress });
            }
        }
        if self.topics.len() >= NAMES {
            self.slots.clear();
            self.topics.clear();
            self.last = 0;
        }
        let chunk = Chunk {
            epoch: self.epoch,
            first: self.first,
            count: self.count,
            groups,
            misnamed: mem::take(&mut self.misnamed),
            acks: mem::take(&mut self.acks).into_iter().collect(),
            request,
            spent: self.credit.spend(self.count, self.bytes),
        };
        (self.first, self.count, self.bytes, self.foreseen) = (0, 0, 0, 0);
        Some(chunk)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::{collection::vec, prelude::*, sample::select};

    use super::*;
    use crate::wire::{Headers, read_record};

    fn chunker() -> Chunker {
        Chunker::new(Epoch(3), NameRules::default(), Credit::new(1_000, 1 << 20), Room::new(1 << 20))
    }

    fn publish<'a>(sequence: u64, topic: &'a str, payload: &'a [u8]) -> Publish<'a> {
        Publish { sequence, topic: topic.as_bytes(), headers: Headers::NONE, payload }
    }

    /// The sequences of a group, each from the payload of its message.
    fn payloads(group: &Group) -> Vec<u64> {
        let payload = |at| read_record(group.batch.records(at, 1)).unwrap().1;
        (0..group.batch.len()).map(|at| u64::from_be_bytes(payload(at).try_into().unwrap())).collect()
    }

    fn numbers(sequences: &Sequences, of: &Chunk) -> Vec<u64> {
        (of.first..of.first + of.count).filter(|n| sequences.up_to(*n) > sequences.up_to(n - 1)).collect()
    }

    #[derive(Debug, Clone)]
    enum Step {
        Publish { topic: &'static str, skipped: u64 },
        Ack(u32, u64),
        Close,
    }

    fn any_step() -> impl Strategy<Value = Step> {
        let topics = vec!["a", "a/b", "c", "", "a//b", "+"];
        prop_oneof![
            8 => (select(topics), prop_oneof![9 => Just(0_u64), 1 => 1_u64..4])
                .prop_map(|(topic, skipped)| Step::Publish { topic, skipped }),
            2 => (0_u32..3, 0_u64..100).prop_map(|(handle, number)| Step::Ack(handle, number)),
            1 => Just(Step::Close),
        ]
    }

    /// Frames through a chunker, as the reader does it.
    fn chunks(steps: &[Step]) -> (Vec<Chunk>, Vec<(u64, &'static str)>) {
        let (mut chunker, mut sequence, mut all, mut sent) = (chunker(), 1, Vec::new(), Vec::new());
        for step in steps {
            match step {
                Step::Publish { topic, skipped } => {
                    sequence += skipped;
                    if !chunker.continues(sequence) {
                        all.extend(chunker.close(None));
                    }
                    chunker.publish(&publish(sequence, topic, &sequence.to_be_bytes()));
                    sent.push((sequence, *topic));
                    sequence += 1;
                }
                Step::Ack(handle, number) => chunker.ack(SubscriptionHandle(*handle), *number),
                Step::Close => all.extend(chunker.close(None)),
            }
        }
        all.extend(chunker.close(None));
        (all, sent)
    }

    proptest! {
        /// Chunks are gapless, their groups and misnamed publishes share their sequences out, and each topic keeps its order.
        #[test]
        fn a_chunk_is_a_gapless_stretch_shared_out_among_its_topics(steps in vec(any_step(), 0..80)) {
            let (chunks, sent) = chunks(&steps);
            let (mut by_topic, mut misnamed) = (BTreeMap::<String, Vec<u64>>::new(), Vec::new());
            let mut covered = Vec::new();
            for chunk in &chunks {
                let mut shared_out = Vec::new();
                for group in &chunk.groups {
                    let sequences = payloads(group);
                    prop_assert_eq!(&numbers(&group.sequences, chunk), &sequences);
                    by_topic.entry(group.batch.topic().to_string()).or_default().extend(&sequences);
                    shared_out.extend(sequences);
                }
                for (sequences, _) in &chunk.misnamed {
                    shared_out.extend(numbers(sequences, chunk));
                    misnamed.extend(numbers(sequences, chunk));
                }
                shared_out.sort_unstable();
                prop_assert_eq!(&shared_out, &(chunk.first..chunk.first + chunk.count).collect::<Vec<_>>());
                covered.extend(shared_out);
                prop_assert!(chunk.count > 0 || !chunk.acks.is_empty());
            }
            prop_assert_eq!(covered, sent.iter().map(|(sequence, _)| *sequence).collect::<Vec<_>>());
            for (topic, sequences) in by_topic {
                let expected: Vec<u64> = sent.iter().filter(|(_, name)| *name == topic).map(|(n, _)| *n).collect();
                prop_assert_eq!(sequences, expected);
            }
            misnamed.sort_unstable();
            let bad = |name: &str| name.parse::<TopicName>().is_err();
            prop_assert_eq!(misnamed, sent.iter().filter(|(_, name)| bad(name)).map(|(n, _)| *n).collect::<Vec<_>>());
        }

        /// Of a subscription the furthest acknowledgement counts, and each is named once.
        #[test]
        fn acknowledgements_are_merged(acks in vec((0_u32..4, 0_u64..50), 1..40)) {
            let mut chunker = chunker();
            let mut furthest = BTreeMap::new();
            for (handle, number) in &acks {
                chunker.ack(SubscriptionHandle(*handle), *number);
                let known: &mut u64 = furthest.entry(*handle).or_default();
                *known = (*known).max(*number);
            }
            let mut merged: Vec<_> = chunker.close(None).unwrap().acks.iter().map(|(handle, n)| (handle.0, *n)).collect();
            merged.sort_unstable();
            prop_assert_eq!(merged, furthest.into_iter().collect::<Vec<_>>());
            prop_assert!(chunker.close(None).is_none());
        }

        /// What of a group came before is a prefix of it, and skipped exactly.
        #[test]
        fn a_repeat_skips_what_came_before(topics in vec(select(vec!["a", "b", "c"]), 1..30), known in 0_u64..35) {
            let steps: Vec<_> = topics.iter().map(|topic| Step::Publish { topic, skipped: 0 }).collect();
            for chunk in chunks(&steps).0 {
                for group in &chunk.groups {
                    let mut sequences = group.sequences.clone();
                    let skip = sequences.up_to(known);
                    sequences.skip(skip);
                    let expected = payloads(group).split_off(skip as usize);
                    prop_assert!(expected.iter().all(|n| *n > known));
                    prop_assert_eq!(numbers(&sequences, &chunk), expected);
                }
            }
        }
    }

    /// I6: the last number there is has no successor. A client may send both, and nobody adds one to it.
    #[test]
    fn sequences_do_not_wrap_around() {
        let mut chunker = chunker();
        chunker.publish(&publish(u64::MAX, "a", b""));
        assert!(!chunker.continues(0));
        assert_eq!(chunker.close(None).map(|chunk| (chunk.first, chunk.count)), Some((u64::MAX, 1)));
        assert!(chunker.continues(0));
    }

    /// Budgets travel with what they pay for.
    #[test]
    fn a_chunk_holds_its_budget_until_it_is_gone() {
        let mut chunker = chunker();
        chunker.publish(&publish(1, "a", b"12345"));
        chunker.publish(&publish(2, "", b"12345"));
        let chunk = chunker.close(None).unwrap();
        assert_eq!((chunker.ingress.used(), chunker.bytes()), (chunk.groups[0].batch.footprint() as u64, 0));
        drop(chunk);
        assert_eq!(chunker.ingress.used(), 0);
    }

    /// I5: names are remembered, not collected.
    #[test]
    fn the_names_a_reader_remembers_are_bounded() {
        let mut chunker = chunker();
        for n in 0..3 * NAMES as u64 {
            chunker.publish(&publish(n + 1, &format!("t/{n}"), b""));
            let chunk = chunker.close(None).unwrap();
            assert_eq!(chunk.groups[0].batch.topic().as_str(), format!("t/{n}"));
        }
        assert!(chunker.slots.len() <= NAMES && chunker.topics.len() <= NAMES);
    }
}
