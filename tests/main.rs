//! The tests that see the whole: one crate, so that it links once; a file a behaviour.
#![allow(clippy::unwrap_used)] // in a test it is an assertion

mod board;
mod chaos;
mod client;
mod data_plane;
mod fixture;
mod flows;
mod hostile;
mod limits;
mod orders;
mod program;
mod rights;
mod terminal;
mod tidy;
mod timers;
mod wire;
