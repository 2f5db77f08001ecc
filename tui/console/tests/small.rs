//! Small screens: what must be readable and answerable on them all the same.

use cordboard::{control::Control, events::Event};
use crossterm::event::KeyCode;

use super::{
    fixture::{Bench, NOW, at, billing_7, narrower, topic},
    screens::{shot, view},
};
use crate::console::{
    msg::{Effect, Msg},
    state::{Modal, question::Question, subject::Subject},
};

/// Every question there is, by the view and the keys that ask it.
const QUESTIONS: [(char, &str); 10] =
    [('2', "x"), ('2', "B"), ('3', "jjjD"), ('4', "x"), ('4', "B"), ('5', "P"), ('5', "R"), ('1', "qs"), ('1', "qr"), ('1', "A")];

/// The question on a screen of that size: asked where there are views, and then the screen is another.
fn asked((digit, keys): (char, &str), size: (u16, u16)) -> Bench {
    let mut bench = view(Bench::busy((160, 40)), digit);
    bench.type_(keys);
    bench.tell(Msg::Resize(size.0, size.1));
    assert!(matches!(bench.state.modal, Modal::Dialog(_)), "{digit}{keys} asks nothing:\n{}", bench.screen());
    bench
}

fn words(screen: &str) -> Vec<String> {
    let text = screen.replace(['│', '─', '┌', '└', '┐', '┘'], " ");
    text.split_whitespace().map(str::to_owned).collect()
}

/// What does not fit is scrolled to: every word that a large screen shows is somewhere, and the screen says how to get there.
#[test]
fn a_question_can_be_read_to_its_end() {
    for question in QUESTIONS {
        let Modal::Dialog(dialog) = asked(question, (160, 40)).state.modal else { panic!("{question:?}") };
        for size in [(60, 15), (40, 10)] {
            let whole = Question::of(&dialog, (size.0, 40));
            assert_eq!(whole.shown, 0..whole.facts.len(), "it is all there where there are lines enough");
            let mut bench = asked(question, size);
            let mut seen = Vec::new();
            for _ in 0..whole.facts.len() {
                let screen = bench.screen();
                for always in ["prod-eu1", "[ Cancel ]"] {
                    assert!(screen.contains(always), "{question:?} {size:?} has no {always}:\n{screen}");
                }
                assert!(!screen.contains('…'), "{question:?} {size:?} is cut:\n{screen}");
                seen.extend(words(&screen));
                if screen.contains("below") {
                    assert!(screen.contains("Down"), "{screen}");
                    bench.press(KeyCode::Down);
                }
            }
            for line in &whole.facts {
                for word in words(&format!("{line:?}").replace(['"', '(', ')', ','], " ")).iter().filter(|word| word.len() > 12) {
                    let told = seen.iter().any(|seen| seen.contains(word.as_str()));
                    assert!(told || word.contains("Unchanged"), "{question:?} {size:?} never shows {word}: {seen:?}");
                }
            }
        }
    }
}

/// Scrolling stops at both ends: the way back is as long as the way there.
#[test]
fn a_question_scrolls_no_further_than_it_is_long() {
    let mut bench = asked(('2', "B"), (40, 10));
    let first = bench.screen();
    for _ in 0..50 {
        bench.press(KeyCode::PageDown);
    }
    assert!(bench.screen().contains("above: Up") && !bench.screen().contains("below"), "{}", bench.screen());
    let last = bench.screen();
    bench.press(KeyCode::Up);
    assert_ne!(bench.screen(), last);
    for _ in 0..50 {
        bench.press(KeyCode::Up);
    }
    assert_eq!(bench.screen(), first);
}

/// On the smallest screen of all a drain is typed, confirmed, and said to be on its way.
#[test]
fn a_drain_is_confirmed_on_a_compact_screen() {
    let mut bench = Bench::busy((40, 10));
    bench.type_("qr");
    bench.tick(at(NOW + 1));
    shot("drain_40x10", &bench);
    assert_eq!(bench.type_("y"), []);
    assert_eq!(bench.press(KeyCode::Enter), [], "Cancel has the focus");
    bench.type_("qr");
    bench.press(KeyCode::Tab);
    bench.type_("night shift");
    bench.press(KeyCode::Tab);
    bench.type_("DRAIN");
    assert!(bench.screen().contains("[DRAIN__"), "{}", bench.screen());
    let effects = bench.press(KeyCode::Enter);
    let [Effect::Order(_, order)] = &effects[..] else { panic!("{effects:?}\n{}", bench.screen()) };
    assert_eq!((&order.control, order.reason.as_str()), (&Control::Drain, "night shift"));
}

/// Whoever could drain it there can take clients in again there.
#[test]
fn a_compact_screen_accepts_again() {
    let mut bench = Bench::busy((40, 10));
    bench.hear(Event::Accepting { on: false });
    assert!(bench.screen().contains("A accepts again"), "{}", bench.screen());
    let effects = bench.type_("A");
    let [Effect::Order(_, order)] = &effects[..] else { panic!("{effects:?}") };
    assert_eq!(order.control, Control::Accept { on: true });
}

/// An order that waits is shown counting down and can be stopped where there are no views, too.
#[test]
fn an_order_that_waits_can_be_stopped_on_a_compact_screen() {
    let mut bench = Bench::busy((40, 10));
    let order = cordboard::control::Order { delay_ms: 5_000, ..cordboard::control::Order::new("ana", Control::Shutdown) };
    bench.hear(Event::OrderDelayed { number: 5, order: order.into(), due: at(NOW + 5) });
    assert!(bench.screen().contains("u stops it"), "{}", bench.screen());
    let effects = bench.type_("u");
    let [Effect::Order(_, order)] = &effects[..] else { panic!("{effects:?}") };
    assert_eq!(order.control, Control::Cancel { number: 5 });
}

/// Each field comes into sight with the focus, and what must be typed stands above where it is typed.
#[test]
fn a_long_name_can_be_typed_on_a_small_screen() {
    let long = format!("{}/end", "x".repeat(200));
    for size in [(60, 15), (40, 10)] {
        let mut bench = Bench::busy((160, 40));
        bench.hear(Event::TopicCreated { topic: topic(&long), by: "svc".parse().unwrap() });
        bench.type_("4/end");
        bench.settle();
        bench.press(KeyCode::Enter);
        bench.type_("x");
        bench.tell(Msg::Resize(size.0, size.1));
        bench.press(KeyCode::Tab);
        assert!(bench.screen().contains("Reason"), "{}", bench.screen());
        bench.press(KeyCode::Tab);
        assert!(bench.screen().contains("type that") && bench.screen().contains("[ Cancel ]"), "{}", bench.screen());
        bench.type_(&long);
        let effects = bench.press(KeyCode::Enter);
        let [Effect::Order(_, order)] = &effects[..] else { panic!("{effects:?}\n{}", bench.screen()) };
        assert_eq!(order.control, Control::KillTopic { topic: topic(&long) });
    }
}

/// Anybody may connect: no size, no view and no other warning hides that.
#[test]
fn that_there_are_no_users_is_said_at_every_size() {
    for size in [(40, 10), (59, 14), (60, 15), (64, 20), (72, 15), (80, 24), (100, 24), (160, 40), (200, 50), (20, 4)] {
        for digit in '1'..='8' {
            let mut bench = Bench::empty(size);
            bench.type_(&digit.to_string());
            assert!(bench.screen().contains("no users"), "{size:?} {digit}:\n{}", bench.screen());
            bench.hear(Event::Draining { deadline: at(NOW + 9), ends: true });
            let name = "p".parse().unwrap();
            bench.hear(Event::PrincipalForbidden { principal: name, by: "ana".into(), why: String::new() });
            assert!(
                bench.screen().contains("no users") && bench.screen().contains("STOP"),
                "{size:?} {digit}:\n{}",
                bench.screen()
            );
        }
    }
}

#[test]
fn the_small_screens_as_they_are() {
    for (question, name) in [(('2', "B"), "forbid_user"), (('4', "x"), "kill"), (('5', "P"), "purge"), (('1', "A"), "accepting")]
    {
        shot(&format!("{name}_60x15"), &asked(question, (60, 15)));
        shot(&format!("{name}_40x10"), &asked(question, (40, 10)));
    }
    let mut bench = Bench::busy((60, 15));
    bench.tell(Msg::Previewed(Ok(narrower())));
    shot("reload_60x15", &bench);
    for digit in ['3', '6', '7', '8'] {
        shot(&format!("rooms_{digit}_60x15"), &view(super::rooms::rooms((60, 15)), digit));
    }
    let mut bench = view(Bench::busy((60, 15)), '2');
    bench.state.select(&Subject::Session(billing_7()));
    bench.settle();
    bench.press(KeyCode::Enter);
    shot("session_page_60x15", &bench);
}
