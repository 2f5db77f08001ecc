//! The compact screen: what fits where the views do not, down to a single cell.

use ratatui::Frame;

use super::put;
use crate::console::state::{
    Modal, State,
    geometry::SMALLEST,
    text::{clock, count, counted, safe},
};

/// Draws it.
pub(super) fn draw(state: &State, frame: &mut Frame<'_>) {
    let (theme, model, area) = (state.theme, state.shown(), frame.area());
    let broker = &model.board.broker;
    let mode = if state.live.read_only { "RO" } else { "RW" };
    let pace = if state.held.is_some() { "PAUSED" } else { "LIVE" };
    let buffer = frame.buffer_mut();
    let demo = if state.demo { "DEMO " } else { "" };
    let head = format!("{demo}{} {mode} {pace} {}", safe(&broker.host), clock(model.now.wall));
    let sessions = format!("{}, {} detached", counted(model.board.sessions.len() as u64, "session"), count(broker.detached));
    let lines = [
        (head, theme.strong()),
        (sessions, theme.text()),
        (counted(broker.dead_letters, "dead letter"), theme.text()),
        (format!("lag {} lost {}", count(model.hearing.lag), count(model.hearing.lost)), theme.dim()),
    ];
    for (y, (text, style)) in lines.iter().enumerate() {
        put(buffer, area, (0, y as u16), text, *style);
    }
    let foot = area.height.saturating_sub(2).max(5);
    for (y, line) in (5..foot).zip(&model.attention) {
        let sign = if line.urgent { "!!" } else { "!" };
        let text = format!("{sign} {} {}", line.rule.word(), line.subject.label(&model.board));
        put(buffer, area, (0, y), &text, if line.urgent { theme.bad() } else { theme.warning() });
    }
    put(buffer, area, (0, foot), &format!("too small: views need {}x{}", SMALLEST.0, SMALLEST.1), theme.warning());
    let keys = match state.modal {
        Modal::None => "q quit  p pause",
        Modal::Quit(_) => "d detach  s shut down  Esc cancel",
        _ => "Esc cancel",
    };
    put(buffer, area, (0, foot + 1), keys, theme.key());
}
