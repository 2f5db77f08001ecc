//! The second line: the views and their digits, and what is wrong with the broker as a whole.

use ratatui::{buffer::Buffer, layout::Rect};

use super::{header, put};
use crate::console::state::{State, View};

/// Columns that the views' names take in full, with the count of alarms.
const NAMES: u16 = 96;

/// Draws it.
pub(super) fn draw(state: &State, buffer: &mut Buffer, area: Rect) {
    let theme = state.theme;
    let alarms = state.shown().attention_total;
    let urgent = state.shown().attention.first().is_some_and(|line| line.urgent);
    let mut x = 0;
    // The names are known by their digits; what is wrong is not.
    let wide = area.width >= NAMES + header::warnings_width(state);
    for (view, digit, name, short) in View::ALL {
        let open = view == state.view;
        let (before, after) = if open { ("[", "]") } else { (" ", " ") };
        let style = if open { theme.selected() } else { theme.text() };
        x = put(
            buffer,
            area,
            (x, 0),
            &if wide { format!("{before}{digit} {name}") } else { format!("{before}{digit}{short}") },
            style,
        );
        if view == View::Overview && !open && alarms > 0 {
            let style = if urgent { theme.bad() } else { theme.warning() };
            x = put(buffer, area, (x, 0), &format!(" !{}", alarms.min(99)), style);
        }
        x = put(buffer, area, (x, 0), after, style);
    }
    header::warnings(state, buffer, area, area.width.saturating_sub(x + 2));
}
