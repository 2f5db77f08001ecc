//! Audit: every order, who gave it, on what, why, what it cost and how it ended.

use ratatui::Frame;

use super::{
    detail,
    table::{self, Column, Row, Size, name, number, text},
};
use crate::console::state::{
    State, View,
    geometry::Geometry,
    subject::Subject,
    tables::audit::Ordered,
    text::{clock, count, count_in, counted, safe},
};

const COLUMNS: &[Column] = &[
    text("ST", Size::Fixed(2), 0),
    number("ORDER NO.", 9, 140),
    text("TIME", Size::Fixed(9), 0),
    text("BY", Size::Fill(7, 12), 0),
    text("ORDER", Size::Fixed(15), 0),
    name("ON", Size::Fill(14, 30), 0),
    number("LOST", 6, 0),
    text("WHY", Size::Fill(10, 26), 110),
    text("HOW IT ENDED", Size::Fill(18, 90), 0),
];

/// The same where there is little room: how it ended in one word, by whom in its detail.
const NARROW: &[Column] = &[
    text("ST", Size::Fixed(2), 0),
    number("ORDER NO.", 9, u16::MAX),
    text("TIME", Size::Fixed(9), 0),
    text("BY", Size::Fill(7, 12), u16::MAX),
    text("ORDER", Size::Fixed(15), 0),
    name("ON", Size::Fill(12, 30), 0),
    number("LOST", 6, 0),
    text("WHY", Size::Fill(10, 26), u16::MAX),
    text("ENDED", Size::Fixed(9), 0),
];

/// Draws the list and the detail.
pub(super) fn draw(state: &State, frame: &mut Frame<'_>, geometry: &Geometry) {
    let (theme, list, model) = (state.theme, &state.audit, state.shown());
    let history = &model.board.history;
    let kept = match history.forgotten_orders {
        0 => String::new(),
        gone => format!("the last of {}   ", count(gone + history.orders.len() as u64)),
    };
    let more = format!("{kept}all in {}", state.audit_file());
    detail::info(state, frame, geometry.info, list, (&counted(list.total() as u64, "order"), &more));
    let (numbers, cursor) = list.window(geometry.rows());
    let is_narrow = geometry.list.width < 79;
    let rows = numbers.iter().map(|number| row(state, *number, is_narrow));
    let columns = if is_narrow { NARROW } else { COLUMNS };
    table::draw(frame.buffer_mut(), geometry.list, theme, (columns, Some(list.sort())), (rows, cursor));
    if numbers.is_empty() {
        detail::nothing(state, View::Audit, frame, geometry.list);
    }
    if let (Some(area), Some(number)) = (geometry.detail, list.cursor()) {
        detail::draw(state, &Subject::Order(*number), frame.buffer_mut(), area);
    }
}

fn row(state: &State, number: u64, is_narrow: bool) -> Row {
    let theme = state.theme;
    let Some(ordered) = Ordered::find(state.shown(), number) else {
        let gone = vec![(String::new(), theme.text()), (String::new(), theme.text()), (count(number), theme.ended())];
        return Row { cells: gone, span: Some((3, ("no longer kept here".to_owned(), theme.ended()))), ..Row::default() };
    };
    let word = ordered.word();
    let style = match word {
        "waiting" | "refused" | "cancelled" => theme.warning(),
        "unknown" => theme.bad(),
        _ => theme.text(),
    };
    let lost = ordered.lost();
    let loss = if lost == 0 { theme.dim() } else { theme.bad() };
    let cells = vec![
        (ordered.letters().to_owned(), if lost > 0 { theme.bad() } else { style }),
        (count(number), theme.dim()),
        (clock(ordered.given.wall), theme.text()),
        // `root (uid 0)`: the number is in the detail.
        (safe(ordered.order.operator.split(" (").next().unwrap_or_default()), theme.strong()),
        (ordered.order.control.verb().to_owned(), theme.text()),
        (ordered.on(), theme.strong()),
        (count_in(lost, 6), loss),
        (safe(&ordered.order.reason), theme.text()),
        (if is_narrow { word.to_owned() } else { ordered.end() }, style),
    ];
    Row { cells, ..Row::default() }
}
