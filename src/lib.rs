//! Cordboard.
pub mod clock;
pub mod config;
pub mod control;
pub mod events;
pub mod name;
pub mod wire;
pub use name::Printable;
