//! The filter table: all subscriptions of a broker by their filters, with the queues that serve them. Shared by whoever makes
//! and ends subscriptions and by the topics, which look again only when its generation has moved on.

use std::sync::{
    Arc, PoisonError, RwLock,
    atomic::{AtomicU64, Ordering},
};

use crate::{
    filters::Filters,
    name::{Filter, SessionId, TopicName},
    subscription::SubscriptionQueue,
};

/// All subscriptions, by filter.
#[derive(Debug, Default)]
pub(crate) struct FilterTable {
    generation: AtomicU64,
    trie: RwLock<Filters<Arc<SubscriptionQueue>>>,
}

impl FilterTable {
    pub(crate) fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    pub(crate) fn insert(&self, filter: &Filter, session: SessionId, queue: Arc<SubscriptionQueue>) {
        self.trie.write().unwrap_or_else(PoisonError::into_inner).insert(filter, session, queue);
        self.generation.fetch_add(1, Ordering::Release);
    }

    pub(crate) fn remove(&self, filter: &Filter, session: SessionId) {
        self.trie.write().unwrap_or_else(PoisonError::into_inner).remove(filter, session);
        self.generation.fetch_add(1, Ordering::Release);
    }

    pub(crate) fn get(&self, filter: &Filter, session: SessionId) -> Option<Arc<SubscriptionQueue>> {
        self.trie.read().unwrap_or_else(PoisonError::into_inner).get(filter, session).cloned()
    }

    /// All queues.
    pub(crate) fn all(&self) -> Vec<Arc<SubscriptionQueue>> {
        self.trie.read().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }

    /// Forgets everything: all managers have ended. The queues of them all.
    pub(crate) fn take_all(&self) -> Vec<Arc<SubscriptionQueue>> {
        let all = std::mem::take(&mut *self.trie.write().unwrap_or_else(PoisonError::into_inner));
        self.generation.fetch_add(1, Ordering::Release);
        all.into_values()
    }

    /// The queues that match `topic`, and the generation they are of.
    pub(crate) fn matches(&self, topic: &TopicName) -> (u64, Vec<Arc<SubscriptionQueue>>) {
        let trie = self.trie.read().unwrap_or_else(PoisonError::into_inner);
        // Read under the lock: a change after this raises it again.
        (self.generation(), trie.matches(topic))
    }

    /// The queues of exact subscriptions to `topic`.
    pub(crate) fn exact(&self, topic: &TopicName) -> Vec<Arc<SubscriptionQueue>> {
        self.trie.read().unwrap_or_else(PoisonError::into_inner).exact(topic).cloned().collect()
    }
}
