//! What an operator may have done to a session, or to all of a principal's.

use std::time::Duration;

use ractor::RpcReplyPort;

use super::{Client, Entry, State, Told};
use crate::{
    actors::{SessionMsg, session::Goodbye},
    bans::told,
    commons::Commons,
    control::{Control, MAX_EXTENSION, Order, Outcome},
    events::{Event, Lost, SessionEnd},
    name::{Principal, SessionId},
    wire::Code,
};

/// The sessions of a principal that was forbidden, being evicted: the order is answered when the last is gone.
pub(super) struct Eviction {
    left: usize,
    lost: Lost,
    reply: RpcReplyPort<Outcome>,
}

impl State {
    pub(super) fn order(&mut self, order: Order, reply: RpcReplyPort<Outcome>) {
        let outcome = match &order.control {
            Control::EvictSession { session }
            | Control::DropConnection { session }
            | Control::HoldSession { session }
            | Control::ExtendSession { session, .. } => return self.about_session(*session, order, reply),
            Control::ForbidPrincipal { principal } => return self.forbid(&principal.clone(), order, reply),
            Control::AllowPrincipal { principal } => match order.precondition.check(None, 0) {
                Ok(()) => self.allow(principal.clone(), order.operator),
                Err(refused) => refused,
            },
            _ => Outcome::refused("this order is not about a session or a principal"),
        };
        let _ = reply.send(outcome);
    }

    fn about_session(&mut self, id: SessionId, order: Order, reply: RpcReplyPort<Outcome>) {
        let Some(entry) = self.sessions.get(&id) else {
            let _ = reply.send(Outcome::AlreadyGone);
            return;
        };
        let loss = if order.control.destroys() { self.shared.held_by(id) } else { 0 };
        if let Err(refused) = order.precondition.check(Some(entry.epoch), loss) {
            let _ = reply.send(refused);
            return;
        }
        let outcome = match order.control {
            Control::DropConnection { .. } => self.drop_connection(id),
            Control::HoldSession { .. } => self.hold(id, order.operator),
            Control::ExtendSession { by_ms, .. } => self.extend(id, Duration::from_millis(by_ms), order.operator),
            _ => {
                let why = SessionEnd::Evicted { by: order.operator, why: order.reason };
                return self.end(id, why, Told::Operator(reply));
            }
        };
        let _ = reply.send(outcome);
    }

    /// Refuses a principal from now on, and evicts its sessions.
    fn forbid(&mut self, principal: &Principal, order: Order, reply: RpcReplyPort<Outcome>) {
        let is_its = |(_, entry): &(&SessionId, &Entry)| entry.principal == *principal;
        let its: Vec<_> = self.sessions.iter().filter(is_its).map(|(id, _)| *id).collect();
        let loss = its.iter().map(|id| self.shared.held_by(*id)).sum();
        let allowed = order.precondition.check(None, loss).and_then(|()| {
            self.shared
                .bans
                .forbid_principal(principal, &order.reason)
                .map_err(|not| self.shared.not_forbidden(not, &order.operator))
        });
        if let Err(refused) = allowed {
            let _ = reply.send(refused);
            return;
        }
        let (by, why) = (order.operator.clone(), order.reason.clone());
        self.shared.emit(Event::PrincipalForbidden { principal: principal.clone(), by, why });
        if its.is_empty() {
            let _ = reply.send(Outcome::DONE);
            return;
        }
        self.last_eviction += 1;
        self.evictions.insert(self.last_eviction, Eviction { left: its.len(), lost: Lost::default(), reply });
        let why = SessionEnd::Evicted { by: order.operator, why: told("this user was forbidden", &order.reason) };
        for id in its {
            self.end(id, why.clone(), Told::Eviction(self.last_eviction));
        }
    }

    /// One of the sessions is gone.
    pub(super) fn evicted(&mut self, eviction: u64, lost: Lost) {
        let Some(under_way) = self.evictions.get_mut(&eviction) else { return };
        under_way.lost += lost;
        under_way.left -= 1;
        if under_way.left == 0
            && let Some(Eviction { lost, reply, .. }) = self.evictions.remove(&eviction)
        {
            let _ = reply.send(Outcome::Done { lost });
        }
    }

    fn allow(&mut self, principal: Principal, by: String) -> Outcome {
        if !self.shared.bans.allow_principal(&principal) {
            return Outcome::AlreadyGone;
        }
        self.shared.emit(Event::PrincipalAllowed { principal, by });
        Outcome::DONE
    }

    pub(super) fn drop_connection(&mut self, id: SessionId) -> Outcome {
        let Some(Entry { actor, client: Client::Here { dropped, .. }, .. }) = self.sessions.get_mut(&id) else {
            return Outcome::AlreadyGone;
        };
        if std::mem::replace(dropped, true) {
            return Outcome::AlreadyGone;
        }
        let goodbye = Goodbye::error(Code::Unavailable, "an operator dropped this connection; the session lives, connect again");
        let _ = self.shared.tell(actor, SessionMsg::Drop { goodbye });
        Outcome::DONE
    }

    pub(super) fn hold(&mut self, id: SessionId, by: String) -> Outcome {
        match self.sessions.get_mut(&id).map(|entry| &mut entry.client) {
            Some(Client::Away { deadline, held: held @ false }) => {
                *held = true;
                self.deadlines.remove(&(*deadline, id));
                self.shared.emit(Event::SessionHeld { id, by });
                Outcome::DONE
            }
            Some(Client::Away { held: true, .. }) => Outcome::AlreadyGone,
            Some(Client::Here { .. }) | None => Outcome::Refused { why: "its client is connected; no timer runs".to_owned() },
        }
    }

    pub(super) fn extend(&mut self, id: SessionId, by: Duration, operator: String) -> Outcome {
        let Some(Client::Away { deadline, held }) = self.sessions.get_mut(&id).map(|entry| &mut entry.client) else {
            return Outcome::Refused { why: "its client is connected; no timer runs".to_owned() };
        };
        self.deadlines.remove(&(*deadline, id));
        let now = Commons::now();
        *deadline = ((*deadline).max(now) + by.min(MAX_EXTENSION)).min(now + MAX_EXTENSION);
        *held = false;
        let deadline = *deadline;
        self.deadlines.insert((deadline, id));
        self.arm();
        let deadline = self.shared.clock.at(deadline.into());
        self.shared.emit(Event::SessionTimerSet { id, deadline, by: operator });
        Outcome::DONE
    }
}
