//! The client library over networks that fail: what it says is acknowledged arrives, whatever its connections go through.

use std::time::Duration;

use cordboard::{
    Client,
    board::SessionRow,
    client::{Backoff, ClientEvent, Events, Subscription},
    events::{Event, SessionEnd},
    wire::Code,
};
use tokio::time::timeout;

use crate::{
    fixture::{
        PATIENCE, eventually,
        proxy::{End, Fault, Faults, Proxy},
    },
    hostile::Scene,
};

/// Messages that are published while the network fails.
#[derive(Debug, Clone, Copy)]
struct Load {
    messages: u32,
    bytes: usize,
}

const SMALL: Load = Load { messages: 300, bytes: 4 };
/// A few of these fill the sockets: losses fall into frames that are half written.
const LARGE: Load = Load { messages: 48, bytes: 100 << 10 };

async fn soon<T>(what: &str, it: impl Future<Output = T>) -> T {
    timeout(PATIENCE, it).await.unwrap_or_else(|_| panic!("{what} never comes"))
}

/// Comes back at once, and for ever.
const EAGER: Backoff = Backoff { first: Duration::from_millis(1), max: Duration::from_millis(8), attempts: u32::MAX };

/// A client over `proxy`. The library registers once by itself; who wants more asks more often.
async fn client(proxy: &Proxy, name: &str) -> Client {
    let connected = async {
        loop {
            match Client::builder(&proxy.address.to_string()).name(name).reconnect(EAGER).connect().await {
                Ok(client) => return client,
                Err(error) => assert!(error.is_temporary(), "{error}"),
            }
        }
    };
    soon("a connection", connected).await
}

/// Takes all messages: in order, none missing, and what comes again is marked.
async fn take_all(stream: &mut Subscription, load: Load) {
    let mut wanted = 0;
    while wanted < load.messages {
        let delivery = soon("a message", stream.next()).await.expect("the stream goes on");
        let number = u32::from_be_bytes(*delivery.payload.first_chunk().unwrap());
        let (is_again, len) = (delivery.redelivered, delivery.payload.len());
        assert!(number == wanted || number < wanted && is_again, "{number} instead of {wanted}; marked: {is_again}");
        assert!(len == load.bytes && delivery.payload[4..].iter().all(|byte| *byte == number as u8), "{number} is damaged");
        wanted = wanted.max(number + 1);
    }
}

/// A publisher and a subscriber, each over connections with faults, one after another, and then over good ones. How many faulty
/// ones each has had.
async fn survives(scene: &mut Scene, load: Load, topic: &str, publisher: &[Faults], subscriber: &[Faults]) -> [usize; 2] {
    let planned = [publisher.len(), subscriber.len()];
    let [to_publish, to_subscribe] = [publisher, subscriber].map(|faults| {
        let proxy = Proxy::start(scene.broker.endpoints()[0]);
        for faults in faults {
            proxy.next(*faults);
        }
        proxy
    });
    let subscriber = client(&to_subscribe, "subscriber").await;
    let mut stream = soon("a subscription", subscriber.subscribe(topic)).await.unwrap();
    let publisher = client(&to_publish, "publisher").await;
    let publish = async {
        for number in 0..load.messages {
            let mut payload = vec![number as u8; load.bytes];
            payload[..4].copy_from_slice(&number.to_be_bytes());
            drop(publisher.enqueue(topic, payload).await.unwrap());
            if number % 8 == 0 {
                tokio::task::yield_now().await;
            }
        }
        soon("an acknowledgement of all", publisher.flush()).await.unwrap();
    };
    tokio::join!(publish, take_all(&mut stream, load), scene.canary_sings());
    soon("a goodbye", publisher.end()).await.unwrap();
    soon("a goodbye", subscriber.end()).await.unwrap();
    [planned[0] - to_publish.planned(), planned[1] - to_subscribe.planned()]
}

#[tokio::test]
async fn slow_networks_carry_everything() {
    let mut scene = Scene::set().await;
    for (topic, fault) in
        [("drip/1", Fault::Drip(1)), ("drip/7", Fault::Drip(7)), ("delay", Fault::Delay(Duration::from_millis(1)))]
    {
        let faults = [Faults::both(fault)];
        survives(&mut scene, SMALL, topic, &faults, &faults).await;
    }
    scene.end().await;
}

/// Each connection of a client is lost `step` bytes later than the one before, until one carries all that is left: in what the
/// clients say first, then in what they hear.
async fn lost_again_and_again(load: Load, end: End, step: usize, furthest: u64) {
    let mut scene = Scene::set().await;
    for (topic, of) in [("up", Faults::up as fn(Fault) -> Faults), ("down", Faults::down)] {
        let faults = |from: u64| (from..furthest).step_by(step).map(|bytes| of(Fault::After(bytes, end))).collect::<Vec<_>>();
        let lost = survives(&mut scene, load, topic, &faults(50), &faults(200)).await;
        assert!(lost.into_iter().max() > Some(8), "{lost:?} connections are not many");
    }
    scene.end().await;
}

#[tokio::test]
async fn a_network_that_is_cut_again_and_again_loses_nothing() {
    lost_again_and_again(SMALL, End::Cut, 97, 4_000).await;
}

#[tokio::test]
async fn a_network_that_resets_again_and_again_loses_nothing() {
    lost_again_and_again(SMALL, End::Reset, 101, 4_000).await;
}

#[tokio::test]
async fn a_network_that_half_closes_again_and_again_loses_nothing() {
    lost_again_and_again(SMALL, End::HalfClose, 103, 4_000).await;
}

/// In the middle of a large frame, of either side.
#[tokio::test]
async fn large_frames_survive_being_lost_halfway() {
    for end in [End::Cut, End::Reset, End::HalfClose] {
        lost_again_and_again(LARGE, end, 70_001, 1_000_000).await;
    }
}

async fn event<T>(events: &mut Events, wanted: impl Fn(ClientEvent) -> Option<T>) -> T {
    loop {
        if let Some(wanted) = wanted(soon("an event", events.next()).await.expect("the client goes on")) {
            return wanted;
        }
    }
}

/// Nobody answers for longer than the session waits: it is reclaimed, once, with what it held counted; the client is told when
/// it comes back, its stream ends, and it works.
#[tokio::test]
async fn who_is_kept_away_too_long_is_reclaimed_once_and_told() {
    let mut scene = Scene::set_with(|config| config.sessions.reclaim_after = Duration::from_millis(100)).await;
    let mut proxy = Proxy::start(scene.broker.endpoints()[0]);
    let direct = Proxy::start(scene.broker.endpoints()[0]);
    let (far, near) = (client(&proxy, "far").await, client(&direct, "near").await);
    let (session, mut events) = (far.session(), far.events());
    let mut stream = far.subscribe("news").await.unwrap();
    let mut follower = scene.broker.bus().follow().1;
    proxy.refuse().await;
    proxy.now(Faults::both(Fault::After(0, End::Reset)));
    eventually(&scene.broker, "it is gone", |board| !board.sessions.get(&session).is_some_and(SessionRow::is_attached)).await;
    near.publish("news", "missed").await.unwrap();
    eventually(&scene.broker, "it is reclaimed", |board| !board.sessions.contains_key(&session)).await;
    scene.canary_sings().await;
    proxy.accept();
    let lost = event(&mut events, |event| match event {
        ClientEvent::SessionLost(lost) => Some(lost),
        _ => None,
    });
    let lost = lost.await;
    assert_eq!((lost.session, lost.code), (session, Code::Gone));
    let told: Vec<_> = follower
        .take(usize::MAX)
        .events
        .into_iter()
        .filter_map(|it| match &it.event {
            Event::SessionDetached { id, .. } if *id == session => Some(None),
            Event::SessionEnded { id, why, .. } if *id == session => Some(Some(why.clone())),
            _ => None,
        })
        .collect();
    assert_eq!(told, [None, Some(SessionEnd::Reclaimed)]);
    let resubscribed = async {
        loop {
            near.publish("news", "new").await.unwrap();
            if let Ok(Some(delivery)) = timeout(Duration::from_millis(5), stream.next()).await {
                return delivery;
            }
        }
    };
    assert_eq!(soon("the stream", resubscribed).await.payload, "new");
    soon("a goodbye", near.end()).await.unwrap();
    soon("a goodbye", far.end()).await.unwrap();
    scene.end().await;
}
