//! What the threads of a measurement know of one another: a few counters, and whether to stop.

use std::sync::{
    Mutex, OnceLock, PoisonError,
    atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
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
    failed: AtomicBool,
}

impl<'a> Shared<'a> {
    pub(super) fn new(gauge: &'a Gauge, lanes: usize) -> Self {
        let passed = (0..lanes).map(|_| AtomicU64::new(0)).collect();
        Self { gauge, passed, published: OnceLock::new(), stalled: AtomicBool::new(false), failed: AtomicBool::new(false) }
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
