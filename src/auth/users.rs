//! The users of the configuration: who knows which password, and what each may do.

use std::{
    collections::HashMap,
    hash::{BuildHasher as _, RandomState},
    sync::Arc,
};

use super::{Authenticator, Credentials, Refused, Rights};
use crate::{
    config::{PasswordHash, User},
    name::Principal,
};

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
    rights: Arc<Rights>,
}

impl UserTable {
    /// A table of `users`.
    pub fn new(users: &[User]) -> Self {
        let account = |user: &User| {
            // A checked configuration has no such user; of an unchecked one it is safe to give nothing.
            let rights = Arc::new(Rights::for_user(&user.name, &user.allow, &user.deny).unwrap_or_default());
            (user.name.clone(), Account { hash: user.password_hash.clone(), rights })
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
    fn authenticate(&self, credentials: &Credentials) -> Result<Principal, Refused> {
        let (Some(user), Some(password)) = (&credentials.user, &credentials.password) else {
            return Err(Refused::Credentials);
        };
        let account = self.users.get_key_value(user.as_str());
        let hash = account.map(|(_, account)| &account.hash).or_else(|| self.decoy(user));
        let is_right = hash.is_some_and(|hash| hash.verifies(password));
        match account {
            Some((principal, _)) if is_right => Ok(principal.clone()),
            _ => Err(Refused::Credentials),
        }
    }

    fn rights_of(&self, principal: &Principal) -> Option<Arc<Rights>> {
        self.users.get(principal).map(|account| Arc::clone(&account.rights))
    }
}

#[cfg(test)]
mod tests {
    use argon2::Params;

    use super::*;
    use crate::{auth::of_users, config::Grants, events::Action, name::TopicName};

    fn topic(text: &str) -> TopicName {
        text.parse().unwrap()
    }

    fn user(name: &str, password: &str, passes: u32) -> User {
        user_with(name, password, passes, "a/%u")
    }

    fn user_with(name: &str, password: &str, passes: u32, publish: &str) -> User {
        User {
            name: name.parse().unwrap(),
            password_hash: PasswordHash::make_at_cost(password, [3; 16], Params::new(8, passes, 1, None).unwrap()),
            allow: Grants { publish: vec![publish.parse().unwrap()], ..Grants::default() },
            deny: Grants::default(),
        }
    }

    fn credentials(user: Option<&str>, password: Option<&str>, peer: &str) -> Credentials {
        Credentials { user: user.map(str::to_owned), password: password.map(str::to_owned), peer: peer.parse().unwrap() }
    }

    #[test]
    fn a_user_is_known_by_name_and_password() {
        let table = of_users(&[user("alice", "secret", 1), user("bob", "other", 2)]);
        assert!(table.may_block());
        let ask = |user, password| table.authenticate(&credentials(user, password, "10.0.0.1:1"));
        let alice = ask(Some("alice"), Some("secret")).unwrap();
        assert_eq!(alice.as_str(), "alice");
        let rights = table.rights_of(&alice).unwrap();
        assert!(rights.may(Action::Publish, &topic("a/alice")) && !rights.may(Action::Publish, &topic("a/bob")));
        assert_eq!(table.rights_of(&"nobody".parse().unwrap()), None);
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

    /// A name that would be a pattern gets nothing, not even what is safe: a configuration that was checked has none.
    #[test]
    fn a_user_whose_name_breaks_out_has_no_rights() {
        let table = UserTable::new(&[user("#", "secret", 1), user_with("a/b", "secret", 1, "a/all")]);
        assert_eq!(*table.rights_of(&"#".parse().unwrap()).unwrap(), Rights::default());
        assert!(table.rights_of(&"a/b".parse().unwrap()).unwrap().may(Action::Publish, &topic("a/all")));
    }

    #[test]
    fn a_hash_is_never_shown() {
        assert!(!format!("{:?}", UserTable::new(&[user("alice", "hunter2", 1)])).contains("argon2"));
    }
}
