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

use ractor::{Actor, ActorCell, ActorProcessingErr, ActorRef, Message, RpcReplyPort, SpawnErr, SupervisionEvent};
use tokio::{sync::Semaphore, task::AbortHandle, time};

use self::login::{Place, claim, credentials, lock, recall, refuse};
use super::{
    Door, Failures, Living, RightsChanged, alive,
    listener::{Refused, Register},
    listener_manager::{Arguments as ListenerManagerArguments, ListenerManager, ListenerManagerMsg},
    session_manager::{Arguments as SessionManagerArguments, SessionManager, SessionManagerMsg},
    subscriber_manager::{EndExact, SubscriberManager, SubscriberManagerMsg},
    topic::MakeRoom,
    topic_manager::{Arguments as TopicManagerArguments, TopicManager, TopicManagerMsg},
};
use crate::{
    config::{Changes, Config},
    control::{Control, Order, Outcome},
    events::{Event, Lost, Sample},
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
    /// This is the configuration now, as far as it can change at run time.
    Reload { config: Box<Config>, by: String, reply: RpcReplyPort<Outcome> },
    /// Drain and stop; what was lost is the answer.
    Shutdown(RpcReplyPort<Lost>),
    /// A second has passed.
    Tick,
}

/// The broker's references, in dependency order.
pub(crate) struct Arguments {
    pub(crate) shared: Arc<Shared>,
    pub(crate) endpoints: Vec<Arc<dyn Accept>>,
}

pub(crate) struct Broker;

pub(crate) struct State {
    shared: Arc<Shared>,
    endpoints: Vec<Arc<dyn Accept>>,
    last_listener: Arc<AtomicU64>,
    managers: Managers,
    failures: Failures,
    hashing: Arc<Semaphore>,
    logins: Arc<Mutex<Logins>>,
    published: Rate,
    delivered: Rate,
    ticker: AbortHandle,
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
    ) -> Result<Self, SpawnErr> {
        let (cell, stats) = (myself.get_cell(), &shared.stats);
        let arguments = TopicManagerArguments {
            shared: Arc::clone(shared),
            end_exact: Door::new(stats, myself, BrokerMsg::EndExact),
            make_room: Door::new(stats, myself, BrokerMsg::MakeRoom),
        };
        let (topics, _) = Actor::spawn_linked(None, TopicManager, arguments, cell.clone()).await?;
        let (subscribers, _) = Actor::spawn_linked(None, SubscriberManager, Arc::clone(shared), cell.clone()).await?;
        let arguments =
            SessionManagerArguments { shared: Arc::clone(shared), topics: topics.clone(), subscribers: subscribers.clone() };
        let (sessions, _) = Actor::spawn_linked(None, SessionManager, arguments, cell.clone()).await?;
        let arguments = ListenerManagerArguments {
            shared: Arc::clone(shared),
            endpoints: endpoints.to_vec(),
            register: Door::new(stats, myself, BrokerMsg::Register),
            last_id: Arc::clone(last_listener),
        };
        let (listeners, _) = Actor::spawn_linked(None, ListenerManager, arguments, cell).await?;
        Ok(Self { topics, subscribers, sessions, listeners })
    }

    /// In the order in which they are stopped: no stale reference is used by one that still runs.
    fn in_reverse(&self) -> [(&'static str, ActorCell); 4] {
        [
            ("ListenerManager", self.listeners.get_cell()),
            ("SessionManager", self.sessions.get_cell()),
            ("SubscriberManager", self.subscribers.get_cell()),
            ("TopicManager", self.topics.get_cell()),
        ]
    }

    /// Ends them all, with everything they own.
    async fn stop(&self) {
        for (_, manager) in self.in_reverse() {
            manager.stop(None);
            if manager.wait(Some(STOP)).await.is_err() {
                manager.kill();
            }
        }
    }
}

impl Actor for Broker {
    type Msg = BrokerMsg;
    type State = State;
    type Arguments = Arguments;

    async fn pre_start(&self, myself: ActorRef<BrokerMsg>, args: Arguments) -> Result<State, ActorProcessingErr> {
        let Arguments { shared, endpoints } = args;
        shared.emit(Event::BrokerStarted {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            pid: std::process::id(),
            host: rustix::system::uname().nodename().to_string_lossy().into_owned(),
            users: shared.access.current().configured.len(),
        });
        let last_listener = Arc::default();
        let managers = Managers::start(&myself, &shared, &endpoints, &last_listener).await?;
        let ticker = tokio::spawn(tick(Arc::clone(&shared), myself)).abort_handle();
        let alive = alive(&shared);
        Ok(State {
            shared,
            endpoints,
            last_listener,
            managers,
            failures: Failures::default(),
            hashing: Arc::new(Semaphore::new(HASHING)),
            logins: Arc::default(),
            published: Rate::default(),
            delivered: Rate::default(),
            ticker,
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
            BrokerMsg::Reload { config, by, reply } => state.reload(&config, by, reply),
            BrokerMsg::Shutdown(reply) => {
                let lost = state.shut_down().await;
                let _ = reply.send(lost);
                myself.stop(None);
            }
            BrokerMsg::Tick => state.tick(),
        }
        Ok(())
    }

    async fn handle_supervisor_evt(
        &self,
        myself: ActorRef<BrokerMsg>,
        event: SupervisionEvent,
        state: &mut State,
    ) -> Result<(), ActorProcessingErr> {
        let (who, why) = match event {
            SupervisionEvent::ActorFailed(who, error) => (who, error.to_string()),
            SupervisionEvent::ActorTerminated(who, _, reason) => (who, reason.unwrap_or_else(|| "it stopped".to_owned())),
            SupervisionEvent::ActorStarted(_) | SupervisionEvent::ProcessGroupChanged(_) => return Ok(()),
        };
        // Managers that we stop ourselves are no longer among these.
        let failed = state.managers.in_reverse().into_iter().find(|(_, manager)| manager.get_id() == who.get_id());
        match failed {
            Some((manager, _)) if !state.shared.draining.load(Relaxed) => state.restart(&myself, manager, why).await,
            _ => Ok(()),
        }
    }
}

/// Ticks once a second for as long as the broker lives.
async fn tick(shared: Arc<Shared>, broker: ActorRef<BrokerMsg>) {
    let mut seconds = time::interval(Duration::from_secs(1));
    seconds.set_missed_tick_behavior(time::MissedTickBehavior::Delay);
    loop {
        seconds.tick().await;
        if shared.tell(&broker, BrokerMsg::Tick).is_err() {
            return;
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
        let users = shared.access.current();
        if !users.may_block() {
            return match users.verify(&credentials(&register), Shared::now(), &shared.stats.hashed) {
                Ok(principal) => claim(&shared, &sessions, register, principal),
                Err(why) => refuse(&shared, &register, Refused::new(Code::Unauthorized, why.to_string())),
            };
        }
        match recall(&shared, &self.logins, &users, &register) {
            Ok(Some(principal)) => return claim(&shared, &sessions, register, principal),
            Ok(None) => {}
            Err(refused) => return refuse(&shared, &register, refused),
        }
        let place = match Place::take(&shared, &self.logins, &register) {
            Ok(place) => place,
            Err(refused) => return refuse(&shared, &register, refused),
        };
        let hashing = Arc::clone(&self.hashing);
        tokio::spawn(async move {
            let Ok(turn) = hashing.acquire_owned().await else { return };
            match place.log_in(&shared, &users, credentials(&register)).await {
                Ok(principal) => claim(&shared, &sessions, register, principal),
                Err((refused, late)) => {
                    // Nobody else waits for it.
                    drop((turn, place));
                    time::sleep(late).await;
                    refuse(&shared, &register, refused);
                }
            }
        });
    }

    /// The users are from now on those of `config`. Whoever keeps something by what they were is told; the order is answered
    /// when all have looked.
    fn reload(&self, config: &Config, by: String, reply: RpcReplyPort<Outcome>) {
        let (shared, before) = (&self.shared, self.shared.access.current());
        let running = Config { users: before.configured.clone(), ..shared.config.clone() };
        let changes = Changes::between(&running, config);
        let differs = changes.is_of_users();
        if differs {
            shared.access.swap(config.users.clone());
        }
        shared.emit(Event::ConfigurationRead { by: by.clone(), users: config.users.len(), changes });
        let changed = RightsChanged::new(by, reply);
        if differs {
            self.tell(&self.managers.subscribers, SubscriberManagerMsg::RightsChanged(changed.clone()));
            self.tell(&self.managers.sessions, SessionManagerMsg::RightsChanged(changed));
        }
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
            Control::Reload { .. } => {
                let _ = reply.send(Outcome::Refused { why: "nothing was read to be taken".to_owned() });
            }
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
    async fn restart(&mut self, myself: &ActorRef<BrokerMsg>, manager: &str, why: String) -> Result<(), ActorProcessingErr> {
        tracing::error!(manager, why, "a manager failed");
        self.shared.emit(Event::ManagerFailed { manager: manager.to_owned(), why });
        let limits = &self.shared.config.failures;
        let (limit, window) = (limits.manager_restarts, limits.manager_window);
        let restarts = self.failures.count(Shared::now(), window);
        self.shared.restarting.store(true, Relaxed);
        self.managers.stop().await;
        self.shared.filters.clear();
        if restarts > limit {
            self.shared.draining.store(true, Relaxed);
            return Err(format!("the managers failed {restarts} times; the last was {manager}").into());
        }
        let board = self.shared.bus.board();
        let held = board.broker.depth;
        let mut lost = Lost { queued: held.queued(), poison: held.poison, backlog: 0, bytes: held.bytes };
        for topic in board.topics.values().filter_map(|row| row.sample.as_ref()) {
            (lost.backlog, lost.bytes) = (lost.backlog + topic.backlog, lost.bytes + topic.backlog_bytes);
        }
        self.shared.stats.dropped.add(lost.messages());
        self.shared.emit(Event::ManagersRestarted { restarts, lost });
        self.managers = Managers::start(myself, &self.shared, &self.endpoints, &self.last_listener).await?;
        self.shared.restarting.store(false, Relaxed);
        Ok(())
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
        self.managers.stop().await;
        self.shared.emit(Event::Stopped { lost });
        lost
    }
}

impl Drop for State {
    fn drop(&mut self) {
        self.ticker.abort();
    }
}
