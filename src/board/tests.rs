//! Whatever the events say, in whatever order, the board's sums are the sums over its rows and nothing underflows.

use proptest::{collection::vec, prelude::*, sample::select};

use super::*;
use crate::{
    clock::Uptime,
    control::{Control, Order, OrderRecord, Outcome},
    events::{Lost, SessionEnd, SubscriptionEnd},
};

fn sum(depths: impl Iterator<Item = Depth>) -> Depth {
    depths.fold(Depth::default(), |mut sum, depth| {
        shift(&mut sum, Depth::default(), depth);
        sum
    })
}

/// Sums and references agree with the rows.
fn check(board: &Board) {
    let depth_of = |wanted: &dyn Fn(&SubscriptionId) -> bool| {
        sum(board.subscriptions.iter().filter(|(id, _)| wanted(id)).map(|(_, row)| row.depth))
    };
    let away = || board.sessions.iter().filter(|(_, row)| !row.is_attached());
    assert_eq!(board.broker.detached, away().count() as u64);
    assert_eq!(board.broker.dead_letters, away().map(|(_, row)| row.depth.queued()).sum::<u64>());
    assert_eq!(board.broker.depth, depth_of(&|_| true));
    for (session, row) in &board.sessions {
        assert_eq!(row.depth, depth_of(&|id| id.session == *session));
        let filters: OrdSet<Filter> =
            board.subscriptions.keys().filter(|id| id.session == *session).map(|id| id.filter.clone()).collect();
        assert_eq!(row.subscriptions, filters);
    }
    let exact = |topic: &TopicName| {
        let topic = Filter::from(topic.clone());
        board.subscriptions.keys().filter(move |id| id.filter == topic).map(|id| id.session).collect::<OrdSet<_>>()
    };
    for (topic, row) in &board.topics {
        assert_eq!(row.subscribers, exact(topic));
        assert_eq!(row.depth, depth_of(&|id| id.filter.as_str() == topic.as_str()));
    }
    assert!(board.early.iter().all(|(topic, early)| !board.topics.contains_key(topic) && *early == exact(topic)));
    assert!(board.subscriptions.keys().all(|id| board.sessions.contains_key(&id.session)));
}

fn moment() -> Moment {
    Moment { up: Uptime(1), ..Moment::default() }
}

fn any_session() -> impl Strategy<Value = SessionId> {
    (0_u8..3).prop_map(|n| SessionId::from_bytes([n; 16]))
}

fn any_id() -> impl Strategy<Value = SubscriptionId> {
    (any_session(), select(vec!["a", "b", "a/#", "+"]))
        .prop_map(|(session, filter)| SubscriptionId { session, filter: filter.parse().unwrap() })
}

fn any_topic() -> impl Strategy<Value = TopicName> {
    select(vec!["a", "b"]).prop_map(|name| name.parse().unwrap())
}

fn any_depth() -> impl Strategy<Value = Depth> {
    (0_u64..100, 0_u64..100, 0_u64..9, 0_u64..1_000, 0_u64..50).prop_map(|(waiting, in_flight, poison, bytes, dropped)| Depth {
        waiting,
        in_flight,
        poison,
        bytes,
        dropped,
    })
}

fn any_session_event() -> impl Strategy<Value = Event> {
    let address = || "127.0.0.1:9".parse().unwrap();
    prop_oneof![
        4 => any_session().prop_map(move |id| Event::SessionCreated {
            id,
            client: "c".parse().unwrap(),
            principal: Principal::local(),
            listener: ListenerId(1),
            peer: address(),
            epoch: Epoch(1),
            reclaim_ms: 9,
        }),
        2 => any_session().prop_map(move |id| Event::SessionAttached {
            id,
            client: "c".parse().unwrap(),
            listener: ListenerId(2),
            peer: address(),
            epoch: Epoch(2),
            reclaim_ms: 9,
            takeover: false,
        }),
        4 => any_session().prop_map(|id| Event::SessionDetached {
            id,
            epoch: Epoch(1),
            why: CloseReason::Reset,
            deadline: moment(),
        }),
        1 => any_session().prop_map(|id| Event::SessionHeld { id, by: "op".into() }),
        1 => any_session().prop_map(|id| Event::SessionTimerSet { id, deadline: moment(), by: "op".into() }),
        1 => any_session().prop_map(|id| Event::SessionEnded { id, why: SessionEnd::Ended, lost: Lost::default() }),
    ]
}

fn any_event() -> impl Strategy<Value = Event> {
    let listener = || (0_u64..3).prop_map(ListenerId);
    let sample = |(id, depth)| SubscriptionSample { id, depth, deliver_rate: 1 };
    prop_oneof![
        8 => any_session_event(),
        3 => any_topic().prop_map(|topic| Event::TopicCreated { topic, by: Principal::local() }),
        1 => any_topic().prop_map(|topic| Event::TopicKilled { topic, by: "op".into(), lost: Lost::default() }),
        1 => any_topic().prop_map(|topic| Event::TopicForgotten { topic }),
        1 => any_topic().prop_map(|topic| Event::TopicRestarted { topic, restarts: 1, why: String::new() }),
        8 => any_id().prop_map(|id| Event::SubscriptionCreated { id }),
        1 => any_id().prop_map(|id| Event::SubscriptionParked { id }),
        1 => any_id().prop_map(|id| Event::SubscriptionDrained { id }),
        1 => any_id().prop_map(|id| Event::SubscriptionRestarted { id, restarts: 2, why: String::new() }),
        2 => any_id().prop_map(|id| Event::SubscriptionEnded {
            id,
            why: SubscriptionEnd::Unsubscribed,
            lost: Lost::default(),
        }),
        8 => vec((any_id(), any_depth()).prop_map(sample), 1..4)
            .prop_map(|subscriptions| Event::from(Sample { subscriptions, ..Sample::default() })),
        1 => listener().prop_map(|id| Event::ListenerOpened { id, peer: "127.0.0.1:9".parse().unwrap() }),
        1 => (listener(), any_session()).prop_map(|(id, session)| Event::ListenerRegistered { id, session }),
        1 => listener().prop_map(|id| Event::ListenerClosed { id, why: CloseReason::Reset }),
        1 => Just(Event::ManagersRestarted { restarts: 1, lost: Lost::default() }),
    ]
}

proptest! {
    /// I8: also for events about what is not there, and for those that come twice.
    #[test]
    fn the_sums_are_those_of_the_rows_whatever_comes(events in vec(any_event(), 0..120)) {
        let mut board = Board::default();
        for (number, event) in (1..).zip(events) {
            board.apply(&Stamped { number, at: moment(), event });
            check(&board);
        }
        let number = board.number + 1;
        board.apply(&Stamped { number, at: moment(), event: Event::ManagersRestarted { restarts: 9, lost: Lost::default() } });
        let left = Board { number, broker: board.broker.clone(), history: board.history.clone(), ..Board::default() };
        prop_assert_eq!(&board, &left);
        prop_assert_eq!((board.broker.depth, board.broker.detached, board.broker.dead_letters), (Depth::default(), 0, 0));
    }
}

/// A topic that was forgotten while a subscription to it was on its way comes back with its subscriber and what that holds.
#[test]
fn a_topic_that_comes_after_its_subscription_has_it() {
    let (session, topic): (_, TopicName) = (SessionId::from_bytes([1; 16]), "a".parse().unwrap());
    let id = SubscriptionId { session, filter: topic.clone().into() };
    let depth = Depth { waiting: 3, bytes: 30, ..Depth::default() };
    let created = Event::SessionCreated {
        id: session,
        client: "c".parse().unwrap(),
        principal: Principal::local(),
        listener: ListenerId(1),
        peer: "127.0.0.1:9".parse().unwrap(),
        epoch: Epoch(1),
        reclaim_ms: 9,
    };
    let subscriptions = vec![SubscriptionSample { id: id.clone(), depth, deliver_rate: 0 }];
    let events = [
        created,
        Event::SubscriptionCreated { id },
        Event::from(Sample { subscriptions, ..Sample::default() }),
        Event::TopicCreated { topic: topic.clone(), by: Principal::local() },
    ];
    let mut board = Board::default();
    for (number, event) in (1..).zip(events) {
        board.apply(&Stamped { number, at: moment(), event });
    }
    assert_eq!((board.topics[&topic].depth, board.topics[&topic].subscribers.len()), (depth, 1));
    assert!(board.early.is_empty());
}

fn told(events: impl IntoIterator<Item = (u64, Event)>) -> Board {
    let mut board = Board::default();
    for (number, (second, event)) in (1..).zip(events) {
        let at = Moment { up: Uptime(second * 1_000), ..Moment::default() };
        board.apply(&Stamped { number, at, event });
    }
    board
}

/// That nothing moves is told once; since when is for the board to remember, and it must not begin anew with every sample.
#[test]
fn a_connection_is_stuck_from_when_nothing_could_be_written_until_something_is() {
    let id = ListenerId(1);
    let sample = |bytes_out_rate, outbound_bytes| {
        let figures = ListenerSample { id, bytes_in_rate: 0, bytes_out_rate, outbound_bytes };
        Event::from(Sample { listeners: vec![figures], ..Sample::default() })
    };
    let opened = || (1, Event::ListenerOpened { id, peer: "127.0.0.1:9".parse().unwrap() });
    let since = |events: &[(u64, Event)]| {
        let board = told([opened()].into_iter().chain(events.iter().cloned()));
        board.listeners[&id].stuck.map(|at| at.up.0)
    };
    assert_eq!(since(&[(2, sample(5, 5))]), None);
    assert_eq!(since(&[(2, sample(5, 5)), (3, sample(0, 5)), (4, sample(0, 9))]), Some(3_000));
    assert_eq!(since(&[(3, sample(0, 5)), (4, sample(1, 4))]), None);
    assert_eq!(since(&[(3, sample(0, 5)), (4, sample(0, 0))]), None);
}

/// A leaf that failed may be gone, and how it failed is asked after nevertheless.
#[test]
fn failures_outlive_their_actors_and_are_bounded() {
    let session = SessionId::from_bytes([1; 16]);
    let failed = |why: &str| SessionEnd::Failed { why: why.into() };
    let board = told([
        (1, Event::ListenerFailed { id: ListenerId(7), why: "in Close".into() }),
        (2, Event::SessionEnded { id: session, why: failed("in Attach"), lost: Lost::default() }),
        (3, Event::ManagerFailed { manager: "TopicManager".into(), why: "in Tick".into() }),
        (4, Event::ManagersRestarted { restarts: 1, lost: Lost::default() }),
        (5, Event::SessionEnded { id: session, why: SessionEnd::Reclaimed, lost: Lost::default() }),
    ]);
    let why = |actor: ActorName| board.history.last_failure(&actor).map(|failure| (failure.at.up.0, failure.why.as_str()));
    assert_eq!(why(ListenerId(7).into()), Some((1_000, "in Close")));
    assert_eq!(why(session.into()), Some((2_000, "in Attach")));
    assert_eq!(why(ActorName::TopicManager), Some((3_000, "in Tick")));
    assert_eq!(why(ActorName::Broker), None);
    let many = (0..500).map(|n| (n, Event::ListenerFailed { id: ListenerId(n), why: String::new() }));
    let board = told(many);
    assert_eq!(board.history.failures.len(), History::MAX_FAILURES);
    assert_eq!(board.history.failures.back().map(|failure| failure.at.up.0), Some(499_000));
}

/// A console that opens late shows the orders from before; a broker that lives for years holds no more than some of them.
#[test]
fn the_last_orders_are_remembered_and_the_older_counted() {
    let record = |number| {
        let order = Order::new("ana", Control::Accept { on: true });
        Event::from(OrderRecord {
            number,
            order,
            about: None,
            given: moment(),
            ended: moment(),
            queued: (0, 0),
            outcome: Outcome::AlreadyGone,
        })
    };
    let board = told((1..=1_007).map(|number| (number, record(number))));
    assert_eq!((board.history.orders.len(), board.history.forgotten_orders), (History::MAX_ORDERS, 7));
    assert_eq!(board.history.orders.keys().next(), Some(&8));
}
