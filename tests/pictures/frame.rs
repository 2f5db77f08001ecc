//! A frame: what a terminal shows, cell by cell, with every colour resolved.

use vt100::{Color, Screen};

/// A colour, as red, green and blue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Ink(pub(crate) u32);

/// Behind everything.
pub(crate) const GROUND: Ink = Ink(0x16_191f);
/// Text that asks for no colour.
pub(crate) const PLAIN: Ink = Ink(0xd4_d7dd);

/// The sixteen colours of a terminal, as they read well on [`GROUND`].
const ANSI: [Ink; 16] = [
    Ink(0x2b_3039),
    Ink(0xf0_6a6a),
    Ink(0x7e_c699),
    Ink(0xe6_c15c),
    Ink(0x6c_a8ee),
    Ink(0xc5_8fe0),
    Ink(0x62_c6cf),
    Ink(0xd4_d7dd),
    Ink(0x7f_8896),
    Ink(0xff_8f8f),
    Ink(0xa2_dfb8),
    Ink(0xff_d97a),
    Ink(0x92_c2ff),
    Ink(0xdb_b0f2),
    Ink(0x8a_e2ea),
    Ink(0xff_ffff),
];

/// How a cell is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(clippy::struct_excessive_bools)] // they are a terminal's attributes, each on or off
pub(crate) struct Style {
    pub(crate) ink: Ink,
    pub(crate) ground: Ink,
    pub(crate) bold: bool,
    pub(crate) dim: bool,
    pub(crate) italic: bool,
    pub(crate) underline: bool,
}

/// A place on the screen. The second half of a wide sign is empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Cell {
    pub(crate) sign: String,
    pub(crate) style: Style,
}

impl Cell {
    /// A blank that looks like nothing.
    fn blank() -> Self {
        let style = Style { ink: PLAIN, ground: GROUND, bold: false, dim: false, italic: false, underline: false };
        Self { sign: " ".into(), style }
    }
}

/// What a terminal shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Frame {
    /// Its lines, all as long as each other.
    pub(crate) lines: Vec<Vec<Cell>>,
}

impl Frame {
    /// What `screen` shows, its cursor included.
    pub(crate) fn of(screen: &Screen) -> Self {
        let (rows, columns) = screen.size();
        let cell = |row, column| screen.cell(row, column).map_or_else(Cell::blank, resolve);
        let mut lines: Vec<Vec<Cell>> = (0..rows).map(|row| (0..columns).map(|column| cell(row, column)).collect()).collect();
        let (row, column) = screen.cursor_position();
        if let (false, Some(cell)) = (screen.hide_cursor(), lines[usize::from(row)].get_mut(usize::from(column))) {
            (cell.style.ink, cell.style.ground) = (cell.style.ground, cell.style.ink);
        }
        Self { lines }
    }

    /// A line as text.
    #[cfg(test)]
    pub(crate) fn text(&self, line: usize) -> String {
        self.lines[line].iter().map(|cell| cell.sign.as_str()).collect()
    }

    /// Columns and lines.
    pub(crate) fn size(&self) -> (usize, usize) {
        (self.lines.first().map_or(0, Vec::len), self.lines.len())
    }

    /// Writes `text` instead of the `length` cells from `column` on. What stands after the widest gap of the rest of the line,
    /// or of the box, stays where it is.
    pub(crate) fn rewrite(&mut self, line: usize, (column, length): (usize, usize), text: &str) {
        let cells = &mut self.lines[line];
        let (columns, style) = (cells.len(), cells[column].style);
        let new: Vec<Cell> = text.chars().map(|sign| Cell { sign: sign.into(), style }).collect();
        let rest = column + new.len();
        cells.splice(column..column + length, new);
        let inside = cells[rest..].split(|cell| cell.sign == "│").next().unwrap_or_default();
        let at = rest + widest_gap(inside);
        while cells.len() < columns {
            cells.insert(at, Cell::blank());
        }
        while cells.len() > columns {
            cells.remove(at.min(cells.len() - 1));
        }
    }
}

/// Where the first of the widest runs of blanks starts; at the end if there is none.
fn widest_gap(cells: &[Cell]) -> usize {
    let (mut widest, mut start, mut found) = (0, 0, cells.len());
    for (at, cell) in cells.iter().enumerate() {
        if cell.sign != " " {
            start = at + 1;
        } else if at + 1 - start > widest {
            (widest, found) = (at + 1 - start, start);
        }
    }
    found
}

fn resolve(cell: &vt100::Cell) -> Cell {
    let (ink, ground) = (ink(cell.fgcolor(), PLAIN), ink(cell.bgcolor(), GROUND));
    let (ink, ground) = if cell.inverse() { (ground, ink) } else { (ink, ground) };
    let style = Style { ink, ground, bold: cell.bold(), dim: cell.dim(), italic: cell.italic(), underline: cell.underline() };
    let sign = match cell.contents() {
        "" if cell.is_wide_continuation() => String::new(),
        "" => " ".to_owned(),
        sign => sign.to_owned(),
    };
    Cell { sign, style }
}

fn ink(color: Color, otherwise: Ink) -> Ink {
    match color {
        Color::Default => otherwise,
        Color::Rgb(red, green, blue) => Ink(u32::from_be_bytes([0, red, green, blue])),
        Color::Idx(index @ 0..16) => ANSI[usize::from(index)],
        Color::Idx(index @ 232..) => Ink(0x01_0101 * (8 + 10 * u32::from(index - 232))),
        Color::Idx(index) => {
            let level = |step: u8| [0_u8, 95, 135, 175, 215, 255][usize::from(step)];
            let cube = index - 16;
            Ink(u32::from_be_bytes([0, level(cube / 36), level(cube / 6 % 6), level(cube % 6)]))
        }
    }
}

/// What a terminal of that size shows after `bytes`.
#[cfg(test)]
pub(super) fn frame(bytes: &str, (columns, rows): (u16, u16)) -> Frame {
    let mut terminal = vt100::Parser::new(rows, columns, 0);
    terminal.process(b"\x1b[?25l");
    terminal.process(bytes.as_bytes());
    Frame::of(terminal.screen())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_is_what_the_terminal_shows() {
        let frame = frame("\x1b[1;31mab\x1b[0;7mc\x1b[0;38;5;196;4md\x1b[0m漢", (8, 1));
        assert_eq!(frame.text(0), "abcd漢  ");
        let style = |at: usize| frame.lines[0][at].style;
        assert_eq!((style(0).ink, style(0).bold, style(0).ground), (ANSI[1], true, GROUND));
        assert_eq!((style(2).ink, style(2).ground), (GROUND, PLAIN));
        assert_eq!((style(3).ink, style(3).underline), (Ink(0xff_0000), true));
        assert_eq!((frame.lines[0][4].sign.as_str(), frame.lines[0][5].sign.as_str()), ("漢", ""));
    }

    #[test]
    fn the_cursor_is_shown_where_it_is_not_hidden() {
        let mut terminal = vt100::Parser::new(1, 4, 0);
        terminal.process(b"ab");
        let frame = Frame::of(terminal.screen());
        assert_eq!(frame.lines[0][2].style.ground, PLAIN);
        assert_eq!(frame.lines[0][1].style.ground, GROUND);
    }

    #[test]
    fn a_rewritten_line_keeps_what_stands_after_the_gap_in_its_place() {
        let line = " host-of-mine  pid 31337      RW LIVE|";
        for (place, text, expected) in [
            ((1, 12), "demo", " demo  pid 31337              RW LIVE|"),
            ((15, 9), "pid 1234567", " host-of-mine  pid 1234567    RW LIVE|"),
            ((15, 9), "pid 54321", " host-of-mine  pid 54321      RW LIVE|"),
            ((30, 7), "RO", " host-of-mine  pid 31337      RO|     "),
        ] {
            let mut frame = frame(line, (38, 1));
            frame.rewrite(0, place, text);
            assert_eq!(frame.text(0), expected);
        }
        let mut boxed = frame("│ at 127.0.0.1:41234 open │          │", (38, 1));
        boxed.rewrite(0, (5, 15), "127.0.0.1:2673");
        assert_eq!(boxed.text(0).trim_end(), "│ at 127.0.0.1:2673  open │          │");
    }
}
