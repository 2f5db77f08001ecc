//! The handle: everything a program can do with a running broker. The console has no other door.

use std::{
    collections::BTreeMap,
    fs::OpenOptions,
    io::{self, Write as _},
    net::SocketAddr,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use ractor::{ActorRef, SpawnErr, rpc::CallResult};
use tokio::{net::TcpListener, sync::watch};

use crate::{
    actors::{BrokerMsg, Heart},
    auth,
    bus::Bus,
    clock::{Clock, Moment},
    config::Config,
    control::{Control, Order, OrderRecord, Outcome},
    entropy::{Entropy, OsEntropy},
    events::{Event, Lost},
    faults::Faults,
    limits::Limits,
    net::Accept,
    room::Room,
    shared::{FilterTable, Shared},
    stats::{Counters, Stats},
    timers::Timers,
    topic_cell::CellTable,
};

/// How long an order may go unanswered before its outcome is called unknown, beyond the time after which whoever hangs with it
/// is ended, which answers it.
const ORDER: Duration = Duration::from_secs(5);

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
#[derive(Clone, Debug)]
pub struct Handle {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    shared: Arc<Shared>,
    broker: ActorRef<BrokerMsg>,
    endpoints: Vec<SocketAddr>,
    read_only: AtomicBool,
    audit: Option<PathBuf>,
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
            endpoints.push(Arc::new(TcpListener::bind(address).await.map_err(listen)?));
        }
        Self::start_on(config, Platform { endpoints, entropy: Arc::new(OsEntropy) }).await
    }

    /// Starts a broker on `platform` instead of the operating system.
    ///
    /// # Errors
    /// [`StartError`] if the configuration is not sound.
    pub async fn start_on(config: Config, platform: Platform) -> Result<Handle, StartError> {
        config.validate()?;
        let Platform { endpoints, entropy } = platform;
        let addresses = endpoints.iter().filter_map(|endpoint| endpoint.local_addr().ok()).collect();
        let audit = config.audit.file.clone();
        let stats = Arc::<Stats>::default();
        let (timers, timer_task) = Timers::start(Arc::clone(&stats));
        let clock = Clock::start();
        let shared = Arc::new(Shared {
            clock,
            bus: Bus::new(clock),
            stats,
            timers,
            limits: Limits::default(),
            filters: FilterTable::default(),
            topics: CellTable::default(),
            memory: Room::new(config.queues.all_bytes as u64),
            ingress: Room::new(config.publishing.ingress_bytes as u64),
            authenticator: auth::from_config(&config),
            entropy,
            accepting: AtomicBool::new(true),
            draining: AtomicBool::new(false),
            seconds: AtomicU64::new(0),
            faults: Faults::default(),
            config,
        });
        let (heart, broker) = Heart::start(Arc::clone(&shared), endpoints).await?;
        let (sender, ended) = watch::channel(None);
        tokio::spawn(async move {
            heart.beat(sender).await;
            timer_task.abort();
        });
        let read_only = AtomicBool::new(false);
        Ok(Handle { inner: Arc::new(Inner { shared, broker, endpoints: addresses, read_only, audit, ended }) })
    }
}

impl Handle {
    /// The bus: what happens, and the board of what is so now.
    pub fn bus(&self) -> &Bus {
        &self.inner.shared.bus
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
        self.inner.read_only.load(Relaxed)
    }

    /// Refuses orders from now on, or takes them again.
    pub fn set_read_only(&self, on: bool) {
        self.inner.read_only.store(on, Relaxed);
    }

    /// The gate: the one way to give an order. It is refused in read-only mode, and if it destroys and cannot be recorded; else
    /// the actor that acts answers. The record of it goes to the bus, to the log target `cordboard::audit`, and to
    /// `audit.file`, one JSON object a line.
    pub async fn order(&self, order: Order) -> Outcome {
        let shared = &self.inner.shared;
        let given = shared.clock.now();
        let queued_before = shared.bus.board().broker.depth.queued();
        let outcome = if let Err(why) = self.admit(&order, given).await {
            Outcome::Refused { why }
        } else {
            let sent = order.clone();
            // A shutdown has a deadline of its own.
            let patience = (order.control != Control::Shutdown).then_some(shared.config.failures.hang_after + ORDER);
            let call = self.inner.broker.call(|reply| BrokerMsg::Order { order: sent, reply }, patience);
            match call.await {
                Ok(CallResult::Success(outcome)) => outcome,
                Ok(CallResult::Timeout | CallResult::SenderError) => Outcome::Unknown,
                Err(_) => Outcome::Refused { why: "the broker has stopped".to_owned() },
            }
        };
        let queued = (queued_before, shared.bus.board().broker.depth.queued());
        let record = OrderRecord { order, given, queued, outcome: outcome.clone() };
        self.record(&record).await;
        shared.emit(Event::Order(record));
        outcome
    }

    /// Why an order is not even passed on. One that destroys leaves its intent on record before it is.
    async fn admit(&self, order: &Order, given: Moment) -> Result<(), String> {
        if self.is_read_only() {
            return Err("orders are not taken: read-only is on".to_owned());
        }
        if order.control.destroys() {
            let intent = serde_json::json!({ "intent": order, "given": given });
            self.write_down(&intent.to_string()).await.map_err(|error| format!("no audit record can be written: {error}"))?;
        }
        Ok(())
    }

    async fn record(&self, record: &OrderRecord) {
        let line = serde_json::to_string(record).unwrap_or_else(|error| format!("{{\"error\":\"{error}\"}}"));
        if let Err(error) = self.write_down(&line).await {
            tracing::error!(%error, "an audit record could not be written");
        }
    }

    /// One line of audit: to the log target, and to the file if there is one.
    async fn write_down(&self, line: &str) -> io::Result<()> {
        tracing::info!(target: "cordboard::audit", "{line}");
        let Some(file) = self.inner.audit.clone() else { return Ok(()) };
        let bytes = format!("{line}\n").into_bytes();
        let name = file.display().to_string();
        let write = move || OpenOptions::new().create(true).append(true).open(file)?.write_all(&bytes);
        let written = tokio::task::spawn_blocking(write).await.map_err(io::Error::other)?;
        written.map_err(|error| io::Error::new(error.kind(), format!("{name}: {error}")))
    }

    /// Drains and stops the broker, as [`Control::Shutdown`] does but without asking the gate: takes no more connections, lets publishers have their receipts, tells every client 503, all
    /// within `connections.drain_deadline`. Returns what queues and backlogs still held.
    pub async fn shutdown(&self) -> Lost {
        let lost = match self.inner.broker.call(BrokerMsg::Shutdown, None).await {
            Ok(CallResult::Success(lost)) => lost,
            // It has stopped already, or is being stopped by someone else.
            Ok(CallResult::Timeout | CallResult::SenderError) | Err(_) => Lost::default(),
        };
        self.stopped().await;
        lost
    }

    /// Waits until the broker has ended. True if in order, false if it failed.
    pub async fn stopped(&self) -> bool {
        let mut ended = self.inner.ended.clone();
        let result = ended.wait_for(Option::is_some).await.map(|ended| *ended);
        result.ok().flatten().unwrap_or(false)
    }
}
