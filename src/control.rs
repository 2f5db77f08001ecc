//! Orders: what an operator can ask for, what it may depend on, and how it ended.
//!
//! Every order goes through one gate ([`crate::Handle::order`]): read-only mode is checked there, a delay is waited out there,
//! the audit record is written there, and the actor that acts answers an [`Outcome`]. The console has no other door.
//!
//! An order may carry what its operator saw ([`Precondition`]): if the client has come back meanwhile, or more would be lost, it
//! is refused instead of hitting something else than was meant.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # use cordboard::{Broker, Client, Config};
//! use cordboard::control::{Control, Order, Outcome, Precondition};
//! # let broker = Broker::start(Config { listen: vec!["127.0.0.1:0".parse()?], ..Config::default() }).await?;
//! # let client = Client::connect(&broker.endpoints()[0].to_string()).await?;
//!
//! let session = client.session();
//! let seen = &broker.bus().board().sessions[&session];
//! let order = Order {
//!     reason: "OPS-114 stuck consumer".to_owned(),
//!     precondition: Precondition { epoch: Some(seen.epoch), loss: Some(seen.depth.queued()) },
//!     ..Order::new("ana", Control::EvictSession { session })
//! };
//! match broker.order(order.clone()).await {
//!     Outcome::Done { lost } => println!("gone, and {} messages with it", lost.messages()),
//!     outcome => panic!("{outcome}"),
//! }
//! // The second of two equal orders finds nothing left to do.
//! assert_eq!(broker.order(order).await, Outcome::AlreadyGone);
//! // The client was told, and does not come back by itself.
//! println!("{:?}", client.ended().await);
//! # Ok(())
//! # }
//! ```

use std::{fmt, net::SocketAddr, time::Duration};

use serde::{Deserialize, Serialize};

use crate::{
    clock::Moment,
    events::Lost,
    name::{ClientName, Epoch, Principal, SessionId, SubscriptionId, TopicName},
    peek::Peek,
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
    /// Kill a topic, and refuse it (403) to publishers and exact subscribers until it is allowed. It need not exist. An operator's
    /// reason is told to those who are refused.
    ForbidTopic {
        /// Which.
        topic: TopicName,
    },
    /// Let a forbidden topic be created again.
    AllowTopic {
        /// Which.
        topic: TopicName,
    },
    /// Evict all sessions of a principal, and refuse its registrations (403) until it is allowed. It need not be known. An
    /// operator's reason is told to those who are refused.
    ForbidPrincipal {
        /// Who.
        principal: Principal,
    },
    /// Let a forbidden principal register again.
    AllowPrincipal {
        /// Who.
        principal: Principal,
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
    /// Copy the first messages of a subscription's queue, and its first poison. Nothing is moved, and nothing counts as
    /// delivered.
    PeekQueue {
        /// Whose.
        subscription: SubscriptionId,
        /// How many of each, at most [`crate::peek::MAX_MESSAGES`].
        most: u32,
    },
    /// Copy the first messages of a topic's backlog.
    PeekBacklog {
        /// Whose.
        topic: TopicName,
        /// How many, at most [`crate::peek::MAX_MESSAGES`].
        most: u32,
    },
    /// Take new connections, or stop taking them. Taking them ends a drain.
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
    /// Stop accepting, let publishers have their receipts, tell every client 503 and close. The broker lives: sessions are
    /// detached and their timers run.
    Drain,
    /// Drain and stop the broker; what queues and backlogs still hold is lost.
    Shutdown,
    /// Stop an order that waits out its delay.
    Cancel {
        /// Its number.
        number: u64,
    },
}

/// Who carries an order out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Actor {
    Gate,
    Broker,
    Topics,
    Subscribers,
    Sessions,
}

impl Control {
    /// True if messages may be lost by it: refused when no audit record can be written.
    pub fn destroys(&self) -> bool {
        matches!(
            self,
            Self::EvictSession { .. }
                | Self::KillTopic { .. }
                | Self::ForbidTopic { .. }
                | Self::ForbidPrincipal { .. }
                | Self::Purge { .. }
                | Self::Reload { .. }
                | Self::Shutdown
        )
    }

    /// True if it shows what someone published: refused when no audit record can be written.
    pub fn reveals(&self) -> bool {
        matches!(self, Self::PeekQueue { .. } | Self::PeekBacklog { .. })
    }

    /// True if a gate that is read-only lets it through: it changes nothing, or keeps something from changing.
    pub fn is_harmless(&self) -> bool {
        self.reveals() || matches!(self, Self::Cancel { .. })
    }

    /// True if it may be given with a delay.
    pub fn may_wait(&self) -> bool {
        !self.is_harmless()
    }

    pub(crate) fn actor(&self) -> Actor {
        match self {
            Self::EvictSession { .. }
            | Self::DropConnection { .. }
            | Self::HoldSession { .. }
            | Self::ExtendSession { .. }
            | Self::ForbidPrincipal { .. }
            | Self::AllowPrincipal { .. } => Actor::Sessions,
            Self::KillTopic { .. } | Self::ForbidTopic { .. } | Self::AllowTopic { .. } | Self::PeekBacklog { .. } => {
                Actor::Topics
            }
            Self::Purge { .. } | Self::Redeliver { .. } | Self::PeekQueue { .. } => Actor::Subscribers,
            Self::Accept { .. } | Self::Drain | Self::Shutdown => Actor::Broker,
            Self::Reload { .. } | Self::Cancel { .. } => Actor::Gate,
        }
    }

    /// The order's name, as in the audit record.
    pub fn verb(&self) -> &'static str {
        match self {
            Self::EvictSession { .. } => "evict session",
            Self::DropConnection { .. } => "drop connection",
            Self::HoldSession { .. } => "hold session",
            Self::ExtendSession { .. } => "extend session",
            Self::KillTopic { .. } => "kill topic",
            Self::ForbidTopic { .. } => "forbid topic",
            Self::AllowTopic { .. } => "allow topic",
            Self::ForbidPrincipal { .. } => "forbid principal",
            Self::AllowPrincipal { .. } => "allow principal",
            Self::Purge { .. } => "purge",
            Self::Redeliver { .. } => "redeliver",
            Self::PeekQueue { .. } => "peek queue",
            Self::PeekBacklog { .. } => "peek backlog",
            Self::Accept { on: true } => "accept",
            Self::Accept { on: false } => "stop accepting",
            Self::Reload { .. } => "reload",
            Self::Drain => "drain",
            Self::Shutdown => "shut down",
            Self::Cancel { .. } => "cancel order",
        }
    }

    /// The session that it is about, itself or by a subscription of it.
    pub fn session(&self) -> Option<SessionId> {
        match self {
            Self::EvictSession { session }
            | Self::DropConnection { session }
            | Self::HoldSession { session }
            | Self::ExtendSession { session, .. } => Some(*session),
            Self::Purge { subscription } | Self::Redeliver { subscription } | Self::PeekQueue { subscription, .. } => {
                Some(subscription.session)
            }
            _ => None,
        }
    }

    /// What it is about, in full.
    pub fn target(&self) -> String {
        match self {
            Self::EvictSession { session }
            | Self::DropConnection { session }
            | Self::HoldSession { session }
            | Self::ExtendSession { session, .. } => session.to_string(),
            Self::KillTopic { topic }
            | Self::ForbidTopic { topic }
            | Self::AllowTopic { topic }
            | Self::PeekBacklog { topic, .. } => topic.to_string(),
            Self::ForbidPrincipal { principal } | Self::AllowPrincipal { principal } => principal.to_string(),
            Self::Purge { subscription } | Self::Redeliver { subscription } | Self::PeekQueue { subscription, .. } => {
                subscription.to_string()
            }
            Self::Reload { .. } => "configuration".to_owned(),
            Self::Accept { .. } | Self::Drain | Self::Shutdown => "broker".to_owned(),
            Self::Cancel { number } => format!("order {number}"),
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
        match (self.epoch, epoch) {
            (Some(seen), Some(now)) if seen != now => {
                let why = format!("the session was attached again since (epoch {seen}, now {now}); look again");
                return Err(Outcome::Refused { why });
            }
            // Asking for what cannot be checked must not pass for having been checked.
            (Some(_), None) => {
                let why = "this order is not about one session: it has no epoch; leave that out".to_owned();
                return Err(Outcome::Refused { why });
            }
            (Some(_) | None, _) => {}
        }
        match self.loss {
            Some(seen) if loss > seen.saturating_add(seen / 10).saturating_add(100) => {
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
    /// What must still be so when it is carried out.
    #[serde(default)]
    pub precondition: Precondition,
    /// Wait this long before, in milliseconds, so that it can be cancelled; at most `orders.max_delay`. Its operator needs the
    /// right to it both when it is given and when its time has come.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub delay_ms: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a field by reference")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

impl Order {
    /// An order of `operator`, to be carried out at once, whatever it costs.
    pub fn new(operator: impl Into<String>, control: Control) -> Self {
        Self { control, operator: operator.into(), reason: String::new(), precondition: Precondition::default(), delay_ms: 0 }
    }
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
    /// Poison was put back into its queue.
    PutBack {
        /// Messages.
        messages: u64,
    },
    /// What was looked at. In the record of the order it is [`Outcome::Done`]: what others published is not kept there.
    Seen {
        /// The copy.
        peek: Box<Peek>,
    },
    /// There was nothing left to do it to: the second of two equal orders, or its target ended by itself.
    AlreadyGone,
    /// Stopped while it waited out its delay.
    Cancelled {
        /// Who stopped it.
        by: String,
    },
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
            Self::PutBack { messages } => write!(f, "done, {messages} messages put back"),
            Self::Seen { peek } => write!(f, "done, {} messages looked at", peek.messages.len()),
            Self::AlreadyGone => f.write_str("already gone"),
            Self::Cancelled { by } => write!(f, "cancelled by {by}"),
            Self::Refused { why } => write!(f, "refused: {why}"),
            Self::Unknown => f.write_str("no answer; look whether it was done"),
        }
    }
}

impl Outcome {
    /// Done, and nothing was lost.
    pub(crate) const DONE: Self = Self::Done { lost: Lost { queued: 0, poison: 0, backlog: 0, bytes: 0 } };

    pub(crate) fn refused(why: impl Into<String>) -> Self {
        Self::Refused { why: why.into() }
    }

    /// As it is kept: without what others published.
    pub(crate) fn on_record(&self) -> Self {
        if matches!(self, Self::Seen { .. }) { Self::DONE } else { self.clone() }
    }
}

/// Whose session an order is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct About {
    /// What its client calls itself.
    pub client: ClientName,
    /// Whose it is.
    pub principal: Principal,
    /// Where its client is or was.
    pub peer: SocketAddr,
}

/// The audit record of one order: who, when, what, why, at what cost, with what outcome.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderRecord {
    /// Its number among all orders of this broker.
    #[serde(default)]
    pub number: u64,
    /// The order as given.
    #[serde(flatten)]
    pub order: Order,
    /// Whose session it was about, as known when it was given: an id says little once nobody has it any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub about: Option<About>,
    /// When it was given.
    pub given: Moment,
    /// When it had ended: carried out, refused or cancelled. Long after, if it waited out a delay.
    #[serde(default)]
    pub ended: Moment,
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
        assert!(Precondition { epoch: None, loss: Some(u64::MAX) }.check(None, u64::MAX).is_ok());
    }

    /// An epoch that nobody compares would look like one that still holds.
    #[test]
    fn an_epoch_is_refused_where_there_is_none() {
        let seen = Precondition { epoch: Some(Epoch(1)), loss: None };
        assert!(matches!(seen.check(None, 0), Err(Outcome::Refused { .. })));
    }

    /// What others published is shown to whoever asked, and to nobody who reads the audit.
    #[test]
    fn the_record_of_a_look_holds_no_payload() {
        let peek = Box::new(Peek::default());
        assert_eq!(Outcome::Seen { peek }.on_record(), Outcome::DONE);
        assert_eq!(Outcome::AlreadyGone.on_record(), Outcome::AlreadyGone);
    }
}
