//! Keys: what they move, what they freeze, and what they never do.

use cordboard::{
    control::Control,
    events::{Event, SessionEnd},
};
use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use proptest::prelude::*;

use super::fixture::{Bench, NOW, at, billing_3, billing_7, edge_cam_3, id, topic};
use crate::console::{
    msg::{Effect, Leave, Msg},
    state::{Modal, View, list::AnyList as _, subject::Subject},
};

fn on_sessions() -> Bench {
    let mut bench = Bench::busy((80, 24));
    bench.type_("2");
    bench
}

#[test]
fn digits_tab_and_dash_go_from_view_to_view() {
    let mut bench = Bench::busy((80, 24));
    for (view, digit, ..) in View::ALL {
        bench.type_(&digit.to_string());
        assert_eq!(bench.state.view, view);
    }
    for (view, ..) in View::ALL.iter().rev().skip(1) {
        bench.type_("-");
        assert_eq!(bench.state.view, *view);
    }
    for digit in ["-", "9", "0"] {
        bench.type_(digit);
        assert_eq!(bench.state.view, View::Overview);
    }
}

/// The row under the cursor may go to the other end of the list; the cursor goes with it.
#[test]
fn the_cursor_keeps_its_id_while_rows_move() {
    let mut bench = on_sessions();
    bench.settle();
    assert_eq!(bench.state.sessions.order()[0], billing_7());
    assert_eq!(bench.state.sessions.cursor(), Some(&billing_7()));
    bench.returns(billing_7());
    bench.settle();
    assert_ne!(bench.state.sessions.order()[0], billing_7());
    assert_eq!(bench.state.sessions.cursor(), Some(&billing_7()));
    assert_eq!(bench.state.subject(), Some(Subject::Session(billing_7())));
}

#[test]
fn a_move_stops_at_both_ends() {
    let mut bench = on_sessions();
    bench.type_("k");
    assert_eq!(bench.state.sessions.cursor(), bench.state.sessions.order().first());
    bench.type_("Gj");
    assert_eq!(bench.state.sessions.cursor(), bench.state.sessions.order().last());
    bench.type_("g");
    assert_eq!(bench.state.sessions.cursor(), bench.state.sessions.order().first());
}

/// Dead rows stay about five seconds, struck out, with the reason; then the cursor goes to the next row.
#[test]
fn a_row_that_ended_stays_for_five_seconds() {
    let mut bench = on_sessions();
    bench.ends(billing_7(), SessionEnd::Reclaimed);
    bench.settle();
    assert!(bench.screen().contains("reclaimed, 2s ago, 1,242 messages lost"), "{}", bench.screen());
    assert_eq!(bench.state.sessions.cursor(), Some(&billing_7()));
    bench.tick(at(NOW + 4));
    assert!(bench.state.sessions.order().contains(&billing_7()));
    bench.tick(at(NOW + 5));
    bench.settle();
    assert!(!bench.state.sessions.order().contains(&billing_7()));
    assert_eq!(bench.state.sessions.cursor(), Some(&edge_cam_3()));
}

/// Pausing must freeze the rows' expiry and the clock as well as the rows (a tool that did not was no use).
#[test]
fn pause_freezes_the_screen_its_clock_and_the_life_of_its_rows() {
    let mut bench = on_sessions();
    bench.type_("p");
    let before = bench.screen();
    bench.ends(billing_7(), SessionEnd::Reclaimed);
    bench.hear(Event::Accepting { on: false });
    bench.tick(at(NOW + 60));
    bench.tick(at(NOW + 61));
    let after = bench.screen();
    let told: Vec<_> = before.lines().zip(after.lines()).filter(|(a, b)| a != b).collect();
    assert_eq!(told.len(), 1, "{after}");
    assert!(told[0].1.contains("PAUSED +2") && told[0].1.contains("14:22:07Z"), "{}", told[0].1);
    bench.type_("p");
    bench.settle();
    assert!(bench.screen().contains("LIVE") && !bench.state.sessions.order().contains(&billing_7()));
}

/// The console costs nothing while nothing changes.
#[test]
fn a_paused_console_draws_nothing_until_something_is_held_back() {
    let mut bench = on_sessions();
    bench.type_("p");
    bench.state.drawn();
    bench.now = at(NOW + 10);
    bench.tell(Msg::Tick);
    assert!(!bench.state.dirty);
    bench.hear(Event::Accepting { on: false });
    assert!(!bench.state.dirty);
    bench.now = at(NOW + 11);
    bench.tell(Msg::Tick);
    assert!(bench.state.dirty);
}

/// Sorting and filtering a long list for every key would make typing slow exactly when it must not be.
#[test]
fn a_list_is_rebuilt_when_the_board_changed_and_at_most_four_times_a_second() {
    let mut bench = on_sessions();
    bench.settle();
    assert_eq!(bench.state.due(), None);
    bench.leaves(billing_3(), NOW + 10);
    let due = bench.state.due().expect("a list that is no longer so");
    assert!(due.0 > bench.now.up.0 && due.0 <= bench.now.up.0 + 260);
    assert_ne!(bench.state.sessions.order()[0], billing_3());
    bench.now.up.0 = due.0;
    bench.type_("j");
    assert_eq!(bench.state.sessions.order()[0], billing_3());
    assert_eq!(bench.state.due(), None);
}

#[test]
fn a_filter_narrows_while_it_is_typed_and_esc_brings_the_old_one_back() {
    let mut bench = on_sessions();
    let all = bench.state.sessions.order().len();
    bench.type_("/dlq>100");
    bench.press(KeyCode::Enter);
    bench.settle();
    assert_eq!(bench.state.sessions.order(), [billing_7(), id([0xc0, 0xde], [0x91, 0xf0])]);
    bench.type_("/ client~etl");
    bench.settle();
    assert_eq!(bench.state.sessions.order().len(), 1);
    bench.press(KeyCode::Esc);
    bench.settle();
    assert_eq!(bench.state.sessions.order().len(), 2);
    bench.press(KeyCode::Esc);
    bench.settle();
    assert!(bench.state.sessions.order().len() + 1 >= all && bench.state.sessions.filter().is_empty());
}

#[test]
fn enter_leads_from_an_alarm_to_its_object_and_esc_leads_back() {
    let mut bench = Bench::busy((120, 36));
    bench.type_("g");
    let subject = bench.state.subject().expect("an alarm");
    assert!(subject.subscription().is_some());
    bench.press(KeyCode::Enter);
    assert_eq!((bench.state.view, bench.state.subject()), (View::DeadLetters, Some(subject.clone())));
    bench.press(KeyCode::Enter);
    assert!(matches!(bench.state.subject(), Some(Subject::Session(_))));
    bench.press(KeyCode::Esc);
    assert_eq!(bench.state.subject(), Some(subject));
    bench.press(KeyCode::Esc);
    assert!(bench.state.pages.is_empty());
    bench.type_("-");
    assert_eq!(bench.state.view, View::Overview);
}

#[test]
fn events_follow_the_tail_until_someone_scrolls() {
    let mut bench = Bench::busy((80, 24));
    bench.type_("7");
    let newest = |bench: &Bench| bench.state.live.log.entries().last().map(|entry| entry.number());
    assert_eq!(bench.state.events.cursor().copied(), newest(&bench));
    bench.hear(Event::TopicForgotten { topic: topic("hello") });
    bench.settle();
    assert_eq!(bench.state.events.cursor().copied(), newest(&bench));
    bench.type_("k");
    let read = bench.state.events.cursor().copied();
    bench.hear(Event::TopicForgotten { topic: topic("audit/tmp") });
    bench.settle();
    assert_eq!(bench.state.events.cursor().copied(), read);
    bench.type_("G");
    assert_eq!(bench.state.events.cursor().copied(), newest(&bench));
}

#[test]
fn q_asks_and_only_an_answer_leaves() {
    let leave = |keys: &[KeyCode]| {
        let mut bench = Bench::busy((80, 24));
        keys.iter().flat_map(|key| bench.press(*key)).collect::<Vec<_>>()
    };
    let c = KeyCode::Char;
    assert_eq!(leave(&[c('q'), KeyCode::Enter]), []);
    assert_eq!(leave(&[c('q'), KeyCode::Esc]), []);
    assert_eq!(leave(&[c('q'), c('q')]), []);
    assert_eq!(leave(&[c('q'), c('d')]), [Effect::Leave(Leave::Detach)]);
    assert_eq!(leave(&[c('q'), KeyCode::Down, KeyCode::Enter]), [Effect::Leave(Leave::Detach)]);
    assert_eq!(leave(&[c('q'), c('s'), KeyCode::Enter, c('s')]), []);
    let mut bench = Bench::empty((80, 24));
    let control_c = || Msg::Key(KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL));
    bench.tell(control_c());
    assert!(matches!(bench.state.modal, Modal::Quit(0)));
    assert_eq!(bench.tell(control_c()), []);
    let given = bench.type_("qsy");
    assert!(matches!(&given[..], [Effect::Order(_, order)] if order.control == Control::Shutdown), "{given:?}");
}

/// Nobody misses what the demo's clients hold: it is left with two keys, unless somebody real has come.
#[test]
fn a_demo_is_left_without_a_phrase_until_somebody_real_is_there() {
    let mut bench = Bench::empty((80, 24));
    bench.state.demo = true;
    bench.joins(id([1, 1], [1, 1]), "demo-bills", "127.0.0.1:1", &["orders/#"]);
    bench.leaves(id([1, 1], [1, 1]), NOW + 60);
    bench.holds(&[(id([1, 1], [1, 1]), "orders/#", [635, 0, 0, 0])]);
    bench.settle();
    let mut visited = bench.clone();
    bench.type_("q");
    assert!(bench.screen().contains("nobody but the demo loses anything: done at once"), "{}", bench.screen());
    super::screens::shot("quit_demo_80x24", &bench);
    let given = bench.type_("s");
    let [Effect::Order(_, order)] = &given[..] else { panic!("{given:?}") };
    assert_eq!((&order.control, order.delay_ms), (&Control::Shutdown, 0));
    assert_eq!(bench.type_("qs"), [], "it is under way already");

    visited.joins(billing_7(), "billing-7", "127.0.0.1:2", &[]);
    assert_eq!(visited.type_("qs"), []);
    assert!(visited.screen().contains("SHUT DOWN") && visited.screen().contains("type that"), "{}", visited.screen());
    // A client may call itself what it likes: without a demo that is no reason to end it.
    let mut real = Bench::empty((80, 24));
    real.joins(id([1, 1], [1, 1]), "demo-bills", "127.0.0.1:1", &["orders/#"]);
    assert_eq!(real.type_("qs"), []);
}

/// A row that has ended is still shown for a moment, and is not counted for it (I8).
#[test]
fn the_count_of_a_list_is_of_what_there_is() {
    let mut bench = on_sessions();
    let there = bench.state.live.board.sessions.len();
    assert!(bench.screen().contains(&format!(" {there} sessions ")), "{}", bench.screen());
    bench.ends(billing_7(), SessionEnd::Reclaimed);
    let screen = bench.screen();
    assert!(screen.contains(&format!(" {} sessions ", there - 1)) && screen.contains("reclaimed"), "{screen}");
}

/// Text pasted by mistake must not be taken for keys: an `x`, a `y` and a line end are in many a text.
#[test]
fn pasted_text_is_never_keys() {
    let mut bench = on_sessions();
    assert_eq!(bench.tell(Msg::Paste("jx\ny\nqd".into())), []);
    assert!(matches!(bench.state.modal, Modal::None));
    bench.type_("/");
    bench.tell(Msg::Paste("state:held\u{1b}\n".into()));
    assert_eq!(bench.state.sessions.filter().text(), "state:held");
}

#[test]
fn y_copies_the_id_in_full() {
    let mut bench = on_sessions();
    assert_eq!(bench.type_("y"), [Effect::Copy(billing_7().to_string())]);
}

/// I7: what a client calls itself cannot draw on the operator's screen.
#[test]
fn hostile_text_is_shown_escaped_and_cut() {
    let mut bench = Bench::busy((80, 24));
    let why = "\u{1b}[2J\u{202e}gnp.exe \u{200b}".repeat(50);
    bench.hear(Event::TopicRestarted { topic: topic("hello"), restarts: 1, why });
    for digit in ["1", "7"] {
        bench.type_(digit);
        bench.settle();
        let screen = bench.screen();
        assert!(!screen.contains(['\u{1b}', '\u{202e}', '\u{200b}']), "{screen}");
    }
    assert!(bench.screen().contains(r"\u{1b}[2J\u{202e}gnp"), "{}", bench.screen());
}

/// A hundred thousand rows scroll as a hundred do: a frame formats the visible slice only, and moving sorts nothing.
#[test]
fn a_long_list_is_a_window() {
    let mut bench = Bench::empty((80, 24));
    for n in 0..2_000_u16 {
        bench.joins(id(n.to_be_bytes(), [0, 1]), "c", "10.0.0.1:1", &[]);
    }
    bench.type_("2");
    bench.settle();
    bench.settle();
    assert_eq!(bench.state.sessions.order().len(), 2_000);
    let rows = bench.state.geometry().unwrap().rows();
    assert_eq!(bench.state.sessions.window(rows).0.len(), rows);
    bench.type_("G");
    let (ids, cursor) = bench.state.sessions.window(rows);
    assert_eq!((ids.last(), cursor), (bench.state.sessions.order().last(), Some(rows - 1)));
}

fn any_key() -> impl Strategy<Value = Msg> {
    let codes = prop_oneof![
        proptest::sample::select("123456789jkhlgGdDsSxHRPABuiFprqyYnN/?-+!:zc \u{7}é漢".chars().collect::<Vec<_>>())
            .prop_map(KeyCode::Char),
        proptest::sample::select(vec![
            KeyCode::Enter,
            KeyCode::Esc,
            KeyCode::Tab,
            KeyCode::BackTab,
            KeyCode::Up,
            KeyCode::Down,
            KeyCode::Left,
            KeyCode::Right,
            KeyCode::PageUp,
            KeyCode::PageDown,
            KeyCode::Home,
            KeyCode::End,
            KeyCode::Backspace,
            KeyCode::Delete,
            KeyCode::F(5),
        ]),
    ];
    let control = prop_oneof![9 => Just(KeyModifiers::NONE), 1 => Just(KeyModifiers::CONTROL)];
    prop_oneof![
        20 => (codes, control).prop_map(|(code, control)| Msg::Key(KeyEvent::new(code, control))),
        3 => (1_u16..210, 1_u16..60).prop_map(|(width, height)| Msg::Resize(width, height)),
        2 => proptest::bool::ANY.prop_map(|_| Msg::Tick),
        1 => "\\PC{0,12}".prop_map(Msg::Paste),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    /// No keys and no sizes make the console panic, and none of them gives an order that was not confirmed.
    #[test]
    fn any_keys_at_any_size_are_survived(msgs in proptest::collection::vec(any_key(), 1..60)) {
        let mut bench = Bench::busy((80, 24));
        let mut second = NOW;
        for msg in msgs {
            second += u64::from(matches!(msg, Msg::Tick));
            bench.now = at(second);
            bench.tell(msg);
            bench.frame();
        }
    }
}

#[test]
fn no_size_is_too_small() {
    for size in [(1, 1), (1, 60), (200, 1), (2, 2), (59, 15), (60, 14), (60, 15), (61, 16)] {
        for keys in ["", "2", "2x", "4x", "q", "?", "2s", "2/abc", "7", "5P", "3", "6!", "8", "8/abc"] {
            let mut bench = Bench::busy(size);
            bench.type_(keys);
            bench.frame();
        }
    }
}

/// A dead row has lost what it held; that it still holds it would be a second truth.
#[test]
fn the_detail_of_a_row_that_ended_says_how_it_ended_and_nothing_of_before() {
    let mut bench = on_sessions();
    bench.ends(billing_7(), SessionEnd::Reclaimed);
    bench.tick(at(NOW + 1));
    let screen = bench.screen();
    for said in ["9f3c..e1a2 billing-7 ─", "14:22:07Z   reclaimed, 1s ago", "1,242 messages: 1,204 queued, 38 poison"] {
        assert!(screen.contains(said), "{said}: {screen}");
    }
    for before in ["waiting ", "peer closed", "/s out", "if ended"] {
        assert!(!screen.contains(before), "{before}: {screen}");
    }
    bench.press(KeyCode::Enter);
    let page = bench.screen();
    assert!(page.contains("Session 9f3c..e1a2 billing-7") && page.contains("its subscriptions ended with it"), "{page}");
}

/// What was typed and means nothing here must not read as if it had been applied.
#[test]
fn a_filter_term_that_is_not_understood_is_told_for_as_long_as_it_stands() {
    let mut bench = on_sessions();
    bench.type_("/size>3");
    bench.press(KeyCode::Enter);
    bench.settle();
    assert!(bench.screen().contains("NOT by size>3: no field size"), "{}", bench.screen());
    assert!(!bench.screen().contains("shown by"), "{}", bench.screen());
    bench.type_("/ client~billing-and-a-very-long-name-that-leaves-no-room-for-anything-else");
    bench.press(KeyCode::Enter);
    bench.settle();
    assert!(bench.screen().contains("NOT by size>3: no field size"), "{}", bench.screen());
}

/// A key that does nothing here says so and where to look, until the next one; what came of an order stays for its time.
#[test]
fn a_key_without_a_meaning_here_says_so_until_the_next() {
    for (view, key, place) in
        [("2", "R", "Sessions"), ("2", "P", "Sessions"), ("2", "i", "Sessions"), ("4", "H", "Topics"), ("4", "D", "Topics")]
    {
        let mut bench = Bench::busy((80, 24));
        bench.type_(view);
        assert_eq!(bench.type_(key), []);
        let said = format!("{key} does nothing in {place}; ? shows the keys");
        assert!(bench.screen().contains(&said), "{}", bench.screen());
        bench.type_("j");
        assert!(!bench.screen().contains("does nothing"), "{}", bench.screen());
    }
    let mut bench = on_sessions();
    bench.press(KeyCode::Tab);
    assert!(bench.screen().contains("Tab does nothing in Sessions"), "{}", bench.screen());
    bench.type_("9");
    assert!(!bench.screen().contains("does nothing"), "it does nothing anywhere: {}", bench.screen());
    bench.press(KeyCode::Enter);
    bench.type_("/");
    assert!(bench.screen().contains("/ does nothing in a session's page"), "{}", bench.screen());
    bench.type_("5R");
    bench.type_("y");
    bench.tell(Msg::Outcome { ticket: 0, outcome: cordboard::control::Outcome::PutBack { messages: 19 } });
    bench.type_("j");
    assert!(bench.screen().contains("19 messages put back"), "{}", bench.screen());
}

#[test]
fn the_compact_screen_says_which_keys_it_has() {
    let mut bench = Bench::busy((40, 10));
    for key in ["?", "x"] {
        bench.type_(key);
        let said = format!("{key} needs 60x15; here: p pause, q quit");
        assert!(bench.screen().contains(&said), "{}", bench.screen());
    }
    let screen = |size| Bench::busy(size).screen();
    assert!(screen((39, 9)).contains("39x9 is too small; 40x10 is enough"), "{}", screen((39, 9)));
    assert!(screen((20, 3)).contains("40x10 is enough"), "{}", screen((20, 3)));
}

/// A message that does not fit its line is folded over the rows above, down to its last word.
#[test]
fn a_long_message_is_read_to_its_end() {
    let why = "cordboard.toml:7: unknown key `queues.max_mesages`; did you mean `queues.max_messages`? see cordboard config";
    for size in [(60, 15), (80, 24)] {
        let mut bench = Bench::busy(size);
        bench.type_("L");
        bench.tell(Msg::Previewed(Err(why.to_owned())));
        let said = bench.screen().replace('\n', " ").split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(said.contains(&format!("not reloaded: {why}")), "{}", bench.screen());
    }
    let mut bench = Bench::busy((60, 15));
    let mut next = cordboard::Config::default();
    next.topics.max = 9;
    let preview = cordboard::reload::Preview::new(&cordboard::Config::default(), &next, 1);
    bench.tell(Msg::Previewed(Ok(Box::new(preview))));
    let said = bench.screen().replace('\n', " ").split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(said.contains("no user, password or right would change; topics.max only after a restart"), "{}", bench.screen());
    let mut bench = Bench::busy((80, 24));
    bench.tell(Msg::Previewed(Err("this broker was started without a configuration file".to_owned())));
    assert!(
        bench.screen().contains("not reloaded: this broker was started without a configuration file - Esc"),
        "{}",
        bench.screen()
    );
}

/// What the end of a session costs is read in full where there is room below it, in the detail and on its page.
#[test]
fn a_fact_that_is_too_long_goes_on_below() {
    for (keys, size) in [("2", (80, 24)), ("2", (200, 50)), ("2\r", (80, 24)), ("2\r", (80, 15))] {
        let mut bench = Bench::busy(size);
        bench.joins(id([1, 2], [3, 4]), "scanner", "10.0.0.9:1", &["scans/a", "scans/b", "scans/c"]);
        for name in ["scans/a", "scans/b", "scans/c"] {
            bench.hear(Event::TopicCreated { topic: topic(name), by: "local".parse().unwrap() });
        }
        bench.leaves(id([1, 2], [3, 4]), NOW + 1);
        bench.settle();
        for key in keys.chars() {
            bench.press(if key == '\r' { KeyCode::Enter } else { KeyCode::Char(key) });
        }
        bench.settle();
        bench.type_("g");
        let screen = bench.screen();
        assert!(screen.contains("if ended  0 lost, 3 subs gone; scans/a, scans/b and 1 more topic"), "{screen}");
        assert!(screen.contains("exact subscriber"), "{screen}");
    }
}

/// Whoever mistypes a field must be able to read which there are: while typing, and afterwards in the help.
#[test]
fn the_fields_of_a_filter_can_be_read_at_every_size() {
    for (size, digit) in [((80, 24), "2"), ((80, 24), "3"), ((80, 24), "4"), ((80, 24), "5"), ((80, 24), "8"), ((60, 15), "2")] {
        let mut bench = Bench::busy(size);
        bench.type_(digit);
        let fields = bench.state.list().fields();
        bench.type_("/");
        if size.0 >= 80 {
            assert!(bench.screen().contains(&format!("fields {}", fields.join(" "))), "{}", bench.screen());
        }
        bench.press(KeyCode::Esc);
        bench.type_("?fields");
        let screen = bench.screen();
        assert!(fields.iter().all(|field| screen.contains(field)), "{fields:?} {screen}");
    }
}

/// No line of the help is cut, however narrow the screen, and its last one can be reached.
#[test]
fn the_help_is_folded_and_ends() {
    for size in [(60, 15), (80, 24), (200, 50)] {
        let mut bench = Bench::busy(size);
        bench.type_("2?");
        assert!(!bench.screen().contains('…'), "{}", bench.screen());
        for _ in 0..100 {
            bench.press(KeyCode::PageDown);
            assert!(!bench.screen().contains('…'), "{}", bench.screen());
        }
        assert!(!bench.screen().contains("more below"), "{}", bench.screen());
        bench.press(KeyCode::Up);
        assert!(bench.screen().contains("1 more below"), "{}", bench.screen());
    }
}

/// Half a term hides nothing while it is typed, and once it stands it says what is missing.
#[test]
fn half_a_filter_term_is_no_mistake_until_it_is_kept() {
    let mut bench = on_sessions();
    bench.type_("/topic~");
    assert!(!bench.screen().contains("nothing follows"), "{}", bench.screen());
    bench.press(KeyCode::Enter);
    bench.settle();
    assert!(bench.screen().contains("NOT by topic~: nothing follows topic~   ? shows how"), "{}", bench.screen());
}

/// An alarm on a limit names it: it is the broker's only for want of a better owner.
#[test]
fn an_alarm_on_a_limit_names_the_limit() {
    let mut bench = Bench::empty((80, 24));
    bench.hear(Event::LimitHit { limit: "topics.max".into(), who: "ana".into(), times: 3 });
    bench.settle();
    assert!(bench.screen().contains("topics.max by ana: 3 times"), "{}", bench.screen());
}

/// Nothing is drained for a subscription that is new.
#[test]
fn a_new_subscription_goes_live_and_one_with_dead_letters_is_drained() {
    let mut bench = Bench::busy((120, 36));
    let held = super::fixture::subscription(billing_7(), "orders/eu");
    let newest = |bench: &Bench| bench.state.live.log.entries().last().map(|entry| entry.name());
    bench.joins(id([1, 2], [3, 4]), "new", "10.0.0.9:1", &["hello"]);
    assert_eq!(newest(&bench), Some("subscription.live"));
    bench.hear(Event::SubscriptionDraining { id: held.clone(), held: 811 });
    bench.hear(Event::SubscriptionDrained { id: held });
    assert_eq!(newest(&bench), Some("subscription.drained"));
}
