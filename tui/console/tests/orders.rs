//! Orders: the right victim, at the price that was shown, and never by accident.

use cordboard::{
    control::{Control, Outcome, Precondition},
    events::{Event, Lost, SessionEnd, SubscriptionEnd},
    name::{Epoch, SessionId},
};
use crossterm::event::KeyCode;

use super::fixture::{Bench, NOW, at, billing_3, billing_7, edge_cam_3, id, subscription, topic};
use crate::console::{
    msg::{Effect, Msg},
    state::{Modal, dialog::Dialog},
};

fn on_sessions() -> Bench {
    let mut bench = Bench::busy((80, 24));
    bench.type_("2");
    bench
}

fn dialog(bench: &Bench) -> &Dialog {
    match &bench.state.modal {
        Modal::Dialog(dialog) => dialog,
        other => panic!("no dialog but {other:?}"),
    }
}

fn order(effects: &[Effect]) -> (&Control, Precondition, &str) {
    match effects {
        [Effect::Order(_, order)] => (&order.control, order.precondition, &order.reason),
        other => panic!("no order but {other:?}"),
    }
}

fn evict(session: SessionId) -> Control {
    Control::EvictSession { session }
}

#[test]
fn enter_never_evicts() {
    for row in 0..6 {
        let mut bench = on_sessions();
        bench.type_(&"j".repeat(row));
        bench.type_("x");
        for _ in 0..5 {
            assert_eq!(bench.press(KeyCode::Enter), []);
        }
    }
}

/// Enter on the button itself is no confirmation either while a phrase is missing.
#[test]
fn what_loses_messages_takes_a_typed_phrase() {
    let mut bench = on_sessions();
    bench.type_("x");
    assert!(dialog(&bench).is_typed());
    assert_eq!(bench.type_("y"), []);
    for _ in 0..5 {
        bench.press(KeyCode::Tab);
    }
    assert_eq!(bench.press(KeyCode::Enter), []);
    bench.press(KeyCode::Esc);
    bench.type_("x");
    bench.press(KeyCode::Tab);
    bench.type_("OPS-114");
    assert_eq!(bench.press(KeyCode::Enter), []);
    bench.type_("evict");
    assert_eq!(bench.press(KeyCode::Enter), []);
    for _ in 0..5 {
        bench.press(KeyCode::Backspace);
    }
    bench.type_("EVICT");
    let effects = bench.press(KeyCode::Enter);
    let seen = Precondition { epoch: Some(Epoch(1)), loss: Some(1_242) };
    assert_eq!(order(&effects), (&evict(billing_7()), seen, "OPS-114"));
    assert!(bench.screen().contains("evicting…"), "{}", bench.screen());
}

#[test]
fn one_target_with_nothing_to_lose_takes_y() {
    let mut bench = on_sessions();
    bench.type_("jx");
    let effects = bench.type_("y");
    assert_eq!(order(&effects).0, &evict(edge_cam_3()));
}

/// What was free when the dialog opened may cost something when `y` is pressed.
#[test]
fn a_price_that_appears_under_the_dialog_takes_the_phrase_after_all() {
    let mut bench = on_sessions();
    bench.type_("jx");
    bench.holds(&[(edge_cam_3(), "hello", [7, 0, 0, 0])]);
    assert_eq!(bench.type_("y"), []);
    bench.settle();
    assert!(bench.screen().contains("+7 messages to be lost since this was opened"), "{}", bench.screen());
    bench.press(KeyCode::Tab);
    bench.press(KeyCode::Tab);
    bench.type_("EVICT");
    let effects = bench.press(KeyCode::Enter);
    assert_eq!(order(&effects).1.loss, Some(7));
}

/// Somewhere else the signal went to the process that had moved under the cursor.
#[test]
fn the_victim_is_the_one_the_dialog_opened_for_and_the_list_is_frozen_under_it() {
    let mut bench = on_sessions();
    bench.type_("jx");
    let order_before = bench.state.sessions.order().to_vec();
    bench.leaves(billing_3(), NOW + 3);
    bench.ends(billing_7(), SessionEnd::Reclaimed);
    bench.settle();
    bench.settle();
    assert_eq!(bench.state.sessions.order(), order_before);
    assert_eq!(order(&bench.type_("y")).0, &evict(edge_cam_3()));
    bench.settle();
    assert_ne!(bench.state.sessions.order(), order_before);
}

/// The order carries what the screen showed, not what nobody has looked at yet.
#[test]
fn the_precondition_is_the_last_count_that_was_shown() {
    let mut bench = on_sessions();
    bench.type_("x");
    bench.press(KeyCode::Tab);
    bench.press(KeyCode::Tab);
    bench.type_("EVICT");
    bench.holds(&[(billing_7(), "orders/us", [493, 0, 0, 0])]);
    bench.tick(at(NOW + 1));
    assert!(bench.screen().contains("+100 messages to be lost"), "{}", bench.screen());
    bench.holds(&[(billing_7(), "orders/us", [593, 0, 0, 0])]);
    let effects = bench.press(KeyCode::Enter);
    assert_eq!(order(&effects).1, Precondition { epoch: Some(Epoch(1)), loss: Some(1_342) });
}

#[test]
fn a_target_that_ends_under_the_dialog_leaves_only_cancel() {
    let mut bench = on_sessions();
    bench.type_("jx");
    bench.ends(edge_cam_3(), SessionEnd::Ended);
    assert_eq!(bench.type_("y"), []);
    bench.settle();
    assert!(bench.screen().contains("it is gone: nothing is left to do"), "{}", bench.screen());
    assert_eq!(bench.press(KeyCode::Enter), []);
    assert!(matches!(bench.state.modal, Modal::None));
}

/// I8: the gate's answer is not the event; the row says what is known.
#[test]
fn a_row_says_evicting_until_the_event_says_it_is_gone() {
    let mut bench = on_sessions();
    bench.type_("jxy");
    assert!(bench.screen().contains("evicting…"));
    bench.tell(Msg::Outcome { ticket: 0, outcome: Outcome::Done { lost: Lost::default() } });
    assert!(bench.screen().contains("evicting…"));
    assert!(bench.screen().contains("evict session 77ab..02cd edge-cam-3: done, nothing lost"), "{}", bench.screen());
    bench.type_("jkx");
    assert!(matches!(bench.state.modal, Modal::None), "the same order twice");
    bench.ends(edge_cam_3(), SessionEnd::Evicted { by: "ana".into(), why: String::new() });
    bench.settle();
    assert!(!bench.screen().contains("evicting…"));
    assert!(bench.screen().contains("evicted by ana, 2s ago, nothing lost"), "{}", bench.screen());
}

#[test]
fn a_refusal_is_told_and_the_row_is_itself_again() {
    let mut bench = on_sessions();
    bench.type_("jxy");
    bench.tell(Msg::Outcome { ticket: 0, outcome: Outcome::Refused { why: "look again".into() } });
    assert!(!bench.screen().contains("evicting…"));
    assert!(bench.screen().contains("refused: look again"), "{}", bench.screen());
}

#[test]
fn a_topic_takes_its_name_even_when_it_holds_nothing() {
    let mut bench = Bench::busy((80, 24));
    bench.type_("4/hello");
    bench.press(KeyCode::Enter);
    bench.settle();
    bench.type_("x");
    assert!(dialog(&bench).is_typed());
    assert_eq!(bench.type_("y"), []);
    bench.press(KeyCode::Tab);
    bench.press(KeyCode::Tab);
    bench.type_("hello");
    let effects = bench.press(KeyCode::Enter);
    assert_eq!(order(&effects).0, &Control::KillTopic { topic: topic("hello") });
    assert!(bench.screen().contains("killing…"), "{}", bench.screen());
}

/// A topic of the same name that is created anew is not the one that is being killed.
#[test]
fn a_killed_topic_that_comes_back_is_another_one() {
    let mut bench = Bench::busy((80, 24));
    bench.type_("4x");
    bench.press(KeyCode::Tab);
    bench.press(KeyCode::Tab);
    bench.type_("orders/eu");
    bench.press(KeyCode::Enter);
    bench.tell(Msg::Outcome { ticket: 0, outcome: Outcome::Done { lost: Lost::default() } });
    for session in [billing_7(), billing_3(), id([0xc0, 0xde], [0x91, 0xf0])] {
        let id = subscription(session, "orders/eu");
        bench.hear(Event::SubscriptionEnded { id, why: SubscriptionEnd::TopicKilled, lost: Lost::default() });
    }
    bench.hear(Event::TopicKilled { topic: topic("orders/eu"), by: "ana".into(), lost: Lost::default() });
    bench.hear(Event::TopicCreated { topic: topic("orders/eu"), by: "svc-orders".parse().unwrap() });
    bench.settle();
    assert!(!bench.screen().contains("killing…"), "{}", bench.screen());
}

#[test]
fn the_last_exact_subscriber_is_a_side_effect() {
    let mut bench = on_sessions();
    bench.type_("jx");
    assert!(bench.screen().contains("hello loses the LAST exact subscriber"), "{}", bench.screen());
}

#[test]
fn hold_and_extend_carry_the_epoch_and_need_a_timer() {
    let mut bench = on_sessions();
    let seen = Precondition { epoch: Some(Epoch(1)), loss: None };
    assert_eq!(order(&bench.type_("H")), (&Control::HoldSession { session: billing_7() }, seen, ""));
    assert_eq!(order(&bench.type_("+")), (&Control::ExtendSession { session: billing_7(), by_ms: 300_000 }, seen, ""));
    bench.type_("G");
    assert_eq!(bench.type_("H"), []);
    assert!(bench.screen().contains("no timer runs"), "{}", bench.screen());
}

#[test]
fn dropping_a_connection_is_another_verb_with_another_consequence() {
    let mut bench = on_sessions();
    bench.type_("GD");
    assert!(bench.screen().contains("its reclaim timer starts: 1:30 to come back"), "{}", bench.screen());
    let effects = bench.type_("y");
    assert!(matches!(order(&effects).0, Control::DropConnection { .. }));
    bench.type_("gD");
    assert!(matches!(bench.state.modal, Modal::None), "there is no connection to drop");
}

/// Dead letters are no poison: who wants them put back is told what does that.
#[test]
fn where_there_is_no_poison_nothing_is_asked() {
    let mut bench = Bench::busy((80, 24));
    bench.type_("5/client~lab");
    bench.press(KeyCode::Enter);
    bench.settle();
    assert_eq!(bench.type_("R"), []);
    assert!(matches!(bench.state.modal, Modal::None));
    assert!(bench.screen().contains("no poison; dead letters go when their client returns"), "{}", bench.screen());
}

#[test]
fn purge_and_redeliver_are_for_the_subscription_under_the_cursor() {
    let mut bench = Bench::busy((80, 24));
    bench.type_("5R");
    let etl = subscription(id([0xc0, 0xde], [0x91, 0xf0]), "orders/eu");
    assert_eq!(order(&bench.type_("y")).0, &Control::Redeliver { subscription: etl.clone() });
    bench.type_("P");
    bench.press(KeyCode::Tab);
    bench.press(KeyCode::Tab);
    bench.type_("PURGE");
    let effects = bench.press(KeyCode::Enter);
    let seen = Precondition { epoch: None, loss: Some(8_506) };
    assert_eq!(order(&effects), (&Control::Purge { subscription: etl }, seen, ""));
}

#[test]
fn read_only_opens_no_dialog_and_gives_no_order() {
    let mut bench = on_sessions();
    assert_eq!(bench.type_("r"), [Effect::ReadOnly(true)]);
    bench.tell(Msg::ReadOnly(true));
    for key in ["x", "D", "H", "+", "A"] {
        assert_eq!(bench.type_(key), []);
        assert!(matches!(bench.state.modal, Modal::None));
        assert!(bench.screen().contains("read-only: orders are refused"), "{}", bench.screen());
    }
    assert_eq!(bench.type_("r"), [Effect::ReadOnly(false)]);
}

#[test]
fn stopping_to_accept_asks_and_accepting_again_does_not() {
    let mut bench = Bench::busy((80, 24));
    assert_eq!(bench.type_("A"), []);
    assert_eq!(order(&bench.type_("y")).0, &Control::Accept { on: false });
    bench.hear(Event::Accepting { on: false });
    assert_eq!(order(&bench.type_("A")).0, &Control::Accept { on: true });
}

/// Two numbers for one thing on one screen are one too many: what an alarm, a row and a dialog say comes from the same news.
#[test]
fn an_alarm_a_row_and_a_dialog_say_one_number() {
    let mut bench = Bench::busy((80, 24));
    bench.press(KeyCode::Tab);
    bench.now.up.0 += 500;
    bench.holds(&[(billing_7(), "orders/us", [500, 0, 0, 0])]);
    assert!(bench.screen().contains("1,349 to lose"), "{}", bench.screen());
    assert!(bench.screen().contains("1,349 to lose"), "{}", bench.screen());
    bench.type_("2x");
    bench.holds(&[(billing_7(), "orders/us", [600, 0, 0, 0])]);
    assert_eq!(dialog(&bench).price.loss, 1_449);
    assert!(bench.screen().contains("+100 messages to be lost"), "{}", bench.screen());
}
