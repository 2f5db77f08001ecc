//! `cordboard bench` against real brokers: every workload measures something, what goes wrong has its exit code, and nothing is
//! left behind.

use std::{
    fs,
    path::Path,
    process::{Child, Command, Output, Stdio},
};

use rustix::process::Signal;
use serde_json::Value;

use super::{Serve, cordboard, signal_to, text};
use crate::fixture::eventually_true;

/// The bench with `line`, its brokers in `home`.
fn bench(home: &Path, line: &str) -> Command {
    let mut command = cordboard(home, "");
    command.arg("bench").args(line.split_whitespace()).env("TMPDIR", home);
    command
}

/// The objects that it prints.
#[track_caller]
fn objects(output: &Output) -> Vec<Value> {
    assert_eq!(output.status.code(), Some(0), "{}{}", text(&output.stdout), text(&output.stderr));
    text(&output.stdout).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn every_workload_measures_what_it_is_for() {
    let home = tempfile::tempdir().unwrap();
    for (line, deliveries, figures) in [
        ("1to1 --count 2000", 2_000, &["cpu_ns_per_message", "messages_per_second", "peak_memory_bytes"][..]),
        (
            "1to1 --count 2000 --ack explicit --payload 1KiB --rounds 2",
            4_000,
            &["payload_mb_per_second", "load_cpu_ns_per_message"],
        ),
        ("1to1 --count 2000 --filters 1200 --other-topics 30", 2_000, &["cpu_ns_per_message"]),
        ("fanout --count 500 --clients 4", 2_000, &["cpu_ns_per_delivery", "deliveries_per_second"]),
        ("fanin --count 500 --clients 4", 500, &["cpu_ns_per_message"]),
        ("topics --count 500 --topics 4 --ack explicit", 500, &["cpu_ns_per_message"]),
        ("topics --count 500 --topics 2100 --wildcard", 500, &["cpu_ns_per_message"]),
        ("pairs --count 500 --clients 4", 500, &["cpu_ns_per_message"]),
        ("trickle --count 50 --clients 4", 50, &["cpu_ns_per_message", "latency_p99_us"]),
        ("latency --count 50", 50, &["latency_p50_us", "latency_p99_us", "latency_p99_9_us", "latency_max_us"]),
        ("latency --count 60 --clients 3 --rate 100", 60, &["latency_p99_us"]),
        ("idle --duration 50ms", 0, &["cpu_us_per_second", "peak_memory_bytes"]),
        ("offline --count 12000", 12_000, &["drained_per_second", "memory_bytes_per_queued_message"]),
        (
            "connections --clients 20",
            0,
            &["registrations_per_second", "memory_bytes_per_connection", "memory_bytes_per_detached"],
        ),
    ] {
        let printed = objects(&bench(home.path(), &format!("{line} --format json --quiet")).output().unwrap());
        let [object] = &printed[..] else { panic!("{line}: {printed:?}") };
        assert_eq!(
            (&object["sound"], &object["brokers"][0]["deliveries"]),
            (&true.into(), &deliveries.into()),
            "{line}: {object}"
        );
        for figure in figures {
            assert!(object["brokers"][0]["rounds"][0][figure].is_number(), "{line}: {figure} in {object}");
        }
    }
    assert_eq!(left_behind(home.path()), 0);
}

/// Quiet clients in company, and alone in turn.
#[test]
fn company_is_measured_beside_and_without() {
    let home = tempfile::tempdir().unwrap();
    for (line, beside, figure) in [
        ("latency --beside flood --clients 4 --rate 50 --count 100 --rounds 2", "flood", "flood_messages_per_second"),
        ("latency --beside drain --clients 4 --rate 500 --duration 500ms --letters 12000", "drain", "drained_per_second"),
    ] {
        let output = bench(home.path(), &format!("{line} --format json")).output().unwrap();
        let printed = objects(&output);
        let [object] = &printed[..] else { panic!("{line}: {printed:?}") };
        let [with, without] = [0, 1].map(|nth| object["brokers"][nth].clone());
        assert_eq!((&object["sound"], &object["beside"]), (&true.into(), &beside.into()), "{object}");
        assert_eq!((&with["beside"], &without["beside"]), (&beside.into(), &Value::Null), "{object}");
        assert!(with["rounds"][0][figure].as_f64() > Some(0.0) && without["rounds"][0][figure].is_null(), "{object}");
        assert!(without["rounds"][0]["latency_p99_us"].is_number(), "{object}");
        let told = text(&output.stderr).contains("cordboard runs with queues.max_messages = 12000");
        assert_eq!(told, beside == "drain", "{}", text(&output.stderr));
        let covered = with["rounds"][0]["company_percent_of_time"].as_f64();
        assert!(covered > Some(0.0) && covered <= Some(100.0), "{object}");
        // What is drained is a part of what is verified.
        assert!(beside == "flood" || with["deliveries"].as_u64() >= Some(12_000), "{object}");
    }
    assert_eq!(left_behind(home.path()), 0);
}

/// The same broker with its console on a terminal, in turn with none.
#[test]
fn a_console_is_measured_against_none() {
    let home = tempfile::tempdir().unwrap();
    let line = "1to1 --count 2000 --rounds 2 --compare console --format json --quiet";
    let printed = objects(&bench(home.path(), line).output().unwrap());
    let names = [0, 1].map(|nth| printed[0]["brokers"][nth]["broker"].as_str().unwrap().to_owned());
    assert_eq!(names[0], format!("{} with its console", names[1]));
    assert!(printed[0]["ratios"]["cpu_ns_per_message"]["median"].as_f64() > Some(0.0), "{printed:?}");
    assert_eq!(printed[0]["brokers"][0]["deliveries"], 4_000);
    assert_eq!(left_behind(home.path()), 0);
}

/// Directories of brokers that were not removed.
fn left_behind(home: &Path) -> usize {
    fs::read_dir(home)
        .unwrap()
        .filter(|entry| entry.as_ref().unwrap().file_name().to_string_lossy().starts_with("cordboard-bench"))
        .count()
}

/// A time ends it as a count does; the table says what was measured, and warns of a figure that means little.
#[test]
fn a_table_is_for_people() {
    let home = tempfile::tempdir().unwrap();
    let output = bench(home.path(), "offline --count 11000").output().unwrap();
    let (printed, said) = (text(&output.stdout), text(&output.stderr));
    assert!(printed.starts_with("offline, 256 B\n") && printed.contains("11,000 deliveries verified, none lost"), "{printed}");
    assert!(said.contains("cordboard runs with queues.max_messages = 11000"), "{said}");
    let output = bench(home.path(), "pairs --clients 2 --duration 20ms").output().unwrap();
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{said}");
    assert!(said.contains(" of CPU time in a round; for a figure that means something"), "{said}");
}

/// Rows for the README, a dash where there is nothing to compare with.
#[test]
fn all_is_a_markdown_table() {
    let home = tempfile::tempdir().unwrap();
    let output = bench(home.path(), "all --count 60 --clients 2 --quiet").output().unwrap();
    let printed = text(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{printed}{}", text(&output.stderr));
    assert!(printed.lines().all(|line| line.matches('|').count() == 6), "{printed}");
    for row in [
        "| 1to1, 16 B, acks on both sides | broker CPU a message |",
        "| offline, 256 B | drained |",
        "| connections, 2 | ",
        "| latency, 2 to 2, 16 B, 10/s each, beside a flood | latency p99 |",
        "| latency, 2 to 2, 16 B, 100/s each, beside a drain of 60 | latency p50 |",
        "| 1to1, 16 B, with the console | broker CPU a message |",
        "| idle, with the console | broker CPU a second |",
    ] {
        assert_eq!(printed.lines().filter(|line| line.starts_with(row)).count().min(1), 1, "{row}: {printed}");
    }
}

/// With another broker in turn, if there is one here.
#[test]
fn another_broker_is_measured_in_turn() {
    let home = tempfile::tempdir().unwrap();
    let mut missing = bench(home.path(), "1to1 --count 10 --compare nats-server");
    let output = missing.env("PATH", home.path()).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let said = text(&output.stderr);
    assert!(said.starts_with("cordboard: cannot run nats-server: no such file or directory; install it"), "{said}");
    let output = bench(home.path(), "1to1 --count 10 --compare console").env("PATH", home.path()).output().unwrap();
    let said = text(&output.stderr);
    assert!(said.starts_with("cordboard: cannot run setsid: no such file or directory; "), "{said}");
    let is_there = Command::new("nats-server").arg("--version").stdout(Stdio::null()).status().is_ok();
    if !is_there {
        eprintln!("skipped: there is no nats-server on the PATH to compare with");
        return;
    }
    let line = "fanout --clients 3 --count 500 --rounds 3 --compare nats-server --format json --quiet";
    let printed = objects(&bench(home.path(), line).output().unwrap());
    let [ours, theirs] = [0, 1].map(|nth| printed[0]["brokers"][nth].clone());
    assert!(theirs["broker"].as_str().unwrap().starts_with("nats-server 2"), "{theirs}");
    assert_eq!((&ours["deliveries"], &theirs["deliveries"]), (&4_500.into(), &4_500.into()));
    assert_eq!((ours["rounds"].as_array().unwrap().len(), theirs["rounds"].as_array().unwrap().len()), (3, 3));
    let ratio = &printed[0]["ratios"]["messages_per_second"];
    assert!(ratio["least"].as_f64() <= ratio["median"].as_f64() && ratio["median"].as_f64() <= ratio["most"].as_f64(), "{ratio}");
    assert_eq!(left_behind(home.path()), 0);
}

/// A broker that runs already is measured as it is, and nothing stays in it.
#[test]
fn a_running_broker_can_be_measured() {
    let serve = Serve::start();
    let home = tempfile::tempdir().unwrap();
    let line =
        format!("pairs --clients 3 --count 300 --server {} --pid {} --format json --quiet", serve.address, serve.child.id());
    let printed = objects(&bench(home.path(), &line).output().unwrap());
    let broker = &printed[0]["brokers"][0];
    assert!(broker["broker"].as_str().unwrap().starts_with("cordboard/"), "{broker}");
    assert!(broker["rounds"][0]["cpu_ns_per_message"].as_f64() > Some(0.0), "{broker}");
    let without =
        objects(&bench(home.path(), &format!("--count 300 --server {} --format json", serve.address)).output().unwrap());
    assert!(without[0]["brokers"][0]["rounds"][0]["cpu_ns_per_message"].is_null(), "{without:?}");
    let (_, log) = serve.end_by(Signal::TERM);
    let count = |words: &str| log.matches(words).count();
    assert_eq!((count("session created"), count("session ended")), (10, 10), "{log}");
}

#[test]
fn a_process_that_is_none_is_told() {
    let serve = Serve::start();
    let home = tempfile::tempdir().unwrap();
    let output = bench(home.path(), &format!("--count 9 --server {} --pid 4194304", serve.address)).output().unwrap();
    let said = "cordboard: 1to1, 16 B: cannot read what process 4194304 has used: no such file or directory; is it the broker's, on this machine?\n";
    assert_eq!((output.status.code(), text(&output.stderr)), (Some(1), said.to_owned()));
}

/// A queue that is too short for the load loses some of it: that is told, and scripts see it.
#[test]
fn what_is_lost_is_told_and_has_its_code() {
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), "[queues]\nmax_messages = 4\nwindow_messages = 2\nhold_publisher = \"0s\"\n").unwrap();
    let serve = Serve::start_with(&["serve", "--config", file.path().to_str().unwrap()]);
    let home = tempfile::tempdir().unwrap();
    let output = bench(home.path(), &format!("--count 20000 --ack explicit --server {}", serve.address)).output().unwrap();
    let printed = text(&output.stdout);
    assert_eq!(output.status.code(), Some(1), "{printed}{}", text(&output.stderr));
    assert!(printed.contains(": of 20,000 deliveries ") && printed.contains(" lost"), "{printed}");
}

/// Ctrl-C ends it and the broker that it has started.
#[tokio::test]
async fn an_interrupt_leaves_nothing_running() {
    let home = tempfile::tempdir().unwrap();
    let bench = bench(home.path(), "pairs --clients 2 --duration 1h").spawn().unwrap();
    eventually_true("a broker is started", || child_of(&bench).is_some()).await;
    let broker = child_of(&bench).unwrap();
    signal_to(&bench, Signal::INT);
    let output = bench.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).ends_with(": interrupted\n"), "{}", text(&output.stderr));
    assert!(!Path::new(&format!("/proc/{broker}")).exists());
    assert_eq!(left_behind(home.path()), 0);
}

/// The process that `parent` has started, if there is one.
fn child_of(parent: &Child) -> Option<String> {
    let of_parent = format!(" {} ", parent.id());
    let processes = fs::read_dir("/proc").unwrap().filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let mut numbered = processes.filter(|name| name.bytes().all(|byte| byte.is_ascii_digit()));
    // Behind the name and its parenthesis come the state, a letter, and the parent.
    numbered.find(|process| {
        let stat = fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
        stat.rsplit_once(") ").is_some_and(|(_, fields)| fields[1..].starts_with(&of_parent))
    })
}
