//! The client in Python, which was written from the protocol page alone, against the real broker: if the page and the program
//! part ways, it is seen here. `tests/python/driver.py` does what these tests say, a line a deed.
#![cfg(unix)]

use std::{
    env,
    io::{BufRead, BufReader, Write},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    sync::OnceLock,
    time::Duration,
};

use cordboard::{Board, Client, Handle, control::Control, name::SessionId};

use crate::{
    fixture::{broker, broker_with, ended, eventually, eventually_true, order},
    limits::user,
    program::Serve,
};

const SEARCHED: &str = "from sys import version_info as v; raise SystemExit(v < (3, 9))";

/// A Python that can run the client. `None`, and said aloud, on a machine without one; where everything must hold, a failure.
fn python() -> Option<&'static Path> {
    static FOUND: OnceLock<Option<PathBuf>> = OnceLock::new();
    let search = || {
        let named = env::var_os("PYTHON").map(PathBuf::from);
        let found = named.into_iter().chain(["python3".into(), "python".into()]).find(|python| {
            let mut command = Command::new(python);
            command.args(["-c", SEARCHED]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
            command.status().is_ok_and(|status| status.success())
        });
        assert!(found.is_some() || env::var_os("CI").is_none(), "no python3 of version 3.9 or newer on the path");
        if found.is_none() {
            // Not `eprintln`, which a test that passes keeps to itself.
            let _ = writeln!(
                std::io::stderr(),
                "\nSKIPPED: the tests of the Python client. They need python3, 3.9 or newer, on the path or named by PYTHON.\n"
            );
        }
        found
    };
    FOUND.get_or_init(search).as_deref()
}

fn client_folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/clients/python")
}

/// `python` with the client on its path, leaving nothing behind in the tree.
fn command(python: &Path) -> Command {
    let mut command = Command::new(python);
    command.env("PYTHONPATH", client_folder()).env("PYTHONDONTWRITEBYTECODE", "1").current_dir(client_folder());
    command
}

/// A process with a Python client in it. Dropped, it is killed, as `kill -9` would.
struct Driver {
    child: Child,
    deeds: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Driver {
    fn start(python: &Path) -> Self {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/python/driver.py");
        let mut child = command(python).arg(script).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let (deeds, answers) = (child.stdin.take().unwrap(), BufReader::new(child.stdout.take().unwrap()));
        Self { child, deeds, answers }
    }

    /// A driver whose client is registered, and its session.
    fn connected(python: &Path, address: &str, options: &str) -> (Self, SessionId) {
        let mut driver = Self::start(python);
        let answer = driver.connect(address, options);
        let session = answer.split_once(' ').and_then(|(_, session)| session.parse().ok());
        (driver, session.unwrap_or_else(|| panic!("{answer}")))
    }

    fn connect(&mut self, address: &str, options: &str) -> String {
        let (_, port) = address.rsplit_once(':').unwrap();
        self.ask(&format!("connect {port} {options}"))
    }

    /// Says what to do, without waiting for it.
    fn tell(&mut self, deed: &str) {
        writeln!(self.deeds, "{deed}").unwrap();
    }

    fn answer(&mut self) -> String {
        let mut line = String::new();
        self.answers.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }

    fn ask(&mut self, deed: &str) -> String {
        self.tell(deed);
        self.answer()
    }

    /// Does each, and each is answered like this.
    #[track_caller]
    fn does(&mut self, deeds: &[(&str, &str)]) {
        for (deed, answer) in deeds {
            assert_eq!(self.ask(deed), *answer, "{deed}");
        }
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        // Gone already is as well.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn address(broker: &Handle) -> String {
    broker.endpoints()[0].to_string()
}

async fn rust_client(broker: &Handle) -> Client {
    Client::connect(&address(broker)).await.unwrap()
}

/// Codec, outbox, inbox and the client against a scripted broker, as its own readers run them.
#[test]
fn the_python_clients_own_tests_pass() {
    let Some(python) = python() else { return };
    let output = command(python).args(["-W", "error", "-m", "unittest"]).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.contains("\nRan ") && !said.contains("Ran 0 tests"), "{said}");
}

/// The program as it is started, and everything a session does on a good day.
#[test]
fn a_python_client_publishes_subscribes_and_acknowledges() {
    let Some(python) = python() else { return };
    let serve = Serve::start();
    let (mut driver, session) = Driver::connected(python, &serve.address, "name=till-7");
    driver.does(&[
        ("subscribe orders/+", "orders/+"),
        ("publish orders/eu pear ttl-ms=60000 content-type=text/plain", "orders/eu"),
        ("publish orders/eu fig", "orders/eu"),
        ("publish orders/+ refused", "orders/+"),
        ("publish orders/eu plum", "orders/eu"),
        ("settle", "2 ok, 1 400, 1 ok"),
        ("take", "1 orders/eu pear ttl-ms=60000 content-type=text/plain"),
        ("take", "2 orders/eu fig"),
        ("take", "3 orders/eu plum"),
        ("ack 2", "True"),
        ("ack 1", "False"),
    ]);
    let refused = driver.ask("subscribe a+");
    assert!(refused.starts_with("SubscribeRefused 400: "), "{refused}");
    driver.does(&[("detach", "Closed closed")]);
    // What was acknowledged does not come again, what was not does.
    assert_eq!(driver.connect(&serve.address, &format!("session={session}")), format!("resumed {session}"));
    driver.does(&[("subscribe orders/+", "orders/+"), ("take", "3 orders/eu plum redelivered"), ("ack 3", "True")]);
    driver.does(&[("close", "Closed closed")]);
    let after = driver.connect(&serve.address, &format!("session={session}"));
    assert!(after.starts_with("new ") && !after.ends_with(&session.to_string()), "{after}");
}

/// The process is killed with messages in its hands; more come meanwhile. The next process gets all of them, in order.
#[tokio::test(flavor = "multi_thread")]
async fn a_python_client_that_was_killed_finds_its_dead_letters() {
    let Some(python) = python() else { return };
    let broker = broker().await;
    let publisher = rust_client(&broker).await;
    let (mut driver, session) = Driver::connected(python, &address(&broker), "");
    driver.does(&[("subscribe orders/#", "orders/#")]);
    for payload in ["one", "two", "three"] {
        publisher.publish("orders/eu", payload).await.unwrap();
    }
    driver.does(&[("take", "1 orders/eu one"), ("take", "2 orders/eu two"), ("take", "3 orders/eu three"), ("ack 1", "True")]);
    // Asked and answered on the same connection: the acknowledgement before it has arrived.
    driver.does(&[("subscribe other", "other")]);
    drop(driver);
    // Detached is not yet parked: what comes between the two may be sent into the void, and would be marked as redelivered.
    let is_parked =
        |board: &Board| board.broker.detached == 1 && (board.broker.depth.in_flight, board.broker.depth.waiting) == (0, 2);
    eventually(&broker, "the session is detached, and its queue is parked", is_parked).await;
    for payload in ["four", "five"] {
        publisher.publish("orders/eu", payload).await.unwrap();
    }
    let (mut driver, resumed) = Driver::connected(python, &address(&broker), &format!("session={session}"));
    assert_eq!(resumed, session);
    driver.does(&[
        ("subscribe orders/#", "orders/#"),
        ("take", "2 orders/eu two redelivered"),
        ("take", "3 orders/eu three redelivered"),
        ("take", "4 orders/eu four"),
        ("take", "5 orders/eu five"),
        ("ack 5", "True"),
        ("close", "Closed closed"),
    ]);
    broker.shutdown().await;
}

/// Connections are dropped under a Python publisher and a Python subscriber that come back by themselves.
#[tokio::test(flavor = "multi_thread")]
async fn python_clients_whose_connections_are_dropped_lose_nothing() {
    let Some(python) = python() else { return };
    // Room for all of it: a subscriber that is slower than its publisher would lose the oldest, and rightly.
    let broker = broker_with(|config| config.queues.max_messages = 20_000).await;
    let (mut subscriber, taking) = Driver::connected(python, &address(&broker), "name=sub");
    let (mut publisher, giving) = Driver::connected(python, &address(&broker), "name=pub");
    subscriber.does(&[("subscribe numbers", "numbers")]);
    subscriber.tell("drain 20000");
    publisher.tell("stream numbers 20000");
    for round in 1..=5_u64 {
        let at = round * 3_000;
        eventually(&broker, "both are there and at it", |board| {
            [taking, giving]
                .iter()
                .all(|session| board.sessions[session].epoch.0 == round && board.sessions[session].is_attached())
        })
        .await;
        eventually_true("more is published", || broker.counters().published >= at).await;
        for session in [taking, giving] {
            order(&broker, Control::DropConnection { session }).await;
        }
    }
    assert_eq!(publisher.answer(), "20000 ok");
    assert_eq!(broker.counters().dropped, 0, "there was room");
    assert_eq!(subscriber.answer(), "in order");
    assert_eq!(broker.counters().published, 20_000, "what is published again is not taken again");
    broker.shutdown().await;
}

/// `again` brings back what the client had and what was under way; `poison` takes one message out for the operator.
#[tokio::test(flavor = "multi_thread")]
async fn a_python_client_gives_messages_back() {
    let Some(python) = python() else { return };
    let broker = broker().await;
    let (mut driver, _) = Driver::connected(python, &address(&broker), "");
    driver.does(&[
        ("subscribe t", "t"),
        ("stream t 5", "5 ok"),
        ("take", "1 t 0"),
        ("take", "2 t 1"),
        ("take", "3 t 2"),
        ("again 2", "True"),
        // Of what was given back nothing can be settled until it is there again.
        ("ack 3", "False"),
        ("take", "2 t 1 redelivered repeat"),
        ("poison 2", "True"),
        ("take", "3 t 2 redelivered repeat"),
        ("again 1", "True"),
        ("take", "1 t 0 redelivered repeat"),
        ("take", "3 t 2 redelivered repeat"),
        ("take", "4 t 3 redelivered"),
        ("take", "5 t 4 redelivered"),
        ("ack 5", "True"),
    ]);
    eventually(&broker, "one message is put aside and nothing else is held", |board| {
        let depths: Vec<_> = board.subscriptions.values().map(|row| row.depth).collect();
        depths.len() == 1 && depths[0].poison == 1 && depths[0].in_flight == 0 && depths[0].waiting == 0
    })
    .await;
    broker.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_python_client_with_a_wrong_password_is_refused() {
    let Some(python) = python() else { return };
    let broker = broker_with(|config| config.users = vec![user("ada")]).await;
    let mut driver = Driver::start(python);
    let refused = driver.connect(&address(&broker), "user=ada password=wrong");
    assert!(refused.starts_with("RegistrationRefused 401: "), "{refused}");
    let answer = driver.connect(&address(&broker), "user=ada password=ada");
    assert!(answer.starts_with("new "), "{answer}");
    broker.shutdown().await;
}

/// Whoever comes too fast is told for how long to stay away, and whoever waits for all outcomes has them.
#[tokio::test(flavor = "multi_thread")]
async fn a_python_client_hears_when_to_come_again() {
    let Some(python) = python() else { return };
    let broker = broker_with(|config| {
        config.sessions.max_takeovers = 1;
        config.sessions.takeover_window = Duration::from_hours(1);
        config.sessions.takeover_ban = Duration::from_mins(7);
    })
    .await;
    let (_first, session) = Driver::connected(python, &address(&broker), "");
    let (mut second, _) = Driver::connected(python, &address(&broker), &format!("session={session}"));
    let mut third = Driver::start(python);
    assert_eq!(third.connect(&address(&broker), &format!("session={session}")), "429 for 420 s");
    second.does(&[("publish t x", "t"), ("publish t y", "t"), ("flush", "flushed"), ("settle", "2 ok")]);
    broker.shutdown().await;
}

/// What someone has decided, the client does not undo by itself: it says why, and stays away.
#[tokio::test(flavor = "multi_thread")]
async fn a_python_client_that_was_sent_away_stays_away() {
    let Some(python) = python() else { return };
    let broker = broker().await;
    let (mut driver, session) = Driver::connected(python, &address(&broker), "");
    driver.does(&[("subscribe t", "t")]);
    order(&broker, Control::KillTopic { topic: "t".parse().unwrap() }).await;
    let killed = driver.ask("take");
    assert!(killed.starts_with("SubscriptionEnded 410: "), "{killed}");
    driver.does(&[("subscribe u", "u")]);
    order(&broker, Control::EvictSession { session }).await;
    ended(&broker, session).await;
    let evicted = driver.ask("ending");
    assert!(evicted.starts_with("Evicted "), "{evicted}");
    assert_eq!(driver.ask("take"), evicted);
    assert_eq!(driver.ask("publish t x"), evicted);

    let (mut first, session) = Driver::connected(python, &address(&broker), "");
    let (mut second, _) = Driver::connected(python, &address(&broker), &format!("session={session}"));
    first.does(&[("ending", "Displaced another connection has resumed this session")]);
    second.does(&[("publish t x", "t"), ("settle", "1 ok")]);
    assert_eq!(broker.bus().board().sessions[&session].epoch.0, 2, "nobody has taken it back");
    broker.shutdown().await;
}

/// Two clients that share nothing but the page understand each other.
#[tokio::test(flavor = "multi_thread")]
async fn python_and_rust_hear_each_other() {
    let Some(python) = python() else { return };
    let broker = broker().await;
    let rust = rust_client(&broker).await;
    let (mut driver, _) = Driver::connected(python, &address(&broker), "");
    let mut from_python = rust.subscribe("from/python").await.unwrap();
    driver.does(&[("subscribe from/rust", "from/rust"), ("stream from/python 10000", "10000 ok")]);
    for number in 0..10_000 {
        assert_eq!(from_python.next().await.unwrap().payload, number.to_string().as_bytes());
    }
    driver.does(&[("publish from/python pear content-type=text/plain", "from/python"), ("settle", "1 ok")]);
    let pear = from_python.next().await.unwrap();
    assert_eq!(pear.headers().iter().collect::<Vec<_>>(), [("content-type", "text/plain")]);
    driver.tell("drain 10000");
    for number in 0..10_000 {
        drop(rust.enqueue("from/rust", number.to_string()).await.unwrap());
    }
    rust.flush().await.unwrap();
    assert_eq!(driver.answer(), "in order");
    broker.shutdown().await;
}

/// The broker has forgotten everything (404): the client registers anew on its own, subscribes again, and goes on.
#[test]
fn a_python_client_survives_a_restart_of_the_broker() {
    let Some(python) = python() else { return };
    let serve = Serve::start();
    let address = serve.address.clone();
    let (mut driver, _) = Driver::connected(python, &address, "");
    driver.does(&[("subscribe t", "t"), ("publish t before", "t"), ("settle", "1 ok"), ("take", "1 t before")]);
    drop(serve);
    let _serve = Serve::start_at(&address);
    // Published into the gap or after it: the client sends it when it is back, into a session that counts from 1.
    driver.does(&[("publish u after", "u")]);
    let told = driver.ask("settle");
    assert!(["1 ok", "1 503"].contains(&told.as_str()), "{told}");
    driver.does(&[
        ("subscribe t", "t"),
        ("publish t again", "t"),
        ("settle", "1 ok"),
        ("take", "1 t again"),
        ("ack 1", "True"),
        ("close", "Closed closed"),
    ]);
}
