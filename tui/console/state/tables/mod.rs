//! The lists that there are: for each its rows, how they sort, what a filter may ask of them, and how one reads.

pub(crate) mod actors;
pub(crate) mod audit;
pub(crate) mod events;
pub(crate) mod listeners;
pub(crate) mod needs;
pub(crate) mod sessions;
pub(crate) mod subscriptions;
pub(crate) mod topics;

use super::filter::Fact;

fn number(value: u64) -> Fact {
    Fact::Number(value)
}

fn text(value: impl Into<String>) -> Fact {
    Fact::Text(value.into())
}
