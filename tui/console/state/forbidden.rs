//! The list of what is forbidden: topics, then users. Its cursor is a name, not a place.

use cordboard::{
    Board,
    board::Ban,
    control::Control,
    name::{Principal, TopicName},
};

/// Something forbidden.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Banned {
    /// A topic.
    Topic(TopicName),
    /// A user.
    User(Principal),
}

impl Banned {
    /// What kind of thing it is.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Topic(_) => "topic",
            Self::User(_) => "user",
        }
    }

    /// Its name.
    pub(crate) fn name(&self) -> &str {
        match self {
            Self::Topic(topic) => topic.as_str(),
            Self::User(principal) => principal.as_str(),
        }
    }

    /// The order that allows it.
    pub(crate) fn allow(&self) -> Control {
        match self {
            Self::Topic(topic) => Control::AllowTopic { topic: topic.clone() },
            Self::User(principal) => Control::AllowPrincipal { principal: principal.clone() },
        }
    }
}

/// Everything that is forbidden, in order.
pub(crate) fn all(board: &Board) -> impl Iterator<Item = (Banned, &Ban)> {
    let topics = board.forbidden.topics.iter().map(|(topic, ban)| (Banned::Topic(topic.clone()), ban));
    topics.chain(board.forbidden.principals.iter().map(|(principal, ban)| (Banned::User(principal.clone()), ban)))
}

/// Where `cursor` is: on its name if that is there, else on the first.
pub(crate) fn at(board: &Board, cursor: Option<&Banned>) -> usize {
    all(board).position(|(banned, _)| Some(&banned) == cursor).unwrap_or(0)
}

/// What is under the cursor after it moved.
pub(crate) fn moved(board: &Board, cursor: Option<&Banned>, by: isize) -> Option<Banned> {
    let last = board.forbidden.len().checked_sub(1)?;
    let to = at(board, cursor).saturating_add_signed(by).min(last);
    all(board).nth(to).map(|(banned, _)| banned)
}
