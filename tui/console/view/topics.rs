//! Topics: what is published, to how many, and what is held for whom.

use ratatui::Frame;

use super::{
    detail, sparkline,
    table::{self, Column, Row, Size, name, number, text},
};
use crate::console::state::{
    State, View,
    geometry::Geometry,
    subject::Subject,
    tables::topics::Topic,
    text::{count_in, counted, safe},
};

const COLUMNS: &[Column] = &[
    text("ST", Size::Fixed(2), 0),
    name("TOPIC", Size::Fill(14, 60), 0),
    number("EXACT", 6, 0),
    number("MATCH", 6, 66),
    number("PUB/s", 7, 0),
    number("FAN-OUT/s", 10, 90),
    text("60 s", Size::Fill(10, 30), 77),
    number("BACKLOG", 8, 56),
    number("HELD", 8, 0),
    number("POISON", 7, 115),
    number("LAST", 6, 0),
];

/// The same in a pane of the cockpit: what flows and what is held, the sparkline before the rest.
const IN_PANE: &[Column] = &[
    text("ST", Size::Fixed(2), 0),
    name("TOPIC", Size::Fill(14, 60), 0),
    number("EXACT", 6, 60),
    number("MATCH", 6, u16::MAX),
    number("PUB/s", 7, 0),
    number("FAN-OUT/s", 10, u16::MAX),
    text("60 s", Size::Fill(10, 20), 0),
    number("BACKLOG", 8, 64),
    number("HELD", 8, 0),
    number("POISON", 7, u16::MAX),
    number("LAST", 6, u16::MAX),
];

/// The column from which a row that ended says why.
const FATE_FROM: usize = 2;

/// Draws the list and the detail.
pub(super) fn draw(state: &State, frame: &mut Frame<'_>, geometry: &Geometry) {
    let (theme, list, model) = (state.theme, &state.topics, state.shown());
    let what = counted(model.board.topics.len() as u64, "topic");
    let subscriptions = counted(model.board.subscriptions.len() as u64, "subscription");
    detail::info(state, frame, geometry.info, list, (&what, &subscriptions));
    let (names, cursor) = list.window(geometry.rows());
    let in_pane = state.view == View::Overview && geometry.list.width < 80;
    let columns = if in_pane { IN_PANE } else { COLUMNS };
    let places = table::places(columns, geometry.list.width);
    let sparkline =
        places.iter().find(|(index, ..)| columns[*index].title == "60 s").map_or(0, |(_, _, width)| usize::from(*width));
    let rows = names.iter().map(|name| row(state, name, sparkline));
    table::draw(frame.buffer_mut(), geometry.list, theme, (columns, Some(list.sort())), (rows, cursor));
    if names.is_empty() {
        detail::nothing(state, View::Topics, frame, geometry.list);
    }
    if let (Some(area), Some(name)) = (geometry.detail, list.cursor()) {
        detail::draw(state, &Subject::Topic(name.clone()), frame.buffer_mut(), area);
    }
}

fn row(state: &State, name: &cordboard::name::TopicName, columns: usize) -> Row {
    let theme = state.theme;
    let Some(topic) = Topic::find(state.shown(), name) else {
        let gone = vec![(String::new(), theme.text()), (safe(name), theme.ended())];
        return Row { cells: gone, span: Some((2, ("gone".to_owned(), theme.ended()))), ..Row::default() };
    };
    let quiet = |value: u64, columns| (count_in(value, columns), if value == 0 { theme.dim() } else { theme.text() });
    let alarm = |value: u64, columns| (count_in(value, columns), if value == 0 { theme.dim() } else { theme.warning() });
    let cells = vec![
        (topic.letters().to_owned(), theme.warning()),
        (topic.label(), theme.strong()),
        quiet(topic.row.subscribers.len() as u64, 6),
        topic.matched().map_or_else(|| ("-".to_owned(), theme.dim()), |matched| quiet(matched, 6)),
        quiet(topic.rate(), 7),
        quiet(topic.fan_out(), 10),
        (sparkline::line(theme, &topic.rates(), columns), theme.figure()),
        alarm(topic.backlog(), 8),
        quiet(topic.held(), 8),
        alarm(topic.row.depth.poison, 7),
        (topic.quiet_for(), theme.dim()),
    ];
    let under_way = state.under_way(&Subject::Topic(name.clone()));
    match (topic.epitaph(), under_way) {
        (Some(epitaph), _) => Row { cells, over: theme.ended(), span: Some((FATE_FROM, (epitaph, theme.ended()))) },
        (None, Some(word)) => Row { cells, span: Some((FATE_FROM, (word, theme.warning()))), ..Row::default() },
        (None, None) => Row { cells, ..Row::default() },
    }
}
