//! Receipts: how a publisher learns that its messages are settled, whoever drops the last reference to them.
//!
//! A read chunk has one [`Settlement`], shared by the groups it was split into and by the queues that hold it back. When the
//! last clone is gone, the session is told: there is nothing to forget, and an actor that fails with a group unanswered has
//! answered 503 by failing.

use std::sync::{Arc, Mutex, PoisonError};

use ractor::ActorRef;
use smallvec::SmallVec;

use crate::{
    actors::SessionMsg,
    commons::tell,
    stats::Stats,
    wire::{Code, Failure},
};

/// Publish sequences, as runs of consecutive ones. Mostly there is one run, which takes no memory of its own.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Sequences(SmallVec<[(u64, u32); 1]>);

impl Sequences {
    pub(crate) fn push(&mut self, sequence: u64) {
        match self.0.last_mut() {
            Some((first, count)) if *first + u64::from(*count) == sequence => *count += 1,
            _ => self.0.push((sequence, 1)),
        }
    }

    /// How many of them are at most `sequence`: those come first.
    pub(crate) fn up_to(&self, sequence: u64) -> u32 {
        let below = |&(first, count): &(u64, u32)| (sequence + 1).saturating_sub(first).min(u64::from(count)) as u32;
        self.0.iter().map(below).sum()
    }

    /// Forgets the first `count`.
    pub(crate) fn skip(&mut self, mut count: u32) {
        self.0.retain(|(first, len)| {
            let gone = count.min(*len);
            count -= gone;
            (*first, *len) = (*first + u64::from(gone), *len - gone);
            *len > 0
        });
    }
}

/// Publishes that failed, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) failure: Failure,
    pub(crate) reason: String,
}

/// One read chunk's way back to its session.
#[derive(Debug)]
pub(crate) struct Settlement {
    session: ActorRef<SessionMsg>,
    stats: Arc<Stats>,
    chunk: u64,
    refusals: Mutex<Vec<Refusal>>,
}

impl Settlement {
    pub(crate) fn new(session: ActorRef<SessionMsg>, stats: Arc<Stats>, chunk: u64) -> Arc<Self> {
        stats.unsettled.add(1);
        Arc::new(Self { session, stats, chunk, refusals: Mutex::default() })
    }

    /// Says that these publishes failed.
    pub(crate) fn refuse(&self, sequences: &Sequences, code: Code, reason: &str) {
        let mut refusals = self.refusals.lock().unwrap_or_else(PoisonError::into_inner);
        for &(sequence, count) in &sequences.0 {
            self.stats.refused_publishes.add(u64::from(count));
            refusals.push(Refusal { failure: Failure { sequence, count, code }, reason: reason.to_owned() });
        }
    }
}

impl Drop for Settlement {
    fn drop(&mut self) {
        self.stats.unsettled.sub(1);
        let refusals = std::mem::take(&mut *self.refusals.lock().unwrap_or_else(PoisonError::into_inner));
        // A session that has ended needs no answer.
        let _ = tell(&self.stats, &self.session, SessionMsg::Settled { chunk: self.chunk, refusals });
    }
}

/// One group's receipt. Dropped unanswered, it says 503: outcome unknown.
#[derive(Debug)]
pub(crate) struct Receipt {
    settlement: Option<Arc<Settlement>>,
    sequences: Sequences,
}

impl Receipt {
    pub(crate) fn new(settlement: &Arc<Settlement>, sequences: Sequences) -> Self {
        Self { settlement: Some(Arc::clone(settlement)), sequences }
    }

    /// The messages are where they belong.
    pub(crate) fn accept(mut self) {
        self.settlement = None;
    }

    /// They are not.
    pub(crate) fn refuse(mut self, code: Code, reason: &str) {
        if let Some(settlement) = self.settlement.take() {
            settlement.refuse(&self.sequences, code, reason);
        }
    }

    /// For a queue that holds the answer back.
    pub(crate) fn settlement(&self) -> Option<Arc<Settlement>> {
        self.settlement.clone()
    }
}

impl Drop for Receipt {
    fn drop(&mut self) {
        if let Some(settlement) = self.settlement.take() {
            settlement.refuse(
                &self.sequences,
                Code::Unavailable,
                "the topic failed; the outcome is unknown, publish again if that does no harm",
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use smallvec::smallvec;
    use tokio::sync::mpsc::UnboundedReceiver;

    use super::*;
    use crate::actors::ear::ear;

    async fn settlement() -> (Arc<Settlement>, Arc<Stats>, UnboundedReceiver<SessionMsg>) {
        let ((session, heard), stats) = (ear().await, Arc::<Stats>::default());
        (Settlement::new(session, Arc::clone(&stats), 7), stats, heard)
    }

    async fn settled(heard: &mut UnboundedReceiver<SessionMsg>) -> (u64, Vec<Refusal>) {
        match heard.recv().await {
            Some(SessionMsg::Settled { chunk, refusals }) => (chunk, refusals),
            other => panic!("only settlements are sent here, not {other:?}"),
        }
    }

    fn failures(refusals: &[Refusal]) -> Vec<(u64, u32, Code)> {
        refusals.iter().map(|Refusal { failure, .. }| (failure.sequence, failure.count, failure.code)).collect()
    }

    /// Groups and queues let go in any order; the session hears of it once, when the last has.
    #[tokio::test]
    async fn a_chunk_is_settled_when_the_last_who_holds_it_lets_go() {
        let (settlement, stats, mut heard) = settlement().await;
        let receipts = [Receipt::new(&settlement, of(&[1, 2])), Receipt::new(&settlement, of(&[3]))];
        drop(settlement);
        let held_back = receipts[0].settlement();
        receipts.into_iter().for_each(Receipt::accept);
        assert_eq!((heard.is_empty(), stats.unsettled.get()), (true, 1));
        drop(held_back);
        assert_eq!(settled(&mut heard).await, (7, Vec::new()));
        assert_eq!((stats.unsettled.get(), stats.refused_publishes.get()), (0, 0));
    }

    /// An actor that fails with a group unanswered has answered: outcome unknown.
    #[tokio::test]
    async fn a_receipt_that_nobody_answered_says_that_the_outcome_is_unknown() {
        let (settlement, stats, mut heard) = settlement().await;
        Receipt::new(&settlement, of(&[4, 6])).refuse(Code::Gone, "killed");
        drop(Receipt::new(&settlement, of(&[1, 2, 3])));
        drop(settlement);
        let (chunk, refusals) = settled(&mut heard).await;
        assert_eq!(chunk, 7);
        assert_eq!(failures(&refusals), [(4, 1, Code::Gone), (6, 1, Code::Gone), (1, 3, Code::Unavailable)]);
        assert_eq!(stats.refused_publishes.get(), 5);
    }

    fn of(sequences: &[u64]) -> Sequences {
        let mut all = Sequences::default();
        for sequence in sequences {
            all.push(*sequence);
        }
        all
    }

    #[test]
    fn sequences_are_runs_that_shrink_from_the_front() {
        let mut sequences = of(&[3, 4, 5, 9, 10, 12]);
        assert_eq!(sequences, Sequences(smallvec![(3, 3), (9, 2), (12, 1)]));
        let counts = [(2, 0), (3, 1), (8, 3), (9, 4), (11, 5), (99, 6)];
        assert!(counts.iter().all(|(to, count)| sequences.up_to(*to) == *count));
        sequences.skip(4);
        assert_eq!(sequences, Sequences(smallvec![(10, 1), (12, 1)]));
    }
}
