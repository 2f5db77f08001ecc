//! Registrations: a new session, or one that a client comes back to.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use super::{Claim, Client, Connection, Entry, SessionManagerMsg, State, ending::reason, failed_resumes, takeovers::Takeovers};
use crate::{
    actors::{
        Doing, Door, SessionMsg,
        listener::{ListenerMsg, Refused},
        session::{Arguments as SessionArguments, Attach, Flow, Lease, Session},
    },
    auth,
    commons::Commons,
    events::{CloseReason, Event},
    limits::Limit,
    name::{Epoch, SessionId},
    stats::Rate,
    throttle::network,
    wire::Code,
};

impl State {
    pub(super) async fn claim(&mut self, claim: Claim) {
        // Verified a moment ago, perhaps by users who have been replaced since.
        if self.shared.access.rights_of(&claim.principal).is_none() {
            return self.refuse(&claim, Refused::new(Code::Unauthorized, auth::Refused::Credentials.to_string()));
        }
        // Asked here, behind the order that evicted: no registration that was under way slips through.
        if let Some(reason) = self.shared.bans.principal(&claim.principal) {
            return self.refuse(&claim, Refused::new(Code::Forbidden, reason));
        }
        let Some(id) = claim.session else { return self.create(claim).await };
        let now = Commons::now();
        let own = self.sessions.get(&id).is_some_and(|entry| entry.principal == claim.principal);
        if own {
            return self.attach(id, claim);
        }
        let ends = self.ending.get(&id).filter(|ending| ending.principal == claim.principal);
        let gone = match ends {
            Some(ending) => Some((reason(&ending.why), self.shared.clock.now().wall)),
            None => self.tombstones.find(id, &claim.principal, now).map(|stone| (stone.reason.clone(), stone.at)),
        };
        let refused = match gone {
            Some((reason, at)) => {
                Refused { at: Some(at), ..Refused::new(Code::Gone, format!("the session {reason}")) }.may_try_again()
            }
            None => Refused::new(Code::NotFound, "no such session").may_try_again(),
        };
        let refused = self.too_many_guesses(&claim, now).unwrap_or(refused);
        self.refuse(&claim, refused);
    }

    fn refuse(&self, claim: &Claim, refused: Refused) {
        // A listener that has ended needs no answer.
        let _ = self.shared.tell(&claim.connection.listener, ListenerMsg::Refused(refused));
    }

    /// What is not there may be asked for often, as after a restart, but not without end. Only what was not found counts: no
    /// guess keeps a client of the same address from its own.
    fn too_many_guesses(&mut self, claim: &Claim, now: Instant) -> Option<Refused> {
        let address = network(claim.connection.peer.ip());
        let wait = self.failed_resumes.take(&address, failed_resumes(&self.shared.config.sessions), now).err()?;
        self.shared.limit_hit(Limit::FailedResumes, &address.to_string());
        let why = "too many sessions that are not there were asked for from your address (sessions.failed_resumes_per_second); \
            register without one, or wait";
        Some(Refused::new(Code::TooMany, why).retry_after(wait))
    }

    /// Why this principal may not have another session.
    fn too_many_sessions(&self, claim: &Claim) -> Option<Refused> {
        let max = self.shared.config.sessions.max_per_principal;
        let principal = &claim.principal;
        if self.owned.get(principal).is_none_or(|owned| owned.sessions < max) {
            return None;
        }
        self.shared.limit_hit(Limit::SessionsPerPrincipal, principal.as_str());
        let why = format!("you have {max} sessions (sessions.max_per_principal); resume one, or end one you do not need");
        Some(Refused::new(Code::TooMany, why))
    }

    pub(super) async fn create(&mut self, claim: Claim) {
        if let Some(refused) = self.too_many_sessions(&claim) {
            return self.refuse(&claim, refused);
        }
        let mut bytes = [0; 16];
        if let Err(error) = self.shared.entropy.fill(&mut bytes) {
            tracing::error!(%error, "there are no random bytes; no session can be created");
            let refused = Refused::new(Code::Unavailable, "the broker cannot make session ids now; try again later");
            return self.refuse(&claim, refused);
        }
        let id = SessionId::from_bytes(bytes);
        let flow = Arc::<Flow>::default();
        let arguments = |doing: &Arc<Doing>| SessionArguments {
            shared: Arc::clone(&self.shared),
            id,
            principal: claim.principal.clone(),
            flow: Arc::clone(&flow),
            topics: self.topics.clone(),
            subscribers: self.subscribers.clone(),
            ends: Door::new(&self.shared.stats, &self.myself, SessionManagerMsg::ClientEnds),
            doing: Arc::clone(doing),
        };
        let actor = match self.children.start(&self.shared, self.myself.get_cell(), id, Session, arguments).await {
            Ok(actor) => actor,
            Err(error) => {
                // This client's misfortune, and nobody else's.
                tracing::error!(%error, "a session did not start");
                return self.refuse(&claim, Refused::new(Code::Internal, "the session could not be started; connect again"));
            }
        };
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
            client: Client::Here { listener: claim.connection.listener.clone(), dropped: false },
            takeovers: Takeovers::default(),
            flow,
            published: Rate::default(),
            delivered: Rate::default(),
        };
        self.sessions.insert(id, entry);
        self.owned.entry(claim.principal.clone()).or_default().sessions += 1;
        self.hand_over(id, epoch, false, claim);
    }

    /// A client comes back, or takes over from itself.
    pub(super) fn attach(&mut self, id: SessionId, claim: Claim) {
        let Some(entry) = self.sessions.get_mut(&id) else { return };
        if matches!(entry.client, Client::Here { .. })
            && let Err(wait) = entry.takeovers.count(&self.shared.config.sessions, Commons::now())
        {
            return self.taken_over_too_often(id, &claim, wait);
        }
        entry.epoch = entry.epoch.next();
        entry.reclaim = claim.reclaim;
        let epoch = entry.epoch;
        let here = Client::Here { listener: claim.connection.listener.clone(), dropped: false };
        let takeover = match std::mem::replace(&mut entry.client, here) {
            Client::Here { .. } => true,
            Client::Away { deadline, .. } => {
                let principal = entry.principal.clone();
                self.deadlines.remove(&(deadline, id));
                self.not_detached(&principal);
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
        self.shared.faults.point("SessionManager", "attaching", &id);
        self.hand_over(id, epoch, true, claim);
    }

    /// Two clients take the session from each other: the one that has it keeps it for a while.
    fn taken_over_too_often(&self, id: SessionId, claim: &Claim, wait: Duration) {
        self.shared.limit_hit(Limit::Takeovers, &id.to_string());
        let why = "this session was taken over too often, as if two clients had it (sessions.max_takeovers); \
            give each its own, or wait until the other one has gone";
        self.refuse(claim, Refused::new(Code::TooMany, why).retry_after(wait));
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
            let refused = Refused::new(Code::Unavailable, "the session has failed; register again");
            let _ = self.shared.tell(&attach.listener, ListenerMsg::Refused(refused));
        }
    }
}
