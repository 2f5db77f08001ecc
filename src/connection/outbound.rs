//! The outbound queue of a connection: replies and deliveries on their way to the writer.
//!
//! Replies never wait; what bounds them is that a connection with too many unwritten ones is not read. Deliveries are bounded
//! by a budget that subscribers look at before they take. A goodbye overtakes waiting deliveries.

use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use ractor::ActorRef;
use tokio::sync::Notify;

use crate::{
    actors::SubscriberMsg,
    commons::tell,
    give_way::give_way,
    queue::Run,
    room::{Guard, Room},
    stats::Stats,
    subscription::SubscriptionQueue,
    wire::ServerFrame,
};

/// Unwritten replies at which a connection is not read any more, in bytes.
const REPLY_BYTES: u64 = 1 << 20;
/// Replies that wait are put together up to this many bytes.
const TOGETHER: usize = 4 << 10;

/// A run of messages on its way to the client.
#[derive(Debug)]
pub(crate) struct Delivery {
    pub(crate) queue: Arc<SubscriptionQueue>,
    pub(crate) run: Run,
    pub(crate) pass: u32,
    /// It may be seen as of this generation of users.
    pub(crate) judged: u64,
    /// Settled by being written.
    pub(crate) settles: bool,
    /// Held until it is written or thrown away.
    pub(crate) budget: Guard,
}

/// Something to be written.
#[derive(Debug)]
pub(crate) enum Item {
    Reply(Vec<u8>),
    PublishAck(u64),
    Deliver(Delivery),
}

/// Between the actors and a connection's writer.
#[derive(Debug)]
pub(crate) struct Outbound {
    stats: Arc<Stats>,
    budget: Room,
    reply_bytes: AtomicU64,
    /// Bytes written so far.
    pub(crate) written: AtomicU64,
    state: Mutex<State>,
    wake_writer: Notify,
    wake_reader: Notify,
    closing: Notify,
}

#[derive(Debug, Default)]
struct State {
    items: VecDeque<Item>,
    /// Subscribers that found too little budget.
    waiting: Vec<ActorRef<SubscriberMsg>>,
    /// Nothing is taken in any more; the writer ends when the items are written.
    closed: bool,
}

impl State {
    fn has_messages_first(&self) -> bool {
        matches!(self.items.front(), Some(Item::Deliver(_) | Item::PublishAck(_)))
    }
}

impl Outbound {
    pub(crate) fn new(stats: Arc<Stats>, budget: u64) -> Arc<Self> {
        Arc::new(Self {
            stats,
            budget: Room::new(budget),
            reply_bytes: AtomicU64::new(0),
            written: AtomicU64::new(0),
            state: Mutex::default(),
            wake_writer: Notify::new(),
            wake_reader: Notify::new(),
            closing: Notify::new(),
        })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Queues a reply. Dropped if the connection is closing.
    pub(crate) fn reply(&self, frame: &ServerFrame<'_>) {
        let mut bytes = Vec::with_capacity(64);
        frame.encode(&mut bytes);
        self.push(Item::Reply(bytes));
    }

    /// Acknowledges publishes up to `sequence`; takes the place of an acknowledgement that still waits at the end.
    pub(crate) fn publish_ack(&self, sequence: u64) {
        self.push(Item::PublishAck(sequence));
    }

    /// Small things that wait lie together: a frame of a few bytes costs many times as much as an item of its own, and what is
    /// counted should be what it costs.
    fn push(&self, item: Item) {
        let mut state = self.lock();
        if state.closed {
            return;
        }
        if let Item::Reply(bytes) = &item {
            self.reply_bytes.fetch_add(bytes.len() as u64, Relaxed);
        }
        match (state.items.back_mut(), item) {
            (Some(Item::PublishAck(last)), Item::PublishAck(sequence)) => return *last = sequence,
            (Some(Item::Reply(waiting)), Item::Reply(bytes)) if waiting.len() < TOGETHER => {
                return waiting.extend_from_slice(&bytes);
            }
            (Some(Item::Reply(waiting)), Item::PublishAck(sequence)) if waiting.len() < TOGETHER => {
                let before = waiting.len();
                ServerFrame::PublishAck(sequence).encode(waiting);
                self.reply_bytes.fetch_add((waiting.len() - before) as u64, Relaxed);
                return;
            }
            (_, item) => state.items.push_back(item),
        }
        let idle = state.items.len() == 1;
        drop(state);
        if idle {
            self.wake_writer.notify_one();
        }
    }

    /// Queues deliveries. Thrown away if the connection is closing: their queues take them back when they are parked.
    pub(crate) fn deliver(&self, deliveries: Vec<Delivery>) {
        let mut state = self.lock();
        if state.closed {
            return;
        }
        let idle = state.items.is_empty();
        state.items.extend(deliveries.into_iter().map(Item::Deliver));
        drop(state);
        if idle {
            self.wake_writer.notify_one();
        }
    }

    /// The budget for deliveries.
    pub(crate) fn budget(&self) -> &Room {
        &self.budget
    }

    /// Bytes that wait to be written.
    pub(crate) fn waiting_bytes(&self) -> u64 {
        self.budget.used() + self.reply_bytes.load(Relaxed)
    }

    /// Remembers a subscriber that found `left` of the budget too little, once however often it comes; it is told `Ready` when
    /// something was given back. False if there is more now.
    pub(crate) fn wait_for_budget(&self, subscriber: &ActorRef<SubscriberMsg>, left: u64) -> bool {
        let is_it = |waiting: &ActorRef<SubscriberMsg>| waiting.get_id() == subscriber.get_id();
        let mut state = self.lock();
        if !state.waiting.iter().any(is_it) {
            state.waiting.push(subscriber.clone());
        }
        drop(state);
        // The writer may have given everything back before the push and will not come again.
        if self.budget.left() <= left {
            return true;
        }
        self.lock().waiting.retain(|waiting| !is_it(waiting));
        false
    }

    /// Closes the queue: deliveries that wait are thrown away, replies are written, then `goodbye`, then the writer ends.
    pub(crate) fn close(&self, goodbye: Option<&ServerFrame<'_>>) {
        let mut state = self.lock();
        if state.closed {
            return;
        }
        state.closed = true;
        let all = std::mem::take(&mut state.items);
        let (thrown, kept): (VecDeque<_>, VecDeque<_>) = all.into_iter().partition(|item| matches!(item, Item::Deliver(_)));
        state.items = kept;
        if let Some(goodbye) = goodbye {
            let mut bytes = Vec::with_capacity(64);
            goodbye.encode(&mut bytes);
            self.reply_bytes.fetch_add(bytes.len() as u64, Relaxed);
            state.items.push_back(Item::Reply(bytes));
        }
        state.waiting.clear();
        drop(state);
        drop(thrown);
        self.wake_writer.notify_one();
        self.closing.notify_waiters();
    }

    /// Waits for something to write and takes it into `items`, up to `max` of them. False once the queue is closed and empty.
    pub(crate) async fn take(&self, items: &mut Vec<Item>, max: usize) -> bool {
        loop {
            let woken = self.wake_writer.notified();
            {
                let mut state = self.lock();
                if !state.items.is_empty() {
                    let len = state.items.len().min(max);
                    items.extend(state.items.drain(..len));
                    return true;
                }
                if state.closed {
                    return false;
                }
            }
            woken.await;
            // Subscribers that were woken together go first: then what they have is written together. Nobody waits for replies
            // to come together, nor for the end.
            if self.lock().has_messages_first() {
                give_way().await;
            }
        }
    }

    /// Items up to here have been written: gives their budget back and wakes who waits for it.
    pub(crate) fn wrote(&self, reply_bytes: u64) {
        if reply_bytes > 0 && self.reply_bytes.fetch_sub(reply_bytes, Relaxed) >= REPLY_BYTES {
            self.wake_reader.notify_one();
        }
        if self.budget.is_full() {
            return;
        }
        let waiting = std::mem::take(&mut self.lock().waiting);
        for subscriber in waiting {
            // One that has ended waits for nothing.
            let _ = tell(&self.stats, &subscriber, SubscriberMsg::Ready);
        }
    }

    /// True once the connection is being closed.
    pub(crate) fn is_closed(&self) -> bool {
        self.lock().closed
    }

    /// Waits until the queue is closed.
    pub(crate) async fn closed(&self) {
        let closing = self.closing.notified();
        if !self.lock().closed {
            closing.await;
        }
    }

    /// True while too many replies lie unwritten.
    pub(crate) fn is_unread(&self) -> bool {
        self.reply_bytes.load(Relaxed) >= REPLY_BYTES
    }

    /// Waits while too many replies lie unwritten.
    pub(crate) async fn replies_written(&self) {
        loop {
            let woken = self.wake_reader.notified();
            if !self.is_unread() {
                return;
            }
            woken.await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        actors::ear::ear,
        wire::{Code, ErrorFrame},
    };

    fn outbound() -> Arc<Outbound> {
        Outbound::new(Arc::default(), 100)
    }

    /// What the sampler shows of a connection must not wrap around when the last frame was written.
    #[tokio::test]
    async fn every_reply_is_accounted_for_and_the_goodbye_too() {
        let outbound = outbound();
        outbound.reply(&ServerFrame::Pong(1));
        outbound.close(Some(&ServerFrame::Error(ErrorFrame::new(Code::Unavailable, "bye"))));
        outbound.reply(&ServerFrame::Pong(2));
        let (mut items, mut written) = (Vec::new(), 0);
        assert!(outbound.take(&mut items, 10).await);
        for item in items.drain(..) {
            let Item::Reply(bytes) = item else { panic!("only replies were said, not {item:?}") };
            written += bytes.len() as u64;
        }
        assert_eq!(outbound.waiting_bytes(), written);
        outbound.wrote(written);
        assert_eq!(outbound.waiting_bytes(), 0);
        assert!(!outbound.take(&mut items, 10).await);
    }

    /// I5: a client that pings and publishes again what is settled, and reads nothing, is read until its replies are at their
    /// bound. Until then they must not cost many times what is counted.
    #[tokio::test]
    async fn small_replies_lie_together() {
        let outbound = outbound();
        let mut expected = Vec::new();
        while !outbound.is_unread() {
            for frame in [ServerFrame::Pong(7), ServerFrame::PublishAck(9)] {
                frame.encode(&mut expected);
                match frame {
                    ServerFrame::PublishAck(sequence) => outbound.publish_ack(sequence),
                    frame => outbound.reply(&frame),
                }
            }
        }
        let (mut items, mut written) = (Vec::new(), Vec::new());
        assert!(outbound.take(&mut items, usize::MAX).await);
        assert!(items.len() <= 2 * expected.len() / TOGETHER + 2, "{} items for {} bytes", items.len(), expected.len());
        for item in &items {
            match item {
                Item::Reply(bytes) => written.extend_from_slice(bytes),
                Item::PublishAck(sequence) => ServerFrame::PublishAck(*sequence).encode(&mut written),
                Item::Deliver(_) => panic!("nothing is delivered"),
            }
        }
        assert!(written == expected, "in order, and all of it");
    }

    /// I5: a client that acknowledges without reading makes its subscriber look often; it waits once.
    #[tokio::test]
    async fn a_subscriber_waits_once_and_is_told_once() {
        let (outbound, (subscriber, mut told)) = (outbound(), ear().await);
        let taken = outbound.budget().take(100);
        assert!((0..1_000).all(|_| outbound.wait_for_budget(&subscriber, 0)));
        assert_eq!(outbound.lock().waiting.len(), 1);
        drop(taken);
        outbound.wrote(0);
        assert!(matches!(told.recv().await, Some(SubscriberMsg::Ready)));
        outbound.wrote(0);
        assert!(told.is_empty());
    }

    /// Some budget may be too little for the next message: whoever found it so is told when there is more.
    #[tokio::test]
    async fn a_subscriber_that_found_too_little_is_told_of_more() {
        let (outbound, (subscriber, mut told)) = (outbound(), ear().await);
        let taken = outbound.budget().take(90);
        assert!(outbound.wait_for_budget(&subscriber, 10));
        drop(taken);
        outbound.wrote(0);
        assert!(matches!(told.recv().await, Some(SubscriberMsg::Ready)));
        assert!(!outbound.wait_for_budget(&subscriber, 10), "there is more by now");
        assert!(outbound.lock().waiting.is_empty());
    }
}
