//! What stands before the view: the filter line, the sort menu, the two questions, the help screen.

use cordboard::board::Course;
use crossterm::event::{KeyCode, KeyEvent};
use tui_input::Input;

use crate::console::{
    keymap::Act,
    msg::{Effect, Leave},
    state::{Modal, QUIT_ANSWERS, State, View, deed::Deed, dialog::Focus, forbidden::moved},
};

use super::orders;

/// Opens the filter line with the filter that holds.
pub(super) fn open_filter(state: &mut State) {
    let before = state.list().filter().text().to_owned();
    state.modal = Modal::Filter { input: Input::new(before.clone()), before };
}

/// Filters the list of the view; the overview's panes show what they show.
pub(super) fn filter_by(state: &mut State, text: &str) {
    if state.room() != View::Overview {
        state.list_mut().filter_by(text);
    }
}

/// Opens the menu of sort orders.
pub(super) fn open_sort(state: &mut State) {
    state.modal = Modal::Sort(state.list().sort_index());
}

/// Something was typed into an input line.
pub(super) fn typed(state: &mut State) {
    match &mut state.modal {
        Modal::Filter { input, .. } => {
            let text = input.value().to_owned();
            filter_by(state, &text);
        }
        Modal::Help { top, .. } => *top = 0,
        Modal::Dialog(dialog) => dialog.note = None,
        Modal::None | Modal::Sort(_) | Modal::Quit(_) | Modal::Peek(_) | Modal::Forbidden(_) => {}
    }
}

/// A key that no input line took.
pub(super) fn act(state: &mut State, act: Act) -> Option<Effect> {
    if act == Act::Cancel {
        return cancel(state);
    }
    match &mut state.modal {
        Modal::Filter { .. } => state.modal = Modal::None,
        Modal::Sort(at) => {
            let at = *at;
            sort(state, at, act);
        }
        Modal::Dialog(_) => return dialog(state, act),
        Modal::Quit(at) => {
            let at = *at;
            return quit(state, at, act);
        }
        Modal::Peek(_) => return peek(state, act),
        Modal::Forbidden(_) => return forbidden(state, act),
        Modal::Help { .. } => scroll_help(state, act),
        Modal::None => {}
    }
    None
}

/// The help stops at both ends, so that the way back from the last line is not longer than the way there.
fn scroll_help(state: &mut State, act: Act) {
    let Some(geometry) = state.geometry() else { return };
    let last = state.help_lines(&geometry).len().saturating_sub(State::help_rows(&geometry));
    let Modal::Help { top, .. } = &mut state.modal else { return };
    let to = match act {
        Act::Down => *top + 1,
        Act::Up => top.saturating_sub(1),
        Act::PageDown => *top + 10,
        Act::PageUp => top.saturating_sub(10),
        _ => *top,
    };
    *top = to.min(last);
}

/// Nothing happens; a filter is what it was.
fn cancel(state: &mut State) -> Option<Effect> {
    if let Modal::Filter { before, .. } = std::mem::replace(&mut state.modal, Modal::None) {
        filter_by(state, &before);
    }
    state.mark_stale();
    None
}

fn sort(state: &mut State, at: usize, act: Act) {
    let ways = state.list().sorts().len();
    state.modal = match act {
        Act::Down => Modal::Sort((at + 1).min(ways - 1)),
        Act::Up => Modal::Sort(at.saturating_sub(1)),
        _ => Modal::None,
    };
    if act == Act::Press {
        state.list_mut().sort_by(at);
    }
}

fn quit(state: &mut State, at: usize, act: Act) -> Option<Effect> {
    match (act, at) {
        (Act::Down, _) => state.modal = Modal::Quit((at + 1) % QUIT_ANSWERS),
        (Act::Up, _) => state.modal = Modal::Quit((at + QUIT_ANSWERS - 1) % QUIT_ANSWERS),
        (Act::Detach, _) | (Act::Press, 1) => return Some(Effect::Leave(Leave::Detach)),
        (Act::Drain, _) | (Act::Press, 2) => ask(state, Deed::Drain),
        (Act::ShutDown, _) | (Act::Press, 3) if state.live.board.broker.course == Course::Ending => {
            return Some(Effect::Leave(Leave::EndNow));
        }
        (Act::ShutDown, _) | (Act::Press, 3) if state.is_only_demo() => {
            state.modal = Modal::None;
            return orders::end_demo(state);
        }
        (Act::ShutDown, _) | (Act::Press, 3) => ask(state, Deed::ShutDown),
        _ => state.modal = Modal::None,
    }
    None
}

/// The second question, unless there is nothing to ask about.
fn ask(state: &mut State, deed: Deed) {
    state.modal = Modal::None;
    orders::question(state, deed);
}

/// A key on a look into a queue.
fn peek(state: &mut State, act: Act) -> Option<Effect> {
    let Modal::Peek(pane) = &mut state.modal else { return None };
    match act {
        Act::Down => pane.move_by(1),
        Act::Up => pane.move_by(-1),
        Act::PageDown => pane.move_by(10),
        Act::PageUp => pane.move_by(-10),
        Act::First => pane.at = 0,
        Act::Last => pane.move_by(isize::MAX),
        Act::Hex => pane.hex = !pane.hex,
        Act::Peek => {
            let subject = pane.subject.clone();
            return orders::look(state, &subject);
        }
        _ => {}
    }
    None
}

/// A key on the list of what is forbidden.
fn forbidden(state: &mut State, act: Act) -> Option<Effect> {
    let Modal::Forbidden(cursor) = &mut state.modal else { return None };
    let by = match act {
        Act::Down => 1,
        Act::Up => -1,
        Act::PageDown => 10,
        Act::PageUp => -10,
        Act::Allow => {
            let under = moved(&state.live.board, cursor.as_ref(), 0)?;
            return orders::allow(state, &under);
        }
        _ => return None,
    };
    *cursor = moved(&state.live.board, cursor.as_ref(), by);
    None
}

/// A character that no input line has taken: whoever types a phrase past its line is told so.
pub(super) fn stray(state: &mut State, event: &KeyEvent) {
    if let (Modal::Dialog(dialog), KeyCode::Char(_)) = (&mut state.modal, event.code)
        && dialog.is_typed()
    {
        dialog.note = Some("nothing is typed here: Tab to a field".to_owned());
    }
}

/// A key in the question before an order. Enter on Cancel cancels, and that is where the focus starts.
fn dialog(state: &mut State, act: Act) -> Option<Effect> {
    let size = state.size;
    let Modal::Dialog(dialog) = &mut state.modal else { return None };
    match (act, dialog.focus) {
        (Act::Down, _) => dialog.scroll(1, size),
        (Act::Up, _) => dialog.scroll(-1, size),
        (Act::PageDown, _) => dialog.scroll(5, size),
        (Act::PageUp, _) => dialog.scroll(-5, size),
        (Act::Next, _) | (Act::Press, Focus::Reason | Focus::Delay | Focus::AnyPrice) => dialog.step(false),
        (Act::Previous, _) => dialog.step(true),
        (Act::Press, Focus::Cancel) => return cancel(state),
        (Act::Press, Focus::Phrase | Focus::Confirm) => return orders::confirm(state),
        (Act::Toggle, _) => dialog.toggle(),
        (Act::Yes, _) if !dialog.is_typed() => return orders::confirm(state),
        (Act::Yes, _) => dialog.note = Some("messages would be lost: Tab, then type the phrase".to_owned()),
        _ => {}
    }
    None
}
