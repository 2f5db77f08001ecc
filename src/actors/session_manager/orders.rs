//! What an operator may have done to a session.

use std::time::Duration;

use ractor::RpcReplyPort;

use super::{Client, Entry, State};
use crate::{
    actors::{SessionMsg, session::Goodbye},
    control::{Control, MAX_EXTENSION, Order, Outcome},
    events::{Event, Lost, SessionEnd},
    name::SessionId,
    shared::Shared,
    wire::Code,
};

impl State {
    pub(super) fn order(&mut self, order: Order, reply: RpcReplyPort<Outcome>) {
        let (Control::EvictSession { session: id }
        | Control::DropConnection { session: id }
        | Control::HoldSession { session: id }
        | Control::ExtendSession { session: id, .. }) = order.control
        else {
            let _ = reply.send(Outcome::Refused { why: "this order is not about a session".to_owned() });
            return;
        };
        let Some(entry) = self.sessions.get_mut(&id) else {
            let _ = reply.send(Outcome::AlreadyGone);
            return;
        };
        let loss = if order.control.destroys() { self.shared.held_by(id) } else { 0 };
        if let Err(refused) = order.precondition.check(Some(entry.epoch), loss) {
            let _ = reply.send(refused);
            return;
        }
        let outcome = match order.control {
            Control::EvictSession { .. } => {
                return self.end(id, SessionEnd::Evicted { by: order.operator, why: order.reason }, Some(reply));
            }
            Control::DropConnection { .. } => self.drop_connection(id),
            Control::HoldSession { .. } => self.hold(id, order.operator),
            Control::ExtendSession { by_ms, .. } => self.extend(id, Duration::from_millis(by_ms), order.operator),
            Control::KillTopic { .. }
            | Control::Purge { .. }
            | Control::Redeliver { .. }
            | Control::Accept { .. }
            | Control::Reload { .. }
            | Control::Shutdown => return,
        };
        let _ = reply.send(outcome);
    }

    pub(super) fn drop_connection(&self, id: SessionId) -> Outcome {
        let Some(Entry { actor, client: Client::Here { .. }, .. }) = self.sessions.get(&id) else { return Outcome::AlreadyGone };
        let goodbye = Goodbye::error(Code::Unavailable, "an operator dropped this connection; the session lives, connect again");
        let _ = self.shared.tell(actor, SessionMsg::Drop { goodbye });
        Outcome::Done { lost: Lost::default() }
    }

    pub(super) fn hold(&mut self, id: SessionId, by: String) -> Outcome {
        match self.sessions.get_mut(&id).map(|entry| &mut entry.client) {
            Some(Client::Away { deadline, held: held @ false }) => {
                *held = true;
                self.deadlines.remove(&(*deadline, id));
                self.shared.emit(Event::SessionHeld { id, by });
                Outcome::Done { lost: Lost::default() }
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
        let now = Shared::now();
        *deadline = ((*deadline).max(now) + by.min(MAX_EXTENSION)).min(now + MAX_EXTENSION);
        *held = false;
        let deadline = *deadline;
        self.deadlines.insert((deadline, id));
        self.arm();
        let deadline = self.shared.clock.at(deadline.into());
        self.shared.emit(Event::SessionTimerSet { id, deadline, by: operator });
        Outcome::Done { lost: Lost::default() }
    }
}
