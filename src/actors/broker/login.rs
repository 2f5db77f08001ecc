//! How a registration becomes a claim on a session: who the client is, found out in turn and within the limits of log-ins.

use std::{
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use ractor::ActorRef;

use crate::{
    access::Users,
    actors::{
        listener::{ListenerMsg, Refused, Register},
        session_manager::{Claim, SessionManagerMsg},
    },
    auth::Credentials,
    commons::Commons,
    limits::Limit,
    logins::{Logins, Refusal},
    name::Principal,
    throttle::network,
    wire::Code,
};

/// The shortest keep-alive time a client may ask for.
const MIN_KEEP_ALIVE: Duration = Duration::from_millis(500);

pub(super) fn credentials(register: &Register) -> Credentials {
    let Register { request, connection, .. } = register;
    Credentials { user: request.user.clone(), password: request.password.as_deref().map(str::to_owned), peer: connection.peer }
}

pub(super) fn refuse(shared: &Commons, register: &Register, refused: Refused) {
    // A listener that has ended needs no answer.
    let _ = shared.tell(&register.connection.listener, ListenerMsg::Refused(refused));
}

/// A place among those whose password is to be checked, given back when it is dropped.
pub(super) struct Place {
    logins: Arc<Mutex<Logins>>,
    address: IpAddr,
}

impl Place {
    pub(super) fn take(shared: &Commons, logins: &Arc<Mutex<Logins>>, register: &Register) -> Result<Self, Refused> {
        let address = network(register.connection.peer.ip());
        let entered = lock(logins).enter(address, &shared.config.logins, Commons::now());
        entered.map_err(|refusal| refused(shared, address, &refusal))?;
        Ok(Self { logins: Arc::clone(logins), address })
    }

    /// Checks the password, on the pool of blocking threads. An error comes with how late it is to be told.
    pub(super) async fn log_in(
        &self,
        shared: &Arc<Commons>,
        users: &Arc<Users>,
        credentials: Credentials,
    ) -> Result<Principal, (Refused, Duration)> {
        let limits = &shared.config.logins;
        let may_try = lock(&self.logins).may_try(self.address, limits, Commons::now());
        may_try.map_err(|refusal| (refused(shared, self.address, &refusal), Duration::ZERO))?;
        let name = credentials.user.clone().unwrap_or_default();
        let (users, stats, now) = (Arc::clone(users), Arc::clone(&shared.stats), Commons::now());
        let why = match tokio::task::spawn_blocking(move || users.verify(&credentials, now, &stats.hashed)).await {
            Ok(Ok(principal)) => return Ok(principal),
            Ok(Err(why)) => why,
            Err(_) => return Err((Refused::new(Code::Internal, "the password could not be checked"), Duration::ZERO)),
        };
        let late = lock(&self.logins).failed(self.address, &name, limits, Commons::now());
        if late.is_some() {
            shared.limit_hit(Limit::FailedLoginsOfName, &self.address.to_string());
        }
        Err((Refused::new(Code::Unauthorized, why.to_string()), late.unwrap_or_default()))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        lock(&self.logins).leave(self.address);
    }
}

pub(super) fn lock(logins: &Mutex<Logins>) -> MutexGuard<'_, Logins> {
    logins.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What a client is told whose password nobody checks.
fn refused(shared: &Commons, address: IpAddr, refusal: &Refusal) -> Refused {
    shared.limit_hit(refusal.limit(), &address.to_string());
    let code = match refusal {
        Refusal::Full => Code::Unavailable,
        Refusal::AddressFull | Refusal::TooManyFailures(_) => Code::TooMany,
    };
    Refused::new(code, refusal.to_string()).retry_after(refusal.wait())
}

/// Who this is, if it was verified lately. An address that was wrong too often is kept from what is remembered, too: it could
/// try passwords against that for nothing.
pub(super) fn recall(
    shared: &Commons,
    logins: &Mutex<Logins>,
    users: &Users,
    register: &Register,
) -> Result<Option<Principal>, Refused> {
    let (address, now) = (network(register.connection.peer.ip()), Commons::now());
    let may_try = lock(logins).may_try(address, &shared.config.logins, now);
    may_try.map_err(|refusal| refused(shared, address, &refusal))?;
    Ok(users.recall(&credentials(register), now))
}

/// A client is who it says: asks for its session.
pub(super) fn claim(shared: &Commons, sessions: &ActorRef<SessionManagerMsg>, register: Register, principal: Principal) {
    let Register { request, client, connection } = register;
    let limits = (&shared.config.connections, &shared.config.sessions);
    let wished = |ms: Option<u64>, default: Duration| ms.map_or(default, Duration::from_millis);
    let listener = connection.listener.clone();
    let claim = Claim {
        principal,
        client,
        session: request.session,
        ack: request.ack,
        settled: request.settled.unwrap_or_default(),
        keep_alive: wished(request.keep_alive_ms, limits.0.keep_alive)
            .clamp(MIN_KEEP_ALIVE, limits.0.keep_alive.max(MIN_KEEP_ALIVE)),
        reclaim: wished(request.reclaim_ms, limits.1.reclaim_after).min(limits.1.max_reclaim_after),
        connection,
    };
    if shared.tell(sessions, SessionManagerMsg::Claim(Box::new(claim))).is_err() {
        let refused = Refused::new(Code::Unavailable, "the broker is restarting; connect again");
        let _ = shared.tell(&listener, ListenerMsg::Refused(refused));
    }
}
