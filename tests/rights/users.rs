//! A broker whose users a test changes while it runs.

use std::sync::{Arc, Mutex};

use argon2::{Argon2, PasswordHasher as _, password_hash::SaltString};
use cordboard::{
    Handle,
    config::{Config, Grants, PasswordHash, User},
    control::{Control, Outcome},
    events::Event,
    name::{Filter, SessionId},
    wire::{ClientFrame, RegistrationRequest, RegistrationResponse},
};

use crate::fixture::{self, Raw, broker_with};

/// A hash that costs next to nothing: what it costs is not what these tests are about.
pub(crate) fn hash(password: &str) -> PasswordHash {
    let params = argon2::Params::new(8, 1, 1, None).unwrap();
    let argon2 = Argon2::new(argon2::Algorithm::Argon2id, argon2::Version::V0x13, params);
    let salt = SaltString::encode_b64(&[7; 16]).unwrap();
    PasswordHash::parse(&argon2.hash_password(password.as_bytes(), &salt).unwrap().to_string()).unwrap()
}

/// Filters of a test's users.
pub(crate) fn filters(texts: &[&str]) -> Vec<Filter> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

/// A user whose password is the name, and who may do everything but operate.
pub(crate) fn user(name: &str) -> User {
    let all = || filters(&["#"]);
    User {
        name: name.parse().unwrap(),
        password_hash: hash(name),
        allow: Grants { publish: all(), subscribe: all(), create: all(), operate: Vec::new() },
        deny: Grants::default(),
    }
}

/// What a user says to register.
pub(crate) fn of_user(name: &str, password: &str) -> RegistrationRequest {
    RegistrationRequest { user: Some(name.into()), password: Some(password.to_owned().into()), ..RegistrationRequest::new(name) }
}

/// A broker, and the configuration that it reads again.
pub(crate) struct Bench {
    pub(crate) broker: Handle,
    file: Arc<Mutex<Result<Config, String>>>,
}

impl Bench {
    /// With a user for each name.
    pub(crate) async fn with(names: &[&str], change: impl FnOnce(&mut Config)) -> Self {
        let mut config = Config { users: names.iter().map(|name| user(name)).collect(), ..fixture::config() };
        change(&mut config);
        let broker = broker_with(|started| started.clone_from(&config)).await;
        let file = Arc::new(Mutex::new(Ok(config)));
        let read = Arc::clone(&file);
        broker.reload_from(move || read.lock().unwrap().clone());
        Self { broker, file }
    }

    /// Changes what the file says.
    pub(crate) fn write(&self, change: impl FnOnce(&mut Config)) {
        change(self.file.lock().unwrap().as_mut().unwrap());
    }

    /// From now on there is something wrong with the file.
    pub(crate) fn spoil(&self, why: &str) {
        *self.file.lock().unwrap() = Err(why.to_owned());
    }

    /// Changes one user's rights and has that read.
    pub(crate) async fn grant(&self, name: &str, change: impl FnOnce(&mut User)) -> Outcome {
        self.write(|config| change(config.users.iter_mut().find(|user| user.name.as_str() == name).unwrap()));
        self.reload().await
    }

    /// Has the file read again, by order.
    pub(crate) async fn reload(&self) -> Outcome {
        fixture::order(&self.broker, Control::Reload { seen: None }).await
    }

    pub(crate) async fn register(&self, name: &str) -> (Raw, RegistrationResponse) {
        Raw::register_with(&self.broker, of_user(name, name)).await
    }

    pub(crate) async fn resume(&self, name: &str, session: SessionId) -> (Raw, RegistrationResponse) {
        let request = RegistrationRequest { session: Some(session), ..of_user(name, name) };
        let (mut raw, response) = Raw::register_with(&self.broker, request).await;
        raw.sequence = response.settled;
        (raw, response)
    }

    /// A connection that has asked, and waits for its answer.
    pub(crate) async fn ask(&self, request: RegistrationRequest) -> Raw {
        let mut raw = Raw::connect(self.broker.endpoints()[0]).await;
        raw.send(&ClientFrame::RegistrationRequest(request)).await;
        raw
    }

    /// All events so far.
    pub(crate) fn events(&self) -> Vec<Event> {
        self.broker.bus().follow_from_start().take(usize::MAX).events.iter().map(|stamped| stamped.event.clone()).collect()
    }
}

/// The messages lost by an order that was carried out.
#[track_caller]
pub(crate) fn lost(outcome: &Outcome) -> u64 {
    match outcome {
        Outcome::Done { lost } => lost.messages(),
        other => panic!("it was not done: {other:?}"),
    }
}

/// Why an order was refused.
#[track_caller]
pub(crate) fn refusal(outcome: Outcome) -> String {
    match outcome {
        Outcome::Refused { why } => why,
        other => panic!("it was not refused: {other:?}"),
    }
}
