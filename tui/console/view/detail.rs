//! The detail of the row under the cursor, and the line that says what a list shows.

use ratatui::{Frame, buffer::Buffer, layout::Rect};

use super::{dead_letters, gauge, pane, put, put_right, sparkline, table};
use crate::console::state::{
    Modal, State, View,
    facts::{LABEL, Line, Saying, fold},
    list::{AnyList as _, List, Table},
    page::Page,
    subject::Subject,
    tables::{listeners::Listener, sessions::Session, subscriptions::Subscription, topics::Topic},
    text::{BETWEEN, bytes, count, fit, left as time, whole_parts, width, wrap},
};
use table::{Column, Row, Size, name, number, text};

const MEMBERS: &[Column] = &[
    name("WHAT", Size::Fill(15, 60), 0),
    name("CLIENT", Size::Fill(10, 24), 0),
    number("WAITING", 7, 0),
    number("IN FLIGHT", 9, 78),
    number("DLQ", 6, 0),
    number("POISON", 6, 59),
    number("DROPPED", 8, 78),
    text("STATE", Size::Fixed(8), 0),
];

/// The same of an object to which no subscription belongs.
const OTHERS: &[Column] = &[name("WHAT", Size::Fill(16, 24), 0), text("HOW IT IS", Size::Fill(30, 150), 0)];

/// Draws the line above a list: what it holds, how it is sorted and filtered; or the filter line.
pub(super) fn info<T: Table>(state: &State, frame: &mut Frame<'_>, area: Rect, list: &List<T>, (what, more): (&str, &str)) {
    let theme = state.theme;
    let problem = list.filter().problem();
    let typed = std::ptr::addr_eq(state.list(), list);
    if let (Modal::Filter { input, .. }, true) = (&state.modal, typed) {
        let x = put(frame.buffer_mut(), area, (1, 0), "/ ", theme.key());
        let room = usize::from(area.width).saturating_sub(22);
        let scroll = input.visual_scroll(room);
        let shown: String = input.value().chars().skip(scroll).collect();
        let end = put(frame.buffer_mut(), Rect { width: area.width - 18, ..area }, (x, 0), &shown, theme.strong());
        let column = area.x + x + (input.visual_cursor().max(scroll) - scroll) as u16;
        frame.set_cursor_position((column.min(area.right() - 1), area.y));
        let found = format!("{} of {} ", count(list.order().len() as u64), count(list.total() as u64));
        let from = put_right(frame.buffer_mut(), area, 0, &found, theme.dim());
        if let Some(problem) = problem {
            let room = usize::from(from.saturating_sub(end + 4));
            put(frame.buffer_mut(), area, (end + 3, 0), &fit(problem, room), theme.bad());
        }
        return;
    }
    let buffer = frame.buffer_mut();
    let mut x = put(buffer, area, (1, 0), what, theme.strong());
    let left_out = list.filter().left_out();
    // What does not count is told, and why, even where what counts must be cut for it.
    let left_out = match (left_out.is_empty(), list.filter().why_left_out()) {
        (true, _) => String::new(),
        (false, why) => format!("   NOT by {left_out}{}", why.map(|why| format!(": {why}")).unwrap_or_default()),
    };
    if !list.filter().is_empty() {
        let shown = format!("   {} shown by: {}", count(list.order().len() as u64), list.filter().applied());
        let line = Rect { width: area.width.saturating_sub(width(&left_out) as u16), ..area };
        x = put(buffer, line, (x, 0), &shown, theme.warning());
    }
    x = put(buffer, area, (x, 0), &left_out, theme.bad());
    let room = usize::from(area.width.saturating_sub(x + 3));
    let more = if left_out.is_empty() { whole_parts(more, BETWEEN, room) } else { "? shows how" };
    x = put(buffer, area, (x + 3, 0), more, theme.dim());
    // That there are more rows is said even where there is no room for their order.
    let excerpt = list.excerpt(state.geometry().map_or(0, |geometry| geometry.rows()));
    let excerpt =
        excerpt.map_or_else(String::new, |(first, last, all)| format!("rows {first}-{last} of {}  ", count(all as u64)));
    let (name, descending) = list.sort();
    let sort = match (T::SORTS.len() > 1, descending) {
        (true, true) => format!("sort {name} descending "),
        (true, false) => format!("sort {name} ascending "),
        (false, _) => String::new(),
    };
    let mut offers = [format!("{excerpt}{sort}"), excerpt].into_iter().map(|text| format!("{} ", text.trim_end()));
    if let Some(right) = offers.find(|right| usize::from(x) + 2 + width(right) <= usize::from(area.width)) {
        put_right(buffer, area, 0, &right, theme.dim());
    }
}

/// Says why a list is empty, and what to type next.
pub(super) fn nothing(state: &State, room: View, frame: &mut Frame<'_>, area: Rect) {
    let columns = usize::from(area.width.saturating_sub(2));
    let mut y = 2;
    for line in state.nothing_here(room, columns) {
        // A command is in lines already, as a shell reads them.
        let (lines, style) =
            if line.starts_with("  ") { (vec![line], state.theme.key()) } else { (wrap(&line, columns), state.theme.text()) };
        for line in lines {
            put(frame.buffer_mut(), area, (2, y), &line, style);
            y += 1;
        }
    }
}

/// Draws the detail of `subject`: its facts, and as many of its members as there is room for.
pub(super) fn draw(state: &State, subject: &Subject, buffer: &mut Buffer, area: Rect) {
    let title = subject.label_in(state.shown());
    let facts = state.facts(subject);
    let inside = pane(buffer, area, state.theme, (&title, "Enter opens"), false);
    if facts.is_empty() {
        put(buffer, inside, (1, 0), "no longer there", state.theme.dim());
        return;
    }
    let below = lines(state, facts, buffer, inside);
    if inside.height > below + 3 && matches!(subject, Subject::Session(_) | Subject::Topic(_)) {
        let rest = Rect { y: inside.y + below + 1, height: inside.height - below - 1, ..inside };
        members(state, &Page::new(subject.clone()), buffer, rest, false);
    }
}

/// Draws labelled lines, folded where there is room for that; returns how many.
pub(super) fn lines(state: &State, facts: Vec<Line>, buffer: &mut Buffer, area: Rect) -> u16 {
    let theme = state.theme;
    let facts = fold(facts, area.width, area.height);
    for (y, (label, saying)) in facts.iter().enumerate() {
        let y = y as u16;
        put(buffer, area, (1, y), label, theme.dim());
        match saying {
            Saying::Text(text) => put(buffer, area, (LABEL, y), text, theme.text()),
            Saying::Loud(text) => put(buffer, area, (LABEL, y), text, theme.warning()),
            Saying::Timer { left, full, ends } => {
                let columns = usize::from(area.width.saturating_sub(50)).clamp(12, 52);
                let x = put(buffer, area, (LABEL, y), &gauge::timer(*left, *full, columns), gauge::style(theme, *left));
                put(buffer, area, (x, y), &format!(" left of {}, ends {ends}", time(*full)), theme.text())
            }
            Saying::Rates(rates) => {
                let columns = usize::from(area.width.saturating_sub(LABEL + 2)).min(60);
                put(buffer, area, (LABEL, y), &sparkline::line(theme, rates, columns), theme.figure())
            }
        };
    }
    facts.len() as u16
}

/// Draws what belongs to an object, one line each, and marks the one that Enter leads to.
pub(super) fn members(state: &State, page: &Page, buffer: &mut Buffer, area: Rect, cursor: bool) {
    let (theme, model) = (state.theme, state.shown());
    let rows = usize::from(area.height.saturating_sub(1));
    if page.len(model) == 0 {
        let none = match page.subject {
            _ if state.is_over(&page.subject) => "its subscriptions ended with it",
            Subject::Order(_) => "what it was about is no row, or is no longer there",
            Subject::Listener(_) => "no session",
            _ => "no subscriptions",
        };
        put(buffer, area, (1, 0), none, theme.dim());
        return;
    }
    let at = page.at(model);
    let columns = if page.has_subscriptions(model) { MEMBERS } else { OTHERS };
    let said = table::places(columns, area.width).get(1).map_or(0, |(_, x, _)| usize::from(area.width.saturating_sub(*x)));
    let shown = page.members(model, page.top).take(rows).map(|member| member_row(state, &member, said));
    let under = (cursor && at >= page.top).then(|| at - page.top);
    table::draw(buffer, area, theme, (columns, None), (shown, under));
    let hidden = page.len(model).saturating_sub(page.top + rows);
    if hidden > 0 && rows > 0 {
        // On the line of the titles where that has room, else on the border below.
        let more = format!(" {} more below ", count(hidden as u64));
        let titles = table::places(columns, area.width).last().map_or(0, |(_, x, columns)| x + columns);
        let is_beside = usize::from(area.width.saturating_sub(titles)) >= width(&more);
        let y = if is_beside { area.y } else { area.bottom() };
        put_right(buffer, Rect { y, height: 1, ..area }.intersection(buffer.area), 0, &more, theme.dim());
    }
}

fn member_row(state: &State, member: &Subject, columns: usize) -> Row {
    let (theme, model) = (state.theme, state.shown());
    let Subject::Subscription(id) = member else {
        let said = member_line(state, member);
        let said = said.map_or_else(
            || ("gone".to_owned(), theme.ended()),
            |said| (whole_parts(&said, BETWEEN, columns).to_owned(), theme.text()),
        );
        let cells = vec![(member_name(state, member), theme.strong())];
        return Row { cells, span: Some((1, said)), ..Row::default() };
    };
    let Some(subscription) = Subscription::find(model, id) else {
        let cells = vec![(member.label_in(model), theme.ended())];
        return Row { cells, span: Some((1, ("ended".to_owned(), theme.ended()))), ..Row::default() };
    };
    let [waiting, in_flight, dead, poison, dropped] = dead_letters::figures(state, &subscription);
    let word = match state.under_way(member) {
        Some(word) => (word, theme.warning()),
        None => (subscription.state().to_owned(), theme.text()),
    };
    let (filter, client) = ((subscription.filter(), theme.strong()), (subscription.client(), theme.text()));
    Row { cells: vec![filter, client, waiting, in_flight, dead, poison, dropped, word], ..Row::default() }
}

/// What a member is called in a column that is not wide; whose it is follows in its line.
fn member_name(state: &State, member: &Subject) -> String {
    match member {
        Subject::Session(id) => id.short(),
        Subject::Listener(id) => {
            Listener::find(state.shown(), *id).map_or_else(|| id.to_string(), |listener| listener.row.peer.to_string())
        }
        member => member.label_in(state.shown()),
    }
}

/// What a member is that holds no messages itself: its kind first.
fn member_line(state: &State, member: &Subject) -> Option<String> {
    let model = state.shown();
    Some(match member {
        Subject::Session(id) => {
            let session = Session::find(model, *id)?;
            format!(
                "session of {}, {}   {}   {} waiting",
                session.client(),
                session.state(),
                session.peer(usize::MAX),
                count(session.row.depth.waiting)
            )
        }
        Subject::Topic(topic) => {
            let topic = Topic::find(model, topic)?;
            format!(
                "topic   {}/s published   {} exact, {} held",
                count(topic.rate()),
                topic.row.subscribers.len(),
                count(topic.held())
            )
        }
        Subject::Listener(id) => {
            let listener = Listener::find(model, *id)?;
            let (read, written) = listener.rates();
            format!("connection, {}   {}/s in   {}/s out", listener.state(), bytes(read), bytes(written))
        }
        Subject::Subscription(_) | Subject::Order(_) | Subject::Actor(_) | Subject::Broker => return None,
    })
}
