//! What is made of a message's headers, beside a naive reader of them.

use std::{collections::BTreeSet, time::Duration};

use cordboard::wire::{ClientFrame, Headers, Kind, RawFrame, headers_from};

use super::{is_fit_to_send, within_bounds};

type Pairs<'a> = Vec<(&'a str, &'a str)>;

/// The pairs that stand at the head of `bytes`, read by the page's words, and what is behind them.
fn naive(bytes: &[u8]) -> Option<(Pairs<'_>, &[u8])> {
    let (count, mut rest) = bytes.split_first_chunk::<2>()?;
    let mut text = || {
        let (len, behind) = rest.split_first_chunk::<2>()?;
        let (text, behind) = behind.split_at_checked(usize::from(u16::from_be_bytes(*len)))?;
        rest = behind;
        std::str::from_utf8(text).ok()
    };
    let count = u16::from_be_bytes(*count);
    let pairs: Pairs<'_> = (0..count).map(|_| Some((text()?, text()?))).collect::<Option<_>>()?;
    let keys: BTreeSet<&str> = pairs.iter().map(|(key, _)| *key).collect();
    let are_keys = keys.len() == pairs.len() && keys.iter().all(|key| (1..=255).contains(&key.len()));
    let lives = pairs.iter().filter(|(key, _)| *key == "ttl-ms").all(|(_, value)| milliseconds(value).is_some());
    ((1..=64).contains(&count) && are_keys && lives).then_some((pairs, rest))
}

/// A positive decimal number, digit by digit.
fn milliseconds(text: &str) -> Option<u64> {
    let add = |n: u64, digit: char| n.checked_mul(10)?.checked_add(u64::from(digit.to_digit(10)?));
    text.chars().try_fold(0, add).filter(|ms| *ms > 0)
}

/// The input as headers alone, and as headers with a payload behind them.
pub fn hold(input: &[u8]) {
    let naive = if input.is_empty() { Some((Vec::new(), input)) } else { naive(input) };
    let alone = within_bounds(input.len(), || Headers::from_bytes(input));
    let whole = naive.as_ref().filter(|(_, rest)| rest.is_empty()).map(|(pairs, _)| pairs);
    assert_eq!(alone.is_ok(), whole.is_some(), "{alone:?}, and naively {whole:?}");
    match &alone {
        Ok(headers) => say(*headers, whole.map_or(&[][..], Vec::as_slice)),
        Err(error) => is_fit_to_send(error),
    }
    in_a_message(input, naive.as_ref().filter(|_| !input.is_empty()));
}

/// `headers` are `pairs` in every way in which they can be asked.
fn say(headers: Headers<'_>, pairs: &[(&str, &str)]) {
    assert!(headers.iter().eq(pairs.iter().copied()));
    assert_eq!(headers_from(headers).as_deref(), Ok(headers.as_bytes()), "they have one form");
    assert_eq!(headers.is_empty(), pairs.is_empty());
    for (key, value) in pairs {
        assert_eq!(headers.get(key), Some(*value));
    }
    let life = pairs.iter().find(|(key, _)| *key == Headers::TTL_MS).and_then(|(_, value)| milliseconds(value));
    assert_eq!(headers.ttl(), life.map(Duration::from_millis));
}

/// In a frame they end where they say, and the rest is the payload.
fn in_a_message(input: &[u8], naive: Option<&(Pairs<'_>, &[u8])>) {
    let mut body = b"\0\0\0\0\0\0\0\x01\0\x01t".to_vec();
    body.extend_from_slice(input);
    let raw = RawFrame { kind: Kind::Publish, flags: 1, body: &body };
    let frame = within_bounds(body.len(), || ClientFrame::decode(raw));
    match (&frame, naive) {
        (Ok(ClientFrame::Publish(publish)), Some((pairs, payload))) => {
            assert!(publish.headers.iter().eq(pairs.iter().copied()));
            assert_eq!(publish.payload, *payload);
        }
        (Err(error), None) => is_fit_to_send(error),
        _ => panic!("{frame:?}, and naively {naive:?}"),
    }
}
