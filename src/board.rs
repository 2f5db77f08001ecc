//! The board: what is so now, folded from events and from nothing else.
//!
//! [`Board::apply`] is its only way to change, so `fold(events) == board` holds by construction for whoever starts from the
//! first event, and a snapshot (one cheap clone of persistent maps) plus the events after its number catches up exactly.
//! Pure: no clock, no I/O.
//!
//! It is plain data: what a monitor asks is a line over its maps, and it can be written down and read again.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # use cordboard::{Board, Broker, Client, Config, board::Attachment};
//! # let broker = Broker::start(Config { listen: vec!["127.0.0.1:0".parse()?], ..Config::default() }).await?;
//! # let (_, mut follower) = broker.bus().follow();
//! # let client = Client::builder(&broker.endpoints()[0].to_string()).name("billing").connect().await?;
//! # client.subscribe("orders/#").await?;
//! # client.close().await?;
//! # while broker.bus().board().broker.detached == 0 {
//! #     follower.changed().await;
//! #     follower.take(100);
//! # }
//! let board: Board = broker.bus().board();
//! for (id, session) in &board.sessions {
//!     if let Attachment::Detached { deadline, .. } = session.attachment {
//!         println!("{} ({}) is away until {deadline:?}, with {} waiting", session.client, id.short(), session.depth.waiting);
//!     }
//! }
//! assert_eq!(board.broker.detached, 1);
//!
//! let again: Board = serde_json::from_str(&serde_json::to_string(&board)?)?;
//! assert_eq!(again, board);
//! # Ok(())
//! # }
//! ```

mod history;
mod orders;

use std::net::SocketAddr;

use imbl::{OrdMap, OrdSet};
use serde::{Deserialize, Serialize};

use crate::{
    clock::Moment,
    events::{
        ActorName, BrokerSample, Busy, CloseReason, Depth, Event, LastFailure, ListenerSample, Sample, SessionSample, Stamped,
        StopPhase, SubscriptionSample, SubscriptionState, Terms, TopicSample,
    },
    name::{ClientName, Epoch, Filter, ListenerId, Principal, SessionId, SubscriptionId, TopicName},
};

pub use self::{
    history::{Failure, History},
    orders::{Ban, Course, Forbidden, WaitingOrder},
};

/// What is so now.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Board {
    /// The number of the last event in it.
    pub number: u64,
    /// The broker itself.
    pub broker: BrokerRow,
    /// Every open connection.
    pub listeners: OrdMap<ListenerId, ListenerRow>,
    /// Every session.
    pub sessions: OrdMap<SessionId, SessionRow>,
    /// Every topic.
    pub topics: OrdMap<TopicName, TopicRow>,
    /// Every subscription.
    pub subscriptions: OrdMap<SubscriptionId, SubscriptionRow>,
    /// What operators have forbidden.
    #[serde(default)]
    pub forbidden: Forbidden,
    /// Orders that wait out their delay, by their numbers.
    #[serde(default)]
    pub waiting_orders: OrdMap<u64, WaitingOrder>,
    /// Sessions with an exact subscription to a topic that is not there: it is theirs when it comes (again).
    #[serde(default)]
    pub early: OrdMap<TopicName, OrdSet<SessionId>>,
    /// Actors that have been in one message for more than a second, by their supervisor.
    #[serde(default)]
    pub busy: OrdMap<ActorName, Vec<Busy>>,
    /// How orders ended and actors failed.
    #[serde(default)]
    pub history: History,
}

/// The broker itself.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct BrokerRow {
    /// Its version.
    pub version: String,
    /// Its process.
    pub pid: u32,
    /// The machine it runs on.
    pub host: String,
    /// Users in its configuration; none means that everyone on loopback is `local`.
    pub users: usize,
    /// When it started.
    pub started: Moment,
    /// The limits that its rows are judged by.
    #[serde(default)]
    pub terms: Terms,
    /// What it accepts on.
    pub endpoints: OrdSet<SocketAddr>,
    /// New connections are taken.
    pub accepting: bool,
    /// It is draining, by then.
    pub draining: Option<Moment>,
    /// What it is on its way to.
    #[serde(default)]
    pub course: Course,
    /// How far that is, and how much it waits for.
    #[serde(default)]
    pub stop_phase: Option<(StopPhase, u64)>,
    /// Everything has ended.
    pub stopped: bool,
    /// Why it ended, if that was not asked for.
    #[serde(default)]
    pub failed: Option<String>,
    /// Managers that failed and were restarted.
    pub restarts: u32,
    /// The last time one did: which, and how.
    #[serde(default)]
    pub last_failure: Option<LastFailure>,
    /// Sessions that are detached.
    pub detached: u64,
    /// What all subscriptions' queues hold together.
    pub depth: Depth,
    /// What all detached sessions' queues hold: the dead letters.
    pub dead_letters: u64,
    /// Its last figures.
    pub sample: BrokerSample,
}

/// An open connection.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ListenerRow {
    /// The client's address.
    pub peer: SocketAddr,
    /// When it was accepted.
    pub opened: Moment,
    /// Its session, once registered.
    pub session: Option<SessionId>,
    /// Its last figures.
    pub sample: Option<ListenerSample>,
    /// Something waits to be written to it, and nothing could be since then.
    #[serde(default)]
    pub stuck: Option<Moment>,
}

/// A session's connection, or what there is instead.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "snake_case")]
pub enum Attachment {
    /// A client is connected.
    Attached {
        /// Through this connection.
        listener: ListenerId,
        /// Since then.
        since: Moment,
    },
    /// The reclaim timer runs.
    Detached {
        /// Since then.
        since: Moment,
        /// For this reason.
        why: CloseReason,
        /// Reclaimed at that moment.
        deadline: Moment,
        /// An operator stopped the timer.
        held_by: Option<String>,
    },
}

/// A session.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SessionRow {
    /// What the client calls itself.
    pub client: ClientName,
    /// Whose it is.
    pub principal: Principal,
    /// Where its client is or was.
    pub peer: SocketAddr,
    /// How often it was attached.
    pub epoch: Epoch,
    /// When it was created.
    pub created: Moment,
    /// The full length of its reclaim timer, in milliseconds.
    pub reclaim_ms: u64,
    /// Connected or not.
    pub attachment: Attachment,
    /// Its subscriptions.
    pub subscriptions: OrdSet<Filter>,
    /// What their queues hold.
    pub depth: Depth,
    /// Messages it published in the last second.
    pub publish_rate: u64,
    /// Messages written to it in the last second.
    pub deliver_rate: u64,
}

impl SessionRow {
    /// True while a client is connected.
    pub fn is_attached(&self) -> bool {
        matches!(self.attachment, Attachment::Attached { .. })
    }
}

/// A topic.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TopicRow {
    /// When it was created.
    pub created: Moment,
    /// Who made it.
    pub by: Principal,
    /// Sessions with an exact subscription to it.
    pub subscribers: OrdSet<SessionId>,
    /// What their exact subscriptions hold.
    pub depth: Depth,
    /// Times its actor was restarted.
    pub restarts: u32,
    /// The last time it failed.
    #[serde(default)]
    pub last_failure: Option<LastFailure>,
    /// Its last figures.
    pub sample: Option<TopicSample>,
}

/// A subscription.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SubscriptionRow {
    /// When it was created.
    pub created: Moment,
    /// What its subscriber does.
    pub state: SubscriptionState,
    /// What its queue holds.
    pub depth: Depth,
    /// Messages written to its client in the last second.
    pub deliver_rate: u64,
    /// Times its actor was restarted.
    pub restarts: u32,
    /// The last time it failed.
    #[serde(default)]
    pub last_failure: Option<LastFailure>,
}

impl Board {
    /// Takes one event into the picture. Events must come in the order of their numbers.
    pub fn apply(&mut self, stamped: &Stamped) {
        self.number = stamped.number;
        let at = stamped.at;
        self.history.note(at, &stamped.event);
        match &stamped.event {
            Event::BrokerStarted { version, pid, host, users, terms } => {
                *self = Self { number: stamped.number, ..Self::default() };
                let row = &mut self.broker;
                (row.version, row.pid, row.host, row.users, row.started) = (version.clone(), *pid, host.clone(), *users, at);
                row.terms = (**terms).clone();
            }
            Event::EndpointOpened { address } => drop(self.broker.endpoints.insert(*address)),
            Event::ConfigurationRead { users, .. } => self.broker.users = *users,
            Event::ManagerFailed { manager, why } => {
                self.broker.last_failure = Some(LastFailure { at, why: format!("{manager} {why}") });
            }
            Event::Accepting { .. }
            | Event::Draining { .. }
            | Event::StopPhase { .. }
            | Event::Drained
            | Event::Stopped { .. } => self.apply_stop(&stamped.event),
            Event::ManagersRestarted { restarts, .. } => {
                self.broker.restarts = *restarts;
                self.clear_rows();
            }
            Event::Sample(sample) => self.apply_sample(at, sample),
            event => {
                self.apply_orders(at, event);
                self.apply_listener(at, event);
                self.apply_session(at, event);
                self.apply_topic(at, event);
                self.apply_subscription(at, event);
            }
        }
    }

    /// All managers were restarted: nothing that they owned is left.
    fn clear_rows(&mut self) {
        self.listeners.clear();
        self.sessions.clear();
        self.topics.clear();
        self.subscriptions.clear();
        self.early.clear();
        self.busy.clear();
        self.broker.endpoints.clear();
        (self.broker.detached, self.broker.dead_letters, self.broker.depth) = (0, 0, Depth::default());
    }

    fn apply_stop(&mut self, event: &Event) {
        let broker = &mut self.broker;
        match event {
            Event::Accepting { on } => {
                broker.accepting = *on;
                if *on && broker.course == Course::Drained {
                    broker.course = Course::Serving;
                }
            }
            Event::Draining { deadline, ends } => {
                (broker.draining, broker.course) = (Some(*deadline), if *ends { Course::Ending } else { Course::Draining });
            }
            Event::StopPhase { phase, left } => broker.stop_phase = Some((*phase, *left)),
            Event::Drained => (broker.draining, broker.stop_phase, broker.course) = (None, None, Course::Drained),
            Event::Stopped { failed, .. } => {
                (broker.stopped, broker.stop_phase, broker.failed) = (true, None, failed.clone());
            }
            _ => {}
        }
    }

    /// What operators forbid, and what they have asked for that waits.
    fn apply_orders(&mut self, at: Moment, event: &Event) {
        let ban = |by: &String, why: &String| Ban { by: by.clone(), why: why.clone(), since: at };
        match event {
            Event::TopicForbidden { topic, by, why } => {
                self.forbidden.topics.insert(topic.clone(), ban(by, why));
            }
            Event::TopicAllowed { topic, .. } => {
                self.forbidden.topics.remove(topic);
            }
            Event::PrincipalForbidden { principal, by, why } => {
                self.forbidden.principals.insert(principal.clone(), ban(by, why));
            }
            Event::PrincipalAllowed { principal, .. } => {
                self.forbidden.principals.remove(principal);
            }
            Event::OrderDelayed { number, order, due } => {
                self.waiting_orders.insert(*number, WaitingOrder { order: (**order).clone(), due: *due });
            }
            Event::Order(record) => {
                self.waiting_orders.remove(&record.number);
            }
            _ => {}
        }
    }

    fn apply_listener(&mut self, at: Moment, event: &Event) {
        match event {
            Event::ListenerOpened { id, peer } => {
                let row = ListenerRow { peer: *peer, opened: at, session: None, sample: None, stuck: None };
                self.listeners.insert(*id, row);
            }
            Event::ListenerRegistered { id, session } => {
                if let Some(row) = self.listeners.get_mut(id) {
                    row.session = Some(*session);
                }
            }
            Event::ListenerClosed { id, .. } => {
                self.listeners.remove(id);
            }
            _ => {}
        }
    }

    fn apply_session(&mut self, at: Moment, event: &Event) {
        match event {
            Event::SessionCreated { id, client, principal, listener, peer, epoch, reclaim_ms } => {
                self.drop_session(*id);
                let row = SessionRow {
                    client: client.clone(),
                    principal: principal.clone(),
                    peer: *peer,
                    epoch: *epoch,
                    created: at,
                    reclaim_ms: *reclaim_ms,
                    attachment: Attachment::Attached { listener: *listener, since: at },
                    subscriptions: OrdSet::new(),
                    depth: Depth::default(),
                    publish_rate: 0,
                    deliver_rate: 0,
                };
                self.sessions.insert(*id, row);
            }
            Event::SessionAttached { id, client, listener, peer, epoch, reclaim_ms, .. } => self.reattach(id, |row| {
                (row.client, row.peer, row.epoch, row.reclaim_ms) = (client.clone(), *peer, *epoch, *reclaim_ms);
                row.attachment = Attachment::Attached { listener: *listener, since: at };
            }),
            Event::SessionDetached { id, why, deadline, .. } => self.reattach(id, |row| {
                row.attachment = Attachment::Detached { since: at, why: *why, deadline: *deadline, held_by: None };
            }),
            Event::SessionHeld { id, by } => self.reattach(id, |row| {
                if let Attachment::Detached { held_by, .. } = &mut row.attachment {
                    *held_by = Some(by.clone());
                }
            }),
            Event::SessionTimerSet { id, deadline: until, .. } => self.reattach(id, |row| {
                if let Attachment::Detached { deadline, held_by, .. } = &mut row.attachment {
                    (*deadline, *held_by) = (*until, None);
                }
            }),
            Event::SessionEnded { id, .. } => self.drop_session(*id),
            _ => {}
        }
    }

    fn drop_session(&mut self, session: SessionId) {
        let Some(row) = self.sessions.remove(&session) else { return };
        for filter in &row.subscriptions {
            self.drop_subscription(&SubscriptionId { session, filter: filter.clone() });
        }
        self.count_detached(&row, false);
    }

    /// Changes a session's attachment and what is counted by it.
    fn reattach(&mut self, id: &SessionId, change: impl FnOnce(&mut SessionRow)) {
        let Some(mut row) = self.sessions.get(id).cloned() else { return };
        self.count_detached(&row, false);
        change(&mut row);
        self.count_detached(&row, true);
        self.sessions.insert(*id, row);
    }

    /// A detached session is counted, and what it holds is dead letters.
    fn count_detached(&mut self, row: &SessionRow, in_: bool) {
        if row.is_attached() {
            return;
        }
        let broker = &mut self.broker;
        if in_ {
            broker.detached += 1;
            broker.dead_letters += row.depth.queued();
        } else {
            broker.detached -= 1;
            broker.dead_letters -= row.depth.queued();
        }
    }

    fn apply_topic(&mut self, at: Moment, event: &Event) {
        match event {
            Event::TopicCreated { topic, by } => {
                self.drop_topic(topic);
                let subscribers = self.early.remove(topic).unwrap_or_default();
                let mut depth = Depth::default();
                for session in &subscribers {
                    let id = SubscriptionId { session: *session, filter: topic.clone().into() };
                    let held = self.subscriptions.get(&id).map(|row| row.depth).unwrap_or_default();
                    shift(&mut depth, Depth::default(), held);
                }
                let row =
                    TopicRow { created: at, by: by.clone(), subscribers, depth, restarts: 0, last_failure: None, sample: None };
                self.topics.insert(topic.clone(), row);
            }
            Event::TopicKilled { topic, .. } | Event::TopicForgotten { topic } => self.drop_topic(topic),
            Event::TopicRestarted { topic, restarts, why } => {
                if let Some(row) = self.topics.get_mut(topic) {
                    (row.restarts, row.last_failure) = (*restarts, Some(LastFailure { at, why: why.clone() }));
                }
            }
            _ => {}
        }
    }

    fn drop_topic(&mut self, topic: &TopicName) {
        if let Some(row) = self.topics.remove(topic)
            && !row.subscribers.is_empty()
        {
            self.early.insert(topic.clone(), row.subscribers);
        }
    }

    fn apply_subscription(&mut self, at: Moment, event: &Event) {
        let state = |row: &mut SubscriptionRow, state| row.state = state;
        match event {
            // It cannot outlive its session, so there is none without.
            Event::SubscriptionCreated { id } if self.sessions.contains_key(&id.session) => {
                self.drop_subscription(id);
                let row = SubscriptionRow {
                    created: at,
                    state: SubscriptionState::Parked,
                    depth: Depth::default(),
                    deliver_rate: 0,
                    restarts: 0,
                    last_failure: None,
                };
                self.subscriptions.insert(id.clone(), row);
                if let Some(session) = self.sessions.get_mut(&id.session) {
                    session.subscriptions.insert(id.filter.clone());
                }
                if let Some(topic) = id.filter.exact() {
                    match self.topics.get_mut(&topic) {
                        Some(row) => row.subscribers.insert(id.session),
                        None => self.early.entry(topic).or_default().insert(id.session),
                    };
                }
            }
            Event::SubscriptionParked { id } => self.change(id, |row| state(row, SubscriptionState::Parked)),
            Event::SubscriptionDraining { id, .. } => self.change(id, |row| state(row, SubscriptionState::Draining)),
            Event::SubscriptionDrained { id } => self.change(id, |row| state(row, SubscriptionState::Live)),
            Event::SubscriptionRestarted { id, restarts, why } => self.change(id, |row| {
                (row.restarts, row.last_failure) = (*restarts, Some(LastFailure { at, why: why.clone() }));
                state(row, SubscriptionState::Parked);
            }),
            Event::SubscriptionEnded { id, .. } => self.drop_subscription(id),
            _ => {}
        }
    }

    fn change(&mut self, id: &SubscriptionId, change: impl FnOnce(&mut SubscriptionRow)) {
        if let Some(row) = self.subscriptions.get_mut(id) {
            change(row);
        }
    }

    fn drop_subscription(&mut self, id: &SubscriptionId) {
        self.set_depth(id, Depth::default());
        self.subscriptions.remove(id);
        if let Some(session) = self.sessions.get_mut(&id.session) {
            session.subscriptions.remove(&id.filter);
        }
        let Some(topic) = id.filter.exact() else { return };
        if let Some(row) = self.topics.get_mut(&topic) {
            row.subscribers.remove(&id.session);
        }
        if let Some(early) = self.early.get_mut(&topic) {
            early.remove(&id.session);
            if early.is_empty() {
                self.early.remove(&topic);
            }
        }
    }

    /// Changes what a queue holds, and with it the sums of its session, its topic and the broker.
    fn set_depth(&mut self, id: &SubscriptionId, depth: Depth) {
        let Some(row) = self.subscriptions.get_mut(id) else { return };
        let before = std::mem::replace(&mut row.depth, depth);
        if before == depth {
            return;
        }
        shift(&mut self.broker.depth, before, depth);
        if let Some(session) = self.sessions.get_mut(&id.session) {
            shift(&mut session.depth, before, depth);
            if !session.is_attached() {
                self.broker.dead_letters = self.broker.dead_letters + depth.queued() - before.queued();
            }
        }
        if let Some(topic) = id.filter.exact().and_then(|topic| self.topics.get_mut(&topic)) {
            shift(&mut topic.depth, before, depth);
        }
    }

    fn apply_sample(&mut self, at: Moment, sample: &Sample) {
        if let Some(figures) = sample.broker {
            self.broker.sample = figures;
        }
        if let Some(busy) = &sample.busy {
            let busy_now = (!busy.actors.is_empty()).then(|| busy.actors.clone());
            self.busy = self.busy.alter(|_| busy_now, busy.of.clone());
        }
        for figures in &sample.listeners {
            if let Some(row) = self.listeners.get_mut(&figures.id) {
                let is_stuck = figures.outbound_bytes > 0 && figures.bytes_out_rate == 0;
                row.stuck = is_stuck.then(|| row.stuck.unwrap_or(at));
                row.sample = Some(*figures);
            }
        }
        for SessionSample { id, publish_rate, deliver_rate } in &sample.sessions {
            if let Some(row) = self.sessions.get_mut(id) {
                (row.publish_rate, row.deliver_rate) = (*publish_rate, *deliver_rate);
            }
        }
        for figures in &sample.topics {
            if let Some(row) = self.topics.get_mut(&figures.topic) {
                row.sample = Some(figures.clone());
            }
        }
        for SubscriptionSample { id, depth, deliver_rate } in &sample.subscriptions {
            self.set_depth(id, *depth);
            self.change(id, |row| row.deliver_rate = *deliver_rate);
        }
    }
}

/// Replaces one addend of a sum.
fn shift(sum: &mut Depth, before: Depth, after: Depth) {
    sum.waiting = sum.waiting + after.waiting - before.waiting;
    sum.in_flight = sum.in_flight + after.in_flight - before.in_flight;
    sum.poison = sum.poison + after.poison - before.poison;
    sum.bytes = sum.bytes + after.bytes - before.bytes;
    sum.dropped = sum.dropped + after.dropped - before.dropped;
}

#[cfg(test)]
mod tests;
