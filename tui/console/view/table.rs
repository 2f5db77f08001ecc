//! A table over the visible slice: whoever draws a list formats only the rows that are on the screen.

use ratatui::{buffer::Buffer, layout::Rect, style::Style};

use super::put;
use crate::console::{
    state::text::{fit, fit_name, width},
    theme::Theme,
};

/// How wide a column is.
#[derive(Debug, Clone, Copy)]
pub(super) enum Size {
    /// Always so many columns.
    Fixed(u16),
    /// A share of what is left, from so many to so many columns.
    Fill(u16, u16),
}

/// What a column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Cut at the end.
    Text,
    /// Cut in the middle.
    Name,
    /// At the right.
    Number,
}

/// A column.
#[derive(Debug, Clone, Copy)]
pub(super) struct Column {
    /// Its title, which is also its sort order's name.
    pub(super) title: &'static str,
    /// How wide it is.
    pub(super) size: Size,
    /// What it holds.
    pub(super) kind: Kind,
    /// Shown only if the table is at least so wide.
    pub(super) from: u16,
}

/// A column of text.
pub(super) const fn text(title: &'static str, size: Size, from: u16) -> Column {
    Column { title, size, kind: Kind::Text, from }
}

/// A column of names that clients chose.
pub(super) const fn name(title: &'static str, size: Size, from: u16) -> Column {
    Column { title, size, kind: Kind::Name, from }
}

/// A column of numbers.
pub(super) const fn number(title: &'static str, columns: u16, from: u16) -> Column {
    Column { title, size: Size::Fixed(columns), kind: Kind::Number, from }
}

/// A cell: what it says, and how.
pub(super) type Cell = (String, Style);

/// A row.
#[derive(Debug, Default)]
pub(super) struct Row {
    /// A cell a column, shown or not.
    pub(super) cells: Vec<Cell>,
    /// Laid over every cell.
    pub(super) over: Style,
    /// From this column on, one text instead of the cells.
    pub(super) span: Option<(usize, Cell)>,
}

/// Where each shown column stands: its index, its place, its width.
type Places = Vec<(usize, u16, u16)>;

/// Lays the columns out in `available` columns.
pub(super) fn places(columns: &[Column], available: u16) -> Places {
    let shown: Vec<(usize, &Column)> = columns.iter().enumerate().filter(|(_, column)| available >= column.from).collect();
    let gap = if available >= 100 { 2 } else { 1 };
    let least = |column: &Column| match column.size {
        Size::Fixed(columns) | Size::Fill(columns, _) => columns,
    };
    let mut widths: Vec<u16> = shown.iter().map(|(_, column)| least(column)).collect();
    let gaps = gap * (shown.len().saturating_sub(1) as u16);
    // Two columns in front are the cursor's.
    let mut left = available.saturating_sub(2 + gaps + widths.iter().sum::<u16>());
    let mut grows = true;
    while left > 0 && grows {
        grows = false;
        for (at, (_, column)) in shown.iter().enumerate() {
            if let Size::Fill(_, most) = column.size
                && widths[at] < most
                && left > 0
            {
                (widths[at], left, grows) = (widths[at] + 1, left - 1, true);
            }
        }
    }
    let mut x = 2;
    shown
        .iter()
        .zip(widths)
        .map(|((index, _), width)| {
            let place = (*index, x, width);
            x += width + gap;
            place
        })
        .collect()
}

/// Draws titles and rows. `sorted` names the column that the list is sorted by, and whether largest first.
pub(super) fn draw(
    buffer: &mut Buffer,
    area: Rect,
    theme: Theme,
    (columns, sorted): (&[Column], Option<(&str, bool)>),
    (rows, cursor): (impl Iterator<Item = Row>, Option<usize>),
) {
    let places = places(columns, area.width);
    for (index, x, width) in &places {
        let column = &columns[*index];
        let (smallest, largest) = theme.arrows();
        let title = match sorted {
            Some((name, descending)) if name == column.title => format!("{name}{}", if descending { largest } else { smallest }),
            _ => column.title.to_owned(),
        };
        cell(buffer, area, (*x, 0), *width, column.kind, &(title, theme.title()));
    }
    for (at, row) in rows.take(usize::from(area.height.saturating_sub(1))).enumerate() {
        let y = at as u16 + 1;
        let selected = cursor == Some(at);
        for (index, x, width) in &places {
            match &row.span {
                Some((from, (text, style))) if from <= index => {
                    put(buffer, area, (*x, y), text, style.patch(row.over));
                    break;
                }
                _ => {}
            }
            let (text, style) = &row.cells[*index];
            cell(buffer, area, (*x, y), *width, columns[*index].kind, &(text.clone(), style.patch(row.over)));
        }
        if selected {
            put(buffer, area, (0, y), ">", Style::new());
            let line = Rect { y: area.y + y, height: 1, ..area }.intersection(buffer.area);
            buffer.set_style(line, theme.selected());
        }
    }
}

fn cell(buffer: &mut Buffer, area: Rect, (x, y): (u16, u16), columns: u16, kind: Kind, (text, style): &Cell) {
    let fit = if kind == Kind::Name { fit_name } else { fit };
    let text = fit(text, usize::from(columns));
    let before = if kind == Kind::Number { columns.saturating_sub(width(&text) as u16) } else { 0 };
    put(buffer, area, (x + before, y), &text, *style);
}
