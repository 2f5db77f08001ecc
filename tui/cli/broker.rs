//! The options of a broker: where they may stand, and what the environment says where the command line is silent.

use std::{ffi::OsString, net::SocketAddr, path::PathBuf};

use clap::Args;

use super::{UsageError, values};

const LISTEN: &str = "\
Accept connections here, an IP address and maybe a port, instead of where the configuration says; may be given again \
[env: CORDBOARD_LISTEN, with commas between several]";
const STATE_DIR: &str = "\
Keep logs and audit records here [default: cordboard in the user's state directory] [env: CORDBOARD_STATE_DIR]";

const WORKERS: &str =
    "Carry messages on so many threads [default: one fewer than there are processors, and at least one] [env: CORDBOARD_WORKERS]";
/// More than any machine has processors.
const MAX_WORKERS: u32 = 4096;

/// For a broker that runs.
#[derive(Debug, Clone, Default, Args, PartialEq, Eq)]
pub(crate) struct ServeArgs {
    // Not clap's own `env`: it could not tell an option before the command from a variable after it.
    #[arg(long, value_name = "FILE", help = "Read the configuration from this file [env: CORDBOARD_CONFIG]")]
    pub(crate) config: Option<PathBuf>,
    #[arg(long, value_name = "ADDRESS", value_parser = values::listen_address, help = LISTEN)]
    pub(crate) listen: Vec<SocketAddr>,
    #[arg(long, value_name = "DIR", help = STATE_DIR)]
    pub(crate) state_dir: Option<PathBuf>,
    /// Bring synthetic clients along that publish, slow down, die and come back, to watch and to practise on; all
    /// their names begin with demo-
    #[arg(long)]
    pub(crate) demo: bool,
    /// With --demo: let it draw other lots, the same ones for the same number
    #[arg(long, value_name = "N", value_parser = values::seed)]
    pub(crate) demo_seed: Option<u64>,
    #[arg(long, value_name = "N", value_parser = values::up_to::<MAX_WORKERS>, help = WORKERS)]
    pub(crate) workers: Option<u32>,
}

/// For a broker that runs with an operator in front of it.
#[derive(Debug, Clone, Default, Args, PartialEq, Eq)]
pub(crate) struct ConsoleArgs {
    #[command(flatten)]
    pub(crate) serve: ServeArgs,
    /// Who gives the orders, for the audit record [default: the user of the operating system]
    #[arg(long, value_name = "NAME", value_parser = values::operator)]
    pub(crate) operator: Option<String>,
    /// Refuse every order that changes something
    #[arg(long)]
    pub(crate) read_only: bool,
    /// Draw with nothing but ASCII; it is so by itself where the locale is not UTF-8, and where TERM is linux
    #[arg(long)]
    pub(crate) ascii: bool,
}

impl ServeArgs {
    /// With what stood before the command.
    fn after(self, before: Self) -> Self {
        let listen = before.listen.into_iter().chain(self.listen).collect();
        Self {
            config: self.config.or(before.config),
            listen,
            state_dir: self.state_dir.or(before.state_dir),
            demo: self.demo || before.demo,
            demo_seed: self.demo_seed.or(before.demo_seed),
            workers: self.workers.or(before.workers),
        }
    }

    /// With what the environment says where the command line says nothing. An empty variable says nothing.
    pub(crate) fn or_environment(mut self, variable: impl Fn(&str) -> Option<OsString>) -> Result<Self, UsageError> {
        let said = |name| variable(name).filter(|value| !value.is_empty());
        self.config = self.config.or_else(|| said("CORDBOARD_CONFIG").map(PathBuf::from));
        self.state_dir = self.state_dir.or_else(|| said("CORDBOARD_STATE_DIR").map(PathBuf::from));
        if self.listen.is_empty()
            && let Some(addresses) = said("CORDBOARD_LISTEN")
        {
            let addresses = addresses.to_string_lossy();
            let read = addresses.split(',').map(|address| values::listen_address(address.trim()));
            self.listen = read.collect::<Result<_, _>>().map_err(|why| UsageError(format!("CORDBOARD_LISTEN: {why}")))?;
        }
        if self.workers.is_none()
            && let Some(workers) = said("CORDBOARD_WORKERS")
        {
            let read = values::up_to::<MAX_WORKERS>(&workers.to_string_lossy());
            self.workers = Some(read.map_err(|why| UsageError(format!("CORDBOARD_WORKERS: {why}")))?);
        }
        Ok(self)
    }
}

impl ConsoleArgs {
    /// With what stood before the command.
    pub(super) fn after(self, before: Self) -> Self {
        Self {
            serve: self.serve.after(before.serve),
            operator: self.operator.or(before.operator),
            read_only: self.read_only || before.read_only,
            ascii: self.ascii || before.ascii,
        }
    }

    /// As [`ServeArgs::or_environment`].
    pub(crate) fn or_environment(self, variable: impl Fn(&str) -> Option<OsString>) -> Result<Self, UsageError> {
        Ok(Self { serve: self.serve.or_environment(variable)?, ..self })
    }

    /// The first option that was given.
    pub(super) fn given(&self) -> Option<&'static str> {
        [
            (self.serve.config.is_some(), "--config"),
            (!self.serve.listen.is_empty(), "--listen"),
            (self.serve.state_dir.is_some(), "--state-dir"),
            (self.serve.demo, "--demo"),
            (self.serve.demo_seed.is_some(), "--demo-seed"),
            (self.serve.workers.is_some(), "--workers"),
            (self.operator.is_some(), "--operator"),
            (self.read_only, "--read-only"),
            (self.ascii, "--ascii"),
        ]
        .into_iter()
        .find_map(|(given, option)| given.then_some(option))
    }
}

impl From<ServeArgs> for ConsoleArgs {
    fn from(serve: ServeArgs) -> Self {
        Self { serve, ..Self::default() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_environment_speaks_where_the_command_line_is_silent() {
        let environment = |name: &str| match name {
            "CORDBOARD_CONFIG" => Some("e.toml".into()),
            "CORDBOARD_LISTEN" => Some("127.0.0.1:7, ::1".into()),
            "CORDBOARD_STATE_DIR" => Some("".into()),
            "CORDBOARD_WORKERS" => Some("3".into()),
            _ => None,
        };
        let silent = ServeArgs::default().or_environment(environment).unwrap();
        assert_eq!(silent.config, Some("e.toml".into()));
        assert_eq!(silent.listen, ["127.0.0.1:7".parse().unwrap(), "[::1]:2673".parse().unwrap()]);
        assert_eq!((silent.state_dir, silent.workers), (None, Some(3)));
        let said = ServeArgs {
            config: Some("c.toml".into()),
            listen: vec!["127.0.0.1:9".parse().unwrap()],
            state_dir: Some("s".into()),
            workers: Some(5),
            ..ServeArgs::default()
        };
        assert_eq!(said.clone().or_environment(environment).unwrap(), said);
        for (name, value, why) in [
            ("CORDBOARD_LISTEN", "nowhere", "give an IP address"),
            ("CORDBOARD_WORKERS", "0", "write a whole number from 1 to 4096"),
        ] {
            let environment = |asked: &str| (asked == name).then(|| value.into());
            let error = ServeArgs::default().or_environment(environment).unwrap_err().to_string();
            assert!(error.starts_with(&format!("{name}: {why}")), "{error}");
        }
    }
}
