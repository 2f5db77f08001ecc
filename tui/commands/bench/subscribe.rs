//! The subscribing side: one thread that reads whatever comes on any connection, verifies it, and says how far it is.

use std::{
    sync::atomic::Ordering::Relaxed,
    time::{Duration, Instant},
};

use super::{
    load::{Connection, Heard, LoadError, Protocol, Read, Watch},
    plan::Plan,
    publish::Schedule,
    shared::Shared,
    statistics::Times,
    verify::{Ledger, Verdict},
};

/// How long nobody looks whether to stop.
const TURN: Duration = Duration::from_millis(50);
/// All is published and acknowledged, and nothing came for so long: what is missing will not come. Longer than a broker may hold
/// something back for want of a processor.
pub(super) const LAST_PATIENCE: Duration = Duration::from_secs(3);
/// Well below the shortest time after which a broker gives a silent client up.
const HEARTBEAT: Duration = Duration::from_secs(10);

/// One connection that receives.
#[derive(Debug)]
struct Subscriber<P> {
    connection: Connection<P>,
    lane: usize,
    ledger: Ledger,
    is_blocked: bool,
}

/// All connections that receive, and those that are only there.
#[derive(Debug)]
pub(super) struct Subscribers<P> {
    clients: Vec<Subscriber<P>>,
    /// They have filters that match nothing, and topics that nobody hears of.
    background: Vec<Connection<P>>,
    watch: Watch,
}

/// How late messages are that have a time.
#[derive(Debug, Default)]
pub(super) struct Delays {
    /// In all: from that time until they are read.
    pub(super) in_all: Times,
    /// Before they were written: the load's doing.
    pub(super) before: Times,
    /// From then until they came to the subscriber's system: the broker's doing.
    pub(super) within: Times,
}

/// What has come.
#[derive(Debug, Default)]
pub(super) struct Received {
    pub(super) verdict: Verdict,
    pub(super) delays: Delays,
    pub(super) last: Option<Instant>,
}

impl<P: Protocol> Subscribers<P> {
    pub(super) fn new(plan: &Plan, connections: Vec<Connection<P>>, background: Vec<Connection<P>>) -> Result<Self, LoadError> {
        let watch = Watch::new()?;
        let mut clients = Vec::with_capacity(connections.len());
        for (number, mut connection) in connections.into_iter().enumerate() {
            connection.set_nonblocking()?;
            if plan.rate.is_some() {
                connection.note_arrivals()?;
            }
            watch.add(&connection, number)?;
            let ledger = Ledger::new(plan.streams_of_subscriber(number), plan.payload, plan.rate.is_some());
            clients.push(Subscriber { connection, lane: plan.lane_of(number), ledger, is_blocked: false });
        }
        for (number, connection) in background.iter().enumerate() {
            connection.set_nonblocking()?;
            watch.add(connection, clients.len() + number)?;
        }
        Ok(Self { clients, background, watch })
    }

    /// Receives until all that was published has come, or nothing comes any more.
    pub(super) fn run(&mut self, shared: &Shared<'_>, schedule: Option<Schedule>) -> Result<Received, LoadError> {
        let mut received = Received::default();
        let (mut heard, mut beat, mut is_settled) = (Instant::now(), Instant::now(), false);
        loop {
            shared.check()?;
            let came = self.read(shared, schedule, &mut received.delays)?;
            let now = Instant::now();
            if came {
                heard = now;
                received.last = Some(now);
            }
            if let Some(published) = shared.published.get() {
                let is_stalled = shared.stalled.load(Relaxed);
                if is_stalled || self.clients.iter().all(|subscriber| subscriber.ledger.is_through(published)) {
                    break;
                }
            }
            if !is_settled && shared.settled.load(Relaxed) {
                (is_settled, heard) = (true, now);
            }
            let (silence, last) = (now.duration_since(heard), shared.patience.min(LAST_PATIENCE));
            shared.gauge.silence.store(silence.as_secs(), Relaxed);
            let patience = if is_settled { last } else { shared.patience };
            if silence > patience && shared.gauge.sent.load(Relaxed) > 0 {
                shared.stalled.store(true, Relaxed);
            }
            if now.duration_since(beat) > HEARTBEAT {
                beat = now;
                self.beat()?;
            }
        }
        let published = shared.published.get().expect("the loop ends when it is there");
        let verdicts = self.clients.iter().map(|subscriber| subscriber.ledger.close(published));
        received.verdict = verdicts.fold(Verdict::default(), Verdict::and);
        Ok(received)
    }

    /// For good.
    pub(super) fn leave(self) {
        self.clients.into_iter().for_each(|subscriber| subscriber.connection.leave());
        self.background.into_iter().for_each(Connection::leave);
    }

    /// Reads from each connection that has something. True if a message came.
    fn read(&mut self, shared: &Shared<'_>, schedule: Option<Schedule>, delays: &mut Delays) -> Result<bool, LoadError> {
        let Self { clients, background, watch } = self;
        let mut came = 0;
        for number in watch.wait(TURN)? {
            let Some(subscriber) = clients.get_mut(number) else {
                let background = &mut background[number - clients.len()];
                background.receive(&mut |_| {})?;
                background.flush()?;
                continue;
            };
            came += subscriber.read(shared, schedule, delays)?;
            let is_blocked = !subscriber.connection.flush()?;
            if is_blocked != subscriber.is_blocked {
                subscriber.is_blocked = is_blocked;
                watch.also_writable(&subscriber.connection, number, is_blocked)?;
            }
            // The only one of its lane, or one of many of the only lane.
            if shared.lanes() > 1 {
                shared.pass(subscriber.lane, subscriber.ledger.passed());
            }
        }
        if shared.lanes() == 1 {
            let slowest = clients.iter().map(|subscriber| subscriber.ledger.passed()).min();
            shared.pass(0, slowest.unwrap_or_default());
        }
        shared.gauge.delivered.fetch_add(came, Relaxed);
        Ok(came > 0)
    }

    fn beat(&mut self) -> Result<(), LoadError> {
        for subscriber in &mut self.clients {
            subscriber.connection.heartbeat()?;
        }
        for background in &mut self.background {
            background.heartbeat()?;
        }
        Ok(())
    }
}

impl<P: Protocol> Subscriber<P> {
    /// Reads once. Returns how many messages came.
    fn read(&mut self, shared: &Shared<'_>, schedule: Option<Schedule>, delays: &mut Delays) -> Result<u64, LoadError> {
        let Read::Some { arrived } = self.connection.read()? else { return Ok(0) };
        let (mut came, mut now) = (0, None);
        let ledger = &mut self.ledger;
        self.connection.hear(&mut |heard| {
            let Heard::Message(payload) = heard else { return };
            came += 1;
            if let (Some(stamp), Some(schedule)) = (ledger.enter(payload), schedule) {
                let (now, due) = (*now.get_or_insert_with(Instant::now), schedule.due(stamp.stream, stamp.number));
                if shared.counts(due) {
                    delays.in_all.add(now.saturating_duration_since(due));
                    delays.before.add(stamp.late);
                    // What nobody noted, or what cannot be said, is neither's doing.
                    if let Some(arrived) = arrived.filter(|_| !stamp.is_too_late()) {
                        delays.within.add(arrived.saturating_duration_since(due + stamp.late));
                    }
                }
            }
        })?;
        Ok(came)
    }
}
