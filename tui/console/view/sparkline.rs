//! Sparklines: the last seconds of a figure, newest at the right. Zero is a flat line, not a gap; no data is blank.

use crate::console::theme::Theme;

/// The newest `columns` of `values`, scaled to the largest of them.
pub(super) fn line(theme: Theme, values: &[u64], columns: usize) -> String {
    let values = &values[values.len().saturating_sub(columns)..];
    let levels = theme.levels();
    let most = values.iter().copied().max().unwrap_or(0).max(1);
    let top = levels.len() as u64 - 1;
    let level = |value: u64| {
        // Anything above zero is seen to be.
        let scaled = (u128::from(value) * u128::from(top)).div_ceil(u128::from(most)) as usize;
        levels[scaled.min(levels.len() - 1)]
    };
    let blank = columns.saturating_sub(values.len());
    std::iter::repeat_n(' ', blank).chain(values.iter().map(|value| level(*value))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_is_at_the_right_and_little_is_not_nothing() {
        let theme = Theme { colour: false, ascii: true };
        assert_eq!(line(theme, &[0, 1, 50, 100], 6), "  _.=#");
        assert_eq!(line(theme, &[9, 0, 0], 2), "__");
        assert_eq!(line(theme, &[], 3), "   ");
        assert_eq!(line(Theme { colour: false, ascii: false }, &[0, u64::MAX], 2), "▁█");
    }
}
