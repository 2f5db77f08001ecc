//! What a change of users does to who is connected, and to who comes back.

use cordboard::{
    control::Outcome,
    events::{Event, SessionEnd},
    wire::{Code, RegistrationRequest},
};

use super::users::{Bench, hash, lost, of_user, refusal, user};
use crate::fixture::{self, Raw, Reply, broker_with};

/// A user who is gone is gone everywhere: connected or away.
#[tokio::test]
async fn sessions_of_a_user_who_is_gone_are_evicted_with_what_they_hold() {
    let bench = Bench::with(&["ana", "bob"], |_| {}).await;
    let (mut here, first) = bench.register("ana").await;
    let (mut away, second) = bench.register("ana").await;
    let (mut bob, _) = bench.register("bob").await;
    away.subscribe("orders").await;
    away.disconnect(false).await;
    bob.publish("orders", "1").await;
    bench.write(|config| config.users.retain(|user| user.name.as_str() != "ana"));
    assert_eq!(lost(&bench.reload().await), 1);
    let why = "the user ana is no longer in the configuration";
    assert!(matches!(here.next().await, Reply::Evicted(reason) if reason == why));
    for session in [first.session, second.session] {
        let (end, lost) = fixture::ended(&bench.broker, session).await;
        assert_eq!(end, SessionEnd::Evicted { by: "test".to_owned(), why: why.to_owned() });
        assert_eq!(lost.messages(), u64::from(session == second.session));
    }
    let request = RegistrationRequest { session: Some(first.session), ..of_user("ana", "ana") };
    assert_eq!(bench.ask(request).await.closing_error().await.code, Code::Unauthorized);
    bob.publish("orders", "2").await;
    assert_eq!(bench.broker.bus().board().broker.users, 1);
}

/// The first users end what everyone on this machine could do; the last ones stay until a restart.
#[tokio::test]
async fn users_come_at_run_time_and_the_last_one_does_not_go() {
    let bench = Bench::with(&[], |_| {}).await;
    let (mut local, _) = Raw::register(&bench.broker, "anyone").await;
    bench.write(|config| config.users = vec![user("ana")]);
    bench.reload().await;
    assert!(matches!(local.next().await, Reply::Evicted(_)));
    let error = bench.ask(RegistrationRequest::new("anyone")).await.closing_error().await;
    assert_eq!(error.code, Code::Unauthorized);
    let (mut ana, _) = bench.register("ana").await;
    bench.write(|config| config.users.clear());
    let why = refusal(bench.reload().await);
    assert!(why.contains("has no users any more") && why.contains("restart"), "{why}");
    ana.publish("still", "here").await;
}

/// A new password ends no session; the old one is right for nobody any more, however lately it was verified.
#[tokio::test]
async fn another_password_keeps_the_session_and_forgets_the_old_one() {
    let bench = Bench::with(&["ana"], |_| {}).await;
    let (mut ana, response) = bench.register("ana").await;
    assert_eq!(lost(&bench.grant("ana", |ana| ana.password_hash = hash("new")).await), 0);
    ana.publish("orders", "1").await;
    let again = |password| RegistrationRequest { session: Some(response.session), ..of_user("ana", password) };
    let refused = bench.ask(again("ana")).await.closing_error().await;
    let unknown = bench.ask(of_user("nobody", "ana")).await.closing_error().await;
    assert_eq!((refused.code, &refused.reason), (Code::Unauthorized, &unknown.reason));
    assert!(bench.ask(again("new")).await.response().await.resumed);
    let changes = bench.events().into_iter().rev().find_map(|event| match event {
        Event::ConfigurationRead { changes, .. } => Some(changes.to_string()),
        _ => None,
    });
    assert_eq!(changes.as_deref(), Some("another password for ana"));
}

/// Clients that come back are known by what was verified before: their number costs no hashing. A wrong password always does.
#[tokio::test]
async fn a_password_is_hashed_once_for_all_who_come_back_with_it() {
    let bench = Bench::with(&["ana", "bob"], |_| {}).await;
    let hashed = || bench.broker.counters().hashed;
    for _ in 0..20 {
        bench.register("ana").await;
    }
    assert_eq!(hashed(), 1);
    for (name, password) in [("ana", "wrong"), ("ana", "wrong"), ("nobody", "ana"), ("bob", "ana")] {
        let error = bench.ask(of_user(name, password)).await.closing_error().await;
        assert_eq!((error.code, error.reason.as_str()), (Code::Unauthorized, "unknown user or wrong password"));
    }
    assert_eq!(hashed(), 5);
    // All at once, with nothing remembered: who came first has verified it for those behind.
    bench.grant("ana", |ana| ana.deny.publish = vec!["x".parse().unwrap()]).await;
    let mut waiting = Vec::new();
    for _ in 0..50 {
        waiting.push(bench.ask(of_user("ana", "ana")).await);
    }
    for raw in &mut waiting {
        raw.response().await;
    }
    let more = hashed() - 5;
    // Two are verified side by side.
    assert!((1..=2).contains(&more), "{more}");
}

/// Without users there is nothing to remember, and without a file nothing to read.
#[tokio::test]
async fn a_broker_without_a_file_says_so() {
    let broker = broker_with(|_| {}).await;
    let why = refusal(broker.reload("SIGHUP").await);
    assert!(why.contains("without a configuration file"), "{why}");
    assert!(broker.preview_reload().await.is_err());
    Raw::register(&broker, "x").await;
    assert_eq!(broker.counters().hashed, 0);
}

/// What is wrong is said by whoever reads, and everything is as it was; so is what only a restart changes.
#[tokio::test]
async fn a_wrong_file_changes_nothing_and_other_keys_wait() {
    let bench = Bench::with(&["ana"], |_| {}).await;
    let (mut ana, _) = bench.register("ana").await;
    bench.write(|config| config.connections.max = 9);
    assert_eq!(lost(&bench.reload().await), 0);
    let preview = bench.broker.preview_reload().await.unwrap();
    assert_eq!(preview.changes.to_string(), "connections.max only after a restart");
    // Sound in itself, and not together.
    bench.write(|config| config.users.push(user("ana")));
    assert!(refusal(bench.reload().await).contains("users.name is ana a second time"));
    bench.spoil("cordboard.toml:7: unknown key `publsh` in [users.allow]; did you mean `publish`?");
    let outcome = bench.broker.reload("SIGHUP").await;
    assert_eq!(refusal(outcome), "cordboard.toml:7: unknown key `publsh` in [users.allow]; did you mean `publish`?");
    let told = bench.events().into_iter().filter(|event| {
        matches!(event, Event::Order(record) if record.order.operator == "SIGHUP" && matches!(record.outcome, Outcome::Refused { .. }))
    });
    assert_eq!(told.count(), 1);
    ana.publish("still", "here").await;
    bench.register("ana").await;
}
