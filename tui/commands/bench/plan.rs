//! What will be done: a workload with all its numbers, and who talks to whom. Made from the command line, or said to make no
//! sense; pure.

use std::{ops::Range, time::Duration};

use clap::ValueEnum as _;

use super::{
    super::grouped,
    verify::{MAX_STREAMS, STAMP},
};
use crate::cli::{Acks, BenchArgs, Company, UsageError, Workload};

/// The largest payload: brokers take a MiB with what stands around it, unless told otherwise.
const MAX_PAYLOAD: usize = 1_000_000;
/// How long a workload with a rate goes on if nothing is said.
const PACED: Duration = Duration::from_secs(10);
/// Bytes that publishers may be ahead, in whatever number of messages: well below what makes nats-server give a client up.
const WINDOW_BYTES: u64 = 16 << 20;
const WINDOW: u64 = 100_000;
/// Dead letters that are drained if nothing is said.
const LETTERS: u64 = 1_000_000;
/// Who has company has enough of it when the quiet clients are through, and not before.
const UNTIL_ENOUGH: Duration = Duration::from_hours(24);

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
    /// All of them with one filter.
    pub(super) wildcard: bool,
    pub(super) payload: usize,
    pub(super) amount: Amount,
    /// Messages a second of each publisher, if not as fast as can be.
    pub(super) rate: Option<u32>,
    pub(super) window: u64,
    pub(super) acks: Acks,
    pub(super) filters: usize,
    pub(super) other_topics: usize,
    /// Who else is there.
    pub(super) beside: Option<Company>,
    /// Dead letters that are drained by that company.
    pub(super) letters: u64,
    /// The number of its first topic: those of two plans at once differ.
    pub(super) first_topic: usize,
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
            Workload::Fanout => Self { clients: 100, messages: 300_000, takes: &["--window", "--clients"], ..usual },
            Workload::Fanin => Self { clients: 100, messages: 5_000_000, takes: &["--window", "--clients"], ..usual },
            Workload::Pairs => Self { clients: 100, takes: &["--window", "--clients"], ..usual },
            Workload::Topics => Self { topics: 16, takes: &["--window", "--topics", "--wildcard"], ..usual },
            Workload::Trickle => Self { clients: 50, rate: Some(500), takes: &["--clients", "--rate"], ..usual },
            Workload::Latency => Self { rate: Some(1_000), takes: &["--clients", "--rate", "--beside", "--letters"], ..usual },
            Workload::Offline => Self { payload: 256, messages: 100_000, acks: Acks::Explicit, takes: &[], ..usual },
            Workload::Connections => Self { clients: 10_000, messages: 0, takes: &["--clients"], ..usual },
            Workload::Idle => Self { clients: 0, messages: 0, takes: &["--duration"], ..usual },
            // Each of its cases has its own.
            Workload::All => Self { takes: &["--clients"], ..usual },
        }
    }

    /// Many clients, each of which says little: they are those who would suffer. What is drained is soon gone, and they have to
    /// say enough meanwhile.
    fn beside(self, company: Option<Company>) -> Self {
        match company {
            None => self,
            Some(Company::Flood) => Self { clients: 100, rate: Some(10), ..self },
            Some(Company::Drain) => Self { clients: 100, rate: Some(100), ..self },
        }
    }

    fn takes(&self, workload: Workload, option: &str) -> bool {
        let of_load = match workload {
            Workload::Connections | Workload::Idle => false,
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
            let takers: Vec<String> = Workload::value_variants()
                .iter()
                .filter(|other| Defaults::of(**other).takes(**other, option))
                .map(ToString::to_string)
                .collect();
            return Err(UsageError(format!("{option} means nothing to {workload}; it is for {}", takers.join(", "))));
        }
        if args.letters.is_some() && args.beside != Some(Company::Drain) {
            return Err(UsageError("--letters means nothing without --beside drain".to_owned()));
        }
        let defaults = defaults.beside(args.beside);
        let (clients, topics) = (args.clients.unwrap_or(defaults.clients), args.topics.unwrap_or(defaults.topics));
        if let Some((option, many)) = [("--clients", clients), ("--topics", topics)].into_iter().find(|(_, n)| *n >= MAX_STREAMS)
        {
            return Err(UsageError(format!("{option} {many} is more than can be told apart; use less than {MAX_STREAMS}")));
        }
        let payload = args.payload.unwrap_or(defaults.payload);
        if payload > MAX_PAYLOAD {
            return Err(UsageError(format!("--payload {payload} is more than a broker takes; use at most {MAX_PAYLOAD}")));
        }
        let rate = args.rate.or(defaults.rate);
        if rate.is_some() && payload < STAMP {
            return Err(UsageError(format!(
                "--payload {payload} has no room for a message's number, which {workload} needs; use at least {STAMP}"
            )));
        }
        let amount = match (args.count, args.duration, rate) {
            (Some(count), _, _) => Amount::Messages(count),
            (None, Some(time), _) => Amount::Time(time),
            (None, None, _) if workload == Workload::Idle => Amount::Time(PACED),
            (None, None, Some(_)) => Amount::Time(PACED),
            (None, None, None) => Amount::Messages(defaults.messages),
        };
        Ok(Self {
            workload,
            clients,
            topics,
            wildcard: args.wildcard,
            payload,
            amount,
            rate,
            window: args.window.unwrap_or(WINDOW).min((WINDOW_BYTES / payload.max(1) as u64).max(1)),
            acks: args.ack.unwrap_or(defaults.acks),
            filters: args.filters,
            other_topics: args.other_topics,
            beside: args.beside,
            letters: args.letters.unwrap_or(LETTERS),
            first_topic: 0,
        })
    }

    /// The flood that its clients have for company: one to one, as fast as can be, until it is enough.
    pub(super) fn flood(&self) -> Self {
        Self {
            workload: Workload::OneToOne,
            clients: 1,
            topics: 1,
            amount: Amount::Time(UNTIL_ENOUGH),
            rate: None,
            filters: 0,
            other_topics: 0,
            beside: None,
            first_topic: self.topic_of_company(),
            ..self.clone()
        }
    }

    /// A topic that is none of its own.
    pub(super) fn topic_of_company(&self) -> usize {
        self.first_topic + self.streams()
    }

    /// Who publishes.
    pub(super) fn publishers(&self) -> usize {
        match self.workload {
            Workload::Fanin => self.clients,
            _ if self.has_pairs() => self.clients,
            _ => 1,
        }
    }

    /// Who subscribes.
    pub(super) fn subscribers(&self) -> usize {
        match self.workload {
            Workload::Fanout => self.clients,
            _ if self.has_pairs() => self.clients,
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
        self.first_topic + if self.workload == Workload::Fanin { 0 } else { stream }
    }

    /// The streams that one subscriber gets.
    pub(super) fn streams_of_subscriber(&self, subscriber: usize) -> Range<usize> {
        if self.has_pairs() { subscriber..subscriber + 1 } else { 0..self.streams() }
    }

    /// The topics that one subscriber subscribes to.
    pub(super) fn topics_of_subscriber(&self, subscriber: usize) -> Range<usize> {
        let (from, to) = if self.has_pairs() { (subscriber, subscriber + 1) } else { (0, self.topics) };
        self.first_topic + from..self.first_topic + to
    }

    /// How many filters one subscriber has.
    pub(super) fn filters_of_subscriber(&self) -> usize {
        if self.wildcard { 1 } else { self.topics_of_subscriber(0).len() }
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
        matches!(self.workload, Workload::Pairs | Workload::Trickle | Workload::Latency)
    }

    /// What the two counts of its progress count.
    pub(super) fn counts(&self) -> [&'static str; 2] {
        if self.workload == Workload::Connections { ["asked", "registered"] } else { ["sent", "delivered"] }
    }

    /// In a line, what was measured.
    pub(super) fn title(&self) -> String {
        let mut title = vec![match self.workload {
            Workload::Fanout => format!("fanout, 1 to {}", grouped(self.clients as u64)),
            Workload::Fanin => format!("fanin, {} to 1", grouped(self.clients as u64)),
            Workload::Topics => format!("topics, {} on one connection", grouped(self.topics as u64)),
            Workload::Pairs | Workload::Trickle => format!("{}, {} to {1}", self.workload, grouped(self.clients as u64)),
            Workload::Connections => return format!("connections, {}", grouped(self.clients as u64)),
            Workload::Latency if self.clients > 1 => format!("latency, {} to {0}", grouped(self.clients as u64)),
            Workload::Idle => return self.workload.to_string(),
            Workload::Offline | Workload::OneToOne | Workload::Latency | Workload::All => self.workload.to_string(),
        }];
        title.extend(self.wildcard.then(|| "one wildcard".to_owned()));
        title.push(format!("{} B", grouped(self.payload as u64)));
        title.extend(self.rate.map(|rate| format!("{}/s each", grouped(rate.into()))));
        title
            .extend((self.acks == Acks::Explicit && self.workload != Workload::Offline).then(|| "acks on both sides".to_owned()));
        title.extend((self.filters > 0).then(|| format!("{} other filters", grouped(self.filters as u64))));
        title.extend((self.other_topics > 0).then(|| format!("{} other topics", grouped(self.other_topics as u64))));
        title.extend(self.beside.map(|company| match company {
            Company::Flood => "beside a flood".to_owned(),
            Company::Drain => format!("beside a drain of {}", grouped(self.letters)),
        }));
        title.join(", ")
    }
}

/// The options about the load that were given.
fn given(args: &BenchArgs) -> Vec<&'static str> {
    let given = [
        (args.payload.is_some(), "--payload"),
        (args.count.is_some(), "--count"),
        (args.duration.is_some(), "--duration"),
        (args.clients.is_some(), "--clients"),
        (args.topics.is_some(), "--topics"),
        (args.wildcard, "--wildcard"),
        (args.rate.is_some(), "--rate"),
        (args.beside.is_some(), "--beside"),
        (args.letters.is_some(), "--letters"),
        (args.window.is_some(), "--window"),
        (args.ack.is_some(), "--ack"),
        (args.filters > 0, "--filters"),
        (args.other_topics > 0, "--other-topics"),
    ];
    given.into_iter().filter_map(|(is_given, option)| is_given.then_some(option)).collect()
}

#[cfg(test)]
pub(super) mod tests {
    use clap::Parser as _;

    use super::*;

    #[derive(Debug, clap::Parser)]
    pub(in super::super) struct Line {
        #[command(flatten)]
        pub(in super::super) args: BenchArgs,
    }

    /// What `line` asks for.
    pub(in super::super) fn planned(line: &str) -> Result<Plan, UsageError> {
        Plan::new(&Line::parse_from(std::iter::once("bench").chain(line.split_whitespace())).args)
    }

    #[test]
    fn a_workload_has_defaults_and_the_command_line_changes_them() {
        let plan = planned("").unwrap();
        assert_eq!((plan.workload, plan.payload, plan.amount), (Workload::OneToOne, 16, Amount::Messages(5_000_000)));
        let plan = planned("fanout --clients 7 --payload 1KiB --count 9 --ack explicit --window 5").unwrap();
        assert_eq!((plan.clients, plan.payload, plan.amount, plan.window), (7, 1_024, Amount::Messages(9), 5));
        assert_eq!(planned("latency").unwrap().amount, Amount::Time(PACED));
        assert_eq!(planned("trickle --count 3").unwrap().amount, Amount::Messages(3));
        assert_eq!(planned("pairs --duration 2s").unwrap().amount, Amount::Time(Duration::from_secs(2)));
    }

    /// What the help says of defaults is so.
    #[test]
    fn the_help_tells_the_defaults() {
        let table = <Line as clap::CommandFactory>::command();
        let told = |option: &str| {
            let argument = table.get_arguments().find(|argument| argument.get_long() == Some(option)).unwrap();
            let help = argument.get_help().unwrap().to_string();
            let (_, defaults) = help.split_once("[default: ").unwrap_or_else(|| panic!("{option}: {help}"));
            defaults.trim_end_matches(']').replace([',', ';', ':'], " ")
        };
        let tells = |option: &str, value: &str| told(option).split_whitespace().any(|word| word == value);
        for workload in Workload::value_variants().iter().filter(|workload| **workload != Workload::All) {
            let plan = planned(&workload.to_string()).unwrap();
            assert!(tells("payload", &plan.payload.to_string()), "{workload}");
            let takes = |option| Defaults::of(*workload).takes(*workload, option);
            assert!(!takes("--clients") || tells("clients", &plan.clients.to_string()), "{workload}");
            assert!(!takes("--topics") || tells("topics", &plan.topics.to_string()), "{workload}");
            assert!(plan.rate.is_none_or(|rate| tells("rate", &rate.to_string())), "{workload}");
            match plan.amount {
                Amount::Messages(messages) => assert!(!takes("--count") || tells("count", &messages.to_string()), "{workload}"),
                Amount::Time(time) => assert!(tells("duration", &humantime::format_duration(time).to_string()), "{workload}"),
            }
        }
        assert!(tells("window", &WINDOW.to_string()) && tells("window", &(WINDOW_BYTES >> 20).to_string()));
    }

    /// However large they are, what is ahead stays below what a broker bears.
    #[test]
    fn a_window_is_bounded_in_bytes() {
        assert_eq!(planned("--payload 1MiB").err().map(|error| error.0.contains("use at most 1000000")), Some(true));
        assert_eq!(planned("--payload 1000000").unwrap().window, 16);
        assert_eq!(planned("--payload 0").unwrap().window, WINDOW);
    }

    #[test]
    fn an_option_without_an_effect_is_refused() {
        for (line, why) in [
            (
                "1to1 --clients 2",
                "--clients means nothing to 1to1; it is for fanout, fanin, pairs, trickle, latency, connections, all",
            ),
            ("fanout --topics 2", "--topics means nothing to fanout; it is for topics"),
            ("1to1 --wildcard", "--wildcard means nothing to 1to1; it is for topics"),
            ("1to1 --rate 2", "--rate means nothing to 1to1; it is for trickle, latency"),
            ("connections --payload 2", "--payload means nothing to connections"),
            ("offline --ack none", "--ack means nothing to offline"),
            ("latency --window 2", "--window means nothing to latency"),
            ("trickle --beside flood", "--beside means nothing to trickle; it is for latency"),
            ("latency --beside flood --letters 2", "--letters means nothing without --beside drain"),
            ("idle --count 2", "--count means nothing to idle"),
            ("latency --payload 4", "--payload 4 has no room for a message's number, which latency needs; use at least 12"),
        ] {
            let error = planned(line).unwrap_err().0;
            assert!(error.starts_with(why), "{line}: {error}");
        }
    }

    /// Each stream has one publisher, and everyone who subscribes to its topic counts it.
    #[test]
    fn publishers_and_subscribers_agree_about_streams() {
        for line in
            ["", "fanout --clients 3", "fanin --clients 3", "topics --topics 3", "pairs --clients 3", "latency --clients 3"]
        {
            let plan = planned(line).unwrap();
            let streams: Vec<usize> = (0..plan.publishers()).flat_map(|publisher| plan.streams_of_publisher(publisher)).collect();
            assert_eq!(streams, (0..plan.streams()).collect::<Vec<_>>(), "{line}");
            let mut deliveries = 0;
            for subscriber in 0..plan.subscribers() {
                let topics = plan.topics_of_subscriber(subscriber);
                let heard: Vec<usize> =
                    streams.iter().copied().filter(|stream| topics.contains(&plan.topic_of(*stream))).collect();
                assert_eq!(heard, plan.streams_of_subscriber(subscriber).collect::<Vec<_>>(), "{line}");
                assert!(plan.lane_of(subscriber) < plan.lanes(), "{line}");
                deliveries += heard.len();
            }
            assert_eq!(deliveries, plan.streams() * plan.copies(), "{line}");
        }
    }

    /// It hears nothing of those it is beside, and they hear nothing of it.
    #[test]
    fn a_flood_has_a_topic_of_its_own() {
        let plan = planned("latency --clients 3 --beside flood --filters 5").unwrap();
        let flood = plan.flood();
        assert_eq!((flood.topic_of(0), flood.topics_of_subscriber(0), flood.streams_of_subscriber(0)), (3, 3..4, 0..1));
        assert!((0..3).all(|subscriber| !plan.topics_of_subscriber(subscriber).contains(&3)));
        assert_eq!((flood.publishers(), flood.rate, flood.filters, flood.lanes()), (1, None, 0, 1));
    }

    #[test]
    fn a_title_says_what_was_measured() {
        for (line, title) in [
            ("", "1to1, 16 B"),
            ("fanout --payload 256 --ack explicit", "fanout, 1 to 100, 256 B, acks on both sides"),
            ("trickle", "trickle, 50 to 50, 16 B, 500/s each"),
            ("offline", "offline, 256 B"),
            ("latency", "latency, 16 B, 1,000/s each"),
            ("latency --beside flood", "latency, 100 to 100, 16 B, 10/s each, beside a flood"),
            ("latency --beside drain --letters 2000", "latency, 100 to 100, 16 B, 100/s each, beside a drain of 2,000"),
            ("idle", "idle"),
            ("topics --topics 20 --wildcard", "topics, 20 on one connection, one wildcard, 16 B"),
            ("connections", "connections, 10,000"),
            ("topics --filters 1000 --other-topics 5", "topics, 16 on one connection, 16 B, 1,000 other filters, 5 other topics"),
        ] {
            assert_eq!(planned(line).unwrap().title(), title);
        }
    }
}
