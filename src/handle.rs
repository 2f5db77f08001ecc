//! The handle: everything a program can do with a running broker. The console has no other door.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64},
    },
};

use ractor::{ActorRef, SpawnErr, rpc::CallResult};
use tokio::sync::watch;

use crate::{
    access::Access,
    actors::{BrokerMsg, Heart},
    bans::Bans,
    bus::Bus,
    clock::Clock,
    commons::Commons,
    config::Config,
    control::{Control, Order, Outcome},
    entropy::{Entropy, OsEntropy},
    events::Lost,
    faults::Faults,
    filter_table::FilterTable,
    gate::Gate,
    limits::Limits,
    net::{self, Accept},
    reload::Preview,
    repeats::Repeats,
    room::Room,
    stats::{Counters, Stats},
    timers::Timers,
    topic_table::TopicTable,
};

/// Why a broker did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The configuration is not sound.
    #[error(transparent)]
    Config(#[from] crate::config::ConfigError),
    /// An address cannot be listened on.
    #[error("cannot listen on {address}; choose another address, or end what listens there")]
    Listen {
        /// Which.
        address: SocketAddr,
        /// What the system says.
        source: std::io::Error,
    },
    /// An actor did not start.
    #[error("an actor did not start: {0}")]
    Actor(#[from] SpawnErr),
}

/// What a broker takes from the world around it, for those who have another than the operating system's: sockets of their own,
/// or a whole world that is simulated.
#[derive(Debug, Clone)]
pub struct Platform {
    /// Where it accepts connections; `listen` of the configuration is not looked at.
    pub endpoints: Vec<Arc<dyn Accept>>,
    /// What it makes session ids of.
    pub entropy: Arc<dyn Entropy>,
}

/// Starts brokers.
#[derive(Debug)]
pub struct Broker;

/// A running broker. Clones are the same one; it runs until [`shutdown`](Self::shutdown), whoever still holds a handle.
///
/// It is looked at by its [`bus`](Self::bus) and its [`counters`](Self::counters), and changed by [`order`](Self::order) alone.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use cordboard::{Broker, Client, Config};
///
/// let broker = Broker::start(Config { listen: vec!["127.0.0.1:0".parse()?], ..Config::default() }).await?;
/// let client = Client::connect(&broker.endpoints()[0].to_string()).await?;
/// // Nobody has subscribed: it waits in the topic's backlog.
/// client.publish("orders/eu", "two chairs").await?;
///
/// assert_eq!(broker.counters().published, 1);
/// assert!(broker.bus().board().topics.contains_key("orders/eu"));
/// // What a shutdown costs is said by it.
/// assert_eq!(broker.shutdown().await.backlog, 1);
/// assert!(broker.stopped().await, "in order, not by a failure");
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Handle {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    shared: Arc<Commons>,
    broker: ActorRef<BrokerMsg>,
    endpoints: Vec<SocketAddr>,
    gate: Arc<Gate>,
    /// None while it runs; then whether it ended in order.
    ended: watch::Receiver<Option<bool>>,
}

impl Broker {
    /// Starts a broker on the current tokio runtime; it accepts connections when this returns.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use cordboard::{Broker, Config};
    ///
    /// let broker = Broker::start(Config { listen: vec!["127.0.0.1:0".parse()?], ..Config::default() }).await?;
    /// assert_eq!(broker.endpoints().len(), 1);
    /// assert!(broker.shutdown().await.is_nothing());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`StartError`] if the configuration is not sound or an address cannot be listened on.
    pub async fn start(config: Config) -> Result<Handle, StartError> {
        config.validate()?;
        let mut endpoints: Vec<Arc<dyn Accept>> = Vec::new();
        for address in &config.listen {
            let listen = |source| StartError::Listen { address: *address, source };
            endpoints.push(Arc::new(net::listen(*address).map_err(listen)?));
        }
        Self::start_on(config, Platform { endpoints, entropy: Arc::new(OsEntropy) }).await
    }

    /// Starts a broker on `platform` instead of the operating system.
    ///
    /// # Errors
    /// [`StartError`] if the configuration is not sound.
    pub async fn start_on(mut config: Config, platform: Platform) -> Result<Handle, StartError> {
        config.validate()?;
        let Platform { endpoints, entropy } = platform;
        let addresses = endpoints.iter().filter_map(|endpoint| endpoint.local_addr().ok()).collect();
        let stats = Arc::<Stats>::default();
        let (timers, timer_task) = Timers::start(Arc::clone(&stats));
        let clock = Clock::start();
        let shared = Arc::new(Commons {
            clock,
            bus: Bus::new(clock),
            stats,
            timers,
            limits: Limits::default(),
            repeats: Repeats::default(),
            filters: FilterTable::default(),
            topics: TopicTable::default(),
            memory: Room::new(config.queues.all_bytes as u64),
            ingress: Room::new(config.publishing.ingress_bytes as u64),
            access: Arc::new(Access::new(std::mem::take(&mut config.users), Arc::clone(&entropy))),
            bans: Bans::new(config.orders.max_forbidden),
            entropy,
            accepting: AtomicBool::new(true),
            draining: AtomicBool::new(false),
            seconds: AtomicU64::new(0),
            faults: Faults::default(),
            stopping: watch::Sender::new(false),
            config,
        });
        let (heart, broker) = Heart::start(Arc::clone(&shared), endpoints).await?;
        let (sender, ended) = watch::channel(None);
        tokio::spawn(async move {
            heart.beat(sender).await;
            timer_task.abort();
        });
        let gate = Gate::new(Arc::clone(&shared), broker.clone());
        Ok(Handle { inner: Arc::new(Inner { shared, broker, endpoints: addresses, gate, ended }) })
    }
}

impl Handle {
    /// The bus: what happens, and the board of what is so now.
    pub fn bus(&self) -> &Bus {
        &self.inner.shared.bus
    }

    /// What its actors share, for unit tests of one of them.
    #[cfg(test)]
    pub(crate) fn shared(&self) -> &Arc<Commons> {
        &self.inner.shared
    }

    /// The addresses that are really listened on, in the order of the configuration.
    pub fn endpoints(&self) -> Vec<SocketAddr> {
        self.inner.endpoints.clone()
    }

    /// The broker's counters now.
    pub fn counters(&self) -> Counters {
        self.inner.shared.stats.read()
    }

    /// What tests let fail in this broker.
    #[cfg(feature = "faults")]
    #[doc(hidden)]
    pub fn faults(&self) -> &Faults {
        &self.inner.shared.faults
    }

    /// How often each limit was hit since the start, by the name of the key that sets it.
    pub fn limit_hits(&self) -> BTreeMap<&'static str, u64> {
        self.inner.shared.limits.totals()
    }

    /// True while orders are refused.
    pub fn is_read_only(&self) -> bool {
        self.inner.gate.is_read_only()
    }

    /// Refuses orders from now on, or takes them again.
    pub fn set_read_only(&self, on: bool) {
        self.inner.gate.set_read_only(on);
    }

    /// The gate: the one way to give an order. It is refused in read-only mode, to an operator who is a user without the
    /// right to operate on what it touches, and if it destroys and cannot be recorded; it waits there for the delay that was
    /// asked for, and goes on if whoever asked does not; then the actor that acts answers. The record of it goes to the bus, to
    /// the log target `cordboard::audit`, and to `audit.file`, one JSON object a line.
    ///
    /// An order is not an error when it fails: [`Outcome::Refused`] says what stood in the way and what would help. The
    /// [module of orders](crate::control) has an example.
    pub async fn order(&self, order: Order) -> Outcome {
        Arc::clone(&self.inner.gate).order(order).await
    }

    /// Says how the configuration is read again, for [`reload`](Self::reload) and
    /// [`Control::Reload`](crate::control::Control::Reload). Only the first call counts; without one, a reload is refused.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use cordboard::{Broker, Config, control::Outcome};
    /// let config = Config { listen: vec!["127.0.0.1:0".parse()?], ..Config::default() };
    /// let broker = Broker::start(config.clone()).await?;
    /// broker.reload_from(move || Ok(config.clone()));
    ///
    /// let preview = broker.preview_reload().await?;
    /// assert!(!preview.changes.is_of_users());
    /// assert!(matches!(broker.reload("ana").await, Outcome::Done { .. }));
    /// # Ok(())
    /// # }
    /// ```
    pub fn reload_from(&self, read: impl Fn() -> Result<Config, String> + Send + Sync + 'static) {
        self.inner.gate.reload_from(Box::new(read));
    }

    /// Reads the configuration and says what it would change; nothing is changed by it.
    ///
    /// # Errors
    /// What is wrong with it, and where; or why it cannot be taken at run time.
    pub async fn preview_reload(&self) -> Result<Preview, String> {
        self.inner.gate.preview().await
    }

    /// Reads the configuration again, as [`Control::Reload`](crate::control::Control::Reload) does but without asking the gate:
    /// `by` has a hand on the process itself, as whoever sends it a signal has. The record is the same.
    pub async fn reload(&self, by: &str) -> Outcome {
        Arc::clone(&self.inner.gate).order_in_hand(Order::new(by, Control::Reload { seen: None })).await
    }

    /// Drains and stops the broker, as [`Control::Shutdown`](crate::control::Control::Shutdown) does but without asking the
    /// gate: takes no more connections, lets publishers have their receipts, tells every client 503, all within `connections.drain_deadline`. Returns what queues and backlogs still held.
    pub async fn shutdown(&self) -> Lost {
        let lost = match self.inner.broker.call(BrokerMsg::Shutdown, None).await {
            Ok(CallResult::Success(lost)) => lost,
            // It has stopped already, or is being stopped by someone else.
            Ok(CallResult::Timeout | CallResult::SenderError) | Err(_) => Lost::default(),
        };
        self.stopped().await;
        lost
    }

    /// Drains and stops the broker as [`shutdown`](Self::shutdown) does, and records it: `by` has a hand on the process itself.
    /// What cannot be recorded is done all the same.
    pub async fn shutdown_by(&self, by: &str) -> Outcome {
        let outcome = Arc::clone(&self.inner.gate).order_in_hand(Order::new(by, Control::Shutdown)).await;
        self.stopped().await;
        outcome
    }

    /// Waits until the broker has ended and its orders are on record. True if in order, false if it failed.
    pub async fn stopped(&self) -> bool {
        let mut ended = self.inner.ended.clone();
        let result = ended.wait_for(Option::is_some).await.map(|ended| *ended);
        self.inner.gate.recorded().await;
        result.ok().flatten().unwrap_or(false)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn forbid() -> Control {
        Control::ForbidTopic { topic: "forbidden".parse().unwrap() }
    }

    /// Orders that meet a restart of the managers are answered, whatever they meet; what is forbidden stays so, and what waits
    /// still waits: both outlive the managers.
    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn orders_during_a_restart_of_the_managers_are_answered() {
        let mut config = Config { listen: vec!["127.0.0.1:0".parse().unwrap()], ..Config::default() };
        config.failures.manager_restarts = 1_000;
        let handle = Broker::start(config).await.unwrap();
        assert_eq!(handle.order(Order::new("ana", forbid())).await, Outcome::DONE);
        let waits = Order { delay_ms: 3_600_000, ..Order::new("ana", Control::Accept { on: false }) };
        let waiting = tokio::spawn({
            let handle = handle.clone();
            async move { handle.order(waits).await }
        });
        let topic = || "t".parse().unwrap();
        let session = || crate::name::SessionId::from_bytes([1; 16]);
        for round in 0..20 {
            let managers = loop {
                // None while those of the round before are still being started.
                match handle.inner.broker.get_cell().get_children() {
                    managers if managers.is_empty() => tokio::task::yield_now().await,
                    managers => break managers,
                }
            };
            let orders = [
                Control::KillTopic { topic: topic() },
                Control::PeekBacklog { topic: topic(), most: 1 },
                Control::EvictSession { session: session() },
                Control::Redeliver { subscription: format!("{}:t", session()).parse().unwrap() },
                Control::Accept { on: true },
                forbid(),
            ];
            let given: Vec<_> = orders
                .into_iter()
                .map(|control| {
                    let handle = handle.clone();
                    tokio::spawn(async move { handle.order(Order::new("ana", control)).await })
                })
                .collect();
            managers[round % managers.len()].kill();
            for order in given {
                let answered = tokio::time::timeout(Duration::from_secs(100), order).await;
                let outcome = answered.expect("it is answered").unwrap();
                assert!(!matches!(outcome, Outcome::Done { .. } | Outcome::Seen { .. }), "{outcome} in round {round}");
            }
        }
        let restarted = |handle: &Handle| handle.bus().board().broker.restarts > 0;
        assert!(restarted(&handle), "the managers were restarted");
        assert!(handle.inner.shared.bans.topic(&"forbidden".parse().unwrap()).is_some());
        let board = handle.bus().board();
        assert_eq!((board.forbidden.len(), board.waiting_orders.len()), (1, 1));
        handle.shutdown().await;
        assert!(matches!(waiting.await.unwrap(), Outcome::Refused { .. }));
    }
}
