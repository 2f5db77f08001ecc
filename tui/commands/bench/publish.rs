//! The publishing side: one thread, as many connections as a plan has publishers; as fast as can be, or at a rate.

use std::{
    num::NonZeroU64,
    sync::atomic::Ordering::Relaxed,
    thread,
    time::{Duration, Instant},
};

use super::{
    load::{Connection, LoadError, Protocol, Watch},
    plan::{Amount, Plan},
    shared::Shared,
    verify::Payload,
};

/// Bytes that are written at once, if there are as many.
const WRITE: usize = 32 << 10;
/// What a protocol may put around a payload.
const AROUND: usize = 32;
/// The number of the bell, among those of clients.
const BELL: usize = usize::MAX;
/// How long nobody looks whether to stop.
const TURN: Duration = Duration::from_millis(50);
/// How often acknowledgements are read while messages go out at a rate.
const READ_EVERY: Duration = Duration::from_millis(5);

/// When each message is to be sent, whatever became of those before it: what is late counts from here. How late it was sent is told
/// apart: that is the load's own doing.
#[derive(Debug, Clone, Copy)]
pub(super) struct Schedule {
    pub(super) start: Instant,
    interval: Duration,
    publishers: u32,
}

impl Schedule {
    pub(super) fn new(start: Instant, rate: u32, publishers: usize) -> Self {
        Self { start, interval: Duration::from_secs(1) / rate, publishers: publishers as u32 }
    }

    /// Message `number` of a publisher. Publishers take turns, evenly.
    pub(super) fn due(&self, publisher: u32, number: u64) -> Instant {
        let nanos = self.interval.as_nanos() as u64 * number;
        self.start + Duration::from_nanos(nanos) + self.interval * publisher / self.publishers
    }
}

/// One connection that publishes.
#[derive(Debug)]
struct Publisher<P> {
    connection: Connection<P>,
    lane: usize,
    /// By stream, from the first one of this publisher.
    topics: Vec<String>,
    sent: Vec<u64>,
    first: usize,
    turn: usize,
    left: u64,
    is_blocked: bool,
}

impl<P: Protocol> Publisher<P> {
    /// Publishes `count` messages, so `late`, to its topics in turn, when it is flushed.
    fn write(&mut self, count: u64, late: Duration, payload: &mut Payload) {
        for _ in 0..count {
            let (stream, number) = ((self.first + self.turn) as u32, &mut self.sent[self.turn]);
            self.connection.publish(&self.topics[self.turn], payload.stamped_late(stream, *number, late));
            *number += 1;
            self.turn = if self.turn + 1 == self.topics.len() { 0 } else { self.turn + 1 };
        }
        self.left -= count;
    }
}

/// What a publisher could do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Moved,
    /// Its subscribers have to catch up.
    Ahead,
    /// The broker has to read or to acknowledge.
    Waiting,
    Done,
}

/// All connections that publish.
#[derive(Debug)]
pub(super) struct Publishers<'a, P> {
    plan: &'a Plan,
    clients: Vec<Publisher<P>>,
    payload: Payload,
    watch: Watch,
    /// Who publishes first: each in turn, so that no one takes all of a small window.
    first: usize,
    /// By lane.
    sent: Vec<u64>,
    batch: u64,
    window: u64,
}

impl<'a, P: Protocol> Publishers<'a, P> {
    pub(super) fn new(plan: &'a Plan, connections: Vec<Connection<P>>) -> Result<Self, LoadError> {
        let watch = Watch::new()?;
        let streams = plan.streams() as u64;
        let mut clients = Vec::with_capacity(connections.len());
        for (number, connection) in connections.into_iter().enumerate() {
            connection.set_nonblocking()?;
            watch.add(&connection, number)?;
            let range = plan.streams_of_publisher(number);
            let left = match plan.amount {
                Amount::Time(_) => u64::MAX,
                Amount::Messages(all) => {
                    range.clone().map(|stream| all / streams + u64::from((stream as u64) < all % streams)).sum()
                }
            };
            clients.push(Publisher {
                connection,
                lane: plan.lane_of(number),
                topics: range.clone().map(|stream| P::topic(plan.topic_of(stream))).collect(),
                sent: vec![0; range.len()],
                first: range.start,
                turn: 0,
                left,
                is_blocked: false,
            });
        }
        let window = (plan.window / plan.lanes() as u64).max(1);
        let batch = ((WRITE / (plan.payload + AROUND)) as u64).clamp(1, window.div_ceil(2));
        let (payload, sent) = (Payload::new(plan.payload), vec![0; plan.lanes()]);
        Ok(Self { plan, clients, first: 0, payload, watch, sent, batch, window })
    }

    /// Publishes all there is to publish, and waits until it is acknowledged.
    pub(super) fn run(&mut self, shared: &Shared<'_>, schedule: Option<Schedule>) -> Result<(), LoadError> {
        self.watch.add(&shared.bell, BELL)?;
        match schedule {
            None => self.as_fast_as_can_be(shared)?,
            Some(schedule) => self.at_a_rate(shared, schedule)?,
        }
        let published = self.clients.iter().flat_map(|publisher| publisher.sent.iter().copied()).collect();
        shared.published.set(published).expect("it is set once, here");
        self.settle(shared)
    }

    /// Waits until all is written and acknowledged, or nothing moves any more.
    fn settle(&mut self, shared: &Shared<'_>) -> Result<(), LoadError> {
        // Subscribers give up earlier, and know what is missing. If they miss nothing, it is acknowledgements that stay away.
        let patience = 2 * shared.patience;
        let mut heard = Instant::now();
        while !self.clients.iter().all(|publisher| !publisher.is_blocked && publisher.connection.protocol.is_settled()) {
            shared.check()?;
            if shared.stalled.load(Relaxed) {
                return Ok(());
            }
            if self.read(TURN, shared)? {
                heard = Instant::now();
            } else if heard.elapsed() > patience {
                let waits_for = "messages that it had delivered were to be acknowledged";
                return Err(LoadError::Silent { seconds: patience.as_secs(), waits_for });
            }
        }
        shared.settled.store(true, Relaxed);
        Ok(())
    }

    /// For good.
    pub(super) fn leave(self) {
        self.clients.into_iter().for_each(|publisher| publisher.connection.leave());
    }

    fn as_fast_as_can_be(&mut self, shared: &Shared<'_>) -> Result<(), LoadError> {
        let end = match self.plan.amount {
            Amount::Time(time) => Some(Instant::now() + time),
            Amount::Messages(_) => None,
        };
        loop {
            shared.check()?;
            if shared.is_over() || end.is_some_and(|end| Instant::now() >= end) {
                self.clients.iter_mut().for_each(|publisher| publisher.left = 0);
            }
            let mut steps = [false; 4];
            for number in (self.first..self.clients.len()).chain(0..self.first) {
                steps[self.step(number, shared)? as usize] = true;
            }
            shared.gauge.sent.store(self.sent.iter().sum(), Relaxed);
            let [moved, ahead, waiting, _] = steps;
            if moved {
                self.first = (self.first + 1) % self.clients.len();
            }
            let time = match (moved, ahead || waiting) {
                (true, _) => Duration::ZERO,
                (false, true) => TURN,
                (false, false) => return Ok(()),
            };
            self.read(time, shared)?;
        }
    }

    /// Publishes one batch on one connection, if it may and can.
    fn step(&mut self, number: usize, shared: &Shared<'_>) -> Result<Step, LoadError> {
        let publisher = &mut self.clients[number];
        if publisher.is_blocked {
            return Ok(Step::Waiting);
        }
        if publisher.left == 0 {
            return Ok(Step::Done);
        }
        let wanted = self.batch.min(publisher.left);
        let sent = self.sent[publisher.lane];
        if sent.saturating_sub(shared.passed(publisher.lane)) + wanted > self.window {
            // Half of the window at once, which has room for a batch: rung for each message, it would send messages one by one.
            shared.ring_at(publisher.lane, sent - self.window / 2);
            return Ok(Step::Ahead);
        }
        let credit = publisher.connection.protocol.credit(self.plan.payload);
        if credit == 0 && publisher.connection.protocol.is_settled() {
            return Err(LoadError::NoCredit { payload: self.plan.payload });
        }
        // A whole batch, so that a credit that comes in drops does not make many small writes.
        if credit < wanted && (credit == 0 || !publisher.connection.protocol.is_settled()) {
            return Ok(Step::Waiting);
        }
        let count = wanted.min(credit);
        publisher.write(count, Duration::ZERO, &mut self.payload);
        self.sent[publisher.lane] += count;
        self.flush(number)?;
        Ok(Step::Moved)
    }

    fn at_a_rate(&mut self, shared: &Shared<'_>, schedule: Schedule) -> Result<(), LoadError> {
        // The system lets a sleeper sleep longer, so that wakes coincide; this thread is a clock.
        let _ = rustix::thread::set_current_timer_slack(NonZeroU64::new(1));
        let mut read = Instant::now();
        let mut number = 0;
        while self.clients.iter().any(|publisher| publisher.left > 0) {
            for index in 0..self.clients.len() {
                let due = schedule.due(index as u32, number);
                if let Amount::Time(time) = self.plan.amount
                    && due >= schedule.start + time
                {
                    return Ok(());
                }
                self.wait_until(due, shared, &mut read)?;
                if shared.is_over() {
                    return Ok(());
                }
                if self.clients[index].left > 0 {
                    self.clients[index].write(1, due.elapsed(), &mut self.payload);
                    shared.gauge.sent.fetch_add(1, Relaxed);
                    self.flush(index)?;
                }
            }
            number += 1;
        }
        Ok(())
    }

    /// Sleeps, and now and then reads what has come.
    fn wait_until(&mut self, due: Instant, shared: &Shared<'_>, read: &mut Instant) -> Result<(), LoadError> {
        loop {
            let now = Instant::now();
            if now.duration_since(*read) >= READ_EVERY {
                *read = now;
                shared.check()?;
                self.read(Duration::ZERO, shared)?;
            }
            match due.checked_duration_since(now) {
                None | Some(Duration::ZERO) => return Ok(()),
                Some(left) => thread::sleep(left.min(TURN)),
            }
        }
    }

    /// Reads what has come within `time`, and writes where there is room again. True if something moved.
    fn read(&mut self, time: Duration, shared: &Shared<'_>) -> Result<bool, LoadError> {
        let mut moved = false;
        for number in self.watch.wait(time)? {
            if number == BELL {
                shared.bell.hush();
                continue;
            }
            self.clients[number].connection.receive(&mut |_| {})?;
            self.flush(number)?;
            moved = true;
        }
        Ok(moved)
    }

    fn flush(&mut self, number: usize) -> Result<(), LoadError> {
        let publisher = &mut self.clients[number];
        let is_blocked = !publisher.connection.flush()?;
        if is_blocked != publisher.is_blocked {
            publisher.is_blocked = is_blocked;
            self.watch.also_writable(&publisher.connection, number, is_blocked)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whatever became of the messages before it, each has its time; publishers do not send all at once.
    #[test]
    fn a_schedule_is_even() {
        let start = Instant::now();
        let schedule = Schedule::new(start, 500, 4);
        let micros = |publisher, number| (schedule.due(publisher, number) - start).as_micros();
        assert_eq!([micros(0, 0), micros(1, 0), micros(3, 0), micros(0, 1), micros(1, 1_000)], [0, 500, 1_500, 2_000, 2_000_500]);
    }
}
