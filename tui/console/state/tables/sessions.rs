//! Sessions, next to be reclaimed first.

use cordboard::{
    board::{Attachment, SessionRow},
    clock::Moment,
    name::SessionId,
};

use super::{number, text};
use crate::console::state::{
    attention::VERY_SOON_MS,
    departed::Ended,
    filter::{Fact, Facts},
    list::{Sort, Table, Value},
    model::Model,
    text::{age, safe},
    words::close_reason,
};

/// Sorts after every running timer, before the sessions that have none.
const HELD: u64 = u64::MAX - 1;

/// The list of sessions.
#[derive(Debug, Clone)]
pub(crate) struct Sessions;

/// A session, alive or just ended.
#[derive(Clone, Copy)]
pub(crate) struct Session<'a> {
    /// Which.
    pub(crate) id: SessionId,
    /// What is known of it.
    pub(crate) row: &'a SessionRow,
    /// It ended.
    pub(crate) ended: Option<&'a Ended<SessionRow>>,
    now: Moment,
}

/// What is to become of a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Fate {
    /// Its client is connected.
    Live,
    /// Its reclaim timer runs: milliseconds left of so many.
    Reclaim {
        /// Left.
        left: u64,
        /// In all.
        full: u64,
    },
    /// An operator stopped its timer.
    Held(String),
    /// It ended so.
    Ended(String),
}

impl<'a> Session<'a> {
    /// The session with that id, if it is or just was.
    pub(crate) fn find(model: &'a Model, id: SessionId) -> Option<Self> {
        let ended = model.departed.sessions.get(&id);
        let row = model.board.sessions.get(&id).or(ended.map(|ended| &ended.row))?;
        Some(Self { id, row, ended, now: model.now })
    }

    /// What is to become of it.
    pub(crate) fn fate(&self) -> Fate {
        match (&self.ended, &self.row.attachment) {
            (Some(ended), _) => Fate::Ended(ended.epitaph(self.now)),
            (None, Attachment::Attached { .. }) => Fate::Live,
            (None, Attachment::Detached { held_by: Some(by), .. }) => Fate::Held(safe(by)),
            (None, Attachment::Detached { deadline, since, .. }) => {
                let left = self.now.up.until(deadline.up).as_millis() as u64;
                // An extended timer is longer than the one the session asked for.
                let full = self.row.reclaim_ms.max(since.up.until(deadline.up).as_millis() as u64);
                Fate::Reclaim { left, full }
            }
        }
    }

    /// Its state as letters, which read without colour: blank, `!` from a minute on, `!!` from half a minute on.
    pub(crate) fn letters(&self) -> &'static str {
        match self.fate() {
            Fate::Ended(_) => "~~",
            Fate::Held(_) => "..",
            Fate::Reclaim { left, .. } if left <= VERY_SOON_MS => "!!",
            Fate::Reclaim { left, .. } if left <= 2 * VERY_SOON_MS => "!",
            Fate::Reclaim { .. } | Fate::Live => "",
        }
    }

    /// Its state as a word.
    pub(crate) fn state(&self) -> &'static str {
        match (self.ended, &self.row.attachment) {
            (Some(_), _) => "ended",
            (None, Attachment::Attached { .. }) => "attached",
            (None, Attachment::Detached { held_by: Some(_), .. }) => "held",
            (None, Attachment::Detached { .. }) => "detached",
        }
    }

    /// What its client calls itself.
    pub(crate) fn client(&self) -> String {
        safe(&self.row.client)
    }

    /// Where its client is, or was; without the port if that does not fit in `columns`.
    pub(crate) fn peer(&self, columns: usize) -> String {
        let was = if self.row.is_attached() && self.ended.is_none() { "" } else { "was " };
        let full = format!("{was}{}", self.row.peer);
        if full.len() <= columns { full } else { format!("{was}{}", self.row.peer.ip()) }
    }

    /// What waits for a client that is not there.
    pub(crate) fn dead(&self) -> u64 {
        if self.row.is_attached() { 0 } else { self.row.depth.queued() }
    }

    /// How old it is.
    pub(crate) fn age(&self) -> String {
        age(self.row.created.up.until(self.now.up).as_millis() as u64)
    }

    /// Since when it is as it is, and why.
    pub(crate) fn since(&self) -> (Moment, &'static str) {
        match &self.row.attachment {
            Attachment::Attached { since, .. } => (*since, "connected"),
            Attachment::Detached { since, why, .. } => (*since, close_reason(*why)),
        }
    }

    /// When it is reclaimed, if its timer runs.
    pub(crate) fn deadline(&self) -> Option<Moment> {
        match &self.row.attachment {
            Attachment::Detached { deadline, held_by: None, .. } => Some(*deadline),
            _ => None,
        }
    }
}

impl Facts for Session<'_> {
    fn fact(&self, field: &str) -> Option<Fact> {
        Some(match field {
            "state" => text(self.state()),
            "client" => text(self.row.client.as_str()),
            "peer" => text(self.row.peer.to_string()),
            "user" => text(self.row.principal.as_str()),
            "id" => text(self.id.to_string()),
            "topic" => text(self.row.subscriptions.iter().map(cordboard::name::Filter::as_str).collect::<Vec<_>>().join(" ")),
            "subs" => number(self.row.subscriptions.len() as u64),
            "waiting" => number(self.row.depth.waiting),
            "inflight" => number(self.row.depth.in_flight),
            "dlq" => number(self.dead()),
            "poison" => number(self.row.depth.poison),
            "in" => number(self.row.publish_rate),
            "out" => number(self.row.deliver_rate),
            _ => return None,
        })
    }

    fn words(&self) -> String {
        let row = self.row;
        format!("{} {} {} {} {} {}", self.id, self.id.short(), row.client, row.peer, row.principal, self.state())
    }
}

impl Table for Sessions {
    type Id = SessionId;
    type Row<'a> = Session<'a>;
    type Lens = ();
    const SORTS: &'static [Sort] = &[
        Sort { name: "RECLAIM", descending: false },
        Sort { name: "CLIENT", descending: false },
        Sort { name: "SUBS", descending: true },
        Sort { name: "WAITING", descending: true },
        Sort { name: "DLQ", descending: true },
        Sort { name: "POISON", descending: true },
        Sort { name: "IN/s", descending: true },
        Sort { name: "OUT/s", descending: true },
        Sort { name: "AGE", descending: true },
    ];
    const FIELDS: &'static [&'static str] =
        &["state", "client", "peer", "user", "id", "topic", "subs", "waiting", "inflight", "dlq", "poison", "in", "out"];

    fn rows<'a>(model: &'a Model, (): &()) -> impl Iterator<Item = Session<'a>> {
        let now = model.now;
        let alive = model.board.sessions.iter().map(move |(id, row)| Session { id: *id, row, ended: None, now });
        let ended = model.departed.sessions.iter();
        alive.chain(ended.map(move |(id, ended)| Session { id: *id, row: &ended.row, ended: Some(ended), now }))
    }

    fn id(row: &Session<'_>) -> SessionId {
        row.id
    }

    fn is_over(row: &Session<'_>) -> bool {
        row.ended.is_some()
    }

    fn value(session: &Session<'_>, sort: &'static str) -> Value {
        let row = session.row;
        Value::Number(match sort {
            "CLIENT" => return Value::Text(row.client.as_str().to_lowercase()),
            "SUBS" => row.subscriptions.len() as u64,
            "WAITING" => row.depth.waiting,
            "DLQ" => session.dead(),
            "POISON" => row.depth.poison,
            "IN/s" => row.publish_rate,
            "OUT/s" => row.deliver_rate,
            "AGE" => u64::MAX - row.created.up.0,
            _ => match &row.attachment {
                Attachment::Attached { .. } => u64::MAX,
                Attachment::Detached { held_by: Some(_), .. } => HELD,
                Attachment::Detached { deadline, .. } => deadline.up.0,
            },
        })
    }
}
