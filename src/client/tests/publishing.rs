//! Publishing: acknowledgements, refusals, credit.

use super::*;
use crate::client::PublishError;

#[tokio::test]
async fn a_publish_returns_when_it_is_acknowledged() {
    let broker = Broker::start().await;
    let (client, mut peer) = broker.connected().await;
    let publish = tokio::spawn({
        let client = client.clone();
        async move { client.publish("orders/eu", "a").await }
    });
    assert_eq!(peer.hear().await, Said::publish(1, "orders/eu", "a"));
    assert!(!publish.is_finished());
    peer.say(ServerFrame::PublishAck(1)).await;
    soon(publish).await.unwrap().unwrap();
}

/// The failure comes before the acknowledgement that settles it, and belongs to its message alone.
#[tokio::test]
async fn a_refusal_is_told_to_the_one_who_published_it() {
    let broker = Broker::start().await;
    let (client, mut peer) = broker.connected().await;
    let first = client.enqueue("a", "1").await.unwrap();
    let second = client.enqueue("b", "2").await.unwrap();
    let third = client.enqueue("c", "3").await.unwrap();
    let refusal = ErrorFrame::new(Code::Forbidden, "no right to b").to_publishes(2, 1);
    peer.say_all([ServerFrame::Error(refusal), ServerFrame::PublishAck(3)]).await;
    soon(first).await.unwrap();
    let error = soon(second).await.unwrap_err();
    assert!(matches!(&error, PublishError::Refused { code: Code::Forbidden, .. }), "{error}");
    soon(third).await.unwrap();
    let flush = soon(client.flush()).await.unwrap_err();
    assert_eq!(
        flush.to_string(),
        "1 messages were not accepted, the first because the broker refused the message to b: no right to b (403)"
    );
    soon(client.flush()).await.unwrap();
}

/// Credit bounds what a client keeps: four messages here.
#[tokio::test]
async fn publishing_waits_for_credit_and_for_nothing_else() {
    let broker = Broker::start().await;
    let (client, mut peer) = broker.connected().await;
    for _ in 0..4 {
        drop(client.enqueue("t", "x").await.unwrap());
    }
    let fifth = tokio::spawn({
        let client = client.clone();
        async move { client.enqueue("t", "x").await.map(drop) }
    });
    for sequence in 1..=4 {
        assert_eq!(peer.hear().await, Said::publish(sequence, "t", "x"));
    }
    settle_down().await;
    assert!(!fifth.is_finished());
    peer.say(ServerFrame::PublishAck(1)).await;
    soon(fifth).await.unwrap().unwrap();
    assert_eq!(peer.hear().await, Said::publish(5, "t", "x"));
}

/// One message settled makes room for one; ten who wait are all served in the end.
#[tokio::test]
async fn everyone_who_waits_for_credit_gets_it() {
    let broker = Broker::start().await;
    let (client, mut peer) = broker.connected().await;
    let waiting: Vec<_> = (0..10)
        .map(|_| {
            let client = client.clone();
            tokio::spawn(async move { client.publish("t", "x").await })
        })
        .collect();
    for sequence in 1..=10 {
        assert_eq!(peer.hear().await, Said::publish(sequence, "t", "x"));
        peer.say(ServerFrame::PublishAck(sequence)).await;
    }
    for publish in waiting {
        soon(publish).await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn what_the_broker_would_refuse_is_not_sent() {
    let broker = Broker::start().await;
    let (client, mut peer) = broker.connected().await;
    assert!(matches!(client.publish("a/+", "x").await, Err(PublishError::Topic(_))));
    assert!(matches!(client.publish("a", vec![0; 4096]).await, Err(PublishError::TooLarge { max: 4096, .. })));
    let odd = client.topic("a").unwrap().header("ttl-ms", "soon");
    assert!(matches!(odd, Err(PublishError::Header(_))));
    // Neither has taken a sequence.
    drop(client.enqueue("a", "x").await.unwrap());
    assert_eq!(peer.hear().await, Said::publish(1, "a", "x"));
}

#[tokio::test]
async fn a_publisher_sends_its_headers() {
    let broker = Broker::start().await;
    let (client, mut peer) = broker.connected().await;
    let prices = client.topic("prices").unwrap().ttl(Duration::from_secs(5)).unwrap().header("a", "1").unwrap();
    let prices = prices.header("a", "2").unwrap();
    drop(prices.enqueue("81").await.unwrap());
    let (raw, _) = loop {
        if let Some(frame) = wire::split(&peer.received, wire::MAX_FRAME).unwrap() {
            break frame;
        }
        soon(peer.stream.read_buf(&mut peer.received)).await.unwrap();
    };
    let Ok(ClientFrame::Publish(publish)) = ClientFrame::decode(raw) else { panic!("no publish") };
    assert_eq!(publish.headers.iter().collect::<Vec<_>>(), [("ttl-ms", "5000"), ("a", "2")]);
    assert_eq!(publish.payload, b"81");
}

/// Closing waits for what is under way; ending says so to the broker.
#[tokio::test]
async fn the_goodbye_comes_after_the_last_acknowledgement() {
    let broker = Broker::start().await;
    let (client, mut peer) = broker.connected().await;
    drop(client.enqueue("t", "x").await.unwrap());
    let end = tokio::spawn(client.end());
    assert_eq!(peer.hear().await, Said::publish(1, "t", "x"));
    settle_down().await;
    assert!(!end.is_finished());
    peer.say(ServerFrame::PublishAck(1)).await;
    assert_eq!(peer.hear().await, Said::Disconnect { end: true });
    assert_eq!(peer.hear_or_end().await, None);
    drop(peer);
    soon(end).await.unwrap().unwrap();
}

/// Whoever lets go of a client has not thereby given up its session.
#[tokio::test]
async fn dropping_the_client_sends_what_there_is_and_keeps_the_session() {
    let broker = Broker::start().await;
    let (client, mut peer) = broker.connected().await;
    drop(client.enqueue("t", "x").await.unwrap());
    drop(client);
    assert_eq!(peer.hear().await, Said::publish(1, "t", "x"));
    assert_eq!(peer.hear().await, Said::Disconnect { end: false });
}
