//! The compact screen: the state of the broker in one glance where the views do not fit, down to a single cell.
//!
//! ```text
//! DEMO prod-eu1 RW LIVE 14:22:07Z          which broker, how much of it is known
//! no users                                 what is wrong with it as a whole
//! 412 sessions, 9 detached, 57 DLQ         figures
//! in 1,204/s  out 3,880/s  lag 0 lost 0
//! !! DLQ growing orders/eu                 what needs attention
//! 9f3c..e1a2 billing-7 [##----] 0:18       who is reclaimed next
//! views need 60x15
//! p pause  q quit
//! ```
//!
//! There is no cursor, so nothing can be done to a row here; a question before an order stands over it all.

use cordboard::board::Course;
use ratatui::{
    Frame,
    buffer::Buffer,
    layout::Rect,
    widgets::{Clear, Widget},
};

use super::{gauge, header, put};
use crate::console::state::{
    Modal, State,
    attention::Attention,
    geometry::{LEAST, SMALLEST},
    model::Model,
    orders,
    tables::sessions::{Fate, Session},
    text::{clock, count, count_in, counted, fit, fit_name, safe, width, wrap},
};

/// Lines above the rows, and below them.
const ABOVE: u16 = 4;
const BELOW: u16 = 2;

/// The answers to the question before leaving, in their order.
const ANSWERS: [&str; 4] = ["Esc  cancel", "d    detach, the broker goes on", "r    drain", "s    shut down"];

/// Draws it.
pub(super) fn draw(state: &State, frame: &mut Frame<'_>) {
    let area = frame.area();
    let buffer = frame.buffer_mut();
    head(state, buffer, area);
    let last = area.height.saturating_sub(1);
    if area.width < LEAST.0 || area.height < LEAST.1 {
        let style = state.theme.warning();
        let enough = format!("{}x{} is enough", LEAST.0, LEAST.1);
        let said = format!("{}x{} is too small; {enough}", area.width, area.height);
        // A size alone would be taken for the screen's own.
        put(buffer, area, (0, 1), if width(&said) <= usize::from(area.width) { &said } else { &enough }, style);
        if area.height > 3 {
            header::warnings(state, buffer, Rect { y: area.y + 2, height: 1, ..area }, area.width);
        }
        if area.height > 2 {
            keys(state, buffer, area, last);
        }
        return;
    }
    figures(state, buffer, area);
    let rows = Rect { y: area.y + ABOVE, height: area.height - ABOVE - BELOW, ..area };
    match &state.modal {
        Modal::Quit(at) => answers(state, *at, buffer, rows),
        _ => rooms(state, buffer, rows),
    }
    say(state, buffer, Rect { height: area.height - ABOVE - 1, ..rows });
    keys(state, buffer, area, last);
}

fn head(state: &State, buffer: &mut Buffer, area: Rect) {
    let model = state.shown();
    let mode = if state.live.read_only { "RO" } else { "RW" };
    let pace = if state.held.is_some() { "PAUSED" } else { "LIVE" };
    let demo = if state.demo { "DEMO " } else { "" };
    let head = format!("{demo}{} {mode} {pace} {}", safe(&model.board.broker.host), clock(model.now.wall));
    put(buffer, area, (0, 0), &head, state.theme.strong());
}

fn figures(state: &State, buffer: &mut Buffer, area: Rect) {
    let (theme, model) = (state.theme, state.shown());
    let broker = &model.board.broker;
    header::warnings(state, buffer, Rect { y: area.y + 1, height: 1, ..area }, area.width - 1);
    let sessions = counted(model.board.sessions.len() as u64, "session");
    let there = format!("{sessions}, {} detached, {} DLQ", count(broker.detached), count(broker.dead_letters));
    put(buffer, area, (0, 2), &there, theme.text());
    let [published, delivered] = model.broker_rate();
    let flow = format!("in {}/s  out {}/s", count_in(published, 5), count_in(delivered, 5));
    let x = put(buffer, area, (0, 3), &flow, theme.text());
    let hearing = model.hearing;
    let style = if hearing.lost > 0 { theme.bad() } else { theme.dim() };
    put(buffer, area, (x + 2, 3), &format!("lag {} lost {}", count_in(hearing.lag, 5), count_in(hearing.lost, 5)), style);
}

/// What needs attention, and below it who is reclaimed next: a third of the lines is theirs.
fn rooms(state: &State, buffer: &mut Buffer, area: Rect) {
    let (theme, model) = (state.theme, state.shown());
    let lines = usize::from(area.height);
    let next = state.reclaim.order();
    let wanted = next.len().min((lines / 3).max(1));
    let alarms = model.attention.len().min(lines - wanted);
    for (y, line) in (0..).zip(model.attention.iter().take(alarms)) {
        let (sign, style) = if line.urgent { ("!!", theme.bad()) } else { ("! ", theme.warning()) };
        let x = put(buffer, area, (0, y), &format!("{sign} {} ", line.rule.word()), style);
        let (whom, why) = in_few_columns(line, model, usize::from(area.width - x));
        let x = put(buffer, area, (x, y), &whom, style);
        put(buffer, area, (x + 1, y), &why, theme.text());
    }
    if alarms == 0 {
        let calm = if model.is_known() { "nothing needs attention" } else { "nothing heard from the broker yet" };
        put(buffer, area, (0, 0), calm, theme.good());
    }
    let rows = next.iter().take(lines - alarms.max(1)).filter_map(|id| Session::find(model, *id));
    for (y, session) in (alarms.max(1) as u16..).zip(rows) {
        let x = put(buffer, area, (0, y), &session.id.short(), theme.text()) + 1;
        put(buffer, area, (x, y), &fit(&safe(&session.row.client), 10), theme.strong());
        let (fate, style) = match session.fate() {
            Fate::Reclaim { left, full } => (gauge::timer(left, full, 12), gauge::style(theme, left)),
            Fate::Held(by) => (format!("HELD by {by}"), theme.strong()),
            Fate::Ended(epitaph) => (epitaph, theme.ended()),
            Fate::Live => ("live".to_owned(), theme.good()),
        };
        put(buffer, area, (x + 11, y), &fate, style);
    }
}

/// What an alarm is about and why, in as few words as `columns` need: one that is cut says nothing.
fn in_few_columns(line: &Attention, model: &Model, columns: usize) -> (String, String) {
    let (whole, short) = (line.subject.label_in(model), line.subject.brief_in(model));
    for whom in [whole, short.clone()] {
        let room = columns.saturating_sub(width(&whom) + 1);
        let why = line.why(room);
        if width(why) <= room {
            return (whom, why.to_owned());
        }
    }
    (fit_name(&short, columns), String::new())
}

/// What there is to say, at the end of `area` and over what else stands there: it comes back when this goes.
fn say(state: &State, buffer: &mut Buffer, area: Rect) {
    let theme = state.theme;
    let waiting = orders::waiting(&state.live.board, state.clock);
    let broker = &state.shown().board.broker;
    let accepting = broker.accepting || broker.course == Course::Ending || !state.shown().is_known();
    let needs = |what: &str| format!("{what} {}x{}", SMALLEST.0, SMALLEST.1);
    let (said, style) = match (&state.modal, waiting, &state.status) {
        (Modal::None, Some(waiting), _) => (waiting, theme.warning()),
        (Modal::None, None, Some(status)) => (status.text.clone(), theme.strong()),
        (Modal::None, None, None) if !accepting => (needs("A accepts again; views need"), theme.warning()),
        (Modal::None | Modal::Quit(_), ..) => (needs("views need"), theme.dim()),
        _ => (needs("what is open here needs"), theme.warning()),
    };
    let notice = if matches!(state.modal, Modal::None) { state.notice_lines().join(" ") } else { String::new() };
    let folded = |said: &str, style| wrap(said, usize::from(area.width)).into_iter().map(move |line| (line, style));
    let mut lines: Vec<_> = folded(&notice, theme.bad()).filter(|(line, _)| !line.is_empty()).collect();
    let said: Vec<_> = folded(&said, style).take(2).collect();
    // What is worst stays in sight.
    let room = usize::from(area.height - 1) - said.len();
    if lines.len() > room {
        lines.truncate(room - 1);
        lines.push(("… Esc dismisses this".to_owned(), theme.bad()));
    }
    lines.extend(said);
    let height = lines.len() as u16;
    let area = Rect { y: area.bottom() - height, height, ..area };
    Clear.render(area, buffer);
    for (y, (line, style)) in (0..).zip(&lines) {
        put(buffer, area, (0, y), line, *style);
    }
}

/// The question before leaving.
fn answers(state: &State, at: usize, buffer: &mut Buffer, area: Rect) {
    for (y, answer) in ANSWERS.iter().enumerate() {
        let (mark, style) = if y == at { (">", state.theme.selected()) } else { (" ", state.theme.text()) };
        put(buffer, area, (0, y as u16), &format!("{mark} {answer}"), style);
    }
}

fn keys(state: &State, buffer: &mut Buffer, area: Rect, y: u16) {
    let mut x = 0;
    for (key, hint) in state.hints() {
        if usize::from(x) + width(key) + 1 + width(hint) > usize::from(area.width) {
            continue;
        }
        x = put(buffer, area, (x, y), key, state.theme.key()) + 1;
        x = put(buffer, area, (x, y), hint, state.theme.text()) + 2;
    }
}
