//! Cordboard: a message broker and the read model of everything that happens in it.
pub mod auth;
pub mod board;
mod bus;
pub mod client;
pub mod clock;
pub mod config;
pub mod control;
pub mod events;
pub mod filters;
pub mod name;
pub mod wire;
pub use board::Board;
pub use bus::{Bus, Follower, News};
pub use client::Client;
pub use config::Config;
pub use name::Printable;
