//! What the client costs whoever uses it: CPU of its own thread, allocations and system calls for each message.
//!
//! ```text
//! cargo bench --bench client -- [NAMES]
//! ```
//!
//! The client has a thread for itself and talks over loopback to a broker in the same process; what others do is not counted.
//! Its writes and reads are counted where they are made, at its socket. The time that passes says how long both took together.

#![allow(clippy::unwrap_used)] // a benchmark that cannot run should stop

use std::{
    collections::VecDeque,
    fs, io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    task::{Context, Poll, ready},
    time::{Duration, Instant},
};

use cordboard::{
    Broker, Client, Config, Handle,
    client::{ExplicitSubscription, Pending, Subscription},
    net::{Connect, Eventually, Socket},
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    runtime::{Builder, Runtime},
};

/// Messages in one round.
const MESSAGES: u64 = 200_000;
/// Rounds that are timed; the median counts.
const ROUNDS: usize = 5;
/// Messages whose outcome is waited for in order.
const UNDER_WAY: usize = 4_096;
const TOPIC: &str = "bench/eu";

/// What is done with `MESSAGES` messages.
#[derive(Clone, Copy)]
enum Work {
    /// Published without looking back, and flushed.
    Publish,
    /// Published with a header.
    PublishHeader,
    /// Published, and the outcome of each waited for, in order.
    PublishOutcomes,
    /// Taken from a stream that acknowledges by itself.
    Receive,
    /// Taken, and acknowledged one by one.
    ReceiveExplicit,
}

const CASES: [(&str, Work, usize); 8] = [
    ("publish, 16 B", Work::Publish, 16),
    ("publish, 256 B", Work::Publish, 256),
    ("publish with a header, 16 B", Work::PublishHeader, 16),
    ("publish and await each, 16 B", Work::PublishOutcomes, 16),
    ("receive, 16 B", Work::Receive, 16),
    ("receive, 256 B", Work::Receive, 256),
    ("receive and acknowledge, 16 B", Work::ReceiveExplicit, 16),
    ("receive and acknowledge, 256 B", Work::ReceiveExplicit, 256),
];

fn main() {
    let names: Vec<_> = std::env::args().skip(1).filter(|name| !name.starts_with("--")).collect();
    println!("a message:                        CPU, ns  passed, ns   allocations        writes         reads");
    for (name, work, payload) in CASES {
        if names.is_empty() || names.iter().any(|wanted| name.contains(wanted)) {
            println!("{name:32} {}", Line::new(work, payload).measure());
        }
    }
}

/// A broker, the client that is measured, and another one for what it needs of the world.
struct Line {
    calls: Arc<Calls>,
    payload: Vec<u8>,
    client: Client,
    other: Client,
    end: End,
    here: Runtime,
    there: Runtime,
    _broker: Handle,
}

/// The client's end of the messages.
enum End {
    Publish(Vec<(&'static str, &'static str)>),
    Outcomes,
    Automatic(Subscription),
    Explicit(ExplicitSubscription),
}

impl Line {
    fn new(work: Work, payload: usize) -> Self {
        let here = Builder::new_current_thread().enable_all().build().unwrap();
        let there = Builder::new_multi_thread().worker_threads(2).thread_name("broker").enable_all().build().unwrap();
        let mut config = Config { listen: vec!["127.0.0.1:0".parse().unwrap()], ..Config::default() };
        // A publisher that is faster than the client is told to wait, and nothing is lost.
        config.queues.max_messages = 2 * MESSAGES as usize;
        config.queues.max_bytes = 1 << 30;
        let broker = there.block_on(Broker::start(config)).unwrap();
        let address = broker.endpoints()[0].to_string();
        let other = there.block_on(Client::connect(&address)).unwrap();
        let calls = Arc::<Calls>::default();
        let (client, end) = here.block_on(async {
            let watched = Watched(Arc::clone(&calls));
            let client = Client::builder(&address).connector(Arc::new(watched)).connect().await.unwrap();
            let end = match work {
                Work::Publish => End::Publish(vec![]),
                Work::PublishHeader => End::Publish(vec![("content-type", "text/plain"), ("origin", "bench")]),
                Work::PublishOutcomes => End::Outcomes,
                Work::Receive => End::Automatic(client.subscribe(TOPIC).await.unwrap()),
                Work::ReceiveExplicit => End::Explicit(client.subscribe(TOPIC).await.unwrap().explicit()),
            };
            (client, end)
        });
        Self { calls, payload: vec![b'x'; payload], client, other, end, here, there, _broker: broker }
    }

    fn measure(&mut self) -> Cost {
        self.round();
        let mut cost = Cost::default();
        let (writes, reads) = self.calls.so_far();
        cost.allocations = allocation_counter::measure(|| self.round()).count_total;
        let (writes_then, reads_then) = self.calls.so_far();
        (cost.writes, cost.reads) = (writes_then - writes, reads_then - reads);
        let (mut cpu, mut passed) = (Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            let (cpu_before, before) = (own_cpu(), Instant::now());
            self.round();
            cpu.push(own_cpu().saturating_sub(cpu_before));
            passed.push(before.elapsed());
        }
        cpu.sort();
        passed.sort();
        (cost.cpu, cost.passed) = (cpu[ROUNDS / 2], passed[ROUNDS / 2]);
        cost
    }

    /// All messages once, and the client is done with them.
    fn round(&mut self) {
        if let End::Automatic(_) | End::Explicit(_) = self.end {
            self.there.spawn(publish_all(self.other.clone(), vec![], self.payload.clone()));
        }
        let (client, payload) = (self.client.clone(), self.payload.clone());
        self.here.block_on(async {
            match &mut self.end {
                End::Publish(headers) => publish_all(client, headers.clone(), payload).await,
                End::Outcomes => publish_and_await(&client, &payload).await,
                End::Automatic(stream) => {
                    for _ in 0..MESSAGES {
                        assert_eq!(stream.next().await.unwrap().payload.len(), payload.len());
                    }
                }
                End::Explicit(stream) => {
                    for _ in 0..MESSAGES {
                        let held = stream.next().await.unwrap();
                        assert_eq!(held.payload.len(), payload.len());
                        held.ack();
                    }
                }
            }
        });
    }
}

async fn publish_all(client: Client, headers: Vec<(&'static str, &'static str)>, payload: Vec<u8>) {
    let mut publisher = client.topic(TOPIC).unwrap();
    for (key, value) in headers {
        publisher = publisher.header(key, value).unwrap();
    }
    for _ in 0..MESSAGES {
        drop(publisher.enqueue(&payload).await.unwrap());
    }
    client.flush().await.unwrap();
}

async fn publish_and_await(client: &Client, payload: &[u8]) {
    let mut under_way = VecDeque::<Pending>::with_capacity(UNDER_WAY);
    for _ in 0..MESSAGES {
        if under_way.len() == UNDER_WAY {
            under_way.pop_front().unwrap().await.unwrap();
        }
        under_way.push_back(client.enqueue(TOPIC, payload).await.unwrap());
    }
    for pending in under_way {
        pending.await.unwrap();
    }
}

/// What `MESSAGES` messages have cost.
#[derive(Default)]
struct Cost {
    cpu: Duration,
    passed: Duration,
    allocations: u64,
    writes: u64,
    reads: u64,
}

impl std::fmt::Display for Cost {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let each = |time: Duration| time.as_nanos() as f64 / MESSAGES as f64;
        let one_in = |count: u64| format!("1 in {:.0}", MESSAGES as f64 / count as f64);
        let [allocations, writes, reads] = [self.allocations, self.writes, self.reads].map(one_in);
        write!(f, "{:8.1} {:11.1} {allocations:>13} {writes:>13} {reads:>13}", each(self.cpu), each(self.passed))
    }
}

/// CPU time of this thread so far.
fn own_cpu() -> Duration {
    let account = fs::read_to_string("/proc/thread-self/schedstat").expect("a Linux that keeps accounts of its threads");
    Duration::from_nanos(account.split(' ').next().unwrap().parse().unwrap())
}

/// System calls of the client's socket that have moved bytes.
#[derive(Debug, Default)]
struct Calls {
    writes: AtomicU64,
    reads: AtomicU64,
}

impl Calls {
    fn so_far(&self) -> (u64, u64) {
        (self.writes.load(Relaxed), self.reads.load(Relaxed))
    }
}

/// TCP, with its calls counted.
#[derive(Debug)]
struct Watched(Arc<Calls>);

impl Connect for Watched {
    fn connect<'a>(&'a self, address: &'a str) -> Eventually<'a, Socket> {
        Box::pin(async move {
            let stream = TcpStream::connect(address).await?;
            stream.set_nodelay(true)?;
            let (read, write) = stream.into_split();
            let half = |calls: &Arc<Calls>| Arc::clone(calls);
            Ok(Socket::from_halves(Counted(read, half(&self.0)), Counted(write, half(&self.0))))
        })
    }
}

/// A half of a socket.
struct Counted<T>(T, Arc<Calls>);

impl<T: AsyncRead + Unpin> AsyncRead for Counted<T> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let read = ready!(Pin::new(&mut self.0).poll_read(cx, buffer));
        self.1.reads.fetch_add(1, Relaxed);
        Poll::Ready(read)
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Counted<T> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut self.0).poll_write(cx, bytes));
        self.1.writes.fetch_add(1, Relaxed);
        Poll::Ready(written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut self.0).poll_write_vectored(cx, slices));
        self.1.writes.fetch_add(1, Relaxed);
        Poll::Ready(written)
    }

    fn is_write_vectored(&self) -> bool {
        self.0.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}
