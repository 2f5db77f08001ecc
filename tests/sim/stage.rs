//! What everyone in a simulation shares: the trace of all that happens, the judge, and the broker's own account.

use std::{
    cell::{Cell, RefCell},
    fmt::Display,
    hash::{DefaultHasher, Hash as _, Hasher as _},
    io,
    sync::{Mutex, PoisonError},
};

use cordboard::{Follower, Handle, entropy::Entropy, events::Event};

use super::{judge::Judge, timeline::Timeline};
use crate::fixture::rng::Rng;

/// What the weather is like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Weather {
    /// Anything may happen.
    Storm,
    /// Nothing more happens by itself: everyone finishes what is under way.
    Calm,
    /// Everything that is owed has come; everyone goes home.
    Over,
}

/// What everyone shares. One thread runs them all, so what is noted first happened first.
pub(super) struct Stage {
    weather: Cell<Weather>,
    trace: RefCell<Trace>,
    pub(super) judge: RefCell<Judge>,
    timeline: RefCell<Timeline>,
    broker: RefCell<Option<(Handle, Follower)>>,
}

struct Trace {
    hash: DefaultHasher,
    lines: u64,
    shown: bool,
}

impl Stage {
    pub(super) fn new() -> Self {
        let shown = std::env::var_os("CORDBOARD_SIM_TRACE").is_some();
        Self {
            weather: Cell::new(Weather::Storm),
            trace: RefCell::new(Trace { hash: DefaultHasher::new(), lines: 0, shown }),
            judge: RefCell::default(),
            timeline: RefCell::default(),
            broker: RefCell::default(),
        }
    }

    pub(super) fn weather(&self) -> Weather {
        self.weather.get()
    }

    pub(super) fn turns(&self, weather: Weather) {
        self.note("weather", format_args!("{weather:?}"));
        self.weather.set(weather);
    }

    pub(super) fn opens(&self, broker: &Handle) {
        *self.broker.borrow_mut() = Some((broker.clone(), broker.bus().follow_from_start()));
    }

    pub(super) fn broker(&self) -> Option<Handle> {
        self.broker.borrow().as_ref().map(|(broker, _)| broker.clone())
    }

    /// Writes down that `who` did, or saw, `what`.
    pub(super) fn note(&self, who: &str, what: impl Display) {
        self.catch_up();
        let now = turmoil::sim_elapsed().unwrap_or_default().as_millis();
        self.trace.borrow_mut().write(&format!("{now:>7} {who}: {what}"));
    }

    /// Takes over what the broker has told since. Called before anything else is noted, so the judge hears all in order.
    pub(super) fn catch_up(&self) {
        let mut broker = self.broker.borrow_mut();
        let Some((_, follower)) = broker.as_mut() else { return };
        let news = follower.take(usize::MAX);
        assert_eq!(news.missed, 0, "the ring is large enough for one step");
        for stamped in news.events {
            self.timeline.borrow_mut().take(&stamped);
            self.judge.borrow_mut().hears(&stamped.event);
            self.trace.borrow_mut().write(&format!("{:>7} #{} {}", stamped.at.up.0, stamped.number, repeatable(&stamped.event)));
        }
    }

    /// The hash of everything that happened, and how much that was.
    pub(super) fn fingerprint(&self) -> (u64, u64) {
        let trace = self.trace.borrow();
        (trace.hash.finish(), trace.lines)
    }
}

impl Trace {
    fn write(&mut self, line: &str) {
        line.hash(&mut self.hash);
        self.lines += 1;
        if self.shown {
            println!("{line}");
        }
    }
}

/// An event without what differs from run to run: the process, the machine, and the time on the wall.
fn repeatable(event: &Event) -> String {
    let mut json = serde_json::to_value(event).unwrap();
    scrub(&mut json);
    json.to_string()
}

fn scrub(json: &mut serde_json::Value) {
    match json {
        serde_json::Value::Object(fields) => {
            fields.retain(|name, _| !["wall", "pid", "host"].contains(&name.as_str()));
            fields.values_mut().for_each(scrub);
        }
        serde_json::Value::Array(items) => items.iter_mut().for_each(scrub),
        _ => {}
    }
}

/// Random bits that follow from a seed.
#[derive(Debug)]
pub(super) struct Seeded(pub(super) Mutex<Rng>);

impl Entropy for Seeded {
    fn fill(&self, bytes: &mut [u8]) -> io::Result<()> {
        let mut rng = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for byte in bytes {
            *byte = rng.next() as u8;
        }
        Ok(())
    }
}
