//! The overview: what needs attention, the broker's figures, and who is reclaimed next.

use ratatui::{Frame, buffer::Buffer, layout::Rect, style::Style};

use super::{cockpit, events, gauge, pane, put, put_right, sparkline};
use crate::console::state::{
    Pane, State, Zoom,
    geometry::{Cockpit, Geometry, inside},
    subject::Subject,
    tables::{
        needs::Need,
        sessions::{Fate, Session},
    },
    text::{bytes, count, count_in, counted, fit, safe, whole_parts, width},
};

/// Columns that what an alarm is about has at least.
const WHOM: usize = 12;
/// Columns of a client's name where there is room.
const NAME: u16 = 14;

/// Draws it.
pub(super) fn draw(state: &State, frame: &mut Frame<'_>, geometry: &Geometry) {
    for place in state.overview(geometry) {
        cockpit::draw(state, frame, geometry, place);
    }
    if state.zoom == Zoom::In {
        return;
    }
    let (panes, buffer) = (geometry.panes(state.detail), frame.buffer_mut());
    broker(state, buffer, panes.broker);
    match (panes.cockpit, panes.events) {
        (None, Some(area)) => {
            let inside = pane(buffer, area, state.theme, ("Events", "7 shows all"), false);
            events::tail(state, buffer, inside);
        }
        (Some(Cockpit { detail: Some(area), .. }), _) => cockpit::beside(state, buffer, area),
        _ => {}
    }
}

/// The broker's figures on one line, as many as it has room for: what flows, what is held, what is lost, who is there.
fn in_brief(state: &State, buffer: &mut Buffer, line: Rect) {
    let (theme, model) = (state.theme, state.shown());
    let broker = &model.board.broker;
    let [publish, deliver] = model.broker_rate();
    let (poison, dropped) = (broker.depth.poison, broker.sample.dropped);
    let mut parts = vec![
        (format!("in {}/s", count_in(publish, 6)), theme.text()),
        (format!("out {}/s", count_in(deliver, 6)), theme.text()),
        (format!("queued {}", count_in(broker.depth.queued(), 7)), theme.text()),
        (format!("DLQ {}", count_in(broker.dead_letters, 7)), theme.text()),
        (counted(model.board.sessions.len() as u64, "session"), theme.text()),
    ];
    let trouble = [(dropped, "dropped", theme.bad()), (poison, "poison", theme.warning())];
    let trouble = trouble.into_iter().filter(|(number, ..)| *number > 0);
    // Trouble goes before what there always is.
    parts.splice(4..4, trouble.map(|(number, word, style)| (format!("{} {word}", count_in(number, 6)), style)));
    let mut x = 1;
    for (text, style) in parts {
        if usize::from(x) + width(&text) <= usize::from(line.width) {
            x = put(buffer, line, (x, 0), &text, style) + 2;
        }
    }
}

fn broker(state: &State, buffer: &mut Buffer, area: Rect) {
    if area.height == 1 {
        return in_brief(state, buffer, area);
    }
    let (theme, model) = (state.theme, state.shown());
    let area = pane(buffer, area, theme, ("Broker", ""), false);
    let (board, broker) = (&model.board, &model.board.broker);
    let sample = &broker.sample;
    let (sessions, open) = (board.sessions.len() as u64, board.listeners.len() as u64);
    let endpoints = broker.endpoints.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
    let accepting = if broker.accepting { "accepting" } else { "not accepting" };
    let dropped = if sample.dropped > 0 { theme.bad() } else { theme.text() };
    let figures: [(&str, String, String, Style); 5] = [
        (
            "sessions",
            count(sessions),
            format!("{} attached  {} detached", count(sessions - broker.detached), count(broker.detached)),
            theme.text(),
        ),
        (
            "connections",
            count(open),
            format!(
                "{} registering  {} refused",
                count(model.registering as u64),
                count(sample.refused + sample.refused_registrations)
            ),
            theme.text(),
        ),
        ("topics", count(board.topics.len() as u64), counted(board.subscriptions.len() as u64, "subscription"), theme.text()),
        (
            "memory",
            bytes(sample.held_bytes),
            format!("{} dropped  {} poison", count(sample.dropped), count(broker.depth.poison)),
            dropped,
        ),
        (
            "endpoints",
            String::new(),
            if endpoints.is_empty() { "none open".to_owned() } else { format!("{endpoints} {accepting}") },
            theme.text(),
        ),
    ];
    let left = match area.width {
        110.. => Rect { width: 58, ..area },
        _ if is_stacked(area) => area,
        _ => Rect { width: 48, ..area },
    };
    for (y, (label, figure, rest, style)) in figures.iter().enumerate() {
        let y = y as u16;
        put(buffer, left, (1, y), label, theme.dim());
        let number = Rect { x: left.x + 12, width: left.width.min(9), ..left };
        put_right(buffer, number, y, figure, theme.strong());
        let x = if figure.is_empty() { 13 } else { 23 };
        let is_tight = x + width(rest) as u16 > left.width;
        let rest = if is_tight { rest.replace("  ", " ") } else { rest.clone() };
        put(buffer, left, (x, y), &rest, *style);
    }
    let flows = if is_stacked(area) {
        Rect { x: area.x + 1, y: area.y + 5, width: area.width - 1, height: area.height - 5 }
    } else {
        Rect { x: left.right() + 1, width: area.width - left.width - 1, ..area }
    };
    flow(state, buffer, flows);
}

/// The figures stand above those that have a past, not beside them.
fn is_stacked(area: Rect) -> bool {
    area.height >= 10
}

/// The figures that have a past: rates and levels, with their last minute.
fn flow(state: &State, buffer: &mut Buffer, area: Rect) {
    let (theme, model) = (state.theme, state.shown());
    let broker = &model.board.broker;
    let [published, delivered] = model.broker_rates();
    let [publish, deliver] = model.broker_rate();
    let flows = [
        ("publish", publish, "/s", published),
        ("deliver", deliver, "/s", delivered),
        ("queued", broker.depth.queued(), "", model.flow.queued.levels()),
        ("DLQ", broker.dead_letters, "", model.flow.dead.levels()),
    ];
    for (y, (label, figure, unit, past)) in flows.iter().enumerate() {
        let y = y as u16;
        put(buffer, area, (0, y), label, theme.dim());
        let number = Rect { x: area.x + 8, width: area.width.saturating_sub(8).min(7), ..area };
        put_right(buffer, number, y, &count_in(*figure, 7), theme.strong());
        put(buffer, area, (15, y), unit, theme.dim());
        let columns = usize::from(area.width.saturating_sub(19)).min(60);
        put(buffer, area, (18, y), &sparkline::line(theme, past, columns), theme.figure());
    }
    let (taken, written) = (broker.sample.published, broker.sample.delivered);
    let total = if area.width >= 50 {
        format!("{} published  {} delivered", count(taken), count(written))
    } else {
        format!("{} in  {} out", count_in(taken, 6), count_in(written, 6))
    };
    put(buffer, area, (0, 4), "in all", theme.dim());
    put(buffer, area, (8, 4), &total, theme.text());
}

/// Highlights the line under the cursor.
fn select(state: &State, buffer: &mut Buffer, area: Rect, y: u16) {
    let line = Rect { y: area.y + y, height: 1, ..area }.intersection(buffer.area);
    buffer.set_style(line, state.theme.selected());
}

pub(super) fn needs(state: &State, buffer: &mut Buffer, area: Rect) {
    let (theme, model) = (state.theme, state.shown());
    let rows = inside(area);
    let focused = state.pane == Pane::Needs;
    let remark = match model.attention_total {
        0 => String::new(),
        total => format!("{} - Enter opens", count(total as u64)),
    };
    let area = pane(buffer, area, theme, ("Needs attention", &remark), focused);
    let (ids, cursor) = state.needs.window(rows);
    if ids.is_empty() {
        let calm = if model.is_known() { "nothing needs attention" } else { "nothing heard from the broker yet" };
        put(buffer, area, (1, 0), calm, theme.good());
    }
    let about = if area.width >= 100 { 20 } else { 18 };
    let lines: Vec<_> = ids.iter().map(|id| Need::find(model, id)).collect();
    let found = || lines.iter().flatten();
    let room = usize::from(area.width.saturating_sub(about + 1));
    // What it is about is cut before what is so, as that is what it leads to, but not before what an error says of itself.
    let why = found().map(|line| width(line.gist())).max().unwrap_or(0);
    let whom = found().map(|line| width(&line.subject.label_in(model))).max().unwrap_or(0);
    let whom = whom.min(room.saturating_sub(why + 1).max(WHOM));
    let what = about + whom as u16 + 1;
    for (y, line) in lines.iter().enumerate() {
        let Some(line) = line else { continue };
        let at = y as u16;
        let (sign, style) = if line.urgent { ("!!", theme.bad()) } else { ("!", theme.warning()) };
        put(buffer, area, (1, at), sign, style);
        put(buffer, area, (4, at), line.rule.word(), style);
        let label = Some(line.subject.label_in(model)).filter(|label| width(label) <= whom);
        let label = label.unwrap_or_else(|| line.subject.brief_in(model));
        put(buffer, area, (about, at), &fit(&label, whom), theme.strong());
        // Where there is room for a part of it, an error is told rather in part than not at all.
        let columns = room - whom;
        let said = if area.width < 70 { line.why(columns) } else { whole_parts(&line.what, "; ", columns) };
        put(buffer, area, (what, at), said, theme.text());
        if focused && cursor == Some(y) {
            select(state, buffer, area, at);
        }
    }
}

pub(super) fn reclaim(state: &State, buffer: &mut Buffer, area: Rect) {
    let (theme, model) = (state.theme, state.shown());
    let rows = inside(area);
    let focused = state.pane == Pane::Reclaim;
    let remark = match model.board.broker.detached {
        0 => String::new(),
        // Where the rows have no room for it the title says what their last figure is.
        detached if area.width < 68 => format!("of {}, messages to lose", count(detached)),
        detached => format!("of {}", count(detached)),
    };
    let area = pane(buffer, area, theme, ("Next to be reclaimed", &remark), focused);
    let (ids, cursor) = state.reclaim.window(rows);
    let (name, columns) = match area.width {
        100.. => (NAME, 32),
        66.. => (NAME, 18),
        width => (10, usize::from(width.saturating_sub(37)).clamp(5, 18)),
    };
    if ids.is_empty() {
        let (calm, command) = match model.board.sessions.len() {
            _ if !model.is_known() => ("nothing heard from the broker yet", Vec::new()),
            0 => ("no sessions yet; type in another terminal:", state.first_command(usize::from(area.width.saturating_sub(2)))),
            _ => ("every session has its client", Vec::new()),
        };
        put(buffer, area, (1, 0), calm, theme.dim());
        for (y, line) in (1..).zip(&command) {
            put(buffer, area, (1, y), line, theme.key());
        }
    }
    for (y, id) in ids.iter().enumerate() {
        let Some(session) = Session::find(model, *id) else { continue };
        let at = y as u16;
        put(buffer, area, (1, at), &id.short(), theme.text());
        put(buffer, area, (13, at), &fit(&safe(&session.row.client), usize::from(name)), theme.strong());
        let (fate, style) = match (state.under_way(&Subject::Session(*id)), session.fate()) {
            (Some(word), _) => (word, theme.warning()),
            (_, Fate::Reclaim { left, full }) => (gauge::timer(left, full, columns), gauge::style(theme, left)),
            (_, Fate::Held(by)) => (format!("HELD by {by}"), theme.strong()),
            (_, Fate::Ended(epitaph)) => (epitaph, theme.ended()),
            (_, Fate::Live) => ("live".to_owned(), theme.good()),
        };
        let end = put(buffer, area, (14 + name, at), &fit(&fate, columns + 8), style);
        let lost = session.row.depth.queued() + session.row.depth.poison;
        let holds = if name < NAME {
            format!("{:>7}", count_in(lost, 7))
        } else {
            format!("{:>9} to lose  {}", count(lost), counted(session.row.subscriptions.len() as u64, "sub"))
        };
        put(buffer, area, (end.max(14 + name + columns as u16 + 6), at), &holds, theme.text());
        if focused && cursor == Some(y) {
            select(state, buffer, area, at);
        }
    }
}
