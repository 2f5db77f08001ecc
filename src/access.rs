//! Who may do what, as of now: the users and all that hangs on them, swapped as a whole when they are read again.
//!
//! Whoever caches an answer keeps the generation it is of, and asks again when that is old: one atomic load where messages flow.

use std::{
    sync::{
        Arc, Mutex, PoisonError, RwLock,
        atomic::{AtomicU64, Ordering},
    },
    time::Instant,
};

use crate::{
    auth::{self, Authenticator, Credentials, Refused, Rights, memory::Memory},
    config::User,
    entropy::Entropy,
    name::Principal,
    stats::Counter,
};

/// The users of now.
#[derive(Debug)]
pub(crate) struct Access {
    current: RwLock<Arc<Users>>,
    generation: AtomicU64,
    entropy: Arc<dyn Entropy>,
}

/// Users as they were read once.
#[derive(Debug)]
pub(crate) struct Users {
    pub(crate) generation: u64,
    pub(crate) configured: Vec<User>,
    authenticator: Arc<dyn Authenticator>,
    /// Absent if the system gave no key for it: then each credential is verified each time.
    memory: Option<Mutex<Memory>>,
}

impl Access {
    pub(crate) fn new(users: Vec<User>, entropy: Arc<dyn Entropy>) -> Self {
        let first = Users::new(users, 1, &*entropy);
        Self { generation: AtomicU64::new(first.generation), current: RwLock::new(Arc::new(first)), entropy }
    }

    /// Which users are of now. Whoever reads this and then asks for them gets these or later ones.
    pub(crate) fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    pub(crate) fn current(&self) -> Arc<Users> {
        Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// What `principal` may do now; none if there is no such principal.
    pub(crate) fn rights_of(&self, principal: &Principal) -> Option<Arc<Rights>> {
        self.current().rights_of(principal)
    }

    /// From now on these are the users, and no credential is remembered.
    pub(crate) fn swap(&self, users: Vec<User>) {
        let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
        let next = Users::new(users, current.generation + 1, &*self.entropy);
        self.generation.store(next.generation, Ordering::Release);
        *current = Arc::new(next);
    }
}

impl Users {
    fn new(configured: Vec<User>, generation: u64, entropy: &dyn Entropy) -> Self {
        let mut key = [0; 32];
        let memory = match entropy.fill(&mut key) {
            Ok(()) => Some(Mutex::new(Memory::new(key))),
            Err(error) => {
                tracing::error!(%error, "there are no random bytes to be had; every registration is verified anew");
                None
            }
        };
        Self { generation, authenticator: auth::of_users(&configured), configured, memory }
    }

    pub(crate) fn rights_of(&self, principal: &Principal) -> Option<Arc<Rights>> {
        self.authenticator.rights_of(principal)
    }

    /// True if [`Self::verify`] may take long.
    pub(crate) fn may_block(&self) -> bool {
        self.authenticator.may_block()
    }

    /// Who this is, if that was verified lately. Takes microseconds.
    pub(crate) fn recall(&self, credentials: &Credentials, now: Instant) -> Option<Principal> {
        let memory = self.memory.as_ref()?.lock().unwrap_or_else(PoisonError::into_inner);
        memory.recall(credentials, now)
    }

    /// Who this is. What was right is remembered for a while.
    pub(crate) fn verify(&self, credentials: &Credentials, now: Instant, hashed: &Counter) -> Result<Principal, Refused> {
        // Of many that came at once with the same credential, the first one has verified it for all.
        if let Some(principal) = self.recall(credentials, now) {
            return Ok(principal);
        }
        if !self.may_block() {
            return self.authenticator.authenticate(credentials);
        }
        hashed.add(1);
        let principal = self.authenticator.authenticate(credentials)?;
        if let Some(memory) = &self.memory {
            memory.lock().unwrap_or_else(PoisonError::into_inner).keep(credentials, principal.clone(), now);
        }
        Ok(principal)
    }
}

#[cfg(test)]
mod tests {
    use argon2::Params;

    use super::*;
    use crate::config::{Grants, PasswordHash};

    fn user(name: &str, password: &str) -> User {
        let params = Params::new(8, 1, 1, None).unwrap();
        let password_hash = PasswordHash::make_at_cost(password, [3; 16], params);
        User { name: name.parse().unwrap(), password_hash, allow: Grants::default(), deny: Grants::default() }
    }

    fn access(users: Vec<User>) -> Access {
        Access::new(users, Arc::new(crate::entropy::OsEntropy))
    }

    fn credentials(user: &str, password: &str) -> Credentials {
        Credentials { user: Some(user.to_owned()), password: Some(password.to_owned()), peer: "127.0.0.1:1".parse().unwrap() }
    }

    /// An old password is right for nobody who asks after the swap, however lately it was right.
    #[test]
    fn nothing_of_the_users_before_is_left_after_a_swap() {
        let (access, now) = (access(vec![user("ana", "old"), user("bob", "x")]), Instant::now());
        let before = access.current();
        assert!(before.recall(&credentials("ana", "old"), now).is_none());
        assert!(before.verify(&credentials("ana", "old"), now, &Counter::default()).is_ok());
        assert!(before.recall(&credentials("ana", "old"), now).is_some());
        assert!(before.verify(&credentials("ana", "new"), now, &Counter::default()).is_err());
        assert!(before.recall(&credentials("ana", "new"), now).is_none(), "only what was right is remembered");
        access.swap(vec![user("ana", "new")]);
        let after = access.current();
        assert_eq!((before.generation, after.generation, access.generation()), (1, 2, 2));
        assert!(after.recall(&credentials("ana", "old"), now).is_none());
        assert_eq!(after.verify(&credentials("ana", "old"), now, &Counter::default()), Err(Refused::Credentials));
        assert!(after.verify(&credentials("ana", "new"), now, &Counter::default()).is_ok());
        assert!(access.rights_of(&"ana".parse().unwrap()).is_some() && access.rights_of(&"bob".parse().unwrap()).is_none());
    }

    /// Who needs no password is not remembered: there is nothing to save, and an address is no credential.
    #[test]
    fn local_is_never_remembered() {
        let (access, now) = (access(Vec::new()), Instant::now());
        assert!(access.current().verify(&credentials("x", "y"), now, &Counter::default()).unwrap().is_local());
        assert!(access.current().recall(&credentials("x", "y"), now).is_none());
    }

    #[test]
    fn no_secret_is_shown() {
        let access = access(vec![user("ana", "hunter2")]);
        access.current().verify(&credentials("ana", "hunter2"), Instant::now(), &Counter::default()).unwrap();
        let shown = format!("{access:?}");
        assert!(shown.contains("ana") && !shown.contains("hunter2") && !shown.contains("argon2"), "{shown}");
    }
}
