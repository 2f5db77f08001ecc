//! Registrations: a new session, or one that a client comes back to.

use std::sync::Arc;

use ractor::{Actor, ActorProcessingErr};

use super::{Claim, Client, Connection, Entry, SessionManagerMsg, State, ending::reason};
use crate::{
    actors::{
        Door, SessionMsg,
        listener::{ListenerMsg, Refused},
        session::{Arguments as SessionArguments, Attach, Flow, Lease, Session},
    },
    auth,
    events::{CloseReason, Event},
    name::{Epoch, SessionId},
    shared::Shared,
    stats::Rate,
    wire::Code,
};

impl State {
    pub(super) async fn claim(&mut self, claim: Claim) -> Result<(), ActorProcessingErr> {
        // Verified a moment ago, perhaps by users who have been replaced since.
        if self.shared.access.rights_of(&claim.principal).is_none() {
            let refused =
                Refused { code: Code::Unauthorized, reason: auth::Refused::Credentials.to_string(), at: None, again: false };
            let _ = self.shared.tell(&claim.connection.listener, ListenerMsg::Refused(refused));
            return Ok(());
        }
        let Some(id) = claim.session else { return self.create(claim).await };
        let now = Shared::now();
        let own = self.sessions.get(&id).is_some_and(|entry| entry.principal == claim.principal);
        if own {
            self.attach(id, claim);
            return Ok(());
        }
        let ends = self.ending.get(&id).filter(|ending| ending.principal == claim.principal);
        let gone = match ends {
            Some(ending) => Some((reason(&ending.why), self.shared.clock.now().wall)),
            None => self.tombstones.find(id, &claim.principal, now).map(|stone| (stone.reason.clone(), stone.at)),
        };
        let refused = match gone {
            Some((reason, at)) => {
                Refused { code: Code::Gone, reason: format!("the session {reason}"), at: Some(at), again: true }
            }
            None => Refused { code: Code::NotFound, reason: "no such session".to_owned(), at: None, again: true },
        };
        let _ = self.shared.tell(&claim.connection.listener, ListenerMsg::Refused(refused));
        Ok(())
    }

    pub(super) async fn create(&mut self, claim: Claim) -> Result<(), ActorProcessingErr> {
        let mut bytes = [0; 16];
        if let Err(error) = getrandom::fill(&mut bytes) {
            tracing::error!(%error, "the operating system gives no random bytes; no session can be created");
            let reason = "the broker cannot make session ids now; try again later".to_owned();
            let refused = Refused { code: Code::Unavailable, reason, at: None, again: false };
            let _ = self.shared.tell(&claim.connection.listener, ListenerMsg::Refused(refused));
            return Ok(());
        }
        let id = SessionId::from_bytes(bytes);
        let flow = Arc::<Flow>::default();
        let arguments = SessionArguments {
            shared: Arc::clone(&self.shared),
            id,
            principal: claim.principal.clone(),
            flow: Arc::clone(&flow),
            topics: self.topics.clone(),
            subscribers: self.subscribers.clone(),
            ends: Door::new(&self.shared.stats, &self.myself, SessionManagerMsg::ClientEnds),
        };
        let (actor, _) = Actor::spawn_linked(None, Session, arguments, self.myself.get_cell()).await?;
        self.actors.insert(actor.get_id(), id);
        let epoch = Epoch::default().next();
        let Connection { id: listener, peer, .. } = claim.connection;
        self.shared.emit(Event::SessionCreated {
            id,
            client: claim.client.clone(),
            principal: claim.principal.clone(),
            listener,
            peer,
            epoch,
            reclaim_ms: claim.reclaim.as_millis() as u64,
        });
        let entry = Entry {
            actor,
            principal: claim.principal.clone(),
            epoch,
            reclaim: claim.reclaim,
            client: Client::Here { listener: claim.connection.listener.clone() },
            flow,
            published: Rate::default(),
            delivered: Rate::default(),
        };
        self.sessions.insert(id, entry);
        self.hand_over(id, epoch, false, claim);
        Ok(())
    }

    /// A client comes back, or takes over from itself.
    pub(super) fn attach(&mut self, id: SessionId, claim: Claim) {
        let Some(entry) = self.sessions.get_mut(&id) else { return };
        entry.epoch = entry.epoch.next();
        entry.reclaim = claim.reclaim;
        let epoch = entry.epoch;
        let here = Client::Here { listener: claim.connection.listener.clone() };
        let takeover = match std::mem::replace(&mut entry.client, here) {
            Client::Here { .. } => true,
            Client::Away { deadline, .. } => {
                self.deadlines.remove(&(deadline, id));
                self.detached -= 1;
                false
            }
        };
        let Connection { id: listener, peer, .. } = claim.connection;
        self.shared.emit(Event::SessionAttached {
            id,
            client: claim.client.clone(),
            listener,
            peer,
            epoch,
            reclaim_ms: claim.reclaim.as_millis() as u64,
            takeover,
        });
        self.hand_over(id, epoch, true, claim);
    }

    /// The session takes it from here. The lease comes back from wherever the connection ends.
    pub(super) fn hand_over(&self, id: SessionId, epoch: Epoch, resumed: bool, claim: Claim) {
        let Some(entry) = self.sessions.get(&id) else { return };
        let gone = Door::new(&self.shared.stats, &self.myself, SessionManagerMsg::ConnectionGone);
        let lease = Lease { session: id, epoch, why: CloseReason::Failed, gone };
        let attach = Attach {
            epoch,
            resumed,
            listener: claim.connection.listener,
            outbound: claim.connection.outbound,
            lease,
            ack: claim.ack,
            settled: claim.settled,
            keep_alive: claim.keep_alive,
            reclaim: claim.reclaim,
        };
        if let Err(SessionMsg::Attach(attach)) = self.shared.tell(&entry.actor, SessionMsg::Attach(Box::new(attach))) {
            // The session has just failed; that event is behind us in the mailbox.
            let refused = Refused {
                code: Code::Unavailable,
                reason: "the session has failed; register again".to_owned(),
                at: None,
                again: false,
            };
            let _ = self.shared.tell(&attach.listener, ListenerMsg::Refused(refused));
        }
    }
}
