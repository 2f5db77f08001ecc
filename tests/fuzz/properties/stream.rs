//! A stream of frames, read as a connection reads it: whatever has arrived is decoded as far as it goes, the rest waits.

use cordboard::wire::{RawFrame, WireError, frame_len, split};

use super::{is_fit_to_send, within_bounds};

/// The side that reads.
pub(super) trait Side {
    /// What it makes of a frame: what is encoded of it, and where it may lie.
    fn decode(raw: RawFrame<'_>) -> Result<Vec<u8>, WireError>;

    /// The largest frame it takes, after it has taken `frames`.
    fn max_frame(frames: usize) -> usize;
}

/// What came of a stream.
#[derive(Debug, PartialEq, Eq)]
struct Read {
    /// Each frame as it is encoded again.
    frames: Vec<Vec<u8>>,
    /// What ended it; none if it only waits for more.
    error: Option<WireError>,
}

/// The stream of an input, and where the reads of it end: a byte that says how many, two bytes for each, and the stream.
fn ends_of(input: &[u8]) -> (Vec<usize>, &[u8]) {
    let Some((&cuts, rest)) = input.split_first() else { return (Vec::new(), &[]) };
    let (cuts, stream) = rest.split_at(rest.len().min(2 * usize::from(cuts % 32)));
    let cut = |digits: &[u8]| digits.iter().fold(0, |n, digit| n << 8 | usize::from(*digit)) % (stream.len() + 1);
    let mut ends: Vec<usize> = cuts.chunks(2).map(cut).chain([stream.len()]).collect();
    ends.sort_unstable();
    (ends, stream)
}

/// Reads `stream` up to each of `ends` in turn, as a connection does: keeping what is not whole, stopping at the first fault.
fn read<S: Side>(stream: &[u8], ends: impl IntoIterator<Item = usize>) -> Read {
    let mut read = Read { frames: Vec::new(), error: None };
    let mut start = 0;
    for end in ends {
        loop {
            match next::<S>(&stream[start..end], read.frames.len()) {
                Ok(Some((frame, len))) => {
                    read.frames.push(frame);
                    start += len;
                }
                Ok(None) => break,
                Err(error) => {
                    read.error = Some(error);
                    return read;
                }
            }
        }
    }
    read
}

fn next<S: Side>(arrived: &[u8], frames: usize) -> Result<Option<(Vec<u8>, usize)>, WireError> {
    let Some((raw, len)) = split(arrived, S::max_frame(frames))? else { return Ok(None) };
    assert!(len <= arrived.len() && raw.body.len() + 6 == len, "{len} bytes of {} are a frame", arrived.len());
    S::decode(raw).map(|frame| Some((frame, len)))
}

/// A stream means the same however it is cut, and each of its frames costs what it brings.
pub(super) fn holds<S: Side>(input: &[u8]) {
    let (ends, stream) = ends_of(input);
    let whole = read::<S>(stream, [stream.len()]);
    assert_eq!(read::<S>(stream, ends), whole, "cut as the input says");
    assert_eq!(read::<S>(stream, 1..=stream.len()), whole, "a byte at a time");
    if let Some(error) = &whole.error {
        is_fit_to_send(error);
        is_refused_early::<S>(stream, &whole);
    }
    // What was encoded again is a stream, too, and means the same.
    let again: Vec<u8> = whole.frames.concat();
    assert_eq!(read::<S>(&again, [again.len()]), Read { frames: whole.frames, error: None }, "encoded again");
}

/// A length that cannot be is known from four bytes, before room is made for the frame.
fn is_refused_early<S: Side>(stream: &[u8], whole: &Read) {
    let mut at = 0;
    for frames in 0..whole.frames.len() {
        let len = frame_len(&stream[at..], S::max_frame(frames)).ok().flatten();
        at += len.expect("it was read");
    }
    let prefix = stream[at..].first_chunk::<4>().expect("nothing is wrong with less than a length");
    let max = S::max_frame(whole.frames.len());
    let length = u32::from_be_bytes(*prefix) as usize;
    let early = within_bounds(prefix.len(), || frame_len(prefix, max));
    assert_eq!(early.is_err(), length > max || length < 2, "a length of {length} where {max} are allowed");
}
