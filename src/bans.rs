//! What an operator has forbidden: topics that may not be, principals that may not register. It outlives the managers, which
//! read it at their doors, so that a restart of theirs allows nothing. Pure, bounded in number, kept in memory.

use std::{
    collections::HashMap,
    hash::Hash,
    sync::{Mutex, MutexGuard, PoisonError},
};

use crate::{
    control::Outcome,
    name::{Principal, TopicName},
};

/// What is forbidden, and why, in the operator's words.
#[derive(Debug)]
pub(crate) struct Bans {
    max: usize,
    lists: Mutex<Lists>,
}

#[derive(Debug, Default)]
struct Lists {
    topics: HashMap<TopicName, String>,
    principals: HashMap<Principal, String>,
}

impl Lists {
    fn len(&self) -> usize {
        self.topics.len() + self.principals.len()
    }
}

/// Why something could not be forbidden.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum NotForbidden {
    /// It is already.
    Already,
    /// As much as may be is.
    Full { max: usize },
}

impl From<NotForbidden> for Outcome {
    fn from(not: NotForbidden) -> Self {
        match not {
            NotForbidden::Already => Self::AlreadyGone,
            NotForbidden::Full { max } => Self::refused(format!(
                "{max} topics and principals are forbidden (orders.max_forbidden); allow one, or take its rights"
            )),
        }
    }
}

impl Bans {
    /// Nothing is forbidden, and at most `max` things ever are at once.
    pub(crate) fn new(max: usize) -> Self {
        Self { max, lists: Mutex::default() }
    }

    fn lock(&self) -> MutexGuard<'_, Lists> {
        // Two maps, each changed in one call: true whatever panicked.
        self.lists.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn forbid_topic(&self, topic: &TopicName, why: &str) -> Result<(), NotForbidden> {
        let mut lists = self.lock();
        let full = lists.len() >= self.max;
        forbid(&mut lists.topics, topic, why, full.then_some(self.max))
    }

    pub(crate) fn forbid_principal(&self, principal: &Principal, why: &str) -> Result<(), NotForbidden> {
        let mut lists = self.lock();
        let full = lists.len() >= self.max;
        forbid(&mut lists.principals, principal, why, full.then_some(self.max))
    }

    /// True if it was forbidden.
    pub(crate) fn allow_topic(&self, topic: &TopicName) -> bool {
        self.lock().topics.remove(topic).is_some()
    }

    /// True if it was forbidden.
    pub(crate) fn allow_principal(&self, principal: &Principal) -> bool {
        self.lock().principals.remove(principal).is_some()
    }

    /// What to tell whoever wants the topic, if it is forbidden.
    pub(crate) fn topic(&self, topic: &TopicName) -> Option<String> {
        self.lock().topics.get(topic).map(|why| told("this topic is forbidden by an operator", why))
    }

    /// What to tell the principal, if it is forbidden.
    pub(crate) fn principal(&self, principal: &Principal) -> Option<String> {
        self.lock().principals.get(principal).map(|why| told("you are forbidden by an operator", why))
    }
}

fn forbid<K: Clone + Eq + Hash>(
    list: &mut HashMap<K, String>,
    what: &K,
    why: &str,
    full: Option<usize>,
) -> Result<(), NotForbidden> {
    if list.contains_key(what) {
        return Err(NotForbidden::Already);
    }
    if let Some(max) = full {
        return Err(NotForbidden::Full { max });
    }
    list.insert(what.clone(), why.to_owned());
    Ok(())
}

/// `fact`, and the operator's reason if one was given.
pub(crate) fn told(fact: &str, why: &str) -> String {
    if why.is_empty() { fact.to_owned() } else { format!("{fact}: {why}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_forbidden_stays_so_until_it_is_allowed() {
        let (bans, topic, ana) = (Bans::new(9), "t".parse().unwrap(), "ana".parse().unwrap());
        assert_eq!((bans.topic(&topic), bans.principal(&ana)), (None, None));
        assert_eq!(bans.forbid_topic(&topic, ""), Ok(()));
        assert_eq!(bans.forbid_topic(&topic, "again"), Err(NotForbidden::Already));
        assert_eq!(bans.topic(&topic).unwrap(), "this topic is forbidden by an operator");
        assert_eq!(bans.forbid_principal(&ana, "OPS-1"), Ok(()));
        assert_eq!(bans.principal(&ana).unwrap(), "you are forbidden by an operator: OPS-1");
        assert!(bans.allow_topic(&topic) && !bans.allow_topic(&topic) && bans.topic(&topic).is_none());
        assert!(bans.allow_principal(&ana) && !bans.allow_principal(&ana));
    }

    /// Whoever fills the list is told; nothing that is forbidden is forgotten for it (I5).
    #[test]
    fn the_lists_are_bounded_together() {
        let (bans, ana) = (Bans::new(1), "ana".parse().unwrap());
        assert_eq!(bans.forbid_topic(&"t".parse().unwrap(), ""), Ok(()));
        assert_eq!(bans.forbid_principal(&ana, ""), Err(NotForbidden::Full { max: 1 }));
        assert_eq!(bans.forbid_topic(&"t".parse().unwrap(), ""), Err(NotForbidden::Already));
        assert!(bans.allow_topic(&"t".parse().unwrap()));
        assert_eq!(bans.forbid_principal(&ana, ""), Ok(()));
    }
}
