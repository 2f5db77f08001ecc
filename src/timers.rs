//! The one timer queue. A timer is a hint: whoever set it looks again, at its own state, when it fires.
//!
//! Timers are set through an [`Alarm`], which is one timer: an entity costs at most one entry here, however often it changes
//! its mind, and none when it has ended.

use std::{
    collections::HashMap,
    fmt,
    future::poll_fn,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    task::{Context, Poll},
};

use tokio::{sync::mpsc, task::AbortHandle, time::Instant};
use tokio_util::time::{DelayQueue, delay_queue::Key};

use crate::stats::Stats;

type Wake = Box<dyn FnOnce() + Send>;

/// What the timer task is asked.
enum Order {
    /// Wake once, instead of what `alarm` was set to before.
    Set { alarm: u64, when: Instant, wake: Wake },
    /// An alarm is not wanted any more.
    Clear { alarm: u64 },
}

/// Sets timers. Dropping the last clone ends them all.
#[derive(Clone)]
pub(crate) struct Timers {
    orders: mpsc::UnboundedSender<Order>,
    last_alarm: Arc<AtomicU64>,
}

/// One timer that is set again and again, and ends with its owner.
#[derive(Debug)]
pub(crate) struct Alarm {
    timers: Timers,
    id: u64,
}

impl Alarm {
    /// Calls `wake` at `when`, or as soon as possible if that has passed, instead of what was set before. It must not block.
    pub(crate) fn set(&self, when: Instant, wake: impl FnOnce() + Send + 'static) {
        self.timers.ask(Order::Set { alarm: self.id, when, wake: Box::new(wake) });
    }

    /// Forgets what was set.
    pub(crate) fn clear(&self) {
        self.timers.ask(Order::Clear { alarm: self.id });
    }
}

impl Drop for Alarm {
    fn drop(&mut self) {
        self.clear();
    }
}

impl fmt::Debug for Timers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Timers").finish_non_exhaustive()
    }
}

impl Timers {
    /// Starts the task that keeps them.
    pub(crate) fn start(stats: Arc<Stats>) -> (Self, AbortHandle) {
        let (orders, inbox) = mpsc::unbounded_channel();
        let task = tokio::spawn(keep(stats, inbox));
        (Self { orders, last_alarm: Arc::default() }, task.abort_handle())
    }

    /// An alarm that is not set.
    pub(crate) fn alarm(&self) -> Alarm {
        Alarm { timers: self.clone(), id: self.last_alarm.fetch_add(1, Relaxed) }
    }

    fn ask(&self, order: Order) {
        // A closed queue means that the broker has stopped: nothing is left to wake.
        let _ = self.orders.send(order);
    }
}

async fn keep(stats: Arc<Stats>, mut inbox: mpsc::UnboundedReceiver<Order>) {
    let mut queue: DelayQueue<Timer> = DelayQueue::new();
    let mut alarms: HashMap<u64, Key> = HashMap::new();
    loop {
        tokio::select! {
            // What is due goes before what is new, and every run of a simulation takes the same turn.
            biased;
            Timer { alarm, wake } = poll_fn(|context| next(&mut queue, context)) => {
                alarms.remove(&alarm);
                // One that panics has failed for its owner, and must not be the end of everybody's timers.
                if catch_unwind(AssertUnwindSafe(wake)).is_err() {
                    tracing::error!("what a timer was to do has panicked");
                }
            }
            order = inbox.recv() => match order {
                Some(Order::Set { alarm, when, wake }) => {
                    let key = queue.insert_at(Timer { alarm, wake }, when);
                    alarms.insert(alarm, key).map(|before| queue.remove(&before));
                }
                Some(Order::Clear { alarm }) => {
                    alarms.remove(&alarm).map(|key| queue.remove(&key));
                }
                None => return,
            },
        }
        stats.timers.set(queue.len() as u64);
    }
}

struct Timer {
    alarm: u64,
    wake: Wake,
}

/// The next expired timer; an empty queue waits for an order instead of ending.
fn next(queue: &mut DelayQueue<Timer>, context: &mut Context<'_>) -> Poll<Timer> {
    match queue.poll_expired(context) {
        Poll::Ready(Some(expired)) => Poll::Ready(expired.into_inner()),
        Poll::Ready(None) | Poll::Pending => Poll::Pending,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn timers_fire_in_the_order_of_their_deadlines() {
        let (timers, _task) = Timers::start(Arc::default());
        let (sender, mut fired) = mpsc::unbounded_channel();
        let start = Instant::now();
        let alarms = [3, 1, 2, 0].map(|seconds| {
            let (alarm, sender) = (timers.alarm(), sender.clone());
            alarm.set(start + Duration::from_secs(seconds), move || sender.send(seconds).unwrap());
            alarm
        });
        for seconds in 0..4 {
            assert_eq!(fired.recv().await, Some(seconds));
            assert!(start.elapsed() >= Duration::from_secs(seconds));
        }
        drop(alarms);
    }

    /// There is one task for all timers: what one of them does must not end it.
    #[tokio::test(start_paused = true)]
    async fn a_timer_that_panics_ends_no_other() {
        let (timers, _task) = Timers::start(Arc::default());
        let (sender, mut fired) = mpsc::unbounded_channel();
        let (fails, goes_on) = (timers.alarm(), timers.alarm());
        let start = Instant::now();
        fails.set(start + Duration::from_secs(1), || panic!("a timer of this test fails"));
        goes_on.set(start + Duration::from_secs(2), move || sender.send(()).unwrap());
        assert_eq!(fired.recv().await, Some(()));
    }

    /// I5: whoever changes its mind a thousand times has one timer, the last; whoever ends has none.
    #[tokio::test(start_paused = true)]
    async fn an_alarm_is_one_timer_however_often_it_is_set() {
        let stats = Arc::<Stats>::default();
        let (timers, _task) = Timers::start(Arc::clone(&stats));
        let (sender, mut fired) = mpsc::unbounded_channel();
        let (alarm, ended) = (timers.alarm(), timers.alarm());
        let start = Instant::now();
        let set = |alarm: &Alarm, seconds| {
            let sender = sender.clone();
            alarm.set(start + Duration::from_secs(seconds), move || sender.send(seconds).unwrap());
        };
        for seconds in (10..1_000).rev().chain([500]) {
            set(&alarm, seconds);
            set(&ended, seconds);
        }
        drop(ended);
        assert_eq!(fired.recv().await, Some(500));
        assert_eq!((start.elapsed().as_secs(), stats.timers.get()), (500, 0));
        set(&alarm, 600);
        assert_eq!(fired.recv().await, Some(600));
        drop((alarm, sender));
        assert_eq!(fired.recv().await, None);
    }
}
