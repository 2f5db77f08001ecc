//! Who a client is, and what that allows: pure rules over filters, and the two ways to tell who someone is.
//!
//! Rights are default deny, and a deny wins over any allow (I2). The actors ask [`Rights`] and cache the answers; the Broker
//! asks the [`Authenticator`], off its mailbox, because a password costs tens of milliseconds to verify.

use std::{
    collections::HashMap,
    fmt,
    hash::{BuildHasher as _, RandomState},
    net::SocketAddr,
    sync::Arc,
};

use crate::{
    config::{Config, Grants, PasswordHash, User},
    events::Action,
    filters::{covers, matches},
    name::{Filter, Principal, TopicName},
};

/// A client, authenticated.
#[derive(Debug, Clone)]
pub struct Identity {
    /// Who it is.
    pub principal: Principal,
    /// What it may do.
    pub rights: Arc<Rights>,
}

/// What a principal may do. The default is nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rights {
    allow: Grants,
    deny: Grants,
}

impl Rights {
    /// What `allow` covers and `deny` does not.
    pub fn new(allow: Grants, deny: Grants) -> Self {
        Self { allow, deny }
    }

    /// Everything: what [`Principal::local`] may do.
    pub fn all() -> Self {
        let everything = || vec!["#".parse().expect("# is a filter")];
        let allow = Grants { publish: everything(), subscribe: everything(), create: everything(), operate: everything() };
        Self { allow, deny: Grants::default() }
    }

    /// May `topic` be published to, received from, or created?
    pub fn may(&self, action: Action, topic: &TopicName) -> bool {
        let (allow, deny) = match action {
            Action::Publish => (&self.allow.publish, &self.deny.publish),
            Action::Subscribe => (&self.allow.subscribe, &self.deny.subscribe),
            Action::Create => (&self.allow.create, &self.deny.create),
        };
        is_granted(allow, deny, topic)
    }

    /// May a message of `topic` be delivered? Judged for each topic that a subscription with wildcards matches.
    pub fn may_receive(&self, topic: &TopicName) -> bool {
        self.may(Action::Subscribe, topic)
    }

    /// May `filter` be subscribed to? If one allow filter covers all of it and no deny filter does. Where a deny covers a
    /// part of it, the subscription is good and [`Rights::may_receive`] keeps that part out.
    pub fn may_subscribe(&self, filter: &Filter) -> bool {
        let covered_by = |filters: &[Filter]| filters.iter().any(|wide| covers(wide, filter));
        covered_by(&self.allow.subscribe) && !covered_by(&self.deny.subscribe)
    }

    /// May operator's orders be given about `topic`?
    pub fn may_operate(&self, topic: &TopicName) -> bool {
        is_granted(&self.allow.operate, &self.deny.operate, topic)
    }
}

fn is_granted(allow: &[Filter], deny: &[Filter], topic: &TopicName) -> bool {
    let matched_by = |filters: &[Filter]| filters.iter().any(|filter| matches(filter, topic));
    matched_by(allow) && !matched_by(deny)
}

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
    fn authenticate(&self, credentials: &Credentials) -> Result<Identity, Refused>;

    /// True if [`Authenticator::authenticate`] may take long and belongs on a pool of blocking threads.
    fn may_block(&self) -> bool {
        true
    }
}

/// The authenticator that `config` asks for: its users, or everyone on loopback if it has none.
pub fn from_config(config: &Config) -> Arc<dyn Authenticator> {
    if config.users.is_empty() { Arc::new(LocalOnly::default()) } else { Arc::new(UserTable::new(&config.users)) }
}

/// No users: everyone on loopback is [`Principal::local`] and may do everything, everyone else is refused.
#[derive(Debug)]
pub struct LocalOnly {
    everyone: Identity,
}

impl Default for LocalOnly {
    fn default() -> Self {
        Self { everyone: Identity { principal: Principal::local(), rights: Arc::new(Rights::all()) } }
    }
}

impl Authenticator for LocalOnly {
    fn authenticate(&self, credentials: &Credentials) -> Result<Identity, Refused> {
        let is_loopback = credentials.peer.ip().to_canonical().is_loopback();
        if is_loopback { Ok(self.everyone.clone()) } else { Err(Refused::NotLoopback) }
    }

    fn may_block(&self) -> bool {
        false
    }
}

/// Users of the configuration.
#[derive(Debug)]
pub struct UserTable {
    users: HashMap<Principal, Account>,
    /// Hashes to verify against when there is no such user, so that it takes as long.
    decoys: Vec<PasswordHash>,
    /// Picks the decoy: the same one each time for the same name, unknown to whoever guesses names.
    pick: RandomState,
}

#[derive(Debug)]
struct Account {
    hash: PasswordHash,
    identity: Identity,
}

impl UserTable {
    /// A table of `users`.
    pub fn new(users: &[User]) -> Self {
        let account = |user: &User| {
            let rights = Arc::new(Rights::new(user.allow.clone(), user.deny.clone()));
            let identity = Identity { principal: user.name.clone(), rights };
            (user.name.clone(), Account { hash: user.password_hash.clone(), identity })
        };
        Self {
            users: users.iter().map(account).collect(),
            decoys: users.iter().map(|user| user.password_hash.clone()).collect(),
            pick: RandomState::new(),
        }
    }

    /// A hash of some user, as costly as those of users are: were it one fixed cost, a user whose hash has another cost
    /// would stand out.
    fn decoy(&self, user: &str) -> Option<&PasswordHash> {
        let count = self.decoys.len() as u64;
        let at = self.pick.hash_one(user).checked_rem(count)?;
        self.decoys.get(at as usize)
    }
}

impl Authenticator for UserTable {
    fn authenticate(&self, credentials: &Credentials) -> Result<Identity, Refused> {
        let (Some(user), Some(password)) = (&credentials.user, &credentials.password) else {
            return Err(Refused::Credentials);
        };
        let account = self.users.get(user.as_str());
        let hash = account.map(|account| &account.hash).or_else(|| self.decoy(user));
        let is_right = hash.is_some_and(|hash| hash.verifies(password));
        match account {
            Some(account) if is_right => Ok(account.identity.clone()),
            _ => Err(Refused::Credentials),
        }
    }
}

#[cfg(test)]
mod tests {
    use argon2::Params;

    use super::*;

    fn filters(texts: &[&str]) -> Vec<Filter> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    fn topic(text: &str) -> TopicName {
        text.parse().unwrap()
    }

    fn subscriber(allow: &[&str], deny: &[&str]) -> Rights {
        let grants = |texts| Grants { subscribe: filters(texts), ..Grants::default() };
        Rights::new(grants(allow), grants(deny))
    }

    #[test]
    fn nothing_is_allowed_that_nobody_allowed() {
        let none = Rights::default();
        for action in [Action::Publish, Action::Subscribe, Action::Create] {
            assert!(!none.may(action, &topic("a")));
            assert!(Rights::all().may(action, &topic("a/b/c")));
        }
        assert!(!none.may_subscribe(&"a".parse().unwrap()) && Rights::all().may_subscribe(&"#".parse().unwrap()));
        assert!(!none.may_operate(&topic("a")) && Rights::all().may_operate(&topic("a")));
    }

    /// One right says nothing about another.
    #[test]
    fn each_action_has_its_own_filters() {
        let grants =
            Grants { publish: filters(&["p"]), subscribe: filters(&["s"]), create: filters(&["c"]), operate: filters(&["o"]) };
        let allowed = Rights::new(grants.clone(), Grants::default());
        let denied = Rights::new(Rights::all().allow, grants);
        for name in ["p", "s", "c", "o"] {
            let granted = |rights: &Rights| {
                [
                    rights.may(Action::Publish, &topic(name)),
                    rights.may(Action::Subscribe, &topic(name)),
                    rights.may(Action::Create, &topic(name)),
                    rights.may_operate(&topic(name)),
                ]
            };
            let expected = ["p", "s", "c", "o"].map(|other| other == name);
            assert_eq!(granted(&allowed), expected, "{name}");
            assert_eq!(granted(&denied), expected.map(|yes| !yes), "{name}");
        }
    }

    #[test]
    fn a_deny_wins() {
        let rights = subscriber(&["a/#", "a/secret/key"], &["a/secret/#"]);
        assert!(rights.may_receive(&topic("a/b")));
        assert!(!rights.may_receive(&topic("a/secret")));
        assert!(!rights.may_receive(&topic("a/secret/key")));
        assert!(!rights.may_subscribe(&"a/secret/key".parse().unwrap()));
    }

    /// I2: what a wide subscription may not see is kept out topic by topic; what it may see in no part is refused at once.
    #[test]
    fn a_subscription_needs_one_allow_for_all_of_it_and_bears_a_partial_deny() {
        let rights = subscriber(&["a/#", "b/+", "c/x", "c/y"], &["a/secret/#", "b/#"]);
        for (filter, allowed) in [
            ("a/#", true),
            ("a/+/key", true),
            ("a/secret/+", false),
            ("a/secret", false),
            ("#", false),
            ("+/x", false),
            ("b/+", false),
            ("c/x", true),
            ("c/+", false),
        ] {
            assert_eq!(rights.may_subscribe(&filter.parse().unwrap()), allowed, "{filter}");
        }
        assert!(rights.may_receive(&topic("a/x/key")) && !rights.may_receive(&topic("a/secret/key")));
    }

    fn user(name: &str, password: &str, passes: u32) -> User {
        User {
            name: name.parse().unwrap(),
            password_hash: PasswordHash::make_at_cost(password, [3; 16], Params::new(8, passes, 1, None).unwrap()),
            allow: Grants { publish: filters(&["a"]), ..Grants::default() },
            deny: Grants::default(),
        }
    }

    fn credentials(user: Option<&str>, password: Option<&str>, peer: &str) -> Credentials {
        Credentials { user: user.map(str::to_owned), password: password.map(str::to_owned), peer: peer.parse().unwrap() }
    }

    #[test]
    fn a_user_is_known_by_name_and_password() {
        let config = Config { users: vec![user("alice", "secret", 1), user("bob", "other", 2)], ..Config::default() };
        let table = from_config(&config);
        assert!(table.may_block());
        let ask = |user, password| table.authenticate(&credentials(user, password, "10.0.0.1:1"));
        let alice = ask(Some("alice"), Some("secret")).unwrap();
        assert_eq!(alice.principal.as_str(), "alice");
        assert!(alice.rights.may(Action::Publish, &topic("a")) && !alice.rights.may(Action::Publish, &topic("b")));
        assert!(ask(Some("bob"), Some("other")).is_ok());
        for (user, password) in [
            (Some("alice"), Some("other")),
            (Some("alice"), Some("")),
            (Some("Alice"), Some("secret")),
            (Some("nobody"), Some("secret")),
            (Some("nobody"), Some("other")),
            (Some("\0"), Some("secret")),
            (Some("alice"), None),
            (None, Some("secret")),
            (None, None),
        ] {
            assert_eq!(ask(user, password).unwrap_err(), Refused::Credentials, "{user:?} {password:?}");
        }
    }

    /// An unknown name costs what a known one costs, and always the same: a name that did not could be told apart.
    #[test]
    fn an_unknown_user_is_verified_against_a_users_hash() {
        let users = [user("alice", "secret", 1), user("bob", "other", 2)];
        let table = UserTable::new(&users);
        let mut picked = std::collections::HashSet::new();
        for n in 0..200 {
            let name = format!("nobody{n}");
            let at = users.iter().position(|user| Some(&user.password_hash) == table.decoy(&name));
            assert!(at.is_some());
            assert_eq!(table.decoy(&name), table.decoy(&name));
            picked.insert(at);
        }
        assert_eq!(picked.len(), 2);
        assert_eq!(UserTable::new(&[]).decoy("x"), None);
    }

    #[test]
    fn without_users_this_machine_may_do_everything_and_no_other_anything() {
        let local = from_config(&Config::default());
        assert!(!local.may_block());
        for peer in ["127.0.0.1:1", "[::1]:1", "[::ffff:127.0.0.1]:1"] {
            let identity = local.authenticate(&credentials(Some("anyone"), None, peer)).unwrap();
            assert!(identity.principal.is_local());
            assert_eq!(*identity.rights, Rights::all());
        }
        for peer in ["10.0.0.1:1", "[::ffff:10.0.0.1]:1", "[fe80::1]:1", "0.0.0.0:1"] {
            assert_eq!(local.authenticate(&credentials(None, None, peer)).unwrap_err(), Refused::NotLoopback, "{peer}");
        }
    }

    #[test]
    fn a_password_is_never_shown() {
        let shown = format!("{:?}", credentials(Some("alice"), Some("hunter2"), "10.0.0.1:1"));
        assert!(shown.contains("alice") && shown.contains("(hidden)") && !shown.contains("hunter2"), "{shown}");
        assert!(!format!("{:?}", UserTable::new(&[user("alice", "hunter2", 1)])).contains("argon2"));
    }
}
