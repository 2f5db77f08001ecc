//! The queue of one subscription: first what is in flight, then what waits, each message numbered when it was appended.
//!
//! Pure and single-threaded: the moment comes with the call, receipts are whatever the caller holds, and what must be told
//! comes back as a value. The promises it keeps (I1, I3, I5): a message is delivered, held, or counted as lost with its
//! reason; order never changes, only [`Queue::redeliver`] appends anew; what was written before is marked when it comes again;
//! the bounds hold after every call that does not hold a receipt for them.

mod peek;
mod poison;
mod run;
#[cfg(test)]
mod tests;

use std::{
    collections::VecDeque,
    sync::Arc,
    time::{Duration, Instant},
};

use self::run::{cut_out, settle};
pub(crate) use self::{poison::Poison, run::Run};
use crate::{
    batch::Batch,
    events::{Depth, DropReason, Lost},
    name::TopicName,
    room::Room,
};

/// The bounds of a queue.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    pub(crate) messages: u64,
    pub(crate) bytes: u64,
    pub(crate) poison: usize,
    pub(crate) window_messages: u64,
    pub(crate) window_bytes: u64,
    pub(crate) attempts: u32,
    /// How long a receipt is held before the oldest messages are dropped instead.
    pub(crate) hold: Duration,
}

impl Bounds {
    /// What may be sent to a client that has to acknowledge it.
    fn window(&self) -> Size {
        Size { messages: self.window_messages, bytes: self.window_bytes }
    }
}

/// The most bytes of records that are taken as one run: a `Deliver` frame is cut there, but carries at least one message.
const RUN_BYTES: u64 = 1 << 20;

/// Why a subscriber took no more of what waits.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Stop {
    /// Nothing waits any more.
    #[default]
    Empty,
    /// It took as many messages as it wanted.
    Turn,
    /// The window has no room for the next one.
    Window,
    /// The window has, but the bytes it wanted are too few.
    Bytes,
}

/// One subscription's messages. `R` is a publisher's receipt: dropping the last one tells it that its messages are settled.
#[derive(Debug)]
pub(crate) struct Queue<R> {
    bounds: Bounds,
    in_flight: VecDeque<Run>,
    waiting: VecDeque<Run>,
    flight: Size,
    wait: Size,
    /// What may be in flight.
    window: Size,
    /// The number of the next message to be appended.
    next: u64,
    /// The highest number ever taken.
    taken: u64,
    /// The highest number written since messages last came back.
    written: u64,
    /// Counts how often messages came back: what was taken before says so with the old pass.
    pass: u32,
    replay: Replay,
    live: bool,
    closed: bool,
    /// Nobody waits for this queue until it is half empty or its client resumes.
    shedding: bool,
    held: Vec<R>,
    held_until: Option<Instant>,
    poison: VecDeque<Poison>,
    poison_bytes: u64,
    dropped: Dropped,
}

/// What the client gave back with `again`.
#[derive(Debug, Clone, Copy, Default)]
struct Replay {
    /// It was said for this number, which has not been taken since.
    from: Option<u64>,
    /// The next run taken says that what was given back starts with it.
    untold: bool,
}

/// Messages and their bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Size {
    messages: u64,
    bytes: u64,
}

impl Size {
    fn add(&mut self, run: &Run) {
        self.messages += u64::from(run.len);
        self.bytes += run.bytes();
    }

    fn sub(&mut self, run: &Run) {
        self.messages -= u64::from(run.len);
        self.bytes -= run.bytes();
    }
}

/// Messages dropped, by reason: in all, and since it was last told.
#[derive(Debug, Clone, Copy, Default)]
struct Dropped {
    all: u64,
    untold: [u64; 6],
}

impl Dropped {
    const REASONS: [DropReason; 6] = [
        DropReason::QueueFull,
        DropReason::PoisonFull,
        DropReason::BacklogFull,
        DropReason::Expired,
        DropReason::MemoryFull,
        DropReason::RightWithdrawn,
    ];

    fn count(&mut self, why: DropReason, messages: u64) {
        self.all += messages;
        self.untold[Self::REASONS.iter().position(|reason| *reason == why).unwrap_or_default()] += messages;
    }
}

/// What [`Queue::append`] did with the receipt.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Appended {
    /// There is room; the receipt may go.
    Fits,
    /// The queue has ended: the messages are lost.
    Closed,
    /// Over the bound: the queue holds the receipt, until `Instant` at the latest if it is the first one.
    Held(Option<Instant>),
}

/// What came back and was given up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct GivenUp {
    pub(crate) number: u64,
    pub(crate) attempts: u32,
}

impl<R> Queue<R> {
    /// An empty queue of a parked subscription.
    pub(crate) fn new(bounds: Bounds) -> Self {
        Self {
            bounds,
            in_flight: VecDeque::new(),
            waiting: VecDeque::new(),
            flight: Size::default(),
            wait: Size::default(),
            window: bounds.window(),
            next: 1,
            taken: 0,
            written: 0,
            pass: 0,
            replay: Replay::default(),
            live: false,
            closed: false,
            shedding: false,
            held: Vec::new(),
            held_until: None,
            poison: VecDeque::new(),
            poison_bytes: 0,
            dropped: Dropped::default(),
        }
    }

    /// Appends the messages of `batch` from index `from` on. `receipt` is asked for only if it has to be held; where there is
    /// none, nobody waits and the oldest messages make room at once.
    pub(crate) fn append(
        &mut self,
        batch: &Arc<Batch>,
        from: u32,
        receipt: impl FnOnce() -> Option<R>,
        now: Instant,
    ) -> Appended {
        if self.closed {
            return Appended::Closed;
        }
        let len = batch.len() - from;
        let run = Run::new(Arc::clone(batch), from, len, self.next);
        self.next += u64::from(len);
        self.wait.add(&run);
        self.waiting.push_back(run);
        if !self.is_over() {
            return Appended::Fits;
        }
        let receipt = if self.live && !self.shedding { receipt() } else { None };
        let Some(receipt) = receipt else {
            self.shed(now, DropReason::QueueFull);
            return Appended::Fits;
        };
        self.held.push(receipt);
        if self.held_until.is_some() {
            return Appended::Held(None);
        }
        self.held_until = Some(now + self.bounds.hold);
        Appended::Held(self.held_until)
    }

    fn is_over(&self) -> bool {
        self.flight.messages + self.wait.messages > self.bounds.messages
            || self.flight.bytes + self.wait.bytes > self.bounds.bytes
    }

    fn is_half_empty(&self) -> bool {
        (self.flight.messages + self.wait.messages) * 2 <= self.bounds.messages
            && (self.flight.bytes + self.wait.bytes) * 2 <= self.bounds.bytes
    }

    /// Drops the oldest waiting messages down to the bound.
    fn shed(&mut self, now: Instant, why: DropReason) {
        while self.is_over()
            && let Some(run) = self.waiting.front()
        {
            let over = (self.flight.messages + self.wait.messages).saturating_sub(self.bounds.messages);
            let bytes_over = self.flight.bytes + self.wait.bytes > self.bounds.bytes;
            let len = if bytes_over { 1 } else { u64::from(run.len).min(over) as u32 };
            self.drop_front(len, now, why);
        }
    }

    /// Drops the first `len` messages of the first waiting run; expired ones are counted as that.
    fn drop_front(&mut self, len: u32, now: Instant, why: DropReason) {
        let Some(mut run) = self.waiting.pop_front() else { return };
        self.wait.sub(&run);
        if len < run.len {
            let rest = run.split_off(len);
            self.wait.add(&rest);
            self.waiting.push_front(rest);
        }
        let expired = (0..run.len).filter(|i| run.batch.expires() && run.batch.is_expired(run.start + i, now)).count() as u64;
        self.dropped.count(DropReason::Expired, expired);
        self.dropped.count(why, u64::from(run.len) - expired);
    }

    /// Drops the oldest waiting run because the whole broker is full; returns how many bytes went.
    pub(crate) fn give_up(&mut self, now: Instant) -> u64 {
        let before = self.wait.bytes;
        if let Some(len) = self.waiting.front().map(|run| run.len) {
            self.drop_front(len, now, DropReason::MemoryFull);
        }
        before - self.wait.bytes
    }

    /// Takes waiting messages into the window, oldest first: at most `messages` and `bytes` of them (but one, if none is in
    /// flight). What has expired is dropped and counted. Appends to `out`, a run for each frame. Returns what stopped it.
    pub(crate) fn take(&mut self, messages: u64, bytes: u64, now: Instant, out: &mut Vec<Run>) -> Stop {
        let (mut messages, mut bytes) = (messages, bytes);
        while let Some(head) = self.waiting.front() {
            let (alike, expired) = head.expired_prefix(now);
            if expired {
                self.drop_front(alike, now, DropReason::Expired);
                continue;
            }
            if messages == 0 {
                return Stop::Turn;
            }
            let room = messages.min(self.window.messages.saturating_sub(self.flight.messages)).min(u64::from(alike));
            let window_bytes = self.window.bytes.saturating_sub(self.flight.bytes);
            let len = head.fits(room, bytes.min(window_bytes).min(RUN_BYTES), self.flight.messages == 0);
            if len == 0 {
                let fits_window = room > 0 && head.fits(1, window_bytes.min(RUN_BYTES), false) > 0;
                return if fits_window { Stop::Bytes } else { Stop::Window };
            }
            let Some(mut run) = self.waiting.pop_front() else { return Stop::Empty };
            self.wait.sub(&run);
            if len < run.len {
                let rest = run.split_off(len);
                self.wait.add(&rest);
                self.waiting.push_front(rest);
            }
            messages -= u64::from(len);
            bytes = bytes.saturating_sub(run.bytes());
            self.taken = self.taken.max(run.last());
            self.replay.from = self.replay.from.filter(|number| *number > run.last());
            self.flight.add(&run);
            self.in_flight.push_back(run.clone());
            // Of the copy that goes out only: what comes back later does not say it again.
            out.push(Run { returns: std::mem::take(&mut self.replay.untold), ..run });
        }
        Stop::Empty
    }

    /// From now on writing settles, or it does not. Where it does, nobody is waited for: in flight is what has not been written,
    /// and may be half of what the queue holds. The other half is for what comes, if the oldest must go.
    pub(crate) fn settle_by_writing(&mut self, settles: bool) {
        let Size { messages, bytes } = self.bounds.window();
        self.window = if settles {
            Size { messages: messages.max(self.bounds.messages / 2), bytes: bytes.max(self.bounds.bytes / 2) }
        } else {
            Size { messages, bytes }
        };
    }

    /// When the oldest message that waits was accepted, in Unix milliseconds.
    pub(crate) fn oldest_ms(&self) -> Option<u64> {
        self.waiting.front().map(|run| run.batch.accepted_ms())
    }

    /// Which pass the messages taken now belong to.
    pub(crate) fn pass(&self) -> u32 {
        self.pass
    }

    /// The messages up to `number`, taken in `pass`, have been written to the client.
    /// False if they have come back since: then this write settles nothing.
    pub(crate) fn written(&mut self, pass: u32, number: u64) -> bool {
        let current = pass == self.pass;
        if current {
            self.written = self.written.max(number);
        }
        current
    }

    /// The client has settled everything up to `number`. Returns how many messages that were, or `None` if it was never sent
    /// that far.
    pub(crate) fn ack(&mut self, number: u64) -> Option<u64> {
        if number > self.taken {
            return None;
        }
        let number = self.replay.from.map_or(number, |replay| number.min(replay - 1));
        let before = self.flight.messages + self.wait.messages;
        settle(&mut self.in_flight, &mut self.flight, number);
        // What came back may be acknowledged late, from the copy that was sent before.
        settle(&mut self.waiting, &mut self.wait, number);
        Some(before - self.flight.messages - self.wait.messages)
    }

    /// The client gives `number` and all after it back; what was never sent is not its to give. The next run taken tells it
    /// that everything before was under way already, whether or not `number` itself is there to come again. Returns what was
    /// given up for it.
    pub(crate) fn again(&mut self, number: u64) -> Option<GivenUp> {
        if number == 0 || number > self.taken {
            return None;
        }
        // What was asked for before is still owed, too.
        let from = self.replay.from.map_or(number, |before| before.min(number));
        self.replay = Replay { from: Some(from), untold: true };
        self.bring_back(number)
    }

    /// The client gives this one message up. `None` if the queue has not sent it or does not hold it any more.
    pub(crate) fn give_up_one(&mut self, number: u64) -> Option<GivenUp> {
        if number > self.taken {
            return None;
        }
        // What is in flight has not come back from its last attempt.
        let in_flight =
            cut_out(&mut self.in_flight, &mut self.flight, number).map(|run| Run { attempts: run.attempts + 1, ..run });
        let run = in_flight.or_else(|| cut_out(&mut self.waiting, &mut self.wait, number))?;
        self.push_poison(Poison::new(&run));
        Some(GivenUp { number, attempts: run.attempts })
    }

    /// Everything in flight comes back: the connection is lost or nothing was acknowledged in time. Returns what was given up.
    pub(crate) fn bring_all_back(&mut self) -> Option<GivenUp> {
        self.bring_back(0)
    }

    /// What is in flight from `number` on goes back to the head of what waits, marked: the client may have seen it. An attempt
    /// is counted for the first of them, if it was written.
    fn bring_back(&mut self, number: u64) -> Option<GivenUp> {
        let mut returned = VecDeque::new();
        while let Some(mut run) = self.in_flight.pop_back() {
            self.flight.sub(&run);
            if run.first >= number {
                returned.push_front(run);
                continue;
            }
            if let Some(later) = run.split_at_number(number) {
                returned.push_front(later);
            }
            self.flight.add(&run);
            self.in_flight.push_back(run);
            break;
        }
        let given_up = self.count_attempt(&mut returned);
        for mut run in returned.into_iter().rev() {
            run.redelivered = true;
            self.wait.add(&run);
            self.waiting.push_front(run);
        }
        self.written = self.written.min(number.saturating_sub(1));
        self.pass = self.pass.wrapping_add(1);
        given_up
    }

    /// The first of what came back is the suspect: at its last attempt it is given up, and what is behind it goes on.
    fn count_attempt(&mut self, returned: &mut VecDeque<Run>) -> Option<GivenUp> {
        let mut head = returned.pop_front()?;
        if head.first > self.written {
            returned.push_front(head);
            return None;
        }
        if head.len > 1 {
            returned.push_front(head.split_off(1));
        }
        head.attempts += 1;
        if head.attempts < self.bounds.attempts {
            returned.push_front(head);
            return None;
        }
        let given_up = GivenUp { number: head.first, attempts: head.attempts };
        self.push_poison(Poison::new(&head));
        Some(given_up)
    }

    /// Keeps one more, and forgets the oldest beyond the bounds: their own in number, the queue's in bytes.
    fn push_poison(&mut self, poison: Poison) {
        self.poison_bytes += poison.bytes();
        self.poison.push_back(poison);
        while (self.poison.len() > self.bounds.poison || self.poison_bytes > self.bounds.bytes)
            && let Some(oldest) = self.poison.pop_front()
        {
            self.poison_bytes -= oldest.bytes();
            self.dropped.count(DropReason::PoisonFull, 1);
        }
    }

    /// Puts the poison back at the tail, marked as redelivered and with its attempts forgotten. Returns how many.
    pub(crate) fn redeliver(&mut self, room: &Room, now: Instant) -> u64 {
        let all = std::mem::take(&mut self.poison);
        self.poison_bytes = 0;
        let messages = all.len() as u64;
        for poison in all {
            let batch = Arc::new(poison.into_batch(room));
            let run = Run { redelivered: true, ..Run::new(batch, 0, 1, self.next) };
            self.next += 1;
            self.wait.add(&run);
            self.waiting.push_back(run);
        }
        if self.is_over() {
            self.shed(now, DropReason::QueueFull);
        }
        messages
    }

    /// The client is here: receipts may be held for it. A queue that was live already has lost whoever served it, and with it
    /// perhaps what was taken or an `again`: everything comes back, and says so. Returns what was given up for it.
    pub(crate) fn go_live(&mut self) -> Option<GivenUp> {
        self.shedding = false;
        if !std::mem::replace(&mut self.live, true) {
            return None;
        }
        self.replay.untold = true;
        self.bring_all_back()
    }

    /// Whoever served it has failed, and with it perhaps an `again` that it had not handled: what is in flight comes back, and
    /// says so. Receipts are held as before. Returns what was given up for it.
    pub(crate) fn lose_subscriber(&mut self) -> Option<GivenUp> {
        self.replay.untold |= self.live;
        self.bring_all_back()
    }

    /// The client is gone: what was in flight comes back, nobody waits for this queue any more.
    pub(crate) fn park(&mut self, now: Instant) -> Option<GivenUp> {
        self.live = false;
        self.replay = Replay::default();
        let given_up = self.bring_all_back();
        self.shed(now, DropReason::QueueFull);
        given_up
    }

    /// The receipts that need not be held any longer. Drop them when no lock is held.
    pub(crate) fn release(&mut self) -> Vec<R> {
        if self.shedding && self.is_half_empty() {
            self.shedding = false;
        }
        if self.held.is_empty() || self.is_over() {
            return Vec::new();
        }
        self.held_until = None;
        std::mem::take(&mut self.held)
    }

    /// The time of the held receipts may be over: then the oldest messages go and nobody waits for this queue for a while.
    pub(crate) fn hold_expired(&mut self, now: Instant) {
        if self.held_until.is_some_and(|until| until <= now) {
            self.shedding = true;
            self.shed(now, DropReason::QueueFull);
        }
    }

    /// When the time of the held receipts will be over, if any are held in vain.
    pub(crate) fn held_until(&self) -> Option<Instant> {
        self.held_until.filter(|_| self.is_over())
    }

    /// Throws away what waits and the poison; what is in flight stays.
    pub(crate) fn purge(&mut self) -> Lost {
        let lost = Lost {
            queued: self.wait.messages,
            poison: self.poison.len() as u64,
            backlog: 0,
            bytes: self.wait.bytes + self.poison_bytes,
        };
        self.waiting.clear();
        self.poison.clear();
        (self.wait, self.poison_bytes) = (Size::default(), 0);
        lost
    }

    /// Drops what may no longer be seen, by topic: what waits, the poison, and what is in flight, so that nothing of it comes
    /// again. All of it is counted, also what its client may have read by now.
    pub(crate) fn withdraw(&mut self, mut may_be_seen: impl FnMut(&TopicName) -> bool) -> Lost {
        let mut lost = Lost::default();
        for (runs, size) in [(&mut self.in_flight, &mut self.flight), (&mut self.waiting, &mut self.wait)] {
            runs.retain(|run| {
                let stays = may_be_seen(run.batch.topic());
                if !stays {
                    size.sub(run);
                    lost.queued += u64::from(run.len);
                    lost.bytes += run.bytes();
                }
                stays
            });
        }
        self.poison.retain(|poison| {
            let stays = may_be_seen(poison.topic());
            if !stays {
                self.poison_bytes -= poison.bytes();
                lost.poison += 1;
                lost.bytes += poison.bytes();
            }
            stays
        });
        self.dropped.count(DropReason::RightWithdrawn, lost.messages());
        lost
    }

    /// Ends the queue. What it still held is lost; receipts come free with [`release`](Self::release).
    pub(crate) fn close(&mut self) -> Lost {
        self.closed = true;
        let flight = self.flight;
        let mut lost = self.purge();
        self.in_flight.clear();
        self.flight = Size::default();
        lost.queued += flight.messages;
        lost.bytes += flight.bytes;
        lost
    }

    /// What it holds.
    pub(crate) fn depth(&self) -> Depth {
        Depth {
            waiting: self.wait.messages,
            in_flight: self.flight.messages,
            poison: self.poison.len() as u64,
            bytes: self.wait.bytes + self.flight.bytes + self.poison_bytes,
            dropped: self.dropped.all,
        }
    }

    /// What was dropped since the last call, by reason.
    pub(crate) fn take_untold(&mut self) -> impl Iterator<Item = (DropReason, u64)> + use<R> {
        let untold = std::mem::take(&mut self.dropped.untold);
        Dropped::REASONS.into_iter().zip(untold).filter(|(_, messages)| *messages > 0)
    }
}
