//! The last two lines: how the last order ended, and the keys that mean something here.

use ratatui::{buffer::Buffer, layout::Rect};

use super::put;
use crate::console::{
    state::{
        Modal, State,
        geometry::Geometry,
        orders::{self, Tone},
        text::width,
    },
    theme::Theme,
};

/// Draws them.
pub(super) fn draw(state: &State, buffer: &mut Buffer, geometry: &Geometry) {
    let theme = state.theme;
    let mut x = 1;
    if let Some(waiting) = orders::waiting(&state.live.board, state.clock) {
        x = put(buffer, geometry.status, (x, 0), &waiting, theme.warning()) + 3;
    }
    if let (Modal::Filter { .. }, Some(fields)) = (&state.modal, state.filter_fields()) {
        x = put(buffer, geometry.status, (x, 0), "fields ", theme.dim());
        x = put(buffer, geometry.status, (x, 0), &fields, theme.text()) + 3;
    }
    if let Some(status) = &state.status {
        let style = match status.tone {
            Tone::Good => theme.good(),
            Tone::Plain => theme.strong(),
            Tone::Bad => theme.bad(),
        };
        put(buffer, geometry.status, (x, 0), &status.text, style);
    }
    let mut line = geometry.footer;
    let (help, rest): (Vec<_>, Vec<_>) = state.hints().partition(|(key, _)| *key == "?");
    if let Some((key, hint)) = help.first() {
        // The way to everything that does not fit has its own place.
        line.width -= put_help(buffer, line, theme, key, hint);
    }
    let mut x = 1;
    for (key, hint) in rest {
        let needed = width(key) + 1 + width(hint);
        if usize::from(x) + needed > usize::from(line.width) {
            continue;
        }
        x = put(buffer, line, (x, 0), key, theme.key()) + 1;
        x = put(buffer, line, (x, 0), hint, theme.text()) + 2;
    }
}

/// Writes a hint at the right end; returns the columns that it takes with its margins.
fn put_help(buffer: &mut Buffer, line: Rect, theme: Theme, key: &str, hint: &str) -> u16 {
    let columns = (width(key) + 1 + width(hint)) as u16;
    let x = line.width.saturating_sub(columns + 1);
    put(buffer, line, (x, 0), key, theme.key());
    put(buffer, line, (x + width(key) as u16 + 1, 0), hint, theme.text());
    (columns + 2).min(line.width)
}
