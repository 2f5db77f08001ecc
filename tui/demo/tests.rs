//! A short story, told at a real broker over real sockets: that its clients do there what their lives decide.

use std::time::Duration;

use cordboard::{
    Board, Broker, Config, Handle,
    board::SessionRow,
    control::{Control, Order, Outcome},
    events::{Action, CloseReason, Event, SessionEnd, Stamped},
    name::{SessionId, TopicName},
};
use tokio::{task::JoinHandle, time::timeout};

use super::{
    NoDemo,
    cast::{Leaves, NOBODY, Part, hear, ms, s, talk},
    door,
    letter::Letter,
    permit, play,
    temper::Temper,
};

/// How long anything may take before it is called missing.
const PATIENCE: Duration = Duration::from_secs(100);

/// One who publishes, one who listens and dies, one who listens and has a short reclaim time.
const SHORT: &[Part] = &[
    Part {
        name: "demo-shop",
        restarted_after: ms(50),
        talks: &[talk("orders/eu", 200.0, Letter::Order), talk("invoices/raw", 200.0, Letter::Invoice)],
        ..NOBODY
    },
    Part {
        name: "demo-books",
        leaves: Some(Leaves { first: (ms(20), ms(600)), stays: (s(600), s(600)), away: (s(600), s(600)) }),
        hears: &[hear("orders/eu", Temper::Quick)],
        ..NOBODY
    },
    Part {
        name: "demo-scan",
        reclaim_after: Some(ms(50)),
        leaves: Some(Leaves { first: (ms(20), s(1)), stays: (s(600), s(600)), away: (s(600), s(600)) }),
        hears: &[hear("orders/+", Temper::Moody { once_in: 10 })],
        ..NOBODY
    },
    Part { name: "demo-mail", hears: &[hear("invoices/raw", Temper::Picky)], ..NOBODY },
];

/// A broker with that company.
struct Stage {
    broker: Handle,
    company: JoinHandle<()>,
}

impl Stage {
    async fn open() -> Self {
        Self::open_after(&[]).await
    }

    /// The company comes after `orders` were given.
    async fn open_after(orders: &[Control]) -> Self {
        let config = Config { listen: vec!["127.0.0.1:0".parse().unwrap()], ..Config::default() };
        let broker = Broker::start(config).await.unwrap();
        for control in orders {
            give(&broker, control.clone()).await;
        }
        let company = tokio::spawn(play(broker.clone(), broker.endpoints()[0], SHORT, 1));
        Self { broker, company }
    }

    /// Waits for the first thing that `look` finds on the board.
    async fn eventually<T>(&self, what: &str, look: impl Fn(&Board) -> Option<T>) -> T {
        let (board, mut follower) = self.broker.bus().follow();
        if let Some(found) = look(&board) {
            return found;
        }
        let wait = async {
            loop {
                follower.changed().await;
                follower.take(usize::MAX);
                if let Some(found) = look(&self.broker.bus().board()) {
                    return found;
                }
            }
        };
        timeout(PATIENCE, wait).await.unwrap_or_else(|_| panic!("it never came to pass that {what}"))
    }

    /// Waits for the first event that `is` it.
    async fn eventually_told<T>(&self, what: &str, mut is: impl FnMut(&Event) -> Option<T>) -> T {
        let mut follower = self.broker.bus().follow_from_start();
        let wait = async {
            loop {
                if let Some(found) = follower.take(usize::MAX).events.iter().find_map(|stamped| is(&stamped.event)) {
                    return found;
                }
                follower.changed().await;
            }
        };
        timeout(PATIENCE, wait).await.unwrap_or_else(|_| panic!("it was never told that {what}"))
    }
}

async fn give(broker: &Handle, control: Control) {
    let outcome = broker.order(Order::new("ana", control)).await;
    assert!(matches!(outcome, Outcome::Done { .. }), "{outcome:?}");
}

fn attached(board: &Board, name: &str) -> Option<SessionId> {
    let is_it = |row: &SessionRow| row.client.as_str() == name && row.is_attached();
    board.sessions.iter().find(|(_, row)| is_it(row)).map(|(id, _)| *id)
}

#[tokio::test]
async fn the_cast_appears_and_its_messages_flow() {
    let stage = Stage::open().await;
    for part in SHORT {
        stage.eventually(&format!("{} is there", part.name), |board| attached(board, part.name)).await;
    }
    stage.eventually("messages are delivered", |board| (board.broker.sample.delivered > 100).then_some(())).await;
    stage.eventually("an invoice is poison", |board| (board.broker.depth.poison > 0).then_some(())).await;
}

/// Its connection ends without a word; what comes meanwhile waits for it.
#[tokio::test]
async fn one_dies_and_finds_its_session_again() {
    let stage = Stage::open().await;
    let mut books = None;
    let lost = |event: &Event| match event {
        Event::SessionCreated { id, client, .. } if client.as_str() == "demo-books" => {
            books = Some(*id);
            None
        }
        Event::SessionDetached { id, why, .. } if books == Some(*id) => Some((*id, *why)),
        _ => None,
    };
    let (session, why) = stage.eventually_told("the books are closed", lost).await;
    assert!(matches!(why, CloseReason::PeerClosed | CloseReason::Reset), "{why:?}");
    let back = |event: &Event| matches!(event, Event::SessionAttached { id, .. } if *id == session).then_some(());
    stage.eventually_told("they are open again", back).await;
    let held = |event: &Event| match event {
        Event::SubscriptionDraining { id, held } if id.session == session && *held > 0 => Some(()),
        _ => None,
    };
    stage.eventually_told("dead letters are drained", held).await;
}

#[tokio::test]
async fn one_is_reclaimed_and_starts_anew() {
    let stage = Stage::open().await;
    let reclaimed = |event: &Event| match event {
        Event::SessionEnded { id, why: SessionEnd::Reclaimed, .. } => Some(*id),
        _ => None,
    };
    let first = stage.eventually_told("a session is reclaimed", reclaimed).await;
    let second = stage.eventually("the scanner is back", |board| attached(board, "demo-scan")).await;
    assert_ne!(first, second);
}

/// Mail is restarted half a minute later, which nobody waits for here; the shop at once, and as a stranger.
#[tokio::test]
async fn the_evicted_stay_away_until_somebody_restarts_them() {
    let stage = Stage::open().await;
    let mail = stage.eventually("mail is there", |board| attached(board, "demo-mail")).await;
    let shop = stage.eventually("the shop is there", |board| attached(board, "demo-shop")).await;
    for session in [mail, shop] {
        give(&stage.broker, Control::EvictSession { session }).await;
    }
    let again = stage.eventually("the shop is back", |board| attached(board, "demo-shop")).await;
    assert_ne!(shop, again);
    assert!(attached(&stage.broker.bus().board(), "demo-mail").is_none());
}

/// Nobody's fault: the next publish makes it again.
#[tokio::test]
async fn a_killed_topic_comes_back() {
    let stage = Stage::open().await;
    let orders: TopicName = "orders/eu".parse().unwrap();
    stage.eventually("there are orders", |board| board.topics.get(&orders).map(drop)).await;
    give(&stage.broker, Control::KillTopic { topic: orders.clone() }).await;
    let mut is_killed = false;
    let again = |event: &Event| match event {
        Event::TopicKilled { topic, .. } if *topic == orders => {
            is_killed = true;
            None
        }
        Event::TopicCreated { topic, .. } if *topic == orders && is_killed => Some(()),
        _ => None,
    };
    stage.eventually_told("there are orders again", again).await;
}

/// While the broker takes nobody the company waits outside; then it is let in.
#[tokio::test]
async fn a_closed_door_opens_again() {
    let stage = Stage::open_after(&[Control::Accept { on: false }]).await;
    stage.eventually("somebody is turned away", |board| (board.broker.sample.refused > 0).then_some(())).await;
    give(&stage.broker, Control::Accept { on: true }).await;
    stage.eventually("the shop is there", |board| attached(board, "demo-shop")).await;
}

/// Who publishes to it is refused once, and not four times a second; the others do not notice.
#[tokio::test]
async fn a_forbidden_topic_is_left_alone() {
    let stage = Stage::open_after(&[Control::ForbidTopic { topic: "orders/eu".parse().unwrap() }]).await;
    let refused = |event: &Event| matches!(event, Event::RightRefused { .. }).then_some(());
    stage.eventually_told("it is refused", refused).await;
    stage.eventually("invoices are delivered", |board| (board.broker.sample.delivered > 500).then_some(())).await;
    let events = stage.broker.bus().follow_from_start().take(usize::MAX).events;
    let times = |stamped: &std::sync::Arc<Stamped>| match stamped.event {
        Event::RightRefused { action: Action::Publish, times, .. } => times,
        _ => 0,
    };
    // The beat in which it learns of it is the only one.
    assert!(events.iter().map(times).sum::<u64>() <= 50, "{events:?}");
}

#[tokio::test]
async fn a_shutdown_ends_the_story() {
    let stage = Stage::open().await;
    stage.eventually("the shop is there", |board| attached(board, "demo-shop")).await;
    timeout(PATIENCE, stage.broker.shutdown()).await.unwrap();
    timeout(PATIENCE, stage.company).await.unwrap().unwrap();
}

/// It plays at nobody else's broker, and nowhere but here.
#[test]
fn a_demo_is_refused_where_it_does_not_belong() {
    let listening = |addresses: &[&str]| -> Vec<_> { addresses.iter().map(|address| address.parse().unwrap()).collect() };
    let addresses = listening(&["192.0.2.1:1", "[::1]:2", "127.0.0.1:3"]);
    assert_eq!(door(&addresses), Ok(addresses[1]));
    assert_eq!(door(&addresses[..1]), Err(NoDemo::NoLoopback));
    assert_eq!(permit(&Config::default()), Ok(()));
    let users = "[[users]]\nname = \"ana\"\npassword_hash = \"$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHRzYWx0$aGFzaGhhc2hoYXNoaGFzaGhhc2hoYXNo\"\n";
    assert_eq!(permit(&Config::parse(users, "users.toml").unwrap()), Err(NoDemo::Users));
}
