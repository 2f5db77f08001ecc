//! Names: who and what the broker talks about, each checked once where it enters and never again.
//!
//! A topic is `/`-separated levels; a filter may say `+` for one level and `#` for the rest. Control, bidirectional and
//! zero-width characters are refused in all of them, so that two names that look the same are the same. Whatever text a
//! client chose is shown through [`Printable`] and through nothing else (I7).

use std::{fmt, str::FromStr, sync::Arc};

use serde::{Deserialize, Serialize};

/// The longest topic or filter, in bytes, unless the configuration says less.
pub const MAX_TOPIC_BYTES: usize = 255;
/// The most levels in a topic or filter, unless the configuration says fewer.
pub const MAX_TOPIC_LEVELS: usize = 16;
/// The longest client, principal or operator name, in bytes.
pub const MAX_LABEL_BYTES: usize = 128;

/// Why a name was refused. The text goes to the client with code 400.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Nothing where a name belongs.
    #[error("the {what} is empty; give it at least one character")]
    Empty {
        /// Topic, filter or name.
        what: &'static str,
    },
    /// Longer than the bound.
    #[error("the {what} has {bytes} bytes; at most {max} are allowed")]
    TooLong {
        /// Topic, filter or name.
        what: &'static str,
        /// How long it is.
        bytes: usize,
        /// How long it may be.
        max: usize,
    },
    /// More levels than the bound.
    #[error("the {what} has more than {max} levels")]
    TooDeep {
        /// Topic or filter.
        what: &'static str,
        /// How many there may be.
        max: usize,
    },
    /// `a//b`, `/a` or `a/`.
    #[error("the {what} has an empty level; write a/b, not /a, a/ or a//b")]
    EmptyLevel {
        /// Topic or filter.
        what: &'static str,
    },
    /// A control, bidirectional or zero-width character.
    #[error("the {what} holds the character U+{code:04X}, which cannot be shown; leave it out")]
    Unprintable {
        /// Topic, filter or name.
        what: &'static str,
        /// Its code point.
        code: u32,
    },
    /// Not UTF-8.
    #[error("the {what} is not UTF-8")]
    NotUtf8 {
        /// Topic, filter or name.
        what: &'static str,
    },
    /// `+` or `#` in a topic.
    #[error("a topic cannot hold + or #; they belong in filters")]
    WildcardInTopic,
    /// `a+`, `#/b`, `a#`.
    #[error("a wildcard must be a whole level, and # the last one; write a/+/b or a/#")]
    MisplacedWildcard,
    /// A leading `$`.
    #[error("names that start with $ are reserved for the broker")]
    Reserved,
    /// Not 32 hexadecimal digits.
    #[error("a session id is 32 hexadecimal digits")]
    NotASessionId,
}

/// How long and how deep a topic or filter may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NameRules {
    /// Bytes, at most [`MAX_TOPIC_BYTES`].
    pub max_bytes: usize,
    /// Levels, at most [`MAX_TOPIC_LEVELS`].
    pub max_levels: usize,
}

impl Default for NameRules {
    fn default() -> Self {
        Self { max_bytes: MAX_TOPIC_BYTES, max_levels: MAX_TOPIC_LEVELS }
    }
}

/// Characters that change what a name looks like without being seen: refused in names, escaped on screens.
pub fn is_unprintable(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{00AD}' | '\u{034F}' | '\u{061C}' | '\u{115F}' | '\u{1160}' | '\u{17B4}' | '\u{17B5}' | '\u{180B}'..='\u{180F}'
            | '\u{200B}'..='\u{200F}' | '\u{2028}'..='\u{202E}' | '\u{2060}'..='\u{206F}' | '\u{3164}' | '\u{FE00}'..='\u{FE0F}'
            | '\u{FEFF}' | '\u{FFA0}' | '\u{FFF0}'..='\u{FFFB}' | '\u{FFFE}' | '\u{FFFF}'
            | '\u{1D173}'..='\u{1D17A}' | '\u{E0000}'..='\u{E0FFF}')
}

fn check_text(text: &str, what: &'static str, max: usize) -> Result<(), NameError> {
    if text.is_empty() {
        return Err(NameError::Empty { what });
    }
    if text.len() > max {
        return Err(NameError::TooLong { what, bytes: text.len(), max });
    }
    match text.chars().find(|c| is_unprintable(*c)) {
        Some(c) => Err(NameError::Unprintable { what, code: u32::from(c) }),
        None => Ok(()),
    }
}

fn check_levels(text: &str, what: &'static str, rules: &NameRules) -> Result<(), NameError> {
    check_text(text, what, rules.max_bytes.min(MAX_TOPIC_BYTES))?;
    if text.starts_with('$') {
        return Err(NameError::Reserved);
    }
    let max = rules.max_levels.min(MAX_TOPIC_LEVELS);
    if text.split('/').nth(max).is_some() {
        return Err(NameError::TooDeep { what, max });
    }
    if text.split('/').any(str::is_empty) {
        return Err(NameError::EmptyLevel { what });
    }
    Ok(())
}

macro_rules! text_name {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(Arc<str>);

        impl $name {
            /// The name as it was given.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl std::borrow::Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> Self {
                name.0.as_ref().to_owned()
            }
        }

        impl TryFrom<String> for $name {
            type Error = NameError;

            fn try_from(text: String) -> Result<Self, NameError> {
                text.parse()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&self.0, f)
            }
        }
    };
}

text_name! {
    /// A topic: what is published to. No wildcards.
    TopicName
}

text_name! {
    /// A filter: what is subscribed to. A filter without a wildcard is the name of one topic.
    Filter
}

text_name! {
    /// What a client calls itself. A label: two clients may share it.
    ClientName
}

text_name! {
    /// Who a client was authenticated as.
    Principal
}

impl TopicName {
    /// Checks `text` as a topic.
    ///
    /// # Errors
    /// A [`NameError`] that says which rule it breaks.
    pub fn parse(text: &str, rules: &NameRules) -> Result<Self, NameError> {
        check_levels(text, "topic", rules)?;
        if text.contains(['+', '#']) {
            return Err(NameError::WildcardInTopic);
        }
        Ok(Self(text.into()))
    }

    /// Checks bytes from the wire as a topic.
    ///
    /// # Errors
    /// A [`NameError`] that says which rule they break.
    pub fn from_bytes(bytes: &[u8], rules: &NameRules) -> Result<Self, NameError> {
        let text = std::str::from_utf8(bytes).map_err(|_| NameError::NotUtf8 { what: "topic" })?;
        Self::parse(text, rules)
    }
}

impl FromStr for TopicName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        Self::parse(text, &NameRules::default())
    }
}

impl Filter {
    /// Checks `text` as a filter.
    ///
    /// # Errors
    /// A [`NameError`] that says which rule it breaks.
    pub fn parse(text: &str, rules: &NameRules) -> Result<Self, NameError> {
        check_levels(text, "filter", rules)?;
        let last = text.split('/').count() - 1;
        for (depth, level) in text.split('/').enumerate() {
            let whole = level.len() == 1;
            if (level.contains('+') && !whole) || (level.contains('#') && (!whole || depth != last)) {
                return Err(NameError::MisplacedWildcard);
            }
        }
        Ok(Self(text.into()))
    }

    /// The one topic it names, or none if it has a wildcard.
    pub fn exact(&self) -> Option<TopicName> {
        (!self.0.contains(['+', '#'])).then(|| TopicName(self.0.clone()))
    }
}

impl FromStr for Filter {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        Self::parse(text, &NameRules::default())
    }
}

impl From<TopicName> for Filter {
    fn from(topic: TopicName) -> Self {
        Self(topic.0)
    }
}

impl FromStr for ClientName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        check_text(text, "client name", MAX_LABEL_BYTES)?;
        Ok(Self(text.into()))
    }
}

impl FromStr for Principal {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        check_text(text, "user name", MAX_LABEL_BYTES)?;
        Ok(Self(text.into()))
    }
}

impl Principal {
    /// Who everyone on loopback is while no users are configured.
    pub fn local() -> Self {
        Self("local".into())
    }

    /// True for [`Principal::local`].
    pub fn is_local(&self) -> bool {
        &*self.0 == "local"
    }
}

/// A session's id: 128 bits from the operating system, written as 32 hexadecimal digits. It finds a session; it proves nothing.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct SessionId([u8; 16]);

impl SessionId {
    /// An id from 16 random bytes.
    pub fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// The first four and the last four digits, for a narrow column: `9f3c..e1a2`.
    pub fn short(&self) -> String {
        let [a, b, .., y, z] = self.0;
        format!("{a:02x}{b:02x}..{y:02x}{z:02x}")
    }
}

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.short())
    }
}

impl FromStr for SessionId {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let digits = text.as_bytes();
        if digits.len() != 32 || !digits.iter().all(u8::is_ascii_hexdigit) {
            return Err(NameError::NotASessionId);
        }
        let mut bytes = [0; 16];
        for (byte, pair) in bytes.iter_mut().zip(digits.chunks(2)) {
            let nibble = |c: u8| (c as char).to_digit(16).unwrap_or_default() as u8;
            *byte = nibble(pair[0]) << 4 | nibble(pair[1]);
        }
        Ok(Self(bytes))
    }
}

impl TryFrom<String> for SessionId {
    type Error = NameError;

    fn try_from(text: String) -> Result<Self, NameError> {
        text.parse()
    }
}

impl From<SessionId> for String {
    fn from(id: SessionId) -> Self {
        id.to_string()
    }
}

/// How often a session has been attached; whatever carries an older one is dropped and counted (I4).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Epoch(pub u64);

impl Epoch {
    /// The epoch of the next attach.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// One client connection, numbered from 1 in the order of acceptance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ListenerId(pub u64);

impl fmt::Display for ListenerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{}", self.0)
    }
}

/// A subscription's number on the wire, given in the `SubscribeAck` and never used twice in a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct SubscriptionHandle(pub u32);

/// One (session, filter) pair, written `session_id:filter`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct SubscriptionId {
    /// Whose it is.
    pub session: SessionId,
    /// What it asks for.
    pub filter: Filter,
}

impl fmt::Display for SubscriptionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.session, self.filter)
    }
}

impl FromStr for SubscriptionId {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let (session, filter) = text.split_once(':').ok_or(NameError::NotASessionId)?;
        Ok(Self { session: session.parse()?, filter: filter.parse()? })
    }
}

impl TryFrom<String> for SubscriptionId {
    type Error = NameError;

    fn try_from(text: String) -> Result<Self, NameError> {
        text.parse()
    }
}

impl From<SubscriptionId> for String {
    fn from(id: SubscriptionId) -> Self {
        id.to_string()
    }
}

/// Text that someone else chose, made safe to show: what cannot be seen is escaped as `\u{…}`, and so is `\` itself.
///
/// ```
/// use cordboard::Printable;
/// assert_eq!(Printable("a\u{1b}[31m\\").to_string(), r"a\u{1b}[31m\\");
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Printable<'a>(pub &'a str);

impl fmt::Display for Printable<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use fmt::Write;
        for c in self.0.chars() {
            match c {
                '\\' => f.write_str("\\\\")?,
                c if is_unprintable(c) => write!(f, "\\u{{{:x}}}", u32::from(c))?,
                c => f.write_char(c)?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn topic(text: &str) -> Result<TopicName, NameError> {
        text.parse()
    }

    fn filter(text: &str) -> Result<Filter, NameError> {
        text.parse()
    }

    #[test]
    fn a_topic_is_levels_of_visible_text() {
        assert!(topic("orders/eu/Zürich 7").is_ok());
        assert_eq!(topic(""), Err(NameError::Empty { what: "topic" }));
        for bad in ["/a", "a/", "a//b"] {
            assert_eq!(topic(bad), Err(NameError::EmptyLevel { what: "topic" }), "{bad}");
        }
        for bad in ["a/+", "#", "a#b"] {
            assert_eq!(topic(bad), Err(NameError::WildcardInTopic), "{bad}");
        }
        assert_eq!(topic("$sys/x"), Err(NameError::Reserved));
        for bad in ["a\0", "a\u{7f}", "a\u{85}", "a\u{202e}b", "a\u{200b}", "a\u{feff}", "a\u{fffe}"] {
            assert!(matches!(topic(bad), Err(NameError::Unprintable { .. })), "{bad:?}");
        }
    }

    #[test]
    fn lengths_and_levels_are_bounded_to_the_byte() {
        assert!(topic(&"a".repeat(255)).is_ok());
        assert!(matches!(topic(&"a".repeat(256)), Err(NameError::TooLong { bytes: 256, max: 255, .. })));
        assert!(topic(&["a"; 16].join("/")).is_ok());
        assert!(matches!(topic(&["a"; 17].join("/")), Err(NameError::TooDeep { max: 16, .. })));
        let short = NameRules { max_bytes: 3, max_levels: 1 };
        assert!(TopicName::parse("abc", &short).is_ok());
        assert!(TopicName::parse("abcd", &short).is_err());
        assert!(TopicName::parse("a/b", &short).is_err());
    }

    #[test]
    fn a_wildcard_is_a_whole_level_and_the_rest_comes_last() {
        for good in ["#", "+", "a/#", "+/b/+", "a/+/#"] {
            assert!(filter(good).is_ok(), "{good}");
        }
        for bad in ["a#", "#/b", "a/b+", "a/#/b", "++"] {
            assert_eq!(filter(bad), Err(NameError::MisplacedWildcard), "{bad}");
        }
        assert_eq!(filter("a/b").unwrap().exact(), topic("a/b").ok());
        assert_eq!(filter("a/+").unwrap().exact(), None);
    }

    #[test]
    fn a_session_id_is_its_digits_and_back() {
        let id = SessionId::from_bytes(*b"0123456789abcdef");
        assert_eq!(id.to_string().parse(), Ok(id));
        assert_eq!(id.short(), "3031..6566");
        for bad in ["", "30", &"g".repeat(32), &"0".repeat(33), &"é".repeat(16)] {
            assert_eq!(bad.parse::<SessionId>(), Err(NameError::NotASessionId), "{bad}");
        }
    }
}
