//! Facts: what is known of one object, as labelled lines. The detail and the page of an object show the same ones.

use cordboard::events::Depth;

use super::{
    State,
    deed::Deed,
    departed::Ended,
    orders,
    page::LOOKED_AT,
    price::Price,
    room_facts::order_facts,
    subject::Subject,
    tables::{
        audit::Ordered,
        listeners::Listener,
        sessions::{Fate, Session},
        subscriptions::Subscription,
        topics::Topic,
    },
    text::{age, bytes, clock, clock_millis, count, counted, left, safe},
};

/// What a labelled line says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Saying {
    /// Text.
    Text(String),
    /// Text that should not be missed.
    Loud(String),
    /// A timer: milliseconds left of so many, and when it ends.
    Timer {
        /// Left.
        left: u64,
        /// In all.
        full: u64,
        /// When it ends.
        ends: String,
    },
    /// A minute's rates.
    Rates(Vec<u64>),
}

/// A labelled line.
pub(crate) type Line = (&'static str, Saying);

pub(super) fn text(text: impl Into<String>) -> Saying {
    Saying::Text(text.into())
}

impl State {
    /// The lines on `subject`; none if it is not there.
    pub(crate) fn facts(&self, subject: &Subject) -> Vec<Line> {
        match subject {
            Subject::Session(id) => {
                Session::find(self.shown(), *id).map_or_else(Vec::new, |session| self.session_facts(&session))
            }
            Subject::Topic(topic) => Topic::find(self.shown(), topic).map_or_else(Vec::new, |topic| self.topic_facts(&topic)),
            Subject::Subscription(id) => {
                Subscription::find(self.shown(), id).map_or_else(Vec::new, |row| self.subscription_facts(&row))
            }
            Subject::Listener(id) => {
                Listener::find(self.shown(), *id).map_or_else(Vec::new, |listener| self.listener_facts(&listener))
            }
            Subject::Order(number) => Ordered::find(self.shown(), *number).map_or_else(Vec::new, |row| order_facts(&row)),
            Subject::Actor(actor) => self.actor_facts(actor),
            Subject::Broker => Vec::new(),
        }
    }

    /// True if `subject` is shown only because it has just ended.
    pub(crate) fn is_over(&self, subject: &Subject) -> bool {
        let departed = &self.shown().departed;
        match subject {
            Subject::Session(id) => departed.sessions.contains_key(id),
            Subject::Topic(topic) => departed.topics.contains_key(topic),
            Subject::Listener(id) => departed.listeners.contains_key(id),
            Subject::Subscription(_) | Subject::Order(_) | Subject::Actor(_) | Subject::Broker => false,
        }
    }

    /// What is being done to `subject` now.
    pub(crate) fn under_way(&self, subject: &Subject) -> Option<String> {
        let given = || self.given.iter().find(|given| given.subject == *subject).map(|given| given.word().to_owned());
        orders::waits(&self.live.board, subject, self.clock).or_else(given)
    }

    /// The event under the cursor, in full: its lines, and what it says.
    pub(crate) fn event_facts(&self) -> Option<(Vec<Line>, String)> {
        let entry = self.shown().log.get(*self.events.cursor()?)?;
        let stamped = entry.stamped();
        let mut lines = vec![
            ("event", text(format!("{}   {}", entry.name(), entry.level().word()))),
            ("number", text(count(stamped.number))),
            ("time", text(format!("{}Z   up {}", clock_millis(stamped.at.wall), age(stamped.at.up.0)))),
        ];
        if let Some(subject) = entry.subject() {
            let about = entry.about();
            let about = if about.is_empty() { subject.label_in(self.shown()) } else { about };
            lines.push(("about", text(format!("{about}   Enter opens it"))));
        }
        Some((lines, entry.text()))
    }

    fn session_facts(&self, session: &Session<'_>) -> Vec<Line> {
        let row = session.row;
        let client =
            format!("user {}   {}   epoch {}   {} old", safe(&row.principal), session.peer(usize::MAX), row.epoch, session.age());
        if let Some(ended) = session.ended {
            return self.last_facts(ended, client);
        }
        let (since, why) = session.since();
        let price = Price::of(&Deed::Evict(session.id), &self.shown().board);
        let state = format!("{}   {} {}", session.state().to_uppercase(), clock(since.wall), why);
        let mut lines = vec![
            ("state", if row.is_attached() { text(state) } else { Saying::Loud(state) }),
            ("reclaim", timer(session)),
            ("client", text(client)),
            ("holds", text(holds(&row.depth))),
            ("flow", text(format!("{}/s in   {}/s out", count(row.publish_rate), count(row.deliver_rate)))),
        ];
        if !price.gone {
            let side =
                price.side.first().filter(|side| side.contains("LAST")).map(|side| format!("; {side}")).unwrap_or_default();
            lines.push((
                "if ended",
                text(format!(
                    "{} lost, {} gone{side}",
                    counted(price.loss, "message"),
                    counted(row.subscriptions.len() as u64, "subscription")
                )),
            ));
        }
        lines
    }

    fn topic_facts(&self, topic: &Topic<'_>) -> Vec<Line> {
        let row = topic.row;
        let restarts = counted(u64::from(row.restarts), "restart");
        let made = format!("{} ago by {}   {restarts}", topic.age(), safe(&row.by));
        if let Some(ended) = topic.ended {
            return self.last_facts(ended, made);
        }
        let backlog = row.sample.as_ref().map_or(0, |sample| sample.backlog_bytes);
        let last =
            topic.last_publish().map_or_else(|| "never published to".to_owned(), |_| format!("last {} ago", topic.quiet_for()));
        let matched = match topic.matched() {
            Some(matched) => format!("{} at the last publish, wildcards too", count(matched)),
            None => "not known before the first publish".to_owned(),
        };
        let matched = match self.shown().board.subscriptions.len() {
            ..=LOOKED_AT => matched,
            _ => format!("{matched} (below: of the first {})", count(LOOKED_AT as u64)),
        };
        let price = Price::of(&Deed::Kill(topic.name.clone()), &self.shown().board);
        let exact = counted(row.subscribers.len() as u64, "exact subscription");
        vec![
            ("made", text(made)),
            ("match", text(format!("{matched}   backlog {} ({})", count(topic.backlog()), bytes(backlog)))),
            ("exact", text(format!("{} subs: {}", count(row.subscribers.len() as u64), holds(&row.depth)))),
            ("flow", text(format!("{}/s published   {}/s fanned out   {}", count(topic.rate()), count(topic.fan_out()), last))),
            ("60 s", Saying::Rates(topic.rates())),
            ("if killed", text(format!("{} lost, {exact} gone", counted(price.loss, "message")))),
        ]
    }

    /// What is left to say of what has ended. What it held until then is in what was lost, not beside it.
    fn last_facts<Row>(&self, ended: &Ended<Row>, was: String) -> Vec<Line> {
        vec![("ended", Saying::Loud(ended.end(self.shown().now))), ("lost", Saying::Loud(ended.loss())), ("was", text(was))]
    }

    fn subscription_facts(&self, row: &Subscription<'_>) -> Vec<Line> {
        let depth = &row.row.depth;
        let whose = match Session::find(self.shown(), row.id.session) {
            Some(session) => match session.fate() {
                Fate::Reclaim { left: remaining, .. } => format!("detached, {} left", left(remaining)),
                Fate::Held(by) => format!("HELD by {by}"),
                Fate::Live => "attached".to_owned(),
                Fate::Ended(epitaph) => epitaph,
            },
            None => "gone".to_owned(),
        };
        let dropped = format!("{} so far", counted(depth.dropped, "message"));
        let filter = match self.shown().board.topics.len() {
            LOOKED_AT.. if row.id.filter.exact().is_none() => {
                format!("{}   topics below: of the first {}", row.filter(), count(LOOKED_AT as u64))
            }
            _ => row.filter(),
        };
        vec![
            ("filter", text(filter)),
            ("session", text(format!("{} {}   {whose}", row.id.session.short(), row.client()))),
            ("state", text(format!("{}   {} old   {}", row.state(), row.age(), counted(u64::from(row.row.restarts), "restart")))),
            ("holds", text(holds(depth))),
            (
                "dead",
                text(format!(
                    "{} for a client that is away   {}/s out",
                    counted(row.dead(), "message"),
                    count(row.row.deliver_rate)
                )),
            ),
            ("dropped", if depth.dropped > 0 { Saying::Loud(dropped) } else { text(dropped) }),
        ]
    }
}

fn holds(depth: &Depth) -> String {
    let Depth { waiting, in_flight, poison, .. } = depth;
    format!("{} waiting   {} in flight   {} poison   {}", count(*waiting), count(*in_flight), count(*poison), bytes(depth.bytes))
}

fn timer(session: &Session<'_>) -> Saying {
    match session.fate() {
        Fate::Reclaim { left, full } => {
            let ends = session.deadline().map(|deadline| clock(deadline.wall)).unwrap_or_default();
            Saying::Timer { left, full, ends }
        }
        Fate::Held(by) => Saying::Loud(format!("HELD by {by}: the timer stands still; + lets it run")),
        Fate::Ended(epitaph) => Saying::Loud(epitaph),
        Fate::Live => text(format!("no timer; {} once its client is gone", left(session.row.reclaim_ms))),
    }
}
