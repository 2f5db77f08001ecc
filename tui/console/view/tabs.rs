//! The second line: the views and their digits, and what is wrong with the broker as a whole.

use ratatui::{buffer::Buffer, layout::Rect, style::Style};

use super::{header, put};
use crate::console::state::{State, View, text::width};

/// The names where not even the short ones fit.
const BRIEF: [&str; 8] = ["Over", "Sess", "List", "Top", "DLQ", "Act", "Ev", "Aud"];

/// How the views are written: with their names, with short ones, with what is left of these, or, but for the open one, as
/// digits. The names are known by their digits; what is wrong with the broker is not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Names,
    Short,
    Brief,
    Digits,
}

/// Draws it.
pub(super) fn draw(state: &State, buffer: &mut Buffer, area: Rect) {
    let (full, least) = header::warnings_widths(state);
    let fits = |form, warnings: u16| {
        let views: usize = views(state, form).iter().map(|(text, _)| width(text)).sum();
        let beside = if warnings == 0 { 0 } else { usize::from(warnings) + usize::from(BETWEEN) };
        views + beside <= usize::from(area.width)
    };
    let form = if fits(Form::Names, full) {
        Form::Names
    } else {
        [Form::Short, Form::Brief].into_iter().find(|form| fits(*form, least)).unwrap_or(Form::Digits)
    };
    let mut x = 0;
    for (text, style) in views(state, form) {
        x = put(buffer, area, (x, 0), &text, style);
    }
    header::warnings(state, buffer, area, area.width.saturating_sub(x + BETWEEN));
}

/// Columns between the views and what stands at their right, and behind that.
const BETWEEN: u16 = 3;

/// The views as they are written, one after the other.
fn views(state: &State, form: Form) -> Vec<(String, Style)> {
    let theme = state.theme;
    let alarms = state.shown().attention_total;
    let urgent = state.shown().attention.first().is_some_and(|line| line.urgent);
    let wide = form == Form::Names;
    let mut parts = Vec::new();
    let mut was_open = false;
    for ((view, digit, name, short), brief) in View::ALL.into_iter().zip(BRIEF) {
        let open = view == state.view;
        let label = match form {
            Form::Names => format!("{digit} {name}"),
            Form::Digits if !open => digit.to_string(),
            Form::Brief if !open => format!("{digit}{brief}"),
            Form::Short | Form::Brief | Form::Digits => format!("{digit}{short}"),
        };
        let style = if open { theme.selected() } else { theme.text() };
        // Where there is little room, what is between two names is one column: a blank, or the bracket of one of them.
        let before = match (open, was_open) {
            (true, _) => "[",
            (false, true) if !wide => "",
            (false, _) => " ",
        };
        parts.push((format!("{before}{label}"), style));
        if view == View::Overview && !open && alarms > 0 {
            let style = if urgent { theme.bad() } else { theme.warning() };
            parts.push((format!(" !{}", alarms.min(99)), style));
        }
        if open || wide {
            parts.push((if open { "]" } else { " " }.to_owned(), style));
        }
        was_open = open;
    }
    parts
}
