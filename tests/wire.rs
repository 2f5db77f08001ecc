//! The wire protocol: the page and the code say the same, limits hold to the byte, and no bytes hurt (I6).

mod arbitrary;
mod hostile;
mod page;

use cordboard::wire::{ClientFrame, MAX_DELIVER_FRAME, RawFrame, ServerFrame, WireError, split};

/// Who sent a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Side {
    Client,
    Broker,
}

/// The one frame that `bytes` are.
fn whole(bytes: &[u8]) -> RawFrame<'_> {
    let (raw, len) = split(bytes, MAX_DELIVER_FRAME).unwrap().expect("a whole frame");
    assert_eq!(len, bytes.len(), "{} has bytes behind it", raw.kind);
    raw
}

/// What `raw` is encoded as, once decoded.
fn encoded_again(side: Side, raw: RawFrame<'_>) -> Result<Vec<u8>, WireError> {
    let mut out = Vec::new();
    match side {
        Side::Client => ClientFrame::decode(raw)?.encode(&mut out),
        Side::Broker => ServerFrame::decode(raw)?.encode(&mut out),
    }
    Ok(out)
}

fn encoded(frame: &ClientFrame<'_>) -> Vec<u8> {
    let mut out = Vec::new();
    frame.encode(&mut out);
    out
}
