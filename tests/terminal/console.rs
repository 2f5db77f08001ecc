//! The real program in a pseudo-terminal: its keys, and its screen as a terminal would show it.
//!
//! The terminal is as plain as they come: it answers no question, the one for the cursor's position included.

use std::{
    ffi::{OsStr, OsString},
    fs,
    io::{Read, Write},
    path::Path,
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    thread,
    time::Duration,
};

use portable_pty::{Child, CommandBuilder, MasterPty, PtySize, native_pty_system};
use rustix::process::{Pid, Signal, kill_process};

use crate::fixture::PATIENCE;

/// What the program has written: every byte, and what a terminal makes of them.
struct Seen {
    terminal: vt100::Parser,
    bytes: Vec<u8>,
}

/// Filled by a thread that reads, watched by the test.
struct Tape {
    seen: Mutex<Seen>,
    moved: Condvar,
    /// The reading thread is to let go of the terminal at the next byte.
    let_go: AtomicBool,
}

impl Tape {
    fn lock(&self) -> MutexGuard<'_, Seen> {
        // A test that has failed meanwhile is no reason to fail again.
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads until the program has closed its end.
    fn record(&self, mut reader: impl Read) {
        let mut bytes = [0; 4_096];
        while !self.let_go.load(Relaxed) {
            let read = reader.read(&mut bytes).unwrap_or(0);
            if read == 0 {
                return;
            }
            let mut seen = self.lock();
            seen.bytes.extend_from_slice(&bytes[..read]);
            seen.terminal.process(&bytes[..read]);
            drop(seen);
            self.moved.notify_all();
        }
    }
}

/// A running `cordboard` with its console. Dropped, it is killed: a test that fails leaves nothing behind.
pub(super) struct Console {
    child: Box<dyn Child + Send + Sync>,
    /// None once the terminal is gone. The writer first: closing it writes a last time.
    terminal: Option<(Box<dyn Write + Send>, Box<dyn MasterPty + Send>)>,
    tape: Arc<Tape>,
    reader: Option<thread::JoinHandle<()>>,
    state: tempfile::TempDir,
    /// The terminal's settings, as they were before.
    before: String,
    pub(super) address: String,
}

impl Console {
    /// Started, and drawn for the first time.
    pub(super) fn open() -> Self {
        Self::start(None, "")
    }

    /// The same, with a configuration file.
    pub(super) fn open_with(config: &str) -> Self {
        Self::start(Some(config), "")
    }

    /// With faults that will strike.
    pub(super) fn open_failing(faults: &str) -> Self {
        Self::start(None, faults)
    }

    /// With synthetic clients.
    pub(super) fn open_demo() -> Self {
        let mut console = Self::spawn(&["--listen", "127.0.0.1:0", "--demo"], tempfile::tempdir().unwrap(), "");
        console.started();
        console
    }

    fn start(config: Option<&str>, faults: &str) -> Self {
        let state = tempfile::tempdir().unwrap();
        let mut args: Vec<OsString> = ["--listen", "127.0.0.1:0", "--operator", "ana"].map(OsString::from).into();
        if let Some(text) = config {
            let file = state.path().join("users.toml");
            fs::write(&file, text).unwrap();
            args.extend(["--config".into(), file.into()]);
        }
        let mut console = Self::spawn(&args, state, faults);
        console.started();
        console
    }

    /// Waits for the first frame; what was said before it is where the broker is.
    fn started(&mut self) {
        self.eventually(&["Needs attention"]);
        let written = String::from_utf8_lossy(&self.written()).into_owned();
        let address = written.strip_prefix("cordboard listens on ").and_then(|rest| rest.split([';', ',']).next());
        address.unwrap_or_else(|| panic!("{written:?}")).clone_into(&mut self.address);
    }

    /// The program in a terminal, with these arguments.
    pub(super) fn run(args: &[&str]) -> Self {
        Self::spawn(args, tempfile::tempdir().unwrap(), "")
    }

    fn spawn(args: &[impl AsRef<OsStr>], state: tempfile::TempDir, faults: &str) -> Self {
        let pair = native_pty_system().openpty(size(80, 24)).unwrap();
        let mut command = CommandBuilder::new(env!("CARGO_BIN_EXE_cordboard"));
        command.args(args);
        command.env("CORDBOARD_STATE_DIR", state.path());
        command.env("TERM", "xterm-256color");
        command.env("LC_ALL", "C.UTF-8");
        for variable in ["CORDBOARD_LOG", "CORDBOARD_CONFIG", "CORDBOARD_LISTEN", "NO_COLOR"] {
            command.env_remove(variable);
        }
        if !faults.is_empty() {
            command.env("CORDBOARD_FAULTS", faults);
        }
        let before = settings(&*pair.master);
        let child = pair.slave.spawn_command(command).unwrap();
        let seen = Seen { terminal: vt100::Parser::new(24, 80, 0), bytes: Vec::new() };
        let tape = Arc::new(Tape { seen: Mutex::new(seen), moved: Condvar::new(), let_go: AtomicBool::new(false) });
        let source = pair.master.try_clone_reader().unwrap();
        let reader = thread::spawn({
            let tape = Arc::clone(&tape);
            move || tape.record(source)
        });
        let terminal = Some((pair.master.take_writer().unwrap(), pair.master));
        Self { child, terminal, tape, reader: Some(reader), state, before, address: String::new() }
    }

    /// Writes the configuration file anew.
    pub(super) fn configure(&self, text: &str) {
        fs::write(self.state.path().join("users.toml"), text).unwrap();
    }

    /// Presses each key of `keys`.
    pub(super) fn press(&mut self, keys: &str) {
        self.terminal.as_mut().unwrap().0.write_all(keys.as_bytes()).unwrap();
    }

    /// Waits for a line of the screen that has all `words`; that line.
    pub(super) fn eventually(&self, words: &[&str]) -> String {
        self.eventually_so(&format!("a line has {words:?}"), |screen| {
            screen.contents().lines().find(|line| words.iter().all(|word| line.contains(word))).map(str::to_owned)
        })
    }

    /// Waits until no line of the screen has `word`.
    pub(super) fn eventually_without(&self, word: &str) {
        self.eventually_so(&format!("{word:?} is gone"), |screen| (!screen.contents().contains(word)).then_some(()));
    }

    /// Waits until the screen is as `so` wants it.
    pub(super) fn eventually_so<T>(&self, what: &str, so: impl Fn(&vt100::Screen) -> Option<T>) -> T {
        let mut found = None;
        let missing = |seen: &mut Seen| {
            found = so(seen.terminal.screen());
            found.is_none()
        };
        let (seen, _) = self.tape.moved.wait_timeout_while(self.tape.lock(), PATIENCE, missing).unwrap();
        found.unwrap_or_else(|| panic!("it never came to pass that {what}:\n{}", seen.terminal.screen().contents()))
    }

    /// Gives the terminal another size.
    pub(super) fn resize(&self, columns: u16, rows: u16) {
        let (_, master) = self.terminal.as_ref().unwrap();
        // Together, so that nothing drawn for the new size is shown in the old.
        let mut seen = self.tape.lock();
        seen.terminal.screen_mut().set_size(rows, columns);
        master.resize(size(columns, rows)).unwrap();
    }

    /// The terminal says that it is as large as one can say, whatever is seen of it.
    pub(super) fn exaggerate(&self) {
        let (_, master) = self.terminal.as_ref().unwrap();
        master.resize(size(u16::MAX, u16::MAX)).unwrap();
    }

    /// The terminal is closed, as when a window is.
    pub(super) fn hang_up(&mut self) {
        self.tape.let_go.store(true, Relaxed);
        // The clock of the console moves on within a second, and wakes the reader.
        self.reader.take().unwrap().join().unwrap();
        self.terminal = None;
    }

    /// Every byte that has been written.
    pub(super) fn written(&self) -> Vec<u8> {
        self.tape.lock().bytes.clone()
    }

    /// Waits until the terminal is as it was before the program came (I7).
    pub(super) fn eventually_given_back(&self) {
        self.eventually_so("the terminal is given back", |screen| {
            let (_, master) = self.terminal.as_ref().unwrap();
            let off = !screen.alternate_screen() && !screen.hide_cursor() && !screen.bracketed_paste();
            let off = off && screen.mouse_protocol_mode() == vt100::MouseProtocolMode::None && !screen.application_keypad();
            (off && settings(&**master) == self.before).then_some(())
        });
    }

    /// True while keys go to the program one by one, and the screen is the console's.
    pub(super) fn is_taken(&self) -> bool {
        let seen = self.tape.lock();
        let screen = seen.terminal.screen();
        let (_, master) = self.terminal.as_ref().unwrap();
        screen.alternate_screen() && screen.hide_cursor() && settings(&**master) != self.before
    }

    /// Waits until that is so.
    pub(super) fn eventually_taken(&self) {
        eventually("the terminal is taken", || self.is_taken().then_some(()));
    }

    /// Something else writes on the terminal.
    #[cfg(target_os = "linux")]
    pub(super) fn scribble(&self, text: &str) {
        self.tape.lock().terminal.process(text.as_bytes());
    }

    /// Waits until the process is stopped.
    #[cfg(target_os = "linux")]
    pub(super) fn eventually_stopped(&self) {
        eventually("the process is stopped", || (self.stat().first()? == "T").then_some(()));
    }

    pub(super) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_raw(self.process().try_into().unwrap()).unwrap(), signal).unwrap();
    }

    /// Waits for the end; the exit code.
    pub(super) fn eventually_ended(&mut self) -> u32 {
        eventually("the program has ended", || self.child.try_wait().unwrap()).exit_code()
    }

    /// Waits until the log has `words`.
    pub(super) fn eventually_logged(&self, words: &str) {
        let is_log = |path: &Path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("cordboard"));
        eventually(&format!("the log says {words:?}"), || {
            let mut files = fs::read_dir(self.state.path()).unwrap().map(|entry| entry.unwrap().path());
            files.any(|path| is_log(&path) && fs::read_to_string(&path).unwrap().contains(words)).then_some(())
        });
    }

    /// Waits until the program uses next to no processor time. One that spins never does.
    #[cfg(target_os = "linux")]
    pub(super) fn eventually_idle(&self) {
        const WINDOW: Duration = Duration::from_millis(200);
        eventually("the program is idle", || {
            let before = self.ticks();
            thread::sleep(WINDOW);
            (self.ticks() - before <= 2).then_some(())
        });
    }

    /// Hundredths of a second of processor time used so far.
    #[cfg(target_os = "linux")]
    fn ticks(&self) -> u64 {
        self.stat()[11..13].iter().map(|field| field.parse::<u64>().unwrap()).sum()
    }

    /// What the system says of the process: its state first, user and system time in the 12th and 13th place.
    #[cfg(target_os = "linux")]
    fn stat(&self) -> Vec<String> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.process())).unwrap();
        // Before them is a name in parentheses, which may hold anything.
        stat.rsplit_once(')').unwrap().1.split_whitespace().map(str::to_owned).collect()
    }

    fn process(&self) -> u32 {
        self.child.process_id().unwrap()
    }
}

impl Drop for Console {
    fn drop(&mut self) {
        // Gone already is as well.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Waits for something that nothing tells.
fn eventually<T>(what: &str, mut so: impl FnMut() -> Option<T>) -> T {
    let start = std::time::Instant::now();
    while start.elapsed() < PATIENCE {
        if let Some(found) = so() {
            return found;
        }
        thread::sleep(Duration::from_millis(2));
    }
    panic!("it never came to pass that {what}");
}

fn size(columns: u16, rows: u16) -> PtySize {
    PtySize { rows, cols: columns, pixel_width: 0, pixel_height: 0 }
}

fn settings(terminal: &dyn MasterPty) -> String {
    format!("{:?}", terminal.get_termios().unwrap())
}
