//! The first line: which broker this is, and how much of it the screen knows. Never hidden by anything.

use cordboard::board::Course;
use ratatui::{
    buffer::Buffer,
    layout::Rect,
    style::{Modifier, Style},
};

use super::{put, put_right};
use crate::console::state::{
    State,
    text::{age, clock, count, count_in, safe, width},
    words::stop_phase,
};

/// Where it is, told by how much it matters: the least goes first when there is no room.
fn identity(state: &State) -> Vec<(u8, String)> {
    let model = state.shown();
    let broker = &model.board.broker;
    if !model.is_known() {
        return vec![(0, "broker: nothing heard yet".to_owned())];
    }
    let endpoints = broker.endpoints.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
    let mut parts = vec![(0, safe(&broker.host)), (3, format!("pid {}", broker.pid))];
    if !endpoints.is_empty() {
        parts.push((1, endpoints));
    }
    parts.push((4, format!("v{}", safe(&broker.version))));
    parts.push((2, format!("up {}", age(broker.started.up.until(model.now.up).as_millis() as u64))));
    parts
}

/// What the screen knows: played or real, read-only or not, frozen or not, behind or not, and the time.
fn honesty(state: &State, wide: bool) -> Vec<(String, Style)> {
    let (theme, model) = (state.theme, state.shown());
    let hearing = model.hearing;
    let mut parts = Vec::new();
    if state.demo {
        parts.push(("DEMO".into(), theme.warning().add_modifier(Modifier::REVERSED)));
    }
    parts.push(if state.live.read_only { ("RO".into(), theme.warning()) } else { ("RW".into(), theme.strong()) });
    match state.held_back() {
        None => parts.push(("LIVE".into(), theme.good())),
        Some(0) => parts.push(("PAUSED".into(), theme.warning())),
        Some(held) if wide => parts.push((format!("PAUSED +{} held back", count(held)), theme.warning())),
        Some(held) => parts.push((format!("PAUSED +{}", count_in(held, 5)), theme.warning())),
    }
    let number = |value| if wide { count(value) } else { count_in(value, 5) };
    let bus = if wide { "bus lag" } else { "lag" };
    let behind = if hearing.lag > 0 { theme.warning() } else { theme.dim() };
    parts.push((format!("{bus} {}", number(hearing.lag)), behind));
    let missed = if hearing.lost > 0 { theme.bad() } else { theme.dim() };
    parts.push((format!("lost {}", number(hearing.lost)), missed));
    if let Some(at) = hearing.resynced {
        parts.push((format!("resync {}", clock(at.wall)), theme.warning()));
    }
    parts.push((clock(model.now.wall), theme.strong()));
    parts
}

/// Draws it: honesty in full, and as much identity as there is room for.
pub(super) fn draw(state: &State, buffer: &mut Buffer, area: Rect) {
    let wide = area.width >= 110;
    let gap = if wide { 2 } else { 1 };
    let right = honesty(state, wide);
    let needed: usize = right.iter().map(|(text, _)| width(text) + gap).sum();
    let mut x = area.width.saturating_sub(needed as u16 + 1 - gap as u16);
    let room = usize::from(x);
    for (text, style) in &right {
        x = put(buffer, area, (x, 0), text, *style) + gap as u16;
    }
    let mut left = identity(state);
    while left.len() > 1 && 2 + left.iter().map(|(_, text)| width(text) + gap).sum::<usize>() > room {
        let least = left.iter().map(|(rank, _)| *rank).max().unwrap_or(0);
        left.retain(|(rank, _)| *rank != least);
    }
    let line = Rect { width: (room as u16).saturating_sub(1), ..area };
    let mut x = 1;
    for (rank, text) in &left {
        let style = if *rank == 0 { state.theme.strong() } else { state.theme.text() };
        x = put(buffer, line, (x, 0), text, style) + gap as u16;
    }
}

/// Something that is wrong with the broker as a whole.
struct Wrong {
    full: String,
    short: String,
    /// What is not may be left out where there is no room: it is told elsewhere, or was so from the start.
    urgent: bool,
}

impl Wrong {
    fn urgent(full: impl Into<String>, short: impl Into<String>) -> Self {
        Self { full: full.into(), short: short.into(), urgent: true }
    }

    fn other(full: impl Into<String>, short: impl Into<String>) -> Self {
        Self { urgent: false, ..Self::urgent(full, short) }
    }
}

fn wrongs(state: &State) -> Vec<Wrong> {
    let model = state.shown();
    let broker = &model.board.broker;
    if !model.is_known() {
        return Vec::new();
    }
    let mut wrongs = Vec::new();
    if broker.stopped {
        wrongs.push(Wrong::urgent("STOPPED", "STOPPED"));
    } else if let Some(deadline) = broker.draining {
        let left = crate::console::state::text::left(model.now.up.until(deadline.up).as_millis() as u64);
        let phase = broker.stop_phase.map_or_else(String::new, |(phase, waits)| format!(": {}", stop_phase(phase, waits)));
        let (word, short) = if broker.course == Course::Ending { ("STOPPING", "STOP") } else { ("DRAINING", "DRAIN") };
        wrongs.push(Wrong::urgent(format!("{word} {left}{phase}"), format!("{short} {left}")));
    } else if broker.course == Course::Drained {
        wrongs.push(Wrong::urgent("DRAINED: A accepts", "CLOSED"));
    } else if !broker.accepting {
        wrongs.push(Wrong::urgent("NOT ACCEPTING", "CLOSED"));
    }
    let forbidden = model.board.forbidden.len() as u64;
    if forbidden > 0 {
        wrongs.push(Wrong::other(format!("F: {} forbidden", count(forbidden)), format!("F{forbidden}")));
    }
    if broker.users == 0 {
        wrongs.push(Wrong::urgent("no users: local only", "no users"));
    }
    wrongs
}

/// The warnings as they could be written, what says most first; the last of them says only what must be said.
fn warnings_of(state: &State) -> Vec<String> {
    let wrongs = wrongs(state);
    let full: Vec<_> = wrongs.iter().map(|wrong| wrong.full.as_str()).collect();
    let mut shorts: Vec<_> = wrongs.iter().map(|wrong| wrong.short.as_str()).collect();
    let mut ways = vec![full.join("  "), shorts.join(" ")];
    // What is forbidden goes first: it has a list of its own.
    for wrong in wrongs.iter().filter(|wrong| !wrong.urgent) {
        shorts.retain(|short| *short != wrong.short);
        ways.push(shorts.join(" "));
    }
    ways
}

/// Columns that the warnings take in full, and the least that they can do with.
pub(super) fn warnings_widths(state: &State) -> (u16, u16) {
    let ways = warnings_of(state);
    let columns = |way: Option<&String>| way.map_or(0, |text| width(text) as u16);
    (columns(ways.first()), columns(ways.last()))
}

/// Draws the warnings at the end of the second line, in at most `room` columns.
pub(super) fn warnings(state: &State, buffer: &mut Buffer, area: Rect, room: u16) {
    let fits = warnings_of(state).into_iter().find(|text| width(text) <= usize::from(room));
    let line = Rect { width: area.width.saturating_sub(1), ..area };
    put_right(buffer, line, 0, &fits.unwrap_or_default(), state.theme.bad());
}
