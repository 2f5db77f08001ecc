//! A page: one object over the whole body, its facts above, what belongs to it below.

use ratatui::{buffer::Buffer, layout::Rect};

use super::{detail, pane, put};
use crate::console::state::{State, geometry::Geometry, page::Page, subject::Subject};

/// Draws it.
pub(super) fn draw(state: &State, page: &Page, buffer: &mut Buffer, geometry: &Geometry) {
    let kind = match page.subject {
        Subject::Session(_) => "Session",
        Subject::Topic(_) => "Topic",
        Subject::Subscription(_) => "Subscription",
        Subject::Listener(_) => "Connection",
        Subject::Order(_) => "Audit:",
        Subject::Actor(_) | Subject::Broker => "Broker",
    };
    let title = format!("{kind} {}", page.subject.label_in(state.shown()));
    let inside = pane(buffer, geometry.body, state.theme, (&title, "Esc back"), true);
    let facts = state.facts(&page.subject);
    if facts.is_empty() {
        put(buffer, inside, (1, 0), "it is no longer there", state.theme.warning());
        return;
    }
    let lines = page.facts(state).min(inside.height);
    detail::lines(state, facts, buffer, Rect { height: lines, ..inside });
    let above = (lines + 1).min(inside.height);
    let rest = Rect { y: inside.y + above, height: inside.height - above, ..inside };
    detail::members(state, page, buffer, rest, true);
}
