//! What a mistake is answered, by the real program: the words alone must be enough to mend it, and scripts can tell why it
//! ended by the code.

use std::{io::Write, net::TcpListener, path::Path, process::Command};

use super::{Serve, cordboard, text};

/// What fails: with which code, and with which words in it.
#[track_caller]
fn fails(mut command: Command, code: i32, words: &[&str]) {
    let output = command.output().unwrap();
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{command:?}: {said}");
    assert!(said.starts_with("cordboard: ") && said.lines().count() <= 2, "{command:?}: {said}");
    for word in words {
        assert!(said.contains(word), "{command:?}: {word:?} in {said}");
    }
    // No error is shown as the code has it.
    for debug in ["{ ", "Some(", "Os(", "os error", "stack backtrace", "panicked"] {
        assert!(!said.contains(debug), "{said}");
    }
}

/// The program with `line` as its arguments, and a server that is not there.
fn program(state: &Path, line: &str) -> Command {
    let mut command = cordboard(state, "127.0.0.1:1");
    command.args(line.split_whitespace()).current_dir(state);
    command
}

#[test]
fn a_command_line_that_makes_no_sense_is_told_what_would() {
    let state = tempfile::tempdir().unwrap();
    for (line, words) in [
        ("serve --lisen 127.0.0.1", &["unexpected argument '--lisen'", "'--listen'", "cordboard serve --help"][..]),
        ("publish t x", &["unrecognized subcommand 'publish'", "'pub'", "cordboard --help"]),
        ("pub t x --listen 127.0.0.1", &["--listen belongs to console and serve, not to pub"]),
        ("passwd --state-dir x", &["--state-dir belongs to console, serve and sub, not to passwd"]),
        ("--listen 127.0.0.1 sub t", &["--listen belongs to console and serve, not to sub"]),
        ("serve --operator ana", &["--operator belongs to console, not to serve"]),
        ("pub orders/+ x", &["'orders/+'", "they belong in filters"]),
        ("pub t x --server ::::", &["localhost"]),
        ("--listen nowhere", &["'nowhere'", "give an IP address"]),
        ("serve --listen 127.0.0.1:1 --listen 127.0.0.1:1", &["make no sense", "127.0.0.1:1 twice"]),
        ("--listen 192.0.2.1:1", &["192.0.2.1:1, which other machines reach", "add [[users]] or use 127.0.0.1"]),
        ("pub t x --demo", &["--demo belongs to console and serve, not to pub"]),
        ("serve --demo --listen 192.0.2.1:1", &["add --listen 127.0.0.1"]),
        ("pub t x --user ana", &["there is no password for user ana", "CORDBOARD_PASSWORD"]),
        ("ping --user ana", &["there is no password for user ana", "CORDBOARD_PASSWORD"]),
        ("pub t --count 2", &["--count repeats one message", "lines are read once"]),
        ("sub t --timeout 5", &["write for example 500ms, 90s or 2h"]),
        ("sub t --timeout five", &["'five'", "a time is a number and its unit"]),
        ("sub t --count x", &["'x'", "write a whole number from 1, for example 10"]),
        ("pub t x --count 0", &["'0'", "write a whole number from 1"]),
        ("--demo-seed x", &["'x'", "write a whole number, for example 7"]),
        ("serve --workers 0", &["'0'", "write a whole number from 1 to 4096"]),
        ("sub t --format json --topic always", &["--topic is for --format text"]),
        ("sub t --format xml", &["text, json, raw"]),
        ("bench 1to2", &["'1to2'", "1to1, fanout", "cordboard bench --help"]),
        ("bench 1to1 --clients 2", &["--clients means nothing to 1to1; it is for fanout, fanin"]),
        ("bench offline --compare nats-server", &["core NATS keeps nothing", "leave --compare out"]),
        ("bench latency --beside drain --compare nats-server", &["core NATS keeps nothing", "leave --compare out"]),
        ("bench latency --beside flood --compare console", &["two questions"]),
        ("bench all --compare console", &["all has rows of its own", "1to1"]),
        ("bench 1to1 --beside flood", &["--beside means nothing to 1to1; it is for latency"]),
        ("bench latency --letters 5", &["--letters means nothing without --beside drain"]),
        ("bench --payload 2MiB", &["--payload 2097152 is more than a broker takes; use at most 1000000"]),
        ("bench --payload 1kb", &["'1kb'", "write for example 256, 4KiB or 1MiB"]),
        ("bench fanout --clients 0", &["'0'", "write a whole number from 1"]),
        ("bench --count 5 --duration 5s", &["'--count <N>' cannot be used with '--duration <TIME>'"]),
        ("bench --pid 1", &["--server"]),
        ("bench --server h --user ana", &["there is no password for user ana", "CORDBOARD_PASSWORD"]),
        ("completions bsh", &["'bsh'", "'bash'"]),
        ("man publish", &["there is no command publish; there are console, serve, pub"]),
        ("rights --as ana publish t", &["name the configuration with --config FILE"]),
        ("serve --config none.toml", &["none.toml cannot be read: no such file", "\"cordboard config > none.toml\" makes one"]),
        ("serve --config .", &[". cannot be read: is a directory"]),
    ] {
        fails(program(state.path(), line), 2, words);
    }
    let mut listening = program(state.path(), "serve");
    listening.env("CORDBOARD_LISTEN", "127.0.0.1,nowhere");
    fails(listening, 2, &["CORDBOARD_LISTEN: give an IP address"]);
}

/// Scripts and service files take a variable back by setting it to nothing.
#[test]
fn an_empty_variable_is_as_good_as_none() {
    let state = tempfile::tempdir().unwrap();
    let mut check = program(state.path(), "rights --as ana publish t");
    for name in
        ["CORDBOARD_SERVER", "CORDBOARD_USER", "CORDBOARD_LISTEN", "CORDBOARD_STATE_DIR", "CORDBOARD_CONFIG", "CORDBOARD_WORKERS"]
    {
        check.env(name, "");
    }
    fails(check, 2, &["name the configuration with --config FILE"]);
    let mut ping = program(state.path(), "ping --server 127.0.0.1:1");
    ping.env("CORDBOARD_USER", "").env("CORDBOARD_SERVER", "");
    fails(ping, 3, &["cannot connect to 127.0.0.1:1"]);
}

/// A key that is not one has a line and a neighbour, wherever the file was named.
#[test]
fn a_mistake_in_the_configuration_has_its_line() {
    let state = tempfile::tempdir().unwrap();
    std::fs::write(state.path().join("c.toml"), "[queues]\nmax_mesages = 1\n[sesions]\n").unwrap();
    let first = ["c.toml:2: unknown key `max_mesages` in [queues]; did you mean `max_messages`?"];
    let more = [first[0], "; 1 more, which \"cordboard config --check c.toml\" tells\n"];
    fails(program(state.path(), "serve --config c.toml"), 2, &more);
    fails(program(state.path(), "--config c.toml"), 2, &first);
    fails(program(state.path(), "rights --config c.toml --as ana publish t"), 2, &first);
    let mut by_environment = program(state.path(), "serve");
    by_environment.env("CORDBOARD_CONFIG", "c.toml");
    fails(by_environment, 2, &first);
    for (text, words) in [
        ("listen = \"127.0.0.1:1\"\n", ["c.toml:1: listen: ", "expected a list", "write it like listen = ["]),
        ("[queue]\n", ["c.toml:1: ", "unknown key `queue`", "did you mean `queues`?"]),
        ("[queues]\nmax_bytes = \"many\"\n", ["c.toml:2: queues.max_bytes: ", "\"many\"", "write it like max_bytes = "]),
    ] {
        std::fs::write(state.path().join("c.toml"), text).unwrap();
        fails(program(state.path(), "serve --config c.toml"), 2, &words);
    }
}

#[test]
fn a_broker_that_is_not_there_is_told_how_to_start_one() {
    let state = tempfile::tempdir().unwrap();
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    for line in ["pub t x", "sub t", "ping", "pub t x --user ana", &format!("bench --server {closed}")] {
        let mut command = cordboard(state.path(), &closed);
        command.args(line.split(' ')).env("CORDBOARD_PASSWORD", "x");
        let words = [&*closed, "connection refused", "start one with \"cordboard serve\", or name another with --server"];
        fails(command, 3, &words);
    }
    // Somebody is there, and says nothing.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut command = cordboard(state.path(), &silent.local_addr().unwrap().to_string());
    command.args(["ping", "--timeout", "200ms"]);
    fails(command, 3, &["no broker answered at", "within 200ms"]);
}

/// What answers there speaks another language: of that nobody is told frame by frame.
#[test]
fn who_answers_and_is_no_broker_is_told_as_one() {
    let state = tempfile::tempdir().unwrap();
    let no_frame = "is no cordboard broker: its first bytes are no frame";
    let later = "does not speak version 1 of the protocol, which has no such frame; is it newer than this client, or no cordboard \
                 broker?";
    for (answer, found) in [
        ("HTTP/1.1 400 Bad Request\r\n\r\n", no_frame),
        ("SSH-2.0-x\r\n", no_frame),
        ("\0\0\0\x01x", no_frame),
        ("\0\0\0\x02\x7f\0", later),
    ] {
        let other = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = other.local_addr().unwrap().to_string();
        let answering = std::thread::spawn(move || {
            let (mut connection, _) = other.accept().unwrap();
            connection.write_all(answer.as_bytes()).unwrap();
            // Until it has been read, and the client has gone.
            std::io::copy(&mut connection, &mut std::io::sink()).ok();
        });
        let mut command = cordboard(state.path(), &address);
        command.arg("ping");
        fails(command, 3, &[&format!("cordboard: {address} {found}; name another with --server\n")]);
        answering.join().unwrap();
    }
}

#[test]
fn an_address_that_is_taken_is_told_by_whom() {
    let serve = Serve::start();
    let state = tempfile::tempdir().unwrap();
    let words = ["cannot listen on", "a broker (cordboard/", "is there already", "with --listen"];
    fails(program(state.path(), &format!("serve --listen {}", serve.address)), 1, &words);
    let other = TcpListener::bind("127.0.0.1:0").unwrap();
    let line = format!("serve --demo --listen {}", other.local_addr().unwrap());
    fails(program(state.path(), &line), 1, &["another program is there already", "with --listen"]);
}

#[test]
fn a_directory_that_cannot_be_written_is_told_with_the_way_out() {
    let state = tempfile::tempdir().unwrap();
    let words = ["cannot write to the state directory /dev/null/state", "not a directory", "name another with --state-dir"];
    fails(program(state.path(), "serve --state-dir /dev/null/state"), 1, &words);
    std::fs::write(state.path().join("file"), "").unwrap();
    fails(program(state.path(), "serve --state-dir file"), 1, &["directory file: not a directory", "--state-dir"]);
    fails(program(state.path(), "sub t --name n --state-dir /dev/null/state"), 1, &words);
}

/// Refused is not the same as not there; and who named a user is not told to name one.
#[test]
fn who_is_refused_is_told_why() {
    let state = tempfile::tempdir().unwrap();
    let file = state.path().join("users.toml");
    let made = cordboard(state.path(), "").args(["passwd", "ana"]).stdin(password(state.path())).output().unwrap();
    std::fs::write(&file, made.stdout).unwrap();
    let demo = program(state.path(), "--demo --config users.toml");
    fails(demo, 2, &["no passwords, and the configuration has users"]);
    let serve = Serve::start_with(&["serve", "--config", file.to_str().unwrap()]);
    let client = |line: &str, password: &str| {
        let mut command = serve.client(&line.split(' ').collect::<Vec<_>>());
        command.env("CORDBOARD_PASSWORD", password);
        command
    };
    fails(client("ping", ""), 4, &["(401)", "say who you are with --user and CORDBOARD_PASSWORD"]);
    fails(client("ping --user ana", "wrong"), 4, &["(401)", "are --user and CORDBOARD_PASSWORD right?"]);
    let refused = ["1 of 1 messages was not accepted", "refused the message to t: ", "(403)"];
    fails(client("pub t x --user ana", "correct horse"), 4, &refused);
    fails(client("sub t/1 u/# --user ana", "correct horse"), 4, &["refused the subscription to t/1: ", "(403)"]);
    let mut by_environment = client("ping", "correct horse");
    assert!(by_environment.env("CORDBOARD_USER", "ana").output().unwrap().status.success());
}

/// A file to read a password from.
fn password(state: &Path) -> std::fs::File {
    std::fs::write(state.join("password"), "correct horse\n").unwrap();
    std::fs::File::open(state.join("password")).unwrap()
}

/// What no broker or not this one takes is a limit, wherever it is noticed.
#[test]
fn a_message_that_is_too_large_hits_a_limit() {
    let serve = Serve::start();
    let file = serve.state.path().join("large");
    for (bytes, words) in [
        (3_000_000, "over the broker's limit of 1048576 (connections.max_frame_bytes); send less in one message"),
        ((16 << 20) + 1, "has more than 16777216 bytes, the most that connections.max_frame_bytes can be"),
    ] {
        std::fs::write(&file, vec![b'x'; bytes]).unwrap();
        fails(serve.client(&["pub", "t", "--file", file.to_str().unwrap()]), 4, &[words]);
    }
    let mut lines = serve.client(&["pub", "t"]);
    lines.stdin(std::fs::File::open(&file).unwrap());
    let output = lines.output().unwrap();
    assert_eq!(output.status.code(), Some(4));
    let said = "cordboard: line 1 has more than 1048576 bytes, the most for a line; publish its parts, or, to a broker whose \
                connections.max_frame_bytes allows it, the whole by itself with --file\n";
    assert_eq!(text(&output.stderr), said);
}

#[test]
fn a_file_that_cannot_be_published_is_named() {
    let serve = Serve::start();
    fails(serve.client(&["pub", "t", "--file", "/none"]), 1, &["cannot read /none: no such file or directory"]);
    fails(serve.client(&["pub", "t", "--file", "/"]), 1, &["cannot read /: is a directory"]);
}
