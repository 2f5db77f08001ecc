//! The model: the broker as the console knows it, folded from its events and from nothing else.
//!
//! It is the board, and beside it what the board does not remember: the last minute's figures, rows that just ended, the
//! log, and what went wrong. Pausing is keeping a clone of it.

use std::sync::Arc;

use cordboard::{
    Board,
    clock::Moment,
    events::{Event, Sample, Stamped},
    name::TopicName,
};
use imbl::OrdMap;

use super::{
    attention::{Attention, assess},
    departed::Departed,
    growth::Growth,
    incidents::Incidents,
    log::Log,
    series::Series,
};

/// How well the console hears the broker.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Hearing {
    /// Events that have happened and are not in the model yet.
    pub(crate) lag: u64,
    /// Events that were gone before they could be read.
    pub(crate) lost: u64,
    /// When the board was fetched anew for it.
    pub(crate) resynced: Option<Moment>,
}

/// The broker's own figures over the last minute.
#[derive(Debug, Clone, Default)]
pub(crate) struct Flow {
    /// Messages accepted a second.
    pub(crate) published: Series,
    /// Messages written a second.
    pub(crate) delivered: Series,
    /// Messages that wait or are in flight.
    pub(crate) queued: Series,
    /// Dead letters.
    pub(crate) dead: Series,
}

/// The broker as the console knows it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Model {
    /// The moment that it is shown at.
    pub(crate) now: Moment,
    /// What is so.
    pub(crate) board: Board,
    /// Orders are refused at the gate.
    pub(crate) read_only: bool,
    /// How much of what happened is in it.
    pub(crate) hearing: Hearing,
    /// What flowed.
    pub(crate) flow: Flow,
    /// Rows that ended lately.
    pub(crate) departed: Departed,
    /// What went wrong lately.
    pub(crate) incidents: Incidents,
    /// Dead letters that grow.
    pub(crate) growth: Growth,
    /// What happened lately.
    pub(crate) log: Log,
    /// What needs attention, worst first.
    pub(crate) attention: Vec<Attention>,
    /// How much of it there is in all.
    pub(crate) attention_total: usize,
    /// Connections that have not registered yet.
    pub(crate) registering: usize,
    topics: OrdMap<TopicName, Series>,
}

impl Model {
    /// True once the broker has said anything.
    pub(crate) fn is_known(&self) -> bool {
        self.board.number > 0
    }

    /// Takes one event. One that is in the board already (it came with a snapshot) changes nothing.
    pub(crate) fn take(&mut self, stamped: &Arc<Stamped>) {
        if stamped.number <= self.board.number {
            return;
        }
        self.departed.note(&self.board, stamped);
        self.log.push(&self.board, stamped);
        self.incidents.note(stamped);
        self.board.apply(stamped);
        match &stamped.event {
            Event::Sample(sample) => self.sample(stamped.at, sample),
            Event::SubscriptionEnded { id, .. } | Event::SubscriptionDraining { id, .. } | Event::SubscriptionDrained { id } => {
                self.growth.forget(id);
            }
            Event::TopicKilled { topic, .. } | Event::TopicForgotten { topic } => {
                self.topics.remove(topic);
            }
            Event::BrokerStarted { .. } | Event::ManagersRestarted { .. } => self.forget_rows(),
            _ => {}
        }
    }

    /// Some events were missed: their sum is in `board`, what they were is not known.
    pub(crate) fn resync(&mut self, at: Moment, board: Board, lost: u64) {
        self.board = board;
        self.hearing.lost += lost;
        self.hearing.resynced = Some(at);
        self.forget_rows();
    }

    /// The board that the console starts from.
    pub(crate) fn start(&mut self, board: Board) {
        self.board = board;
    }

    fn forget_rows(&mut self) {
        (self.topics, self.growth) = (OrdMap::new(), Growth::default());
    }

    fn sample(&mut self, at: Moment, sample: &Sample) {
        let second = at.up.0 / 1_000;
        if let Some(figures) = sample.broker {
            self.flow.published.record_rate(second, figures.publish_rate);
            self.flow.delivered.record_rate(second, figures.deliver_rate);
        }
        self.flow.queued.record_level(second, self.board.broker.depth.queued());
        self.flow.dead.record_level(second, self.board.broker.dead_letters);
        for figures in &sample.topics {
            self.topics.entry(figures.topic.clone()).or_default().record_rate(second, figures.publish_rate);
        }
        for figures in &sample.subscriptions {
            if self.board.sessions.get(&figures.id.session).is_some_and(|row| !row.is_attached()) {
                self.growth.record(&figures.id, at, figures.depth.queued());
            }
        }
    }

    /// Time has passed; true if rows went with it.
    pub(crate) fn pass(&mut self, now: Moment) -> bool {
        self.now = now;
        self.growth.expire(now);
        let troubles = self.incidents.expire(now);
        self.departed.expire(now) || troubles
    }

    /// Looks anew at what needs attention.
    pub(crate) fn assess(&mut self) {
        (self.attention, self.attention_total) = assess(self);
        self.registering = self.board.listeners.values().filter(|row| row.session.is_none()).count();
    }

    fn second(&self) -> u64 {
        self.now.up.0 / 1_000
    }

    /// Messages accepted a second by a topic, now.
    pub(crate) fn topic_rate(&self, topic: &TopicName) -> u64 {
        self.topics.get(topic).map_or(0, |series| series.rate(self.second()))
    }

    /// Messages accepted a second by a topic, over the last minute.
    pub(crate) fn topic_rates(&self, topic: &TopicName) -> Vec<u64> {
        self.topics.get(topic).map_or_else(Vec::new, |series| series.rates(self.second()))
    }

    /// The broker's rates over the last minute: accepted, written.
    pub(crate) fn broker_rates(&self) -> [Vec<u64>; 2] {
        [self.flow.published.rates(self.second()), self.flow.delivered.rates(self.second())]
    }

    /// The broker's rates now: accepted, written.
    pub(crate) fn broker_rate(&self) -> [u64; 2] {
        [self.flow.published.rate(self.second()), self.flow.delivered.rate(self.second())]
    }
}
