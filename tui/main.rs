//! The program: the broker with its console, and the clients for a shell.
#![allow(dead_code)]

#[cfg(feature = "console")]
mod console;

fn main() {}
