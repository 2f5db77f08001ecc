//! The operator's console: what the broker does, on the screen as it changes, and what can be done about it.
//!
//! One channel of [`msg::Msg`] feeds `update`, which changes the [`state::State`] and may want an [`msg::Effect`]; a frame is
//! a function of the state. Keys, drawing and sorting have their own OS thread and never a runtime worker; the bus never
//! waits for any of it. The console has no door to the broker but its handle.

mod backend;
mod keymap;
mod keys;
mod msg;
mod pump;
mod run;
mod source;
mod state;
mod terminal;
#[cfg(test)]
mod tests;
mod theme;
mod update;
mod view;

use std::{
    io,
    panic::{AssertUnwindSafe, catch_unwind},
};

use cordboard::Handle;

pub(crate) use msg::Leave;

/// How a console is opened.
#[derive(Debug, Clone)]
pub(crate) struct Options {
    /// Who gives orders here: what the audit calls them.
    pub(crate) operator: String,
    /// What to type to run this program.
    pub(crate) program: String,
    /// Not all that is seen is real.
    pub(crate) demo: bool,
    /// Nothing but ASCII is drawn, whatever the environment says.
    pub(crate) ascii: bool,
}

/// Opens the console on this thread, which must not be a worker of `runtime`, and returns when it is left; the terminal has
/// been given back by then. Shutting the broker down, if that is wanted, is the caller's deed.
///
/// # Errors
/// If there is no terminal to be had, or the console failed. The broker is none the worse for it.
pub(crate) fn run(handle: &Handle, runtime: tokio::runtime::Handle, options: Options) -> io::Result<Leave> {
    // Nothing that was under way in here is looked at again, and the terminal is given back on the way out.
    catch_unwind(AssertUnwindSafe(|| run::run(handle, runtime, options)))
        .unwrap_or_else(|_| Err(io::Error::other("the console failed; the broker goes on without it")))
}
