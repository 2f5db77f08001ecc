//! The judge: knows every message anyone published, whom it was owed to and who has seen it, and what the broker has told of
//! its losses. It holds the broker to I1: what was acknowledged has come, or is counted as lost with a reason.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    str::FromStr,
};

use cordboard::{
    Board,
    control::{Control, Outcome},
    events::{DropReason, Event, Lost},
    filters::matches,
    name::{Filter, SubscriptionId, TopicName},
};

use super::TOPICS;

/// Messages of one publisher's life to one topic: what order is promised within.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Stream {
    pub(super) publisher: u32,
    pub(super) life: u32,
    pub(super) topic: usize,
}

/// One message: the `n`th of its stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Message {
    pub(super) stream: Stream,
    pub(super) n: u64,
}

impl fmt::Display for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Stream { publisher, life, topic } = self.stream;
        write!(f, "{publisher} {life} {topic} {}", self.n)
    }
}

impl FromStr for Message {
    type Err = std::num::ParseIntError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut parts = text.split(' ').map(str::parse::<u64>);
        let mut part = || parts.next().unwrap_or_else(|| "".parse());
        let stream = Stream { publisher: part()? as u32, life: part()? as u32, topic: part()? as usize };
        Ok(Self { stream, n: part()? })
    }
}

/// A subscription from its acknowledgement to its end; the same filter may be subscribed to again later.
pub(super) type FeedId = usize;

#[derive(Debug, Default)]
pub(super) struct Judge {
    publications: BTreeMap<Message, Publication>,
    feeds: Vec<Feed>,
    /// What the broker has told of each subscription there is.
    told: BTreeMap<SubscriptionId, Told>,
    /// What has ended well: how much was looked at.
    pub(super) verdicts: Verdicts,
}

/// How much a simulation has really tried.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Verdicts {
    pub(super) acknowledged: u64,
    pub(super) seen: u64,
    pub(super) redelivered: u64,
    pub(super) counted_lost: u64,
    pub(super) feeds: u64,
}

impl std::ops::AddAssign for Verdicts {
    fn add_assign(&mut self, other: Self) {
        self.acknowledged += other.acknowledged;
        self.seen += other.seen;
        self.redelivered += other.redelivered;
        self.counted_lost += other.counted_lost;
        self.feeds += other.feeds;
    }
}

#[derive(Debug, Default)]
struct Publication {
    acknowledged: bool,
    /// Feeds that were there when it was begun.
    owed: Vec<FeedId>,
}

#[derive(Debug)]
struct Feed {
    id: SubscriptionId,
    open: bool,
    seen: BTreeSet<Message>,
    /// It has ended, and poison had been put back: that may still be on its way.
    redelivered: bool,
}

#[derive(Debug, Default, Clone, Copy)]
struct Told {
    /// Dropped by a bound.
    dropped: u64,
    /// Thrown away by an operator.
    purged: u64,
    /// An operator has put poison back: what was given up comes again, out of its place.
    redelivers: bool,
}

impl Judge {
    /// Someone is about to publish `message`.
    pub(super) fn begins(&mut self, message: Message) {
        let topic: TopicName = TOPICS[message.stream.topic].parse().unwrap();
        let is_owed = |(_, feed): &(FeedId, &Feed)| feed.open && matches(&feed.id.filter, &topic);
        let owed = self.feeds.iter().enumerate().filter(is_owed).map(|(id, _)| id).collect();
        let before = self.publications.insert(message, Publication { acknowledged: false, owed });
        assert!(before.is_none(), "{message} is published twice by the test itself");
    }

    /// Its publisher was told that it was accepted.
    pub(super) fn is_acknowledged(&mut self, message: Message) {
        self.publications.get_mut(&message).unwrap().acknowledged = true;
        self.verdicts.acknowledged += 1;
    }

    /// Someone was told that a subscription is there. `board` is of this moment: it may have ended already.
    pub(super) fn opens(&mut self, id: &SubscriptionId, board: &Board) -> FeedId {
        let open = board.subscriptions.contains_key(id);
        self.feeds.push(Feed { id: id.clone(), open, seen: BTreeSet::new(), redelivered: false });
        self.feeds.len() - 1
    }

    /// Its client asks for its end: whether it still comes to that or not, nothing is owed to it.
    pub(super) fn gives_up(&mut self, feed: FeedId) {
        self.feeds[feed].open = false;
    }

    /// A message came. True if it had not come before.
    pub(super) fn sees(&mut self, feed: FeedId, message: Message, redelivered: bool) -> bool {
        assert!(self.publications.contains_key(&message), "{message} came, and nobody published it");
        self.verdicts.redelivered += u64::from(redelivered);
        let new = self.feeds[feed].seen.insert(message);
        self.verdicts.seen += u64::from(new);
        new
    }

    /// True if poison was put back into it.
    pub(super) fn redelivers(&self, feed: FeedId) -> bool {
        let feed = &self.feeds[feed];
        feed.redelivered || self.told.get(&feed.id).is_some_and(|told| told.redelivers)
    }

    /// Takes in what the broker tells of losses.
    pub(super) fn hears(&mut self, event: &Event) {
        match event {
            Event::SubscriptionCreated { id } => {
                let before = self.told.insert(id.clone(), Told::default());
                assert!(before.is_none(), "{id} was created twice");
            }
            Event::SubscriptionOverflowed { id, dropped, why } => {
                assert_ne!(*why, DropReason::Expired, "nothing here expires");
                self.of(id).dropped += dropped;
            }
            Event::SubscriptionPurged { id, lost, .. } => self.of(id).purged += lost.messages(),
            Event::Order(record) => {
                if let (Control::Redeliver { subscription }, Outcome::PutBack { .. }) = (&record.order.control, &record.outcome) {
                    self.of(subscription).redelivers = true;
                }
            }
            Event::SubscriptionEnded { id, lost, .. } => self.end(*lost, |feed| feed == id),
            Event::SessionEnded { id, lost, .. } => self.end(*lost, |feed| feed.session == *id),
            _ => {}
        }
    }

    fn of(&mut self, id: &SubscriptionId) -> &mut Told {
        self.told.get_mut(id).unwrap_or_else(|| panic!("{id} is not there, and something is told of it"))
    }

    /// Subscriptions have ended; what they still held is `lost`. Nobody knows what their clients saw of that, so this is a
    /// bound.
    fn end(&mut self, lost: Lost, is_ended: impl Fn(&SubscriptionId) -> bool) {
        let (mut missing, mut counted) = (Vec::new(), lost.messages());
        for (id, told) in self.told.extract_if(.., |id, _| is_ended(id)) {
            counted += told.dropped + told.purged;
            self.feeds.iter_mut().filter(|feed| feed.id == id).for_each(|feed| feed.redelivered |= told.redelivers);
        }
        for at in 0..self.feeds.len() {
            if self.feeds[at].open && is_ended(&self.feeds[at].id) {
                missing.extend(self.missing(at).into_iter().map(|message| (at, message)));
                self.feeds[at].open = false;
                self.verdicts.feeds += 1;
            }
        }
        assert!(missing.len() as u64 <= counted, "ended, {counted} counted as lost, and these are missing: {missing:?}");
        self.verdicts.counted_lost += missing.len() as u64;
    }

    /// Messages that were acknowledged, are owed to a feed, and have not come.
    fn missing(&self, feed: FeedId) -> Vec<Message> {
        let seen = &self.feeds[feed].seen;
        let is_missing = |(message, publication): &(&Message, &Publication)| {
            publication.acknowledged && publication.owed.contains(&feed) && !seen.contains(message)
        };
        self.publications.iter().filter(is_missing).map(|(message, _)| *message).collect()
    }

    /// Why it is not over yet: a queue that still holds something for its client, or a connection that was given up and is
    /// still being told so.
    pub(super) fn unfinished(&self, board: &Board) -> Option<String> {
        let holds = self.feeds.iter().filter(|feed| feed.open).find_map(|feed| match board.subscriptions.get(&feed.id) {
            Some(row) if row.depth.queued() + row.depth.poison == 0 => None,
            Some(row) => Some(format!("{} holds {:?}", feed.id, row.depth)),
            None => Some(format!("{} is not on the board, and its end was not told", feed.id)),
        });
        holds.or_else(|| {
            let (mut met, mut attached) = (BTreeSet::new(), board.listeners.values().filter_map(|row| row.session));
            attached.find(|session| !met.insert(*session)).map(|session| format!("{session} has two connections"))
        })
    }

    /// Everything has come to rest: whatever was acknowledged has come, but for what was counted.
    pub(super) fn decides(&mut self, board: &Board) {
        for at in 0..self.feeds.len() {
            if !self.feeds[at].open {
                continue;
            }
            let (missing, id) = (self.missing(at), &self.feeds[at].id);
            let Told { dropped, purged, .. } = self.told[id];
            assert!(missing.len() as u64 <= dropped + purged, "{id}: {dropped} dropped, {purged} purged, missing: {missing:?}");
            assert_eq!(dropped, board.subscriptions[id].depth.dropped, "{id}: the events tell of other drops than the board");
            self.verdicts.feeds += 1;
            self.verdicts.counted_lost += missing.len() as u64;
        }
    }
}

/// What a filter is in the broker's account.
pub(super) fn subscription(session: cordboard::name::SessionId, filter: &Filter) -> SubscriptionId {
    SubscriptionId { session, filter: filter.clone() }
}
