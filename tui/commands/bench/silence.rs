//! Nothing happens, and nobody is there: what a broker uses all the same.

use std::{
    thread,
    time::{Duration, Instant},
};

use super::{
    Target,
    figures::{Measure, Round},
    load::LoadError,
    plan::{Amount, Plan},
    shared::Gauge,
};

const TURN: Duration = Duration::from_millis(50);

/// Waits, and looks what that took.
pub(super) fn run(plan: &Plan, target: &Target<'_>, gauge: &Gauge) -> Result<Round, LoadError> {
    let Amount::Time(time) = plan.amount else { unreachable!("a plan for it has a time") };
    // What it takes to start is none of it.
    target.wait_until_quiet(gauge)?;
    let (before, start) = (target.cpu()?, Instant::now());
    while let Some(left) = time.checked_sub(start.elapsed()).filter(|left| !left.is_zero()) {
        gauge.check()?;
        thread::sleep(left.min(TURN));
    }
    let mut round = Round::default();
    if let Some(cpu) = target.cpu_since(before)? {
        round.add(Measure::IdleCpu, cpu.as_secs_f64() * 1e6 / start.elapsed().as_secs_f64());
    }
    if let Some(memory) = target.memory()? {
        round.add(Measure::PeakMemory, memory.peak as f64);
    }
    Ok(round)
}
