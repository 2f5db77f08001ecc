//! The workloads that are compared with those of another version or another broker: the rows of the README's table.

use std::time::Duration;

use super::{figures::Measure, plan::Plan};
use crate::cli::{Acks, BenchArgs, Company, Rival, UsageError, Workload};

/// How long nothing happens where few messages are asked for.
const BRIEF: Duration = Duration::from_secs(1);
/// Messages, for a difference of a few hundredths to be more than chance.
const LONG: u64 = 20_000_000;

/// A workload, and what of it is a row.
#[derive(Debug)]
pub(super) struct Case {
    pub(super) plan: Plan,
    /// What is measured in turn, if it can do the same.
    pub(super) rival: Option<Rival>,
    pub(super) rows: &'static [Measure],
}

/// What the command line asks for: one, or all of them.
pub(super) fn cases(args: &BenchArgs) -> Result<Vec<Case>, UsageError> {
    let plan = Plan::new(args)?;
    if args.workload != Workload::All {
        return Ok(vec![Case { plan, rival: args.compare, rows: &[] }]);
    }
    let mut cases = Vec::new();
    for (workload, payload, ack, rows) in table() {
        cases.push(case(args, workload, payload, ack, rows)?);
    }
    for company in [Company::Flood, Company::Drain] {
        cases.push(beside(args, company)?);
    }
    // A broker that runs already has a console or has none.
    if args.server.is_none() && cfg!(feature = "console") {
        let long = BenchArgs { count: args.count.or(Some(LONG)), ..args.clone() };
        cases.push(Case { rival: Some(Rival::Console), ..case(&long, Workload::OneToOne, 16, Acks::None, USED)? });
        cases.push(idle(args)?);
    }
    Ok(cases)
}

/// What the core of NATS can do, too: it keeps nothing for a client that is away.
pub(super) fn has_counterpart(plan: &Plan) -> bool {
    plan.workload != Workload::Offline && plan.beside != Some(Company::Drain)
}

type Row = (Workload, usize, Acks, &'static [Measure]);

const USED: &[Measure] = &[Measure::CpuPerMessage];
const LATE: &[Measure] = &[Measure::LatencyP50, Measure::LatencyP99, Measure::WithinP50, Measure::WithinP99];

fn table() -> [Row; 12] {
    const FLOW: &[Measure] = &[Measure::CpuPerMessage, Measure::Throughput];
    const FAN: &[Measure] = &[Measure::CpuPerDelivery, Measure::Deliveries];
    const AWAY: &[Measure] = &[Measure::Drain, Measure::QueuedMessage];
    const MANY: &[Measure] = &[Measure::Registrations, Measure::Connection, Measure::Detached];
    [
        (Workload::OneToOne, 16, Acks::None, FLOW),
        (Workload::OneToOne, 256, Acks::None, FLOW),
        (Workload::OneToOne, 16, Acks::Explicit, FLOW),
        (Workload::OneToOne, 256, Acks::Explicit, FLOW),
        (Workload::Fanout, 16, Acks::None, FAN),
        (Workload::Fanout, 256, Acks::None, FAN),
        (Workload::Topics, 16, Acks::None, FLOW),
        (Workload::Fanin, 16, Acks::None, FLOW),
        (Workload::Trickle, 16, Acks::None, USED),
        (Workload::Latency, 16, Acks::None, LATE),
        (Workload::Offline, 256, Acks::Explicit, AWAY),
        (Workload::Connections, 0, Acks::None, MANY),
    ]
}

fn case(args: &BenchArgs, workload: Workload, payload: usize, ack: Acks, rows: &'static [Measure]) -> Result<Case, UsageError> {
    let carries = workload != Workload::Connections;
    let has_clients = matches!(workload, Workload::Fanout | Workload::Fanin | Workload::Trickle | Workload::Connections);
    let args = BenchArgs {
        workload,
        payload: carries.then_some(payload),
        ack: (carries && workload != Workload::Offline).then_some(ack),
        count: args.count.filter(|_| carries),
        clients: args.clients.filter(|_| has_clients),
        ..args.clone()
    };
    told(&args, rows)
}

/// Quiet clients, and what they feel of somebody who is not.
fn beside(args: &BenchArgs, company: Company) -> Result<Case, UsageError> {
    let letters = args.count.filter(|_| company == Company::Drain);
    told(&BenchArgs { workload: Workload::Latency, beside: Some(company), letters, ..args.clone() }, LATE)
}

/// What a console takes while nothing happens.
fn idle(args: &BenchArgs) -> Result<Case, UsageError> {
    let duration = args.count.map(|_| BRIEF);
    let args = BenchArgs { workload: Workload::Idle, count: None, clients: None, duration, ..args.clone() };
    Ok(Case { rival: Some(Rival::Console), ..told(&args, &[Measure::IdleCpu])? })
}

fn told(args: &BenchArgs, rows: &'static [Measure]) -> Result<Case, UsageError> {
    let plan = Plan::new(args)?;
    Ok(Case { rival: args.compare.filter(|_| has_counterpart(&plan)), plan, rows })
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::commands::bench::plan::{Amount, tests::Line};

    fn all(line: &str) -> Vec<Case> {
        cases(&Line::parse_from(std::iter::once("bench").chain(line.split_whitespace())).args).unwrap()
    }

    #[test]
    fn one_workload_is_one_case() {
        assert_eq!(all("fanout --clients 3").len(), 1);
    }

    /// Those that can be smaller are.
    #[test]
    fn all_are_plans_of_their_own() {
        let cases = all("all --count 7 --clients 3");
        assert_eq!(cases.len(), table().len() + 4);
        for Case { plan, rows, .. } in &cases {
            assert!(!rows.is_empty() && plan.clients <= 3, "{plan:?}");
            let has_messages = !matches!(plan.workload, Workload::Connections | Workload::Idle);
            assert!(!has_messages || plan.amount == Amount::Messages(7), "{plan:?}");
            assert!(plan.beside != Some(Company::Drain) || plan.letters == 7, "{plan:?}");
        }
        let titles: std::collections::BTreeSet<(String, bool)> =
            cases.iter().map(|case| (case.plan.title(), case.rival == Some(Rival::Console))).collect();
        assert_eq!(titles.len(), cases.len(), "each is another one");
    }

    /// What NATS cannot do is measured alone; what a console costs is measured with it, whoever else there is.
    #[test]
    fn each_has_the_rival_that_can_do_the_same() {
        let cases = all("all --compare nats-server");
        let of = |find: fn(&Plan) -> bool| cases.iter().find(|case| find(&case.plan)).unwrap().rival;
        assert_eq!(of(|plan| plan.workload == Workload::Fanout), Some(Rival::NatsServer));
        assert_eq!(of(|plan| plan.beside == Some(Company::Flood)), Some(Rival::NatsServer));
        assert_eq!(of(|plan| plan.beside == Some(Company::Drain)), None);
        assert_eq!(of(|plan| plan.workload == Workload::Offline), None);
        assert_eq!(of(|plan| plan.workload == Workload::Idle), Some(Rival::Console));
        assert!(all("all --server h").iter().all(|case| case.rival.is_none()));
    }
}
