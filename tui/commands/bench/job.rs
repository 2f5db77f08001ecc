//! All there is to do: every workload, every round, every broker in turn, on a thread of its own; what comes of it is told to
//! whoever waits.

use std::{io, net::SocketAddr, time::Duration};

use cordboard::{Printable, client::Backoff};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::sync::mpsc;

use super::{
    super::{builder, connect, password},
    broker::{self, Broker},
    cases::{Case, cases},
    figures::{Measure, Round},
    idle,
    limits::{self, Raised},
    load::{Cordboard, Identity, LoadError, Nats},
    offline,
    plan::Plan,
    report::{Report, Side},
    shared::{Gauge, Stage},
    traffic,
    usage::{Cpu, Memory},
};
use crate::{
    cli::{BenchArgs, Rival, ServerArgs, UsageError, Workload},
    signals::Signals,
};

/// Less CPU time than this says little: what a process does now and then weighs too much in it.
const ENOUGH_CPU: Duration = Duration::from_millis(200);
/// Descriptors of ours besides connections.
const OWN_DESCRIPTORS: u64 = 64;

/// The broker that a load is for.
#[derive(Debug)]
pub(super) struct Target<'a> {
    pub(super) address: SocketAddr,
    pub(super) process: Option<u32>,
    pub(super) user: Option<&'a (String, String)>,
}

impl Target<'_> {
    pub(super) fn identity(&self, name: &'static str) -> Identity {
        Identity { user: self.user.cloned(), ..Identity::new(name) }
    }

    /// What it has used so far, if that can be read.
    pub(super) fn cpu(&self) -> Result<Option<Cpu>, LoadError> {
        self.used(Cpu::of)
    }

    fn used<T>(&self, read: impl Fn(u32) -> io::Result<T>) -> Result<Option<T>, LoadError> {
        let used = |process| read(process).map_err(|error| LoadError::Unmeasurable { process, error });
        self.process.map(used).transpose()
    }

    /// What it has used since.
    pub(super) fn cpu_since(&self, before: Option<Cpu>) -> Result<Option<Duration>, LoadError> {
        Ok(before.zip(self.cpu()?).map(|(before, now)| now.since(&before)))
    }

    pub(super) fn memory(&self) -> Result<Option<Memory>, LoadError> {
        self.used(Memory::of)
    }
}

/// What whoever waits is told.
#[derive(Debug)]
pub(super) enum News {
    /// Something worth knowing, for people.
    Word(String),
    /// A workload, and what of it is a row of a table of all.
    Measured(Box<Report>, &'static [Measure]),
}

/// All there is to do.
#[derive(Debug)]
pub(super) struct Job {
    args: BenchArgs,
    cases: Vec<Case>,
    user: Option<(String, String)>,
}

impl Job {
    pub(super) fn new(args: BenchArgs) -> Result<Self, UsageError> {
        let cases = cases(&args)?;
        if args.compare.is_some() && !cases.iter().any(|case| has_counterpart(case.plan.workload)) {
            let why = "core NATS keeps nothing for a client that is away, so there is nothing to compare offline with; leave --compare out";
            return Err(UsageError(why.to_owned()));
        }
        Ok(Self { user: user(&args)?, cases, args })
    }

    /// What the brokers call themselves, ours first; and they are there.
    pub(super) async fn names(&self, signals: &mut Signals) -> anyhow::Result<Vec<String>> {
        let Some(server) = &self.args.server else {
            let mut names = vec![format!("cordboard {}", env!("CARGO_PKG_VERSION"))];
            if let Some(Rival::NatsServer) = self.args.compare {
                names.push(format!("nats-server {}", broker::nats_version()?));
            }
            return Ok(names);
        };
        let server = ServerArgs { server: server.clone(), user: self.args.user.clone() };
        let client = connect(builder(&server, "cordboard-bench", Backoff::NEVER)?, &server, signals).await?;
        let name = Printable(&client.server()).to_string();
        // It was there; there is nothing to keep.
        let _ = client.end().await;
        Ok(vec![name])
    }

    /// A connection is a descriptor, here and in the broker, which inherits what is granted here.
    pub(super) fn ask_for_descriptors(&self) -> Result<(), UsageError> {
        let wanted =
            self.cases.iter().map(|case| limits::connections(&case.plan)).max().unwrap_or_default() as u64 + OWN_DESCRIPTORS;
        let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
        if current.is_none_or(|current| current >= wanted) {
            return Ok(());
        }
        setrlimit(Resource::Nofile, Rlimit { current: Some(wanted), maximum }).map_err(|_| {
            let most = maximum.unwrap_or_default();
            UsageError(format!(
                "this takes {wanted} descriptors, and the system grants {most}; raise its limit (ulimit -Hn), or lower --clients"
            ))
        })
    }

    /// Measures. True if all that was published came as it should.
    pub(super) fn work(&self, names: &[String], gauge: &Gauge, tell: &mpsc::UnboundedSender<News>) -> anyhow::Result<bool> {
        let mut is_sound = true;
        for Case { plan, rows } in &self.cases {
            let raised = if self.args.server.is_some() { Raised::default() } else { Raised::for_plan(plan) };
            // Nobody listens any more only if the process ends.
            let say = |word: String| drop(tell.send(News::Word(word)));
            if !raised.is_empty() {
                say(format!("{}: cordboard runs with {}", plan.title(), raised.told()));
            }
            let names = if has_counterpart(plan.workload) { names } else { &names[..1] };
            let mut sides: Vec<Side> = names.iter().map(|name| Side { broker: name.clone(), rounds: Vec::new() }).collect();
            for round in 1..=self.args.rounds {
                for (nth, side) in sides.iter_mut().enumerate() {
                    let title = format!("round {round} of {}, {}, {}", self.args.rounds, side.broker, plan.title());
                    gauge.enter(Stage { title, counts: plan.counts() });
                    side.rounds.push(self.measure(plan, nth == 0, &raised, gauge)?);
                }
            }
            sides.iter().filter_map(|side| little(plan, side)).for_each(say);
            let report = Report { plan: plan.clone(), sides };
            is_sound &= report.is_sound();
            drop(tell.send(News::Measured(Box::new(report), rows)));
        }
        Ok(is_sound)
    }

    /// One round with one broker, which has just been started.
    fn measure(&self, plan: &Plan, is_ours: bool, raised: &Raised, gauge: &Gauge) -> anyhow::Result<Round> {
        let mut broker = match (&self.args.server, is_ours) {
            (Some(server), _) => Broker::running(server, self.args.pid)?,
            (None, true) => Broker::cordboard(raised)?,
            (None, false) => Broker::nats_server()?,
        };
        let target = Target { address: broker.address, process: broker.process, user: self.user.as_ref() };
        let measured = match (plan.workload, is_ours) {
            (Workload::Offline, _) => offline::run(plan, &target, gauge),
            (Workload::Connections, true) => idle::run::<Cordboard>(plan, &target, gauge),
            (Workload::Connections, false) => idle::run::<Nats>(plan, &target, gauge),
            (_, true) => traffic::run::<Cordboard>(plan, &target, gauge),
            (_, false) => traffic::run::<Nats>(plan, &target, gauge),
        };
        measured.map_err(|error| match broker.last_words() {
            Some(words) => anyhow::anyhow!("{}: {error}; {words}", plan.title()),
            None => anyhow::anyhow!("{}: {error}", plan.title()),
        })
    }
}

/// Core NATS keeps nothing for a client that is away.
fn has_counterpart(workload: Workload) -> bool {
    workload != Workload::Offline
}

/// Who to be, with the password of the environment.
fn user(args: &BenchArgs) -> Result<Option<(String, String)>, UsageError> {
    let Some(user) = &args.user else { return Ok(None) };
    Ok(Some((user.clone(), password(user)?)))
}

/// A warning, if a broker used so little CPU time that it says little.
fn little(plan: &Plan, side: &Side) -> Option<String> {
    let least = side.rounds.iter().filter_map(|round| round.cpu).min().filter(|least| *least < ENOUGH_CPU)?;
    Some(format!(
        "{}: {} used only {} ms of CPU time in a round; for a figure that means something, take a larger --count or --duration",
        plan.title(),
        side.broker,
        least.as_millis()
    ))
}
