//! The session manager: creates sessions and alone decides attach, takeover and reclaim. Registrations, losses and fired timers
//! all come through its one mailbox, so that each finds the world as the one before has left it.

mod claims;
mod ending;
mod orders;
mod takeovers;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    net::IpAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use ractor::{Actor, ActorProcessingErr, ActorRef, RpcReplyPort, SupervisionEvent};

use self::{orders::Eviction, takeovers::Takeovers};
use super::{
    Living, RightsChanged, SessionMsg, alive,
    children::{Children, Ended},
    listener::ListenerMsg,
    round::Round,
    session::{ClientEnds, Flow},
    subscriber_manager::{SubscriberManagerMsg, SubscriptionsEnded},
    topic_manager::TopicManagerMsg,
    watch::{Doing, kinds},
};
use crate::{
    bucket::Pace,
    commons::Commons,
    config::Sessions,
    connection::Outbound,
    control::{Order, Outcome},
    events::{Sample, SessionEnd, SessionSample},
    name::{ClientName, Epoch, ListenerId, Principal, SessionId},
    stats::Rate,
    throttle::Throttle,
    timers::Alarm,
    tombstones::Tombstones,
    wire::AckMode,
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
    /// The users are others now.
    RightsChanged(RightsChanged),
    /// A second has passed.
    Tick,
    /// The next stride of a round.
    GoRound,
}

kinds! { SessionManagerMsg: RightsChanged Claim ConnectionGone ClientEnds Reclaim SubscriptionsEnded Order Tick GoRound }

/// A client that has been authenticated.
#[derive(Debug)]
pub(crate) struct Claim {
    pub(crate) principal: Principal,
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
    pub(crate) shared: Arc<Commons>,
    pub(crate) topics: ActorRef<TopicManagerMsg>,
    pub(crate) subscribers: ActorRef<SubscriberManagerMsg>,
    /// What this manager is doing.
    pub(crate) doing: Arc<Doing>,
}

pub(crate) struct SessionManager;

pub(crate) struct State {
    shared: Arc<Commons>,
    topics: ActorRef<TopicManagerMsg>,
    subscribers: ActorRef<SubscriberManagerMsg>,
    myself: ActorRef<SessionManagerMsg>,
    children: Children<SessionId>,
    sessions: BTreeMap<SessionId, Entry>,
    round: Round<SessionId>,
    /// Sessions that end: gone for everyone, but their subscriptions have not all ended yet.
    ending: HashMap<SessionId, Ending>,
    /// Principals whose sessions are being evicted.
    evictions: HashMap<u64, Eviction>,
    last_eviction: u64,
    tombstones: Tombstones,
    /// The reclaim timers that run, soonest first.
    deadlines: BTreeSet<(Instant, SessionId)>,
    /// When the one timer that is out for them fires.
    armed: Option<Instant>,
    alarm: Alarm,
    detached: usize,
    /// What each principal has.
    owned: HashMap<Principal, Owned>,
    /// Sessions that are not there, by the address that asks for them.
    failed_resumes: Throttle<IpAddr>,
    _alive: Living,
}

/// A principal's sessions.
#[derive(Debug, Default)]
struct Owned {
    sessions: usize,
    /// Those of them that are detached.
    detached: usize,
}

struct Entry {
    actor: ActorRef<SessionMsg>,
    principal: Principal,
    epoch: Epoch,
    reclaim: Duration,
    client: Client,
    takeovers: Takeovers,
    flow: Arc<Flow>,
    published: Rate,
    delivered: Rate,
}

/// Where a session's client is.
enum Client {
    Here {
        listener: ActorRef<ListenerMsg>,
        /// An operator has dropped the connection, which is not quite gone yet.
        dropped: bool,
    },
    /// The reclaim timer runs out at `deadline`, unless it is held.
    Away { deadline: Instant, held: bool },
}

struct Ending {
    principal: Principal,
    why: SessionEnd,
    told: Told,
}

/// Whom to tell that a session has ended, beside the bus.
enum Told {
    Nobody,
    Operator(RpcReplyPort<Outcome>),
    /// Its user is gone: that costs what it held.
    Reload(RightsChanged),
    /// It is one of those of a principal that was forbidden.
    Eviction(u64),
}

impl Actor for SessionManager {
    type Msg = SessionManagerMsg;
    type State = State;
    type Arguments = Arguments;

    async fn pre_start(&self, myself: ActorRef<SessionManagerMsg>, args: Arguments) -> Result<State, ActorProcessingErr> {
        let Arguments { shared, topics, subscribers, doing } = args;
        let limits = &shared.config.sessions;
        let tombstones = Tombstones::new(limits.tombstones, limits.tombstone_life);
        let (alive, alarm) = (alive(&shared), shared.timers.alarm());
        let children = Children::new(&shared, doing);
        Ok(State {
            shared,
            topics,
            subscribers,
            myself,
            children,
            sessions: BTreeMap::new(),
            round: Round::default(),
            ending: HashMap::new(),
            evictions: HashMap::new(),
            last_eviction: 0,
            tombstones,
            deadlines: BTreeSet::new(),
            armed: None,
            alarm,
            detached: 0,
            owned: HashMap::new(),
            failed_resumes: Throttle::default(),
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
            SessionManagerMsg::Claim(claim) => state.claim(*claim).await,
            SessionManagerMsg::ConnectionGone(gone) => state.connection_gone(&gone),
            SessionManagerMsg::ClientEnds(ClientEnds { session, epoch }) => state.client_ends(session, epoch),
            SessionManagerMsg::Reclaim => state.reclaim(),
            SessionManagerMsg::SubscriptionsEnded(ended) => state.ended(&ended),
            SessionManagerMsg::Order { order, reply } => state.order(order, reply),
            SessionManagerMsg::RightsChanged(changed) => state.rights_changed(&changed),
            SessionManagerMsg::Tick => state.tick(),
            SessionManagerMsg::GoRound => state.go_round(),
        }
        Ok(())
    }

    async fn handle_supervisor_evt(
        &self,
        _: ActorRef<SessionManagerMsg>,
        event: SupervisionEvent,
        state: &mut State,
    ) -> Result<(), ActorProcessingErr> {
        if let Some(Ended { of, failure: Some(why), .. }) = state.children.ended(&event) {
            state.failed(of, &why);
        }
        Ok(())
    }
}

impl State {
    fn tick(&mut self) {
        self.failed_resumes.forget_full(failed_resumes(&self.shared.config.sessions), Commons::now());
        if self.children.begin(&mut self.round, self.shared.second()) {
            self.go_round();
        }
    }

    fn go_round(&mut self) {
        for Ended { of, failure, .. } in self.children.look(&self.shared) {
            self.failed(of, &failure.unwrap_or_default());
        }
        self.sample();
        self.children.go_on(&self.round, &self.shared, &self.myself, || SessionManagerMsg::GoRound);
    }

    fn sample(&mut self) {
        let (mut rows, seconds) = (Vec::new(), self.round.seconds());
        for (id, entry) in self.round.stride(&mut self.sessions, self.shared.second(), |_| 1) {
            let flow = &entry.flow;
            let changed =
                [entry.published.sample(flow.published.get(), seconds), entry.delivered.sample(flow.delivered.get(), seconds)];
            if changed.contains(&true) {
                rows.push(SessionSample { id: *id, publish_rate: entry.published.last, deliver_rate: entry.delivered.last });
            }
        }
        self.shared.emit_rows(rows, |sessions| Sample { sessions, ..Sample::default() });
    }
}

/// How often one address may ask for sessions that are not there.
fn failed_resumes(limits: &Sessions) -> Pace {
    Pace::per_second(limits.failed_resumes_burst, limits.failed_resumes_per_second)
}
