//! Forbidding and allowing, draining, and looking into queues.

use cordboard::{
    clock::UnixMillis,
    control::{Control, Outcome},
    events::{Depth, Event, Lost},
    name::Principal,
    peek::{Peek, Peeked, Place},
};
use crossterm::event::KeyCode;

use super::fixture::{Bench, NOW, at, billing_7, subscription, topic};
use crate::console::{
    msg::{Effect, Leave, Msg},
    state::{Modal, deed::Deed},
};

fn control(effects: &[Effect]) -> &Control {
    match effects {
        [Effect::Order(_, order)] => &order.control,
        other => panic!("no order but {other:?}"),
    }
}

fn confirm(bench: &mut Bench, phrase: &str) -> Vec<Effect> {
    bench.press(KeyCode::Tab);
    bench.press(KeyCode::Tab);
    bench.type_(phrase);
    bench.press(KeyCode::Enter)
}

fn forbid(bench: &mut Bench) {
    bench.hear(Event::TopicForbidden { topic: topic("orders/eu"), by: "ana".into(), why: "OPS-9 floods".into() });
    bench.hear(Event::PrincipalForbidden { principal: "mallory".parse().unwrap(), by: "bob".into(), why: String::new() });
}

/// A message of a copy.
pub(super) fn peeked(place: Place, number: Option<u64>, payload: &[u8]) -> Peeked {
    Peeked {
        place,
        number,
        topic: topic("orders/eu"),
        accepted: UnixMillis(at(NOW - 41).wall.0),
        attempts: u32::from(place == Place::InFlight),
        redelivered: place == Place::InFlight,
        headers: vec![("content-type".into(), "application/json".into())],
        header_count: 3,
        payload_bytes: 2_104,
        payload: payload.to_vec(),
    }
}

/// What the broker answers to a look.
pub(super) fn copy() -> Outcome {
    let messages = vec![
        peeked(Place::InFlight, Some(88_121), br#"{"order":88121,"cur":"EUR","total":19.99}"#),
        peeked(Place::Waiting, Some(88_122), b"\x00\xff\x1b[2Jbinary"),
        peeked(Place::Poison, None, b"a\x1b]0;pwned\x07b"),
    ];
    let depth = Depth { waiting: 747, in_flight: 64, poison: 38, bytes: 1_400_850, dropped: 0 };
    Outcome::Seen { peek: Box::new(Peek { depth, messages }) }
}

#[test]
fn forbidding_a_topic_takes_its_name_and_says_what_it_costs() {
    let mut bench = Bench::busy((80, 24));
    bench.type_("4B");
    let screen = bench.screen();
    assert!(screen.contains("FORBID TOPIC") && screen.contains("403 until it is allowed"), "{screen}");
    assert!(screen.contains("when the process ends"), "{screen}");
    // `F` allows it again; what it held is gone.
    assert!(screen.contains("FORBID TOPIC - the loss cannot be undone"), "{screen}");
    assert_eq!(Deed::ForbidTopic(topic("orders/eu")).lasting(0), None);
    assert_eq!(bench.type_("y"), []);
    assert_eq!(control(&confirm(&mut bench, "orders/eu")), &Control::ForbidTopic { topic: topic("orders/eu") });
}

/// The broker kills what it forbids; its row says what was ordered, and why.
#[test]
fn a_topic_that_is_forbidden_is_not_called_killed() {
    let mut bench = Bench::busy((120, 36));
    let killed = |name| Event::TopicKilled { topic: topic(name), by: "ana".into(), lost: Lost::default() };
    forbid(&mut bench);
    bench.hear(killed("orders/eu"));
    bench.hear(killed("orders/us"));
    bench.type_("4");
    bench.settle();
    let screen = bench.screen();
    assert!(screen.contains("forbidden by ana, 2s ago, nothing lost: OPS-9 floods"), "{screen}");
    assert!(screen.contains("killed by ana, 2s ago, nothing lost"), "{screen}");
}

/// Without users everybody is one user: the dialog says so, loudly.
#[test]
fn forbidding_the_user_of_a_session_takes_its_name() {
    let mut bench = Bench::busy((80, 24));
    bench.type_("2B");
    let screen = bench.screen();
    assert!(screen.contains("FORBID USER") && screen.contains("7 sessions") == (bench.state.live.board.sessions.len() == 7));
    assert!(screen.contains("EVERYONE is local"), "{screen}");
    assert_eq!(control(&confirm(&mut bench, "local")), &Control::ForbidPrincipal { principal: Principal::local() });
}

/// What is forbidden is on every screen, can be seen in full, and allowed again; the cursor is on a name.
#[test]
fn what_is_forbidden_is_listed_and_can_be_allowed() {
    let mut bench = Bench::busy((120, 36));
    bench.type_("F");
    assert!(bench.screen().contains("nothing is forbidden"), "{}", bench.screen());
    bench.press(KeyCode::Esc);
    forbid(&mut bench);
    assert!(bench.screen().contains("F: 2 forbidden"), "{}", bench.screen());
    bench.type_("Fj");
    let screen = bench.screen();
    assert!(screen.contains("orders/eu") && screen.contains("OPS-9 floods") && screen.contains("mallory"), "{screen}");
    // Another topic comes before it: the cursor stays on mallory.
    bench.hear(Event::TopicForbidden { topic: topic("a"), by: "ana".into(), why: String::new() });
    let allow = Control::AllowPrincipal { principal: "mallory".parse().unwrap() };
    assert_eq!(control(&bench.type_("B")), &allow);
    assert_eq!(bench.type_("B"), [], "it is asked for already");
    assert!(bench.screen().contains("mallory allowing…"), "{}", bench.screen());
    bench.hear(Event::PrincipalAllowed { principal: "mallory".parse().unwrap(), by: "ana".into() });
    bench.tell(Msg::ReadOnly(true));
    assert_eq!(bench.type_("kB"), []);
    assert!(bench.screen().contains("read-only"), "{}", bench.screen());
}

#[test]
fn a_drain_is_asked_for_on_the_way_out_and_typed() {
    let mut bench = Bench::busy((80, 24));
    bench.type_("qr");
    let screen = bench.screen();
    assert!(screen.contains("DRAIN THE BROKER") && !screen.contains("cannot be undone"), "{screen}");
    assert_eq!(control(&confirm(&mut bench, "DRAIN")), &Control::Drain);
    bench.hear(Event::Draining { deadline: at(NOW + 10), ends: false });
    bench.hear(Event::StopPhase { phase: cordboard::events::StopPhase::Receipts, left: 12 });
    bench.state.size = (120, 36);
    assert!(bench.screen().contains("DRAINING 0:10: waiting for 12 receipts"), "{}", bench.screen());
    bench.hear(Event::Accepting { on: false });
    bench.hear(Event::Drained);
    assert!(bench.screen().contains("DRAINED: A accepts"), "{}", bench.screen());
    assert_eq!(control(&bench.type_("A")), &Control::Accept { on: true });
    bench.type_("qr");
    assert!(matches!(bench.state.modal, Modal::None), "it is drained already");
}

/// Whoever does not want to wait for an end that has begun says so twice: that is the program's last way out.
#[test]
fn an_end_under_way_can_be_made_to_happen_at_once() {
    let mut bench = Bench::busy((120, 36));
    bench.hear(Event::Draining { deadline: at(NOW + 10), ends: true });
    assert!(bench.screen().contains("STOPPING 0:10"), "{}", bench.screen());
    assert_eq!(bench.type_("q"), []);
    assert!(bench.screen().contains("end now"), "{}", bench.screen());
    assert_eq!(bench.press(KeyCode::Enter), [], "Enter stays");
    assert_eq!(bench.type_("qs"), [Effect::Leave(Leave::EndNow)]);
}

/// A look asks for the queue under the cursor, shows the copy, and no byte of a payload reaches the terminal raw (I7).
#[test]
fn a_look_shows_a_copy_and_no_raw_byte() {
    for size in [(80, 24), (200, 50), (60, 15)] {
        let mut bench = Bench::busy(size);
        bench.type_("2");
        bench.press(KeyCode::Enter);
        let effects = bench.type_("i");
        let asked = Control::PeekQueue { subscription: subscription(billing_7(), "invoices/#"), most: 100 };
        assert_eq!(control(&effects), &asked);
        assert!(bench.screen().contains("asking the broker"), "{}", bench.screen());
        bench.tell(Msg::Outcome { ticket: 0, outcome: copy() });
        for keys in ["", "j", "j", "h", "k", "k", "G", "g"] {
            bench.type_(keys);
            let screen = bench.screen();
            assert!(!screen.contains(['\u{1b}', '\u{7}']), "{screen:?}");
        }
        assert!(bench.screen().contains("88,121"), "{}", bench.screen());
        assert_eq!(control(&bench.type_("i")), &asked);
        bench.tell(Msg::Outcome { ticket: 1, outcome: Outcome::AlreadyGone });
        assert!(bench.screen().contains("no longer there"), "{}", bench.screen());
        bench.press(KeyCode::Esc);
        // An answer that comes after the pane was closed opens nothing.
        bench.type_("i");
        bench.press(KeyCode::Esc);
        bench.tell(Msg::Outcome { ticket: 2, outcome: copy() });
        assert!(matches!(bench.state.modal, Modal::None));
    }
}

#[test]
fn a_topic_is_looked_into_by_its_backlog() {
    let mut bench = Bench::busy((80, 24));
    bench.type_("4i");
    assert_eq!(control(&bench.type_("i")), &Control::PeekBacklog { topic: topic("orders/eu"), most: 100 });
    let depth = Depth { waiting: 19, bytes: 190, ..Depth::default() };
    let messages = vec![peeked(Place::Backlog, Some(1), b"hello")];
    bench.tell(Msg::Outcome { ticket: 1, outcome: Outcome::Seen { peek: Box::new(Peek { depth, messages }) } });
    let screen = bench.screen();
    assert!(screen.contains("19 in the backlog   190 B") && !screen.contains("19 waiting"), "{screen}");
    let mut bench = Bench::busy((80, 24));
    assert_eq!(bench.type_("i"), [], "there is nothing to look into on the overview");
}
