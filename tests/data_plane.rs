//! What the data plane promises: batches, not messages, travel between actors; a slow client costs nobody but itself.

use cordboard::{
    Handle,
    wire::{AckMode, ClientFrame, RegistrationRequest},
};

use crate::fixture::{Raw, Reply, broker, broker_with, eventually, publish};

/// At most a tenth of an actor message for each published message, acknowledgements on both sides included.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_pipelined_publishes_cost_at_most_a_hundred_casts() {
    let broker = broker().await;
    let (mut sub, _) = Raw::register(&broker, "sub").await;
    let handle = sub.subscribe("t").await;
    let (mut publisher, _) = Raw::register(&broker, "pub").await;
    publisher.publish("t", "warm").await;
    let first = sub.messages(1).await[0].number;
    let before = broker.counters().casts;
    let mut bytes = Vec::new();
    for n in 0..1_000_u64 {
        publish(n + 2, "t", &n.to_be_bytes()).encode(&mut bytes);
    }
    publisher.send_bytes(&bytes).await;
    publisher.acked(1_001).await;
    let got = sub.messages(1_000).await;
    sub.ack(handle, got[999].number).await;
    sub.settle().await;
    let casts = broker.counters().casts - before;
    assert_eq!(got.iter().map(|message| message.number).collect::<Vec<_>>(), (first + 1..=first + 1_000).collect::<Vec<_>>());
    assert!(casts <= 100, "{casts} casts");
    broker.shutdown().await;
}

/// What is allocated is allocated for a batch: reading, grouping, queueing and writing ten thousand messages, with
/// acknowledgements to the publisher, takes at most one allocation for twenty of them.
#[test]
fn no_message_is_allocated_for_by_itself() {
    const MESSAGES: u32 = 10_000;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (broker, mut sub, mut publisher) = runtime.block_on(async {
        let broker = broker_with(|config| config.queues.max_messages = 2 * MESSAGES as usize).await;
        let request = RegistrationRequest { ack: AckMode::None, ..RegistrationRequest::new("sub") };
        let (mut sub, _) = Raw::register_with(&broker, request).await;
        sub.subscribe("t").await;
        let (publisher, _) = Raw::register(&broker, "pub").await;
        (broker, sub, publisher)
    });
    let messages = |first: u32| {
        let mut bytes = Vec::new();
        (first..first + MESSAGES).for_each(|n| publish(u64::from(n), "t", b"sixteen bytes it").encode(&mut bytes));
        bytes
    };
    let mut flow = |bytes: &[u8]| {
        runtime.block_on(async {
            tokio::join!(publisher.send_bytes(bytes), sub.skim(MESSAGES));
        });
    };
    // The first ones make what the others use again.
    flow(&messages(1));
    let bytes = messages(MESSAGES + 1);
    let allocated = allocation_counter::measure(|| flow(&bytes)).count_total;
    assert!(allocated <= u64::from(MESSAGES) / 20, "{allocated} allocations for {MESSAGES} messages");
    runtime.block_on(broker.shutdown());
}

/// Sixteen topics interleaved on one connection: each keeps its order, and a chunk is one cast a topic, not one a message.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn interleaved_topics_are_grouped_and_keep_their_order() {
    let broker = broker().await;
    let (mut sub, _) = Raw::register(&broker, "sub").await;
    let handle = sub.subscribe("t/+").await;
    let (mut publisher, _) = Raw::register(&broker, "pub").await;
    let topics: Vec<_> = (0..16).map(|topic| format!("t/{topic}")).collect();
    for topic in &topics {
        publisher.publish(topic, "0").await;
    }
    sub.messages(16).await;
    let before = broker.counters().casts;
    let mut bytes = Vec::new();
    for n in 0..1_600_u64 {
        publish(n + 17, &topics[n as usize % 16], n.to_string().as_bytes()).encode(&mut bytes);
    }
    publisher.send_bytes(&bytes).await;
    publisher.acked(1_616).await;
    let mut got = Vec::new();
    while got.len() < 1_600 {
        got.extend(sub.messages(1).await);
        sub.ack(handle, got[got.len() - 1].number).await;
    }
    for topic in &topics {
        let of_topic: Vec<u64> =
            got.iter().filter(|message| message.topic == *topic).map(|message| message.text().parse().unwrap()).collect();
        assert_eq!(of_topic.len(), 100);
        assert!(of_topic.is_sorted(), "{topic}: {of_topic:?}");
    }
    let casts = broker.counters().casts - before;
    assert!(casts <= 160, "{casts} casts");
    broker.shutdown().await;
}

/// One message to each of many topics, which come with one read, leave together, too: each topic costs a cast, and its subscriber
/// and session are not woken for each of them. On one worker, as the program runs on two processors.
#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn messages_to_many_topics_are_delivered_together() {
    let broker = broker().await;
    let (mut sub, mut publisher) = (listens_to_all(&broker).await, Raw::register(&broker, "pub").await.0);
    // The first ones make the topics.
    publisher.send_bytes(&to_many_topics(1)).await;
    sub.skim(TOPICS).await;
    publisher.acked(u64::from(TOPICS)).await;
    let before = broker.counters().casts;
    publisher.send_bytes(&to_many_topics(TOPICS + 1)).await;
    sub.skim(TOPICS).await;
    let casts = broker.counters().casts - before;
    assert!(casts <= u64::from(TOPICS) * 6 / 5, "{casts} casts for {TOPICS} messages");
    broker.shutdown().await;
}

/// A message that is alone in its batch takes two buffers, the batch, and its way to the topic.
#[test]
fn little_is_allocated_for_a_message_alone() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (broker, mut sub, mut publisher) = runtime.block_on(async {
        let broker = broker().await;
        let (sub, publisher) = (listens_to_all(&broker).await, Raw::register(&broker, "pub").await.0);
        (broker, sub, publisher)
    });
    let mut flow = |bytes: &[u8]| {
        runtime.block_on(async {
            tokio::join!(publisher.send_bytes(bytes), sub.skim(TOPICS));
        });
    };
    flow(&to_many_topics(1));
    // The least of three: in one of them the managers may look at all topics, which is not for its messages.
    let measure = |bytes: Vec<u8>| allocation_counter::measure(|| flow(&bytes)).count_total;
    let allocated = (1..4).map(|flow| to_many_topics(flow * TOPICS + 1)).map(measure).min().unwrap();
    assert!(allocated <= u64::from(TOPICS) * 9 / 2, "{allocated} allocations for {TOPICS} messages");
    runtime.block_on(broker.shutdown());
}

const TOPICS: u32 = 500;

/// One message to each of them, from this sequence on.
fn to_many_topics(first: u32) -> Vec<u8> {
    let mut bytes = Vec::new();
    (first..first + TOPICS).for_each(|n| publish(u64::from(n), &format!("t/{}", n % TOPICS), b"x").encode(&mut bytes));
    bytes
}

async fn listens_to_all(broker: &Handle) -> Raw {
    let request = RegistrationRequest { ack: AckMode::None, ..RegistrationRequest::new("sub") };
    let (mut sub, _) = Raw::register_with(broker, request).await;
    sub.subscribe("t/+").await;
    sub
}

/// With `ack: none`, what was written is settled: nothing is left when the client comes back, and the window never closes.
#[tokio::test]
async fn without_acknowledgements_writing_settles() {
    let broker = broker_with(|config| config.queues.window_messages = 8).await;
    let mut request = RegistrationRequest::new("sub");
    request.ack = AckMode::None;
    let (mut sub, response) = Raw::register_with(&broker, request).await;
    sub.subscribe("t").await;
    let (mut publisher, _) = Raw::register(&broker, "pub").await;
    for n in 0..100_u8 {
        publisher.enqueue("t", [n]).await;
    }
    let got = sub.messages(100).await;
    assert!(got.iter().enumerate().all(|(n, message)| message.payload == [n as u8]));
    eventually(&broker, "nothing is held", |board| board.broker.depth.queued() == 0).await;
    sub.reset();
    eventually(&broker, "the session is detached", |board| board.broker.detached == 1).await;
    let (mut sub, _) = Raw::resume(&broker, "sub", response.session).await;
    publisher.publish("t", "new").await;
    assert_eq!(sub.messages(1).await[0].text(), "new");
    broker.shutdown().await;
}

/// A payload as large as a frame may be goes through, next to small ones.
#[tokio::test]
async fn the_largest_frame_goes_through() {
    let broker = broker().await;
    let (mut client, _) = Raw::register(&broker, "big").await;
    let handle = client.subscribe("t").await;
    let frame = 1 << 20;
    let payload = vec![7; frame - 2 - 8 - 2 - 1];
    for _ in 0..3 {
        client.enqueue("t", "small").await;
        client.enqueue("t", &payload).await;
    }
    let mut sizes = Vec::new();
    while sizes.len() < 6 {
        match client.next().await {
            Reply::Deliver(messages) => {
                sizes.extend(messages.iter().map(|message| message.payload.len()));
                client.ack(handle, messages.last().unwrap().number).await;
            }
            Reply::Acked(_) => {}
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(sizes, [5, payload.len(), 5, payload.len(), 5, payload.len()]);
    broker.shutdown().await;
}

/// Splitting a conversation at any byte changes nothing.
#[tokio::test]
async fn a_conversation_cut_into_single_bytes_is_the_same() {
    let broker = broker().await;
    let mut raw = Raw::connect(broker.endpoints()[0]).await;
    let mut bytes = Vec::new();
    ClientFrame::RegistrationRequest(RegistrationRequest::new("drip")).encode(&mut bytes);
    let registration = bytes.len();
    for byte in &bytes {
        raw.send_bytes(&[*byte]).await;
    }
    raw.response().await;
    raw.subscribe("t").await;
    bytes.clear();
    for sequence in 1..=3 {
        publish(sequence, "t", b"x").encode(&mut bytes);
    }
    for byte in &bytes {
        raw.send_bytes(&[*byte]).await;
    }
    assert_eq!(raw.messages(3).await.len(), 3);
    assert!(registration > 6);
    broker.shutdown().await;
}

/// A publisher that subscribes to itself, and two that feed each other, never freeze.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_that_feed_themselves_and_each_other_do_not_freeze() {
    let broker = broker_with(|config| config.queues.max_messages = 2_000).await;
    let mut clients = Vec::new();
    for name in ["a", "b"] {
        let broker = broker.clone();
        clients.push(tokio::spawn(async move {
            let (mut client, _) = Raw::register(&broker, name).await;
            let handle = client.subscribe("ring/#").await;
            let (mut settled, mut bytes) = (0, Vec::new());
            for _ in 0..20 {
                bytes.clear();
                for _ in 0..500 {
                    client.sequence += 1;
                    publish(client.sequence, &format!("ring/{name}"), b"round and round").encode(&mut bytes);
                }
                client.send_bytes(&bytes).await;
                while settled < client.sequence {
                    match client.next().await {
                        Reply::Acked(sequence) => settled = sequence,
                        Reply::Deliver(messages) => client.ack(handle, messages.last().unwrap().number).await,
                        other => panic!("{other:?}"),
                    }
                }
            }
        }));
    }
    for client in clients {
        client.await.unwrap();
    }
    assert_eq!(broker.counters().published, 20_000);
    broker.shutdown().await;
}
