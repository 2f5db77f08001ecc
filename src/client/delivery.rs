//! Deliveries: messages as their subscriber gets them.

use std::{
    ops::Deref,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use bytes::Bytes;

use super::{hub::Hub, inbox::Inbox};
use crate::{
    clock::UnixMillis,
    name::TopicName,
    wire::{Headers, Nack},
};

/// A message that was delivered. It shares the memory of those it came with; copy the payload to keep it for long.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// Where it was published.
    pub topic: TopicName,
    /// Its number in the subscription: grows, with gaps, and stays the same when it is delivered again.
    pub number: u64,
    /// What it carries.
    pub payload: Bytes,
    /// It may have been delivered before.
    pub redelivered: bool,
    pub(super) accepted: UnixMillis,
    /// As they stand in the frame, checked; empty if there are none.
    pub(super) headers: Bytes,
}

impl Delivery {
    /// When the broker accepted it.
    pub fn accepted_at(&self) -> SystemTime {
        UNIX_EPOCH + Duration::from_millis(self.accepted.0)
    }

    /// Its headers.
    pub fn headers(&self) -> Headers<'_> {
        Headers::known(&self.headers)
    }
}

/// A message of an [explicit](super::Subscription::explicit) subscription, to be settled by whoever handles it.
///
/// Dropped without a word, it comes again after the subscription's acknowledgement timeout, or to the next connection.
#[derive(Debug)]
#[must_use = "settle it with ack, again or poison; otherwise it comes again"]
pub struct Held {
    delivery: Delivery,
    round: u32,
    desk: Arc<Desk>,
}

/// Where the messages of a subscription are settled. All that are held share one.
#[derive(Debug)]
pub(super) struct Desk {
    pub(super) inbox: Arc<Inbox>,
    pub(super) shared: Arc<Hub>,
}

impl Held {
    pub(super) fn new(delivery: Delivery, round: u32, desk: Arc<Desk>) -> Self {
        Self { delivery, round, desk }
    }

    /// Done: this one **and all before it** of the subscription.
    pub fn ack(self) {
        self.acknowledge(false);
    }

    /// As [`ack`](Self::ack), but it does not wait for others to share a write with: for handlers whose work must not be done
    /// twice, and that have just done a good deal of it.
    pub fn ack_now(self) {
        self.acknowledge(true);
    }

    fn acknowledge(&self, hurry: bool) {
        let Desk { inbox, shared } = &*self.desk;
        let due = inbox.acknowledge(self.delivery.number, self.round, self.delivery.payload.len(), hurry);
        shared.acknowledge(inbox, due);
    }

    /// Not done: this one and all after it come again, in order. Those after it that were taken cannot be settled any more.
    pub fn again(self) {
        self.give_back(Nack::Again);
    }

    /// It cannot be handled: the broker keeps it aside for its operator, and the others go on.
    pub fn poison(self) {
        self.give_back(Nack::Poison);
    }

    fn give_back(&self, what: Nack) {
        self.desk.shared.nack(&self.desk.inbox, self.delivery.number, self.round, what);
    }

    /// The message alone. It stays unsettled.
    pub fn into_delivery(self) -> Delivery {
        self.delivery
    }
}

impl Deref for Held {
    type Target = Delivery;

    fn deref(&self) -> &Delivery {
        &self.delivery
    }
}
