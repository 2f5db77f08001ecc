//! Cordboard: a message broker whose operator sees every line and can pull any plug.
//!
//! This library is the broker ([`Broker::start`] gives a [`Handle`]), the read model of everything that happens in it
//! ([`Handle::bus`], [`Board`]), the one gate for an operator's orders ([`Handle::order`]), and the [`client`]. It knows no
//! terminal and no command line; the program around it is in `tui/`. What goes over the wire is in `assets/protocol.md`.
//!
//! # The words
//!
//! A **listener** is the actor that owns one client connection. A **session** is a client's identity; it outlives its
//! connections: while it is *detached* its **reclaim** timer runs, and at zero it is discarded. A **topic** is a named stream,
//! an actor with the subscriptions that match it and, while there are none, a bounded *backlog*. A **subscription** is one
//! (session, filter) pair with one **queue**: first what is in flight, then what waits. While its session is detached it is
//! *parked*, and what it holds are **dead letters**; what was given up after too many attempts is **poison**. Every attach
//! raises the session's **epoch**; whatever carries an older one is dropped and counted.
//!
//! # The actors
//!
//! ```text
//! Broker                 authenticates registrations; restarts all four managers when one fails or hangs
//! ├── TopicManager       creates, finds, forgets topics; owns their backlogs
//! │   └── Topic × n      publish -> the queues of matching subscriptions, receipt -> session
//! ├── SubscriberManager  creates and ends subscribers; owns their queues, which outlive a subscriber's panic
//! │   └── Subscriber × n moves messages from the queue into the client's window
//! ├── SessionManager     alone decides attach, takeover and reclaim
//! │   └── Session × n    rights, publish sequences, the way to topics
//! └── ListenerManager    accepts, within the caps
//!     └── Listener × n   one connection: its reader task and its writer task
//! ```
//!
//! # How a message travels
//!
//! The reader decodes all that has arrived and copies each payload once, into the *batch* of its topic, already in the form in
//! which it will be delivered. One cast carries the whole chunk to the session, one cast a topic carries each batch on. The
//! topic appends the batch to every matching queue, shared, and drops the receipt; when the last receipt of a chunk is dropped,
//! wherever that is, the session acknowledges. An idle subscriber is woken, takes what fits the client's window and the
//! connection's budget, and the writer sends it with one vectored write. Nothing is cast, locked or allocated per message.
//!
//! # What always holds
//!
//! - **I1** What was acknowledged is delivered, held in a bounded queue, or counted as lost with a reason. Nothing appears that
//!   no one published.
//! - **I2** Nothing is delivered to, or readable by, a principal without the right.
//! - **I3** Order per publisher, topic and subscription; a redelivery is marked; each message is settled at most once.
//! - **I4** One live connection a session; an older epoch is dropped and counted.
//! - **I5** Memory, queues, descriptors, tasks and actors stay under their bounds and return to their baseline.
//! - **I6** No client input makes the process panic or stop accepting; others are not slowed.
//! - **I7** The operator's terminal is always restored; no byte a client chose reaches it raw.
//! - **I8** The screen shows facts, never guesses; what it missed, it says.
//!
//! # Where to find what, in reading order
//!
//! [`name`], [`wire`], [`config`], [`control`], [`peek`], [`events`], [`board`], [`auth`], [`filters`] and the inner `batch`,
//! `queue`, `backlog`, `room`, `bucket`, `throttle`, `repeats`, `limits`, `logins`, `bans` and `tombstones` are vocabulary and pure
//! cores: values in, values out. `receipt` is a publisher's way to its answer, `subscription` a queue, `topic_cell` a topic, `filter_table` all filters, with those who share it; [`net`] is what a
//! socket is, `connection` all I/O on one; `access` is who may do what as of now, [`reload`] what another
//! configuration would change; `words` says errors of the system to people; `commons` is what all actors can see, `actors` has
//! one actor a file; `gate` takes orders, `handle` is the door.

mod access;
mod actors;
pub mod auth;
mod backlog;
mod bans;
mod batch;
pub mod board;
mod bucket;
mod bus;
pub mod client;
pub mod clock;
mod commons;
pub mod config;
mod connection;
pub mod control;
pub mod entropy;
pub mod events;
#[cfg(feature = "faults")]
#[doc(hidden)]
pub mod faults;
#[cfg(not(feature = "faults"))]
mod faults;
mod filter_table;
pub mod filters;
mod gate;
mod handle;
mod limits;
mod logins;
pub mod name;
pub mod net;
pub mod peek;
mod queue;
mod receipt;
pub mod reload;
mod repeats;
mod room;
mod stats;
mod subscription;
mod throttle;
mod timers;
mod tombstones;
mod topic_cell;
pub mod wire;
mod words;

pub use board::Board;
pub use bus::{Bus, Follower, News};
pub use client::Client;
pub use config::Config;
pub use handle::{Broker, Handle, Platform, StartError};
pub use name::Printable;
pub use stats::Counters;
pub use words::InWords;
