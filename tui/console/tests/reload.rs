//! The configuration read again from the console: it says what that would change before it does, and orders what was seen.

use cordboard::{
    Config,
    config::Changes,
    control::{Control, Order, OrderRecord, Outcome, Precondition},
    events::Event,
    reload::Preview,
};
use crossterm::event::KeyCode;

use super::fixture::{Bench, NOW, at, narrower};
use crate::console::{
    msg::{Effect, Msg},
    state::Modal,
};

fn status(bench: &Bench) -> String {
    bench.state.status.as_ref().map(|status| status.text.clone()).unwrap_or_default()
}

#[test]
fn what_would_be_lost_takes_the_phrase_and_what_was_seen_goes_along() {
    let mut bench = Bench::busy((80, 24));
    assert_eq!(bench.type_("L"), [Effect::Preview]);
    assert_eq!(status(&bench), "reading the configuration…");
    bench.tell(Msg::Previewed(Ok(narrower())));
    bench.settle();
    assert_eq!(bench.type_("y"), []);
    for _ in 0..2 {
        bench.press(KeyCode::Tab);
    }
    bench.type_("RELOAD");
    let effects = bench.press(KeyCode::Enter);
    let [Effect::Order(_, order)] = &effects[..] else { panic!("{effects:?}") };
    assert_eq!(
        (&order.control, order.precondition),
        (&Control::Reload { seen: Some(7) }, Precondition { epoch: None, loss: Some(405) })
    );
}

/// Of a file that is wrong, or says nothing new, there is nothing to ask; the status line says it.
#[test]
fn without_a_change_there_is_no_question() {
    let mut bench = Bench::busy((80, 24));
    bench.tell(Msg::Previewed(Err("cordboard.toml:7: unknown key `usrs`; did you mean `users`?\u{1b}[2J".to_owned())));
    assert_eq!(status(&bench), "not reloaded: cordboard.toml:7: unknown key `usrs`; did you mean `users`?\\u{1b}[2J");
    let mut next = Config::default();
    next.topics.max = 9;
    bench.tell(Msg::Previewed(Ok(Box::new(Preview::new(&Config::default(), &next, 1)))));
    assert_eq!(status(&bench), "no user, password or right would change; topics.max only after a restart");
    assert!(matches!(bench.state.modal, Modal::None));
}

/// Whoever has opened something else meanwhile is not interrupted by a question that could catch a key.
#[test]
fn a_question_does_not_push_another_away() {
    let mut bench = Bench::busy((80, 24));
    bench.type_("L?");
    bench.tell(Msg::Previewed(Ok(narrower())));
    assert!(matches!(bench.state.modal, Modal::Help { .. }));
    assert!(status(&bench).contains("L asks about it again"));
}

/// A configuration that was not taken needs attention until one is.
#[test]
fn a_failed_reload_stands_until_a_good_one() {
    let mut bench = Bench::busy((120, 36));
    let why = "cordboard.toml:7: unknown key `usrs`".to_owned();
    let order = Order::new("SIGHUP", Control::Reload { seen: None });
    bench.hear(Event::Order(OrderRecord {
        number: 1,
        order,
        about: None,
        given: at(NOW),
        ended: at(NOW),
        queued: (0, 0),
        outcome: Outcome::Refused { why },
    }));
    bench.tick(at(NOW + 1));
    assert!(bench.screen().contains("not reloaded") && bench.screen().contains("unknown key `usrs`"), "{}", bench.screen());
    bench.hear(Event::ConfigurationRead { by: "SIGHUP".into(), users: 4, changes: Changes::default() });
    bench.tick(at(NOW + 3));
    assert!(!bench.screen().contains("not reloaded"), "{}", bench.screen());
    assert_eq!(bench.state.live.board.broker.users, 4);
    bench.type_("7");
    bench.settle();
    assert!(bench.screen().contains("configuration.read"), "{}", bench.screen());
    assert!(bench.screen().contains("by SIGHUP: nothing"), "{}", bench.screen());
}

#[test]
fn read_only_reads_nothing() {
    let mut bench = Bench::busy((80, 24));
    bench.tell(Msg::ReadOnly(true));
    assert_eq!(bench.type_("L"), []);
}
