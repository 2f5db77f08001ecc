//! All there is to do: every workload, every round, every broker in turn, on a thread of its own; what comes of it is told to
//! whoever waits.

use std::time::Duration;

use cordboard::{Printable, client::Backoff};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::sync::mpsc;

use super::{
    super::{builder, connect, password},
    Target,
    broker::{self, Broker, Face},
    cases::{Case, cases, has_counterpart},
    figures::{Measure, Round},
    idle,
    limits::{self, Raised},
    load::{Cordboard, Nats},
    offline,
    plan::Plan,
    report::{Report, Side, Situation},
    shared::{Gauge, Stage},
    silence, traffic,
};
use crate::{
    cli::{Acks, BenchArgs, Company, Rival, ServerArgs, UsageError, Workload},
    signals::Signals,
};

/// Less CPU time than this says little: what a process does now and then weighs too much in it.
const ENOUGH_CPU: Duration = Duration::from_millis(200);
/// Latencies: a percentile of fewer is the chance of a few.
const ENOUGH_LATENCIES: f64 = 1_000.0;
/// Nothing came for so long, though something should: it will not come.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);
/// Descriptors of ours besides connections.
const OWN_DESCRIPTORS: u64 = 64;

/// What the brokers call themselves.
#[derive(Debug, Clone)]
pub(super) struct Names {
    pub(super) ours: String,
    /// If it is measured, too.
    pub(super) nats: Option<String>,
}

/// A kind of broker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Cordboard(Face),
    NatsServer,
    /// Ours, started by somebody else.
    Running,
}

/// What a round is with; and how its column begins.
#[derive(Debug)]
struct Setting {
    kind: Kind,
    side: Side,
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
        if let Some(why) = args.compare.and_then(|rival| senseless(&args, rival, &cases)) {
            return Err(UsageError(why.to_owned()));
        }
        Ok(Self { user: user(&args)?, cases, args })
    }

    /// What the brokers call themselves; and they are there.
    pub(super) async fn names(&self, signals: &mut Signals) -> anyhow::Result<Names> {
        if self.cases.iter().any(|case| case.rival == Some(Rival::Console)) {
            broker::can_set_apart()?;
        }
        let Some(server) = &self.args.server else {
            let ours = format!("cordboard {}", env!("CARGO_PKG_VERSION"));
            let nats = match self.args.compare {
                Some(Rival::NatsServer) => Some(format!("nats-server {}", broker::nats_version()?)),
                Some(Rival::Console) | None => None,
            };
            return Ok(Names { ours, nats });
        };
        let server = ServerArgs { server: server.clone(), user: self.args.user.clone() };
        let client = connect(builder(&server, "cordboard-bench", Backoff::NEVER)?, &server, signals).await?;
        let ours = Printable(&client.server()).to_string();
        // It was there; there is nothing to keep.
        let _ = client.end().await;
        Ok(Names { ours, nats: None })
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
    pub(super) fn work(&self, names: &Names, gauge: &Gauge, tell: &mpsc::UnboundedSender<News>) -> anyhow::Result<bool> {
        let mut is_sound = true;
        for Case { plan, rival, rows } in &self.cases {
            let raised = if self.args.server.is_some() { Raised::default() } else { Raised::for_plan(plan) };
            // Nobody listens any more only if the process ends.
            let say = |word: String| drop(tell.send(News::Word(word)));
            if !raised.is_empty() {
                say(format!("{}: cordboard runs with {}", plan.title(), raised.told()));
            }
            if *rival == Some(Rival::NatsServer) && plan.acks == Acks::Explicit {
                say(format!("{}: nats-server is measured without, because core NATS acknowledges nothing", plan.title()));
            }
            let settings = self.settings(plan, *rival, names);
            let mut sides: Vec<Side> = settings.iter().map(|setting| setting.side.clone()).collect();
            for round in 1..=self.args.rounds {
                for (setting, side) in settings.iter().zip(&mut sides) {
                    let title = format!("round {round} of {}, {}, {}", self.args.rounds, side.name(), plan.title());
                    gauge.enter(Stage { title, counts: plan.counts() });
                    side.rounds.push(self.measure(plan, setting, &raised, gauge)?);
                }
            }
            sides.iter().filter_map(|side| little(plan, side)).for_each(say);
            let report = Report { plan: plan.clone(), is_about_console: *rival == Some(Rival::Console), sides };
            is_sound &= report.is_sound();
            drop(tell.send(News::Measured(Box::new(report), rows)));
        }
        Ok(is_sound)
    }

    /// What takes turns: each broker, and each with company and without.
    fn settings(&self, plan: &Plan, rival: Option<Rival>, names: &Names) -> Vec<Setting> {
        let ours = || names.ours.clone();
        let first = if self.args.server.is_some() { Kind::Running } else { Kind::Cordboard(Face::Service) };
        let brokers = match rival {
            None => vec![(first, ours())],
            Some(Rival::NatsServer) => vec![(first, ours()), (Kind::NatsServer, names.nats.clone().unwrap_or_default())],
            Some(Rival::Console) => vec![
                (Kind::Cordboard(Face::Console), format!("{} with its console", names.ours)),
                (Kind::Cordboard(Face::Apart), ours()),
            ],
        };
        let companies: &[Situation] = match plan.beside {
            None => &[Situation::Usual],
            Some(company) => &[Situation::Beside(company), Situation::Alone],
        };
        let mut settings = Vec::new();
        for (kind, broker) in brokers {
            settings.extend(companies.iter().map(|situation| Setting {
                kind,
                side: Side { broker: broker.clone(), situation: *situation, rounds: Vec::new() },
            }));
        }
        settings
    }

    /// One round with one broker, which has just been started.
    fn measure(&self, plan: &Plan, setting: &Setting, raised: &Raised, gauge: &Gauge) -> anyhow::Result<Round> {
        let mut broker = match (setting.kind, &self.args.server) {
            (Kind::Cordboard(face), _) => Broker::cordboard(raised, face, gauge)?,
            (Kind::NatsServer, _) => Broker::nats_server(gauge)?,
            (Kind::Running, server) => Broker::running(server.as_deref().unwrap_or_default(), self.args.pid)?,
        };
        let target = Target { address: broker.address, process: broker.process, user: self.user.as_ref(), patience: PATIENCE };
        let company = setting.side.situation.company();
        let measured = match (plan.workload, setting.kind) {
            (Workload::Offline, _) => offline::run(plan, &target, gauge),
            (Workload::Idle, _) => silence::run(plan, &target, gauge),
            (Workload::Connections, Kind::NatsServer) => idle::run::<Nats>(plan, &target, gauge),
            (Workload::Connections, _) => idle::run::<Cordboard>(plan, &target, gauge),
            (_, Kind::NatsServer) => traffic::run::<Nats>(plan, company, &target, gauge),
            _ => traffic::run::<Cordboard>(plan, company, &target, gauge),
        };
        measured.map_err(|error| match broker.last_words() {
            Some(words) => anyhow::anyhow!("{}: {error}; {words}", plan.title()),
            None => anyhow::anyhow!("{}: {error}", plan.title()),
        })
    }
}

/// Why there is nothing to compare.
fn senseless(args: &BenchArgs, rival: Rival, cases: &[Case]) -> Option<&'static str> {
    match rival {
        Rival::NatsServer if !cases.iter().any(|case| has_counterpart(&case.plan)) => Some(
            "core NATS keeps nothing for a client that is away, so there are no dead letters to compare with; leave --compare out",
        ),
        Rival::Console if cfg!(not(feature = "console")) => {
            Some("this program was built without its console; leave --compare out")
        }
        Rival::Console if args.workload == Workload::All => {
            Some("all has rows of its own for the console; compare one workload, such as 1to1")
        }
        Rival::Console if args.beside.is_some() => Some("--compare console and --beside are two questions; ask one at a time"),
        _ => None,
    }
}

/// Who to be, with the password of the environment.
fn user(args: &BenchArgs) -> Result<Option<(String, String)>, UsageError> {
    let Some(user) = &args.user else { return Ok(None) };
    Ok(Some((user.clone(), password(user)?)))
}

/// A warning, if a round is too little to say much.
fn little(plan: &Plan, side: &Side) -> Option<String> {
    let (title, name) = (plan.title(), side.name());
    if let Some(least) = side.rounds.iter().filter_map(|round| round.cpu).min().filter(|least| *least < ENOUGH_CPU) {
        let used = least.as_millis();
        return Some(format!(
            "{title}: {name} used only {used} ms of CPU time in a round; for a figure that means something, take a larger --count or --duration"
        ));
    }
    let counted = side.rounds.iter().filter_map(|round| round.value(Measure::Counted)).reduce(f64::min)?;
    let more = if plan.beside == Some(Company::Drain) {
        "more --letters, a higher --rate or a longer --duration"
    } else {
        "a larger --count or --duration"
    };
    (counted < ENOUGH_LATENCIES).then(|| {
        format!(
            "{title}: {name} had only {counted} messages that count in a round; for percentiles that mean something, take {more}"
        )
    })
}
