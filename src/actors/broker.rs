//! The broker: root of the actors. It starts the four managers in order, authenticates registrations on no mailbox of its own,
//! restarts all four when one fails, and stops them in reverse.

mod draining;
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

use self::{
    draining::Draining,
    login::{Place, claim, credentials, lock, recall, refuse},
};
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
    control::{self, Control, Order, Outcome},
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
    /// A drain is over.
    Drained,
    /// Everything has ended.
    Stopped(Lost),
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
    duty: Duty,
    failures: Failures,
    hashing: Arc<Semaphore>,
    logins: Arc<Mutex<Logins>>,
    published: Rate,
    delivered: Rate,
    ticker: AbortHandle,
    _alive: Living,
}

/// What the broker is doing.
enum Duty {
    Serving,
    /// Its clients are being told; it lives on.
    Draining {
        task: AbortHandle,
        reply: RpcReplyPort<Outcome>,
    },
    /// No client is there, none is taken.
    Drained,
    /// It ends.
    Stopping {
        ordered: Option<RpcReplyPort<Outcome>>,
        asked: Vec<RpcReplyPort<Lost>>,
    },
}

/// The four managers, in the order in which they are started.
#[derive(Clone)]
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
            duty: Duty::Serving,
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
            BrokerMsg::Order { order, reply } => state.order(&myself, order, reply),
            BrokerMsg::Reload { config, by, reply } => state.reload(&config, by, reply),
            BrokerMsg::Shutdown(reply) => state.shut_down(&myself, None, Some(reply)),
            BrokerMsg::Drained => state.drained(),
            BrokerMsg::Stopped(lost) => state.stopped(&myself, lost),
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
            Some((manager, _)) if !state.is_stopping() => state.restart(&myself, manager, why).await,
            _ => Ok(()),
        }
    }
}

const RESTARTING: &str = "the managers are being restarted; give the order again";

/// Answers an order. Its operator may have given up waiting.
fn answer(reply: RpcReplyPort<Outcome>, outcome: Outcome) {
    let _ = reply.send(outcome);
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
        if self.is_stopping() {
            return answer(reply, Outcome::refused("the broker is shutting down"));
        }
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

    fn is_stopping(&self) -> bool {
        matches!(self.duty, Duty::Stopping { .. })
    }

    /// Passes an order on to whoever carries it out. One that nobody takes is refused, so that its operator knows.
    fn order(&mut self, myself: &ActorRef<BrokerMsg>, order: Order, reply: RpcReplyPort<Outcome>) {
        if self.is_stopping() {
            let twice = order.control == Control::Shutdown;
            let outcome = if twice { Outcome::AlreadyGone } else { Outcome::refused("the broker is shutting down") };
            return answer(reply, outcome);
        }
        let (shared, managers) = (&self.shared, &self.managers);
        let nobody = match order.control.actor() {
            control::Actor::Sessions => match shared.tell(&managers.sessions, SessionManagerMsg::Order { order, reply }) {
                Err(SessionManagerMsg::Order { reply, .. }) => Some(reply),
                Ok(()) | Err(_) => None,
            },
            control::Actor::Topics => match shared.tell(&managers.topics, TopicManagerMsg::Order { order, reply }) {
                Err(TopicManagerMsg::Order { reply, .. }) => Some(reply),
                Ok(()) | Err(_) => None,
            },
            control::Actor::Subscribers => match shared.tell(&managers.subscribers, SubscriberManagerMsg::Order { order, reply })
            {
                Err(SubscriberManagerMsg::Order { reply, .. }) => Some(reply),
                Ok(()) | Err(_) => None,
            },
            control::Actor::Broker => return self.own(myself, order, reply),
            control::Actor::Gate => return answer(reply, Outcome::refused("this order is the gate's own")),
        };
        if let Some(reply) = nobody {
            answer(reply, Outcome::refused(RESTARTING));
        }
    }

    /// Orders about the broker itself.
    fn own(&mut self, myself: &ActorRef<BrokerMsg>, order: Order, reply: RpcReplyPort<Outcome>) {
        let loss = if order.control.destroys() { self.held() } else { 0 };
        if let Err(refused) = order.precondition.check(None, loss) {
            return answer(reply, refused);
        }
        match order.control {
            Control::Accept { on } => self.accept(on, reply),
            Control::Drain => self.drain(myself, reply),
            Control::Shutdown => self.shut_down(myself, Some(reply), None),
            _ => answer(reply, Outcome::refused("this order is not about the broker")),
        }
    }

    fn accept(&mut self, on: bool, reply: RpcReplyPort<Outcome>) {
        match self.duty {
            Duty::Draining { .. } if on => return answer(reply, Outcome::refused("a drain is under way; wait until it is over")),
            Duty::Drained if on => {
                self.shared.draining.store(false, Relaxed);
                self.duty = Duty::Serving;
            }
            Duty::Serving | Duty::Draining { .. } | Duty::Drained | Duty::Stopping { .. } => {}
        }
        let accept = ListenerManagerMsg::Accept { on, reply };
        if let Err(ListenerManagerMsg::Accept { reply, .. }) = self.shared.tell(&self.managers.listeners, accept) {
            answer(reply, Outcome::refused(RESTARTING));
        }
    }

    fn drain(&mut self, myself: &ActorRef<BrokerMsg>, reply: RpcReplyPort<Outcome>) {
        if !matches!(self.duty, Duty::Serving) {
            return answer(reply, Outcome::AlreadyGone);
        }
        let draining = Draining::begin(&self.shared, &self.managers);
        let (shared, myself) = (Arc::clone(&self.shared), myself.clone());
        let task = tokio::spawn(async move {
            draining.empty().await;
            // A broker that has failed meanwhile has nothing more to say.
            let _ = shared.tell(&myself, BrokerMsg::Drained);
        });
        self.duty = Duty::Draining { task: task.abort_handle(), reply };
    }

    fn drained(&mut self) {
        match std::mem::replace(&mut self.duty, Duty::Drained) {
            Duty::Draining { reply, .. } => {
                self.shared.emit(Event::Drained);
                answer(reply, Outcome::DONE);
            }
            // A shutdown came in between.
            other => self.duty = other,
        }
    }

    /// Drains and stops, once; whoever else asks for it waits for the same end.
    fn shut_down(
        &mut self,
        myself: &ActorRef<BrokerMsg>,
        ordered: Option<RpcReplyPort<Outcome>>,
        asked: Option<RpcReplyPort<Lost>>,
    ) {
        if let Duty::Stopping { asked: all, .. } = &mut self.duty {
            return all.extend(asked);
        }
        let stopping = Duty::Stopping { ordered, asked: asked.into_iter().collect() };
        if let Duty::Draining { task, reply } = std::mem::replace(&mut self.duty, stopping) {
            task.abort();
            answer(reply, Outcome::refused("the broker is shutting down instead"));
        }
        self.shared.stopping.send_replace(true);
        let draining = Draining::begin(&self.shared, &self.managers);
        let (shared, myself) = (Arc::clone(&self.shared), myself.clone());
        tokio::spawn(async move {
            // Whatever happens in there, the broker ends.
            let lost = tokio::spawn(async move { draining.stop().await }).await.unwrap_or_default();
            let _ = shared.tell(&myself, BrokerMsg::Stopped(lost));
        });
    }

    fn stopped(&mut self, myself: &ActorRef<BrokerMsg>, lost: Lost) {
        self.shared.emit(Event::Stopped { lost });
        if let Duty::Stopping { ordered, asked } = &mut self.duty {
            if let Some(reply) = ordered.take() {
                answer(reply, Outcome::Done { lost });
            }
            for reply in asked.drain(..) {
                // Whoever asked may have gone.
                let _ = reply.send(lost);
            }
        }
        // Orders that are in the mailbox are answered before the end.
        let _ = myself.drain();
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
}

impl Drop for State {
    fn drop(&mut self) {
        self.ticker.abort();
    }
}
