//! A look into a queue or a backlog: a bounded copy that changes nothing, and is on record without what it showed.

use cordboard::{
    Handle,
    control::{Control, Outcome},
    name::SubscriptionId,
    peek::{MAX_MESSAGES, PAYLOAD_BYTES, Peek, Place},
    wire::{ClientFrame, DeliverNack, Headers, Nack, Publish, headers_from},
};

use crate::fixture::{Raw, broker, broker_with, eventually, order};

async fn look(broker: &Handle, control: Control) -> Peek {
    match order(broker, control).await {
        Outcome::Seen { peek } => *peek,
        other => panic!("nothing seen but {other:?}"),
    }
}

/// In flight, waiting and poison are shown as they are, and delivered as if nobody had looked.
#[tokio::test]
async fn a_look_shows_what_a_queue_holds_and_changes_nothing() {
    let broker = broker_with(|config| {
        config.queues.window_messages = 2;
        config.queues.max_attempts = 1;
    })
    .await;
    let (mut sub, response) = Raw::register(&broker, "sub").await;
    let handle = sub.subscribe("t").await;
    let (mut publisher, _) = Raw::register(&broker, "pub").await;
    let big = [7; PAYLOAD_BYTES + 1];
    let headers = headers_from([("trace", "abc")]).unwrap();
    let frame = Publish { sequence: 1, topic: b"t", headers: Headers::from_bytes(&headers).unwrap(), payload: &big };
    publisher.send(&ClientFrame::Publish(frame)).await;
    publisher.sequence = 1;
    publisher.acked(1).await;
    let first = sub.messages(1).await[0].number;
    sub.send(&ClientFrame::DeliverNack(DeliverNack { handle, number: first, what: Nack::Poison })).await;
    eventually(&broker, "it is poison", |board| board.broker.depth.poison == 1).await;
    for n in 0..4_u8 {
        publisher.publish("t", [b'a' + n]).await;
    }
    assert_eq!(sub.messages(2).await[1].text(), "b");
    let subscription = || SubscriptionId { session: response.session, filter: "t".parse().unwrap() };
    let delivered = broker.counters().delivered;
    let peek = look(&broker, Control::PeekQueue { subscription: subscription(), most: 3 }).await;
    assert_eq!((peek.depth.in_flight, peek.depth.waiting, peek.depth.poison), (2, 2, 1));
    let seen: Vec<_> = peek.messages.iter().map(|message| (message.place, message.payload[0])).collect();
    let all = [(Place::InFlight, b'a'), (Place::InFlight, b'b'), (Place::Waiting, b'c'), (Place::Poison, 7)];
    assert_eq!(seen, all, "the first three of the queue, and the poison");
    assert_eq!(peek.messages[0].number, Some(first + 1));
    let poison = &peek.messages[3];
    assert_eq!((poison.payload.len(), poison.payload_bytes), (PAYLOAD_BYTES, big.len() as u64));
    assert_eq!(poison.headers, [("trace".to_owned(), "abc".to_owned())]);
    // A read-only gate shows; it would change nothing.
    broker.set_read_only(true);
    assert_eq!(look(&broker, Control::PeekQueue { subscription: subscription(), most: 3 }).await, peek);
    assert_eq!(broker.counters().delivered, delivered);
    sub.ack(handle, first + 2).await;
    let rest = sub.messages(2).await;
    assert_eq!((rest[0].text(), rest[1].text(), rest[0].redelivered), ("c".into(), "d".into(), false));
    broker.shutdown().await;
}

/// Attempts and the mark of what came back are shown; a thousand messages are a hundred.
#[tokio::test]
async fn a_look_is_bounded_and_tells_what_came_back() {
    let broker = broker().await;
    let (mut sub, response) = Raw::register(&broker, "sub").await;
    sub.subscribe("t").await;
    let (mut publisher, _) = Raw::register(&broker, "pub").await;
    for n in 0..250_u32 {
        publisher.enqueue("t", n.to_be_bytes()).await;
    }
    publisher.acked(250).await;
    sub.messages(10).await;
    sub.reset();
    eventually(&broker, "it is parked", |board| board.broker.dead_letters == 250).await;
    let subscription = SubscriptionId { session: response.session, filter: "t".parse().unwrap() };
    let peek = look(&broker, Control::PeekQueue { subscription, most: u32::MAX }).await;
    assert_eq!((peek.depth.waiting, peek.messages.len()), (250, MAX_MESSAGES as usize));
    assert_eq!((peek.messages[0].attempts, peek.messages[0].redelivered), (1, true));
    assert!(peek.messages.iter().map(|message| message.number.unwrap()).eq(1..=100));
    broker.shutdown().await;
}

#[tokio::test]
async fn a_backlog_is_looked_into_and_still_goes_to_its_first_subscriber() {
    let broker = broker().await;
    let (mut raw, _) = Raw::register(&broker, "c").await;
    for text in ["one", "two"] {
        raw.publish("t", text).await;
    }
    let topic = || "t".parse().unwrap();
    let peek = look(&broker, Control::PeekBacklog { topic: topic(), most: 1 }).await;
    assert_eq!((peek.depth.waiting, peek.messages.len(), peek.messages[0].payload.as_slice()), (2, 1, b"one".as_slice()));
    assert_eq!((peek.messages[0].place, peek.messages[0].number), (Place::Backlog, None));
    raw.subscribe("t").await;
    assert_eq!(raw.messages(2).await[1].text(), "two");
    assert!(look(&broker, Control::PeekBacklog { topic: topic(), most: 1 }).await.messages.is_empty());
    let nowhere = Control::PeekBacklog { topic: "nowhere".parse().unwrap(), most: 1 };
    assert_eq!(order(&broker, nowhere).await, Outcome::AlreadyGone);
    broker.shutdown().await;
}

/// Who looked, when, at what: on record. What was seen: not. Without a record nothing is shown.
#[tokio::test]
async fn a_look_is_on_record_without_what_it_showed() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("audit.jsonl");
    let broker = broker_with(|config| config.audit.file = Some(file.clone())).await;
    let (mut raw, _) = Raw::register(&broker, "c").await;
    raw.publish("t", "between you and me").await;
    let control = || Control::PeekBacklog { topic: "t".parse().unwrap(), most: 1 };
    assert_eq!(look(&broker, control()).await.messages.len(), 1);
    let bytes = format!("{:?}", b"between".as_slice());
    let records = std::fs::read_to_string(&file).unwrap();
    let events = format!("{:?}", broker.bus().follow_from_start().take(usize::MAX).events);
    assert_eq!(records.lines().filter(|line| line.contains("peek_backlog")).count(), 2, "the intent, and how it ended");
    for text in [records, events] {
        assert!(!text.contains("between") && !text.contains(bytes.trim_end_matches(']')), "{text}");
    }
    std::fs::remove_file(&file).unwrap();
    std::fs::create_dir(&file).unwrap();
    let outcome = order(&broker, control()).await;
    assert!(matches!(&outcome, Outcome::Refused { why } if why.contains("audit")), "{outcome}");
    broker.shutdown().await;
}
