//! Where things are. Asked by `update`, which must know how many rows a page has, and by the views, which fill them.
//!
//! ```text
//! header   who and where, how well the console hears            1
//! tabs     views, warnings                                      1
//! info     what the list shows                                  1
//! list     titles, rows                                         the rest
//! detail   of the row under the cursor; right of it when wide   some
//! notice   what stands until it is dismissed                    none, or some
//! status   how the last order ended                             1
//! footer   keys                                                 1
//! ```
//!
//! The overview has panes instead of a list, and where they are low one line of figures without a border; on a large screen it is the cockpit, and has most of the other views as panes:
//!
//! ```text
//! broker       needs attention    next to be reclaimed          12
//! sessions                        detail                        half of the rest
//! topics       actors in trouble  events                        the other half
//! ```

use ratatui::layout::Rect;

use super::Pane;

/// The smallest screen that the views are drawn on.
pub(crate) const SMALLEST: (u16, u16) = (60, 15);
/// The smallest screen that a compact one is drawn on; on less only the name of the broker is told.
pub(crate) const LEAST: (u16, u16) = (40, 10);
/// The smallest screen whose overview is the cockpit.
pub(crate) const COCKPIT: (u16, u16) = (160, 40);
/// From this width on the detail stands beside the list.
const WIDE: u16 = 160;
/// The widest that it needs to be.
const BESIDE: u16 = 70;
/// With this many lines below the figures the overview shows events as well.
const TALL: u16 = 22;
/// Lines of the broker's figures, of these above those that have a past on a screen that is narrower than this, and of a list
/// below them: it shows three rows at least.
const FIGURES: u16 = 7;
const STACKED: u16 = 12;
const NARROW: u16 = 76;
const LIST: u16 = 5;
/// Below this many lines for list and detail together there is no room for a detail.
const DETAIL_FROM: u16 = 14;

/// Lines of the body that a notice leaves: the overview's two lists have a row each.
const LEFT: u16 = 7;

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
    /// Lines above the status, as many as a notice takes.
    pub(crate) notice: Rect,
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
    /// What only the cockpit has.
    pub(crate) cockpit: Option<Cockpit>,
}

/// Where the panes are that only the cockpit has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Cockpit {
    /// Sessions.
    pub(crate) sessions: Rect,
    /// The detail of what the cursor is on, if it is wanted.
    pub(crate) detail: Option<Rect>,
    /// Topics.
    pub(crate) topics: Rect,
    /// Actors in trouble.
    pub(crate) actors: Rect,
}

impl Panes {
    /// The panes that take a cursor, in the order in which it goes round.
    pub(crate) fn with_cursor(&self) -> Vec<(Pane, Rect)> {
        let mut panes = vec![(Pane::Needs, self.needs), (Pane::Reclaim, self.reclaim)];
        if let (Some(more), Some(events)) = (self.cockpit, self.events) {
            let lists = [(Pane::Sessions, more.sessions), (Pane::Topics, more.topics), (Pane::Actors, more.actors)];
            panes.extend(lists);
            panes.push((Pane::Events, events));
        }
        panes
    }
}

impl Geometry {
    /// The parts of a screen of that size with a notice of so many lines; none if it is too small for them. No row is behind
    /// a notice: there are fewer.
    pub(crate) fn of((width, height): (u16, u16), detail: bool, notice: usize) -> Option<Self> {
        if width < SMALLEST.0 || height < SMALLEST.1 {
            return None;
        }
        let line = |y| Rect::new(0, y, width, 1);
        let (body, notice) = split(Rect::new(0, 2, width, height - 4), height - 4 - (height - 4 - LEFT).min(notice as u16));
        let (info, list, detail) = parts(body, detail);
        Some(Self {
            header: line(0),
            tabs: line(1),
            body,
            info,
            list,
            detail,
            notice,
            status: line(height - 2),
            footer: line(height - 1),
        })
    }

    /// The same screen with its list inside the border of `pane`.
    pub(crate) fn within(&self, pane: Rect, detail: bool) -> Self {
        let body =
            Rect { x: pane.x + 1, y: pane.y + 1, width: pane.width.saturating_sub(2), height: pane.height.saturating_sub(2) };
        let (info, list, detail) = parts(body, detail);
        Self { body, info, list, detail, ..*self }
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
    pub(crate) fn panes(&self, detail: bool) -> Panes {
        let body = self.body;
        if self.header.width >= COCKPIT.0 && self.footer.bottom() >= COCKPIT.1 {
            return cockpit(body, detail);
        }
        let (broker, rest) = split(body, figures(body));
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
            return Panes { broker, needs, reclaim, events, cockpit: None };
        }
        let (needs, reclaim) = split(rest, rest.height.div_ceil(2));
        Panes { broker, needs, reclaim, events, cockpit: None }
    }
}

/// Lines that the broker's figures take: one, if more of them would leave its lists without rows.
fn figures(body: Rect) -> u16 {
    let wanted = if body.width < NARROW { STACKED } else { FIGURES };
    let lists = if body.width < WIDE { 2 * LIST } else { LIST };
    if body.height < wanted + lists { 1 } else { wanted }
}

/// The line that says what a list shows, the list, and the detail if it is wanted and there is room for it.
fn parts(body: Rect, detail: bool) -> (Rect, Rect, Option<Rect>) {
    let (info, rest) = split(body, 1.min(body.height));
    if !detail || rest.height < DETAIL_FROM {
        return (info, rest, None);
    }
    // A pane over the whole body has a border.
    let (list, detail) = if rest.width + 2 >= WIDE {
        part(rest, rest.width - (rest.width * 2 / 5).min(BESIDE))
    } else {
        split(rest, rest.height - (rest.height * 9 / 20).max(8))
    };
    (info, list, Some(detail))
}

fn cockpit(body: Rect, detail: bool) -> Panes {
    let (top, rest) = split(body, 12);
    let (middle, bottom) = split(rest, rest.height.div_ceil(2));
    let (broker, rest) = part(top, top.width * 3 / 10);
    let (needs, reclaim) = part(rest, rest.width * 3 / 5);
    let (sessions, detail) = if detail {
        let (sessions, detail) = part(middle, middle.width * 3 / 5);
        (sessions, Some(detail))
    } else {
        (middle, None)
    };
    let (topics, rest) = part(bottom, bottom.width / 3);
    let (actors, events) = part(rest, rest.width * 2 / 5);
    Panes { broker, needs, reclaim, events: Some(events), cockpit: Some(Cockpit { sessions, detail, topics, actors }) }
}

/// The first `width` columns, and the rest.
fn part(area: Rect, width: u16) -> (Rect, Rect) {
    (Rect { width, ..area }, Rect { x: area.x + width, width: area.width - width, ..area })
}

/// The first `height` lines, and the rest.
fn split(area: Rect, height: u16) -> (Rect, Rect) {
    (Rect { height, ..area }, Rect { y: area.y + height, height: area.height - height, ..area })
}

/// Rows inside a pane with a border.
pub(crate) fn inside(pane: Rect) -> usize {
    usize::from(pane.height.saturating_sub(2))
}
