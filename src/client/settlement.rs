//! Settlements: how those who wait for an acknowledgement learn what became of their message.
//!
//! One settlement is shared by all messages of a chunk. So a message that nobody waits for costs one reference count, a
//! failure is remembered only while someone could still ask for it, and a waiter names its message by its place in the chunk,
//! which stays the same when a new session numbers it anew.

use std::{
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
};

use super::error::PublishError;

/// The outcomes of one chunk of messages.
#[derive(Debug, Default)]
pub(super) struct Settlement(Mutex<Outcomes>);

#[derive(Debug, Default)]
struct Outcomes {
    /// Messages of the chunk that are settled.
    settled: u32,
    /// Which of them failed: place, count, why.
    failures: Vec<(u32, u32, PublishError)>,
    waiters: Vec<Option<(u32, Waker)>>,
}

impl Outcomes {
    fn of(&self, place: u32) -> Option<Result<(), PublishError>> {
        let failure = self.failures.iter().find(|(first, count, _)| place >= *first && place - first < *count);
        match failure {
            Some((.., error)) => Some(Err(error.clone())),
            None => (place < self.settled).then_some(Ok(())),
        }
    }

    fn wake(&mut self, decided: impl Fn(u32) -> bool) {
        for slot in &mut self.waiters {
            if let Some((_, waker)) = slot.take_if(|(place, _)| decided(*place)) {
                waker.wake();
            }
        }
    }
}

impl Settlement {
    /// The first `settled` messages have an outcome: what has not failed was accepted.
    pub(super) fn settle(&self, settled: u32) {
        let mut outcomes = self.lock();
        outcomes.settled = settled;
        outcomes.wake(|place| place < settled);
    }

    /// `count` messages from `place` have failed. Returns how many of them had not before: what was told on one connection is
    /// told again on the next.
    pub(super) fn fail(&self, place: u32, count: u32, error: PublishError) -> u32 {
        let mut outcomes = self.lock();
        let end = place + count;
        let shared = |(first, count, _): &(u32, u32, PublishError)| end.min(first + count).saturating_sub(place.max(*first));
        let known: u32 = outcomes.failures.iter().map(shared).sum();
        outcomes.failures.push((place, count, error));
        outcomes.wake(|waiting| waiting >= place && waiting - place < count);
        count.saturating_sub(known)
    }

    /// A panic under this lock leaves nothing half done that matters.
    fn lock(&self) -> MutexGuard<'_, Outcomes> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A message on its way: resolves when the broker has settled it. Dropping it takes nothing back and costs nothing.
#[derive(Debug)]
#[must_use = "the message is on its way; await this to learn what became of it, or drop it and flush later"]
pub struct Pending {
    settlement: Arc<Settlement>,
    place: u32,
    slot: Option<usize>,
}

impl Pending {
    pub(super) fn new(settlement: Arc<Settlement>, place: u32) -> Self {
        Self { settlement, place, slot: None }
    }
}

impl Future for Pending {
    type Output = Result<(), PublishError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        let mut outcomes = this.settlement.lock();
        if let Some(outcome) = outcomes.of(this.place) {
            return Poll::Ready(outcome);
        }
        let waiter = Some((this.place, cx.waker().clone()));
        if let Some(slot) = this.slot {
            outcomes.waiters[slot] = waiter;
        } else {
            this.slot = Some(outcomes.waiters.len());
            outcomes.waiters.push(waiter);
        }
        Poll::Pending
    }
}
