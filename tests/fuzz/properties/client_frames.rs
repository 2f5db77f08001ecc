//! What a broker makes of a client's bytes.

use cordboard::wire::{ClientFrame, MAX_CONTROL_FRAME, MAX_FRAME, RawFrame, WireError};

use super::{stream, within_bounds};

struct Broker;

impl stream::Side for Broker {
    fn decode(raw: RawFrame<'_>) -> Result<Vec<u8>, WireError> {
        let frame = within_bounds(raw.body.len(), || ClientFrame::decode(raw))?;
        let mut bytes = Vec::new();
        frame.encode(&mut bytes);
        if is_fixed(&frame) {
            assert_eq!((&bytes[6..], bytes[5]), (raw.body, raw.flags), "a fixed body has one form");
        }
        Ok(bytes)
    }

    /// Who has not registered yet gets no large buffer.
    fn max_frame(frames: usize) -> usize {
        if frames == 0 { MAX_CONTROL_FRAME } else { MAX_FRAME }
    }
}

/// True for the frames that carry no map.
fn is_fixed(frame: &ClientFrame<'_>) -> bool {
    use ClientFrame::{DeliverAck, DeliverNack, Ping, Pong, Publish};
    matches!(frame, Publish(_) | DeliverAck(_) | DeliverNack(_) | Ping(_) | Pong(_))
}

/// A client's stream means the same however it is cut, and again after it was encoded again.
pub fn hold(input: &[u8]) {
    stream::holds::<Broker>(input);
}
