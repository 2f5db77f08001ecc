//! How a topic's actor ends: failed and restarted, forgotten, or killed.

use std::sync::Arc;

use ractor::RpcReplyPort;

use super::{
    State, TopicManagerMsg,
    entry::{Entry, Kill},
};
use crate::{
    actors::{
        Door, SessionMsg,
        subscriber_manager::{EndExact, ExactEnded},
        topic::{TopicMsg, TopicRef},
    },
    commons::Commons,
    control::Outcome,
    events::{Event, Lost},
    name::TopicName,
    topic_cell::Life,
    wire::Code,
};

impl State {
    /// A topic failed: another actor takes its place at the same cell; too often, and it is killed.
    pub(super) async fn failed(&mut self, topic: TopicName, why: String) {
        match self.topics.get(&topic).map(|entry| entry.topic.cell.life()) {
            Some(Life::Open) => self.restart(&topic, why).await,
            // It was to end; what it still had to say is answered by its end.
            Some(_) => self.ended(&topic).await,
            None => {}
        }
    }

    async fn restart(&mut self, topic: &TopicName, mut why: String) {
        let failures = &self.shared.config.failures;
        let (limit, window) = (failures.leaf_restarts, failures.leaf_window);
        while let Some(entry) = self.topics.get_mut(topic) {
            let restarts = entry.failures.count(Commons::now(), window);
            let cell = Arc::clone(&entry.topic.cell);
            if restarts > limit {
                let by = format!("the broker: it failed {restarts} times, the last time it {why}");
                self.begin_kill(topic, by, "the topic has failed too often; subscribe again", None);
                return self.ended(topic).await;
            }
            self.shared.emit(Event::TopicRestarted { topic: topic.clone(), restarts, why });
            match self.spawn(cell).await {
                Ok(again) => return self.revive(topic, &again),
                // As good as failed again.
                Err(error) => why = error.to_string(),
            }
        }
    }

    /// A topic's actor has ended, as it was asked to.
    pub(super) async fn ended(&mut self, topic: &TopicName) {
        let Some(entry) = self.topics.get_mut(topic) else { return };
        match entry.topic.cell.life() {
            Life::Open | Life::Forgotten => {}
            Life::Killed => {
                if let Some(kill) = &mut entry.kill {
                    kill.actor_ended = true;
                }
                self.finish_kill(topic).await;
            }
            Life::Forgetting => {
                let cell = Arc::clone(&entry.topic.cell);
                // Said before it is looked at: whoever subscribes now is either seen here, or sees this.
                cell.set_life(Life::Forgotten);
                if cell.look_at_backlog().messages() > 0 || cell.is_subscribed() {
                    cell.set_life(Life::Open);
                    match self.spawn(cell).await {
                        Ok(again) => self.revive(topic, &again),
                        Err(error) => Box::pin(self.restart(topic, error.to_string())).await,
                    }
                } else if let Some(entry) = self.remove(topic) {
                    entry.topic.cell.tell_dropped(&self.shared);
                    self.shared.emit(Event::TopicForgotten { topic: topic.clone() });
                    self.find_again(topic, entry.waiting).await;
                }
            }
        }
    }

    /// The topic lives on with another actor, which matches again and finds a backlog's subscription if one has come meanwhile.
    fn revive(&mut self, topic: &TopicName, again: &TopicRef) {
        let Some(entry) = self.topics.get_mut(topic) else { return };
        entry.revive(again.clone());
        self.shared.topics.insert(again.clone());
        let _ = self.shared.tell(&again.actor, TopicMsg::Wake);
        for (_, session) in entry.waiting.drain(..) {
            let found = SessionMsg::TopicFound { topic: topic.clone(), found: Ok(again.clone()) };
            let _ = self.shared.tell(&session, found);
        }
    }

    /// Ends a topic. Its exact subscribers are told `reason`, unless it is forbidden; `reply` is answered when it is gone.
    pub(super) fn begin_kill(&mut self, topic: &TopicName, by: String, reason: &str, reply: Option<RpcReplyPort<Outcome>>) {
        let Some(entry) = self.topics.get_mut(topic) else { return };
        entry.kill = Some(Kill { by, reply, lost: Lost::default(), subscriptions_ended: false, actor_ended: false });
        // From now on what waits is answered 410; the actor ends behind it.
        entry.topic.cell.set_life(Life::Killed);
        let _ = entry.topic.actor.drain();
        let done = Door::new(&self.shared.stats, &self.myself, TopicManagerMsg::ExactEnded);
        let (code, reason) = match self.shared.bans.topic(topic) {
            Some(reason) => (Code::Forbidden, reason),
            None => (Code::Gone, reason.to_owned()),
        };
        self.end_exact.send(EndExact { topic: topic.clone(), code, reason, done });
    }

    pub(super) async fn subscriptions_ended(&mut self, ended: &ExactEnded) {
        if let Some(kill) = self.topics.get_mut(&ended.topic).and_then(|entry| entry.kill.as_mut()) {
            kill.lost += ended.lost;
            kill.subscriptions_ended = true;
        }
        self.finish_kill(&ended.topic).await;
    }

    async fn finish_kill(&mut self, topic: &TopicName) {
        let done = |kill: &Kill| kill.subscriptions_ended && kill.actor_ended;
        if !self.topics.get(topic).and_then(|entry| entry.kill.as_ref()).is_some_and(done) {
            return;
        }
        let Some(Entry { topic: topic_ref, waiting, kill: Some(Kill { by, reply, mut lost, .. }), .. }) = self.remove(topic)
        else {
            return;
        };
        topic_ref.cell.tell_dropped(&self.shared);
        let backlog = topic_ref.cell.backlog().close();
        self.shared.stats.dropped.add(backlog.messages());
        lost += backlog;
        self.shared.emit(Event::TopicKilled { topic: topic.clone(), by, lost });
        if let Some(reply) = reply {
            let _ = reply.send(Outcome::Done { lost });
        }
        self.find_again(topic, waiting).await;
    }
}
