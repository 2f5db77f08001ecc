//! Orders that were given and have not shown their effect yet, and the line that says how the last one ended.
//!
//! A row says `evicting…` until the event says that it is gone; that the gate answered is not enough (I8).

use cordboard::{
    Board,
    board::WaitingOrder,
    clock::{Moment, Uptime},
    control::{Control, Outcome},
    name::Epoch,
};

use super::{
    subject::Subject,
    text::{count, left, safe},
};

/// How long a word stays on the status line.
const SAID_MS: u64 = 8_000;
/// How long a bad one does.
const WARNED_MS: u64 = 20_000;

/// An order that was given.
#[derive(Debug, Clone)]
pub(crate) struct Given {
    /// Its number.
    pub(crate) ticket: u64,
    /// What it is about.
    pub(crate) subject: Subject,
    /// What its operator called that.
    pub(crate) label: String,
    /// What it asks for.
    pub(crate) control: Control,
    /// The gate's answer.
    pub(crate) outcome: Option<Outcome>,
    was: Was,
}

/// What must change on the board for the order to have shown its effect.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Was {
    Session(Option<Epoch>),
    Attached(Option<Epoch>),
    Topic(Option<Moment>),
    Nothing,
}

impl Was {
    fn of(control: &Control, board: &Board) -> Self {
        match control {
            Control::EvictSession { session } => Self::Session(board.sessions.get(session).map(|row| row.epoch)),
            Control::DropConnection { session } => {
                Self::Attached(board.sessions.get(session).filter(|row| row.is_attached()).map(|row| row.epoch))
            }
            Control::KillTopic { topic } => Self::Topic(board.topics.get(topic).map(|row| row.created)),
            Control::ForbidTopic { topic } => Self::Topic(board.topics.get(topic).map(|row| row.created)),
            _ => Self::Nothing,
        }
    }

    /// True while the board is still as it was. A session id is never used twice, so an evicted one need only be there; a
    /// topic of the same name may be a new one.
    fn is_still(&self, control: &Control, board: &Board) -> bool {
        match (self, Self::of(control, board)) {
            (Self::Session(_), Self::Session(now)) => now.is_some(),
            (Self::Attached(Some(before)), Self::Attached(now)) => now == Some(*before),
            (Self::Topic(Some(before)), Self::Topic(now)) => now == Some(*before),
            _ => false,
        }
    }
}

impl Given {
    /// An order that is being given now.
    pub(crate) fn new(ticket: u64, subject: Subject, label: String, control: Control, board: &Board) -> Self {
        let was = Was::of(&control, board);
        Self { ticket, subject, label, control, outcome: None, was }
    }

    /// True while its row should say that it is under way.
    pub(crate) fn is_under_way(&self, board: &Board) -> bool {
        match &self.outcome {
            None => true,
            Some(Outcome::Done { .. }) => self.was.is_still(&self.control, board),
            Some(
                Outcome::PutBack { .. }
                | Outcome::Seen { .. }
                | Outcome::AlreadyGone
                | Outcome::Cancelled { .. }
                | Outcome::Refused { .. }
                | Outcome::Unknown,
            ) => false,
        }
    }

    /// What its row says meanwhile.
    pub(crate) fn word(&self) -> &'static str {
        match self.control {
            Control::EvictSession { .. } => "evicting…",
            Control::DropConnection { .. } => "dropping…",
            Control::HoldSession { .. } => "holding…",
            Control::ExtendSession { .. } => "extending…",
            Control::KillTopic { .. } => "killing…",
            Control::Purge { .. } => "purging…",
            Control::Redeliver { .. } => "redelivering…",
            Control::ForbidTopic { .. } | Control::ForbidPrincipal { .. } => "forbidding…",
            Control::AllowTopic { .. } | Control::AllowPrincipal { .. } => "allowing…",
            Control::PeekQueue { .. } | Control::PeekBacklog { .. } => "looking…",
            Control::Accept { .. } => "asking…",
            Control::Reload { .. } => "reading…",
            Control::Drain => "draining…",
            Control::Shutdown => "shutting down…",
            Control::Cancel { .. } => "cancelling…",
        }
    }
}

/// What the status line says of the orders that wait out their delay, the next one in full.
pub(crate) fn waiting(board: &Board, now: Moment) -> Option<String> {
    let next = board.waiting_orders.values().min_by_key(|waiting| waiting.due)?;
    let about = match &next.order.control {
        Control::ForbidPrincipal { principal } | Control::AllowPrincipal { principal } => safe(principal),
        control => Subject::of_control(control).label(board),
    };
    let more = match board.waiting_orders.len() {
        1 => String::new(),
        all => format!("; {} more wait", count(all as u64 - 1)),
    };
    Some(format!("{} {about} in {}: u stops it{more}", next.order.control.verb(), left(until(next, now))))
}

/// What the row of `subject` says if an order about it waits.
pub(crate) fn waits(board: &Board, subject: &Subject, now: Moment) -> Option<String> {
    let (_, waiting) = waiting_for(board, subject)?;
    let verb = waiting.order.control.verb().split(' ').next().unwrap_or_default();
    Some(format!("{verb} in {}", left(until(waiting, now))))
}

/// The order about `subject` that waits, if there is one: the first to be carried out.
pub(crate) fn waiting_for<'a>(board: &'a Board, subject: &Subject) -> Option<(u64, &'a WaitingOrder)> {
    let its = board.waiting_orders.iter().filter(|(_, waiting)| Subject::of_control(&waiting.order.control) == *subject);
    its.min_by_key(|(_, waiting)| waiting.due).map(|(number, waiting)| (*number, waiting))
}

fn until(waiting: &WaitingOrder, now: Moment) -> u64 {
    now.up.until(waiting.due.up).as_millis() as u64
}

/// How something is said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tone {
    /// It went well.
    Good,
    /// For your information.
    Plain,
    /// It did not.
    Bad,
}

/// The status line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Status {
    /// What it says.
    pub(crate) text: String,
    /// How.
    pub(crate) tone: Tone,
    /// It answers a key, and means nothing any more once another one is pressed.
    pub(crate) answers_key: bool,
    since: Uptime,
}

impl Status {
    /// Says `text` to a key, now.
    pub(crate) fn answer(text: impl Into<String>, tone: Tone, now: Moment) -> Self {
        Self { text: text.into(), tone, answers_key: true, since: now.up }
    }

    /// Says `text`, now, whatever is pressed meanwhile: nobody has to stop typing to read how an order ended.
    pub(crate) fn report(text: impl Into<String>, tone: Tone, now: Moment) -> Self {
        Self { answers_key: false, ..Self::answer(text, tone, now) }
    }

    /// True once it has been said long enough.
    pub(crate) fn is_over(&self, now: Moment) -> bool {
        let stay = if self.tone == Tone::Bad { WARNED_MS } else { SAID_MS };
        self.since.until(now.up).as_millis() as u64 >= stay
    }
}
