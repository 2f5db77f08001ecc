//! A subscriber that survives everything, and judges whatever it is delivered.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    time::Duration,
};

use cordboard::{
    Handle,
    filters::matches,
    name::{Epoch, Filter, SessionId, SubscriptionHandle},
    wire::{ClientFrame, DeliverAck, DeliverNack, Nack, RegistrationResponse, SubscribeRequest, UnsubscribeRequest},
};
use tokio::{sync::watch, time};

use super::{Loss, PUBLISHERS, Rounds, TOPICS, comes_back};
use crate::fixture::{Got, PATIENCE, Raw, Reply, rng::Rng};

/// How long a round waits for something to come.
const A_MOMENT: Duration = Duration::from_millis(3);
/// Subscribed and unsubscribed all the time.
const FLEETING: [&str; 3] = ["news/+", "sport/#", "news/us"];

/// Messages each publisher had acknowledged, by topic.
type Totals = Vec<Vec<u64>>;

pub(super) struct Subscriber {
    broker: Handle,
    name: String,
    rng: Rng,
    raw: Raw,
    session: SessionId,
    epoch: Epoch,
    request: u32,
    feeds: BTreeMap<u32, Feed>,
}

/// What a subscription has delivered.
struct Feed {
    filter: Filter,
    /// Subscribed before anything was published, and for good: everything must come.
    complete: bool,
    /// The last message of each publisher and topic.
    last: HashMap<(usize, usize), u64>,
    /// Each number's message: its publisher, topic, and place among those.
    messages: HashMap<u64, (usize, usize, u64)>,
    /// The highest number seen.
    highest: u64,
    /// Acknowledged, and that was handled: nothing up to here may come again.
    confirmed: u64,
    acknowledged: u64,
    /// The last number that came on this connection, and all that did.
    cursor: u64,
    here: BTreeSet<u64>,
    /// Given back, and what comes is still from before.
    replay: Option<u64>,
}

impl Feed {
    fn new(filter: Filter, complete: bool) -> Self {
        Self {
            filter,
            complete,
            last: HashMap::new(),
            messages: HashMap::new(),
            highest: 0,
            confirmed: 0,
            acknowledged: 0,
            cursor: 0,
            here: BTreeSet::new(),
            replay: None,
        }
    }

    fn new_connection(&mut self) {
        (self.cursor, self.acknowledged, self.replay) = (self.confirmed, self.confirmed, None);
        self.here.clear();
    }

    /// Judges one message (I1, I3).
    fn take(&mut self, got: &Got) {
        let parts: Vec<u64> = got.text().split(' ').map(|part| part.parse().unwrap()).collect();
        let (publisher, topic, n) = (parts[0] as usize, parts[1] as usize, parts[2]);
        assert_eq!(got.topic, TOPICS[topic]);
        assert!(matches(&self.filter, &got.topic.parse().unwrap()), "{got:?} does not match {}", self.filter);
        assert!(got.number > self.confirmed, "{got:?} was settled, up to {}", self.confirmed);
        match self.replay {
            // Nothing expires here: what was given back comes again, and first.
            Some(number) if got.returns => {
                assert!(got.number == number && got.redelivered, "{got:?} instead of {number}, which was given back");
                self.replay = None;
                // Those after it are on their way again, too, and are not the client's to give back before they have come.
                self.here.split_off(&got.number);
            }
            _ => assert!(!got.returns && got.number > self.cursor, "{got:?} came after {}", self.cursor),
        }
        self.cursor = got.number;
        self.here.insert(got.number);
        let this = (publisher, topic, n);
        if let Some(known) = self.messages.get(&got.number) {
            assert_eq!(*known, this, "{got:?} has the number of another message");
            assert!(got.redelivered, "{got:?} came again without its mark");
            return;
        }
        assert!(got.number > self.highest, "{got:?} is new, and {} was seen already", self.highest);
        self.highest = got.number;
        self.messages.insert(got.number, this);
        let last = self.last.insert((publisher, topic), n);
        if self.complete || last.is_some() {
            assert_eq!(n, last.unwrap_or(0) + 1, "{got:?}: one before it is missing, or it came twice under two numbers");
        }
    }

    /// What came on this connection and is not acknowledged: what the client may give back.
    fn unsettled(&self) -> Vec<u64> {
        self.here.range(self.acknowledged + 1..).copied().collect()
    }

    /// How far may be acknowledged.
    fn acknowledgeable(&self) -> u64 {
        self.replay.map_or(self.cursor, |number| self.cursor.min(number - 1))
    }

    /// Everything that matches has come.
    fn has(&self, totals: &Totals) -> bool {
        let topics = TOPICS.iter().enumerate().filter(|(_, topic)| matches(&self.filter, &topic.parse().unwrap()));
        let mut all = topics.flat_map(|(topic, _)| (0..PUBLISHERS as usize).map(move |publisher| (publisher, topic)));
        !self.complete || all.all(|(publisher, topic)| self.last.get(&(publisher, topic)) == Some(&totals[publisher][topic]))
    }
}

impl Subscriber {
    pub(super) async fn start(broker: &Handle, name: &str, filters: &[&str], rng: Rng) -> Self {
        let (mut raw, response) = Raw::register(broker, name).await;
        let mut feeds = BTreeMap::new();
        for filter in filters {
            let handle = raw.subscribe(filter).await;
            feeds.insert(handle.0, Feed::new(filter.parse().unwrap(), true));
        }
        let (session, epoch) = (response.session, response.epoch);
        Self { broker: broker.clone(), name: name.to_owned(), rng, raw, session, epoch, request: 0, feeds }
    }

    pub(super) async fn live(mut self, rounds: Rounds, mut totals: watch::Receiver<Option<Totals>>) {
        while rounds.take() {
            self.read_a_little().await;
            match self.rng.below(12) {
                0..=1 => self.confirm().await,
                2 => self.give_back().await,
                3 => self.subscribe_for_a_while().await,
                4 => self.unsubscribe().await,
                5..=8 => self.lose_and_resume().await,
                9..=10 => self.take_over().await,
                _ => self.race().await,
            }
        }
        let totals = totals.wait_for(Option::is_some).await.unwrap().clone().unwrap();
        let finish = async {
            // The windows may be full of what was read and not acknowledged: then nothing more comes by itself.
            self.acknowledge().await;
            while !self.feeds.values().all(|feed| feed.has(&totals)) {
                let reply = self.raw.next().await;
                self.take(reply);
                self.acknowledge().await;
            }
        };
        if time::timeout(PATIENCE, finish).await.is_err() {
            let seen: Vec<_> = self.feeds.values().map(|feed| (feed.filter.as_str().to_owned(), feed.last.clone())).collect();
            panic!("{}: of {totals:?} only this has come: {seen:?}", self.name);
        }
        self.confirm().await;
        self.raw.disconnect(true).await;
    }

    fn take(&mut self, reply: Reply) {
        match reply {
            Reply::Deliver(messages) => {
                for got in messages {
                    let Some(feed) = self.feeds.get_mut(&got.handle) else {
                        panic!("{}: {got:?} has a handle that nobody told", self.name)
                    };
                    feed.take(&got);
                }
            }
            Reply::Subscribed(ack) => {
                let known = self.feeds.contains_key(&ack.handle.0);
                assert_eq!(ack.existing, known, "{}: {ack:?}", self.name);
                self.feeds.entry(ack.handle.0).or_insert_with(|| Feed::new(ack.filter, false));
            }
            other => panic!("{}: {other:?} was not expected", self.name),
        }
    }

    async fn read_a_little(&mut self) {
        for _ in 0..self.rng.below(8) {
            let Ok(reply) = time::timeout(A_MOMENT, self.raw.next()).await else { return };
            self.take(reply);
            if self.rng.once_in(2) {
                self.acknowledge().await;
            }
        }
    }

    /// Acknowledges all that has come.
    async fn acknowledge(&mut self) {
        let mut bytes = Vec::new();
        for (handle, feed) in &mut self.feeds {
            let number = feed.acknowledgeable();
            if number > feed.acknowledged {
                feed.acknowledged = number;
                ClientFrame::DeliverAck(DeliverAck { handle: SubscriptionHandle(*handle), number }).encode(&mut bytes);
            }
        }
        self.raw.send_bytes(&bytes).await;
    }

    /// Acknowledges and waits until that was handled.
    async fn confirm(&mut self) {
        self.acknowledge().await;
        let acknowledged: Vec<_> = self.feeds.iter().map(|(handle, feed)| (*handle, feed.acknowledged)).collect();
        self.ask_unsubscribe("no/such/filter").await;
        for (handle, number) in acknowledged {
            if let Some(feed) = self.feeds.get_mut(&handle) {
                feed.confirmed = number;
            }
        }
    }

    /// Unsubscribes, and judges what comes until the answer is there.
    async fn ask_unsubscribe(&mut self, filter: &str) {
        self.request += 1;
        let request = UnsubscribeRequest { request: self.request, filter: filter.to_owned() };
        self.raw.send(&ClientFrame::UnsubscribeRequest(request)).await;
        loop {
            match self.raw.next().await {
                Reply::Other(text) if text.starts_with("UnsubscribeAck") => {
                    assert!(text.contains(&format!("request: {}", self.request)), "{}: {text}", self.name);
                    return;
                }
                reply => self.take(reply),
            }
        }
    }

    /// Gives some message and all after it back.
    async fn give_back(&mut self) {
        let open = self.feeds.iter().filter(|(_, feed)| feed.replay.is_none() && !feed.unsettled().is_empty());
        let candidates: Vec<_> = open.map(|(handle, feed)| (*handle, feed.unsettled())).collect();
        if candidates.is_empty() {
            return;
        }
        let (handle, unsettled) = self.rng.pick(&candidates).clone();
        let number = *self.rng.pick(&unsettled);
        if let Some(feed) = self.feeds.get_mut(&handle) {
            feed.replay = Some(number);
        }
        let nack = DeliverNack { handle: SubscriptionHandle(handle), number, what: Nack::Again };
        self.raw.send(&ClientFrame::DeliverNack(nack)).await;
    }

    /// Asks, and reads the answer some other time.
    async fn subscribe_for_a_while(&mut self) {
        self.request += 1;
        let filter = (*self.rng.pick(&FLEETING)).to_owned();
        let request = SubscribeRequest { request: self.request, filter, ack_timeout_ms: None, group: None };
        self.raw.send(&ClientFrame::SubscribeRequest(request)).await;
    }

    async fn unsubscribe(&mut self) {
        let fleeting: Vec<_> = self.feeds.iter().filter(|(_, feed)| !feed.complete).map(|(handle, _)| *handle).collect();
        if fleeting.is_empty() {
            return;
        }
        let handle = *self.rng.pick(&fleeting);
        let filter = self.feeds[&handle].filter.as_str().to_owned();
        self.ask_unsubscribe(&filter).await;
        self.feeds.remove(&handle);
    }

    async fn lose_and_resume(&mut self) {
        let loss = *self.rng.pick(&Loss::ALL);
        let mut frame = Vec::new();
        ClientFrame::DeliverAck(DeliverAck { handle: SubscriptionHandle(1), number: u64::MAX }).encode(&mut frame);
        let old = std::mem::replace(&mut self.raw, Raw::connect(self.broker.endpoints()[0]).await);
        loss.of(old, &frame, &mut self.rng).await;
        self.rng.dawdle().await;
        self.raw.send(&ClientFrame::RegistrationRequest(comes_back(&self.name, self.session, 0))).await;
        let response = self.raw.response().await;
        self.resumed(&response);
    }

    async fn take_over(&mut self) {
        let (new, response) = Raw::register_with(&self.broker, comes_back(&self.name, self.session, 0)).await;
        let old = std::mem::replace(&mut self.raw, new);
        self.is_displaced(old).await;
        self.resumed(&response);
    }

    /// Two connections resume at once. One has it, the other is told; the winner is the one with the higher epoch.
    async fn race(&mut self) {
        let request = comes_back(&self.name, self.session, 0);
        let (one, two) =
            tokio::join!(Raw::register_with(&self.broker, request.clone()), Raw::register_with(&self.broker, request.clone()));
        let (winner, loser) = if one.1.epoch > two.1.epoch { (one, two) } else { (two, one) };
        assert!(loser.1.epoch > self.epoch && winner.1.epoch > loser.1.epoch, "{}: epochs grow", self.name);
        let old = std::mem::replace(&mut self.raw, winner.0);
        self.is_displaced(old).await;
        self.is_displaced(loser.0).await;
        self.resumed(&winner.1);
    }

    /// What a displaced connection still brings may be thrown away: it comes again.
    async fn is_displaced(&self, mut old: Raw) {
        loop {
            match old.next().await {
                Reply::Displaced => break,
                Reply::Closed => panic!("{}: closed without a word", self.name),
                _ => {}
            }
        }
        assert!(matches!(old.next().await, Reply::Closed), "{}: Displaced is the last frame", self.name);
    }

    /// The surviving subscriptions are as they were; those that were being asked for may have come or gone.
    fn resumed(&mut self, response: &RegistrationResponse) {
        assert!(response.resumed && response.epoch > self.epoch, "{}: {response:?}", self.name);
        self.epoch = response.epoch;
        let told: BTreeMap<_, _> = response.subscriptions.iter().map(|of| (of.handle.0, &of.filter)).collect();
        self.feeds.retain(|handle, feed| {
            let survived = told.get(handle).is_some_and(|filter| **filter == feed.filter);
            assert!(survived || !feed.complete, "{} has not survived: {response:?}", feed.filter);
            survived
        });
        for (handle, filter) in told {
            self.feeds.entry(handle).or_insert_with(|| Feed::new(filter.clone(), false)).new_connection();
        }
    }
}
