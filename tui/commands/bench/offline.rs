//! A subscriber leaves; messages wait for it as dead letters; it is back and drains them. What each costs to keep, and how fast
//! they come.

use std::{
    iter,
    sync::atomic::Ordering::Relaxed,
    time::{Duration, Instant},
};

use super::{
    Target,
    figures::{Measure, Round},
    load::{Connection, Cordboard, Heard, Identity, LoadError, Protocol},
    plan::{Amount, Plan},
    shared::Gauge,
    traffic::background,
    usage::wait_until_quiet,
    verify::{Ledger, Payload},
};

const TURN: Duration = Duration::from_millis(50);
/// Nothing came for so long: it will not come.
const STALL: Duration = Duration::from_secs(10);
const BUFFER: usize = 256 << 10;

/// Does all of it once.
pub(super) fn run(plan: &Plan, target: &Target<'_>, gauge: &Gauge) -> Result<Round, LoadError> {
    let Amount::Messages(count) = plan.amount else { unreachable!("a plan for it has a count") };
    let background = background::<Cordboard>(plan, target, gauge)?;
    let identity = Identity { acks: plan.acks, ..target.identity("cordboard-bench-subscriber") };
    let mut subscriber = Connection::<Cordboard>::open(target.address, &identity, BUFFER)?;
    subscriber.subscribe(iter::once(Cordboard::topic(0)))?;
    let identity = Identity { session: subscriber.protocol.session, ..identity };
    drop(subscriber);
    let mut publisher = Connection::<Cordboard>::open(target.address, &target.identity("cordboard-bench-publisher"), BUFFER)?;
    quiet(target)?;
    let mut round = Round::default();
    fill(plan, count, target, gauge, &mut publisher, &mut round)?;
    drain(plan, count, target, gauge, &identity, &mut round)?;
    if let Some(memory) = target.memory()? {
        round.add(Measure::PeakMemory, memory.peak as f64);
    }
    publisher.leave();
    background.into_iter().for_each(Connection::leave);
    Ok(round)
}

/// Messages come for a subscriber that is away.
fn fill(
    plan: &Plan,
    count: u64,
    target: &Target<'_>,
    gauge: &Gauge,
    publisher: &mut Connection<Cordboard>,
    round: &mut Round,
) -> Result<(), LoadError> {
    let (cpu, memory) = (target.cpu()?, target.memory()?);
    let (topic, mut payload) = (Cordboard::topic(0), Payload::new(plan.payload));
    for number in 0..count {
        publisher.publish_within_credit(&topic, payload.stamped(0, number))?;
        if number % 1_024 == 0 {
            gauge.check()?;
            gauge.sent.store(number, Relaxed);
        }
    }
    publisher.settle()?;
    gauge.sent.store(count, Relaxed);
    quiet(target)?;
    round.add_each(Measure::FillCpu, target.cpu_since(cpu)?, count);
    if let (Some(before), Some(after)) = (memory, target.memory()?) {
        round.add(Measure::QueuedMessage, (after.now as f64 - before.now as f64) / count as f64);
    }
    Ok(())
}

/// It is back, and takes them all.
fn drain(
    plan: &Plan,
    count: u64,
    target: &Target<'_>,
    gauge: &Gauge,
    identity: &Identity,
    round: &mut Round,
) -> Result<(), LoadError> {
    let (cpu, start) = (target.cpu()?, Instant::now());
    let mut ledger = Ledger::new(0..1, plan.payload);
    let mut subscriber = Connection::<Cordboard>::begin(target.address, identity, BUFFER)?;
    subscriber.set_patience(TURN)?;
    let mut last = start;
    while !ledger.is_through(&[count]) && last.elapsed() < STALL {
        gauge.check()?;
        let before = ledger.passed();
        subscriber.receive(&mut |heard| {
            if let Heard::Message(payload) = heard {
                ledger.enter(payload);
            }
        })?;
        subscriber.flush()?;
        if ledger.passed() > before {
            last = Instant::now();
            gauge.delivered.store(ledger.passed(), Relaxed);
        }
    }
    let wall = last - start;
    round.cpu = target.cpu_since(cpu)?;
    round.verdict = ledger.close(&[count]);
    round.add_rate(Measure::Drain, round.verdict.sound, wall);
    round.add_each(Measure::DrainCpu, round.cpu, count);
    subscriber.leave();
    Ok(())
}

/// What was asked of the broker before is done.
fn quiet(target: &Target<'_>) -> Result<(), LoadError> {
    Ok(target.process.map_or(Ok(()), wait_until_quiet)?)
}
