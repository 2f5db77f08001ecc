//! The configuration file of the real program, and everything that can be wrong with it: when it starts, and when it is told to
//! read it again.
#![cfg(unix)]

use std::{
    io::{BufRead as _, BufReader, Write as _},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Child, ChildStderr, Command, Output, Stdio},
};

use rustix::process::{Pid, Signal, kill_process};

use super::users::hash;

pub(super) fn cordboard(state: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_cordboard"));
    command.env_remove("CORDBOARD_LOG").env_remove("CORDBOARD_PASSWORD").env("CORDBOARD_STATE_DIR", state);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// The lines that make a user with all rights but to operate; the password is given.
pub(crate) fn user_lines(name: &str, password: &str) -> String {
    let all = "[\"#\"]";
    format!(
        "[[users]]\nname = \"{name}\"\npassword_hash = \"{}\"\nallow.publish = {all}\nallow.subscribe = {all}\nallow.create = {all}\n",
        hash(password).expose()
    )
}

/// A broker with a configuration file. Dropped, it is killed.
pub(super) struct Served {
    pub(super) state: tempfile::TempDir,
    pub(super) file: PathBuf,
    pub(super) child: Child,
    pub(super) log: BufReader<ChildStderr>,
    pub(super) seen: String,
    address: String,
}

impl Served {
    pub(super) fn start(text: &str, level: &str) -> Self {
        let state = tempfile::tempdir().unwrap();
        let file = state.path().join("cordboard.toml");
        std::fs::write(&file, text).unwrap();
        let mut command = cordboard(state.path());
        command.args(["serve", "--listen", "127.0.0.1:0", "--config"]).arg(&file).env("CORDBOARD_LOG", level);
        let mut child = command.spawn().unwrap();
        let mut log = BufReader::new(child.stderr.take().unwrap());
        let mut seen = String::new();
        log.read_line(&mut seen).unwrap();
        let address = seen.strip_prefix("cordboard listens on ").and_then(|rest| rest.split(';').next());
        let address = address.unwrap_or_else(|| panic!("{seen:?}")).to_owned();
        Self { state, file, child, log, seen, address }
    }

    /// Writes the file anew and has it read; returns the log line that says how that went.
    pub(super) fn reload(&mut self, text: &[u8]) -> String {
        std::fs::write(&self.file, text).unwrap();
        self.hang_up()
    }

    pub(super) fn hang_up(&mut self) -> String {
        kill_process(Pid::from_child(&self.child), Signal::HUP).unwrap();
        self.until(&["configuration was not taken", "configuration read"])
    }

    fn until(&mut self, wanted: &[&str]) -> String {
        loop {
            let mut line = String::new();
            assert!(self.log.read_line(&mut line).unwrap() > 0, "the log ended without {wanted:?}: {}", self.seen);
            self.seen.push_str(&line);
            if wanted.iter().any(|wanted| line.contains(wanted)) {
                return line;
            }
        }
    }

    /// Publishes as `user`.
    pub(super) fn publish(&self, user: &str, password: &str, topic: &str) -> Output {
        let mut command = cordboard(self.state.path());
        command.args(["pub", topic, "x", "--user", user, "--server", &self.address]);
        command.env("CORDBOARD_PASSWORD", password).output().unwrap()
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        // Gone already is as well.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// What a file may be, and what the program says of it, when it starts and when it reads it again.
fn wrong_files() -> Vec<(Vec<u8>, &'static str)> {
    let twice = user_lines("ana", "a") + &user_lines("ana", "b");
    vec![
        (Vec::new(), "cordboard.toml is empty"),
        (b"\xef\xbb\xbf\r\n".to_vec(), "cordboard.toml is empty"),
        (vec![b'#'; 10 << 20], "cordboard.toml has more than 4194304 bytes"),
        (twice.into_bytes(), "cordboard.toml:8: users.name is ana a second time; keep one of them"),
        (
            user_lines("ana", "a").replace("publish", "publsh").replace('\n', "\r\n").into_bytes(),
            "cordboard.toml:4: unknown key `publsh` in [users.allow]; did you mean `publish`?",
        ),
        (
            b"[[users]]\nname = \"a\"\npassword_hash = \"hunter2\"\n".to_vec(),
            "cordboard.toml:3: users.password_hash: not an argon2id hash",
        ),
        (b"\n# Z\xfcrich\n".to_vec(), "cordboard.toml:2: this line is not UTF-8"),
    ]
}

#[test]
fn a_wrong_file_ends_the_start_with_its_line() {
    for (bytes, why) in wrong_files() {
        let state = tempfile::tempdir().unwrap();
        let file = state.path().join("cordboard.toml");
        std::fs::write(&file, bytes).unwrap();
        let output = cordboard(state.path()).args(["serve", "--listen", "127.0.0.1:0", "--config"]).arg(&file).output().unwrap();
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.contains(why) && !said.contains("hunter2"), "{said}");
    }
}

#[test]
fn a_wrong_file_at_a_reload_is_told_and_changes_nothing() {
    let mut serve = Served::start(&user_lines("ana", "secret"), "info");
    for (bytes, why) in wrong_files() {
        let line = serve.reload(&bytes);
        assert!(line.contains("all is as it was") && line.contains(why) && !line.contains("hunter2"), "{line}");
    }
    for (bytes, why) in [(&b"# nobody\n"[..], "has no users any more"), (b"a = = 1", "cordboard.toml:1: ")] {
        let line = serve.reload(bytes);
        assert!(line.contains(why), "{line}");
    }
    std::fs::set_permissions(&serve.file, std::fs::Permissions::from_mode(0o666)).unwrap();
    let line = serve.hang_up();
    assert!(line.contains("can be changed by every user of this machine"), "{line}");
    std::fs::remove_file(&serve.file).unwrap();
    let line = serve.hang_up();
    assert!(line.contains("cannot be read"), "{line}");
    std::fs::create_dir(&serve.file).unwrap();
    let line = serve.hang_up();
    assert!(line.contains("cannot be read"), "{line}");
    assert!(serve.publish("ana", "secret", "still/here").status.success());
}

/// With a byte order mark, with the line ends of another system: what the file says holds, and the log says what that changed.
#[test]
fn a_hang_up_takes_what_the_file_says_now() {
    let mut serve = Served::start(&user_lines("ana", "secret"), "info");
    assert!(serve.publish("ana", "secret", "orders").status.success());
    let changed = user_lines("ana", "other") + "deny.publish = [\"orders\"]\n" + &user_lines("bob", "secret");
    let changed = format!("\u{feff}connections.max = 9\n{changed}").replace('\n', "\r\n");
    let line = serve.reload(changed.as_bytes());
    let said = "user bob added; other rights for ana; another password for ana; connections.max only after a restart";
    assert!(line.contains("by=SIGHUP") && line.contains(said), "{line}");
    assert_eq!(serve.publish("ana", "secret", "news").status.code(), Some(4));
    assert_eq!(serve.publish("ana", "other", "orders").status.code(), Some(4));
    assert!(serve.publish("ana", "other", "news").status.success());
    assert!(serve.publish("bob", "secret", "orders").status.success());
    let audit = std::fs::read_to_string(serve.state.path().join("audit.jsonl")).unwrap();
    assert!(audit.lines().any(|line| line.contains("\"order\":\"reload\"") && line.contains("\"outcome\":\"done\"")), "{audit}");
}

/// `passwd` makes what the configuration wants, and `rights` says what that means, by exit code and line.
#[test]
fn a_user_is_made_and_explained() {
    let state = tempfile::tempdir().unwrap();
    let made = |args: &[&str], input: &str| {
        let mut child = cordboard(state.path()).arg("passwd").args(args).stdin(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        child.wait_with_output().unwrap()
    };
    let lines = text(&made(&["ana"], "secret\n").stdout);
    assert!(lines.starts_with("[[users]]\nname = \"ana\"\npassword_hash = \"$argon2id$"), "{lines}");
    let alone = text(&made(&[], "secret").stdout);
    assert!(alone.starts_with("$argon2id$") && !lines.contains(alone.trim()), "a salt is used once");
    let empty = made(&["ana"], "\n");
    assert_eq!((empty.status.code(), text(&empty.stdout).as_str()), (Some(1), ""));
    let serve = Served::start(&format!("{lines}[users.allow]\npublish = [\"own/%u/#\"]\ncreate = [\"own/%u/#\"]\n"), "info");
    assert!(serve.publish("ana", "secret", "own/ana/x").status.success());
    let explain = |name: &str, what: &[&str]| {
        let mut command = cordboard(state.path());
        command.args(["rights", "--as", name]).args(what).arg("--config").arg(&serve.file);
        let output = command.output().unwrap();
        (output.status.code(), text(&output.stdout) + &text(&output.stderr))
    };
    let (code, said) = explain("ana", &["publish", "own/ana/x"]);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("ana may publish to own/ana/x\n") && said.contains("cordboard.toml:5: allow.publish"), "{said}");
    for (name, what, code, words) in [
        ("ana", &["publish", "own/bob/x"][..], 1, "no filter of allow.publish covers it"),
        ("ana", &["subscribe", "#"], 1, "ana may not subscribe to #"),
        ("bob", &["publish", "own/bob/x"], 1, "there is no such user"),
        ("ana", &["publish", "own/#"], 2, "takes one topic"),
        ("ana", &["fly", "x"], 2, "possible values: publish, subscribe, create, operate"),
    ] {
        let (exit, said) = explain(name, what);
        assert_eq!(exit, Some(code), "{said}");
        assert!(said.contains(words), "{said}");
    }
    std::fs::write(&serve.file, "usrs = 1").unwrap();
    let (code, said) = explain("ana", &["publish", "x"]);
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("cordboard.toml:1: unknown key `usrs`"), "{said}");
}
