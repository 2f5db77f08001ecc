//! Settling by hand: done, again, poison; and what comes again.

use super::*;
use crate::client::ExplicitSubscription;

async fn explicit(broker: &Broker) -> (Client, Peer, ExplicitSubscription) {
    let (client, mut peer) = broker.connected().await;
    let (stream, ()) = tokio::join!(client.subscribe("t/#"), peer.accept_subscription("t/#", 1, false));
    (client, peer, stream.unwrap().explicit())
}

#[tokio::test]
async fn only_the_holder_settles() {
    let broker = Broker::start().await;
    let (_client, mut peer, mut stream) = explicit(&broker).await;
    peer.deliver(1, 1, false, &["a", "b", "c"]).await;
    let first = soon(stream.next()).await.unwrap();
    let second = soon(stream.next()).await.unwrap();
    let third = soon(stream.next()).await.unwrap();
    peer.say(ServerFrame::Ping(1)).await;
    assert_eq!(peer.hear().await, Said::Pong(1));
    second.ack();
    assert_eq!(peer.hear().await, Said::Ack { handle: 1, number: 2 });
    // Acknowledged with the second: nothing is left to say about it.
    first.poison();
    third.poison();
    assert_eq!(peer.hear().await, Said::Nack { handle: 1, number: 3, what: Nack::Poison });
}

/// What is acknowledged in haste does not wait for company, not even while the clock stands still.
#[tokio::test]
async fn an_acknowledgement_in_haste_is_not_delayed() {
    let broker = Broker::start().await;
    let (_client, mut peer, mut stream) = explicit(&broker).await;
    peer.deliver(1, 1, false, &["a", "b"]).await;
    let (first, second) = (soon(stream.next()).await.unwrap(), soon(stream.next()).await.unwrap());
    tokio::time::pause();
    // One that may wait does not hold it up.
    first.ack();
    settle_down().await;
    assert!(peer.stream.try_read_buf(&mut peer.received).is_err(), "it does not wait");
    second.ack_now();
    settle_down().await;
    peer.stream.try_read_buf(&mut peer.received).expect("it waits");
    tokio::time::resume();
    assert_eq!(peer.hear().await, Said::Ack { handle: 1, number: 2 });
}

/// After `again n`, what was under way is ignored until the broker has gone back, and nothing from n on is acknowledged.
#[tokio::test]
async fn what_is_given_back_comes_again_in_order() {
    let broker = Broker::start().await;
    let (_client, mut peer, mut stream) = explicit(&broker).await;
    peer.deliver(1, 1, false, &["a", "b", "c"]).await;
    let first = soon(stream.next()).await.unwrap();
    let second = soon(stream.next()).await.unwrap();
    let third = soon(stream.next()).await.unwrap();
    second.again();
    assert_eq!(peer.hear().await, Said::Nack { handle: 1, number: 2, what: Nack::Again });
    third.ack();
    first.ack();
    assert_eq!(peer.hear().await, Said::Ack { handle: 1, number: 1 });
    // Sent before the broker heard of it: something new, and what nobody acknowledged in time. Then the return.
    peer.deliver(1, 4, false, &["d"]).await;
    peer.deliver(1, 1, true, &["a", "b", "c", "d"]).await;
    peer.deliver_back(1, 2, &["b", "c", "d"]).await;
    let mut numbers = Vec::new();
    for _ in 0..3 {
        let held = soon(stream.next()).await.unwrap();
        assert!(held.redelivered);
        numbers.push(held.number);
        if held.number == 4 {
            held.ack();
        }
    }
    assert_eq!(numbers, [2, 3, 4]);
    assert_eq!(peer.hear().await, Said::Ack { handle: 1, number: 4 });
}

/// What was given back may have expired: the return starts behind it, and before it nothing is taken for it.
#[tokio::test]
async fn what_is_given_back_need_not_come_again() {
    let broker = Broker::start().await;
    let (_client, mut peer, mut stream) = explicit(&broker).await;
    peer.deliver(1, 1, false, &["a", "b"]).await;
    soon(stream.next()).await.unwrap().again();
    assert_eq!(peer.hear().await, Said::Nack { handle: 1, number: 1, what: Nack::Again });
    peer.deliver(1, 3, false, &["under way"]).await;
    peer.deliver_back(1, 4, &["d"]).await;
    peer.deliver(1, 5, false, &["e"]).await;
    for number in [4, 5] {
        let held = soon(stream.next()).await.unwrap();
        assert_eq!(held.number, number);
        held.ack();
        assert_eq!(peer.hear().await, Said::Ack { handle: 1, number });
    }
}

/// Nobody gave anything back on the new connection: what comes first on it is taken as it comes.
#[tokio::test]
async fn what_was_given_back_before_a_loss_is_not_waited_for_after_it() {
    let broker = Broker::start().await;
    let (_client, mut peer, mut stream) = explicit(&broker).await;
    peer.deliver(1, 1, false, &["a", "b"]).await;
    soon(stream.next()).await.unwrap().again();
    assert_eq!(peer.hear().await, Said::Nack { handle: 1, number: 1, what: Nack::Again });
    drop(peer);
    let mut peer = broker.welcome(resumed(0, &[("t/#", 1)])).await;
    peer.deliver(1, 1, true, &["a", "b"]).await;
    assert_eq!(soon(stream.next()).await.unwrap().number, 1);
    assert_eq!(soon(stream.next()).await.unwrap().number, 2);
}

/// The broker's acknowledgement timeout: what waits here untaken comes again and is not handed out twice.
#[tokio::test]
async fn what_comes_again_replaces_what_was_not_taken() {
    let broker = Broker::start().await;
    let (client, mut peer) = broker.connected().await;
    let (stream, ()) = tokio::join!(client.subscribe("t/#"), peer.accept_subscription("t/#", 1, false));
    let mut stream = stream.unwrap();
    peer.deliver(1, 1, false, &["a", "b", "c"]).await;
    assert_eq!(soon(stream.next()).await.unwrap().number, 1);
    assert_eq!(peer.hear().await, Said::Ack { handle: 1, number: 1 });
    // It does not know of the acknowledgement, and may never: its end of the subscription can have failed with it.
    peer.deliver(1, 1, true, &["a", "b", "c", "d"]).await;
    assert_eq!(peer.hear().await, Said::Ack { handle: 1, number: 1 });
    for number in 2..=4 {
        let delivery = soon(stream.next()).await.unwrap();
        assert_eq!((delivery.number, delivery.redelivered), (number, true));
    }
}
