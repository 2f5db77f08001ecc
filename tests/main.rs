//! The one integration crate: a file a behaviour, so that everything links once.

#![allow(clippy::unwrap_used)] // in a test it is an assertion

mod wire;
