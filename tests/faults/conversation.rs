//! One conversation, lost at every byte of it, in each direction and in each way, and gone on with from there.

use std::collections::BTreeMap;

use cordboard::{
    control::Control,
    name::{SessionId, SubscriptionHandle},
    wire::{ClientFrame, DeliverAck, RegistrationRequest, SubscribeRequest, UnsubscribeRequest},
};
use tokio::io::AsyncWriteExt;

use super::detached;
use crate::{
    fixture::{
        Got, Raw, Reply,
        baseline::order,
        eventually,
        proxy::{End, Fault, Faults, Proxy},
        publish,
    },
    hostile::Scene,
};

/// Messages in flight when the connection is lost.
const MESSAGES: u64 = 3;
/// How often the canary sings.
const BETWEEN_SONGS: u64 = 64;

/// A client that keeps to the protocol's rules for not losing anything, and publishes to itself.
struct Traveller {
    topic: String,
    session: Option<SessionId>,
    settled: u64,
    /// The messages that came, by their numbers.
    seen: BTreeMap<u64, String>,
}

impl Traveller {
    fn new(topic: String) -> Self {
        Self { topic, session: None, settled: 0, seen: BTreeMap::new() }
    }

    /// As far through the conversation as the network lets it; the connection, if that was to the end.
    async fn travel(&mut self, proxy: &Proxy) -> Option<Raw> {
        let mut raw = Raw::connect(proxy.address).await;
        let (session, settled) = (self.session, Some(self.settled));
        let request = RegistrationRequest { session, settled, ..RegistrationRequest::new("traveller") };
        say(&mut raw, &[ClientFrame::RegistrationRequest(request)]).await;
        let response = match raw.next().await {
            Reply::Response(response) => response,
            Reply::Closed => return None,
            other => panic!("{}: {other:?}", self.topic),
        };
        assert_eq!(response.resumed, self.session.is_some(), "{}", self.topic);
        assert!(response.failures.is_empty() && response.settled >= self.settled, "{}: {response:?}", self.topic);
        (self.session, self.settled) = (Some(response.session), response.settled);

        let filter = self.topic.clone();
        let subscribe = SubscribeRequest { request: 1, filter, ack_timeout_ms: None, group: None };
        let texts: Vec<String> = (1..=MESSAGES).map(|n| n.to_string()).collect();
        let unsettled = (1..=MESSAGES).zip(&texts).skip(self.settled as usize);
        let publishes = unsettled.map(|(n, text)| publish(n, &self.topic, text.as_bytes()));
        let frames: Vec<_> = [ClientFrame::SubscribeRequest(subscribe)].into_iter().chain(publishes).collect();
        say(&mut raw, &frames).await;
        let (mut last, mut asked) = (0, false);
        loop {
            if !asked && self.settled == MESSAGES && self.seen.len() == MESSAGES as usize {
                // The answer to the last thing asked says that the acknowledgements before it were heard.
                say(&mut raw, &[ClientFrame::UnsubscribeRequest(UnsubscribeRequest { request: 2, filter: "none".into() })]).await;
                asked = true;
            }
            match raw.next().await {
                Reply::Subscribed(ack) => assert_eq!((ack.request, ack.filter.as_str()), (1, self.topic.as_str())),
                Reply::Acked(sequence) => self.settled = sequence.max(self.settled),
                Reply::Deliver(messages) => {
                    for got in &messages {
                        self.take(got, &mut last);
                    }
                    let handle = SubscriptionHandle(messages[0].handle);
                    say(&mut raw, &[ClientFrame::DeliverAck(DeliverAck { handle, number: last })]).await;
                }
                Reply::Other(text) if text.starts_with("UnsubscribeAck") => return Some(raw),
                Reply::Closed => return None,
                other => panic!("{}: {other:?}", self.topic),
            }
        }
    }

    /// In order on each connection, each number the same message for ever, and marked if it came before.
    fn take(&mut self, got: &Got, last: &mut u64) {
        assert!(got.number > *last, "{}: {got:?} after {last}", self.topic);
        *last = got.number;
        match self.seen.get(&got.number) {
            Some(known) => assert!(*known == got.text() && got.redelivered, "{}: {got:?} after {known}", self.topic),
            None => {
                let next = self.seen.len() as u64 + 1;
                assert_eq!((got.number, got.text()), (next, next.to_string()), "{}: lost, twice, or out of order", self.topic);
                self.seen.insert(got.number, got.text());
            }
        }
    }
}

/// Says it, if anybody is there; who is not is noticed when reading.
async fn say(raw: &mut Raw, frames: &[ClientFrame<'_>]) {
    let mut bytes = Vec::new();
    for frame in frames {
        frame.encode(&mut bytes);
    }
    let _ = raw.socket.write_all(&bytes).await;
}

/// The conversation with `fault` after so many bytes, and then without. False if it was over before.
async fn interrupted(scene: &Scene, proxy: &Proxy, fault: Faults, topic: String) -> bool {
    let mut follower = scene.broker.bus().follow().1;
    let mut traveller = Traveller::new(topic);
    proxy.next(fault);
    let first = traveller.travel(proxy).await;
    let was_interrupted = first.is_none();
    if was_interrupted {
        if let Some(session) = traveller.session {
            eventually(&scene.broker, "the loss is noticed", |board| !board.sessions[&session].is_attached()).await;
            assert_eq!(detached(&mut follower, session).len(), 1, "{}: {fault:?}", traveller.topic);
        }
        assert!(traveller.travel(proxy).await.is_some(), "{}: the network is fine now", traveller.topic);
    }
    // Whoever never heard of its first session has left it behind: that one ends with the scene.
    let session = traveller.session.expect("it has travelled");
    order(&scene.broker, Control::EvictSession { session }).await;
    order(&scene.broker, Control::KillTopic { topic: traveller.topic.parse().unwrap() }).await;
    was_interrupted
}

/// Every `step` bytes, until the conversation is over before its fault.
async fn at_every(step: u64, way: &str, end: End, faults: fn(Fault) -> Faults) {
    let mut scene = Scene::set().await;
    let proxy = Proxy::start(scene.broker.endpoints()[0]);
    let mut bytes = 0;
    while interrupted(&scene, &proxy, faults(Fault::After(bytes, end)), format!("{way}/{bytes}")).await {
        if bytes % (step * BETWEEN_SONGS) == 0 {
            scene.canary_sings().await;
        }
        bytes += step;
    }
    assert!(bytes > 150, "{bytes} bytes are no conversation");
    drop(proxy);
    scene.end().await;
}

#[tokio::test]
async fn a_client_that_is_cut_off_at_any_byte_goes_on_from_there() {
    at_every(1, "up", End::Cut, Faults::up).await;
}

#[tokio::test]
async fn a_broker_that_is_cut_off_at_any_byte_goes_on_from_there() {
    at_every(1, "down", End::Cut, Faults::down).await;
}

#[tokio::test]
async fn a_connection_that_is_reset_anywhere_is_gone_on_with_from_there() {
    at_every(3, "up", End::Reset, Faults::up).await;
    at_every(3, "down", End::Reset, Faults::down).await;
}

#[tokio::test]
async fn a_connection_of_which_half_ends_anywhere_is_gone_on_with_from_there() {
    at_every(3, "up", End::HalfClose, Faults::up).await;
    at_every(3, "down", End::HalfClose, Faults::down).await;
}
