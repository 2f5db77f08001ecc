//! The subscriber manager: creates, finds and ends subscribers, and owns their queues, which outlive a subscriber's panic.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::Duration,
};

use ractor::{Actor, ActorId, ActorProcessingErr, ActorRef, RpcReplyPort, SupervisionEvent};

use super::{
    Door, Failures, Living, RightsChanged, SessionMsg, SubscriberMsg, alive,
    subscriber::{Arguments as SubscriberArguments, Subscriber},
    topic::{MakeRoom, RoomMade, TopicMsg, TopicRef},
};
use crate::{
    control::{Control, Order, Outcome},
    events::{DropReason, Event, Lost, Sample, SubscriptionEnd, SubscriptionSample},
    limits::Limit,
    name::{Filter, Principal, SessionId, SubscriptionHandle, SubscriptionId, TopicName},
    queue::Bounds,
    shared::Shared,
    stats::Rate,
    subscription::SubscriptionQueue,
    wire::Code,
};

/// What the subscriber manager can be asked.
#[derive(Debug)]
pub(crate) enum SubscriberManagerMsg {
    /// Create a subscription with its queue; its subscriber answers the session.
    Create(Box<Create>),
    /// End one subscription because its client asked.
    Unsubscribe { id: SubscriptionId, request: u32, session: ActorRef<SessionMsg> },
    /// End all of a session's subscriptions, and say what was lost.
    EndSession { session: SessionId, done: Door<SubscriptionsEnded> },
    /// End all exact subscriptions to a killed topic, and say what was lost.
    EndExact(EndExact),
    /// The broker is full: parked queues must make room.
    MakeRoom(MakeRoom),
    /// The users are others now: what they may no longer see goes.
    RightsChanged(RightsChanged),
    /// Carry out an order about a subscription.
    Order { order: Order, reply: RpcReplyPort<Outcome> },
    /// A second has passed.
    Tick,
    /// End everything; what the queues held is the answer.
    Close(RpcReplyPort<Lost>),
}

/// A subscription to be.
#[derive(Debug)]
pub(crate) struct Create {
    pub(crate) id: SubscriptionId,
    pub(crate) handle: SubscriptionHandle,
    pub(crate) principal: Principal,
    pub(crate) ack_timeout: Duration,
    pub(crate) request: u32,
    pub(crate) session: ActorRef<SessionMsg>,
    /// The topic of an exact filter.
    pub(crate) topic: Option<TopicRef>,
}

/// All of a session's subscriptions have ended.
#[derive(Debug)]
pub(crate) struct SubscriptionsEnded {
    pub(crate) session: SessionId,
    pub(crate) lost: Lost,
}

/// A topic was killed: end its exact subscriptions.
#[derive(Debug)]
pub(crate) struct EndExact {
    pub(crate) topic: TopicName,
    /// What to tell the clients.
    pub(crate) code: Code,
    pub(crate) reason: String,
    pub(crate) done: Door<ExactEnded>,
}

/// They have ended.
#[derive(Debug)]
pub(crate) struct ExactEnded {
    pub(crate) topic: TopicName,
    pub(crate) lost: Lost,
}

pub(crate) struct SubscriberManager;

pub(crate) struct State {
    shared: Arc<Shared>,
    sessions: BTreeMap<SessionId, BTreeMap<Filter, Entry>>,
    actors: HashMap<ActorId, SubscriptionId>,
    count: usize,
    _alive: Living,
}

struct Entry {
    queue: Arc<SubscriptionQueue>,
    session: ActorRef<SessionMsg>,
    topic: Option<TopicRef>,
    subscriber: ActorRef<SubscriberMsg>,
    failures: Failures,
    rate: Rate,
}

impl Actor for SubscriberManager {
    type Msg = SubscriberManagerMsg;
    type State = State;
    type Arguments = Arc<Shared>;

    async fn pre_start(&self, _: ActorRef<SubscriberManagerMsg>, shared: Arc<Shared>) -> Result<State, ActorProcessingErr> {
        let alive = alive(&shared);
        Ok(State { shared, sessions: BTreeMap::new(), actors: HashMap::new(), count: 0, _alive: alive })
    }

    async fn handle(
        &self,
        myself: ActorRef<SubscriberManagerMsg>,
        message: SubscriberManagerMsg,
        state: &mut State,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            SubscriberManagerMsg::Create(create) => state.create(&myself, *create).await?,
            SubscriberManagerMsg::Unsubscribe { id, request, session } => state.unsubscribe(&id, request, &session),
            SubscriberManagerMsg::EndSession { session, done } => {
                let lost = state.end_session(session);
                done.send(SubscriptionsEnded { session, lost });
            }
            SubscriberManagerMsg::EndExact(EndExact { topic, code, reason, done }) => {
                let lost = state.end_exact(&topic, code, &reason);
                done.send(ExactEnded { topic, lost });
            }
            SubscriberManagerMsg::MakeRoom(MakeRoom(done)) => {
                state.make_room();
                done.send(RoomMade);
            }
            SubscriberManagerMsg::RightsChanged(changed) => state.rights_changed(&changed),
            SubscriberManagerMsg::Order { order, reply } => state.order(order, reply),
            SubscriberManagerMsg::Tick => state.sample(),
            SubscriberManagerMsg::Close(reply) => {
                let _ = reply.send(state.close());
            }
        }
        Ok(())
    }

    async fn handle_supervisor_evt(
        &self,
        myself: ActorRef<SubscriberManagerMsg>,
        event: SupervisionEvent,
        state: &mut State,
    ) -> Result<(), ActorProcessingErr> {
        match event {
            SupervisionEvent::ActorFailed(who, error) => state.restart(&myself, who.get_id(), &error.to_string()).await?,
            SupervisionEvent::ActorTerminated(who, _, _) => {
                state.actors.remove(&who.get_id());
            }
            SupervisionEvent::ActorStarted(_) | SupervisionEvent::ProcessGroupChanged(_) => {}
        }
        Ok(())
    }
}

impl State {
    fn bounds(&self) -> Bounds {
        let queues = &self.shared.config.queues;
        Bounds {
            messages: queues.max_messages as u64,
            bytes: queues.max_bytes as u64,
            poison: queues.max_poison,
            window_messages: queues.window_messages as u64,
            window_bytes: queues.window_bytes as u64,
            attempts: queues.max_attempts,
            hold: queues.hold_publisher,
        }
    }

    async fn create(&mut self, myself: &ActorRef<SubscriberManagerMsg>, create: Create) -> Result<(), ActorProcessingErr> {
        let Create { id, handle, principal, ack_timeout, request, session, topic } = create;
        if let Some(refusal) = self.refusal(&principal, &id.filter, topic.as_ref()) {
            let (code, reason) = refusal;
            let _ = self.shared.tell(&session, SessionMsg::SubscribeRefused { filter: id.filter, request, code, reason });
            return Ok(());
        }
        let queue = SubscriptionQueue::new(id.clone(), handle, principal, &self.shared, self.bounds(), ack_timeout);
        self.shared.emit(Event::SubscriptionCreated { id: id.clone() });
        // In the trie before the subscriber starts, which answers as soon as it has: a publish sent after that answer finds it.
        self.shared.filters.insert(&id.filter, id.session, Arc::clone(&queue));
        let subscriber = self.spawn(myself, &queue, &session, Some(request)).await?;
        if let Some(topic) = &topic {
            // One that has failed is restarted and looks by itself.
            let _ = self.shared.tell(&topic.actor, TopicMsg::Wake);
        }
        let entry = Entry { queue, session, topic, subscriber, failures: Failures::default(), rate: Rate::default() };
        self.sessions.entry(id.session).or_default().insert(id.filter, entry);
        self.count += 1;
        Ok(())
    }

    fn refusal(&self, principal: &Principal, filter: &Filter, topic: Option<&TopicRef>) -> Option<(Code, String)> {
        // Its session has judged, perhaps before the users were read again.
        if !self.shared.access.rights_of(principal).is_some_and(|rights| rights.may_subscribe(filter)) {
            return Some((Code::Forbidden, "you may not subscribe to this filter".to_owned()));
        }
        let max = self.shared.config.queues.max_subscriptions;
        if self.count >= max {
            self.shared.limit_hit(Limit::Subscriptions, principal.as_str());
            return Some((
                Code::NoRoom,
                format!("the broker has {max} subscriptions (queues.max_subscriptions); try again later"),
            ));
        }
        // Counted from here on, if there is something to count.
        match topic {
            Some(topic) if !topic.cell.subscribe() => {
                Some((Code::Gone, "the topic was killed or forgotten meanwhile; subscribe again".to_owned()))
            }
            _ => None,
        }
    }

    async fn spawn(
        &mut self,
        myself: &ActorRef<SubscriberManagerMsg>,
        queue: &Arc<SubscriptionQueue>,
        session: &ActorRef<SessionMsg>,
        request: Option<u32>,
    ) -> Result<ActorRef<SubscriberMsg>, ActorProcessingErr> {
        let arguments =
            SubscriberArguments { shared: Arc::clone(&self.shared), queue: Arc::clone(queue), session: session.clone(), request };
        let (subscriber, _) = Actor::spawn_linked(None, Subscriber, arguments, myself.get_cell()).await?;
        self.actors.insert(subscriber.get_id(), queue.id.clone());
        Ok(subscriber)
    }

    fn take(&mut self, id: &SubscriptionId) -> Option<Entry> {
        let filters = self.sessions.get_mut(&id.session)?;
        let entry = filters.remove(&id.filter)?;
        if filters.is_empty() {
            self.sessions.remove(&id.session);
        }
        self.count -= 1;
        Some(entry)
    }

    /// Ends a subscription: out of the trie first, so that no topic finds it, then its queue, then its subscriber.
    fn end(&self, entry: &Entry) -> Lost {
        let id = &entry.queue.id;
        self.shared.filters.remove(&id.filter, id.session);
        if let Some(topic) = &entry.topic {
            topic.cell.unsubscribe();
        }
        let lost = entry.queue.close();
        self.tell_dropped(&entry.queue);
        self.shared.stats.dropped.add(lost.messages());
        entry.subscriber.stop(None);
        lost
    }

    /// Counts and tells what a queue has dropped since this was last done.
    fn tell_dropped(&self, queue: &SubscriptionQueue) {
        for (why, dropped) in queue.take_untold() {
            self.shared.stats.dropped.add(dropped);
            match why {
                DropReason::QueueFull => self.shared.limits.count(Limit::Queue, dropped),
                DropReason::PoisonFull => self.shared.limit_hit(Limit::Poison, queue.principal.as_str()),
                DropReason::BacklogFull | DropReason::Expired | DropReason::MemoryFull | DropReason::RightWithdrawn => {}
            }
            self.shared.emit(Event::SubscriptionOverflowed { id: queue.id.clone(), dropped, why });
        }
    }

    fn unsubscribe(&mut self, id: &SubscriptionId, request: u32, session: &ActorRef<SessionMsg>) {
        let entry = self.take(id);
        if let Some(entry) = &entry {
            let lost = self.end(entry);
            self.shared.emit(Event::SubscriptionEnded { id: id.clone(), why: SubscriptionEnd::Unsubscribed, lost });
        }
        let existed = entry.is_some();
        let _ = self.shared.tell(session, SessionMsg::Unsubscribed { filter: id.filter.clone(), request, existed });
    }

    fn end_session(&mut self, session: SessionId) -> Lost {
        let mut lost = Lost::default();
        for entry in self.sessions.remove(&session).unwrap_or_default().into_values() {
            self.count -= 1;
            lost += self.end(&entry);
        }
        lost
    }

    fn end_exact(&mut self, topic: &TopicName, code: Code, reason: &str) -> Lost {
        let mut lost = Lost::default();
        for queue in self.shared.filters.exact(topic) {
            let Some(entry) = self.take(&queue.id) else { continue };
            let its = self.end(&entry);
            lost += its;
            let (id, why) = (queue.id.clone(), SubscriptionEnd::TopicKilled);
            self.shared.emit(Event::SubscriptionEnded { id, why, lost: its });
            let ended = SessionMsg::SubscriptionEnded {
                filter: queue.id.filter.clone(),
                code,
                reason: reason.to_owned(),
                lost: its.messages(),
            };
            let _ = self.shared.tell(&entry.session, ended);
        }
        lost
    }

    /// Subscriptions that are no longer allowed end, others lose what they may no longer show. Those of users who are gone end
    /// with their sessions.
    fn rights_changed(&mut self, changed: &RightsChanged) {
        let users = self.shared.access.current();
        let mut forbidden = Vec::new();
        for entry in self.sessions.values().flat_map(BTreeMap::values) {
            let queue = &entry.queue;
            match users.rights_of(&queue.principal) {
                None => {}
                Some(rights) if !rights.may_subscribe(&queue.id.filter) => forbidden.push(queue.id.clone()),
                Some(_) => {
                    let lost = queue.look_at_rights();
                    self.tell_dropped(queue);
                    if !lost.is_nothing() {
                        changed.cost(lost);
                        // Its window may have been full of it.
                        let _ = self.shared.tell(&entry.subscriber, SubscriberMsg::Ready);
                    }
                }
            }
        }
        for id in forbidden {
            let Some(entry) = self.take(&id) else { continue };
            let lost = self.end(&entry);
            changed.cost(lost);
            self.shared.emit(Event::SubscriptionEnded { id: id.clone(), why: SubscriptionEnd::RightWithdrawn, lost });
            let ended = SessionMsg::SubscriptionEnded {
                filter: id.filter,
                code: Code::Forbidden,
                reason: "you may no longer subscribe to this filter".to_owned(),
                lost: lost.messages(),
            };
            let _ = self.shared.tell(&entry.session, ended);
        }
    }

    /// A subscriber failed: another one takes its place at the same queue, up to the limit.
    async fn restart(
        &mut self,
        myself: &ActorRef<SubscriberManagerMsg>,
        who: ActorId,
        why: &str,
    ) -> Result<(), ActorProcessingErr> {
        let Some(id) = self.actors.remove(&who) else { return Ok(()) };
        let failures = &self.shared.config.failures;
        let (limit, window) = (failures.leaf_restarts, failures.leaf_window);
        let Some(entry) = self.sessions.get_mut(&id.session).and_then(|filters| filters.get_mut(&id.filter)) else {
            return Ok(());
        };
        if entry.subscriber.get_id() != who {
            return Ok(());
        }
        let restarts = entry.failures.count(Shared::now(), window);
        let (queue, session) = (Arc::clone(&entry.queue), entry.session.clone());
        // What was in flight comes again, marked; its session resumes the new subscriber.
        if let Some(given_up) = queue.park() {
            let (number, attempts) = (given_up.number, given_up.attempts);
            self.shared.emit(Event::SubscriptionPoisoned { id: id.clone(), number, attempts });
        }
        if restarts > limit {
            if let Some(entry) = self.take(&id) {
                let lost = self.end(&entry);
                self.shared.emit(Event::SubscriptionEnded { id: id.clone(), why: SubscriptionEnd::Failed, lost });
                let failed = SessionMsg::SubscriberFailed { filter: id.filter, lost: lost.messages() };
                let _ = self.shared.tell(&session, failed);
            }
            return Ok(());
        }
        self.shared.emit(Event::SubscriptionRestarted { id: id.clone(), restarts, why: why.to_owned() });
        let subscriber = self.spawn(myself, &queue, &session, None).await?;
        if let Some(entry) = self.sessions.get_mut(&id.session).and_then(|filters| filters.get_mut(&id.filter)) {
            entry.subscriber = subscriber;
        }
        Ok(())
    }

    /// The oldest messages of parked queues go, until there is room again or nothing is left that may go.
    fn make_room(&self) {
        let board = self.shared.bus.board();
        let is_parked = |session: &SessionId| board.sessions.get(session).is_some_and(|session| !session.is_attached());
        let parked = self.sessions.iter().filter(|(session, _)| is_parked(session)).flat_map(|(_, filters)| filters.values());
        let mut oldest: Vec<_> = parked.filter_map(|entry| Some((entry.queue.oldest_ms()?, &entry.queue))).collect();
        oldest.sort_by_key(|(accepted_ms, _)| *accepted_ms);
        for (_, queue) in oldest {
            // Batches are shared: what a queue gives up is free only if no other queue holds it.
            while self.shared.memory.excess() > 0 && queue.give_up_oldest(self.shared.memory.excess()) > 0 {}
        }
    }

    /// What is done to a queue is done here, not by its subscriber: that one may be ending, and with it the answer.
    fn order(&self, order: Order, reply: RpcReplyPort<Outcome>) {
        let outcome = match &order.control {
            Control::Purge { subscription } | Control::Redeliver { subscription } | Control::PeekQueue { subscription, .. } => {
                let filters = self.sessions.get(&subscription.session);
                match filters.and_then(|filters| filters.get(&subscription.filter)) {
                    Some(entry) => self.about_queue(entry, order),
                    None => Outcome::AlreadyGone,
                }
            }
            _ => Outcome::refused("this order is not about a subscription"),
        };
        // Whoever asked may have given up waiting.
        let _ = reply.send(outcome);
    }

    fn about_queue(&self, entry: &Entry, order: Order) -> Outcome {
        let (queue, seen) = (&entry.queue, &order.precondition);
        let epoch = self.shared.epoch_of(queue.id.session);
        match order.control {
            Control::PeekQueue { most, .. } => match seen.check(epoch, 0) {
                Ok(()) => Outcome::Seen { peek: Box::new(queue.peek(most)) },
                Err(refused) => refused,
            },
            Control::Redeliver { .. } => match seen.check(epoch, 0).map(|()| queue.redeliver(&self.shared.memory)) {
                Ok(0) => Outcome::AlreadyGone,
                Ok(_) => {
                    // One that has failed is replaced, and looks at its queue first.
                    let _ = self.shared.tell(&entry.subscriber, SubscriberMsg::Ready);
                    Outcome::DONE
                }
                Err(refused) => refused,
            },
            _ => match queue.purge_if(|loss| seen.check(epoch, loss)) {
                Ok(lost) if lost.is_nothing() => Outcome::AlreadyGone,
                Ok(lost) => {
                    self.shared.stats.dropped.add(lost.messages());
                    self.shared.emit(Event::SubscriptionPurged { id: queue.id.clone(), by: order.operator, lost });
                    Outcome::Done { lost }
                }
                Err(refused) => refused,
            },
        }
    }

    fn sample(&mut self) {
        let (mut rows, mut queues) = (Vec::new(), Vec::new());
        for entry in self.sessions.values_mut().flat_map(BTreeMap::values_mut) {
            let rate_changed = entry.rate.sample(entry.queue.delivered());
            let changed = entry.queue.depth_if_changed();
            if !rate_changed && changed.is_none() {
                continue;
            }
            let depth = changed.unwrap_or_else(|| entry.queue.depth());
            queues.push(Arc::clone(&entry.queue));
            rows.push(SubscriptionSample { id: entry.queue.id.clone(), depth, deliver_rate: entry.rate.last });
        }
        for queue in &queues {
            self.tell_dropped(queue);
        }
        for rows in rows.chunks(Sample::MAX_ROWS) {
            self.shared.emit(Event::Sample(Sample { subscriptions: rows.to_vec(), ..Sample::default() }));
        }
    }

    fn close(&mut self) -> Lost {
        let sessions: Vec<_> = self.sessions.keys().copied().collect();
        sessions.into_iter().fold(Lost::default(), |mut lost, session| {
            lost += self.end_session(session);
            lost
        })
    }
}
