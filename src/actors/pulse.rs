//! The pulse: a thread beside the runtime, so that what watches cannot be starved by what it watches.
//!
//! While an actor keeps its worker thread, the runtime's other workers may all be asleep, with nobody looking at sockets and
//! timers until someone wakes one of them. Only who comes from outside is sure to. Where there is no other worker nobody can help,
//! and the pulse can only say so.

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

use crate::commons::Commons;

/// How long sockets and timers may go unwatched.
const EVERY: Duration = Duration::from_secs(1);
/// So many beats without one of the broker's own: no worker has come round to it.
const STUCK: u64 = 10;

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
    pub(super) fn start(shared: &Arc<Commons>) -> io::Result<Option<Self>> {
        let runtime = Handle::current();
        if runtime.runtime_flavor() != RuntimeFlavor::MultiThread {
            return Ok(None);
        }
        let ended = Arc::new(AtomicBool::new(false));
        let (until, shared) = (Arc::clone(&ended), Arc::downgrade(shared));
        let beat = move || {
            let (mut last, mut still) = (0, 0);
            while !until.load(Relaxed) {
                thread::park_timeout(EVERY);
                let second = shared.upgrade().map_or(0, |shared| shared.second());
                still = if second == last { still + 1 } else { 0 };
                last = second;
                if still == STUCK && !until.load(Relaxed) {
                    tracing::error!(
                        "nothing has run for {STUCK} s: what keeps the worker threads does not give them back; end the process"
                    );
                }
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
