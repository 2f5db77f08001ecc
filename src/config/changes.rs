//! What one configuration says otherwise than another: what takes effect at once, and what waits for a restart.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Config, User};
use crate::name::{Principal, Printable};

/// The differences between two configurations. It names users and keys, and never a value.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Changes {
    /// Users that were not there.
    pub added: Names,
    /// Users that are no longer there.
    pub removed: Names,
    /// Users who may do something else than before.
    pub rights: Names,
    /// Users whose password is another one.
    pub passwords: Names,
    /// Keys that are read only when the broker starts.
    pub restart: Vec<String>,
}

impl Changes {
    /// What `new` says otherwise than `old`.
    pub fn between(old: &Config, new: &Config) -> Self {
        let by_name = |config| -> BTreeMap<Principal, User> {
            let Config { users, .. } = config;
            users.into_iter().map(|user: User| (user.name.clone(), user)).collect()
        };
        let restart = other_keys(old, new);
        let (old, new) = (by_name(old.clone()), by_name(new.clone()));
        let stayed = || new.values().filter_map(|user| Some((old.get(&user.name)?, user)));
        let names = |differ: fn(&User, &User) -> bool| {
            stayed().filter(move |(before, now)| differ(before, now)).map(|(_, now)| now.name.clone()).collect()
        };
        Self {
            added: new.keys().filter(|name| !old.contains_key(*name)).cloned().collect(),
            removed: old.keys().filter(|name| !new.contains_key(*name)).cloned().collect(),
            rights: names(|before, now| (&before.allow, &before.deny) != (&now.allow, &now.deny)),
            passwords: names(|before, now| before.password_hash != now.password_hash),
            restart,
        }
    }

    /// True if users, their passwords or their rights differ: what takes effect without a restart.
    pub fn is_of_users(&self) -> bool {
        [&self.added, &self.removed, &self.rights, &self.passwords].into_iter().any(|names| names.count > 0)
    }

    /// What of it takes effect at once, in words, a kind of change each.
    pub fn of_users(&self) -> Vec<String> {
        let users = |names: &Names| if names.count == 1 { format!("user {names}") } else { format!("users {names}") };
        let mut words = Vec::new();
        for (names, verb) in [(&self.added, "added"), (&self.removed, "removed")] {
            if names.count > 0 {
                words.push(format!("{} {verb}", users(names)));
            }
        }
        for (names, what) in [(&self.rights, "other rights"), (&self.passwords, "another password")] {
            if names.count > 0 {
                words.push(format!("{what} for {names}"));
            }
        }
        words
    }

    /// What of it waits for a restart, in words.
    pub fn of_restart(&self) -> Option<String> {
        (!self.restart.is_empty()).then(|| format!("{} only after a restart", self.restart.join(", ")))
    }
}

/// All of it in one line, or `nothing`.
impl fmt::Display for Changes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words: Vec<String> = self.of_users().into_iter().chain(self.of_restart()).collect();
        f.write_str(if words.is_empty() { "nothing" } else { "" })?;
        f.write_str(&words.join("; "))
    }
}

/// Names of users: all are counted, the first ones are said, so that no event is large.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Names {
    /// How many.
    pub count: u64,
    /// The first of them, at most [`Names::MOST`].
    pub first: Vec<Principal>,
}

impl Names {
    /// The most that are said.
    pub const MOST: usize = 20;
}

impl FromIterator<Principal> for Names {
    fn from_iter<I: IntoIterator<Item = Principal>>(all: I) -> Self {
        let mut names = Self::default();
        for name in all {
            names.count += 1;
            if names.first.len() < Self::MOST {
                names.first.push(name);
            }
        }
        names
    }
}

impl fmt::Display for Names {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let first: Vec<String> = self.first.iter().map(|name| Printable(name.as_str()).to_string()).collect();
        f.write_str(&first.join(", "))?;
        match self.count - first.len() as u64 {
            0 => Ok(()),
            more => write!(f, " and {more} more"),
        }
    }
}

/// The keys outside `users` whose values differ, as `section.key`.
fn other_keys(old: &Config, new: &Config) -> Vec<String> {
    let of = |config: &Config| {
        let config = Config { users: Vec::new(), ..config.clone() };
        let mut keys = BTreeMap::new();
        let value = serde_json::to_value(config).expect("a configuration is plain data");
        collect("", &value, &mut keys);
        keys
    };
    let (old, new) = (of(old), of(new));
    let keys: BTreeSet<_> = old.keys().chain(new.keys()).collect();
    keys.into_iter().filter(|key| old.get(*key) != new.get(*key)).cloned().collect()
}

fn collect(path: &str, value: &Value, keys: &mut BTreeMap<String, Value>) {
    let Value::Object(fields) = value else {
        keys.insert(path.to_owned(), value.clone());
        return;
    };
    for (key, value) in fields {
        let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
        collect(&path, value, keys);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Audit, Grants, PasswordHash};

    fn user(name: &str) -> User {
        let hash = "$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHRzYWx0$aGFzaGhhc2hoYXNoaGFzaGhhc2hoYXNo";
        User {
            name: name.parse().unwrap(),
            password_hash: PasswordHash::parse(hash).unwrap(),
            allow: Grants::default(),
            deny: Grants::default(),
        }
    }

    fn of_users(users: Vec<User>) -> Config {
        Config { users, ..Config::default() }
    }

    #[test]
    fn users_are_told_apart_by_what_changed_about_them() {
        let mut cat = user("cat");
        cat.deny.publish = vec!["x".parse().unwrap()];
        let mut dan = user("dan");
        dan.password_hash = PasswordHash::make("other", [1; 16]);
        let old = of_users(vec![user("ana"), user("cat"), user("dan"), user("gone")]);
        let new = of_users(vec![dan, cat, user("new"), user("ana")]);
        let changes = Changes::between(&old, &new);
        assert!(changes.is_of_users());
        let words = "user new added; user gone removed; other rights for cat; another password for dan";
        assert_eq!(changes.to_string(), words);
        assert_eq!(Changes::between(&old, &old), Changes::default());
        assert!(!Changes::default().is_of_users() && Changes::default().to_string() == "nothing");
    }

    /// Whatever is no user is read when the broker starts, and said by its key: also keys that one of the two leaves out.
    #[test]
    fn other_keys_are_named_and_wait_for_a_restart() {
        let mut new = Config { audit: Audit { file: Some("x".into()) }, ..Config::default() };
        new.connections.max = 7;
        new.listen = vec!["127.0.0.1:1".parse().unwrap()];
        for (old, new) in [(&Config::default(), &new), (&new, &Config::default())] {
            let changes = Changes::between(old, new);
            assert!(!changes.is_of_users());
            assert_eq!(changes.to_string(), "audit.file, connections.max, listen only after a restart");
        }
    }

    #[test]
    fn many_names_are_counted() {
        let users: Vec<User> = (10..40).map(|n| user(&format!("u{n}"))).collect();
        let changes = Changes::between(&Config::default(), &of_users(users));
        assert_eq!((changes.added.count, changes.added.first.len()), (30, Names::MOST));
        let words = changes.of_users();
        assert!(words[0].starts_with("users u10, u11, ") && words[0].ends_with(", u29 and 10 more added"), "{words:?}");
    }
}
