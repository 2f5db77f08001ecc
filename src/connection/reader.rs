//! The reader task: turns bytes into a registration, and after it into chunks for the session.
//!
//! A read buffer is borrowed from a pool while there is something in it; an idle connection holds none. Reading pauses, and
//! with it the clock that would call the client silent, while the client is beyond its credit, while its replies lie
//! unwritten, and while the broker as a whole has taken in more than topics have accepted.

use std::{
    future::poll_fn,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError, atomic::Ordering::Relaxed},
    task::{Context, Poll},
    time::Duration,
};

use ractor::ActorRef;
use tokio::{
    io::{AsyncRead as _, ReadBuf},
    sync::oneshot,
    task,
    time::{self, Instant},
};

use super::{
    GOODBYE, Task,
    chunk::{Chunk, Chunker, Request},
    credit::Credit,
    outbound::Outbound,
    requests::Requests,
    writer::close_reason,
};
use crate::{
    actors::{Line, ListenerMsg, SessionMsg},
    commons::Commons,
    events::CloseReason,
    limits::Limit,
    name::Epoch,
    net::ReadHalf,
    wire::{self, ClientFrame, Code, Kind, Publish, RawFrame, ServerFrame, WireError},
};

/// The size of a pooled buffer: what one read brings at the most.
const BUFFER: usize = 64 << 10;
/// A read that brings this much ends a turn: a client that never stops sending must not keep a thread to itself.
const TURN: usize = BUFFER / 2;
/// Buffers kept for the next reader.
const POOLED: usize = 64;
/// A chunk is closed at this many bytes of publishes.
const CHUNK_BYTES: u64 = 1 << 20;
/// How often the global ingress bound is looked at while it is hit.
const INGRESS_RETRY: Duration = Duration::from_millis(5);

static POOL: Mutex<Vec<Vec<u8>>> = Mutex::new(Vec::new());

/// The listener's answer to a registration, for its reader.
#[derive(Debug)]
pub(crate) enum Admission {
    /// Not this time; the client may try again.
    Again,
    /// Chunks go to this session from now on.
    Admitted { session: ActorRef<SessionMsg>, epoch: Epoch, keep_alive: Duration, credit: Credit, requests: Requests },
}

/// Why reading ended.
#[derive(Debug)]
pub(crate) enum ReadEnd {
    Closed(CloseReason),
    /// The client has said `Disconnect`; its session closes when everything before it is answered.
    Left,
    /// The client broke the protocol: it is told, and closed.
    Broken {
        code: Code,
        reason: String,
    },
}

impl From<WireError> for ReadEnd {
    fn from(error: WireError) -> Self {
        Self::Broken { code: error.code(), reason: error.to_string() }
    }
}

/// Reads one connection.
pub(crate) struct Reader {
    shared: Arc<Commons>,
    socket: ReadHalf,
    line: Arc<Line>,
    listener: ActorRef<ListenerMsg>,
    /// What was read and not decoded: `buffer[start..end]`.
    buffer: Vec<u8>,
    start: usize,
    end: usize,
    keep_alive: Option<Duration>,
    /// When the first byte of the frame that is not whole yet was seen, if there is one.
    begun: Option<Instant>,
    /// Smaller before the registration: a stranger gets no large buffer.
    max_frame: usize,
}

impl Task for Reader {
    type End = ();

    /// Reads until the connection ends or is being closed, and says why it ended; then takes what still comes and throws it
    /// away, until the peer is gone or has had its time. A socket closed with something unread would be reset, and the goodbye
    /// lost with it.
    async fn run(&mut self) {
        let line = Arc::clone(&self.line);
        let end = tokio::select! {
            biased;
            end = self.read() => Some(end),
            () = line.outbound.closed() => None,
        };
        line.reader.done();
        if let Some(end) = end {
            // A listener that has ended needs no word of it.
            let _ = self.shared.tell(&self.listener, ListenerMsg::ReadEnded(end));
        }
        (self.start, self.end, self.keep_alive, self.begun) = (0, 0, None, None);
        let leaves = async {
            while self.fill().await.is_ok() {
                self.end = 0;
            }
        };
        let patience = async {
            line.outbound.closed().await;
            time::sleep(GOODBYE).await;
        };
        tokio::select! {
            () = leaves => {}
            () = patience => {}
        }
        self.give_buffer_back();
    }
}

impl Reader {
    /// What it can be doing, apart from waiting.
    pub(crate) const DOES: &'static [&'static str] = &["Decode"];

    pub(crate) fn new(shared: Arc<Commons>, socket: ReadHalf, line: Arc<Line>, listener: ActorRef<ListenerMsg>) -> Self {
        Self {
            shared,
            socket,
            line,
            listener,
            buffer: Vec::new(),
            start: 0,
            end: 0,
            keep_alive: None,
            begun: None,
            max_frame: wire::MAX_CONTROL_FRAME,
        }
    }

    async fn read(&mut self) -> ReadEnd {
        match self.register().await {
            Ok(Admitted { session, epoch, credit, requests }) => self.pump(&session, epoch, credit, &requests).await,
            Err(end) => end,
        }
    }

    /// Hands registrations to the listener until one is admitted. Anything else first is an error.
    async fn register(&mut self) -> Result<Admitted, ReadEnd> {
        loop {
            let request = loop {
                if let Some((raw, len)) = wire::split(&self.buffer[self.start..self.end], self.max_frame)? {
                    let frame = ClientFrame::decode(raw)?;
                    let ClientFrame::RegistrationRequest(request) = frame else {
                        return Err(out_of_place("the first frame must be a RegistrationRequest"));
                    };
                    self.start += len;
                    break request;
                }
                self.fill().await?;
            };
            let (answer, answered) = oneshot::channel();
            if self.shared.tell(&self.listener, ListenerMsg::Request { request: Box::new(request), answer }).is_err() {
                return Err(ReadEnd::Closed(CloseReason::Failed));
            }
            match answered.await {
                Ok(Admission::Again) => {}
                Ok(Admission::Admitted { session, epoch, keep_alive, credit, requests }) => {
                    self.keep_alive = Some(keep_alive);
                    self.max_frame = self.shared.config.connections.max_frame_bytes;
                    return Ok(Admitted { session, epoch, credit, requests });
                }
                // The listener is closing or gone, and has its reason already.
                Err(_) => return Err(ReadEnd::Closed(CloseReason::Failed)),
            }
        }
    }

    /// Passes what arrives to the session, a chunk at a time.
    async fn pump(&mut self, session: &ActorRef<SessionMsg>, epoch: Epoch, credit: Credit, requests: &Requests) -> ReadEnd {
        let mut chunker = Chunker::new(epoch, self.shared.name_rules(), credit.clone(), self.shared.ingress.clone());
        loop {
            self.line.reader.begin(self.shared.second(), 0);
            let decoded = match self.decode(session, &mut chunker, requests) {
                Ok(decoded) => decoded,
                Err(end) => return end,
            };
            let name = self.line.reader.name();
            if self.shared.faults.strike(name.kind(), "Decode", name).await.is_err() {
                return ReadEnd::Closed(CloseReason::Failed);
            }
            self.line.reader.done();
            let must_wait = self.count_what_is_waited_for(&chunker, &credit, &decoded);
            let since = must_wait.then(Instant::now);
            self.line.outbound.replies_written().await;
            credit.available().await;
            while chunker.must_wait() || self.shared.draining.load(Relaxed) {
                time::sleep(INGRESS_RETRY).await;
            }
            if let Decoded::Paused(wait) = decoded {
                time::sleep(wait).await;
                continue;
            }
            // Time in which we do not read is not the client's.
            if let (Some(begun), Some(since)) = (&mut self.begun, since) {
                *begun += since.elapsed();
            }
            if let Err(end) = self.fill().await {
                return end;
            }
        }
    }

    /// True if anything is to be waited for before more is read; each thing is a limit that was hit.
    fn count_what_is_waited_for(&self, chunker: &Chunker, credit: &Credit, decoded: &Decoded) -> bool {
        let waits = [
            (Limit::Replies, self.line.outbound.is_unread()),
            (Limit::Credit, !credit.is_there()),
            (Limit::Ingress, chunker.must_wait()),
            (Limit::Requests, matches!(decoded, Decoded::Paused(_))),
        ];
        for (limit, _) in waits.iter().filter(|(_, hit)| *hit) {
            self.shared.limit_hit(*limit, "broker");
        }
        waits.iter().any(|(_, hit)| *hit)
    }

    /// Decodes every whole frame in the buffer, as far as the pace of requests allows. What is good before a bad frame still
    /// counts.
    fn decode(&mut self, session: &ActorRef<SessionMsg>, chunker: &mut Chunker, requests: &Requests) -> Result<Decoded, ReadEnd> {
        let from = self.start;
        let decoded = loop {
            let (raw, len) = match wire::split(&self.buffer[self.start..self.end], self.max_frame) {
                Ok(Some(split)) => split,
                Ok(None) => break Ok(Decoded::All),
                Err(error) => break Err(error.into()),
            };
            if is_request(raw.kind)
                && let Err(wait) = requests.take(&self.shared.config.sessions, Commons::now())
            {
                break Ok(Decoded::Paused(wait));
            }
            if let Err(error) = take_frame(raw, chunker, &self.line.outbound, &mut |chunk| {
                let _ = self.shared.tell(session, SessionMsg::Chunk(Box::new(chunk)));
            }) {
                break Err(error);
            }
            self.start += len;
        };
        // A session that has ended says goodbye through the listener; its client reads that, not an error from here.
        if let Some(chunk) = chunker.close(None) {
            let _ = self.shared.tell(session, SessionMsg::Chunk(Box::new(chunk)));
        }
        if self.start == self.end {
            self.begun = None;
        } else if self.start > from || self.begun.is_none() {
            self.begun = Some(Instant::now());
        }
        decoded
    }

    /// Reads once, waiting for as long as the client may be silent. Where much came, more lies there, most likely: whoever else
    /// waits for this thread, and the sockets that nobody has looked at meanwhile, come first.
    async fn fill(&mut self) -> Result<(), ReadEnd> {
        let before = self.end - self.start;
        self.wait_and_fill().await?;
        if self.end - self.start - before >= TURN {
            task::yield_now().await;
        }
        Ok(())
    }

    async fn wait_and_fill(&mut self) -> Result<(), ReadEnd> {
        let silent_at = self.keep_alive.map(|keep_alive| Instant::now() + keep_alive * 3 / 2);
        let frame_at = self.begun.map(|begun| begun + self.shared.config.connections.frame_deadline);
        let first = [silent_at, frame_at].into_iter().flatten().min();
        let read = poll_fn(|context| self.poll_fill(context));
        let Some(at) = first else { return read.await };
        match time::timeout_at(at, read).await {
            Ok(read) => read,
            Err(_) if first == frame_at => Err(self.frame_took_too_long()),
            Err(_) => Err(ReadEnd::Closed(CloseReason::KeepAliveMissed)),
        }
    }

    fn frame_took_too_long(&self) -> ReadEnd {
        let limit = self.shared.config.connections.frame_deadline.as_secs_f64();
        let reason = format!("a frame was begun and not finished within {limit} s (connections.frame_deadline); send it faster");
        ReadEnd::Broken { code: Code::TooSlow, reason }
    }

    /// Reads once. There is a buffer while it reads, and none while it waits.
    fn poll_fill(&mut self, context: &mut Context<'_>) -> Poll<Result<(), ReadEnd>> {
        self.make_room()?;
        let mut room = ReadBuf::new(&mut self.buffer[self.end..]);
        let Poll::Ready(result) = Pin::new(&mut self.socket).poll_read(context, &mut room) else {
            self.put_aside();
            return Poll::Pending;
        };
        let bytes = room.filled().len();
        Poll::Ready(match result {
            Ok(()) if bytes == 0 => Err(ReadEnd::Closed(CloseReason::PeerClosed)),
            Ok(()) => {
                self.end += bytes;
                self.line.bytes_in.fetch_add(bytes as u64, Relaxed);
                self.shared.stats.bytes_in.add(bytes as u64);
                Ok(())
            }
            Err(error) => Err(ReadEnd::Closed(close_reason(&error))),
        })
    }

    /// A buffer with room for the rest of the frame that has begun, or for a whole read.
    fn make_room(&mut self) -> Result<(), WireError> {
        let begun = &self.buffer[self.start..self.end];
        let needed = wire::frame_len(begun, self.max_frame)?.unwrap_or(0).max(begun.len() + 1).max(BUFFER);
        if self.buffer.len() < needed {
            let mut larger = if needed == BUFFER { take_pooled() } else { vec![0; needed] };
            larger[..begun.len()].copy_from_slice(begun);
            (self.start, self.end) = (0, begun.len());
            let smaller = std::mem::replace(&mut self.buffer, larger);
            give_pooled(smaller);
        } else if self.start > 0 {
            self.buffer.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.end - self.start);
        }
        Ok(())
    }

    /// Nothing more has arrived: keeps only the bytes of a frame that has begun and gives the buffer back.
    fn put_aside(&mut self) {
        if (self.end - self.start) * 2 < self.buffer.len() {
            let begun = self.buffer[self.start..self.end].to_vec();
            (self.start, self.end) = (0, begun.len());
            give_pooled(std::mem::replace(&mut self.buffer, begun));
        }
    }

    fn give_buffer_back(&mut self) {
        give_pooled(std::mem::take(&mut self.buffer));
    }
}

/// What of the buffer could be handled.
#[derive(Debug)]
enum Decoded {
    /// Every whole frame.
    All,
    /// A request is one too many for now: it, and what is behind it, comes after this time.
    Paused(Duration),
}

/// Where a client's frames go.
struct Admitted {
    session: ActorRef<SessionMsg>,
    epoch: Epoch,
    credit: Credit,
    requests: Requests,
}

/// What costs a session, and others behind it, as much as a thousand messages.
fn is_request(kind: Kind) -> bool {
    matches!(kind, Kind::SubscribeRequest | Kind::UnsubscribeRequest | Kind::DeliverNack)
}

fn out_of_place(reason: &str) -> ReadEnd {
    ReadEnd::Broken { code: Code::Malformed, reason: reason.to_owned() }
}

fn take_pooled() -> Vec<u8> {
    POOL.lock().unwrap_or_else(PoisonError::into_inner).pop().unwrap_or_else(|| vec![0; BUFFER])
}

fn give_pooled(buffer: Vec<u8>) {
    if buffer.len() == BUFFER {
        let mut pool = POOL.lock().unwrap_or_else(PoisonError::into_inner);
        if pool.len() < POOLED {
            pool.push(buffer);
        }
    }
}

/// Takes one frame into the chunk; what must be handled in its place closes the chunk and goes with it.
fn take_frame(
    raw: RawFrame<'_>,
    chunker: &mut Chunker,
    outbound: &Outbound,
    send: &mut impl FnMut(Chunk),
) -> Result<(), ReadEnd> {
    if raw.kind == Kind::Publish {
        take_publish(&Publish::decode(raw)?, chunker, send);
        return Ok(());
    }
    take_rare_frame(raw, chunker, outbound, send)
}

fn take_publish(publish: &Publish<'_>, chunker: &mut Chunker, send: &mut impl FnMut(Chunk)) {
    if !chunker.continues(publish.sequence) || chunker.bytes() >= CHUNK_BYTES {
        chunker.close(None).into_iter().for_each(send);
    }
    chunker.publish(publish);
}

/// Takes a frame of any kind: through an enum as large as the largest of them, which a message should not be moved through.
#[inline(never)]
fn take_rare_frame(
    raw: RawFrame<'_>,
    chunker: &mut Chunker,
    outbound: &Outbound,
    send: &mut impl FnMut(Chunk),
) -> Result<(), ReadEnd> {
    let request = match ClientFrame::decode(raw)? {
        ClientFrame::Publish(publish) => {
            take_publish(&publish, chunker, send);
            return Ok(());
        }
        ClientFrame::DeliverAck(ack) => {
            chunker.ack(ack.handle, ack.number);
            return Ok(());
        }
        ClientFrame::Ping(token) => {
            outbound.reply(&ServerFrame::Pong(token));
            return Ok(());
        }
        ClientFrame::Pong(_) => return Ok(()),
        ClientFrame::RegistrationRequest(_) => {
            return Err(out_of_place("this connection is registered; open another one for another session"));
        }
        ClientFrame::SubscribeRequest(request) => Request::Subscribe(request),
        ClientFrame::UnsubscribeRequest(request) => Request::Unsubscribe(request),
        ClientFrame::DeliverNack(nack) => Request::Nack(nack),
        ClientFrame::Disconnect(disconnect) => {
            chunker.close(Some(Request::Disconnect(disconnect))).into_iter().for_each(send);
            return Err(ReadEnd::Left);
        }
    };
    chunker.close(Some(request)).into_iter().for_each(send);
    Ok(())
}
