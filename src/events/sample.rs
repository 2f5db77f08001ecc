//! Samples: what changed of many rows in a second, told as one event.

use serde::{Deserialize, Serialize};

use super::BusyActors;
use crate::{
    clock::Moment,
    name::{ListenerId, SessionId, SubscriptionId, TopicName},
};

/// What flowed in one second. At most [`Sample::MAX_ROWS`] rows; a second with more has several samples.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Sample {
    /// The broker's own figures, when they changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub broker: Option<BrokerSample>,
    /// Connections that moved bytes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub listeners: Vec<ListenerSample>,
    /// Sessions that published or were delivered to.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sessions: Vec<SessionSample>,
    /// Topics that were published to.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub topics: Vec<TopicSample>,
    /// Subscriptions whose queue changed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub subscriptions: Vec<SubscriptionSample>,
    /// Actors that are in one message for long, when there are any, and once when there are none any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub busy: Option<BusyActors>,
}

impl Sample {
    /// The most rows one sample carries, so that no event is large.
    pub const MAX_ROWS: usize = 1_000;

    /// How many it carries.
    pub(super) fn rows(&self) -> usize {
        let Self { broker: _, listeners, sessions, topics, subscriptions, busy } = self;
        let busy = busy.as_ref().map_or(0, |busy| busy.actors.len());
        listeners.len() + sessions.len() + topics.len() + subscriptions.len() + busy
    }
}

/// The broker's own figures. Counters count from the start; rates are of the last second.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct BrokerSample {
    /// Messages accepted.
    pub published: u64,
    /// Messages written to subscribers.
    pub delivered: u64,
    /// Messages accepted in the last second.
    pub publish_rate: u64,
    /// Messages written in the last second.
    pub deliver_rate: u64,
    /// Messages dropped from queues and backlogs, for any [`DropReason`](super::DropReason).
    pub dropped: u64,
    /// Bytes all queues and backlogs hold.
    pub held_bytes: u64,
    /// Publishes decoded and not yet accepted, in bytes.
    pub ingress_bytes: u64,
    /// Connections refused by a cap or while not accepting.
    pub refused: u64,
    /// Registrations refused, whatever the code.
    pub refused_registrations: u64,
    /// Things dropped because they carried an older epoch (I4).
    pub stale: u64,
    /// Actor messages sent.
    pub casts: u64,
}

/// A connection's figures.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct ListenerSample {
    /// Which.
    pub id: ListenerId,
    /// Bytes read in the last second.
    pub bytes_in_rate: u64,
    /// Bytes written in the last second.
    pub bytes_out_rate: u64,
    /// Bytes that wait to be written.
    pub outbound_bytes: u64,
}

/// A session's figures.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct SessionSample {
    /// Which.
    pub id: SessionId,
    /// Messages it published in the last second.
    pub publish_rate: u64,
    /// Messages written to it in the last second.
    pub deliver_rate: u64,
}

/// A topic's figures.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TopicSample {
    /// Which.
    pub topic: TopicName,
    /// Messages accepted since it was created.
    pub published: u64,
    /// Messages accepted in the last second.
    pub publish_rate: u64,
    /// Copies appended to subscriptions' queues in the last second.
    pub fan_out_rate: u64,
    /// Subscriptions it matched at its last publish, wildcards included.
    pub matched: u64,
    /// Messages that wait for a first subscriber.
    pub backlog: u64,
    /// Their bytes.
    pub backlog_bytes: u64,
    /// When the last publish was accepted.
    pub last_publish: Option<Moment>,
}

/// A subscription's figures.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SubscriptionSample {
    /// Which.
    pub id: SubscriptionId,
    /// Its queue.
    pub depth: Depth,
    /// Messages written to its client in the last second.
    pub deliver_rate: u64,
}

/// What a subscription's queue holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Depth {
    /// Messages that wait.
    pub waiting: u64,
    /// Messages sent and not acknowledged.
    pub in_flight: u64,
    /// Messages given up after too many attempts, kept for an operator.
    pub poison: u64,
    /// Bytes of their records in all: payloads, headers, and one each.
    pub bytes: u64,
    /// Messages dropped so far.
    pub dropped: u64,
}

impl Depth {
    /// Waiting and in flight: what the next client would still get.
    pub fn queued(&self) -> u64 {
        self.waiting + self.in_flight
    }
}
