//! What needs the operator's attention, worst first: rules over the board and over what went wrong lately.
//!
//! Every line says what and why, and leads to the object. A rule speaks of what is so, or of what an event said; it never
//! guesses at a cause.

use cordboard::{board::Attachment, events::CloseReason};

use super::{
    incidents::Trouble,
    model::Model,
    subject::Subject,
    text::{age, bytes, count, count as number, counted, left, safe, whole_parts, width},
};

/// The most lines that are made; the rest is counted.
const MOST: usize = 200;
/// A reclaim is soon from here on.
const SOON_MS: u64 = 60_000;
/// A reclaim is very soon from here on.
pub(crate) const VERY_SOON_MS: u64 = 30_000;
/// A client that took nothing for so long is worth a line.
const STUCK_MS: u64 = 2_000;
/// An actor in one message for so long cannot wait.
const BUSY_S: u64 = 5;
/// Refusals in the remembered time that make a burst.
const BURST: u64 = 10;

impl Attention {
    /// What is so, without what an error or a key says to it.
    pub(crate) fn gist(&self) -> &str {
        whole_parts(whole_parts(&self.what, "; ", 0), ": ", 0)
    }

    /// As much of what is so as fits in `columns`; at least its gist.
    pub(crate) fn why(&self, columns: usize) -> &str {
        let parts = whole_parts(&self.what, "; ", columns);
        if width(parts) <= columns { parts } else { self.gist() }
    }
}

/// The rules, worst first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Rule {
    /// No users are configured and an address is reachable from outside.
    NoUsers,
    /// The broker is shutting down, or takes no connections.
    NotAccepting,
    /// The configuration was changed and not taken.
    Configuration,
    /// Messages were dropped.
    MessagesLost,
    /// A session with messages is about to be reclaimed.
    ReclaimSoon,
    /// Dead letters grow.
    DeadLettersGrow,
    /// An actor is in one message for long.
    Busy,
    /// An actor was restarted.
    Restarted,
    /// An actor failed and is gone.
    Failed,
    /// Messages were given up.
    Poison,
    /// A client stopped reading.
    Stalled,
    /// A topic is published to and nobody listens.
    NoSubscriber,
    /// A bound was reached.
    Limit,
    /// Registrations or rights are refused in bursts.
    Refusals,
}

impl Rule {
    /// Its name on the screen.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::NoUsers => "no users",
            Self::NotAccepting => "not accepting",
            Self::Configuration => "not reloaded",
            Self::MessagesLost => "messages lost",
            Self::ReclaimSoon => "reclaim soon",
            Self::DeadLettersGrow => "DLQ growing",
            Self::Restarted => "restarted",
            Self::Failed => "actor failed",
            Self::Busy => "busy",
            Self::Poison => "poison",
            Self::Stalled => "stalled",
            Self::NoSubscriber => "no subscriber",
            Self::Limit => "limit hit",
            Self::Refusals => "refused",
        }
    }
}

/// One line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Attention {
    /// Cannot wait.
    pub(crate) urgent: bool,
    /// Which rule fired.
    pub(crate) rule: Rule,
    /// On what.
    pub(crate) subject: Subject,
    /// What and why.
    pub(crate) what: String,
}

/// Everything that needs attention now, worst first, and how much there is in all.
pub(crate) fn assess(model: &Model) -> (Vec<Attention>, usize) {
    let mut lines = Vec::new();
    broker(model, &mut lines);
    actors(model, &mut lines);
    sessions(model, &mut lines);
    listeners(model, &mut lines);
    topics(model, &mut lines);
    dead_letters(model, &mut lines);
    poison(model, &mut lines);
    incidents(model, &mut lines);
    lines.sort_by(|a, b| b.urgent.cmp(&a.urgent).then_with(|| (a.rule, &a.subject).cmp(&(b.rule, &b.subject))));
    let total = lines.len();
    lines.truncate(MOST);
    (lines, total)
}

fn broker(model: &Model, lines: &mut Vec<Attention>) {
    let broker = &model.board.broker;
    let mut say = |rule, what: String| lines.push(Attention { urgent: true, rule, subject: Subject::Broker, what });
    if let (0, Some(open)) = (broker.users, broker.endpoints.iter().find(|address| !address.ip().is_loopback())) {
        say(Rule::NoUsers, format!("everyone who reaches {open} is let in; configure users"));
    }
    if let Some(deadline) = broker.draining {
        let remaining = left(model.now.up.until(deadline.up).as_millis() as u64);
        say(Rule::NotAccepting, format!("draining, {remaining} left; clients are told to go"));
    } else if !broker.accepting && model.is_known() {
        say(Rule::NotAccepting, "new connections are refused; A takes them again".to_owned());
    }
}

fn sessions(model: &Model, lines: &mut Vec<Attention>) {
    for (id, row) in &model.board.sessions {
        let Attachment::Detached { deadline, held_by, why, since } = &row.attachment else { continue };
        let remaining = model.now.up.until(deadline.up).as_millis() as u64;
        let queued = row.depth.queued() + row.depth.poison;
        if held_by.is_none() && remaining <= SOON_MS && queued > 0 {
            let (time, messages) = (left(remaining), count(queued));
            lines.push(Attention {
                urgent: remaining <= VERY_SOON_MS,
                rule: Rule::ReclaimSoon,
                subject: Subject::Session(*id),
                what: format!("{time} left, {messages} to lose; H holds"),
            });
        }
        if *why == CloseReason::Stalled {
            let ago = age(since.up.until(model.now.up).as_millis() as u64);
            lines.push(Attention {
                urgent: false,
                rule: Rule::Stalled,
                subject: Subject::Session(*id),
                what: format!("read nothing and was cut off {ago} ago"),
            });
        }
    }
}

/// Who is in one message for long may soon be called hung.
fn actors(model: &Model, lines: &mut Vec<Attention>) {
    for busy in model.board.busy.values().flatten() {
        lines.push(Attention {
            urgent: busy.seconds >= BUSY_S,
            rule: Rule::Busy,
            subject: Subject::Actor(busy.actor.clone()),
            what: format!("in {} for {}s; 6 shows it", safe(&busy.message), busy.seconds),
        });
    }
}

/// Clients that take nothing of what waits for them.
fn listeners(model: &Model, lines: &mut Vec<Attention>) {
    let limit = model.board.broker.terms.stall_ms;
    for (id, row) in &model.board.listeners {
        let Some(since) = row.stuck else { continue };
        let millis = since.up.until(model.now.up).as_millis() as u64;
        if millis >= STUCK_MS {
            let waits = row.sample.map_or(0, |sample| sample.outbound_bytes);
            lines.push(Attention {
                urgent: millis >= limit / 2,
                rule: Rule::Stalled,
                subject: Subject::Listener(*id),
                what: format!("took nothing for {} of {}; {} wait", age(millis), age(limit), bytes(waits)),
            });
        }
    }
}

fn topics(model: &Model, lines: &mut Vec<Attention>) {
    for (topic, row) in &model.board.topics {
        let Some(sample) = &row.sample else { continue };
        let rate = model.topic_rate(topic);
        if rate > 0 && sample.matched == 0 && row.subscribers.is_empty() {
            lines.push(Attention {
                urgent: false,
                rule: Rule::NoSubscriber,
                subject: Subject::Topic(topic.clone()),
                what: format!("{}/s published; {} in the backlog", count(rate), count(sample.backlog)),
            });
        }
    }
}

fn dead_letters(model: &Model, lines: &mut Vec<Attention>) {
    for (id, before) in model.growth.minute_ago(model.now) {
        let Some(row) = model.board.subscriptions.get(id) else { continue };
        let now = row.depth.queued();
        if now > before {
            lines.push(Attention {
                urgent: false,
                rule: Rule::DeadLettersGrow,
                subject: Subject::Subscription(id.clone()),
                what: format!("{} -> {} in 60 s", count(before), count(now)),
            });
        }
    }
}

/// For as long as it is there, whenever it came.
fn poison(model: &Model, lines: &mut Vec<Attention>) {
    for (id, row) in model.board.subscriptions.iter().filter(|(_, row)| row.depth.poison > 0) {
        lines.push(Attention {
            urgent: false,
            rule: Rule::Poison,
            subject: Subject::Subscription(id.clone()),
            what: format!("{} given up; set aside", counted(row.depth.poison, "message")),
        });
    }
}

fn incidents(model: &Model, lines: &mut Vec<Attention>) {
    for (trouble, subject, incident) in model.incidents.iter() {
        let ago = age(incident.last.up.until(model.now.up).as_millis() as u64);
        let (count, why) = (incident.count, &incident.why);
        let (urgent, rule, what) = match trouble {
            Trouble::Dropped => (true, Rule::MessagesLost, format!("{} dropped {ago} ago: {why}", number(count))),
            Trouble::Restarted => {
                let is_manager = matches!(subject, Subject::Actor(_));
                (is_manager, Rule::Restarted, format!("{} {ago} ago: {why}", counted(count, "failure")))
            }
            Trouble::Failed => (false, Rule::Failed, format!("{ago} ago: {why}")),
            Trouble::Limit => (false, Rule::Limit, format!("{why}: {} {ago} ago", counted(count, "time"))),
            Trouble::Registrations if count >= BURST => {
                (false, Rule::Refusals, format!("{} {ago} ago: {why}", counted(count, "registration")))
            }
            Trouble::Rights if count >= BURST => (false, Rule::Refusals, format!("{} {ago} ago: {why}", counted(count, "right"))),
            Trouble::Configuration => (true, Rule::Configuration, format!("{ago} ago {why}")),
            Trouble::Registrations | Trouble::Rights => continue,
        };
        lines.push(Attention { urgent, rule, subject: subject.clone(), what });
    }
}
