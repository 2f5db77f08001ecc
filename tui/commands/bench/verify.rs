//! What was published is what came: each message once, in order, with its content.
//!
//! A publisher's messages to one topic are a *stream*. Each payload begins with its number in the stream, the stream's own
//! number and how late it was written, and goes on with a filler. Pure: bytes in, findings out.

use std::{ops::Range, time::Duration};

/// Bytes of what a payload begins with.
pub(super) const STAMP: usize = NUMBER + STREAM + LATE;
/// More than a thousand billion messages.
const NUMBER: usize = 5;
const STREAM: usize = 3;
/// More cannot be told apart.
pub(super) const MAX_STREAMS: usize = 1 << (8 * STREAM);
/// Nanoseconds up to some four seconds; what is later is not later than that.
const LATE: usize = 4;
const FILLER: u8 = b'x';

/// A payload to publish, again and again.
#[derive(Debug, Clone)]
pub(super) struct Payload(Vec<u8>);

impl Payload {
    pub(super) fn new(bytes: usize) -> Self {
        Self(vec![FILLER; bytes])
    }

    /// As message `number` of `stream`, as far as there is room for that.
    pub(super) fn stamped(&mut self, stream: u32, number: u64) -> &[u8] {
        self.stamped_late(stream, number, Duration::ZERO)
    }

    /// The same, `late` after its time.
    pub(super) fn stamped_late(&mut self, stream: u32, number: u64, late: Duration) -> &[u8] {
        if let Some(stamp) = self.0.first_chunk_mut::<STAMP>() {
            let late = u32::try_from(late.as_nanos()).unwrap_or(u32::MAX);
            stamp[..NUMBER].copy_from_slice(&number.to_le_bytes()[..NUMBER]);
            stamp[NUMBER..][..STREAM].copy_from_slice(&stream.to_le_bytes()[..STREAM]);
            stamp[NUMBER + STREAM..].copy_from_slice(&late.to_le_bytes());
        }
        &self.0
    }
}

/// A message that is what it should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stamp {
    pub(super) stream: u32,
    pub(super) number: u64,
    /// How long after its time it was put together. It is the load's word: nothing verifies it.
    pub(super) late: Duration,
}

impl Stamp {
    /// True if it was later than can be said.
    pub(super) fn is_too_late(&self) -> bool {
        self.late.as_nanos() >= u32::MAX.into()
    }
}

/// What became of all messages of a run. Each subscriber's count on their own.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Verdict {
    /// They came once, in order, as they were.
    pub(super) sound: u64,
    /// They never came, or not in their place.
    pub(super) lost: u64,
    /// They came again, or after their place.
    pub(super) repeated: u64,
    /// They were other bytes than any that were published.
    pub(super) wrong: u64,
}

impl Verdict {
    pub(super) fn is_sound(&self) -> bool {
        self.lost + self.repeated + self.wrong == 0
    }

    pub(super) fn and(self, other: Self) -> Self {
        Self {
            sound: self.sound + other.sound,
            lost: self.lost + other.lost,
            repeated: self.repeated + other.repeated,
            wrong: self.wrong + other.wrong,
        }
    }
}

/// What one subscriber has had of the streams that it should get.
#[derive(Debug)]
pub(super) struct Ledger {
    filler: Vec<u8>,
    size: usize,
    /// If not, none is late.
    is_paced: bool,
    first: u32,
    /// The number that comes next, by stream.
    next: Vec<u64>,
    passed: u64,
    verdict: Verdict,
}

impl Ledger {
    pub(super) fn new(streams: Range<usize>, size: usize, is_paced: bool) -> Self {
        let filler = vec![FILLER; size.saturating_sub(if size >= STAMP { STAMP } else { 0 })];
        Self {
            filler,
            size,
            is_paced,
            first: streams.start as u32,
            next: vec![0; streams.len()],
            passed: 0,
            verdict: Verdict::default(),
        }
    }

    /// Enters a message; tells which it was, if it was one of them.
    pub(super) fn enter(&mut self, payload: &[u8]) -> Option<Stamp> {
        if self.size < STAMP {
            self.enter_unstamped(payload);
            return None;
        }
        let Some((stamp, next)) = self.read(payload) else {
            self.verdict.wrong += 1;
            return None;
        };
        if stamp.number < *next {
            self.verdict.repeated += 1;
            return None;
        }
        let lost = stamp.number - *next;
        *next = stamp.number + 1;
        self.verdict.lost += lost;
        self.verdict.sound += 1;
        self.passed += lost + 1;
        Some(stamp)
    }

    /// Too small for a number: it can only be counted.
    fn enter_unstamped(&mut self, payload: &[u8]) {
        if payload == self.filler {
            self.verdict.sound += 1;
            self.passed += 1;
        } else {
            self.verdict.wrong += 1;
        }
    }

    fn read(&mut self, payload: &[u8]) -> Option<(Stamp, &mut u64)> {
        let (stamp, _) = payload.split_first_chunk::<STAMP>().filter(|(_, filler)| *filler == self.filler)?;
        let (number, rest) = stamp.split_at(NUMBER);
        let (stream, late) = rest.split_at(STREAM);
        let (number, stream, late) = (whole(number), whole(stream) as u32, Duration::from_nanos(whole(late)));
        let next = self.next.get_mut(stream.checked_sub(self.first)? as usize)?;
        // A number from far ahead is none that was published.
        let is_ours = number - (*next).min(number) < u64::from(u32::MAX) && (self.is_paced || late.is_zero());
        is_ours.then_some((Stamp { stream, number, late }, next))
    }

    /// How many of its messages have come, or have their place behind them.
    pub(super) fn passed(&self) -> u64 {
        self.passed
    }

    /// True if nothing more can come of what was published, which is a count by stream.
    pub(super) fn is_through(&self, published: &[u64]) -> bool {
        self.passed >= self.due(published).iter().sum()
    }

    fn due<'a>(&self, published: &'a [u64]) -> &'a [u64] {
        &published[self.first as usize..][..self.next.len()]
    }

    /// At the end: what was published and did not come is lost.
    pub(super) fn close(&self, published: &[u64]) -> Verdict {
        let due: u64 = self.due(published).iter().sum();
        let mut verdict = self.verdict;
        verdict.lost += due.saturating_sub(self.passed);
        if self.size < STAMP {
            verdict.repeated += self.passed.saturating_sub(due);
            verdict.sound = verdict.sound.min(due);
        }
        verdict
    }
}

/// A number of few bytes, the least first.
fn whole(bytes: &[u8]) -> u64 {
    bytes.iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entered(size: usize, messages: &[(u32, u64)]) -> Ledger {
        let (mut ledger, mut payload) = (Ledger::new(3..5, size, false), Payload::new(size));
        for (stream, number) in messages {
            ledger.enter(payload.stamped(*stream, *number));
        }
        ledger
    }

    /// Two streams, of which each has its own order.
    #[test]
    fn each_message_once_and_in_order_is_sound() {
        for size in [STAMP, 16, 256] {
            let ledger = entered(size, &[(3, 0), (4, 0), (4, 1), (3, 1), (3, 2)]);
            let published = [9, 9, 9, 3, 2];
            assert!(ledger.is_through(&published));
            assert_eq!(ledger.close(&published), Verdict { sound: 5, ..Verdict::default() });
        }
    }

    #[test]
    fn what_is_missing_is_counted_wherever_it_is_missing() {
        let ledger = entered(16, &[(3, 1), (3, 4)]);
        assert_eq!((ledger.passed(), ledger.is_through(&[0, 0, 0, 5, 1])), (5, false));
        assert_eq!(ledger.close(&[0, 0, 0, 5, 1]), Verdict { sound: 2, lost: 4, ..Verdict::default() });
    }

    #[test]
    fn what_comes_again_is_counted() {
        let ledger = entered(16, &[(3, 0), (3, 0), (3, 1), (3, 0)]);
        assert_eq!(ledger.close(&[0, 0, 0, 2, 0]), Verdict { sound: 2, repeated: 2, ..Verdict::default() });
    }

    /// Of another stream, of another length, with another content, from a future that is none, or late where none is.
    #[test]
    fn what_nobody_published_is_wrong() {
        let mut ledger = Ledger::new(3..5, 16, false);
        for (stream, number, size) in [(2, 0, 16), (5, 0, 16), (3, 0, 17), (3, 0, 4), (3, u64::MAX, 16)] {
            assert_eq!(ledger.enter(Payload::new(size).stamped(stream, number)), None);
        }
        let mut spoilt = Payload::new(16).stamped(3, 0).to_vec();
        spoilt[15] ^= 1;
        assert_eq!(ledger.enter(&spoilt), None);
        assert_eq!(ledger.enter(Payload::new(16).stamped_late(3, 0, Duration::from_nanos(1))), None);
        assert_eq!(ledger.close(&[0; 5]), Verdict { wrong: 7, ..Verdict::default() });
    }

    #[test]
    fn what_is_too_small_for_a_number_is_counted() {
        let mut ledger = entered(4, &[(3, 0), (3, 1), (4, 0)]);
        assert_eq!(ledger.close(&[0, 0, 0, 2, 2]), Verdict { sound: 3, lost: 1, ..Verdict::default() });
        assert_eq!(ledger.close(&[0, 0, 0, 1, 1]), Verdict { sound: 2, repeated: 1, ..Verdict::default() });
        assert_eq!((ledger.enter(b"else"), ledger.close(&[0, 0, 0, 3, 0]).wrong), (None, 1));
    }

    #[test]
    fn a_stamp_is_what_was_stamped() {
        let mut ledger = Ledger::new(0..70_008, 64, true);
        for (stream, number, late) in [(7, 300, 0), (70_007, 3_000_000_000, 4_000_000_000), (7, 301, 1)] {
            let late = Duration::from_nanos(late);
            let stamp = ledger.enter(Payload::new(64).stamped_late(stream, number, late));
            assert_eq!(stamp, Some(Stamp { stream, number, late }));
        }
    }

    /// What is later than can be said is as late as can be said.
    #[test]
    fn lateness_has_an_end() {
        let mut ledger = Ledger::new(0..1, 16, true);
        let stamp = ledger.enter(Payload::new(16).stamped_late(0, 0, Duration::from_secs(9))).unwrap();
        assert_eq!((stamp.late, stamp.is_too_late()), (Duration::from_nanos(u32::MAX.into()), true));
    }
}
