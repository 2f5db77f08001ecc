//! The views: the screen as a function of the state. One file a region, one function a file that the others may call.
//!
//! ```text
//! header       prod-eu1  127.0.0.1:2673         DEMO RW LIVE lag 0 lost 0 14:22:07Z
//! tabs        [1 Overview]  2 Sessions  3 Listeners …                      no users
//! the view     overview and cockpit, sessions, listeners, topics, dead_letters, actors, events, audit; detail, page
//! footer       a notice, the last order's outcome; keys
//! over it      dialog, quit, sort, help, peek, forbidden
//! ```

mod actors;
mod audit;
mod cockpit;
mod compact;
mod dead_letters;
mod detail;
mod dialog;
mod events;
mod footer;
mod forbidden;
mod gauge;
mod header;
mod help;
mod listeners;
mod overview;
mod page;
mod peek;
mod popup;
mod sessions;
mod sparkline;
mod table;
mod tabs;
mod topics;

use ratatui::{
    Frame,
    buffer::Buffer,
    layout::Rect,
    style::Style,
    widgets::{Block, Clear, Widget},
};

use super::{
    state::{
        Modal, State, View,
        geometry::Geometry,
        text::{fit, width},
    },
    theme::Theme,
};

/// Draws the whole screen.
pub(crate) fn draw(state: &State, frame: &mut Frame<'_>) {
    screen(state, frame);
    for cell in &mut frame.buffer_mut().content {
        if let Some(symbol) = state.theme.shown(cell.symbol()) {
            cell.set_symbol(symbol);
        }
    }
}

fn screen(state: &State, frame: &mut Frame<'_>) {
    let Some(geometry) = state.geometry().filter(|_| frame.area().as_size() == state.size.into()) else {
        compact::draw(state, frame);
        if let Modal::Dialog(question) = &state.modal
            && state.has_room_for_questions()
        {
            dialog::draw(state, question, frame);
        }
        return;
    };
    header::draw(state, frame.buffer_mut(), geometry.header);
    tabs::draw(state, frame.buffer_mut(), geometry.tabs);
    body(state, frame, &geometry);
    footer::draw(state, frame.buffer_mut(), &geometry);
    match &state.modal {
        Modal::Dialog(question) => dialog::draw(state, question, frame),
        Modal::Quit(at) => popup::quit(state, *at, frame),
        Modal::Peek(pane) => peek::draw(state, pane, frame, geometry.body),
        Modal::Forbidden(cursor) => forbidden::draw(state, cursor.as_ref(), frame, geometry.body),
        Modal::Sort(at) => popup::sort(state, *at, frame),
        Modal::Help { input, top } => help::draw(state, input, *top, frame, &geometry),
        Modal::None | Modal::Filter { .. } => {}
    }
}

fn body(state: &State, frame: &mut Frame<'_>, geometry: &Geometry) {
    if let Some(opened) = state.pages.last() {
        page::draw(state, opened, frame.buffer_mut(), geometry);
        return;
    }
    match state.view {
        View::Overview => overview::draw(state, frame, geometry),
        View::Sessions => sessions::draw(state, frame, geometry),
        View::Listeners => listeners::draw(state, frame, geometry),
        View::Topics => topics::draw(state, frame, geometry),
        View::DeadLetters => dead_letters::draw(state, frame, geometry),
        View::Actors => actors::draw(state, frame, geometry),
        View::Events => events::draw(state, frame, geometry),
        View::Audit => audit::draw(state, frame, geometry),
    }
}

/// Writes `text` at a place of `area`, cut to what is left of its line; returns the column after it.
fn put(buffer: &mut Buffer, area: Rect, (x, y): (u16, u16), text: &str, style: Style) -> u16 {
    if x >= area.width || y >= area.height {
        return x;
    }
    let text = fit(text, usize::from(area.width - x));
    buffer.set_string(area.x + x, area.y + y, &text, style);
    x + width(&text) as u16
}

/// Writes `text` so that it ends with `area`'s line; returns the column it starts at.
fn put_right(buffer: &mut Buffer, area: Rect, y: u16, text: &str, style: Style) -> u16 {
    let x = area.width.saturating_sub(width(text) as u16);
    put(buffer, area, (x, y), text, style);
    x
}

/// A box with a title and a remark; returns what is inside.
fn pane(buffer: &mut Buffer, area: Rect, theme: Theme, (title, remark): (&str, &str), focused: bool) -> Rect {
    let edge = if focused { theme.title() } else { theme.dim() };
    let block = Block::bordered().border_set(theme.border()).border_style(edge);
    let inside = block.inner(area);
    block.render(area, buffer);
    let line = Rect { x: area.x + 2, width: area.width.saturating_sub(4), height: area.height.min(1), ..area };
    let title = if title.is_empty() { String::new() } else { format!(" {title} ") };
    let used = put(buffer, line, (0, 0), &title, if focused { theme.strong() } else { theme.text() });
    if !remark.is_empty() && usize::from(used) + width(remark) + 4 <= usize::from(line.width) {
        put_right(buffer, line, 0, &format!(" {remark} "), theme.dim());
    }
    inside
}

/// An empty box in the middle of the screen, below its first line; returns what is inside.
fn popup(frame: &mut Frame<'_>, theme: Theme, (columns, lines): (u16, u16), title: &str, edge: Style) -> Rect {
    let screen = frame.area();
    // On a narrow screen nothing of the rows behind is left to be misread beside it.
    let columns = if screen.width <= columns + 8 { screen.width } else { columns };
    // The first line says which broker this is: nothing hides that.
    let lines = lines.min(screen.height.saturating_sub(1));
    let y = ((screen.height - lines) / 2).max(1).min(screen.height - lines);
    let area = Rect::new((screen.width - columns) / 2, y, columns, lines);
    Clear.render(area, frame.buffer_mut());
    let block = Block::bordered().border_set(theme.border()).border_style(edge);
    let inside = block.inner(area);
    block.render(area, frame.buffer_mut());
    let line = Rect { x: area.x + 2, width: area.width.saturating_sub(4), height: area.height.min(1), ..area };
    put(frame.buffer_mut(), line, (0, 0), &format!(" {title} "), edge.patch(theme.strong()));
    Rect { x: inside.x + 1, width: inside.width.saturating_sub(2), ..inside }
}
