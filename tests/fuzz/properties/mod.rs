//! What must hold of any bytes at all (I6), said once: the fuzz targets look for bytes of which it does not hold, and the
//! suite replays those that were found, and the seeds, on every run of `cargo test`.
//!
//! A property takes the bytes of one corpus file and panics if they break it. None of them has an opinion about what is
//! accepted, where it can be helped: they compare the decoders with themselves, cut or encoded again, and with naive ones.

pub mod client_frames;
pub mod config;
pub mod control_bodies;
pub mod headers;
mod message_pack;
pub mod names;
pub mod server_frames;
mod stream;

use cordboard::wire::WireError;

/// Panics if the bytes break it.
pub type Property = fn(&[u8]);

/// Every property, with the name of its target and of its corpus.
pub const ALL: [(&str, Property); 6] = [
    ("client_frames", client_frames::hold),
    ("config", config::hold),
    ("control_bodies", control_bodies::hold),
    ("headers", headers::hold),
    ("names", names::hold),
    ("server_frames", server_frames::hold),
];

/// What a decoder may hold at once for each byte of its input. A list of the smallest entries there are is the worst: each is
/// some bytes on the wire, and a struct with a shared text here, in a list that has just doubled.
const HELD_PER_BYTE: u64 = 48;
/// And for any input: an error's text, a first small list.
const HELD_ALWAYS: u64 = 1_024;

/// The answer of `decode`, which holds no more memory than `bytes` bytes of input may cost.
#[track_caller]
fn within_bounds<T>(bytes: usize, decode: impl FnOnce() -> T) -> T {
    let mut decoded = None;
    let held = allocation_counter::measure(|| decoded = Some(decode())).bytes_max;
    let bound = HELD_ALWAYS + HELD_PER_BYTE * bytes as u64;
    assert!(held <= bound, "{held} bytes were held to decode {bytes}; at most {bound} may be");
    decoded.expect("it was run")
}

/// Characters that would act on a terminal or hide in a name: those that nobody disputes, from lists of their own.
fn acts_or_hides(c: char) -> bool {
    let controls = ['\0'..='\u{1f}', '\u{7f}'..='\u{9f}'];
    let directions = ['\u{61c}'..='\u{61c}', '\u{200e}'..='\u{200f}', '\u{202a}'..='\u{202e}', '\u{2066}'..='\u{2069}'];
    let without_width = ['\u{200b}'..='\u{200d}', '\u{2028}'..='\u{2029}', '\u{2060}'..='\u{2064}', '\u{feff}'..='\u{feff}'];
    [&controls[..], &directions, &without_width].into_iter().flatten().any(|range| range.contains(&c))
}

/// A text that anyone may be shown.
#[track_caller]
fn is_showable(text: &str) {
    assert_eq!(text.chars().find(|c| acts_or_hides(*c)), None, "{text:?} holds what must not be shown");
}

/// An error goes to the peer and into the log: it is one short line, whatever was sent.
#[track_caller]
fn is_fit_to_send(error: &WireError) {
    let text = error.to_string();
    is_showable(&text);
    assert!((1..=200).contains(&text.len()), "{text:?} is no answer");
    assert!([400, 413, 505].contains(&error.code().number()), "{error} is no fault of the bytes");
}
