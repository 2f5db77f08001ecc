//! What is forbidden, by whom and why, over the body; each can be allowed again.

use ratatui::{
    Frame,
    layout::Rect,
    widgets::{Clear, Widget},
};

use super::{
    pane, put,
    table::{self, Column, Row, Size, name, text},
};
use crate::console::state::{
    State,
    forbidden::{self, Banned},
    text::{clock, count, safe, wrap},
};

const COLUMNS: &[Column] = &[
    text("KIND", Size::Fixed(6), 0),
    name("NAME", Size::Fill(20, 60), 0),
    text("SINCE", Size::Fixed(9), 0),
    text("BY", Size::Fill(8, 20), 0),
    text("WHY", Size::Fill(12, 80), 0),
];

/// Draws it.
pub(super) fn draw(state: &State, cursor: Option<&Banned>, frame: &mut Frame<'_>, area: Rect) {
    let (theme, board) = (state.theme, &state.live.board);
    Clear.render(area, frame.buffer_mut());
    let remark = format!("{} in memory, gone with the process", count(board.forbidden.len() as u64));
    let inside = pane(frame.buffer_mut(), area, theme, ("Forbidden", &remark), true);
    if board.forbidden.is_empty() {
        let said =
            wrap("nothing is forbidden; B in a list of topics or sessions forbids", usize::from(inside.width.saturating_sub(2)));
        for (y, line) in (0..).zip(&said) {
            put(frame.buffer_mut(), inside, (1, y), line, theme.dim());
        }
        return;
    }
    let at = forbidden::at(board, cursor);
    let rows = usize::from(inside.height.saturating_sub(1)).max(1);
    let top = (at + 1).saturating_sub(rows);
    let row = |(banned, ban): (Banned, &cordboard::board::Ban)| {
        let told = state.given.iter().any(|given| given.control == banned.allow());
        let name = if told { format!("{} allowing…", safe(banned.name())) } else { safe(banned.name()) };
        let cells = vec![
            (banned.kind().to_owned(), theme.text()),
            (name, theme.strong()),
            (clock(ban.since.wall), theme.text()),
            (safe(&ban.by), theme.text()),
            (if ban.why.is_empty() { "-".to_owned() } else { safe(&ban.why) }, theme.text()),
        ];
        Row { cells, ..Row::default() }
    };
    let shown = forbidden::all(board).skip(top).take(rows).map(row);
    table::draw(frame.buffer_mut(), inside, theme, (COLUMNS, None), (shown, Some(at - top)));
}
