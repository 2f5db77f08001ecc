//! Which list a view shows, which of them has the cursor, and what that is on.

use cordboard::clock::{Moment, Uptime};
use ratatui::layout::Rect;

use super::{
    Modal, Pane, State, View, Zoom,
    geometry::{Geometry, inside},
    list::{AnyList, List},
    model::Model,
    subject::Subject,
    tables::actors::{Actors, Leaf, Node},
};

impl State {
    /// The view whose list has the cursor: the cockpit has those of others as panes.
    pub(crate) fn room(&self) -> View {
        self.room_of(self.pane)
    }

    fn room_of(&self, pane: Pane) -> View {
        match (self.view, pane) {
            (View::Overview, Pane::Sessions) => View::Sessions,
            (View::Overview, Pane::Topics) => View::Topics,
            (View::Overview, Pane::Actors) => View::Actors,
            (View::Overview, Pane::Events) => View::Events,
            (view, _) => view,
        }
    }

    /// The list with the cursor.
    pub(crate) fn list(&self) -> &dyn AnyList {
        self.list_in(self.room())
    }

    /// The list of a view, of the overview the one with the cursor.
    pub(crate) fn list_in(&self, room: View) -> &dyn AnyList {
        match (room, self.pane) {
            (View::Overview, Pane::Reclaim) => &self.reclaim,
            (View::Overview, _) => &self.needs,
            (View::Sessions, _) => &self.sessions,
            (View::Listeners, _) => &self.listeners,
            (View::Topics, _) => &self.topics,
            (View::DeadLetters, _) => &self.subscriptions,
            (View::Actors, _) => self.tree(),
            (View::Events, _) => &self.events,
            (View::Audit, _) => &self.audit,
        }
    }

    /// The tree on the screen: the view's, or the cockpit's.
    pub(crate) fn tree(&self) -> &List<Actors> {
        if self.view == View::Overview { &self.troubled } else { &self.actors }
    }

    /// The same, to be changed.
    pub(crate) fn tree_mut(&mut self) -> &mut List<Actors> {
        if self.view == View::Overview { &mut self.troubled } else { &mut self.actors }
    }

    /// The list with the cursor, to be changed.
    pub(crate) fn list_mut(&mut self) -> &mut dyn AnyList {
        self.list_of(self.pane).0
    }

    /// The list of the view, the one in `pane` if it has several, and what it is a list of.
    fn list_of(&mut self, pane: Pane) -> (&mut dyn AnyList, &Model) {
        let model = self.held.as_deref().unwrap_or(&self.live);
        let list: &mut dyn AnyList = match (self.view, pane) {
            (View::Overview, Pane::Needs) => &mut self.needs,
            (View::Overview, Pane::Reclaim) => &mut self.reclaim,
            (View::Overview, Pane::Sessions) | (View::Sessions, _) => &mut self.sessions,
            (View::Overview, Pane::Topics) | (View::Topics, _) => &mut self.topics,
            (View::Overview, Pane::Actors) => &mut self.troubled,
            (View::Overview, Pane::Events) | (View::Events, _) => &mut self.events,
            (View::Listeners, _) => &mut self.listeners,
            (View::DeadLetters, _) => &mut self.subscriptions,
            (View::Actors, _) => &mut self.actors,
            (View::Audit, _) => &mut self.audit,
        };
        (list, model)
    }

    /// The panes of the overview that take a cursor and are on the screen, and where.
    pub(crate) fn overview(&self, geometry: &Geometry) -> Vec<(Pane, Rect)> {
        if self.zoom == Zoom::In { vec![(self.pane, geometry.body)] } else { geometry.panes(self.detail).with_cursor() }
    }

    /// The panes of the view that have a list, and the rows that each shows.
    fn panes(&self, geometry: &Geometry) -> Vec<(Pane, usize)> {
        if self.view != View::Overview {
            return vec![(self.pane, geometry.rows())];
        }
        let rows = |(pane, area)| match pane {
            Pane::Needs | Pane::Reclaim => inside(area),
            _ => geometry.within(area, self.zoom == Zoom::In && self.detail).rows(),
        };
        self.overview(geometry).into_iter().map(|(pane, area)| (pane, rows((pane, area)))).collect()
    }

    /// Rows that the list with the cursor shows.
    pub(crate) fn rows(&self, geometry: &Geometry) -> usize {
        let panes = self.panes(geometry);
        panes.iter().find(|(pane, _)| *pane == self.pane).map_or(0, |(_, rows)| *rows)
    }

    /// To the overview's next pane, or the one before.
    pub(crate) fn turn(&mut self, forward: bool) {
        let Some(geometry) = self.geometry() else { return };
        let round: Vec<Pane> = geometry.panes(self.detail).with_cursor().into_iter().map(|(pane, _)| pane).collect();
        let at = round.iter().position(|pane| *pane == self.pane).unwrap_or(0);
        let step = if forward { 1 } else { round.len() - 1 };
        self.pane = round[(at + step) % round.len()];
        self.keep_in_sight();
    }

    /// When the screen wants to be looked at again before the next second: a list is due.
    pub(crate) fn due(&self) -> Option<Uptime> {
        if matches!(self.modal, Modal::Dialog(_)) {
            return None;
        }
        let Some(geometry) = self.geometry() else { return self.reclaim.due() };
        if self.view != View::Overview {
            return self.list().due();
        }
        let in_pane = |pane| match pane {
            Pane::Needs => self.needs.due(),
            Pane::Reclaim => self.reclaim.due(),
            pane => self.list_in(self.room_of(pane)).due(),
        };
        self.overview(&geometry).into_iter().filter_map(|(pane, _)| in_pane(pane)).min()
    }

    /// Rebuilds the lists on the screen that are due. Under a dialog nothing moves.
    pub(crate) fn rebuild(&mut self) {
        if matches!(self.modal, Modal::Dialog(_)) {
            return;
        }
        let now = self.clock;
        let Some(geometry) = self.geometry() else {
            // The one list of a compact screen.
            let model = self.held.as_deref().unwrap_or(&self.live);
            self.dirty |= rebuild(&mut self.reclaim, model, now, usize::from(self.size.1));
            return;
        };
        for (pane, rows) in self.panes(&geometry) {
            // What is worst comes on top, and is not to be missed because nobody has moved yet; elsewhere a key meets the row
            // that it was meant for.
            let is_worst_first = self.view == View::Overview && matches!(pane, Pane::Needs | Pane::Reclaim);
            let settles = is_worst_first || pane != self.pane;
            let (list, model) = self.list_of(pane);
            if settles && list.due().is_some_and(|due| due <= now.up) {
                list.settle();
            }
            self.dirty |= rebuild(list, model, now, rows);
        }
    }

    /// The screen has another size or other parts: the cursors on it stay in sight, and the one with the keys is on it.
    pub(crate) fn keep_in_sight(&mut self) {
        let Some(geometry) = self.geometry() else { return };
        if geometry.panes(self.detail).with_cursor().iter().all(|(pane, _)| *pane != self.pane) {
            self.pane = Pane::Needs;
        }
        for (pane, rows) in self.panes(&geometry) {
            self.list_of(pane).0.keep_in_sight(rows);
        }
    }

    /// The rows of every list may no longer be so.
    pub(crate) fn mark_stale(&mut self) {
        let lists: [&mut dyn AnyList; 10] = [
            &mut self.needs,
            &mut self.reclaim,
            &mut self.sessions,
            &mut self.listeners,
            &mut self.topics,
            &mut self.subscriptions,
            &mut self.actors,
            &mut self.troubled,
            &mut self.events,
            &mut self.audit,
        ];
        lists.into_iter().for_each(AnyList::mark_stale);
    }

    /// What the list's cursor is on.
    pub(crate) fn under_cursor(&self) -> Option<Subject> {
        match (self.room(), self.pane) {
            (View::Overview, Pane::Needs) => self.needs.cursor().map(|(_, subject, _)| subject.clone()),
            (View::Overview, _) => self.reclaim.cursor().copied().map(Subject::Session),
            (View::Sessions, _) => self.sessions.cursor().copied().map(Subject::Session),
            (View::Listeners, _) => self.listeners.cursor().copied().map(Subject::Listener),
            (View::Topics, _) => self.topics.cursor().cloned().map(Subject::Topic),
            (View::DeadLetters, _) => self.subscriptions.cursor().cloned().map(Subject::Subscription),
            (View::Actors, _) => self.tree().cursor().and_then(|node| match node {
                Node::Actor(actor) => Some(Subject::Actor(actor.clone())),
                Node::Group(_) => None,
            }),
            (View::Events, _) => {
                let entry = self.events.cursor().and_then(|number| self.shown().log.get(*number));
                entry.and_then(|entry| entry.subject())
            }
            (View::Audit, _) => self.audit.cursor().copied().map(Subject::Order),
        }
    }

    /// Puts the cursor of the list that `subject` belongs to on it.
    pub(crate) fn select(&mut self, subject: &Subject) {
        match subject {
            Subject::Session(id) => self.sessions.select(*id),
            Subject::Listener(id) => self.listeners.select(*id),
            Subject::Topic(topic) => self.topics.select(topic.clone()),
            Subject::Subscription(id) => self.subscriptions.select(id.clone()),
            Subject::Order(number) => self.audit.select(*number),
            Subject::Actor(actor) => {
                let node = Node::Actor(actor.clone());
                self.actors.filter_by("");
                let folds = self.actors.lens_mut();
                folds.set(&Node::Actor(cordboard::events::ActorName::Broker), true);
                if let Some(leaf) = Leaf::of(actor) {
                    folds.set(&Node::Actor(leaf.manager()), true);
                }
                self.actors.select(node);
            }
            Subject::Broker => {}
        }
    }
}

/// Rebuilds a list if it is due; true if it was.
fn rebuild(list: &mut dyn AnyList, model: &Model, now: Moment, rows: usize) -> bool {
    let due = list.due().is_some_and(|due| due <= now.up);
    if due {
        list.rebuild(model, now, rows);
    }
    due
}
