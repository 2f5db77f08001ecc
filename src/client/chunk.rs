//! The chunk: publishes that were encoded one behind the other, are written as they are, and are settled from the head.
//!
//! Frames are found by walking from one to the next. Two marks remember how far the walks have come, so that settling and
//! refusing cost what they settle and refuse, however much is kept. Pure: no socket, no clock.

use std::{ops::Range, sync::Arc};

use bytes::Bytes;

use super::settlement::Settlement;
use crate::wire::{HEADER, PREFIX};

/// Bytes of a publish's sequence, which stands behind its header and before its topic.
const SEQUENCE: usize = 8;

/// Frames with consecutive sequences.
#[derive(Debug)]
pub(super) struct Chunk {
    /// Sequence of the first frame.
    pub(super) first: u64,
    pub(super) count: u32,
    /// Where the first one begins that is not settled.
    unsettled: Mark,
    /// Behind the last one that was refused. Refusals come in order, and the next one is looked for from here.
    refused: Mark,
    bytes: Bytes,
    /// It was given to a connection: the broker may have seen it.
    pub(super) sent: bool,
    pub(super) settlement: Arc<Settlement>,
}

/// A place in a chunk: how many frames are before it, and where it is among the bytes.
#[derive(Debug, Clone, Copy, Default)]
struct Mark {
    place: u32,
    offset: usize,
}

impl Mark {
    /// Over the frame that begins here.
    fn pass(&mut self, bytes: &[u8]) {
        self.place += 1;
        self.offset += frame_len(&bytes[self.offset..]);
    }
}

/// Consecutive messages of a chunk with one topic.
#[derive(Debug)]
pub(super) struct TopicRun {
    pub(super) place: u32,
    pub(super) count: u32,
    pub(super) topic: String,
}

impl Chunk {
    pub(super) fn new(first: u64, count: u32, bytes: Bytes, settlement: Arc<Settlement>) -> Self {
        Self { first, count, unsettled: Mark::default(), refused: Mark::default(), bytes, sent: false, settlement }
    }

    /// The frames that are not settled.
    pub(super) fn unsettled(&self) -> Bytes {
        self.bytes.slice(self.unsettled.offset..)
    }

    /// The sequence behind its last one.
    pub(super) fn end(&self) -> u64 {
        self.first + u64::from(self.count)
    }

    /// How many messages and bytes are not settled.
    fn left(&self) -> (usize, usize) {
        ((self.count - self.unsettled.place) as usize, self.bytes.len() - self.unsettled.offset)
    }

    /// Settles what is below `next`; gives back how many messages and bytes those were.
    pub(super) fn settle_below(&mut self, next: u64) -> (usize, usize) {
        let before = self.left();
        let settled = next.saturating_sub(self.first).min(u64::from(self.count)) as u32;
        if settled <= self.unsettled.place {
            return (0, 0);
        }
        if settled == self.count {
            self.unsettled = Mark { place: settled, offset: self.bytes.len() };
        }
        while self.unsettled.place < settled {
            self.unsettled.pass(&self.bytes);
        }
        self.settlement.settle(settled);
        let after = self.left();
        (before.0 - after.0, before.1 - after.1)
    }

    /// The places of those sequences that are here and not settled.
    pub(super) fn places(&self, sequences: &Range<u64>) -> Range<u32> {
        let place = |sequence: u64| sequence.saturating_sub(self.first).min(u64::from(self.count)) as u32;
        place(sequences.start).max(self.unsettled.place)..place(sequences.end)
    }

    /// The messages at `places`, in runs of one topic each.
    pub(super) fn runs(&mut self, places: Range<u32>) -> Vec<TopicRun> {
        let is_ahead = (self.unsettled.place..=places.start).contains(&self.refused.place);
        let mut mark = if is_ahead { self.refused } else { self.unsettled };
        while mark.place < places.start {
            mark.pass(&self.bytes);
        }
        let mut runs = Vec::<TopicRun>::new();
        while mark.place < places.end {
            let topic = topic_of(&self.bytes[mark.offset..]);
            match runs.last_mut() {
                Some(run) if run.topic.as_bytes() == topic => run.count += 1,
                _ => runs.push(TopicRun { place: mark.place, count: 1, topic: String::from_utf8_lossy(topic).into_owned() }),
            }
            mark.pass(&self.bytes);
        }
        self.refused = mark;
        runs
    }

    pub(super) fn is_settled(&self) -> bool {
        self.unsettled.place == self.count
    }

    /// Numbers the frames anew, from `first`.
    pub(super) fn renumber(&mut self, first: u64) {
        self.first = first;
        let mut bytes = Vec::from(std::mem::take(&mut self.bytes));
        let mut at = 0;
        for sequence in (first..).take(self.count as usize) {
            bytes[at + HEADER..at + HEADER + SEQUENCE].copy_from_slice(&sequence.to_be_bytes());
            at += frame_len(&bytes[at..]);
        }
        self.bytes = bytes.into();
    }
}

/// The topic of a frame we have encoded.
fn topic_of(frame: &[u8]) -> &[u8] {
    let at = HEADER + SEQUENCE;
    let length = usize::from(u16::from_be_bytes([frame[at], frame[at + 1]]));
    &frame[at + 2..at + 2 + length]
}

/// Length of a frame we have encoded.
fn frame_len(frame: &[u8]) -> usize {
    let mut length = [0; PREFIX];
    length.copy_from_slice(&frame[..PREFIX]);
    PREFIX + u32::from_be_bytes(length) as usize
}
