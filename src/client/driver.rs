//! The one background task of a client: it reads, writes, keeps the connection alive, and comes back when it is lost.
//!
//! Reading, writing and keep-alive are three futures of one task, so that they end together. Reading never waits for a user:
//! a frame goes into its subscription's inbox and that is all.

use std::{
    collections::VecDeque,
    io::{self, IoSlice},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use bytes::{Buf, Bytes, BytesMut};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::{Instant, timeout},
};

use super::{
    backoff::{self, Backoff},
    error::{ClientEnd, is_temporary},
    event::ClientEvent,
    hub::Hub,
    register::{Connection, Registered, Settings, register},
};
use crate::{
    net::{ReadHalf, Socket, WriteHalf},
    wire::{self, ClientFrame, Code, ErrorFrame, MAX_DELIVER_FRAME, ServerFrame},
    words::InWords,
};

/// Room for one read. A frame below a quarter of it is copied out, so that no small message holds a large buffer.
const READ_BYTES: usize = 64 << 10;
/// Slices in one write.
const SLICES: usize = 64;
/// How long a goodbye may take to be written and heard.
const GOODBYE: Duration = Duration::from_secs(1);

/// Why a connection is over.
#[derive(Debug)]
enum Stop {
    /// Gone; coming back may help.
    Lost(String),
    /// The client must not come back.
    Over(ClientEnd),
}

/// Whoever waits for the client is told when its task is gone, even if a runtime that shuts down has dropped it.
struct Alive(Arc<Hub>);

impl Drop for Alive {
    fn drop(&mut self) {
        self.0.end(&ClientEnd::Lost { why: "the client's task was stopped".to_owned() });
    }
}

/// Serves `connection`, and those that come after it, until the client is over.
pub(super) async fn run(shared: Arc<Hub>, settings: Settings, backoff: Backoff, mut connection: Connection) {
    let _alive = Alive(Arc::clone(&shared));
    let mut attempt = 0;
    let end = loop {
        let since = Instant::now();
        let why = match serve(&shared, connection).await {
            Stop::Over(end) => break end,
            Stop::Lost(why) => why,
        };
        shared.down(why.clone());
        // A broker that accepts and drops at once must not be hammered.
        if since.elapsed() > backoff.max {
            attempt = 0;
        }
        match come_back(&shared, &settings, &backoff, &mut attempt, why).await {
            Ok(registered) => {
                connection = registered.connection;
                shared.up(registered.response, registered.lost);
            }
            Err(end) => break end,
        }
    };
    shared.end(&end);
}

/// Connects again, as often as the policy allows.
async fn come_back(
    shared: &Hub,
    settings: &Settings,
    backoff: &Backoff,
    attempt: &mut u32,
    mut why: String,
) -> Result<Registered, ClientEnd> {
    // What a broker asks for holds for the next attempt, if it is longer than what we would have waited.
    let mut asked = Duration::ZERO;
    loop {
        *attempt = attempt.saturating_add(1);
        let Some(after) = backoff.wait(*attempt, backoff::random(settings.entropy.as_ref())) else {
            return Err(ClientEnd::Lost { why });
        };
        let after = after.max(std::mem::take(&mut asked));
        shared.emit(ClientEvent::Reconnecting { attempt: *attempt, after });
        let (session, settled) = {
            let state = shared.state();
            (state.registration.session, state.ledger.settled())
        };
        let attempt = async {
            tokio::time::sleep(after).await;
            register(settings, Some(session), Some(settled)).await
        };
        let outcome = tokio::select! {
            // A client that is closed while it comes back still says goodbye.
            biased;
            outcome = attempt => outcome,
            _ = shared.closing() => return Err(ClientEnd::Closed),
        };
        match outcome {
            Ok(registered) => return Ok(registered),
            Err(error) if error.is_temporary() => {
                if let super::ConnectError::Refused { retry: Some(retry), .. } = &error {
                    asked = *retry;
                }
                why = error.to_string();
            }
            Err(super::ConnectError::Refused { code, reason, .. }) => return Err(ClientEnd::Refused { code, reason }),
            Err(error) => return Err(ClientEnd::Lost { why: error.to_string() }),
        }
    }
}

/// Serves one connection to its end, and closes it: the broker must not have to wait for a client that waits to come back.
async fn serve(shared: &Hub, mut connection: Connection) -> Stop {
    let (keep_alive, max_frame) = {
        let registration = &shared.state().registration;
        (Duration::from_millis(registration.keep_alive_ms), registration.max_frame as usize)
    };
    let pulse = Pulse::default();
    let Socket { read, write } = &mut connection.socket;
    let mut reader = Reader {
        shared,
        read,
        received: &mut connection.received,
        heard: &pulse.heard,
        max_frame: (2 * max_frame).max(MAX_DELIVER_FRAME),
    };
    let written = tokio::select! {
        // None starves another: what may be written is bounded by what was read, and the other way round.
        biased;
        stop = pulse.beat(shared, keep_alive) => return stop,
        written = write_all(shared, write, &pulse.wrote) => written,
        stop = reader.run() => return stop,
    };
    // The broker may have said why it closed, or has to hear our goodbye out.
    let last_words = timeout(GOODBYE, reader.run()).await;
    match (written, last_words) {
        (_, Ok(Stop::Over(end))) => Stop::Over(end),
        (Ok(()), _) => Stop::Over(ClientEnd::Closed),
        (Err(_), Ok(lost)) => lost,
        (Err(error), Err(_)) => Stop::Lost(format!("writing failed: {}", InWords(&error))),
    }
}

/// Writes what there is until the goodbye is written.
async fn write_all(shared: &Hub, socket: &mut WriteHalf, wrote: &AtomicBool) -> io::Result<()> {
    loop {
        let mut output = shared.take_output();
        if output.frames.is_empty() {
            shared.wait_for_work().await;
            continue;
        }
        write_frames(socket, &mut output.frames, wrote).await?;
        if output.goodbye {
            return socket.shutdown().await;
        }
    }
}

async fn write_frames(socket: &mut WriteHalf, frames: &mut VecDeque<Bytes>, wrote: &AtomicBool) -> io::Result<()> {
    while !frames.is_empty() {
        let mut slices = [IoSlice::new(&[]); SLICES];
        let mut count = 0;
        for (slice, frame) in slices.iter_mut().zip(frames.iter()) {
            *slice = IoSlice::new(frame);
            count += 1;
        }
        let mut written = socket.write_vectored(&slices[..count]).await?;
        if written == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
        wrote.store(true, Relaxed);
        while let Some(frame) = frames.front_mut().filter(|_| written > 0) {
            let part = written.min(frame.len());
            frame.advance(part);
            written -= part;
            if frame.is_empty() {
                frames.pop_front();
            }
        }
    }
    Ok(())
}

/// Whether anything was heard or written since the last beat.
#[derive(Debug, Default)]
struct Pulse {
    heard: AtomicBool,
    wrote: AtomicBool,
}

impl Pulse {
    /// Twice a keep-alive time: asks if nothing was written or heard, and gives up after three beats of silence.
    async fn beat(&self, shared: &Hub, keep_alive: Duration) -> Stop {
        if keep_alive.is_zero() {
            return std::future::pending().await;
        }
        let mut beat = tokio::time::interval(keep_alive / 2);
        beat.tick().await;
        let mut silent = 0;
        for token in 1.. {
            beat.tick().await;
            silent = if self.heard.swap(false, Relaxed) { 0 } else { silent + 1 };
            if silent == 3 {
                break;
            }
            if !self.wrote.swap(false, Relaxed) || silent > 0 {
                shared.send(&ClientFrame::Ping(token));
            }
        }
        Stop::Lost(format!("nothing was heard from the broker for {} s", (keep_alive * 3 / 2).as_secs()))
    }
}

/// The reading side of a connection.
struct Reader<'a> {
    shared: &'a Hub,
    read: &'a mut ReadHalf,
    received: &'a mut BytesMut,
    heard: &'a AtomicBool,
    max_frame: usize,
}

impl Reader<'_> {
    /// Reads until the connection is over.
    async fn run(&mut self) -> Stop {
        loop {
            let missing = match self.take_frames() {
                Ok(missing) => missing,
                Err(stop) => return stop,
            };
            self.received.reserve(missing.max(READ_BYTES));
            match self.read.read_buf(self.received).await {
                Ok(0) => return Stop::Lost("the broker closed the connection".to_owned()),
                Ok(_) => self.heard.store(true, Relaxed),
                Err(error) => return Stop::Lost(InWords(&error).to_string()),
            }
        }
    }

    /// Handles every whole frame; answers how many bytes the one that has begun still needs.
    fn take_frames(&mut self) -> Result<usize, Stop> {
        let broken = |error: wire::WireError| Stop::Lost(format!("the broker sent what is no frame: {error}"));
        let (mut whole, mut missing) = (0, 0);
        while let Some(length) = wire::frame_len(&self.received[whole..], self.max_frame).map_err(broken)? {
            let there = self.received.len() - whole;
            if there < length {
                missing = length - there;
                break;
            }
            whole += length;
        }
        let mut block = self.received.split_to(whole).freeze();
        while let Some((raw, length)) = wire::split(&block, self.max_frame).map_err(broken)? {
            if raw.kind == wire::Kind::Deliver {
                self.deliver(&cut(&block, length)).map_err(broken)?;
            } else {
                self.handle(ServerFrame::decode(raw).map_err(broken)?)?;
            }
            block.advance(length);
        }
        Ok(missing)
    }

    /// Puts a delivery where it belongs. One for a subscription that is over belongs nowhere.
    fn deliver(&self, frame: &Bytes) -> Result<(), wire::WireError> {
        if let Some((raw, _)) = wire::split(frame, self.max_frame)?
            && let ServerFrame::Deliver(deliver) = ServerFrame::decode(raw)?
        {
            let inbox = self.shared.state().inbox(deliver.handle);
            if let Some(inbox) = inbox {
                let due = inbox.receive(&deliver, frame);
                self.shared.acknowledge(&inbox, due);
            }
        }
        Ok(())
    }

    fn handle(&self, frame: ServerFrame<'_>) -> Result<(), Stop> {
        let mut state = self.shared.state();
        let event = match frame {
            ServerFrame::PublishAck(sequence) => {
                state.ledger.settle(sequence);
                drop(state);
                self.shared.settled();
                return Ok(());
            }
            ServerFrame::Ping(token) => {
                drop(state);
                self.shared.send(&ClientFrame::Pong(token));
                return Ok(());
            }
            ServerFrame::Pong(token) => {
                state.ponged(token);
                None
            }
            ServerFrame::Deliver(_) => None,
            ServerFrame::SubscribeAck(ack) => state.subscribed(&ack),
            ServerFrame::UnsubscribeAck(ack) => {
                state.unsubscribed(&ack);
                None
            }
            ServerFrame::SubscriptionEnded(told) => state.subscription_ended(told),
            ServerFrame::Resubscribe(told) => {
                state.resubscribe(&told);
                drop(state);
                self.shared.wake_writer();
                return Ok(());
            }
            ServerFrame::Error(error) => state.refused(error).map_err(goodbye)?,
            ServerFrame::Displaced => return Err(Stop::Over(ClientEnd::Displaced)),
            ServerFrame::Evicted(evicted) => return Err(Stop::Over(ClientEnd::Evicted { reason: evicted.reason })),
            ServerFrame::RegistrationResponse(_) => {
                return Err(Stop::Lost("the broker registered the client twice".to_owned()));
            }
        };
        drop(state);
        if let Some(event) = event {
            self.shared.emit(event);
        }
        Ok(())
    }
}

/// The frame at the head of `block`: a share of it, or a copy if it would keep much more than itself in memory.
fn cut(block: &Bytes, length: usize) -> Bytes {
    if length < READ_BYTES / 4 { Bytes::copy_from_slice(&block[..length]) } else { block.slice(..length) }
}

/// What an error means that closes the connection.
fn goodbye(error: ErrorFrame) -> Stop {
    let ErrorFrame { code, reason, .. } = error;
    if is_temporary(code) || matches!(code, Code::NotFound | Code::Gone) {
        Stop::Lost(format!("the broker said {code}: {}", crate::Printable(&reason)))
    } else {
        Stop::Over(ClientEnd::Refused { code, reason })
    }
}
