//! The client: publish, subscribe, and never think about the connection.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let config = cordboard::Config { listen: vec!["127.0.0.1:0".parse()?], ..Default::default() };
//! # let broker = cordboard::Broker::start(config).await?;
//! # let address = &broker.endpoints()[0].to_string();
//! use cordboard::Client;
//!
//! let client = Client::connect(address).await?;
//! let mut orders = client.subscribe("orders/#").await?;
//!
//! client.publish("orders/eu", "two chairs").await?;
//!
//! let order = orders.next().await.expect("the client is open");
//! assert_eq!(order.topic.as_str(), "orders/eu");
//! assert_eq!(order.payload, "two chairs");
//! client.end().await?;
//! # Ok(()) }
//! ```
//!
//! What it promises:
//!
//! - **Publishing.** [`Client::publish`] returns when the broker has accepted the message. [`Client::enqueue`] only waits while
//!   too much is unsettled, as the broker has granted; many messages then share one write. What is unsettled is kept and sent
//!   again, under the same number, when the session is resumed, and the broker takes it once.
//! - **Subscribing.** Only what was taken from a stream is acknowledged. A stream that nobody reads stops its own flow, at the
//!   broker, and holds at most one window of messages here; no other stream waits for it.
//! - **Losses.** A lost connection is made again, with growing and jittered waits, and the session resumed. If the session is
//!   gone, its subscriptions are made again in a new one; messages that had been sent and not settled fail with
//!   [`PublishError::OutcomeUnknown`], those not yet sent go out as if nothing had happened. [`Client::events`] tells of it all.
//! - **Ends.** It does not come back from an eviction, from another connection that takes its session, or from a refusal that
//!   would be repeated ([`ClientEnd`]).

mod backoff;
mod builder;
mod chunk;
mod delivery;
mod driver;
mod error;
mod event;
mod hub;
mod inbox;
mod ledger;
mod publisher;
mod register;
mod settlement;
mod state;
mod subscription;
#[cfg(test)]
mod tests;

use std::{sync::Arc, time::Duration};

pub use backoff::Backoff;
pub use builder::Builder;
pub use delivery::{Delivery, Held};
pub use error::{ClientEnd, ConnectError, FlushError, PingError, PublishError, SubscribeError};
pub use event::{ClientEvent, Events, LostSession, SubscriptionOver};
pub use publisher::Publisher;
pub use settlement::Pending;
pub use state::SubscribeOptions;
pub use subscription::{ExplicitSubscription, Subscription};

use crate::{
    name::{Filter, NameError, SessionId, TopicName},
    wire::Headers,
};
use hub::{Hub, Topic};

/// A client of a broker. Clones are the same client; when the last clone and the last stream are dropped, it leaves, and its
/// session waits at the broker to be resumed until it is reclaimed.
#[derive(Debug, Clone)]
pub struct Client {
    door: Arc<Door>,
}

/// The users' end of what they share with the background task; the task itself holds none, so it sees the last one go.
#[derive(Debug)]
struct Door {
    shared: Arc<Hub>,
}

impl Drop for Door {
    fn drop(&mut self) {
        self.shared.close(false);
    }
}

impl Client {
    /// Connects to `address` (`host` or `host:port`) with all defaults.
    ///
    /// # Errors
    /// A [`ConnectError`] that says whether nobody answered or the broker refused.
    pub async fn connect(address: &str) -> Result<Self, ConnectError> {
        Self::builder(address).connect().await
    }

    /// A client for `address` (`host` or `host:port`), to be adjusted before it connects.
    pub fn builder(address: &str) -> Builder {
        Builder::new(address)
    }

    /// The session's id. Kept, it finds the session again: [`Builder::session`].
    pub fn session(&self) -> SessionId {
        self.door.shared.state().registration.session
    }

    /// True if the present connection found a session that was there before.
    pub fn resumed(&self) -> bool {
        self.door.shared.state().registration.resumed
    }

    /// The session that was asked for and is not there any more.
    pub fn lost_session(&self) -> Option<LostSession> {
        self.door.shared.state().lost_session.clone()
    }

    /// The broker's name and version, in its words.
    pub fn server(&self) -> String {
        self.door.shared.state().registration.server.clone()
    }

    /// What happens to the client from now on.
    pub fn events(&self) -> Events {
        Events(self.door.shared.events())
    }

    /// Publishes, and waits until the broker has accepted: from then on the message is in the queue of every subscription that
    /// matched, or waits for a first one. Dropping the future half-way does not take back what was sent.
    ///
    /// # Errors
    /// A [`PublishError`] that says whether it was refused, or has no known outcome.
    pub async fn publish(&self, topic: &str, payload: impl AsRef<[u8]>) -> Result<(), PublishError> {
        self.enqueue(topic, payload).await?.await
    }

    /// Publishes without waiting for the broker, except while too much is unsettled. The answer is a future: await it to learn
    /// what became of this message, or drop it and [`flush`](Self::flush) later.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let config = cordboard::Config { listen: vec!["127.0.0.1:0".parse()?], ..Default::default() };
    /// # let broker = cordboard::Broker::start(config).await?;
    /// # let client = cordboard::Client::connect(&broker.endpoints()[0].to_string()).await?;
    /// for reading in 0..10_000 {
    ///     client.enqueue("readings", format!("{reading}")).await?;
    /// }
    /// client.flush().await?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// The topic breaks a rule, the message is too large, or the client is over.
    pub async fn enqueue(&self, topic: &str, payload: impl AsRef<[u8]>) -> Result<Pending, PublishError> {
        self.door.shared.enqueue(Topic::Unchecked(topic), Headers::NONE, payload.as_ref()).await
    }

    /// A publisher for one topic: for headers and times to live.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let config = cordboard::Config { listen: vec!["127.0.0.1:0".parse()?], ..Default::default() };
    /// # let broker = cordboard::Broker::start(config).await?;
    /// # let client = cordboard::Client::connect(&broker.endpoints()[0].to_string()).await?;
    /// let prices = client.topic("prices/oil")?.header("content-type", "text/plain")?.ttl(std::time::Duration::from_secs(5))?;
    /// prices.publish("81.20").await?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// The topic breaks a rule.
    pub fn topic(&self, topic: &str) -> Result<Publisher, NameError> {
        let topic = TopicName::parse(topic, &self.door.shared.state().rules())?;
        Ok(Publisher::new(Arc::clone(&self.door), topic))
    }

    /// Waits until everything published so far is settled.
    ///
    /// # Errors
    /// How many messages were not accepted since the last flush, and why the first was not.
    pub async fn flush(&self) -> Result<(), FlushError> {
        self.door.shared.flush(false).await
    }

    /// Subscribes. What anyone publishes after this has returned is delivered.
    ///
    /// If the session has the subscription already, because it was resumed or its stream was dropped, what it holds comes first.
    ///
    /// # Errors
    /// The filter breaks a rule, this client reads it already, the broker refuses, or the client is over.
    pub async fn subscribe(&self, filter: &str) -> Result<Subscription, SubscribeError> {
        self.subscribe_with(filter, SubscribeOptions::default()).await
    }

    /// Subscribes, with wishes.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let config = cordboard::Config { listen: vec!["127.0.0.1:0".parse()?], ..Default::default() };
    /// # let broker = cordboard::Broker::start(config).await?;
    /// # let client = cordboard::Client::connect(&broker.endpoints()[0].to_string()).await?;
    /// # let other = client.clone();
    /// # tokio::spawn(async move { other.publish("invoices/7", "42.00").await });
    /// # fn print_invoice(_: &[u8]) -> Result<(), std::io::Error> { Ok(()) }
    /// use cordboard::client::SubscribeOptions;
    ///
    /// let options = SubscribeOptions { ack_timeout: Some(std::time::Duration::from_secs(300)) };
    /// let mut invoices = client.subscribe_with("invoices/+", options).await?.explicit();
    /// while let Some(invoice) = invoices.next().await {
    ///     match print_invoice(&invoice.payload) {
    ///         Ok(()) => invoice.ack(),
    ///         Err(_) if invoice.redelivered => invoice.poison(),
    ///         Err(_) => invoice.again(),
    ///     }
    /// #   break;
    /// }
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// As [`subscribe`](Self::subscribe).
    pub async fn subscribe_with(&self, filter: &str, options: SubscribeOptions) -> Result<Subscription, SubscribeError> {
        let (inbox, existing) = self.door.shared.subscribe(filter, options).await?;
        Ok(Subscription::new(inbox, Arc::clone(&self.door), existing))
    }

    /// Subscriptions of the session that no stream reads: they survived a resume, or their streams were dropped. Nothing of
    /// theirs is acknowledged; [`subscribe`](Self::subscribe) takes one up, [`unsubscribe`](Self::unsubscribe) ends it.
    pub fn unclaimed(&self) -> Vec<Filter> {
        self.door.shared.state().unclaimed()
    }

    /// Ends a subscription at the broker, with all it holds. True if it was there.
    ///
    /// # Errors
    /// The client is over.
    pub async fn unsubscribe(&self, filter: &Filter) -> Result<bool, SubscribeError> {
        self.door.shared.unsubscribe(filter).await
    }

    /// Leaves: settles what was published while there is a connection, acknowledges what was taken, and says goodbye. The
    /// session, with its subscriptions, waits at the broker until it is resumed or reclaimed. All clones are over with it.
    ///
    /// # Errors
    /// How many messages were not accepted since the last flush, and why the first was not.
    pub async fn close(self) -> Result<(), FlushError> {
        self.leave(false).await
    }

    /// As [`close`](Self::close), and the session ends: its subscriptions, and the messages they hold, are gone.
    ///
    /// # Errors
    /// As [`close`](Self::close).
    pub async fn end(self) -> Result<(), FlushError> {
        self.leave(true).await
    }

    async fn leave(self, end: bool) -> Result<(), FlushError> {
        let settled = self.door.shared.flush(true).await;
        self.door.shared.close(end);
        self.door.shared.ended().await;
        // What could not be settled has failed by now.
        settled.and(self.door.shared.flush(false).await)
    }

    /// Asks the broker whether it is there, and answers how long it took to say so: a round trip through the connection and the
    /// broker's own tasks, with no message involved. It waits as long as the connection lives; put a time on it if that matters.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let config = cordboard::Config { listen: vec!["127.0.0.1:0".parse()?], ..Default::default() };
    /// # let broker = cordboard::Broker::start(config).await?;
    /// # let client = cordboard::Client::connect(&broker.endpoints()[0].to_string()).await?;
    /// let took = client.ping().await?;
    /// println!("the broker answered in {took:?}");
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// There is no connection now, or the client is over.
    pub async fn ping(&self) -> Result<Duration, PingError> {
        self.door.shared.ping().await
    }

    /// Resolves when the client is over, and says why.
    pub async fn ended(&self) -> ClientEnd {
        self.door.shared.ended().await
    }
}
