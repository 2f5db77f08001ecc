//! A password's hash, checked where it enters and shown nowhere.

use std::fmt;

use argon2::{
    Algorithm, Argon2, Params, PasswordHasher as _, PasswordVerifier as _, Version,
    password_hash::{PasswordHash as Phc, SaltString},
};
use serde::{Deserialize, Deserializer, Serialize, de};

/// The most memory one verification may take, in KiB: verifications run side by side.
const MAX_MEMORY_KIB: u32 = 256 * 1_024;
/// The most passes over it.
const MAX_PASSES: u32 = 64;

/// Why a password hash was refused. Never says what it was: a user may have put the password itself there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum HashError {
    /// Not a PHC string of argon2id.
    #[error("not an argon2id hash; it starts with $argon2id$ and has a salt and a hash")]
    NotArgon2id,
    /// Parameters that would make each registration a burden.
    #[error("this hash costs more than 256 MiB or 64 passes to verify; make it again with less")]
    TooCostly,
}

/// An argon2id hash as a PHC string, `$argon2id$v=19$m=…,t=…,p=…$salt$hash`. `Debug` does not show it.
#[derive(Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct PasswordHash(String);

impl PasswordHash {
    /// Checks `text`.
    ///
    /// # Errors
    /// A [`HashError`] if it is not argon2id, or too costly to verify at each registration.
    pub fn parse(text: &str) -> Result<Self, HashError> {
        let phc = Phc::new(text).map_err(|_| HashError::NotArgon2id)?;
        let params = Params::try_from(&phc).map_err(|_| HashError::NotArgon2id)?;
        if phc.algorithm != Algorithm::Argon2id.ident() || phc.salt.is_none() || phc.hash.is_none() {
            return Err(HashError::NotArgon2id);
        }
        if params.m_cost() > MAX_MEMORY_KIB || params.t_cost() > MAX_PASSES {
            return Err(HashError::TooCostly);
        }
        Ok(Self(text.to_owned()))
    }

    /// Hashes `password` at the cost recommended for argon2id. `salt` must be random and used once.
    pub fn make(password: &str, salt: [u8; 16]) -> Self {
        Self::make_at_cost(password, salt, Params::default())
    }

    pub(crate) fn make_at_cost(password: &str, salt: [u8; 16], params: Params) -> Self {
        let salt = SaltString::encode_b64(&salt).expect("16 bytes are a salt");
        let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
        let hash = argon2.hash_password(password.as_bytes(), &salt).expect("a password from a frame is short enough to hash");
        Self(hash.to_string())
    }

    /// The hash itself, for a configuration file and nothing else.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// True if this is the hash of `password`. Takes tens of milliseconds and as much memory as the hash says.
    pub fn verifies(&self, password: &str) -> bool {
        let phc = Phc::new(&self.0).expect("it was parsed when it was made");
        Argon2::default().verify_password(password.as_bytes(), &phc).is_ok()
    }
}

impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(hidden)")
    }
}

impl<'de> Deserialize<'de> for PasswordHash {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(Visitor)
    }
}

struct Visitor;

/// The usual errors would quote what was there instead: perhaps a password, perhaps of digits only.
impl de::Visitor<'_> for Visitor {
    type Value = PasswordHash;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an argon2id hash as a string")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<PasswordHash, E> {
        PasswordHash::parse(text).map_err(E::custom)
    }

    fn visit_i64<E: de::Error>(self, _: i64) -> Result<PasswordHash, E> {
        Err(E::custom(HashError::NotArgon2id))
    }

    fn visit_u64<E: de::Error>(self, _: u64) -> Result<PasswordHash, E> {
        Err(E::custom(HashError::NotArgon2id))
    }

    fn visit_f64<E: de::Error>(self, _: f64) -> Result<PasswordHash, E> {
        Err(E::custom(HashError::NotArgon2id))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_verifies_its_password_and_no_other() {
        let hash = PasswordHash::make_at_cost("correct horse", [7; 16], Params::new(8, 1, 1, None).unwrap());
        assert_eq!(PasswordHash::parse(&hash.0), Ok(hash.clone()));
        assert!(hash.verifies("correct horse"));
        assert!(!hash.verifies("correct hors"));
        assert!(!hash.verifies(""));
    }

    #[test]
    fn only_argon2id_at_a_bearable_cost_is_taken() {
        let salted = "c2FsdHNhbHRzYWx0";
        let hash = "aGFzaGhhc2hoYXNoaGFzaGhhc2hoYXNo";
        let argon2id = |params: &str| PasswordHash::parse(&format!("$argon2id$v=19${params}${salted}${hash}"));
        assert!(argon2id("m=19456,t=2,p=1").is_ok());
        assert_eq!(argon2id("m=4194304,t=1,p=1"), Err(HashError::TooCostly));
        assert_eq!(argon2id("m=19456,t=1000,p=1"), Err(HashError::TooCostly));
        for bad in [
            "",
            "hunter2",
            &format!("$argon2i$v=19$m=19456,t=2,p=1${salted}${hash}"),
            &format!("$argon2id$v=19$m=19456,t=2,p=1${salted}"),
            "$argon2id$v=19$m=19456,t=2,p=1",
            "$2b$12$abcdefghijklmnopqrstuv",
        ] {
            assert_eq!(PasswordHash::parse(bad), Err(HashError::NotArgon2id), "{bad}");
        }
    }

    #[test]
    fn it_is_never_shown() {
        let hash = PasswordHash::make_at_cost("x", [1; 16], Params::new(8, 1, 1, None).unwrap());
        assert_eq!(format!("{hash:?}"), "(hidden)");
    }
}
