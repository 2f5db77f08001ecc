//! Subscribing: streams, automatic acknowledgements, windows that stand still.

use super::*;
use crate::client::{SubscribeError, SubscribeOptions, Subscription};

/// A client with one subscription, under handle 1.
async fn subscribed(broker: &Broker, filter: &str) -> (Client, Peer, Subscription) {
    let (client, mut peer) = broker.connected().await;
    let (stream, ()) = tokio::join!(client.subscribe(filter), peer.accept_subscription(filter, 1, false));
    (client, peer, stream.unwrap())
}

#[tokio::test]
async fn a_message_is_acknowledged_when_it_is_taken_and_not_before() {
    let broker = Broker::start().await;
    let (client, mut peer, mut stream) = subscribed(&broker, "t/#").await;
    peer.deliver(1, 1, false, &["a", "b"]).await;
    // A ping's answer shows that the delivery has been read; no acknowledgement came before it.
    peer.say(ServerFrame::Ping(7)).await;
    assert_eq!(peer.hear().await, Said::Pong(7));
    let first = soon(stream.next()).await.unwrap();
    assert_eq!((first.topic.as_str(), first.number, &first.payload[..], first.redelivered), ("t/1", 1, &b"a"[..], false));
    assert_eq!(peer.hear().await, Said::Ack { handle: 1, number: 1 });
    assert_eq!(soon(stream.next()).await.unwrap().number, 2);
    assert_eq!(peer.hear().await, Said::Ack { handle: 1, number: 2 });
    drop(client);
}

/// Acknowledgements of messages taken together travel together.
#[tokio::test]
async fn acknowledgements_are_gathered() {
    let broker = Broker::start().await;
    let (_client, mut peer, mut stream) = subscribed(&broker, "t/#").await;
    peer.deliver(1, 1, false, &["a"; 8]).await;
    for number in 1..=8 {
        assert_eq!(soon(stream.next()).await.unwrap().number, number);
    }
    let mut acknowledged = Vec::new();
    while acknowledged.last() != Some(&8) {
        match peer.hear().await {
            Said::Ack { handle: 1, number } => acknowledged.push(number),
            other => panic!("{other:?}"),
        }
    }
    assert!(acknowledged.len() <= 4, "{acknowledged:?}");
}

/// One stream that nobody reads stops neither another stream nor a publish.
#[tokio::test]
async fn an_unread_stream_blocks_nobody() {
    let broker = Broker::start().await;
    let (client, mut peer, _unread) = subscribed(&broker, "t/#").await;
    let (read, ()) = tokio::join!(client.subscribe("t/1"), peer.accept_subscription("t/1", 2, false));
    let mut read = read.unwrap();
    peer.deliver(1, 1, false, &["x"; 8]).await;
    peer.deliver(2, 1, false, &["y"]).await;
    assert_eq!(soon(read.next()).await.unwrap().payload, "y");
    assert_eq!(peer.hear().await, Said::Ack { handle: 2, number: 1 });
    drop(client.enqueue("t", "z").await.unwrap());
    assert_eq!(peer.hear().await, Said::publish(1, "t", "z"));
}

/// A stream that was dropped has taken nothing with it.
#[tokio::test]
async fn a_dropped_stream_can_be_taken_up_where_it_was_left() {
    let broker = Broker::start().await;
    let (client, mut peer, mut stream) = subscribed(&broker, "t/#").await;
    peer.deliver(1, 1, false, &["a", "b"]).await;
    assert_eq!(soon(stream.next()).await.unwrap().number, 1);
    assert_eq!(peer.hear().await, Said::Ack { handle: 1, number: 1 });
    assert!(matches!(client.subscribe("t/#").await, Err(SubscribeError::AlreadySubscribed(_))));
    drop(stream);
    assert_eq!(client.unclaimed(), ["t/#".parse().unwrap()]);
    let (stream, ()) = tokio::join!(client.subscribe("t/#"), peer.accept_subscription("t/#", 1, true));
    let mut stream = stream.unwrap();
    assert!(stream.existing());
    assert_eq!(soon(stream.next()).await.unwrap().number, 2);
}

#[tokio::test]
async fn a_refused_subscription_says_why() {
    let broker = Broker::start().await;
    let (client, mut peer) = broker.connected().await;
    assert!(matches!(client.subscribe("a/#/b").await, Err(SubscribeError::Filter(_))));
    let options = SubscribeOptions { ack_timeout: Some(Duration::from_secs(5)) };
    let refuse = async {
        let said = peer.hear().await;
        assert_eq!(said, Said::Subscribe { request: 1, filter: "secret".to_owned(), ack_timeout_ms: Some(5000) });
        peer.say(ServerFrame::Error(ErrorFrame::new(Code::Forbidden, "no\u{1b}").to_request(1))).await;
    };
    let (answer, ()) = tokio::join!(client.subscribe_with("secret", options), refuse);
    assert_eq!(answer.unwrap_err().to_string(), r"the broker refused the subscription to secret: no\u{1b} (403)");
}

#[tokio::test]
async fn unsubscribing_ends_the_stream_at_the_broker() {
    let broker = Broker::start().await;
    let (_client, mut peer, stream) = subscribed(&broker, "t/#").await;
    let agree = async {
        assert_eq!(peer.hear().await, Said::Unsubscribe { request: 2, filter: "t/#".to_owned() });
        let ack = wire::UnsubscribeAck { request: 2, filter: "t/#".parse().unwrap(), existed: true };
        peer.say(ServerFrame::UnsubscribeAck(ack)).await;
    };
    let (existed, ()) = tokio::join!(stream.unsubscribe(), agree);
    assert!(existed.unwrap());
}

/// Killed by an operator: the stream ends after what it has, says why, and is not made again.
#[tokio::test]
async fn a_subscription_that_the_broker_ends_is_over() {
    let broker = Broker::start().await;
    let (client, mut peer, mut stream) = subscribed(&broker, "t/1").await;
    let mut events = client.events();
    peer.deliver(1, 1, false, &["last"]).await;
    let (filter, handle) = ("t/1".parse().unwrap(), SubscriptionHandle(1));
    let ended = wire::SubscriptionEnded { filter, handle, code: Code::Gone, reason: "killed".to_owned(), lost: 3 };
    peer.say(ServerFrame::SubscriptionEnded(ended)).await;
    let told = event(&mut events, |event| match event {
        ClientEvent::SubscriptionEnded { ended, .. } => Some(ended),
        _ => None,
    });
    assert_eq!(told.await.lost, 3);
    assert_eq!(soon(stream.next()).await.unwrap().payload, "last");
    assert!(soon(stream.next()).await.is_none());
    assert_eq!(stream.over().unwrap().code, Code::Gone);
}

/// Failed at the broker: the library subscribes again and the stream goes on; old numbers settle nothing new.
#[tokio::test]
async fn a_subscription_that_failed_is_made_again() {
    let broker = Broker::start().await;
    let (client, mut peer, stream) = subscribed(&broker, "t/#").await;
    let mut stream = stream.explicit();
    let mut events = client.events();
    peer.deliver(1, 5, false, &["old"]).await;
    let old = soon(stream.next()).await.unwrap();
    let told = wire::Resubscribe { filter: "t/#".parse().unwrap(), handle: SubscriptionHandle(1), lost: 2 };
    peer.say(ServerFrame::Resubscribe(told)).await;
    peer.accept_subscription("t/#", 2, false).await;
    let lost = event(&mut events, |event| match event {
        ClientEvent::Resubscribed { lost, .. } => Some(lost),
        _ => None,
    });
    assert_eq!(lost.await, Some(2));
    old.ack();
    peer.deliver(2, 1, false, &["new"]).await;
    let new = soon(stream.next()).await.unwrap();
    assert_eq!((new.number, &new.payload[..]), (1, &b"new"[..]));
    new.ack();
    assert_eq!(peer.hear().await, Said::Ack { handle: 2, number: 1 });
}
