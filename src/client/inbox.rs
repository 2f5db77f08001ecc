//! The inbox: what a subscription has received and its user has not taken, and how far it is acknowledged.
//!
//! Only what was taken is ever acknowledged. So an unread stream uses up the broker's window and no more: it holds at most one
//! window here, and neither the socket nor another subscription waits for it. Frames are kept as they came and cut into messages
//! when they are taken.
//!
//! Numbers grow, except when the broker goes back: after a loss, an `ack_timeout` or a nack it sends again from some message
//! on. A frame that starts at or below the last number seen is such a return, and everything from there on in the buffer is
//! forgotten, because it comes again. After a nack only the frame that says so is the return: whatever comes before it was
//! under way already.

use std::{
    collections::VecDeque,
    sync::{Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
};

use bytes::Bytes;

use super::{delivery::Delivery, event::SubscriptionOver};
use crate::{
    clock::UnixMillis,
    name::{Filter, SubscriptionHandle, TopicName},
    wire::{Deliver, read_record},
};

/// Messages and bytes the broker has under way at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Window {
    pub(super) messages: usize,
    pub(super) bytes: usize,
}

/// How a user's act has to reach the broker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum AckDue {
    /// Nothing to tell.
    Nothing,
    /// Soon, together with what follows.
    Soon,
    /// Now: a good part of the window is used up.
    Now,
}

/// A Deliver frame, cut off from its connection.
#[derive(Debug)]
pub(super) struct Batch {
    first: u64,
    count: u32,
    /// Messages at its head that were taken or skipped.
    taken: u32,
    accepted: UnixMillis,
    redelivered: bool,
    topic: TopicName,
    table: Bytes,
    records: Bytes,
}

impl Batch {
    /// `deliver`, whose slices lie in `frame`. None if its topic breaks the rules: no broker sends that.
    pub(super) fn new(deliver: &Deliver<'_>, frame: &Bytes, known: Option<&TopicName>) -> Option<Self> {
        let topic = match known {
            Some(known) if known.as_str() == deliver.topic => known.clone(),
            _ => deliver.topic.parse().ok()?,
        };
        Some(Self {
            first: deliver.first,
            count: deliver.count,
            taken: 0,
            accepted: UnixMillis(deliver.accepted_ms),
            redelivered: deliver.redelivered,
            topic,
            table: frame.slice_ref(deliver.table),
            records: frame.slice_ref(deliver.records),
        })
    }

    fn last(&self) -> u64 {
        self.first + u64::from(self.count) - 1
    }

    fn offset(&self, index: u32) -> usize {
        let at = index as usize * 4;
        self.table.get(at..at + 4).map_or(0, |bytes| u32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]) as usize)
    }

    /// The next message. The frame was checked when it was decoded.
    fn take(&mut self) -> Option<Delivery> {
        if self.taken == self.count {
            return None;
        }
        let index = self.taken;
        self.taken += 1;
        let base = self.offset(0);
        let record = self.records.get(self.offset(index) - base..self.offset(index + 1) - base)?;
        let (headers, payload) = read_record(record).ok()?;
        Some(Delivery {
            topic: self.topic.clone(),
            number: self.first + u64::from(index),
            payload: self.records.slice_ref(payload),
            redelivered: self.redelivered,
            accepted: self.accepted,
            headers: if headers.is_empty() { Bytes::new() } else { self.records.slice_ref(headers.as_bytes()) },
        })
    }
}

/// Who reads an inbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reader {
    /// No stream.
    Nobody,
    /// A stream for which taken is done.
    Automatic,
    /// A stream whose messages are settled one by one.
    Explicit,
}

#[derive(Debug)]
enum Life {
    Open,
    /// Nothing more comes; by itself, if there is a reason.
    Over(Option<SubscriptionOver>),
}

#[derive(Debug)]
pub(super) struct Inbox {
    pub(super) filter: Filter,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    handle: SubscriptionHandle,
    window: Window,
    batches: VecDeque<Batch>,
    /// The last number of the broker's present run.
    seen: u64,
    /// Everything up to here is done with, told to the broker up to `told`.
    done: u64,
    told: u64,
    /// Messages and bytes done with and not told.
    untold: Window,
    /// How urgently an acknowledgement was asked for since the last one: what is on its way is not asked for again.
    asked: AckDue,
    /// The next batch of acknowledgements has this inbox on its list.
    listed: bool,
    /// A message was given back, and what comes is still from before, up to the frame that says otherwise.
    returning: bool,
    /// Raised when messages are given back or the handle changes: what was taken before is settled under other rules.
    round: u32,
    /// The lowest message given back in this round.
    returned: u64,
    reader: Reader,
    waker: Option<Waker>,
    life: Life,
    topic: Option<TopicName>,
}

impl Inbox {
    pub(super) fn new(filter: Filter, handle: SubscriptionHandle, window: Window) -> Self {
        let state = State {
            handle,
            window,
            batches: VecDeque::new(),
            seen: 0,
            done: 0,
            told: 0,
            untold: Window { messages: 0, bytes: 0 },
            asked: AckDue::Nothing,
            listed: false,
            returning: false,
            round: 0,
            returned: u64::MAX,
            reader: Reader::Nobody,
            waker: None,
            life: Life::Open,
            topic: None,
        };
        Self { filter, state: Mutex::new(state) }
    }

    /// A panic under this lock leaves numbers that are still true.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn handle(&self) -> SubscriptionHandle {
        self.lock().handle
    }

    pub(super) fn is_claimed(&self) -> bool {
        self.lock().reader != Reader::Nobody
    }

    /// A stream takes it over, or leaves it.
    pub(super) fn claim(&self, claimed: bool) {
        let mut state = self.lock();
        state.reader = if claimed { Reader::Automatic } else { Reader::Nobody };
        state.waker = None;
    }

    /// Taking a message no longer acknowledges it.
    pub(super) fn make_explicit(&self) {
        self.lock().reader = Reader::Explicit;
    }

    /// The connection is another one: the broker's run starts anew, and what was acknowledged is told again.
    pub(super) fn reconnect(&self, window: Window) {
        let mut state = self.lock();
        state.window = window;
        state.seen = 0;
        state.returning = false;
        state.told = 0;
        state.asked = AckDue::Nothing;
    }

    /// The subscription was made anew: what its predecessor held is lost, here as at the broker, and its numbers mean nothing.
    pub(super) fn rebind(&self, handle: SubscriptionHandle, window: Window) {
        let mut state = self.lock();
        state.handle = handle;
        state.window = window;
        state.batches.clear();
        state.seen = 0;
        state.done = 0;
        state.told = 0;
        state.untold = Window { messages: 0, bytes: 0 };
        state.asked = AckDue::Nothing;
        state.returning = false;
        state.round += 1;
        state.returned = 0;
    }

    /// Nothing more comes. What has been received can still be taken.
    pub(super) fn end(&self, over: Option<SubscriptionOver>) {
        let mut state = self.lock();
        if matches!(state.life, Life::Open) {
            state.life = Life::Over(over);
        }
        state.wake();
    }

    pub(super) fn over(&self) -> Option<SubscriptionOver> {
        match &self.lock().life {
            Life::Open => None,
            Life::Over(over) => over.clone(),
        }
    }

    /// Takes a frame in. What is done with and comes again was told to nobody: the broker's end of the subscription failed with
    /// the acknowledgement, and would wait for it for ever.
    pub(super) fn receive(&self, deliver: &Deliver<'_>, frame: &Bytes) -> AckDue {
        let mut state = self.lock();
        let Some(mut batch) = Batch::new(deliver, frame, state.topic.as_ref()) else { return AckDue::Nothing };
        if state.returning && !deliver.returns {
            return AckDue::Nothing;
        }
        state.returning = false;
        if batch.first <= state.seen {
            state.forget_from(batch.first);
        }
        state.seen = batch.last();
        let due = if batch.first <= state.told { AckDue::Soon } else { AckDue::Nothing };
        state.told = state.told.min(batch.first.saturating_sub(1));
        if batch.first <= state.done {
            let skip = state.done - batch.first + 1;
            if skip >= u64::from(batch.count) {
                return due;
            }
            batch.taken = skip as u32;
        }
        state.topic = Some(batch.topic.clone());
        state.batches.push_back(batch);
        state.wake();
        due
    }

    /// The next message, and how urgent its acknowledgement is.
    pub(super) fn poll_take(&self, cx: &mut Context<'_>) -> Poll<Option<(Delivery, u32, AckDue)>> {
        let mut state = self.lock();
        while let Some(batch) = state.batches.front_mut() {
            let taken = batch.take();
            if batch.taken == batch.count {
                state.batches.pop_front();
            }
            if let Some(delivery) = taken {
                let due = match state.reader {
                    Reader::Explicit => AckDue::Nothing,
                    Reader::Automatic | Reader::Nobody => state.done_with(delivery.number, delivery.payload.len(), false),
                };
                return Poll::Ready(Some((delivery, state.round, due)));
            }
        }
        if matches!(state.life, Life::Over(_)) {
            return Poll::Ready(None);
        }
        if !state.waker.as_ref().is_some_and(|waker| waker.will_wake(cx.waker())) {
            state.waker = Some(cx.waker().clone());
        }
        Poll::Pending
    }

    /// Everything up to `number`, taken in `round`, is done with; `hurry`: the broker shall know at once.
    pub(super) fn acknowledge(&self, number: u64, round: u32, bytes: usize, hurry: bool) -> AckDue {
        let mut state = self.lock();
        // Taken before it was given back: an acknowledgement now would settle what shall come again.
        let outdated = round != state.round && !(round + 1 == state.round && number < state.returned);
        if outdated { AckDue::Nothing } else { state.done_with(number, bytes, hurry) }
    }

    /// `number` and all after it shall come again. None if that is no longer ours to say.
    pub(super) fn give_back(&self, number: u64, round: u32) -> Option<SubscriptionHandle> {
        let mut state = self.lock();
        if round != state.round || number <= state.done {
            return None;
        }
        state.forget_from(number);
        state.returning = true;
        state.round += 1;
        state.returned = number;
        Some(state.handle)
    }

    /// The handle, if `number` of `round` can still be set aside.
    pub(super) fn set_aside(&self, number: u64, round: u32) -> Option<SubscriptionHandle> {
        let state = self.lock();
        (round == state.round && number > state.done).then_some(state.handle)
    }

    /// Puts it on the list of those with something to acknowledge. False if it is on it, or has nothing.
    pub(super) fn list(&self) -> bool {
        let mut state = self.lock();
        state.done > state.told && !std::mem::replace(&mut state.listed, true)
    }

    /// What to acknowledge now; it is off the list.
    pub(super) fn take_ack(&self) -> Option<(SubscriptionHandle, u64)> {
        let mut state = self.lock();
        state.listed = false;
        state.asked = AckDue::Nothing;
        state.untold = Window { messages: 0, bytes: 0 };
        let untold = state.done > state.told;
        state.told = state.done;
        untold.then_some((state.handle, state.done))
    }
}

impl State {
    fn wake(&mut self) {
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }

    fn done_with(&mut self, number: u64, bytes: usize, hurry: bool) -> AckDue {
        if number <= self.done {
            return AckDue::Nothing;
        }
        self.untold.messages += 1;
        self.untold.bytes += bytes;
        self.done = number;
        let quarter = self.untold.messages >= self.window.messages / 4 || self.untold.bytes >= self.window.bytes / 4;
        let due = if hurry || quarter { AckDue::Now } else { AckDue::Soon };
        if due <= self.asked {
            return AckDue::Nothing;
        }
        self.asked = due;
        due
    }

    fn forget_from(&mut self, number: u64) {
        while let Some(batch) = self.batches.back_mut() {
            if batch.last() < number {
                return;
            }
            if batch.first < number {
                batch.count = (number - batch.first) as u32;
                if batch.taken < batch.count {
                    return;
                }
            }
            self.batches.pop_back();
        }
    }
}
