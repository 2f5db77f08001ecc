//! How a topic's actor ends: failed and restarted, forgotten, or killed.

use std::sync::Arc;

use ractor::{ActorId, ActorProcessingErr, RpcReplyPort};

use super::{
    State, TopicManagerMsg,
    entry::{Entry, Kill},
    tell_dropped,
};
use crate::{
    actors::{
        Door, SessionMsg,
        subscriber_manager::{EndExact, ExactEnded},
        topic::{TopicMsg, TopicRef},
    },
    control::Outcome,
    events::{Event, Lost},
    name::TopicName,
    shared::Shared,
    topic_cell::Life,
    wire::Code,
};

impl State {
    /// A topic failed: another actor takes its place at the same cell; too often, and it is killed.
    pub(super) async fn failed(&mut self, who: ActorId, why: &str) -> Result<(), ActorProcessingErr> {
        let failures = &self.shared.config.failures;
        let (limit, window) = (failures.leaf_restarts, failures.leaf_window);
        let Some(topic) = self.actors.get(&who).cloned() else { return Ok(()) };
        let Some(entry) = self.topics.get_mut(&topic) else { return Ok(()) };
        if entry.topic.cell.life() != Life::Open {
            return self.ended(who).await;
        }
        let restarts = entry.failures.count(Shared::now(), window);
        let cell = Arc::clone(&entry.topic.cell);
        if restarts > limit {
            self.begin_kill(&topic, format!("the broker: it failed {restarts} times, the last with {why}"), None);
            return self.ended(who).await;
        }
        self.shared.emit(Event::TopicRestarted { topic: topic.clone(), restarts, why: why.to_owned() });
        self.actors.remove(&who);
        let restarted = self.spawn(cell).await?;
        // It matches again, and finds a backlog's subscription if one has come meanwhile.
        let _ = self.shared.tell(&restarted.actor, TopicMsg::Wake);
        if let Some(entry) = self.topics.get_mut(&topic) {
            entry.topic = restarted;
        }
        Ok(())
    }

    /// A topic's actor has ended, as it was asked to.
    pub(super) async fn ended(&mut self, who: ActorId) -> Result<(), ActorProcessingErr> {
        let Some(topic) = self.actors.remove(&who) else { return Ok(()) };
        let Some(entry) = self.topics.get_mut(&topic) else { return Ok(()) };
        match entry.topic.cell.life() {
            Life::Open | Life::Forgotten => {}
            Life::Killed => {
                if let Some(kill) = &mut entry.kill {
                    kill.actor_ended = true;
                }
                self.finish_kill(&topic).await?;
            }
            Life::Forgetting => {
                let cell = Arc::clone(&entry.topic.cell);
                // Said before it is looked at: whoever subscribes now is either seen here, or sees this.
                cell.set_life(Life::Forgotten);
                if cell.look_at_backlog().messages() > 0 || cell.is_subscribed() {
                    cell.set_life(Life::Open);
                    let again = self.spawn(cell).await?;
                    let _ = self.shared.tell(&again.actor, TopicMsg::Wake);
                    self.revive(&topic, &again);
                } else if let Some(entry) = self.remove(&topic) {
                    tell_dropped(&self.shared, &entry.topic.cell);
                    self.shared.emit(Event::TopicForgotten { topic: topic.clone() });
                    self.find_again(&topic, entry.waiting).await?;
                }
            }
        }
        Ok(())
    }

    /// Forgetting found a backlog: the topic lives on.
    pub(super) fn revive(&mut self, topic: &TopicName, again: &TopicRef) {
        let Some(entry) = self.topics.get_mut(topic) else { return };
        entry.topic = again.clone();
        for (_, session) in entry.waiting.drain(..) {
            let found = SessionMsg::TopicFound { topic: topic.clone(), found: Ok(again.clone()) };
            let _ = self.shared.tell(&session, found);
        }
    }

    /// Ends a topic. `reply` is answered when it is gone.
    pub(super) fn begin_kill(&mut self, topic: &TopicName, by: String, reply: Option<RpcReplyPort<Outcome>>) {
        let Some(entry) = self.topics.get_mut(topic) else { return };
        entry.kill = Some(Kill { by, reply, lost: Lost::default(), subscriptions_ended: false, actor_ended: false });
        // From now on what waits is answered 410; the actor ends behind it.
        entry.topic.cell.set_life(Life::Killed);
        let _ = entry.topic.actor.drain();
        let done = Door::new(&self.shared.stats, &self.myself, TopicManagerMsg::ExactEnded);
        let (code, reason) = match self.shared.bans.topic(topic) {
            Some(reason) => (Code::Forbidden, reason),
            None => (Code::Gone, "the topic was killed by an operator".to_owned()),
        };
        self.end_exact.send(EndExact { topic: topic.clone(), code, reason, done });
    }

    pub(super) async fn subscriptions_ended(&mut self, ended: &ExactEnded) -> Result<(), ActorProcessingErr> {
        if let Some(kill) = self.topics.get_mut(&ended.topic).and_then(|entry| entry.kill.as_mut()) {
            kill.lost += ended.lost;
            kill.subscriptions_ended = true;
        }
        self.finish_kill(&ended.topic).await
    }

    pub(super) async fn finish_kill(&mut self, topic: &TopicName) -> Result<(), ActorProcessingErr> {
        let done = |kill: &Kill| kill.subscriptions_ended && kill.actor_ended;
        if !self.topics.get(topic).and_then(|entry| entry.kill.as_ref()).is_some_and(done) {
            return Ok(());
        }
        let Some(Entry { topic: topic_ref, waiting, kill: Some(Kill { by, reply, mut lost, .. }), .. }) = self.remove(topic)
        else {
            return Ok(());
        };
        tell_dropped(&self.shared, &topic_ref.cell);
        let backlog = topic_ref.cell.backlog().close();
        self.shared.stats.dropped.add(backlog.messages());
        lost += backlog;
        self.shared.emit(Event::TopicKilled { topic: topic.clone(), by, lost });
        if let Some(reply) = reply {
            let _ = reply.send(Outcome::Done { lost });
        }
        self.find_again(topic, waiting).await
    }
}
