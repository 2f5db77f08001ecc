//! Byte counts in the configuration: `"16MiB"`, or a plain integer. Binary units only, because memory is what they bound.

use std::fmt;

use serde::{Deserializer, Serializer, de};

use super::{GIB, KIB, MIB};

const UNITS: [(&str, usize); 4] = [("GiB", GIB), ("MiB", MIB), ("KiB", KIB), ("B", 1)];

/// `"16MiB"` as 16,777,216. None if it is not a whole number and a unit, or too large to count.
fn parse(text: &str) -> Option<usize> {
    let text = text.trim();
    let (digits, factor) = UNITS.iter().find_map(|(unit, factor)| Some((text.strip_suffix(unit)?, *factor)))?;
    digits.trim_end().replace('_', "").parse::<usize>().ok()?.checked_mul(factor)
}

/// A byte count in the largest unit that leaves no fraction.
pub(super) fn format(bytes: usize) -> String {
    let (unit, factor) =
        UNITS.into_iter().find(|(_, factor)| bytes >= *factor && bytes.is_multiple_of(*factor)).unwrap_or(("B", 1));
    format!("{}{unit}", bytes / factor)
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature serde's `with` calls")]
pub(super) fn serialize<S: Serializer>(bytes: &usize, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&format(*bytes))
}

pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<usize, D::Error> {
    deserializer.deserialize_any(Visitor)
}

struct Visitor;

impl de::Visitor<'_> for Visitor {
    type Value = usize;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a size in B, KiB, MiB or GiB, or a whole number of bytes")
    }

    fn visit_i64<E: de::Error>(self, bytes: i64) -> Result<usize, E> {
        usize::try_from(bytes).map_err(|_| E::invalid_value(de::Unexpected::Signed(bytes), &self))
    }

    fn visit_u64<E: de::Error>(self, bytes: u64) -> Result<usize, E> {
        usize::try_from(bytes).map_err(|_| E::invalid_value(de::Unexpected::Unsigned(bytes), &self))
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<usize, E> {
        parse(text).ok_or_else(|| E::invalid_value(de::Unexpected::Str(text), &self))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_size_is_a_whole_number_and_a_binary_unit() {
        for (text, bytes) in [("16MiB", Some(16 * MIB)), ("1 KiB", Some(1024)), ("1_000B", Some(1000)), ("0B", Some(0))] {
            assert_eq!(parse(text), bytes, "{text}");
        }
        for bad in ["", "MiB", "16", "16MB", "1.5MiB", "-1KiB", "16mib", "99999999999999999999B", "99999999999999GiB"] {
            assert_eq!(parse(bad), None, "{bad}");
        }
        assert_eq!(format(16 * MIB), "16MiB");
        assert_eq!(format(MIB + 1), "1048577B");
        assert_eq!(format(0), "0B");
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(bytes: usize, shift in 0..40) {
            let bytes = bytes >> shift << (shift / 2);
            prop_assert_eq!(parse(&format(bytes)), Some(bytes));
        }
    }
}
