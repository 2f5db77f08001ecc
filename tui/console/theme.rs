//! Colours and glyphs: the terminal's own sixteen colours, so that its light or dark scheme holds, and never colour alone.
//!
//! Whatever a colour says, a letter or a word says too; with `NO_COLOR` only bold, dim, underline, reversed and struck-out
//! are left. On a terminal that is not UTF-8 the lines and sparklines are ASCII.

use ratatui::{
    style::{Color, Modifier, Style},
    symbols::border,
};

/// What the screen may look like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Theme {
    /// Colours may be used.
    pub(crate) colour: bool,
    /// Only ASCII may be used for lines.
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
    /// What the environment asks for.
    pub(crate) fn from_env() -> Self {
        let set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        let locale =
            ["LC_ALL", "LC_CTYPE", "LANG"].into_iter().find_map(|name| std::env::var(name).ok().filter(|v| !v.is_empty()));
        let utf8 = locale.is_some_and(|name| {
            let name = name.to_ascii_lowercase();
            name.contains("utf-8") || name.contains("utf8")
        });
        Self { colour: !set("NO_COLOR"), ascii: !utf8 }
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
