//! Which subscriptions a topic reaches: one trie of filters, so that a publish pays for what matches and for nothing else.
//!
//! A filter is levels: a name matches itself, `+` any one level, `#` all that follow and, as in MQTT, nothing at all: `a/#`
//! matches `a`, `a/b` and `a/b/c`. Names that start with `$` are reserved and no [`TopicName`], so no wildcard matches one.
//!
//! [`matches()`], [`covers`] and [`overlap`] say the same of one filter and of two; rights are judged with them.
//!
//! ```
//! use cordboard::{
//!     filters::{covers, matches, overlap},
//!     name::Filter,
//! };
//!
//! let filter = |text: &str| text.parse::<Filter>();
//! assert!(matches(&filter("orders/+/new")?, &"orders/eu/new".parse()?));
//! assert!(matches(&filter("orders/#")?, &"orders".parse()?));
//! assert!(covers(&filter("orders/#")?, &filter("orders/+/new")?));
//! assert!(overlap(&filter("+/eu/new")?, &filter("orders/#")?));
//! # Ok::<_, cordboard::name::NameError>(())
//! ```

use std::collections::BTreeMap;

use crate::name::{Filter, SessionId, TopicName};

/// True if `filter` matches `topic`.
pub fn matches(filter: &Filter, topic: &TopicName) -> bool {
    let mut levels = topic.as_str().split('/');
    for wanted in filter.as_str().split('/') {
        match (wanted, levels.next()) {
            ("#", _) => return true,
            ("+", Some(_)) => {}
            (name, Some(level)) if name == level => {}
            _ => return false,
        }
    }
    levels.next().is_none()
}

/// True if every topic that `narrow` matches, `wide` matches too.
pub fn covers(wide: &Filter, narrow: &Filter) -> bool {
    // A topic has at least one level, so these two match the same; the longer one says so.
    let narrow = if narrow.as_str() == "#" { "+/#" } else { narrow.as_str() };
    let mut levels = narrow.split('/');
    for wanted in wide.as_str().split('/') {
        match (wanted, levels.next()) {
            ("#", _) => return true,
            ("+", Some(level)) if level != "#" => {}
            (name, Some(level)) if name == level => {}
            _ => return false,
        }
    }
    levels.next().is_none()
}

/// True if some topic is matched by both.
pub fn overlap(one: &Filter, other: &Filter) -> bool {
    let (mut ones, mut others) = (one.as_str().split('/'), other.as_str().split('/'));
    loop {
        match (ones.next(), others.next()) {
            (Some("#"), _) | (_, Some("#")) | (None, None) => return true,
            (None, _) | (_, None) => return false,
            (Some("+"), _) | (_, Some("+")) => {}
            (Some(level), Some(name)) if level == name => {}
            (Some(_), Some(_)) => return false,
        }
    }
}

/// Subscriptions by their filters: at most one `T` for each filter and session. Holds no memory for what was removed (I5).
#[derive(Debug, Clone)]
pub struct Filters<T> {
    root: Node<T>,
    len: usize,
}

/// What is subscribed at one point below the root, and beyond. Ordered maps, because they shrink, need no hash that a
/// client could aim at, and give every run of a test the same order.
#[derive(Debug, Clone)]
struct Node<T> {
    /// Filters that end here.
    here: BTreeMap<SessionId, T>,
    /// Filters that end here with `#`.
    rest: BTreeMap<SessionId, T>,
    /// Filters whose next level is a name.
    named: BTreeMap<Box<str>, Node<T>>,
    /// Filters whose next level is `+`.
    any: Option<Box<Node<T>>>,
}

impl<T> Default for Node<T> {
    fn default() -> Self {
        Self { here: BTreeMap::new(), rest: BTreeMap::new(), named: BTreeMap::new(), any: None }
    }
}

impl<T> Default for Filters<T> {
    fn default() -> Self {
        Self { root: Node::default(), len: 0 }
    }
}

impl<T> Filters<T> {
    /// No subscriptions.
    pub fn new() -> Self {
        Self::default()
    }

    /// How many subscriptions there are.
    pub fn len(&self) -> usize {
        self.len
    }

    /// True if there is none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Adds `value` as `session`'s subscription to `filter`; returns the one it replaces.
    pub fn insert(&mut self, filter: &Filter, session: SessionId, value: T) -> Option<T> {
        let (path, ends_in_rest) = path(filter);
        let node = path.fold(&mut self.root, |node, level| match level {
            "+" => node.any.get_or_insert_default(),
            name => node.named.entry(name.into()).or_default(),
        });
        let old = node.ends(ends_in_rest).insert(session, value);
        self.len += usize::from(old.is_none());
        old
    }

    /// Takes `session`'s subscription to `filter` away.
    pub fn remove(&mut self, filter: &Filter, session: SessionId) -> Option<T> {
        let (mut path, ends_in_rest) = path(filter);
        let old = self.root.remove(&mut path, ends_in_rest, session)?;
        self.len -= 1;
        Some(old)
    }

    /// `session`'s subscription to `filter`.
    pub fn get(&self, filter: &Filter, session: SessionId) -> Option<&T> {
        let (mut path, ends_in_rest) = path(filter);
        let node = path.try_fold(&self.root, |node, level| match level {
            "+" => node.any.as_deref(),
            name => node.named.get(name),
        })?;
        if ends_in_rest { &node.rest } else { &node.here }.get(&session)
    }

    /// The subscriptions to exactly `topic`, without a wildcard.
    pub fn exact(&self, topic: &TopicName) -> impl Iterator<Item = &T> {
        let node = topic.as_str().split('/').try_fold(&self.root, |node, level| node.named.get(level));
        node.into_iter().flat_map(|node| node.here.values())
    }

    /// Calls `each` for every subscription that matches `topic`; a session is named once for each of its filters that does.
    ///
    /// Only filters that agree with the topic up to some level are looked at. Wildcards let a topic agree in several ways:
    /// at most 2 to the number of its levels, and never more than there are filters' beginnings.
    pub fn for_each_match<'a>(&'a self, topic: &TopicName, mut each: impl FnMut(SessionId, &'a T)) {
        self.root.reach(topic.as_str().split('/'), &mut |node, is_end| {
            let here = is_end.then_some(&node.here).into_iter();
            for (session, value) in here.chain([&node.rest]).flatten() {
                each(*session, value);
            }
        });
    }

    /// Every subscription, in no order that means anything.
    pub fn into_values(self) -> Vec<T> {
        let (mut nodes, mut values) = (vec![self.root], Vec::with_capacity(self.len));
        while let Some(node) = nodes.pop() {
            values.extend(node.here.into_values().chain(node.rest.into_values()));
            nodes.extend(node.named.into_values().chain(node.any.map(|any| *any)));
        }
        values
    }

    /// Every subscription, in no order that means anything.
    pub fn values(&self) -> impl Iterator<Item = &T> {
        let mut nodes = vec![&self.root];
        std::iter::from_fn(move || {
            let node = nodes.pop()?;
            nodes.extend(node.named.values().chain(node.any.as_deref()));
            Some(node.here.values().chain(node.rest.values()))
        })
        .flatten()
    }

    /// Every subscription that matches `topic`.
    pub fn matches(&self, topic: &TopicName) -> Vec<T>
    where
        T: Clone,
    {
        let mut found = Vec::new();
        self.for_each_match(topic, |_, value| found.push(value.clone()));
        found
    }
}

/// The levels that lead to a filter's node, and whether the filter is the rest from there on.
fn path(filter: &Filter) -> (impl Iterator<Item = &str>, bool) {
    let ends_in_rest = filter.as_str().ends_with('#');
    (filter.as_str().split('/').filter(|level| *level != "#"), ends_in_rest)
}

impl<T> Node<T> {
    fn ends(&mut self, in_rest: bool) -> &mut BTreeMap<SessionId, T> {
        if in_rest { &mut self.rest } else { &mut self.here }
    }

    fn is_empty(&self) -> bool {
        self.here.is_empty() && self.rest.is_empty() && self.named.is_empty() && self.any.is_none()
    }

    /// Removes on the way down, prunes on the way up. As deep as a filter has levels.
    fn remove<'a>(&mut self, path: &mut impl Iterator<Item = &'a str>, in_rest: bool, session: SessionId) -> Option<T> {
        match path.next() {
            None => self.ends(in_rest).remove(&session),
            Some("+") => {
                let below = self.any.as_deref_mut()?;
                let old = below.remove(path, in_rest, session);
                self.any.take_if(|below| below.is_empty());
                old
            }
            Some(name) => {
                let below = self.named.get_mut(name)?;
                let old = below.remove(path, in_rest, session);
                if below.is_empty() {
                    self.named.remove(name);
                }
                old
            }
        }
    }

    /// Calls `each` for every node whose path matches the beginning of `levels`, and says whether that was all of them. As
    /// deep as a topic has levels.
    fn reach<'a>(&'a self, mut levels: std::str::Split<'_, char>, each: &mut impl FnMut(&'a Self, bool)) {
        let Some(level) = levels.next() else { return each(self, true) };
        each(self, false);
        if let Some(below) = self.named.get(level) {
            below.reach(levels.clone(), each);
        }
        if let Some(below) = &self.any {
            below.reach(levels, each);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use proptest::{collection::vec, prelude::*, sample::select};

    use super::*;
    use crate::name::{MAX_TOPIC_LEVELS, NameError};

    fn filter(text: &str) -> Filter {
        text.parse().unwrap()
    }

    fn topic(text: &str) -> TopicName {
        text.parse().unwrap()
    }

    fn session(number: u8) -> SessionId {
        SessionId::from_bytes([number; 16])
    }

    #[test]
    fn a_filter_matches_level_by_level() {
        for (wanted, yes, no) in [
            ("a/b", &["a/b"][..], &["a", "a/b/c", "a/c", "a/bb"][..]),
            ("a/+", &["a/b", "a/c"], &["a", "a/b/c", "b/b"]),
            ("+", &["a"], &["a/b"]),
            ("+/+", &["a/b"], &["a", "a/b/c"]),
            ("a/#", &["a", "a/b", "a/b/c"], &["b", "aa", "b/a"]),
            ("+/b/#", &["a/b", "a/b/c/d"], &["a", "a/c"]),
            ("#", &["a", "a/b/c"], &[]),
        ] {
            assert!(yes.iter().all(|name| matches(&filter(wanted), &topic(name))), "{wanted}");
            assert!(!no.iter().any(|name| matches(&filter(wanted), &topic(name))), "{wanted}");
        }
    }

    /// What keeps wildcards away from the broker's own names is that these are no topics.
    #[test]
    fn a_reserved_name_is_no_topic() {
        assert_eq!("$sys/x".parse::<TopicName>(), Err(NameError::Reserved));
    }

    /// All names of one to `depth` levels.
    fn names(levels: &[&str], depth: usize) -> Vec<String> {
        let mut all: Vec<String> = levels.iter().map(|&level| level.to_owned()).collect();
        let mut from = 0;
        for _ in 1..depth {
            let longer: Vec<String> =
                all[from..].iter().flat_map(|name| levels.iter().map(move |level| format!("{name}/{level}"))).collect();
            from = all.len();
            all.extend(longer);
        }
        all
    }

    /// Complete for its universe: a name that no filter says and a level more than any filter has stand for all others.
    #[test]
    fn filters_cover_and_overlap_each_other_exactly_as_the_topics_say() {
        let filters: Vec<Filter> = names(&["a", "b", "+", "#"], 3).iter().filter_map(|text| text.parse().ok()).collect();
        let topics: Vec<TopicName> = names(&["a", "b", "other"], 4).iter().map(|text| topic(text)).collect();
        assert_eq!((filters.len(), topics.len()), (52, 120));
        for wide in &filters {
            for narrow in &filters {
                let witness = topics.iter().find(|topic| matches(narrow, topic) && !matches(wide, topic));
                assert_eq!(covers(wide, narrow), witness.is_none(), "{wide} covers {narrow}? {witness:?}");
                let common = topics.iter().find(|topic| matches(narrow, topic) && matches(wide, topic));
                assert_eq!(overlap(wide, narrow), common.is_some(), "{wide} overlaps {narrow}? {common:?}");
            }
        }
    }

    fn any_filter() -> impl Strategy<Value = Filter> {
        (vec(select(vec!["a", "b", "c", "+"]), 0..5), any::<bool>()).prop_filter_map("no levels", |(mut levels, rest)| {
            levels.extend(rest.then_some("#"));
            levels.join("/").parse().ok()
        })
    }

    fn any_topic() -> impl Strategy<Value = TopicName> {
        vec(select(vec!["a", "b", "c", "d"]), 1..6).prop_map(|levels| topic(&levels.join("/")))
    }

    #[derive(Debug, Clone)]
    enum Step {
        Insert(Filter, u8, u32),
        Remove(Filter, u8),
    }

    fn any_step() -> impl Strategy<Value = Step> {
        prop_oneof![
            3 => (any_filter(), 0..4_u8, any::<u32>()).prop_map(|(filter, who, value)| Step::Insert(filter, who, value)),
            2 => (any_filter(), 0..4_u8).prop_map(|(filter, who)| Step::Remove(filter, who)),
        ]
    }

    proptest! {
        /// The trie against a list that is searched from end to end.
        #[test]
        fn the_trie_says_what_the_naive_matcher_says(steps in vec(any_step(), 0..60), topics in vec(any_topic(), 1..8)) {
            let mut trie = Filters::new();
            let mut list = BTreeMap::new();
            for step in steps {
                match step {
                    Step::Insert(filter, who, value) => {
                        prop_assert_eq!(trie.insert(&filter, session(who), value), list.insert((filter, session(who)), value));
                    }
                    Step::Remove(filter, who) => {
                        prop_assert_eq!(trie.remove(&filter, session(who)), list.remove(&(filter, session(who))));
                    }
                }
                prop_assert_eq!(trie.len(), list.len());
            }
            for topic in topics {
                let mut found = Vec::new();
                trie.for_each_match(&topic, |who, value| found.push((who, *value)));
                let mut expected: Vec<_> =
                    list.iter().filter(|((filter, _), _)| matches(filter, &topic)).map(|((_, who), value)| (*who, *value)).collect();
                found.sort_unstable();
                expected.sort_unstable();
                prop_assert_eq!(found, expected);
                let exact: Vec<u32> = trie.exact(&topic).copied().collect();
                let same = |filter: &Filter| filter.as_str() == topic.as_str();
                let expected: Vec<u32> = list.iter().filter(|((filter, _), _)| same(filter)).map(|(_, value)| *value).collect();
                prop_assert_eq!(exact, expected);
            }
            for ((filter, who), value) in &list {
                prop_assert_eq!(trie.get(filter, *who), Some(value));
                prop_assert_eq!(trie.remove(filter, *who), Some(*value));
            }
            prop_assert!(trie.is_empty() && trie.root.is_empty());
        }

        #[test]
        fn whoever_covers_a_filter_matches_what_it_matches(wide in any_filter(), narrow in any_filter(), topic in any_topic()) {
            prop_assert!(covers(&wide, &wide));
            prop_assert!(!covers(&wide, &narrow) || !matches(&narrow, &topic) || matches(&wide, &topic));
            prop_assert_eq!(covers(&wide, &topic.clone().into()), matches(&wide, &topic));
        }
    }

    /// I5: an emptied trie is as small as a new one, whatever was in it, and removing what is not there adds nothing.
    #[test]
    fn what_was_removed_leaves_nothing_behind() {
        let mut trie = Filters::new();
        let value = Arc::new(());
        let filters: Vec<Filter> = (0..500).map(|n| filter(&format!("a/{n}/+/{}/#", n % 7))).collect();
        for filter in &filters {
            trie.insert(filter, session(1), value.clone());
            trie.insert(filter, session(2), value.clone());
        }
        assert!(trie.remove(&filter("a/1/x"), session(1)).is_none());
        assert!(trie.remove(&filter("a/+/+"), session(1)).is_none());
        assert!(trie.remove(&filters[0], session(3)).is_none());
        for filter in &filters {
            trie.remove(filter, session(1)).unwrap();
            trie.remove(filter, session(2)).unwrap();
        }
        assert_eq!((trie.len(), Arc::strong_count(&value)), (0, 1));
        assert!(trie.root.is_empty());
    }

    fn nodes_reached(trie: &Filters<()>, name: &str) -> usize {
        let mut reached = 0;
        trie.root.reach(topic(name).as_str().split('/'), &mut |_, _| reached += 1);
        reached
    }

    #[test]
    fn filters_that_do_not_match_cost_nothing() {
        let mut trie = Filters::new();
        for wanted in ["#", "a/+", "a/b"] {
            trie.insert(&filter(wanted), session(1), ());
        }
        let alone = nodes_reached(&trie, "a/b");
        for n in 0..10_000 {
            trie.insert(&filter(&format!("x{n}/+/#")), session(1), ());
            trie.insert(&filter(&format!("a/x{n}/#")), session(1), ());
        }
        assert_eq!(nodes_reached(&trie, "a/b"), alone);
    }

    /// The most a topic can cost, by filters that all match it: bounded by its levels alone.
    #[test]
    fn every_mix_of_wildcards_at_full_depth_is_matched_once() {
        let depth = 10;
        let mut trie = Filters::new();
        for mix in 0..1_u32 << depth {
            let levels: Vec<&str> = (0..depth).map(|level| if mix >> level & 1 == 1 { "+" } else { "a" }).collect();
            trie.insert(&filter(&levels.join("/")), session(1), ());
        }
        let name = vec!["a"; depth].join("/");
        assert_eq!(trie.matches(&topic(&name)).len(), 1 << depth);
        assert_eq!(nodes_reached(&trie, &name), (2 << depth) - 1);
        let deepest = vec!["a"; MAX_TOPIC_LEVELS].join("/");
        assert_eq!(trie.matches(&topic(&deepest)).len(), 0);
    }
}
