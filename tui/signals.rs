//! Signals: the first asks the broker to drain and stop, the second interrupt stops it at once.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
};

/// Whether an interrupt is answered with a question first: while the console is closed, a hand that still reaches for Ctrl-C
/// must not end the broker.
#[derive(Debug, Clone, Default)]
pub(crate) struct AskFirst(Arc<AtomicBool>);

impl AskFirst {
    /// Ask at the next interrupt, or do not.
    #[cfg(feature = "console")]
    pub(crate) fn set(&self, on: bool) {
        self.0.store(on, Relaxed);
    }

    /// True if this interrupt is to be answered with a question; the next one is not.
    pub(crate) fn take(&self) -> bool {
        self.0.swap(false, Relaxed)
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
