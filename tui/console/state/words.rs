//! The broker's enumerations in the operator's words, and an event in one line.

use cordboard::{
    control::{Control, Order, OrderRecord, Outcome},
    events::{Action, CloseReason, DropReason, Event, Lost, StopPhase, SubscriptionEnd, SubscriptionState},
    peek::Place,
};

use super::{
    departed::{because, ending},
    text::{clock, count, counted, safe},
};

/// Why a connection closed.
pub(crate) fn close_reason(why: CloseReason) -> &'static str {
    match why {
        CloseReason::Disconnected => "client said goodbye",
        CloseReason::PeerClosed => "peer closed",
        CloseReason::Reset => "connection reset",
        CloseReason::KeepAliveMissed => "keep-alive missed",
        CloseReason::Stalled => "stalled: it read nothing",
        CloseReason::ProtocolError => "protocol error",
        CloseReason::RegistrationTimeout => "no registration in time",
        CloseReason::Refused => "registration refused",
        CloseReason::Displaced => "displaced by another connection",
        CloseReason::SessionEnded => "session ended",
        CloseReason::Dropped => "dropped by an operator",
        CloseReason::ShuttingDown => "shutting down",
        CloseReason::Failed => "its actor failed",
    }
}

/// Why messages were dropped.
pub(crate) fn drop_reason(why: DropReason) -> &'static str {
    match why {
        DropReason::QueueFull => "queue full",
        DropReason::PoisonFull => "poison list full",
        DropReason::BacklogFull => "backlog full",
        DropReason::Expired => "expired",
        DropReason::MemoryFull => "memory full",
        DropReason::RightWithdrawn => "right withdrawn",
    }
}

/// What was refused.
pub(crate) fn action(action: Action) -> &'static str {
    match action {
        Action::Publish => "publish to",
        Action::Subscribe => "subscribe to",
        Action::Create => "create",
        Action::Operate => "operate on",
    }
}

/// What a subscriber does.
pub(crate) fn subscription_state(state: SubscriptionState) -> &'static str {
    match state {
        SubscriptionState::Parked => "parked",
        SubscriptionState::Draining => "draining",
        SubscriptionState::Live => "live",
    }
}

fn subscription_end(why: SubscriptionEnd) -> &'static str {
    match why {
        SubscriptionEnd::Unsubscribed => "unsubscribed",
        SubscriptionEnd::SessionEnded => "session ended",
        SubscriptionEnd::TopicKilled => "topic killed",
        SubscriptionEnd::RightWithdrawn => "right withdrawn",
        SubscriptionEnd::Failed => "failed too often",
    }
}

/// How far a drain or a shutdown is.
pub(crate) fn stop_phase(phase: StopPhase, left: u64) -> String {
    match phase {
        StopPhase::StopAccepting => "nothing more is taken in".to_owned(),
        StopPhase::Receipts if left == 0 => "no receipt is held".to_owned(),
        StopPhase::Receipts => format!("waiting for {}", counted(left, "receipt")),
        StopPhase::Goodbyes => format!("saying goodbye to {}", counted(left, "connection")),
        StopPhase::Stopping => "stopping".to_owned(),
    }
}

/// Where a message was when it was looked at.
pub(crate) fn place(place: Place) -> &'static str {
    match place {
        Place::InFlight => "in flight",
        Place::Waiting => "waiting",
        Place::Poison => "poison",
        Place::Backlog => "backlog",
    }
}

/// How an order ended.
pub(crate) fn outcome(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Done { lost } => format!("done, {}", lost_messages(lost)),
        Outcome::PutBack { messages } => format!("done, {} put back", counted(*messages, "message")),
        Outcome::Seen { peek } => format!("done, {} looked at", counted(peek.messages.len() as u64, "message")),
        Outcome::AlreadyGone => "already gone".to_owned(),
        Outcome::Cancelled { by } => format!("cancelled by {}", safe(by)),
        Outcome::Refused { why } => format!("refused: {}", safe(why)),
        Outcome::Unknown => "no answer; look whether it was done".to_owned(),
    }
}

/// `nothing lost`, `88 messages lost`
pub(crate) fn lost_messages(lost: &Lost) -> String {
    if lost.is_nothing() { "nothing lost".to_owned() } else { format!("{} lost", counted(lost.messages(), "message")) }
}

/// How loudly an event is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Level {
    /// The daily coming and going.
    Quiet,
    /// Worth knowing.
    Notice,
    /// Something was refused, ended or slowed.
    Warning,
    /// Something failed or was lost.
    Bad,
}

impl Level {
    /// As it is written in a filter.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Quiet => "quiet",
            Self::Notice => "notice",
            Self::Warning => "warn",
            Self::Bad => "bad",
        }
    }
}

/// An event's name and how loudly it is told.
pub(crate) fn name(event: &Event) -> (&'static str, Level) {
    use Level::{Bad, Notice, Quiet, Warning};
    match event {
        Event::BrokerStarted { .. } => ("broker.started", Notice),
        Event::EndpointOpened { .. } => ("endpoint.opened", Notice),
        Event::Accepting { on: true } => ("accepting.on", Notice),
        Event::Accepting { on: false } => ("accepting.off", Warning),
        Event::ConfigurationRead { .. } => ("configuration.read", Notice),
        Event::Draining { .. } => ("broker.draining", Warning),
        Event::StopPhase { .. } => ("broker.stop_phase", Notice),
        Event::Drained => ("broker.drained", Warning),
        Event::Stopped { failed: Some(_), .. } => ("broker.failed", Bad),
        Event::Stopped { failed: None, .. } => ("broker.stopped", Warning),
        Event::ListenerOpened { .. } => ("listener.opened", Quiet),
        Event::ListenerRegistered { .. } => ("listener.registered", Quiet),
        Event::ListenerClosed { .. } => ("listener.closed", Quiet),
        Event::ListenerFailed { .. } => ("listener.failed", Bad),
        Event::RegistrationRefused { .. } => ("registration.refused", Warning),
        Event::SessionCreated { .. } => ("session.created", Notice),
        Event::SessionAttached { .. } => ("session.attached", Notice),
        Event::SessionDetached { .. } => ("session.detached", Notice),
        Event::SessionHeld { .. } => ("session.held", Notice),
        Event::SessionTimerSet { .. } => ("session.timer_set", Notice),
        Event::SessionEnded { lost, .. } => ("session.ended", if lost.is_nothing() { Notice } else { Bad }),
        Event::TopicCreated { .. } => ("topic.created", Notice),
        Event::TopicKilled { .. } => ("topic.killed", Warning),
        Event::TopicForgotten { .. } => ("topic.forgotten", Quiet),
        Event::TopicRestarted { .. } => ("topic.restarted", Bad),
        Event::TopicForbidden { .. } => ("topic.forbidden", Warning),
        Event::TopicAllowed { .. } => ("topic.allowed", Notice),
        Event::PrincipalForbidden { .. } => ("principal.forbidden", Warning),
        Event::PrincipalAllowed { .. } => ("principal.allowed", Notice),
        Event::BacklogOverflowed { .. } => ("backlog.overflowed", Bad),
        Event::SubscriptionCreated { .. } => ("subscription.created", Notice),
        Event::SubscriptionParked { .. } => ("subscription.parked", Quiet),
        Event::SubscriptionDraining { .. } => ("subscription.draining", Quiet),
        Event::SubscriptionDrained { .. } => ("subscription.drained", Quiet),
        Event::SubscriptionOverflowed { .. } => ("subscription.overflow", Bad),
        Event::SubscriptionPoisoned { .. } => ("subscription.poisoned", Bad),
        Event::SubscriptionRestarted { .. } => ("subscription.restarted", Bad),
        Event::SubscriptionPurged { .. } => ("subscription.purged", Warning),
        Event::SubscriptionEnded { lost, .. } => ("subscription.ended", if lost.is_nothing() { Notice } else { Bad }),
        Event::RightRefused { .. } => ("right.refused", Warning),
        Event::ManagerFailed { .. } => ("manager.failed", Bad),
        Event::ManagersRestarted { .. } => ("managers.restarted", Bad),
        Event::LimitHit { .. } => ("limit.hit", Warning),
        Event::Order(record) if is_failed_reload(record) => ("order", Bad),
        Event::OrderDelayed { .. } => ("order.waits", Notice),
        Event::Order(record) => ("order", if record.order.control.destroys() { Warning } else { Notice }),
        Event::Sample(_) => ("sample", Quiet),
    }
}

/// A configuration that was not taken: who changed it believes that it holds.
pub(crate) fn is_failed_reload(record: &OrderRecord) -> bool {
    matches!((&record.order.control, &record.outcome), (Control::Reload { .. }, Outcome::Refused { .. }))
}

/// What an event says beside its name and its subject.
pub(crate) fn detail(event: &Event) -> String {
    match event {
        Event::BrokerStarted { version, pid, host, users, .. } => {
            format!("{} pid {pid} version {} users {users}", safe(host), safe(version))
        }
        Event::EndpointOpened { address } => address.to_string(),
        Event::ConfigurationRead { by, changes, .. } => format!("by {}: {changes}", safe(by)),
        Event::Draining { deadline, ends } => {
            format!("until {}{}", clock(deadline.wall), if *ends { ", then it ends" } else { "" })
        }
        Event::StopPhase { phase, left } => stop_phase(*phase, *left),
        Event::Stopped { lost, failed: Some(why) } => format!("{}; {}", safe(why), lost_messages(lost)),
        Event::Stopped { lost, failed: None } => lost_messages(lost),
        Event::ListenerOpened { id, peer } => format!("{id} {peer}"),
        Event::ListenerRegistered { id, .. } => id.to_string(),
        Event::ListenerClosed { id, why } => format!("{id} {}", close_reason(*why)),
        Event::ListenerFailed { id, why } => format!("{id} {}", safe(why)),
        Event::RegistrationRefused { id, peer, code, why, .. } => format!("{id} {peer} {code} {}", safe(why)),
        Event::RightRefused { principal, action: what, name, .. } => {
            format!("{} may not {} {}", safe(principal), action(*what), safe(name))
        }
        Event::ManagerFailed { manager, why } => format!("{}: {}", safe(manager), safe(why)),
        Event::ManagersRestarted { restarts, lost } => format!("restart {restarts}, {}", lost_messages(lost)),
        Event::LimitHit { limit, who, times } => format!("{} by {}, {}", safe(limit), safe(who), counted(*times, "time")),
        Event::OrderDelayed { number, order, due } => format!("{number}: {} until {}", asked(order), clock(due.wall)),
        Event::Order(record) => format!("{}: {}", asked(&record.order), outcome(&record.outcome)),
        Event::PrincipalForbidden { principal, by, why } => format!("{} {}", safe(principal), by_whom(by, why)),
        Event::PrincipalAllowed { principal, by } => format!("{} {}", safe(principal), by_whom(by, "")),
        event => session_detail(event).or_else(|| topic_detail(event)).unwrap_or_default(),
    }
}

/// `evict session 9f3c… by ana "OPS-114"`
fn asked(order: &Order) -> String {
    format!("{} {} {}", order.control.verb(), target(&order.control), by_whom(&order.operator, &order.reason))
}

/// What an order is about, with ids as the lists show them.
fn target(control: &Control) -> String {
    match control {
        Control::EvictSession { session }
        | Control::DropConnection { session }
        | Control::HoldSession { session }
        | Control::ExtendSession { session, .. } => session.short(),
        Control::Purge { subscription: id }
        | Control::Redeliver { subscription: id }
        | Control::PeekQueue { subscription: id, .. } => format!("{} of {}", safe(&id.filter), id.session.short()),
        // Its verb says already that it is an order.
        Control::Cancel { number } => number.to_string(),
        _ => safe(control.target()),
    }
}

fn by_whom(by: &str, why: &str) -> String {
    let why = if why.is_empty() { String::new() } else { format!(" \"{}\"", safe(why)) };
    format!("by {}{why}", safe(by))
}

fn session_detail(event: &Event) -> Option<String> {
    Some(match event {
        Event::SessionCreated { peer, principal, .. } => format!("{peer} as {}", safe(principal)),
        Event::SessionAttached { peer, epoch, takeover, .. } => {
            format!("{peer} epoch {epoch}{}", if *takeover { ", took over" } else { "" })
        }
        Event::SessionDetached { why, deadline, .. } => format!("{}, reclaim at {}", close_reason(*why), clock(deadline.wall)),
        Event::SessionHeld { by, .. } => format!("by {}", safe(by)),
        Event::SessionTimerSet { deadline, by, .. } => format!("reclaim at {} by {}", clock(deadline.wall), safe(by)),
        Event::SessionEnded { why, lost, .. } => format!("{}, {}{}", ending(why), lost_messages(lost), because(why)),
        _ => return None,
    })
}

fn topic_detail(event: &Event) -> Option<String> {
    Some(match event {
        Event::TopicCreated { by, .. } => format!("by {}", safe(by)),
        Event::TopicKilled { by, lost, .. } | Event::SubscriptionPurged { by, lost, .. } => {
            format!("by {}, {}", safe(by), lost_messages(lost))
        }
        Event::TopicForbidden { by, why, .. } => by_whom(by, why),
        Event::TopicAllowed { by, .. } => by_whom(by, ""),
        Event::TopicRestarted { restarts, why, .. } | Event::SubscriptionRestarted { restarts, why, .. } => {
            format!("restart {restarts}: {}", safe(why))
        }
        Event::BacklogOverflowed { dropped, why, .. } | Event::SubscriptionOverflowed { dropped, why, .. } => {
            format!("{} dropped, {}", count(*dropped), drop_reason(*why))
        }
        Event::SubscriptionDraining { held, .. } => format!("{} held", count(*held)),
        Event::SubscriptionPoisoned { number, attempts, .. } => {
            format!("message {} after {}", count(*number), counted(u64::from(*attempts), "attempt"))
        }
        Event::SubscriptionEnded { why, lost, .. } => format!("{}, {}", subscription_end(*why), lost_messages(lost)),
        _ => return None,
    })
}
