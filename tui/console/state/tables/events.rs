//! The log as a list, newest last.

use super::{number, text};
use crate::console::state::{
    filter::{Fact, Facts},
    list::{Sort, Table, Value},
    log::Entry,
    model::Model,
};

/// The list of events.
#[derive(Debug, Clone)]
pub(crate) struct Events;

impl Facts for &Entry {
    fn fact(&self, field: &str) -> Option<Fact> {
        Some(match field {
            "name" => text(self.name()),
            "level" => text(self.level().word()),
            "about" => text(self.about()),
            "number" => number(self.number()),
            _ => return None,
        })
    }

    fn words(&self) -> String {
        format!("{} {}", self.name(), self.text())
    }
}

impl Table for Events {
    type Id = u64;
    type Row<'a> = &'a Entry;
    type Lens = ();
    const SORTS: &'static [Sort] = &[Sort { name: "TIME", descending: false }];
    const FIELDS: &'static [&'static str] = &["name", "level", "about", "number"];

    fn rows<'a>(model: &'a Model, (): &()) -> impl Iterator<Item = &'a Entry> {
        model.log.entries().map(AsRef::as_ref)
    }

    fn id(entry: &&Entry) -> u64 {
        entry.number()
    }

    fn value(entry: &&Entry, _sort: &'static str) -> Value {
        Value::Number(entry.number())
    }
}
