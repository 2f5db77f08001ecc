//! Publish: the one frame whose decoding is paid for every message.

use super::{Headers, Kind, RawFrame, WireError, frame::put, reader::Reader};

/// Flag of a Publish frame and of a record: headers stand before the payload.
pub(super) const HAS_HEADERS: u8 = 1;

/// A message from a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Publish<'a> {
    /// The client's number for it: 1 in a new session, then one more each.
    pub sequence: u64,
    /// The topic as it came: not checked here, because a reader remembers the few names it has checked.
    pub topic: &'a [u8],
    /// Its headers.
    pub headers: Headers<'a>,
    /// What it carries.
    pub payload: &'a [u8],
}

impl<'a> Publish<'a> {
    /// What a Publish frame says; a reader of many takes this way past [`ClientFrame`](super::ClientFrame), which is as large as
    /// the largest frame.
    ///
    /// # Errors
    /// A body that is not a Publish's.
    #[inline]
    pub(crate) fn decode(raw: RawFrame<'a>) -> Result<Self, WireError> {
        let mut reader = Reader::new(Kind::Publish, raw.body);
        let sequence = reader.u64("sequence")?;
        let topic = reader.short_bytes("topic")?;
        let headers = if raw.flags & HAS_HEADERS == 0 { Headers::NONE } else { Headers::read(&mut reader)? };
        Ok(Self { sequence, topic, headers, payload: reader.rest() })
    }

    /// Appends the frame.
    ///
    /// # Panics
    /// On a topic of more than 65,535 bytes, which no topic name has.
    #[inline]
    pub fn encode(&self, out: &mut Vec<u8>) {
        let flags = if self.headers.is_empty() { 0 } else { HAS_HEADERS };
        out.reserve(super::PREFIX + self.length());
        put(out, Kind::Publish, flags, |out| {
            out.extend_from_slice(&self.sequence.to_be_bytes());
            put_short(out, self.topic);
            out.extend_from_slice(self.headers.as_bytes());
            out.extend_from_slice(self.payload);
        });
    }

    /// What its frame's length field says: to compare with the frame limit before sending.
    #[inline]
    pub fn length(&self) -> usize {
        2 + 8 + 2 + self.topic.len() + self.headers.as_bytes().len() + self.payload.len()
    }

    /// Bytes that [`Publish::write_record`] appends.
    pub fn record_len(&self) -> usize {
        1 + self.headers.as_bytes().len() + self.payload.len()
    }

    /// Appends its bytes as a record of a [`super::Deliver`].
    #[inline]
    pub fn write_record(&self, out: &mut Vec<u8>) {
        out.reserve(self.record_len());
        out.push(if self.headers.is_empty() { 0 } else { HAS_HEADERS });
        out.extend_from_slice(self.headers.as_bytes());
        out.extend_from_slice(self.payload);
    }
}

/// Appends bytes after their `u16` length.
#[inline]
pub(super) fn put_short(out: &mut Vec<u8>, bytes: &[u8]) {
    let len = u16::try_from(bytes.len()).expect("a topic has at most 255 bytes");
    out.extend_from_slice(&len.to_be_bytes());
    out.extend_from_slice(bytes);
}
