//! How a client is made.

use std::{fmt, sync::Arc, time::Duration};

use super::{Client, ConnectError, Door, backoff::Backoff, driver, hub::Hub, register, state::State};
use crate::{
    entropy::{Entropy, OsEntropy},
    name::{ClientName, SessionId},
    net::{Connect, Tcp},
    wire::RegistrationRequest,
};

/// Name look-up, connection and registration together take at most this long, unless told otherwise.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// A client to be. Made by [`Client::builder`].
///
/// A process that is restarted finds its session again, with all that has come for it, if it has kept the id:
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let config = cordboard::Config { listen: vec!["127.0.0.1:0".parse()?], ..Default::default() };
/// # let broker = cordboard::Broker::start(config).await?;
/// # let address = &broker.endpoints()[0].to_string();
/// use std::time::Duration;
///
/// use cordboard::Client;
///
/// let client = Client::builder(address).name("billing").reclaim_after(Duration::from_mins(10)).connect().await?;
/// drop(client.subscribe("orders/#").await?);
/// let kept = client.session();
/// client.close().await?;
/// # let other = Client::connect(address).await?;
/// # other.publish("orders/eu", "two chairs").await?;
///
/// // Someone publishes; then, in the next process:
/// let client = Client::builder(address).name("billing").session(kept).connect().await?;
/// assert!(client.resumed());
/// let mut orders = client.subscribe("orders/#").await?;
/// assert!(orders.existing(), "what it held comes first");
/// assert_eq!(orders.next().await.expect("it waited").payload, "two chairs");
/// # Ok(()) }
/// ```
#[must_use = "nothing happens before connect"]
pub struct Builder {
    settings: register::Settings,
    session: Option<SessionId>,
    backoff: Backoff,
}

impl Builder {
    pub(super) fn new(address: &str) -> Self {
        let request = RegistrationRequest::new("client");
        let settings = register::Settings {
            address: register::with_port(address),
            connector: Arc::new(Tcp),
            entropy: Arc::new(OsEntropy),
            request,
            connect_timeout: CONNECT_TIMEOUT,
        };
        Self { settings, session: None, backoff: Backoff::default() }
    }

    /// What the client calls itself, for the operator who sees it: at most 128 bytes of what can be seen. It need not be unique.
    /// One that breaks a rule is an error of [`connect`](Self::connect).
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.settings.request.name = name.into();
        self
    }

    /// Who the client is, and the proof.
    pub fn credentials(mut self, user: impl Into<String>, password: impl Into<String>) -> Self {
        self.settings.request.user = Some(user.into());
        self.settings.request.password = Some(password.into().into());
        self
    }

    /// The session to resume, with its subscriptions and what they hold. If it is not there any more, the client gets a new
    /// one, and [`Client::lost_session`] says so.
    pub fn session(mut self, session: SessionId) -> Self {
        self.session = Some(session);
        self
    }

    /// Wishes a keep-alive time: a broker or network that has gone silent is noticed after one and a half of it. The broker
    /// grants from 500 ms to its own `connections.keep_alive`, which is 30 s unless it is configured otherwise.
    pub fn keep_alive(mut self, keep_alive: Duration) -> Self {
        self.settings.request.keep_alive_ms = Some(keep_alive.as_millis() as u64);
        self
    }

    /// Wishes that the session waits this long for its client after a loss. The broker grants at most its
    /// `sessions.max_reclaim_after`, 24 h unless it is configured otherwise; without a wish it is `sessions.reclaim_after`, 90 s.
    pub fn reclaim_after(mut self, reclaim_after: Duration) -> Self {
        self.settings.request.reclaim_ms = Some(reclaim_after.as_millis() as u64);
        self
    }

    /// When to come back after a loss; [`Backoff::NEVER`] for not at all.
    pub fn reconnect(mut self, backoff: Backoff) -> Self {
        self.backoff = backoff;
        self
    }

    /// How long one attempt to connect and register may take; 10 s unless told otherwise.
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.settings.connect_timeout = timeout;
        self
    }

    /// Gets to the broker in another way than over TCP.
    pub fn connector(mut self, connector: Arc<dyn Connect>) -> Self {
        self.settings.connector = connector;
        self
    }

    /// Takes random bits, which only spread reconnects, from elsewhere than the operating system.
    pub fn entropy(mut self, entropy: Arc<dyn Entropy>) -> Self {
        self.settings.entropy = entropy;
        self
    }

    /// Connects and registers, once: [`Builder::reconnect`] holds for later losses.
    ///
    /// # Errors
    /// A [`ConnectError`] that says whether nobody answered or the broker refused.
    pub async fn connect(self) -> Result<Client, ConnectError> {
        let Self { settings, session, backoff } = self;
        settings.request.name.parse::<ClientName>()?;
        let registered = register::register(&settings, session, None).await?;
        let shared = Arc::new(Hub::new(State::new(registered.response, registered.lost)));
        tokio::spawn(driver::run(Arc::clone(&shared), settings, backoff, registered.connection));
        Ok(Client { door: Arc::new(Door { shared }) })
    }
}

impl fmt::Debug for Builder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The password's own Debug hides it.
        f.debug_struct("Builder").field("settings", &self.settings).field("session", &self.session).finish_non_exhaustive()
    }
}
