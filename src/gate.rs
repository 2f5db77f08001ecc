//! The gate: what every order goes through. It refuses in read-only mode, waits out delays, keeps the audit, and passes on to
//! the actor that acts. An order belongs to the gate from the moment it is given: whoever gave it may go.

mod audit;
mod reload;

use std::{
    collections::HashMap,
    io,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use ractor::{ActorRef, RpcReplyPort, rpc::CallResult};
use tokio::{
    sync::{oneshot, watch},
    time::{Instant, sleep_until, timeout},
};

use self::{
    audit::{Audit, Pending},
    reload::Source,
};
use crate::{
    actors::BrokerMsg,
    auth,
    commons::Commons,
    control::{About, Control, Order, OrderRecord, Outcome},
    events::Event,
    limits::Limit,
    name::Printable,
};

/// How long an order may go unanswered before its outcome is called unknown, beyond the time after which whoever hangs with it is
/// ended, which answers it. A drain and a shutdown have their own deadline.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long the last records may take to be written when the broker has ended.
const LAST_RECORDS: Duration = Duration::from_secs(1);
/// The longest name of an operator, and the longest reason, in bytes: they are kept, shown, and told to clients.
const MAX_OPERATOR_BYTES: usize = 255;
const MAX_REASON_BYTES: usize = 1_000;

/// Where orders are given.
#[derive(Debug)]
pub(crate) struct Gate {
    shared: Arc<Commons>,
    broker: ActorRef<BrokerMsg>,
    read_only: AtomicBool,
    audit: Audit,
    last: AtomicU64,
    source: Arc<Source>,
    /// Orders that wait out their delay, and the way to stop each. Whoever takes one out decides what becomes of it.
    waiting: Mutex<HashMap<u64, oneshot::Sender<String>>>,
    /// How many orders are not on record yet.
    under_way: watch::Sender<usize>,
}

/// Counts an order from when it is given until it is on record.
struct UnderWay<'a>(&'a watch::Sender<usize>);

impl<'a> UnderWay<'a> {
    fn begin(orders: &'a watch::Sender<usize>) -> Self {
        orders.send_modify(|count| *count += 1);
        Self(orders)
    }
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.0.send_modify(|count| *count -= 1);
    }
}

/// By what someone may give an order.
#[derive(Debug, Clone, Copy)]
enum Standing {
    /// By a user's right to operate.
    User,
    /// By having the process in hand.
    InHand,
}

impl Gate {
    pub(crate) fn new(shared: Arc<Commons>, broker: ActorRef<BrokerMsg>) -> Arc<Self> {
        let audit = Audit::new(shared.config.audit.file.clone());
        let (read_only, last, waiting) = (AtomicBool::new(false), AtomicU64::new(0), Mutex::default());
        let (source, under_way) = (Arc::default(), watch::Sender::new(0));
        Arc::new(Self { shared, broker, read_only, audit, last, source, waiting, under_way })
    }

    /// Waits, for a moment, until every order is on record: the broker has ended, and all have been answered.
    pub(crate) async fn recorded(&self) {
        let mut under_way = self.under_way.subscribe();
        // A disk that hangs holds up nobody's end.
        let _ = timeout(LAST_RECORDS, under_way.wait_for(|orders| *orders == 0)).await;
    }

    pub(crate) fn is_read_only(&self) -> bool {
        self.read_only.load(Relaxed)
    }

    pub(crate) fn set_read_only(&self, on: bool) {
        self.read_only.store(on, Relaxed);
    }

    /// Takes an order to its end, whether or not the caller stays to hear of it.
    pub(crate) async fn order(self: Arc<Self>, order: Order) -> Outcome {
        tokio::spawn(async move { self.take(order, false).await }).await.unwrap_or(Outcome::Unknown)
    }

    /// An order by someone who has a hand on the process itself, and need not ask.
    pub(crate) async fn order_in_hand(self: Arc<Self>, order: Order) -> Outcome {
        tokio::spawn(async move { self.take(order, true).await }).await.unwrap_or(Outcome::Unknown)
    }

    async fn take(&self, order: Order, in_hand: bool) -> Outcome {
        let _under_way = UnderWay::begin(&self.under_way);
        let (number, given) = (self.last.fetch_add(1, Relaxed) + 1, self.shared.clock.now());
        let about = self.about(&order.control);
        let mut queued = (self.queued(), 0);
        let outcome = match self.pass(Pending { number, order: &order, about: about.as_ref(), given, due: None }, in_hand).await {
            Ok(()) => {
                queued.0 = self.queued();
                self.carry_out(order.clone()).await
            }
            Err(ended) => ended,
        };
        queued.1 = self.queued();
        let ended = self.shared.clock.now();
        let record = OrderRecord { number, order, about, given, ended, queued, outcome: outcome.on_record() };
        self.record(&record).await;
        self.shared.emit(record.into());
        outcome
    }

    /// Whom an order is about, as long as that is known.
    fn about(&self, control: &Control) -> Option<About> {
        let board = self.shared.bus.board();
        let row = board.sessions.get(&control.session()?)?;
        Some(About { client: row.client.clone(), principal: row.principal.clone(), peer: row.peer })
    }

    fn queued(&self) -> u64 {
        self.shared.held().queued
    }

    /// All that stands between an order and its deed. `Err` is how it ends here.
    async fn pass(&self, asked: Pending<'_>, in_hand: bool) -> Result<(), Outcome> {
        let order = asked.order;
        if !in_hand {
            let standing = self.admit(order)?;
            if order.delay_ms > 0 {
                self.delay(asked).await?;
                self.admit_again(order, standing)?;
            }
        }
        if order.control.destroys() || order.control.reveals() {
            match self.audit.intent(self.shared.clock.now(), asked).await {
                Ok(()) => {}
                // A process that is told to end ends.
                Err(error) if in_hand && order.control == Control::Shutdown => {
                    tracing::error!(%error, "the end of the broker could not be recorded");
                }
                Err(error) => return Err(not_recorded(&error)),
            }
        }
        Ok(())
    }

    /// Its time has come, and much may have changed meanwhile. Whoever gave it by a user's right needs that right still: a user
    /// who is gone must not pass for someone who needs none.
    fn admit_again(&self, order: &Order, given_as: Standing) -> Result<(), Outcome> {
        match (given_as, self.admit(order)?) {
            (Standing::User, Standing::InHand) => Err(Outcome::refused(format!(
                "{} gave this order as a user, and is none any more; give it again",
                Printable(&order.operator)
            ))),
            (Standing::User, Standing::User) | (Standing::InHand, _) => Ok(()),
        }
    }

    fn admit(&self, order: &Order) -> Result<Standing, Outcome> {
        if self.is_read_only() && !order.control.is_harmless() {
            return Err(Outcome::refused("orders are not taken: read-only is on"));
        }
        for (what, text, max) in
            [("operator's name", &order.operator, MAX_OPERATOR_BYTES), ("reason", &order.reason, MAX_REASON_BYTES)]
        {
            if text.len() > max {
                return Err(Outcome::refused(format!("the {what} has {} bytes; use at most {max}", text.len())));
            }
        }
        self.has_the_right(order)
    }

    /// An operator who is a user needs the right to operate. One who is not has the process in hand, and may do everything.
    fn has_the_right(&self, order: &Order) -> Result<Standing, Outcome> {
        let Some(rights) = order.operator.parse().ok().and_then(|operator| self.shared.access.rights_of(&operator)) else {
            return Ok(Standing::InHand);
        };
        if auth::may_order(&rights, &order.control) {
            return Ok(Standing::User);
        }
        let (operator, touched) = (Printable(&order.operator), auth::touched(&order.control));
        let keys = "users.allow.operate, users.deny.operate";
        Err(Outcome::refused(format!("{operator} has no right to operate on {touched} ({keys})")))
    }

    /// Waits out an order's delay, unless it is cancelled or the broker ends first.
    async fn delay(&self, asked: Pending<'_>) -> Result<(), Outcome> {
        let Pending { number, order, .. } = asked;
        let due = Instant::now() + self.allowed_delay(order)?;
        let mut cancelled = self.line_up(number, &order.operator)?;
        if let Err(error) = self.audit.asked(Pending { due: Some(self.shared.clock.at(due)), ..asked }).await
            && order.control.destroys()
        {
            self.leave(number);
            return Err(not_recorded(&error));
        }
        self.shared.emit(Event::OrderDelayed { number, order: order.clone().into(), due: self.shared.clock.at(due) });
        let mut stopping = self.shared.stopping.subscribe();
        let is_due = tokio::select! {
            biased;
            _ = stopping.wait_for(|stopping| *stopping) => false,
            () = sleep_until(due) => true,
            by = &mut cancelled => return Err(Outcome::Cancelled { by: by.unwrap_or_default() }),
        };
        if !self.leave(number) {
            return Err(Outcome::Cancelled { by: cancelled.await.unwrap_or_default() });
        }
        if is_due { Ok(()) } else { Err(Outcome::refused("the broker is shutting down")) }
    }

    fn allowed_delay(&self, order: &Order) -> Result<Duration, Outcome> {
        let (delay, max) = (Duration::from_millis(order.delay_ms), self.shared.config.orders.max_delay);
        if !order.control.may_wait() {
            return Err(Outcome::refused(format!(
                "{} changes nothing and cannot wait; leave delay_ms out",
                order.control.verb()
            )));
        }
        if delay > max {
            self.shared.limit_hit(Limit::OrderDelay, &order.operator);
            let why = format!("a delay of {} ms is too long; use at most {} (orders.max_delay)", order.delay_ms, max.as_millis());
            return Err(Outcome::refused(why));
        }
        Ok(delay)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<u64, oneshot::Sender<String>>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A place among the orders that wait, and what tells that it was cancelled.
    fn line_up(&self, number: u64, operator: &str) -> Result<oneshot::Receiver<String>, Outcome> {
        let max = self.shared.config.orders.max_waiting;
        let mut waiting = self.lock();
        if waiting.len() >= max {
            drop(waiting);
            self.shared.limit_hit(Limit::WaitingOrders, operator);
            return Err(Outcome::refused(format!(
                "{max} orders wait already (orders.max_waiting); cancel one, or give no delay"
            )));
        }
        let (cancel, cancelled) = oneshot::channel();
        waiting.insert(number, cancel);
        Ok(cancelled)
    }

    /// True if the order was still waiting; then it is its own again.
    fn leave(&self, number: u64) -> bool {
        self.lock().remove(&number).is_some()
    }

    fn cancel(&self, number: u64, by: String) -> Outcome {
        let cancel = self.lock().remove(&number);
        match cancel.map(|cancel| cancel.send(by)) {
            Some(Ok(())) => Outcome::DONE,
            Some(Err(_)) | None => Outcome::AlreadyGone,
        }
    }

    async fn carry_out(&self, order: Order) -> Outcome {
        if let Control::Cancel { number } = order.control {
            return match order.precondition.check(None, 0) {
                Ok(()) => self.cancel(number, order.operator),
                Err(refused) => refused,
            };
        }
        if let Control::Reload { seen } = order.control {
            return self.take_configuration(seen, order).await;
        }
        let own_deadline = matches!(order.control, Control::Shutdown | Control::Drain);
        let patience = (!own_deadline).then(|| self.patience());
        self.ask(|reply| BrokerMsg::Order { order, reply }, patience).await
    }

    fn patience(&self) -> Duration {
        self.shared.config.failures.hang_after + PATIENCE
    }

    async fn ask(&self, message: impl FnOnce(RpcReplyPort<Outcome>) -> BrokerMsg, patience: Option<Duration>) -> Outcome {
        match self.broker.call(message, patience).await {
            Ok(CallResult::Success(outcome)) => outcome,
            Ok(CallResult::Timeout | CallResult::SenderError) => Outcome::Unknown,
            Err(_) => Outcome::refused("the broker has stopped"),
        }
    }

    async fn record(&self, record: &OrderRecord) {
        if let Err(error) = self.audit.ended(record).await {
            tracing::error!(%error, "an audit record could not be written");
        }
    }
}

fn not_recorded(error: &io::Error) -> Outcome {
    Outcome::refused(format!("no audit record can be written: {error}"))
}
