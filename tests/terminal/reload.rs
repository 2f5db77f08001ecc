//! Users at the terminal: a password that nobody sees, and a configuration that is read again with open eyes.

use cordboard::{Client, client::ClientEnd};
use rustix::process::Signal;

use super::{console::Console, soon};
use crate::rights::user_lines;

/// What is typed is not shown, what differs is refused, and the echo comes back either way.
#[test]
fn a_password_is_typed_unseen_and_twice() {
    let open = || Console::run(&["passwd", "ana"]);
    let mut same = open();
    same.eventually(&["Password:"]);
    same.press("hunter2\r");
    same.eventually(&["Again:"]);
    same.press("hunter2\r");
    same.eventually(&["password_hash = \"$argon2id$"]);
    same.eventually_given_back();
    assert_eq!(same.eventually_ended(), 0);
    let mut other = open();
    other.eventually(&["Password:"]);
    other.press("hunter2\r");
    other.eventually(&["Again:"]);
    other.press("hunter3\r");
    other.eventually(&["the two passwords differ"]);
    other.eventually_given_back();
    assert_eq!(other.eventually_ended(), 1);
    for console in [same, other] {
        assert!(!String::from_utf8_lossy(&console.written()).contains("hunter"));
    }
}

/// An interrupt between two prompts must not leave a shell that types blind.
#[test]
fn an_interrupt_gives_the_echo_back() {
    let mut console = Console::run(&["passwd"]);
    console.eventually(&["Password:"]);
    console.signal(Signal::INT);
    console.eventually(&["interrupted; nothing was made"]);
    console.eventually_given_back();
    assert_eq!(console.eventually_ended(), 1);
}

/// From the key to the eviction: what is wrong is said by its line, what is right is asked about first.
#[tokio::test(flavor = "multi_thread")]
async fn users_are_read_again_from_the_console() {
    let mut console = Console::open_with(&user_lines("bob", "secret"));
    let bob = Client::builder(&console.address).name("bobs").credentials("bob", "secret");
    let bob = soon(bob.connect()).await.unwrap();
    console.configure("[[users]]\nnme = \"carl\"\n");
    console.press("L");
    console.eventually(&["unknown key `nme`"]);
    console.signal(Signal::HUP);
    console.eventually_logged("the configuration was not taken");
    console.configure(&user_lines("carl", "other"));
    console.press("L");
    console.eventually(&["RELOAD THE CONFIGURATION"]);
    console.eventually(&["TARGET", "user carl added; user bob removed"]);
    console.eventually(&["DESTROYED", "1 session of users who are gone"]);
    console.press("y");
    let ended = soon(bob.ended()).await;
    assert!(matches!(&ended, ClientEnd::Evicted { reason } if reason.contains("user bob is no longer")), "{ended:?}");
    console.press("7");
    console.eventually(&["configuration.read", "by ana: user carl added"]);
    let carl = Client::builder(&console.address).credentials("carl", "other");
    soon(carl.connect()).await.unwrap();
}
