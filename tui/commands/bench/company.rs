//! Who else is there while quiet clients are measured: a flood of another topic, or a drain of many dead letters.
//!
//! The broker is to be fair, and the load shares its processors: threads that flood or drain stand back for all others, so that
//! what they take from the quiet clients' own threads is little, and what is left is the broker's doing.

use std::{
    sync::atomic::Ordering::Relaxed,
    thread,
    time::{Duration, Instant},
};

use super::{
    Target,
    figures::Measure,
    load::{LoadError, Protocol},
    offline::{Away, Drained, quiet},
    plan::Plan,
    publish::Publishers,
    shared::{Gauge, Shared},
    subscribe::Subscribers,
    traffic::{both, flow, publishers, subscribers},
    verify::Verdict,
};
use crate::cli::Company;

/// The nicest there is.
const NICE: i32 = 19;
/// The quiet clients have begun, before what is soon over begins.
const AFTER: Duration = Duration::from_millis(100);

/// Somebody who is about to come.
#[derive(Debug)]
pub(super) enum Guest {
    Flood(Plan),
    Drain { away: Away, letters: u64 },
}

/// What a guest has had.
#[derive(Debug)]
pub(super) struct Visit {
    /// What its rate is.
    pub(super) measure: Measure,
    pub(super) verdict: Verdict,
    pub(super) wall: Duration,
}

impl Guest {
    /// Prepares all that is to be there before.
    pub(super) fn invite(company: Company, plan: &Plan, target: &Target<'_>, gauge: &Gauge) -> Result<Self, LoadError> {
        match company {
            Company::Flood => Ok(Self::Flood(plan.flood())),
            Company::Drain => {
                let mut away = Away::from(plan.topic_of_company(), plan.payload, target)?;
                away.fill(plan.letters, gauge)?;
                quiet(target, gauge)?;
                gauge.sent.store(0, Relaxed);
                Ok(Self::Drain { away, letters: plan.letters })
            }
        }
    }

    /// Is there while the `hosts` do what they do. A flood ends with them, and they end with a drain.
    pub(super) fn beside<P: Protocol, T>(
        self,
        target: &Target<'_>,
        ours: &Shared<'_>,
        hosts: impl FnOnce() -> Result<T, LoadError>,
    ) -> Result<(T, Visit), LoadError> {
        let gauge = Gauge::default();
        let theirs = Shared::new(&gauge, 1, target.patience);
        thread::scope(|scope| {
            let visiting = scope.spawn(|| ours.told(self.stay::<P>(target, ours, &theirs)));
            let done = hosts();
            theirs.enough.store(true, Relaxed);
            gauge.stop.store(done.is_err(), Relaxed);
            let visit = visiting.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            both(done, visit)
        })
    }

    fn stay<P: Protocol>(self, target: &Target<'_>, ours: &Shared<'_>, theirs: &Shared<'_>) -> Result<Visit, LoadError> {
        // For this thread, and those that it starts. A system that does not want that measures the load, too.
        let _ = rustix::process::setpriority_process(None, NICE);
        match self {
            Self::Flood(plan) => flood::<P>(&plan, target, ours, theirs),
            Self::Drain { away, letters } => drain(away, letters, target, ours, theirs),
        }
    }
}

fn begin(ours: &Shared<'_>) -> Instant {
    let now = Instant::now();
    *ours.company.as_ref().map_or(&now, |stay| stay.began.get_or_init(|| now))
}

fn flood<P: Protocol>(plan: &Plan, target: &Target<'_>, ours: &Shared<'_>, theirs: &Shared<'_>) -> Result<Visit, LoadError> {
    let mut subscribers = Subscribers::new(plan, subscribers::<P>(plan, target, theirs.gauge)?, Vec::new())?;
    let mut publishers = Publishers::new(plan, publishers::<P>(plan, target, theirs.gauge)?)?;
    let start = begin(ours);
    let received = flow(&mut publishers, &mut subscribers, theirs, None)?;
    publishers.leave();
    subscribers.leave();
    let wall = received.last.map_or(Duration::ZERO, |last| last - start);
    Ok(Visit { measure: Measure::Flood, verdict: received.verdict, wall })
}

fn drain(away: Away, letters: u64, target: &Target<'_>, ours: &Shared<'_>, theirs: &Shared<'_>) -> Result<Visit, LoadError> {
    thread::sleep(AFTER);
    begin(ours);
    let Drained { verdict, wall } = away.drain(letters, target, theirs.gauge)?;
    ours.company.as_ref().map(|stay| stay.ended.set(Instant::now()));
    ours.enough.store(true, Relaxed);
    away.leave();
    Ok(Visit { measure: Measure::Drain, verdict, wall })
}
