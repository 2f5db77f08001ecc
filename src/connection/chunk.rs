//! A chunk: everything that one read brought and a session can handle in one go, its publishes grouped by topic.
//!
//! A request that must be handled in its place (subscribe, a nack, goodbye) ends a chunk, and so does a publish sequence that
//! does not follow on: the session sees whole, gapless stretches and checks each once.

use std::{collections::HashMap, mem};

use super::credit::{Credit, Spent};
use crate::{
    batch::{Batch, BatchBuilder},
    name::{Epoch, NameError, NameRules, SubscriptionHandle, TopicName},
    receipt::Sequences,
    room::{Guard, Room},
    shared::Shared,
    wire::{DeliverNack, Disconnect, Publish, SubscribeRequest, UnsubscribeRequest},
};

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
    pub(crate) ingress: Guard,
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
    /// A slot for each topic name seen; slots are reused by every chunk.
    slots: HashMap<Box<[u8]>, usize>,
    topics: Vec<TopicName>,
    last: Option<usize>,
    open: Vec<Option<Open>>,
    order: Vec<usize>,
    misnamed: Vec<(Sequences, NameError)>,
    acks: Vec<(SubscriptionHandle, u64)>,
    first: u64,
    count: u64,
    bytes: u64,
}

#[derive(Debug)]
struct Open {
    batch: BatchBuilder,
    sequences: Sequences,
    bytes: u64,
}

impl Chunker {
    pub(crate) fn new(epoch: Epoch, rules: NameRules, credit: Credit, ingress: Room) -> Self {
        Self {
            epoch,
            rules,
            credit,
            ingress,
            slots: HashMap::new(),
            topics: Vec::new(),
            last: None,
            open: Vec::new(),
            order: Vec::new(),
            misnamed: Vec::new(),
            acks: Vec::new(),
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
        let bytes = publish.record_len() as u64;
        self.bytes += bytes;
        match self.slot(publish.topic) {
            Ok(slot) => {
                let open = self.open[slot].get_or_insert_with(|| {
                    self.order.push(slot);
                    Open { batch: BatchBuilder::new(self.topics[slot].clone()), sequences: Sequences::default(), bytes: 0 }
                });
                open.batch.push(publish);
                open.sequences.push(publish.sequence);
                open.bytes += bytes;
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

    /// Consecutive publishes mostly go to the same topic, or to one seen before.
    fn slot(&mut self, topic: &[u8]) -> Result<usize, NameError> {
        if let Some(last) = self.last
            && self.topics[last].as_str().as_bytes() == topic
        {
            return Ok(last);
        }
        let slot = match self.slots.get(topic) {
            Some(slot) => *slot,
            None => {
                self.topics.push(TopicName::from_bytes(topic, &self.rules)?);
                self.open.push(None);
                self.slots.insert(topic.into(), self.topics.len() - 1);
                self.topics.len() - 1
            }
        };
        self.last = Some(slot);
        Ok(slot)
    }

    /// Takes an acknowledgement in. They are cumulative: of each subscription the furthest counts.
    pub(crate) fn ack(&mut self, handle: SubscriptionHandle, number: u64) {
        match self.acks.iter_mut().rev().find(|(known, _)| *known == handle) {
            Some((_, furthest)) => *furthest = number.max(*furthest),
            None => self.acks.push((handle, number)),
        }
    }

    /// Bytes of publishes in the chunk so far.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Closes the chunk, with `request` behind it. None if there is nothing in it.
    pub(crate) fn close(&mut self, request: Option<Request>) -> Option<Chunk> {
        if self.count == 0 && self.acks.is_empty() && request.is_none() {
            return None;
        }
        let now = Shared::now();
        let mut groups = Vec::with_capacity(self.order.len());
        for slot in self.order.drain(..) {
            if let Some(open) = self.open[slot].take() {
                let ingress = self.ingress.take(open.bytes);
                groups.push(Group { batch: open.batch.seal(now), skip: 0, sequences: open.sequences, ingress });
            }
        }
        if self.topics.len() >= NAMES {
            self.slots.clear();
            self.topics.clear();
            self.open.clear();
            self.last = None;
        }
        let chunk = Chunk {
            epoch: self.epoch,
            first: self.first,
            count: self.count,
            groups,
            misnamed: mem::take(&mut self.misnamed),
            acks: mem::take(&mut self.acks),
            request,
            spent: self.credit.spend(self.count, self.bytes),
        };
        (self.first, self.count, self.bytes) = (0, 0, 0);
        Some(chunk)
    }
}
