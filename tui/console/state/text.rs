//! Text for the screen: what a client chose made safe, and numbers, sizes and times in their one spelling.
//!
//! This is the adapter of invariant I7: whoever puts a name on the screen gets it from [`safe`], so that no view has to
//! remember it.

use std::fmt::Display;

use cordboard::{Printable, clock::UnixMillis};
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// The longest text that is carried towards the screen; no column is wider.
const MAX_CHARS: usize = 400;

/// Text that someone else chose, escaped and bounded.
pub(crate) fn safe(text: impl Display) -> String {
    let text = text.to_string();
    match text.char_indices().nth(MAX_CHARS) {
        Some((end, _)) => format!("{}…", Printable(&text[..end])),
        None => Printable(&text).to_string(),
    }
}

/// Columns that `text` takes.
pub(crate) fn width(text: &str) -> usize {
    UnicodeWidthStr::width(text)
}

/// `text`, cut to `columns` with an ellipsis as its last one.
pub(crate) fn fit(text: &str, columns: usize) -> String {
    if width(text) <= columns {
        return text.to_owned();
    }
    let Some(room) = columns.checked_sub(1) else { return String::new() };
    let mut kept = String::new();
    let mut used = 0;
    for c in text.chars() {
        used += c.width().unwrap_or(0);
        if used > room {
            break;
        }
        kept.push(c);
    }
    kept.push('…');
    kept
}

/// `text`, cut to `columns` in its middle: names are told apart by their ends.
pub(crate) fn fit_name(text: &str, columns: usize) -> String {
    if width(text) <= columns || columns < 3 {
        return fit(text, columns);
    }
    let mut tail = String::new();
    for c in text.chars().rev() {
        if width(&tail) + c.width().unwrap_or(0) > (columns - 1) / 2 {
            break;
        }
        tail.insert(0, c);
    }
    // Its ellipsis is the cut.
    format!("{}{tail}", fit(text, columns - width(&tail)))
}

/// What stands between two parts of a line.
pub(crate) const BETWEEN: &str = "   ";

/// Of the parts of `text` the first ones, as many as fit in `columns`: none is cut but the first.
pub(crate) fn whole_parts<'a>(text: &'a str, between: &str, columns: usize) -> &'a str {
    let ends = text.match_indices(between).map(|(end, _)| end).chain([text.len()]);
    let mut ends = ends.map(|end| &text[..end]).peekable();
    let first = ends.peek().copied().unwrap_or_default();
    ends.take_while(|kept| width(kept) <= columns).last().unwrap_or(first)
}

/// `text` broken into lines of at most `columns`, at spaces where there are any.
pub(crate) fn wrap(text: &str, columns: usize) -> Vec<String> {
    let columns = columns.max(1);
    let mut lines = Vec::new();
    let mut line = String::new();
    for word in text.split(' ') {
        if !line.is_empty() && width(&line) + 1 + width(word) > columns {
            lines.push(std::mem::take(&mut line));
        }
        if !line.is_empty() {
            line.push(' ');
        }
        for c in word.chars() {
            if width(&line) + c.width().unwrap_or(0) > columns && !line.is_empty() {
                lines.push(std::mem::take(&mut line));
            }
            line.push(c);
        }
    }
    lines.push(line);
    lines
}

/// `12,077`
pub(crate) fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `12,077` if that fits in `columns`, else `12k`, `3.4M`.
pub(crate) fn count_in(number: u64, columns: usize) -> String {
    let full = count(number);
    if full.len() <= columns {
        return full;
    }
    let (mut value, mut unit) = (number as f64, "");
    for next in ["k", "M", "G", "T", "P", "E"] {
        if value < 1_000.0 {
            break;
        }
        (value, unit) = (value / 1_000.0, next);
    }
    if value < 10.0 && columns >= 4 { format!("{value:.1}{unit}") } else { format!("{}{unit}", value as u64) }
}

/// `7 topics`, `1 topic`
pub(crate) fn counted(number: u64, one: &str) -> String {
    format!("{} {one}{}", count(number), if number == 1 { "" } else { "s" })
}

/// `1.9 MiB`
pub(crate) fn bytes(number: u64) -> String {
    let (mut value, mut unit) = (number as f64, "B");
    for next in ["KiB", "MiB", "GiB", "TiB"] {
        if value < 1_024.0 {
            break;
        }
        (value, unit) = (value / 1_024.0, next);
    }
    if unit == "B" { format!("{number} B") } else { format!("{value:.1} {unit}") }
}

/// `14:22:07Z`
pub(crate) fn clock(at: UnixMillis) -> String {
    let seconds = at.0 / 1_000 % 86_400;
    format!("{:02}:{:02}:{:02}Z", seconds / 3_600, seconds / 60 % 60, seconds % 60)
}

/// `14:22:07.114`
pub(crate) fn clock_millis(at: UnixMillis) -> String {
    let seconds = at.0 / 1_000 % 86_400;
    format!("{:02}:{:02}:{:02}.{:03}", seconds / 3_600, seconds / 60 % 60, seconds % 60, at.0 % 1_000)
}

/// How long something has been so: `12s`, `41m`, `2h11m`, `3d04h`.
pub(crate) fn age(millis: u64) -> String {
    let seconds = millis / 1_000;
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3_600 => format!("{}m", seconds / 60),
        3_600..86_400 => format!("{}h{:02}m", seconds / 3_600, seconds / 60 % 60),
        _ => format!("{}d{:02}h", seconds / 86_400, seconds / 3_600 % 24),
    }
}

/// What is left of a timer: `0:18`, `1:02:03`. Rounded up, so that `0:00` means that it has passed.
pub(crate) fn left(millis: u64) -> String {
    let seconds = millis.div_ceil(1_000);
    if seconds < 3_600 {
        format!("{}:{:02}", seconds / 60, seconds % 60)
    } else {
        format!("{}:{:02}:{:02}", seconds / 3_600, seconds / 60 % 60, seconds % 60)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_spelled_in_one_way() {
        assert_eq!(
            (count(0), count(999), count(1_204), count(1_000_000)),
            ("0".into(), "999".into(), "1,204".into(), "1,000,000".into())
        );
        assert_eq!(
            (count_in(12_077, 6), count_in(12_077, 5), count_in(1_250_000, 5)),
            ("12,077".into(), "12k".into(), "1.2M".into())
        );
        assert_eq!((bytes(0), bytes(1_023), bytes(2_000_000)), ("0 B".into(), "1023 B".into(), "1.9 MiB".into()));
        assert_eq!((counted(1, "topic"), counted(1_204, "topic")), ("1 topic".into(), "1,204 topics".into()));
    }

    #[test]
    fn a_timer_shows_zero_only_when_it_has_passed() {
        assert_eq!((left(0), left(1), left(18_000), left(18_001)), ("0:00".into(), "0:01".into(), "0:18".into(), "0:19".into()));
        assert_eq!(left(3_723_000), "1:02:03");
        assert_eq!((age(59_999), age(60_000), age(273_600_000)), ("59s".into(), "1m".into(), "3d04h".into()));
        assert_eq!(clock(UnixMillis(51_727_114)), "14:22:07Z");
    }

    /// A wide character is never cut in half, and a narrow column never overflows.
    #[test]
    fn text_is_cut_by_columns_not_by_characters() {
        assert_eq!(fit("billing", 7), "billing");
        assert_eq!(fit("billing-7", 7), "billin…");
        assert_eq!(fit("漢字漢字", 6), "漢字…");
        assert_eq!((fit("ab", 1), fit("ab", 0)), ("…".into(), String::new()));
        assert_eq!(
            (fit_name("cordboard-pub", 9), fit_name("漢字漢字", 6), fit_name("billing", 7), fit_name("ab", 1)),
            ("cord…-pub".into(), "漢…字".into(), "billing".into(), "…".into())
        );
        let parts = |columns| whole_parts("one two   three   4", BETWEEN, columns);
        assert_eq!(
            (parts(19), parts(18), parts(16), parts(14)),
            ("one two   three   4", "one two   three", "one two   three", "one two")
        );
        assert_eq!(parts(3), "one two");
        assert_eq!(wrap("no such thing", 7), ["no such", "thing"]);
        assert_eq!(wrap("aaaaaaaa", 3), ["aaa", "aaa", "aa"]);
    }

    /// I7: no byte that a client chose reaches the terminal raw.
    #[test]
    fn what_cannot_be_seen_is_escaped() {
        assert_eq!(safe("a\u{1b}[2Jb\u{202e}c"), r"a\u{1b}[2Jb\u{202e}c");
        assert!(safe("x".repeat(100_000)).len() < 500);
    }
}
