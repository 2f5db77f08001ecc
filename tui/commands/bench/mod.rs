//! `cordboard bench`: what a broker costs and how fast it is, with everything verified that comes back.
//!
//! What is measured is a process of its own on this machine; its CPU time is read from `/proc`, because on a small shared machine
//! that is steadier than the clock on the wall. The load is two threads, however many connections there are: one publishes, one
//! subscribes; company has two more, which stand back. Rounds of what is compared alternate, so that what changes on the machine
//! meanwhile meets all.

mod broker;
mod cases;
mod company;
mod figures;
mod idle;
mod job;
mod limits;
mod load;
mod offline;
mod plan;
mod publish;
mod report;
mod shared;
mod silence;
mod statistics;
mod subscribe;
mod target;
mod terminal;
mod traffic;
mod usage;
mod verify;

use std::{
    io,
    process::ExitCode,
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Instant,
};

use anyhow::Context as _;
use tokio::sync::mpsc;

use super::{grouped, print, progress::Progress, say};
use crate::{
    cli::{BenchArgs, Exit, Layout, Workload},
    signals::Signals,
};
use job::{Job, News};
use shared::{Gauge, Stage};
use target::Target;

/// Measures what the command line asks for. The exit code says whether all that was published came.
pub(super) async fn run(args: BenchArgs) -> anyhow::Result<ExitCode> {
    let (quiet, layout, is_one_of_many) = (args.quiet, args.format, args.workload == Workload::All);
    let job = Job::new(args)?;
    let mut signals = Signals::catch()?;
    let names = job.names(&mut signals).await?;
    job.ask_for_descriptors()?;
    let head = is_one_of_many.then(|| report::markdown_head(&names.ours, names.nats.as_deref()));
    let mut teller = Teller { quiet, layout, is_one_of_many, head };
    let mut progress = Progress::start(quiet, false);
    let gauge = Arc::new(Gauge::default());
    let (tell, mut news) = mpsc::unbounded_channel();
    let mut working = tokio::task::spawn_blocking({
        let gauge = Arc::clone(&gauge);
        move || job.work(&names, &gauge, &tell)
    });
    let mut told = Ok(());
    let is_sound = loop {
        tokio::select! {
            // What is told comes before the end.
            biased;
            Some(news) = news.recv() => {
                progress.erase();
                if let Err(error) = teller.tell(news) {
                    told = Err(error);
                    gauge.stop.store(true, Relaxed);
                }
            }
            is_sound = &mut working => break is_sound.context("the measurement failed")?,
            _ = signals.next() => gauge.stop.store(true, Relaxed),
            () = progress.tick() => progress.draw(&far(&gauge, progress.since)),
        }
    };
    progress.erase();
    told.context("the figures could not be written")?;
    Ok(if is_sound? { Exit::Done } else { Exit::Failed }.into())
}

/// Where figures and words go.
#[derive(Debug)]
struct Teller {
    quiet: bool,
    layout: Layout,
    is_one_of_many: bool,
    /// Of the table of many, until it is written.
    head: Option<String>,
}

impl Teller {
    fn tell(&mut self, news: News) -> io::Result<()> {
        match (news, self.layout) {
            (News::Word(_), _) if self.quiet => Ok(()),
            (News::Word(word), _) => {
                say(word);
                Ok(())
            }
            (News::Measured(report, _), Layout::Json) => print(format!("{}\n", report.json()).as_bytes()),
            (News::Measured(report, rows), Layout::Table) if self.is_one_of_many => {
                if !report.is_sound() {
                    say(report.verified());
                }
                let head = self.head.take().unwrap_or_default();
                print(format!("{head}{}", report.markdown(rows)).as_bytes())
            }
            (News::Measured(report, _), Layout::Table) => print(report.table().as_bytes()),
        }
    }
}

/// How far it is: first what changes, because a narrow line is cut at its end.
fn far(gauge: &Gauge, since: Instant) -> String {
    let [first, second] = [&gauge.sent, &gauge.delivered].map(|count| grouped(count.load(Relaxed)));
    let Stage { title, counts } = gauge.stage();
    let silence = match gauge.silence.load(Relaxed) {
        0 | 1 => String::new(),
        seconds => format!("nothing came for {seconds} s, "),
    };
    format!("{silence}{first} {}, {second} {}, {} s; {title}", counts[0], counts[1], since.elapsed().as_secs())
}

#[cfg(test)]
mod tests;
