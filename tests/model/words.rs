//! What may happen, what clients hear of it, and what an operator is told.

use cordboard::wire::{Code, Nack};

/// What happens.
#[derive(Debug, Clone)]
pub(super) enum Transition {
    /// A client without a line connects and registers anew.
    Register {
        client: usize,
    },
    /// A client without a line connects and wants this session.
    Claim {
        client: usize,
        session: usize,
    },
    /// A line is lost.
    Lose {
        client: usize,
    },
    /// A client says goodbye.
    Leave {
        client: usize,
        end: bool,
    },
    Publish {
        client: usize,
        topic: &'static str,
        count: u64,
    },
    Subscribe {
        client: usize,
        filter: &'static str,
    },
    Unsubscribe {
        client: usize,
        filter: &'static str,
    },
    Ack {
        client: usize,
        filter: &'static str,
        number: u64,
    },
    Nack {
        client: usize,
        filter: &'static str,
        number: u64,
        what: Nack,
    },
    Evict {
        session: usize,
    },
    Drop {
        session: usize,
    },
    Hold {
        session: usize,
    },
    Extend {
        session: usize,
        by_ms: u64,
    },
    Purge {
        session: usize,
        filter: &'static str,
    },
    Redeliver {
        session: usize,
        filter: &'static str,
    },
    Kill {
        topic: &'static str,
    },
    Forbid {
        topic: &'static str,
    },
    Allow {
        topic: &'static str,
    },
    /// Everyone's user is forbidden.
    ForbidAll,
    AllowAll,
    Pass {
        ms: u64,
    },
}

/// What a client hears, but for deliveries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Heard {
    Registered { session: usize, resumed: bool, epoch: u64, settled: u64, subscriptions: Vec<(&'static str, u32)> },
    Refused { code: Code, why: &'static str },
    Subscribed { filter: &'static str, handle: u32, existing: bool, ack_timeout: u64 },
    Unsubscribed { existed: bool },
    Acked(u64),
    Ended { filter: &'static str, code: Code, lost: u64 },
    Displaced,
    Evicted,
    Closed,
}

/// What an operator is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Answer {
    Done { lost: u64 },
    PutBack { messages: u64 },
    AlreadyGone,
    Refused,
}

impl Answer {
    pub(super) const DONE: Self = Self::Done { lost: 0 };
}
