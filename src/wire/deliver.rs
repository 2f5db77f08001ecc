//! Deliver: a run of messages of one topic for one subscription.
//!
//! The broker encodes messages once, as a block that all subscriptions share: records one after another and a table of where
//! each begins. Offsets in the table count from an arbitrary base, so that any run of a block is sent by slicing its table and
//! its records, behind a [`DeliverHead`] that is the subscription's own.

use super::{
    Headers, Kind, PREFIX, RawFrame, WireError,
    publish::{HAS_HEADERS, put_short},
    reader::Reader,
};
use crate::name::SubscriptionHandle;

/// Flag of a Deliver: its messages may have been delivered before.
const REDELIVERED: u8 = 1;
/// Flag of a Deliver: what the client gave back with `again` starts here.
const RETURNS: u8 = 2;
/// The flags of a Deliver.
pub(super) const FLAGS: u8 = REDELIVERED | RETURNS;

/// Messages of one topic for one subscription, numbered `first`, `first + 1`, and so on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Deliver<'a> {
    /// Which subscription.
    pub handle: SubscriptionHandle,
    /// The number of the first message.
    pub first: u64,
    /// When the broker accepted them, in Unix milliseconds.
    pub accepted_ms: u64,
    /// They may have been delivered before.
    pub redelivered: bool,
    /// What the client gave back with `again` starts here.
    pub returns: bool,
    /// Their topic.
    pub topic: &'a str,
    /// How many there are; at least one.
    pub count: u32,
    /// `count + 1` offsets, big-endian `u32`.
    pub table: &'a [u8],
    /// The records the table speaks of.
    pub records: &'a [u8],
}

impl<'a> Deliver<'a> {
    pub(super) fn decode(raw: RawFrame<'a>) -> Result<Self, WireError> {
        let mut reader = Reader::new(Kind::Deliver, raw.body);
        let handle = SubscriptionHandle(reader.u32("handle")?);
        let first = reader.u64("first")?;
        let accepted_ms = reader.u64("accepted_ms")?;
        let topic = reader.short_text("topic")?;
        let count = reader.u32("count")?;
        if count == 0 || first.checked_add(u64::from(count) - 1).is_none() {
            return Err(reader.invalid("count", "at least 1, and the last number below 2^64"));
        }
        // In u64, so that it cannot overflow where usize has 32 bits.
        let table_len = usize::try_from((u64::from(count) + 1) * 4).unwrap_or(usize::MAX);
        let table = reader.bytes(table_len, "table")?;
        let records = reader.rest();
        let (redelivered, returns) = (raw.flags & REDELIVERED != 0, raw.flags & RETURNS != 0);
        let deliver = Self { handle, first, accepted_ms, redelivered, returns, topic, count, table, records };
        deliver.check()?;
        Ok(deliver)
    }

    /// The table cuts the records without gap or rest, and each is one.
    fn check(&self) -> Result<(), WireError> {
        let invalid = |need| WireError::Invalid { kind: Kind::Deliver, field: "table", need };
        if self.end_of(self.count) != Some(self.records.len()) {
            return Err(invalid("the offsets of all the records and of no more"));
        }
        for index in 0..self.count {
            read_record(self.record(index).ok_or_else(|| invalid("offsets that do not decrease"))?)?;
        }
        Ok(())
    }

    /// Where the first `index` records end.
    fn end_of(&self, index: u32) -> Option<usize> {
        let offset = |index: u32| {
            let at = usize::try_from(u64::from(index) * 4).ok()?;
            self.table.get(at..)?.first_chunk().map(|bytes| u32::from_be_bytes(*bytes))
        };
        Some(offset(index)?.checked_sub(offset(0)?)? as usize)
    }

    fn record(&self, index: u32) -> Option<&'a [u8]> {
        self.records.get(self.end_of(index)?..self.end_of(index.checked_add(1)?)?)
    }

    /// The messages, in order.
    pub fn records(&self) -> Records<'a> {
        Records { deliver: *self, next: 0 }
    }

    /// Appends the frame.
    pub fn encode(&self, out: &mut Vec<u8>) {
        self.head().encode(out);
        out.extend_from_slice(self.table);
        out.extend_from_slice(self.records);
    }

    /// What stands before its table.
    pub fn head(&self) -> DeliverHead<'a> {
        DeliverHead {
            handle: self.handle,
            first: self.first,
            accepted_ms: self.accepted_ms,
            redelivered: self.redelivered,
            returns: self.returns,
            topic: self.topic,
            count: self.count,
            records_len: self.records.len(),
        }
    }
}

/// One message of a [`Deliver`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Record<'a> {
    /// Its number in the subscription: what an acknowledgement names.
    pub number: u64,
    /// Its headers.
    pub headers: Headers<'a>,
    /// What it carries.
    pub payload: &'a [u8],
}

/// Headers and payload of the one record that `bytes` are.
///
/// # Errors
/// No flags byte, reserved flags, headers that are none.
pub fn read_record(bytes: &[u8]) -> Result<(Headers<'_>, &[u8]), WireError> {
    let mut reader = Reader::new(Kind::Deliver, bytes);
    let flags = reader.u8("record")?;
    if flags & !HAS_HEADERS != 0 {
        return Err(reader.invalid("record flags", "0 or 1"));
    }
    let headers = if flags == 0 { Headers::NONE } else { Headers::read(&mut reader)? };
    Ok((headers, reader.rest()))
}

/// Iterator over the messages of a [`Deliver`].
#[derive(Debug, Clone)]
pub struct Records<'a> {
    deliver: Deliver<'a>,
    next: u32,
}

impl<'a> Iterator for Records<'a> {
    type Item = Record<'a>;

    fn next(&mut self) -> Option<Record<'a>> {
        if self.next == self.deliver.count {
            return None;
        }
        let (headers, payload) = read_record(self.deliver.record(self.next)?).ok()?;
        let number = self.deliver.first.checked_add(u64::from(self.next))?;
        self.next += 1;
        Some(Record { number, headers, payload })
    }
}

/// What stands before the table of a Deliver. A writer sends head, table slice and records slice in one vectored write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeliverHead<'a> {
    /// Which subscription.
    pub handle: SubscriptionHandle,
    /// The number of the first message.
    pub first: u64,
    /// When the broker accepted them, in Unix milliseconds.
    pub accepted_ms: u64,
    /// They may have been delivered before.
    pub redelivered: bool,
    /// What the client gave back with `again` starts here.
    pub returns: bool,
    /// Their topic.
    pub topic: &'a str,
    /// How many there are; at least one.
    pub count: u32,
    /// Bytes of the records slice.
    pub records_len: usize,
}

impl DeliverHead<'_> {
    /// What the frame's length field says.
    pub fn length(&self) -> usize {
        self.body_before_table() + 2 + (self.count as usize + 1) * 4 + self.records_len
    }

    fn body_before_table(&self) -> usize {
        4 + 8 + 8 + 2 + self.topic.len() + 4
    }

    /// Appends everything from the length to the count.
    ///
    /// # Panics
    /// On a frame of 4 GiB or a topic of more than 65,535 bytes; a broker's blocks and names are far smaller.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let length = u32::try_from(self.length()).expect("a Deliver is cut far below 4 GiB");
        out.reserve(PREFIX + 2 + self.body_before_table());
        out.extend_from_slice(&length.to_be_bytes());
        let redelivered = if self.redelivered { REDELIVERED } else { 0 };
        let returns = if self.returns { RETURNS } else { 0 };
        out.extend_from_slice(&[Kind::Deliver as u8, redelivered | returns]);
        out.extend_from_slice(&self.handle.0.to_be_bytes());
        out.extend_from_slice(&self.first.to_be_bytes());
        out.extend_from_slice(&self.accepted_ms.to_be_bytes());
        put_short(out, self.topic.as_bytes());
        out.extend_from_slice(&self.count.to_be_bytes());
    }
}
