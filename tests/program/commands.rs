//! What the commands do and say when all is well, by the real program and through pipes.

use std::{
    io::{BufRead, BufReader, Write},
    process::Stdio,
};

use rustix::process::Signal;

use super::{Serve, cordboard, signal_to, text};

#[test]
fn a_ping_says_how_long_it_took_or_nothing() {
    let serve = Serve::start();
    let output = serve.run(&["ping"]);
    let said = text(&output.stdout);
    let millis = said.strip_prefix(&format!("{} answered in ", serve.address)).and_then(|rest| rest.strip_suffix(" ms\n"));
    assert!(millis.is_some_and(|millis| millis.parse::<f64>().is_ok()), "{said}");
    assert_eq!((output.status.code(), text(&output.stderr)), (Some(0), String::new()));
    let quiet = serve.run(&["ping", "--quiet"]);
    assert_eq!((quiet.status.code(), quiet.stdout.len() + quiet.stderr.len()), (Some(0), 0));
    let address = serve.address.clone();
    let (_, log) = serve.end_by(Signal::TERM);
    assert!(log.contains("session ended") && !log.contains("session detached"), "{log}");
    let state = tempfile::tempdir().unwrap();
    let gone = cordboard(state.path(), &address).args(["ping", "--quiet"]).output().unwrap();
    assert_eq!((gone.status.code(), gone.stdout.len() + gone.stderr.len()), (Some(3), 0));
}

/// What is printed is what is embedded, is sound, and is the default.
#[test]
fn the_default_configuration_is_printed_and_checked() {
    let state = tempfile::tempdir().unwrap();
    let run = |args: &[&str]| cordboard(state.path(), "").args(args).current_dir(state.path()).output().unwrap();
    let printed = run(&["config"]).stdout;
    assert_eq!(text(&printed), include_str!("../../assets/cordboard.toml"));
    std::fs::write(state.path().join("c.toml"), &printed).unwrap();
    let checked = run(&["config", "--check", "c.toml"]);
    assert_eq!(text(&checked.stdout), "c.toml is sound\n  it says nothing else than the default\n");
    let wrong = "listn = []\n[queues]\nmax_poison = 0\nmax_bytes = \"big\"\n";
    std::fs::write(state.path().join("c.toml"), wrong).unwrap();
    let checked = run(&["config", "--check", "c.toml"]);
    assert_eq!(checked.status.code(), Some(2));
    let told = text(&checked.stderr);
    let lines: Vec<&str> = told.lines().map(|line| &line[..9]).collect();
    assert_eq!(lines, ["c.toml:1:", "c.toml:3:", "c.toml:4:"], "{told}");
}

/// Emptied while it is saved, a file must not let everybody in; one that says so in a comment means the defaults.
#[test]
fn an_empty_configuration_is_refused_with_its_reason() {
    let state = tempfile::tempdir().unwrap();
    let check = |written: &str| {
        std::fs::write(state.path().join("c.toml"), written).unwrap();
        let mut command = cordboard(state.path(), "");
        command.args(["config", "--check", "c.toml"]).current_dir(state.path()).output().unwrap()
    };
    for empty in ["", "\n", "\u{feff} \n"] {
        let output = check(empty);
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2));
        assert!(said.contains("c.toml is empty, as a file is that was cut short") && said.contains("write a comment"), "{said}");
    }
    assert_eq!(text(&check("# the defaults\n").stdout), "c.toml is sound\n  it says nothing else than the default\n");
}

/// A file is one message, an argument too, and each comes as often as it was to be published.
#[test]
fn a_message_is_published_whole_and_as_often_as_wanted() {
    let serve = Serve::start();
    let file = serve.state.path().join("m");
    std::fs::write(&file, b"two\nlines \xff").unwrap();
    let path = file.to_str().unwrap();
    let output = serve.run(&["pub", "t", "--file", path, "--count", "3", "--header", "a=b"]);
    assert!(text(&output.stderr).starts_with("accepted: 3 messages (33 bytes) in "), "{}", text(&output.stderr));
    let mut piped = serve.client(&["pub", "t", "--file", "-", "--quiet"]).stdin(Stdio::piped()).spawn().unwrap();
    piped.stdin.take().unwrap().write_all(b"1\n2\n").unwrap();
    let output = piped.wait_with_output().unwrap();
    assert_eq!((output.status.code(), text(&output.stderr)), (Some(0), String::new()));
    let raw = serve.run(&["sub", "t", "--count", "4", "--format", "raw"]);
    assert_eq!(raw.stdout, [&b"two\nlines \xff".repeat(3)[..], b"1\n2\n"].concat());
}

/// Another program reads what came, headers and bytes that are no text included.
#[test]
fn messages_are_printed_as_objects() {
    let serve = Serve::start();
    serve.run(&["pub", "t/1", "caf\u{e9} \u{1b}[2J", "--header", "k=v"]);
    let file = serve.state.path().join("m");
    std::fs::write(&file, b"\xff\0").unwrap();
    serve.run(&["pub", "t/1", "--file", file.to_str().unwrap()]);
    let output = serve.run(&["sub", "t/1", "--count", "2", "--format", "json"]);
    let printed = text(&output.stdout);
    let objects: Vec<serde_json::Value> = printed.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let [first, second] = &objects[..] else { panic!("{printed}") };
    assert_eq!(first["topic"], "t/1");
    assert_eq!((&first["encoding"], &first["payload"]), (&"text".into(), &"caf\u{e9} \u{1b}[2J".into()));
    assert_eq!((&first["headers"]["k"], &first["redelivered"]), (&"v".into(), &false.into()));
    assert!(first["accepted"].as_str().is_some_and(|at| at.starts_with("20") && at.ends_with('Z')), "{first}");
    assert_eq!((&second["encoding"], &second["payload"]), (&"base64".into(), &"/wA=".into()));
    assert!(second["number"].as_u64() > first["number"].as_u64(), "{printed}");
}

/// A script can tell "not enough came" from "nothing was asked to come".
#[test]
fn a_sub_that_runs_out_of_time_has_its_own_code() {
    let serve = Serve::start();
    serve.publish("t", "one");
    let output = serve.run(&["sub", "t", "--count", "3", "--timeout", "3s"]);
    assert_eq!((output.status.code(), &*text(&output.stdout)), (Some(5), "one\n"));
    assert_eq!(text(&output.stderr), "1 of 3 messages came in time\n");
    let quiet = serve.run(&["sub", "t", "--count", "3", "--timeout", "2s", "--name", "n", "--quiet"]);
    assert_eq!((quiet.status.code(), text(&quiet.stderr)), (Some(5), String::new()));
    let watched = serve.run(&["sub", "t", "--timeout", "2s"]);
    assert_eq!((watched.status.code(), text(&watched.stderr)), (Some(0), String::new()));
    // The session of the name holds what comes to its own topic.
    serve.publish("u", "two");
    let enough = serve.run(&["sub", "u", "--count", "1", "--timeout", "1m"]);
    assert_eq!((enough.status.code(), &*text(&enough.stdout)), (Some(0), "two\n"));
}

/// Whoever wants a few of many loses the others, unless the session has a name; and is told.
#[test]
fn a_sub_that_has_enough_says_what_goes_with_its_session() {
    let serve = Serve::start();
    let fill = |topic: &str| assert!(serve.run(&["pub", topic, "x", "--count", "20"]).status.success());
    fill("t");
    let output = serve.run(&["sub", "t", "--count", "5"]);
    assert_eq!((output.status.code(), text(&output.stdout)), (Some(0), "x\n".repeat(5)));
    let told = text(&output.stderr);
    // The last of them may still be on their way.
    let left = told.strip_prefix("at least ").and_then(|rest| rest.split(' ').next()?.parse().ok());
    assert!(left.is_some_and(|left: u32| (1..=15).contains(&left)), "{told}");
    assert!(told.ends_with("lost with this session; --name NAME keeps them for the next sub\n"), "{told}");
    fill("t");
    let quiet = serve.run(&["sub", "t", "--count", "5", "--quiet"]);
    assert_eq!((quiet.status.code(), text(&quiet.stderr)), (Some(0), String::new()));
    // As many as there are: nothing is left to tell of.
    fill("t");
    let all = serve.run(&["sub", "t", "--count", "20"]);
    assert_eq!((all.stdout.len(), text(&all.stderr)), (40, String::new()));
    fill("t");
    let named = |count| serve.run(&["sub", "t", "--name", "n", "--count", count, "--timeout", "1m"]);
    let told = text(&named("5").stderr);
    assert!(told.starts_with("new session ") && told.lines().count() == 1, "{told}");
    assert_eq!(named("15").stdout.len(), 30);
}

/// Lines that end when their reader wants them to are a success; how many the broker has is said.
#[test]
fn an_interrupted_pub_says_what_was_acknowledged() {
    let serve = Serve::start();
    let mut publish = serve.client(&["pub", "t"]).stdin(Stdio::piped()).spawn().unwrap();
    let mut lines = publish.stdin.take().unwrap();
    lines.write_all(b"one\ntwo\n").unwrap();
    assert_eq!(text(&serve.run(&["sub", "t", "-n", "2"]).stdout), "one\ntwo\n");
    signal_to(&publish, Signal::INT);
    let output = publish.wait_with_output().unwrap();
    assert_eq!(text(&output.stderr), "interrupted: 2 of 2 messages acknowledged\n");
    assert_eq!(output.status.code(), Some(0));
    let (_, log) = serve.end_by(Signal::TERM);
    assert!(!log.contains("session detached"), "{log}");
}

/// The first that is refused is named by its number, and no more are read.
#[test]
fn a_message_that_is_refused_is_named() {
    let serve = Serve::start();
    let mut publish = serve.client(&["pub", "t"]).stdin(Stdio::piped()).spawn().unwrap();
    let mut lines = publish.stdin.take().unwrap();
    lines.write_all(b"one\n").unwrap();
    // As long as a line may be, and as its frame may not.
    lines.write_all(&vec![b'x'; 1 << 20]).unwrap();
    lines.write_all(b"\n").unwrap();
    let output = publish.wait_with_output().unwrap();
    let said = text(&output.stderr);
    let start = "cordboard: 1 of 2 messages was not accepted; it is number 2: a message of ";
    assert!(said.starts_with(start) && said.ends_with("send less in one message\n"), "{said}");
    assert!(said.contains("over the broker's limit of 1048576 (connections.max_frame_bytes)"), "{said}");
    assert_eq!(output.status.code(), Some(4));
    drop(lines);
}

/// Options of the broker stand before or behind its command.
#[test]
fn a_broker_is_configured_on_either_side_of_its_command() {
    let state = tempfile::tempdir().unwrap();
    let file = state.path().join("c.toml");
    std::fs::write(&file, "listen = [\"127.0.0.1:1\"]\n").unwrap();
    let file = file.to_str().unwrap();
    for command in [&["serve", "--config", file][..], &["--config", file, "serve"], &["--config", file]] {
        let serve = Serve::start_with(command);
        assert!(serve.run(&["ping"]).status.success(), "{command:?}");
    }
}

/// From what is piped, the password is one line and nobody is asked.
#[test]
fn a_password_is_read_from_a_pipe_once() {
    let state = tempfile::tempdir().unwrap();
    let mut passwd = cordboard(state.path(), "").args(["passwd"]).stdin(Stdio::piped()).spawn().unwrap();
    passwd.stdin.take().unwrap().write_all(b"correct horse\n").unwrap();
    let output = passwd.wait_with_output().unwrap();
    assert!(text(&output.stdout).starts_with("$argon2id$"));
    assert_eq!((output.status.code(), text(&output.stderr)), (Some(0), String::new()));
}

/// `| head` on what is printed at once.
#[test]
fn a_reader_that_leaves_is_no_failure() {
    let state = tempfile::tempdir().unwrap();
    for line in ["config", "man", "completions bash", "--help"] {
        let mut child = cordboard(state.path(), "").args(line.split(' ')).spawn().unwrap();
        let mut first = String::new();
        BufReader::with_capacity(1, child.stdout.take().unwrap()).read_line(&mut first).unwrap();
        assert!(!first.is_empty());
        let output = child.wait_with_output().unwrap();
        assert_eq!((output.status.code(), text(&output.stderr)), (Some(0), String::new()), "{line}");
    }
}
