//! The topic manager: creates, finds and forgets topics, holds their limits, and owns their cells, so that a backlog outlives
//! its topic's panic.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, atomic::Ordering::Relaxed},
    time::{Duration, Instant},
};

use ractor::{Actor, ActorId, ActorProcessingErr, ActorRef, RpcReplyPort, SupervisionEvent};

use super::{
    Door, Failures, Living, SessionMsg, alive,
    subscriber_manager::{EndExact, ExactEnded},
    topic::{Arguments as TopicArguments, Life, MakeRoom, RoomMade, Topic, TopicCell, TopicMsg, TopicRef},
};
use crate::{
    auth::Identity,
    backlog::Backlog,
    bucket::Bucket,
    clock::{Moment, UnixMillis, Uptime},
    control::{Control, Order, Outcome},
    events::{Action, Event, Lost, Sample, TopicSample},
    name::{Principal, TopicName},
    shared::Shared,
    stats::Rate,
    wire::Code,
};

/// What the topic manager can be asked.
#[derive(Debug)]
pub(crate) enum TopicManagerMsg {
    /// Find the topic, or create it if `identity` may; answer the session.
    Find { topic: TopicName, identity: Identity, session: ActorRef<SessionMsg> },
    /// A killed topic's exact subscriptions have ended.
    ExactEnded(ExactEnded),
    /// A topic found the broker full.
    MakeRoom(MakeRoom),
    /// Parked queues have made room, as far as they could.
    RoomMade(RoomMade),
    /// Carry out an order about a topic.
    Order { order: Order, reply: RpcReplyPort<Outcome> },
    /// A second has passed.
    Tick,
    /// End everything; what the backlogs held is the answer.
    Close(RpcReplyPort<Lost>),
}

/// The topic manager's references, in dependency order.
pub(crate) struct Arguments {
    pub(crate) shared: Arc<Shared>,
    /// To the subscriber manager, through the broker.
    pub(crate) end_exact: Door<EndExact>,
    /// To the subscriber manager, through the broker.
    pub(crate) make_room: Door<MakeRoom>,
}

pub(crate) struct TopicManager;

pub(crate) struct State {
    shared: Arc<Shared>,
    end_exact: Door<EndExact>,
    make_room: Door<MakeRoom>,
    topics: BTreeMap<TopicName, Entry>,
    actors: HashMap<ActorId, TopicName>,
    owned: HashMap<Principal, usize>,
    buckets: HashMap<Principal, Bucket>,
    /// Topics that wait until room has been made.
    wanting: Vec<Door<RoomMade>>,
    _alive: Living,
}

struct Entry {
    topic: TopicRef,
    failures: Failures,
    /// Since when it might be forgotten.
    unused_since: Option<Instant>,
    published: Rate,
    fanned_out: Rate,
    /// Look-ups that wait until the actor has ended.
    waiting: Vec<(Identity, ActorRef<SessionMsg>)>,
    kill: Option<Kill>,
}

/// A kill under way: it is done when the actor and the exact subscriptions have both ended.
struct Kill {
    by: String,
    replies: Vec<RpcReplyPort<Outcome>>,
    lost: Lost,
    subscriptions_ended: bool,
    actor_ended: bool,
}

impl Actor for TopicManager {
    type Msg = TopicManagerMsg;
    type State = State;
    type Arguments = Arguments;

    async fn pre_start(&self, _: ActorRef<TopicManagerMsg>, args: Arguments) -> Result<State, ActorProcessingErr> {
        let Arguments { shared, end_exact, make_room } = args;
        let alive = alive(&shared);
        Ok(State {
            shared,
            end_exact,
            make_room,
            topics: BTreeMap::new(),
            actors: HashMap::new(),
            owned: HashMap::new(),
            buckets: HashMap::new(),
            wanting: Vec::new(),
            _alive: alive,
        })
    }

    async fn handle(
        &self,
        myself: ActorRef<TopicManagerMsg>,
        message: TopicManagerMsg,
        state: &mut State,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            TopicManagerMsg::Find { topic, identity, session } => state.find(&myself, topic, identity, session).await?,
            TopicManagerMsg::ExactEnded(ended) => state.subscriptions_ended(&myself, &ended).await?,
            TopicManagerMsg::MakeRoom(MakeRoom(asked)) => state.make_room(&myself, asked),
            TopicManagerMsg::RoomMade(RoomMade) => state.room_made(),
            TopicManagerMsg::Order { order, reply } => state.order(&myself, order, reply),
            TopicManagerMsg::Tick => state.tick(),
            TopicManagerMsg::Close(reply) => {
                let _ = reply.send(state.close());
            }
        }
        Ok(())
    }

    async fn handle_supervisor_evt(
        &self,
        myself: ActorRef<TopicManagerMsg>,
        event: SupervisionEvent,
        state: &mut State,
    ) -> Result<(), ActorProcessingErr> {
        match event {
            SupervisionEvent::ActorFailed(who, error) => state.failed(&myself, who.get_id(), &error.to_string()).await?,
            SupervisionEvent::ActorTerminated(who, _, _) => state.ended(&myself, who.get_id()).await?,
            SupervisionEvent::ActorStarted(_) | SupervisionEvent::ProcessGroupChanged(_) => {}
        }
        Ok(())
    }
}

impl State {
    async fn find(
        &mut self,
        myself: &ActorRef<TopicManagerMsg>,
        topic: TopicName,
        identity: Identity,
        session: ActorRef<SessionMsg>,
    ) -> Result<(), ActorProcessingErr> {
        if let Some(entry) = self.topics.get_mut(&topic) {
            if entry.topic.cell.life() == Life::Open {
                let found = SessionMsg::TopicFound { topic, found: Ok(entry.topic.clone()) };
                let _ = self.shared.tell(&session, found);
            } else {
                entry.waiting.push((identity, session));
            }
            return Ok(());
        }
        let found = match self.refusal(&topic, &identity) {
            Some(refusal) => Err(refusal),
            None => Ok(self.create(myself, &topic, identity.principal).await?),
        };
        let _ = self.shared.tell(&session, SessionMsg::TopicFound { topic, found });
        Ok(())
    }

    /// Why `identity` may not create `topic` now.
    fn refusal(&mut self, topic: &TopicName, identity: &Identity) -> Option<(Code, String)> {
        let limits = &self.shared.config.topics;
        let principal = &identity.principal;
        if !identity.rights.may(Action::Create, topic) {
            return Some((Code::Forbidden, "there is no such topic and you may not create it".to_owned()));
        }
        if self.topics.len() >= limits.max {
            self.shared.limit_hit("topics.max", principal.as_str());
            return Some((Code::NoRoom, format!("the broker has {} topics (topics.max); use one that exists", limits.max)));
        }
        if principal.is_local() {
            return None;
        }
        if self.owned.get(principal).is_some_and(|owned| *owned >= limits.max_per_principal) {
            self.shared.limit_hit("topics.max_per_principal", principal.as_str());
            let why = format!("you have created {} topics (topics.max_per_principal); use one of them", limits.max_per_principal);
            return Some((Code::TooMany, why));
        }
        let now = Shared::now();
        let bucket = self.buckets.entry(principal.clone()).or_insert_with(|| Bucket::new(limits.create_burst, now));
        if !bucket.take(limits.create_burst, limits.create_per_second, now) {
            self.shared.limit_hit("topics.create_per_second", principal.as_str());
            let why =
                format!("you create more than {} topics a second (topics.create_per_second); wait", limits.create_per_second);
            return Some((Code::TooMany, why));
        }
        None
    }

    async fn create(
        &mut self,
        myself: &ActorRef<TopicManagerMsg>,
        topic: &TopicName,
        by: Principal,
    ) -> Result<TopicRef, ActorProcessingErr> {
        let limits = &self.shared.config.topics;
        let backlog = Backlog::new(limits.backlog_messages as u64, limits.backlog_bytes as u64, limits.backlog_life);
        let cell = TopicCell::new(topic.clone(), by.clone(), backlog);
        let topic_ref = self.spawn(myself, cell).await?;
        *self.owned.entry(by.clone()).or_default() += 1;
        self.shared.emit(Event::TopicCreated { topic: topic.clone(), by });
        let entry = Entry {
            topic: topic_ref.clone(),
            failures: Failures::default(),
            unused_since: None,
            published: Rate::default(),
            fanned_out: Rate::default(),
            waiting: Vec::new(),
            kill: None,
        };
        self.topics.insert(topic.clone(), entry);
        Ok(topic_ref)
    }

    async fn spawn(&mut self, myself: &ActorRef<TopicManagerMsg>, cell: Arc<TopicCell>) -> Result<TopicRef, ActorProcessingErr> {
        let make_room = Door::new(&self.shared.stats, myself, TopicManagerMsg::MakeRoom);
        let arguments = TopicArguments { shared: Arc::clone(&self.shared), cell: Arc::clone(&cell), make_room };
        let (actor, _) = Actor::spawn_linked(None, Topic, arguments, myself.get_cell()).await?;
        self.actors.insert(actor.get_id(), cell.topic.clone());
        Ok(TopicRef { actor, cell })
    }

    /// A topic failed: another actor takes its place at the same cell; too often, and it is killed.
    async fn failed(&mut self, myself: &ActorRef<TopicManagerMsg>, who: ActorId, why: &str) -> Result<(), ActorProcessingErr> {
        let failures = &self.shared.config.failures;
        let (limit, window) = (failures.leaf_restarts, failures.leaf_window);
        let Some(topic) = self.actors.get(&who).cloned() else { return Ok(()) };
        let Some(entry) = self.topics.get_mut(&topic) else { return Ok(()) };
        if entry.topic.cell.life() != Life::Open {
            return self.ended(myself, who).await;
        }
        let restarts = entry.failures.count(Shared::now(), window);
        let cell = Arc::clone(&entry.topic.cell);
        if restarts > limit {
            self.begin_kill(myself, &topic, format!("the broker: it failed {restarts} times, the last with {why}"), None);
            return self.ended(myself, who).await;
        }
        self.shared.emit(Event::TopicRestarted { topic: topic.clone(), restarts, why: why.to_owned() });
        self.actors.remove(&who);
        let restarted = self.spawn(myself, cell).await?;
        // It matches again, and finds a backlog's subscription if one has come meanwhile.
        let _ = self.shared.tell(&restarted.actor, TopicMsg::Wake);
        if let Some(entry) = self.topics.get_mut(&topic) {
            entry.topic = restarted;
        }
        Ok(())
    }

    /// A topic's actor has ended, as it was asked to.
    async fn ended(&mut self, myself: &ActorRef<TopicManagerMsg>, who: ActorId) -> Result<(), ActorProcessingErr> {
        let Some(topic) = self.actors.remove(&who) else { return Ok(()) };
        let Some(entry) = self.topics.get_mut(&topic) else { return Ok(()) };
        match entry.topic.cell.life() {
            Life::Open | Life::Forgotten => {}
            Life::Killed => {
                if let Some(kill) = &mut entry.kill {
                    kill.actor_ended = true;
                }
                self.finish_kill(myself, &topic).await?;
            }
            Life::Forgetting => {
                let cell = Arc::clone(&entry.topic.cell);
                // Said before it is looked at: whoever subscribes now is either seen here, or sees this.
                cell.set_life(Life::Forgotten);
                if cell.look_at_backlog().messages() > 0 || cell.is_subscribed() {
                    cell.set_life(Life::Open);
                    let again = self.spawn(myself, cell).await?;
                    let _ = self.shared.tell(&again.actor, TopicMsg::Wake);
                    self.revive(&topic, &again);
                } else if let Some(entry) = self.remove(&topic) {
                    tell_dropped(&self.shared, &entry.topic.cell);
                    self.shared.emit(Event::TopicForgotten { topic: topic.clone() });
                    self.find_again(myself, &topic, entry.waiting).await?;
                }
            }
        }
        Ok(())
    }

    /// Forgetting found a backlog: the topic lives on.
    fn revive(&mut self, topic: &TopicName, again: &TopicRef) {
        let Some(entry) = self.topics.get_mut(topic) else { return };
        entry.topic = again.clone();
        for (_, session) in entry.waiting.drain(..) {
            let found = SessionMsg::TopicFound { topic: topic.clone(), found: Ok(again.clone()) };
            let _ = self.shared.tell(&session, found);
        }
    }

    fn remove(&mut self, topic: &TopicName) -> Option<Entry> {
        let entry = self.topics.remove(topic)?;
        let by = &entry.topic.cell.created_by;
        if let Some(owned) = self.owned.get_mut(by) {
            *owned -= 1;
            if *owned == 0 {
                self.owned.remove(by);
            }
        }
        Some(entry)
    }

    async fn find_again(
        &mut self,
        myself: &ActorRef<TopicManagerMsg>,
        topic: &TopicName,
        waiting: Vec<(Identity, ActorRef<SessionMsg>)>,
    ) -> Result<(), ActorProcessingErr> {
        for (identity, session) in waiting {
            // Boxed by the compiler's rules for recursion; the topic is gone, so this goes one level deep.
            Box::pin(self.find(myself, topic.clone(), identity, session)).await?;
        }
        Ok(())
    }

    fn order(&mut self, myself: &ActorRef<TopicManagerMsg>, order: Order, reply: RpcReplyPort<Outcome>) {
        let Control::KillTopic { topic } = &order.control else {
            let _ = reply.send(Outcome::Refused { why: "this order is not about a topic".to_owned() });
            return;
        };
        let Some(entry) = self.topics.get_mut(topic) else {
            let _ = reply.send(Outcome::AlreadyGone);
            return;
        };
        if entry.kill.is_some() {
            let _ = reply.send(Outcome::AlreadyGone);
            return;
        }
        let exact = self.shared.filters.exact(topic);
        let held: u64 = exact.iter().map(|queue| queue.depth()).map(|depth| depth.queued() + depth.poison).sum();
        if let Err(refused) = order.precondition.check(None, held + entry.topic.cell.look_at_backlog().messages()) {
            let _ = reply.send(refused);
            return;
        }
        self.begin_kill(myself, topic, order.operator, Some(reply));
    }

    fn begin_kill(
        &mut self,
        myself: &ActorRef<TopicManagerMsg>,
        topic: &TopicName,
        by: String,
        reply: Option<RpcReplyPort<Outcome>>,
    ) {
        let Some(entry) = self.topics.get_mut(topic) else { return };
        let replies = reply.into_iter().collect();
        entry.kill = Some(Kill { by, replies, lost: Lost::default(), subscriptions_ended: false, actor_ended: false });
        // From now on what waits is answered 410; the actor ends behind it.
        entry.topic.cell.set_life(Life::Killed);
        let _ = entry.topic.actor.drain();
        let done = Door::new(&self.shared.stats, myself, TopicManagerMsg::ExactEnded);
        self.end_exact.send(EndExact { topic: topic.clone(), done });
    }

    async fn subscriptions_ended(
        &mut self,
        myself: &ActorRef<TopicManagerMsg>,
        ended: &ExactEnded,
    ) -> Result<(), ActorProcessingErr> {
        if let Some(kill) = self.topics.get_mut(&ended.topic).and_then(|entry| entry.kill.as_mut()) {
            kill.lost += ended.lost;
            kill.subscriptions_ended = true;
        }
        self.finish_kill(myself, &ended.topic).await
    }

    async fn finish_kill(&mut self, myself: &ActorRef<TopicManagerMsg>, topic: &TopicName) -> Result<(), ActorProcessingErr> {
        let done = |kill: &Kill| kill.subscriptions_ended && kill.actor_ended;
        if !self.topics.get(topic).and_then(|entry| entry.kill.as_ref()).is_some_and(done) {
            return Ok(());
        }
        let Some(Entry { topic: topic_ref, waiting, kill: Some(Kill { by, replies, mut lost, .. }), .. }) = self.remove(topic)
        else {
            return Ok(());
        };
        tell_dropped(&self.shared, &topic_ref.cell);
        let backlog = topic_ref.cell.backlog().close();
        self.shared.stats.dropped.add(backlog.messages());
        lost += backlog;
        self.shared.emit(Event::TopicKilled { topic: topic.clone(), by, lost });
        for reply in replies {
            let _ = reply.send(Outcome::Done { lost });
        }
        self.find_again(myself, topic, waiting).await
    }

    fn tick(&mut self) {
        let now = Shared::now();
        let idle_after = self.shared.config.topics.idle_after;
        let burst = self.shared.config.topics.create_burst;
        let per_second = self.shared.config.topics.create_per_second;
        self.buckets.retain(|_, bucket| !bucket.is_full(burst, per_second, now));
        let mut rows = Vec::new();
        for (topic, entry) in &mut self.topics {
            entry.forget_if_unused(now, idle_after);
            if let Some(row) = entry.sample(&self.shared, topic, now) {
                rows.push(row);
            }
        }
        for rows in rows.chunks(Sample::MAX_ROWS) {
            self.shared.emit(Event::Sample(Sample { topics: rows.to_vec(), ..Sample::default() }));
        }
    }

    /// The broker is full: the oldest backlogs go first, then parked queues are asked.
    fn make_room(&mut self, myself: &ActorRef<TopicManagerMsg>, asked: Door<RoomMade>) {
        self.wanting.push(asked);
        if self.wanting.len() > 1 {
            // It is being made already.
            return;
        }
        self.shared.limit_hit("queues.all_bytes", "broker");
        let mut oldest: Vec<_> =
            self.topics.values().filter_map(|e| Some((e.topic.cell.look_at_backlog().oldest()?, &e.topic.cell))).collect();
        oldest.sort_by_key(|(since, _)| *since);
        for (_, cell) in oldest {
            if self.shared.memory.excess() == 0 {
                return self.room_made();
            }
            cell.backlog().give_up();
        }
        let done = Door::new(&self.shared.stats, myself, TopicManagerMsg::RoomMade);
        if !self.make_room.send(MakeRoom(done)) {
            self.room_made();
        }
    }

    fn room_made(&mut self) {
        for asked in self.wanting.drain(..) {
            asked.send(RoomMade);
        }
    }

    fn close(&mut self) -> Lost {
        let mut lost = Lost::default();
        for entry in self.topics.values() {
            tell_dropped(&self.shared, &entry.topic.cell);
            lost += entry.topic.cell.backlog().close();
        }
        self.shared.stats.dropped.add(lost.messages());
        lost
    }
}

/// Counts and tells what a backlog has dropped since this was last done.
fn tell_dropped(shared: &Shared, cell: &TopicCell) {
    let untold: Vec<_> = cell.look_at_backlog().take_untold().collect();
    for (why, dropped) in untold {
        shared.stats.dropped.add(dropped);
        shared.emit(Event::BacklogOverflowed { topic: cell.topic.clone(), dropped, why });
    }
}

impl Entry {
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

    fn sample(&mut self, shared: &Shared, topic: &TopicName, now: Instant) -> Option<TopicSample> {
        let cell = &self.topic.cell;
        // Cleared before anything is read: what changes from here on is for the next sample.
        let changed = cell.changed.swap(false, Relaxed);
        let rates = [self.published.sample(cell.published.get()), self.fanned_out.sample(cell.fanned_out.get())];
        let (backlog, backlog_bytes, expired) = {
            let mut waiting = cell.look_at_backlog();
            let before = waiting.messages();
            waiting.expire(now);
            (waiting.messages(), waiting.bytes(), waiting.messages() < before)
        };
        if !rates.contains(&true) && !changed && !expired {
            return None;
        }
        tell_dropped(shared, cell);
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
