//! One publisher, one subscriber: broker CPU per message, against nats-server in the same run.
//!
//! ```text
//! cargo bench --bench one_to_one -- [MESSAGES] [ROUNDS]
//! ```
//!
//! Each round runs every broker in turn as a process of its own and reads its user and system time from `/proc`, because on a
//! small shared machine CPU per message is steadier than wall time. Where there is no nats-server only ours is measured.

#![allow(clippy::unwrap_used)] // a benchmark that cannot run should stop

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    process::{Child, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    thread,
    time::{Duration, Instant},
};

use cordboard::wire::{
    self, AckMode, ClientFrame, DeliverAck, Headers, Publish, RegistrationRequest, ServerFrame, SubscribeRequest,
};

/// Messages a publisher may be ahead of its subscriber, so that no broker has to drop any.
const AHEAD: u64 = 100_000;
/// Publishes that may be unacknowledged: the credit a broker grants.
const CREDIT: u64 = 8_000;

fn main() {
    let numbers: Vec<u64> = std::env::args().filter_map(|argument| argument.parse().ok()).collect();
    let messages = numbers.first().copied().unwrap_or(2_000_000);
    let rounds = numbers.get(1).copied().unwrap_or(5);
    let has_nats = Command::new("nats-server").arg("--version").stdout(Stdio::null()).status().is_ok();
    for payload in [16, 256] {
        let mut ratios = [Vec::new(), Vec::new()];
        for _ in 0..rounds {
            let ours = [AckMode::None, AckMode::Explicit].map(|ack| measure(&mut Cordboard::start(), messages, payload, ack));
            if has_nats {
                let nats = measure(&mut Nats::start(), messages, payload, AckMode::None);
                for (ratios, ours) in ratios.iter_mut().zip(ours) {
                    ratios.push(ours / nats);
                }
            }
        }
        for (ratios, acks) in ratios.iter_mut().zip(["publisher acks", "acks on both sides"]) {
            ratios.sort_by(f64::total_cmp);
            if let (Some(least), Some(most)) = (ratios.first(), ratios.last()) {
                let median = ratios[ratios.len() / 2];
                println!("{payload:>4} B, {acks:<18}  {median:.2} x nats-server's CPU per message ({least:.2} to {most:.2})");
            }
        }
    }
}

/// A broker under test.
trait Peer {
    fn name(&self) -> &'static str;
    fn process(&self) -> u32;
    /// Receives `messages`; counts them in `received`.
    fn subscribe(&self, messages: u64, ack: AckMode, received: Arc<AtomicU64>) -> thread::JoinHandle<()>;
    /// Publishes `messages`, never more than allowed ahead of `received`.
    fn publish(&self, messages: u64, payload: usize, received: &AtomicU64);
}

/// Nanoseconds of broker CPU per message.
fn measure(peer: &mut dyn Peer, messages: u64, payload: usize, ack: AckMode) -> f64 {
    let received = Arc::new(AtomicU64::new(0));
    let subscriber = peer.subscribe(messages, ack, Arc::clone(&received));
    let (cpu, wall) = (cpu_time(peer.process()), Instant::now());
    peer.publish(messages, payload, &received);
    subscriber.join().unwrap();
    let wall = wall.elapsed();
    let each = cpu_time(peer.process()).checked_sub(cpu).unwrap().as_nanos() as f64 / messages as f64;
    println!(
        "{:<12} {payload:>4} B  {ack:?}  {each:>6.0} ns CPU a message  {:>6.2} M/s",
        peer.name(),
        messages as f64 / wall.as_secs_f64() / 1e6
    );
    each
}

/// User and system time of a process.
fn cpu_time(process: u32) -> Duration {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap();
    let after_name = stat.rsplit(") ").next().unwrap();
    let ticks: u64 = after_name.split(' ').skip(11).take(2).map(|field| field.parse::<u64>().unwrap()).sum();
    Duration::from_millis(ticks * 10)
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn connect(address: SocketAddr) -> TcpStream {
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        match TcpStream::connect(address) {
            Ok(socket) => {
                socket.set_nodelay(true).unwrap();
                return socket;
            }
            Err(error) => assert!(Instant::now() < deadline, "{error}"),
        }
        thread::yield_now();
    }
}

fn eventually_not(ahead: impl Fn() -> bool) {
    while ahead() {
        thread::sleep(Duration::from_micros(50));
    }
}

struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

struct Cordboard {
    child: Running,
    address: SocketAddr,
    _state: tempfile::TempDir,
}

impl Cordboard {
    fn start() -> Self {
        let state = tempfile::tempdir().unwrap();
        let address = SocketAddr::from(([127, 0, 0, 1], free_port()));
        let child = Command::new(env!("CARGO_BIN_EXE_cordboard"))
            .args(["serve", "--listen", &address.to_string(), "--state-dir"])
            .arg(state.path())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        drop(connect(address));
        Self { child: Running(child), address, _state: state }
    }

    fn register(&self, name: &str, ack: AckMode) -> (TcpStream, Frames) {
        let mut socket = connect(self.address);
        let mut request = RegistrationRequest::new(name);
        request.ack = ack;
        send(&mut socket, &ClientFrame::RegistrationRequest(request));
        let mut frames = Frames::new(socket.try_clone().unwrap());
        frames.read(|frame| matches!(frame, ServerFrame::RegistrationResponse(_)));
        (socket, frames)
    }
}

fn send(socket: &mut TcpStream, frame: &ClientFrame<'_>) {
    let mut bytes = Vec::new();
    frame.encode(&mut bytes);
    socket.write_all(&bytes).unwrap();
}

/// Frames from a broker.
struct Frames {
    socket: TcpStream,
    buffer: Vec<u8>,
    end: usize,
}

impl Frames {
    fn new(socket: TcpStream) -> Self {
        Self { socket, buffer: vec![0; 4 << 20], end: 0 }
    }

    /// Reads once or more, until `stop` says so of a frame; all whole frames that are there are looked at.
    fn read(&mut self, mut stop: impl FnMut(&ServerFrame<'_>) -> bool) {
        let mut stopped = false;
        while !stopped {
            let read = self.socket.read(&mut self.buffer[self.end..]).unwrap();
            assert!(read > 0, "the broker closed");
            self.end += read;
            let mut start = 0;
            while let Some((raw, len)) = wire::split(&self.buffer[start..self.end], wire::MAX_DELIVER_FRAME).unwrap() {
                stopped |= stop(&ServerFrame::decode(raw).unwrap());
                start += len;
            }
            self.buffer.copy_within(start..self.end, 0);
            self.end -= start;
        }
    }
}

impl Peer for Cordboard {
    fn name(&self) -> &'static str {
        "cordboard"
    }

    fn process(&self) -> u32 {
        self.child.0.id()
    }

    fn subscribe(&self, messages: u64, ack: AckMode, received: Arc<AtomicU64>) -> thread::JoinHandle<()> {
        let (mut socket, mut frames) = self.register("subscriber", ack);
        let request = SubscribeRequest { request: 1, filter: "bench".into(), ack_timeout_ms: None, group: None };
        send(&mut socket, &ClientFrame::SubscribeRequest(request));
        frames.read(|frame| matches!(frame, ServerFrame::SubscribeAck(_)));
        thread::spawn(move || {
            let mut next = 1;
            while next <= messages {
                let mut last = None;
                frames.read(|frame| {
                    if let ServerFrame::Deliver(deliver) = frame {
                        assert_eq!(deliver.first, next, "in order, none missing, none twice");
                        next += u64::from(deliver.count);
                        last = Some((deliver.handle, next - 1));
                    }
                    true
                });
                received.store(next - 1, Relaxed);
                if let Some((handle, number)) = last
                    && ack == AckMode::Explicit
                {
                    send(&mut socket, &ClientFrame::DeliverAck(DeliverAck { handle, number }));
                }
            }
        })
    }

    fn publish(&self, messages: u64, payload: usize, received: &AtomicU64) {
        let (mut socket, mut frames) = self.register("publisher", AckMode::None);
        let settled = Arc::new(AtomicU64::new(0));
        let acks = thread::spawn({
            let settled = Arc::clone(&settled);
            move || {
                frames.read(|frame| {
                    let ServerFrame::PublishAck(sequence) = frame else { panic!("not an acknowledgement: {frame:?}") };
                    settled.store(*sequence, Relaxed);
                    *sequence == messages
                });
            }
        });
        let (payload, mut bytes, mut sequence) = (vec![b'x'; payload], Vec::new(), 0);
        while sequence < messages {
            bytes.clear();
            while bytes.len() < 32 << 10 && sequence < messages {
                sequence += 1;
                let publish = Publish { sequence, topic: b"bench", headers: Headers::NONE, payload: &payload };
                ClientFrame::Publish(publish).encode(&mut bytes);
            }
            eventually_not(|| {
                sequence.saturating_sub(settled.load(Relaxed)) > CREDIT || sequence.saturating_sub(received.load(Relaxed)) > AHEAD
            });
            socket.write_all(&bytes).unwrap();
        }
        acks.join().unwrap();
    }
}

struct Nats {
    child: Running,
    address: SocketAddr,
}

impl Nats {
    fn start() -> Self {
        let port = free_port();
        let child = Command::new("nats-server")
            .args(["-a", "127.0.0.1", "-p", &port.to_string()])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        drop(connect(address));
        Self { child: Running(child), address }
    }

    fn session(&self, first: &str) -> TcpStream {
        let mut socket = connect(self.address);
        socket.write_all(format!("CONNECT {{\"verbose\":false,\"pedantic\":false}}\r\n{first}PING\r\n").as_bytes()).unwrap();
        let (mut seen, mut buffer) = (Vec::new(), [0; 4096]);
        while !seen.windows(6).any(|bytes| bytes == b"PONG\r\n") {
            let read = socket.read(&mut buffer).unwrap();
            seen.extend_from_slice(&buffer[..read]);
        }
        socket
    }
}

impl Peer for Nats {
    fn name(&self) -> &'static str {
        "nats-server"
    }

    fn process(&self) -> u32 {
        self.child.0.id()
    }

    fn subscribe(&self, messages: u64, _: AckMode, received: Arc<AtomicU64>) -> thread::JoinHandle<()> {
        let mut socket = self.session("SUB bench 1\r\n");
        thread::spawn(move || {
            let (mut buffer, mut end, mut count) = (vec![0; 4 << 20], 0, 0);
            while count < messages {
                let read = socket.read(&mut buffer[end..]).unwrap();
                assert!(read > 0, "the broker closed");
                end += read;
                let mut start = 0;
                while let Some((len, is_message)) = nats_line(&buffer[start..end]) {
                    start += len;
                    count += u64::from(is_message);
                }
                buffer.copy_within(start..end, 0);
                end -= start;
                received.store(count, Relaxed);
            }
        })
    }

    fn publish(&self, messages: u64, payload: usize, received: &AtomicU64) {
        let mut socket = self.session("");
        let one = [format!("PUB bench {payload}\r\n").as_bytes(), &vec![b'x'; payload], b"\r\n"].concat();
        let batch = (32 << 10) / one.len() as u64;
        let mut sent = 0;
        while sent < messages {
            let count = batch.min(messages - sent);
            sent += count;
            eventually_not(|| sent.saturating_sub(received.load(Relaxed)) > AHEAD);
            socket.write_all(&one.repeat(count as usize)).unwrap();
        }
    }
}

/// The length of the line at the head of `bytes`, with its payload if it is a message, and whether it is one. A PING needs no
/// answer from a connection that lives for seconds: the broker gives up after two, two minutes apart.
fn nats_line(bytes: &[u8]) -> Option<(usize, bool)> {
    let line = bytes.windows(2).position(|two| two == b"\r\n")?;
    let text = std::str::from_utf8(&bytes[..line]).unwrap();
    let Some(message) = text.strip_prefix("MSG ") else { return Some((line + 2, false)) };
    let size: usize = message.rsplit(' ').next().unwrap().parse().unwrap();
    let whole = line + 2 + size + 2;
    (bytes.len() >= whole).then_some((whole, true))
}
