//! What the threads of a measurement know of one another: a few counters, and whether to stop.

use std::{
    io,
    sync::{
        Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{
            AtomicBool, AtomicU64,
            Ordering::{Relaxed, SeqCst},
        },
    },
    time::{Duration, Instant},
};

use super::load::{Bell, LoadError};

/// How far a measurement is, for whoever watches it; and whether that person has had enough.
#[derive(Debug, Default)]
pub(super) struct Gauge {
    pub(super) stop: AtomicBool,
    pub(super) sent: AtomicU64,
    pub(super) delivered: AtomicU64,
    /// Seconds since something came, although something should.
    pub(super) silence: AtomicU64,
    stage: Mutex<Stage>,
}

/// What is under way.
#[derive(Debug, Clone, Default)]
pub(super) struct Stage {
    pub(super) title: String,
    /// What the two counts count.
    pub(super) counts: [&'static str; 2],
}

impl Gauge {
    /// Something else begins.
    pub(super) fn enter(&self, stage: Stage) {
        *self.stage.lock().unwrap_or_else(PoisonError::into_inner) = stage;
        self.sent.store(0, Relaxed);
        self.delivered.store(0, Relaxed);
        self.silence.store(0, Relaxed);
    }

    pub(super) fn stage(&self) -> Stage {
        self.stage.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// # Errors
    /// Somebody has had enough.
    pub(super) fn check(&self) -> Result<(), LoadError> {
        if self.stop.load(Relaxed) { Err(LoadError::Interrupted) } else { Ok(()) }
    }
}

/// When somebody else was there, and was gone again.
#[derive(Debug, Default)]
pub(super) struct Stay(Mutex<Vec<(Instant, Option<Instant>)>>);

impl Stay {
    fn times(&self) -> MutexGuard<'_, Vec<(Instant, Option<Instant>)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn begin(&self, now: Instant) {
        self.times().push((now, None));
    }

    pub(super) fn end(&self, now: Instant) {
        if let Some((_, end)) = self.times().last_mut() {
            *end = Some(now);
        }
    }

    fn holds(&self, moment: Instant) -> bool {
        self.times().iter().any(|(began, ended)| *began <= moment && ended.is_none_or(|ended| moment <= ended))
    }

    /// How much of the time between two moments it covered: 1 is all of it.
    pub(super) fn share(&self, from: Instant, to: Instant) -> f64 {
        let within = |(began, ended): &(Instant, Option<Instant>)| {
            ended.map_or(to, |ended| ended.min(to)).saturating_duration_since(from.max(*began))
        };
        let covered: Duration = self.times().iter().map(within).sum();
        covered.as_secs_f64() / to.saturating_duration_since(from).as_secs_f64().max(1e-9)
    }
}

/// How far the messages of a lane are.
#[derive(Debug)]
struct Lane {
    /// Those that its slowest subscriber has behind it.
    passed: AtomicU64,
    /// As many as publishers wait for; none if nobody waits.
    awaited: AtomicU64,
}

/// Between publishers and subscribers of one run.
#[derive(Debug)]
pub(super) struct Shared<'a> {
    pub(super) gauge: &'a Gauge,
    lanes: Vec<Lane>,
    /// Rung when a lane has come as far as its publishers wait for.
    pub(super) bell: Bell,
    /// Messages by stream, once there will be no more.
    pub(super) published: OnceLock<Vec<u64>>,
    /// All of that is written and, where there is such a thing, acknowledged.
    pub(super) settled: AtomicBool,
    /// Nothing moves any more: publishers end with what they have.
    pub(super) stalled: AtomicBool,
    /// After so long without a message nothing moves any more.
    pub(super) patience: Duration,
    /// No more is wanted: publishers end with what they have, and subscribers when that has come.
    pub(super) enough: AtomicBool,
    /// With company, only what is due meanwhile counts.
    pub(super) company: Option<Stay>,
    failed: AtomicBool,
}

impl<'a> Shared<'a> {
    pub(super) fn new(gauge: &'a Gauge, lanes: usize, patience: Duration) -> io::Result<Self> {
        let lane = |_| Lane { passed: AtomicU64::new(0), awaited: AtomicU64::new(u64::MAX) };
        Ok(Self {
            gauge,
            lanes: (0..lanes).map(lane).collect(),
            bell: Bell::new()?,
            published: OnceLock::new(),
            settled: AtomicBool::new(false),
            stalled: AtomicBool::new(false),
            patience,
            enough: AtomicBool::new(false),
            company: None,
            failed: AtomicBool::new(false),
        })
    }

    /// If somebody else will be there.
    pub(super) fn in_company(self, is_it: bool) -> Self {
        Self { company: is_it.then(Stay::default), ..self }
    }

    /// True if how late a message is that is due then counts.
    pub(super) fn counts(&self, due: Instant) -> bool {
        self.company.as_ref().is_none_or(|stay| stay.holds(due))
    }

    /// True if publishers are to publish no more.
    pub(super) fn is_over(&self) -> bool {
        self.stalled.load(Relaxed) || self.enough.load(Relaxed)
    }

    pub(super) fn lanes(&self) -> usize {
        self.lanes.len()
    }

    /// Messages of a lane that its slowest subscriber has behind it.
    pub(super) fn passed(&self, lane: usize) -> u64 {
        self.lanes[lane].passed.load(Relaxed)
    }

    /// So many are behind it now.
    pub(super) fn pass(&self, lane: usize, passed: u64) {
        let Lane { passed: known, awaited } = &self.lanes[lane];
        known.store(passed, SeqCst);
        // Whoever begins to wait says so before it looks, and this looks after it has said: one of the two always sees the other.
        if awaited.load(SeqCst) <= passed {
            awaited.store(u64::MAX, SeqCst);
            self.bell.ring();
        }
    }

    /// Has the bell rung when so many of a lane are behind its slowest subscriber.
    pub(super) fn ring_at(&self, lane: usize, passed: u64) {
        let Lane { passed: known, awaited } = &self.lanes[lane];
        awaited.store(passed, SeqCst);
        if known.load(SeqCst) >= passed {
            self.bell.ring();
        }
    }

    /// What one side returns; if that is an error the other side ends, too.
    pub(super) fn told<T>(&self, outcome: Result<T, LoadError>) -> Result<T, LoadError> {
        if outcome.is_err() {
            self.failed.store(true, Relaxed);
        }
        outcome
    }

    /// # Errors
    /// To be looked at now and then: there is no point in going on.
    pub(super) fn check(&self) -> Result<(), LoadError> {
        if self.failed.load(Relaxed) { Err(LoadError::Interrupted) } else { self.gauge.check() }
    }
}

#[cfg(test)]
mod tests {
    use super::{super::load::Watch, *};

    /// What is due before or after is as it is without company.
    #[test]
    fn with_company_only_what_is_due_meanwhile_counts() {
        let (gauge, now) = (Gauge::default(), Instant::now());
        let after = |seconds| now + Duration::from_secs(seconds);
        let alone = Shared::new(&gauge, 1, Duration::ZERO).unwrap();
        assert!(alone.counts(now));
        let shared = alone.in_company(true);
        let stay = shared.company.as_ref().unwrap();
        assert!(!shared.counts(now));
        stay.begin(after(1));
        assert_eq!([now, after(1), after(9)].map(|due| shared.counts(due)), [false, true, true]);
        stay.end(after(2));
        assert_eq!([now, after(2), after(3)].map(|due| shared.counts(due)), [false, true, false]);
        stay.begin(after(5));
        assert_eq!([after(2), after(4), after(6)].map(|due| shared.counts(due)), [true, false, true]);
    }

    /// Whichever of the two comes first: a publisher that waits hears of what it waits for, once, and of nothing less.
    #[test]
    fn a_publisher_that_waits_is_rung() {
        let (gauge, watch) = (Gauge::default(), Watch::new().unwrap());
        let shared = Shared::new(&gauge, 2, Duration::ZERO).unwrap();
        watch.add(&shared.bell, 7).unwrap();
        let rung = || {
            let heard = watch.wait(Duration::ZERO).unwrap();
            shared.bell.hush();
            heard == [7]
        };
        shared.ring_at(1, 10);
        shared.pass(0, 99);
        shared.pass(1, 9);
        assert!(!rung());
        shared.pass(1, 10);
        assert!(rung());
        shared.pass(1, 20);
        assert!(!rung(), "nobody waits any more");
        shared.ring_at(1, 20);
        assert!(rung(), "it is so far already");
    }

    /// Whoever is still there covers the rest; what is before or after does not count.
    #[test]
    fn company_covers_a_share_of_the_time() {
        let (stay, now) = (Stay::default(), Instant::now());
        let after = |seconds| now + Duration::from_secs(seconds);
        stay.begin(now);
        stay.end(after(2));
        stay.begin(after(9));
        let shares = [(1, 11), (3, 8), (0, 2), (10, 20)].map(|(from, to)| stay.share(after(from), after(to)));
        assert!(shares.iter().zip([0.3, 0.0, 1.0, 1.0]).all(|(share, expected)| (share - expected).abs() < 1e-9), "{shares:?}");
    }
}
