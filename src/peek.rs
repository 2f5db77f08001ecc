//! A peek: a bounded copy of what a queue or a backlog holds, for an operator to look at. Plain data and pure: nothing is moved
//! by looking, nothing counts as delivered, and how much is copied does not depend on what clients have sent.

use serde::{Deserialize, Serialize};

use crate::{
    batch::Batch,
    clock::UnixMillis,
    events::Depth,
    name::TopicName,
    wire::{Headers, read_record},
};

/// The most messages of one kind that one look copies.
pub const MAX_MESSAGES: u32 = 100;
/// The first bytes of each payload that are copied.
pub const PAYLOAD_BYTES: usize = 256;
/// Headers of each message that are copied.
const HEADERS: usize = 8;
/// The first characters of each of their values.
const HEADER_CHARS: usize = 64;

/// What was looked at.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Peek {
    /// What there is in all. A backlog waits.
    pub depth: Depth,
    /// The first of them, oldest first: in flight, then waiting, then poison.
    pub messages: Vec<Peeked>,
}

/// Where a message was when it was looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Place {
    /// Sent to its client and not acknowledged.
    InFlight,
    /// Waiting for its client.
    Waiting,
    /// Given up, kept for an operator.
    Poison,
    /// Waiting for its topic's first subscriber.
    Backlog,
}

/// One message, as much of it as is copied.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Peeked {
    /// Where it was.
    pub place: Place,
    /// Its number in its queue. Poison and backlogs have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub number: Option<u64>,
    /// What it was published to.
    pub topic: TopicName,
    /// When it was accepted.
    pub accepted: UnixMillis,
    /// Times it was written to its client and came back.
    pub attempts: u32,
    /// It may have been delivered before.
    pub redelivered: bool,
    /// Its first headers, each value cut. Chosen by a client: not to be shown raw.
    pub headers: Vec<(String, String)>,
    /// How many headers it has.
    pub header_count: u32,
    /// How many bytes its payload has.
    pub payload_bytes: u64,
    /// The first [`PAYLOAD_BYTES`] of them. Chosen by a client: not to be shown raw.
    pub payload: Vec<u8>,
}

impl Peeked {
    /// The message that `record` is. One that cannot be read, which the front door lets nobody publish, is shown as it is.
    pub(crate) fn of_record(place: Place, topic: &TopicName, accepted_ms: u64, record: &[u8]) -> Self {
        let (headers, payload) = read_record(record).unwrap_or((Headers::NONE, record));
        let cut = |value: &str| value.chars().take(HEADER_CHARS).collect();
        Self {
            place,
            number: None,
            topic: topic.clone(),
            accepted: UnixMillis(accepted_ms),
            attempts: 0,
            redelivered: false,
            headers: headers.iter().take(HEADERS).map(|(key, value)| (cut(key), cut(value))).collect(),
            header_count: headers.iter().count() as u32,
            payload_bytes: payload.len() as u64,
            payload: payload[..payload.len().min(PAYLOAD_BYTES)].to_vec(),
        }
    }

    /// The message of `batch` at `index`.
    pub(crate) fn of_batch(place: Place, batch: &Batch, index: u32) -> Self {
        Self::of_record(place, batch.topic(), batch.accepted_ms(), batch.records(index, 1))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;
    use crate::{
        batch::{BatchBuilder, BatchSize},
        wire::{Publish, headers_from},
    };

    /// A megabyte of payload and of headers is a look of a few hundred bytes; what is left out is counted.
    #[test]
    fn a_look_is_small_whatever_was_published() {
        let value = "v".repeat(9_000);
        let keys: Vec<_> = (0..40).map(|n| format!("key-{n}")).collect();
        let pairs: Vec<_> = keys.iter().map(|key| (key.as_str(), value.as_str())).collect();
        let headers = headers_from(pairs).unwrap();
        let payload = vec![7; 1 << 20];
        let mut builder = BatchBuilder::new("t".parse().unwrap(), BatchSize::default());
        let headers = Headers::from_bytes(&headers).unwrap();
        builder.push(&Publish { sequence: 1, topic: b"t", headers, payload: &payload });
        let seen = Peeked::of_batch(Place::Waiting, &builder.seal(Instant::now()), 0);
        assert_eq!((seen.payload_bytes, seen.payload.len()), (1 << 20, PAYLOAD_BYTES));
        assert_eq!((seen.header_count, seen.headers.len()), (40, HEADERS));
        assert!(seen.headers.iter().all(|(_, value)| value.len() == HEADER_CHARS));
    }
}
