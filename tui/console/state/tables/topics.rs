//! Topics, those that hold most first.

use cordboard::{board::TopicRow, clock::Moment, name::TopicName};

use super::{number, text};
use crate::console::state::{
    departed::Ended,
    filter::{Fact, Facts},
    list::{Sort, Table, Value},
    model::Model,
    text::{age, safe},
};

/// The list of topics.
#[derive(Debug, Clone)]
pub(crate) struct Topics;

/// A topic, alive or just ended.
#[derive(Clone, Copy)]
pub(crate) struct Topic<'a> {
    /// Which.
    pub(crate) name: &'a TopicName,
    /// What is known of it.
    pub(crate) row: &'a TopicRow,
    /// It ended.
    pub(crate) ended: Option<&'a Ended<TopicRow>>,
    model: &'a Model,
}

impl<'a> Topic<'a> {
    /// The topic with that name, if it is or just was.
    pub(crate) fn find(model: &'a Model, name: &'a TopicName) -> Option<Self> {
        let ended = model.departed.topics.get(name);
        let row = model.board.topics.get(name).or(ended.map(|ended| &ended.row))?;
        Some(Self { name, row, ended, model })
    }

    /// How it ended, if it did.
    pub(crate) fn epitaph(&self) -> Option<String> {
        self.ended.map(|ended| ended.epitaph(self.model.now))
    }

    /// Its name, safe to show.
    pub(crate) fn label(&self) -> String {
        safe(self.name)
    }

    /// `~~` ended, `!` published to with nobody there, `r` restarted.
    pub(crate) fn letters(&self) -> &'static str {
        if self.ended.is_some() {
            "~~"
        } else if self.rate() > 0 && self.matched() == Some(0) && self.row.subscribers.is_empty() {
            "!"
        } else if self.row.restarts > 0 {
            "r"
        } else {
            ""
        }
    }

    /// Subscriptions that its last publish went to, wildcards included; not known before the first.
    pub(crate) fn matched(&self) -> Option<u64> {
        self.row.sample.as_ref().map(|sample| sample.matched)
    }

    /// Messages accepted a second.
    pub(crate) fn rate(&self) -> u64 {
        self.model.topic_rate(self.name)
    }

    /// Copies appended to queues a second.
    pub(crate) fn fan_out(&self) -> u64 {
        if self.rate() == 0 { 0 } else { self.row.sample.as_ref().map_or(0, |sample| sample.fan_out_rate) }
    }

    /// Messages accepted a second, over the last minute.
    pub(crate) fn rates(&self) -> Vec<u64> {
        self.model.topic_rates(self.name)
    }

    /// Messages that wait for a first subscriber.
    pub(crate) fn backlog(&self) -> u64 {
        self.row.sample.as_ref().map_or(0, |sample| sample.backlog)
    }

    /// Messages that its exact subscriptions hold.
    pub(crate) fn held(&self) -> u64 {
        self.row.depth.queued() + self.row.depth.poison
    }

    /// When something was last published to it.
    pub(crate) fn last_publish(&self) -> Option<Moment> {
        self.row.sample.as_ref().and_then(|sample| sample.last_publish)
    }

    /// How long ago that was: `0.4s`, `3d04h`, `-`.
    pub(crate) fn quiet_for(&self) -> String {
        self.last_publish().map_or_else(|| "-".to_owned(), |at| age(at.up.until(self.model.now.up).as_millis() as u64))
    }

    /// How old it is.
    pub(crate) fn age(&self) -> String {
        age(self.row.created.up.until(self.model.now.up).as_millis() as u64)
    }
}

impl Facts for Topic<'_> {
    fn fact(&self, field: &str) -> Option<Fact> {
        Some(match field {
            "topic" => text(self.name.as_str()),
            "by" => text(self.row.by.as_str()),
            "exact" => number(self.row.subscribers.len() as u64),
            "match" => number(self.matched().unwrap_or(0)),
            "pub" => number(self.rate()),
            "fanout" => number(self.fan_out()),
            "backlog" => number(self.backlog()),
            "held" => number(self.held()),
            "poison" => number(self.row.depth.poison),
            "restarts" => number(u64::from(self.row.restarts)),
            _ => return None,
        })
    }

    fn words(&self) -> String {
        self.name.as_str().to_owned()
    }
}

impl Table for Topics {
    type Id = TopicName;
    type Row<'a> = Topic<'a>;
    type Lens = ();
    const SORTS: &'static [Sort] = &[
        Sort { name: "HELD", descending: true },
        Sort { name: "TOPIC", descending: false },
        Sort { name: "EXACT", descending: true },
        Sort { name: "MATCH", descending: true },
        Sort { name: "PUB/s", descending: true },
        Sort { name: "FAN-OUT/s", descending: true },
        Sort { name: "BACKLOG", descending: true },
        Sort { name: "LAST", descending: true },
    ];
    const FIELDS: &'static [&'static str] =
        &["topic", "by", "exact", "match", "pub", "fanout", "backlog", "held", "poison", "restarts"];

    fn rows<'a>(model: &'a Model, (): &()) -> impl Iterator<Item = Topic<'a>> {
        let alive = model.board.topics.iter().map(move |(name, row)| Topic { name, row, ended: None, model });
        let ended = model.departed.topics.iter();
        alive.chain(ended.map(move |(name, ended)| Topic { name, row: &ended.row, ended: Some(ended), model }))
    }

    fn id(row: &Topic<'_>) -> TopicName {
        row.name.clone()
    }

    fn is_over(row: &Topic<'_>) -> bool {
        row.ended.is_some()
    }

    fn value(topic: &Topic<'_>, sort: &'static str) -> Value {
        Value::Number(match sort {
            "TOPIC" => return Value::Text(topic.name.as_str().to_lowercase()),
            "EXACT" => topic.row.subscribers.len() as u64,
            "MATCH" => topic.matched().map_or(0, |matched| matched + 1),
            "PUB/s" => topic.rate(),
            "FAN-OUT/s" => topic.fan_out(),
            "BACKLOG" => topic.backlog(),
            "LAST" => topic.last_publish().map_or(0, |at| at.up.0 + 1),
            _ => topic.held(),
        })
    }
}
