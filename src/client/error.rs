//! What can go wrong for a client, each kind where it is met: connecting, publishing, subscribing, and the end of it all.
//!
//! The broker's words are part of some texts; they are shown through [`Printable`], like every text from elsewhere.

use std::{io, sync::Arc, time::Duration};

use crate::{
    name::{Filter, NameError, Printable},
    wire::{Code, VERSION, WireError},
    words::InWords,
};

/// Why no connection came about.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ConnectError {
    /// Nobody answered at the address, or there is no such address.
    #[error("cannot connect to {address}: {}{}", InWords(why), doubt(why))]
    Unreachable {
        /// Where.
        address: String,
        /// What the operating system says.
        why: Arc<io::Error>,
    },
    /// Not connected and registered in time.
    #[error("no broker answered at {address} within {}; is the address right?", humantime::format_duration(*.within))]
    TimedOut {
        /// Where.
        address: String,
        /// How long it was tried.
        within: Duration,
    },
    /// The connection ended before the broker had answered.
    #[error("{address} closed the connection before it answered; is it a cordboard broker?")]
    ClosedEarly {
        /// Where.
        address: String,
    },
    /// The broker said no.
    #[error("the broker refused: {} ({code})", Printable(reason))]
    Refused {
        /// 401, 403, 429, 503, 505, …
        code: Code,
        /// The broker's words.
        reason: String,
        /// After how long it makes sense to try again, if the broker said so.
        retry: Option<Duration>,
    },
    /// What answered does not speak the protocol.
    #[error("{address} {}", strangeness(why))]
    NotABroker {
        /// Where.
        address: String,
        /// What is wrong with its bytes.
        why: WireError,
    },
    /// The broker has answered in another version of the protocol than was asked for.
    #[error(
        "{address} speaks version {version} of the protocol, and this client version {VERSION}; use one made for that broker"
    )]
    OtherVersion {
        /// Where.
        address: String,
        /// What the broker speaks.
        version: u16,
    },
    /// The client's own name breaks a rule.
    #[error(transparent)]
    Name(#[from] NameError),
}

impl ConnectError {
    /// True if the same attempt may succeed later: the broker is away, full or draining.
    pub fn is_temporary(&self) -> bool {
        match self {
            Self::Unreachable { .. } | Self::TimedOut { .. } | Self::ClosedEarly { .. } => true,
            Self::Refused { code, .. } => is_temporary(*code),
            Self::NotABroker { .. } | Self::OtherVersion { .. } | Self::Name(_) => false,
        }
    }
}

/// What to look at first, where the error tells that much. A name that cannot be resolved is an error of the resolver, which has
/// no number of the system's and no kind with a name; what a connector of the user's says of itself asks for no guess.
fn doubt(why: &io::Error) -> &'static str {
    use io::ErrorKind as Kind;
    match why.kind() {
        Kind::InvalidInput => "; an address is HOST or HOST:PORT, and a port a number up to 65535",
        Kind::ConnectionRefused => "; is a broker running there?",
        Kind::TimedOut | Kind::HostUnreachable | Kind::NetworkUnreachable | Kind::NetworkDown | Kind::AddrNotAvailable => {
            "; can it be reached from here?"
        }
        Kind::ConnectionReset | Kind::ConnectionAborted | Kind::BrokenPipe => "; is it a cordboard broker?",
        Kind::Other | Kind::InvalidData | Kind::UnexpectedEof | Kind::PermissionDenied | Kind::Unsupported => "",
        _ if why.raw_os_error().is_none() => "; is the host's name right?",
        _ => "",
    }
}

/// What whatever answered has said. Of bytes that are no frame at all, their sizes mean nothing; a frame of a kind or with flags
/// that are not known may be one of a later version.
fn strangeness(why: &WireError) -> String {
    match why {
        WireError::TooLarge { .. } | WireError::TooShort { .. } => {
            "is no cordboard broker: its first bytes are no frame".to_owned()
        }
        WireError::UnknownKind { .. } | WireError::ReservedFlags { .. } => format!(
            "does not speak version {VERSION} of the protocol, which has no such frame; is it newer than this client, or no cordboard broker?"
        ),
        of_a_frame => format!("is no cordboard broker: {of_a_frame}"),
    }
}

/// True for the codes that say "not now" rather than "not you".
pub(super) fn is_temporary(code: Code) -> bool {
    matches!(code, Code::TooSlow | Code::TooMany | Code::Internal | Code::Unavailable | Code::NoRoom)
}

/// Why a client is over. It does not come back by itself from any of these.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ClientEnd {
    /// [`close`](super::Client::close) or [`end`](super::Client::end) was called, or everything that could use it was dropped.
    #[error("the client was closed")]
    Closed,
    /// An operator ended the session.
    #[error("an operator ended the session: {}", Printable(reason))]
    Evicted {
        /// The operator's words.
        reason: String,
    },
    /// Another connection resumed the same session.
    #[error("another connection took the session over; give each client a session of its own")]
    Displaced,
    /// The broker closed the connection and trying again would not help.
    #[error("the broker ended the connection: {} ({code})", Printable(reason))]
    Refused {
        /// Why.
        code: Code,
        /// The broker's words.
        reason: String,
    },
    /// The connection is gone and the reconnect policy has given up.
    #[error("the connection was lost: {why}")]
    Lost {
        /// What happened to it, or to the last attempt to come back.
        why: String,
    },
}

/// Why a message was not, or perhaps not, published.
#[derive(Debug, Clone, thiserror::Error)]
pub enum PublishError {
    /// The topic breaks a rule.
    #[error(transparent)]
    Topic(#[from] NameError),
    /// A header breaks a rule.
    #[error(transparent)]
    Header(#[from] WireError),
    /// Larger than the broker takes.
    #[error(
        "a message of {bytes} bytes is over the broker's limit of {max} (connections.max_frame_bytes); send less in one message"
    )]
    TooLarge {
        /// Its frame.
        bytes: usize,
        /// The limit.
        max: usize,
    },
    /// The broker said no, and did not take it. (503: it may have been taken.)
    #[error("the broker refused the message to {}: {} ({code})", Printable(topic), Printable(reason))]
    Refused {
        /// Where it was to go.
        topic: String,
        /// 403, 410, 413, 429, 503, 507.
        code: Code,
        /// The broker's words.
        reason: String,
    },
    /// It was sent, and the session or the client was over before an answer came. Publishing it again may deliver it twice.
    #[error("the message was sent and not answered; it may or may not have been accepted: {}", over(.0.as_ref()))]
    OutcomeUnknown(
        /// How the client ended; `None` if only its session was lost.
        Option<ClientEnd>,
    ),
    /// The client is over, and the message was not sent.
    #[error("the message was not sent: {0}")]
    Ended(#[from] ClientEnd),
}

/// What was over before an answer came.
fn over(end: Option<&ClientEnd>) -> String {
    end.map_or_else(|| "the session was lost".to_owned(), ClientEnd::to_string)
}

/// Why there is no subscription.
#[derive(Debug, Clone, thiserror::Error)]
pub enum SubscribeError {
    /// The filter breaks a rule.
    #[error(transparent)]
    Filter(#[from] NameError),
    /// This client has a stream for this filter.
    #[error("this client has subscribed to {} already; use that stream, or unsubscribe it first", Printable(.0.as_str()))]
    AlreadySubscribed(Filter),
    /// The broker said no.
    #[error("the broker refused the subscription to {}: {} ({code})", Printable(filter.as_str()), Printable(reason))]
    Refused {
        /// What was to be subscribed to, or no longer.
        filter: Filter,
        /// 400, 403, 429.
        code: Code,
        /// The broker's words.
        reason: String,
    },
    /// The client is over.
    #[error(transparent)]
    Ended(#[from] ClientEnd),
}

/// Why a ping was not answered.
#[derive(Debug, Clone, thiserror::Error)]
pub enum PingError {
    /// There is no connection, or it was lost before the answer came. The client comes back by itself; ask again then.
    #[error("the connection was lost before the broker had answered")]
    Lost,
    /// The client is over.
    #[error(transparent)]
    Ended(#[from] ClientEnd),
}

/// Not everything that was published was accepted.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{failed} messages were not accepted, the first because {first}")]
pub struct FlushError {
    /// How many, since the last flush.
    pub failed: u64,
    /// What happened to the first of them.
    pub first: PublishError,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A question that does not fit the error sends people the wrong way.
    #[tokio::test]
    async fn what_is_asked_fits_what_was_wrong() {
        async fn of(address: &str) -> String {
            let why = tokio::net::TcpStream::connect(address).await.expect_err("nothing is there");
            ConnectError::Unreachable { address: address.to_owned(), why: Arc::new(why) }.to_string()
        }
        // RFC 6761: this name never resolves.
        assert!(of("no-such-host.invalid:1").await.ends_with("; is the host's name right?"));
        for bad in ["localhost:99999", "localhost:amqp", "a:b:c"] {
            let told = of(bad).await;
            assert!(told.ends_with("an address is HOST or HOST:PORT, and a port a number up to 65535"), "{told}");
        }
        let of = |why: io::Error| ConnectError::Unreachable { address: "a:1".to_owned(), why: Arc::new(why) }.to_string();
        for (kind, question) in [
            (io::ErrorKind::ConnectionRefused, "is a broker running there?"),
            (io::ErrorKind::HostUnreachable, "can it be reached from here?"),
            (io::ErrorKind::TimedOut, "can it be reached from here?"),
            (io::ErrorKind::ConnectionReset, "is it a cordboard broker?"),
        ] {
            assert!(of(kind.into()).ends_with(question), "{kind:?}");
        }
        assert_eq!(of(io::Error::other("the certificate is too old")), "cannot connect to a:1: the certificate is too old");
    }

    #[test]
    fn a_broker_of_a_later_version_is_not_called_none() {
        let of = |why| ConnectError::NotABroker { address: "a:1".to_owned(), why }.to_string();
        assert_eq!(of(WireError::TooShort { length: 1 }), "a:1 is no cordboard broker: its first bytes are no frame");
        let later = of(WireError::UnknownKind { kind: 0x17 });
        assert!(later.contains("does not speak version 1") && later.contains("newer than this client"), "{later}");
    }
}
