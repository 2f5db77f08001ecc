//! Update: a message changes the state and may want something done. No I/O and no clock: the moment comes with the message.

mod input;
mod modal;
mod moves;
mod orders;

use cordboard::clock::Moment;
use crossterm::event::{KeyEvent, KeyEventKind};

use super::{
    keymap::{self, Act},
    msg::{Effect, Leave, Msg, News},
    state::{
        Modal, State, View,
        geometry::SMALLEST,
        list::AnyList as _,
        orders::{Status, Tone},
    },
};

/// Takes one message.
pub(crate) fn update(state: &mut State, at: Moment, msg: Msg) -> Vec<Effect> {
    state.clock = at;
    // Keys do not move the shown moment: what a row counts down and what an alarm says of it would part until the next second.
    if state.held.is_none() && !matches!(msg, Msg::Key(_) | Msg::Paste(_) | Msg::Resize(..)) {
        state.live.now = at;
    }
    let effect = match msg {
        Msg::Key(event) => key(state, &event),
        Msg::Paste(text) => {
            input::paste(state, &text);
            None
        }
        Msg::Resize(width, height) => {
            (state.size, state.dirty) = ((width, height), true);
            state.keep_in_sight();
            None
        }
        Msg::Tick => {
            tick(state);
            None
        }
        Msg::Start(board) => {
            state.live.start(board);
            assess(state);
            state.mark_stale();
            state.dirty = true;
            None
        }
        Msg::News(news) => {
            hear(state, news);
            None
        }
        Msg::Outcome { ticket, outcome } => {
            orders::ended(state, ticket, outcome);
            None
        }
        Msg::Previewed(preview) => {
            orders::previewed(state, preview);
            state.dirty = true;
            None
        }
        Msg::ReadOnly(on) => {
            (state.live.read_only, state.dirty) = (on, true);
            None
        }
        Msg::Stop => Some(Effect::Stop),
        Msg::GoOn => Some(Effect::Retake),
        Msg::BrokerEnded => Some(Effect::Leave(Leave::BrokerEnded)),
    };
    state.rebuild();
    effect.into_iter().collect()
}

/// Says something to the last key, on the status line.
fn say(state: &mut State, text: impl Into<String>, tone: Tone) {
    state.status = Some(Status::answer(text, tone, state.clock));
}

/// Says what nobody should miss for having looked away: it stands until it is dismissed.
fn notice(state: &mut State, text: String) {
    (state.notice, state.status) = (Some(text), None);
    state.keep_in_sight();
}

/// Says on the status line what has come of an order.
fn report(state: &mut State, text: impl Into<String>, tone: Tone) {
    state.status = Some(Status::report(text, tone, state.clock));
}

fn hear(state: &mut State, news: News) {
    if let Some((board, lost)) = news.resync {
        state.live.resync(state.clock, board, lost);
    }
    for stamped in &news.events {
        state.live.take(stamped);
    }
    state.live.hearing.lag = news.lag;
    state.given.retain(|given| given.outcome.is_none() || given.is_under_way(&state.live.board));
    recount(state);
    if state.held.is_none() {
        state.dirty = true;
        state.mark_stale();
        assess_paced(state);
    }
}

/// Counts the price of an open question anew, so that it says what the rows behind it say.
fn recount(state: &mut State) {
    if let Modal::Dialog(dialog) = &mut state.modal {
        dialog.recount(&state.live.board);
        state.dirty = true;
    }
}

/// A second has passed: countdowns move, what was shown long enough goes.
fn tick(state: &mut State) {
    let now = state.clock;
    if state.status.as_ref().is_some_and(|status| status.is_over(now)) {
        (state.status, state.dirty) = (None, true);
    }
    recount(state);
    // An order that waits is carried out whatever the screen shows: its countdown does not stand still.
    state.dirty |= !state.live.board.waiting_orders.is_empty();
    if state.held.is_some() {
        let told = state.held_back();
        state.dirty |= told != state.told;
        state.told = told;
        return;
    }
    state.dirty = true;
    if state.live.pass(now) {
        state.mark_stale();
    }
    assess_paced(state);
}

/// Assesses whenever something changed, so that an alarm and the row that it is about say one number; with very many rows
/// not so often that the console would do nothing else.
fn assess_paced(state: &mut State) {
    let board = &state.live.board;
    let rows = board.sessions.len() + board.topics.len() + board.subscriptions.len() + board.listeners.len();
    let pause = rows as u64 / 100;
    if state.assessed.is_none_or(|last| last.until(state.clock.up).as_millis() as u64 >= pause) {
        assess(state);
    }
}

fn assess(state: &mut State) {
    state.live.assess();
    state.assessed = Some(state.clock.up);
    state.needs.mark_stale();
    // A timer that has come near, or a topic that has gone quiet, changes what passes a filter without any event.
    state.reclaim.mark_stale();
}

fn key(state: &mut State, event: &KeyEvent) -> Option<Effect> {
    if event.kind == KeyEventKind::Release {
        return None;
    }
    state.dirty = true;
    state.status.take_if(|status| status.answers_key);
    if input::edit(state, event) {
        return None;
    }
    let Some(act) = keymap::act(&state.contexts(), event) else {
        match state.modal {
            Modal::None => idle(state, event),
            _ => modal::stray(state, event),
        }
        return None;
    };
    if matches!(state.modal, Modal::None) { body(state, act) } else { modal::act(state, act) }
}

/// A key that means something, but nothing here: nobody is left to wait for what it does elsewhere.
fn idle(state: &mut State, event: &KeyEvent) {
    let Some(key) = keymap::elsewhere(event) else { return };
    let why = if state.geometry().is_some() {
        format!("{key} does nothing in {}; ? shows the keys", state.whereabouts())
    } else {
        let keys: Vec<_> = state.hints().map(|(key, hint)| format!("{key} {hint}")).collect();
        format!("{key} needs {}x{}; here: {}", SMALLEST.0, SMALLEST.1, keys.join(", "))
    };
    say(state, why, Tone::Plain);
}

/// A key on a view or a page.
fn body(state: &mut State, act: Act) -> Option<Effect> {
    match act {
        Act::Go(view) => moves::go(state, view),
        Act::NextPane => state.turn(true),
        Act::PreviousPane => state.turn(false),
        Act::Zoom => moves::zoom(state),
        Act::Open => moves::open(state),
        Act::Back if state.notice.take().is_some() => state.keep_in_sight(),
        Act::Back => moves::back(state),
        Act::PreviousView => state.go_back(),
        Act::Filter => modal::open_filter(state),
        Act::Sort => modal::open_sort(state),
        Act::Invert => state.list_mut().invert(),
        Act::Pause => pause(state),
        Act::Detail => {
            state.detail = !state.detail;
            state.keep_in_sight();
        }
        Act::Stay => say(state, "Ctrl-Z stops nothing: the broker would stop with it; q, then d, leaves", Tone::Plain),
        Act::Help => state.modal = Modal::Help { input: tui_input::Input::default(), top: 0 },
        Act::Quit => state.modal = Modal::Quit(0),
        Act::Copy => return copy(state),
        Act::ReadOnly => return Some(Effect::ReadOnly(!state.live.read_only)),
        Act::Evict
        | Act::Kill
        | Act::Drop
        | Act::Hold
        | Act::Extend
        | Act::Redeliver
        | Act::Purge
        | Act::Accepting
        | Act::Reload => {
            return orders::ask(state, act);
        }
        Act::Forbid => return orders::forbid(state),
        Act::Peek => return orders::peek(state),
        Act::Undo => return orders::undo(state),
        Act::Fold => moves::fold(state),
        Act::Unfold => moves::unfold(state),
        Act::Problems => {
            let folds = state.tree_mut().lens_mut();
            folds.problems = !folds.problems;
        }
        Act::Forbidden => state.modal = Modal::Forbidden(None),
        moved => moves::act(state, moved),
    }
    None
}

/// Freezes the screen, its clock and the life of its rows; or lets it catch up.
fn pause(state: &mut State) {
    if state.held.take().is_some() {
        state.live.now = state.clock;
        state.live.pass(state.clock);
        assess(state);
        state.mark_stale();
    } else {
        state.held = Some(Box::new(state.live.clone()));
    }
    state.told = state.held_back();
}

fn copy(state: &mut State) -> Option<Effect> {
    let Some(subject) = state.subject() else {
        say(state, "nothing here to copy", Tone::Plain);
        return None;
    };
    let id = subject.id();
    say(state, format!("copied {id}"), Tone::Plain);
    Some(Effect::Copy(id))
}

/// Views are the same whether they are reached by digit or by jumping.
fn view_of(subject: &super::state::subject::Subject) -> View {
    use super::state::subject::Subject;
    match subject {
        Subject::Broker => View::Events,
        Subject::Session(_) => View::Sessions,
        Subject::Topic(_) => View::Topics,
        Subject::Subscription(_) => View::DeadLetters,
        Subject::Listener(_) => View::Listeners,
        Subject::Order(_) => View::Audit,
        Subject::Actor(_) => View::Actors,
    }
}
