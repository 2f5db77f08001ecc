//! The last two lines: how the last order ended, and the keys that mean something here.

use ratatui::buffer::Buffer;

use super::put;
use crate::console::state::{State, geometry::Geometry, orders::Tone, text::width};

/// Draws them.
pub(super) fn draw(state: &State, buffer: &mut Buffer, geometry: &Geometry) {
    let theme = state.theme;
    if let Some(status) = &state.status {
        let style = match status.tone {
            Tone::Good => theme.good(),
            Tone::Plain => theme.strong(),
            Tone::Bad => theme.bad(),
        };
        put(buffer, geometry.status, (1, 0), &status.text, style);
    }
    let line = geometry.footer;
    let mut x = 1;
    for (key, hint) in state.hints() {
        let needed = width(key) + 1 + width(hint);
        // A hint that does not fit is left out whole; the help has it.
        if usize::from(x) + needed > usize::from(line.width) {
            continue;
        }
        x = put(buffer, line, (x, 0), key, theme.key()) + 1;
        x = put(buffer, line, (x, 0), hint, theme.text()) + 2;
    }
}
