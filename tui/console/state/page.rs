//! A page: one object over the whole body, with the cursor on what belongs to it. Pages stack, so Enter leads on and Esc
//! leads back.

use std::collections::BTreeSet;

use cordboard::{
    board::Attachment,
    filters::matches,
    name::{Filter, SessionId, SubscriptionId, TopicName},
};

use super::{State, facts::fold, model::Model, subject::Subject, tables::audit::Ordered};

/// Lines of facts on a page, at least.
const FACTS: u16 = 6;

/// Rows that are looked at for what a wildcard has to do with them: a page is drawn from it, not a report.
pub(crate) const LOOKED_AT: usize = 10_000;
/// Of those, the most that are shown.
const SHOWN: usize = 200;

/// One object, opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Page {
    /// What is opened.
    pub(crate) subject: Subject,
    /// The line of its members that the cursor is on, by id.
    pub(crate) cursor: Option<Subject>,
    /// The first member shown.
    pub(crate) top: usize,
}

impl Page {
    /// The page of `subject`.
    pub(crate) fn new(subject: Subject) -> Self {
        Self { subject, cursor: None, top: 0 }
    }

    /// Lines of facts above its members. They stay where they are when a fact comes or goes.
    pub(crate) fn facts(&self, state: &State) -> u16 {
        let facts = state.facts(&self.subject);
        let body = state.geometry().map(|geometry| geometry.body).unwrap_or_default();
        // Inside its border there is a line left for the first of its members, with a blank and the titles above.
        let lines = fold(facts, body.width.saturating_sub(2), body.height.saturating_sub(5));
        (lines.len() as u16).max(FACTS)
    }

    /// How many members it has.
    pub(crate) fn len(&self, model: &Model) -> usize {
        match &self.subject {
            // Exact subscribers are counted without being looked at.
            Subject::Topic(topic) => {
                model.board.topics.get(topic).map_or(0, |row| row.subscribers.len() + by_wildcard(model, topic).count())
            }
            _ => self.all(model).count(),
        }
    }

    /// Its members from `from` on, in their order.
    pub(crate) fn members<'a>(&'a self, model: &'a Model, from: usize) -> impl Iterator<Item = Subject> + 'a {
        self.all(model).skip(from)
    }

    /// True if what belongs to it is, or can be, subscriptions.
    pub(crate) fn has_subscriptions(&self, model: &Model) -> bool {
        match &self.subject {
            Subject::Session(_) | Subject::Topic(_) => true,
            _ => self.all(model).any(|member| member.subscription().is_some()),
        }
    }

    /// A session leads to its connection, its subscriptions and their topics; a topic to its subscriptions; a subscription to
    /// its session and topics; a connection to its session; an order to what it was about.
    fn all<'a>(&'a self, model: &'a Model) -> Box<dyn Iterator<Item = Subject> + 'a> {
        match &self.subject {
            Subject::Session(id) => Box::new(of_session(model, *id)),
            Subject::Topic(topic) => Box::new(of_topic(model, topic)),
            Subject::Subscription(id) => {
                let session = there(model, Subject::Session(id.session));
                Box::new(session.into_iter().chain(topics(model, [&id.filter].into_iter()).into_iter().map(Subject::Topic)))
            }
            Subject::Listener(id) => {
                let session = model.board.listeners.get(id).and_then(|row| row.session);
                Box::new(session.and_then(|id| there(model, Subject::Session(id))).into_iter())
            }
            Subject::Order(number) => {
                let about = Ordered::find(model, *number).map(|row| Subject::of_control(&row.order.control));
                Box::new(about.and_then(|subject| there(model, subject)).into_iter())
            }
            Subject::Broker | Subject::Actor(_) => Box::new(std::iter::empty()),
        }
    }

    /// Where the cursor is among the members: on its id if that is there, else at the top.
    pub(crate) fn at(&self, model: &Model) -> usize {
        self.cursor.as_ref().and_then(|cursor| self.all(model).position(|member| member == *cursor)).unwrap_or(0)
    }

    /// The member that the cursor is on.
    pub(crate) fn selected(&self, model: &Model) -> Option<Subject> {
        self.members(model, self.at(model)).next()
    }

    /// Moves the cursor to the member at `at` and shows it among `rows`.
    pub(crate) fn go_to(&mut self, at: usize, model: &Model, rows: usize) {
        let at = at.min(self.len(model).saturating_sub(1));
        let under = self.members(model, at).next();
        self.cursor = under;
        self.top = self.top.clamp((at + 1).saturating_sub(rows.max(1)), at);
    }
}

/// `subject`, if it is a row of the board.
fn there(model: &Model, subject: Subject) -> Option<Subject> {
    let board = &model.board;
    let is_there = match &subject {
        Subject::Session(id) => board.sessions.contains_key(id),
        Subject::Topic(topic) => board.topics.contains_key(topic),
        Subject::Subscription(id) => board.subscriptions.contains_key(id),
        Subject::Listener(id) => board.listeners.contains_key(id),
        Subject::Order(number) => Ordered::find(model, *number).is_some(),
        Subject::Broker | Subject::Actor(_) => false,
    };
    is_there.then_some(subject)
}

fn of_session(model: &Model, id: SessionId) -> impl Iterator<Item = Subject> + '_ {
    let row = model.board.sessions.get(&id);
    let listener = row.and_then(|row| match &row.attachment {
        Attachment::Attached { listener, .. } => there(model, Subject::Listener(*listener)),
        Attachment::Detached { .. } => None,
    });
    let filters = || row.into_iter().flat_map(|row| row.subscriptions.iter());
    let subscriptions =
        filters().map(move |filter| Subject::Subscription(SubscriptionId { session: id, filter: filter.clone() }));
    listener.into_iter().chain(subscriptions).chain(topics(model, filters()).into_iter().map(Subject::Topic))
}

fn of_topic<'a>(model: &'a Model, topic: &'a TopicName) -> impl Iterator<Item = Subject> + 'a {
    let filter = Filter::from(topic.clone());
    let sessions = model.board.topics.get(topic).into_iter().flat_map(|row| row.subscribers.iter());
    let exact = sessions.map(move |session| SubscriptionId { session: *session, filter: filter.clone() });
    exact.chain(by_wildcard(model, topic).cloned()).map(Subject::Subscription)
}

fn has_wildcard(filter: &Filter) -> bool {
    filter.as_str().contains(['+', '#'])
}

/// Subscriptions that get a topic without naming it, of the first that there are.
fn by_wildcard<'a>(model: &'a Model, topic: &'a TopicName) -> impl Iterator<Item = &'a SubscriptionId> {
    let looked_at = model.board.subscriptions.keys().take(LOOKED_AT);
    looked_at.filter(|id| has_wildcard(&id.filter) && matches(&id.filter, topic)).take(SHOWN)
}

/// Topics that there are for `filters`: those that are named, and of the first that there are those that a wildcard gets.
fn topics<'a>(model: &Model, filters: impl Iterator<Item = &'a Filter>) -> BTreeSet<TopicName> {
    let board = &model.board;
    let mut found = BTreeSet::new();
    let mut left = LOOKED_AT;
    for filter in filters {
        if !has_wildcard(filter) {
            found.extend(filter.exact().filter(|topic| board.topics.contains_key(topic)));
            continue;
        }
        let looked_at = board.topics.keys().take(left).inspect(|_| left -= 1);
        let matching: Vec<_> = looked_at.filter(|topic| matches(filter, topic)).take(SHOWN).cloned().collect();
        found.extend(matching);
    }
    found
}
