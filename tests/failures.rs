//! Failures: whatever fails, and however, by a panic, an error or by never coming back, what was promised for it holds. One file
//! an actor; what follows is what they share.

mod broker;
mod listener;
mod load;
mod manager;
mod session;
mod subscriber;
mod topic;

use std::time::Duration;

use cordboard::{
    Config, Handle,
    events::Event,
    faults::{Fault, How},
    name::SessionId,
    wire::{ClientFrame, Code, RegistrationRequest, RegistrationResponse},
};

use crate::fixture::{PATIENCE, Raw, Reply, baseline::Baseline, broker_with, eventually_true};

/// After how long an actor is called hung here.
const HANG_AFTER: Duration = Duration::from_secs(2);

/// Every way to fail that an actor can be ended in, and a word of what is said of it.
fn ways() -> [(How, &'static str); 3] {
    [(How::Panic, "failed in"), (How::Error, "failed in"), (How::Hang, "hung in")]
}

/// A broker that soon calls an actor hung.
async fn broker() -> Handle {
    broker_of(|_| {}).await
}

async fn broker_of(change: impl FnOnce(&mut Config)) -> Handle {
    broker_with(|config| {
        config.failures.hang_after = HANG_AFTER;
        change(config);
    })
    .await
}

/// A broker that soon calls an actor hung, and what is to be left of it.
async fn scene() -> (Handle, Baseline) {
    let broker = broker().await;
    let baseline = Baseline::of(&broker);
    (broker, baseline)
}

/// A client that has subscribed to `t`.
async fn subscriber(broker: &Handle, name: &str) -> (Raw, RegistrationResponse) {
    let (mut raw, response) = Raw::register(broker, name).await;
    raw.subscribe("t").await;
    (raw, response)
}

/// Plans a fault.
fn plan(broker: &Handle, fault: Fault) {
    broker.faults().plan(fault);
}

/// Waits until all that was planned has struck.
async fn all_struck(broker: &Handle) {
    eventually_true("what was planned has struck", || broker.faults().is_spent()).await;
}

/// Waits for an event; it may have been.
async fn told<T>(broker: &Handle, what: &str, is_it: impl Fn(&Event) -> Option<T>) -> T {
    let mut follower = broker.bus().follow_from_start();
    loop {
        if let Some(found) = follower.take(usize::MAX).events.iter().find_map(|stamped| is_it(&stamped.event)) {
            return found;
        }
        let news = tokio::time::timeout(PATIENCE, follower.changed()).await;
        assert!(news.is_ok(), "it was never told that {what}");
    }
}

/// Asks for a session that must not be there any more; what is said of it.
async fn refused(broker: &Handle, session: SessionId) -> (Code, String) {
    let mut raw = Raw::connect(broker.endpoints()[0]).await;
    let request = RegistrationRequest { session: Some(session), ..RegistrationRequest::new("back") };
    raw.send(&ClientFrame::RegistrationRequest(request)).await;
    let error = raw.error().await;
    (error.code, error.reason)
}

/// The next goodbye, whatever comes before it; the connection is closed behind it.
async fn goodbye(raw: &mut Raw) -> Code {
    loop {
        match raw.next().await {
            Reply::Error(error) if error.sequence.is_none() && error.request.is_none() => {
                assert!(matches!(raw.next().await, Reply::Closed), "the broker closes after {error:?}");
                return error.code;
            }
            Reply::Closed => panic!("closed without a word"),
            _ => {}
        }
    }
}

/// The payloads of the next `count` messages.
async fn texts(raw: &mut Raw, count: usize) -> Vec<String> {
    raw.messages(count).await.iter().map(crate::fixture::Got::text).collect()
}

/// Whoever comes now is served, and when all have gone nothing is left of what failed.
async fn is_as_new(broker: &Handle, baseline: Baseline) {
    assert!(broker.faults().is_spent(), "{:?}", broker.faults());
    let (mut sub, _) = Raw::register(broker, "new").await;
    sub.subscribe("brand/new").await;
    sub.enqueue("brand/new", "x").await;
    assert_eq!(texts(&mut sub, 1).await, ["x"]);
    drop(sub);
    baseline.returns(broker).await;
}

/// As new, and then it ends.
async fn ends_as_new(broker: &Handle, baseline: Baseline) {
    is_as_new(broker, baseline).await;
    broker.shutdown().await;
}
