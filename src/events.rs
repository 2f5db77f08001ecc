//! What happens in the broker, as plain data: the actor life-cycle events and, once a second, samples of what flows.
//!
//! The actor that owns an entry emits its events in the deed that changes it. Nothing is told twice and nothing here is per
//! message. Everything is `serde` data, so that a recording replays and a remote console can be fed. The read model that
//! folds them is [`crate::Board`].

mod actor;
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
        terms: Terms,
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
        changes: Changes,
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
        order: Order,
        due: Moment,
    },
    /// An order was taken and this is how it ended.
    Order(OrderRecord),
    /// What flowed in the last second, for the rows that changed.
    Sample(Sample),
}

impl Event {
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
    /// Messages dropped from queues and backlogs, for any [`DropReason`].
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
