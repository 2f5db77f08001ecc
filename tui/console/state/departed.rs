//! Rows that have ended: shown for some seconds more, struck out, with the reason and what was lost, so that nothing
//! disappears from under the operator's eyes without a word.

use std::collections::BTreeMap;

use cordboard::{
    Board,
    board::{ListenerRow, SessionRow, TopicRow},
    clock::Moment,
    events::{Event, Lost, SessionEnd, Stamped},
    name::{ListenerId, SessionId, TopicName},
};

use super::{
    text::{age, bytes, clock, count, counted, safe},
    words::close_reason,
};

/// How long they stay.
const STAY_MS: u64 = 5_000;
/// At most so many: a thousand sessions that end at once are told by the log.
const MOST: usize = 200;

/// A row as it was when it ended.
#[derive(Debug, Clone)]
pub(crate) struct Ended<Row> {
    /// What it was.
    pub(crate) row: Row,
    /// When it ended.
    pub(crate) at: Moment,
    /// `reclaimed`, `evicted by ana`.
    why: String,
    lost: Lost,
    /// `: OPS-114`, or nothing.
    because: String,
}

impl<Row> Ended<Row> {
    /// `14:22:03Z   evicted by ana, 4s ago: OPS-114`
    pub(crate) fn end(&self, now: Moment) -> String {
        let ago = age(self.at.up.until(now.up).as_millis() as u64);
        format!("{}   {}, {ago} ago{}", clock(self.at.wall), self.why, self.because)
    }

    /// `88 messages: 81 queued, 7 poison (1.9 MiB)`: what the end cost, and it says so for good.
    pub(crate) fn loss(&self) -> String {
        let Lost { queued, poison, backlog, .. } = self.lost;
        if self.lost.is_nothing() {
            return "nothing".to_owned();
        }
        let parts = [(queued, "queued"), (poison, "poison"), (backlog, "in the backlog")];
        let parts: Vec<_> = parts.iter().filter(|(n, _)| *n > 0).map(|(n, what)| format!("{} {what}", count(*n))).collect();
        format!("{}: {} ({})", counted(self.lost.messages(), "message"), parts.join(", "), bytes(self.lost.bytes))
    }

    /// `peer closed, 4s ago`: of what never holds messages.
    pub(crate) fn last_word(&self, now: Moment) -> String {
        format!("{}, {} ago", self.why, age(self.at.up.until(now.up).as_millis() as u64))
    }

    /// `evicted by ana, 4s ago, 88 messages lost: OPS-114`. The reason last: it may be long, and its operator knows it.
    pub(crate) fn epitaph(&self, now: Moment) -> String {
        let ago = age(self.at.up.until(now.up).as_millis() as u64);
        let lost = if self.lost.is_nothing() { "nothing".to_owned() } else { counted(self.lost.messages(), "message") };
        format!("{}, {ago} ago, {lost} lost{}", self.why, self.because)
    }
}

/// The rows that ended lately.
#[derive(Debug, Clone, Default)]
pub(crate) struct Departed {
    /// Sessions.
    pub(crate) sessions: BTreeMap<SessionId, Ended<SessionRow>>,
    /// Topics.
    pub(crate) topics: BTreeMap<TopicName, Ended<TopicRow>>,
    /// Connections.
    pub(crate) listeners: BTreeMap<ListenerId, Ended<ListenerRow>>,
}

impl Departed {
    /// Keeps the row that `stamped` is about to remove from `board`, and lets go of one that is there again.
    pub(crate) fn note(&mut self, board: &Board, stamped: &Stamped) {
        let at = stamped.at;
        match &stamped.event {
            Event::SessionEnded { id, why, lost } => {
                if let (Some(row), true) = (board.sessions.get(id), self.sessions.len() < MOST) {
                    self.sessions
                        .insert(*id, Ended { row: row.clone(), at, why: ending(why), lost: *lost, because: because(why) });
                }
            }
            Event::ListenerClosed { id, why } => {
                if let (Some(row), true) = (board.listeners.get(id), self.listeners.len() < MOST) {
                    let (why, lost, because) = (close_reason(*why).to_owned(), Lost::default(), String::new());
                    self.listeners.insert(*id, Ended { row: row.clone(), at, why, lost, because });
                }
            }
            Event::TopicKilled { topic, by, lost } => {
                // What is forbidden is killed once the ban is known, and it is the ban that says by whom and why.
                let ended = match board.forbidden.topics.get(topic) {
                    Some(ban) if ban.why.is_empty() => (format!("forbidden by {}", safe(&ban.by)), String::new()),
                    Some(ban) => (format!("forbidden by {}", safe(&ban.by)), format!(": {}", safe(&ban.why))),
                    None => (format!("killed by {}", safe(by)), String::new()),
                };
                self.topic_ended(board, topic, at, ended, *lost);
            }
            Event::TopicForgotten { topic } => {
                self.topic_ended(board, topic, at, ("forgotten".to_owned(), String::new()), Lost::default());
            }
            Event::TopicCreated { topic, .. } => {
                self.topics.remove(topic);
            }
            _ => {}
        }
    }

    fn topic_ended(&mut self, board: &Board, topic: &TopicName, at: Moment, (why, because): (String, String), lost: Lost) {
        if let (Some(row), true) = (board.topics.get(topic), self.topics.len() < MOST) {
            self.topics.insert(topic.clone(), Ended { row: row.clone(), at, why, lost, because });
        }
    }

    /// Lets go of what has been shown long enough; true if there was any.
    pub(crate) fn expire(&mut self, now: Moment) -> bool {
        let before = self.len();
        let fresh = |at: Moment| (at.up.until(now.up).as_millis() as u64) < STAY_MS;
        self.sessions.retain(|_, ended| fresh(ended.at));
        self.topics.retain(|_, ended| fresh(ended.at));
        self.listeners.retain(|_, ended| fresh(ended.at));
        before != self.len()
    }

    fn len(&self) -> usize {
        self.sessions.len() + self.topics.len() + self.listeners.len()
    }
}

/// How a session ended, in words.
pub(crate) fn ending(why: &SessionEnd) -> String {
    match why {
        SessionEnd::Reclaimed => "reclaimed".to_owned(),
        SessionEnd::Evicted { by, .. } => format!("evicted by {}", safe(by)),
        SessionEnd::Ended => "ended by its client".to_owned(),
        SessionEnd::NoRoom => "ended, too many detached".to_owned(),
        SessionEnd::Failed { .. } => "failed".to_owned(),
    }
}

/// Why, if anyone has said it: to be put behind what was lost.
pub(crate) fn because(why: &SessionEnd) -> String {
    match why {
        SessionEnd::Evicted { why, .. } | SessionEnd::Failed { why } if !why.is_empty() => format!(": {}", safe(why)),
        SessionEnd::Evicted { .. }
        | SessionEnd::Failed { .. }
        | SessionEnd::Reclaimed
        | SessionEnd::Ended
        | SessionEnd::NoRoom => String::new(),
    }
}
