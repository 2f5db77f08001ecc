//! The wire protocol, version 1.
mod code;
pub use code::{Code, UnknownCode};
