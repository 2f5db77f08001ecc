//! Cordboard: a message broker whose operator sees every line and can pull any plug.
//!
//! This library is the broker ([`Broker::start`] gives a [`Handle`]), the read model of everything that happens in it
//! ([`Handle::bus`], [`Board`]), the one gate for an operator's orders ([`Handle::order`]), and the [`client`]. It knows no
//! terminal and no command line; the program around it is in `tui/`. What goes over the wire is in `assets/protocol.md`.
//!
//! # A first program
//!
//! A broker, and a client of it, in one process. In life they are two: whoever only wants the client leaves the program's crates
//! out with `default-features = false`, and connects to an address that is known.
//!
//! ```
//! use cordboard::{Broker, Client, Config};
//!
//! #[tokio::main]
//! async fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     // Port 0: the system chooses one that is free.
//!     let broker = Broker::start(Config { listen: vec!["127.0.0.1:0".parse()?], ..Config::default() }).await?;
//!     let address = broker.endpoints()[0].to_string();
//!
//!     let client = Client::connect(&address).await?;
//!     let mut orders = client.subscribe("orders/#").await?;
//!     client.publish("orders/eu", "two chairs").await?;
//!
//!     let order = orders.next().await.expect("the client is open");
//!     assert_eq!((order.topic.as_str(), &order.payload[..]), ("orders/eu", &b"two chairs"[..]));
//!
//!     client.end().await?;
//!     assert!(broker.shutdown().await.is_nothing(), "nothing was left behind");
//!     Ok(())
//! }
//! ```
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
//! ├── TopicManager       creates and forgets topics, keeps the table in which sessions find them; owns their backlogs
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
//! ```text
//!   the publisher's connection                      the subscriber's connection
//!  ┌──────────────────────────┐                    ┌──────────────────────────┐
//!  │ 1 reader          writer │                    │ 7 writer          reader │
//!  └─────┬────────────────▲───┘                    └─────▲────────────────┬───┘
//!        │ chunk          │ PublishAck                   │ runs           │ DeliverAck
//!        ▼                │                              │                ▼
//!  ┌──────────────────────┴───┐                    ┌─────┴────────────────────┐
//!  │ 2 session                │                    │ 6 session                │
//!  └─────┬────────────────▲───┘                    └─────▲────────────────┬───┘
//!        │ batch, receipt │ receipt                      │ runs           │ ack
//!        ▼                │                              │                ▼
//!  ┌──────────────────────┴───┐    ┌─────────┐     ┌─────┴────────────────────┐
//!  │ 3 topic                  ├───▶│ 4 queue ├────▶│ 5 subscriber             │
//!  └──────────────────────────┘    └─────────┘     └──────────────────────────┘
//!                             batch           wake
//! ```
//!
//! 1. The **reader** decodes every whole frame that has arrived and copies each payload once, into the *batch* of its topic,
//!    already in the form in which it will be delivered. A publisher has a credit ([`config::Publishing`]); one beyond it is read
//!    more slowly, and no other.
//! 2. One cast carries the chunk to the publisher's **session**. It knows from its caches whether the principal may, and where
//!    the topic is; a sequence that was settled before is answered again and goes no further. One cast a topic carries its batch
//!    on, with a *receipt*.
//! 3. The **topic** asks the filter table which queues match, again only if that table has changed since, and appends the batch
//!    to each: shared, not copied. With none it keeps the batch in its backlog. Then it drops the receipt.
//! 4. A **queue** beyond its bound ([`config::Queues`]) holds the receipt until there is room, `hold_publisher` at the most, and
//!    then drops its oldest messages, counted. When the last receipt of a chunk is dropped, wherever that is, the session sends
//!    `PublishAck`: from here on the broker answers for the message (I1).
//! 5. If the queue was idle, its **subscriber** is woken. It takes what fits the client's window and the connection's budget, and
//!    casts a run of the batch as it stands.
//! 6. The receiving **session** hands it to its connection. Is there none, because the client is away, the subscriber is parked
//!    and takes nothing: what waits in its queue are the dead letters, which go first when the client is back.
//! 7. The **writer** sends what is there with one vectored write. The client's `DeliverAck` goes the same way back to the
//!    subscriber, which lets the messages go and has room in its window again. Without one for `ack_timeout`, or if the connection
//!    is lost, they go back to the head of the queue and come again, marked.
//!
//! Every hop carries as many messages as there are. Nothing is cast, locked or allocated per message, and no actor waits for
//! another.
//!
//! # Three doors
//!
//! | you want to | start at |
//! |---|---|
//! | publish and subscribe | [`client`] |
//! | run a broker inside a program | [`Broker::start`], [`Config`], [`Handle`] |
//! | watch it, or give it orders | [`Bus`] and [`Board`]; [`control`] |
//!
//! Sizes are bytes and say so in their names; times are [`std::time::Duration`], or `…_ms` in what is serialised; bounds and
//! their reasons are in [`config`] and `assets/cordboard.toml`. An error's text names the thing and says what would work.
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
//! cores: values in, values out. `receipt` is a publisher's way to its answer; `subscription` a queue, `topic_cell` a topic,
//! `topic_table` all topics, `filter_table` all filters, each with those who share it; [`net`] is what a socket is, `connection`
//! all I/O on one; `access` is who may do what as of now, [`reload`] what another configuration would change; `words` says errors
//! of the system to people; `commons` is what all actors can see, `actors` has one actor a file; `gate` takes orders, `handle` is
//! the door.

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
mod give_way;
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
mod topic_table;
pub mod wire;
mod words;
#[cfg(feature = "workbench")]
#[doc(hidden)]
pub mod workbench;

pub use board::Board;
pub use bus::{Bus, Follower, News};
pub use client::Client;
pub use config::Config;
pub use handle::{Broker, Handle, Platform, StartError};
pub use name::Printable;
pub use stats::Counters;
pub use words::InWords;

/// The programs of the README compile.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
