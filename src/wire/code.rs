//! The numbers that say what went wrong, in the words of HTTP where they fit.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Why something was refused or ended. On the wire and in events it is its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "u16", into = "u16")]
#[repr(u16)]
pub enum Code {
    /// A frame that is not one, or not allowed in this state.
    Malformed = 400,
    /// Unknown user or wrong password.
    Unauthorized = 401,
    /// The principal has no right to this.
    Forbidden = 403,
    /// No such session.
    NotFound = 404,
    /// A deadline passed.
    TooSlow = 408,
    /// It was there and has ended: reclaimed, evicted, ended, killed.
    Gone = 410,
    /// A frame or payload over the limit.
    TooLarge = 413,
    /// A limit of this client's own.
    TooMany = 429,
    /// The broker's fault.
    Internal = 500,
    /// Draining, full, or the outcome is unknown; try again.
    Unavailable = 503,
    /// No protocol version in common.
    VersionNotSupported = 505,
    /// No room in the broker.
    NoRoom = 507,
}

impl Code {
    /// Every code there is, in order.
    pub const ALL: [Self; 12] = [
        Self::Malformed,
        Self::Unauthorized,
        Self::Forbidden,
        Self::NotFound,
        Self::TooSlow,
        Self::Gone,
        Self::TooLarge,
        Self::TooMany,
        Self::Internal,
        Self::Unavailable,
        Self::VersionNotSupported,
        Self::NoRoom,
    ];

    /// Its number.
    pub fn number(self) -> u16 {
        self as u16
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.number().fmt(f)
    }
}

impl From<Code> for u16 {
    fn from(code: Code) -> Self {
        code.number()
    }
}

/// A number that is no [`Code`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0} is not a code of protocol version 1")]
pub struct UnknownCode(pub u16);

impl TryFrom<u16> for Code {
    type Error = UnknownCode;

    fn try_from(number: u16) -> Result<Self, UnknownCode> {
        Self::ALL.into_iter().find(|code| code.number() == number).ok_or(UnknownCode(number))
    }
}
