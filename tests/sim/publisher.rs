//! A host that publishes, with the library's client: it leaves, forgets to leave, takes over from itself, crashes, and comes
//! back with nothing but its session's id.

use std::{cell::RefCell, rc::Rc, sync::Arc, time::Duration};

use cordboard::{Client, client::Backoff, entropy::Entropy, name::SessionId};
use tokio::{task, time};

use super::{
    TOPICS,
    judge::{Message, Stream},
    net::{PORT, Road},
    stage::{Stage, Weather},
};
use crate::fixture::{let_pass, rng::Rng};

/// What survives a crash.
pub(super) struct Memory {
    pub(super) rng: Rng,
    session: Option<SessionId>,
    /// Clients of it that began with a session of their own: order is promised from a client to whoever resumes its session.
    /// One that finds it gone is another publisher, for the one before may still come back, with yet another session.
    life: u32,
    made: [u64; TOPICS.len()],
    pub(super) done: bool,
}

impl Memory {
    pub(super) fn new(rng: Rng) -> Self {
        Self { rng, session: None, life: 0, made: [0; TOPICS.len()], done: false }
    }
}

#[derive(Clone)]
pub(super) struct Publisher {
    pub(super) stage: Rc<Stage>,
    pub(super) number: u32,
    pub(super) memory: Rc<RefCell<Memory>>,
    pub(super) entropy: Arc<dyn Entropy>,
}

impl Publisher {
    fn name(&self) -> String {
        format!("pub-{}", self.number)
    }

    fn below(&self, bound: u64) -> u64 {
        self.memory.borrow_mut().rng.below(bound)
    }

    fn note(&self, what: impl std::fmt::Display) {
        self.stage.note(&self.name(), what);
    }

    /// From a start to the next crash, or to the end.
    pub(super) async fn live(self) {
        while !self.memory.borrow().done {
            let Some(client) = self.connect().await else {
                let_pass(Duration::from_millis(100 + self.below(400))).await;
                continue;
            };
            if self.stage.weather() == Weather::Storm {
                self.publish_for_a_while(client).await;
            } else {
                self.finish(client).await;
            }
        }
    }

    async fn connect(&self) -> Option<Client> {
        let mut builder = Client::builder(&format!("broker:{PORT}"))
            .name(self.name())
            .connector(Arc::new(Road))
            .entropy(Arc::clone(&self.entropy))
            .connect_timeout(Duration::from_secs(2))
            .reconnect(Backoff { first: Duration::from_millis(50), max: Duration::from_secs(1), ..Backoff::default() });
        let session = self.memory.borrow().session;
        if let Some(session) = session {
            builder = builder.session(session);
        }
        let client = builder.connect().await.inspect_err(|error| self.note(format_args!("cannot connect: {error}"))).ok()?;
        self.note(format_args!("connected to {}, resumed: {}", client.session(), client.resumed()));
        let mut memory = self.memory.borrow_mut();
        memory.session = Some(client.session());
        memory.life += u32::from(!client.resumed());
        drop(memory);
        Some(client)
    }

    async fn publish_for_a_while(&self, client: Client) {
        while self.stage.weather() == Weather::Storm {
            for _ in 0..self.below(12) {
                if !self.publish(&client).await {
                    return self.lost(&client);
                }
            }
            // The client may have got another one by itself.
            self.memory.borrow_mut().session = Some(client.session());
            match self.below(40) {
                0 => return drop(time::timeout(Duration::from_secs(5), client.close()).await),
                1 => return drop(client),
                2 => {
                    self.memory.borrow_mut().session = None;
                    return drop(time::timeout(Duration::from_secs(5), client.end()).await);
                }
                3 => {
                    self.note("takes over from itself");
                    if let Some(next) = self.connect().await {
                        drop(client);
                        return Box::pin(self.publish_for_a_while(next)).await;
                    }
                }
                _ => let_pass(Duration::from_millis(self.below(300))).await,
            }
        }
        self.finish(client).await;
    }

    /// The client is over: evicted, or displaced by itself.
    fn lost(&self, client: &Client) {
        self.note("its client is over");
        self.memory.borrow_mut().session = Some(client.session());
    }

    /// False if the client is over.
    async fn publish(&self, client: &Client) -> bool {
        let message = {
            let mut memory = self.memory.borrow_mut();
            let topic = memory.rng.below(TOPICS.len() as u64) as usize;
            memory.made[topic] += 1;
            Message { stream: Stream { publisher: self.number, life: memory.life, topic }, n: memory.made[topic] }
        };
        self.stage.catch_up();
        self.stage.judge.borrow_mut().begins(message);
        let enqueued = client.enqueue(TOPICS[message.stream.topic], message.to_string());
        let pending = match time::timeout(Duration::from_secs(3), enqueued).await {
            Ok(Ok(pending)) => pending,
            Ok(Err(error)) => {
                self.note(format_args!("{message}: {error}"));
                return false;
            }
            // Nothing was taken from it: it was never sent.
            Err(_) => return true,
        };
        let witness = self.clone();
        task::spawn_local(async move {
            match pending.await {
                Ok(()) => {
                    witness.note(format_args!("{message}: accepted"));
                    witness.stage.judge.borrow_mut().is_acknowledged(message);
                }
                Err(error) => witness.note(format_args!("{message}: {error}")),
            }
        });
        true
    }

    /// Waits until everything is settled, and leaves for good.
    async fn finish(&self, client: Client) {
        self.memory.borrow_mut().session = Some(client.session());
        if time::timeout(Duration::from_secs(20), client.end()).await.is_ok() {
            self.memory.borrow_mut().done = true;
            self.note("is done");
        }
    }
}
