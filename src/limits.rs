//! Limits that were hit: each is told to the one who hit it, counted, and said on the bus at most once a second.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

/// The most (limit, cause) pairs remembered; beyond it the causes of a limit are counted together.
const PAIRS: usize = 1_024;

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
    fn is_told(self) -> bool {
        let is_pace = matches!(self, Self::Outbound | Self::Requests | Self::Credit | Self::Window | Self::Replies);
        !is_pace && !matches!(self, Self::Backlog | Self::Queue)
    }
}

/// Which limits were hit, by whom, since they were last told; and how often each was, from the start.
#[derive(Debug, Default)]
pub(crate) struct Limits {
    totals: Totals,
    hits: Mutex<HashMap<(&'static str, String), Hits>>,
}

#[derive(Debug)]
struct Totals([AtomicU64; Limit::KEYS.len()]);

impl Default for Totals {
    fn default() -> Self {
        Self(std::array::from_fn(|_| AtomicU64::new(0)))
    }
}

#[derive(Debug, Clone, Copy)]
struct Hits {
    told: Instant,
    untold: u64,
}

impl Limits {
    /// Counts a hit of `limit` by `who`. Returns how many to tell now, if it is one to be told and it is time.
    pub(crate) fn hit(&self, limit: Limit, who: &str, now: Instant) -> Option<u64> {
        self.count(limit, 1);
        if limit.is_told() { self.told(limit.key(), who, now) } else { None }
    }

    /// Counts hits that are told elsewhere, or nowhere.
    pub(crate) fn count(&self, limit: Limit, times: u64) {
        self.totals.0[limit as usize].fetch_add(times, Relaxed);
    }

    /// How often each limit was hit.
    pub(crate) fn totals(&self) -> BTreeMap<&'static str, u64> {
        Limit::KEYS.into_iter().zip(self.totals.0.iter().map(|total| total.load(Relaxed))).collect()
    }

    /// Counts what happens again and again. Returns how many to tell now, if it is time.
    pub(crate) fn told(&self, limit: &'static str, who: &str, now: Instant) -> Option<u64> {
        let mut hits = self.hits.lock().unwrap_or_else(PoisonError::into_inner);
        if hits.len() >= PAIRS {
            hits.retain(|_, hits| now.duration_since(hits.told) < Duration::from_mins(1));
        }
        let who = if hits.len() >= PAIRS { "many" } else { who };
        match hits.get_mut(&(limit, who.to_owned())) {
            None => {
                hits.insert((limit, who.to_owned()), Hits { told: now, untold: 0 });
                Some(1)
            }
            Some(known) => {
                known.untold += 1;
                (now.duration_since(known.told) >= Duration::from_secs(1)).then(|| {
                    known.told = now;
                    std::mem::take(&mut known.untold)
                })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A million refused topics are a million counts and one line a second.
    #[test]
    fn a_flood_is_told_once_a_second_with_its_count() {
        let (limits, start) = (Limits::default(), Instant::now());
        assert_eq!(limits.told("topics.max", "ana", start), Some(1));
        for _ in 0..500 {
            assert_eq!(limits.told("topics.max", "ana", start), None);
        }
        assert_eq!(limits.told("topics.max", "bob", start), Some(1));
        assert_eq!(limits.told("topics.max", "ana", start + Duration::from_secs(1)), Some(501));
    }

    /// What a client waits for is no news; that it waited is known all the same.
    #[test]
    fn a_pace_is_counted_and_not_told() {
        let (limits, now) = (Limits::default(), Instant::now());
        assert_eq!((limits.hit(Limit::Window, "ana", now), limits.hit(Limit::Frame, "ana", now)), (None, Some(1)));
        let totals = limits.totals();
        assert_eq!((totals["queues.window_messages"], totals["connections.max_frame_bytes"], totals["topics.max"]), (1, 1, 0));
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let (limits, start) = (Limits::default(), Instant::now());
        for n in 0..PAIRS * 2 {
            limits.told("connections.max_per_address", &n.to_string(), start);
        }
        assert!(limits.hits.lock().unwrap().len() <= PAIRS + 1);
    }
}
