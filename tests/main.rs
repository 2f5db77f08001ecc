//! The tests that see the whole: one crate, so that it links once; a file a behaviour.
#![allow(clippy::unwrap_used)] // in a test it is an assertion

mod board;
mod chaos;
mod client;
mod data_plane;
mod demo;
mod documents;
mod failures;
mod faults;
mod fixture;
mod floods;
mod flows;
mod fuzz;
mod hostile;
mod limits;
mod model;
mod orders;
mod pictures;
mod program;
mod python;
mod rights;
mod sim;
mod terminal;
mod tidy;
mod timers;
mod wire;
