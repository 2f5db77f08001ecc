//! The rooms beside sessions and topics: connections, the tree of actors, orders; and the ways from one object to another.

use cordboard::{
    control::{About, Control, Order, OrderRecord, Outcome, Precondition},
    events::{ActorName, Busy, BusyActors, CloseReason, Event, ListenerSample, Lost, Sample, SessionEnd},
    name::{Epoch, ListenerId},
};
use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::{
    fixture::{Bench, NOW, at, billing_3, billing_7, id, subscription, topic},
    screens::{shot, view},
};
use crate::console::{
    msg::{Effect, Msg},
    state::{View, attention::Rule, list::AnyList as _, subject::Subject, tables::actors::Node},
};

/// The connection of billing-3, and of edge-cam-9, as the fixture numbers them; one that has not registered.
const BILLING_3: ListenerId = ListenerId(5);
const EDGE_CAM_9: ListenerId = ListenerId(6);
const STRANGER: ListenerId = ListenerId(99);

fn flows(bench: &mut Bench, id: ListenerId, [bytes_in_rate, bytes_out_rate, outbound_bytes]: [u64; 3]) {
    let listeners = vec![ListenerSample { id, bytes_in_rate, bytes_out_rate, outbound_bytes }];
    bench.hear(Event::from(Sample { listeners, ..Sample::default() }));
}

fn ended(bench: &mut Bench, number: u64, order: Order, outcome: Outcome) {
    let given = at(NOW - 600 + number);
    let row = order.control.session().and_then(|id| bench.state.live.board.sessions.get(&id));
    let about = row.map(|row| About { client: row.client.clone(), principal: row.principal.clone(), peer: row.peer });
    bench.hear(Event::from(OrderRecord { number, order, about, given, ended: given, queued: (11_746, 11_658), outcome }));
}

/// The bad night, and in the other rooms too: connections that are gone or slow, a stranger, failures, orders.
pub(super) fn rooms(size: (u16, u16)) -> Bench {
    let mut bench = Bench::busy(size);
    for gone in [1, 2, 3, 4, 7] {
        bench.hear(Event::ListenerClosed { id: ListenerId(gone), why: CloseReason::PeerClosed });
    }
    bench.tick(at(NOW + 6));
    bench.hear(Event::ListenerOpened { id: STRANGER, peer: "10.0.9.9:33110".parse().unwrap() });
    flows(&mut bench, BILLING_3, [214_000, 652_000, 0]);
    flows(&mut bench, EDGE_CAM_9, [20, 0, 1_468_006]);
    let hurt = id([0xdd, 0x01], [0x0d, 0x1e]);
    bench.joins(hurt, "hurt", "10.0.3.3:40100", &[]);
    bench.hear(Event::SessionEnded {
        id: hurt,
        why: SessionEnd::Failed { why: "failed in Publish: index 7".into() },
        lost: Lost::default(),
    });
    let busy = Busy { actor: topic("orders/eu").into(), message: "Publish".into(), seconds: 4 };
    let busy = Some(BusyActors { of: ActorName::TopicManager, actors: vec![busy] });
    bench.hear(Event::from(Sample { busy, ..Sample::default() }));
    orders(&mut bench);
    bench.tick(at(NOW + 10));
    bench
}

fn orders(bench: &mut Bench) {
    let evict = Control::EvictSession { session: id([0x1d, 0x22], [0xaa, 0x10]) };
    let precondition = Precondition { epoch: Some(Epoch(1)), loss: Some(88) };
    let order = Order { reason: "OPS-114 stuck consumer".into(), precondition, ..Order::new("ana", evict) };
    let lost = Lost { queued: 88, bytes: 145_200, ..Lost::default() };
    ended(bench, 1, order, Outcome::Done { lost });
    ended(bench, 2, Order::new("bob", Control::HoldSession { session: billing_7() }), Outcome::AlreadyGone);
    let kill = Order::new("bob", Control::KillTopic { topic: topic("orders/eu") });
    ended(bench, 3, kill, Outcome::Refused { why: "orders are not taken: read-only is on".into() });
    ended(bench, 4, Order::new("ana", Control::Accept { on: true }), Outcome::Cancelled { by: "bob".into() });
    let order =
        Order { delay_ms: 5_000, ..Order::new("ana", Control::Purge { subscription: subscription(billing_7(), "orders/eu") }) };
    bench.hear(Event::OrderDelayed { number: 5, order: order.into(), due: at(NOW + 14) });
}

#[test]
fn the_rooms_on_a_bad_night() {
    for (digit, name) in [('1', "overview"), ('3', "listeners"), ('6', "actors"), ('8', "audit")] {
        for size in [(80, 24), (120, 36), (200, 50)] {
            shot(&format!("rooms_{name}_{}x{}", size.0, size.1), &view(rooms(size), digit));
        }
    }
    let mut bench = view(rooms((80, 24)), '8');
    bench.type_("G");
    bench.press(KeyCode::Enter);
    shot("order_page_80x24", &bench);
    bench.press(KeyCode::Esc);
    bench.type_("k");
    bench.press(KeyCode::Enter);
    shot("order_page_of_a_session_80x24", &bench);
    let mut bench = view(rooms((80, 24)), '6');
    bench.type_("!");
    bench.settle();
    shot("actors_problems_80x24", &bench);
}

/// A letter says what a colour says, in the new rooms as in the old.
#[test]
fn the_styles_of_the_rooms() {
    for (digit, name) in [('3', "listeners"), ('6', "actors"), ('8', "audit")] {
        let bench = view(rooms((80, 24)), digit);
        let mut settings = insta::Settings::clone_current();
        settings.set_snapshot_path("../snapshots");
        settings.set_prepend_module_to_snapshot(false);
        settings.bind(|| insta::assert_debug_snapshot!(format!("{name}_styles_80x24"), bench.frame()));
    }
}

#[test]
fn who_needs_a_look_stands_first_among_connections() {
    let bench = view(rooms((80, 24)), '3');
    let alive: Vec<_> = bench.state.listeners.order().iter().take(3).copied().collect();
    assert_eq!(alive, [EDGE_CAM_9, STRANGER, BILLING_3]);
    let screen = bench.screen();
    assert!(screen.contains("(registering)") && screen.contains("4s of 5s"), "{screen}");
    assert!(screen.contains("1.4 MiB, nothing taken for 4s of 10s   12 in flight"), "{screen}");
    assert!(screen.contains("its 1:30 timer starts") && screen.contains("it ends, and so does this"), "{screen}");
}

/// Enter on a connection leads to its session and `-` back to the connection; the session leads to the connection, too.
#[test]
fn a_connection_leads_to_its_session_and_back() {
    let mut bench = view(rooms((120, 36)), '3');
    let session = id([0xbe, 0x12], [0x0a, 0x01]);
    bench.press(KeyCode::Enter);
    assert_eq!(bench.state.subject(), Some(Subject::Session(session)));
    bench.press(KeyCode::Enter);
    assert_eq!(bench.state.subject(), Some(Subject::Listener(EDGE_CAM_9)));
    bench.type_("-");
    assert_eq!(bench.state.subject(), Some(Subject::Session(session)));
    bench.type_("-");
    assert!(bench.state.pages.is_empty() && bench.state.view == View::Listeners);
    assert_eq!(bench.state.subject(), Some(Subject::Listener(EDGE_CAM_9)));
    bench.type_("j");
    bench.press(KeyCode::Enter);
    assert_eq!(bench.state.subject(), Some(Subject::Listener(STRANGER)));
    assert!(bench.screen().contains("not registered for 4s, closed at 5s"), "{}", bench.screen());
}

/// The two orders of a connection are for its session; one that has none has nothing to be ordered about.
#[test]
fn orders_on_a_connection_are_for_its_session() {
    let evicted = |keys: &str| {
        let mut bench = view(rooms((80, 24)), '3');
        bench.type_(keys);
        (bench.screen(), bench)
    };
    let (screen, _) = evicted("x");
    assert!(screen.contains("EVICT SESSION") && screen.contains("be12..0a01 edge-cam-9"), "{screen}");
    let (screen, _) = evicted("D");
    assert!(screen.contains("DROP CONNECTION") && screen.contains("be12..0a01 edge-cam-9"), "{screen}");
    for key in ["jx", "jD", "jB"] {
        let (screen, bench) = evicted(key);
        assert!(matches!(bench.state.modal, crate::console::state::Modal::None), "{screen}");
    }
    let (screen, _) = evicted("jx");
    assert!(screen.contains("not registered: no session"), "{screen}");
}

/// Every way from one object to another can be gone back, page by page, with the cursor where it was.
#[test]
fn a_session_leads_to_everything_of_it_and_everything_leads_back() {
    let mut bench = view(rooms((120, 36)), '2');
    bench.state.select(&Subject::Session(billing_3()));
    bench.settle();
    bench.press(KeyCode::Enter);
    let members: Vec<_> = bench.state.pages[0].members(bench.state.shown(), 0).collect();
    let expected = [
        Subject::Listener(BILLING_3),
        Subject::Subscription(subscription(billing_3(), "orders/eu")),
        Subject::Subscription(subscription(billing_3(), "orders/us")),
        Subject::Topic(topic("orders/eu")),
        Subject::Topic(topic("orders/us")),
    ];
    assert_eq!(members, expected);
    for (downs, member) in expected.iter().enumerate() {
        bench.type_("g");
        bench.type_(&"j".repeat(downs));
        bench.press(KeyCode::Enter);
        assert_eq!(bench.state.subject().as_ref(), Some(member));
        bench.type_("-");
        assert_eq!(bench.state.subject(), Some(Subject::Session(billing_3())));
        assert_eq!(bench.state.pages[0].selected(bench.state.shown()).as_ref(), Some(member));
    }
}

/// A topic shows who gets it by a wildcard, and a wildcard shows what it gets.
#[test]
fn wildcards_lead_both_ways() {
    let mut bench = view(rooms((120, 36)), '4');
    bench.state.select(&Subject::Topic(topic("orders/us")));
    bench.settle();
    bench.press(KeyCode::Enter);
    let etl = id([0xc0, 0xde], [0x91, 0xf0]);
    let wild = Subject::Subscription(subscription(etl, "orders/+"));
    let members: Vec<_> = bench.state.pages[0].members(bench.state.shown(), 0).collect();
    assert_eq!((members.len(), members.last()), (4, Some(&wild)));
    assert_eq!(bench.state.pages[0].len(bench.state.shown()), 4);
    bench.type_("G");
    bench.press(KeyCode::Enter);
    let members: Vec<_> = bench.state.pages[1].members(bench.state.shown(), 0).collect();
    assert_eq!(members, [Subject::Session(etl), Subject::Topic(topic("orders/eu")), Subject::Topic(topic("orders/us"))]);
}

#[test]
fn the_tree_folds_and_shows_problems_beside_their_group() {
    let mut bench = view(rooms((80, 24)), '6');
    let nodes = |bench: &Bench| bench.state.actors.order().to_vec();
    let folded = nodes(&bench);
    let leaf = Node::Actor(topic("orders/us").into());
    assert!(folded.contains(&leaf) && !folded.contains(&Node::Actor(topic("hello").into())), "{folded:?}");
    // Broker, TopicManager, and the topics below it.
    bench.type_("jjl");
    bench.settle();
    assert!(nodes(&bench).contains(&Node::Actor(topic("hello").into())));
    bench.type_("h");
    bench.settle();
    assert_eq!(nodes(&bench), folded);
    bench.type_("h");
    bench.settle();
    assert_eq!(bench.state.actors.cursor(), Some(&Node::Actor(ActorName::TopicManager)));
    bench.press(KeyCode::Enter);
    bench.settle();
    assert!(!nodes(&bench).contains(&leaf));
    bench.press(KeyCode::Enter);
    bench.type_("!");
    bench.settle();
    let problems: Vec<_> = nodes(&bench).into_iter().filter(Node::is_leaf).collect();
    let hurt = Node::Actor(id([0xdd, 0x01], [0x0d, 0x1e]).into());
    assert_eq!(problems, [Node::Actor(topic("orders/eu").into()), leaf, hurt]);
    assert!(!nodes(&bench).contains(&Node::Actor(ActorName::ListenerManager)));
}

/// A filter looks through what is folded, too; what it finds is a list that leads where the tree does.
#[test]
fn the_tree_can_be_filtered() {
    let found = |bench: &mut Bench, filter: &str| {
        bench.type_("/");
        bench.tell(Msg::Key(KeyEvent::new(KeyCode::Char('u'), KeyModifiers::CONTROL)));
        bench.type_(filter);
        bench.press(KeyCode::Enter);
        bench.settle();
        bench.state.actors.order().to_vec()
    };
    let mut bench = view(rooms((80, 24)), '6');
    let hello = Node::Actor(topic("hello").into());
    assert!(!bench.state.actors.order().contains(&hello), "it is folded");
    assert_eq!(found(&mut bench, "kind:topic hello"), std::slice::from_ref(&hello));
    let (busy, restarted) = (Node::Actor(topic("orders/eu").into()), Node::Actor(topic("orders/us").into()));
    assert_eq!(found(&mut bench, "state:busy"), [busy]);
    assert_eq!(found(&mut bench, "restarts>0"), std::slice::from_ref(&restarted));
    assert_eq!(found(&mut bench, "failure~bounds"), [restarted]);
    assert_eq!(found(&mut bench, "name:orders/eu !kind:subscriber").len(), 1);
    assert_eq!(found(&mut bench, "kind:sessionmanager"), [Node::Actor(ActorName::SessionManager)]);
    bench.type_("h");
    assert!(bench.screen().contains("Esc shows the tree"), "{}", bench.screen());
    bench.press(KeyCode::Enter);
    bench.settle();
    assert!(bench.state.actors.order().len() > 9, "it is shown where it is in the tree");
    assert_eq!(bench.state.actors.cursor(), Some(&Node::Actor(ActorName::SessionManager)));
    found(&mut bench, "orders");
    shot("actors_filtered_80x24", &bench);
    bench.type_("!");
    bench.settle();
    assert_eq!(bench.state.actors.order().len(), 2, "of the problems");
    bench.type_("!");
    found(&mut bench, "hello kind:topic");
    bench.press(KeyCode::Enter);
    assert_eq!((bench.state.view, bench.state.subject()), (View::Topics, Some(Subject::Topic(topic("hello")))));
    bench.type_("6");
    bench.press(KeyCode::Esc);
    bench.settle();
    assert!(bench.state.actors.filter().is_empty() && !bench.state.actors.order().contains(&hello));
}

/// Nothing in the tree gives an order: whoever looks at a broken actor must not be one key from ending it.
#[test]
fn no_key_in_the_tree_ends_an_actor() {
    for key in ["x", "D", "P", "R", "B", "H", "+"] {
        let mut bench = view(rooms((80, 24)), '6');
        bench.type_("jjj");
        assert_eq!(bench.type_(key), []);
        assert!(matches!(bench.state.modal, crate::console::state::Modal::None), "{key}");
    }
}

#[test]
fn a_leaf_leads_to_what_it_serves_and_back_into_the_tree() {
    let mut bench = view(rooms((80, 24)), '6');
    let leaf = Node::Actor(topic("orders/us").into());
    bench.state.select(&Subject::Actor(topic("orders/us").into()));
    bench.settle();
    assert_eq!(bench.state.actors.cursor(), Some(&leaf));
    assert!(bench.screen().contains("index out of bounds") && bench.screen().contains("actors are never killed here"));
    bench.press(KeyCode::Enter);
    assert_eq!((bench.state.view, bench.state.subject()), (View::Topics, Some(Subject::Topic(topic("orders/us")))));
    bench.type_("-");
    assert_eq!((bench.state.view, bench.state.actors.cursor()), (View::Actors, Some(&leaf)));
}

/// What failed may be gone; its failure is not.
#[test]
fn a_failed_leaf_stays_in_the_tree_and_wakes_the_operator() {
    let bench = rooms((80, 24));
    let rules: Vec<_> = bench.state.live.attention.iter().map(|line| line.rule).collect();
    for rule in [Rule::Stalled, Rule::Failed, Rule::Busy, Rule::Restarted] {
        assert!(rules.contains(&rule), "{rule:?}: {rules:?}");
    }
    let mut bench = view(bench, '6');
    bench.tick(at(NOW + 700));
    bench.settle();
    let leaves: Vec<_> = bench.state.actors.order().iter().filter(|node| node.is_leaf()).collect();
    assert_eq!(leaves, [&Node::Actor(topic("orders/eu").into())], "only what is busy now");
}

#[test]
fn the_audit_tells_orders_that_were_refused_cancelled_or_wait() {
    let mut bench = view(rooms((200, 50)), '8');
    let screen = bench.screen();
    for said in ["refused: orders", "cancelled by bob", "already gone", "done, 88 messages lost", "in 0:04: u stops it"] {
        assert!(screen.contains(said), "{said}: {screen}");
    }
    assert!(screen.contains("all in /var/lib/cordboard/audit.jsonl") && screen.contains("OPS-114 stuck"), "{screen}");
    assert_eq!(bench.state.audit.order(), [5, 4, 3, 2, 1]);
    let given = bench.type_("u");
    assert!(matches!(&given[..], [Effect::Order(_, order)] if order.control == Control::Cancel { number: 5 }), "{given:?}");
    bench.type_("/lost>0");
    bench.settle();
    assert_eq!(bench.state.audit.order(), [1]);
    bench.press(KeyCode::Enter);
    bench.press(KeyCode::Enter);
    let page = bench.screen();
    for said in ["OPS-114 stuck consumer", "88 queued", "11,746 in the whole broker before, 11,658 after", "epoch 1, 88 messages"]
    {
        assert!(page.contains(said), "{said}: {page}");
    }
}

/// An order leads to what it was about, and its event to the order.
#[test]
fn an_event_leads_to_its_order_and_that_to_its_object() {
    let mut bench = view(rooms((120, 36)), '7');
    bench.type_("/order.waits");
    bench.press(KeyCode::Enter);
    bench.settle();
    bench.press(KeyCode::Enter);
    assert_eq!(bench.state.subject(), Some(Subject::Order(5)));
    bench.press(KeyCode::Enter);
    assert_eq!(bench.state.subject(), Some(Subject::Subscription(subscription(billing_7(), "orders/eu"))));
    bench.type_("--");
    assert!(bench.state.pages.is_empty() && bench.state.view == View::Events);
}

/// One Enter from an alarm to the room where something can be done about it.
#[test]
fn alarms_lead_to_their_rooms() {
    let leads = |rule: Rule, bench: Bench| {
        let mut bench = view(bench, '1');
        bench.settle();
        let at = bench.state.needs.order().iter().position(|(other, ..)| *other == rule).unwrap_or_else(|| panic!("no {rule:?}"));
        bench.type_("g");
        bench.type_(&"j".repeat(at));
        bench.press(KeyCode::Enter);
        bench.settle();
        (bench.state.view, bench.state.subject())
    };
    assert_eq!(leads(Rule::Stalled, rooms((80, 24))), (View::Listeners, Some(Subject::Listener(EDGE_CAM_9))));
    assert_eq!(leads(Rule::Busy, rooms((80, 24))), (View::Actors, Some(Subject::Actor(topic("orders/eu").into()))));
    assert_eq!(leads(Rule::Restarted, rooms((80, 24))), (View::Topics, Some(Subject::Topic(topic("orders/us")))));
    let mut bench = rooms((80, 24));
    bench.hear(Event::Accepting { on: false });
    assert_eq!(leads(Rule::NotAccepting, bench).0, View::Listeners);
    let mut bench = rooms((80, 24));
    bench.hear(Event::ManagerFailed { manager: "SessionManager".into(), why: "failed in Attach: index 7".into() });
    bench.hear(Event::LimitHit { limit: "topics.max".into(), who: "ana".into(), times: 3 });
    assert_eq!(leads(Rule::Limit, bench.clone()).0, View::Events);
    bench.settle();
    assert!(bench.state.live.attention.iter().any(|line| line.subject == Subject::Actor(ActorName::SessionManager)));
}

/// A command that is shown is one that works here: this broker's address, and a user where users are.
#[test]
fn empty_rooms_say_what_to_type_next() {
    let says = |bench: &Bench, digit: char, said: &[&str]| {
        let mut shown = bench.clone();
        shown.type_(&digit.to_string());
        let screen = shown.screen();
        for said in said {
            assert!(screen.contains(said), "{said}: {screen}");
        }
    };
    let here = Bench::empty((80, 24));
    let both = ["cordboard sub 'orders/#' --name billing\n", "cordboard pub orders/eu hello\n"];
    says(&here, '2', &both);
    says(&here, '3', &both);
    says(&here, '4', &both);
    says(&here, '5', &both[..1]);
    says(&here, '8', &["no orders yet", "recorded here and in\n    /var/lib/cordboard/audit.jsonl"]);
    let mut elsewhere = Bench::silent((80, 24));
    elsewhere.started(2, "0.0.0.0:4000");
    elsewhere.tick(at(NOW));
    says(&elsewhere, '2', &["cordboard sub 'orders/#' --name billing --server 127.0.0.1:4000 --user NAME\n"]);
    // The program has a longer name where it was never installed.
    elsewhere.state.program = "'target/my builds/release/cordboard'".to_owned();
    let two_lines = "cordboard' sub 'orders/#' --name billing \\\n      --server 127.0.0.1:4000 --user NAME\n";
    says(&elsewhere, '2', &[two_lines]);
    elsewhere.hear(Event::Accepting { on: false });
    says(&elsewhere, '3', &["new ones are refused", "A accepts again"]);
    let mut quiet = view(Bench::empty((80, 24)), '6');
    quiet.type_("!");
    quiet.settle();
    assert!(quiet.screen().contains("no problems") && quiet.screen().contains("! shows all of them"), "{}", quiet.screen());
}

/// Refused sockets come by the thousand; each of their rows stays as long as any other that ended, and no more than some do.
#[test]
fn closed_connections_stay_for_a_moment_with_the_reason() {
    let mut bench = view(rooms((80, 24)), '3');
    bench.hear(Event::ListenerClosed { id: STRANGER, why: CloseReason::RegistrationTimeout });
    bench.settle();
    assert!(bench.screen().contains("no registration in time, 2s ago"), "{}", bench.screen());
    bench.tick(at(NOW + 16));
    bench.settle();
    assert!(!bench.state.listeners.order().contains(&STRANGER));
    assert_eq!(bench.state.session(), Some(id([0xbe, 0x12], [0x0a, 0x01])));
}

/// The rooms are windows like the old ones: a hundred thousand rows, and a frame that formats those it shows.
#[test]
fn a_hundred_thousand_connections_are_a_window() {
    let mut bench = Bench::empty((80, 24));
    for n in 0..100_000_u64 {
        bench.hear(Event::ListenerOpened { id: ListenerId(n), peer: "10.0.0.1:1".parse().unwrap() });
    }
    for (digit, keys) in [("3", "G"), ("6", "Gl")] {
        bench.type_(digit);
        bench.settle();
        bench.settle();
        bench.type_(keys);
        bench.settle();
        bench.settle();
        bench.type_("G");
        let rows = bench.state.geometry().unwrap().rows();
        assert!(bench.screen().contains("10.0.0.1:1"), "{}", bench.screen());
        let shown = bench.screen().lines().filter(|line| line.contains("10.0.0.1:1")).count();
        assert!(shown >= rows && shown <= rows + 3, "{shown}: {}", bench.screen());
    }
}
