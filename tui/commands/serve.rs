//! `cordboard serve`, and the broker's side of `cordboard console`: configuration, log, signals, an orderly end.

use std::{
    future::Future,
    io,
    path::Path,
    process::ExitCode,
    thread,
    time::{Duration, Instant},
};

use anyhow::Context;
use cordboard::{Broker, Config, Handle, Printable, config::ConfigError, control::Outcome};
use tokio::runtime::Runtime;

use super::{listening, say};
use crate::{
    chronicle,
    cli::{ConsoleArgs, Exit, ServeArgs, UsageError},
    demo,
    logging::{self, Logging},
    signals::{AskFirst, Signal, Signals},
    state_dir::StateDir,
};
#[cfg(feature = "console")]
use crate::{console::Options, typed};

/// How long tasks may take to notice that the broker has ended.
const LAST_TASKS: Duration = Duration::from_secs(1);
/// Descriptors for what is no connection: the runtime's own, logs, endpoints.
#[cfg(unix)]
const OWN_DESCRIPTORS: u64 = 64;

/// Runs the broker to its end, with a console in front of it if one is wanted and there is a terminal for it.
pub(super) fn run(seat: &ConsoleArgs, with_console: bool) -> anyhow::Result<ExitCode> {
    let args = &seat.serve;
    // A mistake in it is worth saying before anything is made.
    let mut config = configure(args)?;
    let state = &StateDir::open(args.state_dir.clone())?;
    keep_audit(&mut config, state.path());
    let _lock = state.lock()?;
    let logging = logging::start(state)?;
    ask_for_descriptors(config.connections.max);
    let runtime = runtime(args.workers)?;
    // Before the broker is up, so that no signal finds it unprepared.
    let signals = {
        let _context = runtime.enter();
        Signals::catch().context("cannot catch signals")?
    };
    let handle = match runtime.block_on(Broker::start(config)) {
        Ok(handle) => handle,
        Err(error) => return Err(runtime.block_on(listening::explain(error))),
    };
    #[cfg(feature = "faults")]
    plan_faults(&handle)?;
    handle.set_read_only(seat.read_only);
    if args.config.is_some() {
        let (args, state) = (args.clone(), state.path().to_owned());
        handle.reload_from(move || read_again(&args, &state).map_err(|error| format!("{error:#}")));
    }
    let ask_first = AskFirst::default();
    runtime.spawn(obey(signals, handle.clone(), ask_first.clone(), args.config.is_some()));
    // The first line is where the broker is: whoever started it may wait for that.
    announce(&handle, &logging, args.demo);
    if args.demo {
        let _context = runtime.enter();
        demo::start(&handle, args.demo_seed.unwrap_or(demo::SEED))?;
    }
    let with_console = with_console && can_attend();
    logging.screen.show(!with_console);
    // It tells from the start; what it tells while nobody is shown it, nobody sees.
    let chronicle = runtime.spawn(chronicle::keep(handle.clone()));
    if with_console {
        attend(&handle, &runtime, &logging, &ask_first, seat);
    }
    let orderly = runtime.block_on(handle.stopped());
    let failed = handle.bus().board().broker.failed;
    // Its last lines are the shutdown's.
    let _ = runtime.block_on(chronicle);
    runtime.shutdown_timeout(LAST_TASKS);
    if !orderly {
        let (why, directory) = (failed.unwrap_or_else(|| "the broker failed".to_owned()), logging.directory.clone());
        // What is still on its way to the screen goes before the last word.
        drop(logging);
        say(format_args!("cordboard: {}, and the broker has stopped; see {}", Printable(&why), directory.display()));
    }
    Ok(if orderly { Exit::Done } else { Exit::Failed }.into())
}

/// One processor is left for what is not messages: the system's network, passwords, logs, the console. Where there are two, a
/// second worker would mostly be woken for nothing: that took half as much CPU again for each message at a low rate.
fn runtime(workers: Option<u32>) -> io::Result<Runtime> {
    let processors = thread::available_parallelism().map_or(1, usize::from);
    let workers = workers.map_or(processors.saturating_sub(1).max(1), |workers| workers as usize);
    tracing::info!(workers, processors, "messages are carried on so many threads");
    tokio::runtime::Builder::new_multi_thread().worker_threads(workers).enable_all().build()
}

/// A connection is a descriptor. Systems grant few at first and more to whoever asks.
#[cfg(unix)]
fn ask_for_descriptors(connections: usize) {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let enough = connections as u64 + OWN_DESCRIPTORS;
    let wanted = maximum.map_or(enough, |most| most.min(enough));
    if current.is_some_and(|current| current < wanted) {
        // Not granted after all: said below, as if it had not been asked for.
        let _ = setrlimit(Resource::Nofile, Rlimit { current: Some(wanted), maximum });
    }
    if let Some(granted) = getrlimit(Resource::Nofile).current.filter(|granted| *granted < enough) {
        tracing::warn!(
            granted,
            "the system grants fewer descriptors than connections.max ({connections}): raise its limit (ulimit -n), or lower connections.max"
        );
    }
}

/// It grants what it grants.
#[cfg(not(unix))]
fn ask_for_descriptors(_: usize) {}

/// What a test of the whole program wants to fail.
#[cfg(feature = "faults")]
fn plan_faults(handle: &Handle) -> anyhow::Result<()> {
    let Ok(faults) = std::env::var("CORDBOARD_FAULTS") else { return Ok(()) };
    handle.faults().plan_all(&faults).map_err(anyhow::Error::msg)
}

/// The configuration: the file's or the default, with what the command line says instead.
fn configure(args: &ServeArgs) -> anyhow::Result<Config> {
    let mut config = match &args.config {
        Some(path) => Config::load(path).map_err(|error| with_a_start(&error, path))?,
        None => Config::default(),
    };
    if !args.listen.is_empty() {
        config.listen.clone_from(&args.listen);
    }
    if args.demo {
        demo::permit(&config).map_err(|error| UsageError(error.to_string()))?;
    }
    let senseless = |error| UsageError(format!("the configuration and the command line together make no sense: {error}"));
    config.validate().map_err(senseless)?;
    Ok(config)
}

/// The mistake that says most, and how to go on: a file that is not there can be made, and further mistakes can be read.
fn with_a_start(error: &ConfigError, path: &Path) -> anyhow::Error {
    let file = path.display();
    let help = match error {
        ConfigError::Unreadable { why, .. } if why.kind() == io::ErrorKind::NotFound => {
            format!("; \"cordboard config > {file}\" makes one")
        }
        _ => match Config::examine(path).map_or_else(|errors| errors.len(), |_| 0) {
            0 | 1 => String::new(),
            all => format!("; {} more, which \"cordboard config --check {file}\" tells", all - 1),
        },
    };
    UsageError(format!("{error}{help}")).into()
}

/// As [`configure`], for a broker that runs already.
fn read_again(args: &ServeArgs, state: &Path) -> anyhow::Result<Config> {
    let mut config = configure(args)?;
    keep_audit(&mut config, state);
    Ok(config)
}

/// Orders are recorded in the state directory, unless the configuration says where.
fn keep_audit(config: &mut Config, state: &Path) {
    config.audit.file.get_or_insert_with(|| state.join("audit.jsonl"));
}

/// Says where the broker can be reached and where it writes.
fn announce(handle: &Handle, logging: &Logging, demo: bool) {
    let addresses: Vec<String> = handle.endpoints().iter().map(ToString::to_string).collect();
    let read_only = if handle.is_read_only() { ", read-only" } else { "" };
    let company = if demo { format!(", a DEMO with {}", demo::company()) } else { String::new() };
    let (addresses, directory) = (addresses.join(", "), logging.directory.display());
    say(format_args!("cordboard listens on {addresses}{read_only}{company}; logs are in {directory}"));
}

/// Does what signals ask for: the first drains, a second interrupt ends the process.
async fn obey(mut signals: Signals, handle: Handle, ask_first: AskFirst, has_file: bool) {
    let by = loop {
        match signals.next().await {
            Signal::HangUp if has_file => drop(tokio::spawn(reload(handle.clone()))),
            Signal::HangUp => tracing::info!("hang-up: there is no configuration file to read again, as --config names none"),
            Signal::Interrupt if ask_first.take(Instant::now()) => {
                say("the broker is running: Enter opens the console, Ctrl-C again shuts the broker down");
            }
            Signal::Interrupt => break "SIGINT",
            Signal::Terminate => break "SIGTERM",
        }
    };
    tracing::info!("shutting down");
    let draining = async {
        // What it cost is the chronicle's last line.
        handle.shutdown_by(by).await;
    };
    unless_interrupted(draining, &mut signals).await;
}

/// A hang-up asks for the configuration to be read again. Whoever sends one has the process in hand, read-only or not.
async fn reload(handle: Handle) {
    match handle.reload("SIGHUP").await {
        // What has changed is the chronicle's line.
        Outcome::Done { .. }
        | Outcome::PutBack { .. }
        | Outcome::AlreadyGone
        | Outcome::Seen { .. }
        | Outcome::Cancelled { .. } => {}
        Outcome::Refused { why } => tracing::error!("the configuration was not taken, and all is as it was: {}", Printable(&why)),
        Outcome::Unknown => tracing::error!("nobody said whether the configuration was taken; look at the events"),
    }
}

/// Waits for `draining`, unless another interrupt comes first: that one does not wait.
async fn unless_interrupted(draining: impl Future<Output = ()>, signals: &mut Signals) {
    tokio::pin!(draining);
    loop {
        tokio::select! {
            () = &mut draining => return,
            signal = signals.next() => if signal == Signal::Interrupt {
                std::process::exit(Exit::Interrupted as i32);
            },
        }
    }
}

/// True if there can be a console; else it says why there is none.
fn can_attend() -> bool {
    let why = no_console();
    if let Some(why) = why {
        say(format_args!("no console: {why}; running as \"cordboard serve\""));
    }
    why.is_none()
}

/// Puts the console in front of the broker.
#[cfg(feature = "console")]
fn attend(handle: &Handle, runtime: &Runtime, logging: &Logging, ask_first: &AskFirst, seat: &ConsoleArgs) {
    let operator = seat.operator.clone().unwrap_or_else(user);
    let options = Options { operator, program: typed::program(), demo: seat.serve.demo, ascii: seat.ascii };
    super::attend::attend(handle, runtime, &logging.screen, ask_first, &options);
}

/// There is none.
#[cfg(not(feature = "console"))]
fn attend(_: &Handle, _: &Runtime, _: &Logging, _: &AskFirst, _: &ConsoleArgs) {}

/// What stands in the console's way.
#[cfg(not(feature = "console"))]
fn no_console() -> Option<&'static str> {
    Some("this program was built without it")
}

/// What stands in the console's way.
#[cfg(feature = "console")]
fn no_console() -> Option<&'static str> {
    use std::io::IsTerminal;
    if !io::stdin().is_terminal() || !io::stdout().is_terminal() {
        return Some("the standard input and output are no terminal");
    }
    let dumb = std::env::var_os("TERM").is_none_or(|term| term.is_empty() || term == "dumb");
    dumb.then_some("TERM names no terminal that can be drawn on")
}

/// The user of the operating system, for the audit record.
#[cfg(feature = "console")]
fn user() -> String {
    let named = ["LOGNAME", "USER"].into_iter().find_map(|variable| std::env::var(variable).ok().filter(|name| !name.is_empty()));
    let number = rustix::process::getuid().as_raw();
    let named = named.or_else(|| name_of(number, &std::fs::read_to_string("/etc/passwd").ok()?));
    match named {
        // The environment says what its user wants; the number is the system's word.
        Some(name) => format!("{} (uid {number})", cordboard::Printable(&name)),
        None => format!("uid {number}"),
    }
}

/// The name of user `number` in `passwd`, a file of lines `name:password:number:…`.
#[cfg(feature = "console")]
fn name_of(number: u32, passwd: &str) -> Option<String> {
    passwd.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next().filter(|name| !name.is_empty())?;
        (fields.nth(1)?.parse() == Ok(number)).then(|| name.to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(feature = "console")]
    #[test]
    fn a_user_has_the_name_the_system_gives_it() {
        let passwd = "root:x:0:0:root:/root:/bin/sh\n+\n:x:7:7::/:\nana:x:1000:0::/home/ana:/bin/sh\n";
        assert_eq!(name_of(1000, passwd).as_deref(), Some("ana"));
        assert_eq!(name_of(0, passwd).as_deref(), Some("root"));
        assert_eq!(name_of(7, passwd), None);
    }

    /// What clap could not see: it is the command line all the same.
    #[test]
    fn a_configuration_that_makes_no_sense_is_a_usage_error() {
        let address = "127.0.0.1:7001".parse().unwrap();
        let args = ServeArgs { listen: vec![address, address], ..ServeArgs::default() };
        let error = configure(&args).unwrap_err();
        assert_eq!(Exit::of(&error), Exit::Usage, "{error}");
    }

    #[test]
    fn the_command_line_wins_over_the_file() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("cordboard.toml");
        std::fs::write(&file, "listen = [\"127.0.0.1:7000\"]\n").unwrap();
        let args = ServeArgs { config: Some(file), ..ServeArgs::default() };
        let config = read_again(&args, directory.path()).unwrap();
        assert_eq!(config.listen, ["127.0.0.1:7000".parse().unwrap()]);
        assert_eq!(config.audit.file, Some(directory.path().join("audit.jsonl")));
        let args = ServeArgs { listen: vec!["127.0.0.1:7001".parse().unwrap()], ..args };
        assert_eq!(configure(&args).unwrap().listen, args.listen);
    }

    #[test]
    fn an_audit_file_of_the_configuration_is_kept() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("cordboard.toml");
        std::fs::write(&file, "[audit]\nfile = \"orders.jsonl\"\n").unwrap();
        let args = ServeArgs { config: Some(file), ..ServeArgs::default() };
        assert_eq!(read_again(&args, directory.path()).unwrap().audit.file, Some("orders.jsonl".into()));
    }
}
