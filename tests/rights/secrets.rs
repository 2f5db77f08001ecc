//! Secrets that a test knows, and every place where something is written: not one of them is there.

use std::{fs, path::Path};

use cordboard::{
    Config,
    auth::{self, Credentials},
    control::{Control, Outcome},
};

use super::users::{Bench, hash, of_user};
use crate::fixture;

/// Passwords of users, right and wrong ones, typed in the wrong place, and a credential in a URL's form.
const SECRETS: [&str; 6] =
    ["Correct-Horse-1", "Wrong-Battery-2", "Misplaced-Staple-3", "New-Secret-4", "user:Pa55@host", "Nameless-5"];

/// Everything that is not to be seen: the passwords, and of each hash the part that is the hash.
fn hidden() -> Vec<String> {
    let of_hash = |password: &&str| hash(password).expose().rsplit('$').next().unwrap().to_owned();
    let mut hidden: Vec<String> = SECRETS.iter().map(of_hash).collect();
    hidden.extend(SECRETS.iter().map(|&secret| secret.to_owned()));
    hidden.push("$m=8,t=1,p=1$".to_owned());
    hidden
}

#[track_caller]
fn is_clean(what: &str, text: &str) {
    for secret in hidden() {
        assert!(!text.contains(&secret), "{what} says {secret:?}");
    }
}

fn files(directory: &Path) -> Vec<std::path::PathBuf> {
    let entries = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

/// The real program with everything it can log, through log-ins and reloads that go well and that do not.
#[cfg(unix)]
#[test]
fn no_file_that_the_program_writes_has_a_secret() {
    use super::files::{Served, user_lines};
    let good = user_lines("ana", SECRETS[0]);
    let mut serve = Served::start(&good, "trace");
    let mut said = String::new();
    for (user, password) in [("ana", SECRETS[0]), ("ana", SECRETS[1]), ("nobody", SECRETS[1]), (SECRETS[4], SECRETS[0])] {
        let output = serve.publish(user, password, "orders");
        assert_eq!(output.status.success(), user == "ana" && password == SECRETS[0]);
        // A name that is typed is the typist's to see; on no other side of the connection.
        said += &String::from_utf8_lossy(&output.stdout);
        said += &String::from_utf8_lossy(&output.stderr).replace(SECRETS[4], "");
    }
    for text in [
        format!("[[users]]\nname = \"ana\"\npassword_hash = \"{}\"\n", SECRETS[2]),
        format!("[[users]]\nname = \"ana\"\npassword = \"{}\"\n", SECRETS[2]),
        format!("[[users]]\nname = \"ana\"\npassword_hash = {}\n", SECRETS[2]),
        user_lines("ana", SECRETS[3]).replace("$v=19", "$v=x"),
        user_lines("ana", SECRETS[3]).replace("allow.publish", "alow.publish"),
        user_lines("ana", SECRETS[3]),
    ] {
        serve.reload(text.as_bytes());
    }
    assert!(serve.publish("ana", SECRETS[3], "orders").status.success());
    rustix::process::kill_process(rustix::process::Pid::from_child(&serve.child), rustix::process::Signal::TERM).unwrap();
    std::io::Read::read_to_string(&mut serve.log, &mut serve.seen).unwrap();
    assert!(serve.seen.contains("TRACE") || serve.seen.contains("DEBUG"), "everything is logged: {}", serve.seen);
    is_clean("a client", &said);
    is_clean("the standard error", &serve.seen);
    let mut written = 0;
    for file in files(serve.state.path()).iter().filter(|file| **file != serve.file) {
        let text = fs::read_to_string(file).unwrap_or_default();
        written += text.len();
        is_clean(&file.display().to_string(), &text);
    }
    assert!(written > 1_000, "there are logs to look at");
}

/// The library: what it shows of itself, what it says on the bus, and what it answers.
#[tokio::test]
async fn nothing_that_can_be_printed_has_a_secret() {
    let bench = Bench::with(&[], |config| {
        config.users = vec![super::users::user("ana")];
        config.users[0].password_hash = hash(SECRETS[0]);
    })
    .await;
    let mut ana = bench.ask(of_user("ana", SECRETS[0])).await;
    ana.response().await;
    let request = of_user(SECRETS[4], SECRETS[1]);
    is_clean("a request", &format!("{request:?}").replace(SECRETS[4], ""));
    let refused = bench.ask(request).await.closing_error().await;
    is_clean("a refusal", &format!("{refused:?}"));
    bench.grant("ana", |ana| ana.password_hash = hash(SECRETS[3])).await;
    let preview = bench.broker.preview_reload().await.unwrap();
    is_clean("a preview", &format!("{preview:?}"));
    bench.spoil("as it is told");
    let outcome = fixture::order(&bench.broker, Control::Reload { seen: None }).await;
    assert!(matches!(outcome, Outcome::Refused { .. }));
    for stamped in bench.broker.bus().follow_from_start().take(usize::MAX).events {
        is_clean("an event", &format!("{stamped:?}{}", serde_json::to_string(&*stamped).unwrap()));
    }
    is_clean("the board", &format!("{:?}", bench.broker.bus().board()));
    is_clean("the handle", &format!("{:?}", bench.broker));
    let users = vec![super::users::user("ana")];
    is_clean("a table of users", &format!("{:?}", auth::of_users(&users)));
    is_clean("a configuration", &format!("{:?}", Config { users, ..Config::default() }));
    let peer = "127.0.0.1:1".parse().unwrap();
    let credentials = Credentials { user: Some("ana".to_owned()), password: Some(SECRETS[0].to_owned()), peer };
    is_clean("credentials", &format!("{credentials:?}"));
    is_clean("a client", &format!("{:?}", cordboard::Client::builder("127.0.0.1:1").credentials("ana", SECRETS[5])));
}
