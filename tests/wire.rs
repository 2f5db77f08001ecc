//! The wire protocol.
use cordboard::name::SubscriptionHandle;
use cordboard::wire::*;

#[test]
fn smoke() {
    let h = headers_from([("ttl-ms", "5"), ("a", "b")]).unwrap();
    let p = Publish { sequence: 7, topic: b"a/b", headers: Headers::from_bytes(&h).unwrap(), payload: b"hello" };
    let mut out = Vec::new();
    let mut r = RegistrationRequest::new("x");
    r.password = Some("secret".into());
    assert!(!format!("{r:?}").contains("secret"));
    for f in [ClientFrame::Publish(p), ClientFrame::RegistrationRequest(r), ClientFrame::Disconnect(Disconnect { end: true })] {
        out.clear();
        f.encode(&mut out);
        let (raw, n) = split(&out, MAX_FRAME).unwrap().unwrap();
        assert_eq!(n, out.len());
        assert_eq!(ClientFrame::decode(raw).unwrap(), f);
    }
    let mut recs = Vec::new();
    p.write_record(&mut recs);
    let mid = recs.len() as u32;
    p.write_record(&mut recs);
    let table: Vec<u8> = [0, mid, 2 * mid].iter().flat_map(|o: &u32| (o + 9).to_be_bytes()).collect();
    let d = Deliver {
        handle: SubscriptionHandle(1),
        first: 5,
        accepted_ms: 1,
        redelivered: true,
        topic: "a/b",
        count: 2,
        table: &table,
        records: &recs,
    };
    for f in [ServerFrame::Deliver(d), ServerFrame::Displaced, ServerFrame::Error(ErrorFrame::new(Code::Gone, "x"))] {
        out.clear();
        f.encode(&mut out);
        let (raw, n) = split(&out, MAX_FRAME).unwrap().unwrap();
        assert_eq!(n, out.len());
        assert_eq!(ServerFrame::decode(raw).unwrap(), f);
    }
    assert_eq!(d.records().map(|r| r.number).collect::<Vec<_>>(), [5, 6]);
}
