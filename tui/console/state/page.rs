//! A page: one object over the whole body, with the cursor on what belongs to it. Pages stack, so Enter leads on and Esc
//! leads back.

use cordboard::name::SubscriptionId;

use super::{model::Model, subject::Subject};

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

    /// How many members it has: a session's subscriptions, a topic's exact subscribers, a subscription's session.
    pub(crate) fn len(&self, model: &Model) -> usize {
        match &self.subject {
            Subject::Session(id) => model.board.sessions.get(id).map_or(0, |row| row.subscriptions.len()),
            Subject::Topic(topic) => model.board.topics.get(topic).map_or(0, |row| row.subscribers.len()),
            Subject::Subscription(id) => usize::from(model.board.sessions.contains_key(&id.session)),
            Subject::Broker => 0,
        }
    }

    /// Its members from `from` on, in their order.
    pub(crate) fn members<'a>(&self, model: &'a Model, from: usize) -> Box<dyn Iterator<Item = Subject> + 'a> {
        match &self.subject {
            Subject::Session(id) => {
                let session = *id;
                let filters = model.board.sessions.get(id).into_iter().flat_map(|row| row.subscriptions.iter());
                Box::new(
                    filters
                        .skip(from)
                        .map(move |filter| Subject::Subscription(SubscriptionId { session, filter: filter.clone() })),
                )
            }
            Subject::Topic(topic) => {
                let filter = cordboard::name::Filter::from(topic.clone());
                let sessions = model.board.topics.get(topic).into_iter().flat_map(|row| row.subscribers.iter());
                Box::new(
                    sessions
                        .skip(from)
                        .map(move |session| Subject::Subscription(SubscriptionId { session: *session, filter: filter.clone() })),
                )
            }
            Subject::Subscription(id) => {
                let session = id.session;
                let there = model.board.sessions.contains_key(&session).then_some(Subject::Session(session));
                Box::new(there.into_iter().skip(from))
            }
            Subject::Broker => Box::new(std::iter::empty()),
        }
    }

    /// Where the cursor is among the members: on its id if that is there, else at the top.
    pub(crate) fn at(&self, model: &Model) -> usize {
        self.cursor.as_ref().and_then(|cursor| self.members(model, 0).position(|member| member == *cursor)).unwrap_or(0)
    }

    /// The member that the cursor is on.
    pub(crate) fn selected(&self, model: &Model) -> Option<Subject> {
        self.members(model, self.at(model)).next()
    }

    /// Moves the cursor to the member at `at` and shows it among `rows`.
    pub(crate) fn go_to(&mut self, at: usize, model: &Model, rows: usize) {
        let at = at.min(self.len(model).saturating_sub(1));
        self.cursor = self.members(model, at).next();
        self.top = self.top.clamp((at + 1).saturating_sub(rows.max(1)), at);
    }
}
