//! The tests that see the whole: one crate, so that it links once; a file a behaviour.
#![allow(clippy::unwrap_used)] // in a test it is an assertion

mod chaos;
mod fixture;
mod flows;
mod hostile;
mod limits;
mod tidy;
mod wire;
