//! Bytes that mean harm: each is refused with its code, early, and without a word of what was sent.

use cordboard::wire::{
    ClientFrame, Code, Disconnect, ErrorFrame, Headers, Kind, MAX_CONTROL_FRAME, MAX_FRAME, PREFIX, Publish, RawFrame,
    RegistrationRequest, ServerFrame, WireError, frame_len, headers_from, split,
};

use super::{encoded, whole};

fn client(kind: Kind, flags: u8, body: &[u8]) -> Result<ClientFrame<'_>, WireError> {
    ClientFrame::decode(RawFrame { kind, flags, body })
}

fn map(body: &[u8]) -> Result<ClientFrame<'_>, WireError> {
    client(Kind::RegistrationRequest, 0, body)
}

/// A registration, with `more` raw `MessagePack` pairs in front.
fn registration(pairs: u8, more: &[u8]) -> Vec<u8> {
    let mut body = vec![0x80 | (pairs + 2)];
    body.extend_from_slice(more);
    body.extend_from_slice(b"\xa8versions\x91\x01\xa4name\xa1x");
    body
}

#[test]
fn a_length_is_refused_from_four_bytes_alone() {
    assert_eq!(split(&[0xFF; 4], MAX_FRAME), Err(WireError::TooLarge { length: u32::MAX as usize, max: MAX_FRAME }));
    assert_eq!(split(&[0xFF; 4], MAX_FRAME).unwrap_err().code(), Code::TooLarge);
    for length in [0, 1] {
        let error = split(&[0, 0, 0, length], MAX_FRAME).unwrap_err();
        assert_eq!((error.code(), &error), (Code::Malformed, &WireError::TooShort { length: usize::from(length) }));
    }
    assert_eq!(split(&[0, 0, 0], MAX_FRAME), Ok(None));
    assert_eq!(frame_len(&[0, 0, 0, 2], MAX_FRAME), Ok(Some(6)));
}

#[test]
fn a_frame_of_exactly_the_limit_passes_and_one_byte_more_does_not() {
    let payload = vec![7; MAX_FRAME - 13];
    let publish = Publish { sequence: 1, topic: b"t", headers: Headers::NONE, payload: &payload };
    assert_eq!(publish.length(), MAX_FRAME);
    let mut bytes = encoded(&ClientFrame::Publish(publish));
    assert_eq!(bytes.len(), PREFIX + MAX_FRAME);
    assert_eq!(ClientFrame::decode(whole(&bytes)), Ok(ClientFrame::Publish(publish)));

    bytes[..PREFIX].copy_from_slice(&(MAX_FRAME as u32 + 1).to_be_bytes());
    assert_eq!(split(&bytes, MAX_FRAME), Err(WireError::TooLarge { length: MAX_FRAME + 1, max: MAX_FRAME }));
}

#[test]
fn a_control_frame_of_exactly_its_limit_passes_and_one_byte_more_does_not() {
    let mut request = RegistrationRequest::new("");
    let empty = encoded(&ClientFrame::RegistrationRequest(request.clone())).len() - PREFIX;
    // A text of this length has two bytes more of length than an empty one.
    request.name = "n".repeat(MAX_CONTROL_FRAME - empty - 2);
    let bytes = encoded(&ClientFrame::RegistrationRequest(request.clone()));
    assert_eq!(bytes.len(), PREFIX + MAX_CONTROL_FRAME);
    assert!(ClientFrame::decode(whole(&bytes)).is_ok());

    request.name.push('n');
    let bytes = encoded(&ClientFrame::RegistrationRequest(request));
    assert_eq!(ClientFrame::decode(whole(&bytes)).unwrap_err().code(), Code::TooLarge);
}

#[test]
fn unknown_kinds_and_reserved_flags_are_refused() {
    let known: Vec<u8> = Kind::ALL.iter().map(|kind| *kind as u8).collect();
    for kind in 0..=u8::MAX {
        match split(&[0, 0, 0, 2, kind, 0], MAX_FRAME) {
            Ok(frame) => assert!(known.contains(&kind) && frame.unwrap().0.kind as u8 == kind),
            Err(error) => assert!(!known.contains(&kind) && error == WireError::UnknownKind { kind }),
        }
    }
    for kind in Kind::ALL {
        let allowed = match kind {
            Kind::Publish => 0b01,
            Kind::Deliver => 0b11,
            _ => 0,
        };
        for bit in (0..8).map(|bit| 1 << bit) {
            let frame = split(&[0, 0, 0, 2, kind as u8, bit], MAX_FRAME).map(|frame| frame.is_some());
            let expected = if bit & allowed == bit { Ok(true) } else { Err(WireError::ReservedFlags { kind, flags: bit }) };
            assert_eq!(frame, expected);
        }
    }
}

#[test]
fn a_fixed_body_ends_where_its_last_field_ends() {
    let bodies: [(Kind, usize); 4] = [(Kind::Ping, 8), (Kind::Pong, 8), (Kind::DeliverAck, 12), (Kind::DeliverNack, 13)];
    for (kind, len) in bodies {
        let body = [1; 14];
        assert!(client(kind, 0, &body[..len]).is_ok());
        assert!(matches!(client(kind, 0, &body[..len - 1]), Err(WireError::Truncated { .. })));
        assert_eq!(client(kind, 0, &body[..=len]), Err(WireError::Trailing { kind, bytes: 1 }));
    }
    for what in [0, 3, 255] {
        let mut body = [0; 13];
        body[12] = what;
        assert!(matches!(client(Kind::DeliverNack, 0, &body), Err(WireError::Invalid { field: "what", .. })), "{what}");
    }
}

/// A topic that says it is longer than its frame is not read past the frame.
#[test]
fn a_publish_cut_short_anywhere_before_its_payload_is_refused() {
    let headers = headers_from([("k", "v")]).unwrap();
    let headers = Headers::from_bytes(&headers).unwrap();
    let bytes = encoded(&ClientFrame::Publish(Publish { sequence: 1, topic: b"t/u", headers, payload: b"" }));
    let body = whole(&bytes).body;
    for len in 0..body.len() {
        assert!(matches!(client(Kind::Publish, 1, &body[..len]), Err(WireError::Truncated { .. })), "{len}");
    }
    assert!(client(Kind::Publish, 1, body).is_ok());
}

#[test]
fn headers_are_bounded_and_said_once() {
    let many: Vec<_> = (0..65).map(|n| format!("key-{n}")).collect();
    let pairs = |count: usize| many[..count].iter().map(|key| (key.as_str(), ""));
    assert_eq!(Headers::from_bytes(&headers_from(pairs(64)).unwrap()).unwrap().iter().count(), 64);
    assert!(headers_from(pairs(65)).is_err());
    assert_eq!(headers_from(pairs(0)), Ok(Vec::new()));

    let long = "v".repeat(65_536);
    assert!(headers_from([("k", &long[1..])]).is_ok());
    assert!(headers_from([("k", long.as_str())]).is_err());
    assert!(headers_from([(&long[..255], "")]).is_ok());
    for bad in [("", "v"), (&long[..256], "v")] {
        assert!(headers_from([bad]).is_err());
    }
    assert!(headers_from([("k", "1"), ("k", "2")]).is_err());

    // The same rules for bytes that no builder made.
    for bad in [
        &b"\0\0"[..],
        b"\0\x41",
        b"\0\x01\0\0\0\0",
        b"\0\x02\0\x01k\0\0\0\x01k\0\0",
        b"\0\x01\0\x01\xff\0\0",
        b"\0\x01\0\x01k\0\0!",
    ] {
        assert!(Headers::from_bytes(bad).is_err(), "{bad:?}");
    }
}

#[test]
fn a_time_to_live_is_a_positive_decimal() {
    let ttl = |text: &str| headers_from([(Headers::TTL_MS, text)]);
    assert_eq!(
        Headers::from_bytes(&ttl("18446744073709551615").unwrap()).unwrap().ttl().unwrap().as_millis(),
        u128::from(u64::MAX)
    );
    for bad in ["", "0", "000", "+5", "-5", "5s", "1.5", " 5", "٥", "18446744073709551616"] {
        assert!(ttl(bad).is_err(), "{bad:?}");
    }
}

/// `MessagePack` that claims, nests or repeats more than it may.
#[test]
fn bombs_in_maps_are_errors() {
    assert!(map(&registration(0, b"")).is_ok());
    // An unknown field of 5, then 6 nested lists: with the map itself 6 and 7, then 8 deep.
    for (lists, fine) in [(5, true), (6, true), (7, false), (5_000, false)] {
        let mut field = b"\xa1?".to_vec();
        field.extend(vec![0x91; lists - 1]);
        field.push(0x90);
        assert_eq!(map(&registration(1, &field)).is_ok(), fine, "{lists} lists");
    }
    for bomb in [
        &b"\xdf\xff\xff\xff\xff"[..],
        b"\x81\xa8versions\xdd\xff\xff\xff\xff",
        b"\x81\xa4name\xdb\xff\xff\xff\xff",
        b"\x81\xa1?\xc6\xff\xff\xff\xff",
        b"\x81\xa1?\xc9\xff\xff\xff\xff\x00",
        b"\x81\xa1?\xdd\xff\xff\xff\xff",
    ] {
        assert_eq!(map(bomb).unwrap_err().code(), Code::Malformed, "{bomb:?}");
    }
    let mut versions = b"\x82\xa4name\xa1x\xa8versions\xdc\x00\x10".to_vec();
    versions.extend([1; 16]);
    assert!(map(&versions).is_ok());
    versions[19] = 17;
    versions.push(1);
    assert!(map(&versions).is_err(), "17 versions");
}

#[test]
fn a_map_is_a_map_with_named_fields_and_nothing_after() {
    for (bad, says) in [
        (&b""[..], "not a map"),
        (b"\xc0", "not a map"),
        (b"\x92\x91\x01\xa1x", "not a map"),
        (b"\x80", "missing field"),
        (b"\x81\xa8versions\x91\x01", "missing field `name`"),
        (b"\x83\xa8versions\x91\x01\xa4name\xa1x\xa4name\xa1y", "duplicate field `name`"),
        (b"\x82\xa8versions\x91\x01\xa4name\xa2\xff\xfe", ""),
        (b"\x82\xa8versions\x91\xce\x00\x01\x00\x00\xa4name\xa1x", ""),
        (b"\x83\xa8versions\x91\x01\xa4name\xa1x\xa3ack\xa4both", "neither explicit nor none"),
        (b"\x83\xa8versions\x91\x01\xa4name\xa1x\xa7session\xa29f", "32 hexadecimal digits"),
        (b"\x82\xa8versions\x90\xa4name\xa1x", "names at least one"),
        (b"\x82\xa8versions\xc0\xa4name\xa1x", "names at least one"),
        (b"\x83\xa8versions\x91\x01\xa4name\xa1x\xa4user\xa0", "a name is empty"),
        (b"\x82\xa8versions\x91\x01\xa4name\xa1x!", "1 bytes after"),
    ] {
        let error = map(bad).unwrap_err();
        assert_eq!(error.code(), Code::Malformed);
        assert!(error.to_string().contains(says), "{error} does not say {says:?}");
    }
}

/// Fields this version does not know are skipped, and nil is the same as absent.
#[test]
fn a_map_from_the_future_is_understood() {
    let nil = b"\xa4user\xc0\xa3ack\xc0\xa7settled\xc0\xa3new\x82\xa1a\x91\x01\xa1b\xc4\x01\x00";
    let ClientFrame::RegistrationRequest(request) = map(&registration(4, nil)).map_err(|e| e.to_string()).unwrap() else {
        panic!()
    };
    assert_eq!(request, RegistrationRequest::new("x"));
    let end = client(Kind::Disconnect, 0, b"\x80");
    assert_eq!(end, Ok(ClientFrame::Disconnect(Disconnect { end: false })));

    let body = b"\x84\xa4code\xcd\x01\x90\xa6reason\xa1x\xa5count\xc0\xa8versions\xc0";
    let error = ServerFrame::decode(RawFrame { kind: Kind::Error, flags: 0, body });
    assert_eq!(error, Ok(ServerFrame::Error(ErrorFrame::new(Code::Malformed, "x"))));
}

/// A password in the wrong field is still a password.
#[test]
fn nothing_that_was_sent_comes_back_in_an_error_or_a_debug() {
    for field in [
        &b"\xadkeep_alive_ms\xa6hunter"[..],
        b"\xa3ack\xa6hunter",
        b"\xa7session\xa6hunter",
        b"\xa4user\x81\xa6hunter\x01",
        b"\xa6hunter\xc1",
    ] {
        let error = map(&registration(1, field)).unwrap_err();
        assert!(!format!("{error} {error:?}").contains("hunter"), "{error}");
    }
    let error = map(b"\x81\xa8versions\xb7hunter, expected hunter").unwrap_err();
    assert!(error.to_string().ends_with("a value is not a list of at most 16"), "{error}");

    let mut request = RegistrationRequest::new("x");
    request.password = Some("hunter".into());
    assert!(!format!("{request:?} {:?}", ClientFrame::RegistrationRequest(request.clone())).contains("hunter"));
}

#[test]
fn a_client_without_a_common_version_is_told_which_there_are() {
    let mut request = RegistrationRequest::new("x");
    assert_eq!(request.common_version(), Ok(1));
    request.versions = vec![2, 1];
    assert_eq!(request.common_version(), Ok(1));
    request.versions = vec![0, 2];
    let error = ErrorFrame::from(&request.common_version().unwrap_err());
    assert_eq!((error.code, error.versions), (Code::VersionNotSupported, vec![1]));
}

/// A table that lies about its records is refused whole, before anything is delivered.
#[test]
fn a_deliver_whose_table_lies_is_refused() {
    let body = |count: u32, table: &[u32], records: &[u8]| {
        let mut body = [0; 20].to_vec();
        body.extend_from_slice(b"\0\x01t");
        body.extend_from_slice(&count.to_be_bytes());
        body.extend(table.iter().flat_map(|entry| entry.to_be_bytes()));
        body.extend_from_slice(records);
        body
    };
    let decode = |body: &[u8]| ServerFrame::decode(RawFrame { kind: Kind::Deliver, flags: 0, body }).map(|_| ());
    assert_eq!(decode(&body(2, &[9, 11, 12], b"\0a\0")), Ok(()));
    assert_eq!(decode(&body(1, &[u32::MAX - 1, u32::MAX], b"\0")), Ok(()));
    for (count, table, records) in [
        (0, &[0][..], &b""[..]),
        (1, &[0, 2], b"\0"),
        (1, &[0, 1], b"\0a"),
        (2, &[0, 3, 2], b"\0a"),
        (2, &[5, 4, 7], b"\0a"),
        (2, &[0, 0, 2], b"\0a"),
        (1, &[2, 0], b"\0a"),
        (1, &[0, 1], b"\x02"),
        (1, &[0, 2], b"\x01a"),
        (u32::MAX, &[0, 1], b"\0"),
    ] {
        assert_eq!(decode(&body(count, table, records)).unwrap_err().code(), Code::Malformed, "{count} {table:?} {records:?}");
    }
    let mut overflowing = body(2, &[0, 1, 2], b"\0\0");
    overflowing[4..12].copy_from_slice(&u64::MAX.to_be_bytes());
    assert!(decode(&overflowing).is_err(), "numbers past 2^64");
}
