//! Events: what happened, newest last.

use ratatui::{Frame, buffer::Buffer, layout::Rect, style::Style};

use super::{detail, pane, put};
use crate::console::{
    state::{
        State, View,
        geometry::Geometry,
        log::{Entry, Log},
        text::{clock_millis, count, counted, wrap},
        words::Level,
    },
    theme::Theme,
};

/// Columns of an event's name.
const NAME: u16 = 22;

/// Draws the list and the detail.
pub(super) fn draw(state: &State, frame: &mut Frame<'_>, geometry: &Geometry) {
    let (theme, list, log) = (state.theme, &state.events, &state.shown().log);
    let place = if list.follows() { "following" } else { "scrolled: G follows again" };
    let kept = match log.forgotten() {
        0 => place.to_owned(),
        gone => format!("{place}   the last {} of {}", count(Log::KEPT as u64), count(gone + log.len() as u64)),
    };
    let what = counted(list.total() as u64, "event");
    detail::info(state, frame, geometry.info, list, (&what, &kept));
    let buffer = frame.buffer_mut();
    let area = geometry.list;
    put(buffer, area, (2, 0), "TIME", theme.title());
    put(buffer, area, (15, 0), "EVENT", theme.title());
    put(buffer, area, (16 + NAME, 0), "WHAT", theme.title());
    let (numbers, cursor) = list.window(geometry.rows());
    for (at, number) in numbers.iter().enumerate() {
        let y = at as u16 + 1;
        if let Some(entry) = log.get(*number) {
            line(theme, entry, buffer, Rect { x: area.x + 2, width: area.width.saturating_sub(2), ..area }, y);
        }
        if cursor == Some(at) {
            put(buffer, area, (0, y), ">", theme.text());
            buffer.set_style(Rect { y: area.y + y, height: 1, ..area }, theme.selected());
        }
    }
    if numbers.is_empty() {
        detail::nothing(state, View::Events, frame, area);
    }
    if let (Some(area), Some((facts, text))) = (geometry.detail, state.event_facts()) {
        let inside = pane(frame.buffer_mut(), area, theme, ("Event", ""), false);
        let below = detail::lines(state, facts, frame.buffer_mut(), inside);
        for (y, text) in wrap(&text, usize::from(inside.width.saturating_sub(12))).iter().enumerate() {
            put(frame.buffer_mut(), inside, (11, below + y as u16), text, theme.strong());
        }
    }
}

/// The newest events that fit in `area`.
pub(super) fn tail(state: &State, buffer: &mut Buffer, area: Rect) {
    let log = &state.shown().log;
    if log.len() == 0 {
        put(buffer, area, (1, 0), "nothing has happened since the console opened", state.theme.dim());
    }
    let rows = usize::from(area.height);
    for (y, entry) in log.entries().rev().take(rows).enumerate() {
        let bottom = log.len().min(rows) - 1;
        line(
            state.theme,
            entry,
            buffer,
            Rect { x: area.x + 1, width: area.width.saturating_sub(1), ..area },
            (bottom - y) as u16,
        );
    }
}

fn line(theme: Theme, entry: &Entry, buffer: &mut Buffer, area: Rect, y: u16) {
    let style: Style = match entry.level() {
        Level::Quiet => theme.dim(),
        Level::Notice => theme.text(),
        Level::Warning => theme.warning(),
        Level::Bad => theme.bad(),
    };
    put(buffer, area, (0, y), &clock_millis(entry.stamped().at.wall), theme.dim());
    put(buffer, area, (13, y), entry.name(), style);
    let said = if entry.level() == Level::Quiet { theme.dim() } else { theme.text() };
    put(buffer, area, (14 + NAME, y), &entry.text(), said);
}
