//! What a configuration must be besides well-formed: no zero that would stop everything, nothing that could never fit.

use std::{collections::BTreeSet, fmt, time::Duration};

use super::{Config, ConfigError, KIB, MIB, size};
use crate::{
    auth::Rights,
    name::{MAX_TOPIC_BYTES, MAX_TOPIC_LEVELS},
};

/// The longest any time may be: the broker's timer queue looks no further ahead than this by far.
const MAX_TIME: Duration = Duration::from_hours(30 * 24);

/// One thing that makes no sense, and what would.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The key, as `section.key`.
    pub key: String,
    /// What it is, and what would work.
    pub why: String,
    /// Which of several keys of that path, in the order of the file.
    pub(super) nth: usize,
    /// The key it cannot go with, if it is one of two.
    pub(super) against: Option<&'static str>,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.key, self.why)
    }
}

impl std::error::Error for Fault {}

impl Fault {
    fn new(key: &str, why: impl Into<String>) -> Self {
        Self { key: key.to_owned(), why: why.into(), nth: 0, against: None }
    }

    /// It is what it is because of another key.
    fn against(self, key: &'static str) -> Self {
        Self { against: Some(key), ..self }
    }
}

impl Config {
    /// Checks what no single value shows. [`Config::parse`] has done so; do it again after changing anything.
    ///
    /// # Errors
    /// [`ConfigError::Invalid`] with the first [`Fault`] found.
    pub fn validate(&self) -> Result<(), ConfigError> {
        self.check().map_err(|fault| ConfigError::Invalid { place: String::new(), fault })
    }

    pub(super) fn check(&self) -> Result<(), Fault> {
        self.faults().into_iter().next().map_or(Ok(()), Err)
    }

    /// Everything that makes no sense.
    pub(super) fn faults(&self) -> Vec<Fault> {
        let mut faults = Vec::new();
        self.check_counts(&mut faults);
        self.check_times(&mut faults);
        self.check_sizes(&mut faults);
        self.check_names(&mut faults);
        self.check_users(&mut faults);
        self.check_listen(&mut faults);
        faults
    }

    fn check_counts(&self, faults: &mut Vec<Fault>) {
        let Self { connections, logins, sessions, publishing, topics, queues, orders, .. } = self;
        for (key, count) in [
            ("connections.max", connections.max),
            ("connections.max_unregistered", connections.max_unregistered),
            ("connections.max_per_address", connections.max_per_address),
            ("connections.connect_burst", connections.connect_burst as usize),
            ("connections.connects_per_second", connections.connects_per_second as usize),
            ("logins.max_waiting", logins.max_waiting),
            ("logins.max_waiting_per_address", logins.max_waiting_per_address),
            ("logins.failures_burst", logins.failures_burst as usize),
            ("logins.failures_per_minute", logins.failures_per_minute as usize),
            ("logins.name_failures_burst", logins.name_failures_burst as usize),
            ("logins.name_failures_per_minute", logins.name_failures_per_minute as usize),
            ("sessions.max_per_principal", sessions.max_per_principal),
            ("sessions.max_detached", sessions.max_detached),
            ("sessions.max_detached_per_principal", sessions.max_detached_per_principal),
            ("sessions.max_takeovers", sessions.max_takeovers as usize),
            ("sessions.failed_resumes_burst", sessions.failed_resumes_burst as usize),
            ("sessions.failed_resumes_per_second", sessions.failed_resumes_per_second as usize),
            ("sessions.tombstones", sessions.tombstones),
            ("sessions.max_subscriptions", sessions.max_subscriptions),
            ("sessions.request_burst", sessions.request_burst as usize),
            ("sessions.requests_per_second", sessions.requests_per_second as usize),
            ("publishing.credit_messages", publishing.credit_messages),
            ("topics.max", topics.max),
            ("topics.max_per_principal", topics.max_per_principal),
            ("topics.create_burst", topics.create_burst as usize),
            ("topics.create_per_second", topics.create_per_second as usize),
            ("topics.backlog_messages", topics.backlog_messages),
            ("queues.max_messages", queues.max_messages),
            ("queues.max_poison", queues.max_poison),
            ("queues.window_messages", queues.window_messages),
            ("queues.max_attempts", queues.max_attempts as usize),
            ("queues.max_subscriptions", queues.max_subscriptions),
            ("orders.max_forbidden", orders.max_forbidden),
            ("orders.max_waiting", orders.max_waiting),
        ] {
            if count == 0 {
                faults.push(Fault::new(key, "is 0; use at least 1"));
            }
            // Counts go to clients as u32.
            if u32::try_from(count).is_err() {
                faults.push(Fault::new(key, format!("is {count}; use at most {}", u32::MAX)));
            }
        }
        // No window goes with a queue of nothing; that is said already.
        if queues.max_messages > 0 && queues.window_messages > queues.max_messages {
            let (window, queue) = (queues.window_messages, queues.max_messages);
            let why = format!("is {window}, more than queues.max_messages; use at most {queue}, or raise that");
            faults.push(Fault::new("queues.window_messages", why).against("queues.max_messages"));
        }
    }

    fn check_times(&self, faults: &mut Vec<Fault>) {
        let Self { connections, logins, sessions, topics, queues, failures, orders, .. } = self;
        for (key, time) in [
            ("connections.registration_deadline", connections.registration_deadline),
            ("connections.keep_alive", connections.keep_alive),
            ("connections.stall_after", connections.stall_after),
            ("connections.frame_deadline", connections.frame_deadline),
            ("connections.drain_deadline", connections.drain_deadline),
            ("logins.slow_answer", logins.slow_answer),
            ("sessions.reclaim_after", sessions.reclaim_after),
            ("sessions.max_reclaim_after", sessions.max_reclaim_after),
            ("sessions.takeover_window", sessions.takeover_window),
            ("sessions.takeover_ban", sessions.takeover_ban),
            ("sessions.tombstone_life", sessions.tombstone_life),
            ("topics.idle_after", topics.idle_after),
            ("topics.backlog_life", topics.backlog_life),
            ("queues.ack_timeout", queues.ack_timeout),
            ("failures.leaf_window", failures.leaf_window),
            ("failures.manager_window", failures.manager_window),
            ("failures.hang_after", failures.hang_after),
            ("orders.max_delay", orders.max_delay),
        ] {
            if time < Duration::from_millis(1) {
                faults.push(Fault::new(key, "is less than a millisecond; use at least \"1ms\""));
            }
            if time > MAX_TIME {
                faults.push(Fault::new(key, "is too long; use at most \"30days\""));
            }
        }
        if (Duration::from_millis(1)..Duration::from_secs(1)).contains(&failures.hang_after) {
            let why = "is less than a second, which is how often it is looked at; use at least \"1s\"";
            faults.push(Fault::new("failures.hang_after", why));
        }
        if logins.slow_answer >= connections.registration_deadline {
            let why =
                "is not less than connections.registration_deadline, so nobody would hear the answer; lower it, or raise that";
            faults.push(Fault::new("logins.slow_answer", why).against("connections.registration_deadline"));
        }
        if queues.hold_publisher > MAX_TIME {
            faults.push(Fault::new("queues.hold_publisher", "is too long; use at most \"30days\""));
        }
        if sessions.reclaim_after > sessions.max_reclaim_after {
            let why = "is longer than sessions.max_reclaim_after; raise that too";
            faults.push(Fault::new("sessions.reclaim_after", why).against("sessions.max_reclaim_after"));
        }
    }

    fn check_sizes(&self, faults: &mut Vec<Fault>) {
        let Self { connections, publishing, topics, queues, .. } = self;
        let frame = connections.max_frame_bytes;
        if !(KIB..=16 * MIB).contains(&frame) {
            let why = format!("is {}; use \"1KiB\" to \"16MiB\"", size::format(frame));
            faults.push(Fault::new("connections.max_frame_bytes", why));
            // What is measured by it would be measured by a mistake.
            return;
        }
        // A bound below the largest frame would refuse, or hold for ever, a message that the frame limit allows.
        for (key, bytes, least, whose) in [
            ("connections.outbound_bytes", connections.outbound_bytes, frame, "connections.max_frame_bytes"),
            ("publishing.credit_bytes", publishing.credit_bytes, frame, "connections.max_frame_bytes"),
            ("publishing.ingress_bytes", publishing.ingress_bytes, publishing.credit_bytes, "publishing.credit_bytes"),
            ("topics.backlog_bytes", topics.backlog_bytes, frame, "connections.max_frame_bytes"),
            ("queues.window_bytes", queues.window_bytes, frame, "connections.max_frame_bytes"),
            ("queues.max_bytes", queues.max_bytes, queues.window_bytes, "queues.window_bytes"),
            ("queues.all_bytes", queues.all_bytes, queues.max_bytes, "queues.max_bytes"),
        ] {
            if bytes < least {
                let (bytes, least) = (size::format(bytes), size::format(least));
                let why = format!("is {bytes}, less than {whose}; use at least \"{least}\"");
                faults.push(Fault::new(key, why).against(whose));
            }
        }
    }

    fn check_names(&self, faults: &mut Vec<Fault>) {
        for (key, value, max) in [
            ("topics.max_name_bytes", self.topics.max_name_bytes, MAX_TOPIC_BYTES),
            ("topics.max_levels", self.topics.max_levels, MAX_TOPIC_LEVELS),
        ] {
            if !(1..=max).contains(&value) {
                faults.push(Fault::new(key, format!("is {value}; use 1 to {max}")));
            }
        }
    }

    fn check_users(&self, faults: &mut Vec<Fault>) {
        let mut names = BTreeSet::new();
        for (nth, user) in self.users.iter().enumerate() {
            let mut refuse = |why: String| faults.push(Fault { nth, ..Fault::new("users.name", why) });
            if user.name.is_local() {
                refuse("is local, which is who everyone is while there are no users; use another".to_owned());
            }
            if !names.insert(&user.name) {
                refuse(format!("is {} a second time; keep one of them", user.name));
            }
            if let Err(error) = Rights::for_user(&user.name, &user.allow, &user.deny) {
                refuse(error.to_string());
            }
        }
    }

    fn check_listen(&self, faults: &mut Vec<Fault>) {
        if self.listen.is_empty() {
            faults.push(Fault::new("listen", "is empty; give at least one address, as in [\"127.0.0.1:2673\"]"));
        }
        let mut addresses = BTreeSet::new();
        for address in &self.listen {
            if address.port() != 0 && !addresses.insert(address) {
                faults.push(Fault::new("listen", format!("has {address} twice; keep one of them")));
            }
            if self.users.is_empty() && !address.ip().to_canonical().is_loopback() {
                let why =
                    format!("has {address}, which other machines reach, and there are no users; add [[users]] or use 127.0.0.1");
                faults.push(Fault::new("listen", why).against("users"));
            }
        }
    }
}
