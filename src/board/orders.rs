//! Rows that operators make: what is forbidden, which orders wait, what the broker is on its way to.

use imbl::OrdMap;
use serde::{Deserialize, Serialize};

use crate::{
    clock::Moment,
    control::Order,
    name::{Principal, TopicName},
};

/// What a broker is on its way to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Course {
    /// It serves.
    #[default]
    Serving,
    /// It sends its clients away, and lives on.
    Draining,
    /// No client is connected, and none is taken.
    Drained,
    /// It sends its clients away, and ends.
    Ending,
}

/// What operators have forbidden. It outlives a restart of the managers.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Forbidden {
    /// Topics that may not be.
    pub topics: OrdMap<TopicName, Ban>,
    /// Principals that may not register.
    pub principals: OrdMap<Principal, Ban>,
}

impl Forbidden {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.topics.len() + self.principals.len()
    }

    /// True if nothing is forbidden.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Why something is forbidden.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ban {
    /// Who forbade it.
    pub by: String,
    /// The reason the operator gave; may be empty.
    pub why: String,
    /// Since then.
    pub since: Moment,
}

/// An order that waits out its delay.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WaitingOrder {
    /// The order.
    pub order: Order,
    /// When it is carried out.
    pub due: Moment,
}
