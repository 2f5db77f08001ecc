//! A timer as a gauge: `[####------] 0:18`. What is left, of what there was; the number beside it needs no colour.

use ratatui::style::Style;

use crate::console::{state::text::left as time, theme::Theme};

/// The bar of a timer with `left` of `full` milliseconds, `columns` wide with its brackets.
pub(super) fn bar(left: u64, full: u64, columns: usize) -> String {
    let inside = columns.saturating_sub(2);
    // Something left shows as something.
    let filled = ((left.min(full) as usize).saturating_mul(inside)).div_ceil(full.max(1) as usize).min(inside);
    format!("[{}{}]", "#".repeat(filled), "-".repeat(inside - filled))
}

/// The bar and the time that is left.
pub(super) fn timer(left: u64, full: u64, columns: usize) -> String {
    format!("{} {}", bar(left, full, columns), time(left))
}

/// How pressing it is, in the same steps as the letters.
pub(super) fn style(theme: Theme, left: u64) -> Style {
    match left {
        0..=30_000 => theme.bad(),
        30_001..=60_000 => theme.warning(),
        _ => theme.text(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timer_empties_and_never_lies_about_its_end() {
        assert_eq!(timer(18_000, 90_000, 12), "[##--------] 0:18");
        assert_eq!(timer(90_000, 90_000, 12), "[##########] 1:30");
        assert_eq!(timer(1, 90_000, 12), "[#---------] 0:01");
        assert_eq!(timer(0, 90_000, 12), "[----------] 0:00");
        assert_eq!((bar(5, 0, 4), bar(1, 2, 0)), ("[--]".into(), "[]".into()));
    }
}
