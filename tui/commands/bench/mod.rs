//! `cordboard bench`: what a broker costs and how fast it is, with everything verified that comes back.
//!
//! What is measured is a process of its own on this machine; its CPU time is read from `/proc`, because on a small shared machine
//! that is steadier than the clock on the wall. The load is two threads, however many connections there are: one publishes, one
//! subscribes. Rounds of two brokers alternate, so that what changes on the machine meanwhile meets both.

mod broker;
mod cases;
mod figures;
mod idle;
mod limits;
mod load;
mod offline;
mod plan;
mod publish;
mod report;
mod shared;
mod statistics;
mod subscribe;
mod traffic;
mod usage;
mod verify;

use std::{
    net::SocketAddr,
    process::ExitCode,
    sync::{Arc, atomic::Ordering::Relaxed},
    time::{Duration, Instant},
};

use anyhow::Context as _;
use cordboard::{Printable, client::Backoff};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::sync::mpsc;

use super::{builder, connect, grouped, print, progress::Progress, say};
use crate::{
    cli::{BenchArgs, Exit, Layout, Rival, ServerArgs, UsageError, Workload},
    signals::Signals,
};
use broker::Broker;
use cases::{Case, cases};
use figures::Round;
use limits::Raised;
use load::{Cordboard, Identity, LoadError, Nats};
use report::{Report, Side};
use shared::Gauge;
use usage::{Cpu, Memory};

/// Less CPU time than this says little: what a process does now and then weighs too much in it.
const ENOUGH_CPU: Duration = Duration::from_millis(200);
/// Descriptors of ours besides connections.
const OWN_DESCRIPTORS: u64 = 64;

/// Measures what the command line asks for. The exit code says whether all that was published came.
pub(super) async fn run(args: BenchArgs) -> anyhow::Result<ExitCode> {
    let (quiet, layout, all) = (args.quiet, args.format, args.workload == Workload::All);
    let job = Job { cases: cases(&args)?, user: user(&args)?, args };
    if job.args.compare.is_some() && job.cases.len() == 1 && !has_counterpart(job.cases[0].plan.workload) {
        return Err(UsageError(
            "core NATS keeps nothing for a client that is away: offline is measured without --compare".to_owned(),
        )
        .into());
    }
    let mut signals = Signals::catch()?;
    let names = job.names(&mut signals).await?;
    job.ask_for_descriptors()?;
    let mut progress = Progress::start(quiet, false);
    let gauge = Arc::new(Gauge::default());
    let (tell, mut news) = mpsc::unbounded_channel();
    let head = report::markdown_head(&names[0], names.get(1).map(String::as_str));
    let mut is_first = true;
    let mut working = tokio::task::spawn_blocking({
        let gauge = Arc::clone(&gauge);
        move || job.work(&names, &gauge, &tell)
    });
    let outcome = loop {
        tokio::select! {
            biased;
            Some(news) = news.recv() => {
                progress.erase();
                match news {
                    News::Word(word) if !quiet => say(word),
                    News::Word(_) => {}
                    News::Measured(report, rows) => {
                        let text = match (layout, all) {
                            (Layout::Json, _) => format!("{}\n", report.json()),
                            (Layout::Table, false) => report.table(),
                            (Layout::Table, true) => {
                                let head = if std::mem::take(&mut is_first) { head.as_str() } else { "" };
                                format!("{head}{}", report.markdown(rows))
                            }
                        };
                        print(text.as_bytes())?;
                    }
                }
            }
            outcome = &mut working => break outcome.context("the measurement failed")?,
            _ = signals.next() => gauge.stop.store(true, Relaxed),
            () = progress.tick() => progress.draw(&far(&gauge, progress.since)),
        }
    };
    progress.erase();
    Ok(if outcome? { Exit::Done } else { Exit::Failed }.into())
}
/// The broker that a load is for.
#[derive(Debug)]
struct Target<'a> {
    address: SocketAddr,
    process: Option<u32>,
    user: Option<&'a (String, String)>,
}

impl Target<'_> {
    fn identity(&self, name: &'static str) -> Identity {
        Identity { user: self.user.cloned(), ..Identity::new(name) }
    }

    /// What it has used so far, if that can be read.
    fn cpu(&self) -> Result<Option<Cpu>, LoadError> {
        Ok(self.process.map(Cpu::of).transpose()?)
    }

    /// What it has used since.
    fn cpu_since(&self, before: Option<Cpu>) -> Result<Option<Duration>, LoadError> {
        Ok(before.zip(self.cpu()?).map(|(before, now)| now.since(&before)))
    }

    fn memory(&self) -> Result<Option<Memory>, LoadError> {
        Ok(self.process.map(Memory::of).transpose()?)
    }
}

/// What whoever waits is told.
enum News {
    Word(String),
    Measured(Box<Report>, &'static [figures::Measure]),
}

/// All there is to do.
struct Job {
    args: BenchArgs,
    cases: Vec<Case>,
    user: Option<(String, String)>,
}

impl Job {
    /// What the brokers call themselves, ours first; and they are there.
    async fn names(&self, signals: &mut Signals) -> anyhow::Result<Vec<String>> {
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
    fn ask_for_descriptors(&self) -> Result<(), UsageError> {
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
    fn work(&self, names: &[String], gauge: &Gauge, tell: &mpsc::UnboundedSender<News>) -> anyhow::Result<bool> {
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
                    gauge.enter(format!("{}: round {round} of {}, {}", plan.title(), self.args.rounds, side.broker));
                    side.rounds.push(self.measure(plan, nth == 0, &raised, gauge)?);
                }
            }
            sides.iter().filter_map(|side| little(side)).for_each(say);
            let report = Report { plan: plan.clone(), sides };
            is_sound &= report.is_sound();
            drop(tell.send(News::Measured(Box::new(report), rows)));
        }
        Ok(is_sound)
    }

    /// One round with one broker, which has just been started.
    fn measure(&self, plan: &plan::Plan, is_ours: bool, raised: &Raised, gauge: &Gauge) -> anyhow::Result<Round> {
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
    Ok(Some((user.clone(), super::password(user)?)))
}

/// A warning, if a broker used so little CPU time that it says little.
fn little(side: &Side) -> Option<String> {
    let least = side.rounds.iter().filter_map(|round| round.cpu).min().filter(|least| *least < ENOUGH_CPU)?;
    Some(format!(
        "{}: only {} ms of CPU time were measured in a round; for a figure that means something, take a larger --count or --duration",
        side.broker,
        least.as_millis()
    ))
}

/// How far it is.
fn far(gauge: &Gauge, since: Instant) -> String {
    let [sent, delivered] = [&gauge.sent, &gauge.delivered].map(|count| grouped(count.load(Relaxed)));
    format!("{}: {sent} sent, {delivered} delivered; {} s", gauge.stage(), since.elapsed().as_secs())
}

#[cfg(test)]
mod tests;
