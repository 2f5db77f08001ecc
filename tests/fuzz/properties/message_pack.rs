//! A naive reader of `MessagePack`: it says how long and how deep a value is, and nothing else.

/// What a value takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Extent {
    /// Its bytes.
    pub(super) len: usize,
    /// Maps and lists inside each other, itself included.
    pub(super) depth: usize,
}

/// How far the value at the head of `bytes` goes; none if it is none, is cut short, or nests deeper than `depth`.
pub(super) fn extent(bytes: &[u8], depth: usize) -> Option<Extent> {
    let marker = *bytes.first()?;
    let number = |len: usize| bytes.get(1..=len).map(|digits| digits.iter().fold(0, |n, digit| n << 8 | usize::from(*digit)));
    let plain = |len: usize| (bytes.len() >= len).then_some(Extent { len, depth: 0 });
    match marker {
        0x00..=0x7f | 0xc0 | 0xc2 | 0xc3 | 0xe0..=0xff => plain(1),
        0x80..=0x8f => collection(bytes, 1, 2 * usize::from(marker & 0x0f), depth),
        0x90..=0x9f => collection(bytes, 1, usize::from(marker & 0x0f), depth),
        0xa0..=0xbf => plain(1 + usize::from(marker & 0x1f)),
        0xc1 => None,
        0xc4 | 0xd9 => plain(2 + number(1)?),
        0xc5 | 0xda => plain(3 + number(2)?),
        0xc6 | 0xdb => plain(5 + number(4)?),
        0xc7 => plain(3 + number(1)?),
        0xc8 => plain(4 + number(2)?),
        0xc9 => plain(6 + number(4)?),
        0xca | 0xce | 0xd2 => plain(5),
        0xcb | 0xcf | 0xd3 => plain(9),
        0xcc | 0xd0 => plain(2),
        0xcd | 0xd1 => plain(3),
        0xd4..=0xd8 => plain(2 + (1 << (marker - 0xd4))),
        0xdc => collection(bytes, 3, number(2)?, depth),
        0xdd => collection(bytes, 5, number(4)?, depth),
        0xde => collection(bytes, 3, 2 * number(2)?, depth),
        0xdf => collection(bytes, 5, 2 * number(4)?, depth),
    }
}

/// A map or list whose `count` values begin at `start`.
fn collection(bytes: &[u8], start: usize, count: usize, depth: usize) -> Option<Extent> {
    let below = depth.checked_sub(1)?;
    let mut whole = Extent { len: start, depth: 1 };
    for _ in 0..count {
        let value = extent(bytes.get(whole.len..)?, below)?;
        whole.len += value.len;
        whole.depth = whole.depth.max(1 + value.depth);
    }
    Some(whole)
}
