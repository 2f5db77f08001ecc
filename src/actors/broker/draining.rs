//! How a broker is emptied of its clients, and how it ends: a task beside its mailbox, so that orders are answered meanwhile.
//! Each phase is told when it begins. Receipts have until the deadline; whoever does not answer in time is ended all the same.

use std::{
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Duration,
};

use ractor::{ActorRef, Message, RpcReplyPort, rpc::CallResult};
use tokio::time::{self, Instant};

use super::{ListenerManagerMsg, Managers, SubscriberManagerMsg, TopicManagerMsg};
use crate::{
    commons::Commons,
    events::{Event, Lost, StopPhase},
};

/// How often it is looked whether receipts are still held.
const POLL: Duration = Duration::from_millis(5);
/// How often what is left is told.
const TOLD: Duration = Duration::from_secs(1);
/// What each phase after the receipts has, however long those took.
const GRACE: Duration = Duration::from_secs(1);

/// A drain under way.
pub(super) struct Draining {
    shared: Arc<Commons>,
    managers: Managers,
    deadline: Instant,
}

impl Draining {
    /// Takes nothing more in, from now on. Behind it the broker `ends`, or waits for an order.
    pub(super) fn begin(shared: &Arc<Commons>, managers: &Managers, ends: bool) -> Self {
        let deadline = Instant::now() + shared.config.connections.drain_deadline;
        shared.emit(Event::Draining { deadline: shared.clock.at(deadline), ends });
        let draining = Self { shared: Arc::clone(shared), managers: managers.clone(), deadline };
        draining.tell(StopPhase::StopAccepting, shared.stats.unsettled.get());
        if shared.accepting.swap(false, Relaxed) {
            shared.emit(Event::Accepting { on: false });
        }
        shared.draining.store(true, Relaxed);
        draining
    }

    fn tell(&self, phase: StopPhase, left: u64) {
        self.shared.emit(Event::StopPhase { phase, left });
    }

    fn left(&self) -> Duration {
        self.deadline.saturating_duration_since(Instant::now()).max(GRACE)
    }

    async fn ask<M: Message, T: Send + 'static>(&self, whom: &ActorRef<M>, what: fn(RpcReplyPort<T>) -> M) -> Option<T> {
        match whom.call(what, Some(self.left())).await {
            Ok(CallResult::Success(answer)) => Some(answer),
            Ok(CallResult::Timeout | CallResult::SenderError) | Err(_) => None,
        }
    }

    /// Lets publishers have their receipts, then tells every client and closes.
    pub(super) async fn empty(&self) {
        let unsettled = &self.shared.stats.unsettled;
        let mut told = Instant::now();
        self.tell(StopPhase::Receipts, unsettled.get());
        while unsettled.get() > 0 && Instant::now() < self.deadline {
            time::sleep(POLL).await;
            if told.elapsed() >= TOLD {
                told = Instant::now();
                self.tell(StopPhase::Receipts, unsettled.get());
            }
        }
        self.tell(StopPhase::Goodbyes, self.shared.bus.board().listeners.len() as u64);
        self.ask(&self.managers.listeners, ListenerManagerMsg::SayGoodbye).await;
    }

    /// Ends everything, in reverse order. Returns what queues and backlogs still held.
    pub(super) async fn stop(&self) -> Lost {
        self.empty().await;
        self.tell(StopPhase::Stopping, self.shared.stats.actors.get());
        let mut lost = self.ask(&self.managers.subscribers, SubscriberManagerMsg::Close).await.unwrap_or_default();
        lost += self.ask(&self.managers.topics, TopicManagerMsg::Close).await.unwrap_or_default();
        self.managers.stop().await;
        lost
    }
}
