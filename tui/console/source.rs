//! The seam: what the console asks of a broker, so that it can be tested without one. The handle is the only broker there is.

use std::future::Future;

use cordboard::{
    Board, Follower, Handle,
    clock::Moment,
    control::{Order, Outcome},
    reload::Preview,
};

use super::msg::News;

/// Events that are taken from the bus at once; what is more comes with the next frame.
const AT_ONCE: usize = 4_096;

/// A broker that can be watched and given orders.
pub(crate) trait Source: Clone + Send + Sync + 'static {
    /// What tells of its events.
    type Ear: Ear;

    /// What is so, and whatever happens after that.
    fn listen(&self) -> (Board, Self::Ear);
    /// Now, by its clock.
    fn now(&self) -> Moment;
    /// True while its gate refuses orders.
    fn is_read_only(&self) -> bool;
    /// Lets its gate refuse orders, or take them.
    fn set_read_only(&self, on: bool);
    /// Gives it an order.
    fn order(&self, order: Order) -> impl Future<Output = Outcome> + Send;
    /// Reads its configuration and says what that would change.
    fn preview(&self) -> impl Future<Output = Result<Preview, String>> + Send;
    /// Waits until it has ended, for whatever reason.
    fn ended(&self) -> impl Future<Output = ()> + Send;
    /// A point at which tests may let the console fail.
    fn point(&self, _at: &str) {}
}

/// One listener's place among the events.
pub(crate) trait Ear: Send + 'static {
    /// Waits until there is news.
    fn changed(&mut self) -> impl Future<Output = ()> + Send;
    /// What is new, without waiting.
    fn news(&mut self) -> News;
}

impl Source for Handle {
    type Ear = Follower;

    fn listen(&self) -> (Board, Follower) {
        self.bus().follow()
    }

    fn now(&self) -> Moment {
        self.bus().clock().now()
    }

    fn is_read_only(&self) -> bool {
        self.is_read_only()
    }

    fn set_read_only(&self, on: bool) {
        self.set_read_only(on);
    }

    async fn order(&self, order: Order) -> Outcome {
        self.order(order).await
    }

    async fn preview(&self) -> Result<Preview, String> {
        self.preview_reload().await
    }

    async fn ended(&self) {
        self.stopped().await;
    }

    #[cfg(feature = "faults")]
    fn point(&self, at: &str) {
        self.faults().point("Console", at, &"");
    }
}

impl Ear for Follower {
    async fn changed(&mut self) {
        self.changed().await;
    }

    /// Events that the ring has forgotten make a snapshot necessary. What is still in the ring after them is in the snapshot
    /// too, so those events are lost for the log and counted with the others.
    fn news(&mut self) -> News {
        let heard = self.take(AT_ONCE);
        if heard.missed == 0 {
            return News { events: heard.events, resync: None, lag: self.lag() };
        }
        let lost = heard.missed + heard.events.len() as u64 + self.lag();
        News { events: Vec::new(), resync: Some((self.resync(), lost)), lag: self.lag() }
    }
}
