//! A deed: what an operator is asked to confirm, in the words of the dialog.

use cordboard::{
    control::Control,
    name::{Principal, SessionId, SubscriptionId, TopicName},
    reload::Preview,
};

use super::subject::Subject;

/// What an operator is asked to confirm.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Deed {
    /// End a session.
    Evict(SessionId),
    /// Close a session's connection.
    Drop(SessionId),
    /// End a topic's exact subscriptions.
    Kill(TopicName),
    /// Throw away what a subscription holds.
    Purge(SubscriptionId),
    /// Put a subscription's poison back into its queue.
    Redeliver(SubscriptionId),
    /// End a topic, and let nobody create it.
    ForbidTopic(TopicName),
    /// Evict a principal's sessions, and let it register no more.
    ForbidPrincipal(Principal),
    /// Take no new connections.
    StopAccepting,
    /// Send every client away.
    Drain,
    /// Take the configuration that was read.
    Reload(Box<Preview>),
    /// End the broker.
    ShutDown,
}

impl Deed {
    /// The order it becomes.
    pub(crate) fn control(&self) -> Control {
        match self {
            Self::Evict(session) => Control::EvictSession { session: *session },
            Self::Drop(session) => Control::DropConnection { session: *session },
            Self::Kill(topic) => Control::KillTopic { topic: topic.clone() },
            Self::Purge(subscription) => Control::Purge { subscription: subscription.clone() },
            Self::Redeliver(subscription) => Control::Redeliver { subscription: subscription.clone() },
            Self::ForbidTopic(topic) => Control::ForbidTopic { topic: topic.clone() },
            Self::ForbidPrincipal(principal) => Control::ForbidPrincipal { principal: principal.clone() },
            Self::StopAccepting => Control::Accept { on: false },
            Self::Drain => Control::Drain,
            Self::Reload(preview) => Control::Reload { seen: Some(preview.mark) },
            Self::ShutDown => Control::Shutdown,
        }
    }

    /// What it is done to.
    pub(crate) fn subject(&self) -> Subject {
        Subject::of_control(&self.control())
    }

    /// The dialog's title.
    pub(crate) fn title(&self) -> &'static str {
        match self {
            Self::Evict(_) => "EVICT SESSION",
            Self::Drop(_) => "DROP CONNECTION",
            Self::Kill(_) => "KILL TOPIC",
            Self::Purge(_) => "PURGE",
            Self::Redeliver(_) => "REDELIVER POISON",
            Self::ForbidTopic(_) => "FORBID TOPIC",
            Self::ForbidPrincipal(_) => "FORBID USER",
            Self::StopAccepting => "STOP ACCEPTING",
            Self::Drain => "DRAIN THE BROKER",
            Self::Reload(_) => "RELOAD THE CONFIGURATION",
            Self::ShutDown => "SHUT DOWN THE BROKER",
        }
    }

    /// What its button says.
    pub(crate) fn button(&self) -> &'static str {
        match self {
            Self::Evict(_) => "Evict",
            Self::Drop(_) => "Drop connection",
            Self::Kill(_) => "Kill topic",
            Self::Purge(_) => "Purge",
            Self::Redeliver(_) => "Redeliver",
            Self::ForbidTopic(_) => "Forbid topic",
            Self::ForbidPrincipal(_) => "Forbid user",
            Self::StopAccepting => "Stop accepting",
            Self::Drain => "Drain",
            Self::Reload(_) => "Reload",
            Self::ShutDown => "Shut down",
        }
    }

    /// What must be typed to confirm it, if it must.
    pub(crate) fn phrase(&self) -> String {
        match self {
            Self::Kill(topic) | Self::ForbidTopic(topic) => topic.as_str().to_owned(),
            Self::ForbidPrincipal(principal) => principal.as_str().to_owned(),
            Self::Drain => "DRAIN".to_owned(),
            Self::Evict(_) => "EVICT".to_owned(),
            Self::Purge(_) => "PURGE".to_owned(),
            Self::Reload(_) => "RELOAD".to_owned(),
            Self::ShutDown => "SHUT DOWN".to_owned(),
            Self::Drop(_) | Self::Redeliver(_) | Self::StopAccepting => "YES".to_owned(),
        }
    }

    /// A topic or a user takes its name, however little it holds: everyone who uses it feels it.
    pub(crate) fn always_typed(&self) -> bool {
        matches!(self, Self::Kill(_) | Self::ForbidTopic(_) | Self::ForbidPrincipal(_) | Self::Drain)
    }

    /// What of it cannot be taken back where it loses `loss` messages, as its title says it.
    pub(crate) fn lasting(&self, loss: u64) -> Option<&'static str> {
        match self {
            Self::Drain => None,
            // Allowed again, it is there again: empty.
            Self::ForbidTopic(_) | Self::ForbidPrincipal(_) => (loss > 0).then_some("the loss cannot be undone"),
            Self::Kill(_) => Some("cannot be undone"),
            Self::Evict(_)
            | Self::Drop(_)
            | Self::Purge(_)
            | Self::Redeliver(_)
            | Self::StopAccepting
            | Self::Reload(_)
            | Self::ShutDown => (loss > 0).then_some("cannot be undone"),
        }
    }
}
