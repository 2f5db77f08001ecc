//! The broker against a small model of it: every sequence of registrations, losses, publishes, settlements, orders and
//! waiting must make every client hear exactly what the model says, and leave the board as the model is.
//!
//! `CORDBOARD_MODEL_CASES=5000 cargo test --test suite model::` tries more.

mod choices;
mod queue;
mod reference;
mod words;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use cordboard::{
    Broker, Config, Handle, Platform,
    board::Attachment,
    control::{Control, Outcome},
    entropy::OsEntropy,
    events::Depth,
    name::{Filter, Principal, SessionId, SubscriptionHandle, SubscriptionId, TopicName},
    peek::{MAX_MESSAGES, Peeked},
    wire::{
        ClientFrame, Code, DeliverAck, DeliverNack, Disconnect, RegistrationRequest, SubscribeAck, SubscribeRequest,
        UnsubscribeRequest,
    },
};
use proptest::test_runner::Config as Cases;
use proptest_state_machine::{StateMachineTest, prop_state_machine};
use tokio::{io::DuplexStream, runtime::Runtime, task};

use self::{
    queue::{Message, Queue, Seen},
    reference::{BACKLOG, CLIENTS, Life, PHASE_MS, RECLAIM_MS, Reference, STEP_MS, ack_timeout},
    words::{Answer, Heard, Transition},
};
use crate::fixture::{
    Got, Raw, Reply, from_env, let_pass,
    memory::{Jacks, endpoint},
    order, publish,
};

/// The real broker, its clients' lines, and which session is which.
struct Real {
    runtime: Runtime,
    parts: Parts,
}

struct Parts {
    broker: Handle,
    jacks: Jacks,
    lines: [Option<Raw<DuplexStream>>; CLIENTS],
    sessions: Vec<SessionId>,
    published: u64,
}

/// The part of a step in which a claim is answered.
const ANSWER: Duration = Duration::from_millis(100);

/// What the clients heard in one step.
#[derive(Debug, Default)]
struct Step {
    heard: [Vec<Heard>; CLIENTS],
    delivered: BTreeMap<(usize, u32), Vec<Message>>,
    answer: Option<Answer>,
}

fn config() -> Config {
    let mut config = Config::default();
    let long = Duration::from_hours(12);
    config.connections.keep_alive = long;
    config.sessions.reclaim_after = Duration::from_millis(RECLAIM_MS);
    config.sessions.max_takeovers = u32::MAX;
    config.topics.idle_after = long;
    config.topics.backlog_life = long;
    config.topics.backlog_messages = BACKLOG;
    config.queues.ack_timeout = Duration::from_millis(ack_timeout("#").1);
    config.queues.max_attempts = Queue::ATTEMPTS;
    config.queues.max_messages = Queue::BOUND;
    config.queues.max_poison = Queue::POISON;
    config.queues.hold_publisher = Duration::from_millis(Queue::HOLD_MS);
    config.queues.window_messages = Queue::WINDOW;
    config
}

impl Parts {
    async fn start() -> Self {
        let (endpoint, jacks) = endpoint();
        let platform = Platform { endpoints: vec![Arc::new(endpoint)], entropy: Arc::new(OsEntropy) };
        let broker = Broker::start_on(config(), platform).await.unwrap();
        let_pass(Duration::from_millis(PHASE_MS)).await;
        Self { broker, jacks, lines: Default::default(), sessions: Vec::new(), published: 0 }
    }

    async fn step(&mut self, transition: Transition, model: &Reference) -> Step {
        let (mut step, mut left) = (Step::default(), Duration::from_millis(STEP_MS));
        match transition {
            Transition::Register { client } => self.register(client, None).await,
            Transition::Claim { client, session } => {
                self.register(client, Some(self.sessions[session])).await;
                left -= ANSWER;
                let_pass(ANSWER).await;
                self.rest(&mut step, model).await;
                if matches!(step.heard[client].last(), Some(Heard::Refused { .. })) {
                    self.ask(client, None).await;
                }
            }
            Transition::Lose { client } => self.lines[client] = None,
            Transition::Leave { client, end } => self.send(client, &ClientFrame::Disconnect(Disconnect { end })).await,
            Transition::Publish { client, topic, count } => self.publish(client, topic, count, model).await,
            Transition::Subscribe { client, filter } => {
                let (ack_timeout_ms, _) = ack_timeout(filter);
                let request = SubscribeRequest { request: 1, filter: filter.into(), ack_timeout_ms, group: None };
                self.send(client, &ClientFrame::SubscribeRequest(request)).await;
            }
            Transition::Unsubscribe { client, filter } => {
                self.send(client, &ClientFrame::UnsubscribeRequest(UnsubscribeRequest { request: 1, filter: filter.into() }))
                    .await;
            }
            Transition::Ack { client, filter, number } => {
                let handle = handle(model, client, filter);
                self.send(client, &ClientFrame::DeliverAck(DeliverAck { handle, number })).await;
            }
            Transition::Nack { client, filter, number, what } => {
                let handle = handle(model, client, filter);
                self.send(client, &ClientFrame::DeliverNack(DeliverNack { handle, number, what })).await;
            }
            Transition::Pass { ms } => let_pass(Duration::from_millis(ms)).await,
            order => step.answer = Some(self.order(order).await),
        }
        let_pass(left).await;
        self.rest(&mut step, model).await;
        step
    }

    async fn register(&mut self, client: usize, session: Option<SessionId>) {
        self.lines[client] = Some(Raw::over(self.jacks.connect()));
        self.ask(client, session).await;
    }

    async fn ask(&mut self, client: usize, session: Option<SessionId>) {
        let request = RegistrationRequest { session, ..RegistrationRequest::new("client") };
        self.send(client, &ClientFrame::RegistrationRequest(request)).await;
    }

    async fn send(&mut self, client: usize, frame: &ClientFrame<'_>) {
        self.lines[client].as_mut().unwrap().send(frame).await;
    }

    async fn publish(&mut self, client: usize, topic: &str, count: u64, model: &Reference) {
        let session = model.lines[client].unwrap();
        let first = model.sessions[session].published - count + 1;
        let mut bytes = Vec::new();
        for sequence in first..first + count {
            self.published += 1;
            publish(sequence, topic, self.published.to_string().as_bytes()).encode(&mut bytes);
        }
        self.lines[client].as_mut().unwrap().send_bytes(&bytes).await;
    }

    async fn order(&self, transition: Transition) -> Answer {
        let subscription = |session: usize, filter: &str| self.subscription(session, filter);
        let control = match transition {
            Transition::Evict { session } => Control::EvictSession { session: self.sessions[session] },
            Transition::Drop { session } => Control::DropConnection { session: self.sessions[session] },
            Transition::Hold { session } => Control::HoldSession { session: self.sessions[session] },
            Transition::Extend { session, by_ms } => Control::ExtendSession { session: self.sessions[session], by_ms },
            Transition::Purge { session, filter } => Control::Purge { subscription: subscription(session, filter) },
            Transition::Redeliver { session, filter } => Control::Redeliver { subscription: subscription(session, filter) },
            Transition::Kill { topic } => Control::KillTopic { topic: topic.parse().unwrap() },
            Transition::Forbid { topic } => Control::ForbidTopic { topic: topic.parse().unwrap() },
            Transition::Allow { topic } => Control::AllowTopic { topic: topic.parse().unwrap() },
            Transition::ForbidAll => Control::ForbidPrincipal { principal: Principal::local() },
            Transition::AllowAll => Control::AllowPrincipal { principal: Principal::local() },
            other => panic!("{other:?} is no order"),
        };
        match order(&self.broker, control).await {
            Outcome::Done { lost } => Answer::Done { lost: lost.messages() },
            Outcome::PutBack { messages } => Answer::PutBack { messages },
            Outcome::AlreadyGone => Answer::AlreadyGone,
            Outcome::Refused { .. } => Answer::Refused,
            other => panic!("{other:?}"),
        }
    }

    fn subscription(&self, session: usize, filter: &str) -> SubscriptionId {
        SubscriptionId { session: self.sessions[session], filter: filter.parse().unwrap() }
    }

    /// Takes everything that lies in the lines.
    async fn rest(&mut self, step: &mut Step, model: &Reference) {
        for client in 0..CLIENTS {
            while let Some(line) = &mut self.lines[client] {
                // With a fresh budget, what lies there is read at once.
                task::yield_now().await;
                let reply = tokio::select! {
                    biased;
                    reply = line.next() => reply,
                    () = std::future::ready(()) => break,
                };
                if matches!(reply, Reply::Closed) {
                    self.lines[client] = None;
                }
                self.hear(client, reply, step, model);
            }
        }
    }

    fn hear(&mut self, client: usize, reply: Reply, step: &mut Step, model: &Reference) {
        let heard = match reply {
            Reply::Deliver(messages) => {
                for got in messages {
                    step.delivered.entry((client, got.handle)).or_default().push(message(&got));
                }
                return;
            }
            Reply::Response(response) => {
                let known = self.sessions.iter().position(|session| *session == response.session);
                let session = known.unwrap_or_else(|| {
                    self.sessions.push(response.session);
                    self.sessions.len() - 1
                });
                let subscriptions = response.subscriptions.iter().map(|of| (named(&of.filter), of.handle.0)).collect();
                let (resumed, epoch, settled) = (response.resumed, response.epoch.0, response.settled);
                Heard::Registered { session, resumed, epoch, settled, subscriptions }
            }
            Reply::Subscribed(ack) => {
                let SubscribeAck { filter, handle, existing, ack_timeout_ms: ack_timeout, .. } = ack;
                Heard::Subscribed { filter: named(&filter), handle: handle.0, existing, ack_timeout }
            }
            Reply::Error(error) => Heard::Refused { code: error.code, why: reason(error.code, &error.reason, model) },
            // One may stand for many.
            Reply::Acked(sequence) => {
                if let Some(Heard::Acked(last)) = step.heard[client].last_mut() {
                    *last = sequence;
                    return;
                }
                Heard::Acked(sequence)
            }
            Reply::Displaced => Heard::Displaced,
            Reply::Evicted(_) => Heard::Evicted,
            Reply::Ended(told) => Heard::Ended { filter: named(&told.filter), code: told.code, lost: told.lost },
            Reply::Other(text) if text.starts_with("UnsubscribeAck") => {
                Heard::Unsubscribed { existed: text.contains("existed: true") }
            }
            Reply::Closed => Heard::Closed,
            Reply::Other(text) => panic!("{text}"),
        };
        step.heard[client].push(heard);
    }

    /// The board is as the model is.
    fn compare(&self, model: &Reference) {
        let board = self.broker.bus().board();
        let there = |session: &&reference::Session| !matches!(session.life, Life::Gone { .. });
        assert_eq!(board.sessions.len(), model.sessions.iter().filter(there).count(), "sessions");
        let mut subscriptions = 0;
        for (session, id) in model.sessions.iter().zip(&self.sessions).filter(|(session, _)| there(session)) {
            let row = &board.sessions[id];
            assert_eq!(row.epoch.0, session.epoch);
            match (&row.attachment, &session.life) {
                (Attachment::Attached { .. }, Life::Here { .. }) => {}
                (Attachment::Detached { held_by, .. }, Life::Away { held, .. }) => assert_eq!(held_by.is_some(), *held),
                (is, should) => panic!("{is:?} and not {should:?}"),
            }
            for (filter, (_, queue)) in &session.subscriptions {
                subscriptions += 1;
                let Depth { waiting, in_flight, poison, dropped, .. } =
                    board.subscriptions[&SubscriptionId { session: *id, filter: filter.parse().unwrap() }].depth;
                assert_eq!(([in_flight, waiting, poison], dropped), (queue.depths(), queue.dropped), "{filter}");
            }
        }
        assert_eq!(board.subscriptions.len(), subscriptions);
        assert!(board.topics.keys().map(TopicName::as_str).eq(model.topics.keys().copied()), "{:?}", board.topics);
        for (topic, backlog) in &model.topics {
            let told = board.topics[&topic.parse::<TopicName>().unwrap()].sample.as_ref().map_or(0, |sample| sample.backlog);
            assert_eq!(told, backlog.len() as u64, "{topic}");
        }
        assert_eq!(self.broker.counters().dropped, model.counted(), "what is lost is counted");
    }

    /// Each queue holds what the model says, to the message and its attempts.
    async fn look(&self, model: &Reference) {
        for (at, session) in model.sessions.iter().enumerate() {
            for (filter, (_, queue)) in &session.subscriptions {
                let look = Control::PeekQueue { subscription: self.subscription(at, filter), most: MAX_MESSAGES };
                let Outcome::Seen { peek } = order(&self.broker, look).await else { panic!("no look at {filter}") };
                assert_eq!(peek.messages.iter().map(seen).collect::<Vec<_>>(), queue.seen(), "{filter} of session {at}");
            }
        }
    }
}

fn handle(model: &Reference, client: usize, filter: &str) -> SubscriptionHandle {
    SubscriptionHandle(model.sessions[model.lines[client].unwrap()].subscriptions[filter].0)
}

fn named(filter: &Filter) -> &'static str {
    reference::FILTERS.into_iter().find(|known| *known == filter.as_str()).unwrap()
}

/// What an error says, in the model's words if they are its.
fn reason(code: Code, text: &str, model: &Reference) -> &'static str {
    if code == Code::Unavailable && text.contains("dropped") {
        return "dropped";
    }
    if code == Code::Forbidden && text.contains("forbidden by an operator") {
        return "forbidden";
    }
    let whys = model.sessions.iter().filter_map(|session| match session.life {
        Life::Gone { why } => Some(why),
        Life::Here { .. } | Life::Away { .. } => None,
    });
    whys.into_iter().find(|why| text == format!("the session {why}")).unwrap_or_else(|| panic!("{code}: {text}"))
}

fn message(got: &Got) -> Message {
    let topic = reference::TOPICS.into_iter().find(|topic| *topic == got.topic).unwrap();
    let (number, redelivered, returns) = (got.number, got.redelivered, got.returns);
    Message { number, topic, payload: got.text().parse().unwrap(), redelivered, returns, attempts: 0 }
}

fn seen(it: &Peeked) -> Seen {
    (it.place, it.number, str::from_utf8(&it.payload).unwrap().parse().unwrap(), it.attempts, it.redelivered)
}

impl StateMachineTest for Real {
    type SystemUnderTest = Self;
    type Reference = Reference;

    fn init_test(_: &Reference) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        let parts = runtime.block_on(Parts::start());
        Self { runtime, parts }
    }

    fn apply(mut real: Self, model: &Reference, transition: Transition) -> Self {
        let step = real.runtime.block_on(real.parts.step(transition, model));
        assert_eq!(step.heard, model.heard);
        assert_eq!(step.delivered, model.delivered);
        assert_eq!(step.answer, model.answer);
        real.parts.compare(model);
        real.runtime.block_on(real.parts.look(model));
        real
    }

    /// I1: whatever was accepted and is not settled is counted when it is lost: by the shutdown, or by the end of a session whose
    /// time came while the broker said goodbye.
    fn teardown(real: Self, model: Reference) {
        let lost = real.runtime.block_on(real.parts.broker.shutdown());
        assert!(lost.messages() <= model.held(), "{lost:?}");
        assert_eq!(real.parts.broker.counters().dropped, model.counted() + model.held());
    }
}

prop_state_machine! {
    #![proptest_config(Cases {
        cases: from_env("CORDBOARD_MODEL_CASES", 64) as u32,
        ..Cases::default()
    })]

    /// I1, I3, I4.
    #[test]
    fn the_broker_does_what_the_model_says(sequential 1..60 => Real);
}
