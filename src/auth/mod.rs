//! Who a client is, and what that allows: pure rules over filters, and the two ways to tell who someone is.
//!
//! Rights are default deny, and a deny wins over any allow (I2). The actors ask [`Rights`] and cache the answers for as long as
//! the users stay the same; the Broker asks the [`Authenticator`], off its mailbox, because a password costs tens of
//! milliseconds to verify.
//!
//! ```
//! use cordboard::{Config, auth::Rights, events::Action};
//!
//! let config = Config::parse(
//!     r##"
//!     [[users]]
//!     name = "alice"
//!     password_hash = "$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHRzYWx0$aGFzaGhhc2hoYXNoaGFzaGhhc2hoYXNo"
//!     allow.publish = ["orders/#", "replies/%u"]
//!     deny.publish = ["orders/closed"]
//!     "##,
//!     "users.toml",
//! )?;
//! let alice = &config.users[0];
//! let rights = Rights::for_user(&alice.name, &alice.allow, &alice.deny)?;
//! assert!(rights.may(Action::Publish, &"replies/alice".parse()?));
//! assert!(!rights.may(Action::Publish, &"orders/closed".parse()?), "a deny wins");
//! assert!(!rights.may(Action::Subscribe, &"orders/eu".parse()?), "what is not allowed is denied");
//! # Ok::<_, Box<dyn std::error::Error>>(())
//! ```

pub(crate) mod memory;
mod orders;
mod rights;
mod users;

use std::{fmt, net::SocketAddr, sync::Arc};

pub use self::{
    orders::{may_order, touched},
    rights::{Rights, Unfillable, Verdict},
    users::UserTable,
};
use crate::{config::User, name::Principal};

/// What a client says to prove who it is. `Debug` shows that there is a password, not which.
#[derive(Clone)]
pub struct Credentials {
    /// The user's name.
    pub user: Option<String>,
    /// The password.
    pub password: Option<String>,
    /// Where the client connects from.
    pub peer: SocketAddr,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let password = self.password.as_ref().map(|_| format_args!("(hidden)"));
        f.debug_struct("Credentials").field("user", &self.user).field("password", &password).field("peer", &self.peer).finish()
    }
}

/// Why a client was not let in. The text goes to it with code 401.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// One text for both, so that names cannot be tried out.
    #[error("unknown user or wrong password")]
    Credentials,
    /// No users are configured, and the client is on another machine.
    #[error("this broker has no users, so it takes clients of its own machine only; configure [[users]]")]
    NotLoopback,
}

/// Tells who a client is. The one thing to implement for another source of users.
pub trait Authenticator: fmt::Debug + Send + Sync + 'static {
    /// Who is this?
    ///
    /// # Errors
    /// [`Refused`], in the same words and time for an unknown user and a wrong password.
    fn authenticate(&self, credentials: &Credentials) -> Result<Principal, Refused>;

    /// What `principal` may do; none if there is no such principal (any more).
    fn rights_of(&self, principal: &Principal) -> Option<Arc<Rights>>;

    /// True if [`Authenticator::authenticate`] may take long and belongs on a pool of blocking threads.
    fn may_block(&self) -> bool {
        true
    }
}

/// The authenticator for `users`: they, or everyone on loopback if there are none.
pub fn of_users(users: &[User]) -> Arc<dyn Authenticator> {
    if users.is_empty() { Arc::new(LocalOnly::default()) } else { Arc::new(UserTable::new(users)) }
}

/// No users: everyone on loopback is [`Principal::local`] and may do everything, everyone else is refused.
#[derive(Debug)]
pub struct LocalOnly {
    everything: Arc<Rights>,
}

impl Default for LocalOnly {
    fn default() -> Self {
        Self { everything: Arc::new(Rights::all()) }
    }
}

impl Authenticator for LocalOnly {
    fn authenticate(&self, credentials: &Credentials) -> Result<Principal, Refused> {
        let is_loopback = credentials.peer.ip().to_canonical().is_loopback();
        if is_loopback { Ok(Principal::local()) } else { Err(Refused::NotLoopback) }
    }

    fn rights_of(&self, principal: &Principal) -> Option<Arc<Rights>> {
        principal.is_local().then(|| Arc::clone(&self.everything))
    }

    fn may_block(&self) -> bool {
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn credentials(user: Option<&str>, password: Option<&str>, peer: &str) -> Credentials {
        Credentials { user: user.map(str::to_owned), password: password.map(str::to_owned), peer: peer.parse().unwrap() }
    }

    #[test]
    fn without_users_this_machine_may_do_everything_and_no_other_anything() {
        let local = of_users(&[]);
        assert!(!local.may_block());
        for peer in ["127.0.0.1:1", "[::1]:1", "[::ffff:127.0.0.1]:1"] {
            let principal = local.authenticate(&credentials(Some("anyone"), None, peer)).unwrap();
            assert!(principal.is_local());
            assert_eq!(*local.rights_of(&principal).unwrap(), Rights::all());
        }
        for peer in ["10.0.0.1:1", "[::ffff:10.0.0.1]:1", "[fe80::1]:1", "0.0.0.0:1"] {
            assert_eq!(local.authenticate(&credentials(None, None, peer)).unwrap_err(), Refused::NotLoopback, "{peer}");
        }
        assert_eq!(local.rights_of(&"ana".parse().unwrap()), None);
    }

    #[test]
    fn a_password_is_never_shown() {
        let shown = format!("{:?}", credentials(Some("alice"), Some("hunter2"), "10.0.0.1:1"));
        assert!(shown.contains("alice") && shown.contains("(hidden)") && !shown.contains("hunter2"), "{shown}");
    }
}
