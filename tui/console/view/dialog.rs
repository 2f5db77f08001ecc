//! The question before an order, with its price: what is destroyed, what is kept, what follows, what has changed.

use ratatui::{Frame, layout::Rect, style::Style};
use tui_input::Input;

use super::{popup, put};
use crate::console::state::{
    State,
    dialog::{Dialog, Focus},
    text::{counted, safe, width, wrap},
};

/// Columns of the dialog, and of its labels.
const COLUMNS: u16 = 76;
const LABEL: u16 = 13;

/// A line of the dialog.
enum Line {
    /// Nothing.
    Blank,
    /// What holds for every dialog.
    Remark,
    /// A fact, with its label where it begins.
    Fact(&'static str, String, Style, Rank),
    /// So many facts did not fit.
    More(usize),
    /// Why it is done.
    Reason,
    /// A part of what must be typed.
    Phrase(&'static str, String),
    /// Where it is typed.
    Typed,
    /// How long the gate waits.
    Delay,
    /// Whether any price will do.
    AnyPrice,
    /// Both, where a line has room for them.
    Options,
    /// What can be pressed.
    Buttons,
    /// What the last key has not done.
    Note(String),
}

/// How long a line stays on a screen with no room for all of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    /// It goes first.
    Air,
    /// Nobody decides by it.
    Remark,
    /// That nothing has changed.
    Unchanged,
    /// What is kept.
    Kept,
    /// What it is done to, and what that costs: told how much of it is missing.
    Price,
    /// Without it nobody can answer.
    Answer,
}

impl Line {
    fn rank(&self) -> Rank {
        match self {
            Self::Blank => Rank::Air,
            Self::Remark => Rank::Remark,
            Self::Fact(.., rank) => *rank,
            _ => Rank::Answer,
        }
    }
}

/// Leaves out of `lines` what matters least, until there is `room` for them.
fn fit(lines: &mut Vec<Line>, room: usize) {
    for rank in [Rank::Air, Rank::Remark, Rank::Unchanged, Rank::Kept] {
        while lines.len() > room
            && let Some(last) = lines.iter().rposition(|line| line.rank() == rank)
        {
            lines.remove(last);
        }
    }
    let facts = lines.iter().filter(|line| line.rank() == Rank::Price).count();
    // One more for the line that says so.
    let over = lines.len().checked_sub(room).filter(|over| *over > 0).map_or(0, |over| (over + 1).min(facts));
    if over > 0 {
        let last = lines.iter().rposition(|line| line.rank() == Rank::Price).unwrap_or(0);
        lines.splice(last + 1 - over..=last, [Line::More(over)]);
    }
}

/// What the dialog says above its inputs.
fn said(state: &State, dialog: &Dialog, columns: usize) -> Vec<Line> {
    let (theme, price) = (state.theme, &dialog.price);
    let mut lines = Vec::new();
    let mut say = |label: &'static str, text: &str, style: Style, rank: Rank| {
        for (at, text) in wrap(text, columns).into_iter().enumerate() {
            lines.push(Line::Fact(if at == 0 { label } else { "" }, text, style, rank));
        }
    };
    say("TARGET", &price.target, theme.strong(), Rank::Price);
    if !price.gone {
        let destroys = if price.loss > 0 { theme.bad() } else { theme.text() };
        say("DESTROYED", &price.destroyed, destroys, Rank::Price);
        say("KEPT", &price.kept, theme.text(), Rank::Kept);
        for (at, side) in price.side.iter().enumerate() {
            let label = if at == 0 { "SIDE EFFECT" } else { "" };
            say(label, side, if side.contains("LAST") { theme.warning() } else { theme.text() }, Rank::Price);
        }
    }
    let changes = price.changed_since(&dialog.before);
    let (text, style, rank) = if changes.is_empty() {
        ("nothing since this was opened (recounted each second)".to_owned(), theme.dim(), Rank::Unchanged)
    } else if price.gone {
        (changes.join("; "), theme.warning(), Rank::Price)
    } else {
        (format!("{} since this was opened", changes.join("; ")), theme.warning(), Rank::Price)
    };
    say("CHANGED", &text, style, rank);
    lines
}

/// All lines of the dialog, as they are where there is room for them.
fn lines(state: &State, dialog: &Dialog, columns: usize) -> Vec<Line> {
    let values = columns.saturating_sub(usize::from(LABEL));
    let mut lines = vec![Line::Remark];
    lines.extend(said(state, dialog, values));
    lines.push(Line::Blank);
    if dialog.is_typed() {
        lines.push(Line::Reason);
        for (at, part) in wrap(&safe(dialog.wanted()), values).into_iter().enumerate() {
            lines.push(Line::Phrase(if at == 0 { "To confirm" } else { "" }, part));
        }
        lines.push(Line::Typed);
        let needed = width(&delay(dialog)) + width(ANY_PRICE) + 2;
        let has_price = dialog.stops().contains(&Focus::AnyPrice);
        lines.extend(match has_price {
            true if needed > values => vec![Line::Delay, Line::AnyPrice],
            true => vec![Line::Options],
            false => vec![Line::Delay],
        });
        lines.push(Line::Blank);
    }
    lines.push(Line::Buttons);
    let room = columns.saturating_sub(buttons_width(dialog));
    lines.push(match &dialog.note {
        Some(note) if width(note) > room => Line::Note(note.clone()),
        _ => Line::Blank,
    });
    lines
}

/// Draws it over the frozen view.
pub(super) fn draw(state: &State, dialog: &Dialog, frame: &mut Frame<'_>) {
    let theme = state.theme;
    let columns = COLUMNS.min(frame.area().width);
    let mut lines = lines(state, dialog, usize::from(columns.saturating_sub(4)));
    fit(&mut lines, usize::from(frame.area().height.saturating_sub(3)));
    let lasting = dialog.deed.lasting(dialog.price.loss);
    let title = lasting.map_or_else(|| dialog.deed.title().to_owned(), |what| format!("{} - {what}", dialog.deed.title()));
    let edge = if lasting.is_some() { theme.bad() } else { theme.warning() };
    let area = popup(frame, theme, (columns, lines.len() as u16 + 2), &title, edge);
    for (y, line) in lines.iter().enumerate() {
        draw_line(state, dialog, frame, (area, y as u16), line);
    }
}

fn draw_line(state: &State, dialog: &Dialog, frame: &mut Frame<'_>, (area, y): (Rect, u16), line: &Line) {
    const REMARK: &str = "Fixed when you pressed the key: rows may move, the target does not.";
    let theme = state.theme;
    let mut put_line = |label: &str, text: &str, style| {
        put(frame.buffer_mut(), area, (0, y), label, theme.dim());
        put(frame.buffer_mut(), area, (LABEL, y), text, style)
    };
    match line {
        Line::Blank => {}
        Line::Remark => _ = put(frame.buffer_mut(), area, (0, y), REMARK, theme.dim()),
        Line::Fact(label, text, style, _) => _ = put_line(label, text, *style),
        Line::More(count) => {
            let text = format!("... {} more: a larger screen has room", counted(*count as u64, "line"));
            put_line("", &text, theme.warning());
        }
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

/// What stands beside the box that is checked where any price will do.
const ANY_PRICE: &str = "[ ] whatever it costs by then";

/// How long the gate waits.
fn delay(dialog: &Dialog) -> String {
    match dialog.delay_seconds() {
        0 => "< at once >".to_owned(),
        seconds => format!("< in {seconds} s, u stops it >"),
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

/// The buttons that can be pressed now.
fn offered(dialog: &Dialog) -> impl Iterator<Item = (Focus, String)> {
    let all = [(Focus::Cancel, "Cancel"), (Focus::Confirm, dialog.deed.button())];
    let stops = dialog.stops();
    all.into_iter().filter(|(stop, _)| stops.contains(stop)).map(|(stop, name)| (stop, format!("[ {name} ]")))
}

/// Columns that they take, with what separates them from a hint.
fn buttons_width(dialog: &Dialog) -> usize {
    offered(dialog).map(|(_, text)| width(&text) + 2).sum::<usize>() + 1
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
    let (hint, style) = match (&dialog.note, dialog.is_typed(), dialog.price.gone) {
        (Some(note), ..) if width(note) <= room => (note.as_str(), theme.warning()),
        (_, _, true) => ("Esc: nothing happens", theme.dim()),
        (_, true, _) => ("Tab: next   Esc: nothing happens", theme.dim()),
        (_, false, _) => ("y: yes   Esc: nothing happens", theme.dim()),
    };
    put(frame.buffer_mut(), area, (x + 1, y), hint, style);
}
