//! The real program in a pseudo-terminal: keys are sent to it, and it is waited for by what it says.

use std::{
    ffi::OsStr,
    fs::File,
    io::{Read, Write},
    path::Path,
    process::{Child, Command, Stdio},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
    time::Duration,
};

use anyhow::{Context, bail};
use portable_pty::{CommandBuilder, MasterPty, PtySize, native_pty_system};
use tempfile::TempDir;

use super::{frame::Frame, scrub::Scrubber};

/// The longest that the demo lets one wait for a dead letter queue that grows.
const PATIENCE: Duration = Duration::from_mins(2);

/// Much longer than between two pieces of a frame; the lists are drawn anew four times a second.
const BETWEEN_FRAMES: Duration = Duration::from_millis(60);

/// What the program has drawn, as a terminal shows it. Filled by a thread that reads.
struct Screen {
    terminal: Mutex<vt100::Parser>,
    moved: Condvar,
}

impl Screen {
    fn lock(&self) -> MutexGuard<'_, vt100::Parser> {
        self.terminal.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn follow(&self, mut reader: impl Read) {
        let mut bytes = [0; 4_096];
        while let Ok(read @ 1..) = reader.read(&mut bytes) {
            self.lock().process(&bytes[..read]);
            self.moved.notify_all();
        }
    }
}

/// A running demo with its console. Dropped, it is killed.
pub(crate) struct Stage {
    child: Box<dyn portable_pty::Child + Send + Sync>,
    keys: Box<dyn Write + Send>,
    master: Box<dyn MasterPty + Send>,
    screen: Arc<Screen>,
    scrubber: Scrubber,
    state: TempDir,
    /// Where the broker is.
    pub(crate) address: String,
    /// The names that may not be in a picture.
    pub(crate) secrets: Vec<String>,
}

impl Stage {
    /// `program` with its demo on a terminal of that size, drawn for the first time.
    pub(crate) fn open(program: &Path, (columns, rows): (u16, u16)) -> anyhow::Result<Self> {
        let state = tempfile::tempdir()?;
        let pair = native_pty_system().openpty(size(columns, rows))?;
        let mut command = CommandBuilder::new(program);
        command.args(["--demo", "--listen", "127.0.0.1:0", "--operator", "ana"]);
        for variable in ["CORDBOARD_LOG", "CORDBOARD_CONFIG", "CORDBOARD_LISTEN", "NO_COLOR"] {
            command.env_remove(variable);
        }
        for (variable, value) in [("TERM", "xterm-256color"), ("LC_ALL", "C.UTF-8")] {
            command.env(variable, value);
        }
        command.env("CORDBOARD_STATE_DIR", state.path());
        let child = pair.slave.spawn_command(command).context("cannot start cordboard")?;
        let screen = Arc::new(Screen { terminal: Mutex::new(vt100::Parser::new(rows, columns, 0)), moved: Condvar::new() });
        let reader = pair.master.try_clone_reader()?;
        thread::spawn({
            let screen = Arc::clone(&screen);
            move || screen.follow(reader)
        });
        let (keys, master) = (pair.master.take_writer()?, pair.master);
        let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
        let (process, directory) = (child.process_id().context("it has ended")?, state.path().to_string_lossy().into_owned());
        let secrets = vec![host.clone(), format!("pid {process}"), directory.clone()];
        let scrubber = Scrubber::new(&host, process, "", &directory);
        let mut stage = Self { child, keys, master, screen, scrubber, state, address: String::new(), secrets };
        let address = |screen: &str| {
            let endpoints = screen.lines().find(|line| line.contains("endpoints") && line.contains("accepting"))?;
            endpoints.split_whitespace().find(|word| word.starts_with("127.0.0.1:")).map(str::to_owned)
        };
        stage.address = stage.eventually("an address is open", address)?;
        stage.scrubber = Scrubber::new(&host, process, &stage.address, &directory);
        Ok(stage)
    }

    /// Presses each key of `keys`.
    pub(crate) fn press(&mut self, keys: &str) -> anyhow::Result<()> {
        self.keys.write_all(keys.as_bytes()).context("the console has ended")
    }

    /// Gives the terminal another size.
    pub(crate) fn resize(&self, columns: u16, rows: u16) -> anyhow::Result<()> {
        // Together, so that nothing drawn for the new size is shown in the old.
        let mut terminal = self.screen.lock();
        terminal.screen_mut().set_size(rows, columns);
        self.master.resize(size(columns, rows)).context("the terminal has another size")
    }

    /// Waits until the screen says what `so` looks for; what that has found.
    pub(crate) fn eventually<T>(&self, what: &str, so: impl Fn(&str) -> Option<T>) -> anyhow::Result<T> {
        let mut found = None;
        let missing = |terminal: &mut vt100::Parser| {
            found = so(&terminal.screen().contents());
            found.is_none()
        };
        let waited = self.screen.moved.wait_timeout_while(self.screen.lock(), PATIENCE, missing);
        let (terminal, _) = waited.unwrap_or_else(PoisonError::into_inner);
        match found {
            Some(found) => Ok(found),
            None => bail!("it never came to pass that {what}:\n{}", terminal.screen().contents()),
        }
    }

    /// Waits until a line of the screen has all `words`; that line.
    pub(crate) fn eventually_says(&self, words: &[&str]) -> anyhow::Result<String> {
        self.eventually(&format!("a line has {words:?}"), |screen| {
            screen.lines().find(|line| words.iter().all(|word| line.contains(word))).map(str::to_owned)
        })
    }

    /// Waits for the clock on the screen to have moved on; every figure has by then.
    pub(crate) fn eventually_later(&self) -> anyhow::Result<()> {
        let clock = |screen: &str| screen.lines().next().and_then(|line| line.split_whitespace().last()).map(str::to_owned);
        let before = clock(&self.screen.lock().screen().contents());
        self.eventually("the clock goes on", |screen| (clock(screen) != before).then_some(()))
    }

    /// What the terminal shows, with nothing of this machine in it.
    pub(crate) fn frame(&mut self) -> Frame {
        let mut frame = Frame::of(self.eventually_quiet().screen());
        self.scrubber.scrub(&mut frame);
        frame
    }

    /// Waits until nothing more is drawn: a frame comes in pieces, and between two of them there is a pause.
    fn eventually_quiet(&self) -> MutexGuard<'_, vt100::Parser> {
        let mut terminal = self.screen.lock();
        loop {
            let waited = self.screen.moved.wait_timeout(terminal, BETWEEN_FRAMES).unwrap_or_else(PoisonError::into_inner);
            terminal = waited.0;
            if waited.1.timed_out() {
                return terminal;
            }
        }
    }

    /// A real client of this broker: `program sub`, which knows its session again when it comes back.
    pub(crate) fn subscriber(&self, program: &Path, filter: &str, name: &str) -> anyhow::Result<Subscriber> {
        let directory = self.state.path().join(name);
        let mut command = Command::new(program);
        command.args(["sub", filter, "--name", name, "--server", &self.address].map(OsStr::new));
        command.env("CORDBOARD_STATE_DIR", &directory).stdin(Stdio::null()).stdout(Stdio::null());
        std::fs::create_dir_all(&directory)?;
        command.stderr(File::create(directory.join("said"))?);
        Ok(Subscriber(command.spawn().context("cannot start a subscriber")?))
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        // Gone already is as well.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A client that runs. Dropped, it is killed.
pub(crate) struct Subscriber(Child);

impl Drop for Subscriber {
    /// As `kill -9` does: it has no time to say anything.
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn size(columns: u16, rows: u16) -> PtySize {
    PtySize { rows, cols: columns, pixel_width: 0, pixel_height: 0 }
}
