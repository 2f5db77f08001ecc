//! The options of `cordboard bench`. All that has a default of its workload's is optional here: a plan is made of it elsewhere.

use std::{fmt, time::Duration};

use clap::{Args, ValueEnum};

use super::values;

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Workload {
    /// One publisher, one subscriber
    #[value(name = "1to1")]
    OneToOne,
    /// One publisher, N subscribers (--clients) of its topic
    Fanout,
    /// N publishers (--clients) to one subscriber of their topic
    Fanin,
    /// One connection publishes to N topics (--topics) in turn, another subscribes to them
    Topics,
    /// N publishers and N subscribers (--clients), a topic for each pair
    Pairs,
    /// N pairs (--clients) at a low rate (--rate) each, one message a write
    Trickle,
    /// N pairs (--clients) at a fixed rate (--rate) each: how late messages are, alone or in company (--beside)
    Latency,
    /// A subscriber is away while --count messages come, is back, and drains them
    Offline,
    /// N clients (--clients) register, stay silent, and go
    Connections,
    /// Nobody comes: what the broker uses by itself
    Idle,
    /// One after another, what the README's table has
    All,
}

impl fmt::Display for Workload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.to_possible_value().as_ref().map_or("", clap::builder::PossibleValue::get_name))
    }
}

/// When a delivery is settled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Acks {
    /// When the broker has written it
    None,
    /// By the subscriber's acknowledgement
    Explicit,
}

/// Who else is there while quiet clients are measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Company {
    /// A publisher floods another topic as fast as it may, and a subscriber takes that
    Flood,
    /// A subscriber is back, and drains the dead letters that came while it was away; again and again
    Drain,
}

impl fmt::Display for Company {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.to_possible_value().as_ref().map_or("", clap::builder::PossibleValue::get_name))
    }
}

/// What is measured in turn with this broker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Rival {
    /// The NATS server, from the PATH
    NatsServer,
    /// This one with its console, on a terminal of 80x24, against itself without
    Console,
}

/// How the figures are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Layout {
    /// For people; those of `all` as Markdown
    Table,
    /// An object for each workload, on a line
    Json,
}

/// `cordboard bench`.
#[derive(Debug, Clone, Args)]
pub(crate) struct BenchArgs {
    /// What to measure
    #[arg(value_enum, value_name = "WORKLOAD", default_value_t = Workload::OneToOne)]
    pub(crate) workload: Workload,
    /// Bytes of each message; from 12 on it carries a number that is verified [default: 16; offline: 256]
    #[arg(long, value_name = "SIZE", value_parser = values::size)]
    pub(crate) payload: Option<usize>,
    /// Publish this many messages in all [default: 5000000 for 1to1 and fanin, 2000000 for topics and pairs, 300000 for fanout, 100000 for offline]
    #[arg(long, short = 'n', value_name = "N", value_parser = values::count::<u64>, conflicts_with = "duration")]
    pub(crate) count: Option<u64>,
    /// Publish, or be idle, for this time, for example 1m [default: 10s where there is a rate, and for idle]
    #[arg(long, value_name = "TIME", value_parser = values::duration)]
    pub(crate) duration: Option<Duration>,
    /// How many publishers, subscribers or pairs [default: 100; trickle: 50; connections: 10000; latency: 1, or 100 in company]
    #[arg(long, value_name = "N", value_parser = values::count::<usize>)]
    pub(crate) clients: Option<usize>,
    /// How many topics one connection publishes to [default: 16]
    #[arg(long, value_name = "N", value_parser = values::count::<usize>)]
    pub(crate) topics: Option<usize>,
    /// Subscribe to all of them with one filter, instead of one each
    #[arg(long)]
    pub(crate) wildcard: bool,
    /// Messages a second, of each publisher [default: 1000; trickle: 500; beside a flood: 10; beside a drain: 100]
    #[arg(long, value_name = "N", value_parser = values::up_to::<1_000_000>)]
    pub(crate) rate: Option<u32>,
    /// Have this company meanwhile, and measure the same without it in turn
    #[arg(long, value_enum, value_name = "COMPANY")]
    pub(crate) beside: Option<Company>,
    /// How many dead letters are drained each time [default: 1000000]
    #[arg(long, value_name = "N", value_parser = values::count::<u64>)]
    pub(crate) letters: Option<u64>,
    /// Messages that publishers may be ahead of their slowest subscriber [default: 100000, or 16 MiB of them]
    #[arg(long, value_name = "N", value_parser = values::count::<u64>)]
    pub(crate) window: Option<u64>,
    /// What settles a delivery; publishers are always acknowledged [default: none]
    #[arg(long, value_enum, value_name = "MODE")]
    pub(crate) ack: Option<Acks>,
    /// Subscribe to this many further filters that match nothing
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) filters: usize,
    /// Have this many further topics
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) other_topics: usize,
    /// Measure so often, each time with a broker that has just been started, and print medians
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = values::up_to::<1_000>)]
    pub(crate) rounds: u32,
    /// Measure something else in turn, and print ratios
    #[arg(long, value_enum, value_name = "WHAT", conflicts_with = "server")]
    pub(crate) compare: Option<Rival>,
    /// Measure a broker that runs already, instead of starting one
    #[arg(long, value_name = "HOST[:PORT]", value_parser = values::server)]
    pub(crate) server: Option<String>,
    /// Its process on this machine, to read its CPU time and memory
    #[arg(long, value_name = "PID", requires = "server", value_parser = values::count::<u32>)]
    pub(crate) pid: Option<u32>,
    #[arg(long, value_name = "NAME", requires = "server")]
    #[arg(help = "Who to be at --server; the password comes from CORDBOARD_PASSWORD")]
    pub(crate) user: Option<String>,
    /// How the figures are printed
    #[arg(long, value_enum, value_name = "FORMAT", default_value_t = Layout::Table)]
    pub(crate) format: Layout,
    /// Say nothing but the figures and what fails
    #[arg(long, short)]
    pub(crate) quiet: bool,
}
