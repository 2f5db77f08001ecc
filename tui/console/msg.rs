//! What comes to the console and what it wants done: the two ends of `update`.

use std::sync::Arc;

use cordboard::{
    Board,
    control::{Order, Outcome},
    events::Stamped,
    reload::Preview,
};
use crossterm::event::KeyEvent;

/// Something that happened, to the broker, at the keyboard, or to time.
#[derive(Debug)]
pub(crate) enum Msg {
    /// A key was pressed.
    Key(KeyEvent),
    /// Text was pasted; it goes into an input line or nowhere.
    Paste(String),
    /// The terminal has another size.
    Resize(u16, u16),
    /// A second has passed.
    Tick,
    /// The board that the console starts from.
    Start(Board),
    /// News from the bus.
    News(News),
    /// An order ended.
    Outcome {
        /// Which.
        ticket: u64,
        /// How.
        outcome: Outcome,
    },
    /// The configuration was read, to be taken if the operator says so; or this is wrong with it.
    Previewed(Result<Box<Preview>, String>),
    /// The gate refuses orders, or no longer does.
    ReadOnly(bool),
    /// The process is asked to stop until it is told to go on.
    Stop,
    /// It goes on.
    GoOn,
    /// The broker has ended.
    BrokerEnded,
}

/// What was heard from the bus since the last time.
#[derive(Debug, Default)]
pub(crate) struct News {
    /// The events, in order.
    pub(crate) events: Vec<Arc<Stamped>>,
    /// Some events before those were gone: this is the board now, and how many will never be seen.
    pub(crate) resync: Option<(Board, u64)>,
    /// Events that have happened and are still to come.
    pub(crate) lag: u64,
}

/// Something to be done outside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Effect {
    /// Give an order to the broker; its outcome comes back with the ticket.
    Order(u64, Order),
    /// Read the configuration and say what it would change.
    Preview,
    /// Let the gate refuse orders, or not.
    ReadOnly(bool),
    /// Give the terminal back and stop the process.
    Stop,
    /// Take the terminal again, once it is this process's.
    Retake,
    /// Put text on the terminal's clipboard.
    Copy(String),
    /// Leave the console.
    Leave(Leave),
}

/// Why the console was left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Leave {
    /// The broker goes on without it.
    Detach,
    /// The broker has ended.
    BrokerEnded,
    /// The end that is under way is not to be waited for.
    EndNow,
    /// There is no terminal any more; the broker goes on.
    TerminalGone,
}
