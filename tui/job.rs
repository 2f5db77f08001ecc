//! Job control: the process is stopped and goes on, in front of its terminal or behind a shell.
//!
//! Who stops this process stops the broker in it. A stop that was asked for is obeyed all the same, but the terminal is
//! given back first, and nobody reads from one that belongs to a shell meanwhile: the system stops whoever does.

use std::io;

use rustix::{
    process::{Signal, getpgrp, getpid, kill_process},
    termios::tcgetpgrp,
};
use tokio::signal::unix::{Signal as Stream, SignalKind, signal};

/// SIGTSTP. Once one of these was made, only [`stop`] stops the process.
#[derive(Debug)]
pub(crate) struct Stops(Stream);

impl Stops {
    /// Catches them from now on, until the process ends.
    pub(crate) fn catch() -> io::Result<Self> {
        Ok(Self(signal(SignalKind::from_raw(Signal::TSTP.as_raw()))?))
    }

    /// Waits until a stop is asked for. Cancel safe.
    pub(crate) async fn asked(&mut self) {
        self.0.recv().await;
    }
}

/// SIGCONT: the process goes on.
#[derive(Debug)]
pub(crate) struct Goes(Stream);

impl Goes {
    /// Listens from now on.
    pub(crate) fn listen() -> io::Result<Self> {
        Ok(Self(signal(SignalKind::from_raw(Signal::CONT.as_raw()))?))
    }

    /// Waits until the process goes on after a stop. Cancel safe.
    pub(crate) async fn on(&mut self) {
        self.0.recv().await;
    }
}

/// Stops this process, all of it. It may take a moment, so what comes after may still run before.
pub(crate) fn stop() -> io::Result<()> {
    Ok(kill_process(getpid(), Signal::STOP)?)
}

/// True if the terminal is this process's to read from; also where nobody controls jobs on it.
pub(crate) fn is_in_front() -> bool {
    tcgetpgrp(io::stdin()).map_or(true, |group| group == getpgrp())
}
