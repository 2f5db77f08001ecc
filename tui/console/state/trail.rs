//! The way here: from where to where one went, so that `-` leads back, cursor included.

use super::{Pane, State, View, page::Page, subject::Subject};

/// Places that are remembered; the oldest goes.
const LONGEST: usize = 32;

/// Where one was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    view: View,
    pane: Pane,
    pages: Vec<Page>,
    cursor: Option<Subject>,
}

impl Place {
    /// True if it is `other`, wherever the cursors are.
    fn is(&self, other: &Self) -> bool {
        let pages = |place: &Self| place.pages.iter().map(|page| page.subject.clone()).collect::<Vec<_>>();
        self.view == other.view && pages(self) == pages(other)
    }
}

impl State {
    fn place(&self) -> Place {
        Place { view: self.view, pane: self.pane, pages: self.pages.clone(), cursor: self.under_cursor() }
    }

    /// Remembers where one is: one is about to go elsewhere.
    pub(crate) fn mark_place(&mut self) {
        if self.trail.len() == LONGEST {
            self.trail.remove(0);
        }
        self.trail.push(self.place());
    }

    /// One has gone back by oneself: that way need not be gone again.
    pub(crate) fn forget_place(&mut self) {
        let here = self.place();
        while self.trail.last().is_some_and(|last| last.is(&here)) {
            self.trail.pop();
        }
    }

    /// Back to where one came from.
    pub(crate) fn go_back(&mut self) {
        self.forget_place();
        let Some(Place { view, pane, pages, cursor }) = self.trail.pop() else { return };
        (self.view, self.pane, self.pages) = (view, pane, pages);
        // An overview's alarms and the log are where they were left; others may have been jumped into since.
        if let Some(subject) = cursor.filter(|_| !matches!(view, View::Overview | View::Events)) {
            self.select(&subject);
        }
        self.keep_in_sight();
    }
}
