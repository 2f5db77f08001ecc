//! Where random bits come from: the operating system, unless a simulation gives a seed in its place to be repeatable.

use std::{fmt, io};

/// A source of random bits. Session ids are made of them: what another could guess is no good outside of a test.
pub trait Entropy: fmt::Debug + Send + Sync {
    /// Fills `bytes`.
    ///
    /// # Errors
    /// There are none to be had now.
    fn fill(&self, bytes: &mut [u8]) -> io::Result<()>;
}

/// The operating system's.
#[derive(Debug, Clone, Copy, Default)]
pub struct OsEntropy;

impl Entropy for OsEntropy {
    fn fill(&self, bytes: &mut [u8]) -> io::Result<()> {
        getrandom::fill(bytes).map_err(|error| io::Error::other(error.to_string()))
    }
}
