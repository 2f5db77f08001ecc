//! `--demo` from outside: the real program, its log, and a real client among the synthetic ones.
#![cfg(unix)]

use cordboard::Client;
use rustix::process::Signal;

use crate::program::Serve;

/// The cast appears, one of them dies and finds its session again, and a stranger hears them; it all ends within the drain.
#[tokio::test(flavor = "multi_thread")]
async fn a_company_plays_and_ends_with_the_broker() {
    let mut serve = Serve::start_with(&["serve", "--demo"]);
    assert!(serve.greeting.contains("a DEMO with 13 synthetic clients, whose names all begin with demo-"), "{}", serve.greeting);
    let stranger = Client::builder(&serve.address).name("stranger").connect().await.unwrap();
    let mut orders = stranger.subscribe("orders/#").await.unwrap();
    let order = orders.next().await.unwrap();
    assert!(order.payload.starts_with(b"{\"order\":"), "{order:?}");
    stranger.end().await.unwrap();
    let log = tokio::task::spawn_blocking(move || {
        let mut log = serve.log_until(&["demo: demo-cam-7 died"]);
        log += &serve.log_until(&["session attached", "client=demo-cam-7"]);
        let (code, rest) = serve.end_by(Signal::TERM);
        assert_eq!(code, Some(0), "{rest}");
        log + &rest
    });
    let log = log.await.unwrap();
    for name in ["shop", "app", "bills", "books", "mail", "tax", "audit", "print", "dash", "cam-7", "cam-8", "scan", "stock"] {
        let created = format!("session created client=demo-{name} ");
        assert!(log.contains(&created), "{created:?} is missing in {log}");
    }
}
