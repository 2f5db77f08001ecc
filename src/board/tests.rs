//! Whatever the events say, in whatever order, the board's sums are the sums over its rows and nothing underflows.

use proptest::{collection::vec, prelude::*, sample::select};

use super::*;
use crate::{
    clock::Uptime,
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
            .prop_map(|subscriptions| Event::Sample(Sample { subscriptions, ..Sample::default() })),
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
        let left = Board { number, broker: board.broker.clone(), ..Board::default() };
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
        Event::Sample(Sample { subscriptions, ..Sample::default() }),
        Event::TopicCreated { topic: topic.clone(), by: Principal::local() },
    ];
    let mut board = Board::default();
    for (number, event) in (1..).zip(events) {
        board.apply(&Stamped { number, at: moment(), event });
    }
    assert_eq!((board.topics[&topic].depth, board.topics[&topic].subscribers.len()), (depth, 1));
    assert!(board.early.is_empty());
}
