//! The bus: numbers every event, folds it into the board and keeps the last ones for whoever follows.
//!
//! [`Bus::emit`] never waits for a consumer and never fails its emitter: one short lock, then a wake. A follower that fell
//! behind the ring is told how much it missed and starts again from a snapshot of the board (I8: what it missed, it says).

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::watch;

use crate::{
    board::Board,
    clock::Clock,
    events::{Event, Stamped},
};

/// Events kept for followers, at the most.
const RING: usize = 16_384;
/// Rows of samples in them, at the most: some tens of MiB. More than all that a broker can have makes in a second.
const ROWS: usize = 1 << 19;

/// Where actors say what happened. Clones are the same bus.
///
/// Whoever wants to know what is so asks for the [`board`](Self::board); whoever wants to know when it changes
/// [follows](Self::follow).
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use cordboard::{Broker, Client, Config, events::Event};
///
/// let broker = Broker::start(Config { listen: vec!["127.0.0.1:0".parse()?], ..Config::default() }).await?;
/// let (mut board, mut follower) = broker.bus().follow();
/// assert!(board.sessions.is_empty());
///
/// let client = Client::builder(&broker.endpoints()[0].to_string()).name("till-7").connect().await?;
/// while board.sessions.is_empty() {
///     follower.changed().await;
///     let news = follower.take(100);
///     if news.missed > 0 {
///         // Too slow for the ring: what was missed is in a new snapshot.
///         board = follower.resync();
///         continue;
///     }
///     for event in news.events {
///         if let Event::SessionCreated { client, .. } = &event.event {
///             println!("{} {client} is here", event.number);
///         }
///         board.apply(&event);
///     }
/// }
/// assert_eq!(board.sessions[&client.session()].client.as_str(), "till-7");
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Bus {
    shared: Arc<Commons>,
}

#[derive(Debug)]
struct Commons {
    clock: Clock,
    state: Mutex<State>,
    newest: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct State {
    board: Board,
    ring: VecDeque<Arc<Stamped>>,
    /// Rows of samples in the ring.
    rows: usize,
}

impl State {
    /// Keeps the newest event, and as many before it as the bounds allow.
    fn keep(&mut self, stamped: Arc<Stamped>) {
        self.rows += stamped.event.rows();
        self.ring.push_back(stamped);
        while self.ring.len() > RING || (self.rows > ROWS && self.ring.len() > 1) {
            self.rows -= self.ring.pop_front().map_or(0, |oldest| oldest.event.rows());
        }
    }
}

impl Bus {
    pub(crate) fn new(clock: Clock) -> Self {
        let newest = watch::Sender::new(0);
        Self { shared: Arc::new(Commons { clock, state: Mutex::default(), newest }) }
    }

    /// Numbers `event`, takes it into the board and offers it to followers.
    pub(crate) fn emit(&self, event: Event) {
        let number = {
            let mut state = self.lock();
            let number = state.board.number + 1;
            let stamped = Arc::new(Stamped { number, at: self.shared.clock.now(), event });
            state.board.apply(&stamped);
            state.keep(stamped);
            number
        };
        // Two emitters may arrive here out of order; the newest number only grows.
        self.shared.newest.send_if_modified(|newest| number > std::mem::replace(newest, number.max(*newest)));
    }

    /// A consistent snapshot of the board; its `number` says up to which event.
    pub fn board(&self) -> Board {
        self.lock().board.clone()
    }

    /// The broker's clock.
    pub fn clock(&self) -> Clock {
        self.shared.clock
    }

    /// A snapshot, and a follower that goes on exactly after it.
    pub fn follow(&self) -> (Board, Follower) {
        let board = self.board();
        let follower = Follower { bus: self.clone(), next: board.number + 1, newest: self.shared.newest.subscribe() };
        (board, follower)
    }

    /// A follower that starts at the oldest event still kept.
    pub fn follow_from_start(&self) -> Follower {
        Follower { bus: self.clone(), next: 1, newest: self.shared.newest.subscribe() }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One consumer's place in the stream of events.
#[derive(Debug)]
pub struct Follower {
    bus: Bus,
    next: u64,
    newest: watch::Receiver<u64>,
}

/// What a follower has not seen yet.
#[derive(Debug, Default)]
pub struct News {
    /// Events that were gone before they could be read. More than none: the board must be fetched again.
    pub missed: u64,
    /// The events after those, in order.
    pub events: Vec<Arc<Stamped>>,
}

impl Follower {
    /// At most `max` events that are new, without waiting.
    pub fn take(&mut self, max: usize) -> News {
        let state = self.bus.lock();
        let oldest = state.board.number + 1 - state.ring.len() as u64;
        let missed = oldest.saturating_sub(self.next);
        let from = (self.next.max(oldest) - oldest) as usize;
        let events: Vec<_> = state.ring.iter().skip(from).take(max).cloned().collect();
        drop(state);
        self.next += missed + events.len() as u64;
        News { missed, events }
    }

    /// Events emitted and not taken yet.
    pub fn lag(&self) -> u64 {
        (*self.newest.borrow() + 1).saturating_sub(self.next)
    }

    /// Starts again from a snapshot: what was missed is in it.
    pub fn resync(&mut self) -> Board {
        let board = self.bus.board();
        self.next = board.number + 1;
        board
    }

    /// Waits until there is something to [`take`](Self::take).
    pub async fn changed(&mut self) {
        let next = self.next;
        // The bus holds the sender and this follower the bus, so the wait cannot fail.
        let _ = self.newest.wait_for(|newest| *newest >= next).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        events::{ListenerSample, Sample},
        name::ListenerId,
    };

    fn bus() -> Bus {
        Bus::new(Clock::start())
    }

    fn limit(times: u64) -> Event {
        Event::LimitHit { limit: "topics.max".into(), who: "local".into(), times }
    }

    #[tokio::test]
    async fn a_follower_goes_on_exactly_after_its_snapshot() {
        let bus = bus();
        bus.emit(limit(1));
        let (board, mut follower) = bus.follow();
        assert_eq!((board.number, follower.lag()), (1, 0));
        bus.emit(limit(2));
        follower.changed().await;
        let news = follower.take(10);
        assert_eq!((news.missed, news.events.len(), news.events[0].number), (0, 1, 2));
        assert!(follower.take(10).events.is_empty());
    }

    /// A ghost row is worse than a gap that is told (I8).
    #[tokio::test]
    async fn a_follower_that_fell_behind_is_told_how_much_it_missed() {
        let bus = bus();
        let (_, mut follower) = bus.follow();
        for times in 0..RING as u64 + 7 {
            bus.emit(limit(times));
        }
        let news = follower.take(3);
        assert_eq!((news.missed, news.events[0].number), (7, 8));
        assert_eq!(follower.lag(), RING as u64 - 3);
        assert_eq!(follower.resync().number, RING as u64 + 7);
        assert_eq!(follower.lag(), 0);
    }

    /// What a broker with very many busy rows keeps is bounded by them, not by how many events they came in.
    #[test]
    fn the_ring_is_bounded_by_the_rows_of_its_samples_too() {
        let bus = bus();
        let (_, mut follower) = bus.follow();
        let row = ListenerSample { id: ListenerId(1), bytes_in_rate: 1, bytes_out_rate: 1, outbound_bytes: 1 };
        let listeners = vec![row; Sample::MAX_ROWS];
        let fit = (ROWS / Sample::MAX_ROWS) as u64;
        for _ in 0..fit + 3 {
            bus.emit(Event::from(Sample { listeners: listeners.clone(), ..Sample::default() }));
        }
        let news = follower.take(usize::MAX);
        assert_eq!((news.missed, news.events.len() as u64), (3, fit));
        assert_eq!(bus.lock().rows, fit as usize * Sample::MAX_ROWS);
    }
}
