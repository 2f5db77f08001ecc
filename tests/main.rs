//! The tests that see the whole: one crate, so that it links once; a file a behaviour.
#![allow(clippy::unwrap_used)]

mod tidy;
mod wire;
