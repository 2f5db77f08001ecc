//! The listener manager: accepts connections at its endpoints, within the caps, and starts a listener for each.

mod places;

use std::{
    collections::BTreeMap,
    future::poll_fn,
    io,
    net::{IpAddr, SocketAddr},
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    task::{Context, Poll, Waker},
    time::Duration,
};

use ractor::{Actor, ActorProcessingErr, ActorRef, RpcReplyPort, SupervisionEvent};
use tokio::{
    io::{AsyncWrite as _, AsyncWriteExt as _},
    sync::{Semaphore, oneshot},
    task::JoinSet,
};

use self::places::Places;
use super::{
    Door, Living, alive,
    children::{Children, Ended},
    listener::{Arguments as ListenerArguments, Line, Listener, ListenerMsg, Register},
    round::Round,
    session::Goodbye,
    watch::{Doing, kinds},
};
use crate::{
    bucket::Pace,
    commons::Commons,
    config::Connections,
    connection::{GOODBYE, Outbound, Reader, Writer},
    control::Outcome,
    events::{ActorName, CloseReason, Event, ListenerSample, Lost, Sample},
    limits::Limit,
    name::ListenerId,
    net::{Accept, Eventually, Socket},
    stats::Rate,
    throttle::network,
    wire::{Code, ErrorFrame, ServerFrame},
};

/// Connections accepted at once: the manager has others to hear in between.
const AT_ONCE: usize = 32;

/// How long accepting pauses when the system refuses, for want of descriptors, say.
const ACCEPT_RETRY: Duration = Duration::from_millis(100);

/// Connections that say nothing and go when the system has nothing left for others.
const GIVEN_UP: usize = 32;

/// Clients that were turned away and may have a moment at the same time.
const LEAVING: usize = 64;

/// What the listener manager can be asked.
#[derive(Debug)]
pub(crate) enum ListenerManagerMsg {
    /// Clients have connected. Dropping `taken` lets the endpoint accept the next ones.
    Accepted { clients: Vec<(Socket, SocketAddr)>, taken: oneshot::Sender<()> },
    /// The system lets nobody in, for want of descriptors, say.
    Starved,
    /// Take new connections, or stop taking them.
    Accept { on: bool, reply: RpcReplyPort<Outcome> },
    /// Take no more connections, tell every client 503, and answer when all are gone.
    SayGoodbye(RpcReplyPort<()>),
    /// A second has passed.
    Tick,
    /// The next stride of a round.
    GoRound,
}

kinds! { ListenerManagerMsg: Accepted Starved Accept SayGoodbye Tick GoRound }

/// The listener manager's references, in dependency order.
pub(crate) struct Arguments {
    pub(crate) shared: Arc<Commons>,
    pub(crate) endpoints: Vec<Arc<dyn Accept>>,
    pub(crate) register: Door<Register>,
    /// Counts connections across restarts, so that no number is used twice.
    pub(crate) last_id: Arc<AtomicU64>,
    /// What this manager is doing.
    pub(crate) doing: Arc<Doing>,
}

pub(crate) struct ListenerManager;

pub(crate) struct State {
    shared: Arc<Commons>,
    register: Door<Register>,
    last_id: Arc<AtomicU64>,
    children: Children<ListenerId>,
    /// In order, as whatever is told to all of many is told in every manager: a run can be repeated.
    listeners: BTreeMap<ListenerId, Entry>,
    round: Round<ListenerId>,
    places: Places,
    goodbye: Option<RpcReplyPort<()>>,
    /// Places for clients that were turned away and have a moment to read why.
    leaving: Arc<Semaphore>,
    /// Those that accept, until they are dropped.
    endpoints: JoinSet<()>,
    _alive: Living,
}

struct Entry {
    actor: ActorRef<ListenerMsg>,
    address: IpAddr,
    line: Arc<Line>,
    read: Rate,
    written: Rate,
    /// What waited to be written to it when that was last told.
    waiting: u64,
}

impl Actor for ListenerManager {
    type Msg = ListenerManagerMsg;
    type State = State;
    type Arguments = Arguments;

    async fn pre_start(&self, myself: ActorRef<ListenerManagerMsg>, args: Arguments) -> Result<State, ActorProcessingErr> {
        let Arguments { shared, endpoints, register, last_id, doing } = args;
        let mut tasks = JoinSet::new();
        for endpoint in endpoints {
            shared.emit(Event::EndpointOpened { address: endpoint.local_addr()? });
            tasks.spawn(accept(Arc::clone(&shared), endpoint, myself.clone()));
        }
        shared.emit(Event::Accepting { on: shared.accepting.load(Relaxed) });
        let alive = alive(&shared);
        let children = Children::new(&shared, doing);
        Ok(State {
            shared,
            register,
            last_id,
            children,
            listeners: BTreeMap::new(),
            round: Round::default(),
            places: Places::default(),
            goodbye: None,
            leaving: Arc::new(Semaphore::new(LEAVING)),
            endpoints: tasks,
            _alive: alive,
        })
    }

    async fn handle(
        &self,
        myself: ActorRef<ListenerManagerMsg>,
        message: ListenerManagerMsg,
        state: &mut State,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            ListenerManagerMsg::Accepted { clients, taken } => {
                for (socket, peer) in clients {
                    state.accepted(&myself, socket, peer).await;
                }
                drop(taken);
            }
            ListenerManagerMsg::Starved => state.starved(),
            ListenerManagerMsg::Accept { on, reply } => {
                let _ = reply.send(state.accept(on));
            }
            ListenerManagerMsg::SayGoodbye(reply) => state.say_goodbye(reply),
            ListenerManagerMsg::Tick => state.tick(&myself)?,
            ListenerManagerMsg::GoRound => state.go_round(&myself),
        }
        Ok(())
    }

    async fn handle_supervisor_evt(
        &self,
        _: ActorRef<ListenerManagerMsg>,
        event: SupervisionEvent,
        state: &mut State,
    ) -> Result<(), ActorProcessingErr> {
        if let Some(Ended { of, failure, .. }) = state.children.ended(&event) {
            if let Some(why) = failure {
                state.shared.emit(Event::ListenerFailed { id: of, why });
            }
            state.gone(of);
        }
        Ok(())
    }
}

/// Accepts at one endpoint whoever is there, some at a time: the next are taken when the manager has dealt with these.
async fn accept(shared: Arc<Commons>, endpoint: Arc<dyn Accept>, manager: ActorRef<ListenerManagerMsg>) {
    let mut next = endpoint.accept();
    loop {
        let (clients, refused) = those_who_are_there(&endpoint, &mut next).await;
        if !clients.is_empty() {
            let (taken, done) = oneshot::channel();
            if shared.tell(&manager, ListenerManagerMsg::Accepted { clients, taken }).is_err() {
                return;
            }
            // Dropped, not sent: either way they were dealt with.
            let _ = done.await;
        }
        if let Some(error) = refused {
            shared.limit_hit(Limit::Accept, &format!("the system: {error}"));
            if shared.tell(&manager, ListenerManagerMsg::Starved).is_err() {
                return;
            }
            tokio::time::sleep(ACCEPT_RETRY).await;
        }
    }
}

/// Waits for a client, and takes those that are there with it; then why the next one could not be taken, if that is known.
async fn those_who_are_there<'a>(
    endpoint: &'a Arc<dyn Accept>,
    next: &mut Eventually<'a, (Socket, SocketAddr)>,
) -> (Vec<(Socket, SocketAddr)>, Option<io::Error>) {
    let (mut clients, mut come) = (Vec::new(), next.as_mut().await);
    loop {
        *next = endpoint.accept();
        match come {
            Ok(client) => clients.push(client),
            Err(error) => return (clients, Some(error)),
        }
        if clients.len() == AT_ONCE {
            return (clients, None);
        }
        match poll_fn(|context| Poll::Ready(next.as_mut().poll(context))).await {
            Poll::Ready(more) => come = more,
            Poll::Pending => return (clients, None),
        }
    }
}

/// How fast one address may connect.
fn connects(limits: &Connections) -> Pace {
    Pace::per_second(limits.connect_burst, limits.connects_per_second)
}

impl State {
    async fn accepted(&mut self, myself: &ActorRef<ListenerManagerMsg>, socket: Socket, peer: SocketAddr) {
        let address = network(peer.ip());
        if let Some(error) = self.refusal(address) {
            self.shared.stats.refused_connections.add(1);
            return self.turn_away(socket, error);
        }
        let id = ListenerId(self.last_id.fetch_add(1, Relaxed) + 1);
        let outbound = Outbound::new(Arc::clone(&self.shared.stats), self.shared.config.connections.outbound_bytes as u64);
        let line = Arc::new(Line {
            bytes_in: Arc::default(),
            outbound,
            reader: Doing::new(ActorName::Reader(id), Reader::DOES),
            writer: Doing::new(ActorName::Writer(id), Writer::DOES),
            idle: true.into(),
            settled: false.into(),
        });
        let (shared, register) = (Arc::clone(&self.shared), self.register.clone());
        let arguments = |doing: &Arc<Doing>| ListenerArguments {
            shared,
            id,
            peer,
            socket,
            line: Arc::clone(&line),
            register,
            doing: Arc::clone(doing),
        };
        match self.children.start(&self.shared, myself.get_cell(), id, Listener, arguments).await {
            Ok(actor) => {
                self.places.taken(address, id, Arc::clone(&line), actor.clone());
                let entry = Entry { actor, address, line, read: Rate::default(), written: Rate::default(), waiting: 0 };
                self.listeners.insert(id, entry);
            }
            Err(error) => {
                // The client has gone again already, or its listener has failed: nobody else feels it.
                tracing::warn!(%error, %peer, "a listener did not start");
                self.shared.stats.refused_connections.add(1);
            }
        }
    }

    /// Whoever registers must not wait for descriptors that others hold and say nothing.
    fn starved(&mut self) {
        let given_up = (0..GIVEN_UP).take_while(|_| self.places.make_one(&self.shared, Limit::Accept)).count();
        tracing::debug!(given_up, "the system lets nobody in");
    }

    /// Tells a client why it is not taken and gives it a moment to read that: a socket closed with something unread would be
    /// reset. In a flood the moment is not given.
    fn turn_away(&self, mut socket: Socket, error: ErrorFrame) {
        let mut frame = Vec::new();
        ServerFrame::Error(error).encode(&mut frame);
        // A fresh socket has room for it.
        let mut at_once = Context::from_waker(Waker::noop());
        let written = match Pin::new(&mut socket.write).poll_write(&mut at_once, &frame) {
            Poll::Ready(Ok(bytes)) => bytes,
            Poll::Ready(Err(_)) | Poll::Pending => 0,
        };
        if let Ok(place) = Arc::clone(&self.leaving).try_acquire_owned() {
            tokio::spawn(async move {
                let gone = async {
                    let _ = socket.write.write_all(&frame[written..]).await;
                    let _ = socket.write.shutdown().await;
                    tokio::io::copy(&mut socket.read, &mut tokio::io::sink()).await
                };
                let _ = tokio::time::timeout(GOODBYE, gone).await;
                drop(place);
            });
        }
    }

    /// Why a client at `address` is not taken now.
    fn refusal(&mut self, address: IpAddr) -> Option<ErrorFrame> {
        let limits = &self.shared.config.connections;
        if !self.shared.accepting.load(Relaxed) || self.goodbye.is_some() {
            return Some(ErrorFrame::new(Code::Unavailable, "the broker takes no new connections now; try again later"));
        }
        let from = address.to_string();
        if let Err(wait) = self.places.connects.take(&address, connects(limits), Commons::now()) {
            self.shared.limit_hit(Limit::Connects, &from);
            let reason = "too many new connections from your address (connections.connects_per_second); wait";
            return Some(ErrorFrame::new(Code::TooMany, reason).retry_after(Some(wait)));
        }
        if self.listeners.len() >= limits.max {
            self.shared.limit_hit(Limit::Connections, "broker");
            let reason = "the broker is full (connections.max); try again later";
            return Some(ErrorFrame::new(Code::Unavailable, reason));
        }
        if self.places.of(address) >= limits.max_per_address {
            self.shared.limit_hit(Limit::PerAddress, &from);
            let reason = "too many connections from your address (connections.max_per_address); close some";
            return Some(ErrorFrame::new(Code::TooMany, reason));
        }
        let unregistered = self.shared.stats.unregistered.get() as usize;
        if unregistered >= limits.max_unregistered && !self.places.make_one(&self.shared, Limit::Unregistered) {
            // All of them are being looked into, which does not take long.
            self.shared.limit_hit(Limit::Unregistered, &from);
            let reason = "too many connections are registering (connections.max_unregistered); try again in a second";
            return Some(ErrorFrame::new(Code::Unavailable, reason).retry_after(Some(Duration::from_secs(1))));
        }
        None
    }

    fn gone(&mut self, who: ListenerId) {
        let Some(entry) = self.listeners.remove(&who) else { return };
        self.places.left(entry.address, who);
        self.answer_goodbye();
    }

    fn accept(&mut self, on: bool) -> Outcome {
        if on {
            // Of a drain that is over: whoever waited for it has gone, though not every connection has.
            self.goodbye = None;
        }
        if self.shared.accepting.swap(on, Relaxed) == on {
            return Outcome::AlreadyGone;
        }
        self.shared.emit(Event::Accepting { on });
        Outcome::Done { lost: Lost::default() }
    }

    fn say_goodbye(&mut self, reply: RpcReplyPort<()>) {
        self.accept(false);
        for entry in self.listeners.values() {
            let goodbye = Goodbye::error(Code::Unavailable, "the broker is shutting down; connect again later");
            let _ = self.shared.tell(&entry.actor, ListenerMsg::Close { goodbye, why: CloseReason::ShuttingDown });
        }
        self.goodbye = Some(reply);
        self.answer_goodbye();
    }

    fn answer_goodbye(&mut self) {
        if self.listeners.is_empty()
            && let Some(reply) = self.goodbye.take()
        {
            let _ = reply.send(());
        }
    }

    fn tick(&mut self, myself: &ActorRef<ListenerManagerMsg>) -> Result<(), ActorProcessingErr> {
        if self.endpoints.try_join_next().is_some() {
            return Err("an endpoint has ended, and accepts nobody any more".into());
        }
        self.places.connects.forget_full(connects(&self.shared.config.connections), Commons::now());
        if self.children.begin(&mut self.round, self.shared.second()) {
            self.go_round(myself);
        }
        Ok(())
    }

    fn go_round(&mut self, myself: &ActorRef<ListenerManagerMsg>) {
        for Ended { of, failure, .. } in self.children.look(&self.shared) {
            if let Some(entry) = self.listeners.get(&of) {
                // Its client cannot wait for it to let go of its thread.
                let goodbye = Goodbye::error(Code::Internal, "this connection has failed; connect again");
                entry.line.outbound.close(goodbye.frame().as_ref());
                self.shared.emit(Event::ListenerClosed { id: of, why: CloseReason::Failed });
                self.shared.emit(Event::ListenerFailed { id: of, why: failure.unwrap_or_default() });
            }
            self.gone(of);
        }
        self.sample();
        self.children.go_on(&self.round, &self.shared, myself, || ListenerManagerMsg::GoRound);
    }

    fn sample(&mut self) {
        let (mut rows, seconds) = (Vec::new(), self.round.seconds());
        for (id, entry) in self.round.stride(&mut self.listeners, self.shared.second(), |_| 1) {
            look_at_tasks(&self.shared, entry);
            let line = &entry.line;
            let waiting = line.outbound.waiting_bytes();
            let changed = [
                entry.read.sample(line.bytes_in.load(Relaxed), seconds),
                entry.written.sample(line.outbound.written.load(Relaxed), seconds),
                // A client that takes nothing moves no bytes, and is the one to be told of.
                entry.waiting != waiting,
            ];
            if changed.contains(&true) {
                entry.waiting = waiting;
                rows.push(ListenerSample {
                    id: *id,
                    bytes_in_rate: entry.read.last,
                    bytes_out_rate: entry.written.last,
                    outbound_bytes: waiting,
                });
            }
        }
        self.shared.emit_rows(rows, |listeners| Sample { listeners, ..Sample::default() });
    }
}

/// Readers and writers are no actors, and can hang like them.
fn look_at_tasks(shared: &Commons, entry: &Entry) {
    let (second, patience) = (shared.second(), shared.config.failures.hang_after);
    // A client may take its time for what is written to it.
    let writing = patience + shared.config.connections.stall_after;
    let Line { reader, writer, .. } = &*entry.line;
    for (task, patience, hangs) in [(reader, patience, ListenerMsg::ReaderHangs), (writer, writing, ListenerMsg::WriterHangs)] {
        if task.is_hung(second, patience) {
            tracing::error!(actor = task.name().kind(), of = %task.name(), why = task.hang(patience), "a task failed");
            task.done();
            let _ = shared.tell(&entry.actor, hangs);
        }
    }
}
