//! The load side against a broker of a few lines that speaks NATS, and can be told to do it badly.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread,
    time::Duration,
};

use super::{
    Target,
    figures::{Measure, Round},
    idle,
    job::PATIENCE,
    load::{Heard, Identity, LoadError, Nats, Protocol},
    plan::tests::planned,
    shared::Gauge,
    traffic,
    verify::Verdict,
};

/// What becomes of the message of this number, counted from 0 over all topics.
type Deed = fn(u64) -> Do;

#[derive(Debug, Clone, Copy)]
enum Do {
    Deliver,
    Drop,
    Repeat,
    Spoil,
    /// Close the publisher's connection.
    Leave,
}

/// Subject, subscription and where it is.
type Subscriptions = Arc<Mutex<(Vec<(String, String, TcpStream)>, u64)>>;

/// A broker that ends with its last connection.
fn fake(deed: Deed) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let subscriptions = Subscriptions::default();
    thread::spawn(move || {
        while let Ok((socket, _)) = listener.accept() {
            let subscriptions = Arc::clone(&subscriptions);
            thread::spawn(move || serve(socket, &subscriptions, deed));
        }
    });
    address
}

fn serve(mut socket: TcpStream, subscriptions: &Subscriptions, deed: Deed) {
    let mut lines = BufReader::new(socket.try_clone().unwrap());
    socket.write_all(b"INFO {\"server_id\":\"fake\"}\r\n").unwrap();
    let mut line = String::new();
    while lines.read_line(&mut line).is_ok_and(|read| read > 0) {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words[..] {
            ["PING"] => socket.write_all(b"PONG\r\n").unwrap(),
            ["SUB", "bench.refused", _] => socket.write_all(b"-ERR 'Permissions Violation'\r\n").unwrap(),
            ["SUB", subject, id] => {
                let entry = (subject.to_owned(), id.to_owned(), socket.try_clone().unwrap());
                subscriptions.lock().unwrap().0.push(entry);
            }
            ["PUB", subject, size] => {
                let mut payload = vec![0; size.parse::<usize>().unwrap() + 2];
                lines.read_exact(&mut payload).unwrap();
                let mut subscriptions = subscriptions.lock().unwrap();
                let deed = deed(subscriptions.1);
                subscriptions.1 += 1;
                if matches!(deed, Do::Leave) {
                    return;
                }
                for (_, id, socket) in subscriptions.0.iter_mut().filter(|(filter, ..)| matches(filter, subject)) {
                    deliver(socket, format!("MSG {subject} {id} {size}\r\n").as_bytes(), payload.clone(), deed);
                }
            }
            _ => assert!(line.starts_with("CONNECT {"), "{line}"),
        }
        line.clear();
    }
}

fn matches(filter: &str, subject: &str) -> bool {
    filter == subject || filter.strip_suffix('*').is_some_and(|start| subject.starts_with(start))
}

fn deliver(socket: &mut TcpStream, head: &[u8], mut payload: Vec<u8>, deed: Do) {
    if matches!(deed, Do::Spoil) {
        let last = payload.len() - 3;
        payload[last] ^= 1;
    }
    let times = match deed {
        Do::Drop | Do::Leave => 0,
        Do::Deliver | Do::Spoil => 1,
        Do::Repeat => 2,
    };
    // A client that has what it wants may have gone.
    let _ = (0..times).try_for_each(|_| socket.write_all(&[head, &payload[..]].concat()));
}

/// A broker that may be silent for as long as any is.
fn target(deed: Deed) -> Target<'static> {
    Target { address: fake(deed), process: None, user: None, patience: PATIENCE }
}

fn measured(line: &str, deed: Deed) -> Result<Round, LoadError> {
    let (plan, gauge) = (planned(line).unwrap(), Gauge::default());
    traffic::run::<Nats>(&plan, plan.beside, &target(deed), &gauge)
}

fn verdict(line: &str, deed: Deed) -> Verdict {
    measured(line, deed).unwrap().verdict
}

#[test]
fn all_that_flows_is_verified() {
    for (line, deliveries) in [
        ("--count 5000", 5_000),
        ("--count 5000 --window 1", 5_000),
        ("--count 700 --payload 4", 700),
        ("--count 40 --payload 100000", 40),
        ("fanout --clients 5 --count 1000", 5_000),
        ("fanin --clients 5 --count 1003", 1_003),
        ("topics --topics 5 --count 1003", 1_003),
        ("topics --topics 2500 --wildcard --count 5003", 5_003),
        ("pairs --clients 5 --count 1003", 1_003),
        ("trickle --clients 5 --rate 1000 --count 503", 503),
        ("latency --rate 5000 --count 500", 500),
        ("--count 1000 --filters 1500 --other-topics 50", 1_000),
    ] {
        assert_eq!(verdict(line, |_| Do::Deliver), Verdict { sound: deliveries, ..Verdict::default() }, "{line}");
    }
}

#[test]
fn what_a_broker_does_wrong_is_found() {
    let lost = verdict("--count 1000", |number| if number % 100 == 7 { Do::Drop } else { Do::Deliver });
    assert_eq!(lost, Verdict { sound: 990, lost: 10, ..Verdict::default() });
    // The first of each topic counts for nothing.
    let repeated = verdict("topics --count 1000", |number| if (16..19).contains(&number) { Do::Repeat } else { Do::Deliver });
    assert_eq!(repeated, Verdict { sound: 1_000, repeated: 3, ..Verdict::default() });
    let spoilt = verdict("fanin --count 1000", |number| if number == 500 { Do::Spoil } else { Do::Deliver });
    assert_eq!((spoilt.sound, spoilt.wrong), (999, 1));
}

/// The times are of messages, from when each should have been sent; without the broker's process there is nothing about it.
#[test]
fn a_round_has_the_figures_of_its_workload() {
    let round = measured("latency --rate 2000 --count 200", |_| Do::Deliver).unwrap();
    let [p50, max] = [Measure::LatencyP50, Measure::LatencyMax].map(|measure| round.value(measure).unwrap());
    assert!(p50 > 0.0 && p50 <= max, "{round:?}");
    assert_eq!((round.cpu, round.value(Measure::CpuPerMessage), round.value(Measure::PeakMemory)), (None, None, None));
    let round = measured("fanout --clients 3 --duration 50ms", |_| Do::Deliver).unwrap();
    let [messages, deliveries] = [Measure::Throughput, Measure::Deliveries].map(|measure| round.value(measure).unwrap());
    assert!(messages > 0.0 && (deliveries / messages - 3.0).abs() < 1e-9, "{round:?}");
    assert_eq!(round.value(Measure::LatencyP50), None);
}

/// Who has company waits neither for it nor it for them; what it publishes is verified as well.
#[test]
fn a_flood_is_there_as_long_as_the_quiet_clients() {
    let round = measured("latency --clients 3 --rate 200 --count 90 --beside flood", |_| Do::Deliver).unwrap();
    let [counted, flood] = [Measure::Counted, Measure::Flood].map(|measure| round.value(measure).unwrap());
    assert!(counted > 0.0 && counted <= 90.0 && flood > 0.0, "{round:?}");
    assert!(round.verdict.sound > 90 && round.verdict.is_sound(), "{round:?}");
    assert_eq!(round.value(Measure::CpuPerMessage), None);
}

#[test]
fn a_guest_that_fails_ends_it_for_all() {
    let error =
        measured("latency --clients 3 --duration 1h --beside flood", |number| if number == 9 { Do::Leave } else { Do::Deliver });
    assert!(matches!(error, Err(LoadError::Closed | LoadError::Lost(_))), "{error:?}");
}

/// What stays away for good is lost; whoever waits for it does not do so for ever, whichever side it is.
#[test]
fn a_broker_that_falls_silent_is_not_waited_for() {
    let silent = |line: &str| {
        let target =
            Target { patience: Duration::from_millis(50), ..target(|number| if number < 500 { Do::Deliver } else { Do::Drop }) };
        traffic::run::<Nats>(&planned(line).unwrap(), None, &target, &Gauge::default()).unwrap().verdict
    };
    assert_eq!(silent("--count 1000"), Verdict { sound: 500, lost: 500, ..Verdict::default() });
    let ahead = silent("--duration 1h --window 600");
    assert!((ahead.sound, ahead.lost > 0 && ahead.lost <= 600) == (500, true), "{ahead:?}");
    let paced = silent("latency --rate 10000 --duration 1h");
    assert!((paced.sound, paced.lost > 0) == (500, true), "{paced:?}");
}

/// NATS, but for its publishers: they have this credit, and nothing that they publish is ever acknowledged.
struct Grudging<const CREDIT: u64> {
    nats: Nats,
    is_settled: bool,
}

impl<const CREDIT: u64> Protocol for Grudging<CREDIT> {
    const SEPARATOR: char = Nats::SEPARATOR;
    const WILDCARD: char = Nats::WILDCARD;

    fn open(identity: &Identity, out: &mut Vec<u8>) -> Self {
        Self { nats: Nats::open(identity, out), is_settled: true }
    }

    fn subscribe(&mut self, filter: &str, out: &mut Vec<u8>) {
        self.nats.subscribe(filter, out);
    }

    fn publish(&mut self, topic: &str, payload: &[u8], out: &mut Vec<u8>) {
        self.is_settled = false;
        self.nats.publish(topic, payload, out);
    }

    fn heartbeat(&mut self, out: &mut Vec<u8>) {
        self.nats.heartbeat(out);
    }

    fn goodbye(&mut self, out: &mut Vec<u8>) {
        self.nats.goodbye(out);
    }

    fn read(&mut self, bytes: &[u8], out: &mut Vec<u8>, hear: &mut impl FnMut(Heard<'_>)) -> Result<usize, LoadError> {
        self.nats.read(bytes, out, hear)
    }

    fn credit(&self, _: usize) -> u64 {
        CREDIT
    }

    fn is_settled(&self) -> bool {
        self.is_settled
    }
}

/// Both are errors, and nobody waits for what never comes.
#[test]
fn a_broker_that_lets_no_one_publish_or_acknowledges_nothing_is_told() {
    let target = |patience| Target { patience: Duration::from_millis(patience), ..target(|_| Do::Deliver) };
    let (plan, gauge) = (planned("--count 100 --payload 20").unwrap(), Gauge::default());
    let error = traffic::run::<Grudging<0>>(&plan, None, &target(10_000), &gauge).unwrap_err().to_string();
    assert_eq!(error, "the broker grants no credit for a message of 20 bytes; use a smaller --payload");
    let error = traffic::run::<Grudging<100>>(&plan, None, &target(500), &gauge).unwrap_err().to_string();
    assert_eq!(error, "the broker was silent for 1 s while messages that it had delivered were to be acknowledged");
    let rate = planned("latency --count 5 --rate 1000").unwrap();
    let error = traffic::run::<Grudging<100>>(&rate, None, &target(500), &gauge).unwrap_err().to_string();
    assert!(error.ends_with("were to be acknowledged"), "{error}");
}

/// What is missing when all is acknowledged is not waited for as long as a broker may be silent.
#[test]
fn a_lost_tail_is_noticed_soon() {
    let (plan, gauge) = (planned("--count 100").unwrap(), Gauge::default());
    let target =
        Target { patience: Duration::from_hours(1), ..target(|number| if number < 99 { Do::Deliver } else { Do::Drop }) };
    let verdict = traffic::run::<Nats>(&plan, None, &target, &gauge).unwrap().verdict;
    assert_eq!(verdict, Verdict { sound: 99, lost: 1, ..Verdict::default() });
    assert!(gauge.silence.load(std::sync::atomic::Ordering::Relaxed) > 0, "whoever watches saw that nothing came");
}

#[test]
fn clients_that_only_stay_are_counted() {
    let plan = planned("connections --clients 40").unwrap();
    let round = idle::run::<Nats>(&plan, &target(|_| Do::Deliver), &Gauge::default()).unwrap();
    assert!(round.value(Measure::Registrations).unwrap() > 0.0, "{round:?}");
    assert_eq!((round.value(Measure::Connection), round.value(Measure::Detached)), (None, None));
}

#[test]
fn who_has_had_enough_is_obeyed() {
    let (gauge, target) = (Gauge::default(), target(|_| Do::Deliver));
    gauge.stop.store(true, std::sync::atomic::Ordering::Relaxed);
    let error = traffic::run::<Nats>(&planned("--duration 1h").unwrap(), None, &target, &gauge).unwrap_err();
    assert!(matches!(error, LoadError::Interrupted), "{error}");
}

#[test]
fn a_refusal_is_an_error_in_the_brokers_words() {
    let mut connection = super::load::Connection::<Nats>::open(fake(|_| Do::Deliver), &Identity::new("n"), 64).unwrap();
    let error = connection.subscribe(std::iter::once("bench.refused".to_owned())).unwrap_err();
    assert_eq!(error.to_string(), "the broker refused: -ERR 'Permissions Violation'");
    assert!(matches!(measured("--count 1000000", |_| Do::Leave), Err(LoadError::Closed | LoadError::Lost(_))));
}

/// Wherever a read ends, the same is heard.
#[test]
fn lines_may_come_in_pieces() {
    let all = b"INFO {}\r\nPONG\r\nMSG a 1 3\r\nx\r\n\r\nMSG a 1 3\r\nyyy\r\nMSG bb 2 0\r\n\r\nPING\r\nMSG a 1 3\r\nzzz\r\n";
    for cut in 0..=all.len() {
        let (mut nats, mut out) = (Nats::open(&Identity::new("n"), &mut Vec::new()), Vec::new());
        let mut heard = Vec::new();
        let mut hear = |what: Heard<'_>| {
            heard.push(match what {
                Heard::Answered => "answered".to_owned(),
                Heard::Message(payload) => String::from_utf8_lossy(payload).into_owned(),
            });
        };
        let taken = nats.read(&all[..cut], &mut out, &mut hear).unwrap();
        let rest = nats.read(&all[taken..], &mut out, &mut hear).unwrap();
        assert_eq!(taken + rest, all.len(), "{cut}");
        assert_eq!(heard, ["answered", "x\r\n", "yyy", "", "zzz"], "{cut}");
        assert_eq!(out, b"PONG\r\n", "{cut}");
    }
    let mut nats = Nats::open(&Identity::new("n"), &mut Vec::new());
    let error = nats.read(b"HTTP/1.1 \x1b[2J\r\n", &mut Vec::new(), &mut |_| {}).unwrap_err().to_string();
    assert!(error.starts_with("the broker said what it should not: HTTP/1.1 ") && !error.contains('\u{1b}'), "{error}");
}
