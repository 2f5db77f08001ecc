//! What the threads of a measurement know of one another: a few counters, and whether to stop.

use std::{
    sync::{
        Mutex, OnceLock, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use super::load::LoadError;

/// How far a measurement is, for whoever watches it; and whether that person has had enough.
#[derive(Debug, Default)]
pub(super) struct Gauge {
    pub(super) stop: AtomicBool,
    pub(super) sent: AtomicU64,
    pub(super) delivered: AtomicU64,
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

/// How long somebody else is there.
#[derive(Debug, Default)]
pub(super) struct Stay {
    pub(super) began: OnceLock<Instant>,
    pub(super) ended: OnceLock<Instant>,
}

impl Stay {
    fn holds(&self, moment: Instant) -> bool {
        self.began.get().is_some_and(|began| *began <= moment) && self.ended.get().is_none_or(|ended| moment <= *ended)
    }
}

/// Between publishers and subscribers of one run.
#[derive(Debug)]
pub(super) struct Shared<'a> {
    pub(super) gauge: &'a Gauge,
    /// Messages of each lane that its slowest subscriber has behind it.
    pub(super) passed: Vec<AtomicU64>,
    /// Messages by stream, once there will be no more.
    pub(super) published: OnceLock<Vec<u64>>,
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
    pub(super) fn new(gauge: &'a Gauge, lanes: usize, patience: Duration) -> Self {
        Self {
            gauge,
            passed: (0..lanes).map(|_| AtomicU64::new(0)).collect(),
            published: OnceLock::new(),
            stalled: AtomicBool::new(false),
            patience,
            enough: AtomicBool::new(false),
            company: None,
            failed: AtomicBool::new(false),
        }
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
    use super::*;

    /// What is due before or after is as it is without company.
    #[test]
    fn with_company_only_what_is_due_meanwhile_counts() {
        let (gauge, now) = (Gauge::default(), Instant::now());
        let after = |seconds| now + Duration::from_secs(seconds);
        let alone = Shared::new(&gauge, 1, Duration::ZERO);
        assert!(alone.counts(now));
        let shared = alone.in_company(true);
        let stay = shared.company.as_ref().unwrap();
        assert!(!shared.counts(now));
        stay.began.set(after(1)).unwrap();
        assert_eq!([now, after(1), after(9)].map(|due| shared.counts(due)), [false, true, true]);
        stay.ended.set(after(2)).unwrap();
        assert_eq!([now, after(2), after(3)].map(|due| shared.counts(due)), [false, true, false]);
    }
}
