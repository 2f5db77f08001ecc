//! The two small menus: what to sort by, and how to leave.

use cordboard::board::Course;
use ratatui::{Frame, layout::Rect, style::Style};

use super::{popup, put};
use crate::console::state::{
    State,
    deed::Deed,
    price::Price,
    text::{counted, wrap},
};

/// Draws the menu of sort orders with the cursor on `at`.
pub(super) fn sort(state: &State, at: usize, frame: &mut Frame<'_>) {
    let ways = state.list().sorts();
    let theme = state.theme;
    let area = popup(frame, theme, (34, ways.len() as u16 + 2), "Sort by", theme.title());
    for (y, way) in ways.iter().enumerate() {
        let order = if way.descending { "descending" } else { "ascending" };
        let text = format!("{:<12}{order}", way.name);
        put(frame.buffer_mut(), area, (2, y as u16), &text, theme.text());
        if y == at {
            mark(state, frame, area, y as u16);
        }
    }
}

/// Columns of the question before leaving, and where it says what an answer does.
const QUIT_COLUMNS: u16 = 74;
const WHAT: u16 = 18;

/// Draws the question before leaving with the cursor on `at`.
pub(super) fn quit(state: &State, at: usize, frame: &mut Frame<'_>) {
    let (theme, board) = (state.theme, &state.live.board);
    let loss = Price::of(&Deed::ShutDown, board).loss;
    let (sessions, open) = (board.sessions.len() as u64, board.listeners.len() as u64);
    let answers = [
        ("Esc", "cancel", "stay here".to_owned()),
        ("d", "detach", "the broker goes on; Enter opens the console again".to_owned()),
        ("r", "drain", format!("closes {}; broker and sessions stay", counted(open, "connection"))),
        if board.broker.course == Course::Ending {
            ("s", "end now", "it is shutting down: nothing more is waited for".to_owned())
        } else {
            ("s", "shut down", format!("ends {}, tells {}", counted(sessions, "session"), counted(open, "connection")))
        },
    ];
    let only_demo = state.is_only_demo();
    let (cost, style) = match loss {
        _ if only_demo => ("nobody but the demo loses anything: done at once", theme.good()),
        0 => ("no message would be lost", theme.good()),
        _ => (&*format!("{} would be LOST", counted(loss, "message")), theme.bad()),
    };
    let columns = QUIT_COLUMNS.min(frame.area().width);
    let fold = |text: &str, from: u16| wrap(text, usize::from(columns.saturating_sub(from + 4)));
    let told = answers.map(|(key, name, what)| (key, name, fold(&what, WHAT)));
    let asked = if only_demo { "a drain" } else { "a drain or a shutdown" };
    let cost = fold(cost, WHAT);
    let remark = fold(&format!("{asked} is asked about once more before it happens"), 2);
    let needed = told.iter().map(|(.., what)| what.len()).sum::<usize>() + cost.len() + remark.len() + 2;
    let area = popup(frame, theme, (columns, needed as u16 + 2), "Leave the console?", theme.title());
    let mut y = 1;
    for (number, (key, name, what)) in told.iter().enumerate() {
        put(frame.buffer_mut(), area, (2, y), key, theme.key());
        put(frame.buffer_mut(), area, (7, y), name, theme.strong());
        if number == at {
            mark(state, frame, area, y);
        }
        y = put_lines(frame, area, (WHAT, y), what, theme.text());
    }
    y = put_lines(frame, area, (WHAT, y), &cost, style);
    put_lines(frame, area, (2, y + 1), &remark, theme.dim());
}

/// Writes `lines` below each other; returns the line after them.
fn put_lines(frame: &mut Frame<'_>, area: Rect, (x, y): (u16, u16), lines: &[String], style: Style) -> u16 {
    for (below, line) in (y..).zip(lines) {
        put(frame.buffer_mut(), area, (x, below), line, style);
    }
    y + lines.len() as u16
}

/// The cursor is on this line.
fn mark(state: &State, frame: &mut Frame<'_>, area: Rect, y: u16) {
    let line = Rect { y: area.y + y, height: 1, ..area }.intersection(frame.area());
    put(frame.buffer_mut(), area, (0, y), ">", state.theme.text());
    frame.buffer_mut().set_style(line, state.theme.selected());
}
