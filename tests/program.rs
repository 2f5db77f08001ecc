//! The program from outside: `serve`, `pub` and `sub` as their users and service managers meet them.
#![cfg(unix)]

#[cfg(target_os = "linux")]
mod bench;
mod commands;
mod examples;
mod mistakes;

use std::{
    io::{BufRead, BufReader, Read, Write},
    path::Path,
    process::{Child, ChildStderr, Command, Output, Stdio},
};

use rustix::process::{Pid, Signal, kill_process};

/// The program, with nothing of the caller's environment that would change it.
fn cordboard(state: &Path, server: &str) -> Command {
    alone(Command::new(env!("CARGO_BIN_EXE_cordboard")), state, server)
}

/// `command` with an environment of the test's own.
fn alone(mut command: Command, state: &Path, server: &str) -> Command {
    for variable in ["CORDBOARD_LOG", "CORDBOARD_CONFIG", "CORDBOARD_LISTEN", "CORDBOARD_USER", "CORDBOARD_PASSWORD"] {
        command.env_remove(variable);
    }
    command.env("CORDBOARD_STATE_DIR", state).env("CORDBOARD_SERVER", server);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// A running `cordboard serve`. Dropped, it is killed: a test that fails leaves nothing behind.
pub(crate) struct Serve {
    child: Child,
    log: BufReader<ChildStderr>,
    state: tempfile::TempDir,
    pub(crate) address: String,
    /// The first line it says.
    pub(crate) greeting: String,
}

impl Serve {
    pub(crate) fn start() -> Self {
        Self::start_with(&["serve"])
    }

    pub(crate) fn start_with(command: &[&str]) -> Self {
        Self::spawn(command, "127.0.0.1:0", "")
    }

    /// At an address that another one has just left.
    pub(crate) fn start_at(address: &str) -> Self {
        Self::spawn(&["serve"], address, "")
    }

    /// With faults that will strike.
    fn start_failing(command: &[&str], faults: &str) -> Self {
        Self::spawn(command, "127.0.0.1:0", faults)
    }

    /// With few descriptors.
    fn start_few(descriptors: u32, command: &[&str]) -> Self {
        let state = tempfile::tempdir().unwrap();
        let mut shell = Command::new("sh");
        shell.args(["-c", &format!("ulimit -n {descriptors}; exec \"$@\""), "sh", env!("CARGO_BIN_EXE_cordboard")]);
        let program = alone(shell, state.path(), "");
        Self::run_in(state, program, command, "127.0.0.1:0")
    }

    fn spawn(command: &[&str], address: &str, faults: &str) -> Self {
        let state = tempfile::tempdir().unwrap();
        let mut program = cordboard(state.path(), "");
        if !faults.is_empty() {
            program.env("CORDBOARD_FAULTS", faults);
        }
        Self::run_in(state, program, command, address)
    }

    fn run_in(state: tempfile::TempDir, mut program: Command, command: &[&str], address: &str) -> Self {
        program.args(command).args(["--listen", address]);
        let mut child = program.spawn().unwrap();
        let mut log = BufReader::new(child.stderr.take().unwrap());
        let mut greeting = String::new();
        log.read_line(&mut greeting).unwrap();
        let address = greeting.strip_prefix("cordboard listens on ").and_then(|rest| rest.split([';', ',']).next());
        let address = address.unwrap_or_else(|| panic!("{greeting:?}")).to_owned();
        Self { child, log, state, address, greeting }
    }

    /// A client of it.
    fn client(&self, args: &[&str]) -> Command {
        let mut command = cordboard(self.state.path(), &self.address);
        command.args(args);
        command
    }

    fn run(&self, args: &[&str]) -> Output {
        self.client(args).output().unwrap()
    }

    /// Publishes one message.
    fn publish(&self, topic: &str, payload: &str) {
        let output = self.run(&["pub", topic, payload]);
        assert!(output.status.success(), "{}", text(&output.stderr));
    }

    /// Waits for a line of the log that has all `words`; the log up to there.
    pub(crate) fn log_until(&mut self, words: &[&str]) -> String {
        let mut log = String::new();
        loop {
            let before = log.len();
            assert!(self.log.read_line(&mut log).unwrap() > 0, "it ended without a line with {words:?}: {log}");
            if words.iter().all(|word| log[before..].contains(word)) {
                return log;
            }
        }
    }

    /// Sends a signal and waits for the end: exit code and the rest of the log.
    pub(crate) fn end_by(mut self, signal: Signal) -> (Option<i32>, String) {
        signal_to(&self.child, signal);
        self.end()
    }

    /// Waits for the end that comes by itself.
    fn end(&mut self) -> (Option<i32>, String) {
        let mut rest = String::new();
        self.log.read_to_string(&mut rest).unwrap();
        (self.child.wait().unwrap().code(), rest)
    }
}

impl Drop for Serve {
    fn drop(&mut self) {
        // Gone already is as well.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn signal_to(child: &Child, signal: Signal) {
    kill_process(Pid::from_child(child), signal).unwrap();
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// What a topic without subscribers has kept comes first; every line of the input is a message.
#[test]
fn lines_go_in_and_come_out() {
    let serve = Serve::start();
    let mut publish = serve.client(&["pub", "orders", "-"]).stdin(Stdio::piped()).spawn().unwrap();
    publish.stdin.take().unwrap().write_all(b"one\n\ntwo \xff\n\x1b[2Jlast").unwrap();
    assert!(publish.wait().unwrap().success());
    let output = serve.run(&["sub", "orders", "--count", "4", "--topic", "always"]);
    assert!(output.status.success());
    assert_eq!(output.stdout, b"orders\tone\norders\t\norders\ttwo \xff\norders\t\x1b[2Jlast\n");
    assert_eq!(text(&output.stderr), "");
}

/// With a name, what was published in between is not missed, and comes once.
#[test]
fn a_named_sub_goes_on_where_it_stopped() {
    let serve = Serve::start();
    serve.publish("orders", "one");
    let first = serve.run(&["sub", "orders", "--name", "billing", "-n", "1"]);
    assert_eq!(text(&first.stdout), "one\n");
    let told = text(&first.stderr);
    let session = told.strip_prefix("new session ").unwrap_or_else(|| panic!("{told}"));
    serve.publish("orders", "two");
    serve.publish("orders", "three");
    let second = serve.run(&["sub", "orders", "--name", "billing", "-n", "2"]);
    assert_eq!(text(&second.stdout), "two\nthree\n");
    assert_eq!(text(&second.stderr), format!("resumed session {session}"));
}

/// The broker has forgotten everything; its client is told, and gets what comes from now on.
#[test]
fn a_named_sub_says_when_its_session_is_gone() {
    let serve = Serve::start();
    serve.publish("orders", "one");
    serve.run(&["sub", "orders", "--name", "billing", "-n", "1"]);
    let mut other = Serve::start();
    // The file is kept for an address; this broker has another one, and the same state.
    let from = serve.state.path().join("sessions").join(serve.address.replace(':', "%3a"));
    let to = other.state.path().join("sessions").join(other.address.replace(':', "%3a"));
    std::fs::create_dir_all(&to).unwrap();
    std::fs::copy(from.join("billing"), to.join("billing")).unwrap();
    other.publish("orders", "new");
    let output = other.run(&["sub", "orders", "--name", "billing", "-n", "1"]);
    assert_eq!(text(&output.stdout), "new\n");
    let told = text(&output.stderr);
    assert!(told.contains("is not known to this broker") && told.contains("; new session "), "{told}");
    assert!(other.child.try_wait().unwrap().is_none());
}

/// `| head -1` is no failure.
#[test]
fn a_reader_that_leaves_ends_sub_quietly() {
    let serve = Serve::start();
    serve.publish("orders", "one");
    let mut sub = serve.client(&["sub", "orders"]).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(sub.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert_eq!(line, "one\n");
    serve.publish("orders", "two");
    let output = sub.wait_with_output().unwrap();
    assert_eq!((output.status.code(), text(&output.stderr)), (Some(0), String::new()));
}

/// Nor does it take another message to notice; what was read does not come again.
#[test]
fn a_reader_that_leaves_ends_sub_at_once() {
    let serve = Serve::start();
    serve.publish("orders", "one");
    let waiting = ["sub", "orders", "--name", "billing", "--quiet", "--count", "2", "--timeout", "1m"];
    let mut sub = serve.client(&waiting).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(sub.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert_eq!(line, "one\n");
    let output = sub.wait_with_output().unwrap();
    assert_eq!((output.status.code(), text(&output.stderr)), (Some(0), String::new()));
    serve.publish("orders", "two");
    let next = serve.run(&["sub", "orders", "--name", "billing", "-n", "1"]);
    assert_eq!(text(&next.stdout), "two\n");
    assert!(text(&next.stderr).starts_with("resumed session ") && text(&next.stderr).lines().count() == 1);
}

#[test]
fn an_interrupt_ends_sub_as_asked() {
    let serve = Serve::start();
    serve.publish("orders", "one");
    let mut sub = serve.client(&["sub", "orders"]).spawn().unwrap();
    let mut lines = BufReader::new(sub.stdout.take().unwrap());
    let mut line = String::new();
    lines.read_line(&mut line).unwrap();
    signal_to(&sub, Signal::INT);
    assert_eq!(sub.wait().unwrap().code(), Some(0));
}

/// The broker holds its receipts and the credit is used up: one signal ends a `pub` all the same, and it says what it left.
#[test]
fn a_signal_ends_pub_without_the_broker() {
    for signal in [Signal::TERM, Signal::INT] {
        let serve = Serve::start();
        let mut publish = serve.client(&["pub", "flood", "-"]).stdin(Stdio::piped()).spawn().unwrap();
        let mut lines = publish.stdin.take().unwrap();
        lines.write_all(b"first\n").unwrap();
        assert_eq!(text(&serve.run(&["sub", "flood", "-n", "1"]).stdout), "first\n");
        signal_to(&serve.child, Signal::STOP);
        fill(&mut lines);
        signal_to(&publish, signal);
        let output = publish.wait_with_output().unwrap();
        signal_to(&serve.child, Signal::CONT);
        let said = text(&output.stderr);
        assert!(said.starts_with("cordboard: interrupted: ") && said.ends_with(" more may have been accepted\n"), "{said}");
        assert_eq!(output.status.code(), Some(1));
    }
}

/// Writes lines until nobody has taken one for a while.
fn fill(lines: &mut std::process::ChildStdin) {
    let patience = rustix::event::Timespec { tv_sec: 0, tv_nsec: 500_000_000 };
    let block = b"xxxxxxx\n".repeat(512);
    let is_taken = |lines: &std::process::ChildStdin| {
        let mut wanted = [rustix::event::PollFd::new(lines, rustix::event::PollFlags::OUT)];
        rustix::event::poll(&mut wanted, Some(&patience)).unwrap() == 1
    };
    // A pipe that can be written has room for a block: 4 KiB, which is what POLLOUT promises.
    while is_taken(lines) {
        lines.write_all(&block).unwrap();
    }
}

/// Nobody comes back for a session without a name, so a failure ends it as success does.
#[test]
fn a_failure_leaves_no_session_behind() {
    let serve = Serve::start();
    let refused = serve.run(&["pub", "orders", "x", "--header", "ttl-ms=soon"]);
    assert_eq!(refused.status.code(), Some(1), "{}", text(&refused.stderr));
    let (_, log) = serve.end_by(Signal::TERM);
    assert!(log.contains("session ended") && !log.contains("session detached"), "{log}");
}

/// A `sub` that is killed after it has printed a line does not print it again, or says that it may have.
#[test]
fn what_comes_again_is_told() {
    let serve = Serve::start();
    let lines = || (1..=20_u32).map(|number| number.to_string());
    let mut printed = Vec::new();
    let mut told = 0;
    for number in lines() {
        let mut sub = serve.client(&["sub", "orders", "--name", "billing"]).spawn().unwrap();
        let mut output = BufReader::new(sub.stdout.take().unwrap());
        serve.publish("orders", &number);
        let mut line = String::new();
        while line.trim() != number {
            line.clear();
            output.read_line(&mut line).unwrap();
            printed.push(line.trim().to_owned());
        }
        sub.kill().unwrap();
        let said = text(&sub.wait_with_output().unwrap().stderr);
        let again = said.lines().filter(|line| line.ends_with("may have come before"));
        told += again.map(|line| line.split(' ').next().unwrap().parse::<usize>().unwrap()).sum::<usize>();
    }
    printed.sort_by_key(|line| line.parse::<u32>().unwrap());
    let again = printed.len() - lines().count();
    printed.dedup();
    assert_eq!(printed, lines().collect::<Vec<_>>());
    assert!(again <= told, "{again} came again, {told} of them told");
}

/// Where the system grants few descriptors, those who hold them and say nothing go when others need them; that is told, and
/// not once a connection.
#[test]
fn connections_that_say_nothing_do_not_use_the_descriptors_up() {
    let config = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(config.path(), "[connections]\nregistration_deadline = \"1h\"\n").unwrap();
    let serve = Serve::start_few(64, &["serve", "--config", config.path().to_str().unwrap()]);
    let connect = || std::net::TcpStream::connect(&serve.address).unwrap();
    let mut silent: Vec<_> = (0..100).map(|_| connect()).collect();
    for text in ["one", "two", "three"] {
        serve.publish("orders", text);
        silent.push(connect());
    }
    let (code, log) = serve.end_by(Signal::TERM);
    assert_eq!(code, Some(0), "{log}");
    let told: Vec<_> = log.lines().filter(|line| line.contains("limit=accept")).collect();
    assert!(told.iter().any(|line| line.contains("who=the system: Too many open files")), "{log}");
    assert!(told.len() < 20, "{log}");
}

/// Once drains and stops in order, and says so; a hang-up does nothing.
#[test]
fn signals_stop_a_broker_in_order() {
    for signal in [Signal::TERM, Signal::INT] {
        let serve = Serve::start();
        signal_to(&serve.child, Signal::HUP);
        serve.publish("orders", "one");
        let (code, log) = serve.end_by(signal);
        assert_eq!(code, Some(0), "{log}");
        assert!(log.contains("shutting down"), "{log}");
    }
}

/// Who ended it, and what that has cost, is on record like any other order; one that cannot be recorded is obeyed all the same.
#[test]
fn a_signal_to_stop_is_on_record() {
    for is_writable in [true, false] {
        let mut serve = Serve::start();
        serve.publish("orders", "one");
        let audit = serve.state.path().join("audit.jsonl");
        if !is_writable {
            std::fs::create_dir(&audit).unwrap();
        }
        signal_to(&serve.child, Signal::TERM);
        let (code, log) = serve.end();
        assert_eq!(code, Some(0), "{log}");
        if is_writable {
            let records = std::fs::read_to_string(&audit).unwrap();
            let of_signal: Vec<_> = records.lines().filter(|line| line.contains("\"operator\":\"SIGTERM\"")).collect();
            assert_eq!(of_signal.len(), 2, "{records}");
            assert!(of_signal[0].contains("\"intent\"") && of_signal[1].contains("\"backlog\":1"), "{records}");
        }
    }
}

/// A service manager sees that it did not end as asked, and its log says why; what was in the broker is counted.
#[test]
fn a_broker_that_fails_too_often_ends_with_a_code() {
    for (faults, words) in [
        ("TopicManager.Tick=panic@3*4", "managers failed 4 times, the last time TopicManager failed in Tick"),
        ("Broker.Tick=error@3", "the broker failed in Tick"),
    ] {
        let mut serve = Serve::start_failing(&["serve"], faults);
        let (code, log) = serve.end();
        assert_eq!(code, Some(1), "{log}");
        let last = log.lines().last().unwrap();
        assert!(last.contains(words) && last.contains("the broker has stopped; see"), "{log}");
        assert!(log.contains("stopped failed="), "{log}");
    }
}

/// What a stop has cost is said once.
#[test]
fn a_stop_says_what_it_has_cost() {
    let serve = Serve::start();
    serve.publish("orders", "one");
    let (_, log) = serve.end_by(Signal::TERM);
    assert!(log.contains("stopped lost=1 message, "), "{log}");
    assert_eq!(log.matches("1 message").count(), 1, "{log}");
    assert!(!log.contains("messages="), "{log}");
}

/// Two brokers do not write into one log; a broker that was killed is in nobody's way.
#[test]
fn a_state_directory_is_one_brokers() {
    let mut serve = Serve::start();
    let state = serve.state.path().to_owned();
    // Nobody can listen where somebody does: a second broker ends there, if it comes that far.
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let second = || text(&cordboard(&state, "").args(["serve", "--listen", &address]).output().unwrap().stderr);
    let said = second();
    let wanted = format!("another broker (process {}) uses the state directory {}", serve.child.id(), state.display());
    assert!(said.contains(&wanted) && said.contains("--state-dir"), "{said}");
    serve.child.kill().unwrap();
    serve.child.wait().unwrap();
    let said = second();
    assert!(said.contains(&format!("cannot listen on {address}: another program is there already")), "{said}");
}

/// Without a terminal there is no console, and the broker serves all the same.
#[test]
fn without_a_terminal_the_console_gives_way() {
    for command in [&["console"][..], &[]] {
        let serve = Serve::start_with(command);
        serve.publish("orders", "one");
        let (code, log) = serve.end_by(Signal::TERM);
        assert_eq!(code, Some(0));
        assert!(log.lines().any(|line| line.starts_with("no console: ")), "{log}");
    }
}
