//! How dead letters grew over the last minute, for the subscriptions whose session is detached.

use std::collections::{BTreeMap, VecDeque};

use cordboard::{clock::Moment, name::SubscriptionId};

/// How far back growth is looked at.
const WINDOW_MS: u64 = 60_000;
/// One point in so many.
const STEP_MS: u64 = 10_000;
/// Subscriptions that are watched at once; more of them at a time is an outage that needs no such rule.
const MOST: usize = 4_096;

/// What is known of each.
#[derive(Debug, Clone, Default)]
pub(crate) struct Growth(BTreeMap<SubscriptionId, VecDeque<(u64, u64)>>);

impl Growth {
    /// A subscription holds so many dead letters now.
    pub(crate) fn record(&mut self, id: &SubscriptionId, at: Moment, dead: u64) {
        if !self.0.contains_key(id) && self.0.len() == MOST {
            return;
        }
        let points = self.0.entry(id.clone()).or_default();
        if points.back().is_none_or(|(newest, _)| at.up.0.saturating_sub(*newest) >= STEP_MS) {
            points.push_back((at.up.0, dead));
        }
    }

    /// Its client is back, or it ended.
    pub(crate) fn forget(&mut self, id: &SubscriptionId) {
        self.0.remove(id);
    }

    /// Each one's number a minute ago, or when it was first seen since.
    pub(crate) fn minute_ago(&self, now: Moment) -> impl Iterator<Item = (&SubscriptionId, u64)> {
        let since = now.up.0.saturating_sub(WINDOW_MS);
        self.0.iter().filter_map(move |(id, points)| {
            let before = points.iter().rev().find(|(at, _)| *at <= since).or_else(|| points.front());
            before.map(|(_, dead)| (id, *dead))
        })
    }

    /// Drops points that no minute reaches back to.
    pub(crate) fn expire(&mut self, now: Moment) {
        let since = now.up.0.saturating_sub(WINDOW_MS);
        for points in self.0.values_mut() {
            while points.get(1).is_some_and(|(at, _)| *at <= since) {
                points.pop_front();
            }
        }
    }
}
