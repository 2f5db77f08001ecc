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
//! There is no cursor, so nothing can be done to a row here, and a question that was open is not answered unseen.

use ratatui::{Frame, buffer::Buffer, layout::Rect};

use super::{gauge, header, put};
use crate::console::state::{
    Modal, State,
    geometry::{LEAST, SMALLEST},
    tables::sessions::{Fate, Session},
    text::{clock, count, count_in, counted, fit, safe, width},
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
    let (said, style) = match (&state.modal, &state.status) {
        (Modal::None, Some(status)) => (status.text.clone(), state.theme.strong()),
        (Modal::None | Modal::Quit(_), _) => (format!("views need {}x{}", SMALLEST.0, SMALLEST.1), state.theme.dim()),
        _ => (format!("what is open here needs {}x{}", SMALLEST.0, SMALLEST.1), state.theme.warning()),
    };
    put(buffer, area, (0, last - 1), &said, style);
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
        let text = format!("{sign} {} {}", line.rule.word(), line.subject.label(&model.board));
        let x = put(buffer, area, (0, y), &text, style);
        put(buffer, area, (x + 1, y), &line.what, theme.text());
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
