//! The broker that a load is for: where it is, who to be there, and what its process has used.

use std::{io, net::SocketAddr, thread, time::Duration};

use super::{
    load::{Identity, LoadError},
    shared::Gauge,
    usage::{Cpu, Memory},
};

/// A process that uses less than this in [`LOOK_AGAIN`] has nothing to do.
const QUIET: Duration = Duration::from_millis(2);
const LOOK_AGAIN: Duration = Duration::from_millis(100);
const LOOKS: usize = 100;

/// The broker that a load is for.
#[derive(Debug)]
pub(super) struct Target<'a> {
    pub(super) address: SocketAddr,
    /// Whose CPU time and memory are read, if that can be done.
    pub(super) process: Option<u32>,
    pub(super) user: Option<&'a (String, String)>,
    /// How long it may be silent although something should come.
    pub(super) patience: Duration,
}

impl Target<'_> {
    pub(super) fn identity(&self, name: &'static str) -> Identity {
        Identity { user: self.user.cloned(), ..Identity::new(name) }
    }

    /// What it has used so far, if that can be read.
    pub(super) fn cpu(&self) -> Result<Option<Cpu>, LoadError> {
        self.used(Cpu::of)
    }

    /// What it has used since.
    pub(super) fn cpu_since(&self, before: Option<Cpu>) -> Result<Option<Duration>, LoadError> {
        Ok(before.zip(self.cpu()?).map(|(before, now)| now.since(&before)))
    }

    pub(super) fn memory(&self) -> Result<Option<Memory>, LoadError> {
        self.used(Memory::of)
    }

    fn used<T>(&self, read: impl Fn(u32) -> io::Result<T>) -> Result<Option<T>, LoadError> {
        let used = |process| read(process).map_err(|error| LoadError::Unmeasurable { process, error });
        self.process.map(used).transpose()
    }

    /// Waits until what was asked of it before is done: for a while at the most, or until somebody has had enough.
    pub(super) fn wait_until_quiet(&self, gauge: &Gauge) -> Result<(), LoadError> {
        let mut before = self.cpu()?;
        for _ in 0..LOOKS {
            gauge.check()?;
            // Of a process that nobody knows there is nothing to wait for.
            let Some(earlier) = before else { return Ok(()) };
            thread::sleep(LOOK_AGAIN);
            before = self.cpu()?;
            if before.as_ref().is_some_and(|now| now.since(&earlier) < QUIET) {
                break;
            }
        }
        Ok(())
    }
}
