//! Framing: where a frame starts and ends, and of which kind it is.

use std::fmt;

use super::{HEADER, PREFIX, WireError, deliver, publish};

/// The kinds of frame. Control frames count from 0x01 and carry a `MessagePack` map, hot frames from 0x10 and have fixed bodies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Kind {
    /// Client: who I am and which session I mean.
    RegistrationRequest = 0x01,
    /// Broker: your session and its limits.
    RegistrationResponse = 0x02,
    /// Client: deliver me what matches a filter.
    SubscribeRequest = 0x03,
    /// Broker: subscribed, under this handle.
    SubscribeAck = 0x04,
    /// Client: no more of this filter.
    UnsubscribeRequest = 0x05,
    /// Broker: unsubscribed.
    UnsubscribeAck = 0x06,
    /// Broker: a subscription is over; do not subscribe again by yourself.
    SubscriptionEnded = 0x07,
    /// Broker: a subscription failed; subscribe again.
    Resubscribe = 0x08,
    /// Client: goodbye.
    Disconnect = 0x09,
    /// Broker: another connection has your session now.
    Displaced = 0x0A,
    /// Broker: an operator ended your session; do not come back by yourself.
    Evicted = 0x0B,
    /// Broker: refused or failed.
    Error = 0x0C,
    /// Client: a message.
    Publish = 0x10,
    /// Broker: publishes are settled up to here.
    PublishAck = 0x11,
    /// Broker: messages of a subscription.
    Deliver = 0x12,
    /// Client: done with a subscription's messages up to here.
    DeliverAck = 0x13,
    /// Client: not done with a message.
    DeliverNack = 0x14,
    /// Both: are you there?
    Ping = 0x15,
    /// Both: I am.
    Pong = 0x16,
}

impl Kind {
    /// Every kind there is, by number.
    pub const ALL: [Self; 19] = [
        Self::RegistrationRequest,
        Self::RegistrationResponse,
        Self::SubscribeRequest,
        Self::SubscribeAck,
        Self::UnsubscribeRequest,
        Self::UnsubscribeAck,
        Self::SubscriptionEnded,
        Self::Resubscribe,
        Self::Disconnect,
        Self::Displaced,
        Self::Evicted,
        Self::Error,
        Self::Publish,
        Self::PublishAck,
        Self::Deliver,
        Self::DeliverAck,
        Self::DeliverNack,
        Self::Ping,
        Self::Pong,
    ];

    /// The flag bits it has; all others are reserved.
    fn flags(self) -> u8 {
        match self {
            Self::Publish => publish::HAS_HEADERS,
            Self::Deliver => deliver::FLAGS,
            _ => 0,
        }
    }
}

impl TryFrom<u8> for Kind {
    type Error = WireError;

    fn try_from(kind: u8) -> Result<Self, WireError> {
        let index = match kind {
            0x01..=0x0C => kind - 0x01,
            0x10..=0x16 => kind - 0x10 + 0x0C,
            _ => return Err(WireError::UnknownKind { kind }),
        };
        Ok(Self::ALL[usize::from(index)])
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// A frame cut off a buffer: its kind is known and its flags are of that kind; its body has not been looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RawFrame<'a> {
    /// What it is.
    pub kind: Kind,
    /// Its flag bits.
    pub flags: u8,
    /// What follows the flags.
    pub body: &'a [u8],
}

/// Whole length in bytes (prefix included) of the frame at the head of `bytes`, as soon as its length field is there.
///
/// # Errors
/// A length under 2 or over `max_frame`: both known from four bytes, so that nothing need be allocated to refuse.
pub fn frame_len(bytes: &[u8], max_frame: usize) -> Result<Option<usize>, WireError> {
    let Some(prefix) = bytes.first_chunk::<PREFIX>() else { return Ok(None) };
    let length = u32::from_be_bytes(*prefix) as usize;
    if length > max_frame {
        return Err(WireError::TooLarge { length, max: max_frame });
    }
    if length < HEADER - PREFIX {
        return Err(WireError::TooShort { length });
    }
    Ok(Some(PREFIX + length))
}

/// The first whole frame of `bytes` and its whole length; `None`: more bytes are needed.
///
/// # Errors
/// Those of [`frame_len`], an unknown kind, and flags that the kind does not have.
pub fn split(bytes: &[u8], max_frame: usize) -> Result<Option<(RawFrame<'_>, usize)>, WireError> {
    let Some(whole) = frame_len(bytes, max_frame)? else { return Ok(None) };
    let Some(&[kind, flags, ref body @ ..]) = bytes.get(PREFIX..whole) else { return Ok(None) };
    let kind = Kind::try_from(kind)?;
    let reserved = flags & !kind.flags();
    if reserved != 0 {
        return Err(WireError::ReservedFlags { kind, flags: reserved });
    }
    Ok(Some((RawFrame { kind, flags, body }, whole)))
}

/// Appends a frame whose body is what `body` appends.
#[inline]
pub(super) fn put(out: &mut Vec<u8>, kind: Kind, flags: u8, body: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    out.extend_from_slice(&[0, 0, 0, 0, kind as u8, flags]);
    body(out);
    put_length(&mut out[start..]);
}

/// Writes the length of `frame`, which is whole, into its prefix.
fn put_length(frame: &mut [u8]) {
    let length = u32::try_from(frame.len() - PREFIX).expect("a frame is made far below 4 GiB");
    frame[..PREFIX].copy_from_slice(&length.to_be_bytes());
}
