//! What every actor of one broker can see: its configuration, its bus, its counters, its budgets and its tables.
//! Nothing here belongs to one actor, and nothing here waits for another.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU64, Ordering},
};

use ractor::{ActorRef, Message, MessagingErr};
use tokio::{sync::watch, time::Instant};

use crate::{
    access::Access,
    bans::{Bans, NotForbidden},
    bus::Bus,
    clock::Clock,
    config::Config,
    control::Outcome,
    entropy::Entropy,
    events::{BrokerSample, Event, Lost, Sample},
    faults::Faults,
    filter_table::FilterTable,
    limits::{Limit, Limits},
    name::{Epoch, Filter, NameRules, SessionId},
    repeats::Repeats,
    room::Room,
    stats::Stats,
    timers::Timers,
    topic_table::TopicTable,
};

/// What every actor of one broker can see.
#[derive(Debug)]
pub(crate) struct Commons {
    pub(crate) config: Config,
    pub(crate) clock: Clock,
    pub(crate) bus: Bus,
    pub(crate) stats: Arc<Stats>,
    pub(crate) timers: Timers,
    pub(crate) limits: Limits,
    pub(crate) repeats: Repeats,
    pub(crate) filters: FilterTable,
    pub(crate) topics: TopicTable,
    /// What all queues and backlogs hold.
    pub(crate) memory: Room,
    /// What has been decoded and not been accepted by its topic.
    pub(crate) ingress: Room,
    /// Who may do what. The users of `config` are in here, and nowhere else.
    pub(crate) access: Arc<Access>,
    /// What operators have forbidden.
    pub(crate) bans: Bans,
    pub(crate) entropy: Arc<dyn Entropy>,
    /// New connections are taken; an operator's word on it outlives a restart of the managers.
    pub(crate) accepting: AtomicBool,
    /// Readers take nothing more in.
    pub(crate) draining: AtomicBool,
    /// Seconds that the broker has lived through; see [`second`](Self::second).
    pub(crate) seconds: AtomicU64,
    /// What tests let fail.
    pub(crate) faults: Faults,
    /// The broker is on its way to its end.
    pub(crate) stopping: watch::Sender<bool>,
}

impl Commons {
    pub(crate) fn emit(&self, event: Event) {
        self.bus.emit(event);
    }

    /// Casts `message`. Gives it back if the actor has ended: what that means is the sender's to decide.
    pub(crate) fn tell<M: Message>(&self, actor: &ActorRef<M>, message: M) -> Result<(), M> {
        tell(&self.stats, actor, message)
    }

    /// The broker's own second: it beats only while the process runs.
    pub(crate) fn second(&self) -> u64 {
        self.seconds.load(Ordering::Relaxed)
    }

    /// Ends every queue and backlog that is left when those who owned them are gone. What they held is lost, exactly.
    pub(crate) fn close_all(&self) -> Lost {
        let mut lost = Lost::default();
        for queue in self.filters.take_all() {
            lost += queue.close();
            queue.tell_dropped(self);
        }
        for cell in self.topics.take_all() {
            cell.tell_dropped(self);
            lost += cell.backlog().close();
        }
        self.stats.dropped.add(lost.messages());
        lost
    }

    /// Tells what has changed of many rows, in samples of a bounded size: of their own, because they are kept for a while.
    pub(crate) fn emit_rows<T>(&self, rows: Vec<T>, sample: impl Fn(Vec<T>) -> Sample) {
        let mut rows = rows.into_iter();
        while rows.len() > 0 {
            self.emit(sample(rows.by_ref().take(Sample::MAX_ROWS).collect()).into());
        }
    }

    /// A limit was hit by `who`: counted, and told if it is one to be told.
    pub(crate) fn limit_hit(&self, limit: Limit, who: &str) {
        self.limits.count(limit, 1);
        if limit.is_told() {
            self.repeated(limit.key(), who, || Event::LimitHit { limit: limit.key().to_owned(), who: who.to_owned(), times: 1 });
        }
    }

    /// What to answer `operator`, whose order could not forbid.
    pub(crate) fn not_forbidden(&self, not: NotForbidden, operator: &str) -> Outcome {
        if matches!(not, NotForbidden::Full { .. }) {
            self.limit_hit(Limit::Forbidden, operator);
        }
        not.into()
    }

    /// Something happened that `who` may make happen again and again: told at most once a second, with how often it was.
    pub(crate) fn repeated(&self, what: &'static str, who: &str, event: impl FnOnce() -> Event) {
        if let Some(event) = self.repeats.count(what, who, Self::now(), event) {
            self.emit(event);
        }
    }

    /// What all queues and backlogs hold: what the end of the broker would cost now. Looks at each of them; the board knows
    /// them as of the last sample.
    pub(crate) fn held(&self) -> Lost {
        let mut held = Lost::default();
        for depth in self.filters.all().iter().map(|queue| queue.depth()) {
            held += Lost { queued: depth.queued(), poison: depth.poison, backlog: 0, bytes: depth.bytes };
        }
        for cell in self.topics.cells() {
            let backlog = cell.look_at_backlog();
            held += Lost { backlog: backlog.messages(), bytes: backlog.bytes(), ..Lost::default() };
        }
        held
    }

    /// Messages that a subscription's queue holds: what its end would cost now.
    pub(crate) fn held_in(&self, filter: &Filter, session: SessionId) -> u64 {
        let depth = self.filters.get(filter, session).map(|queue| queue.depth());
        depth.map_or(0, |depth| depth.queued() + depth.poison)
    }

    /// Messages that a session's queues hold: what its end would cost now.
    pub(crate) fn held_by(&self, session: SessionId) -> u64 {
        let board = self.bus.board();
        let Some(row) = board.sessions.get(&session) else { return 0 };
        row.subscriptions.iter().map(|filter| self.held_in(filter, session)).sum()
    }

    /// How often a session has been attached, if it is there.
    pub(crate) fn epoch_of(&self, session: SessionId) -> Option<Epoch> {
        self.bus.board().sessions.get(&session).map(|row| row.epoch)
    }

    pub(crate) fn name_rules(&self) -> NameRules {
        NameRules { max_bytes: self.config.topics.max_name_bytes, max_levels: self.config.topics.max_levels }
    }

    /// Now, as an instant that pure code takes.
    pub(crate) fn now() -> std::time::Instant {
        Instant::now().into_std()
    }

    pub(crate) fn sample(&self) -> BrokerSample {
        let stats = &self.stats;
        BrokerSample {
            published: stats.published.get(),
            delivered: stats.delivered.get(),
            publish_rate: 0,
            deliver_rate: 0,
            dropped: stats.dropped.get(),
            held_bytes: self.memory.used(),
            ingress_bytes: self.ingress.used(),
            refused: stats.refused_connections.get(),
            refused_registrations: stats.refused_registrations.get(),
            stale: stats.stale.get(),
            casts: stats.casts.get(),
        }
    }
}

/// Casts `message` and counts it. Gives it back if the actor has ended.
pub(crate) fn tell<M: Message>(stats: &Stats, actor: &ActorRef<M>, message: M) -> Result<(), M> {
    stats.casts.add(1);
    match actor.cast(message) {
        Err(MessagingErr::SendErr(message)) => Err(message),
        // A reference is typed, so the message always fits the mailbox.
        Ok(()) | Err(MessagingErr::ChannelClosed | MessagingErr::InvalidActorType) => Ok(()),
    }
}
