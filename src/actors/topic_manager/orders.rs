//! What an operator may have done to a topic, whether or not it is there.

use ractor::RpcReplyPort;

use super::State;
use crate::{
    control::{Control, Order, Outcome},
    events::Event,
    name::TopicName,
};

/// What exact subscribers are told.
const KILLED: &str = "the topic was killed by an operator";

impl State {
    pub(super) fn order(&mut self, order: Order, reply: RpcReplyPort<Outcome>) {
        let outcome = match &order.control {
            Control::KillTopic { topic } => return self.kill(&topic.clone(), order, reply),
            Control::ForbidTopic { topic } => return self.forbid(&topic.clone(), order, reply),
            Control::AllowTopic { topic } => match order.precondition.check(None, 0) {
                Ok(()) => self.allow(topic.clone(), order.operator),
                Err(refused) => refused,
            },
            Control::PeekBacklog { topic, most } => match (order.precondition.check(None, 0), self.topics.get(topic)) {
                (Ok(()), Some(entry)) => Outcome::Seen { peek: Box::new(entry.topic.cell.look_at_backlog().peek(*most)) },
                (Ok(()), None) => Outcome::AlreadyGone,
                (Err(refused), _) => refused,
            },
            _ => Outcome::refused("this order is not about a topic"),
        };
        let _ = reply.send(outcome);
    }

    /// Messages that the topic's end would cost.
    fn held(&self, topic: &TopicName) -> u64 {
        let exact = self.shared.filters.exact(topic);
        let held: u64 = exact.iter().map(|queue| queue.depth()).map(|depth| depth.queued() + depth.poison).sum();
        held + self.topics.get(topic).map_or(0, |entry| entry.topic.cell.look_at_backlog().messages())
    }

    /// True if there is a topic, and it is not being killed already.
    fn can_be_killed(&self, topic: &TopicName) -> bool {
        self.topics.get(topic).is_some_and(|entry| entry.kill.is_none())
    }

    fn kill(&mut self, topic: &TopicName, order: Order, reply: RpcReplyPort<Outcome>) {
        let refused = if self.can_be_killed(topic) {
            order.precondition.check(None, self.held(topic)).err()
        } else {
            Some(Outcome::AlreadyGone)
        };
        match refused {
            Some(outcome) => {
                let _ = reply.send(outcome);
            }
            None => self.begin_kill(topic, order.operator, KILLED, Some(reply)),
        }
    }

    /// From now on nobody finds or creates the topic; if there is one, it is killed.
    fn forbid(&mut self, topic: &TopicName, order: Order, reply: RpcReplyPort<Outcome>) {
        let kills = self.can_be_killed(topic);
        let forbidden = order.precondition.check(None, if kills { self.held(topic) } else { 0 }).and_then(|()| {
            self.shared.bans.forbid_topic(topic, &order.reason).map_err(|not| self.shared.not_forbidden(not, &order.operator))
        });
        if let Err(refused) = forbidden {
            let _ = reply.send(refused);
            return;
        }
        let (by, why) = (order.operator.clone(), order.reason);
        self.shared.emit(Event::TopicForbidden { topic: topic.clone(), by, why });
        if kills {
            return self.begin_kill(topic, order.operator, KILLED, Some(reply));
        }
        // A kill that is under way is another order's, and so is what it costs.
        let _ = reply.send(Outcome::DONE);
    }

    fn allow(&self, topic: TopicName, by: String) -> Outcome {
        if !self.shared.bans.allow_topic(&topic) {
            return Outcome::AlreadyGone;
        }
        self.shared.emit(Event::TopicAllowed { topic, by });
        Outcome::DONE
    }
}
