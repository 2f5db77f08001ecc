//! The topic manager: creates and forgets topics, keeps the table in which sessions find them, holds their limits, and owns their
//! cells, so that a backlog outlives its topic's panic.

mod ending;
mod entry;
mod orders;

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use ractor::{Actor, ActorProcessingErr, ActorRef, RpcReplyPort, SpawnErr, SupervisionEvent};

use self::entry::Entry;
use super::{
    Door, Living, SessionMsg, alive,
    children::{Children, Ended},
    round::Round,
    subscriber_manager::{EndExact, ExactEnded},
    topic::{Arguments as TopicArguments, MakeRoom, RoomMade, Topic, TopicRef},
    watch::{Doing, kinds},
};
use crate::{
    backlog::Backlog,
    bucket::Pace,
    commons::Commons,
    config::Topics,
    control::{Order, Outcome},
    events::{Action, Event, Lost, Sample},
    limits::Limit,
    name::{Principal, TopicName},
    throttle::Throttle,
    topic_cell::{Life, TopicCell},
    wire::Code,
};

/// What the topic manager can be asked.
#[derive(Debug)]
pub(crate) enum TopicManagerMsg {
    /// Find the topic, or create it if `principal` may; answer the session.
    Find { topic: TopicName, principal: Principal, session: ActorRef<SessionMsg> },
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
    /// The next stride of a round.
    GoRound,
    /// End everything; what the backlogs held is the answer.
    Close(RpcReplyPort<Lost>),
}

kinds! { TopicManagerMsg: Find ExactEnded MakeRoom RoomMade Order Tick GoRound Close }

/// The topic manager's references, in dependency order.
pub(crate) struct Arguments {
    pub(crate) shared: Arc<Commons>,
    /// To the subscriber manager, through the broker.
    pub(crate) end_exact: Door<EndExact>,
    /// To the subscriber manager, through the broker.
    pub(crate) make_room: Door<MakeRoom>,
    /// What this manager is doing.
    pub(crate) doing: Arc<Doing>,
}

pub(crate) struct TopicManager;

pub(crate) struct State {
    shared: Arc<Commons>,
    myself: ActorRef<TopicManagerMsg>,
    end_exact: Door<EndExact>,
    make_room: Door<MakeRoom>,
    children: Children<TopicName>,
    topics: BTreeMap<TopicName, Entry>,
    round: Round<TopicName>,
    owned: HashMap<Principal, usize>,
    creations: Throttle<Principal>,
    /// Topics that wait until room has been made.
    wanting: Vec<Door<RoomMade>>,
    _alive: Living,
}

impl Actor for TopicManager {
    type Msg = TopicManagerMsg;
    type State = State;
    type Arguments = Arguments;

    async fn pre_start(&self, myself: ActorRef<TopicManagerMsg>, args: Arguments) -> Result<State, ActorProcessingErr> {
        let Arguments { shared, end_exact, make_room, doing } = args;
        let alive = alive(&shared);
        let children = Children::new(&shared, doing);
        Ok(State {
            shared,
            myself,
            end_exact,
            make_room,
            children,
            topics: BTreeMap::new(),
            round: Round::default(),
            owned: HashMap::new(),
            creations: Throttle::default(),
            wanting: Vec::new(),
            _alive: alive,
        })
    }

    async fn handle(
        &self,
        _: ActorRef<TopicManagerMsg>,
        message: TopicManagerMsg,
        state: &mut State,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            TopicManagerMsg::Find { topic, principal, session } => state.find(topic, principal, session).await,
            TopicManagerMsg::ExactEnded(ended) => state.subscriptions_ended(&ended).await,
            TopicManagerMsg::MakeRoom(MakeRoom(asked)) => state.make_room(asked),
            TopicManagerMsg::RoomMade(RoomMade) => state.room_made(),
            TopicManagerMsg::Order { order, reply } => state.order(order, reply),
            TopicManagerMsg::Tick => state.tick().await,
            TopicManagerMsg::GoRound => state.go_round().await,
            TopicManagerMsg::Close(reply) => {
                let _ = reply.send(state.close());
            }
        }
        Ok(())
    }

    async fn handle_supervisor_evt(
        &self,
        _: ActorRef<TopicManagerMsg>,
        event: SupervisionEvent,
        state: &mut State,
    ) -> Result<(), ActorProcessingErr> {
        match state.children.ended(&event) {
            Some(Ended { of, failure: Some(why), .. }) => state.failed(of, why).await,
            Some(Ended { of, failure: None, .. }) => state.ended(&of).await,
            None => {}
        }
        Ok(())
    }
}

impl State {
    async fn find(&mut self, topic: TopicName, principal: Principal, session: ActorRef<SessionMsg>) {
        if let Some(entry) = self.topics.get_mut(&topic) {
            if entry.topic.cell.life() == Life::Open {
                let found = SessionMsg::TopicFound { topic, found: Ok(entry.topic.clone()) };
                let _ = self.shared.tell(&session, found);
            } else {
                entry.waiting.push((principal, session));
            }
            return;
        }
        let found = match self.refusal(&topic, &principal) {
            Some(refusal) => Err(refusal),
            None => self.create(&topic, principal).await.map_err(|error| {
                tracing::error!(%error, %topic, "a topic did not start");
                (Code::Internal, "the topic could not be started; try again".to_owned())
            }),
        };
        let _ = self.shared.tell(&session, SessionMsg::TopicFound { topic, found });
    }

    /// Why `principal` may not create `topic` now.
    fn refusal(&mut self, topic: &TopicName, principal: &Principal) -> Option<(Code, String)> {
        if let Some(reason) = self.shared.bans.topic(topic) {
            return Some((Code::Forbidden, reason));
        }
        let limits = &self.shared.config.topics;
        if !self.shared.access.rights_of(principal).is_some_and(|rights| rights.may(Action::Create, topic)) {
            return Some((Code::Forbidden, "there is no such topic and you may not create it".to_owned()));
        }
        if self.topics.len() >= limits.max {
            self.shared.limit_hit(Limit::Topics, principal.as_str());
            return Some((Code::NoRoom, format!("the broker has {} topics (topics.max); use one that exists", limits.max)));
        }
        if principal.is_local() {
            return None;
        }
        if self.owned.get(principal).is_some_and(|owned| *owned >= limits.max_per_principal) {
            self.shared.limit_hit(Limit::TopicsPerPrincipal, principal.as_str());
            let why = format!("you have created {} topics (topics.max_per_principal); use one of them", limits.max_per_principal);
            return Some((Code::TooMany, why));
        }
        if let Err(wait) = self.creations.take(principal, creations(limits), Commons::now()) {
            self.shared.limit_hit(Limit::TopicCreation, principal.as_str());
            let why = format!("you create too many topics (topics.create_per_second); the next one in {} ms", wait.as_millis());
            return Some((Code::TooMany, why));
        }
        None
    }

    async fn create(&mut self, topic: &TopicName, by: Principal) -> Result<TopicRef, SpawnErr> {
        let limits = &self.shared.config.topics;
        let backlog = Backlog::new(limits.backlog_messages as u64, limits.backlog_bytes as u64, limits.backlog_life);
        let cell = TopicCell::new(topic.clone(), by.clone(), backlog);
        let topic_ref = self.spawn(cell).await?;
        self.shared.topics.insert(topic_ref.clone());
        *self.owned.entry(by.clone()).or_default() += 1;
        self.shared.emit(Event::TopicCreated { topic: topic.clone(), by });
        self.topics.insert(topic.clone(), Entry::new(topic_ref.clone()));
        Ok(topic_ref)
    }

    async fn spawn(&mut self, cell: Arc<TopicCell>) -> Result<TopicRef, SpawnErr> {
        let make_room = Door::new(&self.shared.stats, &self.myself, TopicManagerMsg::MakeRoom);
        let (shared, its) = (Arc::clone(&self.shared), Arc::clone(&cell));
        let arguments = |_: &_| TopicArguments { shared, cell: its, make_room };
        let actor = self.children.start(&self.shared, self.myself.get_cell(), cell.topic.clone(), Topic, arguments).await?;
        Ok(TopicRef { actor, cell })
    }

    fn remove(&mut self, topic: &TopicName) -> Option<Entry> {
        let entry = self.topics.remove(topic)?;
        self.shared.topics.remove(topic);
        let by = &entry.topic.cell.created_by;
        if let Some(owned) = self.owned.get_mut(by) {
            *owned -= 1;
            if *owned == 0 {
                self.owned.remove(by);
            }
        }
        Some(entry)
    }

    async fn find_again(&mut self, topic: &TopicName, waiting: Vec<(Principal, ActorRef<SessionMsg>)>) {
        for (principal, session) in waiting {
            // Boxed by the compiler's rules for recursion; the topic is gone, so this goes one level deep.
            Box::pin(self.find(topic.clone(), principal, session)).await;
        }
    }

    async fn tick(&mut self) {
        self.creations.forget_full(creations(&self.shared.config.topics), Commons::now());
        if self.children.begin(&mut self.round, self.shared.second()) {
            self.go_round().await;
        }
    }

    async fn go_round(&mut self) {
        for Ended { of, failure, .. } in self.children.look(&self.shared) {
            self.failed(of, failure.unwrap_or_default()).await;
        }
        self.sample();
        self.children.go_on(&self.round, &self.shared, &self.myself, || TopicManagerMsg::GoRound);
    }

    fn sample(&mut self) {
        let (now, seconds) = (Commons::now(), self.round.seconds());
        let mut rows = Vec::new();
        for (topic, entry) in self.round.stride(&mut self.topics, self.shared.second(), |_| 1) {
            rows.extend(entry.look(&self.shared, topic, now, seconds));
        }
        self.shared.emit_rows(rows, |topics| Sample { topics, ..Sample::default() });
    }

    /// The broker is full: the oldest backlogs go first, then parked queues are asked.
    fn make_room(&mut self, asked: Door<RoomMade>) {
        self.wanting.push(asked);
        if self.wanting.len() > 1 {
            // It is being made already.
            return;
        }
        self.shared.limit_hit(Limit::Memory, "broker");
        let mut oldest: Vec<_> =
            self.topics.values().filter_map(|e| Some((e.topic.cell.look_at_backlog().oldest()?, &e.topic.cell))).collect();
        oldest.sort_by_key(|(since, _)| *since);
        for (_, cell) in oldest {
            if self.shared.memory.excess() == 0 {
                return self.room_made();
            }
            cell.backlog().give_up();
        }
        let done = Door::new(&self.shared.stats, &self.myself, TopicManagerMsg::RoomMade);
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
            entry.topic.cell.tell_dropped(&self.shared);
            lost += entry.topic.cell.backlog().close();
        }
        self.shared.stats.dropped.add(lost.messages());
        lost
    }
}

/// How fast one principal may create topics.
fn creations(limits: &Topics) -> Pace {
    Pace::per_second(limits.create_burst, limits.create_per_second)
}
