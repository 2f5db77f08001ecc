//! What happens in the broker, as plain data: the actor life-cycle events and, once a second, samples of what flows.
//!
//! The actor that owns an entry emits its events in the deed that changes it. Nothing is told twice and nothing here is per
//! message. Everything is `serde` data, so that a recording replays and a remote console can be fed. The read model that
//! folds them is [`crate::Board`].

mod actor;
mod sample;
mod terms;

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use crate::{
    clock::Moment,
    config::Changes,
    control::{Order, OrderRecord},
    name::{ClientName, Epoch, ListenerId, Principal, SessionId, SubscriptionId, TopicName},
    wire::Code,
};

pub use self::{
    actor::{ActorName, Busy, BusyActors, LastFailure},
    sample::{BrokerSample, Depth, ListenerSample, Sample, SessionSample, SubscriptionSample, TopicSample},
    terms::{Allowance, Terms},
};

/// An event with its place in the order of all events, counted from 1 without gaps.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Stamped {
    /// Its number.
    pub number: u64,
    /// When it was emitted.
    pub at: Moment,
    /// What happened.
    pub event: Event,
}

/// Messages that were accepted and are gone, by the reason. Their sum is what an end cost (I1).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lost {
    /// Were waiting for, or in flight to, a subscription that ended.
    pub queued: u64,
    /// Had been given up as poison and were kept for an operator.
    pub poison: u64,
    /// Were waiting in a topic's backlog for its first subscriber.
    pub backlog: u64,
    /// Bytes of their records in all: payloads, headers, and one each.
    pub bytes: u64,
}

impl Lost {
    /// How many messages in all.
    pub fn messages(&self) -> u64 {
        self.queued + self.poison + self.backlog
    }

    /// True if nothing was lost.
    pub fn is_nothing(&self) -> bool {
        self.messages() == 0
    }
}

impl std::ops::AddAssign for Lost {
    fn add_assign(&mut self, other: Self) {
        self.queued += other.queued;
        self.poison += other.poison;
        self.backlog += other.backlog;
        self.bytes += other.bytes;
    }
}

/// Why a connection closed or a session was detached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CloseReason {
    /// The client said `Disconnect`.
    Disconnected,
    /// The client's end closed without a word.
    PeerClosed,
    /// The connection was reset.
    Reset,
    /// Nothing was heard for one and a half keep-alive times.
    KeepAliveMissed,
    /// Something waited to be written and nothing could be for `stall_after`.
    Stalled,
    /// The client broke the protocol and was told 400, 408, 413 or 505.
    ProtocolError,
    /// No registration came within the deadline.
    RegistrationTimeout,
    /// A registration was refused.
    Refused,
    /// Another connection took the session over.
    Displaced,
    /// The session was evicted, reclaimed or ended.
    SessionEnded,
    /// An operator dropped the connection.
    Dropped,
    /// The broker is shutting down.
    ShuttingDown,
    /// An actor failed.
    Failed,
}

/// Why a session ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SessionEnd {
    /// Its reclaim timer ran out.
    Reclaimed,
    /// An operator evicted it.
    Evicted {
        /// Who did.
        by: String,
        /// The reason the operator gave.
        why: String,
    },
    /// Its client ended it with `Disconnect{end: true}`.
    Ended,
    /// It was detached while as many sessions as may be were detached already.
    NoRoom,
    /// Its actor failed.
    Failed {
        /// The panic's or error's text.
        why: String,
    },
}

/// Why a subscription ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SubscriptionEnd {
    /// The client unsubscribed.
    Unsubscribed,
    /// Its session ended.
    SessionEnded,
    /// Its topic was killed.
    TopicKilled,
    /// Its principal may no longer subscribe to its filter.
    RightWithdrawn,
    /// It failed too often; the client is asked to subscribe again.
    Failed,
}

/// Why messages of a queue or a backlog were dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DropReason {
    /// The bound of the subscription's queue.
    QueueFull,
    /// The bound of the list of poison messages.
    PoisonFull,
    /// The bound of the topic's backlog.
    BacklogFull,
    /// Their time to live had passed.
    Expired,
    /// The bound of all queues together.
    MemoryFull,
    /// Their subscription's principal may no longer see them.
    RightWithdrawn,
}

/// The state of a subscriber.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SubscriptionState {
    /// Its session is detached: what comes are dead letters.
    #[default]
    Parked,
    /// Its client is back and its dead letters are being emptied to it.
    Draining,
    /// Messages flow as they come.
    Live,
}

/// How far a drain or a shutdown is. Each follows the one before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StopPhase {
    /// New connections and new publishes are not taken any more.
    StopAccepting,
    /// Publishes that were taken are being answered.
    Receipts,
    /// Every client is told 503 and closed.
    Goodbyes,
    /// The actors end; what queues hold is lost. Not in a drain.
    Stopping,
}

/// What was done when a right was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// Publishing to a topic.
    Publish,
    /// Subscribing to a filter.
    Subscribe,
    /// Creating a topic.
    Create,
    /// Giving an operator's order.
    Operate,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
#[allow(missing_docs)] // the fields are the words of the crate's front page
pub enum Event {
    /// The broker is up.
    BrokerStarted {
        version: String,
        pid: u32,
        host: String,
        users: usize,
        #[serde(default)]
        terms: Box<Terms>,
    },
    /// An address is being accepted on.
    EndpointOpened {
        address: SocketAddr,
    },
    /// The broker accepts new connections, or no longer does.
    Accepting {
        on: bool,
    },
    /// The configuration was read again. What of it can change at run time has: `users` is how many there are now.
    ConfigurationRead {
        by: String,
        users: usize,
        changes: Box<Changes>,
    },
    /// A drain began, and the broker `ends` behind it or does not.
    Draining {
        deadline: Moment,
        ends: bool,
    },
    /// It has come that far; `left` is what it waits for: unanswered publish chunks, or connections.
    StopPhase {
        phase: StopPhase,
        left: u64,
    },
    /// A drain is over: no client is connected, and the broker lives.
    Drained,
    /// All actors have ended; what queues still held is lost. With a reason if that was not asked for.
    Stopped {
        lost: Lost,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        failed: Option<String>,
    },

    ListenerOpened {
        id: ListenerId,
        peer: SocketAddr,
    },
    ListenerRegistered {
        id: ListenerId,
        session: SessionId,
    },
    ListenerClosed {
        id: ListenerId,
        why: CloseReason,
    },
    /// A connection's actor failed; that it closed is told beside it.
    ListenerFailed {
        id: ListenerId,
        why: String,
    },
    /// Registrations were refused. Rate-limited: `times` is all from this address since the last such event.
    RegistrationRefused {
        id: ListenerId,
        peer: SocketAddr,
        code: Code,
        why: String,
        times: u64,
    },

    SessionCreated {
        id: SessionId,
        client: ClientName,
        principal: Principal,
        listener: ListenerId,
        peer: SocketAddr,
        epoch: Epoch,
        reclaim_ms: u64,
    },
    /// A client came back; `takeover` if the session was still attached elsewhere.
    SessionAttached {
        id: SessionId,
        client: ClientName,
        listener: ListenerId,
        peer: SocketAddr,
        epoch: Epoch,
        reclaim_ms: u64,
        takeover: bool,
    },
    /// The connection is gone and the reclaim timer runs.
    SessionDetached {
        id: SessionId,
        epoch: Epoch,
        why: CloseReason,
        deadline: Moment,
    },
    /// An operator stopped the reclaim timer.
    SessionHeld {
        id: SessionId,
        by: String,
    },
    /// The reclaim timer runs (again), to this deadline.
    SessionTimerSet {
        id: SessionId,
        deadline: Moment,
        by: String,
    },
    SessionEnded {
        id: SessionId,
        why: SessionEnd,
        lost: Lost,
    },

    TopicCreated {
        topic: TopicName,
        by: Principal,
    },
    TopicKilled {
        topic: TopicName,
        by: String,
        lost: Lost,
    },
    TopicForgotten {
        topic: TopicName,
    },
    /// Publishers and exact subscribers are refused until it is allowed.
    TopicForbidden {
        topic: TopicName,
        by: String,
        why: String,
    },
    TopicAllowed {
        topic: TopicName,
        by: String,
    },
    /// Registrations are refused until it is allowed.
    PrincipalForbidden {
        principal: Principal,
        by: String,
        why: String,
    },
    PrincipalAllowed {
        principal: Principal,
        by: String,
    },
    TopicRestarted {
        topic: TopicName,
        restarts: u32,
        why: String,
    },
    /// Messages of the topic's backlog were dropped. Rate-limited: `dropped` is all since the last such event.
    BacklogOverflowed {
        topic: TopicName,
        dropped: u64,
        why: DropReason,
    },

    SubscriptionCreated {
        id: SubscriptionId,
    },
    SubscriptionParked {
        id: SubscriptionId,
    },
    SubscriptionDraining {
        id: SubscriptionId,
        held: u64,
    },
    SubscriptionDrained {
        id: SubscriptionId,
    },
    /// Messages of the queue were dropped. Rate-limited: `dropped` is all since the last such event.
    SubscriptionOverflowed {
        id: SubscriptionId,
        dropped: u64,
        why: DropReason,
    },
    SubscriptionPoisoned {
        id: SubscriptionId,
        number: u64,
        attempts: u32,
    },
    SubscriptionRestarted {
        id: SubscriptionId,
        restarts: u32,
        why: String,
    },
    SubscriptionPurged {
        id: SubscriptionId,
        by: String,
        lost: Lost,
    },
    SubscriptionEnded {
        id: SubscriptionId,
        why: SubscriptionEnd,
        lost: Lost,
    },

    /// Rights were refused. Rate-limited: `times` is all in this session since the last such event.
    RightRefused {
        session: SessionId,
        principal: Principal,
        action: Action,
        name: String,
        times: u64,
    },
    ManagerFailed {
        manager: String,
        why: String,
    },
    ManagersRestarted {
        restarts: u32,
        lost: Lost,
    },
    /// A bound was reached. Rate-limited: `times` is all since the last such event for the same limit and cause.
    LimitHit {
        limit: String,
        who: String,
        times: u64,
    },
    /// An order waits out its delay and can be cancelled until `due`.
    OrderDelayed {
        number: u64,
        order: Box<Order>,
        due: Moment,
    },
    /// An order was taken and this is how it ended.
    Order(Box<OrderRecord>),
    /// What flowed in the last second, for the rows that changed.
    Sample(Box<Sample>),
}

impl From<OrderRecord> for Event {
    fn from(record: OrderRecord) -> Self {
        Self::Order(Box::new(record))
    }
}

impl From<Sample> for Event {
    fn from(sample: Sample) -> Self {
        Self::Sample(Box::new(sample))
    }
}

impl Event {
    /// How many rows it carries, if it is a sample: what it takes of what is kept for followers.
    pub(crate) fn rows(&self) -> usize {
        match self {
            Self::Sample(sample) => sample.rows(),
            _ => 0,
        }
    }

    /// The same, for `times` of it: what happened again and again and is told as one.
    pub(crate) fn times(mut self, all: u64) -> Self {
        if let Self::RegistrationRefused { times, .. } | Self::RightRefused { times, .. } | Self::LimitHit { times, .. } =
            &mut self
        {
            *times = all;
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Thousands are kept for followers, most of them of connections and sessions that come and go: what is large is boxed.
    #[test]
    fn an_event_is_small() {
        assert!(size_of::<Event>() <= 128, "{} bytes", size_of::<Event>());
    }
}
