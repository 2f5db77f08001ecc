//! The wire protocol, version 1: bytes to frames and back, and nothing else.
//!
//! The normative page is `assets/protocol.md`; its examples are decoded and encoded again by the tests. A frame is
//! `u32 length | u8 kind | u8 flags | body`. [`split`] cuts one off the front of a buffer, [`ClientFrame::decode`] (for the
//! broker) or [`ServerFrame::decode`] (for a client) says what it means. No input makes anything here panic, or allocate more
//! than a small multiple of the frame it stands in (I6).
//!
//! Hot frames borrow from the buffer they were read from. In particular every payload is a slice of it, so an owner of the
//! buffer as [`bytes::Bytes`] shares a payload without a copy by [`bytes::Bytes::slice_ref`].

mod body;
mod client;
mod code;
mod deliver;
mod error;
mod frame;
mod headers;
mod publish;
mod reader;
mod server;

pub use body::{
    AckMode, Disconnect, ErrorFrame, Evicted, Failure, HandleOf, MAX_FAILURES, Password, RegistrationRequest,
    RegistrationResponse, Resubscribe, SubscribeAck, SubscribeRequest, SubscriptionEnded, UnsubscribeAck, UnsubscribeRequest,
};
pub use client::{ClientFrame, DeliverAck, DeliverNack, Nack};
pub use code::{Code, UnknownCode};
pub use deliver::{Deliver, DeliverHead, Record, Records, read_record};
pub use error::WireError;
pub use frame::{Kind, RawFrame, frame_len, split};
pub use headers::{HeaderPairs, Headers, MAX_HEADER_KEY_BYTES, MAX_HEADERS, headers_from};
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
/// What a Deliver of one message has over the Publish it came in: handle 4, accepted 8, count 4, table 8, record flags 1.
pub const DELIVER_OVERHEAD: usize = 25;
/// The largest `length` a client must accept: a Publish of [`MAX_FRAME`] comes back as a Deliver of this.
pub const MAX_DELIVER_FRAME: usize = MAX_FRAME + DELIVER_OVERHEAD;
