//! A publisher: one topic and the headers of its messages, checked and encoded once.

use std::{sync::Arc, time::Duration};

use super::{Door, PublishError, hub::Topic, settlement::Pending};
use crate::{
    name::TopicName,
    wire::{Headers, headers_from},
};

/// Publishes to one topic. Made by [`Client::topic`](super::Client::topic); clones are independent.
#[derive(Debug, Clone)]
pub struct Publisher {
    door: Arc<Door>,
    topic: TopicName,
    pairs: Vec<(String, String)>,
    encoded: Vec<u8>,
}

impl Publisher {
    pub(super) fn new(door: Arc<Door>, topic: TopicName) -> Self {
        Self { door, topic, pairs: Vec::new(), encoded: Vec::new() }
    }

    /// Adds a header to every message; a second value for `key` replaces the first.
    ///
    /// # Errors
    /// An empty or too long key or value, more than 64 pairs, a `ttl-ms` that is no number.
    pub fn header(mut self, key: &str, value: &str) -> Result<Self, PublishError> {
        self.pairs.retain(|(other, _)| other != key);
        self.pairs.push((key.to_owned(), value.to_owned()));
        self.encoded = headers_from(self.pairs.iter().map(|(key, value)| (key.as_str(), value.as_str())))?;
        Ok(self)
    }

    /// How long a message may wait for its subscriber before it is dropped; at least 1 ms.
    ///
    /// # Errors
    /// More than 64 headers.
    pub fn ttl(self, ttl: Duration) -> Result<Self, PublishError> {
        self.header(Headers::TTL_MS, &ttl.as_millis().max(1).to_string())
    }

    /// The topic.
    pub fn topic(&self) -> &TopicName {
        &self.topic
    }

    /// Publishes, and waits until the broker has accepted; see [`Client::publish`](super::Client::publish).
    ///
    /// # Errors
    /// A [`PublishError`] that says whether it was refused, or has no known outcome.
    pub async fn publish(&self, payload: impl AsRef<[u8]>) -> Result<(), PublishError> {
        self.enqueue(payload).await?.await
    }

    /// Publishes without waiting for the broker; see [`Client::enqueue`](super::Client::enqueue).
    ///
    /// # Errors
    /// The message is too large, or the client is over.
    pub async fn enqueue(&self, payload: impl AsRef<[u8]>) -> Result<Pending, PublishError> {
        let headers = Headers::known(&self.encoded);
        self.door.shared.enqueue(Topic::Checked(&self.topic), headers, payload.as_ref()).await
    }
}
