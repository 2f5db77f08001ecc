//! The second line: the views and their digits, and what is wrong with the broker as a whole.

use ratatui::{buffer::Buffer, layout::Rect};

use super::{header, put};
use crate::console::state::{State, View};

/// Columns that the views' names take in full, with the count of alarms; and in short.
const NAMES: u16 = 96;
const SHORT: u16 = 60;

/// How the views are written: with their names, with short ones, or, but for the open one, as digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Names,
    Short,
    Digits,
}

/// Draws it.
pub(super) fn draw(state: &State, buffer: &mut Buffer, area: Rect) {
    let theme = state.theme;
    let alarms = state.shown().attention_total;
    let urgent = state.shown().attention.first().is_some_and(|line| line.urgent);
    // The names are known by their digits; what is wrong is not.
    let form = match header::warnings_widths(state) {
        (full, _) if area.width >= NAMES + full => Form::Names,
        (_, least) if least == 0 || area.width >= SHORT + least + 2 => Form::Short,
        _ => Form::Digits,
    };
    let wide = form == Form::Names;
    let (mut x, mut was_open) = (0, false);
    for (view, digit, name, short) in View::ALL {
        let open = view == state.view;
        let label = match form {
            Form::Names => format!("{digit} {name}"),
            Form::Digits if !open => digit.to_string(),
            Form::Short | Form::Digits => format!("{digit}{short}"),
        };
        let style = if open { theme.selected() } else { theme.text() };
        // Where there is little room, what is between two names is one column: a blank, or the bracket of one of them.
        let before = match (open, was_open) {
            (true, _) => "[",
            (false, true) if !wide => "",
            (false, _) => " ",
        };
        x = put(buffer, area, (x, 0), &format!("{before}{label}"), style);
        if view == View::Overview && !open && alarms > 0 {
            let style = if urgent { theme.bad() } else { theme.warning() };
            x = put(buffer, area, (x, 0), &format!(" !{}", alarms.min(99)), style);
        }
        if open || wide {
            x = put(buffer, area, (x, 0), if open { "]" } else { " " }, style);
        }
        was_open = open;
    }
    // Two blanks at least between the views and what stands at their right, and one behind that.
    header::warnings(state, buffer, area, area.width.saturating_sub(x + 3));
}
