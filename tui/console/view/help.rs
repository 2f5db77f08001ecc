//! The help screen: the table of keys, this view's first; typing searches it.

use ratatui::{
    Frame,
    layout::Rect,
    widgets::{Clear, Widget},
};
use tui_input::Input;

use super::{pane, put};
use crate::console::state::{
    State,
    geometry::Geometry,
    help::{HelpLine, MEANING},
};

/// Draws it over the body, from its line `top` on.
pub(super) fn draw(state: &State, input: &Input, top: usize, frame: &mut Frame<'_>, geometry: &Geometry) {
    let (theme, area) = (state.theme, geometry.body);
    Clear.render(area, frame.buffer_mut());
    let inside = pane(frame.buffer_mut(), area, theme, ("Help", "Esc closes"), true);
    let x = put(frame.buffer_mut(), inside, (1, 0), "search: ", theme.key());
    put(frame.buffer_mut(), inside, (x, 0), input.value(), theme.strong());
    let column = inside.x + x + input.visual_cursor() as u16;
    frame.set_cursor_position((column.min(inside.right() - 1), inside.y));
    let lines = state.help_lines(geometry);
    let rest = Rect { y: inside.y + 1, height: inside.height.saturating_sub(1), ..inside };
    let rows = State::help_rows(geometry);
    let top = top.min(lines.len().saturating_sub(rows));
    if lines.is_empty() {
        put(frame.buffer_mut(), rest, (1, 1), "nothing is called that", theme.dim());
    }
    for (y, line) in lines.iter().skip(top).take(rows).enumerate() {
        let y = y as u16;
        match line {
            HelpLine::Heading(text) => {
                put(frame.buffer_mut(), rest, (1, y), text, theme.title());
            }
            HelpLine::Entry(label, help) => {
                put(frame.buffer_mut(), rest, (3, y), label, theme.key());
                put(frame.buffer_mut(), rest, (MEANING, y), help, theme.text());
            }
        }
    }
    let below = lines.len().saturating_sub(top + rows);
    if below > 0 {
        let edge = Rect { x: area.x + 2, y: area.bottom() - 1, width: area.width.saturating_sub(4), height: 1 };
        put(frame.buffer_mut(), edge, (0, 0), &format!(" {below} more below: Down, PgDn "), theme.dim());
    }
}
