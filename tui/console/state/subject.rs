//! What a row, a dialog or an alarm is about. Everything that acts holds one of these, never a row number.

use cordboard::{
    Board,
    board::SessionRow,
    control::Control,
    events::Event,
    name::{SessionId, SubscriptionId, TopicName},
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
}

impl Subject {
    /// What people call it: `9f3c..e1a2 billing-7`, `orders/eu`, `orders/eu of billing-7`.
    pub(crate) fn label(&self, board: &Board) -> String {
        self.label_by(|id| board.sessions.get(id))
    }

    /// The same, and a session that has just ended is still called by its client's name.
    pub(crate) fn label_in(&self, model: &Model) -> String {
        let ended = |id: &SessionId| model.departed.sessions.get(id).map(|ended| &ended.row);
        self.label_by(|id| model.board.sessions.get(id).or_else(|| ended(id)))
    }

    fn label_by<'a>(&self, session: impl Fn(&SessionId) -> Option<&'a SessionRow>) -> String {
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
        }
    }

    /// Its id in full, to copy.
    pub(crate) fn id(&self) -> String {
        match self {
            Self::Broker => "broker".to_owned(),
            Self::Session(id) => id.to_string(),
            Self::Topic(topic) => safe(topic),
            Self::Subscription(id) => safe(id),
        }
    }

    /// The subscription that it is.
    pub(crate) fn subscription(&self) -> Option<&SubscriptionId> {
        match self {
            Self::Subscription(id) => Some(id),
            Self::Broker | Self::Session(_) | Self::Topic(_) => None,
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
            _ => return None,
        })
    }
}
