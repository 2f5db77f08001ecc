//! The last lines: what stands until it is dismissed, how the last order ended, and the keys that mean something here.

use ratatui::{
    buffer::Buffer,
    layout::Rect,
    widgets::{Clear, Widget},
};

use super::put;
use crate::console::{
    state::{
        Modal, State,
        geometry::Geometry,
        orders::{self, Status, Tone},
        text::{width, wrap},
    },
    theme::Theme,
};

/// What stands in the last line of a notice that is too long.
const NOTICE_CUT: &str = "… a larger screen shows all of it - Esc dismisses this";
/// Lines that a message may take.
const MOST_LINES: usize = 4;

/// Draws them.
pub(super) fn draw(state: &State, buffer: &mut Buffer, geometry: &Geometry) {
    let theme = state.theme;
    let said = state.notice_lines();
    for (y, line) in (0..geometry.notice.height).zip(&said) {
        let is_cut = y + 1 == geometry.notice.height && said.len() > usize::from(geometry.notice.height);
        put(buffer, geometry.notice, (1, y), if is_cut { NOTICE_CUT } else { line }, theme.bad());
    }
    let mut x = 1;
    if let Some(waiting) = orders::waiting(&state.live.board, state.clock) {
        x = put(buffer, geometry.status, (x, 0), &waiting, theme.warning()) + 3;
    }
    if let (Modal::Filter { .. }, Some(fields)) = (&state.modal, state.filter_fields()) {
        x = put(buffer, geometry.status, (x, 0), "fields ", theme.dim());
        x = put(buffer, geometry.status, (x, 0), &fields, theme.text()) + 3;
    }
    if let Some(status) = &state.status {
        say(state, status, buffer, (geometry.status, x));
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

/// Says how the last order ended, or what the last key could not do: from column `x` on, or over the rows above if that is too
/// short for it. They come back with the next key, and a word that is cut does not.
fn say(state: &State, status: &Status, buffer: &mut Buffer, (line, x): (Rect, u16)) {
    let theme = state.theme;
    let style = match status.tone {
        Tone::Good => theme.good(),
        Tone::Plain => theme.strong(),
        Tone::Bad => theme.bad(),
    };
    // What stands before the rows would cover its beginning.
    let is_covered = !matches!(state.modal, Modal::None | Modal::Filter { .. });
    if is_covered || usize::from(x) + width(&status.text) <= usize::from(line.width) {
        put(buffer, line, (x, 0), &status.text, style);
        return;
    }
    let mut parts = wrap(&status.text, usize::from(line.width.saturating_sub(2)));
    parts.truncate(MOST_LINES);
    // What else stands on the line stays.
    let bottom = if x > 1 { line.y } else { line.bottom() };
    let height = (parts.len() as u16).min(bottom);
    let area = Rect { y: bottom - height, height, ..line };
    Clear.render(area, buffer);
    for (y, part) in (0..).zip(&parts) {
        put(buffer, area, (1, y), part, style);
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
