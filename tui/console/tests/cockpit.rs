//! Layouts: the cockpit's panes have the keys of the views they come from, and a screen that is too small does nothing unseen.

use crossterm::event::KeyCode;

use super::fixture::Bench;
use crate::console::{
    msg::{Effect, Msg},
    state::{Modal, Pane, View, Zoom, deed::Deed, list::AnyList as _, subject::Subject},
};

const ROUND: [Pane; 6] = [Pane::Needs, Pane::Reclaim, Pane::Sessions, Pane::Topics, Pane::Actors, Pane::Events];

fn cockpit() -> Bench {
    let mut bench = Bench::busy((200, 50));
    bench.settle();
    bench
}

fn in_pane(pane: Pane) -> Bench {
    let mut bench = cockpit();
    for _ in 0..ROUND.iter().position(|other| *other == pane).unwrap() {
        bench.press(KeyCode::Tab);
    }
    assert_eq!(bench.state.pane, pane);
    bench
}

#[test]
fn tab_goes_round_the_panes_and_back() {
    let mut bench = cockpit();
    for pane in ROUND.iter().cycle().skip(1).take(7) {
        bench.press(KeyCode::Tab);
        assert_eq!(bench.state.pane, *pane);
    }
    for pane in [Pane::Needs, Pane::Events, Pane::Actors] {
        bench.press(KeyCode::BackTab);
        assert_eq!(bench.state.pane, pane);
    }
}

/// Small overviews have two of them.
#[test]
fn a_pane_that_is_no_longer_there_gives_the_keys_back() {
    let mut bench = in_pane(Pane::Topics);
    bench.tell(Msg::Resize(120, 36));
    assert_eq!(bench.state.pane, Pane::Needs);
    bench.press(KeyCode::Tab);
    assert_eq!(bench.state.pane, Pane::Reclaim);
    bench.press(KeyCode::Tab);
    assert_eq!(bench.state.pane, Pane::Needs);
}

#[test]
fn each_pane_obeys_the_keys_of_its_own_list() {
    let mut bench = in_pane(Pane::Sessions);
    bench.type_("s");
    assert!(matches!(bench.state.modal, Modal::Sort(0)));
    bench.press(KeyCode::Esc);
    bench.type_("jx");
    let Modal::Dialog(dialog) = &bench.state.modal else { panic!("no question") };
    let under_cursor = *bench.state.sessions.cursor().unwrap();
    assert!(matches!(&dialog.deed, Deed::Evict(id) if *id == under_cursor), "{:?}", dialog.deed);

    let mut bench = in_pane(Pane::Topics);
    bench.type_("x");
    let Modal::Dialog(dialog) = &bench.state.modal else { panic!("no question") };
    assert!(matches!(&dialog.deed, Deed::Kill(topic) if Some(topic) == bench.state.topics.cursor()), "{:?}", dialog.deed);
    bench.press(KeyCode::Esc);
    bench.type_("/audit");
    bench.settle();
    assert_eq!((bench.state.topics.order().len(), bench.state.sessions.filter().text()), (1, ""));
    bench.press(KeyCode::Enter);
    bench.press(KeyCode::Esc);
    bench.settle();
    assert_eq!(bench.state.topics.order().len(), 5);

    let mut bench = in_pane(Pane::Actors);
    let troubled = bench.state.troubled.order().len();
    bench.type_("!");
    bench.settle();
    assert!(bench.state.troubled.order().len() > troubled);
    assert!(!bench.state.actors.lens().problems, "the view is as it was");

    let mut bench = in_pane(Pane::Events);
    bench.type_("k");
    assert!(!bench.state.events.follows());
    bench.type_("G");
    assert!(bench.state.events.follows());
}

#[test]
fn the_detail_is_that_of_the_pane_with_the_keys() {
    let bench = in_pane(Pane::Topics);
    assert!(bench.screen().contains("orders/eu ──"), "{}", bench.screen());
    let bench = in_pane(Pane::Sessions);
    assert!(bench.screen().contains("9f3c..e1a2 billing-7 ──"), "{}", bench.screen());
}

/// Other rows may come and go while another pane has the keys.
#[test]
fn a_cursor_stays_where_it_was_put() {
    let mut bench = in_pane(Pane::Sessions);
    bench.type_("jj");
    let chosen = *bench.state.sessions.cursor().unwrap();
    bench.press(KeyCode::Tab);
    bench.type_("S");
    bench.settle();
    assert_eq!(bench.state.sessions.cursor(), Some(&chosen));
}

#[test]
fn a_pane_is_opened_over_everything_and_closed_again() {
    let mut bench = in_pane(Pane::Sessions);
    bench.type_("z");
    bench.settle();
    assert!(bench.screen().contains("z back") && !bench.screen().contains("Actors in trouble"), "{}", bench.screen());
    bench.press(KeyCode::Enter);
    assert!(matches!(bench.state.pages.last().unwrap().subject, Subject::Session(_)));
    bench.press(KeyCode::Esc);
    assert!(bench.state.zoom == Zoom::In && bench.state.pages.is_empty());
    bench.press(KeyCode::Esc);
    assert!(bench.state.zoom == Zoom::Out && bench.state.view == View::Overview);
    assert!(bench.screen().contains("Actors in trouble"));
    let mut bench = Bench::busy((80, 24));
    bench.type_("z");
    bench.settle();
    assert!(!bench.screen().contains("Next to be reclaimed"), "{}", bench.screen());
}

/// Whoever cannot see the question cannot have answered it.
#[test]
fn a_question_that_is_covered_is_only_cancelled() {
    let mut bench = Bench::busy((80, 24));
    bench.type_("2x");
    bench.tell(Msg::Resize(39, 10));
    let given: Vec<Effect> = bench.type_("EVICT 1y");
    let pressed = bench.press(KeyCode::Enter);
    assert!(given.is_empty() && pressed.is_empty());
    bench.tell(Msg::Resize(80, 24));
    let Modal::Dialog(dialog) = &mut bench.state.modal else { panic!("the question is gone") };
    assert!(dialog.input().is_none_or(|input| input.value().is_empty()));
    bench.tell(Msg::Resize(39, 10));
    bench.press(KeyCode::Esc);
    assert!(matches!(bench.state.modal, Modal::None));
    bench.type_("2x");
    assert!(matches!(bench.state.modal, Modal::None) && bench.state.view == View::Sessions, "nothing is under a cursor here");
}

/// Nobody looks at the lists of a view that is not there: the loop is not to be woken for them.
#[test]
fn a_compact_screen_is_not_always_due() {
    for keys in ["1", "2", "6"] {
        let mut bench = Bench::busy((40, 10));
        bench.state.view = View::Sessions;
        bench.type_(keys);
        bench.settle();
        assert!(bench.state.due().is_none_or(|due| due > bench.state.clock.up), "{keys}");
    }
}
