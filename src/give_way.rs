//! How a task lets others go first.

use std::{future::poll_fn, task::Poll};

/// Goes to the back of its worker's queue, once. Another worker may take it from there: one that keeps its thread keeps nobody
/// else. `tokio::task::yield_now` stays with its worker until that has looked at its sockets, too.
pub(crate) async fn give_way() {
    let mut given = false;
    poll_fn(|context| {
        if given {
            return Poll::Ready(());
        }
        given = true;
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU8, Ordering::Relaxed};

    use super::*;

    #[tokio::test]
    async fn who_is_ready_goes_first() {
        let gone = AtomicU8::new(0);
        let gives_way = async {
            give_way().await;
            gone.fetch_add(1, Relaxed)
        };
        let other = async { gone.fetch_add(1, Relaxed) };
        assert_eq!(tokio::join!(gives_way, other), (1, 0));
    }
}
