//! What rows do not remember: how orders ended, and how actors failed that may be there no more. Both are bounded.

use imbl::{OrdMap, Vector};
use serde::{Deserialize, Serialize};

use crate::{
    clock::Moment,
    control::OrderRecord,
    events::{ActorName, Event, SessionEnd, SubscriptionEnd},
};

/// What happened, as far as it is remembered.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct History {
    /// The last orders that ended, by their numbers; at most [`History::MAX_ORDERS`].
    pub orders: OrdMap<u64, OrderRecord>,
    /// Orders that ended and are no longer among them.
    pub forgotten_orders: u64,
    /// The last failures of actors, the newest last; at most [`History::MAX_FAILURES`].
    pub failures: Vector<Failure>,
}

/// An actor's failure.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// Whose.
    pub actor: ActorName,
    /// When.
    pub at: Moment,
    /// In which message, and how.
    pub why: String,
}

impl History {
    /// Orders that are remembered. Their names and reasons are bounded, so all of them stay within some MiB.
    pub const MAX_ORDERS: usize = 1_000;
    /// Failures that are remembered.
    pub const MAX_FAILURES: usize = 200;

    /// Remembers `event` if it is the end of an order, or of an actor that was not asked to end.
    pub(super) fn note(&mut self, at: Moment, event: &Event) {
        let (actor, why) = match event {
            Event::Order(record) => return self.order(record),
            Event::ManagerFailed { manager, why } => match ActorName::manager(manager) {
                Some(manager) => (manager, why.clone()),
                None => return,
            },
            Event::TopicRestarted { topic, why, .. } => (topic.clone().into(), why.clone()),
            Event::SubscriptionRestarted { id, why, .. } => (id.clone().into(), why.clone()),
            Event::SubscriptionEnded { id, why: SubscriptionEnd::Failed, .. } => {
                (id.clone().into(), "failed once more than is allowed: its client is asked to subscribe again".to_owned())
            }
            Event::SessionEnded { id, why: SessionEnd::Failed { why }, .. } => ((*id).into(), why.clone()),
            Event::ListenerFailed { id, why } => ((*id).into(), why.clone()),
            _ => return,
        };
        if self.failures.len() >= Self::MAX_FAILURES {
            self.failures.pop_front();
        }
        self.failures.push_back(Failure { actor, at, why });
    }

    fn order(&mut self, record: &OrderRecord) {
        self.orders.insert(record.number, record.clone());
        if self.orders.len() > Self::MAX_ORDERS
            && let Some(oldest) = self.orders.keys().next().copied()
        {
            self.orders.remove(&oldest);
            self.forgotten_orders += 1;
        }
    }

    /// The last failure of `actor`, if it is remembered.
    pub fn last_failure(&self, actor: &ActorName) -> Option<&Failure> {
        self.failures.iter().rev().find(|failure| failure.actor == *actor)
    }
}
