//! The topic table: where each topic of a broker is. Its manager makes the entries and ends them; whoever publishes finds a topic
//! here, and asks the manager only for one that is not there.

use std::{
    collections::HashMap,
    mem,
    sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard},
};

use crate::{actors::TopicRef, name::TopicName, topic_cell::TopicCell};

/// All topics, by name. What a backlog holds can be counted here when nobody else is left to know of it.
#[derive(Debug, Default)]
pub(crate) struct TopicTable(RwLock<HashMap<TopicName, TopicRef>>);

impl TopicTable {
    fn read(&self) -> RwLockReadGuard<'_, HashMap<TopicName, TopicRef>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, HashMap<TopicName, TopicRef>> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// A topic has come, or lives on with another actor.
    pub(crate) fn insert(&self, topic: TopicRef) {
        self.write().insert(topic.cell.topic.clone(), topic);
    }

    pub(crate) fn remove(&self, topic: &TopicName) {
        self.write().remove(topic);
    }

    /// Where `topic` is, if there is one. It may have ended meanwhile: its cell says so, or its mailbox.
    pub(crate) fn find(&self, topic: &TopicName) -> Option<TopicRef> {
        self.read().get(topic).cloned()
    }

    /// The cells of all of them.
    pub(crate) fn cells(&self) -> Vec<Arc<TopicCell>> {
        self.read().values().map(|topic| Arc::clone(&topic.cell)).collect()
    }

    /// Forgets them; the cells of all, in order: what is told of them can be told again in the same way.
    pub(crate) fn take_all(&self) -> Vec<Arc<TopicCell>> {
        let mut cells: Vec<_> = mem::take(&mut *self.write()).into_values().map(|topic| topic.cell).collect();
        cells.sort_by(|one, other| one.topic.cmp(&other.topic));
        cells
    }
}
