//! Subscriptions by what they hold, the most dead letters and poison first.

use cordboard::{
    board::{SessionRow, SubscriptionRow},
    name::SubscriptionId,
};

use super::{number, text};
use crate::console::state::{
    filter::{Fact, Facts},
    list::{Sort, Table, Value},
    model::Model,
    text::{age, safe},
    words::subscription_state,
};

/// The list of subscriptions.
#[derive(Debug, Clone)]
pub(crate) struct Subscriptions;

/// A subscription and whose it is.
#[derive(Clone, Copy)]
pub(crate) struct Subscription<'a> {
    /// Which.
    pub(crate) id: &'a SubscriptionId,
    /// What is known of it.
    pub(crate) row: &'a SubscriptionRow,
    session: Option<&'a SessionRow>,
    model: &'a Model,
}

impl<'a> Subscription<'a> {
    /// The subscription with that id, if it is there.
    pub(crate) fn find(model: &'a Model, id: &'a SubscriptionId) -> Option<Self> {
        let row = model.board.subscriptions.get(id)?;
        Some(Self { id, row, session: model.board.sessions.get(&id.session), model })
    }

    /// Its filter, safe to show.
    pub(crate) fn filter(&self) -> String {
        safe(&self.id.filter)
    }

    /// What its client calls itself.
    pub(crate) fn client(&self) -> String {
        self.session.map_or_else(|| self.id.session.short(), |row| safe(&row.client))
    }

    /// Messages that wait for a client that is not there.
    pub(crate) fn dead(&self) -> u64 {
        if self.session.is_some_and(|row| !row.is_attached()) { self.row.depth.queued() } else { 0 }
    }

    /// What it does.
    pub(crate) fn state(&self) -> &'static str {
        subscription_state(self.row.state)
    }

    /// `!!` it dropped messages, `!` it holds poison, `r` it was restarted.
    pub(crate) fn letters(&self) -> &'static str {
        let depth = &self.row.depth;
        match (depth.dropped, depth.poison, self.row.restarts) {
            (1.., _, _) => "!!",
            (_, 1.., _) => "!",
            (_, _, 1..) => "r",
            _ => "",
        }
    }

    /// How old it is.
    pub(crate) fn age(&self) -> String {
        age(self.row.created.up.until(self.model.now.up).as_millis() as u64)
    }
}

impl Facts for Subscription<'_> {
    fn fact(&self, field: &str) -> Option<Fact> {
        let depth = &self.row.depth;
        Some(match field {
            "topic" => text(self.id.filter.as_str()),
            "client" => text(self.session.map_or("", |row| row.client.as_str())),
            "session" => text(self.id.session.to_string()),
            "state" => text(self.state()),
            "dlq" => number(self.dead()),
            "waiting" => number(depth.waiting),
            "inflight" => number(depth.in_flight),
            "poison" => number(depth.poison),
            "dropped" => number(depth.dropped),
            "restarts" => number(u64::from(self.row.restarts)),
            _ => return None,
        })
    }

    fn words(&self) -> String {
        let client = self.session.map_or("", |row| row.client.as_str());
        format!("{} {client} {} {}", self.id.filter, self.id.session, self.state())
    }
}

impl Table for Subscriptions {
    type Id = SubscriptionId;
    type Row<'a> = Subscription<'a>;
    type Lens = ();
    const SORTS: &'static [Sort] = &[
        Sort { name: "DLQ", descending: true },
        Sort { name: "POISON", descending: true },
        Sort { name: "WAITING", descending: true },
        Sort { name: "IN FLIGHT", descending: true },
        Sort { name: "DROPPED", descending: true },
        Sort { name: "OUT/s", descending: true },
        Sort { name: "FILTER", descending: false },
        Sort { name: "CLIENT", descending: false },
    ];
    const FIELDS: &'static [&'static str] =
        &["topic", "client", "session", "state", "dlq", "waiting", "inflight", "poison", "dropped", "restarts"];

    fn rows<'a>(model: &'a Model, (): &()) -> impl Iterator<Item = Subscription<'a>> {
        let sessions = &model.board.sessions;
        let rows = model.board.subscriptions.iter();
        rows.map(move |(id, row)| Subscription { id, row, session: sessions.get(&id.session), model })
    }

    fn id(row: &Subscription<'_>) -> SubscriptionId {
        row.id.clone()
    }

    fn value(subscription: &Subscription<'_>, sort: &'static str) -> Value {
        let depth = &subscription.row.depth;
        Value::Number(match sort {
            "POISON" => depth.poison,
            "WAITING" => depth.waiting,
            "IN FLIGHT" => depth.in_flight,
            "DROPPED" => depth.dropped,
            "OUT/s" => subscription.row.deliver_rate,
            "FILTER" => return Value::Text(subscription.id.filter.as_str().to_lowercase()),
            "CLIENT" => return Value::Text(subscription.client().to_lowercase()),
            // Poison is what a dead letter becomes at its worst.
            _ => subscription.dead() + depth.poison,
        })
    }
}
