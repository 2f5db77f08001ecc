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
    commons::Commons,
    config::{Changes, Config},
    control::{self, Control, Order, Outcome},
    events::{ActorName, Event, Lost, Sample, Terms},
    logins::Logins,
    net::Accept,
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

kinds! { BrokerMsg: Reload Register EndExact MakeRoom Order Shutdown Drained Stopped Tick }

/// The broker's references, in dependency order.
pub(crate) struct Arguments {
    pub(crate) shared: Arc<Commons>,
    pub(crate) endpoints: Vec<Arc<dyn Accept>>,
    /// What the broker is doing.
    pub(crate) doing: Arc<Doing>,
}

pub(crate) struct Broker;

pub(crate) struct State {
    shared: Arc<Commons>,
    endpoints: Vec<Arc<dyn Accept>>,
    last_listener: Arc<AtomicU64>,
    children: Children<ActorName>,
    managers: Managers,
    duty: Duty,
    failures: Failures,
    hashing: Arc<Semaphore>,
    logins: Arc<Mutex<Logins>>,
    published: Rate,
    delivered: Rate,
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
        shared: &Arc<Commons>,
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

    /// Ends them all in reverse order, so that no stale reference is used by one that still runs.
    async fn stop(&self) {
        let Self { topics, subscribers, sessions, listeners } = self;
        stop_all([listeners.get_cell(), sessions.get_cell(), subscribers.get_cell(), topics.get_cell()]).await;
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
            users: shared.access.current().configured.len(),
            terms: Terms::of(&shared.config).into(),
        });
        let (last_listener, mut children) = (Arc::default(), Children::new(&shared, doing));
        let managers = Managers::start(&myself, &shared, &endpoints, &last_listener, &mut children).await?;
        let alive = alive(&shared);
        Ok(State {
            shared,
            endpoints,
            last_listener,
            children,
            managers,
            duty: Duty::Serving,
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
            BrokerMsg::Order { order, reply } => state.order(&myself, order, reply),
            BrokerMsg::Reload { config, by, reply } => state.reload(&config, by, reply),
            BrokerMsg::Shutdown(reply) => state.shut_down(&myself, None, Some(reply)),
            BrokerMsg::Drained => state.drained(),
            BrokerMsg::Stopped(lost) => state.stopped(&myself, lost),
            BrokerMsg::Tick => {
                state.tick();
                let given_up = state.children.look_at_all(&state.shared).into_iter().next();
                if let Some(ended) = given_up.filter(|_| !state.is_stopping()) {
                    state.restart(&myself, ended).await?;
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
            Some(ended) if !state.is_stopping() => state.restart(&myself, ended).await,
            _ => Ok(()),
        }
    }
}

const RESTARTING: &str = "the managers are being restarted; give the order again";

/// Answers an order. Its operator may have given up waiting.
fn answer(reply: RpcReplyPort<Outcome>, outcome: Outcome) {
    let _ = reply.send(outcome);
}

/// Ends actors one after another, with everything they own.
async fn stop_all(managers: impl IntoIterator<Item = ActorCell>) {
    for manager in managers {
        manager.stop(None);
        if manager.wait(Some(STOP)).await.is_err() {
            manager.kill();
            // One that keeps its thread is left behind: what it owned is closed without it.
            let _ = manager.wait(Some(STOP)).await;
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
            return match users.verify(&credentials(&register), Commons::now(), &shared.stats.hashed) {
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
            if register.connection.outbound.is_closed() {
                // It was told to go while it waited: those behind it are not to wait for it.
                return;
            }
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
        shared.emit(Event::ConfigurationRead { by: by.clone(), users: config.users.len(), changes: changes.into() });
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
            control::Actor::Broker => return self.own(myself, &order, reply),
            control::Actor::Gate => return answer(reply, Outcome::refused("this order is the gate's own")),
        };
        if let Some(reply) = nobody {
            answer(reply, Outcome::refused(RESTARTING));
        }
    }

    /// Orders about the broker itself.
    fn own(&mut self, myself: &ActorRef<BrokerMsg>, order: &Order, reply: RpcReplyPort<Outcome>) {
        let loss = if order.control.destroys() { self.shared.held().messages() } else { 0 };
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
        let draining = Draining::begin(&self.shared, &self.managers, false);
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
        let draining = Draining::begin(&self.shared, &self.managers, true);
        let (shared, myself) = (Arc::clone(&self.shared), myself.clone());
        tokio::spawn(async move {
            // Whatever happens in there, the broker ends.
            let lost = tokio::spawn(async move { draining.stop().await }).await.unwrap_or_default();
            let _ = shared.tell(&myself, BrokerMsg::Stopped(lost));
        });
    }

    fn stopped(&mut self, myself: &ActorRef<BrokerMsg>, mut lost: Lost) {
        // Of those who did not answer, because they had failed or hung.
        lost += self.shared.close_all();
        self.shared.emit(Event::Stopped { lost, failed: None });
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

    fn tick(&mut self) {
        let stats = &self.shared.stats;
        let mut sample = self.shared.sample();
        self.published.sample(stats.published.get(), 1);
        self.delivered.sample(stats.delivered.get(), 1);
        (sample.publish_rate, sample.deliver_rate) = (self.published.last, self.delivered.last);
        // The bus itself casts nothing, so an idle broker's sample does not differ and need not be told again.
        let known = self.shared.bus.board().broker.sample;
        if (crate::events::BrokerSample { casts: known.casts, ..sample }) != known {
            self.shared.emit(Event::from(Sample { broker: Some(sample), ..Sample::default() }));
        }
        for event in self.shared.repeats.overdue(Commons::now()) {
            self.shared.emit(event);
        }
        lock(&self.logins).tick(&self.shared.config.logins, Commons::now());
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
            let restarts = self.failures.count(Commons::now(), window);
            stop_all(self.children.take_newest_first()).await;
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
}
