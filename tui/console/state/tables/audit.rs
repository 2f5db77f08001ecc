//! Orders, the newest first: those that wait, and how the others ended.

use cordboard::{
    clock::{Moment, UnixMillis, Uptime},
    control::{About, Order, OrderRecord, Outcome},
};

use super::{number, text};
use crate::console::state::{
    filter::{Fact, Facts},
    list::{Sort, Table, Value},
    model::Model,
    subject::Subject,
    text::{left, safe},
    words,
};

/// The list of orders.
#[derive(Debug, Clone)]
pub(crate) struct Audit;

/// An order, on record or waiting.
#[derive(Clone, Copy)]
pub(crate) struct Ordered<'a> {
    /// Its number.
    pub(crate) number: u64,
    /// What was asked for.
    pub(crate) order: &'a Order,
    /// When.
    pub(crate) given: Moment,
    /// How far it is.
    pub(crate) course: Course<'a>,
    model: &'a Model,
}

/// How far an order is.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Course<'a> {
    /// It is carried out then.
    Waits(Moment),
    /// It has ended.
    Ended(&'a OrderRecord),
}

impl<'a> Ordered<'a> {
    /// The order with that number, if it waits or is remembered.
    pub(crate) fn find(model: &'a Model, number: u64) -> Option<Self> {
        let ended = || model.board.history.orders.get(&number).map(|record| Self::ended(model, record));
        Self::waiting(model, number).or_else(ended)
    }

    fn ended(model: &'a Model, record: &'a OrderRecord) -> Self {
        let course = Course::Ended(record);
        Self { number: record.number, order: &record.order, given: record.given, course, model }
    }

    fn waiting(model: &'a Model, number: u64) -> Option<Self> {
        let waiting = model.board.waiting_orders.get(&number)?;
        let delay = waiting.order.delay_ms;
        let (up, wall) = (waiting.due.up.0.saturating_sub(delay), waiting.due.wall.0.saturating_sub(delay));
        let given = Moment { up: Uptime(up), wall: UnixMillis(wall) };
        Some(Self { number, order: &waiting.order, given, course: Course::Waits(waiting.due), model })
    }

    /// How far it is, in one word.
    pub(crate) fn word(&self) -> &'static str {
        match self.course {
            Course::Waits(_) => "waiting",
            Course::Ended(record) => match record.outcome {
                Outcome::Done { .. } | Outcome::PutBack { .. } | Outcome::Seen { .. } => "done",
                Outcome::AlreadyGone => "gone",
                Outcome::Cancelled { .. } => "cancelled",
                Outcome::Refused { .. } => "refused",
                Outcome::Unknown => "unknown",
            },
        }
    }

    /// `..` waits, `!` refused or cancelled, `!!` messages were lost, `?` nobody answered.
    pub(crate) fn letters(&self) -> &'static str {
        match self.word() {
            "waiting" => "..",
            "refused" | "cancelled" => "!",
            "unknown" => "?",
            _ if self.lost() > 0 => "!!",
            _ => "",
        }
    }

    /// Messages that it cost.
    pub(crate) fn lost(&self) -> u64 {
        match self.course {
            Course::Ended(OrderRecord { outcome: Outcome::Done { lost }, .. }) => lost.messages(),
            Course::Ended(_) | Course::Waits(_) => 0,
        }
    }

    /// How it ended, or when it is carried out.
    pub(crate) fn end(&self) -> String {
        match self.course {
            Course::Waits(due) => format!("in {}: u stops it", left(self.model.now.up.until(due.up).as_millis() as u64)),
            Course::Ended(record) => words::outcome(&record.outcome),
        }
    }

    /// What it is about, as a person calls it.
    pub(crate) fn on(&self) -> String {
        match (Subject::of_control(&self.order.control), self.about()) {
            (Subject::Session(id), Some(about)) => format!("{} {}", safe(&about.client), id.short()),
            (Subject::Subscription(id), Some(about)) => format!("{} of {}", safe(&id.filter), safe(&about.client)),
            (subject @ (Subject::Session(_) | Subject::Subscription(_)), None) => subject.label_in(self.model),
            _ => safe(self.order.control.target()),
        }
    }

    /// Whose session it was about, if it is on record.
    pub(crate) fn about(&self) -> Option<&'a About> {
        match self.course {
            Course::Ended(record) => record.about.as_ref(),
            Course::Waits(_) => None,
        }
    }
}

impl Facts for Ordered<'_> {
    fn fact(&self, field: &str) -> Option<Fact> {
        Some(match field {
            "by" => text(self.order.operator.as_str()),
            "order" => text(self.order.control.verb()),
            "on" => text(self.order.control.target()),
            "why" => text(self.order.reason.as_str()),
            "outcome" => text(self.word()),
            "lost" => number(self.lost()),
            "number" => number(self.number),
            _ => return None,
        })
    }

    fn words(&self) -> String {
        let Order { control, operator, reason, .. } = self.order;
        format!("{operator} {} {} {} {reason} {}", control.verb(), control.target(), self.on(), self.end())
    }
}

impl Table for Audit {
    type Id = u64;
    type Row<'a> = Ordered<'a>;
    type Lens = ();
    const SORTS: &'static [Sort] = &[
        Sort { name: "TIME", descending: true },
        Sort { name: "BY", descending: false },
        Sort { name: "ORDER", descending: false },
        Sort { name: "LOST", descending: true },
    ];
    const FIELDS: &'static [&'static str] = &["by", "order", "on", "why", "outcome", "lost", "number"];

    fn rows<'a>(model: &'a Model, (): &()) -> impl Iterator<Item = Ordered<'a>> {
        let ended = model.board.history.orders.values().map(|record| Ordered::ended(model, record));
        ended.chain(model.board.waiting_orders.keys().filter_map(|number| Ordered::waiting(model, *number)))
    }

    fn id(row: &Ordered<'_>) -> u64 {
        row.number
    }

    fn value(row: &Ordered<'_>, sort: &'static str) -> Value {
        Value::Number(match sort {
            "BY" => return Value::Text(row.order.operator.to_lowercase()),
            "ORDER" => return Value::Text(row.order.control.verb().to_owned()),
            "LOST" => row.lost(),
            // As they were given.
            _ => row.number,
        })
    }
}
