//! The examples of `assets/protocol.md` are frames, and the code writes them the same way.

use std::collections::BTreeSet;

use cordboard::{
    name::{SubscriptionHandle, is_unprintable},
    wire::{ClientFrame, Code, Kind, MAX_CONTROL_FRAME, MAX_DELIVER_FRAME, MAX_FRAME, ServerFrame, split},
};

use super::{Side, encoded_again, whole};

const PAGE: &str = include_str!("../../assets/protocol.md");

struct Example {
    side: Side,
    kind: String,
    bytes: Vec<u8>,
}

/// The page's conversations, each the frames of one block in their order.
fn conversations() -> Vec<Vec<Example>> {
    let block = |text: &'static str| text.split("\n```").next().expect("a block ends");
    PAGE.split("```hex\n").skip(1).map(|rest| examples(block(rest))).collect()
}

fn examples(block: &str) -> Vec<Example> {
    let mut examples = Vec::<Example>::new();
    for line in block.lines() {
        let code = line.split('#').next().unwrap().trim();
        let side = match code.chars().next() {
            Some('>') => Side::Client,
            Some('<') => Side::Broker,
            _ => {
                let bytes = code.split_whitespace().map(|hex| u8::from_str_radix(hex, 16).expect(line));
                examples.last_mut().expect("a frame is named before its bytes").bytes.extend(bytes);
                continue;
            }
        };
        examples.push(Example { side, kind: code[1..].trim().to_owned(), bytes: Vec::new() });
    }
    examples
}

#[test]
fn every_example_decodes_and_encodes_to_the_same_bytes() {
    for example in conversations().iter().flatten() {
        let raw = whole(&example.bytes);
        assert_eq!(raw.kind.to_string(), example.kind);
        assert_eq!(encoded_again(example.side, raw).unwrap(), example.bytes, "{}", example.kind);
    }
}

#[test]
fn every_kind_has_an_example_and_its_number_in_the_table() {
    let shown: BTreeSet<_> = conversations().iter().flatten().map(|example| whole(&example.bytes).kind).collect();
    assert_eq!(shown, BTreeSet::from(Kind::ALL));
    for kind in Kind::ALL {
        let row = format!("| `0x{:02x}` | [{kind}](#", kind as u8);
        assert!(PAGE.contains(&row), "no row {row}");
    }
}

/// A frame belongs to one side, but for Ping and Pong; the other is told 400.
#[test]
fn the_other_side_may_not_send_it() {
    for example in conversations().iter().flatten() {
        let raw = whole(&example.bytes);
        let other = if example.side == Side::Client { Side::Broker } else { Side::Client };
        if matches!(raw.kind, Kind::Ping | Kind::Pong) {
            assert_eq!(encoded_again(other, raw).unwrap(), example.bytes);
        } else {
            let error = encoded_again(other, raw).unwrap_err();
            assert_eq!(error.code(), Code::Malformed);
            assert!(error.to_string().contains(&example.kind), "{error}");
        }
    }
}

/// However a stream is cut into reads, its frames are the same.
#[test]
fn a_conversation_cut_anywhere_gives_the_same_frames() {
    for conversation in conversations() {
        let stream: Vec<u8> = conversation.iter().flat_map(|example| example.bytes.clone()).collect();
        let expected: Vec<_> = conversation.iter().map(|example| example.bytes.clone()).collect();
        for cut in 0..=stream.len() {
            let (mut held, mut frames) = (Vec::new(), Vec::new());
            for part in [&stream[..cut], &stream[cut..]] {
                held.extend_from_slice(part);
                while let Some((_, len)) = split(&held, MAX_DELIVER_FRAME).unwrap() {
                    frames.push(held.drain(..len).collect::<Vec<u8>>());
                }
            }
            assert_eq!(frames, expected, "cut at {cut}");
            assert!(held.is_empty());
        }
    }
}

/// What the examples mean, for the frames whose meaning is more than their fields.
#[test]
fn the_examples_say_what_the_text_around_them_says() {
    let all = conversations();
    let find = |conversation: usize, kind: &str| all[conversation].iter().rfind(|example| example.kind == kind).unwrap();

    let ServerFrame::Deliver(deliver) = ServerFrame::decode(whole(&find(0, "Deliver").bytes)).unwrap() else { panic!() };
    let records: Vec<_> =
        deliver.records().map(|record| (record.number, record.headers.iter().count(), record.payload)).collect();
    assert_eq!(records, [(1, 0, &b"one pear"[..]), (2, 2, b"two figs")]);
    let last = deliver.records().last().unwrap();
    assert_eq!(last.headers.get("content-type"), Some("text/plain"));
    assert_eq!(last.headers.ttl(), Some(std::time::Duration::from_mins(1)));

    let ServerFrame::Deliver(again) = ServerFrame::decode(whole(&find(1, "Deliver").bytes)).unwrap() else { panic!() };
    assert!(again.redelivered && again.returns && again.table[..4] != [0; 4], "a table with a base, in what was given back");
    assert_eq!(again.records().map(|record| record.payload).collect::<Vec<_>>(), [&b"four"[..], b"five"]);
    assert_eq!(again.handle, SubscriptionHandle(1));

    let ServerFrame::Error(error) = ServerFrame::decode(whole(&all[2][3].bytes)).unwrap() else { panic!() };
    assert_eq!((error.code, error.sequence, error.count, error.request), (Code::Forbidden, Some(3), 2, None));

    let ClientFrame::RegistrationRequest(request) = ClientFrame::decode(whole(&find(0, "RegistrationRequest").bytes)).unwrap()
    else {
        panic!()
    };
    assert_eq!(request.password.as_deref(), Some("cord"));
}

#[test]
fn the_page_names_every_code_and_the_limits_of_the_code() {
    for code in Code::ALL {
        assert!(PAGE.contains(&format!("\n| {code} | ")), "no row for {code}");
    }
    for limit in [MAX_FRAME, MAX_CONTROL_FRAME, MAX_DELIVER_FRAME] {
        let digits = limit.to_string();
        let groups: Vec<_> = digits.as_bytes().rchunks(3).rev().map(|group| std::str::from_utf8(group).unwrap()).collect();
        assert!(PAGE.contains(&groups.join(",")), "{limit} is not on the page");
    }
}

/// The table of code points under "Names" is the function that refuses them.
#[test]
fn the_page_lists_exactly_the_characters_that_names_refuse() {
    let section = PAGE.split("## Names").nth(1).unwrap().split("\n## ").next().unwrap();
    let rows = section.lines().filter(|line| line.starts_with("| U+"));
    let mut listed = BTreeSet::new();
    for range in rows.flat_map(|row| row.split('|').nth(1).unwrap().split(',')) {
        let range = range.trim().trim_start_matches("U+");
        let (first, last) = range.split_once('–').unwrap_or((range, range));
        let code = |hex: &str| u32::from_str_radix(hex, 16).unwrap();
        listed.extend(code(first)..=code(last));
    }
    let refused: BTreeSet<_> = (0..=0x0010_FFFF).filter(|code| char::from_u32(*code).is_some_and(is_unprintable)).collect();
    assert_eq!(listed, refused);
}
