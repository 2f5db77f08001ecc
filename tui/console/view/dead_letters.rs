//! Dead letters: the subscriptions and what each of them holds.

use cordboard::name::SubscriptionId;
use ratatui::Frame;

use super::{
    detail,
    table::{self, Cell, Column, Row, Size, name, number, text},
};
use crate::console::state::{
    State, View,
    geometry::Geometry,
    subject::Subject,
    tables::subscriptions::Subscription,
    text::{count, count_in, counted, safe},
};

const COLUMNS: &[Column] = &[
    text("ST", Size::Fixed(2), 0),
    name("FILTER", Size::Fill(12, 60), 0),
    name("CLIENT", Size::Fill(9, 24), 0),
    text("SESSION", Size::Fixed(10), 120),
    number("WAITING", 8, 0),
    number("IN FLIGHT", 9, 78),
    number("DLQ", 6, 0),
    number("POISON", 6, 0),
    number("DROPPED", 8, 68),
    number("OUT/s", 7, 120),
    text("STATE", Size::Fixed(8), 0),
];

/// Draws the list and the detail.
pub(super) fn draw(state: &State, frame: &mut Frame<'_>, geometry: &Geometry) {
    let (theme, list, broker) = (state.theme, &state.subscriptions, &state.shown().board.broker);
    let what = counted(list.total() as u64, "subscription");
    let held = format!("{}   {} poison", counted(broker.dead_letters, "dead letter"), count(broker.depth.poison));
    detail::info(state, frame, geometry.info, list, (&what, &held));
    let (ids, cursor) = list.window(geometry.rows());
    let rows = ids.iter().map(|id| row(state, id));
    table::draw(frame.buffer_mut(), geometry.list, theme, (COLUMNS, Some(list.sort())), (rows, cursor));
    if ids.is_empty() {
        detail::nothing(state, View::DeadLetters, frame, geometry.list);
    }
    if let (Some(area), Some(id)) = (geometry.detail, list.cursor()) {
        detail::draw(state, &Subject::Subscription(id.clone()), frame.buffer_mut(), area);
    }
}

/// What a subscription holds, as cells: waiting, in flight, dead letters, poison, dropped.
pub(super) fn figures(state: &State, subscription: &Subscription<'_>) -> [Cell; 5] {
    let theme = state.theme;
    let depth = &subscription.row.depth;
    let quiet = |value: u64, columns| (count_in(value, columns), if value == 0 { theme.dim() } else { theme.text() });
    let alarm = |value: u64, columns| (count_in(value, columns), if value == 0 { theme.dim() } else { theme.warning() });
    let dropped = (count_in(depth.dropped, 8), if depth.dropped == 0 { theme.dim() } else { theme.bad() });
    [quiet(depth.waiting, 8), quiet(depth.in_flight, 9), alarm(subscription.dead(), 6), alarm(depth.poison, 6), dropped]
}

fn row(state: &State, id: &SubscriptionId) -> Row {
    let theme = state.theme;
    let Some(subscription) = Subscription::find(state.shown(), id) else {
        let gone = vec![(String::new(), theme.text()), (safe(&id.filter), theme.ended())];
        return Row { cells: gone, span: Some((2, ("ended".to_owned(), theme.ended()))), ..Row::default() };
    };
    let [waiting, in_flight, dead, poison, dropped] = figures(state, &subscription);
    let letters = subscription.letters();
    let word = match state.under_way(&Subject::Subscription(id.clone())) {
        Some(word) => (word, theme.warning()),
        None => (subscription.state().to_owned(), theme.text()),
    };
    let cells = vec![
        (letters.to_owned(), if letters == "!!" { theme.bad() } else { theme.warning() }),
        (subscription.filter(), theme.strong()),
        (subscription.client(), theme.text()),
        (id.session.short(), theme.dim()),
        waiting,
        in_flight,
        dead,
        poison,
        dropped,
        (count(subscription.row.deliver_rate), theme.dim()),
        word,
    ];
    Row { cells, ..Row::default() }
}
