//! The handle: everything a program can do with a running broker. The console has no other door.

mod reload;

use std::{
    collections::BTreeMap,
    fmt,
    fs::OpenOptions,
    hash::RandomState,
    io::{self, Write as _},
    net::SocketAddr,
    path::PathBuf,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use ractor::{Actor as _, ActorRef, ActorStatus, RpcReplyPort, SpawnErr, rpc::CallResult};
use tokio::{net::TcpListener, sync::watch};

use crate::{
    access::Access,
    actors::{self, BrokerMsg},
    auth,
    bus::Bus,
    clock::{Clock, Moment},
    config::Config,
    control::{Control, Order, OrderRecord, Outcome},
    entropy::{Entropy, OsEntropy},
    events::{Event, Lost},
    limits::Limits,
    name::Printable,
    net::Accept,
    room::Room,
    shared::{FilterTable, Shared},
    stats::{Counters, Stats},
    timers::Timers,
};

/// How long an order may go unanswered before its outcome is called unknown.
const ORDER: Duration = Duration::from_secs(10);

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

struct Inner {
    shared: Arc<Shared>,
    broker: ActorRef<BrokerMsg>,
    endpoints: Vec<SocketAddr>,
    read_only: AtomicBool,
    audit: Option<PathBuf>,
    /// None while it runs; then whether it ended in order.
    ended: watch::Receiver<Option<bool>>,
    /// How the configuration is read again, if it can be.
    source: OnceLock<reload::Source>,
    /// Marks configurations that were read.
    marks: RandomState,
    /// Held from reading to taking, so that what was read first is not taken last.
    reloading: tokio::sync::Mutex<()>,
}

impl fmt::Debug for Inner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inner").field("endpoints", &self.endpoints).finish_non_exhaustive()
    }
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
    pub async fn start_on(mut config: Config, platform: Platform) -> Result<Handle, StartError> {
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
            memory: Room::new(config.queues.all_bytes as u64),
            ingress: Room::new(config.publishing.ingress_bytes as u64),
            access: Arc::new(Access::new(std::mem::take(&mut config.users), Arc::clone(&entropy))),
            entropy,
            accepting: AtomicBool::new(true),
            draining: AtomicBool::new(false),
            restarting: AtomicBool::new(false),
            config,
        });
        let arguments = actors::Arguments { shared: Arc::clone(&shared), endpoints };
        let (broker, task) = actors::Broker::spawn(None, actors::Broker, arguments).await?;
        let (sender, ended) = watch::channel(None);
        tokio::spawn({
            let (broker, shared) = (broker.clone(), Arc::clone(&shared));
            async move {
                // The task ends when the actor has, however it did; how, the board knows.
                let _ = task.await;
                debug_assert_eq!(broker.get_status(), ActorStatus::Stopped);
                timer_task.abort();
                sender.send_replace(Some(shared.bus.board().broker.stopped));
            }
        });
        let read_only = AtomicBool::new(false);
        let (source, marks, reloading) = (OnceLock::new(), RandomState::new(), tokio::sync::Mutex::default());
        Ok(Handle {
            inner: Arc::new(Inner { shared, broker, endpoints: addresses, read_only, audit, ended, source, marks, reloading }),
        })
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

    /// The gate: the one way to give an order. It is refused in read-only mode, to an operator who is a user without the
    /// right to operate on what it touches, and if it destroys and cannot be recorded; else the actor that acts answers. The record of it goes to the bus, to the log target `cordboard::audit`, and to
    /// `audit.file`, one JSON object a line.
    pub async fn order(&self, order: Order) -> Outcome {
        self.carry_out(order, true).await
    }

    /// Carries an order out, if the gate (where it is asked) lets it pass, and records how it ended.
    async fn carry_out(&self, order: Order, gate: bool) -> Outcome {
        let shared = &self.inner.shared;
        let given = shared.clock.now();
        let queued_before = shared.bus.board().broker.depth.queued();
        let outcome = match self.admit(&order, given, gate).await {
            Ok(()) => self.pass_on(&order).await,
            Err(why) => Outcome::Refused { why },
        };
        let queued = (queued_before, shared.bus.board().broker.depth.queued());
        let record = OrderRecord { order, given, queued, outcome: outcome.clone() };
        self.record(&record).await;
        shared.emit(Event::Order(record));
        outcome
    }

    /// The order goes to whoever acts, and the answer comes back.
    async fn pass_on(&self, order: &Order) -> Outcome {
        let sent = order.clone();
        match order.control {
            Control::Reload { seen } => {
                let _turn = self.inner.reloading.lock().await;
                match self.configuration(seen).await {
                    Ok(config) => self.ask(|reply| BrokerMsg::Reload { config, by: sent.operator, reply }, Some(ORDER)).await,
                    Err(why) => Outcome::Refused { why },
                }
            }
            // It has a deadline of its own.
            Control::Shutdown => self.ask(|reply| BrokerMsg::Order { order: sent, reply }, None).await,
            _ => self.ask(|reply| BrokerMsg::Order { order: sent, reply }, Some(ORDER)).await,
        }
    }

    async fn ask(&self, message: impl FnOnce(RpcReplyPort<Outcome>) -> BrokerMsg, patience: Option<Duration>) -> Outcome {
        match self.inner.broker.call(message, patience).await {
            Ok(CallResult::Success(outcome)) => outcome,
            Ok(CallResult::Timeout | CallResult::SenderError) => Outcome::Unknown,
            Err(_) => Outcome::Refused { why: "the broker has stopped".to_owned() },
        }
    }

    /// Why an order is not even passed on. One that destroys leaves its intent on record before it is.
    async fn admit(&self, order: &Order, given: Moment, gate: bool) -> Result<(), String> {
        if gate {
            if self.is_read_only() {
                return Err("orders are not taken: read-only is on".to_owned());
            }
            self.has_the_right(order)?;
        }
        if order.control.destroys() {
            let intent = serde_json::json!({ "intent": order, "given": given });
            self.write_down(&intent.to_string()).await.map_err(|error| format!("no audit record can be written: {error}"))?;
        }
        Ok(())
    }

    /// An operator who is a user needs the right to operate. One who is not has the process in hand, and may do everything.
    fn has_the_right(&self, order: &Order) -> Result<(), String> {
        let Some(rights) = order.operator.parse().ok().and_then(|operator| self.inner.shared.access.rights_of(&operator)) else {
            return Ok(());
        };
        if auth::may_order(&rights, &order.control) {
            return Ok(());
        }
        let (operator, touched) = (Printable(&order.operator), auth::touched(&order.control));
        Err(format!("{operator} has no right to operate on {touched} (users.allow.operate, users.deny.operate)"))
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
