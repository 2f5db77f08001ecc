//! The one integration crate: a file a behaviour, so that everything links once.

mod wire;
