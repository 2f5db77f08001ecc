//! Orders: from a key to the gate, and what the gate and the events say of them afterwards.
//!
//! Each is for the id that the cursor was on when its key was pressed. Those that cost something ask first; the others
//! carry the epoch that the operator saw, so that the gate refuses them if the client has come back meanwhile.

use cordboard::{
    board::{Attachment, SessionRow},
    control::{Control, Order, Outcome, Precondition},
    name::SessionId,
    reload::Preview,
};

use super::say;
use crate::console::{
    keymap::Act,
    msg::Effect,
    state::{
        Modal, State,
        dialog::{Dialog, Focus},
        orders::{Given, Tone},
        price::Deed,
        subject::Subject,
        text::safe,
        words::outcome as in_words,
    },
};

/// How much time `+` gives.
const EXTENSION_MS: u64 = 5 * 60 * 1_000;

/// A key that orders something was pressed.
pub(super) fn ask(state: &mut State, act: Act) -> Option<Effect> {
    if state.live.read_only {
        say(state, "read-only: orders are refused; r allows them", Tone::Bad);
        return None;
    }
    match act {
        Act::Accepting => return accepting(state),
        Act::Reload => {
            say(state, "reading the configuration…", Tone::Plain);
            return Some(Effect::Preview);
        }
        _ => {}
    }
    let subject = match act {
        Act::Redeliver | Act::Purge => state.subscription(),
        _ => state.subject(),
    };
    match (act, subject) {
        (Act::Evict, Some(Subject::Session(id))) => question(state, Deed::Evict(id)),
        (Act::Drop, Some(Subject::Session(id))) => question(state, Deed::Drop(id)),
        (Act::Kill, Some(Subject::Topic(topic))) => question(state, Deed::Kill(topic)),
        (Act::Purge, Some(Subject::Subscription(id))) => question(state, Deed::Purge(id)),
        (Act::Redeliver, Some(Subject::Subscription(id))) => question(state, Deed::Redeliver(id)),
        (Act::Hold, Some(Subject::Session(id))) => return timer(state, id, Control::HoldSession { session: id }),
        (Act::Extend, Some(Subject::Session(id))) => {
            return timer(state, id, Control::ExtendSession { session: id, by_ms: EXTENSION_MS });
        }
        (Act::Redeliver | Act::Purge, _) => say(state, "no subscription under the cursor", Tone::Plain),
        (Act::Kill, _) => say(state, "no topic under the cursor", Tone::Plain),
        _ => say(state, "no session under the cursor", Tone::Plain),
    }
    None
}

/// Opens the dialog, unless there is nothing to ask about.
fn question(state: &mut State, deed: Deed) {
    let dialog = Dialog::new(deed, &state.live.board);
    let asked = dialog.deed.control();
    if dialog.price.gone {
        say(state, dialog.price.target, Tone::Plain);
    } else if state.given.iter().any(|given| given.control == asked) {
        say(state, "that is under way already", Tone::Plain);
    } else {
        state.modal = Modal::Dialog(Box::new(dialog));
    }
}

/// The configuration was read: the dialog says what it would change, if it would.
pub(super) fn previewed(state: &mut State, preview: Result<Box<Preview>, String>) {
    match preview {
        Err(why) => say(state, format!("not to be taken: {}", safe(&why)), Tone::Bad),
        Ok(preview) if !preview.changes.is_of_users() => {
            let restart = preview.changes.of_restart().map(|keys| format!("; {}", safe(&keys))).unwrap_or_default();
            say(state, format!("no user, password or right would change{restart}"), Tone::Plain);
        }
        Ok(preview) if matches!(state.modal, Modal::None) => {
            state.status = None;
            question(state, Deed::Reload(preview));
        }
        Ok(_) => say(state, "the configuration was read; L asks about it again", Tone::Plain),
    }
}

fn accepting(state: &mut State) -> Option<Effect> {
    if state.live.board.broker.accepting {
        question(state, Deed::StopAccepting);
        return None;
    }
    Some(give(state, Subject::Broker, Control::Accept { on: true }, String::new(), Precondition::default()))
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
            return Some(give(state, Subject::Session(id), control, String::new(), precondition));
        }
    };
    say(state, refusal, Tone::Plain);
    None
}

fn give(state: &mut State, subject: Subject, control: Control, reason: String, precondition: Precondition) -> Effect {
    let ticket = state.ticket;
    state.ticket += 1;
    let label = subject.label(&state.live.board);
    state.given.push(Given::new(ticket, subject, label, control.clone(), &state.live.board));
    Effect::Order(ticket, Order { control, operator: state.operator.clone(), reason, precondition })
}

/// The operator confirmed. The price is counted once more: what has become dearer in kind is asked again, what has become
/// dearer in number is for the gate to judge by what the screen showed.
pub(super) fn confirm(state: &mut State) -> Option<Effect> {
    let Modal::Dialog(dialog) = &mut state.modal else { return None };
    let seen = dialog.seen.precondition(&dialog.deed);
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
    Some(give(state, dialog.deed.subject(), dialog.deed.control(), dialog.reason.value().trim().to_owned(), seen))
}

/// The gate has answered.
pub(super) fn ended(state: &mut State, ticket: u64, outcome: Outcome) {
    let Some(at) = state.given.iter().position(|given| given.ticket == ticket) else { return };
    let tone = match outcome {
        Outcome::Done { .. } => Tone::Good,
        Outcome::AlreadyGone => Tone::Plain,
        Outcome::Refused { .. } | Outcome::Unknown => Tone::Bad,
    };
    let given = &mut state.given[at];
    let text = format!("{} {}: {}", given.control.verb(), given.label, in_words(&outcome));
    given.outcome = Some(outcome);
    if !given.is_under_way(&state.live.board) {
        state.given.remove(at);
    }
    say(state, text, tone);
    state.dirty = true;
}
