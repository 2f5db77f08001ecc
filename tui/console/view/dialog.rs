//! The question before an order, with its price: what is destroyed, what is kept, what follows, what has changed.

use ratatui::{Frame, layout::Rect, style::Style};
use tui_input::Input;

use super::{popup, put};
use crate::console::state::{
    State,
    dialog::{Dialog, Focus},
    text::{safe, width, wrap},
};

/// Columns of the dialog, and of its labels.
const COLUMNS: u16 = 76;
const LABEL: u16 = 13;

/// A labelled line of the dialog.
type Line = (&'static str, String, Style);

/// What the dialog says above its inputs.
fn said(state: &State, dialog: &Dialog, columns: usize) -> Vec<Line> {
    let (theme, price) = (state.theme, &dialog.price);
    let mut lines = Vec::new();
    let mut say = |label: &'static str, text: &str, style: Style| {
        for (at, text) in wrap(text, columns).into_iter().enumerate() {
            lines.push((if at == 0 { label } else { "" }, text, style));
        }
    };
    say("TARGET", &price.target, theme.strong());
    if !price.gone {
        let destroys = if price.loss > 0 { theme.bad() } else { theme.text() };
        say("DESTROYED", &price.destroyed, destroys);
        say("KEPT", &price.kept, theme.text());
        for (at, side) in price.side.iter().enumerate() {
            let label = if at == 0 { "SIDE EFFECT" } else { "" };
            say(label, side, if side.contains("LAST") { theme.warning() } else { theme.text() });
        }
    }
    let changes = price.changed_since(&dialog.before);
    let (text, style) = if changes.is_empty() {
        ("nothing since this was opened (recounted each second)".to_owned(), theme.dim())
    } else if price.gone {
        (changes.join("; "), theme.warning())
    } else {
        (format!("{} since this was opened", changes.join("; ")), theme.warning())
    };
    say("CHANGED", &text, style);
    lines
}

/// Draws it over the frozen view.
pub(super) fn draw(state: &State, dialog: &Dialog, frame: &mut Frame<'_>) {
    let theme = state.theme;
    let columns = COLUMNS.min(frame.area().width);
    let lines = said(state, dialog, usize::from(columns.saturating_sub(LABEL + 4)));
    let phrase =
        if dialog.is_typed() { wrap(&safe(dialog.wanted()), usize::from(columns.saturating_sub(LABEL + 4))) } else { Vec::new() };
    let inputs = if dialog.is_typed() { 4 + phrase.len() as u16 } else { 0 };
    let height = lines.len() as u16 + inputs + 6;
    let lasting = dialog.deed.lasting(dialog.price.loss);
    let title = lasting.map_or_else(|| dialog.deed.title().to_owned(), |what| format!("{} - {what}", dialog.deed.title()));
    let edge = if lasting.is_some() { theme.bad() } else { theme.warning() };
    let area = popup(frame, theme, (columns, height), &title, edge);
    put(frame.buffer_mut(), area, (0, 0), "Fixed when you pressed the key: rows may move, the target does not.", theme.dim());
    let mut y = 1;
    for (label, text, style) in &lines {
        put(frame.buffer_mut(), area, (0, y), label, theme.dim());
        put(frame.buffer_mut(), area, (LABEL, y), text, *style);
        y += 1;
    }
    y += 1;
    if dialog.is_typed() {
        y = typed(state, dialog, frame, (area, y), &phrase);
    }
    buttons(state, dialog, frame, area, y);
}

/// The reason, the phrase that is asked for, and where it is typed.
fn typed(state: &State, dialog: &Dialog, frame: &mut Frame<'_>, (area, mut y): (Rect, u16), phrase: &[String]) -> u16 {
    let theme = state.theme;
    put(frame.buffer_mut(), area, (0, y), "Reason", theme.dim());
    field(state, &dialog.reason, frame, (area, y), dialog.focus == Focus::Reason);
    y += 1;
    for (at, part) in phrase.iter().enumerate() {
        put(frame.buffer_mut(), area, (0, y), if at == 0 { "To confirm" } else { "" }, theme.dim());
        put(frame.buffer_mut(), area, (LABEL, y), part, theme.strong());
        y += 1;
    }
    let style = if dialog.is_phrase_right() { theme.good() } else { theme.dim() };
    put(frame.buffer_mut(), area, (0, y), "type that", style);
    field(state, &dialog.phrase, frame, (area, y), dialog.focus == Focus::Phrase);
    options(state, dialog, frame, (area, y + 1));
    y + 3
}

/// How long the gate waits, and whether any price will do.
fn options(state: &State, dialog: &Dialog, frame: &mut Frame<'_>, (area, y): (Rect, u16)) {
    let theme = state.theme;
    let style = |stop| if dialog.focus == stop { theme.strong().patch(theme.selected()) } else { theme.text() };
    put(frame.buffer_mut(), area, (0, y), "Options", theme.dim());
    let delay = match dialog.delay_seconds() {
        0 => "< at once >".to_owned(),
        seconds => format!("< in {seconds} s, u stops it >"),
    };
    let mut x = put(frame.buffer_mut(), area, (LABEL, y), &delay, style(Focus::Delay)) + 2;
    if dialog.stops().contains(&Focus::AnyPrice) {
        let box_ = if dialog.any_price { "[x]" } else { "[ ]" };
        let text = format!("{box_} whatever it costs by then");
        x = put(frame.buffer_mut(), area, (x, y), &text, style(Focus::AnyPrice)) + 2;
    }
    if matches!(dialog.focus, Focus::Delay | Focus::AnyPrice) {
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

fn buttons(state: &State, dialog: &Dialog, frame: &mut Frame<'_>, area: Rect, y: u16) {
    let theme = state.theme;
    let mut x = 0;
    let ready = !dialog.is_typed() || dialog.is_phrase_right();
    for (stop, name) in [(Focus::Cancel, "Cancel"), (Focus::Confirm, dialog.deed.button())] {
        if !dialog.stops().contains(&stop) {
            continue;
        }
        let base = if stop == Focus::Cancel || ready { theme.strong() } else { theme.dim() };
        let style = if dialog.focus == stop { base.patch(theme.selected()) } else { base };
        x = put(frame.buffer_mut(), area, (x, y), &format!("[ {name} ]"), style) + 2;
    }
    let (hint, style) = match (&dialog.note, dialog.is_typed(), dialog.price.gone) {
        (Some(note), ..) => (note.as_str(), theme.warning()),
        (None, _, true) => ("Esc: nothing happens", theme.dim()),
        (None, true, _) => ("Tab: next   Esc: nothing happens", theme.dim()),
        (None, false, _) => ("y: yes   Esc: nothing happens", theme.dim()),
    };
    put(frame.buffer_mut(), area, (x + 1, y), hint, style);
}
