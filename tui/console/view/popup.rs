//! The two small menus: what to sort by, and how to leave.

use cordboard::board::Course;
use ratatui::{Frame, layout::Rect};

use super::{popup, put};
use crate::console::state::{State, deed::Deed, price::Price, text::counted};

/// Draws the menu of sort orders with the cursor on `at`.
pub(super) fn sort(state: &State, at: usize, frame: &mut Frame<'_>) {
    let ways = state.list().sorts();
    let theme = state.theme;
    let area = popup(frame, theme, (34, ways.len() as u16 + 2), "Sort by", theme.title());
    for (y, way) in ways.iter().enumerate() {
        let order = if way.descending { "descending" } else { "ascending" };
        let text = format!("{:<12}{order}", way.name);
        put(frame.buffer_mut(), area, (2, y as u16), &text, theme.text());
        mark(state, frame, area, y, at);
    }
}

/// Draws the question before leaving with the cursor on `at`.
pub(super) fn quit(state: &State, at: usize, frame: &mut Frame<'_>) {
    let (theme, board) = (state.theme, &state.live.board);
    let loss = Price::of(&Deed::ShutDown, board).loss;
    let (sessions, open) = (board.sessions.len() as u64, board.listeners.len() as u64);
    let answers = [
        ("Esc", "cancel", "stay here".to_owned()),
        ("d", "detach", "the broker goes on; Enter opens the console again".to_owned()),
        ("r", "drain", format!("sends {} away; the broker and its sessions stay", counted(open, "connection"))),
        if board.broker.course == Course::Ending {
            ("s", "end now", "it is shutting down: nothing more is waited for".to_owned())
        } else {
            ("s", "shut down", format!("ends {}, tells {}", counted(sessions, "session"), counted(open, "connection")))
        },
    ];
    let area = popup(frame, theme, (74, 10), "Leave the console?", theme.title());
    for (y, (key, name, what)) in answers.iter().enumerate() {
        let line = y as u16 + 1;
        put(frame.buffer_mut(), area, (2, line), key, theme.key());
        put(frame.buffer_mut(), area, (7, line), name, theme.strong());
        put(frame.buffer_mut(), area, (18, line), what, theme.text());
        mark(state, frame, Rect { y: area.y + 1, height: area.height.saturating_sub(1), ..area }, y, at);
    }
    let (cost, style) = match loss {
        0 => ("no message would be lost".to_owned(), theme.good()),
        _ => (format!("{} would be LOST", counted(loss, "message")), theme.bad()),
    };
    put(frame.buffer_mut(), area, (18, 5), &cost, style);
    put(frame.buffer_mut(), area, (2, 7), "a drain or a shutdown is asked about once more before it happens", theme.dim());
}

fn mark(state: &State, frame: &mut Frame<'_>, area: Rect, y: usize, at: usize) {
    if y == at {
        let line = Rect { y: area.y + y as u16, height: 1, ..area }.intersection(frame.area());
        put(frame.buffer_mut(), area, (0, y as u16), ">", state.theme.text());
        frame.buffer_mut().set_style(line, state.theme.selected());
    }
}
