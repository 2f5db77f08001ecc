//! Publish credit: what one connection may have published and not had acknowledged. A client within it never waits to be read.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering::Relaxed},
};

use tokio::sync::Notify;

/// One connection's credit. Clones share it.
#[derive(Debug, Clone)]
pub(crate) struct Credit {
    account: Arc<Account>,
}

#[derive(Debug)]
struct Account {
    messages: AtomicU64,
    bytes: AtomicU64,
    max_messages: u64,
    max_bytes: u64,
    given_back: Notify,
}

/// Some credit, given back when the chunk that spent it is settled.
#[derive(Debug)]
pub(crate) struct Spent {
    account: Arc<Account>,
    messages: u64,
    bytes: u64,
}

impl Credit {
    pub(crate) fn new(max_messages: u64, max_bytes: u64) -> Self {
        let account =
            Account { messages: AtomicU64::new(0), bytes: AtomicU64::new(0), max_messages, max_bytes, given_back: Notify::new() };
        Self { account: Arc::new(account) }
    }

    /// Spends, even beyond the bound: a chunk that was read is taken, the next one is not read.
    pub(crate) fn spend(&self, messages: u64, bytes: u64) -> Spent {
        self.account.messages.fetch_add(messages, Relaxed);
        self.account.bytes.fetch_add(bytes, Relaxed);
        Spent { account: Arc::clone(&self.account), messages, bytes }
    }

    /// True if a client may publish more.
    pub(crate) fn is_there(&self) -> bool {
        self.account.messages.load(Relaxed) < self.account.max_messages
            && self.account.bytes.load(Relaxed) < self.account.max_bytes
    }

    /// Waits until there is some.
    pub(crate) async fn available(&self) {
        loop {
            let given_back = self.account.given_back.notified();
            if self.is_there() {
                return;
            }
            given_back.await;
        }
    }
}

impl Drop for Spent {
    fn drop(&mut self) {
        self.account.messages.fetch_sub(self.messages, Relaxed);
        self.account.bytes.fetch_sub(self.bytes, Relaxed);
        self.account.given_back.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn credit_is_there_again_when_it_was_given_back() {
        let credit = Credit::new(2, 100);
        credit.available().await;
        let spent = credit.spend(1, 500);
        assert!(!credit.is_there());
        let waiter = tokio::spawn({
            let credit = credit.clone();
            async move { credit.available().await }
        });
        drop(spent);
        waiter.await.unwrap();
    }
}
