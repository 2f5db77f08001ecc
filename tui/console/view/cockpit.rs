//! The cockpit: what the overview shows beside its own panes on a large screen. Each is a view's list, drawn by that view.

use ratatui::{Frame, buffer::Buffer, layout::Rect, style::Modifier};

use super::{actors, detail, events, overview, pane, sessions, topics};
use crate::console::state::{Pane, State, Zoom, geometry::Geometry, subject::Subject};

/// Draws a pane with a cursor in `area`.
pub(super) fn draw(state: &State, frame: &mut Frame<'_>, geometry: &Geometry, (which, area): (Pane, Rect)) {
    let title = match which {
        Pane::Sessions => "Sessions",
        Pane::Topics => "Topics",
        Pane::Actors => "Actors in trouble",
        Pane::Events => "Events",
        Pane::Needs => return overview::needs(state, frame.buffer_mut(), area),
        Pane::Reclaim => return overview::reclaim(state, frame.buffer_mut(), area),
    };
    let focused = state.pane == which;
    let remark = match (state.zoom, focused) {
        (Zoom::In, _) => "z back",
        (Zoom::Out, true) => "z zooms",
        (Zoom::Out, false) => "",
    };
    pane(frame.buffer_mut(), area, state.theme, (title, remark), focused);
    let inside = geometry.within(area, state.zoom == Zoom::In && state.detail);
    match which {
        Pane::Sessions => sessions::draw(state, frame, &inside),
        Pane::Topics => topics::draw(state, frame, &inside),
        Pane::Actors => actors::draw(state, frame, &inside),
        _ => events::draw(state, frame, &inside),
    }
    if !focused {
        unselect(frame.buffer_mut(), inside.list);
    }
}

/// Draws the detail of what the cursor is on, wherever it is; of the broker there is none, so that of the sessions' cursor.
pub(super) fn beside(state: &State, buffer: &mut Buffer, area: Rect) {
    let under_cursor = state.under_cursor().filter(|subject| *subject != Subject::Broker);
    match under_cursor.or_else(|| state.sessions.cursor().copied().map(Subject::Session)) {
        Some(subject) => detail::draw(state, &subject, buffer, area),
        None => drop(pane(buffer, area, state.theme, ("Detail", ""), false)),
    }
}

/// One pane has the keys; where the cursors of the others are is told by their mark alone.
fn unselect(buffer: &mut Buffer, area: Rect) {
    for position in area.intersection(buffer.area).positions() {
        buffer[position].modifier.remove(Modifier::REVERSED);
    }
}
