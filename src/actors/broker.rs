//! The broker: root of the actors. It starts the four managers in order, authenticates registrations on no mailbox of its own,
//! restarts all four when one fails, and stops them in reverse.

mod login;

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use ractor::{Actor, ActorProcessingErr, ActorRef, Message, RpcReplyPort, SpawnErr, SupervisionEvent};
use tokio::{sync::Semaphore, time};

use self::login::{Place, claim, credentials, lock, refuse};
use super::{
    Door, Failures, Living, alive,
    children::{Children, Ended},
    listener::{Refused, Register},
    listener_manager::{Arguments as ListenerManagerArguments, ListenerManager, ListenerManagerMsg},
    session_manager::{Arguments as SessionManagerArguments, SessionManager, SessionManagerMsg},
    subscriber_manager::{Arguments as SubscriberManagerArguments, EndExact, SubscriberManager, SubscriberManagerMsg},
    topic::MakeRoom,
    topic_manager::{Arguments as TopicManagerArguments, TopicManager, TopicManagerMsg},
    watch::{Doing, kinds},
};
use crate::{
    control::{Control, Order, Outcome},
    events::{ActorName, Event, Lost, Sample},
    logins::Logins,
    net::Accept,
    shared::Shared,
    stats::Rate,
    wire::Code,
};

/// Registrations whose passwords are hashed at the same time.
const HASHING: usize = 2;
/// How long a manager may take to stop before it is killed.
const STOP: Duration = Duration::from_secs(2);
/// How often a drain looks whether receipts are still held.
const DRAIN_POLL: Duration = Duration::from_millis(5);

/// What the broker can be asked.
#[derive(Debug)]
pub(crate) enum BrokerMsg {
    /// Authenticate a client and find it a session.
    Register(Register),
    /// A topic was killed.
    EndExact(EndExact),
    /// The broker is full: parked queues must make room.
    MakeRoom(MakeRoom),
    /// Carry out an order.
    Order { order: Order, reply: RpcReplyPort<Outcome> },
    /// Drain and stop; what was lost is the answer.
    Shutdown(RpcReplyPort<Lost>),
    /// A second has passed.
    Tick,
}

kinds! { BrokerMsg: Register EndExact MakeRoom Order Shutdown Tick }

/// The broker's references, in dependency order.
pub(crate) struct Arguments {
    pub(crate) shared: Arc<Shared>,
    pub(crate) endpoints: Vec<Arc<dyn Accept>>,
    /// What the broker is doing.
    pub(crate) doing: Arc<Doing>,
}

pub(crate) struct Broker;

pub(crate) struct State {
    shared: Arc<Shared>,
    endpoints: Vec<Arc<dyn Accept>>,
    last_listener: Arc<AtomicU64>,
    children: Children<ActorName>,
    managers: Managers,
    failures: Failures,
    hashing: Arc<Semaphore>,
    logins: Arc<Mutex<Logins>>,
    published: Rate,
    delivered: Rate,
    _alive: Living,
}

/// The four managers, in the order in which they are started.
struct Managers {
    topics: ActorRef<TopicManagerMsg>,
    subscribers: ActorRef<SubscriberManagerMsg>,
    sessions: ActorRef<SessionManagerMsg>,
    listeners: ActorRef<ListenerManagerMsg>,
}

impl Managers {
    async fn start(
        myself: &ActorRef<BrokerMsg>,
        shared: &Arc<Shared>,
        endpoints: &[Arc<dyn Accept>],
        last_listener: &Arc<AtomicU64>,
        children: &mut Children<ActorName>,
    ) -> Result<Self, SpawnErr> {
        let (cell, stats) = (myself.get_cell(), &shared.stats);
        let arguments = |doing: &Arc<Doing>| TopicManagerArguments {
            doing: Arc::clone(doing),
            shared: Arc::clone(shared),
            end_exact: Door::new(stats, myself, BrokerMsg::EndExact),
            make_room: Door::new(stats, myself, BrokerMsg::MakeRoom),
        };
        let topics = children.start(shared, cell.clone(), ActorName::TopicManager, TopicManager, arguments).await?;
        let arguments = |doing: &Arc<Doing>| SubscriberManagerArguments { shared: Arc::clone(shared), doing: Arc::clone(doing) };
        let subscribers =
            children.start(shared, cell.clone(), ActorName::SubscriberManager, SubscriberManager, arguments).await?;
        let (its_topics, its_subscribers) = (topics.clone(), subscribers.clone());
        let arguments = |doing: &Arc<Doing>| SessionManagerArguments {
            shared: Arc::clone(shared),
            topics: its_topics,
            subscribers: its_subscribers,
            doing: Arc::clone(doing),
        };
        let sessions = children.start(shared, cell.clone(), ActorName::SessionManager, SessionManager, arguments).await?;
        let arguments = |doing: &Arc<Doing>| ListenerManagerArguments {
            doing: Arc::clone(doing),
            shared: Arc::clone(shared),
            endpoints: endpoints.to_vec(),
            register: Door::new(stats, myself, BrokerMsg::Register),
            last_id: Arc::clone(last_listener),
        };
        let listeners = children.start(shared, cell, ActorName::ListenerManager, ListenerManager, arguments).await?;
        Ok(Self { topics, subscribers, sessions, listeners })
    }
}

impl Actor for Broker {
    type Msg = BrokerMsg;
    type State = State;
    type Arguments = Arguments;

    async fn pre_start(&self, myself: ActorRef<BrokerMsg>, args: Arguments) -> Result<State, ActorProcessingErr> {
        let Arguments { shared, endpoints, doing } = args;
        shared.emit(Event::BrokerStarted {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            pid: std::process::id(),
            host: rustix::system::uname().nodename().to_string_lossy().into_owned(),
            users: shared.config.users.len(),
        });
        let (last_listener, mut children) = (Arc::default(), Children::new(doing));
        let managers = Managers::start(&myself, &shared, &endpoints, &last_listener, &mut children).await?;
        let alive = alive(&shared);
        Ok(State {
            shared,
            endpoints,
            last_listener,
            children,
            managers,
            failures: Failures::default(),
            hashing: Arc::new(Semaphore::new(HASHING)),
            logins: Arc::default(),
            published: Rate::default(),
            delivered: Rate::default(),
            _alive: alive,
        })
    }

    async fn handle(&self, myself: ActorRef<BrokerMsg>, message: BrokerMsg, state: &mut State) -> Result<(), ActorProcessingErr> {
        match message {
            BrokerMsg::Register(register) => state.register(register),
            BrokerMsg::EndExact(end) => state.tell(&state.managers.subscribers, SubscriberManagerMsg::EndExact(end)),
            BrokerMsg::MakeRoom(make) => state.tell(&state.managers.subscribers, SubscriberManagerMsg::MakeRoom(make)),
            BrokerMsg::Order { order: Order { control: Control::Shutdown, precondition, .. }, reply } => {
                let outcome = match precondition.check(None, state.held()) {
                    Ok(()) => {
                        myself.stop(None);
                        Outcome::Done { lost: state.shut_down().await }
                    }
                    Err(refused) => refused,
                };
                let _ = reply.send(outcome);
            }
            BrokerMsg::Order { order, reply } => state.order(order, reply),
            BrokerMsg::Shutdown(reply) => {
                let lost = state.shut_down().await;
                let _ = reply.send(lost);
                myself.stop(None);
            }
            BrokerMsg::Tick => {
                state.tick();
                if let Some(hung) = state.children.look(&state.shared).into_iter().next() {
                    state.restart(&myself, hung).await?;
                }
            }
        }
        Ok(())
    }

    async fn handle_supervisor_evt(
        &self,
        myself: ActorRef<BrokerMsg>,
        event: SupervisionEvent,
        state: &mut State,
    ) -> Result<(), ActorProcessingErr> {
        // Managers that we stop ourselves are no longer among them.
        match state.children.ended(&event) {
            Some(ended) if !state.shared.draining.load(Relaxed) => state.restart(&myself, ended).await,
            _ => Ok(()),
        }
    }
}

impl State {
    fn tell<M: Message>(&self, manager: &ActorRef<M>, message: M) {
        // One that has just failed is being restarted with all the others; who asked it ends with it.
        let _ = self.shared.tell(manager, message);
    }

    /// Authenticates always, with or without a session id; what may take long happens on a pool of its own, in turn.
    fn register(&self, register: Register) {
        let (shared, sessions) = (Arc::clone(&self.shared), self.managers.sessions.clone());
        if !shared.authenticator.may_block() {
            return match shared.authenticator.authenticate(&credentials(&register)) {
                Ok(identity) => claim(&shared, &sessions, register, identity),
                Err(why) => refuse(&shared, &register, Refused::new(Code::Unauthorized, why.to_string())),
            };
        }
        let place = match Place::take(&shared, &self.logins, &register) {
            Ok(place) => place,
            Err(refused) => return refuse(&shared, &register, refused),
        };
        let hashing = Arc::clone(&self.hashing);
        tokio::spawn(async move {
            let Ok(turn) = hashing.acquire_owned().await else { return };
            match place.log_in(&shared, credentials(&register)).await {
                Ok(identity) => claim(&shared, &sessions, register, identity),
                Err((refused, late)) => {
                    // Nobody else waits for it.
                    drop((turn, place));
                    time::sleep(late).await;
                    refuse(&shared, &register, refused);
                }
            }
        });
    }

    fn order(&self, order: Order, reply: RpcReplyPort<Outcome>) {
        match order.control {
            Control::EvictSession { .. }
            | Control::DropConnection { .. }
            | Control::HoldSession { .. }
            | Control::ExtendSession { .. } => self.tell(&self.managers.sessions, SessionManagerMsg::Order { order, reply }),
            Control::KillTopic { .. } => self.tell(&self.managers.topics, TopicManagerMsg::Order { order, reply }),
            Control::Purge { .. } | Control::Redeliver { .. } => {
                self.tell(&self.managers.subscribers, SubscriberManagerMsg::Order { order, reply });
            }
            Control::Accept { on } => self.tell(&self.managers.listeners, ListenerManagerMsg::Accept { on, reply }),
            Control::Shutdown => unreachable!("a shutdown is the broker's own and is carried out before this is asked"),
        }
    }

    /// Messages that the end of the broker would cost, as of the last sample.
    fn held(&self) -> u64 {
        let board = self.shared.bus.board();
        let backlogs = board.topics.values().filter_map(|topic| topic.sample.as_ref()).map(|sample| sample.backlog);
        board.broker.depth.queued() + board.broker.depth.poison + backlogs.sum::<u64>()
    }

    fn tick(&mut self) {
        let stats = &self.shared.stats;
        let mut sample = self.shared.sample();
        self.published.sample(stats.published.get());
        self.delivered.sample(stats.delivered.get());
        (sample.publish_rate, sample.deliver_rate) = (self.published.last, self.delivered.last);
        // The bus itself casts nothing, so an idle broker's sample does not differ and need not be told again.
        let known = self.shared.bus.board().broker.sample;
        if (crate::events::BrokerSample { casts: known.casts, ..sample }) != known {
            self.shared.emit(Event::Sample(Sample { broker: Some(sample), ..Sample::default() }));
        }
        lock(&self.logins).tick(&self.shared.config.logins, Shared::now());
        self.tell(&self.managers.topics, TopicManagerMsg::Tick);
        self.tell(&self.managers.subscribers, SubscriberManagerMsg::Tick);
        self.tell(&self.managers.sessions, SessionManagerMsg::Tick);
        self.tell(&self.managers.listeners, ListenerManagerMsg::Tick);
    }

    /// One manager failed: all four are started anew, so that no stale reference survives; too often, and the broker stops.
    async fn restart(&mut self, myself: &ActorRef<BrokerMsg>, ended: Ended<ActorName>) -> Result<(), ActorProcessingErr> {
        let (mut manager, mut why) = (ended.of.kind(), ended.failure.unwrap_or_else(|| "stopped".to_owned()));
        let limits = &self.shared.config.failures;
        let (limit, window) = (limits.manager_restarts, limits.manager_window);
        loop {
            self.shared.emit(Event::ManagerFailed { manager: manager.to_owned(), why: why.clone() });
            let restarts = self.failures.count(Shared::now(), window);
            self.stop_managers().await;
            let lost = self.shared.close_all();
            if restarts > limit {
                let failed = format!("managers failed {restarts} times, the last time {manager} {why}");
                self.shared.emit(Event::Stopped { lost, failed: Some(failed.clone()) });
                return Err(failed.into());
            }
            self.shared.emit(Event::ManagersRestarted { restarts, lost });
            let (endpoints, last) = (&self.endpoints, &self.last_listener);
            match Managers::start(myself, &self.shared, endpoints, last, &mut self.children).await {
                Ok(managers) => {
                    self.managers = managers;
                    return Ok(());
                }
                // As good as failed again.
                Err(error) => (manager, why) = ("a manager", format!("did not start: {error}")),
            }
        }
    }

    /// Ends the managers, with everything they own.
    async fn stop_managers(&mut self) {
        for manager in self.children.take_newest_first() {
            manager.stop(None);
            if manager.wait(Some(STOP)).await.is_err() {
                manager.kill();
                // One that keeps its thread is left behind: what it owned is closed without it.
                let _ = manager.wait(Some(STOP)).await;
            }
        }
    }

    /// Stops accepting, lets publishers have their receipts, tells everyone, and ends everything in reverse order.
    async fn shut_down(&mut self) -> Lost {
        let deadline = time::Instant::now() + self.shared.config.connections.drain_deadline;
        self.shared.emit(Event::Draining { deadline: self.shared.clock.at(deadline) });
        if self.shared.accepting.swap(false, Relaxed) {
            self.shared.emit(Event::Accepting { on: false });
        }
        self.shared.draining.store(true, Relaxed);
        while self.shared.stats.unsettled.get() > 0 && time::Instant::now() < deadline {
            time::sleep(DRAIN_POLL).await;
        }
        let left = || Some(deadline.saturating_duration_since(time::Instant::now()).max(DRAIN_POLL));
        // Whoever does not answer in time is ended all the same.
        let _ = self.managers.listeners.call(ListenerManagerMsg::SayGoodbye, left()).await;
        let mut lost = Lost::default();
        if let Ok(ractor::rpc::CallResult::Success(its)) =
            self.managers.subscribers.call(SubscriberManagerMsg::Close, left()).await
        {
            lost += its;
        }
        if let Ok(ractor::rpc::CallResult::Success(its)) = self.managers.topics.call(TopicManagerMsg::Close, left()).await {
            lost += its;
        }
        self.stop_managers().await;
        // Of those who did not answer, because they had failed or hung.
        lost += self.shared.close_all();
        self.shared.emit(Event::Stopped { lost, failed: None });
        lost
    }
}
