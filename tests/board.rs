//! The board is what is so: folded from the events alone, equal to what the clients of a random script know to be true.

use std::collections::{BTreeMap, BTreeSet};

use cordboard::{
    Board, Handle,
    control::{Control, Order, Outcome},
    name::{Filter, SessionId, SubscriptionId},
    wire::{ClientFrame, RegistrationRequest, UnsubscribeRequest},
};
use proptest::{collection::vec, prelude::*, sample::select};

use crate::fixture::{Raw, Reply, broker, eventually, eventually_true};

#[derive(Debug, Clone)]
enum Step {
    Register,
    Subscribe(&'static str),
    Unsubscribe(&'static str),
    Publish(&'static str),
    Reset,
    Resume,
    Takeover,
    End,
    Evict,
    Drop,
    Hold,
    Kill(&'static str),
    Purge(&'static str),
}

const TOPICS: [&str; 3] = ["a", "b", "b/c"];
const FILTERS: [&str; 5] = ["a", "b", "b/c", "b/#", "+"];

/// A step and whose it is.
fn any_step() -> impl Strategy<Value = (usize, Step)> {
    let step = prop_oneof![
        5 => Just(Step::Register),
        6 => select(FILTERS.to_vec()).prop_map(Step::Subscribe),
        2 => select(FILTERS.to_vec()).prop_map(Step::Unsubscribe),
        9 => select(TOPICS.to_vec()).prop_map(Step::Publish),
        3 => Just(Step::Reset),
        3 => Just(Step::Resume),
        1 => Just(Step::Takeover),
        1 => Just(Step::End),
        1 => Just(Step::Evict),
        1 => Just(Step::Drop),
        1 => Just(Step::Hold),
        1 => select(TOPICS.to_vec()).prop_map(Step::Kill),
        1 => select(FILTERS.to_vec()).prop_map(Step::Purge),
    ];
    (0_usize..3, step)
}

/// One client as it sees itself.
struct Client {
    session: SessionId,
    /// None: it is away.
    raw: Option<Raw>,
    /// Its publishes so far.
    sequence: u64,
    filters: BTreeSet<&'static str>,
}

/// The clients, and what the broker must know of them.
struct World {
    broker: Handle,
    clients: [Option<Client>; 3],
    /// What was published to nobody, by topic.
    backlog: BTreeMap<&'static str, u64>,
    /// What each subscription was given and not acknowledged; unknown after a purge.
    held: BTreeMap<(usize, &'static str), Option<u64>>,
    requests: u32,
}

async fn until(raw: &mut Raw, what: &str, wanted: impl Fn(&Reply) -> bool) {
    loop {
        let reply = raw.next().await;
        if wanted(&reply) {
            return;
        }
        assert!(!matches!(reply, Reply::Closed | Reply::Error(_)), "{what} was expected, not {reply:?}");
    }
}

impl World {
    async fn order(&self, control: Control) -> Outcome {
        let order = Order::new("test", control);
        self.broker.order(order).await
    }

    async fn step(&mut self, who: usize, step: &Step) {
        let here = self.clients[who].as_ref().is_some_and(|client| client.raw.is_some());
        match (step, self.clients[who].is_some(), here) {
            (Step::Register, false, _) => {
                let (raw, response) = Raw::register(&self.broker, "client").await;
                let client = Client { session: response.session, raw: Some(raw), sequence: 0, filters: BTreeSet::new() };
                self.clients[who] = Some(client);
            }
            (Step::Subscribe(filter), _, true) => self.subscribe(who, filter).await,
            (Step::Unsubscribe(filter), _, true) => self.unsubscribe(who, filter).await,
            (Step::Publish(topic), _, true) => self.publish(who, topic).await,
            (Step::Reset | Step::Drop | Step::Hold, _, true) => self.lose(who, step).await,
            (Step::Resume, true, false) | (Step::Takeover, _, true) => self.resume(who).await,
            (Step::End, _, true) => {
                let client = self.forget(who);
                client.raw.unwrap().disconnect(true).await;
                self.gone(client.session).await;
            }
            (Step::Evict, true, _) => {
                let client = self.forget(who);
                let outcome = self.order(Control::EvictSession { session: client.session }).await;
                assert!(matches!(outcome, Outcome::Done { .. }), "{outcome}");
                self.gone(client.session).await;
            }
            (Step::Kill(topic), ..) => self.kill(topic).await,
            (Step::Purge(filter), true, _) => {
                let session = self.clients[who].as_ref().unwrap().session;
                let subscription = SubscriptionId { session, filter: filter.parse().unwrap() };
                self.order(Control::Purge { subscription }).await;
                self.held.entry((who, filter)).and_modify(|held| *held = None);
            }
            _ => {}
        }
    }

    async fn subscribe(&mut self, who: usize, filter: &'static str) {
        let client = self.clients[who].as_mut().unwrap();
        let raw = client.raw.as_mut().unwrap();
        raw.ask_subscribe(filter).await;
        until(raw, "a subscribe ack", |reply| matches!(reply, Reply::Subscribed(_))).await;
        if client.filters.insert(filter) {
            let waiting = self.backlog.remove(filter).unwrap_or_default();
            self.held.insert((who, filter), Some(waiting));
        }
    }

    async fn unsubscribe(&mut self, who: usize, filter: &'static str) {
        self.requests += 1;
        let client = self.clients[who].as_mut().unwrap();
        let raw = client.raw.as_mut().unwrap();
        let request = UnsubscribeRequest { request: self.requests, filter: filter.into() };
        raw.send(&ClientFrame::UnsubscribeRequest(request)).await;
        let is_ack = |reply: &Reply| matches!(reply, Reply::Other(text) if text.starts_with("UnsubscribeAck"));
        until(raw, "an unsubscribe ack", is_ack).await;
        client.filters.remove(filter);
        self.held.remove(&(who, filter));
    }

    async fn publish(&mut self, who: usize, topic: &'static str) {
        let client = self.clients[who].as_mut().unwrap();
        client.sequence += 1;
        let (sequence, raw) = (client.sequence, client.raw.as_mut().unwrap());
        raw.send(&crate::fixture::publish(sequence, topic, b"payload")).await;
        until(raw, "an acknowledgement", |reply| matches!(reply, Reply::Acked(n) if *n == sequence)).await;
        let name = topic.parse().unwrap();
        let mut matched = false;
        for ((_, filter), held) in &mut self.held {
            if cordboard::filters::matches(&filter.parse().unwrap(), &name) {
                matched = true;
                *held = held.map(|held| held + 1);
            }
        }
        if !matched {
            *self.backlog.entry(topic).or_default() += 1;
        }
    }

    /// The connection goes: by the client, by an operator's order, and perhaps its timer is held then.
    async fn lose(&mut self, who: usize, step: &Step) {
        let client = self.clients[who].as_mut().unwrap();
        let (session, raw) = (client.session, client.raw.take().unwrap());
        if matches!(step, Step::Drop) {
            self.order(Control::DropConnection { session }).await;
            drop(raw);
        } else {
            raw.reset();
        }
        eventually(&self.broker, "the session is detached", |board| !board.sessions[&session].is_attached()).await;
        if matches!(step, Step::Hold) {
            let outcome = self.order(Control::HoldSession { session }).await;
            assert!(matches!(outcome, Outcome::Done { .. }), "{outcome}");
        }
    }

    async fn resume(&mut self, who: usize) {
        let client = self.clients[who].as_mut().unwrap();
        let mut request = RegistrationRequest::new("client");
        request.session = Some(client.session);
        let (raw, response) = Raw::register_with(&self.broker, request).await;
        assert_eq!((response.resumed, response.settled), (true, client.sequence));
        let named: BTreeSet<&str> = response.subscriptions.iter().map(|of| of.filter.as_str()).collect();
        assert_eq!(named, client.filters);
        client.raw = Some(raw);
    }

    async fn kill(&mut self, topic: &'static str) {
        self.order(Control::KillTopic { topic: topic.parse().unwrap() }).await;
        self.backlog.remove(topic);
        self.held.retain(|(_, filter), _| *filter != topic);
        for client in self.clients.iter_mut().flatten() {
            client.filters.remove(topic);
        }
    }

    fn forget(&mut self, who: usize) -> Client {
        self.held.retain(|(whose, _), _| *whose != who);
        self.clients[who].take().unwrap()
    }

    async fn gone(&self, session: SessionId) {
        eventually(&self.broker, "the session is gone", |board| !board.sessions.contains_key(&session)).await;
    }

    /// Everything that the clients know is on the board, and nothing else is.
    fn is_on(&self, board: &Board) -> bool {
        let sessions: BTreeMap<SessionId, bool> =
            self.clients.iter().flatten().map(|client| (client.session, client.raw.is_some())).collect();
        let shown: BTreeMap<SessionId, bool> = board.sessions.iter().map(|(id, row)| (*id, row.is_attached())).collect();
        let attached = self.clients.iter().flatten().filter(|client| client.raw.is_some()).count();
        let held = self.held.iter().all(|((who, filter), held)| {
            let Some(session) = self.clients[*who].as_ref().map(|client| client.session) else { return false };
            let id = SubscriptionId { session, filter: filter.parse().unwrap() };
            let row = board.subscriptions.get(&id);
            row.is_some_and(|row| held.is_none_or(|held| row.depth.queued() + row.depth.poison == held))
        });
        let backlog: BTreeMap<&str, u64> = board
            .topics
            .iter()
            .filter_map(|(topic, row)| {
                let waiting = row.sample.as_ref().map_or(0, |sample| sample.backlog);
                (waiting > 0).then_some((topic.as_str(), waiting))
            })
            .collect();
        sessions == shown
            && board.listeners.len() == attached
            && board.subscriptions.len() == self.held.len()
            && held
            && backlog == self.backlog
    }
}

/// The sums on the board are the sums over its rows.
fn check_sums(board: &Board) {
    let away = || board.sessions.values().filter(|row| !row.is_attached());
    assert_eq!(board.broker.detached, away().count() as u64);
    assert_eq!(board.broker.dead_letters, away().map(|row| row.depth.queued()).sum::<u64>());
    let queued = |wanted: &dyn Fn(&SubscriptionId) -> bool| -> u64 {
        board.subscriptions.iter().filter(|(id, _)| wanted(id)).map(|(_, row)| row.depth.queued()).sum()
    };
    assert_eq!(board.broker.depth.queued(), queued(&|_| true));
    for (session, row) in &board.sessions {
        assert_eq!(row.depth.queued(), queued(&|id| id.session == *session));
    }
    for (topic, row) in &board.topics {
        let exact = Filter::from(topic.clone());
        assert_eq!(row.depth.queued(), queued(&|id| id.filter == exact));
        assert_eq!(row.subscribers.len(), board.subscriptions.keys().filter(|id| id.filter == exact).count());
    }
}

async fn play(script: Vec<(usize, Step)>) {
    let mut world = World {
        broker: broker().await,
        clients: [None, None, None],
        backlog: BTreeMap::new(),
        held: BTreeMap::new(),
        requests: 1_000,
    };
    for (who, step) in &script {
        world.step(*who, step).await;
    }
    eventually(&world.broker, "the board is what the clients know", |board| world.is_on(board)).await;

    let (now, mut from_start) = (world.broker.bus().board(), world.broker.bus().follow_from_start());
    check_sums(&now);
    let (news, mut folded) = (from_start.take(usize::MAX), Board::default());
    assert_eq!(news.missed, 0);
    news.events.iter().filter(|event| event.number <= now.number).for_each(|event| folded.apply(event));
    assert_eq!(folded, now);

    // I5: with its clients, everything of theirs goes.
    for who in 0..3 {
        world.step(who, &Step::Evict).await;
    }
    eventually(&world.broker, "nothing of the clients is left", |board| board.listeners.is_empty()).await;
    let left = world.broker.bus().board();
    assert_eq!((left.sessions.len(), left.subscriptions.len(), left.early.len()), (0, 0, 0));
    let counters = || world.broker.counters();
    let actors = 5 + left.topics.len() as u64;
    eventually_true("their actors and tasks have ended", || (counters().actors, counters().tasks) == (actors, 0)).await;
    world.broker.shutdown().await;
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 8, max_shrink_iters: 40, ..ProptestConfig::default() })]

    /// I8: the screen shows facts.
    #[test]
    fn the_board_is_what_the_clients_know(script in vec(any_step(), 10..70)) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        runtime.block_on(play(script));
    }
}
