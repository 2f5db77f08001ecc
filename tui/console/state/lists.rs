//! Which list a view shows, which of them has the cursor, and what that is on.

use cordboard::clock::Uptime;

use super::{
    Modal, Pane, State, View,
    geometry::{Geometry, inside},
    list::AnyList,
    model::Model,
    subject::Subject,
    tables::actors::{Leaf, Node},
};

impl State {
    /// The list with the cursor.
    pub(crate) fn list(&self) -> &dyn AnyList {
        match (self.view, self.pane) {
            (View::Overview, Pane::Needs) => &self.needs,
            (View::Overview, Pane::Reclaim) => &self.reclaim,
            (View::Sessions, _) => &self.sessions,
            (View::Listeners, _) => &self.listeners,
            (View::Topics, _) => &self.topics,
            (View::DeadLetters, _) => &self.subscriptions,
            (View::Actors, _) => &self.actors,
            (View::Events, _) => &self.events,
            (View::Audit, _) => &self.audit,
        }
    }

    /// The list with the cursor, to be changed.
    pub(crate) fn list_mut(&mut self) -> &mut dyn AnyList {
        self.list_of(self.pane).0
    }

    /// The list of the view, the one in `pane` if it has two, and what it is a list of.
    fn list_of(&mut self, pane: Pane) -> (&mut dyn AnyList, &Model) {
        let model = self.held.as_deref().unwrap_or(&self.live);
        let list: &mut dyn AnyList = match (self.view, pane) {
            (View::Overview, Pane::Needs) => &mut self.needs,
            (View::Overview, Pane::Reclaim) => &mut self.reclaim,
            (View::Sessions, _) => &mut self.sessions,
            (View::Listeners, _) => &mut self.listeners,
            (View::Topics, _) => &mut self.topics,
            (View::DeadLetters, _) => &mut self.subscriptions,
            (View::Actors, _) => &mut self.actors,
            (View::Events, _) => &mut self.events,
            (View::Audit, _) => &mut self.audit,
        };
        (list, model)
    }

    /// The panes of the view that have a list, and the rows that each shows.
    fn panes(&self, geometry: &Geometry) -> Vec<(Pane, usize)> {
        match self.view {
            View::Overview => {
                let panes = geometry.panes();
                vec![(Pane::Needs, inside(panes.needs)), (Pane::Reclaim, inside(panes.reclaim))]
            }
            _ => vec![(self.pane, geometry.rows())],
        }
    }

    /// Rows that the list with the cursor shows.
    pub(crate) fn rows(&self, geometry: &Geometry) -> usize {
        let panes = self.panes(geometry);
        panes.iter().find(|(pane, _)| *pane == self.pane).map_or(0, |(_, rows)| *rows)
    }

    /// When the screen wants to be looked at again before the next second: a list is due.
    pub(crate) fn due(&self) -> Option<Uptime> {
        match (&self.modal, self.view) {
            (Modal::Dialog(_), _) => None,
            (_, View::Overview) => self.needs.due().into_iter().chain(self.reclaim.due()).min(),
            _ => self.list().due(),
        }
    }

    /// Rebuilds the lists on the screen that are due. Under a dialog nothing moves.
    pub(crate) fn rebuild(&mut self) {
        if matches!(self.modal, Modal::Dialog(_)) {
            return;
        }
        let (now, Some(geometry)) = (self.clock, self.geometry()) else { return };
        for (pane, rows) in self.panes(&geometry) {
            let (list, model) = self.list_of(pane);
            if list.due().is_some_and(|due| due <= now.up) {
                list.rebuild(model, now, rows);
                self.dirty = true;
            }
        }
    }

    /// The screen has another size or other parts: the cursors on it stay in sight.
    pub(crate) fn keep_in_sight(&mut self) {
        let Some(geometry) = self.geometry() else { return };
        for (pane, rows) in self.panes(&geometry) {
            self.list_of(pane).0.keep_in_sight(rows);
        }
    }

    /// The rows of every list may no longer be so.
    pub(crate) fn mark_stale(&mut self) {
        let lists: [&mut dyn AnyList; 9] = [
            &mut self.needs,
            &mut self.reclaim,
            &mut self.sessions,
            &mut self.listeners,
            &mut self.topics,
            &mut self.subscriptions,
            &mut self.actors,
            &mut self.events,
            &mut self.audit,
        ];
        lists.into_iter().for_each(AnyList::mark_stale);
    }

    /// What the list's cursor is on.
    pub(crate) fn under_cursor(&self) -> Option<Subject> {
        match (self.view, self.pane) {
            (View::Overview, Pane::Needs) => self.needs.cursor().map(|(_, subject, _)| subject.clone()),
            (View::Overview, Pane::Reclaim) => self.reclaim.cursor().copied().map(Subject::Session),
            (View::Sessions, _) => self.sessions.cursor().copied().map(Subject::Session),
            (View::Listeners, _) => self.listeners.cursor().copied().map(Subject::Listener),
            (View::Topics, _) => self.topics.cursor().cloned().map(Subject::Topic),
            (View::DeadLetters, _) => self.subscriptions.cursor().cloned().map(Subject::Subscription),
            (View::Actors, _) => self.actors.cursor().and_then(|node| match node {
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
