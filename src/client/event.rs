//! What happens to a client between the calls of its user: connections lost and found, sessions that could not be resumed.

use std::time::Duration;

use tokio::sync::broadcast;

use super::error::ClientEnd;
use crate::{
    name::{Filter, SessionId},
    wire::Code,
};

/// Events kept for a receiver that is late.
pub(super) const KEPT: usize = 256;

/// Something happened to the client.
#[derive(Debug, Clone)]
pub enum ClientEvent {
    /// Connected and registered again.
    Connected {
        /// The session now.
        session: SessionId,
        /// It is the one from before, with its subscriptions and what they hold.
        resumed: bool,
    },
    /// The connection is gone.
    Lost {
        /// How.
        why: String,
    },
    /// The next attempt to come back.
    Reconnecting {
        /// Counted from 1 since the last connection.
        attempt: u32,
        /// How long it waits first.
        after: Duration,
    },
    /// The session could not be resumed and a new one was made.
    SessionLost(LostSession),
    /// A subscription was made again; what its predecessor held is lost.
    Resubscribed {
        /// Which.
        filter: Filter,
        /// How many messages, where the broker has said so.
        lost: Option<u64>,
    },
    /// A subscription is over without having been asked to.
    SubscriptionEnded {
        /// Which.
        filter: Filter,
        /// How.
        ended: SubscriptionOver,
    },
    /// The client is over.
    Ended(ClientEnd),
    /// This many events came faster than they were taken, and are gone.
    Missed(u64),
}

/// A session that was asked for and is not there any more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LostSession {
    /// Which.
    pub session: SessionId,
    /// 404: unknown to this broker. 410: it has ended.
    pub code: Code,
    /// The broker's words.
    pub reason: String,
    /// With 410: when it ended, in Unix milliseconds.
    pub at_ms: Option<u64>,
}

/// How a subscription ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SubscriptionOver {
    /// 410: its topic was killed, or it ended while the client was away. 403: the topic was forbidden, or the right withdrawn.
    pub code: Code,
    /// The broker's words.
    pub reason: String,
    /// How many messages it held.
    pub lost: u64,
}

/// Receives a client's events, from the moment it was made.
#[derive(Debug)]
pub struct Events(pub(super) broadcast::Receiver<ClientEvent>);

impl Events {
    /// The next event; none after [`ClientEvent::Ended`]. Cancel safe.
    pub async fn next(&mut self) -> Option<ClientEvent> {
        match self.0.recv().await {
            Ok(event) => Some(event),
            Err(broadcast::error::RecvError::Lagged(missed)) => Some(ClientEvent::Missed(missed)),
            Err(broadcast::error::RecvError::Closed) => None,
        }
    }
}
