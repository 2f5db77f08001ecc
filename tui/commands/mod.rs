//! The commands, one file each.

#[cfg(feature = "console")]
mod attend;
mod passwd;
mod publish;
mod rights;
mod serve;
mod subscribe;

use std::{
    fmt,
    io::{self, Write},
    process::ExitCode,
};

use cordboard::client::{Backoff, Builder, Client};
use tokio::runtime::Runtime;

use crate::{
    cli::{BrokerArgs, Cli, Command, NotConnected, ServerArgs, UsageError},
    signals::Signals,
    state_dir::StateDir,
};

/// Does what the command line asks for.
pub(crate) fn run(cli: Cli) -> anyhow::Result<ExitCode> {
    let Cli { command, broker, state_dir } = cli;
    if let Some(why) = command.as_ref().and_then(|command| out_of_place(command, &broker)) {
        return Err(UsageError(why).into());
    }
    match command {
        None | Some(Command::Console) => serve::run(broker, &StateDir::open(state_dir)?, true),
        Some(Command::Serve) => serve::run(broker, &StateDir::open(state_dir)?, false),
        Some(Command::Pub(args)) => runtime()?.block_on(publish::run(args)),
        Some(Command::Passwd(args)) => runtime()?.block_on(passwd::run(args)),
        Some(Command::Rights(args)) => rights::run(&broker, &args),
        Some(Command::Sub(args)) => runtime()?.block_on(subscribe::run(args, state_dir)),
    }
}

/// Options of the broker were given to a command that runs none.
fn out_of_place(command: &Command, broker: &BrokerArgs) -> Option<String> {
    match command {
        Command::Console | Command::Serve => None,
        Command::Pub(_) | Command::Sub(_) => {
            let option = broker.given()?;
            Some(format!("{option} is for the broker; a client says --server to choose the broker it talks to"))
        }
        Command::Passwd(_) => Some(format!("{} is for the broker; passwd takes a name and nothing else", broker.given()?)),
        Command::Rights(_) => {
            let others = BrokerArgs { config: None, ..broker.clone() };
            Some(format!("{} is for the broker; rights reads --config and runs none", others.given()?))
        }
    }
}

fn runtime() -> io::Result<Runtime> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build()
}

/// One line on the standard error. If that is closed, nobody wants to read it.
pub(crate) fn say(line: impl fmt::Display) {
    let _ = writeln!(io::stderr(), "{line}");
}

/// A client for the broker of the command line.
fn builder(server: &ServerArgs, name: &str, backoff: Backoff) -> Builder {
    let builder = Client::builder(&server.server).name(name).reconnect(backoff);
    match &server.user {
        Some(user) => builder.credentials(user, std::env::var("CORDBOARD_PASSWORD").unwrap_or_default()),
        None => builder,
    }
}

/// Connects, unless an interrupt comes first.
async fn connect(builder: Builder, signals: &mut Signals) -> anyhow::Result<Client> {
    tokio::select! {
        connected = builder.connect() => Ok(connected.map_err(NotConnected::from)?),
        _ = signals.next() => anyhow::bail!("interrupted before there was a connection"),
    }
}
