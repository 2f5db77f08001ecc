//! A run of any workload in which messages flow: connections are made, then both sides go, then it is told what that took.

use std::{
    thread,
    time::{Duration, Instant},
};

use super::{
    Target,
    figures::{Measure, Round},
    limits::FILTERS_EACH,
    load::{Connection, Identity, LoadError, Protocol},
    plan::Plan,
    publish::{Publishers, Schedule},
    shared::{Gauge, Shared},
    subscribe::{Received, Subscribers},
    usage::Cpu,
    verify::Payload,
};
use crate::cli::Acks;

/// Room for what all connections of a side read at once, shared among them.
const BUFFERS: usize = 4 << 20;
/// Between making a schedule and its first message.
const HEAD_START: Duration = Duration::from_millis(20);

/// Does all of it once.
pub(super) fn run<P: Protocol>(plan: &Plan, target: &Target<'_>, gauge: &Gauge) -> Result<Round, LoadError> {
    let mut publishers = Publishers::new(plan, publishers::<P>(plan, target, gauge)?)?;
    let mut subscribers = Subscribers::new(plan, subscribers::<P>(plan, target, gauge)?, background::<P>(plan, target, gauge)?)?;
    let shared = Shared::new(gauge, plan.lanes());
    let before = target.cpu()?;
    let load_before = Cpu::of(std::process::id())?;
    let start = Instant::now();
    let schedule = plan.rate.map(|rate| Schedule::new(start + HEAD_START, rate, plan.publishers()));
    let (published, received) = thread::scope(|scope| {
        let publishing = scope.spawn(|| shared.told(publishers.run(&shared, schedule)));
        let received = shared.told(subscribers.run(&shared, schedule));
        (publishing.join(), received)
    });
    let published = published.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    // The side that only heard of the other's failure says that it was interrupted.
    let received = match (published, received) {
        (Err(error), Err(LoadError::Interrupted) | Ok(_)) | (_, Err(error)) => return Err(error),
        (Ok(()), Ok(received)) => received,
    };
    let load = Cpu::of(std::process::id())?.since(&load_before);
    let cpu = match (before, target.cpu()?) {
        (Some(before), Some(after)) => Some(after.since(&before)),
        _ => None,
    };
    let sent = shared.published.get().map_or(0, |published| published.iter().sum());
    let start = schedule.map_or(start, |schedule| schedule.start);
    let wall = received.last.map_or(Duration::ZERO, |last| last.saturating_duration_since(start));
    let mut round = told(plan, received, sent, wall, cpu);
    round.add_each(Measure::LoadCpu, Some(load), sent);
    if let Some(memory) = target.memory()? {
        round.add(Measure::PeakMemory, memory.peak as f64);
    }
    publishers.leave();
    subscribers.leave();
    Ok(round)
}

/// What it took, but for memory.
fn told(plan: &Plan, mut received: Received, sent: u64, wall: Duration, cpu: Option<Duration>) -> Round {
    let mut round = Round { verdict: received.verdict, cpu, ..Round::default() };
    let copies = plan.copies() as u64;
    if copies > 1 {
        round.add_each(Measure::CpuPerDelivery, cpu, sent * copies);
    }
    round.add_each(Measure::CpuPerMessage, cpu, sent);
    round.add_rate(Measure::Throughput, sent, wall);
    if copies > 1 {
        round.add_rate(Measure::Deliveries, sent * copies, wall);
    }
    round.add(Measure::Bandwidth, sent as f64 * plan.payload as f64 / 1e6 / wall.as_secs_f64().max(1e-9));
    let percentiles =
        [(Measure::LatencyP50, 500), (Measure::LatencyP99, 990), (Measure::LatencyP999, 999), (Measure::LatencyMax, 1_000)];
    for (measure, thousandths) in percentiles {
        if let Some(time) = received.times.not_exceeded_by(thousandths) {
            round.add(measure, time.as_secs_f64() * 1e6);
        }
    }
    round
}

fn buffer(connections: usize) -> usize {
    (BUFFERS / connections.max(1)).clamp(16 << 10, 256 << 10)
}

fn publishers<P: Protocol>(plan: &Plan, target: &Target<'_>, gauge: &Gauge) -> Result<Vec<Connection<P>>, LoadError> {
    let identity = target.identity("cordboard-bench-publisher");
    let connect = |_| {
        gauge.check()?;
        Connection::open(target.address, &identity, 16 << 10)
    };
    (0..plan.publishers()).map(connect).collect()
}

fn subscribers<P: Protocol>(plan: &Plan, target: &Target<'_>, gauge: &Gauge) -> Result<Vec<Connection<P>>, LoadError> {
    let identity = Identity { acks: plan.acks, ..target.identity("cordboard-bench-subscriber") };
    let connect = |number| {
        gauge.check()?;
        let mut connection = Connection::<P>::open(target.address, &identity, buffer(plan.subscribers()))?;
        connection.subscribe(plan.topics_of_subscriber(number).map(P::topic))?;
        Ok(connection)
    };
    (0..plan.subscribers()).map(connect).collect()
}

/// Filters that match nothing and topics that nobody hears of, on connections of their own.
pub(super) fn background<P: Protocol>(plan: &Plan, target: &Target<'_>, gauge: &Gauge) -> Result<Vec<Connection<P>>, LoadError> {
    let identity = Identity { acks: Acks::None, ..target.identity("cordboard-bench-background") };
    let filters: Vec<usize> = (0..plan.filters).collect();
    let mut background = Vec::new();
    for filters in filters.chunks(FILTERS_EACH) {
        gauge.check()?;
        let mut connection = Connection::<P>::open(target.address, &identity, 16 << 10)?;
        connection.subscribe(filters.iter().map(|number| P::idle_filter(*number)))?;
        background.push(connection);
    }
    if plan.other_topics > 0 {
        let mut connection = Connection::<P>::open(target.address, &identity, 16 << 10)?;
        let mut payload = Payload::new(plan.payload);
        for topic in 0..plan.other_topics {
            gauge.check()?;
            connection.publish_within_credit(&P::other_topic(topic), payload.stamped(0, 0))?;
        }
        connection.settle()?;
        background.push(connection);
    }
    Ok(background)
}
