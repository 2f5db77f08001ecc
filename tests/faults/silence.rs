//! Networks that swallow everything and say nothing: the ghost of a connection is found by its keep-alive, holds nobody up until
//! then, and is gone without a trace afterwards.

use std::time::Duration;

use cordboard::{
    Client,
    client::Backoff,
    events::CloseReason,
    name::SubscriptionHandle,
    wire::{ClientFrame, RegistrationRequest, RegistrationResponse},
};
use tokio::time::{Instant, timeout};

use super::detached;
use crate::{
    fixture::{
        PATIENCE, Raw, eventually, eventually_true,
        proxy::{Fault, Faults, Proxy},
    },
    hostile::Scene,
};

const KEEP_ALIVE: Duration = Duration::from_secs(10);

/// A subscriber of `filter` behind a proxy.
async fn far_subscriber(proxy: &Proxy, filter: &str) -> (Raw, RegistrationResponse) {
    let mut raw = Raw::connect(proxy.address).await;
    let keep_alive_ms = KEEP_ALIVE.as_millis() as u64;
    let request = RegistrationRequest { keep_alive_ms: Some(keep_alive_ms), ..RegistrationRequest::new("far") };
    raw.send(&ClientFrame::RegistrationRequest(request)).await;
    let response = raw.response().await;
    assert_eq!(response.keep_alive_ms, keep_alive_ms);
    raw.subscribe(filter).await;
    (raw, response)
}

/// No end of the stream, no reset, no bytes: one and a half keep-alive times say that nobody is there.
#[tokio::test(start_paused = true)]
async fn a_ghost_is_found_by_its_keep_alive() {
    let mut scene = Scene::set().await;
    let proxy = Proxy::start(scene.broker.endpoints()[0]);
    let (ghost, response) = far_subscriber(&proxy, "news").await;
    let mut follower = scene.broker.bus().follow().1;
    proxy.now(Faults::both(Fault::BlackHole));
    let since = Instant::now();
    scene.canary_sings().await;
    eventually(&scene.broker, "the ghost is found", |board| !board.sessions[&response.session].is_attached()).await;
    let silent = since.elapsed();
    assert!(silent >= KEEP_ALIVE && silent <= KEEP_ALIVE * 3 / 2 + Duration::from_secs(1), "{silent:?}");
    assert_eq!(detached(&mut follower, response.session), [CloseReason::KeepAliveMissed]);
    scene.canary_sings().await;
    let (mut back, _) = Raw::resume(&scene.broker, "near", response.session).await;
    let (mut publisher, _) = Raw::register(&scene.broker, "publisher").await;
    publisher.publish("news", "at last").await;
    assert_eq!(back.messages(1).await[0].text(), "at last");
    drop((ghost, back, publisher, proxy));
    scene.end().await;
}

/// What was sent into a hole comes again, marked, to whoever takes the session over, long before the ghost is found.
#[tokio::test]
async fn a_ghost_does_not_stand_in_the_way_of_a_takeover() {
    let mut scene = Scene::set().await;
    let proxy = Proxy::start(scene.broker.endpoints()[0]);
    let (mut ghost, response) = far_subscriber(&proxy, "news").await;
    let (mut publisher, _) = Raw::register(&scene.broker, "publisher").await;
    publisher.publish("news", "heard").await;
    let heard = ghost.messages(1).await.remove(0);
    let mut follower = scene.broker.bus().follow().1;
    proxy.now(Faults::both(Fault::BlackHole));
    let before = scene.broker.counters().delivered;
    for text in ["swallowed", "too"] {
        publisher.publish("news", text).await;
    }
    eventually_true("it is written", || scene.broker.counters().delivered >= before + 2).await;
    let (mut back, resumed) = Raw::resume(&scene.broker, "near", response.session).await;
    assert_eq!(resumed.epoch, response.epoch.next());
    let got: Vec<_> = back.messages(3).await.into_iter().map(|got| (got.number, got.text(), got.redelivered)).collect();
    let expected = ["heard", "swallowed", "too"].map(str::to_owned);
    assert_eq!(got, (heard.number..).zip(expected).map(|(number, text)| (number, text, true)).collect::<Vec<_>>());
    assert!(detached(&mut follower, response.session).is_empty(), "a session that was taken over was never without a client");
    eventually(&scene.broker, "the ghost is closed", |board| board.listeners.len() == 3).await;
    // What it would have said is from an epoch that is over, if it ever comes through.
    ghost.ack(SubscriptionHandle(heard.handle), heard.number + 2).await;
    proxy.now(Faults::default());
    scene.canary_sings().await;
    back.ack(SubscriptionHandle(heard.handle), heard.number + 2).await;
    back.settle().await;
    drop((ghost, back, publisher, proxy));
    scene.end().await;
}

/// The library notices by itself that nobody answers, or is told nothing any more, and comes back over another connection; of
/// what it says was accepted nothing is missing. A hole may swallow both directions or one.
#[tokio::test]
async fn the_library_leaves_a_hole_by_itself() {
    let mut scene = Scene::set().await;
    let hole = Fault::BlackHole;
    for (topic, faults) in [("both", Faults::both(hole)), ("up", Faults::up(hole)), ("down", Faults::down(hole))] {
        let proxy = Proxy::start(scene.broker.endpoints()[0]);
        let eager = Backoff { first: Duration::from_millis(1), max: Duration::from_millis(8), attempts: u32::MAX };
        let client = Client::builder(&proxy.address.to_string()).keep_alive(Duration::from_millis(500)).reconnect(eager);
        let client = client.connect().await.unwrap();
        let mut stream = client.subscribe(topic).await.unwrap();
        client.publish(topic, "0").await.unwrap();
        proxy.now(faults);
        for n in 1..100 {
            drop(client.enqueue(topic, n.to_string()).await.unwrap());
        }
        scene.canary_sings().await;
        let mut next = 0;
        while next < 100 {
            let delivery = timeout(PATIENCE, stream.next()).await.expect("a message comes").expect("the stream goes on");
            let n: u32 = std::str::from_utf8(&delivery.payload).unwrap().parse().unwrap();
            assert!(n == next || n < next && delivery.redelivered, "{n} instead of {next}");
            next = next.max(n + 1);
        }
        client.flush().await.unwrap();
        client.end().await.unwrap();
    }
    scene.end().await;
}
