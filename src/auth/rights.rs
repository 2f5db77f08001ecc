//! Rights: what a principal may do, as filters it is allowed and filters it is denied. A deny wins; what nobody allowed is denied.

use crate::{
    config::Grants,
    events::Action,
    filters::{covers, matches, overlap},
    name::{Filter, NameError, Principal, TopicName},
};

/// Stands for the principal's name in a filter of the configuration.
const NAME: &str = "%u";

/// What a principal may do. The default is nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rights {
    allow: Grants,
    deny: Grants,
}

/// A filter that says `%u` and makes no filter with this user's name in it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unfillable {
    /// The name would be more than (a part of) one level, and the user could reach what others have.
    #[error("has {filter}, and the name {name} holds /, + or #, which mean something in a filter; use another name, or no %u")]
    BreaksOut {
        /// The filter.
        filter: Filter,
        /// The user.
        name: Principal,
    },
    /// It breaks another rule of filters.
    #[error("has {filter}, which makes no filter with the name {name}: {why}")]
    NoFilter {
        /// The filter.
        filter: Filter,
        /// The user.
        name: Principal,
        /// The rule.
        why: NameError,
    },
}

/// A decision and what made it. Positions are those of the configuration's lists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Allowed by one filter; where others deny a part of it, that part is kept out.
    Allowed {
        /// Which filter of `allow`.
        by: usize,
        /// Which filters of `deny` keep a part of a subscription out.
        except: Vec<usize>,
    },
    /// Denied, whether or not it is allowed.
    Denied {
        /// Which filter of `deny`.
        by: usize,
    },
    /// Allowed by nothing.
    NotAllowed,
}

impl Verdict {
    /// True if it may be done.
    pub fn is_allowed(&self) -> bool {
        matches!(self, Self::Allowed { .. })
    }
}

impl Rights {
    /// What `allow` covers and `deny` does not.
    pub fn new(allow: Grants, deny: Grants) -> Self {
        Self { allow, deny }
    }

    /// The rights that a configuration gives to `name`, which takes the place of each `%u`.
    ///
    /// # Errors
    /// [`Unfillable`] if a filter would mean something else with this name in it.
    pub fn for_user(name: &Principal, allow: &Grants, deny: &Grants) -> Result<Self, Unfillable> {
        Ok(Self::new(fill_all(allow, name)?, fill_all(deny, name)?))
    }

    /// Everything: what [`Principal::local`] may do.
    pub fn all() -> Self {
        let everything = || vec![everything()];
        let allow = Grants { publish: everything(), subscribe: everything(), create: everything(), operate: everything() };
        Self { allow, deny: Grants::default() }
    }

    /// May `topic` be published to, received from, created, or given orders about?
    pub fn may(&self, action: Action, topic: &TopicName) -> bool {
        let (allow, deny) = (self.allow.of(action), self.deny.of(action));
        let matched_by = |filters: &[Filter]| filters.iter().any(|filter| matches(filter, topic));
        matched_by(allow) && !matched_by(deny)
    }

    /// May a message of `topic` be delivered? Judged for each topic that a subscription with wildcards matches.
    pub fn may_receive(&self, topic: &TopicName) -> bool {
        self.may(Action::Subscribe, topic)
    }

    /// May everything that `filter` matches be delivered? Then no topic of it need be judged by itself.
    pub fn may_receive_all(&self, filter: &Filter) -> bool {
        matches!(self.judge(Action::Subscribe, filter), Verdict::Allowed { except, .. } if except.is_empty())
    }

    /// May `filter` be subscribed to? If one allow filter covers all of it and no deny filter does. Where a deny covers a
    /// part of it, the subscription is good and [`Rights::may_receive`] keeps that part out.
    pub fn may_subscribe(&self, filter: &Filter) -> bool {
        self.judge(Action::Subscribe, filter).is_allowed()
    }

    /// May operator's orders be given about all that `filter` matches? An order cannot leave a part out, so a deny for any
    /// part denies it.
    pub fn may_operate(&self, filter: &Filter) -> bool {
        self.judge(Action::Operate, filter).is_allowed()
    }

    /// Decides about all that `filter` matches, and says by what.
    pub fn judge(&self, action: Action, filter: &Filter) -> Verdict {
        let (allow, deny) = (self.allow.of(action), self.deny.of(action));
        let denies = |wide: &Filter| if action == Action::Subscribe { covers(wide, filter) } else { overlap(wide, filter) };
        if let Some(by) = deny.iter().position(denies) {
            return Verdict::Denied { by };
        }
        let Some(by) = allow.iter().position(|wide| covers(wide, filter)) else { return Verdict::NotAllowed };
        let except = (0..).zip(deny).filter(|(_, part)| overlap(part, filter)).map(|(at, _)| at).collect();
        Verdict::Allowed { by, except }
    }
}

/// The filter that matches every topic.
pub(super) fn everything() -> Filter {
    "#".parse().expect("# is a filter")
}

fn fill_all(grants: &Grants, name: &Principal) -> Result<Grants, Unfillable> {
    let all = |filters: &[Filter]| filters.iter().map(|filter| fill(filter, name)).collect::<Result<Vec<_>, _>>();
    Ok(Grants {
        publish: all(&grants.publish)?,
        subscribe: all(&grants.subscribe)?,
        create: all(&grants.create)?,
        operate: all(&grants.operate)?,
    })
}

/// `filter` with `name` in the place of each `%u`. What it is then is decided here and once: a name is never more than a level.
fn fill(filter: &Filter, name: &Principal) -> Result<Filter, Unfillable> {
    if !filter.as_str().contains(NAME) {
        return Ok(filter.clone());
    }
    if name.as_str().contains(['/', '+', '#']) {
        return Err(Unfillable::BreaksOut { filter: filter.clone(), name: name.clone() });
    }
    let filled = filter.as_str().replace(NAME, name.as_str());
    filled.parse().map_err(|why| Unfillable::NoFilter { filter: filter.clone(), name: name.clone(), why })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

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

    const ACTIONS: [Action; 4] = [Action::Publish, Action::Subscribe, Action::Create, Action::Operate];

    #[test]
    fn nothing_is_allowed_that_nobody_allowed() {
        let none = Rights::default();
        for action in ACTIONS {
            assert!(!none.may(action, &topic("a")));
            assert_eq!(none.judge(action, &"a".parse().unwrap()), Verdict::NotAllowed);
            assert!(Rights::all().may(action, &topic("a/b/c")));
            assert!(Rights::all().judge(action, &everything()).is_allowed());
        }
    }

    /// One right says nothing about another.
    #[test]
    fn each_action_has_its_own_filters() {
        let grants =
            Grants { publish: filters(&["p"]), subscribe: filters(&["s"]), create: filters(&["c"]), operate: filters(&["o"]) };
        let allowed = Rights::new(grants.clone(), Grants::default());
        let denied = Rights::new(Rights::all().allow, grants);
        for name in ["p", "s", "c", "o"] {
            let granted = |rights: &Rights| ACTIONS.map(|action| rights.may(action, &topic(name)));
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
        for (filter, allowed, all) in [
            ("a/#", true, false),
            ("a/+/key", true, false),
            ("a/x/#", true, true),
            ("a/secret/+", false, false),
            ("a/secret", false, false),
            ("#", false, false),
            ("+/x", false, false),
            ("b/+", false, false),
            ("c/x", true, true),
            ("c/+", false, false),
        ] {
            let filter = filter.parse().unwrap();
            assert_eq!((rights.may_subscribe(&filter), rights.may_receive_all(&filter)), (allowed, all), "{filter}");
        }
        assert!(rights.may_receive(&topic("a/x/key")) && !rights.may_receive(&topic("a/secret/key")));
    }

    /// An order cannot leave a part out.
    #[test]
    fn an_order_bears_no_deny_in_any_part() {
        let grants = |texts| Grants { operate: filters(texts), ..Grants::default() };
        let rights = Rights::new(grants(&["a/#"]), grants(&["a/secret/#"]));
        for (filter, allowed) in
            [("a/b", true), ("a/b/#", true), ("a/#", false), ("a/+", false), ("a/secret", false), ("#", false)]
        {
            assert_eq!(rights.may_operate(&filter.parse().unwrap()), allowed, "{filter}");
        }
    }

    #[test]
    fn a_verdict_names_the_filters_that_made_it() {
        let rights = subscriber(&["x", "a/#", "a/b"], &["y", "a/secret/#", "a/+/key"]);
        let judge = |filter: &str| rights.judge(Action::Subscribe, &filter.parse().unwrap());
        assert_eq!(judge("a/b"), Verdict::Allowed { by: 1, except: vec![] });
        assert_eq!(judge("a/#"), Verdict::Allowed { by: 1, except: vec![1, 2] });
        assert_eq!(judge("a/secret/x"), Verdict::Denied { by: 1 });
        assert_eq!(judge("z"), Verdict::NotAllowed);
    }

    fn filled(filter: &str, name: &str) -> Result<String, Unfillable> {
        fill(&filter.parse().unwrap(), &name.parse().unwrap()).map(|filter| filter.to_string())
    }

    #[test]
    fn a_name_stands_for_a_level_or_a_part_of_one() {
        for (filter, expected) in [
            ("users/%u/#", "users/ana/#"),
            ("%u", "ana"),
            ("in/from-%u-now/+", "in/from-ana-now/+"),
            ("%u/%u%u", "ana/anaana"),
            ("users/+", "users/+"),
            ("100%/u", "100%/u"),
        ] {
            assert_eq!(filled(filter, "ana").unwrap(), expected);
        }
        // What a name brings along is a name, not a pattern.
        assert_eq!(filled("users/%u", "%u%u").unwrap(), "users/%u%u");
        assert_eq!(filled("users/%u", "a b").unwrap(), "users/a b");
    }

    /// I2: nobody is given what is others' for being called so.
    #[test]
    fn a_name_cannot_break_out_of_its_level() {
        for name in ["+", "#", "a/b", "a/#", "/", "a+", "../a"] {
            let error = filled("users/%u", name).unwrap_err();
            assert!(matches!(error, Unfillable::BreaksOut { .. }), "{name}: {error}");
            assert_eq!(filled("users/all", name).unwrap(), "users/all");
        }
        assert!(matches!(filled("%u/x", "$sys"), Err(Unfillable::NoFilter { why: NameError::Reserved, .. })));
        let long = "x".repeat(120);
        assert!(matches!(filled("%u/%u/%u", &long), Err(Unfillable::NoFilter { why: NameError::TooLong { .. }, .. })));
    }

    proptest! {
        /// Two users' own levels have no topic in common, whatever they are called.
        #[test]
        fn two_names_never_share_what_is_their_own(one in "[a-c%u+#/$ ]{1,4}", other in "[a-c%u+#/$ ]{1,4}") {
            if one != other && let (Ok(mine), Ok(yours)) = (filled("own/%u/#", &one), filled("own/%u/#", &other)) {
                prop_assert!(!overlap(&mine.parse().unwrap(), &yours.parse().unwrap()), "{one:?} {other:?}");
            }
        }
    }
}
