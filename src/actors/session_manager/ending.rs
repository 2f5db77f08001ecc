//! How sessions lose their clients, and how they end.

use std::sync::Arc;

use super::{Client, ConnectionGone, Ending, SessionManagerMsg, State, Told};
use crate::{
    actors::{
        Door, RightsChanged, SessionMsg,
        listener::ListenerMsg,
        session::Goodbye,
        subscriber_manager::{SubscriberManagerMsg, SubscriptionsEnded},
    },
    clock::UnixMillis,
    commons::{Commons, tell},
    control::Outcome,
    events::{CloseReason, Event, SessionEnd},
    limits::Limit,
    name::{Epoch, Principal, Printable, SessionId},
    tombstones::Tombstone,
    wire::Code,
};

impl State {
    /// A connection is gone: the reclaim timer runs, unless a later one is there already.
    pub(super) fn connection_gone(&mut self, gone: &ConnectionGone) {
        let Some(entry) = self.sessions.get_mut(&gone.session) else { return };
        let principal = entry.principal.clone();
        if entry.epoch != gone.epoch || matches!(entry.client, Client::Away { .. }) {
            return self.shared.stats.stale.add(1);
        }
        let deadline = Commons::now() + entry.reclaim;
        entry.client = Client::Away { deadline, held: false };
        let _ = self.shared.tell(&entry.actor, SessionMsg::Detach { epoch: gone.epoch });
        self.shared.emit(Event::SessionDetached {
            id: gone.session,
            epoch: gone.epoch,
            why: gone.why,
            deadline: self.shared.clock.at(deadline.into()),
        });
        self.detached += 1;
        self.deadlines.insert((deadline, gone.session));
        self.arm();
        // All of them end in a moment, and what they hold is counted once.
        let ends = self.is_stopping();
        let limits = &self.shared.config.sessions;
        let owned = self.owned.entry(principal.clone()).or_default();
        owned.detached += 1;
        let hit = if ends {
            None
        } else if owned.detached > limits.max_detached_per_principal {
            Some((Limit::DetachedPerPrincipal, principal.as_str()))
        } else if self.detached > limits.max_detached {
            Some((Limit::Detached, "broker"))
        } else {
            None
        };
        if let Some((limit, who)) = hit {
            self.shared.limit_hit(limit, who);
            self.end(gone.session, SessionEnd::NoRoom, Told::Nobody);
        }
    }

    /// A session of `principal` is not detached any more, and its deadline is none: the timer is for those that are left.
    pub(super) fn not_detached(&mut self, principal: &Principal) {
        self.detached -= 1;
        self.arm();
        if let Some(owned) = self.owned.get_mut(principal) {
            owned.detached -= 1;
        }
    }

    fn disown(&mut self, principal: &Principal) {
        if let Some(owned) = self.owned.get_mut(principal) {
            owned.sessions -= 1;
            if owned.sessions == 0 {
                self.owned.remove(principal);
            }
        }
    }

    /// The broker is on its way to its end: no session ends before it by itself.
    fn is_stopping(&self) -> bool {
        *self.shared.stopping.borrow()
    }

    /// One timer is out, for the soonest deadline or before it, however often that changes.
    pub(super) fn arm(&mut self) {
        let soonest = if self.is_stopping() { None } else { self.deadlines.first().copied() };
        let Some((soonest, _)) = soonest else {
            self.armed = None;
            return self.alarm.clear();
        };
        if self.armed.is_some_and(|armed| armed <= soonest) {
            return;
        }
        self.armed = Some(soonest);
        let (stats, myself) = (Arc::clone(&self.shared.stats), self.myself.clone());
        self.alarm.set(soonest.into(), move || {
            let _ = tell(&stats, &myself, SessionManagerMsg::Reclaim);
        });
    }

    /// A timer fired: a hint. Whose deadline, as it is held now, has passed, is reclaimed.
    pub(super) fn reclaim(&mut self) {
        let now = Commons::now();
        while let Some((deadline, id)) = self.deadlines.first().copied()
            && deadline <= now
            && !self.is_stopping()
        {
            self.end(id, SessionEnd::Reclaimed, Told::Nobody);
        }
        if self.armed.is_some_and(|armed| armed <= now) {
            self.armed = None;
        }
        self.arm();
    }

    pub(super) fn client_ends(&mut self, id: SessionId, epoch: Epoch) {
        match self.sessions.get(&id) {
            Some(entry) if entry.epoch == epoch => self.end(id, SessionEnd::Ended, Told::Nobody),
            _ => self.shared.stats.stale.add(1),
        }
    }

    /// Ends a session: gone at once for whoever asks for it, told and remembered when its subscriptions have ended.
    pub(super) fn end(&mut self, id: SessionId, why: SessionEnd, told: Told) {
        let Some(entry) = self.sessions.remove(&id) else { return };
        if let Client::Away { deadline, .. } = entry.client {
            self.deadlines.remove(&(deadline, id));
            self.not_detached(&entry.principal);
        }
        self.disown(&entry.principal);
        if let Client::Here { listener, .. } = &entry.client {
            // Said here, so that it is said whatever becomes of the session.
            let close = ListenerMsg::Close { goodbye: goodbye(&why), why: CloseReason::SessionEnded };
            let _ = self.shared.tell(listener, close);
        }
        let has_failed = matches!(why, SessionEnd::Failed { .. });
        // The session ends its subscriptions behind whatever it has asked for them; if it has failed, nothing more can come.
        if has_failed || self.shared.tell(&entry.actor, SessionMsg::End { done: self.done() }).is_err() {
            self.end_subscriptions(id);
        }
        let ending = Ending { principal: entry.principal, why, told };
        self.ending.insert(id, ending);
    }

    fn done(&self) -> Door<SubscriptionsEnded> {
        Door::new(&self.shared.stats, &self.myself, SessionManagerMsg::SubscriptionsEnded)
    }

    /// For a session that has failed.
    fn end_subscriptions(&self, id: SessionId) {
        let _ = self.shared.tell(&self.subscribers, SubscriberManagerMsg::EndSession { session: id, done: self.done() });
    }

    /// The users are others now: sessions of those who are gone end, all others look again.
    pub(super) fn rights_changed(&mut self, changed: &RightsChanged) {
        let users = self.shared.access.current();
        let (mut stay, mut gone) = (Vec::new(), Vec::new());
        for (id, entry) in &self.sessions {
            match users.rights_of(&entry.principal) {
                Some(_) => stay.push(entry.actor.clone()),
                None => gone.push((*id, entry.principal.clone())),
            }
        }
        for (id, principal) in gone {
            let why = format!("the user {} is no longer in the configuration", Printable(principal.as_str()));
            let why = SessionEnd::Evicted { by: changed.by().to_owned(), why };
            self.end(id, why, Told::Reload(changed.clone()));
        }
        for session in stay {
            // One that has failed judges nothing any more.
            let _ = self.shared.tell(&session, SessionMsg::RightsChanged(changed.clone()));
        }
    }

    pub(super) fn failed(&mut self, id: SessionId, why: &str) {
        if self.sessions.contains_key(&id) {
            self.end(id, SessionEnd::Failed { why: why.to_owned() }, Told::Nobody);
        } else if self.ending.contains_key(&id) {
            // It failed before it could pass its end on, or just after: to end twice does no harm.
            self.end_subscriptions(id);
        }
    }

    pub(super) fn ended(&mut self, ended: &SubscriptionsEnded) {
        let Some(Ending { principal, why, told, .. }) = self.ending.remove(&ended.session) else { return };
        let at: UnixMillis = self.shared.clock.now().wall;
        let stone = Tombstone { principal, reason: reason(&why), at };
        self.tombstones.add(ended.session, stone, Commons::now());
        self.shared.emit(Event::SessionEnded { id: ended.session, why, lost: ended.lost });
        match told {
            Told::Nobody => {}
            Told::Operator(reply) => {
                let _ = reply.send(Outcome::Done { lost: ended.lost });
            }
            Told::Reload(changed) => changed.cost(ended.lost),
            Told::Eviction(eviction) => self.evicted(eviction, ended.lost),
        }
    }
}

/// What the client of a session that ends is told.
fn goodbye(why: &SessionEnd) -> Goodbye {
    match why {
        SessionEnd::Evicted { why, .. } if why.is_empty() => Goodbye::Evicted { reason: "no reason was given".to_owned() },
        SessionEnd::Evicted { why, .. } => Goodbye::Evicted { reason: why.clone() },
        SessionEnd::Failed { .. } => Goodbye::error(Code::Internal, "the session has failed; register without its id"),
        SessionEnd::Reclaimed | SessionEnd::Ended | SessionEnd::NoRoom => Goodbye::Silent,
    }
}

/// How a session ended, for a client that asks for it.
pub(super) fn reason(why: &SessionEnd) -> String {
    match why {
        SessionEnd::Reclaimed => "was reclaimed: its client was away for too long".to_owned(),
        SessionEnd::Evicted { why, .. } if why.is_empty() => "was evicted by an operator".to_owned(),
        SessionEnd::Evicted { why, .. } => format!("was evicted by an operator: {why}"),
        SessionEnd::Ended => "was ended by its client".to_owned(),
        SessionEnd::NoRoom => "was ended: too many sessions were waiting for their clients (sessions.max_detached, \
            sessions.max_detached_per_principal)"
            .to_owned(),
        SessionEnd::Failed { .. } => "failed".to_owned(),
    }
}
