//! The actors, one a file, in the order in which they are started; see the front page for who asks whom. Around them, what all
//! of them share: `heart` starts the broker and outlives it, `children` is what a supervisor knows of those below it, `watch`
//! how they say what they are doing, `round` how a manager looks at all it has.

mod broker;
mod children;
#[cfg(test)]
pub(crate) mod ear;
mod heart;
mod listener;
mod listener_manager;
mod pulse;
mod rights_changed;
mod round;
mod session;
mod session_manager;
mod subscriber;
mod subscriber_manager;
mod topic;
mod topic_manager;
mod watch;

use std::{
    collections::VecDeque,
    fmt,
    sync::Arc,
    time::{Duration, Instant},
};

pub(crate) use self::{
    broker::BrokerMsg,
    heart::Heart,
    listener::{Line, ListenerMsg},
    rights_changed::RightsChanged,
    session::SessionMsg,
    subscriber::SubscriberMsg,
    topic::TopicRef,
    watch::Doing,
};
use crate::{
    commons::{Commons, tell},
    stats::{Alive, Counter, Stats},
};
use ractor::{ActorRef, Message};

/// A way to tell an ancestor one kind of thing and nothing else, so that modules need not import their callers.
pub(crate) struct Door<T: 'static>(Arc<dyn Fn(T) -> bool + Send + Sync>);

impl<T: 'static> Door<T> {
    /// A door into `actor`'s mailbox, through `wrap`.
    pub(crate) fn new<M: Message + Sync>(stats: &Arc<Stats>, actor: &ActorRef<M>, wrap: fn(T) -> M) -> Self {
        let (stats, actor) = (Arc::clone(stats), actor.clone());
        Self(Arc::new(move |thing| tell(&stats, &actor, wrap(thing)).is_ok()))
    }

    /// Says it. False if nobody is behind the door any more.
    pub(crate) fn send(&self, thing: T) -> bool {
        (self.0)(thing)
    }
}

impl<T: 'static> Clone for Door<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T: 'static> fmt::Debug for Door<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Door<{}>", std::any::type_name::<T>())
    }
}

type Living = Alive<fn(&Stats) -> &Counter>;

/// Counts an actor as alive for as long as its state lives.
fn alive(shared: &Commons) -> Living {
    Alive::new(&shared.stats, |stats| &stats.actors)
}

/// Counts failures within a time: a supervisor's patience.
#[derive(Debug, Default)]
struct Failures(VecDeque<Instant>);

impl Failures {
    /// Counts one more; returns how many there were within `window`.
    fn count(&mut self, now: Instant, window: Duration) -> u32 {
        self.0.retain(|at| now.saturating_duration_since(*at) < window);
        self.0.push_back(now);
        self.0.len() as u32
    }
}
