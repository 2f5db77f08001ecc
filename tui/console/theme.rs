//! Colours and glyphs: the terminal's own sixteen colours, so that its light or dark scheme holds, and never colour alone.
//!
//! Whatever a colour says, a letter or a word says too; with `NO_COLOR` only bold, dim, underline, reversed and struck-out
//! are left. On a terminal that is not UTF-8, or cannot show it, or if it was asked for, everything is ASCII: what the console
//! draws by itself is chosen here, and what is left is replaced here.

use ratatui::{
    style::{Color, Modifier, Style},
    symbols::border,
};

/// What the screen may look like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Theme {
    /// Colours may be used.
    pub(crate) colour: bool,
    /// Only ASCII may be used.
    pub(crate) ascii: bool,
}

/// Lines of boxes in ASCII.
const ASCII: border::Set<'static> = border::Set {
    top_left: "+",
    top_right: "+",
    bottom_left: "+",
    bottom_right: "+",
    vertical_left: "|",
    vertical_right: "|",
    horizontal_top: "-",
    horizontal_bottom: "-",
};

#[allow(clippy::unused_self)] // a theme with another idea of these asks itself
impl Theme {
    /// What was asked for, on the command line or by the environment: `variable` is what one of its variables says, if it
    /// says anything.
    pub(crate) fn chosen(ascii: bool, variable: impl Fn(&str) -> Option<String>) -> Self {
        let said = |name| variable(name).filter(|value| !value.is_empty());
        let locale = ["LC_ALL", "LC_CTYPE", "LANG"].into_iter().find_map(said).unwrap_or_default().to_ascii_lowercase();
        let utf8 = locale.contains("utf-8") || locale.contains("utf8");
        // The first has a font of 256 or 512 glyphs, the second nobody knows.
        let plain = said("TERM").is_some_and(|term| matches!(term.as_str(), "linux" | "dumb"));
        Self { colour: said("NO_COLOR").is_none(), ascii: ascii || plain || !utf8 }
    }

    /// A sign that the terminal can show, for one that it may not: what clients are called comes from anywhere.
    pub(crate) fn shown(self, symbol: &str) -> Option<&'static str> {
        match symbol {
            _ if !self.ascii || symbol.is_ascii() => None,
            "\u{2026}" => Some("~"),
            _ => Some("?"),
        }
    }

    fn fg(self, colour: Color) -> Style {
        if self.colour { Style::new().fg(colour) } else { Style::new() }
    }

    /// Plain text.
    pub(crate) fn text(self) -> Style {
        Style::new()
    }

    /// What is there but not looked for: labels, rules, zeros.
    pub(crate) fn dim(self) -> Style {
        if self.colour { Style::new().fg(Color::DarkGray) } else { Style::new().add_modifier(Modifier::DIM) }
    }

    /// What the eye should find first.
    pub(crate) fn strong(self) -> Style {
        Style::new().add_modifier(Modifier::BOLD)
    }

    /// Titles of columns.
    pub(crate) fn title(self) -> Style {
        self.fg(Color::Cyan)
    }

    /// Keys in hints.
    pub(crate) fn key(self) -> Style {
        self.fg(Color::Cyan).add_modifier(Modifier::BOLD)
    }

    /// As it should be.
    pub(crate) fn good(self) -> Style {
        self.fg(Color::Green)
    }

    /// Worth a look.
    pub(crate) fn warning(self) -> Style {
        self.fg(Color::Yellow).add_modifier(Modifier::BOLD)
    }

    /// Wrong, or about to be lost.
    pub(crate) fn bad(self) -> Style {
        self.fg(Color::Red).add_modifier(Modifier::BOLD)
    }

    /// A figure in a sparkline or gauge.
    pub(crate) fn figure(self) -> Style {
        self.fg(Color::Blue)
    }

    /// A row that has ended.
    pub(crate) fn ended(self) -> Style {
        self.dim().add_modifier(Modifier::CROSSED_OUT)
    }

    /// The row with the cursor, the tab that is open, the button with the focus.
    pub(crate) fn selected(self) -> Style {
        Style::new().add_modifier(Modifier::REVERSED)
    }

    /// Lines of boxes.
    pub(crate) fn border(self) -> border::Set<'static> {
        if self.ascii { ASCII } else { border::PLAIN }
    }

    /// Levels of a sparkline, from none to full.
    pub(crate) fn levels(self) -> &'static [char] {
        if self.ascii { &['_', '.', '-', '=', '+', '#'] } else { &['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'] }
    }

    /// Marks the column that a list is sorted by: smallest first, largest first.
    pub(crate) fn arrows(self) -> (&'static str, &'static str) {
        if self.ascii { ("^", "v") } else { ("▴", "▾") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(ascii: bool, environment: &[(&str, &str)]) -> Theme {
        let said = |name: &str| environment.iter().find(|(other, _)| *other == name).map(|(_, value)| (*value).to_owned());
        Theme::chosen(ascii, said)
    }

    #[test]
    fn the_locale_the_terminal_or_the_operator_decide_what_may_be_drawn() {
        for (environment, ascii) in [
            (&[("LANG", "de_DE.UTF-8")][..], false),
            (&[("LC_ALL", "C.utf8"), ("LANG", "C")], false),
            (&[("LC_ALL", ""), ("LC_CTYPE", "C"), ("LANG", "C.UTF-8")], true),
            (&[("LANG", "C.UTF-8"), ("TERM", "xterm-256color")], false),
            (&[("LANG", "C.UTF-8"), ("TERM", "linux")], true),
            (&[("LANG", "C.UTF-8"), ("TERM", "dumb")], true),
            (&[], true),
        ] {
            assert_eq!(chosen(false, environment).ascii, ascii, "{environment:?}");
            assert!(chosen(true, environment).ascii, "{environment:?}");
        }
    }

    #[test]
    fn colours_are_there_unless_they_are_not_wanted() {
        assert!(chosen(false, &[]).colour && chosen(false, &[("NO_COLOR", "")]).colour);
        assert!(!chosen(false, &[("NO_COLOR", "1")]).colour);
    }

    #[test]
    fn what_cannot_be_shown_is_replaced_by_as_much_as_it_was() {
        let ascii = Theme { colour: true, ascii: true };
        assert_eq!((ascii.shown("a"), ascii.shown("…"), ascii.shown("漢")), (None, Some("~"), Some("?")));
        assert_eq!(Theme { ascii: false, ..ascii }.shown("漢"), None);
    }
}
