//! The workloads that are compared with those of another version or another broker: the rows of the README's table.

use super::{figures::Measure, plan::Plan};
use crate::cli::{Acks, BenchArgs, UsageError, Workload};

/// A workload, and what of it is a row.
#[derive(Debug)]
pub(super) struct Case {
    pub(super) plan: Plan,
    pub(super) rows: &'static [Measure],
}

/// What the command line asks for: one, or all of them.
pub(super) fn cases(args: &BenchArgs) -> Result<Vec<Case>, UsageError> {
    let plan = Plan::new(args)?;
    if args.workload != Workload::All {
        return Ok(vec![Case { plan, rows: &[] }]);
    }
    table().into_iter().map(|(workload, payload, ack, rows)| case(args, workload, payload, ack, rows)).collect()
}

type Row = (Workload, usize, Acks, &'static [Measure]);

fn table() -> [Row; 12] {
    const FLOW: &[Measure] = &[Measure::CpuPerMessage, Measure::Throughput];
    const FAN: &[Measure] = &[Measure::CpuPerDelivery, Measure::Deliveries];
    const LATE: &[Measure] = &[Measure::LatencyP50, Measure::LatencyP99];
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
        (Workload::Trickle, 16, Acks::None, &[Measure::CpuPerMessage]),
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
    Ok(Case { plan: Plan::new(&args)?, rows })
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
        assert_eq!(cases.len(), table().len());
        for Case { plan, rows } in &cases {
            assert!(!rows.is_empty() && plan.clients <= 3, "{plan:?}");
            assert!(plan.workload == Workload::Connections || plan.amount == Amount::Messages(7), "{plan:?}");
        }
        let titles: std::collections::BTreeSet<String> = cases.iter().map(|case| case.plan.title()).collect();
        assert_eq!(titles.len(), cases.len(), "each is another one");
    }
}
