//! Simulation: a broker, its operator and its clients on a network that delays, stalls and loses, with clients that crash, all
//! on one thread and a clock that is only ever told the time. Everything follows from a seed, so what goes wrong once goes
//! wrong again.
//!
//! `CORDBOARD_SIM_SEED=7 cargo test --test suite sim::many_seeds` runs one seed again, with `CORDBOARD_SIM_TRACE=1 … --
//! --nocapture` telling everything that happens; `CORDBOARD_SIM_SEEDS=10000 cargo test --release --test suite sim::many_seeds`
//! runs as many, from `CORDBOARD_SIM_FROM` on.

mod feed;
mod judge;
mod net;
mod operator;
mod publisher;
mod reclaim;
mod stage;
mod subscriber;
mod timeline;

use std::{
    cell::RefCell,
    panic::{AssertUnwindSafe, catch_unwind},
    rc::Rc,
    sync::{Arc, Mutex},
    time::Duration,
};

use cordboard::entropy::Entropy;
use turmoil::Sim;

use self::{
    judge::Verdicts,
    operator::Operator,
    publisher::Publisher,
    stage::{Seeded, Stage, Weather},
    subscriber::Subscriber,
};
use crate::fixture::{from_env, rng::Rng};

const TOPICS: [&str; 4] = ["news", "news/eu", "news/us", "sport/eu"];
const PUBLISHERS: [&str; 2] = ["pub-0", "pub-1"];
/// Who subscribes to what, and how badly it acknowledges.
const SUBSCRIBERS: [(&str, &[&str], u64); 3] =
    [("sub-all", &["#"], 1), ("sub-news", &["news/#", "+/eu"], 3), ("sub-exact", &["news", "news/eu", "sport/eu"], 12)];

const TICK: Duration = Duration::from_millis(10);
/// How long the weather is bad, and how long everything may take to come to rest after that.
const STORM: Duration = Duration::from_secs(15);
const REST: Duration = Duration::from_mins(2);

/// One run; what it looked like, and how much it tried.
struct Run {
    fingerprint: (u64, u64),
    verdicts: Verdicts,
}

/// The hosts of a simulation, and what goes wrong with them.
struct World {
    sim: Sim<'static>,
    stage: Rc<Stage>,
    rng: Rng,
    clients: Vec<Client>,
}

struct Client {
    name: &'static str,
    is_done: Box<dyn Fn() -> bool>,
    /// What is wrong with it now, and until when.
    trouble: Option<(Trouble, Duration)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Trouble {
    /// Nothing it sends arrives, nothing sent to it does, and nobody is told.
    Partition,
    /// Nothing it sends arrives.
    Mute,
    /// Nothing sent to it does.
    Deaf,
    /// Everything is late.
    Stall,
    /// It is not running.
    Crash,
}

impl World {
    fn new(seed: u64) -> Self {
        let mut rng = Rng(seed);
        let sim = turmoil::Builder::new()
            .rng_seed(rng.next())
            .tick_duration(TICK)
            .min_message_latency(Duration::from_millis(1))
            .max_message_latency(Duration::from_millis(1 + rng.below(150)))
            .simulation_duration(STORM + REST)
            .tcp_capacity(1_024)
            .enable_random_order()
            .build();
        let mut world = Self { sim, stage: Rc::new(Stage::new()), rng, clients: Vec::new() };
        world.add_broker();
        for (number, name) in PUBLISHERS.into_iter().enumerate() {
            world.add_publisher(number as u32, name);
        }
        for (name, filters, sloppiness) in SUBSCRIBERS {
            world.add_subscriber(name, filters, sloppiness);
        }
        world
    }

    fn split(&mut self) -> Rng {
        Rng(self.rng.next())
    }

    fn entropy(&mut self) -> Arc<dyn Entropy> {
        Arc::new(Seeded(Mutex::new(self.split())))
    }

    fn add_broker(&mut self) {
        let (stage, rng, entropy) = (Rc::clone(&self.stage), Rc::new(RefCell::new(self.split())), self.entropy());
        let config = operator::config(&mut self.rng);
        self.sim.host("broker", move || {
            let (stage, rng, config) = (Rc::clone(&stage), Rc::clone(&rng), config.clone());
            Operator { stage, rng, config, entropy: Arc::clone(&entropy) }.serve()
        });
    }

    fn add_publisher(&mut self, number: u32, name: &'static str) {
        let memory = Rc::new(RefCell::new(publisher::Memory::new(self.split())));
        let publisher = Publisher { stage: Rc::clone(&self.stage), number, memory: Rc::clone(&memory), entropy: self.entropy() };
        self.add_client(name, move || memory.borrow().done, move || publisher.clone().live());
    }

    fn add_subscriber(&mut self, name: &'static str, filters: &'static [&'static str], sloppiness: u64) {
        let memory = Rc::new(RefCell::new(subscriber::Memory::new(self.split())));
        let subscriber = Subscriber { stage: Rc::clone(&self.stage), name, filters, sloppiness, memory: Rc::clone(&memory) };
        self.add_client(name, move || memory.borrow().done, move || subscriber.clone().live());
    }

    fn add_client<F: Future<Output = ()> + 'static>(
        &mut self,
        name: &'static str,
        is_done: impl Fn() -> bool + 'static,
        live: impl Fn() -> F + 'static,
    ) {
        self.sim.host(name, move || {
            let life = live();
            async move {
                life.await;
                Ok(())
            }
        });
        self.clients.push(Client { name, is_done: Box::new(is_done), trouble: None });
    }

    fn step(&mut self) {
        if let Err(error) = self.sim.step() {
            panic!("a host failed: {error}");
        }
    }

    fn run(mut self) -> Run {
        while self.sim.elapsed() < STORM {
            self.step();
            self.brew();
        }
        self.stage.turns(Weather::Calm);
        for at in 0..self.clients.len() {
            self.mend(at);
        }
        self.until("everything that is owed has come", Self::unfinished);
        if let Some(broker) = self.stage.broker() {
            self.stage.judge.borrow_mut().decides(&broker.bus().board());
        }
        self.stage.turns(Weather::Over);
        self.until("everyone is gone", |world| world.sim.is_host_running("broker").then(|| "the broker runs".to_owned()));
        self.stage.catch_up();
        let verdicts = self.stage.judge.borrow().verdicts;
        Run { fingerprint: self.stage.fingerprint(), verdicts }
    }

    /// Lets time pass until nothing is `left`. The board is sampled once a second, so nothing must be left twice in a row.
    fn until(&mut self, what: &str, left: impl Fn(&mut Self) -> Option<String>) {
        let (deadline, mut quiet) = (self.sim.elapsed() + REST / 2, 0);
        while quiet < 2 {
            for _ in 0..110 {
                self.step();
            }
            match left(self) {
                None => quiet += 1,
                Some(left) => {
                    assert!(self.sim.elapsed() < deadline, "it never came to pass that {what}: {left}");
                    quiet = 0;
                }
            }
        }
    }

    fn unfinished(&mut self) -> Option<String> {
        self.stage.catch_up();
        let publishers = self.clients.iter().filter(|client| PUBLISHERS.contains(&client.name));
        if let Some(busy) = publishers.into_iter().find(|client| !(client.is_done)()) {
            return Some(format!("{} is not done", busy.name));
        }
        let broker = self.stage.broker()?;
        let board = broker.bus().board();
        if let Some(left) = self.stage.judge.borrow().unfinished(&board) {
            return Some(left);
        }
        (board.broker.detached > 0).then(|| format!("{} sessions are detached", board.broker.detached))
    }

    /// Trouble comes and goes.
    fn brew(&mut self) {
        let now = self.sim.elapsed();
        for at in 0..self.clients.len() {
            match self.clients[at].trouble {
                Some((_, until)) if until <= now => self.mend(at),
                None if self.rng.once_in(200) => self.trouble(at, now),
                _ => {}
            }
        }
    }

    fn trouble(&mut self, at: usize, now: Duration) {
        let trouble = *self.rng.pick(&[Trouble::Partition, Trouble::Mute, Trouble::Deaf, Trouble::Stall, Trouble::Crash]);
        let until = now + Duration::from_millis(*self.rng.pick(&[50, 300, 1_000, 5_000, 9_000]));
        let name = self.clients[at].name;
        self.stage.note(name, format_args!("{trouble:?} until {}", until.as_millis()));
        match trouble {
            Trouble::Partition => self.sim.partition(name, "broker"),
            Trouble::Mute => self.sim.partition_oneway(name, "broker"),
            Trouble::Deaf => self.sim.partition_oneway("broker", name),
            Trouble::Stall => self.sim.hold(name, "broker"),
            Trouble::Crash => self.sim.crash(name),
        }
        self.clients[at].trouble = Some((trouble, until));
    }

    fn mend(&mut self, at: usize) {
        let Some((trouble, _)) = self.clients[at].trouble.take() else { return };
        let name = self.clients[at].name;
        self.stage.note(name, format_args!("{trouble:?} is over"));
        match trouble {
            Trouble::Partition => self.sim.repair(name, "broker"),
            Trouble::Mute => self.sim.repair_oneway(name, "broker"),
            Trouble::Deaf => self.sim.repair_oneway("broker", name),
            Trouble::Stall => self.sim.release(name, "broker"),
            Trouble::Crash => self.sim.bounce(name),
        }
    }
}

/// Runs one seed, and says how to do it again if it fails.
fn run(seed: u64) -> Run {
    catch_unwind(AssertUnwindSafe(|| World::new(seed).run())).unwrap_or_else(|panic| {
        eprintln!("seed {seed} failed; again: CORDBOARD_SIM_SEED={seed} cargo test --test suite sim::many_seeds");
        std::panic::resume_unwind(panic)
    })
}

/// I1, I3, I4 under every trouble there is.
#[test]
fn many_seeds() {
    if let Ok(seed) = std::env::var("CORDBOARD_SIM_SEED") {
        run(seed.parse().unwrap());
        return;
    }
    let (from, seeds) = (from_env("CORDBOARD_SIM_FROM", 0), from_env("CORDBOARD_SIM_SEEDS", 50));
    let mut all = Verdicts::default();
    for seed in from..from + seeds {
        all += run(seed).verdicts;
    }
    println!("{seeds} seeds: {all:?}");
    // A simulation in which nothing happens proves nothing.
    assert!(all.acknowledged > 100 * seeds && all.seen > 200 * seeds, "{all:?}");
    assert!(all.redelivered > 10 * seeds && all.feeds > 5 * seeds && all.counted_lost > 0, "{all:?}");
}

/// Without this no failure could be looked at twice.
#[test]
fn a_seed_is_the_same_run_every_time() {
    for seed in [1, 2] {
        let first = run(seed);
        assert_eq!(first.fingerprint, run(seed).fingerprint, "seed {seed}");
        assert_ne!(first.fingerprint, run(seed + 10).fingerprint, "another seed is another run");
    }
}
