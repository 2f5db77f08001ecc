//! The lists that there are: for each its rows, how they sort, what a filter may ask of them, and how one reads.

pub(crate) mod events;
pub(crate) mod needs;
pub(crate) mod sessions;
pub(crate) mod subscriptions;
pub(crate) mod topics;

use super::filter::Fact;

fn number(value: u64) -> Option<Fact> {
    Some(Fact::Number(value))
}

fn text(value: impl Into<String>) -> Option<Fact> {
    Some(Fact::Text(value.into()))
}
