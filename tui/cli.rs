//! The command line, and what the program's exit codes mean.

use std::{
    net::{IpAddr, Ipv6Addr, SocketAddr},
    path::PathBuf,
    process::ExitCode,
    time::Duration,
};

use clap::{
    Args, Parser, Subcommand, ValueEnum,
    error::{ContextKind, ContextValue},
};
use cordboard::{
    Printable,
    client::{ConnectError, FlushError, PublishError, SubscribeError},
    name::{ClientName, Filter, Principal, TopicName},
    wire::{Code, DEFAULT_PORT},
};

use crate::demo;

const AFTER_HELP: &str = "\
Exit codes:
  0  done, or stopped as asked
  1  failed
  2  the command line makes no sense
  3  cannot connect to the broker
  4  the broker refused: no right, wrong password, a limit

Environment:
  CORDBOARD_SERVER      the broker for pub and sub, as --server
  CORDBOARD_PASSWORD    the password for --user; on the command line others could see it
  CORDBOARD_STATE_DIR   where logs, audit records and sessions are kept, as --state-dir
  CORDBOARD_LOG         what is logged, for example debug or cordboard=trace (default: info)
  NO_COLOR              no colours in the console";

/// A message broker with its operator's console in the same process.
///
/// Without a command: the broker and its console.
#[derive(Debug, Parser)]
#[command(name = "cordboard", version, after_help = AFTER_HELP, max_term_width = 100)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
    /// Keep logs, audit records and sessions here [default: cordboard in the user's state directory]
    #[arg(long, global = true, value_name = "DIR", env = "CORDBOARD_STATE_DIR")]
    pub(crate) state_dir: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) broker: BrokerArgs,
}

/// What there is to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run the broker and its console (the same as no command)
    Console,
    /// Run the broker alone, its log on the standard error
    Serve,
    /// Publish messages
    Pub(PubArgs),
    /// Print messages as they come
    Sub(SubArgs),
    /// Make a password's hash for the configuration
    Passwd(PasswdArgs),
    /// Explain whether a user may do something, and which line says so
    Rights(RightsArgs),
}

/// For the commands that run a broker.
#[derive(Debug, Clone, Default, Args, PartialEq, Eq)]
#[command(next_help_heading = "Broker")]
pub(crate) struct BrokerArgs {
    /// Read the configuration from this file
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Accept connections here instead of where the configuration says; may be given again
    #[arg(long, global = true, value_name = "ADDRESS", value_parser = listen_address)]
    pub(crate) listen: Vec<SocketAddr>,
    /// Who gives the orders, for the audit record [default: the user of the operating system]
    #[arg(long, global = true, value_name = "NAME", value_parser = operator)]
    pub(crate) operator: Option<String>,
    /// Refuse every order that changes something
    #[arg(long, global = true)]
    pub(crate) read_only: bool,
    /// Bring synthetic clients along that publish, slow down, die and come back, to watch and to practise on; all
    /// their names begin with demo-
    #[arg(long, global = true)]
    pub(crate) demo: bool,
    /// Let the demo draw other lots
    #[arg(long, global = true, value_name = "N", default_value_t = demo::SEED, hide = true)]
    pub(crate) demo_seed: u64,
}

impl BrokerArgs {
    /// The first option that was given and means nothing to a client.
    pub(crate) fn given(&self) -> Option<&'static str> {
        [
            (self.config.is_some(), "--config"),
            (!self.listen.is_empty(), "--listen"),
            (self.operator.is_some(), "--operator"),
            (self.read_only, "--read-only"),
            (self.demo, "--demo"),
        ]
        .into_iter()
        .find_map(|(given, option)| given.then_some(option))
    }
}

/// Which broker, and as whom.
#[derive(Debug, Args)]
#[command(next_help_heading = "Connection")]
pub(crate) struct ServerArgs {
    /// The broker to talk to
    #[arg(long, value_name = "HOST[:PORT]", env = "CORDBOARD_SERVER", default_value = "127.0.0.1:2673", value_parser = server)]
    pub(crate) server: String,
    /// Who to be; the password comes from the environment, see below
    #[arg(long, value_name = "NAME")]
    pub(crate) user: Option<String>,
}

/// `cordboard pub`.
#[derive(Debug, Args)]
pub(crate) struct PubArgs {
    /// Publish to this topic
    pub(crate) topic: TopicName,
    /// The message; - or nothing: one message for each line of the standard input
    pub(crate) payload: Option<String>,
    /// What the broker's operator sees this client as
    #[arg(long, value_name = "NAME", default_value = "cordboard-pub")]
    pub(crate) name: ClientName,
    /// Give every message a header; may be given again
    #[arg(long, value_name = "KEY=VALUE", value_parser = header)]
    pub(crate) header: Vec<(String, String)>,
    /// Let messages wait this long for a subscriber, then drop them (for example 90s)
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub(crate) ttl: Option<Duration>,
    #[command(flatten)]
    pub(crate) server: ServerArgs,
}

/// `cordboard sub`.
///
/// A message is a line: the payload, or `topic<TAB>payload` if a filter has a wildcard or there are several. On a terminal,
/// what cannot be seen is escaped; into a pipe or file, payloads go as they are. A message is acknowledged once it is written.
#[derive(Debug, Args)]
pub(crate) struct SubArgs {
    /// Topics, or filters: + stands for one level, a last # for all the rest
    #[arg(required = true, value_name = "FILTER")]
    pub(crate) filters: Vec<Filter>,
    /// Keep the session under this name, and resume it the next time: what comes in between is not missed
    #[arg(long, value_name = "NAME")]
    pub(crate) name: Option<ClientName>,
    /// Stop after this many messages
    #[arg(long, short = 'n', value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) count: Option<u64>,
    /// Whether lines begin with the topic
    #[arg(long, value_enum, value_name = "WHEN", default_value_t = WithTopic::Auto)]
    pub(crate) topic: WithTopic,
    #[command(flatten)]
    pub(crate) server: ServerArgs,
}

/// `cordboard passwd`.
///
/// The password is asked for twice on a terminal, without an echo, or read from the standard input if that is none.
#[derive(Debug, Args)]
pub(crate) struct PasswdArgs {
    /// Print the lines that make a user of this name; without it, the hash alone
    pub(crate) name: Option<Principal>,
}

/// `cordboard rights`.
///
/// Reads the configuration that --config names, not a running broker. Exit code 0: it may; 1: it may not; 2: the question or
/// the configuration makes no sense.
#[derive(Debug, Args)]
pub(crate) struct RightsArgs {
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

/// What somebody may or may not do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Wish {
    Publish,
    Subscribe,
    Create,
    Operate,
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

/// `IP:PORT`, or an IP alone for the default port.
fn listen_address(text: &str) -> Result<SocketAddr, String> {
    let address = text.parse().ok();
    address
        .or_else(|| text.parse::<IpAddr>().ok().map(|ip| SocketAddr::new(ip, DEFAULT_PORT)))
        .ok_or_else(|| "give an IP address, with a port if it is not 2673: 127.0.0.1, 0.0.0.0:5000 or [::]:2673".to_owned())
}

/// `HOST`, `HOST:PORT`, or an IPv6 address with or without both brackets and port. Whether the host is there is found out later.
fn server(text: &str) -> Result<String, String> {
    let is_host =
        |host: &str| !host.is_empty() && !host.contains(|c: char| c.is_whitespace() || c.is_control() || "[]:/@".contains(c));
    let is_sound = match text.rsplit_once(':') {
        None => is_host(text),
        Some((host, port)) => {
            let bracketed = |host: &str| host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).is_some_and(is_ipv6);
            is_ipv6(text) || bracketed(text) || port.parse().is_ok_and(|port: u16| port > 0) && (is_host(host) || bracketed(host))
        }
    };
    if is_sound {
        Ok(text.to_owned())
    } else {
        Err("write a host, with a port if it is not 2673: localhost, 192.0.2.7:5000 or [::1]:2673".to_owned())
    }
}

fn is_ipv6(text: &str) -> bool {
    text.parse::<Ipv6Addr>().is_ok()
}

/// The error with what it repeats of the command line in visible characters: that may have come from anywhere (I7).
pub(crate) fn printable(mut error: clap::Error) -> clap::Error {
    let escaped: Vec<(ContextKind, ContextValue)> = error
        .context()
        .filter_map(|(kind, value)| match value {
            ContextValue::String(text) => Some((kind, ContextValue::String(Printable(text).to_string()))),
            _ => None,
        })
        .collect();
    for (kind, value) in escaped {
        error.insert(kind, value);
    }
    error
}

/// Names of operators follow the rules of names of clients: they are shown and recorded.
fn operator(text: &str) -> Result<String, String> {
    text.parse::<ClientName>().map(String::from).map_err(|error| error.to_string())
}

fn header(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or("write KEY=VALUE")?;
    if key.is_empty() { Err("the key is empty; write KEY=VALUE".to_owned()) } else { Ok((key.to_owned(), value.to_owned())) }
}

fn duration(text: &str) -> Result<Duration, String> {
    humantime_serde::re::humantime::parse_duration(text).map_err(|error| format!("{error}; write for example 500ms, 90s or 2h"))
}

/// How the program ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Done, or stopped as asked.
    Done = 0,
    Failed = 1,
    Usage = 2,
    CannotConnect = 3,
    Refused = 4,
}

/// The command line parsed, and made no sense.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct UsageError(pub(crate) String);

/// There is no connection, and this may help.
#[derive(Debug, thiserror::Error)]
#[error("{error}{help}")]
pub(crate) struct NotConnected {
    error: ConnectError,
    help: &'static str,
}

impl From<ConnectError> for NotConnected {
    fn from(error: ConnectError) -> Self {
        let help = match &error {
            ConnectError::Unreachable { .. } | ConnectError::TimedOut { .. } => {
                " start one with \"cordboard serve\", or name another with --server"
            }
            ConnectError::Refused { code: Code::Unauthorized, .. } => "; say who you are with --user and CORDBOARD_PASSWORD",
            _ => "",
        };
        Self { error, help }
    }
}

impl Exit {
    /// The exit that `error` means.
    pub(crate) fn of(error: &anyhow::Error) -> Self {
        if error.downcast_ref::<UsageError>().is_some() {
            return Self::Usage;
        }
        if let Some(NotConnected { error, .. }) = error.downcast_ref() {
            return if matches!(error, ConnectError::Refused { .. }) { Self::Refused } else { Self::CannotConnect };
        }
        let publish = error.downcast_ref::<PublishError>().or(error.downcast_ref::<FlushError>().map(|flush| &flush.first));
        let refused = matches!(publish, Some(PublishError::Refused { .. }))
            || matches!(error.downcast_ref(), Some(SubscribeError::Refused { .. }));
        if refused { Self::Refused } else { Self::Failed }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory, error::ErrorKind};

    use super::*;

    fn parse(line: &str) -> Result<Cli, clap::Error> {
        Cli::try_parse_from(std::iter::once("cordboard").chain(line.split_whitespace()))
    }

    fn sub(line: &str) -> SubArgs {
        match parse(line).unwrap().command {
            Some(Command::Sub(args)) => args,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_commands_are_consistent() {
        Cli::command().debug_assert();
    }

    /// Options of the broker stand before or after the command.
    #[test]
    fn broker_options_stand_anywhere() {
        for line in ["--listen 127.0.0.1 --read-only serve", "serve --listen 127.0.0.1:2673 --read-only"] {
            let cli = parse(line).unwrap();
            assert!(matches!(cli.command, Some(Command::Serve)), "{line}");
            assert_eq!(cli.broker.listen, ["127.0.0.1:2673".parse().unwrap()], "{line}");
            assert!(cli.broker.read_only, "{line}");
        }
        assert!(parse("").unwrap().command.is_none());
        assert_eq!(parse("pub t x --read-only").unwrap().broker.given(), Some("--read-only"));
        assert_eq!(parse("pub t x").unwrap().broker.given(), None);
    }

    #[test]
    fn addresses_may_leave_out_the_port() {
        assert_eq!(listen_address("::1").unwrap().to_string(), "[::1]:2673");
        assert_eq!(listen_address("0.0.0.0:0").unwrap().to_string(), "0.0.0.0:0");
        assert!(listen_address("localhost").unwrap_err().contains("IP address"));
    }

    #[test]
    fn a_server_is_a_host_and_maybe_a_port() {
        for sound in ["localhost", "h:1", "127.0.0.1:2673", "::1", "[::1]", "[fe80::1]:65535"] {
            assert_eq!(server(sound).as_deref(), Ok(sound));
        }
        for unsound in ["", "::::", ":1", "h:", "h:0", "h:65536", "h:x", "a b", "[::1", "[h]:1", "tcp://h:1", "a:b:1"] {
            assert!(server(unsound).is_err(), "{unsound:?}");
        }
    }

    /// A mistake that is repeated does not turn a terminal's text around.
    #[test]
    fn what_was_mistyped_is_repeated_in_visible_characters() {
        for line in ["sub a\u{202e}b/#/c", "pub t x --ttl \u{202e}", "su\u{202e}b", "sub a --\u{1b}[2J"] {
            let said = printable(parse(line).unwrap_err()).to_string();
            assert!(!said.contains(['\u{202e}', '\u{1b}']), "{said:?}");
            assert!(said.contains("\\u{"), "{said:?}");
        }
    }

    #[test]
    fn what_a_name_may_not_be_is_a_usage_error() {
        for line in ["pub a/+ x", "sub a/#/b", "sub a --name a\u{202e}b", "--operator \u{7} serve", "sub a -n 0", "sub"] {
            let error = parse(line).unwrap_err();
            assert_eq!(error.exit_code(), 2, "{line:?}");
            assert_ne!(error.kind(), ErrorKind::DisplayHelp, "{line:?}");
        }
    }

    #[test]
    fn a_payload_may_look_like_an_option_or_be_nothing() {
        let payload = |line: &str| match parse(line).unwrap().command {
            Some(Command::Pub(args)) => args.payload,
            other => panic!("{other:?}"),
        };
        assert_eq!(payload("pub t -").as_deref(), Some("-"));
        assert_eq!(payload("pub t -- --x").as_deref(), Some("--x"));
        assert_eq!(payload("pub t"), None);
    }

    #[test]
    fn lines_name_the_topic_where_it_is_not_known() {
        assert!(!sub("sub a/b").with_topic());
        assert!(sub("sub a/+").with_topic());
        assert!(sub("sub a b").with_topic());
        assert!(sub("sub a --topic always").with_topic());
        assert!(!sub("sub # --topic never").with_topic());
    }

    #[test]
    fn headers_and_times_are_read() {
        assert_eq!(header("a=b=c").unwrap(), ("a".to_owned(), "b=c".to_owned()));
        assert!(header("a").is_err() && header("=b").is_err());
        assert_eq!(duration("90s").unwrap(), Duration::from_secs(90));
        assert!(duration("90").unwrap_err().contains("90s"));
    }

    #[test]
    fn exit_codes_tell_refusals_from_silence() {
        let refused = ConnectError::Refused { code: Code::Unauthorized, reason: String::new(), retry: None };
        assert_eq!(Exit::of(&NotConnected::from(refused).into()), Exit::Refused);
        let timed_out = NotConnected::from(ConnectError::TimedOut { address: "a".to_owned(), seconds: 1 });
        assert_eq!(
            timed_out.to_string(),
            "no broker answered at a within 1 s; is the address right? start one with \"cordboard serve\", or name another with --server"
        );
        assert_eq!(Exit::of(&timed_out.into()), Exit::CannotConnect);
        let first = PublishError::Refused { code: Code::Forbidden, reason: String::new() };
        assert_eq!(Exit::of(&FlushError { failed: 1, first }.into()), Exit::Refused);
        assert_eq!(Exit::of(&anyhow::anyhow!("else")), Exit::Failed);
        assert_eq!(Exit::of(&UsageError("no".to_owned()).into()), Exit::Usage);
    }
}
