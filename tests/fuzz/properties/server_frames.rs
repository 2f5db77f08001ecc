//! What a client makes of a broker's bytes: Deliver blocks and their tables above all.

use cordboard::wire::{Deliver, MAX_DELIVER_FRAME, RawFrame, Record, ServerFrame, WireError, read_record, split};

use super::{stream, within_bounds};

struct Client;

impl stream::Side for Client {
    fn decode(raw: RawFrame<'_>) -> Result<Vec<u8>, WireError> {
        let frame = within_bounds(raw.body.len(), || ServerFrame::decode(raw))?;
        let mut bytes = Vec::new();
        frame.encode(&mut bytes);
        if let ServerFrame::Deliver(deliver) = &frame {
            assert_eq!((&bytes[6..], bytes[5]), (raw.body, raw.flags), "a Deliver has one form");
            is_a_block(deliver);
        }
        Ok(bytes)
    }

    fn max_frame(_: usize) -> usize {
        MAX_DELIVER_FRAME
    }
}

/// The table and the records say the same, and so does any run of them.
fn is_a_block(deliver: &Deliver<'_>) {
    let records: Vec<Record<'_>> = deliver.records().collect();
    assert_eq!(records.len(), deliver.count as usize, "an iterator that ends early hides messages");
    let offsets: Vec<usize> = deliver.table.chunks_exact(4).map(offset).collect();
    assert_eq!(offsets.len(), records.len() + 1);
    for (index, record) in records.iter().enumerate() {
        let bytes = &deliver.records[offsets[index] - offsets[0]..offsets[index + 1] - offsets[0]];
        assert_eq!(read_record(bytes), Ok((record.headers, record.payload)));
        assert_eq!(record.number, deliver.first + index as u64);
        // The payload is a slice of the block, and its headers stand before it, so that a client shares both.
        let parts = 1 + record.headers.as_bytes().len() + record.payload.len();
        assert_eq!((parts, bytes[0]), (bytes.len(), u8::from(!record.headers.is_empty())));
    }
    for run in [0..1, 0..records.len() / 2, records.len() / 2..records.len()] {
        if !run.is_empty() {
            let slice = offsets[run.start] - offsets[0]..offsets[run.end] - offsets[0];
            let part = Deliver {
                first: deliver.first + run.start as u64,
                count: run.len() as u32,
                table: &deliver.table[run.start * 4..(run.end + 1) * 4],
                records: &deliver.records[slice],
                ..*deliver
            };
            is_delivered(&part, &records[run]);
        }
    }
}

fn offset(entry: &[u8]) -> usize {
    u32::from_be_bytes(entry.try_into().expect("an entry has four bytes")) as usize
}

/// `deliver` after the wire is `records`.
fn is_delivered(deliver: &Deliver<'_>, records: &[Record<'_>]) {
    let mut bytes = Vec::new();
    deliver.encode(&mut bytes);
    assert_eq!(bytes.len(), 4 + deliver.head().length(), "a head says how long its frame is");
    let (raw, _) = split(&bytes, usize::MAX).expect("it was encoded").expect("it is whole");
    let ServerFrame::Deliver(run) = ServerFrame::decode(raw).expect("a run of a block is a block") else {
        panic!("it was a Deliver")
    };
    assert!(run.records().eq(records.iter().copied()), "a run of a block holds its messages");
}

/// A broker's stream means the same however it is cut, and again after it was encoded again; so does any run of a block.
pub fn hold(input: &[u8]) {
    stream::holds::<Client>(input);
}
