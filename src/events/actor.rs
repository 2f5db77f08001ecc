//! Actors by name, for what is told of one: that it is in one message for long, that it failed.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{
    clock::Moment,
    name::{ListenerId, SessionId, SubscriptionId, TopicName},
};

/// An actor, or one of the two tasks of a connection.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(tag = "actor", content = "of", rename_all = "snake_case")]
pub enum ActorName {
    /// The root of them all.
    Broker,
    /// The one that has the topics.
    TopicManager,
    /// The one that has the subscribers.
    SubscriberManager,
    /// The one that has the sessions.
    SessionManager,
    /// The one that has the listeners.
    ListenerManager,
    /// A topic.
    Topic(TopicName),
    /// A subscription's.
    Subscriber(SubscriptionId),
    /// A session.
    Session(SessionId),
    /// A connection's.
    Listener(ListenerId),
    /// The task that reads a connection.
    Reader(ListenerId),
    /// The task that writes to it.
    Writer(ListenerId),
}

impl ActorName {
    /// What kind of actor it is.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Broker => "Broker",
            Self::TopicManager => "TopicManager",
            Self::SubscriberManager => "SubscriberManager",
            Self::SessionManager => "SessionManager",
            Self::ListenerManager => "ListenerManager",
            Self::Topic(_) => "Topic",
            Self::Subscriber(_) => "Subscriber",
            Self::Session(_) => "Session",
            Self::Listener(_) => "Listener",
            Self::Reader(_) => "Reader",
            Self::Writer(_) => "Writer",
        }
    }

    /// The broker or the manager that is of this kind.
    pub fn manager(kind: &str) -> Option<Self> {
        [Self::Broker, Self::TopicManager, Self::SubscriberManager, Self::SessionManager, Self::ListenerManager]
            .into_iter()
            .find(|actor| actor.kind() == kind)
    }
}

/// Which one of its kind; nothing, if there is only one.
impl fmt::Display for ActorName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Broker | Self::TopicManager | Self::SubscriberManager | Self::SessionManager | Self::ListenerManager => Ok(()),
            Self::Topic(topic) => topic.fmt(f),
            Self::Subscriber(id) => id.fmt(f),
            Self::Session(id) => id.fmt(f),
            Self::Listener(id) | Self::Reader(id) | Self::Writer(id) => id.fmt(f),
        }
    }
}

impl From<TopicName> for ActorName {
    fn from(topic: TopicName) -> Self {
        Self::Topic(topic)
    }
}

impl From<SubscriptionId> for ActorName {
    fn from(id: SubscriptionId) -> Self {
        Self::Subscriber(id)
    }
}

impl From<SessionId> for ActorName {
    fn from(id: SessionId) -> Self {
        Self::Session(id)
    }
}

impl From<ListenerId> for ActorName {
    fn from(id: ListenerId) -> Self {
        Self::Listener(id)
    }
}

/// An actor that has been in one message for more than a second.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Busy {
    /// Which.
    pub actor: ActorName,
    /// The message, by name.
    pub message: String,
    /// For how long, in whole seconds.
    pub seconds: u64,
}

/// All busy actors of one supervisor, in place of those told before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BusyActors {
    /// Whose children they are.
    pub of: ActorName,
    /// They.
    pub actors: Vec<Busy>,
}

/// The last time an actor failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastFailure {
    /// When.
    pub at: Moment,
    /// In which message, and how.
    pub why: String,
}
