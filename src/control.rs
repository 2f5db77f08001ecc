//! Orders: what an operator can ask for, what it may depend on, and how it ended.
//!
//! Every order goes through one gate ([`crate::Handle::order`]): read-only mode is checked there, the audit record is written
//! there, and the actor that acts answers an [`Outcome`]. The console has no other door.

use std::{fmt, time::Duration};

use serde::{Deserialize, Serialize};

use crate::{
    clock::Moment,
    events::Lost,
    name::{Epoch, SessionId, SubscriptionId, TopicName},
};

/// What an operator can ask for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "order", rename_all = "snake_case")]
pub enum Control {
    /// End a session and, with it, its subscriptions and what they hold; its client is told.
    EvictSession {
        /// Which.
        session: SessionId,
    },
    /// Close a session's connection; the session lives and its reclaim timer starts.
    DropConnection {
        /// Whose.
        session: SessionId,
    },
    /// Stop a detached session's reclaim timer until it is extended or the client is back.
    HoldSession {
        /// Which.
        session: SessionId,
    },
    /// Give a detached session's reclaim timer more time; ends a hold.
    ExtendSession {
        /// Which.
        session: SessionId,
        /// How much, in milliseconds; at most 24 h.
        by_ms: u64,
    },
    /// End a topic's exact subscriptions and what they and its backlog hold; the next publish creates it anew.
    KillTopic {
        /// Which.
        topic: TopicName,
    },
    /// Throw away what a subscription's queue holds, poison included. What is in flight stays.
    Purge {
        /// Whose.
        subscription: SubscriptionId,
    },
    /// Put a subscription's poison back at the tail of its queue.
    Redeliver {
        /// Whose.
        subscription: SubscriptionId,
    },
    /// Take new connections, or stop taking them.
    Accept {
        /// Take them.
        on: bool,
    },
    /// Read the configuration again: users, passwords and rights are from then on what it says.
    Reload {
        /// The mark of the [`Preview`](crate::reload::Preview) that its operator saw. Another one by then: refused.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        seen: Option<u64>,
    },
    /// Drain and stop the broker; what queues and backlogs still hold is lost.
    Shutdown,
}

impl Control {
    /// True if messages may be lost by it: refused when no audit record can be written.
    pub fn destroys(&self) -> bool {
        matches!(
            self,
            Self::EvictSession { .. } | Self::KillTopic { .. } | Self::Purge { .. } | Self::Reload { .. } | Self::Shutdown
        )
    }

    /// The order's name, as in the audit record.
    pub fn verb(&self) -> &'static str {
        match self {
            Self::EvictSession { .. } => "evict session",
            Self::DropConnection { .. } => "drop connection",
            Self::HoldSession { .. } => "hold session",
            Self::ExtendSession { .. } => "extend session",
            Self::KillTopic { .. } => "kill topic",
            Self::Purge { .. } => "purge",
            Self::Redeliver { .. } => "redeliver",
            Self::Accept { on: true } => "accept",
            Self::Accept { on: false } => "stop accepting",
            Self::Reload { .. } => "reload",
            Self::Shutdown => "shut down",
        }
    }

    /// What it is about, in full.
    pub fn target(&self) -> String {
        match self {
            Self::EvictSession { session }
            | Self::DropConnection { session }
            | Self::HoldSession { session }
            | Self::ExtendSession { session, .. } => session.to_string(),
            Self::KillTopic { topic } => topic.to_string(),
            Self::Purge { subscription } | Self::Redeliver { subscription } => subscription.to_string(),
            Self::Reload { .. } => "configuration".to_owned(),
            Self::Accept { .. } | Self::Shutdown => "broker".to_owned(),
        }
    }
}

/// What its operator saw, and wants to be still so when it is carried out.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Precondition {
    /// The session's epoch. Another one by then: the client has come back, and the order is refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub epoch: Option<Epoch>,
    /// Messages that would be lost. More than 1.1 × this + 100 by then: the order is refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub loss: Option<u64>,
}

impl Precondition {
    /// Refuses if the world has moved on from what the operator saw.
    pub(crate) fn check(&self, epoch: Option<Epoch>, loss: u64) -> Result<(), Outcome> {
        if let (Some(seen), Some(now)) = (self.epoch, epoch)
            && seen != now
        {
            return Err(Outcome::Refused {
                why: format!("the session was attached again since (epoch {seen}, now {now}); look again"),
            });
        }
        match self.loss {
            Some(seen) if loss > seen + seen / 10 + 100 => {
                Err(Outcome::Refused { why: format!("{loss} messages would be lost now, {seen} when you looked; look again") })
            }
            _ => Ok(()),
        }
    }
}

/// One order, as its operator gave it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Order {
    /// What to do.
    pub control: Control,
    /// Who asks: `--operator`, or the user of the operating system.
    pub operator: String,
    /// Why, in the operator's words; may be empty.
    #[serde(default)]
    pub reason: String,
    /// What must still be so.
    #[serde(default)]
    pub precondition: Precondition,
}

/// How an order ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum Outcome {
    /// Done; this is what it cost.
    Done {
        /// Messages lost by it.
        lost: Lost,
    },
    /// There was nothing left to do it to: the second of two equal orders, or its target ended by itself.
    AlreadyGone,
    /// Not done, and why.
    Refused {
        /// What stood in the way, and what would help.
        why: String,
    },
    /// It was taken, and no answer came: what acts failed meanwhile.
    Unknown,
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Done { lost } if lost.is_nothing() => f.write_str("done, nothing lost"),
            Self::Done { lost } => write!(f, "done, {} messages lost", lost.messages()),
            Self::AlreadyGone => f.write_str("already gone"),
            Self::Refused { why } => write!(f, "refused: {why}"),
            Self::Unknown => f.write_str("no answer; look whether it was done"),
        }
    }
}

/// The audit record of one order: who, when, what, why, at what cost, with what outcome.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderRecord {
    /// The order as given.
    #[serde(flatten)]
    pub order: Order,
    /// When it was given.
    pub given: Moment,
    /// Messages queued in the whole broker before and after.
    pub queued: (u64, u64),
    /// How it ended.
    pub outcome: Outcome,
}

/// The longest a delayed or extended deadline may be moved at once.
pub const MAX_EXTENSION: Duration = Duration::from_hours(24);

#[cfg(test)]
mod tests {
    use super::*;

    /// The one who confirmed 1,000 lost messages did not confirm 1,201.
    #[test]
    fn an_order_is_refused_when_it_would_cost_more_than_was_seen() {
        let seen = Precondition { epoch: Some(Epoch(3)), loss: Some(1_000) };
        assert!(seen.check(Some(Epoch(3)), 1_200).is_ok());
        assert!(matches!(seen.check(Some(Epoch(3)), 1_201), Err(Outcome::Refused { .. })));
        assert!(matches!(seen.check(Some(Epoch(4)), 0), Err(Outcome::Refused { .. })));
        assert!(Precondition::default().check(Some(Epoch(9)), u64::MAX).is_ok());
    }
}
