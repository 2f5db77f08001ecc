//! What control frames say: their maps as structs, field by field as on the page.
//!
//! Names and filters in requests stay `String`: what is wrong with them is answered by the broker, to the request, and does
//! not end the connection. What the broker sends is typed.

use std::{fmt, time::Duration};

use serde::{Deserialize, Serialize};

use super::{
    Code, VERSION, WireError,
    body::{is_default, is_one, label, list, one, or_default, or_one, some},
};
use crate::name::{Epoch, Filter, SessionId, SubscriptionHandle};

/// The most versions a list of them names.
const MAX_VERSIONS: usize = 16;
/// The most failures a response tells: the latest. The outcomes before them are unknown.
pub const MAX_FAILURES: usize = 1_000;
/// The most subscriptions a response can name.
const MAX_SUBSCRIPTIONS: usize = 65_536;

/// A password on its way to the authenticator. Nothing prints it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Password(String);

impl From<String> for Password {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl From<&str> for Password {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

impl std::ops::Deref for Password {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// When a delivery is settled.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "&'static str")]
pub enum AckMode {
    /// By the client's `DeliverAck`.
    #[default]
    Explicit,
    /// When the broker has written it.
    None,
}

impl From<AckMode> for &'static str {
    fn from(mode: AckMode) -> Self {
        match mode {
            AckMode::Explicit => "explicit",
            AckMode::None => "none",
        }
    }
}

impl TryFrom<String> for AckMode {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, &'static str> {
        match text.as_str() {
            "explicit" => Ok(Self::Explicit),
            "none" => Ok(Self::None),
            _ => Err("ack is neither explicit nor none"),
        }
    }
}

/// The first frame of a client. protocol.md, "Registration".
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RegistrationRequest {
    /// The protocol versions the client speaks: 1 to 16.
    #[serde(deserialize_with = "some::<_, _, MAX_VERSIONS>")]
    pub versions: Vec<u16>,
    /// What it calls itself: a label, for people.
    pub name: String,
    /// Who it says it is, in 1 to 128 bytes.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "label")]
    pub user: Option<String>,
    /// The proof.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<Password>,
    /// The session to resume; none: a new one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<SessionId>,
    /// The keep-alive time it wishes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keep_alive_ms: Option<u64>,
    /// How long its session should wait for it after a loss.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reclaim_ms: Option<u64>,
    /// When a delivery to it is settled.
    #[serde(default, skip_serializing_if = "is_default", deserialize_with = "or_default")]
    pub ack: AckMode,
    /// The last publish sequence it knows to be settled; failures after it are told again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub settled: Option<u64>,
}

impl RegistrationRequest {
    /// A new session for a client that gives no credentials and has no wishes.
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            versions: vec![VERSION],
            name: name.into(),
            user: None,
            password: None,
            session: None,
            keep_alive_ms: None,
            reclaim_ms: None,
            ack: AckMode::default(),
            settled: None,
        }
    }

    /// The version to speak with this client.
    ///
    /// # Errors
    /// [`WireError::VersionNotSupported`] if there is none in common.
    pub fn common_version(&self) -> Result<u16, WireError> {
        self.versions.contains(&VERSION).then_some(VERSION).ok_or(WireError::VersionNotSupported)
    }
}

/// The broker's welcome: the session and what it is granted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RegistrationResponse {
    /// The version spoken from here on.
    pub version: u16,
    /// The session's id; it finds the session again and proves nothing.
    pub session: SessionId,
    /// True if the session was there before.
    pub resumed: bool,
    /// How often it has been attached.
    pub epoch: Epoch,
    /// The broker's name and version, for people.
    pub server: String,
    /// The client sends something at least this often.
    pub keep_alive_ms: u64,
    /// How long the session waits for its client after a loss.
    pub reclaim_ms: u64,
    /// The largest `length` of a frame the client may send.
    pub max_frame: u32,
    /// The longest topic or filter, in bytes.
    pub max_topic_bytes: u16,
    /// The most levels of a topic or filter.
    pub max_topic_levels: u16,
    /// Messages a subscription has in flight at most.
    pub window_messages: u32,
    /// Bytes a subscription has in flight at most.
    pub window_bytes: u64,
    /// Publishes the client may have unsettled before it is read more slowly.
    pub credit_messages: u32,
    /// Bytes of them.
    pub credit_bytes: u64,
    /// Every publish up to this sequence is settled.
    pub settled: u64,
    /// The last publish sequence the broker has taken, if that is later than `settled`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub taken: Option<u64>,
    /// Which of those after the client's `settled` failed; at most 1,000 entries.
    #[serde(default, deserialize_with = "list::<_, _, MAX_FAILURES>")]
    pub failures: Vec<Failure>,
    /// The outcomes after the client's `settled` up to here are no longer known; `failures` is complete after it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unknown_to: Option<u64>,
    /// The subscriptions that have survived.
    #[serde(default, deserialize_with = "list::<_, _, MAX_SUBSCRIPTIONS>")]
    pub subscriptions: Vec<HandleOf>,
}

/// Publishes that failed for one reason: `count` of them, from `sequence`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// The first.
    pub sequence: u64,
    /// How many.
    pub count: u32,
    /// Why.
    pub code: Code,
}

/// A subscription and its handle.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HandleOf {
    /// What it asks for.
    pub filter: Filter,
    /// Its number in this session.
    pub handle: SubscriptionHandle,
}

/// A wish to subscribe.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SubscribeRequest {
    /// The client's number for this request; the answer carries it.
    pub request: u32,
    /// What to subscribe to, not yet checked.
    pub filter: String,
    /// After how long without an acknowledgement messages come again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ack_timeout_ms: Option<u64>,
    /// Reserved for shared subscriptions; refused in version 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
}

/// Subscribed: what anyone publishes after this frame was sent is delivered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SubscribeAck {
    /// The request it answers.
    pub request: u32,
    /// The filter.
    pub filter: Filter,
    /// The subscription's number in this session.
    pub handle: SubscriptionHandle,
    /// After how long without an acknowledgement messages come again.
    pub ack_timeout_ms: u64,
    /// It was there already.
    pub existing: bool,
}

/// A wish to unsubscribe.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnsubscribeRequest {
    /// The client's number for this request; the answer carries it.
    pub request: u32,
    /// What was subscribed to.
    pub filter: String,
}

/// Unsubscribed: nothing of this subscription comes after this frame.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnsubscribeAck {
    /// The request it answers.
    pub request: u32,
    /// The filter.
    pub filter: Filter,
    /// It was there.
    pub existed: bool,
}

/// The broker ended a subscription. The client does not subscribe again by itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SubscriptionEnded {
    /// What it asked for.
    pub filter: Filter,
    /// Its number.
    pub handle: SubscriptionHandle,
    /// Why: 410 its topic was killed, 403 the right was withdrawn.
    pub code: Code,
    /// Why, for people.
    pub reason: String,
    /// How many messages it held.
    pub lost: u64,
}

/// A subscription failed at the broker. The client subscribes again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resubscribe {
    /// What it asked for.
    pub filter: Filter,
    /// Its number, which is over.
    pub handle: SubscriptionHandle,
    /// How many messages it held.
    pub lost: u64,
}

/// The client's goodbye.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Disconnect {
    /// End the session too, instead of leaving it to wait.
    #[serde(default, deserialize_with = "or_default")]
    pub end: bool,
}

/// A map without fields that mean anything.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Nothing {}

/// An operator ended the session. The client does not come back by itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Evicted {
    /// The operator's words.
    pub reason: String,
}

/// Something was refused or has failed. With `request` or `sequence` it answers that; without, after registration, it is the
/// last frame of the connection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorFrame {
    /// What a program needs to know.
    pub code: Code,
    /// What a person needs to know.
    pub reason: String,
    /// The Subscribe or Unsubscribe it answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<u32>,
    /// The first publish that failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sequence: Option<u64>,
    /// How many consecutive ones did.
    #[serde(default = "one", skip_serializing_if = "is_one", deserialize_with = "or_one")]
    pub count: u32,
    /// With 410: when the session ended, in Unix milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at_ms: Option<u64>,
    /// With 408, 429 and 503: after how long it makes sense to try again, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_ms: Option<u64>,
    /// With 505: the versions this broker speaks.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "list::<_, _, MAX_VERSIONS>")]
    pub versions: Vec<u16>,
}

impl ErrorFrame {
    /// An error of the connection.
    pub fn new(code: Code, reason: impl Into<String>) -> Self {
        let (reason, versions) = (reason.into(), Vec::new());
        Self { code, reason, request: None, sequence: None, count: 1, at_ms: None, retry_ms: None, versions }
    }

    /// The same, with the time after which it makes sense to try again.
    #[must_use]
    pub fn retry_after(self, wait: Option<Duration>) -> Self {
        Self { retry_ms: wait.map(|wait| wait.as_millis() as u64), ..self }
    }

    /// The same as the answer to a request.
    #[must_use]
    pub fn to_request(self, request: u32) -> Self {
        Self { request: Some(request), ..self }
    }

    /// The same as the answer to `count` publishes from `sequence`.
    #[must_use]
    pub fn to_publishes(self, sequence: u64, count: u32) -> Self {
        Self { sequence: Some(sequence), count, ..self }
    }
}

impl From<&WireError> for ErrorFrame {
    fn from(error: &WireError) -> Self {
        let versions = if *error == WireError::VersionNotSupported { vec![VERSION] } else { Vec::new() };
        Self { versions, ..Self::new(error.code(), error.to_string()) }
    }
}
