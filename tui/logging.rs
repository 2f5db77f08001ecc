//! Logs: into files of the state directory, and onto the standard error while no console has the terminal.
//!
//! Nothing that logs ever waits: lines go through bounded channels to threads of their own, and are dropped, counted by nobody,
//! when a disk or a pipe cannot keep up. Audit records are the exception: they have a file of their own and drop nothing.

use std::{
    io::{self, BufWriter, IsTerminal, Write},
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
};

use anyhow::Context;
use tracing_appender::{
    non_blocking::{NonBlockingBuilder, WorkerGuard},
    rolling::{RollingFileAppender, Rotation},
};
use tracing_subscriber::{EnvFilter, Layer, fmt, layer::SubscriberExt, util::SubscriberInitExt};

use crate::state_dir::StateDir;

/// Days whose logs are kept.
const DAYS: usize = 14;

/// The logs of this process. Dropped, it writes out what is still on its way.
#[derive(Debug)]
pub(crate) struct Logging {
    /// Whether lines are shown on the standard error.
    pub(crate) screen: Screen,
    /// Where the day's file is.
    pub(crate) directory: PathBuf,
    _writers: [WorkerGuard; 2],
}

/// Starts logging into `state`, with nothing shown yet.
pub(crate) fn start(state: &StateDir) -> anyhow::Result<Logging> {
    let directory = state.path().to_owned();
    let files = RollingFileAppender::builder().rotation(Rotation::DAILY).filename_prefix("cordboard").filename_suffix("log");
    let files =
        files.max_log_files(DAYS).build(&directory).with_context(|| format!("cannot log into {}", directory.display()))?;
    // Their threads flush when nothing waits any more: many lines are one write.
    let (file, file_guard) = NonBlockingBuilder::default().finish(BufWriter::new(files));
    let screen = Screen::default();
    let (shown, shown_guard) = NonBlockingBuilder::default().finish(BufWriter::new(ScreenWriter(screen.clone())));

    let plain = || fmt::layer().with_ansi(false).log_internal_errors(false);
    let layers = vec![
        plain().with_writer(file).with_filter(level()?).boxed(),
        plain().with_writer(shown).with_target(false).compact().with_filter(for_screen(level()?)?).boxed(),
    ];
    tracing_subscriber::registry().with(layers).try_init().context("logging was started twice")?;
    std::panic::set_hook(Box::new(log_panic));
    Ok(Logging { screen, directory, _writers: [file_guard, shown_guard] })
}

/// What `CORDBOARD_LOG` asks for. Each actor lives in a span of its library's, at `info`: entered and left with every message,
/// by every layer, and in none of our lines. Whoever wants those names `ractor`.
fn level() -> anyhow::Result<EnvFilter> {
    let wanted = std::env::var("CORDBOARD_LOG").unwrap_or_else(|_| "info".to_owned());
    EnvFilter::try_new(format!("ractor=warn,{wanted}"))
        .context("CORDBOARD_LOG is no log filter; write for example info or cordboard=debug")
}

/// On a terminal somebody reads: records of orders, which are for machines, are in the file, and in the audit's own.
fn for_screen(level: EnvFilter) -> anyhow::Result<EnvFilter> {
    Ok(if io::stderr().is_terminal() { level.add_directive("cordboard::audit=off".parse()?) } else { level })
}

/// A panic is a line in the log. It never touches a terminal that may be drawn on.
fn log_panic(panic: &std::panic::PanicHookInfo<'_>) {
    let payload = panic.payload();
    let text = payload.downcast_ref::<&str>().copied().or(payload.downcast_ref::<String>().map(String::as_str));
    let what = text.unwrap_or("(no text)");
    let place = panic.location().map(ToString::to_string).unwrap_or_default();
    tracing::error!(place, "panic: {}", cordboard::Printable(what));
}

/// Whether log lines are shown on the standard error. Clones are the same.
#[derive(Debug, Clone, Default)]
pub(crate) struct Screen(Arc<Mutex<bool>>);

impl Screen {
    /// Shows lines from now on, or stops: once this has returned, not one more is written.
    pub(crate) fn show(&self, on: bool) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = on;
    }
}

/// Writes to the standard error while the screen is shown.
struct ScreenWriter(Screen);

impl Write for ScreenWriter {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let shown = self.0.0.lock().unwrap_or_else(PoisonError::into_inner);
        if *shown {
            // A closed standard error is no reason to stop logging.
            let _ = io::stderr().write_all(line);
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
