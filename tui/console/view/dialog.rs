//! The question before an order, with its price: what is destroyed, what is kept, what follows, what has changed.

use ratatui::{Frame, layout::Rect, style::Style};
use tui_input::Input;

use super::{popup, put};
use crate::console::{
    state::{
        State,
        dialog::{Dialog, Focus},
        question::{ANY_PRICE, COLUMNS, LABEL, Line, Question, Rank, Weight, buttons_width, delay, offered},
        text::{counted, safe, width},
    },
    theme::Theme,
};

/// Draws it over the frozen view.
pub(super) fn draw(state: &State, dialog: &Dialog, frame: &mut Frame<'_>) {
    let theme = state.theme;
    let screen = frame.area();
    let question = Question::of(dialog, (screen.width, screen.height));
    let lines = question.facts[question.shown.clone()].iter().chain(&question.answers);
    let lasting = dialog.deed.lasting(dialog.price.loss);
    let title = dialog.deed.title();
    let with_lasting = lasting.map(|what| format!("{title} - {what}"));
    let title = with_lasting.as_deref().filter(|whole| width(whole) + 6 <= usize::from(screen.width)).unwrap_or(title);
    let edge = if lasting.is_some() { theme.bad() } else { theme.warning() };
    let height = (question.shown.len() + question.answers.len()) as u16 + 2;
    let area = popup(frame, theme, (COLUMNS.min(screen.width), height), title, edge);
    for (y, line) in lines.enumerate() {
        draw_line(state, dialog, frame, (area, y as u16), line);
    }
    if let Some(more) = more(&question) {
        let below = Rect { y: area.bottom(), height: 1, ..area }.intersection(screen);
        put(frame.buffer_mut(), below, (0, 0), &format!(" {more} "), theme.key());
    }
}

/// Where the facts that are not in sight are, and the keys that lead there.
fn more(question: &Question) -> Option<String> {
    let (above, below) = (question.shown.start, question.facts.len() - question.shown.end);
    match (above, below) {
        (0, 0) => None,
        (0, below) => Some(format!("{} below: Down", counted(below as u64, "more line"))),
        (above, 0) => Some(format!("{} above: Up", counted(above as u64, "more line"))),
        (above, below) => Some(format!("{above} above, {below} below: Up, Down")),
    }
}

fn draw_line(state: &State, dialog: &Dialog, frame: &mut Frame<'_>, (area, y): (Rect, u16), line: &Line) {
    let theme = state.theme;
    let mut put_line = |label: &str, text: &str, style| {
        put(frame.buffer_mut(), area, (0, y), label, theme.dim());
        put(frame.buffer_mut(), area, (LABEL, y), text, style)
    };
    match line {
        Line::Blank => {}
        Line::Fact(_, text, _, Rank::Remark) => _ = put(frame.buffer_mut(), area, (0, y), text, theme.dim()),
        Line::Fact(label, text, weight, _) => _ = put_line(label, text, weighed(theme, *weight)),
        Line::Reason => {
            put_line("Reason", "", theme.dim());
            field(state, &dialog.reason, frame, (area, y), dialog.focus == Focus::Reason);
        }
        Line::Phrase(label, part) => _ = put_line(label, part, theme.strong()),
        Line::Typed => {
            let style = if dialog.is_phrase_right() { theme.good() } else { theme.dim() };
            put(frame.buffer_mut(), area, (0, y), "type that", style);
            field(state, &dialog.phrase, frame, (area, y), dialog.focus == Focus::Phrase);
        }
        Line::Delay => options(state, dialog, frame, (area, y), ("Options", &[Focus::Delay])),
        Line::AnyPrice => options(state, dialog, frame, (area, y), ("", &[Focus::AnyPrice])),
        Line::Options => options(state, dialog, frame, (area, y), ("Options", &[Focus::Delay, Focus::AnyPrice])),
        Line::Buttons => buttons(state, dialog, frame, area, y),
        Line::Note(note) => _ = put(frame.buffer_mut(), area, (0, y), note, theme.warning()),
    }
}

fn weighed(theme: Theme, weight: Weight) -> Style {
    match weight {
        Weight::Quiet => theme.dim(),
        Weight::Plain => theme.text(),
        Weight::Strong => theme.strong(),
        Weight::Warning => theme.warning(),
        Weight::Bad => theme.bad(),
    }
}

/// The options of one line, and the key that changes one that has the focus.
fn options(state: &State, dialog: &Dialog, frame: &mut Frame<'_>, (area, y): (Rect, u16), (label, stops): (&str, &[Focus])) {
    let theme = state.theme;
    put(frame.buffer_mut(), area, (0, y), label, theme.dim());
    let mut x = LABEL;
    for stop in stops {
        let text = match stop {
            Focus::AnyPrice if dialog.any_price => ANY_PRICE.replacen("[ ]", "[x]", 1),
            Focus::AnyPrice => ANY_PRICE.to_owned(),
            _ => delay(dialog),
        };
        let style = if dialog.focus == *stop { theme.strong().patch(theme.selected()) } else { theme.text() };
        x = put(frame.buffer_mut(), area, (x, y), &text, style) + 2;
    }
    if stops.contains(&dialog.focus) {
        put(frame.buffer_mut(), area, (x, y), "Space", theme.key());
    }
}

/// An input line.
fn field(state: &State, input: &Input, frame: &mut Frame<'_>, (area, y): (Rect, u16), focused: bool) {
    let room = usize::from(area.width.saturating_sub(LABEL + 2));
    let scroll = input.visual_scroll(room.saturating_sub(1));
    let mut column = 0;
    let shown: String = input
        .value()
        .chars()
        .skip_while(|c| {
            let hidden = column < scroll;
            column += width(c.encode_utf8(&mut [0; 4]));
            hidden
        })
        .collect();
    let style = if focused { state.theme.strong() } else { state.theme.dim() };
    let box_ = Rect { width: area.width.saturating_sub(1), ..area };
    put(frame.buffer_mut(), area, (LABEL, y), &format!("[{}]", "_".repeat(room)), style);
    put(frame.buffer_mut(), box_, (LABEL + 1, y), &safe(shown), style);
    if focused {
        let x = area.x + LABEL + 1 + (input.visual_cursor().max(scroll) - scroll) as u16;
        frame.set_cursor_position((x.min(area.right().saturating_sub(1)), (area.y + y).min(area.bottom().saturating_sub(1))));
    }
}

/// The buttons, and what else could be pressed, or why the last key has done nothing.
fn buttons(state: &State, dialog: &Dialog, frame: &mut Frame<'_>, area: Rect, y: u16) {
    let theme = state.theme;
    let mut x = 0;
    let ready = !dialog.is_typed() || dialog.is_phrase_right();
    for (stop, text) in offered(dialog) {
        let base = if stop == Focus::Cancel || ready { theme.strong() } else { theme.dim() };
        let style = if dialog.focus == stop { base.patch(theme.selected()) } else { base };
        x = put(frame.buffer_mut(), area, (x, y), &text, style) + 2;
    }
    let room = usize::from(area.width).saturating_sub(buttons_width(dialog));
    if let Some(note) = dialog.note.as_ref().filter(|note| width(note) <= room) {
        put(frame.buffer_mut(), area, (x + 1, y), note, theme.warning());
        return;
    }
    // What is said less of it where there is little room.
    let hints: &[&str] = match (dialog.is_typed(), dialog.price.gone) {
        (_, true) => &["Esc: nothing happens", "Esc: no"],
        (true, _) => &["Tab: next   Esc: nothing happens", "Tab: next   Esc: no", "Tab: next", "Tab"],
        (false, _) => &["y: yes   Esc: nothing happens", "y: yes   Esc: no", "y: yes", "y"],
    };
    if let Some(hint) = hints.iter().find(|hint| width(hint) <= room) {
        put(frame.buffer_mut(), area, (x + 1, y), hint, theme.dim());
    }
}
