//! The brokers that are measured: each a process of its own, with nothing in it, ended on every way out.

use std::{
    env, fs,
    net::{SocketAddr, ToSocketAddrs},
    os::unix::{fs::DirBuilderExt, process::CommandExt},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicU32, Ordering::Relaxed},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, bail};
use cordboard::{InWords, Printable, wire::DEFAULT_PORT};

use super::{limits::Raised, shared::Gauge, terminal::Terminal};

/// How long a broker may take until it listens.
const START: Duration = Duration::from_secs(20);
const LOOK_AGAIN: Duration = Duration::from_millis(2);
/// What would make our broker another one than the default. `CORDBOARD_WORKERS` is left as it is: that is worth measuring.
const ENVIRONMENT: [&str; 5] =
    ["CORDBOARD_CONFIG", "CORDBOARD_LISTEN", "CORDBOARD_STATE_DIR", "CORDBOARD_LOG", "CORDBOARD_FAULTS"];

/// How our broker is started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Face {
    /// In the session of whoever measures.
    Service,
    /// In a session of its own, as one with a console must be: systems may share out their time by session.
    Apart,
    /// With its console on a terminal of its own.
    Console,
}

/// A broker that listens.
#[derive(Debug)]
pub(super) struct Broker {
    pub(super) address: SocketAddr,
    /// Whose CPU time and memory are read, if that can be done.
    pub(super) process: Option<u32>,
    started: Option<Started>,
}

/// One that was started here.
#[derive(Debug)]
struct Started {
    child: Child,
    home: Home,
}

impl Broker {
    /// This program's own, with limits that do not stand in the way.
    pub(super) fn cordboard(raised: &Raised, face: Face, gauge: &Gauge) -> anyhow::Result<Self> {
        let home = Home::make()?;
        let program = env::current_exe().context("cannot find this program, to start a broker with it")?;
        let (mut command, name) = match face {
            Face::Service => (Command::new(&program), "cordboard"),
            // It becomes the program, in the same process.
            Face::Apart | Face::Console => (Command::new("setsid"), "setsid, for a session of cordboard's own"),
        };
        match face {
            // A Ctrl-C at the terminal is for the bench, which ends its brokers itself.
            Face::Service => command.process_group(0).arg("serve"),
            Face::Apart => command.arg(program).arg("serve"),
            Face::Console => command.arg("-c").arg(program).arg("console"),
        };
        command.args(["--listen", "127.0.0.1:0", "--state-dir"]).arg(&home.0);
        for variable in ENVIRONMENT {
            command.env_remove(variable);
        }
        if !raised.is_empty() {
            let file = home.0.join("cordboard.toml");
            fs::write(&file, raised.to_string()).map_err(|error| home.is_useless(&error))?;
            command.arg("--config").arg(file);
        }
        command.stdin(Stdio::null()).stdout(Stdio::null());
        let terminal = match face {
            Face::Console => Some(Terminal::of(&mut command).context("cannot make a terminal for the console")?),
            Face::Service | Face::Apart => None,
        };
        let find = |log: &str| {
            let address = log.lines().find_map(|line| line.strip_prefix("cordboard listens on "))?;
            address.split([';', ',']).next()?.parse().ok()
        };
        let broker = Self::start(command, home, name, gauge, find)?;
        terminal.map_or(Ok(()), |terminal| broker.wait_for_console(&terminal, gauge))?;
        Ok(broker)
    }

    /// Waits until its console is seen.
    fn wait_for_console(&self, terminal: &Terminal, gauge: &Gauge) -> anyhow::Result<()> {
        let deadline = Instant::now() + START;
        while !terminal.is_drawn_on() {
            gauge.check()?;
            if terminal.is_left() || Instant::now() > deadline {
                bail!("cordboard shows no console: {}", self.last_line());
            }
            thread::sleep(LOOK_AGAIN);
        }
        Ok(())
    }

    /// The NATS server, as it is without a configuration.
    pub(super) fn nats_server(gauge: &Gauge) -> anyhow::Result<Self> {
        let home = Home::make()?;
        let mut command = Command::new("nats-server");
        command.args(["--addr", "127.0.0.1", "--port", "-1"]).process_group(0).stdin(Stdio::null()).stdout(Stdio::null());
        Self::start(command, home, "nats-server", gauge, |log| {
            let (_, address) = log.contains("Server is ready").then(|| log.split_once("client connections on "))??;
            address.split_whitespace().next()?.parse().ok()
        })
    }

    /// One that runs already.
    pub(super) fn running(server: &str, process: Option<u32>) -> anyhow::Result<Self> {
        let address = resolve(server).with_context(|| format!("cannot find {}", Printable(server)))?;
        Ok(Self { address, process, started: None })
    }

    /// Starts it and waits until its log tells where it listens.
    fn start(
        mut command: Command,
        home: Home,
        name: &str,
        gauge: &Gauge,
        find: impl Fn(&str) -> Option<SocketAddr>,
    ) -> anyhow::Result<Self> {
        let log = home.0.join("stderr");
        let output = fs::File::create(&log).map_err(|error| home.is_useless(&error))?;
        command.current_dir(&home.0).stderr(output);
        let child = command.spawn().map_err(|error| anyhow::anyhow!("cannot start {name}: {}", InWords(&error)))?;
        let mut started = Started { child, home };
        let deadline = Instant::now() + START;
        loop {
            let said = fs::read_to_string(&log).unwrap_or_default();
            // What is not a whole line yet may end in the middle of a port.
            if let Some(address) = said.rfind('\n').and_then(|end| find(&said[..end])) {
                return Ok(Self { address, process: Some(started.child.id()), started: Some(started) });
            }
            gauge.check()?;
            if let Some(status) = started.child.try_wait()? {
                bail!(
                    "{name} has ended ({status}) instead of listening: {}",
                    Printable(said.lines().last().unwrap_or("it said nothing"))
                );
            }
            if Instant::now() > deadline {
                bail!(
                    "{name} does not listen after {} s: {}",
                    START.as_secs(),
                    Printable(said.lines().last().unwrap_or("it said nothing"))
                );
            }
            thread::sleep(LOOK_AGAIN);
        }
    }

    /// The last line it has said, if it has said something and has ended.
    pub(super) fn last_words(&mut self) -> Option<String> {
        let started = self.started.as_mut()?;
        let status = started.child.try_wait().ok().flatten()?;
        Some(format!("it has ended ({status}): {}", self.last_line()))
    }

    fn last_line(&self) -> String {
        let said = self.started.as_ref().and_then(|started| fs::read_to_string(started.home.0.join("stderr")).ok());
        let said = said.unwrap_or_default();
        Printable(said.lines().last().unwrap_or("it said nothing")).to_string()
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        // Gone already is as well; it holds nothing that anybody wants to keep.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What gives a broker a session of its own is on the PATH.
pub(super) fn can_set_apart() -> anyhow::Result<()> {
    match Command::new("setsid").arg("true").stdin(Stdio::null()).output() {
        Ok(_) => Ok(()),
        Err(error) => bail!(
            "cannot run setsid: {}; a broker is measured with its console in a session of its own, which setsid gives it: install it (it is in util-linux), or put where it is into PATH",
            InWords(&error)
        ),
    }
}

/// The version of the NATS server on the PATH.
pub(super) fn nats_version() -> anyhow::Result<String> {
    let output = match Command::new("nats-server").arg("--version").output() {
        Ok(output) => output,
        Err(error) => bail!("cannot run nats-server: {}; install it, or put where it is into PATH", InWords(&error)),
    };
    let said = String::from_utf8_lossy(&output.stdout);
    let version = said.split_whitespace().last().map_or("of unknown version", |word| word.trim_start_matches('v'));
    Ok(Printable(version).to_string())
}

/// `HOST` or `HOST:PORT`.
fn resolve(server: &str) -> anyhow::Result<SocketAddr> {
    let has_port = server.parse::<SocketAddr>().is_ok() || server.matches(':').count() == 1;
    let mut found =
        if has_port { server.to_socket_addrs()? } else { (server.trim_matches(['[', ']']), DEFAULT_PORT).to_socket_addrs()? };
    found.next().context("it has no address")
}

/// A directory of a broker's own, removed with it.
#[derive(Debug)]
struct Home(PathBuf);

impl Home {
    fn make() -> anyhow::Result<Self> {
        static MADE: AtomicU32 = AtomicU32::new(0);
        let name = format!("cordboard-bench-{}-{}", std::process::id(), MADE.fetch_add(1, Relaxed));
        let home = Self(env::temp_dir().join(name));
        fs::DirBuilder::new().mode(0o700).create(&home.0).map_err(|error| home.is_useless(&error))?;
        Ok(home)
    }

    fn is_useless(&self, error: &std::io::Error) -> anyhow::Error {
        anyhow::anyhow!(
            "cannot write to {}, for the broker to be measured: {}; TMPDIR names another place",
            Path::display(&self.0),
            InWords(error)
        )
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        // What cannot be removed is in the directory for what need not be kept.
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::bench::load::LoadError;

    #[test]
    fn a_server_may_leave_out_its_port() {
        for (server, address) in [
            ("127.0.0.1", "127.0.0.1:2673"),
            ("127.0.0.1:9", "127.0.0.1:9"),
            ("::1", "[::1]:2673"),
            ("[::1]:9", "[::1]:9"),
            ("[::1]", "[::1]:2673"),
        ] {
            assert_eq!(resolve(server).unwrap().to_string(), address, "{server}");
        }
    }

    #[test]
    fn a_home_is_removed_with_its_broker() {
        let home = Home::make().unwrap();
        let path = home.0.clone();
        fs::write(path.join("file"), "x").unwrap();
        drop(home);
        assert!(!path.exists());
    }

    /// What it said last is the reason.
    #[test]
    fn a_broker_that_does_not_start_says_why() {
        let mut command = Command::new("sh");
        command.args(["-c", "echo first >&2; echo no room >&2; exit 3"]);
        let error = Broker::start(command, Home::make().unwrap(), "sh", &Gauge::default(), |_| None).unwrap_err().to_string();
        assert!(error.contains("sh has ended (exit status: 3)") && error.ends_with(": no room"), "{error}");
    }

    /// Nobody who has had enough waits for a broker that takes its time.
    #[test]
    fn an_interrupt_ends_a_broker_that_does_not_listen() {
        let mut command = Command::new("sh");
        command.args(["-c", "echo $$ >&2; exec sleep 1000"]);
        let (gauge, process) = (Gauge::default(), std::cell::Cell::new(None));
        let error = Broker::start(command, Home::make().unwrap(), "sh", &gauge, |log| {
            process.set(log.trim().parse::<u32>().ok());
            gauge.stop.store(true, Relaxed);
            None
        });
        assert!(matches!(error.unwrap_err().downcast(), Ok(LoadError::Interrupted)));
        assert!(!Path::new(&format!("/proc/{}", process.get().unwrap())).exists());
    }
}
