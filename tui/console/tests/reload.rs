//! The configuration read again from the console: it says what that would change before it does, and orders what was seen.

use cordboard::{
    Config,
    control::{Control, Order, OrderRecord, Outcome, Precondition},
    events::Event,
    reload::Preview,
};
use crossterm::event::KeyCode;

use super::{
    fixture::{Bench, NOW, at, narrower},
    screens::shot,
};
use crate::console::{
    msg::{Effect, Msg},
    state::{Modal, list::AnyList as _},
};

/// What a wrong file makes the console say.
const WRONG: &str = "cordboard.toml:7: unknown key `usrs`; did you mean `users`?";

fn wrong(bench: &mut Bench) {
    bench.type_("L");
    bench.tell(Msg::Previewed(Err(WRONG.to_owned())));
}

/// The screen without what folds it.
fn said(bench: &Bench) -> String {
    bench.screen().split_whitespace().collect::<Vec<_>>().join(" ")
}

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
    let notice = bench.state.notice.clone().unwrap();
    assert_eq!(notice, "not reloaded: cordboard.toml:7: unknown key `usrs`; did you mean `users`?\\u{1b}[2J");
    let mut next = Config::default();
    next.topics.max = 9;
    bench.tell(Msg::Previewed(Ok(Box::new(Preview::new(&Config::default(), &next, 1)))));
    assert_eq!(status(&bench), "no user, password or right would change; topics.max only after a restart");
    assert!(matches!(bench.state.modal, Modal::None));
}

/// It is read while the file is mended in another terminal: it stays, whatever is pressed and however long that takes.
#[test]
fn a_wrong_configuration_stands_until_it_is_dismissed() {
    for size in [(160, 40), (80, 24), (60, 15), (40, 10)] {
        let mut bench = Bench::busy(size);
        let says_so = |bench: &Bench| said(bench).contains(&format!("not reloaded: {WRONG} - Esc dismisses this"));
        bench.state.size = (80, 24);
        bench.type_("2/dlq>100");
        bench.press(KeyCode::Enter);
        wrong(&mut bench);
        bench.tell(Msg::Resize(size.0, size.1));
        bench.tick(at(NOW + 3_600));
        bench.type_("jjGk");
        assert!(says_so(&bench), "{}", bench.screen());
        bench.press(KeyCode::Esc);
        assert!(!bench.screen().contains("not reloaded"), "{}", bench.screen());
        assert_eq!(bench.state.sessions.filter().text(), "dlq>100", "it is dismissed, and nothing else");
    }
}

/// It takes lines from the lists instead of standing before them, and other messages have theirs.
#[test]
fn no_row_is_behind_a_notice() {
    for size in [(80, 24), (60, 15)] {
        let mut bench = Bench::busy(size);
        bench.type_("2");
        wrong(&mut bench);
        bench.settle();
        bench.type_("G");
        let last = bench.state.sessions.cursor().unwrap().short();
        assert!(bench.screen().contains(&last), "{}", bench.screen());
        bench.type_("z");
        let screen = bench.screen();
        assert!(screen.contains("z does nothing in Sessions") && screen.contains("not reloaded"), "{screen}");
        for digit in '1'..='8' {
            bench.type_(&digit.to_string());
            bench.settle();
            assert!(said(&bench).contains(WRONG), "{}", bench.screen());
        }
        bench.type_("1");
        shot(&format!("not_reloaded_{}x{}", size.0, size.1), &bench);
    }
}

/// What is too long for the screen leaves its way out, and the end of the list, in sight.
#[test]
fn a_notice_that_is_too_long_can_still_be_dismissed() {
    for size in [(80, 24), (60, 15), (40, 10)] {
        let mut bench = Bench::busy(size);
        bench.tell(Msg::Previewed(Err("wrong ".repeat(60))));
        let screen = bench.screen();
        assert!(screen.contains("not reloaded") && said(&bench).contains("Esc dismisses this"), "{screen}");
        assert!(screen.contains("!! messages lost"), "{screen}");
        bench.press(KeyCode::Esc);
        assert!(!bench.screen().contains("wrong"), "{}", bench.screen());
    }
}

/// Once the file is right, what was wrong with it says nothing.
#[test]
fn reading_it_again_replaces_what_was_said() {
    let mut bench = Bench::busy((80, 24));
    wrong(&mut bench);
    bench.type_("L");
    assert!(bench.state.notice.is_none());
    bench.tell(Msg::Previewed(Ok(narrower())));
    assert!(matches!(bench.state.modal, Modal::Dialog(_)));
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
    bench.hear(Event::from(OrderRecord {
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
    bench.hear(Event::ConfigurationRead { by: "SIGHUP".into(), users: 4, changes: Box::default() });
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
