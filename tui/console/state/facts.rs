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
    text::{BETWEEN, age, bytes, clock, clock_millis, count, counted, left, safe, width, wrap},
};

/// Columns of a label.
pub(crate) const LABEL: u16 = 11;

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

/// The lines for `columns` and `rows`: what is too long goes on below itself, the first first, as long as each has its line.
pub(crate) fn fold(facts: Vec<Line>, columns: u16, rows: u16) -> Vec<Line> {
    let mut spare = usize::from(rows).saturating_sub(facts.len());
    let columns = usize::from(columns.saturating_sub(LABEL));
    let mut lines = Vec::new();
    for (label, saying) in facts {
        let (said, again): (_, fn(String) -> Saying) = match saying {
            Saying::Text(said) => (said, Saying::Text),
            Saying::Loud(said) => (said, Saying::Loud),
            figure => {
                lines.push((label, figure));
                continue;
            }
        };
        let mut parts = parts(&said, columns);
        if parts.len() > spare + 1 {
            let rest = parts.split_off(spare).join(" ");
            parts.push(rest);
        }
        spare -= parts.len() - 1;
        let labels = std::iter::once(label).chain(std::iter::repeat(""));
        lines.extend(labels.zip(parts.into_iter().map(again)));
    }
    lines
}

/// What a fact says in lines of `columns`: three blanks stand between its parts, and it is folded there first.
fn parts(said: &str, columns: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for part in said.split(BETWEEN) {
        match lines.last_mut() {
            Some(line) if width(line) + BETWEEN.len() + width(part) <= columns => line.extend([BETWEEN, part]),
            _ => lines.extend(wrap(part, columns)),
        }
    }
    lines
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
        ];
        // Nothing flows where there is no client, and what its end costs has the line.
        if row.is_attached() {
            lines.push(("flow", text(format!("{}/s in   {}/s out", count(row.publish_rate), count(row.deliver_rate)))));
        }
        if !price.gone {
            let side =
                price.side.first().filter(|side| side.contains("LAST")).map(|side| format!("; {side}")).unwrap_or_default();
            let subs = row.subscriptions.len() as u64;
            let ends = if side.is_empty() {
                format!("{} lost, {} gone", counted(price.loss, "message"), counted(subs, "subscription"))
            } else {
                format!("{} lost, {} gone{side}", count(price.loss), counted(subs, "sub"))
            };
            lines.push(("if ended", text(ends)));
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

#[cfg(test)]
mod tests {
    use super::*;

    fn folded(said: &str, columns: u16, rows: u16) -> Vec<(&'static str, String)> {
        let facts = vec![("a", text(said)), ("b", Saying::Rates(vec![1]))];
        let lines = fold(facts, LABEL + columns, rows).into_iter();
        lines.filter_map(|(label, saying)| if let Saying::Text(said) = saying { Some((label, said)) } else { None }).collect()
    }

    /// Every fact has its line before one has two, and the last line of one that has too few holds all the rest.
    #[test]
    fn a_fact_is_folded_as_far_as_there_are_rows() {
        let said = "3 subs: 9 waiting   57 poison   14.7 MiB";
        let line = |label, said: &str| (label, said.to_owned());
        assert_eq!(folded(said, 40, 9), [line("a", said)]);
        assert_eq!(folded(said, 30, 9), [line("a", "3 subs: 9 waiting   57 poison"), line("", "14.7 MiB")]);
        assert_eq!(
            folded(said, 12, 9),
            [line("a", "3 subs: 9"), line("", "waiting"), line("", "57 poison"), line("", "14.7 MiB")]
        );
        assert_eq!(folded(said, 12, 3), [line("a", "3 subs: 9"), line("", "waiting 57 poison 14.7 MiB")]);
        assert_eq!(folded(said, 12, 2), [line("a", "3 subs: 9 waiting 57 poison 14.7 MiB")]);
        assert_eq!(folded(said, 0, 0).len(), 1);
    }
}
