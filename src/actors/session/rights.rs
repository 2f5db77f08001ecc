//! What a session's client may do, and what the session remembers by it.

use std::sync::Arc;

use super::{State, publishing::Route};
use crate::{
    access::Access,
    auth::Rights,
    events::Action,
    name::{Filter, Principal, TopicName},
};

/// The rights of one principal, as of one generation of users.
#[derive(Debug)]
pub(super) struct Judge {
    rights: Arc<Rights>,
    generation: u64,
}

impl Judge {
    /// One who is no longer there may do nothing; its sessions are about to end.
    pub(super) fn new(access: &Access, principal: &Principal) -> Self {
        let users = access.current();
        Self { rights: users.rights_of(principal).unwrap_or_default(), generation: users.generation }
    }

    pub(super) fn may(&self, action: Action, topic: &TopicName) -> bool {
        self.rights.may(action, topic)
    }

    pub(super) fn may_subscribe(&self, filter: &Filter) -> bool {
        self.rights.may_subscribe(filter)
    }
}

impl State {
    /// Judges anew if the users are others now: ways that were open may be closed. One compare a chunk.
    pub(super) fn look_at_rights(&mut self) {
        if self.judge.generation == self.shared.access.generation() {
            return;
        }
        self.judge = Judge::new(&self.shared.access, &self.principal);
        let judge = &self.judge;
        // What waits for a look-up is judged when that is answered.
        self.routes.retain(|topic, route| matches!(route, Route::LookingUp(_)) || judge.may(Action::Publish, topic));
    }
}
