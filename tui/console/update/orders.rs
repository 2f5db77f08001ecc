//! Orders: from a key to the gate, and what the gate and the events say of them afterwards.
//!
//! Each is for the id that the cursor was on when its key was pressed. Those that cost something ask first; the others
//! carry the epoch that the operator saw, so that the gate refuses them if the client has come back meanwhile.

use cordboard::{
    board::{Attachment, SessionRow},
    control::{Control, Order, Outcome, Precondition},
    name::{SessionId, SubscriptionId},
    reload::Preview,
};

use super::{notice, report, say};
use crate::console::{
    keymap::Act,
    msg::Effect,
    state::{
        Modal, State,
        deed::Deed,
        dialog::{Dialog, Focus},
        forbidden::Banned,
        orders::{Given, Tone, waiting_for},
        peek::PeekPane,
        subject::Subject,
        text::safe,
        words::outcome as in_words,
    },
};

const READ_ONLY: &str = "read-only: orders are refused; r allows them";

/// How much time `+` gives.
const EXTENSION_MS: u64 = 5 * 60 * 1_000;

/// A key that orders something was pressed.
pub(super) fn ask(state: &mut State, act: Act) -> Option<Effect> {
    if state.live.read_only {
        say(state, READ_ONLY, Tone::Bad);
        return None;
    }
    match act {
        Act::Accepting => return accepting(state),
        Act::Reload => {
            state.notice = None;
            say(state, "reading the configuration…", Tone::Plain);
            return Some(Effect::Preview);
        }
        _ => {}
    }
    let subject = match act {
        Act::Redeliver | Act::Purge => state.subscription(),
        Act::Kill => state.subject(),
        _ => state.session().map(Subject::Session),
    };
    match (act, subject) {
        (Act::Evict, Some(Subject::Session(id))) => question(state, Deed::Evict(id)),
        (Act::Drop, Some(Subject::Session(id))) => question(state, Deed::Drop(id)),
        (Act::Kill, Some(Subject::Topic(topic))) => question(state, Deed::Kill(topic)),
        (Act::Purge, Some(Subject::Subscription(id))) => question(state, Deed::Purge(id)),
        (Act::Redeliver, Some(Subject::Subscription(id))) => redeliver(state, id),
        (Act::Hold, Some(Subject::Session(id))) => return timer(state, id, Control::HoldSession { session: id }),
        (Act::Extend, Some(Subject::Session(id))) => {
            return timer(state, id, Control::ExtendSession { session: id, by_ms: EXTENSION_MS });
        }
        (Act::Redeliver | Act::Purge, _) => say(state, "no subscription under the cursor", Tone::Plain),
        (Act::Kill, _) => say(state, "no topic under the cursor", Tone::Plain),
        _ => no_session(state),
    }
    None
}

/// Says why there is no session to give an order about.
fn no_session(state: &mut State) {
    let why = match state.subject() {
        Some(Subject::Listener(id)) if state.shown().board.listeners.contains_key(&id) => {
            "not registered: no session; its deadline closes it"
        }
        Some(Subject::Listener(_)) => "it has closed; 2 shows its session, if that lives",
        _ => "no session under the cursor",
    };
    say(state, why, Tone::Plain);
}

/// Dead letters are taken for poison by whoever sees them for the first time: they need no order.
fn redeliver(state: &mut State, id: SubscriptionId) {
    match state.live.board.subscriptions.get(&id) {
        Some(row) if row.depth.poison == 0 => {
            say(state, "no poison; dead letters go when their client returns", Tone::Plain);
        }
        _ => question(state, Deed::Redeliver(id)),
    }
}

/// Opens the dialog, unless there is nothing to ask about.
pub(super) fn question(state: &mut State, deed: Deed) {
    let dialog = Dialog::new(deed, &state.live.board);
    let asked = dialog.deed.control();
    if dialog.price.gone {
        say(state, dialog.price.target, Tone::Plain);
    } else if state.live.board.waiting_orders.values().any(|waiting| waiting.order.control == asked) {
        say(state, "that waits already; u stops it", Tone::Plain);
    } else if state.given.iter().any(|given| given.control == asked) {
        say(state, "that is under way already", Tone::Plain);
    } else {
        state.modal = Modal::Dialog(Box::new(dialog));
    }
}

/// The configuration was read: the dialog says what it would change, if it would.
pub(super) fn previewed(state: &mut State, preview: Result<Box<Preview>, String>) {
    match preview {
        Err(why) => notice(state, format!("not reloaded: {}", safe(&why))),
        Ok(preview) if !preview.changes.is_of_users() => {
            let restart = preview.changes.of_restart().map(|keys| format!("; {}", safe(&keys))).unwrap_or_default();
            report(state, format!("no user, password or right would change{restart}"), Tone::Plain);
        }
        Ok(preview) if matches!(state.modal, Modal::None) => {
            state.status = None;
            question(state, Deed::Reload(preview));
        }
        Ok(_) => report(state, "the configuration was read; L asks about it again", Tone::Plain),
    }
}

fn accepting(state: &mut State) -> Option<Effect> {
    if state.live.board.broker.accepting {
        question(state, Deed::StopAccepting);
        return None;
    }
    Some(at_once(state, Subject::Broker, Control::Accept { on: true }, Precondition::default()))
}

/// Ends a broker that has no clients but the demo's, as its question has said, without another one.
pub(super) fn end_demo(state: &mut State) -> Option<Effect> {
    if state.given.iter().any(|given| given.control == Control::Shutdown) {
        say(state, "that is under way already", Tone::Plain);
        return None;
    }
    Some(at_once(state, Subject::Broker, Control::Shutdown, Precondition::default()))
}

/// Hold and extend lose nothing and are done at once, if there is a timer.
fn timer(state: &mut State, id: SessionId, control: Control) -> Option<Effect> {
    let row: Option<&SessionRow> = state.live.board.sessions.get(&id);
    let refusal = match row.map(|row| &row.attachment) {
        None => "the session has ended",
        Some(Attachment::Attached { .. }) => "its client is connected: no timer runs",
        Some(Attachment::Detached { held_by: Some(_), .. }) if matches!(control, Control::HoldSession { .. }) => {
            "it is held already; + lets the timer run again"
        }
        Some(Attachment::Detached { .. }) => {
            let precondition = Precondition { epoch: row.map(|row| row.epoch), loss: None };
            return Some(at_once(state, Subject::Session(id), control, precondition));
        }
    };
    say(state, refusal, Tone::Plain);
    None
}

/// An order of this console's operator.
fn order(state: &State, control: Control) -> Order {
    Order::new(state.operator.clone(), control)
}

fn at_once(state: &mut State, subject: Subject, control: Control, precondition: Precondition) -> Effect {
    let order = Order { precondition, ..order(state, control) };
    give(state, subject, order)
}

fn give(state: &mut State, subject: Subject, order: Order) -> Effect {
    let ticket = next_ticket(state);
    let label = match &order.control {
        Control::ForbidPrincipal { principal } | Control::AllowPrincipal { principal } => safe(principal),
        _ => subject.label(&state.live.board),
    };
    state.given.push(Given::new(ticket, subject, label, order.control.clone(), &state.live.board));
    Effect::Order(ticket, order)
}

fn next_ticket(state: &mut State) -> u64 {
    let ticket = state.ticket;
    state.ticket += 1;
    ticket
}

/// Asks whether to forbid the topic under the cursor, or the user whose session is.
pub(super) fn forbid(state: &mut State) -> Option<Effect> {
    if state.live.read_only {
        say(state, READ_ONLY, Tone::Bad);
        return None;
    }
    let deed = match (state.subject(), state.session()) {
        (Some(Subject::Topic(topic)), _) => Some(Deed::ForbidTopic(topic)),
        (_, Some(id)) => state.live.board.sessions.get(&id).map(|row| Deed::ForbidPrincipal(row.principal.clone())),
        _ => None,
    };
    match deed {
        Some(deed) => question(state, deed),
        None => say(state, "no topic and no session under the cursor", Tone::Plain),
    }
    None
}

/// Allows what is under the cursor of the list.
pub(super) fn allow(state: &mut State, banned: &Banned) -> Option<Effect> {
    if state.live.read_only {
        say(state, READ_ONLY, Tone::Bad);
        return None;
    }
    let control = banned.allow();
    if state.given.iter().any(|given| given.control == control) {
        return None;
    }
    Some(at_once(state, Subject::of_control(&control), control, Precondition::default()))
}

/// Looks into the queue or the backlog under the cursor.
pub(super) fn peek(state: &mut State) -> Option<Effect> {
    let subject = state.subscription().or_else(|| state.subject());
    match subject.filter(|subject| PeekPane::control(subject).is_some()) {
        Some(subject) => look(state, &subject),
        None => {
            say(state, "no subscription and no topic under the cursor", Tone::Plain);
            None
        }
    }
}

/// Asks the broker for a copy of what `subject` holds; the pane waits for it.
pub(super) fn look(state: &mut State, subject: &Subject) -> Option<Effect> {
    let control = PeekPane::control(subject)?;
    let ticket = next_ticket(state);
    let before = match &state.modal {
        Modal::Peek(pane) if pane.subject == *subject => Some((pane.at, pane.hex)),
        _ => None,
    };
    let mut pane = PeekPane::new(subject.clone(), subject.label(&state.live.board), ticket);
    (pane.at, pane.hex) = before.unwrap_or_default();
    state.modal = Modal::Peek(Box::new(pane));
    Some(Effect::Order(ticket, order(state, control)))
}

/// Stops an order that waits: the one about what is under the cursor, else the one that was given last.
pub(super) fn undo(state: &mut State) -> Option<Effect> {
    let board = &state.live.board;
    // On a screen without views nobody sees what the cursor is on.
    let subject = state.subject().filter(|_| state.geometry().is_some());
    let under = subject.and_then(|subject| match subject {
        Subject::Order(number) => Some(number).filter(|number| board.waiting_orders.contains_key(number)),
        subject => waiting_for(board, &subject).map(|(number, _)| number),
    });
    let Some(number) = under.or_else(|| board.waiting_orders.keys().next_back().copied()) else {
        say(state, "no order waits", Tone::Plain);
        return None;
    };
    Some(at_once(state, Subject::Broker, Control::Cancel { number }, Precondition::default()))
}

/// The operator confirmed. The price is counted once more: what has become dearer in kind is asked again, what has become
/// dearer in number is for the gate to judge by what the screen showed.
pub(super) fn confirm(state: &mut State) -> Option<Effect> {
    let Modal::Dialog(dialog) = &mut state.modal else { return None };
    let precondition = dialog.precondition();
    let was_typed = dialog.is_typed();
    dialog.recount(&state.live.board);
    if dialog.price.gone {
        dialog.focus = Focus::Cancel;
        dialog.note = Some("it is gone: nothing is left to do".to_owned());
        return None;
    }
    if dialog.is_typed() && !dialog.is_phrase_right() {
        let why = if was_typed { "not confirmed" } else { "messages would be lost now" };
        dialog.note = Some(format!("{why}: type the phrase exactly"));
        dialog.focus = Focus::Phrase;
        return None;
    }
    let Modal::Dialog(dialog) = std::mem::replace(&mut state.modal, Modal::None) else { return None };
    state.mark_stale();
    let (reason, delay_ms) = (dialog.reason.value().trim().to_owned(), dialog.delay_seconds() * 1_000);
    let order = Order { reason, precondition, delay_ms, ..order(state, dialog.deed.control()) };
    Some(give(state, dialog.deed.subject(), order))
}

/// The gate has answered.
pub(super) fn ended(state: &mut State, ticket: u64, outcome: Outcome) {
    let now = state.clock;
    if let Modal::Peek(pane) = &mut state.modal
        && pane.ticket == ticket
    {
        pane.answered(outcome, now);
        state.dirty = true;
        return;
    }
    let Some(at) = state.given.iter().position(|given| given.ticket == ticket) else { return };
    let tone = match outcome {
        Outcome::Done { .. } | Outcome::PutBack { .. } => Tone::Good,
        Outcome::Seen { .. } | Outcome::AlreadyGone | Outcome::Cancelled { .. } => Tone::Plain,
        Outcome::Refused { .. } | Outcome::Unknown => Tone::Bad,
    };
    let given = &mut state.given[at];
    let was_reload = matches!(given.control, Control::Reload { .. });
    let text = format!("{} {}: {}", given.control.verb(), given.label, in_words(&outcome));
    given.outcome = Some(outcome);
    if !given.is_under_way(&state.live.board) {
        state.given.remove(at);
    }
    // Whoever gave it believes that the new configuration holds.
    if tone == Tone::Bad && was_reload {
        notice(state, text);
    } else {
        report(state, text, tone);
    }
    state.dirty = true;
}
