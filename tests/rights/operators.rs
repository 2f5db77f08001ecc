//! Operators who are users, and what the gate lets them order.

use std::time::Duration;

use cordboard::{
    Handle,
    control::{Control, Order, Outcome},
    events::Event,
    name::{SubscriptionId, TopicName},
};

use super::users::{Bench, filters, lost, refusal};
use crate::fixture::eventually;

async fn order_by(broker: &Handle, operator: &str, control: Control) -> Outcome {
    broker.order(Order::new(operator, control)).await
}

fn kill(topic: &str) -> Control {
    Control::KillTopic { topic: topic.parse().unwrap() }
}

#[tokio::test]
async fn a_user_orders_what_the_right_to_operate_covers() {
    let bench = Bench::with(&["ana", "bob"], |config| config.users[0].allow.operate = filters(&["orders/#"])).await;
    let broker = &bench.broker;
    let (mut raw, response) = bench.register("bob").await;
    raw.subscribe("orders/+").await;
    raw.subscribe("#").await;
    let of = |filter: &str| SubscriptionId { session: response.session, filter: filter.parse().unwrap() };
    let (mut publisher, _) = bench.register("bob").await;
    publisher.publish("orders/eu", "1").await;
    publisher.publish("news", "1").await;
    for control in [kill("news"), Control::Purge { subscription: of("#") }, Control::EvictSession { session: response.session }] {
        let why = refusal(order_by(broker, "ana", control.clone()).await);
        assert!(why.starts_with("ana has no right to operate on "), "{why}");
        // A user without any such right, and the same order by who is none.
        refusal(order_by(broker, "bob", control).await);
    }
    // All of it is in flight by now, so there may be nothing to purge: the gate let it pass.
    let purged = order_by(broker, "ana", Control::Purge { subscription: of("orders/+") }).await;
    assert!(matches!(purged, Outcome::Done { .. } | Outcome::AlreadyGone), "{purged:?}");
    assert!(matches!(order_by(broker, "ana", kill("orders/eu")).await, Outcome::Done { .. }));
    assert!(matches!(order_by(broker, "root (uid 0)", kill("news")).await, Outcome::Done { .. }));
    // A refusal is as much on record as a deed.
    let records = bench.events().into_iter().filter_map(|event| match event {
        Event::Order(record) => Some((record.order.operator, matches!(record.outcome, Outcome::Refused { .. }))),
        _ => None,
    });
    let refused = records.filter(|(_, refused)| *refused).map(|(operator, _)| operator).collect::<Vec<_>>();
    assert_eq!(refused, ["ana", "bob", "ana", "bob", "ana", "bob"]);
}

/// The right is the one of now, and reading the configuration takes it over everything.
#[tokio::test]
async fn an_operators_right_goes_with_the_next_reading() {
    let bench = Bench::with(&["ana"], |config| config.users[0].allow.operate = filters(&["#"])).await;
    assert_eq!(lost(&order_by(&bench.broker, "ana", Control::Reload { seen: None }).await), 0);
    bench.grant("ana", |ana| ana.deny.operate = filters(&["secret"])).await;
    refusal(order_by(&bench.broker, "ana", Control::Reload { seen: None }).await);
    assert_eq!(order_by(&bench.broker, "ana", kill("orders")).await, Outcome::AlreadyGone);
    refusal(order_by(&bench.broker, "ana", kill("secret")).await);
    let (mut raw, _) = bench.register("ana").await;
    raw.publish("secret", "still there").await;
}

/// Whoever gives an order that waits needs the right to it twice: now, and when it is carried out. Someone who is no user any
/// more by then is not taken for one who needs no right. All of it is on record, with both moments.
#[tokio::test(start_paused = true)]
async fn a_delayed_order_needs_its_right_when_it_is_given_and_when_it_is_carried_out() {
    let bench = Bench::with(&["ana", "bob", "eve"], |config| {
        config.users[0].allow.operate = filters(&["orders"]);
        config.users[1].allow.operate = filters(&["#"]);
    })
    .await;
    let (mut raw, _) = bench.register("bob").await;
    for topic in ["orders", "news"] {
        raw.publish(topic, "1").await;
    }
    let give = |operator: &'static str, topic| {
        let broker = bench.broker.clone();
        tokio::spawn(async move { broker.order(Order { delay_ms: 60_000, ..Order::new(operator, kill(topic)) }).await })
    };
    let wait = |count| eventually(&bench.broker, "the orders wait", move |board| board.waiting_orders.len() == count);
    // Not even asked to wait.
    assert!(refusal(give("eve", "news").await.unwrap()).contains("no right"));
    let (by_ana, by_bob, in_hand) = (give("ana", "orders"), give("bob", "news"), give("root (uid 0)", "news"));
    wait(3).await;
    bench.write(|config| {
        config.users.remove(1);
        config.users[1].allow.operate = filters(&["#"]);
    });
    lost(&bench.grant("ana", |ana| ana.deny.operate = filters(&["orders"])).await);
    assert!(refusal(by_ana.await.unwrap()).contains("no right"));
    assert!(refusal(by_bob.await.unwrap()).contains("is none any more"));
    assert_eq!(lost(&in_hand.await.unwrap()), 1);
    let orders: TopicName = "orders".parse().unwrap();
    assert!(bench.broker.bus().board().topics.contains_key(&orders));
    let waited = bench.events().into_iter().filter_map(|event| match event {
        Event::Order(record) if record.order.delay_ms > 0 => {
            Some((record.order.operator, record.given.up.until(record.ended.up)))
        }
        _ => None,
    });
    let minute = Duration::from_mins(1);
    for (operator, waited) in waited {
        assert_eq!(waited >= minute, operator != "eve", "{operator} waited {waited:?}");
    }
}

/// Read-only is for orders. Whoever sends the process a signal has it in hand.
#[tokio::test]
async fn read_only_refuses_the_order_and_not_the_signal() {
    let bench = Bench::with(&["ana"], |_| {}).await;
    bench.broker.set_read_only(true);
    assert!(refusal(bench.reload().await).contains("read-only"));
    assert_eq!(lost(&bench.broker.reload("SIGHUP").await), 0);
}

/// An operator who confirmed one change has not confirmed another.
#[tokio::test]
async fn what_was_not_seen_is_not_taken() {
    let bench = Bench::with(&["ana", "bob"], |_| {}).await;
    let (mut bob, _) = bench.register("bob").await;
    bob.subscribe("orders").await;
    bob.publish("orders", "1").await;
    bench.write(|config| config.users[1].allow.subscribe = filters(&["news"]));
    let preview = bench.broker.preview_reload().await.unwrap();
    assert_eq!(preview.changes.to_string(), "other rights for bob");
    eventually(&bench.broker, "it is in flight", |board| board.broker.depth.in_flight == 1).await;
    let price = preview.price(&bench.broker.bus().board());
    assert_eq!((price.sessions, price.subscriptions, price.narrowed, price.loss), (0, 1, 0, 1));
    bench.write(|config| config.users.truncate(1));
    let seen = Some(preview.mark);
    assert!(refusal(order_by(&bench.broker, "x", Control::Reload { seen }).await).contains("changed since you looked"));
    let preview = bench.broker.preview_reload().await.unwrap();
    let price = preview.price(&bench.broker.bus().board());
    assert_eq!((price.sessions, price.subscriptions, price.loss), (1, 0, 1));
    assert_eq!(lost(&order_by(&bench.broker, "x", Control::Reload { seen: Some(preview.mark) }).await), 1);
}
