//! A look into a queue or a backlog, over the body: the copied messages above, the one under the cursor below.

use ratatui::{
    Frame,
    buffer::Buffer,
    layout::Rect,
    widgets::{Clear, Widget},
};

use cordboard::peek::{MAX_MESSAGES, PAYLOAD_BYTES, Peek, Peeked, Place};

use super::{
    pane, put,
    table::{self, Column, Row, Size, name, number, text},
};
use crate::console::state::{
    State,
    peek::{Answer, PeekPane, hex_line},
    subject::Subject,
    text::{age, bytes, clock, clock_millis, count, counted, safe, wrap},
    words::place,
};

const COLUMNS: &[Column] = &[
    text("WHERE", Size::Fixed(9), 0),
    number("NUMBER", 9, 72),
    number("AGE", 6, 0),
    number("SIZE", 9, 0),
    number("TRIES", 5, 72),
    name("TOPIC", Size::Fill(12, 40), 0),
    text("BEGINS", Size::Fill(12, 120), 0),
];
/// Bytes in a line of them, on a narrow screen and on a wide one.
const BYTES: (usize, usize) = (16, 32);

/// Draws it.
pub(super) fn draw(state: &State, pane_: &PeekPane, frame: &mut Frame<'_>, area: Rect) {
    let (theme, buffer) = (state.theme, frame.buffer_mut());
    Clear.render(area, buffer);
    let title = format!("{} - a copy: nothing moves", pane_.label);
    let inside = pane(buffer, area, theme, (&title, "Esc closes"), true);
    let (peek, at) = match &pane_.answer {
        Answer::Awaited => {
            put(buffer, inside, (1, 0), "asking the broker…", theme.dim());
            return;
        }
        Answer::None(why) => {
            put(buffer, inside, (1, 0), why, theme.bad());
            return;
        }
        Answer::Copy(peek, at) => (peek, at),
    };
    put(buffer, inside, (1, 0), &summary(pane_, peek, &clock(at.wall)), theme.text());
    if peek.messages.is_empty() {
        put(buffer, inside, (1, 2), "it holds nothing", theme.dim());
        return;
    }
    let rest = Rect { y: inside.y + 1, height: inside.height.saturating_sub(1), ..inside };
    // Its first line of payload at least.
    let below = (rest.height / 2).clamp(5, 12).min(rest.height);
    let list = Rect { height: rest.height - below, ..rest };
    let rows = usize::from(list.height.saturating_sub(1)).max(1);
    let top = (pane_.at + 1).saturating_sub(rows);
    let shown = pane_.messages().iter().skip(top).take(rows).map(|message| row(state, message));
    table::draw(buffer, list, theme, (COLUMNS, None), (shown, Some(pane_.at - top)));
    if let Some(message) = pane_.message() {
        one(state, pane_, message, buffer, Rect { y: list.bottom(), height: below, ..rest });
    }
}

/// What there is in all, and how much of it was copied.
fn summary(pane_: &PeekPane, peek: &Peek, when: &str) -> String {
    let depth = &peek.depth;
    let held = match pane_.subject {
        // Nothing of it is on its way to anybody: it waits for a first subscriber.
        Subject::Topic(_) => format!("{} in the backlog", count(depth.waiting)),
        _ => format!("{} waiting   {} in flight   {} poison", count(depth.waiting), count(depth.in_flight), count(depth.poison)),
    };
    let all = format!("{held}   {}   {when}", bytes(depth.bytes));
    let most = u64::from(MAX_MESSAGES);
    if depth.queued() > most || depth.poison > most { format!("{all}   first {most}") } else { all }
}

/// The first bytes as text on one line.
fn begins(message: &Peeked) -> String {
    safe(String::from_utf8_lossy(&message.payload[..message.payload.len().min(120)]))
}

fn row(state: &State, message: &Peeked) -> Row {
    let theme = state.theme;
    let old = state.clock.wall.0.saturating_sub(message.accepted.0);
    let tries = if message.place == Place::Poison {
        "-".to_owned()
    } else if message.redelivered {
        format!("{}+", message.attempts)
    } else {
        message.attempts.to_string()
    };
    let cells = vec![
        (place(message.place).to_owned(), theme.text()),
        (message.number.map_or_else(|| "-".to_owned(), count), theme.strong()),
        (age(old), theme.text()),
        (bytes(message.payload_bytes), theme.text()),
        (tries, theme.text()),
        (safe(&message.topic), theme.text()),
        (begins(message), theme.dim()),
    ];
    Row { cells, ..Row::default() }
}

/// The message under the cursor: when it came, its headers, its first bytes.
fn one(state: &State, pane_: &PeekPane, message: &Peeked, buffer: &mut Buffer, area: Rect) {
    let theme = state.theme;
    let as_hex = pane_.is_hex(message);
    let (now, other) = if as_hex { ("bytes", "text") } else { ("text", "bytes") };
    let what = message.number.map_or_else(|| "Message".to_owned(), |number| format!("Message {}", count(number)));
    let remark = if pane_.hex == as_hex { format!("as {now} - h: as {other}") } else { "no text: as bytes".to_owned() };
    let inside = pane(buffer, area, theme, (&what, &remark), false);
    let again = if message.redelivered { "   may have been delivered before" } else { "" };
    // What is given up is not counted any more: given back, it has all attempts anew.
    let tries = match message.place {
        Place::Poison => "given up".to_owned(),
        _ => counted(message.attempts.into(), "attempt"),
    };
    let accepted = format!("accepted {}Z   {tries}{again}", clock_millis(message.accepted));
    put(buffer, inside, (1, 0), &accepted, theme.text());
    let named = message.headers.iter().map(|(key, value)| format!("{}={}", safe(key), safe(value)));
    let headers = named.collect::<Vec<_>>().join("  ");
    let more = u64::from(message.header_count) - message.headers.len() as u64;
    let more = if more > 0 { format!("  and {} more", count(more)) } else { String::new() };
    let headers = if message.header_count == 0 { "no headers".to_owned() } else { headers + &more };
    put(buffer, inside, (1, 1), &headers, theme.dim());
    let shown = message.payload.len() as u64;
    let lines: Vec<String> = if as_hex {
        let columns = if inside.width >= 140 { BYTES.1 } else { BYTES.0 };
        let numbered = message.payload.chunks(columns).enumerate();
        numbered.map(|(line, bytes)| format!("{:04x}  {}", line * columns, hex_line(bytes, columns))).collect()
    } else {
        wrap(&safe(String::from_utf8_lossy(&message.payload)), usize::from(inside.width.saturating_sub(2)))
    };
    let room = inside.height.saturating_sub(2);
    for (y, line) in lines.iter().take(usize::from(room)).enumerate() {
        put(buffer, inside, (1, y as u16 + 2), line, theme.strong());
    }
    if message.payload_bytes > shown {
        let cut = format!(" the first {PAYLOAD_BYTES} of {} ", bytes(message.payload_bytes));
        let edge = Rect { x: area.x + 2, y: area.bottom() - 1, width: area.width.saturating_sub(4), height: 1 };
        put(buffer, edge, (0, 0), &cut, theme.dim());
    }
}
