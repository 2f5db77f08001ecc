//! The wire protocol, version 1: bytes to frames and back, and nothing else.
//!
//! The normative page is `assets/protocol.md`; its examples are decoded and encoded again by the tests. A frame is
//! `u32 length | u8 kind | u8 flags | body`. [`split`] cuts one off the front of a buffer, [`ClientFrame::decode`] (for the
//! broker) or [`ServerFrame::decode`] (for a client) says what it means. No input makes anything here panic, or allocate more
//! than a small multiple of the frame it stands in (I6).
//!
//! Hot frames borrow from the buffer they were read from. In particular every payload is a slice of it, so an owner of the
//! buffer as [`bytes::Bytes`] shares a payload without a copy by [`bytes::Bytes::slice_ref`].
//!
//! ```
//! use cordboard::wire::{ClientFrame, Headers, MAX_FRAME, Publish, split};
//!
//! let publish = Publish { sequence: 1, topic: b"orders/eu", headers: Headers::NONE, payload: b"two chairs" };
//! let mut sent = Vec::new();
//! ClientFrame::Publish(publish).encode(&mut sent);
//!
//! // Half a frame is none yet, and costs nothing.
//! assert_eq!(split(&sent[..20], MAX_FRAME)?, None);
//! let (raw, taken) = split(&sent, MAX_FRAME)?.expect("it is whole");
//! assert_eq!(taken, sent.len());
//! assert_eq!(ClientFrame::decode(raw)?, ClientFrame::Publish(publish));
//!
//! // A length beyond the limit is refused by its four bytes alone.
//! println!("{}", split(&[0xff; 4], MAX_FRAME).unwrap_err());
//! # Ok::<_, cordboard::wire::WireError>(())
//! ```

mod body;
mod client;
mod code;
mod deliver;
mod error;
mod frame;
mod headers;
mod maps;
mod publish;
mod reader;
mod server;

pub use client::{ClientFrame, DeliverAck, DeliverNack, Nack};
pub use code::{Code, UnknownCode};
pub use deliver::{Deliver, DeliverHead, Record, Records, read_record};
pub use error::WireError;
pub use frame::{Kind, RawFrame, frame_len, split};
pub use headers::{HeaderPairs, Headers, MAX_HEADER_KEY_BYTES, MAX_HEADERS, headers_from};
pub use maps::{
    AckMode, Disconnect, ErrorFrame, Evicted, Failure, HandleOf, MAX_FAILURES, Password, RegistrationRequest,
    RegistrationResponse, Resubscribe, SubscribeAck, SubscribeRequest, SubscriptionEnded, UnsubscribeAck, UnsubscribeRequest,
};
pub use publish::Publish;
pub use server::ServerFrame;

/// The one protocol version there is.
pub const VERSION: u16 = 1;
/// Where a broker listens unless told otherwise: C-O-R-D on a telephone.
pub const DEFAULT_PORT: u16 = 2673;
/// The largest `length` of a frame, in bytes, unless the configuration says otherwise.
pub const MAX_FRAME: usize = 1 << 20;
/// The largest `length` of a client's control frame, and so of every frame before registration: those who have not said
/// who they are cannot make the broker hold more than this.
pub const MAX_CONTROL_FRAME: usize = 16 << 10;
/// Bytes of the length field.
pub const PREFIX: usize = 4;
/// Bytes before the body: length, kind, flags.
pub const HEADER: usize = 6;
/// The largest `length` a client must accept. A Deliver is cut where its records reach 1 MiB, but carries at least one message;
/// its head and table come on top of that: the second MiB has room for the table of 260,000 messages, far over any window.
pub const MAX_DELIVER_FRAME: usize = 2 * MAX_FRAME;
