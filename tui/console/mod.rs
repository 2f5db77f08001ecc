//! The operator's console: what the broker does, on the screen as it changes, and what can be done about it.
//!
//! One channel of [`msg::Msg`] feeds `update`, which changes the [`state::State`] and may want an [`msg::Effect`]; a frame is
//! a function of the state. Keys, drawing and sorting have their own OS thread and never a runtime worker; the bus never
//! waits for any of it. The console has no door to the broker but its handle.

mod keymap;
mod msg;
mod state;
mod theme;
mod update;
mod view;
#[cfg(test)]
mod tests;
