//! A topic's cell: its life, its backlog and its counters. It belongs to `TopicManager`, so that it outlives its actor's panic;
//! its actor appends to it, sessions count their exact subscriptions in it, samplers look at it.

use std::sync::{
    Arc, Mutex, MutexGuard, PoisonError,
    atomic::{
        AtomicBool, AtomicU8, AtomicU64,
        Ordering::{Relaxed, SeqCst},
    },
};

use crate::{
    backlog::Backlog,
    commons::Commons,
    events::{DropReason, Event},
    limits::Limit,
    name::{Principal, TopicName},
    stats::Counter,
};

/// How long a topic has to live.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Life {
    Open,
    /// Unused for long: what is in its mailbox still counts, then it goes unless that left a backlog.
    Forgetting,
    /// Forgotten: an exact subscription that has not been counted by now must look the topic up again.
    Forgotten,
    /// An operator's order: what waits is answered 410.
    Killed,
}

/// What of a topic outlives its actor's failure, and what others may look at. `TopicManager` owns it.
#[derive(Debug)]
pub(crate) struct TopicCell {
    pub(crate) topic: TopicName,
    pub(crate) created_by: Principal,
    life: AtomicU8,
    /// Exact subscriptions.
    exact: AtomicU64,
    pub(crate) published: Counter,
    pub(crate) fanned_out: Counter,
    pub(crate) matched: Counter,
    /// Uptime of the last publish, in milliseconds, plus one; zero if there was none.
    pub(crate) last_publish: AtomicU64,
    /// Something of it is other than at the last look; who looks clears it first.
    pub(crate) changed: AtomicBool,
    backlog: Mutex<Backlog>,
}

impl TopicCell {
    pub(crate) fn new(topic: TopicName, created_by: Principal, backlog: Backlog) -> Arc<Self> {
        Arc::new(Self {
            topic,
            created_by,
            life: AtomicU8::new(Life::Open as u8),
            exact: AtomicU64::new(0),
            published: Counter::default(),
            fanned_out: Counter::default(),
            matched: Counter::default(),
            last_publish: AtomicU64::new(0),
            changed: AtomicBool::new(true),
            backlog: Mutex::new(backlog),
        })
    }

    pub(crate) fn life(&self) -> Life {
        match self.life.load(SeqCst) {
            0 => Life::Open,
            1 => Life::Forgetting,
            2 => Life::Forgotten,
            _ => Life::Killed,
        }
    }

    pub(crate) fn set_life(&self, life: Life) {
        self.life.store(life as u8, SeqCst);
    }

    /// Counts an exact subscription. False if the topic has ended, and nothing was counted.
    ///
    /// Its manager calls the topic forgotten before it looks at the count, and this counts before it looks whether the topic
    /// is forgotten: one of the two always sees the other.
    pub(crate) fn subscribe(&self) -> bool {
        self.exact.fetch_add(1, SeqCst);
        // It is not unused any more, however long it was.
        self.changed.store(true, Relaxed);
        let lives = matches!(self.life(), Life::Open | Life::Forgetting);
        if !lives {
            self.unsubscribe();
        }
        lives
    }

    /// Counts an exact subscription no more.
    pub(crate) fn unsubscribe(&self) {
        self.exact.fetch_sub(1, SeqCst);
        // It may be unused from now on.
        self.changed.store(true, Relaxed);
    }

    /// True if it has an exact subscription.
    pub(crate) fn is_subscribed(&self) -> bool {
        self.exact.load(SeqCst) > 0
    }

    pub(crate) fn backlog(&self) -> MutexGuard<'_, Backlog> {
        let backlog = self.look_at_backlog();
        // Under the lock: a sampler that clears the mark before this looks at the backlog after what is done now.
        self.changed.store(true, Relaxed);
        backlog
    }

    /// Counts and tells what the backlog has dropped since this was last done.
    pub(crate) fn tell_dropped(&self, shared: &Commons) {
        let untold: Vec<_> = self.look_at_backlog().take_untold().collect();
        for (why, dropped) in untold {
            shared.stats.dropped.add(dropped);
            if why == DropReason::BacklogFull {
                shared.limits.count(Limit::Backlog, dropped);
            }
            shared.emit(Event::BacklogOverflowed { topic: self.topic.clone(), dropped, why });
        }
    }

    /// The backlog, without marking the cell as changed.
    pub(crate) fn look_at_backlog(&self) -> MutexGuard<'_, Backlog> {
        self.backlog.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
