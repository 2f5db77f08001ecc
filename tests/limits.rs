//! Limits: each one holds, is told in clear to the one who hit it and to nobody else, is counted, and is said on the bus.

mod connections;
mod failures;
mod logins;
mod publishing;
mod queues;
mod sessions;
mod table;

use argon2::{Argon2, PasswordHasher as _, password_hash::SaltString};
use cordboard::{
    Handle,
    config::{Grants, PasswordHash, User},
    events::Event,
    wire::RegistrationRequest,
};

use crate::fixture::Raw;

/// Waits until the bus has said that `limit` was hit, by `who`; it was counted, too.
async fn is_told(broker: &Handle, limit: &str, who: &str) {
    let mut follower = broker.bus().follow_from_start();
    loop {
        let events = follower.take(usize::MAX).events;
        let is_it = |event: &Event| matches!(event, Event::LimitHit { limit: l, who: w, .. } if l == limit && w == who);
        if events.iter().any(|stamped| is_it(&stamped.event)) {
            assert!(hits(broker, limit) > 0, "{limit} was not counted");
            return;
        }
        let news = tokio::time::timeout(crate::fixture::PATIENCE, follower.changed()).await;
        assert!(news.is_ok(), "{limit} was never said to be hit by {who}");
    }
}

/// How often `limit` was hit.
fn hits(broker: &Handle, limit: &str) -> u64 {
    broker.limit_hits()[limit]
}

/// True if the bus has said that `limit` was hit.
fn was_told(broker: &Handle, limit: &str) -> bool {
    let is_it = |event: &Event| matches!(event, Event::LimitHit { limit: l, .. } if l == limit);
    broker.bus().follow_from_start().take(usize::MAX).events.iter().any(|stamped| is_it(&stamped.event))
}

/// A user whose password is its name, and costs next to nothing to check.
pub(crate) fn user(name: &str) -> User {
    user_at_cost(name, 8)
}

/// A user whose password costs `kib` of memory to check, and the time to fill it.
fn user_at_cost(name: &str, kib: u32) -> User {
    let params = argon2::Params::new(kib, 1, 1, None).unwrap();
    let argon2 = Argon2::new(argon2::Algorithm::Argon2id, argon2::Version::V0x13, params);
    let salt = SaltString::encode_b64(&[7; 16]).unwrap();
    let hash = argon2.hash_password(name.as_bytes(), &salt).unwrap();
    let all = || vec!["#".parse().unwrap()];
    User {
        name: name.parse().unwrap(),
        password_hash: PasswordHash::parse(&hash.to_string()).unwrap(),
        allow: Grants { publish: all(), subscribe: all(), create: all(), operate: Vec::new() },
        deny: Grants::default(),
    }
}

pub(crate) fn of_user(name: &str) -> RegistrationRequest {
    with_password(name, name)
}

fn with_password(name: &str, password: &str) -> RegistrationRequest {
    RegistrationRequest { user: Some(name.into()), password: Some(password.to_owned().into()), ..RegistrationRequest::new(name) }
}

/// Registers on a connection that is there.
async fn registers(mut raw: Raw, request: RegistrationRequest) -> Raw {
    raw.send(&cordboard::wire::ClientFrame::RegistrationRequest(request)).await;
    raw.response().await;
    raw
}
