//! The broker's terms: those of its limits that a reader of the board needs to judge what it sees.

use std::{fmt, time::Duration};

use serde::{Deserialize, Serialize};

use crate::config::Config;

/// What a broker was started with, as far as its operator's screen counts with it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Terms {
    /// How long a connection may take to register, in milliseconds.
    pub registration_ms: u64,
    /// How long nothing may be written to a connection although something waits, in milliseconds.
    pub stall_ms: u64,
    /// How often a topic or a subscriber is restarted before it is given up.
    pub leaf: Allowance,
    /// How often the managers are restarted before the broker stops.
    pub managers: Allowance,
    /// The file that orders are recorded in, if they are in one.
    pub audit: Option<String>,
}

/// So many restarts in a time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Allowance {
    /// How many.
    pub restarts: u32,
    /// In how long, in milliseconds.
    pub window_ms: u64,
}

impl Terms {
    /// Those of `config`.
    pub(crate) fn of(config: &Config) -> Self {
        let millis = |time: Duration| time.as_millis() as u64;
        let failures = &config.failures;
        Self {
            registration_ms: millis(config.connections.registration_deadline),
            stall_ms: millis(config.connections.stall_after),
            leaf: Allowance { restarts: failures.leaf_restarts, window_ms: millis(failures.leaf_window) },
            managers: Allowance { restarts: failures.manager_restarts, window_ms: millis(failures.manager_window) },
            audit: config.audit.file.as_ref().map(|file| file.display().to_string()),
        }
    }
}

impl fmt::Display for Terms {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { registration_ms, stall_ms, leaf, managers, audit } = self;
        write!(f, "registration {registration_ms} ms, stall {stall_ms} ms, leaves {leaf}, managers {managers}")?;
        audit.as_ref().map_or(Ok(()), |file| write!(f, ", audit {file}"))
    }
}

impl fmt::Display for Allowance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} restarts in {} ms", self.restarts, self.window_ms)
    }
}
