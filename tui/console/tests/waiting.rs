//! Orders that wait: asked for with a delay, shown counting down, stopped by one key; and those that take any price.

use cordboard::{
    control::{Control, Order, OrderRecord, Outcome, Precondition},
    events::Event,
    name::Epoch,
};
use crossterm::event::KeyCode;

use super::fixture::{Bench, NOW, at, billing_7, edge_cam_3, topic};
use crate::console::msg::{Effect, Msg};

fn given(effects: &[Effect]) -> &Order {
    match effects {
        [Effect::Order(_, order)] => order,
        other => panic!("no order but {other:?}"),
    }
}

/// The gate says that an order waits.
fn waits(bench: &mut Bench, number: u64, order: Order, seconds: u64) {
    bench.hear(Event::OrderDelayed { number, order: order.into(), due: at(NOW + seconds) });
}

fn confirm(bench: &mut Bench, phrase: &str) -> Vec<Effect> {
    bench.press(KeyCode::Tab);
    bench.press(KeyCode::Tab);
    bench.type_(phrase);
    bench.press(KeyCode::Enter)
}

fn ends(bench: &mut Bench, number: u64, order: Order, outcome: Outcome) {
    bench.hear(Event::from(OrderRecord { number, order, about: None, given: at(NOW), ended: at(NOW), queued: (0, 0), outcome }));
}

/// What loses messages waits 5 s unless its operator says otherwise; what loses nothing does not.
#[test]
fn what_loses_messages_can_be_taken_back() {
    let mut bench = Bench::busy((80, 24));
    bench.type_("2x");
    assert!(bench.screen().contains("< in 5 s, u stops it >"), "{}", bench.screen());
    let order = given(&confirm(&mut bench, "EVICT")).clone();
    assert_eq!(order.delay_ms, 5_000);
    waits(&mut bench, 9, order.clone(), 5);
    bench.tick(at(NOW + 2));
    let screen = bench.screen();
    assert!(screen.contains("evict session 9f3c..e1a2 billing-7 in 0:03: u stops it"), "{screen}");
    assert!(screen.contains("1,204 evict in 0:03"), "its row says so, too: {screen}");
    assert!(!screen.contains("evicting…"), "{screen}");
    bench.type_("x");
    assert!(bench.screen().contains("that waits already"), "{}", bench.screen());
    let cancel = given(&bench.type_("u")).clone();
    assert_eq!((&cancel.control, cancel.delay_ms), (&Control::Cancel { number: 9 }, 0));
    ends(&mut bench, 10, cancel, Outcome::Done { lost: cordboard::events::Lost::default() });
    ends(&mut bench, 9, order, Outcome::Cancelled { by: "ana".into() });
    bench.tell(Msg::Outcome { ticket: 0, outcome: Outcome::Cancelled { by: "ana".into() } });
    bench.settle();
    assert!(!bench.screen().contains("u stops it"), "{}", bench.screen());
    assert!(bench.screen().contains("cancelled by ana"), "{}", bench.screen());
    bench.type_("u");
    assert!(bench.screen().contains("no order waits"), "{}", bench.screen());
    bench.type_("7");
    for words in ["cancel order 9 by ana", "evict session 9f3c..e1a2 by ana: cancelled"] {
        assert!(bench.screen().contains(words), "{words}: {}", bench.screen());
    }
    bench.type_("2");
    bench.type_("gjx");
    assert_eq!(given(&bench.type_("y")).delay_ms, 0, "nothing is lost");
}

/// The right one is stopped: the one under the cursor, else the last that was given; also another operator's.
#[test]
fn u_stops_the_order_under_the_cursor_or_the_last_one() {
    let mut bench = Bench::busy((80, 24));
    bench.type_("2");
    waits(&mut bench, 3, Order::new("bob", Control::EvictSession { session: billing_7() }), 9);
    waits(&mut bench, 4, Order::new("bob", Control::KillTopic { topic: topic("hello") }), 60);
    assert_eq!(bench.state.sessions.cursor(), Some(&billing_7()));
    assert!(bench.screen().contains("1 more wait"), "{}", bench.screen());
    assert_eq!(given(&bench.type_("u")).control, Control::Cancel { number: 3 });
    bench.type_("j");
    assert_eq!(bench.state.sessions.cursor(), Some(&edge_cam_3()));
    assert_eq!(given(&bench.type_("u")).control, Control::Cancel { number: 4 });
    // A gate that is read-only lets it through, and so does the console.
    bench.tell(Msg::ReadOnly(true));
    assert_eq!(given(&bench.type_("u")).control, Control::Cancel { number: 4 });
}

/// A frozen screen does not freeze the gate: the countdown goes on.
#[test]
fn a_paused_screen_counts_down_what_waits() {
    let mut bench = Bench::busy((80, 24));
    bench.type_("p");
    waits(&mut bench, 1, Order::new("bob", Control::EvictSession { session: billing_7() }), 30);
    bench.tick(at(NOW + 10));
    bench.state.dirty = false;
    bench.now = at(NOW + 11);
    bench.tell(Msg::Tick);
    assert!(bench.state.dirty);
    assert!(bench.screen().contains("in 0:19"), "{}", bench.screen());
}

/// The delay goes round with Space; typing it into the phrase is not meant.
#[test]
fn the_delay_can_be_chosen() {
    let mut bench = Bench::busy((80, 24));
    bench.type_("2x");
    for _ in 0..3 {
        bench.press(KeyCode::Tab);
    }
    for wanted in ["in 10 s", "in 30 s", "in 60 s", "at once", "in 5 s", "in 10 s"] {
        bench.type_(" ");
        assert!(bench.screen().contains(&format!("< {wanted}")), "{wanted}: {}", bench.screen());
    }
    bench.press(KeyCode::BackTab);
    bench.type_("EVICT");
    assert_eq!(given(&bench.press(KeyCode::Enter)).delay_ms, 10_000);
}

/// A queue that fills faster than it can be agreed to is evicted all the same, by one who says so in so many words.
#[test]
fn whatever_it_costs_takes_more_words_and_sends_no_loss() {
    let mut bench = Bench::busy((80, 24));
    bench.type_("2x");
    bench.press(KeyCode::Tab);
    bench.press(KeyCode::Tab);
    bench.type_("EVICT");
    bench.press(KeyCode::Tab);
    bench.press(KeyCode::Tab);
    bench.type_(" ");
    assert!(bench.screen().contains("[x] whatever it costs by then"), "{}", bench.screen());
    bench.press(KeyCode::Tab);
    assert_eq!(bench.press(KeyCode::Enter), [], "the phrase is no longer enough");
    assert!(bench.screen().contains("EVICT AT ANY PRICE"), "{}", bench.screen());
    bench.type_(" AT ANY PRICE");
    let effects = bench.press(KeyCode::Enter);
    assert_eq!(given(&effects).precondition, Precondition { epoch: Some(Epoch(1)), loss: None });
}
