//! Facts on what the rooms beside sessions and topics show: connections, actors, orders.

use cordboard::{control::Outcome, events::ActorName};

use super::{
    State,
    deed::Deed,
    facts::{Line, Saying, text},
    price::Price,
    tables::{
        actors::{Health, Leaf, Member, Node},
        audit::{Course, Ordered},
        listeners::{Listener, Pace},
    },
    text::{age, bytes, clock, clock_millis, count, counted, left, safe},
};

impl State {
    /// The lines on a connection. Its two orders stand beside each other, each with what it leaves.
    pub(crate) fn listener_facts(&self, listener: &Listener<'_>) -> Vec<Line> {
        let row = listener.row;
        let socket = format!("{}   connection {}   open for {}", row.peer, listener.id, listener.age());
        if let Some(ended) = listener.ended {
            return vec![("closed", Saying::Loud(ended.last_word(self.shown().now))), ("was", text(socket))];
        }
        let Some((id, session)) = listener.session else {
            let state = match row.session {
                Some(id) => Saying::Loud(format!("its session {} has ended, and it closes", id.short())),
                None => registration(listener),
            };
            return vec![("socket", text(socket)), ("state", state)];
        };
        let (read, written) = listener.rates();
        let price = Price::of(&Deed::Evict(id), &self.shown().board);
        let whose = format!(
            "{} {}   user {}   {}   Enter opens it",
            id.short(),
            listener.client(),
            safe(&session.principal),
            counted(session.subscriptions.len() as u64, "sub")
        );
        vec![
            ("socket", text(socket)),
            ("flow", text(format!("{}/s in   {}/s out", bytes(read), bytes(written)))),
            ("waits", waits(listener)),
            ("session", text(whose)),
            ("D drops", text(format!("the connection: the session lives, its {} timer starts", left(session.reclaim_ms)))),
            ("x evicts", text(format!("the session: it ends, and so does this; {} lost", count(price.loss)))),
        ]
    }

    /// The lines on what the tree's cursor is on.
    pub(crate) fn node_facts(&self, node: &Node) -> Vec<Line> {
        match node {
            Node::Actor(actor) => self.actor_facts(actor),
            Node::Group(leaf) => {
                let ends = match leaf {
                    Leaf::Topic | Leaf::Subscriber => format!("restarted, {}", allowed(self.shown().board.broker.terms.leaf)),
                    Leaf::Session | Leaf::Listener => "never restarted: it ends, and its client comes back".to_owned(),
                };
                vec![
                    ("actors", text(counted(leaf.count(self.shown()) as u64, leaf.word()))),
                    ("parent", text(leaf.manager().kind())),
                    ("failing", text(ends)),
                ]
            }
        }
    }

    /// The lines on an actor.
    pub(crate) fn actor_facts(&self, actor: &ActorName) -> Vec<Line> {
        let model = self.shown();
        let member = Member::of(model, actor);
        let parent = Node::Actor(actor.clone()).parent();
        let parent = match parent {
            None => "none: it is the root".to_owned(),
            Some(Node::Group(leaf)) => leaf.manager().kind().to_owned(),
            Some(Node::Actor(parent)) => parent.kind().to_owned(),
        };
        let (state, loud) = match member.health() {
            Health::Running => (format!("running for {}", member.age()), false),
            Health::Busy { message, seconds } => (format!("in {} for {seconds}s", safe(message)), true),
            Health::Restarted(ago) => (format!("failed and restarted {} ago", age(ago)), true),
            Health::Failed(ago) => (format!("failed {} ago and is gone", age(ago)), true),
        };
        let restarts = match member.restarts() {
            Some((count, allowance)) => format!("{count} of {}", allowed(allowance)),
            None if *actor == ActorName::Broker => "never: the process ends with it".to_owned(),
            None => "never: it ends, and its client comes back".to_owned(),
        };
        let mut lines = vec![
            ("state", if loud { Saying::Loud(state) } else { text(state) }),
            ("parent", text(parent)),
            ("restarts", text(restarts)),
        ];
        let (when, how) = match member.last_failure() {
            Some(failure) => {
                let ago = age(failure.at.up.until(model.now.up).as_millis() as u64);
                (text(format!("{}, {ago} ago", clock(failure.at.wall))), Some(safe(failure.why)))
            }
            None => (text("never, as far as is remembered"), None),
        };
        lines.push(("failed", when));
        lines.extend(how.map(|how| ("how", Saying::Loud(how))));
        lines
    }
}

/// The whole record of an order, what is asked first first.
pub(crate) fn order_facts(row: &Ordered<'_>) -> Vec<Line> {
    let order = row.order;
    let (on, target) = (row.on(), safe(order.control.target()));
    let on = if on == target { on } else { format!("{on}   {target}") };
    let reason = if order.reason.is_empty() { "none given".to_owned() } else { safe(&order.reason) };
    let mut lines = vec![("order", text(format!("{}   {}", count(row.number), order.control.verb()))), ("on", text(on))];
    lines.extend(row.about().map(|about| ("whose", text(format!("user {}   {}", safe(&about.principal), about.peer)))));
    lines.extend([("by", text(safe(&order.operator))), ("why", text(reason))]);
    lines.extend(end_facts(row));
    lines.push(("given", text(format!("{}Z   up {}", clock_millis(row.given.wall), age(row.given.up.0)))));
    if let Course::Ended(record) = row.course {
        let (before, after) = record.queued;
        lines.push(("ended", text(format!("{}Z", clock_millis(record.ended.wall)))));
        lines.push(("queued", text(format!("{} in the whole broker before, {} after", count(before), count(after)))));
    }
    let seen = order.precondition;
    let seen = [
        seen.epoch.map(|epoch| format!("epoch {epoch}")),
        seen.loss.map(|loss| format!("{} to be lost", counted(loss, "message"))),
    ];
    let seen: Vec<_> = seen.into_iter().flatten().collect();
    if !seen.is_empty() {
        lines.push(("seen", text(format!("{}: else it is refused", seen.join(", ")))));
    }
    if order.delay_ms > 0 {
        lines.push(("delay", text(format!("{}, in which it can be stopped", age(order.delay_ms)))));
    }
    lines
}

/// How much of its time to register a connection has taken.
fn registration(listener: &Listener<'_>) -> Saying {
    let taken = match listener.pace() {
        Pace::Registering(millis) => millis,
        Pace::Closed | Pace::Stuck(_) | Pace::Behind | Pace::Fine => 0,
    };
    let limit = listener.terms.registration_ms;
    Saying::Loud(format!("not registered for {}, closed at {}; there is no session yet", age(taken), age(limit)))
}

/// What waits for a connection's client, loudly if that is for its slowness.
fn waits(listener: &Listener<'_>) -> Saying {
    let (waits, queued, in_flight) = (bytes(listener.waits()), count(listener.queued()), count(listener.in_flight()));
    let messages = format!("{in_flight} in flight, {queued} waiting");
    match listener.pace() {
        Pace::Stuck(millis) => {
            let limit = age(listener.terms.stall_ms);
            Saying::Loud(format!("{waits}, nothing taken for {} of {limit}   {messages}", age(millis)))
        }
        Pace::Behind => Saying::Loud(format!("{waits}   {messages}: more than a second's worth")),
        Pace::Closed | Pace::Registering(_) | Pace::Fine => text(format!("{waits}   {messages}")),
    }
}

/// How an order ended, and what it cost.
fn end_facts(row: &Ordered<'_>) -> Vec<Line> {
    let record = match row.course {
        Course::Waits(due) => return vec![("waits", Saying::Loud(format!("until {}, {}", clock(due.wall), row.end())))],
        Course::Ended(record) => record,
    };
    let end = row.end();
    let mut lines = vec![("outcome", if row.word() == "done" { text(end) } else { Saying::Loud(end) })];
    if let Outcome::Done { lost } = &record.outcome
        && !lost.is_nothing()
    {
        let parts = [(lost.queued, "queued"), (lost.poison, "poison"), (lost.backlog, "backlog")];
        let parts: Vec<_> = parts.iter().filter(|(n, _)| *n > 0).map(|(n, what)| format!("{} {what}", count(*n))).collect();
        lines.push(("cost", Saying::Loud(format!("{} ({})", parts.join(", "), bytes(lost.bytes)))));
    }
    lines
}

/// `3 in 1m, then it is given up`
fn allowed(allowance: cordboard::events::Allowance) -> String {
    format!("{} in {}, then it is given up", allowance.restarts, age(allowance.window_ms))
}
