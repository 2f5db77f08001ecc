//! What can be wrong with bytes from a peer.

use super::{Code, Kind, VERSION};

/// Why bytes are not a frame, or not one that may be sent. Its text goes to the peer with [`WireError::code`]; it never holds
/// anything the peer sent, so that no secret and no unprintable character comes back or reaches a log.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    /// The length field is over the limit. Known from the first four bytes.
    #[error("a frame of {length} bytes is over the limit of {max} bytes; send less in one frame")]
    TooLarge {
        /// What the length field says.
        length: usize,
        /// The limit.
        max: usize,
    },
    /// The length field leaves no room for kind and flags.
    #[error("a frame length of {length} is too short; kind and flags alone are 2")]
    TooShort {
        /// What the length field says.
        length: usize,
    },
    /// No frame has this kind.
    #[error("0x{kind:02x} is not a kind of frame of protocol version 1")]
    UnknownKind {
        /// The kind byte.
        kind: u8,
    },
    /// Flag bits that this kind does not have.
    #[error("{kind} has no flags 0x{flags:02x}; reserved bits must be 0")]
    ReservedFlags {
        /// The frame.
        kind: Kind,
        /// The offending bits.
        flags: u8,
    },
    /// A client sent what only the broker sends.
    #[error("a client cannot send {kind}")]
    NotFromClient {
        /// The frame.
        kind: Kind,
    },
    /// A broker sent what only clients send.
    #[error("a broker cannot send {kind}")]
    NotFromServer {
        /// The frame.
        kind: Kind,
    },
    /// The body ends inside a field.
    #[error("{kind} ends inside its {field}")]
    Truncated {
        /// The frame.
        kind: Kind,
        /// The field.
        field: &'static str,
    },
    /// The body goes on after its last field.
    #[error("{kind} has {bytes} bytes after its last field")]
    Trailing {
        /// The frame.
        kind: Kind,
        /// How many.
        bytes: usize,
    },
    /// A field holds what it cannot.
    #[error("{field} of {kind} must be {need}")]
    Invalid {
        /// The frame.
        kind: Kind,
        /// The field.
        field: &'static str,
        /// What it must be.
        need: &'static str,
    },
    /// A control frame's map is not one, or lacks something.
    #[error("the map of {kind} is malformed: {why}")]
    Map {
        /// The frame.
        kind: Kind,
        /// What is wrong, without a word of what was sent.
        why: String,
    },
    /// None of the client's versions is spoken here.
    #[error("no protocol version in common; this broker speaks version {VERSION}")]
    VersionNotSupported,
}

impl WireError {
    /// The code the peer is told.
    pub fn code(&self) -> Code {
        match self {
            Self::TooLarge { .. } => Code::TooLarge,
            Self::VersionNotSupported => Code::VersionNotSupported,
            Self::TooShort { .. }
            | Self::UnknownKind { .. }
            | Self::ReservedFlags { .. }
            | Self::NotFromClient { .. }
            | Self::NotFromServer { .. }
            | Self::Truncated { .. }
            | Self::Trailing { .. }
            | Self::Invalid { .. }
            | Self::Map { .. } => Code::Malformed,
        }
    }
}
