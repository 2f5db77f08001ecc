//! The command line: one table, from which parsing, help, completions and the manual page are made.

mod bench;
mod broker;
mod examples;
mod exit;
mod mistakes;
mod values;

use std::{
    ffi::{OsStr, OsString},
    path::PathBuf,
    time::Duration,
};

use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum, builder::Resettable, error::ErrorKind};
use clap_complete::Shell;
use cordboard::name::{ClientName, Filter, Principal, TopicName};

pub(crate) use bench::{Acks, BenchArgs, Company, Layout, Rival, Workload};
pub(crate) use broker::{ConsoleArgs, ServeArgs};
pub(crate) use exit::{Exit, NotAccepted, NotConnected, UsageError};
pub(crate) use mistakes::in_words;

const ENVIRONMENT: &str = "\
Environment:
  CORDBOARD_CONFIG      the configuration, as --config
  CORDBOARD_LISTEN      where to accept connections, as --listen; several with commas between them
  CORDBOARD_STATE_DIR   where logs, audit records and sessions are kept, as --state-dir
  CORDBOARD_WORKERS     on how many threads messages are carried, as --workers
  CORDBOARD_LOG         what is logged, for example debug or cordboard=trace (default: info)
  CORDBOARD_SERVER      the broker to talk to, as --server
  CORDBOARD_USER        who to be there, as --user
  CORDBOARD_PASSWORD    the password for it; on the command line others could see it
  NO_COLOR              no colours, in the console and in this help";

/// Where to read on, at the end of each short help.
const MORE: &str = "--help has examples";

fn after_help() -> String {
    format!("{}\n\n{}\n\n{ENVIRONMENT}", examples::CORDBOARD, Exit::table())
}

/// A message broker with its operator's console in the same process.
///
/// Without a command: the broker and its console.
#[derive(Debug, Parser)]
#[command(name = "cordboard", version, max_term_width = 100)]
#[command(after_help = "--help has examples, exit codes and the environment", after_long_help = after_help())]
pub(crate) struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    before: ConsoleArgs,
}

/// What there is to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run the broker and its console (the same as no command)
    #[command(after_help = MORE, after_long_help = examples::CONSOLE)]
    Console(ConsoleArgs),
    /// Run the broker alone, its log on the standard error
    #[command(after_help = MORE, after_long_help = examples::SERVE)]
    Serve(ServeArgs),
    /// Publish messages
    ///
    /// The message is an argument, a file, or each line of the standard input. The exit code is 0 only if the broker has accepted
    /// all of them; at the first one that it refuses, no more are read. How many there were is said on the standard error.
    ///
    /// A topic that nobody has subscribed to keeps its last messages for whoever is the first: 1,000 of them for 10 minutes, unless
    /// the configuration says otherwise (`topics.backlog_messages`, `topics.backlog_life`). The ones before are dropped, and are
    /// among those that were accepted: accepted does not mean that anybody has read it.
    #[command(after_help = MORE, after_long_help = examples::PUB)]
    Pub(PubArgs),
    /// Print messages as they come
    ///
    /// As text, a message is a line: the payload, or `topic<TAB>payload` if a filter has a wildcard or there are several. On a
    /// terminal, what cannot be seen is escaped; into a pipe or file, payloads go as they are. As json, it is a line with an object:
    /// topic, number, accepted, redelivered, headers, encoding (text or base64) and payload. As raw, it is its payload and nothing
    /// else. A message is acknowledged once it is written.
    #[command(after_help = MORE, after_long_help = examples::SUB)]
    Sub(SubArgs),
    /// Ask a broker whether it is there, for health checks
    ///
    /// Connects, registers, and waits for the answer to one ping. Exit code 0: the broker answered; 3: nobody did in time; 4: it
    /// refused the client.
    #[command(after_help = MORE, after_long_help = examples::PING)]
    Ping(PingArgs),
    /// Measure a broker: its CPU time a message, throughput, latency, memory
    ///
    /// Starts a broker of its own, with nothing in it, sends it a load and verifies what comes back: every message once, in order,
    /// with its content. Prints how fast that was, and what it cost the broker's process in CPU time and memory. With --compare,
    /// the same is done with another broker, in turn. Exit code 1: something was lost, came twice or was wrong.
    #[command(after_help = MORE, after_long_help = examples::BENCH)]
    Bench(BenchArgs),
    /// Print the default configuration, or check one
    ///
    /// Without an option: the default configuration, each key with its reason. With --check: everything that is wrong with a file,
    /// each with its line; or, if nothing is, what it says otherwise than the default.
    #[command(after_help = MORE, after_long_help = examples::CONFIG)]
    Config(ConfigArgs),
    /// Make a password's hash for the configuration
    ///
    /// The password is asked for twice on a terminal, without an echo, or read from the standard input if that is none.
    #[command(after_help = MORE, after_long_help = examples::PASSWD)]
    Passwd(PasswdArgs),
    /// Explain whether a user may do something, and which line says so
    ///
    /// Reads the configuration that --config names, not a running broker. Exit code 0: it may; 1: it may not; 2: the question or
    /// the configuration makes no sense.
    #[command(after_help = MORE, after_long_help = examples::RIGHTS)]
    Rights(RightsArgs),
    /// Print a shell's completions of this command line
    #[command(after_help = MORE, after_long_help = examples::COMPLETIONS)]
    Completions(CompletionsArgs),
    /// Print the manual page, or that of one command
    #[command(after_help = MORE, after_long_help = examples::MAN)]
    Man(ManArgs),
}

/// The table that everything is made from.
pub(crate) fn table() -> clap::Command {
    Cli::command()
}

/// A variable that is set to nothing is as good as not set: that is how scripts and service files take one back.
fn without_empty_variables(table: clap::Command, is_empty: &dyn Fn(&OsStr) -> bool) -> clap::Command {
    table
        .mut_args(|arg| if arg.get_env().is_some_and(is_empty) { arg.env(Resettable::Reset) } else { arg })
        .mut_subcommands(|command| without_empty_variables(command, is_empty))
}

impl Cli {
    /// What is asked for; no command is `console`. Options of the broker that stand before a command are the command's.
    pub(crate) fn parse(words: impl IntoIterator<Item = impl Into<OsString> + Clone>) -> Result<Command, clap::Error> {
        let is_empty = |name: &OsStr| std::env::var_os(name).is_some_and(|value| value.is_empty());
        let matches = without_empty_variables(table(), &is_empty).try_get_matches_from(words)?;
        let Self { command, mut before } = Self::from_arg_matches(&matches)?;
        let Some(mut command) = command else { return Ok(Command::Console(before)) };
        command.take(&mut before);
        match before.given() {
            None => Ok(command),
            Some(option) => {
                let (table, name) = (table(), command.name());
                let owners = mistakes::owners(option, &table).unwrap_or_default();
                Err(clap::Error::raw(ErrorKind::ArgumentConflict, format!("{option} belongs to {owners}, not to {name}")))
            }
        }
    }
}

impl Command {
    /// Takes what means something to it out of the options that stood before it.
    fn take(&mut self, before: &mut ConsoleArgs) {
        match self {
            Self::Console(args) => *args = std::mem::take(args).after(std::mem::take(before)),
            Self::Serve(args) => {
                let both = ConsoleArgs::from(std::mem::take(args)).after(std::mem::take(&mut before.serve).into());
                *args = both.serve;
            }
            Self::Rights(args) => args.config = args.config.take().or(before.serve.config.take()),
            Self::Sub(args) => args.state_dir = args.state_dir.take().or(before.serve.state_dir.take()),
            _ => {}
        }
    }

    fn name(&self) -> &'static str {
        match self {
            Self::Console(_) => "console",
            Self::Serve(_) => "serve",
            Self::Pub(_) => "pub",
            Self::Sub(_) => "sub",
            Self::Ping(_) => "ping",
            Self::Bench(_) => "bench",
            Self::Config(_) => "config",
            Self::Passwd(_) => "passwd",
            Self::Rights(_) => "rights",
            Self::Completions(_) => "completions",
            Self::Man(_) => "man",
        }
    }
}

/// Which broker, and as whom.
#[derive(Debug, Args)]
#[command(next_help_heading = "Connection")]
pub(crate) struct ServerArgs {
    /// The broker to talk to
    #[arg(long, value_name = "HOST[:PORT]", env = "CORDBOARD_SERVER", hide_env_values = true, default_value = "127.0.0.1:2673", value_parser = values::server)]
    pub(crate) server: String,
    #[arg(long, value_name = "NAME", env = "CORDBOARD_USER", hide_env_values = true)]
    #[arg(help = "Who to be; the password comes from CORDBOARD_PASSWORD")]
    pub(crate) user: Option<String>,
}

/// `cordboard pub`.
#[derive(Debug, Args)]
pub(crate) struct PubArgs {
    /// Publish to this topic
    pub(crate) topic: TopicName,
    /// The message; - or nothing: one message for each line of the standard input
    #[arg(conflicts_with = "file")]
    pub(crate) message: Option<String>,
    /// The message is this whole file; -: the whole standard input
    #[arg(long, value_name = "FILE")]
    pub(crate) file: Option<PathBuf>,
    /// Publish the message this many times
    #[arg(long, short = 'n', value_name = "N", value_parser = values::count::<u64>)]
    pub(crate) count: Option<u64>,
    /// What the broker's operator sees this client as
    #[arg(long, value_name = "NAME", default_value = "cordboard-pub")]
    pub(crate) name: ClientName,
    /// Give every message a header; may be given again
    #[arg(long, value_name = "KEY=VALUE", value_parser = values::header)]
    pub(crate) header: Vec<(String, String)>,
    /// Let messages wait this long for a subscriber, then drop them (for example 90s)
    #[arg(long, value_name = "TIME", value_parser = values::duration)]
    pub(crate) ttl: Option<Duration>,
    /// Say nothing but what fails
    #[arg(long, short)]
    pub(crate) quiet: bool,
    #[command(flatten)]
    pub(crate) server: ServerArgs,
}

/// `cordboard sub`.
#[derive(Debug, Args)]
pub(crate) struct SubArgs {
    /// Topics, or filters: + stands for one level, a last # for all the rest
    #[arg(required = true, value_name = "FILTER")]
    pub(crate) filters: Vec<Filter>,
    /// Keep the session under this name, and resume it the next time: what comes in between is not missed
    #[arg(long, value_name = "NAME")]
    pub(crate) name: Option<ClientName>,
    /// Stop after this many messages; without --name, what else has come goes with the session
    #[arg(long, short = 'n', value_name = "N", value_parser = values::count::<u64>)]
    pub(crate) count: Option<u64>,
    /// Stop after this time (for example 5s); exit code 5 if --count messages have not come by then
    #[arg(long, value_name = "TIME", value_parser = values::duration)]
    pub(crate) timeout: Option<Duration>,
    /// How messages are printed
    #[arg(long, value_enum, value_name = "FORMAT", default_value_t = Format::Text)]
    pub(crate) format: Format,
    /// Whether lines of text begin with the topic
    #[arg(long, value_enum, value_name = "WHEN", default_value_t = WithTopic::Auto)]
    pub(crate) topic: WithTopic,
    /// Say nothing about the session and the connection
    #[arg(long, short)]
    pub(crate) quiet: bool,
    /// Keep the session of --name here [default: cordboard in the user's state directory]
    #[arg(long, value_name = "DIR", env = "CORDBOARD_STATE_DIR", hide_env_values = true)]
    pub(crate) state_dir: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) server: ServerArgs,
}

/// `cordboard ping`.
#[derive(Debug, Args)]
pub(crate) struct PingArgs {
    /// How long all of it may take
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = values::duration)]
    pub(crate) timeout: Duration,
    /// Say nothing at all: the exit code says it
    #[arg(long, short)]
    pub(crate) quiet: bool,
    #[command(flatten)]
    pub(crate) server: ServerArgs,
}

/// `cordboard config`.
#[derive(Debug, Args)]
pub(crate) struct ConfigArgs {
    /// Read this file as a broker would, and run none
    #[arg(long, value_name = "FILE")]
    pub(crate) check: Option<PathBuf>,
}

/// `cordboard passwd`.
#[derive(Debug, Args)]
pub(crate) struct PasswdArgs {
    /// Print the lines that make a user of this name; without it, the hash alone
    pub(crate) name: Option<Principal>,
}

/// `cordboard rights`.
#[derive(Debug, Args)]
pub(crate) struct RightsArgs {
    /// The configuration
    #[arg(long, value_name = "FILE", env = "CORDBOARD_CONFIG", hide_env_values = true)]
    pub(crate) config: Option<PathBuf>,
    /// Whose rights
    #[arg(long = "as", value_name = "NAME")]
    pub(crate) name: Principal,
    /// What it would do
    #[arg(value_enum)]
    pub(crate) wish: Wish,
    /// With which topic; to subscribe or operate, a filter will do
    #[arg(value_name = "TOPIC_OR_FILTER")]
    pub(crate) what: Filter,
}

/// `cordboard completions`.
#[derive(Debug, Args)]
pub(crate) struct CompletionsArgs {
    /// Which shell
    pub(crate) shell: Shell,
}

/// `cordboard man`.
#[derive(Debug, Args)]
pub(crate) struct ManArgs {
    /// The command; without it, the page of the program
    pub(crate) command: Option<String>,
}

/// What somebody may or may not do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Wish {
    Publish,
    Subscribe,
    Create,
    Operate,
}

/// How messages are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// A line each
    Text,
    /// An object each, on a line
    Json,
    /// Payloads, with nothing between them
    Raw,
}

/// Whether lines begin with the topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum WithTopic {
    /// If more than one topic can come
    Auto,
    Always,
    Never,
}

impl SubArgs {
    /// True if lines begin with the topic.
    pub(crate) fn with_topic(&self) -> bool {
        match self.topic {
            WithTopic::Always => true,
            WithTopic::Never => false,
            WithTopic::Auto => self.filters.len() > 1 || self.filters.iter().any(|filter| filter.exact().is_none()),
        }
    }
}

#[cfg(test)]
mod tests;
