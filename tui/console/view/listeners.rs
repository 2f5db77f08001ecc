//! Listeners: the connections, who of them has not registered yet, and who reads too slowly.

use cordboard::name::ListenerId;
use ratatui::Frame;

use super::{
    detail, gauge,
    table::{self, Column, Row, Size, name, number, text},
};
use crate::console::state::{
    State, View,
    geometry::Geometry,
    subject::Subject,
    tables::listeners::{Listener, Pace},
    text::{age, bytes, count, count_in, counted, safe},
};

const COLUMNS: &[Column] = &[
    text("ST", Size::Fixed(2), 0),
    text("PEER", Size::Fill(15, 25), 0),
    name("CLIENT", Size::Fill(9, 24), 0),
    name("USER", Size::Fill(8, 16), 110),
    text("SESSION", Size::Fixed(10), 68),
    number("IN B/s", 7, 0),
    number("OUT B/s", 7, 0),
    number("WAITS", 8, 0),
    number("IN FLIGHT", 9, 110),
    number("QUEUED", 7, 110),
    number("AGE", 6, 76),
];

/// The column from which a row says that it has no session, or why it ended.
const FATE_FROM: usize = 2;

/// Draws the list and the detail.
pub(super) fn draw(state: &State, frame: &mut Frame<'_>, geometry: &Geometry) {
    let (theme, list, model) = (state.theme, &state.listeners, state.shown());
    let broker = &model.board.broker;
    let what = counted(model.board.listeners.len() as u64, "connection");
    let accepting = if broker.accepting { "accepting: A stops" } else { "NOT ACCEPTING: A resumes" };
    let more =
        format!("{} registering   {} refused   {accepting}", count(model.registering as u64), count(broker.sample.refused));
    detail::info(state, frame, geometry.info, list, (&what, &more));
    let (ids, cursor) = list.window(geometry.rows());
    let rows = ids.iter().map(|id| row(state, *id));
    table::draw(frame.buffer_mut(), geometry.list, theme, (COLUMNS, Some(list.sort())), (rows, cursor));
    if ids.is_empty() {
        detail::nothing(state, View::Listeners, frame, geometry.list);
    }
    if let (Some(area), Some(id)) = (geometry.detail, list.cursor()) {
        detail::draw(state, &Subject::Listener(*id), frame.buffer_mut(), area);
    }
}

fn row(state: &State, id: ListenerId) -> Row {
    let theme = state.theme;
    let Some(listener) = Listener::find(state.shown(), id) else {
        let gone = vec![(String::new(), theme.text()), (id.to_string(), theme.ended())];
        return Row { cells: gone, span: Some((2, ("gone".to_owned(), theme.ended()))), ..Row::default() };
    };
    let (read, written) = listener.rates();
    let quiet = |value: u64, columns| (count_in(value, columns), if value == 0 { theme.dim() } else { theme.text() });
    let pace = listener.pace();
    let urgency = match pace {
        Pace::Stuck(_) => theme.bad(),
        Pace::Behind | Pace::Registering(_) => theme.warning(),
        Pace::Closed => theme.ended(),
        Pace::Fine => theme.text(),
    };
    let session = listener.row.session.map_or_else(|| "-".to_owned(), |id| id.short());
    let user = listener.session.map_or_else(|| "-".to_owned(), |(_, row)| safe(&row.principal));
    let cells = vec![
        (listener.letters().to_owned(), urgency),
        (listener.row.peer.to_string(), theme.text()),
        (listener.client(), theme.strong()),
        (user, theme.text()),
        (session, theme.text()),
        quiet(read, 7),
        quiet(written, 7),
        (short_bytes(listener.waits()), urgency),
        quiet(listener.in_flight(), 9),
        quiet(listener.queued(), 7),
        (listener.age(), theme.dim()),
    ];
    let word = listener.row.session.and_then(|id| state.under_way(&Subject::Session(id)));
    let span = match (listener.ended, pace, word) {
        (Some(ended), ..) => Some((ended.last_word(state.shown().now), theme.ended())),
        (None, Pace::Registering(taken), _) => Some((registering(taken, listener.terms.registration_ms), theme.warning())),
        (None, _, Some(word)) => Some((word, theme.warning())),
        (None, ..) => None,
    };
    let over = if listener.ended.is_some() { theme.ended() } else { theme.text() };
    Row { cells, over, span: span.map(|cell| (FATE_FROM, cell)) }
}

/// `(registering) [######----] 3s of 5s`
fn registering(taken: u64, limit: u64) -> String {
    format!("(registering) {} {} of {}", gauge::bar(taken, limit, 12), age(taken), age(limit))
}

/// `812 KiB` in eight columns.
fn short_bytes(number: u64) -> String {
    let full = bytes(number);
    if full.len() <= 8 { full } else { full.replace(' ', "") }
}
