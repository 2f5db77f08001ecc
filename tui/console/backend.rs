//! Where frames are drawn: the terminal, as far as anyone looks at it.
//!
//! A terminal says how large it is, and may say 65,535 by 65,535. Two buffers of cells for that are hundreds of GiB, and an
//! allocation that fails ends the process, the broker with it. What lies beyond the bound stays empty.

use std::io::{self, Write};

use ratatui::{
    backend::{Backend, ClearType, CrosstermBackend, WindowSize},
    buffer::Cell,
    layout::{Position, Size},
};

/// The most columns and rows that are drawn on: more than the largest screen has in the smallest type.
const LARGEST: Size = Size { width: 1_000, height: 400 };

/// A terminal that is never larger than [`LARGEST`].
pub(crate) struct Bounded<W: Write>(CrosstermBackend<W>);

impl<W: Write> Bounded<W> {
    /// Writes to `output`.
    pub(crate) fn new(output: W) -> Self {
        Self(CrosstermBackend::new(output))
    }
}

fn bounded(Size { width, height }: Size) -> Size {
    Size { width: width.min(LARGEST.width), height: height.min(LARGEST.height) }
}

/// How much of the terminal of this process is drawn on.
///
/// # Errors
/// If it has none.
pub(crate) fn size() -> io::Result<(u16, u16)> {
    let (width, height) = crossterm::terminal::size()?;
    let Size { width, height } = bounded(Size { width, height });
    Ok((width, height))
}

impl<W: Write> Backend for Bounded<W> {
    type Error = io::Error;

    fn draw<'a, I>(&mut self, content: I) -> io::Result<()>
    where
        I: Iterator<Item = (u16, u16, &'a Cell)>,
    {
        self.0.draw(content)
    }

    fn hide_cursor(&mut self) -> io::Result<()> {
        self.0.hide_cursor()
    }

    fn show_cursor(&mut self) -> io::Result<()> {
        self.0.show_cursor()
    }

    fn get_cursor_position(&mut self) -> io::Result<Position> {
        self.0.get_cursor_position()
    }

    fn set_cursor_position<P: Into<Position>>(&mut self, position: P) -> io::Result<()> {
        self.0.set_cursor_position(position)
    }

    fn clear(&mut self) -> io::Result<()> {
        self.0.clear()
    }

    fn clear_region(&mut self, clear_type: ClearType) -> io::Result<()> {
        self.0.clear_region(clear_type)
    }

    fn size(&self) -> io::Result<Size> {
        self.0.size().map(bounded)
    }

    fn window_size(&mut self) -> io::Result<WindowSize> {
        let WindowSize { columns_rows, pixels } = self.0.window_size()?;
        Ok(WindowSize { columns_rows: bounded(columns_rows), pixels })
    }

    fn flush(&mut self) -> io::Result<()> {
        Backend::flush(&mut self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_screen_is_as_large_as_its_terminal_up_to_a_bound() {
        let seen = |width, height| bounded(Size { width, height });
        assert_eq!(seen(80, 24), Size { width: 80, height: 24 });
        assert_eq!(seen(u16::MAX, 0), Size { width: 1_000, height: 0 });
        assert_eq!(seen(3, u16::MAX), Size { width: 3, height: 400 });
    }
}
