//! The examples at the end of each `--help`, each run by a shell in front of a real broker: who copies one gets what it says.

use std::{
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
};

use rustix::process::Signal;

use super::{Serve, cordboard, signal_to, text};

const COMMANDS: [&str; 12] =
    ["", "console", "serve", "pub", "sub", "ping", "bench", "config", "passwd", "rights", "completions", "man"];

/// The examples of one command.
fn examples(state: &Path, command: &str) -> Vec<String> {
    let help = cordboard(state, "").args(command.split_whitespace()).arg("--help").output().unwrap();
    let help = text(&help.stdout);
    let (_, after) = help.split_once("Examples:\n").unwrap_or_else(|| panic!("{command} has no examples"));
    let lines = after.lines().take_while(|line| !line.is_empty());
    // What is said about it stands two spaces behind it.
    lines.map(|line| line.trim().split("  ").next().unwrap().to_owned()).collect()
}

/// A shell in `home` that runs `line`, where `cordboard` is the program and the port of the default is another.
fn shell(serve: &Serve, home: &Path, line: &str) -> Child {
    let program = Path::new(env!("CARGO_BIN_EXE_cordboard"));
    let path = format!("{}:{}", program.parent().unwrap().display(), std::env::var("PATH").unwrap());
    let free = line.replace("127.0.0.1:2674", "127.0.0.1:0").replace("/tmp/second", "second").replace("--server localhost", "");
    let free = if line.starts_with("cordboard bench") { briefly(&free) } else { free };
    let mut command = Command::new("sh");
    // What has no end is the shell itself then, so that a signal reaches it.
    let exec = if is_endless(line) { "exec " } else { "" };
    command.args(["-c", &format!("exec 2>&1; {exec}{free}")]).current_dir(home).env("HOME", home).env("PATH", path);
    command.env("CORDBOARD_SERVER", &serve.address).env("CORDBOARD_STATE_DIR", home.join("state"));
    if !line.contains("--config") {
        command.env("CORDBOARD_LISTEN", "127.0.0.1:0");
    }
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

/// A bench that is over soon, on a machine that may have one broker only.
fn briefly(line: &str) -> String {
    let short =
        line.replace("--duration 1m", "--duration 100ms").replace(" --rounds 5", "").replace(" --compare nats-server", "");
    let few = ["--duration", "--count"].iter().all(|option| !short.contains(option));
    let small = if short.contains(" all") { " --clients 2" } else { "" };
    if few { format!("{short} --count 200{small}") } else { short }
}

/// Those that have no end by themselves: a broker, and a subscriber to whatever comes.
fn is_endless(line: &str) -> bool {
    let runs_a_broker = ["cordboard", "cordboard console", "cordboard serve"]
        .iter()
        .any(|start| line.strip_prefix(start).is_some_and(|rest| rest.is_empty() || rest.starts_with(" --")));
    runs_a_broker || line.starts_with("cordboard sub") && !line.contains("--count")
}

#[test]
fn examples_do_what_they_say() {
    let serve = Serve::start();
    let home = tempfile::tempdir().unwrap();
    let at = |name: &str| home.path().join(name);
    for directory in [".zfunc", ".local/share/bash-completion/completions", ".config/fish/completions"] {
        std::fs::create_dir_all(at(directory)).unwrap();
    }
    std::fs::write(at("invoice.pdf"), b"%PDF\xff").unwrap();
    std::fs::write(at("cordboard.toml"), "listen = [\"127.0.0.1:0\"]\n").unwrap();
    let hash = "$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHRzYWx0$aGFzaGhhc2hoYXNoaGFzaGhhc2hoYXNo";
    let user = format!("[[users]]\nname = \"alice\"\npassword_hash = \"{hash}\"\n");
    std::fs::write(at("users.toml"), user + "allow.publish = [\"orders/#\"]\nallow.subscribe = [\"#\"]\n").unwrap();
    let mut run = 0;
    for line in COMMANDS.iter().flat_map(|command| examples(home.path(), command)) {
        // Without a terminal to type at, only the form that is piped is a whole one.
        if line == "cordboard passwd alice" {
            continue;
        }
        let mut shell = shell(&serve, home.path(), &line);
        if is_endless(&line) {
            let mut output = BufReader::new(shell.stdout.take().unwrap());
            let mut first = String::new();
            output.read_line(&mut first).unwrap();
            assert!(first.contains("listens on") || first.contains("session"), "{line}: {first}");
            signal_to(&shell, Signal::TERM);
            std::io::copy(&mut output, &mut std::io::sink()).unwrap();
        }
        let output = shell.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{line}: {}", text(&output.stdout));
        run += 1;
    }
    assert!(run > 20, "{run}");
    assert_eq!(std::fs::read(at("copy.pdf")).unwrap(), b"%PDF\xff");
}
