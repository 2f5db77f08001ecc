//! What a row, a dialog or an alarm is about. Everything that acts holds one of these, never a row number.

use cordboard::{
    Board,
    board::{ListenerRow, SessionRow},
    control::Control,
    events::{ActorName, Event},
    name::{ListenerId, SessionId, SubscriptionId, TopicName},
};

use super::{model::Model, text::safe};

/// A thing in the broker.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Subject {
    /// The broker itself.
    Broker,
    /// A session.
    Session(SessionId),
    /// A topic.
    Topic(TopicName),
    /// A subscription.
    Subscription(SubscriptionId),
    /// A connection.
    Listener(ListenerId),
    /// An order, by its number.
    Order(u64),
    /// An actor of the supervision tree.
    Actor(ActorName),
}

impl Subject {
    /// What people call it: `9f3c..e1a2 billing-7`, `orders/eu`, `orders/eu of billing-7`.
    pub(crate) fn label(&self, board: &Board) -> String {
        self.label_by(|id| board.sessions.get(id), |id| board.listeners.get(id))
    }

    /// The same, and a session that has just ended is still called by its client's name.
    pub(crate) fn label_in(&self, model: &Model) -> String {
        let ended = |id: &SessionId| model.departed.sessions.get(id).map(|ended| &ended.row);
        let closed = |id: &ListenerId| model.departed.listeners.get(id).map(|ended| &ended.row);
        self.label_by(
            |id| model.board.sessions.get(id).or_else(|| ended(id)),
            |id| model.board.listeners.get(id).or_else(|| closed(id)),
        )
    }

    /// The same where there is little room: of a session its client, of a subscription its filter.
    pub(crate) fn brief_in(&self, model: &Model) -> String {
        match self {
            Self::Session(id) => {
                let client = model.board.sessions.get(id).map(|row| safe(&row.client));
                client.unwrap_or_else(|| self.label_in(model))
            }
            Self::Subscription(id) => safe(&id.filter),
            _ => self.label_in(model),
        }
    }

    fn label_by<'a>(
        &self,
        session: impl Fn(&SessionId) -> Option<&'a SessionRow>,
        listener: impl Fn(&ListenerId) -> Option<&'a ListenerRow>,
    ) -> String {
        let client = |id: &SessionId| session(id).map(|row| safe(&row.client));
        match self {
            Self::Broker => "broker".to_owned(),
            Self::Session(id) => match client(id) {
                Some(client) => format!("{} {client}", id.short()),
                None => id.short(),
            },
            Self::Topic(topic) => safe(topic),
            Self::Subscription(id) => {
                format!("{} of {}", safe(&id.filter), client(&id.session).unwrap_or_else(|| id.session.short()))
            }
            Self::Listener(id) => {
                let row = listener(id);
                let whose = row.and_then(|row| row.session).and_then(|id| client(&id));
                let peer = row.map_or_else(|| id.to_string(), |row| row.peer.to_string());
                whose.map_or_else(|| peer.clone(), |client| format!("{peer} {client}"))
            }
            Self::Order(number) => format!("order {number}"),
            Self::Actor(ActorName::Session(id)) => format!("Session {}", Self::Session(*id).label_by(session, listener)),
            Self::Actor(ActorName::Subscriber(id)) => {
                format!("Subscriber {}", Self::Subscription(id.clone()).label_by(session, listener))
            }
            Self::Actor(ActorName::Listener(id)) => format!("Listener {}", Self::Listener(*id).label_by(session, listener)),
            Self::Actor(actor) => format!("{} {}", actor.kind(), safe(actor)).trim_end().to_owned(),
        }
    }

    /// Its id in full, to copy.
    pub(crate) fn id(&self) -> String {
        match self {
            Self::Broker => "broker".to_owned(),
            Self::Session(id) => id.to_string(),
            Self::Topic(topic) => safe(topic),
            Self::Subscription(id) => safe(id),
            Self::Listener(id) => id.to_string(),
            Self::Order(number) => number.to_string(),
            Self::Actor(actor) => format!("{} {}", actor.kind(), safe(actor)).trim_end().to_owned(),
        }
    }

    /// The subscription that it is.
    pub(crate) fn subscription(&self) -> Option<&SubscriptionId> {
        match self {
            Self::Subscription(id) => Some(id),
            _ => None,
        }
    }

    /// What an order is about. A principal is no row: its order is about the broker.
    pub(crate) fn of_control(control: &Control) -> Self {
        match control {
            Control::EvictSession { session }
            | Control::DropConnection { session }
            | Control::HoldSession { session }
            | Control::ExtendSession { session, .. } => Self::Session(*session),
            Control::KillTopic { topic }
            | Control::ForbidTopic { topic }
            | Control::AllowTopic { topic }
            | Control::PeekBacklog { topic, .. } => Self::Topic(topic.clone()),
            Control::Purge { subscription } | Control::Redeliver { subscription } | Control::PeekQueue { subscription, .. } => {
                Self::Subscription(subscription.clone())
            }
            Control::ForbidPrincipal { .. }
            | Control::AllowPrincipal { .. }
            | Control::Accept { .. }
            | Control::Drain
            | Control::Reload { .. }
            | Control::Shutdown
            | Control::Cancel { .. } => Self::Broker,
        }
    }

    /// What an event is about, if it is one thing.
    pub(crate) fn of_event(event: &Event) -> Option<Self> {
        Some(match event {
            Event::SessionCreated { id, .. }
            | Event::SessionAttached { id, .. }
            | Event::SessionDetached { id, .. }
            | Event::SessionHeld { id, .. }
            | Event::SessionTimerSet { id, .. }
            | Event::SessionEnded { id, .. } => Self::Session(*id),
            Event::ListenerRegistered { session, .. } | Event::RightRefused { session, .. } => Self::Session(*session),
            Event::TopicCreated { topic, .. }
            | Event::TopicKilled { topic, .. }
            | Event::TopicForgotten { topic }
            | Event::TopicRestarted { topic, .. }
            | Event::TopicForbidden { topic, .. }
            | Event::TopicAllowed { topic, .. }
            | Event::BacklogOverflowed { topic, .. } => Self::Topic(topic.clone()),
            Event::SubscriptionCreated { id }
            | Event::SubscriptionParked { id }
            | Event::SubscriptionDraining { id, .. }
            | Event::SubscriptionDrained { id }
            | Event::SubscriptionOverflowed { id, .. }
            | Event::SubscriptionPoisoned { id, .. }
            | Event::SubscriptionRestarted { id, .. }
            | Event::SubscriptionPurged { id, .. }
            | Event::SubscriptionEnded { id, .. } => Self::Subscription(id.clone()),
            Event::ListenerOpened { id, .. } | Event::ListenerClosed { id, .. } | Event::RegistrationRefused { id, .. } => {
                Self::Listener(*id)
            }
            Event::ListenerFailed { id, .. } => Self::Actor((*id).into()),
            Event::ManagerFailed { manager, .. } => Self::Actor(ActorName::manager(manager)?),
            Event::OrderDelayed { number, .. } => Self::Order(*number),
            Event::Order(record) => Self::Order(record.number),
            _ => return None,
        })
    }
}
