//! What the manager knows of one topic.

use std::{
    sync::atomic::Ordering::Relaxed,
    time::{Duration, Instant},
};

use ractor::{ActorRef, RpcReplyPort};

use crate::{
    actors::{Failures, SessionMsg, topic::TopicRef},
    clock::{Moment, UnixMillis, Uptime},
    commons::Commons,
    control::Outcome,
    events::{Lost, TopicSample},
    name::{Principal, TopicName},
    stats::Rate,
    topic_cell::Life,
};

/// When to look again at a topic with neither an expiry nor its end in sight.
const QUIET: Duration = Duration::from_hours(1);

pub(super) struct Entry {
    pub(super) topic: TopicRef,
    pub(super) failures: Failures,
    /// Since when it might be forgotten.
    unused_since: Option<Instant>,
    /// Until then there is nothing to see, unless its cell says that it has changed.
    quiet_until: Option<Instant>,
    pub(super) published: Rate,
    pub(super) fanned_out: Rate,
    /// Look-ups that wait until the actor has ended.
    pub(super) waiting: Vec<(Principal, ActorRef<SessionMsg>)>,
    pub(super) kill: Option<Kill>,
}

/// A kill under way: it is done when the actor and the exact subscriptions have both ended.
pub(super) struct Kill {
    pub(super) by: String,
    pub(super) reply: Option<RpcReplyPort<Outcome>>,
    pub(super) lost: Lost,
    pub(super) subscriptions_ended: bool,
    pub(super) actor_ended: bool,
}

impl Entry {
    pub(super) fn new(topic: TopicRef) -> Self {
        Self {
            topic,
            failures: Failures::default(),
            unused_since: None,
            quiet_until: None,
            published: Rate::default(),
            fanned_out: Rate::default(),
            waiting: Vec::new(),
            kill: None,
        }
    }

    /// It has another actor, at the same cell.
    pub(super) fn revive(&mut self, topic: TopicRef) {
        (self.topic, self.quiet_until) = (topic, None);
    }

    /// What is to be done once a second, and to be told then; `seconds` after it was last done. Of very many topics most are
    /// quiet, and looking at anything but their mark would mostly be waiting for memory.
    pub(super) fn look(&mut self, shared: &Commons, topic: &TopicName, now: Instant, seconds: u64) -> Option<TopicSample> {
        let cell = &self.topic.cell;
        if self.quiet_until.is_some_and(|until| now < until) && !cell.changed.load(Relaxed) {
            return None;
        }
        let idle_after = shared.config.topics.idle_after;
        self.forget_if_unused(now, idle_after);
        let row = self.sample(shared, topic, now, seconds);
        self.quiet_until = row.is_none().then(|| self.next_look(now, idle_after));
        row
    }

    fn next_look(&self, now: Instant, idle_after: Duration) -> Instant {
        let expiry = self.topic.cell.look_at_backlog().next_expiry();
        let end = self.unused_since.map(|since| since + idle_after);
        expiry.into_iter().chain(end).min().unwrap_or(now + QUIET)
    }

    /// Without an exact subscription, a publish or a backlog for long, it goes; what is in its mailbox still counts.
    fn forget_if_unused(&mut self, now: Instant, idle_after: Duration) {
        let cell = &self.topic.cell;
        if cell.life() != Life::Open {
            return;
        }
        let used = cell.is_subscribed() || cell.look_at_backlog().messages() > 0 || self.published.differs(cell.published.get());
        if used {
            self.unused_since = None;
            return;
        }
        let since = *self.unused_since.get_or_insert(now);
        if now.saturating_duration_since(since) >= idle_after {
            cell.set_life(Life::Forgetting);
            let _ = self.topic.actor.drain();
        }
    }

    fn sample(&mut self, shared: &Commons, topic: &TopicName, now: Instant, seconds: u64) -> Option<TopicSample> {
        let cell = &self.topic.cell;
        // Cleared before anything is read: what changes from here on is for the next sample.
        let changed = cell.changed.swap(false, Relaxed);
        let rates =
            [self.published.sample(cell.published.get(), seconds), self.fanned_out.sample(cell.fanned_out.get(), seconds)];
        let (backlog, backlog_bytes, expired) = {
            let mut waiting = cell.look_at_backlog();
            let before = waiting.messages();
            waiting.expire(now);
            (waiting.messages(), waiting.bytes(), waiting.messages() < before)
        };
        if !rates.contains(&true) && !changed && !expired {
            return None;
        }
        cell.tell_dropped(shared);
        let last_publish = cell.last_publish.load(Relaxed).checked_sub(1).map(|up| {
            let start = shared.clock.now();
            Moment { up: Uptime(up), wall: UnixMillis(start.wall.0 - start.up.0 + up) }
        });
        Some(TopicSample {
            topic: topic.clone(),
            published: cell.published.get(),
            publish_rate: self.published.last,
            fan_out_rate: self.fanned_out.last,
            matched: cell.matched.get(),
            backlog,
            backlog_bytes,
            last_publish,
        })
    }
}
