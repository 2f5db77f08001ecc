//! The configuration: every limit and deadline of the broker, and who may do what.
//!
//! `assets/cordboard.toml` is the manual: it gives each key its default and its reason, and a test holds it equal to
//! [`Config::default`]. What is here was read by [`Config::parse`], which names file, line and a remedy for whatever it refuses.
//!
//! ```
//! use std::time::Duration;
//!
//! use cordboard::Config;
//!
//! let config = Config::parse("[sessions]\nreclaim_after = \"10min\"", "cordboard.toml")?;
//! assert_eq!(config.sessions.reclaim_after, Duration::from_mins(10));
//! assert_eq!(config.queues, Config::default().queues, "what is left out keeps its default");
//!
//! let error = Config::parse("[sessions]\nreclaim_afer = \"10min\"", "cordboard.toml").unwrap_err();
//! assert_eq!(
//!     error.to_string(),
//!     "cordboard.toml:2: unknown key `reclaim_afer` in [sessions]; did you mean `reclaim_after`?"
//! );
//! # Ok::<_, cordboard::config::ConfigError>(())
//! ```

mod changes;
mod check;
mod examine;
mod password;
mod places;
mod read;
mod size;

use std::{
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
    time::Duration,
};

use serde::{Deserialize, Serialize};

use crate::{
    events::Action,
    name::{Filter, NameRules, Principal},
};

pub use changes::{Changes, Names};
pub use check::Fault;
pub use password::{HashError, PasswordHash};
pub use places::Places;
pub use read::{ConfigError, MANUAL, MAX_FILE_BYTES};

/// The port of an endpoint: C-O-R-D on a telephone.
pub const DEFAULT_PORT: u16 = 2673;

const KIB: usize = 1 << 10;
const MIB: usize = 1 << 20;
const GIB: usize = 1 << 30;
const MINUTE: Duration = Duration::from_mins(1);
const DAY: Duration = Duration::from_hours(24);

/// Everything that can be configured. Bytes are `usize`, written as `"16MiB"` or as a plain integer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// The addresses to accept connections on. Port 0 lets the system choose.
    pub listen: Vec<SocketAddr>,
    /// Bounds of connections.
    pub connections: Connections,
    /// How often someone may try to log in.
    pub logins: Logins,
    /// Bounds of sessions.
    pub sessions: Sessions,
    /// What publishers may have unacknowledged.
    pub publishing: Publishing,
    /// Bounds of topics and their backlogs.
    pub topics: Topics,
    /// Bounds of subscriptions' queues.
    pub queues: Queues,
    /// When something has failed, and how often it is started again.
    pub failures: Failures,
    /// Bounds of what operators ask for.
    pub orders: Orders,
    /// Where operators' orders are recorded.
    pub audit: Audit,
    /// Who may connect. Empty: everyone on loopback, and nobody else.
    pub users: Vec<User>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: vec![(Ipv4Addr::LOCALHOST, DEFAULT_PORT).into()],
            connections: Connections::default(),
            logins: Logins::default(),
            sessions: Sessions::default(),
            publishing: Publishing::default(),
            topics: Topics::default(),
            queues: Queues::default(),
            failures: Failures::default(),
            orders: Orders::default(),
            audit: Audit::default(),
            users: Vec::new(),
        }
    }
}

/// Bounds of connections.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Connections {
    /// Connections in all.
    pub max: usize,
    /// Connections that have not registered yet.
    pub max_unregistered: usize,
    /// Connections from one address.
    pub max_per_address: usize,
    /// New connections one address may open at once.
    pub connect_burst: u32,
    /// New connections one address may open a second after that.
    pub connects_per_second: u32,
    /// How long a client has, from connecting, to register.
    #[serde(with = "humantime_serde")]
    pub registration_deadline: Duration,
    /// How often a silent client must ping; one and a half times this without a byte is a lost connection.
    #[serde(with = "humantime_serde")]
    pub keep_alive: Duration,
    /// How long a client may take nothing of what waits for it.
    #[serde(with = "humantime_serde")]
    pub stall_after: Duration,
    /// How long a frame that was begun may take, in either direction, not counting the time in which the broker does not read.
    #[serde(with = "humantime_serde")]
    pub frame_deadline: Duration,
    /// The largest frame, 1 KiB to 16 MiB.
    #[serde(with = "size")]
    pub max_frame_bytes: usize,
    /// What may wait to be written to one connection.
    #[serde(with = "size")]
    pub outbound_bytes: usize,
    /// How long an orderly shutdown waits for what was accepted.
    #[serde(with = "humantime_serde")]
    pub drain_deadline: Duration,
}

impl Default for Connections {
    fn default() -> Self {
        Self {
            max: 65_536,
            max_unregistered: 1_024,
            max_per_address: 4_096,
            connect_burst: 4_096,
            connects_per_second: 500,
            registration_deadline: Duration::from_secs(5),
            keep_alive: Duration::from_secs(30),
            stall_after: Duration::from_secs(10),
            frame_deadline: MINUTE,
            max_frame_bytes: MIB,
            outbound_bytes: 4 * MIB,
            drain_deadline: Duration::from_secs(10),
        }
    }
}

/// How often someone may try to log in. Nothing of it holds while there are no users.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Logins {
    /// Registrations that wait for their password to be checked.
    pub max_waiting: usize,
    /// Those of one address.
    pub max_waiting_per_address: usize,
    /// Log-ins one address may fail at once before it is refused.
    pub failures_burst: u32,
    /// Log-ins one address may fail a minute after that.
    pub failures_per_minute: u32,
    /// Log-ins under one name that may fail at once, from anywhere, before failures are answered slowly.
    pub name_failures_burst: u32,
    /// How many may a minute after that.
    pub name_failures_per_minute: u32,
    /// How long a failure is held back then.
    #[serde(with = "humantime_serde")]
    pub slow_answer: Duration,
}

impl Default for Logins {
    fn default() -> Self {
        Self {
            max_waiting: 256,
            max_waiting_per_address: 64,
            failures_burst: 20,
            failures_per_minute: 20,
            name_failures_burst: 20,
            name_failures_per_minute: 20,
            slow_answer: Duration::from_secs(2),
        }
    }
}

/// Bounds of sessions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Sessions {
    /// How long a detached session waits for its client, unless the client asks for another time.
    #[serde(with = "humantime_serde")]
    pub reclaim_after: Duration,
    /// The longest a client may ask for.
    #[serde(with = "humantime_serde")]
    pub max_reclaim_after: Duration,
    /// Sessions of one principal, connected or not.
    pub max_per_principal: usize,
    /// Detached sessions in all.
    pub max_detached: usize,
    /// Detached sessions of one principal.
    pub max_detached_per_principal: usize,
    /// How often a session may be taken over from a live connection within `takeover_window`.
    pub max_takeovers: u32,
    /// The time in which they are counted.
    #[serde(with = "humantime_serde")]
    pub takeover_window: Duration,
    /// How long nobody takes it over after that; whoever finds it detached may still resume it.
    #[serde(with = "humantime_serde")]
    pub takeover_ban: Duration,
    /// Sessions that are not there one address may ask for at once.
    pub failed_resumes_burst: u32,
    /// How many it may ask for a second after that.
    pub failed_resumes_per_second: u32,
    /// Ended sessions that are remembered, to answer 410 instead of 404.
    pub tombstones: usize,
    /// How long they are.
    #[serde(with = "humantime_serde")]
    pub tombstone_life: Duration,
    /// Subscriptions of one session.
    pub max_subscriptions: usize,
    /// Requests (to subscribe, to unsubscribe, to give a message back) one session may send at once.
    pub request_burst: u32,
    /// Requests a second after that; beyond, its connection is read more slowly.
    pub requests_per_second: u32,
}

impl Default for Sessions {
    fn default() -> Self {
        Self {
            reclaim_after: Duration::from_secs(90),
            max_reclaim_after: DAY,
            max_per_principal: 20_000,
            max_detached: 100_000,
            max_detached_per_principal: 10_000,
            max_takeovers: 15,
            takeover_window: MINUTE,
            takeover_ban: 5 * MINUTE,
            failed_resumes_burst: 4_096,
            failed_resumes_per_second: 10,
            tombstones: 10_000,
            tombstone_life: DAY,
            max_subscriptions: 1_000,
            request_burst: 2_000,
            requests_per_second: 500,
        }
    }
}

/// What publishers may have unacknowledged.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Publishing {
    /// Messages of one session without an acknowledgement; beyond, its connection is read more slowly.
    pub credit_messages: usize,
    /// Their bytes.
    #[serde(with = "size")]
    pub credit_bytes: usize,
    /// What all connections have decoded and no topic has accepted.
    #[serde(with = "size")]
    pub ingress_bytes: usize,
}

impl Default for Publishing {
    fn default() -> Self {
        Self { credit_messages: 8_192, credit_bytes: 4 * MIB, ingress_bytes: 256 * MIB }
    }
}

/// Bounds of topics and their backlogs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Topics {
    /// Topics in all.
    pub max: usize,
    /// Topics that one principal has created and that still exist. Not for `local`.
    pub max_per_principal: usize,
    /// Topics one principal may create at once. Not for `local`.
    pub create_burst: u32,
    /// Topics a second one principal may create after that. Not for `local`.
    pub create_per_second: u32,
    /// The longest topic or filter, at most [`crate::name::MAX_TOPIC_BYTES`].
    pub max_name_bytes: usize,
    /// The most levels in one, at most [`crate::name::MAX_TOPIC_LEVELS`].
    pub max_levels: usize,
    /// How long a topic without exact subscriber, publish and backlog is kept.
    #[serde(with = "humantime_serde")]
    pub idle_after: Duration,
    /// Messages a topic keeps for its first subscriber.
    pub backlog_messages: usize,
    /// Their bytes.
    #[serde(with = "size")]
    pub backlog_bytes: usize,
    /// How long it keeps them.
    #[serde(with = "humantime_serde")]
    pub backlog_life: Duration,
}

impl Topics {
    /// How long and how deep a topic or filter may be here.
    pub fn name_rules(&self) -> NameRules {
        NameRules { max_bytes: self.max_name_bytes, max_levels: self.max_levels }
    }
}

impl Default for Topics {
    fn default() -> Self {
        let NameRules { max_bytes, max_levels } = NameRules::default();
        Self {
            max: 100_000,
            max_per_principal: 10_000,
            create_burst: 100,
            create_per_second: 10,
            max_name_bytes: max_bytes,
            max_levels,
            idle_after: 10 * MINUTE,
            backlog_messages: 1_000,
            backlog_bytes: MIB,
            backlog_life: 10 * MINUTE,
        }
    }
}

/// Bounds of subscriptions' queues.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Queues {
    /// Messages of one queue, in flight and waiting.
    pub max_messages: usize,
    /// Their bytes.
    #[serde(with = "size")]
    pub max_bytes: usize,
    /// Messages of one queue that were given up and wait for an operator; `max_bytes` bounds their bytes, too.
    pub max_poison: usize,
    /// Messages a client may have unacknowledged before its subscription pauses.
    pub window_messages: usize,
    /// Their bytes.
    #[serde(with = "size")]
    pub window_bytes: usize,
    /// How long a client may acknowledge nothing before what is in flight is sent again.
    #[serde(with = "humantime_serde")]
    pub ack_timeout: Duration,
    /// How often a message is sent before it becomes poison.
    pub max_attempts: u32,
    /// How long a full queue may hold its publishers back. Zero: never.
    #[serde(with = "humantime_serde")]
    pub hold_publisher: Duration,
    /// Subscriptions in all.
    pub max_subscriptions: usize,
    /// What all queues and backlogs hold together.
    #[serde(with = "size")]
    pub all_bytes: usize,
}

impl Default for Queues {
    fn default() -> Self {
        Self {
            max_messages: 10_000,
            max_bytes: 16 * MIB,
            max_poison: 1_000,
            window_messages: 1_024,
            window_bytes: MIB,
            ack_timeout: Duration::from_secs(30),
            max_attempts: 5,
            hold_publisher: Duration::from_secs(2),
            max_subscriptions: 100_000,
            all_bytes: GIB,
        }
    }
}

/// When something has failed, and how often it is started again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Failures {
    /// Restarts of one topic or subscriber within `leaf_window` before it is given up. Zero: none.
    pub leaf_restarts: u32,
    /// The time they are counted in.
    #[serde(with = "humantime_serde")]
    pub leaf_window: Duration,
    /// Restarts of the managers within `manager_window` before the broker stops. Zero: none.
    pub manager_restarts: u32,
    /// The time they are counted in.
    #[serde(with = "humantime_serde")]
    pub manager_window: Duration,
    /// How long an actor may be in one message before it is called hung, and treated as failed. In whole seconds.
    #[serde(with = "humantime_serde")]
    pub hang_after: Duration,
}

impl Default for Failures {
    fn default() -> Self {
        Self {
            leaf_restarts: 3,
            leaf_window: MINUTE,
            manager_restarts: 3,
            manager_window: 10 * MINUTE,
            hang_after: Duration::from_secs(10),
        }
    }
}

/// Bounds of what operators ask for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Orders {
    /// Topics and principals that may be forbidden at once.
    pub max_forbidden: usize,
    /// Orders that may wait out a delay at once.
    pub max_waiting: usize,
    /// The longest delay.
    #[serde(with = "humantime_serde")]
    pub max_delay: Duration,
}

impl Default for Orders {
    fn default() -> Self {
        Self { max_forbidden: 1_000, max_waiting: 100, max_delay: 60 * MINUTE }
    }
}

/// Where operators' orders are recorded.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Audit {
    /// The file records are appended to, relative to the working directory. None: orders are events only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<PathBuf>,
}

/// A user: a name, a password's hash, and rights.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct User {
    /// Who a client that knows the password is.
    pub name: Principal,
    /// The password, as an argon2id PHC string. Never shown.
    pub password_hash: PasswordHash,
    /// What the user may do; nothing else.
    #[serde(default)]
    pub allow: Grants,
    /// What the user may not do, whatever `allow` says.
    #[serde(default)]
    pub deny: Grants,
}

/// Filters for each action.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Grants {
    /// Topics to publish to.
    pub publish: Vec<Filter>,
    /// Topics to receive from.
    pub subscribe: Vec<Filter>,
    /// Topics to create by publishing or subscribing.
    pub create: Vec<Filter>,
    /// Topics to give operator's orders about.
    pub operate: Vec<Filter>,
}

impl Grants {
    /// The filters for one action.
    pub fn of(&self, action: Action) -> &[Filter] {
        match action {
            Action::Publish => &self.publish,
            Action::Subscribe => &self.subscribe,
            Action::Create => &self.create,
            Action::Operate => &self.operate,
        }
    }
}

#[cfg(test)]
mod tests;
