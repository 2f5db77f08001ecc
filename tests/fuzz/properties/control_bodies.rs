//! What either side makes of a control frame's map: nested, huge, lying, cut short.

use cordboard::wire::{ClientFrame, HEADER, Kind, MAX_CONTROL_FRAME, PREFIX, RawFrame, ServerFrame, WireError};

use super::{
    is_fit_to_send,
    message_pack::{Extent, extent},
    within_bounds,
};

/// How deep `assets/protocol.md` lets a body nest.
const MAX_NESTING: usize = 7;

/// The kinds that carry a map.
const KINDS: [Kind; 12] = [
    Kind::RegistrationRequest,
    Kind::RegistrationResponse,
    Kind::SubscribeRequest,
    Kind::SubscribeAck,
    Kind::UnsubscribeRequest,
    Kind::UnsubscribeAck,
    Kind::SubscriptionEnded,
    Kind::Resubscribe,
    Kind::Disconnect,
    Kind::Displaced,
    Kind::Evicted,
    Kind::Error,
];

/// What was decoded is encoded, decoded and encoded again.
fn twice(raw: RawFrame<'_>, again: impl Fn(RawFrame<'_>) -> Result<Vec<u8>, WireError>) -> Result<(), WireError> {
    let bytes = again(raw)?;
    let once = RawFrame { kind: raw.kind, flags: 0, body: &bytes[HEADER..] };
    assert_eq!(again(once).as_ref(), Ok(&bytes), "{} means the same when it is encoded again", raw.kind);
    Ok(())
}

fn of_client(raw: RawFrame<'_>) -> Result<Vec<u8>, WireError> {
    let mut bytes = Vec::new();
    within_bounds(raw.body.len(), || ClientFrame::decode(raw))?.encode(&mut bytes);
    Ok(bytes)
}

fn of_broker(raw: RawFrame<'_>) -> Result<Vec<u8>, WireError> {
    let mut bytes = Vec::new();
    within_bounds(raw.body.len(), || ServerFrame::decode(raw))?.encode(&mut bytes);
    Ok(bytes)
}

/// The first byte of the input says the kind, the rest is the body. What is taken is one whole map, no deeper than the page
/// allows, from one of the two sides; and it means the same when it is encoded again.
pub fn hold(input: &[u8]) {
    let Some((&kind, body)) = input.split_first() else { return };
    let raw = RawFrame { kind: KINDS[usize::from(kind) % KINDS.len()], flags: 0, body };
    let (client, broker) = (twice(raw, of_client), twice(raw, of_broker));
    assert!(client.is_err() || broker.is_err(), "{} belongs to one side", raw.kind);
    if client.is_ok() {
        assert!(HEADER - PREFIX + body.len() <= MAX_CONTROL_FRAME, "a client's maps are bounded");
    }
    if client.is_ok() || broker.is_ok() {
        assert!(matches!(body[0], 0x80..=0x8f | 0xde | 0xdf), "{} was taken and is no map", raw.kind);
        let extent = extent(body, MAX_NESTING);
        assert!(extent.is_some_and(|Extent { len, .. }| len == body.len()), "{} was taken and is {extent:?}", raw.kind);
    }
    for error in [client, broker].into_iter().filter_map(Result::err) {
        is_fit_to_send(&error);
    }
}
