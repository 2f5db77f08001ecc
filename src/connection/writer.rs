//! The writer task: takes what waits, writes it with one vectored call, and says what was written.
//!
//! Small frames are copied together, because a copy of a few bytes is cheaper than a segment of its own; large runs go out
//! from the batch that every subscriber shares.

use std::{
    io::{self, IoSlice},
    ops::Range,
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Duration,
};

use tokio::{
    io::AsyncWriteExt,
    time::{self, Instant},
};

use super::{
    GOODBYE, Task,
    outbound::{Delivery, Item},
};
use crate::{
    actors::Line,
    commons::Commons,
    config::Connections,
    events::CloseReason,
    net::WriteHalf,
    wire::{DeliverHead, ServerFrame},
};

/// Items written at once.
const ITEMS: usize = 128;
/// Runs shorter than this are copied together, in bytes.
const COPY: usize = 4 << 10;
/// A scratch buffer larger than this is given back when it has been written.
const SCRATCH: usize = 64 << 10;

/// How long a peer may take for all of `bytes`: for a frame as large as a frame may be, and for any part of it. One that takes a
/// byte now and then takes them too slowly, too.
fn patience(limits: &Connections, bytes: usize) -> Duration {
    let frames = bytes.div_ceil(limits.max_frame_bytes).max(1);
    limits.frame_deadline.saturating_mul(u32::try_from(frames).unwrap_or(u32::MAX))
}

/// Writes one connection's outbound queue.
pub(crate) struct Writer {
    shared: Arc<Commons>,
    line: Arc<Line>,
    socket: WriteHalf,
    items: Vec<Item>,
    scratch: Vec<u8>,
    segments: Vec<Segment>,
}

/// A piece of what is written at once.
#[derive(Debug)]
enum Segment {
    /// Of the scratch buffer.
    Scratch(Range<usize>),
    /// The records of the delivery at this index.
    Records(usize),
}

impl Task for Writer {
    type End = Result<(), CloseReason>;

    /// Writes until the queue is closed and empty. An error says why it could not.
    async fn run(&mut self) -> Result<(), CloseReason> {
        while self.line.outbound.take(&mut self.items, ITEMS).await {
            self.withhold();
            self.encode();
            self.write().await?;
            let name = self.line.writer.name();
            self.shared.faults.strike(name.kind(), "Write", name).await.map_err(|_| CloseReason::Failed)?;
            self.settle();
            self.line.writer.done();
        }
        // The peer reads our goodbye before it sees the end; one that does not read is not waited for.
        let _ = time::timeout(GOODBYE, self.socket.shutdown()).await;
        Ok(())
    }
}

impl Writer {
    /// What it can be doing, apart from waiting.
    pub(crate) const DOES: &'static [&'static str] = &["Write"];

    pub(crate) fn new(shared: Arc<Commons>, line: Arc<Line>, socket: WriteHalf) -> Self {
        Self { shared, line, socket, items: Vec::new(), scratch: Vec::new(), segments: Vec::new() }
    }

    /// Messages that may no longer be seen are not written, however near they have come. One compare a run.
    fn withhold(&mut self) {
        self.items.retain(|item| match item {
            Item::Deliver(Delivery { queue, run, judged, .. }) => queue.may_write(run, *judged),
            Item::Reply(_) | Item::PublishAck(_) => true,
        });
    }

    fn encode(&mut self) {
        self.scratch.clear();
        self.segments.clear();
        let mut from = 0;
        for (index, item) in self.items.iter().enumerate() {
            match item {
                Item::Reply(bytes) => self.scratch.extend_from_slice(bytes),
                Item::PublishAck(sequence) => ServerFrame::PublishAck(*sequence).encode(&mut self.scratch),
                Item::Deliver(delivery) => {
                    encode_head(delivery, &mut self.scratch);
                    let run = &delivery.run;
                    let records = run.batch.records(run.start, run.len);
                    if records.len() < COPY {
                        self.scratch.extend_from_slice(records);
                    } else {
                        self.segments.push(Segment::Scratch(from..self.scratch.len()));
                        self.segments.push(Segment::Records(index));
                        from = self.scratch.len();
                    }
                }
            }
        }
        if from < self.scratch.len() {
            self.segments.push(Segment::Scratch(from..self.scratch.len()));
        }
    }

    fn slice<'a>(items: &'a [Item], scratch: &'a [u8], segment: &Segment) -> &'a [u8] {
        match segment {
            Segment::Scratch(range) => &scratch[range.clone()],
            Segment::Records(index) => match &items[*index] {
                Item::Deliver(Delivery { run, .. }) => run.batch.records(run.start, run.len),
                Item::Reply(_) | Item::PublishAck(_) => &[],
            },
        }
    }

    async fn write(&mut self) -> Result<(), CloseReason> {
        let mut slices: Vec<_> =
            self.segments.iter().map(|segment| IoSlice::new(Self::slice(&self.items, &self.scratch, segment))).collect();
        let bytes = slices.iter().map(|slice| slice.len()).sum();
        let mut left = &mut slices[..];
        // Looked up only for a peer that does not take it all at once.
        let mut deadline: Option<Instant> = None;
        let limits = &self.shared.config.connections;
        while !left.is_empty() {
            self.line.writer.begin(self.shared.second(), 0);
            let left_for_it = match deadline {
                None => limits.stall_after,
                Some(deadline) => limits.stall_after.min(deadline.saturating_duration_since(Instant::now())),
            };
            let wrote = match time::timeout(left_for_it, write_some(&mut self.socket, left)).await {
                Err(_) => return Err(CloseReason::Stalled),
                Ok(Err(error)) => return Err(close_reason(&error)),
                Ok(Ok(0)) => return Err(CloseReason::PeerClosed),
                Ok(Ok(bytes)) => bytes,
            };
            self.shared.stats.bytes_out.add(wrote as u64);
            self.line.outbound.written.fetch_add(wrote as u64, Relaxed);
            IoSlice::advance_slices(&mut left, wrote);
            if !left.is_empty() {
                deadline.get_or_insert_with(|| Instant::now() + patience(limits, bytes));
            }
        }
        Ok(())
    }

    /// What was written is told to its queues, and its budget is given back.
    fn settle(&mut self) {
        let mut reply_bytes = 0;
        let mut delivered = 0;
        for item in self.items.drain(..) {
            match item {
                Item::Reply(bytes) => reply_bytes += bytes.len() as u64,
                Item::PublishAck(_) => {}
                Item::Deliver(Delivery { queue, run, pass, settles, budget, judged: _ }) => {
                    delivered += u64::from(run.len);
                    queue.wrote(&run, pass, settles);
                    drop(budget);
                }
            }
        }
        self.shared.stats.delivered.add(delivered);
        self.line.outbound.wrote(reply_bytes);
        if self.scratch.capacity() > SCRATCH {
            self.scratch = Vec::new();
        }
    }
}

/// Writes once. Few small frames are one slice, and the system takes a slice for less than a list of one.
async fn write_some(socket: &mut WriteHalf, slices: &[IoSlice<'_>]) -> io::Result<usize> {
    match slices {
        [one] => socket.write(one).await,
        many => socket.write_vectored(many).await,
    }
}

/// Writes everything of a `Deliver` that stands before its records.
fn encode_head(delivery: &Delivery, out: &mut Vec<u8>) {
    let Delivery { queue, run, .. } = delivery;
    let head = DeliverHead {
        handle: queue.handle,
        first: run.first,
        accepted_ms: run.batch.accepted_ms(),
        redelivered: run.redelivered,
        returns: run.returns,
        topic: run.batch.topic().as_str(),
        count: run.len,
        records_len: run.bytes() as usize,
    };
    head.encode(out);
    out.extend_from_slice(run.batch.table(run.start, run.len));
}

/// What an I/O error means for a connection.
pub(crate) fn close_reason(error: &io::Error) -> CloseReason {
    match error.kind() {
        io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionAborted => CloseReason::Reset,
        _ => CloseReason::PeerClosed,
    }
}
