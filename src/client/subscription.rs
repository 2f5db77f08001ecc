//! Subscriptions: streams of deliveries that live through lost connections.

use std::{
    future::poll_fn,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use futures_core::Stream;

use super::{
    Door,
    delivery::{Delivery, Desk, Held},
    error::SubscribeError,
    event::SubscriptionOver,
    inbox::{AckDue, Inbox},
};
use crate::name::Filter;

/// The messages of one filter, in order. Taking a message acknowledges it; [`explicit`](Self::explicit) changes that.
///
/// What is not taken is not acknowledged: a stream that nobody reads stops its own flow at the broker and nothing else.
/// Dropping it leaves the subscription as it is, with the messages it holds; [`Client::subscribe`](super::Client::subscribe)
/// takes it up again where it was left, and [`unsubscribe`](Self::unsubscribe) ends it.
#[derive(Debug)]
pub struct Subscription {
    inbox: Arc<Inbox>,
    door: Arc<Door>,
    existing: bool,
}

impl Subscription {
    pub(super) fn new(inbox: Arc<Inbox>, door: Arc<Door>, existing: bool) -> Self {
        Self { inbox, door, existing }
    }

    /// The next message; none when the subscription or the client is over. Cancel safe.
    pub async fn next(&mut self) -> Option<Delivery> {
        poll_fn(|cx| self.poll_delivery(cx)).await
    }

    fn poll_delivery(&mut self, cx: &mut Context<'_>) -> Poll<Option<Delivery>> {
        self.inbox.poll_take(cx).map(|taken| {
            let (delivery, _, due) = taken?;
            if due != AckDue::Nothing {
                self.door.shared.acknowledge(&self.inbox, due);
            }
            Some(delivery)
        })
    }

    /// From here on nothing is acknowledged by taking it; each message is settled by its holder.
    pub fn explicit(self) -> ExplicitSubscription {
        self.inbox.make_explicit();
        let desk = Desk { inbox: Arc::clone(&self.inbox), shared: Arc::clone(&self.door.shared) };
        ExplicitSubscription { stream: self, desk: Arc::new(desk) }
    }

    /// What was subscribed to.
    pub fn filter(&self) -> &Filter {
        &self.inbox.filter
    }

    /// True if the session had this subscription already: what it held comes first.
    pub fn existing(&self) -> bool {
        self.existing
    }

    /// Once the stream has ended by itself: why. None if the client was closed.
    pub fn over(&self) -> Option<SubscriptionOver> {
        self.inbox.over()
    }

    /// Ends it at the broker, with all it holds. True if it was still there.
    ///
    /// # Errors
    /// The client is over.
    pub async fn unsubscribe(self) -> Result<bool, SubscribeError> {
        self.door.shared.unsubscribe(&self.inbox.filter).await
    }
}

impl Stream for Subscription {
    type Item = Delivery;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Delivery>> {
        self.get_mut().poll_delivery(cx)
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        self.inbox.claim(false);
    }
}

/// The messages of one filter, each settled by whoever handles it. Made by [`Subscription::explicit`].
#[derive(Debug)]
pub struct ExplicitSubscription {
    stream: Subscription,
    desk: Arc<Desk>,
}

impl ExplicitSubscription {
    /// The next message; none when the subscription or the client is over. Cancel safe.
    pub async fn next(&mut self) -> Option<Held> {
        poll_fn(|cx| self.poll_held(cx)).await
    }

    fn poll_held(&mut self, cx: &mut Context<'_>) -> Poll<Option<Held>> {
        self.desk.inbox.poll_take(cx).map(|taken| {
            let (delivery, round, _) = taken?;
            Some(Held::new(delivery, round, Arc::clone(&self.desk)))
        })
    }

    /// What was subscribed to.
    pub fn filter(&self) -> &Filter {
        self.stream.filter()
    }

    /// True if the session had this subscription already: what it held comes first.
    pub fn existing(&self) -> bool {
        self.stream.existing()
    }

    /// Once the stream has ended by itself: why. None if the client was closed.
    pub fn over(&self) -> Option<SubscriptionOver> {
        self.stream.over()
    }

    /// Ends it at the broker, with all it holds. True if it was still there.
    ///
    /// # Errors
    /// The client is over.
    pub async fn unsubscribe(self) -> Result<bool, SubscribeError> {
        self.stream.unsubscribe().await
    }
}

impl Stream for ExplicitSubscription {
    type Item = Held;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Held>> {
        self.get_mut().poll_held(cx)
    }
}
