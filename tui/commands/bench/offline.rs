//! A subscriber leaves; messages wait for it as dead letters; it is back and drains them. What each costs to keep, and how fast
//! they come.

use std::{
    iter,
    ops::Range,
    sync::atomic::Ordering::Relaxed,
    time::{Duration, Instant},
};

use super::{
    Target,
    figures::{Measure, Round},
    load::{Connection, Cordboard, Heard, Identity, LoadError, Protocol},
    plan::{Amount, Plan},
    shared::Gauge,
    subscribe::LAST_PATIENCE,
    traffic::background,
    verify::{Ledger, Payload, Verdict},
};
use crate::cli::Acks;

const TURN: Duration = Duration::from_millis(50);
const BUFFER: usize = 256 << 10;

/// Does all of it once.
pub(super) fn run(plan: &Plan, target: &Target<'_>, gauge: &Gauge) -> Result<Round, LoadError> {
    let Amount::Messages(count) = plan.amount else { unreachable!("a plan for it has a count") };
    let background = background::<Cordboard>(plan, target, gauge)?;
    let mut away = Away::from(plan.topic_of(0), plan.payload, target)?;
    target.wait_until_quiet(gauge)?;
    let mut round = Round::default();
    let (cpu, memory) = (target.cpu()?, target.memory()?);
    away.fill(0..count, gauge)?;
    target.wait_until_quiet(gauge)?;
    round.add_each(Measure::FillCpu, target.cpu_since(cpu)?, count);
    if let (Some(before), Some(after)) = (memory, target.memory()?) {
        round.add(Measure::QueuedMessage, (after.now as f64 - before.now as f64) / count as f64);
    }
    let cpu = target.cpu()?;
    let Drained { verdict, wall } = away.drain(count, target, gauge)?;
    round.cpu = target.cpu_since(cpu)?;
    round.verdict = verdict;
    round.add_rate(Measure::Drain, verdict.sound, wall);
    round.add_each(Measure::DrainCpu, round.cpu, count);
    if let Some(memory) = target.memory()? {
        round.add(Measure::PeakMemory, memory.peak as f64);
    }
    away.leave();
    background.into_iter().for_each(Connection::leave);
    Ok(round)
}

/// A subscriber that is away, and whoever publishes what it would get.
#[derive(Debug)]
pub(super) struct Away {
    topic: String,
    payload: usize,
    identity: Identity,
    publisher: Connection<Cordboard>,
}

/// What became of the letters.
#[derive(Debug)]
pub(super) struct Drained {
    pub(super) verdict: Verdict,
    pub(super) wall: Duration,
}

impl Away {
    /// It subscribes, with explicit acknowledgements, and goes.
    pub(super) fn from(topic: usize, payload: usize, target: &Target<'_>) -> Result<Self, LoadError> {
        let topic = Cordboard::topic(topic);
        let identity = Identity { acks: Acks::Explicit, ..target.identity("cordboard-bench-subscriber") };
        let mut subscriber = Connection::<Cordboard>::open(target.address, &identity, BUFFER)?;
        subscriber.subscribe(iter::once(topic.clone()))?;
        let identity = Identity { session: subscriber.protocol.session, ..identity };
        drop(subscriber);
        let publisher = Connection::open(target.address, &target.identity("cordboard-bench-publisher"), BUFFER)?;
        Ok(Self { topic, payload, identity, publisher })
    }

    /// Messages of these numbers come for it; all are acknowledged when this returns.
    pub(super) fn fill(&mut self, numbers: Range<u64>, gauge: &Gauge) -> Result<(), LoadError> {
        let (mut payload, end) = (Payload::new(self.payload), numbers.end);
        for number in numbers {
            self.publisher.publish_within_credit(&self.topic, payload.stamped(0, number))?;
            if number % 1_024 == 0 {
                gauge.check()?;
                gauge.sent.store(number, Relaxed);
            }
        }
        self.publisher.settle()?;
        gauge.sent.store(end, Relaxed);
        Ok(())
    }

    /// It is back, and takes them all.
    pub(super) fn drain(&self, count: u64, target: &Target<'_>, gauge: &Gauge) -> Result<Drained, LoadError> {
        let start = Instant::now();
        let mut ledger = Ledger::new(0..1, self.payload, false);
        let mut subscriber = Connection::<Cordboard>::begin(target.address, &self.identity, BUFFER)?;
        subscriber.set_patience(TURN)?;
        let mut last = start;
        // What it is to get has been acknowledged long ago.
        let patience = target.patience.min(LAST_PATIENCE);
        while !ledger.is_through(&[count]) && last.elapsed() < patience {
            gauge.check()?;
            gauge.silence.store(last.elapsed().as_secs(), Relaxed);
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
        subscriber.leave();
        Ok(Drained { verdict: ledger.close(&[count]), wall: last - start })
    }

    /// Whoever published goes for good.
    pub(super) fn leave(self) {
        self.publisher.leave();
    }
}
