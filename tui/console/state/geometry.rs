//! Where things are. Asked by `update`, which must know how many rows a page has, and by the views, which fill them.
//!
//! ```text
//! header   who and where, how well the console hears            1
//! tabs     views, warnings                                      1
//! info     what the list shows                                  1
//! list     titles, rows                                         the rest
//! detail   of the row under the cursor; right of it when wide   some
//! status   how the last order ended                             1
//! footer   keys                                                 1
//! ```

use ratatui::layout::Rect;

/// The smallest screen that the views are drawn on.
pub(crate) const SMALLEST: (u16, u16) = (60, 15);
/// From this width on the detail stands beside the list.
const WIDE: u16 = 160;
/// The widest that it needs to be.
const BESIDE: u16 = 70;
/// With this many lines below the figures the overview shows events as well.
const TALL: u16 = 22;
/// Below this many lines for list and detail together there is no room for a detail.
const DETAIL_FROM: u16 = 14;

/// Where the parts of a screen are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Geometry {
    /// The first line.
    pub(crate) header: Rect,
    /// The second.
    pub(crate) tabs: Rect,
    /// Everything between tabs and status.
    pub(crate) body: Rect,
    /// The line that says what the list shows.
    pub(crate) info: Rect,
    /// The list with its titles.
    pub(crate) list: Rect,
    /// The detail, if there is room for it and it is wanted.
    pub(crate) detail: Option<Rect>,
    /// The line above the last.
    pub(crate) status: Rect,
    /// The last line.
    pub(crate) footer: Rect,
}

/// Where the overview's panes are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Panes {
    /// The broker's figures.
    pub(crate) broker: Rect,
    /// What needs attention.
    pub(crate) needs: Rect,
    /// What is reclaimed next.
    pub(crate) reclaim: Rect,
    /// The last events, where there is room for them.
    pub(crate) events: Option<Rect>,
}

impl Geometry {
    /// The parts of a screen of that size; none if it is too small for them.
    pub(crate) fn of((width, height): (u16, u16), detail: bool) -> Option<Self> {
        if width < SMALLEST.0 || height < SMALLEST.1 {
            return None;
        }
        let line = |y| Rect::new(0, y, width, 1);
        let body = Rect::new(0, 2, width, height - 4);
        let rest = Rect { y: body.y + 1, height: body.height - 1, ..body };
        let (list, detail) = match detail && rest.height >= DETAIL_FROM {
            true if width >= WIDE => {
                let beside = (width * 2 / 5).min(BESIDE);
                let list = Rect { width: width - beside, ..rest };
                (list, Some(Rect { x: list.width, width: beside, ..rest }))
            }
            true => {
                let below = (rest.height * 9 / 20).max(8);
                let list = Rect { height: rest.height - below, ..rest };
                (list, Some(Rect { y: list.bottom(), height: below, ..rest }))
            }
            false => (rest, None),
        };
        let (info, status, footer) = (line(2), line(height - 2), line(height - 1));
        Some(Self { header: line(0), tabs: line(1), body, info, list, detail, status, footer })
    }

    /// Rows that the list shows, below its titles.
    pub(crate) fn rows(&self) -> usize {
        usize::from(self.list.height.saturating_sub(1))
    }

    /// Members that a page shows: below its border, so many facts, a blank line and the titles.
    pub(crate) fn members(&self, facts: u16) -> usize {
        inside(self.body).saturating_sub(usize::from(facts) + 2)
    }

    /// The overview's panes.
    pub(crate) fn panes(&self) -> Panes {
        let body = self.body;
        let (broker, rest) = split(body, 7);
        let (rest, events) = match rest.height {
            TALL.. => {
                let (rest, events) = split(rest, rest.height * 3 / 5);
                (rest, Some(events))
            }
            _ => (rest, None),
        };
        if body.width >= WIDE {
            let needs = Rect { width: rest.width * 11 / 20, ..rest };
            let reclaim = Rect { x: needs.right(), width: rest.width - needs.width, ..rest };
            return Panes { broker, needs, reclaim, events };
        }
        let (needs, reclaim) = split(rest, rest.height.div_ceil(2));
        Panes { broker, needs, reclaim, events }
    }
}

/// The first `height` lines, and the rest.
fn split(area: Rect, height: u16) -> (Rect, Rect) {
    (Rect { height, ..area }, Rect { y: area.y + height, height: area.height - height, ..area })
}

/// Rows inside a pane with a border.
pub(crate) fn inside(pane: Rect) -> usize {
    usize::from(pane.height.saturating_sub(2))
}
