//! The listener: owns one client connection from accept to close. Its reader and writer are tasks of their own; it decides when
//! they end, and tells the client why.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use ractor::{Actor, ActorProcessingErr, ActorRef};
use tokio::{
    runtime,
    sync::oneshot,
    task::AbortHandle,
    time::{self, Instant},
};

use super::{
    Door, Living, alive,
    session::{Goodbye, Lease, Registered},
    session_manager::Connection,
    watch::{Doing, kinds},
};
use crate::{
    clock::UnixMillis,
    commons::{Commons, tell},
    connection::{Admission, GOODBYE, Outbound, ReadEnd, Reader, Task, Writer},
    events::{CloseReason, Event},
    limits::Limit,
    name::{ClientName, ListenerId},
    net::Socket,
    stats::{Alive, Stats},
    timers::Alarm,
    wire::{Code, ErrorFrame, RegistrationRequest, ServerFrame},
};

/// What a listener can be asked.
#[derive(Debug)]
pub(crate) enum ListenerMsg {
    /// The client wants to register; its reader waits for the answer.
    Request { request: Box<RegistrationRequest>, answer: oneshot::Sender<Admission> },
    /// The registration deadline has passed.
    Deadline,
    /// The client is admitted to a session.
    Registered(Box<Registered>),
    /// It is not.
    Refused(Refused),
    /// Tell the client goodbye and close.
    Close { goodbye: Goodbye, why: CloseReason },
    /// The goodbye has had its time.
    GoodbyeOver,
    /// The connection has not registered, and its place is needed for another, as this limit was hit.
    GiveWay(Limit),
    /// Nothing more can be read, for this reason.
    ReadEnded(ReadEnd),
    /// The reader has ended: the client has gone, too.
    ReaderGone,
    /// The writer has ended.
    WriteEnded(Result<(), CloseReason>),
    /// The reader hangs.
    ReaderHangs,
    /// The writer hangs.
    WriterHangs,
}

kinds! {
    ListenerMsg:
    Request Deadline Registered Refused Close GoodbyeOver ReadEnded ReaderGone WriteEnded GiveWay ReaderHangs WriterHangs
}

/// A registration that was not accepted.
#[derive(Debug)]
pub(crate) struct Refused {
    pub(crate) code: Code,
    pub(crate) reason: String,
    /// When what was asked for ended.
    pub(crate) at: Option<UnixMillis>,
    /// After how long it makes sense to try again.
    pub(crate) wait: Option<Duration>,
    /// The client may try again on this connection.
    pub(crate) again: bool,
}

impl Refused {
    /// Refused, and closed.
    pub(crate) fn new(code: Code, reason: impl Into<String>) -> Self {
        Self { code, reason: reason.into(), at: None, wait: None, again: false }
    }

    /// The same, with the time after which it makes sense to try again.
    pub(crate) fn retry_after(self, wait: Duration) -> Self {
        Self { wait: Some(wait), ..self }
    }

    /// The same, but the client may try again on this connection.
    pub(crate) fn may_try_again(self) -> Self {
        Self { again: true, ..self }
    }
}

/// A registration on its way to the broker.
#[derive(Debug)]
pub(crate) struct Register {
    pub(crate) request: Box<RegistrationRequest>,
    pub(crate) client: ClientName,
    pub(crate) connection: Connection,
}

/// What of a connection its manager looks at.
#[derive(Debug)]
pub(crate) struct Line {
    pub(crate) bytes_in: Arc<AtomicU64>,
    pub(crate) outbound: Arc<Outbound>,
    /// What its tasks are doing.
    pub(crate) reader: Arc<Doing>,
    pub(crate) writer: Arc<Doing>,
    /// It has not registered, and nothing that it asked is being looked into: its place is for whoever does.
    pub(crate) idle: AtomicBool,
    /// It has registered or is being closed.
    pub(crate) settled: AtomicBool,
}

/// A listener's references, in dependency order.
pub(crate) struct Arguments {
    pub(crate) shared: Arc<Commons>,
    pub(crate) id: ListenerId,
    pub(crate) peer: SocketAddr,
    pub(crate) socket: Socket,
    pub(crate) line: Arc<Line>,
    pub(crate) register: Door<Register>,
    /// What this listener is doing.
    pub(crate) doing: Arc<Doing>,
}

pub(crate) struct Listener;

pub(crate) struct State {
    shared: Arc<Commons>,
    connection: Connection,
    line: Arc<Line>,
    register: Door<Register>,
    /// For the registration first, for the goodbye later.
    alarm: Alarm,
    reader: AbortHandle,
    writer: AbortHandle,
    /// Nothing is to be waited for once the goodbye is written.
    reader_gone: bool,
    /// The client has said goodbye.
    left: bool,
    phase: Phase,
    doing: Arc<Doing>,
    _alive: Living,
}

enum Phase {
    Registering {
        /// Where the reader waits, if the client has asked.
        answer: Option<oneshot::Sender<Admission>>,
        _unregistered: Living,
    },
    Registered {
        lease: Lease,
    },
    /// The goodbye is on its way; the session, if there is one, hears of it when it was written.
    Closing {
        _lease: Option<Lease>,
        why: CloseReason,
    },
    /// It was written, and the client has a moment to read it and close; or its time is over.
    Lingering {
        why: CloseReason,
    },
}

impl Actor for Listener {
    type Msg = ListenerMsg;
    type State = State;
    type Arguments = Arguments;

    async fn pre_start(&self, myself: ActorRef<ListenerMsg>, args: Arguments) -> Result<State, ActorProcessingErr> {
        let Arguments { shared, id, peer, socket, line, register, doing } = args;
        let outbound = Arc::clone(&line.outbound);
        let reader = Reader::new(Arc::clone(&shared), socket.read, Arc::clone(&line), myself.clone());
        let writer = Writer::new(Arc::clone(&shared), Arc::clone(&line), socket.write);
        let reader = spawn_task(&shared.stats, &myself, reader, |()| ListenerMsg::ReaderGone, ());
        let writer = spawn_task(&shared.stats, &myself, writer, ListenerMsg::WriteEnded, Err(CloseReason::Failed));
        let alarm = shared.timers.alarm();
        wake_at(&shared, &alarm, &myself, shared.config.connections.registration_deadline, || ListenerMsg::Deadline);
        shared.emit(Event::ListenerOpened { id, peer });
        let phase = Phase::Registering { answer: None, _unregistered: Alive::new(&shared.stats, |stats| &stats.unregistered) };
        let alive = alive(&shared);
        let connection = Connection { id, peer, listener: myself, outbound };
        Ok(State {
            shared,
            connection,
            line,
            register,
            alarm,
            reader,
            writer,
            reader_gone: false,
            left: false,
            phase,
            doing,
            _alive: alive,
        })
    }

    async fn handle(
        &self,
        myself: ActorRef<ListenerMsg>,
        message: ListenerMsg,
        state: &mut State,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            ListenerMsg::Request { request, answer } => state.request(request, answer),
            ListenerMsg::Deadline => state.deadline(),
            ListenerMsg::Registered(registered) => state.registered(*registered),
            ListenerMsg::Refused(refused) => state.refused(refused),
            ListenerMsg::Close { goodbye, why } => state.close(goodbye, why),
            ListenerMsg::GoodbyeOver => {
                state.linger();
                myself.stop(None);
            }
            ListenerMsg::GiveWay(limit) => state.give_way(limit),
            ListenerMsg::ReadEnded(end) => state.read_ended(end),
            ListenerMsg::ReaderGone => state.reader_gone(),
            ListenerMsg::WriteEnded(result) => state.write_ended(result),
            // Aborted, a task says that it has failed.
            ListenerMsg::ReaderHangs => state.reader.abort(),
            ListenerMsg::WriterHangs => state.writer.abort(),
        }
        if state.is_over() {
            myself.stop(None);
        }
        Ok(())
    }
}

/// A task of the connection, counted as long as it lives. Dropped in this order: whoever hears of its end finds its socket closed.
struct Running<T: Task> {
    task: T,
    ended: Ended<T::End>,
}

/// How a task of the connection ended: cast when this is dropped, so that one that panics says so, too.
struct Ended<T> {
    stats: Arc<Stats>,
    listener: ActorRef<ListenerMsg>,
    result: Option<T>,
    message: fn(T) -> ListenerMsg,
    alive: Option<Living>,
}

impl<T: Task> Running<T> {
    async fn run(&mut self) {
        self.ended.result = Some(self.task.run().await);
    }
}

impl<T> Drop for Ended<T> {
    fn drop(&mut self) {
        // Whoever hears of the end finds the task gone.
        self.alive = None;
        if let Some(result) = self.result.take() {
            // A listener that has ended needs no word of its tasks.
            let _ = tell(&self.stats, &self.listener, (self.message)(result));
        }
    }
}

/// Runs a task of the connection and casts how it ended; `failed` is how if it panics.
fn spawn_task<T: Task>(
    stats: &Arc<Stats>,
    listener: &ActorRef<ListenerMsg>,
    task: T,
    message: fn(T::End) -> ListenerMsg,
    failed: T::End,
) -> AbortHandle {
    let ended = Ended {
        stats: Arc::clone(stats),
        listener: listener.clone(),
        result: Some(failed),
        message,
        alive: Some(Alive::new(stats, |stats| &stats.tasks)),
    };
    let mut running = Running { task, ended };
    tokio::spawn(async move { running.run().await }).abort_handle()
}

fn wake_at(shared: &Commons, alarm: &Alarm, who: &ActorRef<ListenerMsg>, after: Duration, message: fn() -> ListenerMsg) {
    let (stats, listener) = (Arc::clone(&shared.stats), who.clone());
    alarm.set(Instant::now() + after, move || {
        let _ = tell(&stats, &listener, message());
    });
}

impl State {
    fn request(&mut self, request: Box<RegistrationRequest>, reader: oneshot::Sender<Admission>) {
        let Phase::Registering { answer, .. } = &mut self.phase else { return };
        *answer = Some(reader);
        if let Err(error) = request.common_version() {
            return self.refused(Refused::new(error.code(), error.to_string()));
        }
        self.line.idle.store(false, Relaxed);
        let client = match request.name.parse() {
            Ok(client) => client,
            Err(error) => {
                let error: crate::name::NameError = error;
                return self.refused(Refused::new(Code::Malformed, error.to_string()));
            }
        };
        let register = Register { request, client, connection: self.connection.clone() };
        if !self.register.send(register) {
            self.close(Goodbye::error(Code::Unavailable, "the broker is shutting down"), CloseReason::ShuttingDown);
        }
    }

    fn deadline(&mut self) {
        if matches!(self.phase, Phase::Registering { .. }) {
            let limit = self.shared.config.connections.registration_deadline;
            let reason = format!("no registration within {} ms; send it right after connecting", limit.as_millis());
            self.hit(Limit::RegistrationDeadline);
            self.close(Goodbye::error(Code::TooSlow, reason), CloseReason::RegistrationTimeout);
        }
    }

    /// The deadline is shorter while places are needed. Nobody waits for one that has said nothing so far.
    fn give_way(&mut self, limit: Limit) {
        if matches!(self.phase, Phase::Registering { .. }) {
            let reason = match limit {
                Limit::Accept => "the broker's system grants it no more connections; register right after connecting",
                _ => "too many connections are registering (connections.max_unregistered); register right after connecting",
            };
            self.hit(limit);
            self.reader_gone = true;
            self.close(Goodbye::error(Code::TooSlow, reason), CloseReason::RegistrationTimeout);
        }
    }

    fn hit(&self, limit: Limit) {
        self.shared.limit_hit(limit, &self.connection.peer.ip().to_string());
    }

    fn read_ended(&mut self, end: ReadEnd) {
        match end {
            ReadEnd::Left => self.left = true,
            ReadEnd::Closed(CloseReason::KeepAliveMissed) => {
                self.hit(Limit::KeepAlive);
                let reason = "nothing was heard for one and a half times the keep-alive time; ping in time";
                self.close(Goodbye::error(Code::TooSlow, reason), CloseReason::KeepAliveMissed);
            }
            ReadEnd::Closed(why) => self.close(Goodbye::Silent, why),
            ReadEnd::Broken { code, reason } => {
                match code {
                    Code::TooLarge => self.hit(Limit::Frame),
                    Code::TooSlow => self.hit(Limit::FrameDeadline),
                    _ => {}
                }
                self.close(Goodbye::error(code, reason), CloseReason::ProtocolError);
            }
        }
    }

    fn refused(&mut self, refused: Refused) {
        let Refused { code, reason, at, wait, again } = refused;
        let Phase::Registering { answer, .. } = &mut self.phase else { return };
        let reader = answer.take();
        self.shared.stats.refused_registrations.add(1);
        let Connection { id, peer, .. } = self.connection;
        let event = || Event::RegistrationRefused { id, peer, code, why: reason.clone(), times: 1 };
        self.shared.repeated("registrations", &peer.ip().to_string(), event);
        if !again {
            return self.close(Goodbye::Error { code, reason, wait }, CloseReason::Refused);
        }
        let mut error = ErrorFrame::new(code, reason);
        error.at_ms = at.map(|at| at.0);
        self.connection.outbound.reply(&ServerFrame::Error(error));
        self.line.idle.store(true, Relaxed);
        if let Some(reader) = reader {
            let _ = reader.send(Admission::Again);
        }
    }

    fn registered(&mut self, registered: Registered) {
        let Registered { session, epoch, actor, mut lease, keep_alive, credit, requests } = registered;
        if let Phase::Closing { why, .. } | Phase::Lingering { why } = self.phase {
            // Dropped here, the lease says that this connection is gone.
            lease.why = why;
            return;
        }
        self.alarm.clear();
        self.line.settled.store(true, Relaxed);
        self.shared.emit(Event::ListenerRegistered { id: self.connection.id, session });
        let asked = std::mem::replace(&mut self.phase, Phase::Registered { lease });
        if let Phase::Registering { answer: Some(reader), .. } = asked {
            let _ = reader.send(Admission::Admitted { session: actor, epoch, keep_alive, credit, requests });
        }
    }

    /// Nothing is read any more; what is said is written, and then the writer ends.
    fn close(&mut self, goodbye: Goodbye, why: CloseReason) {
        if matches!(self.phase, Phase::Closing { .. } | Phase::Lingering { .. }) {
            return;
        }
        self.connection.outbound.close(goodbye.frame().as_ref());
        self.line.settled.store(true, Relaxed);
        wake_at(&self.shared, &self.alarm, &self.connection.listener, GOODBYE, || ListenerMsg::GoodbyeOver);
        self.begin_closing(why);
    }

    fn begin_closing(&mut self, why: CloseReason) {
        let closing = Phase::Closing { _lease: None, why };
        if let Phase::Registered { mut lease } = std::mem::replace(&mut self.phase, closing) {
            lease.why = why;
            self.phase = Phase::Closing { _lease: Some(lease), why };
        }
    }

    fn write_ended(&mut self, result: Result<(), CloseReason>) {
        // One that cannot be written to is not waited for.
        self.reader_gone |= result.is_err();
        if matches!(result, Err(CloseReason::Stalled)) {
            self.hit(Limit::Stall);
        }
        // Nothing, if the writer ended because it was told to.
        self.close(Goodbye::Silent, result.err().unwrap_or(CloseReason::Failed));
        self.linger();
    }

    fn linger(&mut self) {
        if let Phase::Closing { why, .. } = self.phase {
            self.phase = Phase::Lingering { why };
        }
    }

    /// A reader that ends before it said why has failed.
    fn reader_gone(&mut self) {
        self.reader_gone = true;
        if self.left {
            return self.close(Goodbye::Silent, CloseReason::Disconnected);
        }
        self.close(Goodbye::error(Code::Internal, "this connection has failed; connect again"), CloseReason::Failed);
    }

    fn is_over(&self) -> bool {
        self.reader_gone && matches!(self.phase, Phase::Lingering { .. })
    }
}

impl Drop for State {
    /// However a listener ends, a panic included, its client is told, its tasks end, and its session hears of it.
    fn drop(&mut self) {
        // Nothing, if a goodbye has been said already. The tasks end by themselves when it is written and heard, in its time.
        self.connection.outbound.close(Goodbye::of_failure(&self.doing, "this connection").frame().as_ref());
        let (why, is_over) = match &self.phase {
            Phase::Lingering { why } => (*why, true),
            Phase::Closing { why, .. } => (*why, false),
            Phase::Registering { .. } | Phase::Registered { .. } => (CloseReason::Failed, false),
        };
        let tasks = [self.reader.clone(), self.writer.clone()];
        if is_over {
            tasks.iter().for_each(AbortHandle::abort);
        } else if let Ok(runtime) = runtime::Handle::try_current() {
            runtime.spawn(async move {
                time::sleep(GOODBYE).await;
                tasks.iter().for_each(AbortHandle::abort);
            });
        }
        self.shared.emit(Event::ListenerClosed { id: self.connection.id, why });
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use tokio::{
        io::{AsyncReadExt, DuplexStream, duplex},
        sync::mpsc::UnboundedReceiver,
        time::timeout,
    };

    use super::*;
    use crate::{Broker, Config, Handle, actors::ear::ear, events::ActorName};

    /// A client of a listener that was ended from outside, as a manager that fails does, after this goodbye and before it was
    /// written. Its socket holds so many bytes.
    async fn client_of_an_ended_listener(bytes: usize, goodbye: Goodbye) -> (Handle, DuplexStream) {
        let broker = Broker::start(Config { listen: vec!["127.0.0.1:0".parse().unwrap()], ..Config::default() }).await.unwrap();
        let (shared, (listener, _told), id) = (Arc::clone(broker.shared()), ear().await, ListenerId(1));
        let line = Arc::new(Line {
            bytes_in: Arc::default(),
            outbound: Outbound::new(Arc::clone(&shared.stats), 999),
            reader: Doing::new(ActorName::Reader(id), Reader::DOES),
            writer: Doing::new(ActorName::Writer(id), Writer::DOES),
            idle: true.into(),
            settled: false.into(),
        });
        let (client, socket) = duplex(bytes);
        let (socket, peer) = (Socket::of_stream(socket), broker.endpoints()[0]);
        let (register, doing) =
            (Door::new(&shared.stats, &listener, |_| ListenerMsg::Deadline), Doing::new(ActorName::Listener(id), &[]));
        let arguments = Arguments { shared, id, peer, socket, line, register, doing };
        let mut state = Listener.pre_start(listener, arguments).await.unwrap();
        state.close(goodbye, CloseReason::ShuttingDown);
        (broker, client)
    }

    #[tokio::test]
    async fn a_goodbye_that_is_on_its_way_outlives_its_listener() {
        let goodbye = || Goodbye::error(Code::Unavailable, "later");
        let (broker, mut client) = client_of_an_ended_listener(999, goodbye()).await;
        let (mut read, mut expected) = (Vec::new(), Vec::new());
        goodbye().frame().unwrap().encode(&mut expected);
        timeout(GOODBYE * 10, client.read_to_end(&mut read)).await.expect("the writer ends").unwrap();
        assert_eq!(read, expected);
        drop(client);
        broker.shutdown().await;
    }

    /// A peer that does not read is not waited for longer than any goodbye may take.
    #[tokio::test(start_paused = true)]
    async fn a_goodbye_that_is_not_read_has_its_time_and_no_more() {
        let (broker, _client) = client_of_an_ended_listener(1, Goodbye::error(Code::Unavailable, "later")).await;
        assert_eq!(broker.shared().stats.tasks.get(), 2);
        timeout(GOODBYE * 2, pending::<()>()).await.unwrap_err();
        assert_eq!(broker.shared().stats.tasks.get(), 0);
        broker.shutdown().await;
    }

    /// A task that fails if it is told to.
    struct Fails(bool);

    impl Task for Fails {
        type End = Result<(), CloseReason>;

        async fn run(&mut self) -> Self::End {
            assert!(!self.0, "a task of this test fails");
            Ok(())
        }
    }

    async fn run(task: Fails) -> (UnboundedReceiver<ListenerMsg>, Arc<Stats>) {
        let ((listener, heard), stats) = (ear().await, Arc::<Stats>::default());
        spawn_task(&stats, &listener, task, ListenerMsg::WriteEnded, Err(CloseReason::Failed));
        (heard, stats)
    }

    #[tokio::test]
    async fn a_task_says_how_it_ended_also_when_it_panics() {
        let (mut heard, stats) = run(Fails(false)).await;
        assert!(matches!(heard.recv().await, Some(ListenerMsg::WriteEnded(Ok(())))));
        assert_eq!(stats.tasks.get(), 0);
        let (mut heard, stats) = run(Fails(true)).await;
        assert!(matches!(heard.recv().await, Some(ListenerMsg::WriteEnded(Err(CloseReason::Failed)))));
        assert_eq!(stats.tasks.get(), 0);
    }
}
