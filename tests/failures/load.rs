//! Failures under load: a publisher and a subscriber at full speed, while one part after another fails beneath them (I1, I3).

use std::{collections::BTreeSet, time::Duration};

use cordboard::{
    Client,
    client::PublishError,
    faults::{Fault, How},
    wire::Code,
};
use tokio::time::timeout;

use super::{broker_of, plan};
use crate::fixture::{PATIENCE, baseline::Baseline};

const MESSAGES: u32 = 20_000;
/// Unanswered at the same time: what fails with its topic.
const UNDER_WAY: usize = 64;
/// What goes well between two faults of a kind.
const BETWEEN: u32 = 7;

/// What was acknowledged arrives; what arrives a second time is marked; nothing overtakes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_acknowledged_arrives_whatever_fails() {
    let broker = broker_of(|config| {
        config.failures.leaf_restarts = 1_000;
        config.queues.max_attempts = 1_000;
        config.queues.max_messages = MESSAGES as usize * 2;
    })
    .await;
    let baseline = Baseline::of(&broker);
    let address = broker.endpoints()[0].to_string();
    let (publisher, subscriber) = (Client::connect(&address).await.unwrap(), Client::connect(&address).await.unwrap());
    let mut stream = subscriber.subscribe("t").await.unwrap();
    for (place, how, times) in [
        ("Topic.Publish", How::Panic, 5),
        ("Topic.appended", How::Panic, 5),
        ("Topic.Wake", How::Error, 3),
        ("Subscriber.Ready", How::Panic, 5),
        ("Subscriber.taken", How::Panic, 5),
        ("Subscriber.Ack", How::Error, 5),
        ("Subscriber.Resume", How::Panic, 2),
        ("Reader.Decode", How::Panic, 2),
        ("Writer.Write", How::Panic, 2),
    ] {
        for nth in 0..times {
            plan(&broker, Fault::new(place, how.clone()).after(nth + BETWEEN));
        }
    }
    let publish = tokio::spawn(async move {
        let mut acknowledged = BTreeSet::new();
        for first in (0..MESSAGES).step_by(UNDER_WAY) {
            let mut pending = Vec::new();
            for number in (first..MESSAGES).take(UNDER_WAY) {
                pending.push((number, publisher.enqueue("t", number.to_be_bytes()).await.unwrap()));
            }
            for (number, receipt) in pending {
                match receipt.await {
                    Ok(()) => drop(acknowledged.insert(number)),
                    // Failed with its topic: it may or may not arrive.
                    Err(PublishError::Refused { code: Code::Unavailable, .. }) => {}
                    Err(error) => panic!("{number}: {error}"),
                }
            }
        }
        // The last one closes the stream; a topic that fails with it is asked again.
        while publisher.publish("t", MESSAGES.to_be_bytes()).await.is_err() {}
        // That some have failed is known by now.
        let _ = publisher.end().await;
        acknowledged
    });
    let take = async {
        let (mut arrived, mut next) = (BTreeSet::new(), 0);
        while next <= MESSAGES {
            let delivery = stream.next().await.expect("the stream goes on");
            let number = u32::from_be_bytes(delivery.payload[..].try_into().unwrap());
            let is_new = arrived.insert(number);
            assert!(number >= next || delivery.redelivered && !is_new, "{number} where {next} was expected");
            next = next.max(number + 1);
        }
        arrived
    };
    let arrived = timeout(PATIENCE, take).await.expect("everything arrives");
    let acknowledged = timeout(PATIENCE, publish).await.expect("everything is settled").unwrap();
    let missing: Vec<_> = acknowledged.difference(&arrived).collect();
    assert!(missing.is_empty(), "{} acknowledged and missing, from {:?} on", missing.len(), missing.first());
    assert!(acknowledged.len() as u32 > MESSAGES / 2, "{} acknowledged", acknowledged.len());
    assert_eq!((broker.counters().dropped, broker.bus().board().broker.restarts), (0, 0));
    drop((stream, subscriber));
    timeout(PATIENCE + Duration::from_secs(1), baseline.returns(&broker)).await.unwrap();
    broker.shutdown().await;
}
