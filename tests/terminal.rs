//! The console from outside: the real program in a terminal, a real broker behind it, real clients in front of that.
#![cfg(all(unix, feature = "console"))]

mod console;
mod leaving;
mod reload;

use cordboard::{
    Client,
    client::{Backoff, ClientEnd, ClientEvent},
    wire::{ClientFrame, Code, RegistrationRequest},
};
use rustix::process::Signal;
use tokio::time::timeout;

use crate::fixture::{PATIENCE, Raw, Reply};
use console::Console;

async fn client(console: &Console, name: &str) -> Client {
    Client::builder(&console.address).name(name).connect().await.unwrap()
}

/// Waits, but not for ever.
async fn soon<T>(what: impl Future<Output = T>) -> T {
    timeout(PATIENCE, what).await.expect("it takes too long")
}

/// A client comes, goes and is sent away; the price of that is on the screen before, and what happened after.
#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_is_gone_is_evicted_with_what_waits_for_it() {
    let mut console = Console::open();
    assert!(console.is_taken());
    let (billing, shop) = (client(&console, "billing-7").await, client(&console, "shop").await);
    let orders = billing.subscribe("orders/eu").await.unwrap();
    console.press("2");
    console.eventually(&["billing-7", "live"]);
    drop((billing, orders));
    console.eventually(&["billing-7", "[####"]);
    for order in ["one", "two", "three"] {
        shop.publish("orders/eu", order).await.unwrap();
    }
    // Alone in the list, so that no other row can be under the cursor while the order still changes.
    console.press("/billing-7\r");
    console.eventually(&["1 shown by: billing-7"]);
    console.eventually(&[">", "billing-7", " 3 [####"]);
    console.eventually(&["if ended", "3 lost", "1 sub gone"]);
    console.press("x");
    console.eventually(&["EVICT SESSION - cannot be undone"]);
    console.eventually(&["DESTROYED", "the session, 1 subscription, 3 queued messages"]);
    console.eventually(&["SIDE EFFECT", "orders/eu loses the LAST exact subscriber"]);
    // Enter is Cancel, and `y` is not enough for what loses messages.
    console.press("\r");
    console.eventually_without("EVICT SESSION");
    console.press("xy\tOPS-114\tEVIC\r");
    console.eventually(&["type the phrase exactly"]);
    console.press("T\r");
    console.eventually(&["billing-7", "evicted by ana", "3 messages lost: OPS-114"]);
    console.press("7");
    console.eventually(&["session.ended", "billing-7", "evicted by ana"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_evicted_client_is_told() {
    let mut console = Console::open();
    let billing = client(&console, "billing-7").await;
    console.press("2");
    console.eventually(&[">", "billing-7", "live"]);
    console.press("x");
    console.eventually(&["SIDE EFFECT", "its client is told"]);
    console.press("y");
    assert!(matches!(soon(billing.ended()).await, ClientEnd::Evicted { .. }));
    console.eventually(&["billing-7", "evicted by ana", "nothing lost"]);
}

/// The first minute of somebody who has just found this: it lives, it says that it is played, and a plug can be pulled.
#[tokio::test(flavor = "multi_thread")]
async fn a_demo_is_there_to_be_practised_on() {
    let mut console = Console::open_demo();
    console.resize(120, 50);
    console.press("2");
    for name in ["demo-shop", "demo-audit", "demo-stock"] {
        console.eventually(&[name, "live"]);
    }
    console.press("/demo-shop\r");
    console.eventually(&["1 shown by: demo-shop"]);
    console.eventually(&[">", "demo-shop", "live"]);
    console.press("x");
    console.eventually(&["SIDE EFFECT", "its client is told"]);
    console.eventually(&["DEMO", "RW"]);
    console.press("y");
    console.eventually(&["demo-shop", "evicted by"]);
    console.press("7/evicted\r");
    console.eventually(&["session.ended", "demo-shop"]);
    console.resize(40, 10);
    console.eventually(&["DEMO", "LIVE"]);
    console.resize(80, 24);
    console.press("q");
    console.eventually(&["done at once"]);
    console.press("s");
    assert_eq!(console.eventually_ended(), 0);
    console.eventually_given_back();
}

/// Its name must be typed; its subscribers are told, and it is gone from the list.
#[tokio::test(flavor = "multi_thread")]
async fn a_topic_is_killed_by_its_name() {
    let mut console = Console::open();
    let billing = client(&console, "billing-7").await;
    let mut orders = billing.subscribe("orders/eu").await.unwrap();
    console.press("4");
    console.eventually(&[">", "orders/eu"]);
    console.press("x\t\torders/eu\r");
    assert!(soon(orders.next()).await.is_none());
    assert_eq!(orders.over().unwrap().code, Code::Gone);
    console.eventually(&["orders/eu", "killed by ana"]);
}

/// The session lives on, and its client comes back to it by itself.
#[tokio::test(flavor = "multi_thread")]
async fn a_dropped_connection_is_made_again() {
    let mut console = Console::open();
    let billing = client(&console, "billing-7").await;
    let mut events = billing.events();
    console.press("2");
    console.eventually(&[">", "billing-7", "live"]);
    console.press("D");
    console.eventually(&["DESTROYED", "the connection, nothing else"]);
    console.press("y");
    let again = loop {
        match soon(events.next()).await.unwrap() {
            ClientEvent::Connected { resumed, session } => break (resumed, session),
            ClientEvent::Lost { .. } | ClientEvent::Reconnecting { .. } => {}
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(again, (true, billing.session()));
    console.press("7");
    console.eventually(&["session.attached", "billing-7"]);
}

/// Larger, smaller, next to nothing, and back: what is shown is what fits.
#[tokio::test(flavor = "multi_thread")]
async fn the_terminal_changes_its_size() {
    let mut console = Console::open();
    console.press("2");
    console.eventually(&["no sessions: no client has registered"]);
    let whole = |columns: usize| {
        move |screen: &vt100::Screen| {
            let rows: Vec<String> = screen.contents().lines().map(str::to_owned).collect();
            let header = rows.first().is_some_and(|row| row.contains("RW") && row.chars().count() >= columns - 2);
            let footer = rows.last().is_some_and(|row| row.ends_with("? help") && row.chars().count() >= columns - 2);
            (header && footer).then_some(rows.len())
        }
    };
    console.resize(120, 36);
    assert_eq!(console.eventually_so("it fills 120 columns", whole(120)), 36);
    // One change of size after another: each key is still taken when it comes, and nothing spins on it.
    console.press("4");
    console.eventually(&["[4 Topics]"]);
    console.resize(121, 36);
    console.press("2");
    console.eventually(&["[2 Sessions]"]);
    #[cfg(target_os = "linux")]
    console.eventually_idle();
    // No memory has room for that many cells; the first of them are drawn.
    console.exaggerate();
    console.press("4");
    console.eventually(&["[4 Topics]"]);
    console.press("2");
    console.eventually(&["[2 Sessions]"]);
    console.resize(40, 10);
    console.eventually(&["views need 60x15"]);
    console.resize(1, 1);
    console.eventually_so("it fits one character", |screen| (screen.contents().chars().count() <= 1).then_some(()));
    let billing = client(&console, "billing-7").await;
    console.resize(80, 24);
    assert_eq!(console.eventually_so("it fills 80 columns", whole(80)), 24);
    console.eventually(&["billing-7", "live"]);
    billing.end().await.unwrap();
}

/// Left, and opened again, while the broker goes on; and shut down at last, with the client told.
#[tokio::test(flavor = "multi_thread")]
async fn leaving_is_a_question_with_three_answers() {
    let mut console = Console::open();
    let shop = Client::builder(&console.address).name("shop").reconnect(Backoff::NEVER).connect().await.unwrap();
    console.press("q");
    console.eventually(&["Leave the console?"]);
    console.press("\x1b");
    console.eventually_without("Leave the console?");
    console.press("qd");
    console.eventually(&["console closed, the broker goes on; Enter opens it again"]);
    console.eventually_given_back();
    shop.publish("orders/eu", "one").await.unwrap();
    // A hand that still reaches for Ctrl-C does not end the broker.
    console.press("\x03");
    console.eventually(&["Ctrl-C again shuts the broker down"]);
    console.press("\n");
    console.eventually(&["Needs attention"]);
    assert!(console.is_taken());
    console.press("qs");
    console.eventually(&["SHUT DOWN THE BROKER"]);
    console.eventually(&["DESTROYED", "1 session", "1 in backlogs"]);
    console.press("\t\tSHUT DOWN\r");
    assert_eq!(console.eventually_ended(), 0);
    console.eventually_given_back();
    console.eventually(&["the broker has stopped, 1 message"]);
    let end = soon(shop.ended()).await;
    assert!(matches!(&end, ClientEnd::Lost { why } if why.contains("503")), "{end:?}");
}

/// The window is closed: the broker is none the worse for it, and no thread spins on a terminal that is not there.
#[tokio::test(flavor = "multi_thread")]
async fn the_broker_outlives_its_terminal() {
    let mut console = Console::open();
    let shop = client(&console, "shop").await;
    console.hang_up();
    console.eventually_logged("the terminal is gone");
    shop.publish("orders/eu", "one").await.unwrap();
    #[cfg(target_os = "linux")]
    console.eventually_idle();
    shop.end().await.unwrap();
    console.signal(Signal::TERM);
    assert_eq!(console.eventually_ended(), 0);
}

/// I7: the console fails over a frame; the terminal is given back, and the broker and its clients are none the worse for it.
#[tokio::test(flavor = "multi_thread")]
async fn the_broker_outlives_a_console_that_fails() {
    let mut console = Console::open_failing("Console.Draw=panic@2");
    let shop = client(&console, "shop").await;
    console.eventually_given_back();
    console.eventually_logged("the console failed; the broker goes on without it");
    shop.publish("orders/eu", "one").await.unwrap();
    shop.end().await.unwrap();
    console.signal(Signal::TERM);
    assert_eq!(console.eventually_ended(), 0);
}

/// I7: however the broker ends, whoever looks at it gets the terminal back, and is told why.
#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_fails_gives_the_terminal_back() {
    let mut console = Console::open_failing("SessionManager.Tick=panic@3*4");
    assert_eq!(console.eventually_ended(), 1);
    console.eventually_given_back();
    console.eventually(&["managers failed 4 times"]);
}

/// I7: what a client sends to move the operator's cursor is refused, or told in letters.
#[tokio::test(flavor = "multi_thread")]
async fn no_byte_of_a_client_reaches_the_terminal_raw() {
    const HOSTILE: &str = "\x1b]0;owned\x07\u{202e}\u{9b}2J";
    let mut console = Console::open();
    console.press("7");
    let address = console.address.parse().unwrap();
    let mut nameless = Raw::connect(address).await;
    nameless.send(&ClientFrame::RegistrationRequest(RegistrationRequest::new(HOSTILE))).await;
    assert_eq!(nameless.closing_error().await.code, Code::Malformed);
    let mut stranger = Raw::connect(address).await;
    let mut request = RegistrationRequest::new("stranger");
    request.user = Some(HOSTILE.to_owned());
    stranger.send(&ClientFrame::RegistrationRequest(request)).await;
    stranger.next().await;
    let mut guest = Raw::connect(address).await;
    guest.send(&ClientFrame::RegistrationRequest(RegistrationRequest::new("guest"))).await;
    guest.response().await;
    guest.ask_subscribe(HOSTILE).await;
    assert!(matches!(guest.next().await, Reply::Error(error) if error.code == Code::Malformed));
    guest.enqueue(HOSTILE, HOSTILE).await;
    assert!(matches!(guest.next().await, Reply::Error(error) if error.code == Code::Malformed));
    console.eventually(&["session.created", "guest"]);
    for view in "12345678".chars() {
        console.press(&view.to_string());
        console.eventually(&[&format!("[{view}")]);
    }
    let written = console.written();
    for raw in ["\x1b]", "\x07", "\u{202e}", "\u{9b}"] {
        assert!(!written.windows(raw.len()).any(|bytes| bytes == raw.as_bytes()), "{raw:?}");
    }
}
