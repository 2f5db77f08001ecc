//! The one timer queue. A timer is a hint: whoever set it looks again, at its own state, when it fires.
//!
//! So timers are never cancelled, and nobody sets a second one while the first is out: an entity costs at most one entry here.

use std::{
    fmt,
    future::poll_fn,
    task::{Context, Poll},
};

use tokio::{sync::mpsc, task::AbortHandle, time::Instant};
use tokio_util::time::DelayQueue;

type Wake = Box<dyn FnOnce() + Send>;

/// Sets timers. Dropping the last clone ends them all.
#[derive(Clone)]
pub(crate) struct Timers {
    orders: mpsc::UnboundedSender<(Instant, Wake)>,
}

impl fmt::Debug for Timers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Timers").finish_non_exhaustive()
    }
}

impl Timers {
    /// Starts the task that keeps them.
    pub(crate) fn start() -> (Self, AbortHandle) {
        let (orders, inbox) = mpsc::unbounded_channel();
        let task = tokio::spawn(keep(inbox));
        (Self { orders }, task.abort_handle())
    }

    /// Calls `wake` at `when`, or as soon as possible if that has passed. `wake` must not block.
    pub(crate) fn at(&self, when: Instant, wake: impl FnOnce() + Send + 'static) {
        // A closed queue means that the broker has stopped: nothing is left to wake.
        let _ = self.orders.send((when, Box::new(wake)));
    }
}

async fn keep(mut inbox: mpsc::UnboundedReceiver<(Instant, Wake)>) {
    let mut queue: DelayQueue<Wake> = DelayQueue::new();
    loop {
        tokio::select! {
            // What is due goes before what is new, and every run of a simulation takes the same turn.
            biased;
            expired = poll_fn(|context| next(&mut queue, context)) => (expired)(),
            order = inbox.recv() => match order {
                Some((when, wake)) => {
                    queue.insert_at(wake, when);
                }
                None => return,
            },
        }
    }
}

/// The next expired timer; an empty queue waits for an order instead of ending.
fn next(queue: &mut DelayQueue<Wake>, context: &mut Context<'_>) -> Poll<Wake> {
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
        let (timers, _task) = Timers::start();
        let (sender, mut fired) = mpsc::unbounded_channel();
        let start = Instant::now();
        for seconds in [3, 1, 2, 0] {
            let sender = sender.clone();
            timers.at(start + Duration::from_secs(seconds), move || sender.send(seconds).unwrap());
        }
        for seconds in 0..4 {
            assert_eq!(fired.recv().await, Some(seconds));
            assert!(start.elapsed() >= Duration::from_secs(seconds));
        }
    }
}
