//! The pulse: a thread beside the runtime, so that what watches cannot be starved by what it watches.
//!
//! While an actor keeps its worker thread, the runtime's other workers may all be asleep, with nobody looking at sockets and
//! timers until someone wakes one of them. Only who comes from outside is sure to.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    thread::{self, Thread},
    time::Duration,
};

use tokio::runtime::{Handle, RuntimeFlavor};

/// How long sockets and timers may go unwatched.
const EVERY: Duration = Duration::from_secs(1);

/// Ends its thread when it is dropped.
#[derive(Debug)]
pub(super) struct Pulse {
    ended: Arc<AtomicBool>,
    thread: Thread,
}

impl Pulse {
    /// Beats for the runtime it is called in; none if that has one thread, which nobody else can stand in for.
    ///
    /// # Errors
    /// The operating system has no thread left.
    pub(super) fn start() -> io::Result<Option<Self>> {
        let runtime = Handle::current();
        if runtime.runtime_flavor() != RuntimeFlavor::MultiThread {
            return Ok(None);
        }
        let ended = Arc::new(AtomicBool::new(false));
        let until = Arc::clone(&ended);
        let beat = move || {
            while !until.load(Relaxed) {
                thread::park_timeout(EVERY);
                // A worker wakes for it, and looks after everything else before it sleeps again.
                runtime.spawn(async {});
            }
        };
        let thread = thread::Builder::new().name("cordboard-pulse".to_owned()).spawn(beat)?.thread().clone();
        Ok(Some(Self { ended, thread }))
    }
}

impl Drop for Pulse {
    fn drop(&mut self) {
        self.ended.store(true, Relaxed);
        self.thread.unpark();
    }
}
