//! Message headers: a counted list of text pairs, checked once where they enter and carried as bytes from there on.

use std::time::Duration;

use super::{Kind, WireError, reader::Reader};

/// The most pairs a message carries.
pub const MAX_HEADERS: usize = 64;
/// The longest key, in bytes. A value may have 65,535.
pub const MAX_HEADER_KEY_BYTES: usize = 255;

/// The headers of a message, as they stand in a frame (`u16 count`, then the pairs), checked. Empty if there are none.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Headers<'a>(&'a [u8]);

impl<'a> Headers<'a> {
    /// No headers.
    pub const NONE: Self = Self(&[]);
    /// How long the message may wait, in milliseconds, written in decimal; see [`Headers::ttl`].
    pub const TTL_MS: &'static str = "ttl-ms";
    /// The media type of the payload.
    pub const CONTENT_TYPE: &'static str = "content-type";
    /// The W3C trace context of the publisher.
    pub const TRACEPARENT: &'static str = "traceparent";

    /// Checks what [`headers_from`] made, or what [`Headers::as_bytes`] gave. No bytes at all are no headers.
    ///
    /// # Errors
    /// A [`WireError`] that names the field.
    pub fn from_bytes(bytes: &'a [u8]) -> Result<Self, WireError> {
        if bytes.is_empty() {
            return Ok(Self::NONE);
        }
        let mut reader = Reader::new(Kind::Publish, bytes);
        let headers = Self::read(&mut reader)?;
        reader.end()?;
        Ok(headers)
    }

    /// What [`headers_from`] made, or [`Headers::as_bytes`] gave: not checked again.
    #[inline]
    pub(crate) const fn known(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// Takes headers off the front of `reader`.
    pub(super) fn read(reader: &mut Reader<'a>) -> Result<Self, WireError> {
        let whole = reader.rest();
        let count = reader.u16("header count")?;
        if count == 0 || usize::from(count) > MAX_HEADERS {
            return Err(reader.invalid("header count", "1 to 64; leave the flag out for none"));
        }
        let pairs = reader.rest();
        for index in 0..usize::from(count) {
            let key = reader.short_text("header key")?;
            let value = reader.short_text("header value")?;
            check_pair(key, value).map_err(|(field, need)| reader.invalid(field, need))?;
            if (HeaderPairs { left: index, rest: pairs }).any(|(earlier, _)| earlier == key) {
                return Err(reader.invalid("header key", "there once"));
            }
        }
        let len = whole.len() - reader.rest().len();
        Ok(Self(&whole[..len]))
    }

    /// True if there are none.
    #[inline]
    pub fn is_empty(self) -> bool {
        self.0.is_empty()
    }

    /// The bytes as they stand in a frame.
    #[inline]
    pub fn as_bytes(self) -> &'a [u8] {
        self.0
    }

    /// The pairs, in the order of the publisher.
    pub fn iter(self) -> HeaderPairs<'a> {
        match self.0.split_first_chunk() {
            Some((count, rest)) => HeaderPairs { left: usize::from(u16::from_be_bytes(*count)), rest },
            None => HeaderPairs { left: 0, rest: &[] },
        }
    }

    /// The value of `key`.
    pub fn get(self, key: &str) -> Option<&'a str> {
        self.iter().find_map(|(k, value)| (k == key).then_some(value))
    }

    /// How long the message may wait in a queue or backlog, counted from its acceptance.
    #[inline]
    pub fn ttl(self) -> Option<Duration> {
        if self.is_empty() {
            return None;
        }
        self.get(Self::TTL_MS)?.parse().ok().map(Duration::from_millis)
    }
}

impl<'a> IntoIterator for Headers<'a> {
    type Item = (&'a str, &'a str);
    type IntoIter = HeaderPairs<'a>;

    fn into_iter(self) -> HeaderPairs<'a> {
        self.iter()
    }
}

/// Iterator over [`Headers`].
#[derive(Debug, Clone)]
pub struct HeaderPairs<'a> {
    left: usize,
    rest: &'a [u8],
}

impl<'a> Iterator for HeaderPairs<'a> {
    type Item = (&'a str, &'a str);

    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        let mut reader = Reader::new(Kind::Publish, self.rest);
        let key = reader.short_text("header key").ok()?;
        let value = reader.short_text("header value").ok()?;
        self.rest = reader.rest();
        Some((key, value))
    }
}

fn check_pair(key: &str, value: &str) -> Result<(), (&'static str, &'static str)> {
    if key.is_empty() || key.len() > MAX_HEADER_KEY_BYTES {
        return Err(("header key", "1 to 255 bytes long"));
    }
    if value.len() > usize::from(u16::MAX) {
        return Err(("header value", "at most 65535 bytes long"));
    }
    let decimal = value.bytes().all(|digit| digit.is_ascii_digit());
    if key == Headers::TTL_MS && !(decimal && value.parse::<u64>().is_ok_and(|ms| ms > 0)) {
        return Err(("ttl-ms", "a decimal number of milliseconds from 1 to 2^64 - 1"));
    }
    Ok(())
}

/// The encoding of `pairs`, for [`Headers::from_bytes`]; nothing if there are none.
///
/// # Errors
/// Too many pairs, a key twice, a key or value of the wrong length, a time to live that is no number.
pub fn headers_from<'p>(pairs: impl IntoIterator<Item = (&'p str, &'p str)>) -> Result<Vec<u8>, WireError> {
    let mut out = vec![0, 0];
    let mut count = 0_u16;
    for (key, value) in pairs {
        let invalid = |(field, need)| WireError::Invalid { kind: Kind::Publish, field, need };
        check_pair(key, value).map_err(invalid)?;
        if usize::from(count) == MAX_HEADERS {
            return Err(invalid(("header count", "at most 64")));
        }
        if (HeaderPairs { left: usize::from(count), rest: &out[2..] }).any(|(earlier, _)| earlier == key) {
            return Err(invalid(("header key", "there once")));
        }
        for text in [key, value] {
            out.extend_from_slice(&(text.len() as u16).to_be_bytes());
            out.extend_from_slice(text.as_bytes());
        }
        count += 1;
    }
    if count == 0 {
        return Ok(Vec::new());
    }
    out[..2].copy_from_slice(&count.to_be_bytes());
    Ok(out)
}
