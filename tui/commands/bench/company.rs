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
    offline::{Away, Drained},
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
/// What was published before a drain is done.
const AFTER: Duration = Duration::from_millis(100);
/// Dead letters between two looks whether they are still wanted.
const PART: usize = 10_000;

/// Somebody who is about to come.
#[derive(Debug)]
pub(super) enum Guest {
    Flood(Plan),
    /// The letters of the first of its drains are there.
    Drain(Box<Away>),
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
                away.fill(0..plan.letters, gauge)?;
                target.wait_until_quiet(gauge)?;
                gauge.sent.store(0, Relaxed);
                Ok(Self::Drain(Box::new(away)))
            }
        }
    }

    /// Is there while the `hosts` do what they do, and goes when they are done.
    pub(super) fn beside<P: Protocol, T>(
        self,
        plan: &Plan,
        target: &Target<'_>,
        ours: &Shared<'_>,
        hosts: impl FnOnce() -> Result<T, LoadError>,
    ) -> Result<(T, Visit), LoadError> {
        let gauge = Gauge::default();
        let theirs = Shared::new(&gauge, 1, target.patience)?;
        thread::scope(|scope| {
            let visiting = scope.spawn(|| ours.told(self.stay::<P>(plan, target, ours, &theirs)));
            let done = hosts();
            theirs.enough.store(true, Relaxed);
            gauge.stop.store(done.is_err(), Relaxed);
            let visit = visiting.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            both(done, visit)
        })
    }

    fn stay<P: Protocol>(
        self,
        plan: &Plan,
        target: &Target<'_>,
        ours: &Shared<'_>,
        theirs: &Shared<'_>,
    ) -> Result<Visit, LoadError> {
        // For this thread, and those that it starts. A system that does not want that measures the load, too.
        let _ = rustix::process::setpriority_process(None, NICE);
        match self {
            Self::Flood(plan) => flood::<P>(&plan, target, ours, theirs),
            Self::Drain(away) => drains(*away, plan, target, ours, theirs),
        }
    }
}

fn flood<P: Protocol>(plan: &Plan, target: &Target<'_>, ours: &Shared<'_>, theirs: &Shared<'_>) -> Result<Visit, LoadError> {
    let mut subscribers = Subscribers::new(plan, subscribers::<P>(plan, target, theirs.gauge)?, Vec::new())?;
    let mut publishers = Publishers::new(plan, publishers::<P>(plan, target, theirs.gauge)?)?;
    let start = Instant::now();
    ours.company.as_ref().inspect(|stay| stay.begin(start));
    let received = flow(&mut publishers, &mut subscribers, theirs, None)?;
    publishers.leave();
    subscribers.leave();
    let wall = received.last.map_or(Duration::ZERO, |last| last - start);
    Ok(Visit { measure: Measure::Flood, verdict: received.verdict, wall })
}

/// One drain after another. What is drained is published between them, when nothing that the quiet clients feel counts.
fn drains(mut away: Away, plan: &Plan, target: &Target<'_>, ours: &Shared<'_>, theirs: &Shared<'_>) -> Result<Visit, LoadError> {
    let mut visit = Visit { measure: Measure::Drain, verdict: Verdict::default(), wall: Duration::ZERO };
    loop {
        thread::sleep(AFTER);
        let start = Instant::now();
        ours.company.as_ref().inspect(|stay| stay.begin(start));
        let Drained { verdict, wall } = away.drain(plan.letters, target, theirs.gauge)?;
        ours.company.as_ref().inspect(|stay| stay.end(start + wall));
        (visit.verdict, visit.wall) = (visit.verdict.and(verdict), visit.wall + wall);
        away.leave();
        away = Away::from(plan.topic_of_company(), plan.payload, target)?;
        for first in (0..plan.letters).step_by(PART) {
            if theirs.is_over() {
                away.leave();
                return Ok(visit);
            }
            away.fill(first..plan.letters.min(first + PART as u64), theirs.gauge)?;
        }
    }
}
