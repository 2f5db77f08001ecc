//! The ledger: every publish from the moment it is encoded until the broker has settled it.
//!
//! Publishes are encoded once, one behind the other, into an open chunk. The writer freezes it and writes it as it is; the
//! same bytes stay here until they are settled, so that they can be sent again, with the same sequences, after a resume.
//! Pure: no socket, no clock.

use std::{collections::VecDeque, ops::Range, sync::Arc};

use bytes::Bytes;

use super::{
    chunk::{Chunk, TopicRun},
    error::{ClientEnd, PublishError},
    settlement::{Pending, Settlement},
};
use crate::wire::{Code, Failure, Headers, PREFIX, Publish};

/// No chunk grows over this, but for one message that is larger: small enough to be forgotten soon, large enough that its cost
/// is shared.
const CHUNK_BYTES: usize = 64 << 10;

/// How much may be unsettled before publishing waits.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Credit {
    pub(super) messages: usize,
    pub(super) bytes: usize,
}

/// What whoever has put a message in does next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    /// It is the first: the writer may be asleep and has to be told.
    Wake,
    /// The writer has been told.
    GoOn,
    /// The writer has been told, and a good part of the credit waits for it: it should get to run.
    Yield,
}

#[derive(Debug)]
pub(super) struct Ledger {
    credit: Credit,
    /// Sequence of the next publish.
    next: u64,
    /// Frames nobody has seen yet, and how many; their first sequence is `next - open_count`.
    open: Vec<u8>,
    open_count: u32,
    open_settlement: Arc<Settlement>,
    kept: VecDeque<Chunk>,
    /// Chunks at the head of `kept` that the present connection was given.
    handed: usize,
    messages: usize,
    bytes: usize,
    /// What was taken in since the writer was last given something, or let at it.
    piled: Credit,
    /// Messages ever taken in, and ever settled, over all sessions.
    enqueued: u64,
    done: u64,
    failed: u64,
    first_failure: Option<PublishError>,
}

impl Ledger {
    pub(super) fn new(credit: Credit) -> Self {
        Self {
            credit,
            next: 1,
            open: Vec::new(),
            open_count: 0,
            open_settlement: Arc::default(),
            kept: VecDeque::new(),
            handed: 0,
            messages: 0,
            bytes: 0,
            piled: Credit::default(),
            enqueued: 0,
            done: 0,
            failed: 0,
            first_failure: None,
        }
    }

    pub(super) fn set_credit(&mut self, credit: Credit) {
        self.credit = credit;
    }

    /// True if a frame of `bytes` may be taken in. One message is always let through, however large.
    pub(super) fn has_room(&self, bytes: usize) -> bool {
        self.messages == 0 || (self.messages < self.credit.messages && self.bytes + bytes <= self.credit.bytes)
    }

    /// Takes a message in.
    pub(super) fn push(&mut self, topic: &str, headers: Headers<'_>, payload: &[u8]) -> (Pending, Next) {
        let publish = Publish { sequence: self.next, topic: topic.as_bytes(), headers, payload };
        let bytes = PREFIX + publish.length();
        let is_first = self.open.is_empty();
        if !is_first && self.open.len() + bytes > CHUNK_BYTES {
            self.close_chunk();
        }
        publish.encode(&mut self.open);
        let pending = Pending::new(Arc::clone(&self.open_settlement), self.open_count);
        self.next += 1;
        self.open_count += 1;
        self.messages += 1;
        self.bytes += bytes;
        self.enqueued += 1;
        self.piled.messages += 1;
        self.piled.bytes += bytes;
        let is_much = self.piled.messages >= self.credit.messages / 4 || self.piled.bytes >= self.credit.bytes / 4;
        let next = match (is_first, is_much) {
            (true, _) => Next::Wake,
            (false, true) => Next::Yield,
            (false, false) => Next::GoOn,
        };
        if next == Next::Yield {
            self.piled = Credit::default();
        }
        (pending, next)
    }

    fn close_chunk(&mut self) {
        if self.open_count == 0 {
            return;
        }
        let count = std::mem::take(&mut self.open_count);
        // The next chunk will be about as large as this one, and one that is filled must not grow for its last message.
        let room = if self.open.len() > CHUNK_BYTES / 2 { CHUNK_BYTES } else { self.open.len() };
        let bytes = std::mem::replace(&mut self.open, Vec::with_capacity(room)).into();
        let settlement = std::mem::take(&mut self.open_settlement);
        let first = self.next - u64::from(count);
        self.kept.push_back(Chunk::new(first, count, bytes, settlement));
    }

    /// Gives the connection what it has not been given yet, up to about `budget` bytes.
    pub(super) fn hand_over(&mut self, mut budget: usize, out: &mut VecDeque<Bytes>) {
        self.close_chunk();
        self.piled = Credit::default();
        for chunk in self.kept.iter_mut().skip(self.handed) {
            let frames = chunk.unsettled();
            chunk.sent = true;
            self.handed += 1;
            budget = budget.saturating_sub(frames.len());
            out.push_back(frames);
            if budget == 0 {
                break;
            }
        }
    }

    /// True if there is something the connection was not given yet.
    pub(super) fn has_more(&self) -> bool {
        self.open_count > 0 || self.handed < self.kept.len()
    }

    /// Everything up to `sequence` is settled.
    pub(super) fn settle(&mut self, sequence: u64) {
        let next = sequence.saturating_add(1);
        while let Some(chunk) = self.kept.front_mut() {
            let (messages, bytes) = chunk.settle_below(next);
            self.messages -= messages;
            self.bytes -= bytes;
            self.done += messages as u64;
            if !chunk.is_settled() {
                break;
            }
            self.kept.pop_front();
            self.handed = self.handed.saturating_sub(1);
        }
    }

    /// Those of `sequences` that are not settled have failed; those that are, or have failed before, keep their outcome.
    pub(super) fn fail(&mut self, sequences: Range<u64>, why: &PublishError) {
        let mut failed = 0;
        let first = self.chunk_of(sequences.start);
        for chunk in self.kept.range(first..).take_while(|chunk| chunk.first < sequences.end) {
            let places = chunk.places(&sequences);
            failed += chunk.settlement.fail(places.start, places.len() as u32, why);
        }
        self.count_failed(failed, why);
    }

    /// The broker has refused `count` messages from `sequence`: as [`fail`](Self::fail), and each is told its own topic.
    pub(super) fn refuse(&mut self, sequence: u64, count: u64, code: Code, reason: &str) {
        let sequences = sequence..sequence.saturating_add(count);
        for index in self.chunk_of(sequence)..self.kept.len() {
            let chunk = &mut self.kept[index];
            if chunk.first >= sequences.end {
                break;
            }
            for TopicRun { place, count, topic } in chunk.runs(chunk.places(&sequences)) {
                let why = PublishError::Refused { topic, code, reason: reason.to_owned() };
                let failed = self.kept[index].settlement.fail(place, count, &why);
                self.count_failed(failed, &why);
            }
        }
    }

    /// The first chunk that ends behind `sequence`.
    fn chunk_of(&self, sequence: u64) -> usize {
        self.kept.partition_point(|chunk| chunk.end() <= sequence)
    }

    fn count_failed(&mut self, failed: u32, why: &PublishError) {
        if failed > 0 {
            self.failed += u64::from(failed);
            self.first_failure.get_or_insert_with(|| why.clone());
        }
    }

    /// The session was resumed: settles what the broker has settled meanwhile; all the rest is sent again.
    pub(super) fn resume(&mut self, settled: u64, taken: Option<u64>, failures: &[Failure], unknown_to: Option<u64>) {
        if let Some(to) = unknown_to {
            // What was settled before keeps its outcome.
            self.fail(0..to.saturating_add(1), &PublishError::OutcomeUnknown(None));
        }
        for failure in failures {
            self.refuse(failure.sequence, u64::from(failure.count), failure.code, "it failed while the client was away");
        }
        self.settle(settled);
        self.handed = 0;
        // A process that has resumed a session from a file goes on where the last one stopped. What the broker has taken and
        // not settled counts: a new message under such a sequence would pass for a repeat.
        if self.messages == 0 {
            self.next = self.next.max(taken.unwrap_or(settled).saturating_add(1));
        }
    }

    /// The session is gone: what was sent has no known outcome, what was not is numbered anew for the next one.
    pub(super) fn start_over(&mut self) {
        self.close_chunk();
        while let Some(chunk) = self.kept.front().filter(|chunk| chunk.sent) {
            let sequences = chunk.first..chunk.end();
            self.fail(sequences.clone(), &PublishError::OutcomeUnknown(None));
            self.settle(sequences.end - 1);
        }
        self.handed = 0;
        self.next = 1;
        for chunk in &mut self.kept {
            chunk.renumber(self.next);
            self.next += u64::from(chunk.count);
        }
    }

    /// The client is over: whoever waits is told. What was sent may have been accepted.
    pub(super) fn end(&mut self, end: &ClientEnd) {
        self.close_chunk();
        let first_unsent = self.kept.iter().find(|chunk| !chunk.sent).map_or(u64::MAX, |chunk| chunk.first);
        self.fail(0..first_unsent, &PublishError::OutcomeUnknown(Some(end.clone())));
        self.fail(first_unsent..u64::MAX, &PublishError::Ended(end.clone()));
        self.settle(u64::MAX);
    }

    /// The last sequence that is settled: what a registration tells the broker.
    pub(super) fn settled(&self) -> u64 {
        self.next - 1 - self.messages as u64
    }

    /// Messages ever taken in, and ever settled: a flush waits for the second to reach what the first is now.
    pub(super) fn progress(&self) -> (u64, u64) {
        (self.enqueued, self.done)
    }

    /// How many have failed since this was last asked, and why the first did.
    pub(super) fn take_failures(&mut self) -> Option<(u64, PublishError)> {
        let first = self.first_failure.take()?;
        Some((std::mem::take(&mut self.failed), first))
    }
}

#[cfg(test)]
mod tests {
    use std::future::Future as _;

    use super::*;
    use crate::wire::{ClientFrame, MAX_FRAME, split};

    const CREDIT: Credit = Credit { messages: 10_000, bytes: 4 << 20 };

    fn filled(messages: u64, payload: usize) -> Ledger {
        let mut ledger = Ledger::new(CREDIT);
        for _ in 0..messages {
            drop(ledger.push("t", Headers::NONE, &vec![7; payload]));
        }
        ledger
    }

    /// The sequences that a connection is given.
    fn handed_over(ledger: &mut Ledger) -> Vec<u64> {
        let mut chunks = VecDeque::new();
        ledger.hand_over(usize::MAX, &mut chunks);
        let mut sequences = Vec::new();
        for mut chunk in chunks {
            while let Some((raw, length)) = split(&chunk, MAX_FRAME).unwrap() {
                let Ok(ClientFrame::Publish(publish)) = ClientFrame::decode(raw) else { panic!("not a publish") };
                sequences.push(publish.sequence);
                chunk = chunk.slice(length..);
            }
            assert!(chunk.is_empty());
        }
        sequences
    }

    #[test]
    fn a_resume_hands_over_exactly_what_is_unsettled() {
        // More than one chunk, and settled up to somewhere inside each.
        for settled in [0, 1, 650, 651, 999, 1_000] {
            let mut ledger = filled(1_000, 100);
            assert_eq!(handed_over(&mut ledger), (1..=1_000).collect::<Vec<_>>());
            assert!(!ledger.has_more());
            ledger.resume(settled, None, &[], None);
            assert_eq!(handed_over(&mut ledger), (settled + 1..=1_000).collect::<Vec<_>>());
            assert_eq!(ledger.settled(), settled);
        }
    }

    #[test]
    fn everything_settled_leaves_nothing_behind() {
        let mut ledger = filled(1_000, 100);
        assert_eq!(handed_over(&mut ledger).len(), 1_000);
        for sequence in (7..1_000).step_by(93).chain([1_000]) {
            ledger.settle(sequence);
        }
        assert_eq!((ledger.messages, ledger.bytes, ledger.kept.len(), ledger.handed), (0, 0, 0, 0));
        assert_eq!(ledger.progress(), (1_000, 1_000));
        assert!(ledger.take_failures().is_none());
    }

    /// A broker's word about the past changes nothing.
    #[test]
    fn what_is_settled_stays_settled() {
        let mut ledger = filled(10, 1);
        assert_eq!(handed_over(&mut ledger).len(), 10);
        ledger.settle(10);
        ledger.settle(3);
        ledger.fail(1..11, &PublishError::OutcomeUnknown(None));
        assert!(ledger.take_failures().is_none());
        assert_eq!(ledger.progress(), (10, 10));
    }

    #[test]
    fn a_new_session_numbers_the_unsent_anew_and_gives_up_the_sent() {
        let mut ledger = filled(3, 1);
        assert_eq!(handed_over(&mut ledger).len(), 3);
        for _ in 0..2_000 {
            drop(ledger.push("t", Headers::NONE, &[7; 100]));
        }
        ledger.start_over();
        assert_eq!(handed_over(&mut ledger), (1..=2_000).collect::<Vec<_>>());
        let (failed, first) = ledger.take_failures().unwrap();
        assert!(matches!((failed, first), (3, PublishError::OutcomeUnknown(None))));
        drop(ledger.push("t", Headers::NONE, b""));
        assert_eq!(handed_over(&mut ledger), [2_001]);
    }

    #[test]
    fn a_new_process_goes_on_behind_all_that_was_taken() {
        let mut ledger = filled(0, 8);
        ledger.resume(41, Some(45), &[], None);
        ledger.settle(45);
        drop(ledger.push("t", Headers::NONE, b"new"));
        assert_eq!(handed_over(&mut ledger), [46]);
        ledger.settle(46);
        assert_eq!(ledger.progress(), (1, 1));
    }

    /// Who publishes without ever waiting lets the writer run each time a quarter of its credit has piled up.
    #[test]
    fn the_writer_gets_its_turn_while_there_is_credit_left() {
        let mut ledger = Ledger::new(Credit { messages: 40, bytes: 1 << 20 });
        let push = |ledger: &mut Ledger, messages| -> Vec<_> {
            (0..messages).map(|_| ledger.push("t", Headers::NONE, b"").1).filter(|next| *next != Next::GoOn).collect()
        };
        assert_eq!(push(&mut ledger, 9), [Next::Wake]);
        assert_eq!(push(&mut ledger, 1), [Next::Yield]);
        assert_eq!(push(&mut ledger, 10), [Next::Yield]);
        assert_eq!(handed_over(&mut ledger).len(), 20);
        assert_eq!(push(&mut ledger, 9), [Next::Wake]);
        drop(ledger.push("t", Headers::NONE, &vec![0; 1 << 18]));
        assert_eq!(push(&mut ledger, 9), []);
    }

    #[test]
    fn a_message_larger_than_the_credit_goes_alone() {
        let mut ledger = Ledger::new(Credit { messages: 5, bytes: 100 });
        assert!(ledger.has_room(1_000));
        drop(ledger.push("t", Headers::NONE, &[0; 1_000]));
        assert!(!ledger.has_room(1));
        assert_eq!(handed_over(&mut ledger), [1]);
        ledger.settle(1);
        assert!(ledger.has_room(1_000));
    }

    /// A failure is told before the acknowledgement that settles it, and again to whoever missed that: it is one failure.
    #[test]
    fn a_failure_that_is_told_twice_is_one() {
        let mut ledger = filled(10, 1);
        assert_eq!(handed_over(&mut ledger).len(), 10);
        ledger.refuse(3, 1, Code::Gone, "killed");
        ledger.resume(4, None, &[Failure { sequence: 2, count: 2, code: Code::Gone }], None);
        let (failed, first) = ledger.take_failures().unwrap();
        assert_eq!((failed, first.to_string()), (2, "the broker refused the message to t: killed (410)".to_owned()));
    }

    /// Every second message is refused, each with an error of its own, as for a client that publishes to an allowed and to a
    /// forbidden topic in turn. What one error costs does not depend on how much is unsettled: with a walk over all of that for
    /// each, this would not end.
    #[test]
    fn a_refusal_costs_what_it_refuses() {
        const MESSAGES: u64 = 200_000;
        let mut ledger = Ledger::new(CREDIT);
        let mut last = None;
        for message in 0..MESSAGES {
            let topic = if message % 2 == 0 { "allowed" } else { "forbidden" };
            last = Some(ledger.push(topic, Headers::NONE, b"").0);
        }
        assert_eq!(handed_over(&mut ledger).len() as u64, MESSAGES);
        for sequence in (2..=MESSAGES).step_by(2) {
            ledger.refuse(sequence, 1, Code::Forbidden, "no");
        }
        ledger.settle(MESSAGES);
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        let outcome = std::pin::Pin::new(&mut last.unwrap()).poll(&mut context);
        assert!(
            matches!(&outcome, std::task::Poll::Ready(Err(PublishError::Refused { topic, .. })) if topic == "forbidden"),
            "{outcome:?}"
        );
        assert_eq!(ledger.take_failures().map(|(failed, _)| failed), Some(MESSAGES / 2));
    }

    /// One refusal may be of messages to several topics, some settled, and over more than one chunk: each learns its own.
    #[test]
    fn who_is_refused_learns_its_topic() {
        let mut ledger = Ledger::new(CREDIT);
        let large = vec![7; CHUNK_BYTES];
        let topics = ["a", "b", "b", "c", "d"];
        let mut pending: Vec<_> = topics.iter().map(|topic| ledger.push(topic, Headers::NONE, &large[..]).0).collect();
        for topic in ["e", "e", "f"] {
            pending.push(ledger.push(topic, Headers::NONE, b"").0);
        }
        assert_eq!(handed_over(&mut ledger).len(), 8);
        ledger.settle(1);
        ledger.refuse(1, 6, Code::Forbidden, "no");
        ledger.refuse(8, 1, Code::Forbidden, "no");
        ledger.settle(8);
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        let outcomes = pending.iter_mut().map(|pending| match std::pin::Pin::new(pending).poll(&mut context) {
            std::task::Poll::Ready(Err(PublishError::Refused { topic, .. })) => topic,
            std::task::Poll::Ready(Ok(())) => "accepted".to_owned(),
            other => panic!("{other:?}"),
        });
        assert_eq!(outcomes.collect::<Vec<_>>(), ["accepted", "b", "b", "c", "d", "e", "accepted", "f"]);
        assert_eq!(ledger.take_failures().map(|(failed, _)| failed), Some(6));
    }

    /// What was written may have been accepted; what was not has not been.
    #[test]
    fn the_end_leaves_unknown_what_was_sent() {
        let mut ledger = filled(3, 1);
        assert_eq!(handed_over(&mut ledger).len(), 3);
        let (unsent, _) = ledger.push("t", Headers::NONE, b"");
        ledger.settle(1);
        ledger.end(&ClientEnd::Closed);
        let (failed, first) = ledger.take_failures().unwrap();
        assert!(matches!((failed, &first), (3, PublishError::OutcomeUnknown(Some(ClientEnd::Closed)))), "{failed} {first}");
        let mut unsent = std::pin::pin!(unsent);
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        let outcome = std::future::Future::poll(unsent.as_mut(), &mut context);
        assert!(matches!(outcome, std::task::Poll::Ready(Err(PublishError::Ended(ClientEnd::Closed)))), "{outcome:?}");
    }

    #[test]
    fn unknown_outcomes_are_from_the_settled_up_to_there() {
        let mut ledger = filled(10, 1);
        assert_eq!(handed_over(&mut ledger).len(), 10);
        ledger.settle(1);
        ledger.resume(8, None, &[Failure { sequence: 6, count: 2, code: Code::Forbidden }], Some(4));
        let (failed, first) = ledger.take_failures().unwrap();
        assert!(matches!((failed, first), (5, PublishError::OutcomeUnknown(None))), "2 to 4 are unknown, 6 and 7 refused");
        assert_eq!(handed_over(&mut ledger), [9, 10]);
    }
}
