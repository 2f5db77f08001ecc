//! Input lines: whatever has one under the cursor gets the keys that write, before any of them means something else.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use tui_input::{Input, InputRequest};

use crate::console::{
    keymap::Context,
    state::{Modal, State},
};

use super::modal;

/// The longest text that can be typed, in characters; a topic's name fits.
const LONGEST: usize = 300;

/// Gives `event` to the input line that has the focus; true if it was taken.
pub(super) fn edit(state: &mut State, event: &KeyEvent) -> bool {
    let Some(request) = request(event) else { return false };
    let Some(input) = focused(state) else { return false };
    if !matches!(request, InputRequest::InsertChar(_)) || input.value().chars().count() < LONGEST {
        input.handle(request);
    }
    modal::typed(state);
    true
}

/// Pasted text goes into the input line that has the focus, or nowhere: it must never be taken for keys.
pub(super) fn paste(state: &mut State, text: &str) {
    let Some(input) = focused(state) else { return };
    let room = LONGEST.saturating_sub(input.value().chars().count());
    for c in text.chars().filter(|c| !c.is_control()).take(room) {
        input.handle(InputRequest::InsertChar(c));
    }
    state.dirty = true;
    modal::typed(state);
}

fn focused(state: &mut State) -> Option<&mut Input> {
    // Nothing is typed that cannot be seen.
    if state.context() == Context::Covered {
        return None;
    }
    match &mut state.modal {
        Modal::Filter { input, .. } | Modal::Help { input, .. } => Some(input),
        Modal::Dialog(dialog) => dialog.input(),
        Modal::None | Modal::Sort(_) | Modal::Quit(_) | Modal::Peek(_) | Modal::Forbidden(_) => None,
    }
}

fn request(event: &KeyEvent) -> Option<InputRequest> {
    let control = event.modifiers.contains(KeyModifiers::CONTROL);
    if event.modifiers.contains(KeyModifiers::ALT) {
        return None;
    }
    Some(match event.code {
        KeyCode::Char('u') if control => InputRequest::DeleteFromStart,
        KeyCode::Char('w') if control => InputRequest::DeletePrevWord,
        KeyCode::Char(c) if !control => InputRequest::InsertChar(c),
        KeyCode::Backspace => InputRequest::DeletePrevChar,
        KeyCode::Delete => InputRequest::DeleteNextChar,
        KeyCode::Left => InputRequest::GoToPrevChar,
        KeyCode::Right => InputRequest::GoToNextChar,
        KeyCode::Home => InputRequest::GoToStart,
        KeyCode::End => InputRequest::GoToEnd,
        _ => return None,
    })
}
