//! The events of the last while, as the Events view shows them. Samples are figures, not news, and are not kept.

use std::{collections::VecDeque, sync::Arc};

use cordboard::{
    Board,
    events::{Event, Stamped, SubscriptionState},
    name::ClientName,
};

use super::{
    subject::Subject,
    text::safe,
    words::{Level, detail, name},
};

/// An event, and what its subject was called when it happened.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    stamped: Arc<Stamped>,
    client: Option<ClientName>,
    /// A subscription came to life without a queue that had to be drained first.
    at_once: bool,
}

impl Entry {
    /// Its place among all events.
    pub(crate) fn number(&self) -> u64 {
        self.stamped.number
    }

    /// The event itself.
    pub(crate) fn stamped(&self) -> &Stamped {
        &self.stamped
    }

    /// Its name.
    pub(crate) fn name(&self) -> &'static str {
        if self.at_once { "subscription.live" } else { name(&self.stamped.event).0 }
    }

    /// How loudly it is told.
    pub(crate) fn level(&self) -> Level {
        name(&self.stamped.event).1
    }

    /// What it is about, to go there.
    pub(crate) fn subject(&self) -> Option<Subject> {
        Subject::of_event(&self.stamped.event)
    }

    /// What it is about, in words.
    pub(crate) fn about(&self) -> String {
        let client = |id: &cordboard::name::SessionId| self.client.as_ref().map_or_else(|| id.short(), safe);
        match self.subject() {
            Some(Subject::Session(id)) => match &self.client {
                Some(client) => format!("{} {}", id.short(), safe(client)),
                None => id.short(),
            },
            Some(Subject::Topic(topic)) => safe(topic),
            Some(Subject::Subscription(id)) => format!("{} of {}", safe(&id.filter), client(&id.session)),
            Some(Subject::Broker | Subject::Listener(_) | Subject::Order(_) | Subject::Actor(_)) | None => String::new(),
        }
    }

    /// What it says.
    pub(crate) fn text(&self) -> String {
        let (about, detail) = (self.about(), detail(&self.stamped.event));
        if about.is_empty() || detail.is_empty() { about + &detail } else { format!("{about}  {detail}") }
    }
}

/// The newest events, oldest first.
#[derive(Debug, Clone, Default)]
pub(crate) struct Log {
    entries: VecDeque<Arc<Entry>>,
    /// Events that fell out at the old end.
    forgotten: u64,
}

impl Log {
    /// How many are kept.
    pub(crate) const KEPT: usize = 5_000;

    /// Keeps `stamped`; `board` still is as it was before it.
    pub(crate) fn push(&mut self, board: &Board, stamped: &Arc<Stamped>) {
        if matches!(stamped.event, Event::Sample(_)) {
            return;
        }
        let client = match (&stamped.event, Subject::of_event(&stamped.event)) {
            (Event::SessionCreated { client, .. } | Event::SessionAttached { client, .. }, _) => Some(client.clone()),
            (_, Some(Subject::Session(id))) => board.sessions.get(&id).map(|row| row.client.clone()),
            (_, Some(Subject::Subscription(id))) => board.sessions.get(&id.session).map(|row| row.client.clone()),
            _ => None,
        };
        let at_once = match &stamped.event {
            Event::SubscriptionDrained { id } => {
                board.subscriptions.get(id).is_none_or(|row| row.state != SubscriptionState::Draining)
            }
            _ => false,
        };
        if self.entries.len() == Self::KEPT {
            self.entries.pop_front();
            self.forgotten += 1;
        }
        self.entries.push_back(Arc::new(Entry { stamped: stamped.clone(), client, at_once }));
    }

    /// All that are kept, oldest first.
    pub(crate) fn entries(&self) -> impl DoubleEndedIterator<Item = &Arc<Entry>> {
        self.entries.iter()
    }

    /// How many are kept now.
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Events that are no longer kept.
    pub(crate) fn forgotten(&self) -> u64 {
        self.forgotten
    }

    /// The event with that number.
    pub(crate) fn get(&self, number: u64) -> Option<&Arc<Entry>> {
        let at = self.entries.binary_search_by_key(&number, |entry| entry.number()).ok()?;
        self.entries.get(at)
    }
}
