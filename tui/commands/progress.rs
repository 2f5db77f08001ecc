//! How far it is, on the terminal of whoever waits: a line that is drawn again and again, and leaves nothing behind.

use std::{
    io::{self, IsTerminal as _, Write as _},
    time::{Duration, Instant},
};

use tokio::time::{Interval, MissedTickBehavior};

/// What is done by then is not worth a line.
const PATIENCE: Duration = Duration::from_secs(1);
/// Five times a second is as often as a number can be read.
const REDRAW: Duration = Duration::from_millis(200);
/// Wider than any line, and narrow enough for any terminal.
const COLUMNS: usize = 72;

/// The line, if there is a terminal for it.
#[derive(Debug)]
pub(super) struct Progress {
    pub(super) since: Instant,
    ticks: Option<Interval>,
    is_drawn: bool,
}

impl Progress {
    /// Shown on the standard error if that is a terminal that can erase a line, and nobody types there or wants silence.
    pub(super) fn start(quiet: bool, typed: bool) -> Self {
        let dumb = std::env::var_os("TERM").is_none_or(|term| term.is_empty() || term == "dumb");
        let ticks = (!quiet && !typed && !dumb && io::stderr().is_terminal()).then(|| {
            let mut ticks = tokio::time::interval_at(tokio::time::Instant::now() + PATIENCE, REDRAW);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            ticks
        });
        Self { since: Instant::now(), ticks, is_drawn: false }
    }

    /// Resolves when it is time to draw; never if nobody looks. Cancel safe.
    pub(super) async fn tick(&mut self) {
        match &mut self.ticks {
            Some(ticks) => drop(ticks.tick().await),
            None => std::future::pending().await,
        }
    }

    /// Draws `line` over what was there.
    pub(super) fn draw(&mut self, line: &str) {
        let line: String = line.chars().take(COLUMNS).collect();
        // A terminal that has gone does not need it.
        let _ = write!(io::stderr(), "\r{line}\x1b[K").and_then(|()| io::stderr().flush());
        self.is_drawn = true;
    }

    /// Leaves the terminal as it was, for other words or for good.
    pub(super) fn erase(&mut self) {
        if std::mem::take(&mut self.is_drawn) {
            let _ = write!(io::stderr(), "\r\x1b[K").and_then(|()| io::stderr().flush());
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.erase();
    }
}
