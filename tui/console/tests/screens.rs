//! Every view at the sizes it was designed for, as it looks.

use cordboard::{
    control::{Control, Order},
    events::{Event, SessionEnd},
};
use crossterm::event::KeyCode;

use super::{
    fixture::{Bench, NOW, at, billing_7, narrower, topic},
    forbidding::copy,
};
use crate::console::{msg::Msg, state::geometry::inside, theme::Theme};

pub(super) fn shot(name: &str, bench: &Bench) {
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path("../snapshots");
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| insta::assert_snapshot!(name, bench.screen()));
}

/// The digit that opens a view, and its name.
const VIEWS: [(char, &str); 8] = [
    ('1', "overview"),
    ('2', "sessions"),
    ('3', "listeners"),
    ('4', "topics"),
    ('5', "dead_letters"),
    ('6', "actors"),
    ('7', "events"),
    ('8', "audit"),
];

pub(super) fn view(mut bench: Bench, digit: char) -> Bench {
    bench.type_(&digit.to_string());
    bench
}

#[test]
fn every_view_on_a_bad_night() {
    for (digit, name) in VIEWS {
        for size in [(80, 24), (120, 36), (200, 50)] {
            shot(&format!("{name}_{}x{}", size.0, size.1), &view(Bench::busy(size), digit));
        }
    }
}

#[test]
fn every_view_of_a_broker_that_nobody_uses() {
    for (digit, name) in VIEWS {
        shot(&format!("{name}_empty_80x24"), &view(Bench::empty((80, 24)), digit));
    }
    shot("overview_empty_120x36", &Bench::empty((120, 36)));
    shot("overview_silent_80x24", &Bench::silent((80, 24)));
}

#[test]
fn the_pages_of_a_session_and_a_topic() {
    for size in [(80, 24), (120, 36)] {
        let mut bench = view(Bench::busy(size), '2');
        bench.press(KeyCode::Enter);
        shot(&format!("session_page_{}x{}", size.0, size.1), &bench);
        let mut bench = view(Bench::busy(size), '4');
        bench.press(KeyCode::Enter);
        shot(&format!("topic_page_{}x{}", size.0, size.1), &bench);
        bench.press(KeyCode::Enter);
        shot(&format!("subscription_page_{}x{}", size.0, size.1), &bench);
    }
}

#[test]
fn the_question_before_an_order_shows_its_price() {
    for size in [(80, 24), (120, 36)] {
        let mut bench = view(Bench::busy(size), '2');
        bench.type_("x");
        bench.press(KeyCode::Tab);
        bench.type_("OPS-114 stuck consumer");
        shot(&format!("evict_{}x{}", size.0, size.1), &bench);
    }
    let mut bench = view(Bench::busy((80, 24)), '2');
    bench.type_("jx");
    shot("evict_nothing_to_lose_80x24", &bench);
    let mut bench = view(Bench::busy((80, 24)), '4');
    bench.type_("x");
    shot("kill_80x24", &bench);
    let mut bench = view(Bench::busy((80, 24)), '5');
    bench.type_("P");
    shot("purge_80x24", &bench);
}

#[test]
fn the_question_before_a_reload_says_what_changes() {
    for size in [(80, 24), (120, 36)] {
        let mut bench = Bench::busy(size);
        bench.type_("L");
        bench.tell(Msg::Previewed(Ok(narrower())));
        shot(&format!("reload_{}x{}", size.0, size.1), &bench);
    }
}

#[test]
fn what_is_forbidden_and_what_waits() {
    for size in [(80, 24), (200, 50)] {
        let mut bench = view(Bench::busy(size), '4');
        bench.type_("B");
        shot(&format!("forbid_{}x{}", size.0, size.1), &bench);
        bench.press(KeyCode::Esc);
        bench.hear(Event::TopicForbidden { topic: topic("orders/eu"), by: "ana".into(), why: "OPS-9 floods".into() });
        bench.hear(Event::PrincipalForbidden { principal: "mallory".parse().unwrap(), by: "bob".into(), why: String::new() });
        let order = Order::new("ana", Control::EvictSession { session: billing_7() });
        bench.hear(Event::OrderDelayed { number: 1, order: order.into(), due: at(NOW + 4) });
        let bench = view(bench, '2');
        shot(&format!("waiting_{}x{}", size.0, size.1), &bench);
        shot(&format!("forbidden_{}x{}", size.0, size.1), &view(bench, 'F'));
    }
}

#[test]
fn a_look_into_a_queue() {
    for size in [(80, 24), (200, 50)] {
        let mut bench = view(Bench::busy(size), '5');
        bench.type_("i");
        bench.tell(Msg::Outcome { ticket: 0, outcome: copy() });
        shot(&format!("peek_{}x{}", size.0, size.1), &bench);
        bench.type_("j");
        shot(&format!("peek_bytes_{}x{}", size.0, size.1), &bench);
    }
}

#[test]
fn the_question_before_leaving() {
    for size in [(80, 24), (120, 36)] {
        let mut bench = Bench::busy(size);
        bench.type_("q");
        shot(&format!("quit_{}x{}", size.0, size.1), &bench);
        bench.type_("r");
        shot(&format!("drain_{}x{}", size.0, size.1), &bench);
        bench.press(KeyCode::Esc);
        bench.type_("qs");
        shot(&format!("shutdown_{}x{}", size.0, size.1), &bench);
    }
}

#[test]
fn the_help_shows_this_view_first_and_can_be_searched() {
    for size in [(80, 24), (120, 36)] {
        let mut bench = view(Bench::busy(size), '2');
        bench.type_("?");
        shot(&format!("help_{}x{}", size.0, size.1), &bench);
    }
    let mut bench = view(Bench::busy((80, 24)), '2');
    bench.type_("?reclaim");
    shot("help_search_80x24", &bench);
}

#[test]
fn the_menus_and_the_filter_line() {
    let mut bench = view(Bench::busy((80, 24)), '2');
    bench.type_("s");
    shot("sort_80x24", &bench);
    let mut bench = view(Bench::busy((80, 24)), '2');
    bench.type_("/state:detached dlq>100 size>3");
    bench.settle();
    shot("filter_80x24", &bench);
    bench.press(KeyCode::Enter);
    shot("filtered_80x24", &bench);
}

#[test]
fn a_paused_screen_says_what_it_holds_back() {
    let mut bench = view(Bench::busy((80, 24)), '2');
    bench.type_("p");
    for _ in 0..1_200 {
        bench.holds(&[]);
    }
    bench.tick(at(NOW + 5));
    shot("paused_80x24", &bench);
}

#[test]
fn a_broker_in_trouble_says_so_on_every_screen() {
    use cordboard::{Board, events::Event};
    let mut bench = Bench::empty((80, 24));
    bench.hear(Event::Accepting { on: false });
    bench.tell(crate::console::msg::Msg::ReadOnly(true));
    let board: Board = bench.state.live.board.clone();
    let news = crate::console::msg::News { resync: Some((board, 1_204)), lag: 12, ..Default::default() };
    bench.tell(crate::console::msg::Msg::News(news));
    bench.type_("2");
    bench.tick(at(NOW + 1));
    shot("trouble_80x24", &bench);
    bench.hear(Event::Draining { deadline: at(NOW + 9), ends: false });
    bench.tick(at(NOW + 2));
    shot("draining_80x24", &bench);
}

/// Selection and alarms must be there without colour, and lines without Unicode.
#[test]
fn without_colour_and_without_unicode_nothing_is_missing() {
    let mut bench = view(Bench::busy((80, 24)), '2');
    bench.state.theme = Theme { colour: false, ascii: false };
    let frame = bench.frame();
    let colours: Vec<_> = frame.content().iter().filter(|cell| cell.fg != ratatui::style::Color::Reset).collect();
    assert!(colours.is_empty(), "{colours:?}");
    let text = super::fixture::lines(&frame);
    bench.state.theme.colour = true;
    assert_eq!(text, bench.screen());
    let mut bench = view(Bench::busy((120, 36)), '1');
    bench.state.theme = Theme { colour: false, ascii: true };
    assert!(bench.screen().is_ascii(), "{}", bench.screen());
    shot("overview_ascii_120x36", &bench);
    for (digit, name) in VIEWS {
        let mut bench = view(Bench::busy((80, 24)), digit);
        bench.state.theme = Theme { colour: false, ascii: true };
        bench.hear(Event::TopicCreated { topic: topic("straße/漢字"), by: "é".parse().unwrap() });
        bench.settle();
        assert!(bench.screen().is_ascii(), "{}", bench.screen());
        shot(&format!("{name}_ascii_80x24"), &bench);
    }
    let mut bench = Bench::busy((40, 10));
    bench.state.theme = Theme { colour: false, ascii: true };
    assert!(bench.screen().is_ascii(), "{}", bench.screen());
}

#[test]
fn the_styles_say_what_the_letters_say() {
    let bench = view(Bench::busy((80, 24)), '2');
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path("../snapshots");
    settings.set_prepend_module_to_snapshot(false);
    settings.bind(|| insta::assert_debug_snapshot!("sessions_styles_80x24", bench.frame()));
}

#[test]
fn small_screens_say_what_fits() {
    for size in [(59, 15), (40, 10), (39, 10), (20, 3)] {
        shot(&format!("compact_{}x{}", size.0, size.1), &Bench::busy(size));
    }
    shot("compact_empty_40x10", &Bench::empty((40, 10)));
    let mut bench = Bench::busy((40, 10));
    bench.type_("q");
    shot("compact_quit_40x10", &bench);
    bench.type_("s");
    shot("shutdown_40x10", &bench);
    let mut bench = view(Bench::busy((80, 24)), '2');
    bench.type_("s");
    bench.tell(Msg::Resize(40, 10));
    shot("compact_covered_40x10", &bench);
}

/// Every size down to a single cell, whatever stands before the view.
#[test]
fn no_size_is_too_small_to_be_survived() {
    for keys in ["1", "1z", "2", "2x", "2/a", "5", "6", "7", "8", "q", "?", "F"] {
        for size in
            [(1, 1), (2, 1), (1, 2), (3, 3), (39, 9), (40, 10), (60, 14), (59, 50), (60, 15), (160, 15), (60, 40), (160, 40)]
        {
            let mut bench = Bench::busy((80, 24));
            bench.type_(keys);
            bench.tell(Msg::Resize(size.0, size.1));
            bench.settle();
            let screen = bench.screen();
            assert_eq!(screen.lines().count(), usize::from(size.1), "{size:?} {keys}");
        }
    }
}

#[test]
fn the_cockpit_shows_everything_side_by_side() {
    for size in [(160, 40), (200, 50)] {
        let bench = Bench::busy(size);
        shot(&format!("cockpit_{}x{}", size.0, size.1), &bench);
        let mut bench = bench;
        bench.press(KeyCode::BackTab);
        bench.press(KeyCode::BackTab);
        bench.press(KeyCode::BackTab);
        shot(&format!("cockpit_topics_{}x{}", size.0, size.1), &bench);
        bench.type_("d");
        bench.type_("/orders");
        bench.settle();
        shot(&format!("cockpit_filter_{}x{}", size.0, size.1), &bench);
    }
    shot("cockpit_empty_160x40", &Bench::empty((160, 40)));
    let mut bench = Bench::busy((160, 40));
    bench.state.theme = Theme { colour: false, ascii: true };
    assert!(bench.screen().is_ascii());
    shot("cockpit_ascii_160x40", &bench);
    bench.press(KeyCode::Tab);
    bench.press(KeyCode::Tab);
    bench.type_("z");
    bench.settle();
    shot("cockpit_zoomed_ascii_160x40", &bench);
}

/// On the smallest screen of the views a question hides neither which broker this is, nor what can be answered; of what it
/// costs it shows what there is room for, and says how much it does not show.
#[test]
fn a_question_on_a_narrow_screen_can_be_read_and_answered() {
    for (digit, keys) in [('2', "x"), ('2', "B"), ('4', "x"), ('4', "B"), ('5', "P"), ('1', "qs"), ('1', "qr"), ('1', "A")] {
        let mut bench = view(Bench::busy((60, 15)), digit);
        bench.type_(keys);
        let mut wanted = vec!["prod-eu1", "14:22:07Z", "TARGET", "[ Cancel ]"];
        if bench.screen().contains("type that") {
            bench.type_("EVICT");
            wanted.extend(["Reason", "To confirm", "Options", "nothing is typed here: Tab to a field"]);
        }
        for word in wanted {
            assert!(bench.screen().contains(word), "{digit}{keys} has no {word}:\n{}", bench.screen());
        }
    }
    let mut bench = view(Bench::busy((60, 15)), '2');
    bench.type_("x");
    shot("evict_60x15", &bench);
    let mut bench = view(Bench::busy((60, 15)), '4');
    bench.type_("B");
    shot("forbid_60x15", &bench);
    let mut bench = view(Bench::busy((60, 15)), '1');
    bench.type_("q");
    shot("quit_60x15", &bench);
}

/// The column that a list is sorted by at first is what it is looked at for: others go before it does. A row that has ended
/// says why, whatever column that would begin in.
#[test]
fn a_narrow_list_keeps_what_it_is_sorted_by() {
    for (digit, name, title) in [('2', "sessions", "RECLAIM"), ('4', "topics", "HELD"), ('5', "dead_letters", "DLQ")] {
        for width in 60..=80 {
            let bench = view(Bench::busy((width, 15)), digit);
            let titles = bench.screen().lines().nth(3).unwrap().to_owned();
            assert!(titles.contains(title) && !titles.ends_with('…'), "{width}: {titles}");
        }
        shot(&format!("{name}_60x15"), &view(Bench::busy((60, 15)), digit));
    }
    let mut bench = view(Bench::busy((60, 15)), '2');
    bench.ends(billing_7(), SessionEnd::Reclaimed);
    bench.settle();
    assert!(bench.screen().contains("9f3c..e1a2 billing-7   reclaimed, "), "{}", bench.screen());
}

/// Where the overview is low or narrow its figures take one line: what needs attention and what is reclaimed next have rows,
/// no figure is cut, and what stands at the right of the views does not touch them.
#[test]
fn a_small_overview_is_not_blind() {
    for (width, height) in [(60, 15), (60, 24), (75, 20), (80, 15), (80, 20), (80, 21), (120, 15), (160, 15)] {
        let bench = Bench::busy((width, height));
        let screen = bench.screen();
        let panes = bench.state.geometry().unwrap().panes(true);
        assert!(inside(panes.needs) >= 3 && inside(panes.reclaim) >= 3, "{width}x{height}: {screen}");
        assert!(screen.contains("DLQ") && screen.contains("9,703") && screen.contains("11,658"), "{width}x{height}: {screen}");
        assert!(screen.contains("9f3c..e1a2  billing-7"), "{width}x{height}: {screen}");
    }
    for digit in ["1", "7", "8"] {
        for width in 60..100 {
            let mut bench = Bench::empty((width, 15));
            bench.type_(digit);
            let second = |bench: &Bench| bench.screen().lines().nth(1).unwrap().to_owned();
            let line = second(&bench);
            assert!(!line.contains("no users") || line.contains("  no users"), "{line}");
            bench.hear(Event::Draining { deadline: at(NOW + 9), ends: true });
            let line = second(&bench);
            assert!(line.contains("  STOP"), "{line}");
        }
    }
    shot("overview_60x15", &Bench::busy((60, 15)));
    shot("overview_60x26", &Bench::busy((60, 26)));
    shot("overview_80x20", &Bench::busy((80, 20)));
    shot("overview_empty_60x15", &Bench::empty((60, 15)));
}

/// Whoever looks over the operator's shoulder must not take it for the real thing.
#[test]
fn a_demo_says_so_on_every_screen() {
    let demo = |size| {
        let mut bench = Bench::busy(size);
        bench.state.demo = true;
        bench
    };
    let says_so = |bench: &Bench| bench.screen().lines().next().unwrap().contains("DEMO");
    for size in [(60, 15), (80, 24), (120, 36), (200, 50), (59, 15), (40, 10), (20, 3), (8, 1)] {
        for keys in ["1", "2", "4", "5", "7", "2p", "2x", "1q", "2?", "1F", "2/a"] {
            let mut bench = demo(size);
            bench.type_(keys);
            bench.tick(at(NOW + 5));
            assert!(says_so(&bench), "{size:?} {keys}:\n{}", bench.screen());
        }
    }
    assert!(!says_so(&Bench::busy((80, 24))));
    shot("demo_80x24", &demo((80, 24)));
    shot("demo_200x50", &view(demo((200, 50)), '2'));
    shot("demo_compact_40x10", &demo((40, 10)));
}
