//! Cordboard.
pub mod auth;
pub mod clock;
pub mod config;
pub mod control;
pub mod events;
pub mod filters;
pub mod name;
pub mod wire;
pub use name::Printable;
