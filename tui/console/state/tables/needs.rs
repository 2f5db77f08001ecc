//! What needs attention as a list, worst first.

use super::text;
use crate::console::state::{
    attention::{Attention, Rule},
    filter::{Fact, Facts},
    list::{Sort, Table, Value},
    model::Model,
    subject::Subject,
};

/// The list of what needs attention.
#[derive(Debug, Clone)]
pub(crate) struct Needs;

/// A line and its place.
#[derive(Clone, Copy)]
pub(crate) struct Need<'a> {
    /// The line.
    pub(crate) line: &'a Attention,
    place: usize,
}

impl<'a> Need<'a> {
    /// The line with that id.
    pub(crate) fn find(model: &'a Model, (rule, subject, nth): &(Rule, Subject, usize)) -> Option<&'a Attention> {
        model.attention.iter().filter(|line| line.rule == *rule && line.subject == *subject).nth(*nth)
    }
}

impl Table for Needs {
    /// The rule, its subject, and which of several lines on them.
    type Id = (Rule, Subject, usize);
    type Row<'a> = (Need<'a>, usize);
    type Lens = ();
    const SORTS: &'static [Sort] = &[Sort { name: "WORST", descending: false }];
    const FIELDS: &'static [&'static str] = &["rule"];

    fn rows<'a>(model: &'a Model, (): &()) -> impl Iterator<Item = (Need<'a>, usize)> {
        let mut nth = 0;
        let mut before: Option<&Attention> = None;
        model.attention.iter().enumerate().map(move |(place, line)| {
            let same = before.is_some_and(|before| before.rule == line.rule && before.subject == line.subject);
            nth = if same { nth + 1 } else { 0 };
            before = Some(line);
            (Need { line, place }, nth)
        })
    }

    fn id((need, nth): &(Need<'_>, usize)) -> Self::Id {
        (need.line.rule, need.line.subject.clone(), *nth)
    }

    fn value((need, _): &(Need<'_>, usize), _sort: &'static str) -> Value {
        Value::Number(need.place as u64)
    }
}

impl Facts for (Need<'_>, usize) {
    fn fact(&self, field: &str) -> Option<Fact> {
        (field == "rule").then(|| text(self.0.line.rule.word()))
    }

    fn words(&self) -> String {
        format!("{} {}", self.0.line.rule.word(), self.0.line.what)
    }
}
