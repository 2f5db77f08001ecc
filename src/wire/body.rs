//! How the `MessagePack` map of a control frame is read and written.
//!
//! Fields are named, in any order; unknown ones are ignored, a missing optional one and a nil are the same. Depth and lists are
//! bounded, and an error never quotes a value.

use std::{fmt, marker::PhantomData};

use serde::{
    Deserialize, Deserializer, Serialize,
    de::{DeserializeOwned, SeqAccess, Visitor},
};

use super::{Kind, WireError};
use crate::name::MAX_LABEL_BYTES;

/// How deep maps and lists may nest, counting what is ignored; our own need 3.
const MAX_NESTING: usize = 7;

/// The body of `kind` as a map.
pub(super) fn decode<T: DeserializeOwned>(kind: Kind, body: &[u8]) -> Result<T, WireError> {
    // A struct would also be read from an array, whose meaning depends on the order of fields; that is not in the protocol.
    if !matches!(body.first(), Some(0x80..=0x8f | 0xde | 0xdf)) {
        return Err(WireError::Map { kind, why: "the body is not a map".into() });
    }
    let mut reader = rmp_serde::Deserializer::new(std::io::Cursor::new(body));
    reader.set_max_depth(MAX_NESTING + 1);
    let value = T::deserialize(&mut reader).map_err(|error| WireError::Map { kind, why: why(error) })?;
    match body.len() - reader.position() as usize {
        0 => Ok(value),
        bytes => Err(WireError::Trailing { kind, bytes }),
    }
}

/// What is wrong, without the value that is: it may be a password in the wrong place.
fn why(error: rmp_serde::decode::Error) -> String {
    use rmp_serde::decode::Error;
    match error {
        Error::InvalidMarkerRead(_) | Error::InvalidDataRead(_) => "it ends too early".into(),
        Error::TypeMismatch(_) | Error::Uncategorized(_) => "a value is not of the type of its field".into(),
        Error::OutOfRange => "a number is out of range".into(),
        Error::LengthMismatch(_) => "an array or map has another length than it says".into(),
        Error::Utf8Error(_) => "a text is not UTF-8".into(),
        Error::DepthLimitExceeded => format!("it nests deeper than {MAX_NESTING}"),
        Error::Syntax(text) => match text.rsplit_once(", expected ") {
            Some((_, expected)) => format!("a value is not {expected}"),
            // Left are the messages of derived code and of our own types, which quote names of fields and nothing else.
            None => text,
        },
    }
}

pub(super) fn encode(body: &impl Serialize, out: &mut Vec<u8>) {
    rmp_serde::encode::write_named(out, body).expect("our maps have known lengths and a Vec takes every byte");
}

/// Nil and absent are the same.
pub(super) fn or_default<'de, D: Deserializer<'de>, T: Default + Deserialize<'de>>(input: D) -> Result<T, D::Error> {
    Ok(Option::deserialize(input)?.unwrap_or_default())
}

/// A list of at most `MAX` entries; nil is none. It grows as entries come: what a peer claims as its length allocates nothing.
pub(super) fn list<'de, D: Deserializer<'de>, T: Deserialize<'de>, const MAX: usize>(input: D) -> Result<Vec<T>, D::Error> {
    struct List<T, const MAX: usize>(PhantomData<T>);

    impl<'de, T: Deserialize<'de>, const MAX: usize> Visitor<'de> for List<T, MAX> {
        type Value = Vec<T>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            write!(f, "a list of at most {MAX}")
        }

        fn visit_unit<E>(self) -> Result<Vec<T>, E> {
            Ok(Vec::new())
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut input: A) -> Result<Vec<T>, A::Error> {
            let mut list = Vec::new();
            while let Some(entry) = input.next_element()? {
                if list.len() == MAX {
                    return Err(serde::de::Error::custom(format_args!("a list has more than {MAX} entries")));
                }
                list.push(entry);
            }
            Ok(list)
        }
    }

    input.deserialize_any(List::<T, MAX>(PhantomData))
}

/// A list of 1 to `MAX` entries.
pub(super) fn some<'de, D: Deserializer<'de>, T: Deserialize<'de>, const MAX: usize>(input: D) -> Result<Vec<T>, D::Error> {
    let list = list::<_, _, MAX>(input)?;
    if list.is_empty() { Err(serde::de::Error::custom("a list is empty; it names at least one")) } else { Ok(list) }
}

/// A name of 1 to 128 bytes, or none.
pub(super) fn label<'de, D: Deserializer<'de>>(input: D) -> Result<Option<String>, D::Error> {
    let label: Option<String> = Option::deserialize(input)?;
    if label.as_ref().is_some_and(|label| label.is_empty() || label.len() > MAX_LABEL_BYTES) {
        return Err(serde::de::Error::custom(format_args!("a name is empty or longer than {MAX_LABEL_BYTES} bytes")));
    }
    Ok(label)
}

pub(super) fn one() -> u32 {
    1
}

pub(super) fn or_one<'de, D: Deserializer<'de>>(input: D) -> Result<u32, D::Error> {
    Ok(Option::deserialize(input)?.unwrap_or(1))
}

#[allow(clippy::trivially_copy_pass_by_ref)] // serde's signature
pub(super) fn is_one(count: &u32) -> bool {
    *count == 1
}

pub(super) fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}
