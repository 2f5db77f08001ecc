//! The load side: what a benchmark says to a broker, and hears from it, in the broker's own protocol.
//!
//! A [`Protocol`] turns deeds into bytes and bytes into what was heard; it knows no socket and no clock. Everything else, from
//! connections to batches, windows and verification, is the same code for every broker, so that a ratio compares brokers.

mod connection;
mod cordboard;
mod nats;
mod watch;

use std::{io, net::IpAddr};

use ::cordboard::{InWords, name::SessionId};

pub(super) use self::{
    connection::{Connection, Read, source},
    cordboard::Cordboard,
    nats::Nats,
    watch::{Bell, Watch},
};
use crate::cli::Acks;

/// Who a connection is.
#[derive(Debug, Clone)]
pub(super) struct Identity {
    pub(super) name: &'static str,
    pub(super) user: Option<(String, String)>,
    pub(super) acks: Acks,
    /// To be resumed, where there is such a thing.
    pub(super) session: Option<SessionId>,
    /// Where it comes from, if not from where the system likes.
    pub(super) source: Option<IpAddr>,
}

impl Identity {
    /// Nobody in particular, who acknowledges nothing.
    pub(super) fn new(name: &'static str) -> Self {
        Self { name, user: None, acks: Acks::None, session: None, source: None }
    }
}

/// What a broker has said.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Heard<'a> {
    /// The oldest opening or subscription that had no answer is done.
    Answered,
    /// A message, with this payload.
    Message(&'a [u8]),
}

/// A broker's language, as one connection speaks it.
pub(super) trait Protocol: Sized + Send {
    /// Between the levels of a topic.
    const SEPARATOR: char;
    /// For any one level.
    const WILDCARD: char;

    /// Begins a connection; it is answered.
    fn open(identity: &Identity, out: &mut Vec<u8>) -> Self;
    /// Is answered.
    fn subscribe(&mut self, filter: &str, out: &mut Vec<u8>);
    /// Within [`Protocol::credit`].
    fn publish(&mut self, topic: &str, payload: &[u8], out: &mut Vec<u8>);
    /// Says that it is still there.
    fn heartbeat(&mut self, out: &mut Vec<u8>);
    /// Says that it will not come back.
    fn goodbye(&mut self, out: &mut Vec<u8>);
    /// Takes the whole words at the head of `bytes` and returns their length. What has to be answered goes into `out`.
    fn read(&mut self, bytes: &[u8], out: &mut Vec<u8>, hear: &mut impl FnMut(Heard<'_>)) -> Result<usize, LoadError>;
    /// Messages of `payload` bytes that may be published now.
    fn credit(&self, payload: usize) -> u64;
    /// True if nothing that was published waits for its acknowledgement.
    fn is_settled(&self) -> bool;

    /// The benchmark's topic of this number.
    fn topic(number: usize) -> String {
        format!("bench{}{number}", Self::SEPARATOR)
    }

    /// A filter that matches all of the benchmark's topics.
    fn all_topics() -> String {
        format!("bench{}{}", Self::SEPARATOR, Self::WILDCARD)
    }

    /// One of those that are only there.
    fn other_topic(number: usize) -> String {
        format!("other{}{number}", Self::SEPARATOR)
    }

    /// A filter that matches no topic there is.
    fn idle_filter(number: usize) -> String {
        format!("nothing{0}{number}{0}{1}", Self::SEPARATOR, Self::WILDCARD)
    }
}

/// Why a load cannot go on.
#[derive(Debug, thiserror::Error)]
pub(super) enum LoadError {
    #[error("cannot connect to the broker: {}", InWords(.0))]
    Unreachable(io::Error),
    #[error(
        "the system has no port left for another connection to the broker; use fewer --clients, or more ports (net.ipv4.ip_local_port_range)"
    )]
    NoPort,
    #[error("the broker grants no credit for a message of {payload} bytes; use a smaller --payload")]
    NoCredit { payload: usize },
    #[error("the broker closed a connection")]
    Closed,
    #[error("a connection to the broker failed: {}", InWords(.0))]
    Lost(#[from] io::Error),
    #[error("the broker refused: {0}")]
    Refused(String),
    #[error("the broker said what it should not: {0}")]
    Unexpected(String),
    #[error("the broker was silent for {seconds} s while {waits_for}")]
    Silent { seconds: u64, waits_for: &'static str },
    #[error("cannot read what process {process} has used: {}; is it the broker's, on this machine?", InWords(.error))]
    Unmeasurable { process: u32, error: io::Error },
    #[error("interrupted")]
    Interrupted,
}
