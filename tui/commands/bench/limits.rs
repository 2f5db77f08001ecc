//! The limits of our broker that a load would meet: they are raised for it, and that is said. Pure.

use std::fmt;

use cordboard::Config;

use super::plan::{Amount, Plan};
use crate::cli::{Company, Workload};

/// Connections, descriptors and sessions beyond those of the load.
const SPARE: usize = 16;
/// What a queued message takes besides its payload, at most, in the broker's own account.
const RECORD: usize = 128;
/// Filters that one further session subscribes to: what a session may.
pub(super) const FILTERS_EACH: usize = 1_000;

/// Keys and values for the broker's configuration.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Raised(Vec<(&'static str, usize)>);

impl Raised {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What `plan` needs and the default does not grant.
    pub(super) fn for_plan(plan: &Plan) -> Self {
        let default = Config::default();
        let connections = connections(plan) + SPARE;
        let mut raised = Self::default();
        raised.to(connections, "connections.max", default.connections.max);
        raised.to(connections, "connections.max_per_address", default.connections.max_per_address);
        raised.to(connections, "connections.connect_burst", default.connections.connect_burst as usize);
        raised.to(connections, "sessions.max_per_principal", default.sessions.max_per_principal);
        if plan.workload == Workload::Connections {
            raised.to(connections, "sessions.max_detached", default.sessions.max_detached);
            raised.to(connections, "sessions.max_detached_per_principal", default.sessions.max_detached_per_principal);
        }
        if let Some(messages) = letters(plan) {
            let (messages, bytes) = (messages as usize, (messages as usize).saturating_mul(plan.payload + RECORD));
            raised.to(messages, "queues.max_messages", default.queues.max_messages);
            raised.to(bytes, "queues.max_bytes", default.queues.max_bytes);
            raised.to(bytes, "queues.all_bytes", default.queues.all_bytes);
        }
        let topics = plan.topics.max(plan.lanes()) + usize::from(plan.beside.is_some());
        raised.to(topics + plan.other_topics, "topics.max", default.topics.max);
        let filters = plan.filters_of_subscriber();
        raised.to(filters, "sessions.max_subscriptions", default.sessions.max_subscriptions);
        raised.to(filters, "sessions.request_burst", default.sessions.request_burst as usize);
        let subscriptions = plan.filters + plan.subscribers() * filters + usize::from(plan.beside.is_some());
        raised.to(subscriptions, "queues.max_subscriptions", default.queues.max_subscriptions);
        raised
    }

    fn to(&mut self, needed: usize, key: &'static str, granted: usize) {
        if needed > granted {
            self.0.push((key, needed));
        }
    }

    /// In one line, for people.
    pub(super) fn told(&self) -> String {
        let told: Vec<String> = self.0.iter().map(|(key, value)| format!("{key} = {value}")).collect();
        told.join(", ")
    }
}

/// As a configuration.
impl fmt::Display for Raised {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|(key, value)| writeln!(f, "{key} = {value}"))
    }
}

/// How many wait at once for a subscriber that is away.
fn letters(plan: &Plan) -> Option<u64> {
    match (plan.workload, plan.amount, plan.beside) {
        (Workload::Offline, Amount::Messages(messages), _) => Some(messages),
        (_, _, Some(Company::Drain)) => Some(plan.letters),
        _ => None,
    }
}

/// How many there are at once.
pub(super) fn connections(plan: &Plan) -> usize {
    if plan.workload == Workload::Connections {
        return plan.clients;
    }
    if plan.workload == Workload::Idle {
        return 0;
    }
    let background = plan.filters.div_ceil(FILTERS_EACH) + usize::from(plan.other_topics > 0);
    let company = if plan.beside.is_some() { 2 } else { 0 };
    plan.publishers() + plan.subscribers() + background + company
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        cli::Workload,
        commands::bench::plan::{Amount, tests::planned},
    };

    fn raised(line: &str) -> String {
        Raised::for_plan(&planned(line).unwrap()).told()
    }

    #[test]
    fn a_limit_is_raised_only_if_it_would_be_met() {
        for line in ["", "fanout", "offline --count 10000 --payload 16", "connections --clients 4000", "topics --filters 5000"] {
            assert_eq!(raised(line), "", "{line}");
        }
        let told = raised("connections");
        assert!(
            told.contains("connections.max_per_address = 10016") && told.contains("sessions.max_detached_per_principal = 10016"),
            "{told}"
        );
        assert!(!told.contains("connections.max ="), "{told}");
        let told = raised("offline");
        assert!(told.starts_with("queues.max_messages = 100000, queues.max_bytes = "), "{told}");
        let told = raised("latency --beside drain");
        assert!(told.starts_with("queues.max_messages = 1000000, queues.max_bytes = 144000000"), "{told}");
        assert_eq!(raised("latency --beside flood"), "");
        assert_eq!(raised("--other-topics 100000"), "topics.max = 100001");
        assert_eq!(raised("topics --topics 2000"), "sessions.max_subscriptions = 2000");
        let told = raised("topics --topics 3000");
        assert_eq!(told, "sessions.max_subscriptions = 3000, sessions.request_burst = 3000");
        assert_eq!(raised("topics --topics 200000 --wildcard"), "topics.max = 200000");
    }

    /// The broker takes what is written for it.
    #[test]
    fn what_is_raised_is_a_configuration() {
        for line in ["connections --clients 70000", "offline --count 10000000", "--filters 200000 --other-topics 200000"] {
            let plan = planned(line).unwrap();
            let config = Config::parse(&Raised::for_plan(&plan).to_string(), "raised").unwrap();
            match (plan.workload, plan.amount) {
                (Workload::Connections, _) => assert!(config.connections.max > 70_000),
                (Workload::Offline, Amount::Messages(messages)) => assert_eq!(config.queues.max_messages as u64, messages),
                _ => assert!(config.topics.max > 200_000 && config.queues.max_subscriptions > 200_000),
            }
        }
    }

    #[test]
    fn everyone_who_connects_is_counted() {
        let count = |line: &str| connections(&planned(line).unwrap());
        assert_eq!(
            [count(""), count("fanin --clients 7"), count("pairs --clients 7"), count("connections --clients 7")],
            [2, 8, 14, 7]
        );
        assert_eq!([count("latency --clients 7 --beside flood"), count("idle")], [16, 0]);
        assert_eq!(count("--filters 1001 --other-topics 1"), 5);
    }
}
