//! The integration crate: one file a behaviour, linked once.
#![allow(clippy::unwrap_used, missing_docs)]

mod client;
mod program;
mod tidy;
mod wire;
