//! The client against the real broker: what an operator does to it, and what it makes of it.

use std::{future::Future, time::Duration};

use cordboard::{
    Broker, Client, Config, Handle,
    client::{ClientEnd, ClientEvent, Events, PublishError},
    control::{Control, Order, Outcome},
    wire::Code,
};
use tokio::time::timeout;

use crate::fixture::{Raw, broker_with};

/// Waits, but not for ever.
async fn soon<T>(what: impl Future<Output = T>) -> T {
    timeout(Duration::from_secs(10), what).await.expect("it takes too long")
}

async fn broker() -> Handle {
    Broker::start(Config { listen: vec!["127.0.0.1:0".parse().unwrap()], ..Config::default() }).await.unwrap()
}

async fn client(broker: &Handle) -> Client {
    Client::connect(&broker.endpoints()[0].to_string()).await.unwrap()
}

async fn order(broker: &Handle, control: Control) {
    let order = Order { reason: "a test".to_owned(), ..Order::new("test", control) };
    let outcome = soon(broker.order(order)).await;
    assert!(matches!(outcome, Outcome::Done { .. }), "{outcome:?}");
}

async fn event<T>(events: &mut Events, wanted: impl Fn(ClientEvent) -> Option<T>) -> T {
    loop {
        if let Some(wanted) = wanted(soon(events.next()).await.expect("the client is over")) {
            return wanted;
        }
    }
}

/// The client allocates for a batch, as the broker does: publishing ten thousand messages with their acknowledgements, and taking
/// ten thousand, takes at most one allocation for twenty of them. Its thread is its own here; the broker has others.
#[test]
fn the_client_allocates_for_no_message_by_itself() {
    const MESSAGES: u32 = 10_000;
    let there = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let here = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let broker = there.block_on(broker_with(|config| config.queues.max_messages = 4 * MESSAGES as usize));
    let (publisher, subscriber, mut stream) = here.block_on(async {
        let (publisher, subscriber) = (client(&broker).await, client(&broker).await);
        let stream = subscriber.subscribe("t").await.unwrap();
        (publisher, subscriber, stream)
    });
    let mut publish = || {
        here.block_on(async {
            for _ in 0..MESSAGES {
                drop(publisher.enqueue("t", "sixteen bytes it").await.unwrap());
            }
            soon(publisher.flush()).await.unwrap();
        });
    };
    let mut take = || {
        here.block_on(async {
            for _ in 0..MESSAGES {
                assert_eq!(soon(stream.next()).await.unwrap().payload, "sixteen bytes it");
            }
        });
    };
    // The first ones make what the others use again.
    publish();
    take();
    for (what, work) in [("published", &mut publish as &mut dyn FnMut()), ("taken", &mut take)] {
        let allocated = allocation_counter::measure(work).count_total;
        assert!(allocated <= u64::from(MESSAGES) / 20, "{allocated} allocations for {MESSAGES} messages {what}");
    }
    drop((publisher, subscriber));
    there.block_on(broker.shutdown());
}

/// Published in one go by one client, taken by another: all of it, in order, once.
#[tokio::test(flavor = "multi_thread")]
async fn a_stream_is_what_was_published() {
    let broker = broker().await;
    let (publisher, subscriber) = (client(&broker).await, client(&broker).await);
    let mut numbers = subscriber.subscribe("numbers").await.unwrap();
    let publish = tokio::spawn(async move {
        for number in 0..20_000_u32 {
            drop(publisher.enqueue("numbers", number.to_be_bytes()).await.unwrap());
        }
        publisher.end().await.unwrap();
    });
    for number in 0..20_000_u32 {
        assert_eq!(soon(numbers.next()).await.unwrap().payload, number.to_be_bytes()[..]);
    }
    soon(publish).await.unwrap();
    soon(broker.shutdown()).await;
}

/// I1: a process that has kept nothing but its session's id must not take a number again that is still pending, or the broker
/// takes its message for a repeat, acknowledges it, and no one ever gets it.
#[tokio::test]
async fn a_process_that_resumes_a_session_goes_on_behind_what_is_pending() {
    let broker = broker_with(|config| (config.queues.max_messages, config.queues.window_messages) = (2, 2)).await;
    let (mut reader, _) = Raw::register(&broker, "reader").await;
    let handle = reader.subscribe("t").await;
    let (mut crashed, response) = Raw::register(&broker, "writer").await;
    crashed.publish("t", "1").await;
    crashed.publish("t", "2").await;
    crashed.enqueue("t", "held for want of room").await;
    crashed.settle().await;
    drop(crashed);
    let writer = Client::builder(&broker.endpoints()[0].to_string()).session(response.session);
    let writer = soon(writer.connect()).await.unwrap();
    assert!(writer.resumed());
    let published = tokio::spawn(async move { writer.publish("t", "new").await });
    let mut got = Vec::new();
    while got.len() < 4 {
        let message = reader.messages(1).await.remove(0);
        reader.ack(handle, message.number).await;
        got.push(message.text());
    }
    assert_eq!(got, ["1", "2", "held for want of room", "new"]);
    soon(published).await.unwrap().unwrap();
    soon(broker.shutdown()).await;
}

/// I1 and I3 through losses: connections are dropped under a running publisher and subscriber, and every message arrives, in
/// order; those that come twice are marked.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_when_connections_are() {
    const MESSAGES: u32 = 4_000;
    let broker = broker().await;
    let (publisher, subscriber) = (client(&broker).await, client(&broker).await);
    let mut numbers = subscriber.subscribe("numbers").await.unwrap();
    let sessions = [publisher.session(), subscriber.session()];
    let mut returns = [publisher.events(), subscriber.events()];
    let publish = tokio::spawn(async move {
        for number in 0..MESSAGES {
            drop(publisher.enqueue("numbers", number.to_be_bytes()).await.unwrap());
            if number % 16 == 0 {
                tokio::task::yield_now().await;
            }
        }
        publisher.flush().await.unwrap();
        publisher
    });
    let take = tokio::spawn(async move {
        let mut wanted = 0;
        while wanted < MESSAGES {
            let delivery = numbers.next().await.unwrap();
            let number = u32::from_be_bytes(delivery.payload[..].try_into().unwrap());
            assert!(number == wanted || number < wanted && delivery.redelivered, "{number} instead of {wanted}");
            wanted = wanted.max(number + 1);
        }
    });
    for _ in 0..3 {
        for (session, events) in sessions.iter().zip(&mut returns) {
            order(&broker, Control::DropConnection { session: *session }).await;
            let resumed = event(events, |event| match event {
                ClientEvent::Connected { resumed, .. } => Some(resumed),
                _ => None,
            });
            assert!(resumed.await);
        }
    }
    let _publisher = soon(publish).await.unwrap();
    soon(take).await.unwrap();
    soon(broker.shutdown()).await;
}

/// A process that starts again under its session's id gets what it missed.
#[tokio::test]
async fn a_session_is_found_again() {
    let broker = broker().await;
    let address = broker.endpoints()[0].to_string();
    let first = client(&broker).await;
    let session = first.session();
    let _stream = first.subscribe("orders").await.unwrap();
    first.close().await.unwrap();
    let publisher = client(&broker).await;
    publisher.publish("orders", "missed").await.unwrap();

    let second = Client::builder(&address).session(session).connect().await.unwrap();
    assert!(second.resumed() && second.session() == session && second.lost_session().is_none());
    assert_eq!(second.unclaimed(), ["orders".parse().unwrap()]);
    let mut orders = second.subscribe("orders").await.unwrap();
    assert!(orders.existing());
    assert_eq!(soon(orders.next()).await.unwrap().payload, "missed");
    second.end().await.unwrap();

    let third = Client::builder(&address).session(session).connect().await.unwrap();
    assert!(!third.resumed() && third.session() != session);
    assert_eq!(third.lost_session().map(|lost| (lost.session, lost.code)), Some((session, Code::Gone)));
    soon(broker.shutdown()).await;
}

/// Given back: it comes again, first and marked. Set aside: it does not.
#[tokio::test]
async fn messages_are_settled_one_by_one() {
    let broker = broker().await;
    let client = client(&broker).await;
    let mut jobs = client.subscribe("jobs").await.unwrap().explicit();
    for job in ["a", "b", "c"] {
        client.publish("jobs", job).await.unwrap();
    }
    soon(jobs.next()).await.unwrap().ack();
    let given_back = soon(jobs.next()).await.unwrap();
    assert_eq!((&given_back.payload[..], given_back.redelivered), (&b"b"[..], false));
    given_back.again();
    let again = soon(jobs.next()).await.unwrap();
    assert_eq!((&again.payload[..], again.redelivered), (&b"b"[..], true));
    again.poison();
    let last = soon(jobs.next()).await.unwrap();
    assert_eq!(last.payload, "c");
    last.ack();
    client.end().await.unwrap();
    soon(broker.shutdown()).await;
}

#[tokio::test]
async fn a_killed_topic_ends_its_streams_and_no_others() {
    let broker = broker().await;
    let client = client(&broker).await;
    let mut exact = client.subscribe("orders/eu").await.unwrap();
    let mut all = client.subscribe("orders/#").await.unwrap();
    order(&broker, Control::KillTopic { topic: "orders/eu".parse().unwrap() }).await;
    assert!(soon(exact.next()).await.is_none());
    assert_eq!(exact.over().unwrap().code, Code::Gone);
    client.publish("orders/eu", "anew").await.unwrap();
    assert_eq!(soon(all.next()).await.unwrap().payload, "anew");
    soon(broker.shutdown()).await;
}

#[tokio::test]
async fn an_evicted_client_stays_away() {
    let broker = broker().await;
    let client = client(&broker).await;
    order(&broker, Control::EvictSession { session: client.session() }).await;
    assert!(matches!(soon(client.ended()).await, ClientEnd::Evicted { reason } if reason == "a test"));
    assert!(matches!(client.publish("t", "x").await, Err(PublishError::Ended(ClientEnd::Evicted { .. }))));
    soon(broker.shutdown()).await;
}

/// The second of two processes with one session takes it; the first does not fight for it.
#[tokio::test]
async fn a_session_has_one_client() {
    let broker = broker().await;
    let first = client(&broker).await;
    let second = Client::builder(&broker.endpoints()[0].to_string()).session(first.session()).connect().await.unwrap();
    assert!(matches!(soon(first.ended()).await, ClientEnd::Displaced));
    second.publish("t", "x").await.unwrap();
    soon(broker.shutdown()).await;
}

/// Unread, a subscription holds its window and no more; the one beside it flows.
#[tokio::test]
async fn an_unread_stream_stops_itself_alone() {
    let broker = broker().await;
    let client = client(&broker).await;
    let mut unread = client.subscribe("busy/#").await.unwrap();
    let mut read = client.subscribe("busy/1").await.unwrap();
    for _ in 0..3_000 {
        drop(client.enqueue("busy/1", "x").await.unwrap());
        soon(read.next()).await.unwrap();
    }
    client.flush().await.unwrap();
    for _ in 0..3_000 {
        assert_eq!(soon(unread.next()).await.unwrap().payload, "x");
    }
    soon(broker.shutdown()).await;
}
