//! Signals: the first asks the broker to drain and stop, the second interrupt stops it at once.

use std::{
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

/// How long a question stands: an interrupt after that is a new one, and asks again.
const QUESTION: Duration = Duration::from_secs(10);

/// Whether an interrupt is answered with a question first: while the console is closed, a hand that still reaches for Ctrl-C
/// must not end the broker.
#[derive(Debug, Clone, Default)]
pub(crate) struct AskFirst(Arc<Mutex<Asking>>);

#[derive(Debug, Default)]
struct Asking {
    on: bool,
    asked: Option<Instant>,
}

impl AskFirst {
    /// Two fields of plain data: true whatever panicked.
    fn lock(&self) -> MutexGuard<'_, Asking> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ask at the next interrupt, or do not.
    #[cfg(feature = "console")]
    pub(crate) fn set(&self, on: bool) {
        *self.lock() = Asking { on, asked: None };
    }

    /// True if an interrupt at `now` is to be answered with a question; the next one, if it comes soon, is the answer.
    pub(crate) fn take(&self, now: Instant) -> bool {
        let mut asking = self.lock();
        let ask = asking.on && asking.asked.is_none_or(|asked| now.duration_since(asked) > QUESTION);
        if ask {
            asking.asked = Some(now);
        }
        ask
    }
}

/// What a signal asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Signal {
    /// Ctrl-C.
    Interrupt,
    /// The service manager.
    Terminate,
    /// The terminal has gone.
    HangUp,
}

/// The signals of this process, from now on caught.
#[derive(Debug)]
pub(crate) struct Signals {
    #[cfg(unix)]
    streams: [(Signal, tokio::signal::unix::Signal); 3],
}

impl Signals {
    /// Catches them. A hang-up, too: the broker outlives its terminal.
    #[cfg(unix)]
    pub(crate) fn catch() -> io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        let streams = [
            (Signal::Interrupt, signal(SignalKind::interrupt())?),
            (Signal::Terminate, signal(SignalKind::terminate())?),
            (Signal::HangUp, signal(SignalKind::hangup())?),
        ];
        Ok(Self { streams })
    }

    /// The next one. Cancel safe.
    #[cfg(unix)]
    pub(crate) async fn next(&mut self) -> Signal {
        std::future::poll_fn(|cx| {
            let came = self.streams.iter_mut().find_map(|(signal, stream)| stream.poll_recv(cx).is_ready().then_some(*signal));
            came.map_or(std::task::Poll::Pending, std::task::Poll::Ready)
        })
        .await
    }

    /// Catches Ctrl-C, which is all there is.
    #[cfg(not(unix))]
    pub(crate) fn catch() -> io::Result<Self> {
        Ok(Self {})
    }

    /// The next one. Cancel safe.
    #[cfg(not(unix))]
    pub(crate) async fn next(&mut self) -> Signal {
        match tokio::signal::ctrl_c().await {
            Ok(()) => Signal::Interrupt,
            Err(_) => std::future::pending().await,
        }
    }
}

#[cfg(all(test, feature = "console"))]
mod tests {
    use super::*;

    #[test]
    fn a_question_is_asked_again_when_it_is_forgotten() {
        let (ask_first, now) = (AskFirst::default(), Instant::now());
        let after = |seconds| now + Duration::from_secs(seconds);
        assert!(!ask_first.take(now));
        ask_first.set(true);
        assert!(ask_first.take(now));
        assert!(!ask_first.take(after(10)));
        assert!(ask_first.take(after(11)));
        assert!(!ask_first.take(after(12)));
        ask_first.set(false);
        assert!(!ask_first.take(after(60)));
    }
}
