//! Settlements: how those who wait for an acknowledgement learn what became of their message.
//!
//! One settlement is shared by all messages of a chunk. So a message that nobody waits for costs one reference count, a
//! failure is remembered only while someone could still ask for it, and a waiter names its message by its place in the chunk,
//! which stays the same when a new session numbers it anew.

use std::{
    collections::BTreeMap,
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
    /// Which of them failed, by their places: in order, and none twice.
    failures: Vec<Failed>,
    /// Who waits, by its message's place.
    waiters: BTreeMap<u32, Waker>,
}

/// Messages from `first` to before `end` have failed.
#[derive(Debug)]
struct Failed {
    first: u32,
    end: u32,
    why: PublishError,
}

impl Outcomes {
    fn of(&self, place: u32) -> Option<Result<(), PublishError>> {
        let at = self.failures.partition_point(|failed| failed.end <= place);
        match self.failures.get(at).filter(|failed| failed.first <= place) {
            Some(failed) => Some(Err(failed.why.clone())),
            None => (place < self.settled).then_some(Ok(())),
        }
    }

    /// Notes the failure of those of `first..end` that have not failed before; answers how many those are. Failures are told in
    /// order, so nearly always this is one step at the end.
    fn fail(&mut self, mut first: u32, end: u32, why: &PublishError) -> u32 {
        let mut new = 0;
        let mut at = self.failures.partition_point(|failed| failed.end <= first);
        while first < end {
            let known = self.failures.get(at).map_or((end, end), |known| (known.first.min(end), known.end));
            if first < known.0 {
                self.failures.insert(at, Failed { first, end: known.0, why: why.clone() });
                at += 1;
                new += known.0 - first;
            }
            first = known.1;
            at += 1;
        }
        new
    }
}

impl Settlement {
    /// The first `settled` messages have an outcome: what has not failed was accepted.
    pub(super) fn settle(&self, settled: u32) {
        let mut outcomes = self.lock();
        outcomes.settled = settled;
        while let Some(waiter) = outcomes.waiters.first_entry().filter(|waiter| *waiter.key() < settled) {
            waiter.remove().wake();
        }
    }

    /// `count` messages from `place` have failed. Returns how many of them had not before: what was told on one connection is
    /// told again on the next.
    pub(super) fn fail(&self, place: u32, count: u32, why: &PublishError) -> u32 {
        let mut outcomes = self.lock();
        let new = outcomes.fail(place, place + count, why);
        while let Some((&waiting, _)) = outcomes.waiters.range(place..place + count).next() {
            if let Some(waker) = outcomes.waiters.remove(&waiting) {
                waker.wake();
            }
        }
        new
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
}

impl Pending {
    pub(super) fn new(settlement: Arc<Settlement>, place: u32) -> Self {
        Self { settlement, place }
    }
}

impl Future for Pending {
    type Output = Result<(), PublishError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut outcomes = self.settlement.lock();
        if let Some(outcome) = outcomes.of(self.place) {
            return Poll::Ready(outcome);
        }
        outcomes.waiters.insert(self.place, cx.waker().clone());
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn because(topic: &str) -> PublishError {
        PublishError::Refused { topic: topic.to_owned(), code: crate::wire::Code::Forbidden, reason: "no".to_owned() }
    }

    /// Failures that are told again, in another order and in other pieces, keep the reason that was told first.
    #[test]
    fn a_message_fails_once() {
        let mut outcomes = Outcomes::default();
        let told = [(4, 6, "a", 2), (1, 2, "b", 1), (1, 8, "c", 4), (0, 9, "d", 2), (0, 9, "e", 0), (11, 12, "f", 1)];
        for (first, end, why, new) in told {
            assert_eq!(outcomes.fail(first, end, &because(why)), new, "{why}");
        }
        outcomes.settled = 11;
        let of = |place| match outcomes.of(place) {
            Some(Err(PublishError::Refused { topic, .. })) => topic,
            Some(_) => "accepted".to_owned(),
            None => "unknown".to_owned(),
        };
        let found = (0..13).map(of).collect::<Vec<_>>();
        assert_eq!(found, ["d", "b", "c", "c", "a", "a", "c", "c", "d", "accepted", "accepted", "f", "unknown"]);
    }
}
