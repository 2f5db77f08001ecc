//! What will be done: a workload with all its numbers, and who talks to whom. Made from the command line, or said to make no
//! sense; pure.

use std::{ops::Range, time::Duration};

use crate::cli::{Acks, BenchArgs, UsageError, Workload};

/// The largest payload: brokers take a MiB with what stands around it, unless told otherwise.
const MAX_PAYLOAD: usize = 1_000_000;
/// How long a workload with a rate goes on if nothing is said.
const PACED: Duration = Duration::from_secs(10);
/// Bytes that publishers may be ahead, in whatever number of messages: well below what makes nats-server give a client up.
const WINDOW_BYTES: u64 = 16 << 20;
const WINDOW: u64 = 100_000;

/// How much is published.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Amount {
    Messages(u64),
    Time(Duration),
}

/// A workload with all its numbers.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Plan {
    pub(super) workload: Workload,
    pub(super) clients: usize,
    pub(super) topics: usize,
    pub(super) payload: usize,
    pub(super) amount: Amount,
    /// Messages a second of each publisher, if not as fast as can be.
    pub(super) rate: Option<u32>,
    pub(super) window: u64,
    pub(super) acks: Acks,
    pub(super) filters: usize,
    pub(super) other_topics: usize,
}

/// What a workload is unless something else is said.
struct Defaults {
    clients: usize,
    topics: usize,
    payload: usize,
    messages: u64,
    rate: Option<u32>,
    acks: Acks,
    /// The options that mean something to it, besides those about brokers and rounds.
    takes: &'static [&'static str],
}

const LOAD: [&str; 6] = ["--payload", "--count", "--duration", "--ack", "--filters", "--other-topics"];

impl Defaults {
    fn of(workload: Workload) -> Self {
        let usual =
            Self { clients: 1, topics: 1, payload: 16, messages: 2_000_000, rate: None, acks: Acks::None, takes: &["--window"] };
        match workload {
            Workload::OneToOne => Self { messages: 5_000_000, ..usual },
            Workload::Fanout => Self { clients: 100, messages: 200_000, takes: &["--window", "--clients"], ..usual },
            Workload::Fanin | Workload::Pairs => Self { clients: 100, takes: &["--window", "--clients"], ..usual },
            Workload::Topics => Self { topics: 16, takes: &["--window", "--topics"], ..usual },
            Workload::Trickle => Self { clients: 50, rate: Some(500), takes: &["--clients", "--rate"], ..usual },
            Workload::Latency => Self { rate: Some(1_000), takes: &["--rate"], ..usual },
            Workload::Offline => Self { payload: 256, messages: 100_000, acks: Acks::Explicit, takes: &[], ..usual },
            Workload::Connections => Self { clients: 10_000, messages: 0, takes: &["--clients"], ..usual },
            // Each of its cases has its own.
            Workload::All => Self { takes: &["--clients"], ..usual },
        }
    }

    fn takes(&self, workload: Workload, option: &str) -> bool {
        let of_load = match workload {
            Workload::Connections => false,
            Workload::Offline => matches!(option, "--payload" | "--count" | "--filters" | "--other-topics"),
            Workload::All => matches!(option, "--count"),
            _ => LOAD.contains(&option),
        };
        of_load || self.takes.contains(&option)
    }
}

impl Plan {
    /// What the command line asks for.
    pub(super) fn new(args: &BenchArgs) -> Result<Self, UsageError> {
        let (workload, defaults) = (args.workload, Defaults::of(args.workload));
        if let Some(option) = given(args).into_iter().find(|option| !defaults.takes(workload, option)) {
            let takers: Vec<String> =
                ALL.into_iter().filter(|other| Defaults::of(*other).takes(*other, option)).map(|w| w.to_string()).collect();
            return Err(UsageError(format!("{option} means nothing to {workload}; it is for {}", takers.join(", "))));
        }
        let payload = args.payload.unwrap_or(defaults.payload);
        if payload > MAX_PAYLOAD {
            return Err(UsageError(format!("--payload {payload} is more than a broker takes; use at most {MAX_PAYLOAD}")));
        }
        let clients = args.clients.unwrap_or(defaults.clients);
        let rate = args.rate.or(defaults.rate);
        let amount = match (args.count, args.duration, rate) {
            (Some(count), _, _) => Amount::Messages(count),
            (None, Some(time), _) => Amount::Time(time),
            (None, None, Some(_)) => Amount::Time(PACED),
            (None, None, None) => Amount::Messages(defaults.messages),
        };
        Ok(Self {
            workload,
            clients,
            topics: args.topics.unwrap_or(defaults.topics),
            payload,
            amount,
            rate,
            window: args.window.unwrap_or(WINDOW).min((WINDOW_BYTES / payload.max(1) as u64).max(1)),
            acks: args.ack.unwrap_or(defaults.acks),
            filters: args.filters,
            other_topics: args.other_topics,
        })
    }

    /// Who publishes.
    pub(super) fn publishers(&self) -> usize {
        match self.workload {
            Workload::Fanin | Workload::Pairs | Workload::Trickle => self.clients,
            _ => 1,
        }
    }

    /// Who subscribes.
    pub(super) fn subscribers(&self) -> usize {
        match self.workload {
            Workload::Fanout | Workload::Pairs | Workload::Trickle => self.clients,
            _ => 1,
        }
    }

    /// What each publisher's messages to one topic are: each publisher has one topic, or the one publisher all.
    pub(super) fn streams(&self) -> usize {
        self.publishers() * self.topics
    }

    /// The streams of one publisher.
    pub(super) fn streams_of_publisher(&self, publisher: usize) -> Range<usize> {
        publisher * self.topics..(publisher + 1) * self.topics
    }

    /// The topic of one stream.
    pub(super) fn topic_of(&self, stream: usize) -> usize {
        if self.workload == Workload::Fanin { 0 } else { stream }
    }

    /// The streams that one subscriber gets.
    pub(super) fn streams_of_subscriber(&self, subscriber: usize) -> Range<usize> {
        if self.has_pairs() { subscriber..subscriber + 1 } else { 0..self.streams() }
    }

    /// The topics that one subscriber subscribes to.
    pub(super) fn topics_of_subscriber(&self, subscriber: usize) -> Range<usize> {
        if self.has_pairs() { subscriber..subscriber + 1 } else { 0..self.topics }
    }

    /// Publishers and subscribers that have to do with one another are in one lane; a window is of a lane.
    pub(super) fn lanes(&self) -> usize {
        if self.has_pairs() { self.clients } else { 1 }
    }

    /// The lane of a publisher, or of a subscriber.
    pub(super) fn lane_of(&self, client: usize) -> usize {
        if self.has_pairs() { client } else { 0 }
    }

    /// How often each message is delivered.
    pub(super) fn copies(&self) -> usize {
        if self.workload == Workload::Fanout { self.clients } else { 1 }
    }

    fn has_pairs(&self) -> bool {
        matches!(self.workload, Workload::Pairs | Workload::Trickle)
    }

    /// In a line, what was measured.
    pub(super) fn title(&self) -> String {
        let n = match self.workload {
            Workload::Fanout => format!(", 1 to {}", self.clients),
            Workload::Fanin => format!(", {} to 1", self.clients),
            Workload::Topics => format!(", {} topics", self.topics),
            Workload::Pairs | Workload::Trickle => format!(", {} pairs", self.clients),
            Workload::Connections => return format!("connections, {}", super::super::grouped(self.clients as u64)),
            _ => String::new(),
        };
        let rate = self.rate.map(|rate| format!(", {}/s each", super::super::grouped(rate.into()))).unwrap_or_default();
        let acks = if self.acks == Acks::Explicit && self.workload != Workload::Offline { ", acks on both sides" } else { "" };
        let filters = if self.filters > 0 {
            format!(", {} other filters", super::super::grouped(self.filters as u64))
        } else {
            String::new()
        };
        let topics = if self.other_topics > 0 {
            format!(", {} other topics", super::super::grouped(self.other_topics as u64))
        } else {
            String::new()
        };
        format!("{}{n}, {} B{rate}{acks}{filters}{topics}", self.workload, self.payload)
    }
}

const ALL: [Workload; 10] = [
    Workload::OneToOne,
    Workload::Fanout,
    Workload::Fanin,
    Workload::Topics,
    Workload::Pairs,
    Workload::Trickle,
    Workload::Latency,
    Workload::Offline,
    Workload::Connections,
    Workload::All,
];

/// The options about the load that were given.
fn given(args: &BenchArgs) -> Vec<&'static str> {
    let given = [
        (args.payload.is_some(), "--payload"),
        (args.count.is_some(), "--count"),
        (args.duration.is_some(), "--duration"),
        (args.clients.is_some(), "--clients"),
        (args.topics.is_some(), "--topics"),
        (args.rate.is_some(), "--rate"),
        (args.window.is_some(), "--window"),
        (args.ack.is_some(), "--ack"),
        (args.filters > 0, "--filters"),
        (args.other_topics > 0, "--other-topics"),
    ];
    given.into_iter().filter_map(|(is_given, option)| is_given.then_some(option)).collect()
}
