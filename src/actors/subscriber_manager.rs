//! The subscriber manager: creates, finds and ends subscribers, and owns their queues, which outlive a subscriber's panic.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BinaryHeap},
    sync::Arc,
    time::Duration,
};

use ractor::{Actor, ActorProcessingErr, ActorRef, RpcReplyPort, SpawnErr, SupervisionEvent};

use super::{
    Door, Failures, Living, RightsChanged, SessionMsg, SubscriberMsg, alive,
    children::{Children, Ended},
    round::Round,
    subscriber::{Arguments as SubscriberArguments, Subscriber},
    topic::{MakeRoom, RoomMade, TopicMsg, TopicRef},
    watch::{Doing, kinds},
};
use crate::{
    commons::Commons,
    control::{Control, Order, Outcome},
    events::{Event, Lost, Sample, SubscriptionEnd, SubscriptionSample},
    limits::Limit,
    name::{Filter, Principal, SessionId, SubscriptionHandle, SubscriptionId, TopicName},
    queue::{Bounds, GivenUp},
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
    /// The next stride of a round.
    GoRound,
    /// End everything; what the queues held is the answer.
    Close(RpcReplyPort<Lost>),
}

kinds! { SubscriberManagerMsg: RightsChanged Create Unsubscribe EndSession EndExact MakeRoom Order Tick GoRound Close }

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

/// The subscriber manager's references.
pub(crate) struct Arguments {
    pub(crate) shared: Arc<Commons>,
    /// What this manager is doing.
    pub(crate) doing: Arc<Doing>,
}

pub(crate) struct SubscriberManager;

pub(crate) struct State {
    shared: Arc<Commons>,
    children: Children<SubscriptionId>,
    sessions: BTreeMap<SessionId, BTreeMap<Filter, Entry>>,
    round: Round<SessionId>,
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
    type Arguments = Arguments;

    async fn pre_start(&self, _: ActorRef<SubscriberManagerMsg>, args: Arguments) -> Result<State, ActorProcessingErr> {
        let Arguments { shared, doing } = args;
        let alive = alive(&shared);
        let children = Children::new(&shared, doing);
        Ok(State { shared, children, sessions: BTreeMap::new(), round: Round::default(), count: 0, _alive: alive })
    }

    async fn handle(
        &self,
        myself: ActorRef<SubscriberManagerMsg>,
        message: SubscriberManagerMsg,
        state: &mut State,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            SubscriberManagerMsg::Create(create) => state.create(&myself, *create).await,
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
            SubscriberManagerMsg::Tick => {
                if state.children.begin(&mut state.round, state.shared.second()) {
                    state.go_round(&myself).await;
                }
            }
            SubscriberManagerMsg::GoRound => state.go_round(&myself).await,
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
        if let Some(ended) = state.children.ended(&event) {
            state.restart(&myself, ended).await;
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

    async fn create(&mut self, myself: &ActorRef<SubscriberManagerMsg>, create: Create) {
        let Create { id, handle, principal, ack_timeout, request, session, topic } = create;
        if let Some(refusal) = self.refusal(&principal, &id.filter, topic.as_ref()) {
            let (code, reason) = refusal;
            let _ = self.shared.tell(&session, SessionMsg::SubscribeRefused { filter: id.filter, request, code, reason });
            return;
        }
        let queue = SubscriptionQueue::new(id.clone(), handle, principal, &self.shared, self.bounds(), ack_timeout);
        self.shared.emit(Event::SubscriptionCreated { id: id.clone() });
        // In the trie before the subscriber starts, which answers as soon as it has: a publish sent after that answer finds it.
        self.shared.filters.insert(&id.filter, id.session, Arc::clone(&queue));
        let subscriber = match self.spawn(myself, &queue, &session, Some(request)).await {
            Ok(subscriber) => subscriber,
            Err(error) => {
                tracing::error!(%error, %id, "a subscriber did not start");
                let lost = self.close_queue(&queue, topic.as_ref());
                self.shared.emit(Event::SubscriptionEnded { id: id.clone(), why: SubscriptionEnd::Failed, lost });
                let (code, reason) = (Code::Internal, "the subscription could not be started; subscribe again".to_owned());
                let _ = self.shared.tell(&session, SessionMsg::SubscribeRefused { filter: id.filter, request, code, reason });
                return;
            }
        };
        if let Some(topic) = &topic {
            // One that has failed is restarted and looks by itself.
            let _ = self.shared.tell(&topic.actor, TopicMsg::Wake);
        }
        let entry = Entry { queue, session, topic, subscriber, failures: Failures::default(), rate: Rate::default() };
        self.sessions.entry(id.session).or_default().insert(id.filter, entry);
        self.count += 1;
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
    ) -> Result<ActorRef<SubscriberMsg>, SpawnErr> {
        let (shared, queue, session) = (Arc::clone(&self.shared), Arc::clone(queue), session.clone());
        let id = queue.id.clone();
        let arguments = |_: &_| SubscriberArguments { shared, queue, session, request };
        self.children.start(&self.shared, myself.get_cell(), id, Subscriber, arguments).await
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
        let lost = self.close_queue(&entry.queue, entry.topic.as_ref());
        entry.subscriber.stop(None);
        lost
    }

    fn close_queue(&self, queue: &SubscriptionQueue, topic: Option<&TopicRef>) -> Lost {
        self.shared.filters.remove(&queue.id.filter, queue.id.session);
        if let Some(topic) = topic {
            topic.cell.unsubscribe();
        }
        let lost = queue.close();
        queue.tell_dropped(&self.shared);
        self.shared.stats.dropped.add(lost.messages());
        lost
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
                    queue.tell_dropped(&self.shared);
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

    /// A subscriber has ended. If it was not asked to, another one takes its place at the same queue, up to the limit.
    async fn restart(&mut self, myself: &ActorRef<SubscriberManagerMsg>, ended: Ended<SubscriptionId>) {
        let Ended { actor, of: id, failure: Some(mut why) } = ended else { return };
        let failures = &self.shared.config.failures;
        let (limit, window) = (failures.leaf_restarts, failures.leaf_window);
        loop {
            let entry = self.sessions.get_mut(&id.session).and_then(|filters| filters.get_mut(&id.filter));
            let Some(entry) = entry.filter(|entry| entry.subscriber.get_id() == actor) else { return };
            let restarts = entry.failures.count(Commons::now(), window);
            let (queue, session) = (Arc::clone(&entry.queue), entry.session.clone());
            // What was in flight comes again, marked; its session resumes the new subscriber.
            if let Some(GivenUp { number, attempts }) = queue.lose_subscriber() {
                self.shared.emit(Event::SubscriptionPoisoned { id: id.clone(), number, attempts });
            }
            if restarts > limit {
                return self.give_up(&id);
            }
            self.shared.emit(Event::SubscriptionRestarted { id: id.clone(), restarts, why });
            match self.spawn(myself, &queue, &session, None).await {
                Ok(subscriber) => {
                    if let Some(entry) = self.sessions.get_mut(&id.session).and_then(|filters| filters.get_mut(&id.filter)) {
                        entry.subscriber = subscriber;
                    }
                    return;
                }
                // As good as failed again.
                Err(error) => why = error.to_string(),
            }
        }
    }

    /// A subscriber failed too often: its client is asked to subscribe again.
    fn give_up(&mut self, id: &SubscriptionId) {
        let Some(entry) = self.take(id) else { return };
        let lost = self.end(&entry);
        self.shared.emit(Event::SubscriptionEnded { id: id.clone(), why: SubscriptionEnd::Failed, lost });
        let failed = SessionMsg::SubscriberFailed { filter: id.filter.clone(), lost: lost.messages() };
        let _ = self.shared.tell(&entry.session, failed);
    }

    /// The oldest messages of parked queues go, whichever queue they are in, until there is room again or nothing is left that
    /// may go. Batches are shared: what one queue gives up is free when all have, so none is emptied before the others.
    fn make_room(&self) {
        let board = self.shared.bus.board();
        let is_parked = |session: &SessionId| board.sessions.get(session).is_some_and(|session| !session.is_attached());
        let parked = self.sessions.iter().filter(|(session, _)| is_parked(session)).flat_map(|(_, filters)| filters.values());
        let queues: Vec<_> = parked.map(|entry| &entry.queue).collect();
        let oldest = |at: usize| Some(Reverse((queues[at].oldest_ms()?, at)));
        let mut next: BinaryHeap<_> = (0..queues.len()).filter_map(oldest).collect();
        while self.shared.memory.excess() > 0
            && let Some(Reverse((_, at))) = next.pop()
        {
            queues[at].give_up_oldest();
            next.extend(oldest(at));
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
                Ok(messages) => {
                    // One that has failed is replaced, and looks at its queue first.
                    let _ = self.shared.tell(&entry.subscriber, SubscriberMsg::Ready);
                    Outcome::PutBack { messages }
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

    async fn go_round(&mut self, myself: &ActorRef<SubscriberManagerMsg>) {
        for ended in self.children.look(&self.shared) {
            self.restart(myself, ended).await;
        }
        self.sample();
        self.children.go_on(&self.round, &self.shared, myself, || SubscriberManagerMsg::GoRound);
    }

    fn sample(&mut self) {
        let (mut rows, mut queues, seconds) = (Vec::new(), Vec::new(), self.round.seconds());
        let stride = self.round.stride(&mut self.sessions, self.shared.second(), BTreeMap::len);
        for entry in stride.into_iter().flat_map(|(_, entries)| entries.values_mut()) {
            let rate_changed = entry.rate.sample(entry.queue.delivered(), seconds);
            let changed = entry.queue.depth_if_changed();
            if !rate_changed && changed.is_none() {
                continue;
            }
            let depth = changed.unwrap_or_else(|| entry.queue.depth());
            queues.push(Arc::clone(&entry.queue));
            rows.push(SubscriptionSample { id: entry.queue.id.clone(), depth, deliver_rate: entry.rate.last });
        }
        for queue in &queues {
            queue.tell_dropped(&self.shared);
        }
        self.shared.emit_rows(rows, |subscriptions| Sample { subscriptions, ..Sample::default() });
    }

    fn close(&mut self) -> Lost {
        let sessions: Vec<_> = self.sessions.keys().copied().collect();
        sessions.into_iter().fold(Lost::default(), |mut lost, session| {
            lost += self.end_session(session);
            lost
        })
    }
}
