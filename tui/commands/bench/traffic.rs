//! A run of any workload in which messages flow: connections are made, then both sides go, then it is told what that took.

use std::{
    iter, thread,
    time::{Duration, Instant},
};

use super::{
    Target,
    company::{Guest, Visit},
    figures::{Measure, Round},
    limits::FILTERS_EACH,
    load::{Connection, Identity, LoadError, Protocol},
    plan::Plan,
    publish::{Publishers, Schedule},
    shared::{Gauge, Shared},
    statistics::Times,
    subscribe::{Delays, Received, Subscribers},
    usage::Cpu,
    verify::Payload,
};
use crate::cli::{Acks, Company, Workload};

/// Room for what all connections of a side read at once, shared among them.
const BUFFERS: usize = 4 << 20;
/// Topics that are made at once: their messages fit in any queue.
const TOPICS_AT_ONCE: usize = 1_000;
/// Between making a schedule and its first message.
const HEAD_START: Duration = Duration::from_millis(20);

/// Does all of it once, in `company` if there is some.
pub(super) fn run<P: Protocol>(
    plan: &Plan,
    company: Option<Company>,
    target: &Target<'_>,
    gauge: &Gauge,
) -> Result<Round, LoadError> {
    let guest = company.map(|company| Guest::invite(company, plan, target, gauge)).transpose()?;
    let (mut publishers, mut subscribers) = both_sides::<P>(plan, target, gauge)?;
    // What it took to come so far is none of it.
    target.wait_until_quiet(gauge)?;
    let shared = Shared::new(gauge, plan.lanes(), target.patience)?.in_company(company.is_some());
    let before = target.cpu()?;
    let load_before = Cpu::of(std::process::id())?;
    let start = Instant::now();
    let schedule = plan.rate.map(|rate| Schedule::new(start + HEAD_START, rate, plan.publishers()));
    let from = schedule.map_or(start, |schedule| schedule.start);
    let (mut received, visit) = match guest {
        None => (flow(&mut publishers, &mut subscribers, &shared, schedule)?, None),
        Some(guest) => {
            let (received, visit) =
                guest.beside::<P, _>(plan, target, &shared, || flow(&mut publishers, &mut subscribers, &shared, schedule))?;
            (received, Some(visit))
        }
    };
    let mut round = match (&visit, plan.beside) {
        (None, None) => {
            let load = Cpu::of(std::process::id())?.since(&load_before);
            let sent = shared.published.get().map_or(0, |published| published.iter().sum());
            let wall = received.last.map_or(Duration::ZERO, |last| last.saturating_duration_since(from));
            let mut round = flowed(plan, sent, wall, target.cpu_since(before)?);
            round.add_each(Measure::LoadCpu, Some(load), sent);
            round
        }
        // What the broker used is not for the quiet clients alone.
        _ => Round::default(),
    };
    add_latencies(&mut round, &mut received.delays);
    round.verdict = received.verdict;
    if plan.beside.is_some() {
        round.add(Measure::Counted, received.delays.in_all.len() as f64);
    }
    if let Some(stay) = &shared.company {
        round.add(Measure::Covered, 100.0 * stay.share(from, received.last.unwrap_or(from)));
    }
    if let Some(Visit { measure, verdict, wall }) = visit {
        round.add_rate(measure, verdict.sound, wall);
        round.verdict = round.verdict.and(verdict);
    }
    if let Some(memory) = target.memory()? {
        round.add(Measure::PeakMemory, memory.peak as f64);
    }
    publishers.leave();
    subscribers.leave();
    Ok(round)
}

/// All who publish and all who subscribe, and all that is there besides; their topics, too.
fn both_sides<'a, P: Protocol>(
    plan: &'a Plan,
    target: &Target<'_>,
    gauge: &Gauge,
) -> Result<(Publishers<'a, P>, Subscribers<P>), LoadError> {
    let (mut publishing, mut subscribing) = (publishers::<P>(plan, target, gauge)?, subscribers::<P>(plan, target, gauge)?);
    if let (Workload::Topics, [publisher], [subscriber]) = (plan.workload, &mut publishing[..], &mut subscribing[..]) {
        make_topics(plan, publisher, subscriber, gauge)?;
    }
    let background = background::<P>(plan, target, gauge)?;
    Ok((Publishers::new(plan, publishing)?, Subscribers::new(plan, subscribing, background)?))
}

/// A message to each topic, before any that counts: what a topic costs to make is another question.
fn make_topics<P: Protocol>(
    plan: &Plan,
    publisher: &mut Connection<P>,
    subscriber: &mut Connection<P>,
    gauge: &Gauge,
) -> Result<(), LoadError> {
    let (mut payload, topics) = (Payload::new(plan.payload), plan.topics_of_subscriber(0).collect::<Vec<_>>());
    for topics in topics.chunks(TOPICS_AT_ONCE) {
        gauge.check()?;
        for topic in topics {
            publisher.publish_within_credit(&P::topic(*topic), payload.stamped(0, 0))?;
        }
        publisher.settle()?;
        subscriber.await_messages(topics.len())?;
    }
    Ok(())
}

/// Both sides go, until all has come that was published.
pub(super) fn flow<P: Protocol>(
    publishers: &mut Publishers<'_, P>,
    subscribers: &mut Subscribers<P>,
    shared: &Shared<'_>,
    schedule: Option<Schedule>,
) -> Result<Received, LoadError> {
    let (published, received) = thread::scope(|scope| {
        let publishing = scope.spawn(|| shared.told(publishers.run(shared, schedule)));
        let received = shared.told(subscribers.run(shared, schedule));
        (publishing.join(), received)
    });
    let published = published.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    both(received, published).map(|(received, ())| received)
}

/// What two that belong together return. The one that only heard of the other's failure says that it was interrupted.
pub(super) fn both<A, B>(one: Result<A, LoadError>, other: Result<B, LoadError>) -> Result<(A, B), LoadError> {
    match (one, other) {
        (Ok(one), Ok(other)) => Ok((one, other)),
        (Err(LoadError::Interrupted) | Ok(_), Err(error)) | (Err(error), _) => Err(error),
    }
}

/// What it took, but for memory and times.
fn flowed(plan: &Plan, sent: u64, wall: Duration, cpu: Option<Duration>) -> Round {
    let mut round = Round { cpu, ..Round::default() };
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
    round
}

fn add_latencies(round: &mut Round, delays: &mut Delays) {
    let mut add = |times: &mut Times, percentiles: &[(Measure, usize)]| {
        for (measure, thousandths) in percentiles {
            if let Some(time) = times.not_exceeded_by(*thousandths) {
                round.add(*measure, time.as_secs_f64() * 1e6);
            }
        }
    };
    let in_all =
        [(Measure::LatencyP50, 500), (Measure::LatencyP99, 990), (Measure::LatencyP999, 999), (Measure::LatencyMax, 1_000)];
    add(&mut delays.in_all, &in_all);
    add(&mut delays.within, &[(Measure::WithinP50, 500), (Measure::WithinP99, 990), (Measure::WithinP999, 999)]);
    add(&mut delays.before, &[(Measure::BeforeP99, 990)]);
}

fn buffer(connections: usize) -> usize {
    (BUFFERS / connections.max(1)).clamp(16 << 10, 256 << 10)
}

pub(super) fn publishers<P: Protocol>(plan: &Plan, target: &Target<'_>, gauge: &Gauge) -> Result<Vec<Connection<P>>, LoadError> {
    let identity = target.identity("cordboard-bench-publisher");
    let connect = |_| {
        gauge.check()?;
        Connection::open(target.address, &identity, 16 << 10)
    };
    (0..plan.publishers()).map(connect).collect()
}

pub(super) fn subscribers<P: Protocol>(plan: &Plan, target: &Target<'_>, gauge: &Gauge) -> Result<Vec<Connection<P>>, LoadError> {
    let identity = Identity { acks: plan.acks, ..target.identity("cordboard-bench-subscriber") };
    let connect = |number| {
        gauge.check()?;
        let mut connection = Connection::<P>::open(target.address, &identity, buffer(plan.subscribers()))?;
        if plan.wildcard {
            connection.subscribe(iter::once(P::all_topics()))?;
        } else {
            connection.subscribe(plan.topics_of_subscriber(number).map(P::topic))?;
        }
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
