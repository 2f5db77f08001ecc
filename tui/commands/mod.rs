//! The commands, one file each.

#[cfg(feature = "console")]
mod attend;
#[cfg(target_os = "linux")]
mod bench;
mod config;
mod listening;
mod passwd;
mod ping;
mod progress;
mod publish;
mod rights;
mod serve;
mod subscribe;
mod table;

use std::{
    fmt,
    io::{self, Write},
    process::ExitCode,
};

use cordboard::client::{Backoff, Builder, Client};
use tokio::runtime::Runtime;

use crate::{
    cli::{Command, NotConnected, ServerArgs, UsageError},
    signals::Signals,
};
pub(crate) use publish::InputError;

/// Does what the command line asks for.
pub(crate) fn run(command: Command) -> anyhow::Result<ExitCode> {
    let environment = |name: &str| std::env::var_os(name);
    match command {
        Command::Console(args) => serve::run(&args.or_environment(environment)?, true),
        Command::Serve(args) => serve::run(&args.or_environment(environment)?.into(), false),
        Command::Pub(args) => runtime()?.block_on(publish::run(args)),
        Command::Sub(args) => runtime()?.block_on(subscribe::run(args)),
        Command::Ping(args) => runtime()?.block_on(ping::run(args)),
        #[cfg(target_os = "linux")]
        Command::Bench(args) => runtime()?.block_on(bench::run(args)),
        #[cfg(not(target_os = "linux"))]
        Command::Bench(_) => anyhow::bail!("bench reads what a process has used from /proc, and that is on Linux only"),
        Command::Config(args) => config::run(&args),
        Command::Passwd(args) => runtime()?.block_on(passwd::run(args)),
        Command::Rights(args) => rights::run(&args),
        Command::Completions(args) => table::completions(&args),
        Command::Man(args) => table::manual(&args),
    }
}

fn runtime() -> io::Result<Runtime> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build()
}

/// One line on the standard error. If that is closed, nobody wants to read it.
pub(crate) fn say(line: impl fmt::Display) {
    let _ = writeln!(io::stderr(), "{line}");
}

/// Writes all of it to the standard output.
fn print(text: &[u8]) -> io::Result<()> {
    let mut output = io::stdout().lock();
    unless_nobody_reads(output.write_all(text).and_then(|()| output.flush()))
}

/// A reader that has gone is how `| head` ends, and no failure.
fn unless_nobody_reads(written: io::Result<()>) -> io::Result<()> {
    written.or_else(|error| if error.kind() == io::ErrorKind::BrokenPipe { Ok(()) } else { Err(error) })
}

/// 1234567 as `1,234,567`.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let groups: Vec<&str> = digits.as_bytes().rchunks(3).rev().filter_map(|group| std::str::from_utf8(group).ok()).collect();
    groups.join(",")
}

/// `1 message`, `1,234 messages`.
fn messages(count: u64) -> String {
    format!("{} message{}", grouped(count), if count == 1 { "" } else { "s" })
}

/// A client for the broker of the command line.
fn builder(server: &ServerArgs, name: &str, backoff: Backoff) -> Result<Builder, UsageError> {
    let builder = Client::builder(&server.server).name(name).reconnect(backoff);
    let Some(user) = &server.user else { return Ok(builder) };
    Ok(builder.credentials(user, password(user)?))
}

/// The password of `user`, from the environment.
fn password(user: &str) -> Result<String, UsageError> {
    match std::env::var("CORDBOARD_PASSWORD") {
        Ok(password) if !password.is_empty() => Ok(password),
        _ => {
            let user = cordboard::Printable(user);
            Err(UsageError(format!("there is no password for user {user}; put it into the environment as CORDBOARD_PASSWORD")))
        }
    }
}

/// Connects, unless an interrupt comes first.
async fn connect(builder: Builder, server: &ServerArgs, signals: &mut Signals) -> anyhow::Result<Client> {
    tokio::select! {
        connected = builder.connect() => Ok(connected.map_err(|error| NotConnected::new(error, server))?),
        _ = signals.next() => anyhow::bail!("interrupted before there was a connection"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped() {
        let cases = [(0, "0"), (999, "999"), (1_000, "1,000"), (1_234_567, "1,234,567")];
        assert!(cases.iter().all(|(number, text)| grouped(*number) == *text));
        assert_eq!((messages(1), messages(2_000)), ("1 message".to_owned(), "2,000 messages".to_owned()));
    }
}
