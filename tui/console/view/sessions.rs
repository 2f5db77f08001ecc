//! Sessions: who is there, who is away, and how long still.

use ratatui::Frame;

use super::{
    detail, gauge,
    table::{self, Column, Row, Size, name, number, text},
};
use crate::console::state::{
    State, View,
    geometry::Geometry,
    subject::Subject,
    tables::sessions::{Fate, Session},
    text::{count, count_in, counted},
};

const COLUMNS: &[Column] = &[
    text("ST", Size::Fixed(2), 0),
    text("SESSION", Size::Fixed(10), 0),
    name("CLIENT", Size::Fill(9, 24), 0),
    text("PEER", Size::Fill(15, 25), 79),
    number("SUBS", 5, 63),
    number("WAITING", 8, 0),
    number("INFL", 6, 110),
    number("DLQ", 6, 0),
    number("POISON", 7, 110),
    number("IN/s", 7, 130),
    number("OUT/s", 7, 130),
    number("AGE", 6, 150),
    text("RECLAIM", Size::Fill(15, 22), 0),
];

/// The column from which a row that ended says why.
const FATE_FROM: usize = 3;

/// Draws the list and the detail.
pub(super) fn draw(state: &State, frame: &mut Frame<'_>, geometry: &Geometry) {
    let (theme, list, model) = (state.theme, &state.sessions, state.shown());
    let detached = model.board.broker.detached;
    let what = counted(model.board.sessions.len() as u64, "session");
    detail::info(state, frame, geometry.info, list, (&what, &format!("{} detached", count(detached))));
    let (ids, cursor) = list.window(geometry.rows());
    let places = table::places(COLUMNS, geometry.list.width);
    let columns =
        |title| places.iter().find(|(at, ..)| COLUMNS[*at].title == title).map_or(0, |(_, _, width)| usize::from(*width));
    let (peer, gauge) = (columns("PEER"), columns("RECLAIM"));
    let rows = ids.iter().map(|id| row(state, *id, peer, gauge));
    table::draw(frame.buffer_mut(), geometry.list, theme, (COLUMNS, Some(list.sort())), (rows, cursor));
    if ids.is_empty() {
        detail::nothing(state, View::Sessions, frame, geometry.list);
    }
    if let (Some(area), Some(id)) = (geometry.detail, list.cursor()) {
        detail::draw(state, &Subject::Session(*id), frame.buffer_mut(), area);
    }
}

fn row(state: &State, id: cordboard::name::SessionId, peer: usize, gauge: usize) -> Row {
    let theme = state.theme;
    let Some(session) = Session::find(state.shown(), id) else {
        let gone = vec![(String::new(), theme.text()), (id.short(), theme.ended())];
        return Row { cells: gone, span: Some((2, ("gone".to_owned(), theme.ended()))), ..Row::default() };
    };
    let depth = &session.row.depth;
    let quiet = |value: u64, columns| (count_in(value, columns), if value == 0 { theme.dim() } else { theme.text() });
    let alarm = |value: u64, columns| (count_in(value, columns), if value == 0 { theme.dim() } else { theme.warning() });
    let fate = session.fate();
    let (last, urgency) = match (state.under_way(&Subject::Session(id)), &fate) {
        (Some(word), _) => (word, theme.warning()),
        (_, Fate::Reclaim { left, full }) => (gauge::timer(*left, *full, gauge.saturating_sub(5)), gauge::style(theme, *left)),
        (_, Fate::Held(by)) => (format!("HELD by {by}"), theme.strong()),
        (_, Fate::Live) => ("live".to_owned(), theme.dim()),
        (_, Fate::Ended(_)) => (String::new(), theme.ended()),
    };
    let cells = vec![
        (session.letters().to_owned(), urgency),
        (id.short(), theme.text()),
        (session.client(), theme.strong()),
        (session.peer(peer), if session.row.is_attached() { theme.text() } else { theme.dim() }),
        quiet(session.row.subscriptions.len() as u64, 5),
        quiet(depth.waiting, 8),
        quiet(depth.in_flight, 6),
        alarm(session.dead(), 6),
        alarm(depth.poison, 7),
        quiet(session.row.publish_rate, 7),
        quiet(session.row.deliver_rate, 7),
        (session.age(), theme.dim()),
        (last, urgency),
    ];
    match fate {
        Fate::Ended(epitaph) => Row { cells, over: theme.ended(), span: Some((FATE_FROM, (epitaph, theme.ended()))) },
        _ => Row { cells, ..Row::default() },
    }
}
