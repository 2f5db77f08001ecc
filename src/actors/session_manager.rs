//! The session manager: creates sessions and alone decides attach, takeover and reclaim. Registrations, losses and fired timers
//! all come through its one mailbox, so that each finds the world as the one before has left it.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
    time::{Duration, Instant},
};

use ractor::{Actor, ActorId, ActorProcessingErr, ActorRef, RpcReplyPort, SupervisionEvent};

use super::{
    Door, Living, SessionMsg, alive,
    listener::{ListenerMsg, Refused},
    session::{Arguments as SessionArguments, Attach, ClientEnds, Flow, Goodbye, Lease, Session},
    subscriber_manager::{SubscriberManagerMsg, SubscriptionsEnded},
    topic_manager::TopicManagerMsg,
};
use crate::{
    auth::Identity,
    clock::UnixMillis,
    connection::Outbound,
    control::{Control, MAX_EXTENSION, Order, Outcome},
    events::{CloseReason, Event, Lost, Sample, SessionEnd, SessionSample},
    name::{ClientName, Epoch, ListenerId, SessionId},
    shared::{Shared, tell},
    stats::Rate,
    tombstones::{Tombstone, Tombstones},
    wire::{AckMode, Code},
};

pub(crate) use super::session::ConnectionGone;

/// What the session manager can be asked.
#[derive(Debug)]
pub(crate) enum SessionManagerMsg {
    /// An authenticated client wants a session, new or its own.
    Claim(Box<Claim>),
    /// A connection is gone.
    ConnectionGone(ConnectionGone),
    /// A client ends its session.
    ClientEnds(ClientEnds),
    /// A reclaim timer may have run out.
    Reclaim,
    /// An ending session's subscriptions have ended.
    SubscriptionsEnded(SubscriptionsEnded),
    /// Carry out an order about a session.
    Order { order: Order, reply: RpcReplyPort<Outcome> },
    /// A second has passed.
    Tick,
}

/// A client that has been authenticated.
#[derive(Debug)]
pub(crate) struct Claim {
    pub(crate) identity: Identity,
    pub(crate) client: ClientName,
    pub(crate) session: Option<SessionId>,
    pub(crate) ack: AckMode,
    pub(crate) settled: u64,
    pub(crate) keep_alive: Duration,
    pub(crate) reclaim: Duration,
    pub(crate) connection: Connection,
}

/// Where a client is.
#[derive(Debug, Clone)]
pub(crate) struct Connection {
    pub(crate) id: ListenerId,
    pub(crate) peer: std::net::SocketAddr,
    pub(crate) listener: ActorRef<ListenerMsg>,
    pub(crate) outbound: Arc<Outbound>,
}

/// The session manager's references, in dependency order.
pub(crate) struct Arguments {
    pub(crate) shared: Arc<Shared>,
    pub(crate) topics: ActorRef<TopicManagerMsg>,
    pub(crate) subscribers: ActorRef<SubscriberManagerMsg>,
}

pub(crate) struct SessionManager;

pub(crate) struct State {
    shared: Arc<Shared>,
    topics: ActorRef<TopicManagerMsg>,
    subscribers: ActorRef<SubscriberManagerMsg>,
    myself: ActorRef<SessionManagerMsg>,
    sessions: BTreeMap<SessionId, Entry>,
    actors: HashMap<ActorId, SessionId>,
    /// Sessions that end: gone for everyone, but their subscriptions have not all ended yet.
    ending: HashMap<SessionId, Ending>,
    tombstones: Tombstones,
    /// The reclaim timers that run, soonest first.
    deadlines: BTreeSet<(Instant, SessionId)>,
    /// When the one timer that is out for them fires.
    armed: Option<Instant>,
    detached: usize,
    _alive: Living,
}

struct Entry {
    actor: ActorRef<SessionMsg>,
    identity: Identity,
    epoch: Epoch,
    reclaim: Duration,
    client: Client,
    flow: Arc<Flow>,
    published: Rate,
    delivered: Rate,
}

/// Where a session's client is.
enum Client {
    Here {
        listener: ActorRef<ListenerMsg>,
    },
    /// The reclaim timer runs out at `deadline`, unless it is held.
    Away {
        deadline: Instant,
        held: bool,
    },
}

struct Ending {
    actor: ActorId,
    /// The connection to close if the session fails before it can.
    listener: Option<ActorRef<ListenerMsg>>,
    identity: Identity,
    why: SessionEnd,
    replies: Vec<RpcReplyPort<Outcome>>,
}

impl Actor for SessionManager {
    type Msg = SessionManagerMsg;
    type State = State;
    type Arguments = Arguments;

    async fn pre_start(&self, myself: ActorRef<SessionManagerMsg>, args: Arguments) -> Result<State, ActorProcessingErr> {
        let Arguments { shared, topics, subscribers } = args;
        let limits = &shared.config.sessions;
        let tombstones = Tombstones::new(limits.tombstones, limits.tombstone_life);
        let alive = alive(&shared);
        Ok(State {
            shared,
            topics,
            subscribers,
            myself,
            sessions: BTreeMap::new(),
            actors: HashMap::new(),
            ending: HashMap::new(),
            tombstones,
            deadlines: BTreeSet::new(),
            armed: None,
            detached: 0,
            _alive: alive,
        })
    }

    async fn handle(
        &self,
        _: ActorRef<SessionManagerMsg>,
        message: SessionManagerMsg,
        state: &mut State,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            SessionManagerMsg::Claim(claim) => state.claim(*claim).await?,
            SessionManagerMsg::ConnectionGone(gone) => state.connection_gone(&gone),
            SessionManagerMsg::ClientEnds(ClientEnds { session, epoch }) => state.client_ends(session, epoch),
            SessionManagerMsg::Reclaim => state.reclaim(),
            SessionManagerMsg::SubscriptionsEnded(ended) => state.ended(&ended),
            SessionManagerMsg::Order { order, reply } => state.order(order, reply),
            SessionManagerMsg::Tick => state.sample(),
        }
        Ok(())
    }

    async fn handle_supervisor_evt(
        &self,
        _: ActorRef<SessionManagerMsg>,
        event: SupervisionEvent,
        state: &mut State,
    ) -> Result<(), ActorProcessingErr> {
        match event {
            SupervisionEvent::ActorFailed(who, error) => state.failed(who.get_id(), &error.to_string()),
            SupervisionEvent::ActorTerminated(who, _, _) => {
                state.actors.remove(&who.get_id());
            }
            SupervisionEvent::ActorStarted(_) | SupervisionEvent::ProcessGroupChanged(_) => {}
        }
        Ok(())
    }
}

impl State {
    async fn claim(&mut self, claim: Claim) -> Result<(), ActorProcessingErr> {
        let Some(id) = claim.session else { return self.create(claim).await };
        let now = Shared::now();
        let own = self.sessions.get(&id).is_some_and(|entry| entry.identity.principal == claim.identity.principal);
        if own {
            self.attach(id, claim);
            return Ok(());
        }
        let ends = self.ending.get(&id).filter(|ending| ending.identity.principal == claim.identity.principal);
        let gone = match ends {
            Some(ending) => Some((reason(&ending.why), self.shared.clock.now().wall)),
            None => self.tombstones.find(id, &claim.identity.principal, now).map(|stone| (stone.reason.clone(), stone.at)),
        };
        let refused = match gone {
            Some((reason, at)) => {
                Refused { code: Code::Gone, reason: format!("the session {reason}"), at: Some(at), again: true }
            }
            None => Refused { code: Code::NotFound, reason: "no such session".to_owned(), at: None, again: true },
        };
        let _ = self.shared.tell(&claim.connection.listener, ListenerMsg::Refused(refused));
        Ok(())
    }

    async fn create(&mut self, claim: Claim) -> Result<(), ActorProcessingErr> {
        let mut bytes = [0; 16];
        if let Err(error) = self.shared.entropy.fill(&mut bytes) {
            tracing::error!(%error, "there are no random bytes; no session can be created");
            let reason = "the broker cannot make session ids now; try again later".to_owned();
            let refused = Refused { code: Code::Unavailable, reason, at: None, again: false };
            let _ = self.shared.tell(&claim.connection.listener, ListenerMsg::Refused(refused));
            return Ok(());
        }
        let id = SessionId::from_bytes(bytes);
        let flow = Arc::<Flow>::default();
        let arguments = SessionArguments {
            shared: Arc::clone(&self.shared),
            id,
            identity: claim.identity.clone(),
            flow: Arc::clone(&flow),
            topics: self.topics.clone(),
            subscribers: self.subscribers.clone(),
            ends: Door::new(&self.shared.stats, &self.myself, SessionManagerMsg::ClientEnds),
        };
        let (actor, _) = Actor::spawn_linked(None, Session, arguments, self.myself.get_cell()).await?;
        self.actors.insert(actor.get_id(), id);
        let epoch = Epoch::default().next();
        let Connection { id: listener, peer, .. } = claim.connection;
        self.shared.emit(Event::SessionCreated {
            id,
            client: claim.client.clone(),
            principal: claim.identity.principal.clone(),
            listener,
            peer,
            epoch,
            reclaim_ms: claim.reclaim.as_millis() as u64,
        });
        let entry = Entry {
            actor,
            identity: claim.identity.clone(),
            epoch,
            reclaim: claim.reclaim,
            client: Client::Here { listener: claim.connection.listener.clone() },
            flow,
            published: Rate::default(),
            delivered: Rate::default(),
        };
        self.sessions.insert(id, entry);
        self.hand_over(id, epoch, false, claim);
        Ok(())
    }

    /// A client comes back, or takes over from itself.
    fn attach(&mut self, id: SessionId, claim: Claim) {
        let Some(entry) = self.sessions.get_mut(&id) else { return };
        entry.epoch = entry.epoch.next();
        entry.reclaim = claim.reclaim;
        let epoch = entry.epoch;
        let here = Client::Here { listener: claim.connection.listener.clone() };
        let takeover = match std::mem::replace(&mut entry.client, here) {
            Client::Here { .. } => true,
            Client::Away { deadline, .. } => {
                self.deadlines.remove(&(deadline, id));
                self.detached -= 1;
                false
            }
        };
        let Connection { id: listener, peer, .. } = claim.connection;
        self.shared.emit(Event::SessionAttached {
            id,
            client: claim.client.clone(),
            listener,
            peer,
            epoch,
            reclaim_ms: claim.reclaim.as_millis() as u64,
            takeover,
        });
        self.hand_over(id, epoch, true, claim);
    }

    /// The session takes it from here. The lease comes back from wherever the connection ends.
    fn hand_over(&self, id: SessionId, epoch: Epoch, resumed: bool, claim: Claim) {
        let Some(entry) = self.sessions.get(&id) else { return };
        let gone = Door::new(&self.shared.stats, &self.myself, SessionManagerMsg::ConnectionGone);
        let lease = Lease { session: id, epoch, why: CloseReason::Failed, gone };
        let attach = Attach {
            epoch,
            resumed,
            listener: claim.connection.listener,
            outbound: claim.connection.outbound,
            lease,
            ack: claim.ack,
            settled: claim.settled,
            keep_alive: claim.keep_alive,
            reclaim: claim.reclaim,
        };
        if let Err(SessionMsg::Attach(attach)) = self.shared.tell(&entry.actor, SessionMsg::Attach(Box::new(attach))) {
            // The session has just failed; that event is behind us in the mailbox.
            let refused = Refused {
                code: Code::Unavailable,
                reason: "the session has failed; register again".to_owned(),
                at: None,
                again: false,
            };
            let _ = self.shared.tell(&attach.listener, ListenerMsg::Refused(refused));
        }
    }

    /// A connection is gone: the reclaim timer runs, unless a later one is there already.
    fn connection_gone(&mut self, gone: &ConnectionGone) {
        let Some(entry) = self.sessions.get_mut(&gone.session) else { return };
        if entry.epoch != gone.epoch || matches!(entry.client, Client::Away { .. }) {
            return self.shared.stats.stale.add(1);
        }
        let deadline = Shared::now() + entry.reclaim;
        entry.client = Client::Away { deadline, held: false };
        let _ = self.shared.tell(&entry.actor, SessionMsg::Detach { epoch: gone.epoch });
        self.shared.emit(Event::SessionDetached {
            id: gone.session,
            epoch: gone.epoch,
            why: gone.why,
            deadline: self.shared.clock.at(deadline.into()),
        });
        self.detached += 1;
        self.deadlines.insert((deadline, gone.session));
        self.arm();
        if self.detached > self.shared.config.sessions.max_detached {
            self.shared.limit_hit("sessions.max_detached", "broker");
            self.end(gone.session, SessionEnd::NoRoom, None);
        }
    }

    /// One timer is out, for the soonest deadline.
    fn arm(&mut self) {
        let Some((soonest, _)) = self.deadlines.first().copied() else { return };
        if self.armed.is_some_and(|armed| armed <= soonest) {
            return;
        }
        self.armed = Some(soonest);
        let (stats, myself) = (Arc::clone(&self.shared.stats), self.myself.clone());
        self.shared.timers.at(soonest.into(), move || {
            let _ = tell(&stats, &myself, SessionManagerMsg::Reclaim);
        });
    }

    /// A timer fired: a hint. Whose deadline, as it is held now, has passed, is reclaimed.
    fn reclaim(&mut self) {
        let now = Shared::now();
        if self.armed.is_some_and(|armed| armed <= now) {
            self.armed = None;
        }
        while let Some((deadline, id)) = self.deadlines.first().copied()
            && deadline <= now
        {
            self.end(id, SessionEnd::Reclaimed, None);
        }
        self.arm();
    }

    fn client_ends(&mut self, id: SessionId, epoch: Epoch) {
        match self.sessions.get(&id) {
            Some(entry) if entry.epoch == epoch => self.end(id, SessionEnd::Ended, None),
            _ => self.shared.stats.stale.add(1),
        }
    }

    /// Ends a session: gone at once for whoever asks for it, told and remembered when its subscriptions have ended.
    fn end(&mut self, id: SessionId, why: SessionEnd, reply: Option<RpcReplyPort<Outcome>>) {
        let Some(entry) = self.sessions.remove(&id) else { return };
        if let Client::Away { deadline, .. } = entry.client {
            self.deadlines.remove(&(deadline, id));
            self.detached -= 1;
        }
        let goodbye = match &why {
            SessionEnd::Evicted { why, .. } if why.is_empty() => {
                Goodbye::Evicted { reason: "an operator evicted this session".to_owned() }
            }
            SessionEnd::Evicted { why, .. } => Goodbye::Evicted { reason: why.clone() },
            SessionEnd::Failed { .. } => Goodbye::error(Code::Internal, "the session has failed; register without its id"),
            SessionEnd::Reclaimed | SessionEnd::Ended | SessionEnd::NoRoom => Goodbye::Silent,
        };
        let done = Door::new(&self.shared.stats, &self.myself, SessionManagerMsg::SubscriptionsEnded);
        let message = SessionMsg::End { goodbye, why: CloseReason::SessionEnded, done };
        // The session ends its subscriptions behind whatever it has asked for them; if it has failed, nothing more can come.
        if let Err(SessionMsg::End { goodbye, why, done }) = self.shared.tell(&entry.actor, message) {
            if let Client::Here { listener } = &entry.client {
                let _ = self.shared.tell(listener, ListenerMsg::Close { goodbye, why });
            }
            let _ = self.shared.tell(&self.subscribers, SubscriberManagerMsg::EndSession { session: id, done });
        }
        let listener = match entry.client {
            Client::Here { listener } => Some(listener),
            Client::Away { .. } => None,
        };
        let (actor, replies) = (entry.actor.get_id(), reply.into_iter().collect());
        let ending = Ending { actor, listener, identity: entry.identity, why, replies };
        self.ending.insert(id, ending);
    }

    fn failed(&mut self, who: ActorId, why: &str) {
        let Some(id) = self.actors.remove(&who) else { return };
        if self.sessions.contains_key(&id) {
            self.end(id, SessionEnd::Failed { why: why.to_owned() }, None);
        } else if let Some(ending) = self.ending.get(&id).filter(|ending| ending.actor == who) {
            // It failed before it could pass its end on.
            if let Some(listener) = &ending.listener {
                let goodbye = Goodbye::error(Code::Internal, "the session has failed; register without its id");
                let _ = self.shared.tell(listener, ListenerMsg::Close { goodbye, why: CloseReason::SessionEnded });
            }
            let done = Door::new(&self.shared.stats, &self.myself, SessionManagerMsg::SubscriptionsEnded);
            let _ = self.shared.tell(&self.subscribers, SubscriberManagerMsg::EndSession { session: id, done });
        }
    }

    fn ended(&mut self, ended: &SubscriptionsEnded) {
        let Some(Ending { identity, why, replies, .. }) = self.ending.remove(&ended.session) else { return };
        let at: UnixMillis = self.shared.clock.now().wall;
        let stone = Tombstone { principal: identity.principal, reason: reason(&why), at };
        self.tombstones.add(ended.session, stone, Shared::now());
        self.shared.emit(Event::SessionEnded { id: ended.session, why, lost: ended.lost });
        for reply in replies {
            let _ = reply.send(Outcome::Done { lost: ended.lost });
        }
    }

    fn order(&mut self, order: Order, reply: RpcReplyPort<Outcome>) {
        let (Control::EvictSession { session: id }
        | Control::DropConnection { session: id }
        | Control::HoldSession { session: id }
        | Control::ExtendSession { session: id, .. }) = order.control
        else {
            let _ = reply.send(Outcome::Refused { why: "this order is not about a session".to_owned() });
            return;
        };
        let Some(entry) = self.sessions.get_mut(&id) else {
            let _ = reply.send(Outcome::AlreadyGone);
            return;
        };
        let loss = if order.control.destroys() { self.shared.held_by(id) } else { 0 };
        if let Err(refused) = order.precondition.check(Some(entry.epoch), loss) {
            let _ = reply.send(refused);
            return;
        }
        let outcome = match order.control {
            Control::EvictSession { .. } => {
                return self.end(id, SessionEnd::Evicted { by: order.operator, why: order.reason }, Some(reply));
            }
            Control::DropConnection { .. } => self.drop_connection(id),
            Control::HoldSession { .. } => self.hold(id, order.operator),
            Control::ExtendSession { by_ms, .. } => self.extend(id, Duration::from_millis(by_ms), order.operator),
            Control::KillTopic { .. }
            | Control::Purge { .. }
            | Control::Redeliver { .. }
            | Control::Accept { .. }
            | Control::Shutdown => return,
        };
        let _ = reply.send(outcome);
    }

    fn drop_connection(&self, id: SessionId) -> Outcome {
        let Some(Entry { actor, client: Client::Here { .. }, .. }) = self.sessions.get(&id) else { return Outcome::AlreadyGone };
        let goodbye = Goodbye::error(Code::Unavailable, "an operator dropped this connection; the session lives, connect again");
        let _ = self.shared.tell(actor, SessionMsg::Drop { goodbye });
        Outcome::Done { lost: Lost::default() }
    }

    fn hold(&mut self, id: SessionId, by: String) -> Outcome {
        match self.sessions.get_mut(&id).map(|entry| &mut entry.client) {
            Some(Client::Away { deadline, held: held @ false }) => {
                *held = true;
                self.deadlines.remove(&(*deadline, id));
                self.shared.emit(Event::SessionHeld { id, by });
                Outcome::Done { lost: Lost::default() }
            }
            Some(Client::Away { held: true, .. }) => Outcome::AlreadyGone,
            Some(Client::Here { .. }) | None => Outcome::Refused { why: "its client is connected; no timer runs".to_owned() },
        }
    }

    fn extend(&mut self, id: SessionId, by: Duration, operator: String) -> Outcome {
        let Some(Client::Away { deadline, held }) = self.sessions.get_mut(&id).map(|entry| &mut entry.client) else {
            return Outcome::Refused { why: "its client is connected; no timer runs".to_owned() };
        };
        self.deadlines.remove(&(*deadline, id));
        let now = Shared::now();
        *deadline = ((*deadline).max(now) + by.min(MAX_EXTENSION)).min(now + MAX_EXTENSION);
        *held = false;
        let deadline = *deadline;
        self.deadlines.insert((deadline, id));
        self.arm();
        let deadline = self.shared.clock.at(deadline.into());
        self.shared.emit(Event::SessionTimerSet { id, deadline, by: operator });
        Outcome::Done { lost: Lost::default() }
    }

    fn sample(&mut self) {
        let mut rows = Vec::new();
        for (id, entry) in &mut self.sessions {
            let changed =
                [entry.published.sample(entry.flow.published.get()), entry.delivered.sample(entry.flow.delivered.get())];
            if changed.contains(&true) {
                rows.push(SessionSample { id: *id, publish_rate: entry.published.last, deliver_rate: entry.delivered.last });
            }
        }
        for rows in rows.chunks(Sample::MAX_ROWS) {
            self.shared.emit(Event::Sample(Sample { sessions: rows.to_vec(), ..Sample::default() }));
        }
    }
}

/// How a session ended, for a client that asks for it.
fn reason(why: &SessionEnd) -> String {
    match why {
        SessionEnd::Reclaimed => "was reclaimed: its client was away for too long".to_owned(),
        SessionEnd::Evicted { why, .. } if why.is_empty() => "was evicted by an operator".to_owned(),
        SessionEnd::Evicted { why, .. } => format!("was evicted by an operator: {why}"),
        SessionEnd::Ended => "was ended by its client".to_owned(),
        SessionEnd::NoRoom => "was ended: too many sessions were waiting for their clients (sessions.max_detached)".to_owned(),
        SessionEnd::Failed { .. } => "failed".to_owned(),
    }
}
