//! Connections, those that need a look first: stuck, behind, registering.

use cordboard::{
    board::{ListenerRow, SessionRow},
    clock::Moment,
    events::Terms,
    name::{ListenerId, SessionId},
};

use super::{number, text};
use crate::console::state::{
    departed::Ended,
    filter::{Fact, Facts},
    list::{Sort, Table, Value},
    model::Model,
    text::{age, safe},
};

/// The list of connections.
#[derive(Debug, Clone)]
pub(crate) struct Listeners;

/// A connection, open or just closed.
#[derive(Clone, Copy)]
pub(crate) struct Listener<'a> {
    /// Which.
    pub(crate) id: ListenerId,
    /// What is known of it.
    pub(crate) row: &'a ListenerRow,
    /// It closed.
    pub(crate) ended: Option<&'a Ended<ListenerRow>>,
    /// Whose it is, once it has registered.
    pub(crate) session: Option<(SessionId, &'a SessionRow)>,
    /// The limits that it is judged by.
    pub(crate) terms: &'a Terms,
    now: Moment,
}

/// How a connection keeps up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pace {
    /// It closed.
    Closed,
    /// It has not registered, for so many milliseconds.
    Registering(u64),
    /// Something waits to be written and nothing could be, for so many milliseconds.
    Stuck(u64),
    /// More waits for it than a second writes.
    Behind,
    /// It reads as fast as it must.
    Fine,
}

impl<'a> Listener<'a> {
    /// The connection with that number, if it is or just was.
    pub(crate) fn find(model: &'a Model, id: ListenerId) -> Option<Self> {
        let ended = model.departed.listeners.get(&id);
        let row = model.board.listeners.get(&id).or(ended.map(|ended| &ended.row))?;
        Some(Self::of(model, id, row, ended))
    }

    fn of(model: &'a Model, id: ListenerId, row: &'a ListenerRow, ended: Option<&'a Ended<ListenerRow>>) -> Self {
        let session = row.session.and_then(|session| Some((session, model.board.sessions.get(&session)?)));
        Self { id, row, ended, session, terms: &model.board.broker.terms, now: model.now }
    }

    /// How it keeps up.
    pub(crate) fn pace(&self) -> Pace {
        let since = |moment: Moment| moment.up.until(self.now.up).as_millis() as u64;
        match (self.ended, self.row.session, self.row.stuck) {
            (Some(_), _, _) => Pace::Closed,
            (None, None, _) => Pace::Registering(since(self.row.opened)),
            (None, Some(_), Some(stuck)) => Pace::Stuck(since(stuck)),
            (None, Some(_), None) if self.waits() > self.rates().1 || self.queued() > self.deliveries() => Pace::Behind,
            (None, Some(_), None) => Pace::Fine,
        }
    }

    /// Bytes a second: read, written.
    pub(crate) fn rates(&self) -> (u64, u64) {
        self.row.sample.map_or((0, 0), |sample| (sample.bytes_in_rate, sample.bytes_out_rate))
    }

    /// Bytes that wait to be written.
    pub(crate) fn waits(&self) -> u64 {
        self.row.sample.map_or(0, |sample| sample.outbound_bytes)
    }

    /// Messages that wait in its session's queues.
    pub(crate) fn queued(&self) -> u64 {
        self.session.map_or(0, |(_, row)| row.depth.waiting)
    }

    fn deliveries(&self) -> u64 {
        self.session.map_or(0, |(_, row)| row.deliver_rate)
    }

    /// Messages that were sent and are not acknowledged.
    pub(crate) fn in_flight(&self) -> u64 {
        self.session.map_or(0, |(_, row)| row.depth.in_flight)
    }

    /// Its state as letters: `?` registering, `!` behind, `!!` stuck, `~~` closed.
    pub(crate) fn letters(&self) -> &'static str {
        match self.pace() {
            Pace::Closed => "~~",
            Pace::Registering(_) => "?",
            Pace::Stuck(_) => "!!",
            Pace::Behind => "!",
            Pace::Fine => "",
        }
    }

    /// Its state as a word.
    pub(crate) fn state(&self) -> &'static str {
        match self.pace() {
            Pace::Closed => "closed",
            Pace::Registering(_) => "registering",
            Pace::Stuck(_) => "stuck",
            Pace::Behind => "behind",
            Pace::Fine => "open",
        }
    }

    /// What its client calls itself.
    pub(crate) fn client(&self) -> String {
        self.session.map_or_else(|| "-".to_owned(), |(_, row)| safe(&row.client))
    }

    /// How old it is.
    pub(crate) fn age(&self) -> String {
        age(self.row.opened.up.until(self.now.up).as_millis() as u64)
    }
}

impl Facts for Listener<'_> {
    fn fact(&self, field: &str) -> Option<Fact> {
        let (bytes_in, bytes_out) = self.rates();
        Some(match field {
            "state" => text(self.state()),
            "peer" => text(self.row.peer.to_string()),
            "client" => text(self.session.map_or("", |(_, row)| row.client.as_str())),
            "user" => text(self.session.map_or("", |(_, row)| row.principal.as_str())),
            "session" => text(self.row.session.map(|id| id.to_string()).unwrap_or_default()),
            "in" => number(bytes_in),
            "out" => number(bytes_out),
            "waits" => number(self.waits()),
            "queued" => number(self.queued()),
            "inflight" => number(self.in_flight()),
            _ => return None,
        })
    }

    fn words(&self) -> String {
        let session = self.row.session.map(|id| format!("{id} {}", id.short())).unwrap_or_default();
        format!("{} {} {} {session}", self.row.peer, self.client(), self.state())
    }
}

impl Table for Listeners {
    type Id = ListenerId;
    type Row<'a> = Listener<'a>;
    type Lens = ();
    const SORTS: &'static [Sort] = &[
        Sort { name: "STATE", descending: true },
        Sort { name: "PEER", descending: false },
        Sort { name: "CLIENT", descending: false },
        Sort { name: "IN B/s", descending: true },
        Sort { name: "OUT B/s", descending: true },
        Sort { name: "WAITS", descending: true },
        Sort { name: "QUEUED", descending: true },
        Sort { name: "AGE", descending: true },
    ];
    const FIELDS: &'static [&'static str] =
        &["state", "peer", "client", "user", "session", "in", "out", "waits", "queued", "inflight"];

    fn rows<'a>(model: &'a Model, (): &()) -> impl Iterator<Item = Listener<'a>> {
        let open = model.board.listeners.iter().map(|(id, row)| Listener::of(model, *id, row, None));
        let closed = model.departed.listeners.iter();
        open.chain(closed.map(|(id, ended)| Listener::of(model, *id, &ended.row, Some(ended))))
    }

    fn id(row: &Listener<'_>) -> ListenerId {
        row.id
    }

    fn is_over(row: &Listener<'_>) -> bool {
        row.ended.is_some()
    }

    fn value(listener: &Listener<'_>, sort: &'static str) -> Value {
        let (bytes_in, bytes_out) = listener.rates();
        Value::Number(match sort {
            "PEER" => return Value::Text(listener.row.peer.to_string()),
            "CLIENT" => return Value::Text(listener.client().to_lowercase()),
            "IN B/s" => bytes_in,
            "OUT B/s" => bytes_out,
            "WAITS" => listener.waits(),
            "QUEUED" => listener.queued(),
            "AGE" => u64::MAX - listener.row.opened.up.0,
            // The kind first; within it, who has been so for longest.
            _ => {
                let (kind, within) = match listener.pace() {
                    Pace::Stuck(millis) => (4, millis),
                    Pace::Behind => (3, listener.waits()),
                    Pace::Registering(millis) => (2, millis),
                    Pace::Closed => (1, 0),
                    Pace::Fine => (0, 0),
                };
                kind << 56 | within.min((1 << 56) - 1)
            }
        })
    }
}
