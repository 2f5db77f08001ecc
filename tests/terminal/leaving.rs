//! Stopped, ended, failed: whatever happens to the process, the terminal is given back first, and taken again when it goes on (I7).

use cordboard::{
    Client,
    client::{Backoff, ClientEnd},
};
use rustix::process::Signal;

use super::{client, console::Console, soon};

/// Every signal that ends it, in front of a client; a hang-up of a terminal that is still there ends nothing.
#[tokio::test(flavor = "multi_thread")]
async fn every_signal_to_stop_gives_the_terminal_back() {
    for signal in [Signal::TERM, Signal::INT] {
        let mut console = Console::open();
        let shop = Client::builder(&console.address).name("shop").reconnect(Backoff::NEVER).connect().await.unwrap();
        console.press("2");
        console.eventually(&["shop", "live"]);
        console.signal(Signal::HUP);
        console.eventually_logged("there is no configuration file to read again");
        shop.publish("orders/eu", "one").await.unwrap();
        assert!(console.is_taken());
        console.signal(signal);
        assert!(matches!(soon(shop.ended()).await, ClientEnd::Lost { .. }));
        assert_eq!(console.eventually_ended(), 0);
        console.eventually_given_back();
        console.eventually(&["the broker has stopped, 1 message"]);
    }
}

/// What an actor's failure has to say is for the log. The screen tells of it in its own words and stays whole.
#[tokio::test(flavor = "multi_thread")]
async fn an_actor_that_panics_does_not_touch_the_screen() {
    let mut console = Console::open_failing("Topic.Publish=panic,Subscriber.taken=panic@2");
    let shop = client(&console, "shop").await;
    let mut orders = shop.subscribe("orders/eu").await.unwrap();
    let refused = shop.publish("orders/eu", "lost").await.unwrap_err();
    assert!(refused.to_string().contains("503"), "{refused}");
    console.press("7");
    console.eventually(&["topic.restarted", "orders/eu"]);
    for order in ["one", "two"] {
        shop.publish("orders/eu", order).await.unwrap();
        let came = soon(orders.next()).await.unwrap();
        assert_eq!(came.payload, order.as_bytes());
    }
    console.eventually(&["subscription.restarted", "orders/eu"]);
    console.press("1");
    console.eventually(&["restarted", "orders/eu"]);
    console.eventually_logged("a test wants Topic.Publish to panic");
    console.eventually_so("header and footer are where they were", |screen| {
        let rows: Vec<_> = screen.contents().lines().map(str::to_owned).collect();
        let is_whole = rows.len() == 24 && rows[0].contains("RW LIVE") && rows[23].ends_with("? help");
        is_whole.then_some(())
    });
    let written = String::from_utf8_lossy(&console.written()).into_owned();
    for word in ["panicked", "thread '", "RUST_BACKTRACE", "stack backtrace", ".rs:"] {
        assert!(!written.contains(word), "{word}");
    }
    assert!(console.is_taken());
}

/// Stopped from outside, the shell has its terminal; continued, the console has it again, drawn anew, whatever was written on it
/// in between.
#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_is_stopped_gives_the_terminal_back_meanwhile() {
    let mut console = Console::open();
    let shop = client(&console, "shop").await;
    console.press("2");
    console.eventually(&["shop", "live"]);
    for _ in 0..2 {
        console.signal(Signal::TSTP);
        console.eventually_stopped();
        console.eventually_given_back();
        console.scribble("$ fg\r\n");
        console.signal(Signal::CONT);
        console.eventually(&["shop", "live"]);
        console.eventually_without("$ fg");
        console.eventually_taken();
        console.press("4");
        console.eventually(&["[4Topics]"]);
        console.press("2");
        console.eventually(&["[2Sess]"]);
    }
    // One that nobody can refuse: nothing is given back, but what was on the screen is no longer there.
    console.signal(Signal::STOP);
    console.eventually_stopped();
    console.scribble("\x1b[2J$ fg\r\n");
    console.signal(Signal::CONT);
    console.eventually(&["shop", "live"]);
    console.eventually_without("$ fg");
    shop.end().await.unwrap();
    console.signal(Signal::TERM);
    assert_eq!(console.eventually_ended(), 0);
    console.eventually_given_back();
}

/// A hand that reaches for Ctrl-Z stops no broker: on the screen it is told why, on the closed console it is asked.
#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread")]
async fn a_broker_does_not_stop_at_the_first_ctrl_z() {
    let mut console = Console::open();
    console.press("\x1a");
    console.eventually(&["Ctrl-Z stops nothing"]);
    console.press("qd");
    console.eventually(&["console closed, the broker goes on"]);
    console.eventually_given_back();
    let shop = client(&console, "shop").await;
    console.press("\x1a");
    console.eventually(&["Ctrl-Z again stops it"]);
    // The question stands for ten seconds only: no time for a client that connects.
    shop.ping().await.unwrap();
    console.press("\x1a");
    console.eventually_stopped();
    console.signal(Signal::CONT);
    shop.end().await.unwrap();
    console.press("\n");
    console.eventually(&["Needs attention"]);
    console.eventually_taken();
}

/// Whoever ends a broker on their terminal reads sentences there; what machines read of it is in the files.
#[test]
fn the_last_words_of_a_broker_alone_are_words() {
    let mut serve = Console::run(&["serve", "--listen", "127.0.0.1:0"]);
    serve.eventually(&["accepting"]);
    serve.press("\x03");
    assert_eq!(serve.eventually_ended(), 0);
    serve.eventually(&["stopped lost=nothing"]);
    assert!(!String::from_utf8_lossy(&serve.written()).contains('{'));
    serve.eventually_logged("{\"order\":\"shutdown\"}");
    serve.eventually_given_back();
}
