//! The limits that can be hit, and how often each was, from the start. Pure.

use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
};

macro_rules! limits {
    ($($(#[$doc:meta])* $name:ident = $key:literal),* $(,)?) => {
        /// Every limit that can be hit. Most have the name of the key that sets them; those without a dot are fixed.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub(crate) enum Limit {
            $($(#[$doc])* $name,)*
        }

        impl Limit {
            const KEYS: [&'static str; [$($key),*].len()] = [$($key),*];

            /// Its name, for operators and clients.
            pub(crate) fn key(self) -> &'static str {
                Self::KEYS[self as usize]
            }
        }
    };
}

limits! {
    /// Connections in all.
    Connections = "connections.max",
    /// Connections that have not registered; the oldest of them gives its place up.
    Unregistered = "connections.max_unregistered",
    /// Connections from one address.
    PerAddress = "connections.max_per_address",
    /// New connections from one address, in a time.
    Connects = "connections.connects_per_second",
    /// The time to register.
    RegistrationDeadline = "connections.registration_deadline",
    /// The time a client may be silent.
    KeepAlive = "connections.keep_alive",
    /// The time a client may take nothing.
    Stall = "connections.stall_after",
    /// The time a frame that was begun may take.
    FrameDeadline = "connections.frame_deadline",
    /// The size of a frame, or of a control frame.
    Frame = "connections.max_frame_bytes",
    /// What waits to be written to one connection.
    Outbound = "connections.outbound_bytes",
    /// Registrations that wait for their password to be checked.
    LoginsWaiting = "logins.max_waiting",
    /// Those of one address.
    LoginsWaitingPerAddress = "logins.max_waiting_per_address",
    /// Failed log-ins from one address, in a time.
    FailedLogins = "logins.failures_per_minute",
    /// Failed log-ins as one user, in a time.
    FailedLoginsOfName = "logins.name_failures_per_minute",
    /// Sessions of one user.
    SessionsPerPrincipal = "sessions.max_per_principal",
    /// Sessions that wait for their clients.
    Detached = "sessions.max_detached",
    /// Those of one user.
    DetachedPerPrincipal = "sessions.max_detached_per_principal",
    /// Takeovers of one session, in a time.
    Takeovers = "sessions.max_takeovers",
    /// Attempts from one address to resume what is not there, in a time.
    FailedResumes = "sessions.failed_resumes_per_second",
    /// Requests of one session, in a time.
    Requests = "sessions.requests_per_second",
    /// Subscriptions of one session.
    SubscriptionsPerSession = "sessions.max_subscriptions",
    /// Messages and bytes one connection has published and not had settled.
    Credit = "publishing.credit_messages",
    /// What no topic has accepted yet.
    Ingress = "publishing.ingress_bytes",
    /// Topics in all.
    Topics = "topics.max",
    /// Topics of one user.
    TopicsPerPrincipal = "topics.max_per_principal",
    /// Topics one user creates, in a time.
    TopicCreation = "topics.create_per_second",
    /// The bytes of a name.
    NameBytes = "topics.max_name_bytes",
    /// The levels of a name.
    NameLevels = "topics.max_levels",
    /// Messages and bytes of a backlog.
    Backlog = "topics.backlog_messages",
    /// Messages and bytes of a queue.
    Queue = "queues.max_messages",
    /// Messages that were given up.
    Poison = "queues.max_poison",
    /// Messages and bytes in flight.
    Window = "queues.window_messages",
    /// Subscriptions in all.
    Subscriptions = "queues.max_subscriptions",
    /// What all queues hold together.
    Memory = "queues.all_bytes",
    /// Topics and principals that are forbidden.
    Forbidden = "orders.max_forbidden",
    /// Orders that wait out a delay.
    WaitingOrders = "orders.max_waiting",
    /// The longest delay of an order.
    OrderDelay = "orders.max_delay",
    /// Requests that wait while another on the same filter is being handled.
    RequestsPerFilter = "requests on one filter",
    /// Replies that a client does not read.
    Replies = "unread replies",
    /// What the operating system grants: descriptors, mostly.
    Accept = "accept",
}

impl Limit {
    /// True if hitting it is said on the bus. One that only makes its client wait is its ordinary pace, and what a full queue
    /// or backlog drops has an event of its own: they are counted.
    pub(crate) fn is_told(self) -> bool {
        let is_pace = matches!(self, Self::Outbound | Self::Requests | Self::Credit | Self::Window | Self::Replies);
        !is_pace && !matches!(self, Self::Backlog | Self::Queue)
    }
}

/// How often each limit was hit.
#[derive(Debug)]
pub(crate) struct Limits([AtomicU64; Limit::KEYS.len()]);

impl Default for Limits {
    fn default() -> Self {
        Self(std::array::from_fn(|_| AtomicU64::new(0)))
    }
}

impl Limits {
    pub(crate) fn count(&self, limit: Limit, times: u64) {
        self.0[limit as usize].fetch_add(times, Relaxed);
    }

    /// By the name of each.
    pub(crate) fn totals(&self) -> BTreeMap<&'static str, u64> {
        Limit::KEYS.into_iter().zip(self.0.iter().map(|total| total.load(Relaxed))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a client waits for is no news; that it waited is known all the same.
    #[test]
    fn a_pace_is_counted_and_not_told() {
        let limits = Limits::default();
        for limit in [Limit::Window, Limit::Frame] {
            limits.count(limit, 1);
        }
        assert_eq!((Limit::Window.is_told(), Limit::Frame.is_told()), (false, true));
        let totals = limits.totals();
        assert_eq!((totals["queues.window_messages"], totals["connections.max_frame_bytes"], totals["topics.max"]), (1, 1, 0));
    }
}
