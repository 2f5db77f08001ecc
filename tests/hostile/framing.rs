//! Section A: bytes that are no frames, frames that are cut anywhere, names that are none.

use cordboard::{
    events::Event,
    wire::{
        ClientFrame, Code, Disconnect, Kind, MAX_CONTROL_FRAME, MAX_FRAME, RegistrationRequest, SubscribeRequest,
        UnsubscribeRequest,
    },
};

use super::{Scene, encoded, frame};
use crate::fixture::{Raw, Reply, eventually, publish};

/// A length field and nothing behind it.
fn length(length: usize) -> Vec<u8> {
    (length as u32).to_be_bytes().to_vec()
}

fn registration(change: impl FnOnce(&mut RegistrationRequest)) -> Vec<u8> {
    let mut request = RegistrationRequest::new("hostile");
    change(&mut request);
    encoded(&ClientFrame::RegistrationRequest(request))
}

fn subscribe(filter: &str) -> Vec<u8> {
    let (request, filter) = (1, filter.to_owned());
    encoded(&ClientFrame::SubscribeRequest(SubscribeRequest { request, filter, ack_timeout_ms: None, group: None }))
}

/// What cannot be is refused with its code, before registration and after, and closes.
#[tokio::test]
async fn what_is_no_frame_is_named_and_closes() {
    let scene = Scene::set().await;
    // `length` must be refused from the four bytes alone: nothing follows them.
    let mut cases = vec![
        (false, length(u32::MAX as usize), Code::TooLarge, "4 GiB"),
        (true, length(u32::MAX as usize), Code::TooLarge, "4 GiB, registered"),
        (false, length(MAX_CONTROL_FRAME + 1), Code::TooLarge, "more than a registration may be"),
        (true, length(MAX_FRAME + 1), Code::TooLarge, "one byte too many"),
        (true, frame(0x03, 0, &vec![0x80; MAX_CONTROL_FRAME - 1]), Code::TooLarge, "a control frame as large as a message"),
        (false, registration(|request| request.versions = vec![2, 3]), Code::VersionNotSupported, "a future client"),
        (false, registration(|request| request.versions = vec![1; 17]), Code::Malformed, "too many versions"),
        (false, registration(|request| request.name = String::new()), Code::Malformed, "no name"),
        (false, registration(|request| request.name = "x".repeat(129)), Code::Malformed, "a long name"),
        (false, registration(|request| request.name = "a\u{202e}b".into()), Code::Malformed, "a name that reads backwards"),
        (false, frame(0x01, 0, &[0xdf, 0xff, 0xff, 0xff, 0xff]), Code::Malformed, "a map that says it has 2^32 entries"),
        (false, frame(0x01, 0, &[0x81, 0xa1, b'x', 0xdd, 0xff, 0xff, 0xff, 0xff]), Code::Malformed, "a list of 2^32"),
        (false, frame(0x01, 0, &[&[0x81, 0xa1, b'x'][..], &[0x91; 9_000], &[0xc0]].concat()), Code::Malformed, "a deep list"),
        (false, frame(0x01, 0, &[0x91; 100]), Code::Malformed, "no map at all"),
        (true, registration(|_| {}), Code::Malformed, "a second registration"),
        (true, encoded(&publish(0, "t", b"")), Code::Malformed, "sequence 0"),
        (true, encoded(&publish(2, "t", b"")), Code::Malformed, "a gap"),
        (true, encoded(&publish(u64::MAX, "t", b"")), Code::Malformed, "the last sequence there is"),
        (true, [encoded(&publish(u64::MAX, "t", b"")), encoded(&publish(0, "t", b""))].concat(), Code::Malformed, "around"),
        (true, frame(0x10, 1, &[0, 0, 0, 0, 0, 0, 0, 1, 0, 1, b't', 0, 0]), Code::Malformed, "no headers, said with the flag"),
        (true, frame(0x10, 0, &[0, 0, 0, 0, 0, 0, 0, 1, 0xff, 0xff, b't']), Code::Malformed, "a topic past its frame"),
        (true, frame(0x14, 0, &[0; 13]), Code::Malformed, "a nack of nothing known"),
        (true, frame(0x15, 0, &[0; 9]), Code::Malformed, "a ping with a tail"),
    ];
    for registered in [false, true] {
        cases.push((registered, length(0), Code::Malformed, "an empty frame"));
        cases.push((registered, length(1), Code::Malformed, "a frame without flags"));
        for kind in [0x00, 0x0d, 0x0f, 0x17, 0x7f, 0xff] {
            cases.push((registered, frame(kind, 0, &[]), Code::Malformed, "no such kind"));
        }
        for kind in Kind::ALL {
            cases.push((registered, frame(kind as u8, 0x80, &[0x80]), Code::Malformed, "a reserved flag"));
        }
        for kind in [0x02, 0x04, 0x06, 0x07, 0x08, 0x0a, 0x0b, 0x0c, 0x11, 0x12] {
            cases.push((registered, frame(kind, 0, &[0x80]), Code::Malformed, "what only a broker sends"));
        }
    }
    for early in [
        encoded(&publish(1, "t", b"")),
        subscribe("t"),
        encoded(&ClientFrame::UnsubscribeRequest(UnsubscribeRequest { request: 1, filter: "t".into() })),
        encoded(&ClientFrame::Disconnect(Disconnect { end: true })),
        encoded(&ClientFrame::Ping(1)),
    ] {
        cases.push((false, early, Code::Malformed, "before registration"));
    }
    for (registered, bytes, code, what) in cases {
        let error = scene.closed_for(registered, &bytes).await;
        assert_eq!(error.code, code, "{what} ({registered}): {}", error.reason);
        assert!(!error.reason.is_empty());
        assert_eq!(error.versions.is_empty(), code != Code::VersionNotSupported, "{what}");
    }
    scene.end().await;
}

/// A frame of exactly the limit is a message like any other.
#[tokio::test]
async fn a_frame_of_exactly_the_limit_is_delivered() {
    let scene = Scene::set().await;
    let (mut raw, _) = Raw::register(&scene.broker, "large").await;
    raw.subscribe("large").await;
    let head = encoded(&publish(1, "large", b"")).len() - 4;
    let payload = vec![7; MAX_FRAME - head];
    raw.enqueue("large", &payload).await;
    assert_eq!(raw.messages(1).await[0].payload, payload);
    scene.end().await;
}

/// A thousand frames in one segment, and frames a byte a segment, say the same.
#[tokio::test]
async fn it_does_not_matter_how_frames_are_cut() {
    let scene = Scene::set().await;
    let script = |messages: u64| {
        let mut bytes = subscribe("cut");
        for sequence in 1..=messages {
            bytes.extend(encoded(&publish(sequence, "cut", sequence.to_string().as_bytes())));
        }
        bytes
    };
    for (messages, segment) in [(1_000, usize::MAX), (40, 1), (40, 2), (40, 7), (200, 61)] {
        let (mut raw, _) = Raw::register(&scene.broker, "cut").await;
        for part in script(messages).chunks(segment.min(1 << 20)) {
            raw.send_bytes(part).await;
            tokio::task::yield_now().await;
        }
        // The topic is found, and published to, before its subscriber is there: the backlog is for it.
        while !matches!(raw.next().await, Reply::Subscribed(_)) {}
        let got = raw.messages(messages as usize).await;
        assert!((1..=messages).eq(got.iter().map(|message| message.text().parse::<u64>().unwrap())), "in parts of {segment}");
        raw.disconnect(true).await;
    }
    scene.end().await;
}

/// Half a frame and then nothing is a lost connection, once.
#[tokio::test]
async fn a_frame_that_is_never_finished_detaches_once() {
    let scene = Scene::set().await;
    let mut follower = scene.broker.bus().follow().1;
    let half = &encoded(&publish(1, "never", b"whole"))[..9];
    for (n, reset) in [false, true].into_iter().enumerate() {
        let (mut raw, _) = Raw::register(&scene.broker, "half").await;
        raw.send_bytes(half).await;
        if reset {
            raw.reset();
        } else {
            drop(raw);
        }
        eventually(&scene.broker, "the session is detached", |board| board.broker.detached == n as u64 + 1).await;
    }
    eventually(&scene.broker, "its connection is gone", |board| board.listeners.len() == 1).await;
    let detached = follower.take(usize::MAX).events.iter().filter(|it| matches!(it.event, Event::SessionDetached { .. })).count();
    assert_eq!(detached, 2);
    assert!(!scene.broker.bus().board().topics.keys().any(|topic| topic.as_str() == "never"));
    scene.end().await;
}

/// What is no name is refused alone, with the number of what asked; the connection lives.
#[tokio::test]
async fn what_is_no_name_is_refused_alone() {
    let scene = Scene::set().await;
    let (mut raw, _) = Raw::register(&scene.broker, "names").await;
    let (long, deep, wide) = ("x".repeat(256), ["x"; 17].join("/"), "x".repeat(65_535));
    let in_both: [&[u8]; 16] = [
        b"",
        b"/",
        b"/a",
        b"a/",
        b"a//b",
        b"$sys",
        b"$sys/x",
        b"a\0b",
        b"a\x1b[2J",
        b"a\x7f",
        "a\u{85}".as_bytes(),
        "a\u{200b}".as_bytes(),
        "\u{feff}a".as_bytes(),
        "a\u{202e}b".as_bytes(),
        "\u{fffe}".as_bytes(),
        long.as_bytes(),
    ];
    let in_topics: [&[u8]; 8] =
        [b"a/+", b"#", b"a#", wide.as_bytes(), b"\xff", b"\xc0\x80", b"\xed\xa0\x80", b"\xf4\x90\x80\x80"];
    let in_filters: [&str; 5] = ["a/#/b", "a+", "a/b#", "+a/b", "##"];
    for topic in in_both.into_iter().chain(in_topics).chain([deep.as_bytes()]) {
        raw.sequence += 1;
        let sequence = raw.sequence;
        let mut body = sequence.to_be_bytes().to_vec();
        body.extend((topic.len() as u16).to_be_bytes());
        body.extend(topic);
        raw.send_bytes(&frame(Kind::Publish as u8, 0, &body)).await;
        let error = raw.error().await;
        assert_eq!((error.code, error.sequence), (Code::Malformed, Some(sequence)), "{}", topic.escape_ascii());
        assert!(!error.reason.contains(cordboard::name::is_unprintable), "{:?}", error.reason);
    }
    let texts = in_both.into_iter().map(|name| std::str::from_utf8(name).unwrap());
    for filter in texts.chain(in_filters).chain([deep.as_str()]) {
        let request = raw.ask_subscribe(filter).await;
        let error = raw.error().await;
        assert_eq!((error.code, error.request), (Code::Malformed, Some(request)), "{filter:?}");
    }
    raw.subscribe("good").await;
    raw.enqueue("good", b"\0\xff\x1b[2J").await;
    assert_eq!(raw.messages(1).await[0].payload, b"\0\xff\x1b[2J", "a payload is opaque");
    scene.end().await;
}
