//! The price of an order: what it destroys, what it keeps, what follows from it. Counted from the board, again with
//! all news while a dialog is open, and sent along as the order's precondition.

use cordboard::{
    Board,
    board::Course,
    control::Precondition,
    events::Depth,
    name::{Epoch, Filter, Principal, SessionId, SubscriptionId, TopicName},
    reload::Preview,
};

use super::{
    deed::Deed,
    subject::Subject,
    text::{bytes, count, counted, fit, left, safe},
};

/// Columns that a target may take: the buttons below it must stay in sight.
const TARGET: usize = 240;
/// Topics that a side effect names; the rest is counted.
const NAMED: usize = 2;

/// What a deed costs, as the board says now.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Price {
    /// There is nothing left to do it to.
    pub(crate) gone: bool,
    /// What it is done to, in one line.
    pub(crate) target: String,
    /// What is destroyed.
    pub(crate) destroyed: String,
    /// What is not.
    pub(crate) kept: String,
    /// What follows from it.
    pub(crate) side: Vec<String>,
    /// Messages lost.
    pub(crate) loss: u64,
    /// The session's epoch.
    pub(crate) epoch: Option<Epoch>,
    /// Whether the session's client is connected.
    pub(crate) attached: Option<bool>,
}

impl Price {
    /// What `deed` would cost on `board`.
    pub(crate) fn of(deed: &Deed, board: &Board) -> Self {
        match deed {
            Deed::Evict(id) => evict(board, *id),
            Deed::Drop(id) => drop_connection(board, *id),
            Deed::Kill(topic) => kill(board, topic),
            Deed::Purge(id) => purge(board, id),
            Deed::Redeliver(id) => redeliver(board, id),
            Deed::ForbidTopic(topic) => forbid_topic(board, topic),
            Deed::ForbidPrincipal(principal) => forbid_principal(board, principal),
            Deed::StopAccepting => stop_accepting(board),
            Deed::Reload(preview) => reload(board, preview),
            Deed::Drain => drain(board),
            Deed::ShutDown => shut_down(board),
        }
    }

    /// What its operator wants to be still so.
    pub(crate) fn precondition(&self, deed: &Deed) -> Precondition {
        Precondition { epoch: self.epoch, loss: deed.control().destroys().then_some(self.loss) }
    }

    /// What is different from what was seen `before`.
    pub(crate) fn changed_since(&self, before: &Self) -> Vec<String> {
        let mut changes = Vec::new();
        if self.gone && !before.gone {
            return vec!["it is gone: nothing is left to do".to_owned()];
        }
        match self.loss.cmp(&before.loss) {
            std::cmp::Ordering::Greater => changes.push(format!("+{} to be lost", counted(self.loss - before.loss, "message"))),
            std::cmp::Ordering::Less if !self.gone => {
                changes.push(format!("{} fewer to be lost", counted(before.loss - self.loss, "message")));
            }
            _ => {}
        }
        match (before.attached, self.attached) {
            (Some(false), Some(true)) => changes.push("its client has come back".to_owned()),
            (Some(true), Some(false)) => changes.push("its client has gone".to_owned()),
            (Some(true), Some(true)) if before.epoch != self.epoch => changes.push("its client has connected anew".to_owned()),
            _ => {}
        }
        changes
    }

    fn gone(deed: &str) -> Self {
        Self { gone: true, target: format!("{deed}: no longer there"), ..Self::default() }
    }
}

/// `the session, 3 subscriptions, 1,204 queued, 38 poison messages (1.9 MiB)`: things, and what they hold if they do.
fn with_messages(things: String, depth: &Depth) -> String {
    if depth.queued() + depth.poison == 0 { things } else { format!("{things}, {}", messages(depth)) }
}

/// `1,204 queued, 38 poison messages (1.9 MiB)`
fn messages(depth: &Depth) -> String {
    let queued = depth.queued();
    match (queued, depth.poison) {
        (_, 0) => format!("{} ({})", counted(queued, "queued message"), bytes(depth.bytes)),
        (0, _) => format!("{} ({})", counted(depth.poison, "poison message"), bytes(depth.bytes)),
        (_, _) => format!("{} queued, {} poison messages ({})", count(queued), count(depth.poison), bytes(depth.bytes)),
    }
}

fn evict(board: &Board, id: SessionId) -> Price {
    let Some(row) = board.sessions.get(&id) else { return Price::gone(&id.short()) };
    let (attached, subs) = (row.is_attached(), row.subscriptions.len() as u64);
    let state = if attached { "attached" } else { "detached" };
    let mut side = last_subscriber(board, id, row.subscriptions.iter());
    if attached {
        side.push("its client is told, and does not come back by itself".to_owned());
    }
    Price {
        gone: false,
        target: format!("{} {}  {}  {state}", id.short(), safe(&row.client), row.peer),
        destroyed: with_messages(format!("the session, {}", counted(subs, "subscription")), &row.depth),
        kept: "topics, their other subscriptions, what was acknowledged".to_owned(),
        side,
        loss: row.depth.queued() + row.depth.poison,
        epoch: Some(row.epoch),
        attached: Some(attached),
    }
}

/// Topics that have no other exact subscriber than `id`.
fn last_subscriber<'a>(board: &Board, id: SessionId, filters: impl Iterator<Item = &'a Filter>) -> Vec<String> {
    let mut names = Vec::new();
    for topic in filters.filter_map(Filter::exact) {
        let alone = board.topics.get(&topic).is_some_and(|row| row.subscribers.len() == 1 && row.subscribers.contains(&id));
        if alone {
            names.push(safe(&topic));
        }
    }
    if names.is_empty() {
        return Vec::new();
    }
    let more = names.len().saturating_sub(NAMED) as u64;
    let (verb, tail) =
        if names.len() == 1 { ("loses", String::new()) } else { ("lose", format!(" and {}", counted(more, "more topic"))) };
    let first = names.into_iter().take(NAMED).collect::<Vec<_>>().join(", ");
    vec![format!("{first}{} {verb} the LAST exact subscriber", if more == 0 { "" } else { &tail })]
}

fn drop_connection(board: &Board, id: SessionId) -> Price {
    let Some(row) = board.sessions.get(&id) else { return Price::gone(&id.short()) };
    if !row.is_attached() {
        return Price { epoch: Some(row.epoch), attached: Some(false), ..Price::gone(&format!("connection of {}", id.short())) };
    }
    Price {
        gone: false,
        target: format!("{} {}  {}", id.short(), safe(&row.client), row.peer),
        destroyed: "the connection, nothing else".to_owned(),
        kept: with_messages(format!("the session, {}", counted(row.subscriptions.len() as u64, "subscription")), &row.depth),
        side: vec![format!("its reclaim timer starts: {} to come back", left(row.reclaim_ms))],
        loss: 0,
        epoch: Some(row.epoch),
        attached: Some(true),
    }
}

fn kill(board: &Board, topic: &TopicName) -> Price {
    let Some(row) = board.topics.get(topic) else { return Price::gone(&safe(topic)) };
    let backlog = row.sample.as_ref().map_or(0, |sample| sample.backlog);
    let subs = row.subscribers.len() as u64;
    let behind = if backlog == 0 { String::new() } else { format!(", a backlog of {}", count(backlog)) };
    let mut side = vec!["the next publish to it creates it anew".to_owned()];
    if subs > 0 {
        side.push(format!(
            "{} told 410 and not subscribed again",
            if subs == 1 { "1 client is".into() } else { format!("{} clients are", count(subs)) }
        ));
    }
    Price {
        gone: false,
        target: format!("{}  {}", safe(topic), counted(subs, "exact subscription")),
        destroyed: with_messages(format!("the topic, {}", counted(subs, "exact subscription")), &row.depth) + &behind,
        kept: "sessions; what subscriptions with wildcards hold".to_owned(),
        side,
        loss: row.depth.queued() + row.depth.poison + backlog,
        epoch: None,
        attached: None,
    }
}

/// A kill, and what follows; it need not be there.
fn forbid_topic(board: &Board, topic: &TopicName) -> Price {
    let mut side = vec![
        "publishers and subscribers hear 403 until it is allowed (F)".to_owned(),
        "in memory: allowed again when the process ends".to_owned(),
    ];
    let killed = kill(board, topic);
    if killed.gone {
        let kept = "everything: there is no such topic now".to_owned();
        let gone = board.forbidden.topics.contains_key(topic);
        return Price { gone, target: safe(topic), destroyed: "nothing".to_owned(), kept, side, ..Price::default() };
    }
    side.extend(killed.side.into_iter().skip(1).map(|told| told.replace("410 and not subscribed again", "403")));
    Price { side, ..killed }
}

fn forbid_principal(board: &Board, principal: &Principal) -> Price {
    let mut depth = Depth::default();
    let mut sessions = 0;
    for row in board.sessions.values().filter(|row| row.principal == *principal) {
        sessions += 1;
        depth.waiting += row.depth.queued();
        depth.poison += row.depth.poison;
        depth.bytes += row.depth.bytes;
    }
    let mut side = vec!["it cannot register (403) until it is allowed (F)".to_owned()];
    if principal.is_local() {
        side.push("there are no users: EVERYONE is local, and nobody can connect".to_owned());
    }
    side.push("in memory: allowed again when the process ends".to_owned());
    Price {
        gone: board.forbidden.principals.contains_key(principal),
        target: format!("user {}  {}", safe(principal), counted(sessions, "session")),
        destroyed: with_messages(counted(sessions, "session"), &depth),
        kept: "topics, and what others hold".to_owned(),
        side,
        loss: depth.queued() + depth.poison,
        ..Price::default()
    }
}

fn whose(board: &Board, id: &SubscriptionId) -> String {
    Subject::Subscription(id.clone()).label(board)
}

fn purge(board: &Board, id: &SubscriptionId) -> Price {
    let Some(row) = board.subscriptions.get(id) else { return Price::gone(&whose(board, id)) };
    let depth = &row.depth;
    let loss = depth.waiting + depth.poison;
    Price {
        gone: false,
        target: whose(board, id),
        destroyed: format!("{} waiting and {} poison messages", count(depth.waiting), count(depth.poison)),
        kept: format!("the subscription; {} in flight", count(depth.in_flight)),
        side: Vec::new(),
        loss,
        ..Price::default()
    }
}

fn redeliver(board: &Board, id: &SubscriptionId) -> Price {
    let Some(row) = board.subscriptions.get(id) else { return Price::gone(&whose(board, id)) };
    if row.depth.poison == 0 {
        return Price::gone(&format!("poison of {}", whose(board, id)));
    }
    Price {
        target: whose(board, id),
        destroyed: "nothing".to_owned(),
        kept: format!("{}, put back at the tail of the queue", counted(row.depth.poison, "poison message")),
        side: vec!["they come out of order, marked redelivered, with all attempts anew".to_owned()],
        ..Price::default()
    }
}

fn stop_accepting(board: &Board) -> Price {
    let broker = &board.broker;
    Price {
        gone: !broker.accepting,
        target: broker.endpoints.iter().map(ToString::to_string).collect::<Vec<_>>().join(" "),
        destroyed: "nothing".to_owned(),
        kept: format!("{} and everything else", counted(board.listeners.len() as u64, "open connection")),
        side: vec![
            "new connections are refused; a client that is cut off cannot come back".to_owned(),
            format!("{} detached, and will be reclaimed in time", counted(broker.detached, "session")),
        ],
        ..Price::default()
    }
}

/// What other users and rights cost those who are here.
fn reload(board: &Board, preview: &Preview) -> Price {
    let price = preview.price(board);
    let mut ends = Vec::new();
    if price.sessions > 0 {
        ends.push(format!("{} of users who are gone", counted(price.sessions, "session")));
    }
    if price.subscriptions > 0 {
        ends.push(format!("{} no longer allowed", counted(price.subscriptions, "subscription")));
    }
    if price.loss > 0 {
        ends.push(counted(price.loss, "message"));
    }
    let mut side = Vec::new();
    if price.narrowed > 0 {
        let held = if price.at_risk == 0 { String::new() } else { format!(", of {} held", counted(price.at_risk, "message")) };
        side.push(format!("{} may show less from now on; what they may not goes{held}", counted(price.narrowed, "subscription")));
    }
    if preview.changes.passwords.count > 0 {
        side.push("who is connected with an old password stays connected".to_owned());
    }
    side.extend(preview.changes.of_restart().map(|keys| safe(&keys)));
    Price {
        target: fit(&preview.changes.of_users().join("; "), TARGET),
        destroyed: if ends.is_empty() { "nothing".to_owned() } else { ends.join(", ") },
        kept: "all other sessions, with their rights as they are then".to_owned(),
        side,
        loss: price.loss + price.at_risk,
        ..Price::default()
    }
}

/// Everybody goes, and nothing that they hold does, for as long as their timers run.
fn drain(board: &Board) -> Price {
    let broker = &board.broker;
    Price {
        gone: broker.course != Course::Serving,
        target: format!("{} pid {}", safe(&broker.host), broker.pid),
        destroyed: "nothing now".to_owned(),
        kept: with_messages(counted(board.sessions.len() as u64, "session"), &broker.depth),
        side: vec![
            format!(
                "{} told 503 and closed, after publishers have their receipts",
                counted(board.listeners.len() as u64, "connection")
            ),
            "sessions are detached: their timers run, and nobody can come back before A accepts again".to_owned(),
        ],
        ..Price::default()
    }
}

/// What the end of the broker costs: everything is in memory.
fn shut_down(board: &Board) -> Price {
    let depth = &board.broker.depth;
    let backlog: u64 = board.topics.values().filter_map(|row| row.sample.as_ref()).map(|sample| sample.backlog).sum();
    let behind = if backlog == 0 { String::new() } else { format!(", {} in backlogs", count(backlog)) };
    Price {
        target: format!("{} pid {}", safe(&board.broker.host), board.broker.pid),
        destroyed: with_messages(counted(board.sessions.len() as u64, "session"), depth) + &behind,
        kept: "nothing: queues are in memory".to_owned(),
        side: vec![format!(
            "{} told, and drained first",
            match board.listeners.len() {
                1 => "1 connection is".to_owned(),
                open => format!("{} connections are", count(open as u64)),
            }
        )],
        loss: depth.queued() + depth.poison + backlog,
        ..Price::default()
    }
}
