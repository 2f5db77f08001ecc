//! A password's hash, checked where it enters and shown nowhere.

use std::{
    fmt,
    sync::{Mutex, PoisonError},
};

use argon2::{
    Algorithm, Argon2, Block, Params, PasswordHasher as _, Version,
    password_hash::{Output, PasswordHash as Phc, Salt, SaltString},
};
use serde::{Deserialize, Deserializer, Serialize, de};

/// The most memory one verification may take, in KiB: verifications run side by side.
const MAX_MEMORY_KIB: u32 = 256 * 1_024;
/// The most passes over it.
const MAX_PASSES: u32 = 64;

/// What verifications have worked in and will work in again.
static WORKSHOP: Workshop = Workshop::new();

/// Memory for verifications. Allocated anew for each of them it would be freed on another thread each time, and allocators
/// keep some for every thread: a flood of wrong passwords, two at a time, left hundreds of MiB behind.
#[derive(Debug)]
struct Workshop(Mutex<Vec<Vec<Block>>>);

impl Workshop {
    /// Kept for the next ones; what runs beside them comes and goes.
    const BENCHES: usize = 2;

    const fn new() -> Self {
        Self(Mutex::new(Vec::new()))
    }

    /// Does `work` in `blocks` of memory that hold whatever was left there.
    fn lend<T>(&self, blocks: usize, work: impl FnOnce(&mut [Block]) -> T) -> T {
        let mut bench = self.0.lock().unwrap_or_else(PoisonError::into_inner).pop().unwrap_or_default();
        if bench.len() < blocks {
            bench.resize(blocks, Block::new());
        }
        let result = work(&mut bench[..blocks]);
        let mut benches = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if benches.len() < Self::BENCHES {
            benches.push(bench);
        }
        result
    }
}

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
        self.verifies_in(&WORKSHOP, password)
    }

    fn verifies_in(&self, workshop: &Workshop, password: &str) -> bool {
        let phc = Phc::new(&self.0).expect("it was parsed when it was made");
        let (Ok(params), Some(salt), Some(hash)) = (Params::try_from(&phc), phc.salt, phc.hash) else { return false };
        let Ok(version) = phc.version.map_or(Ok(Version::default()), Version::try_from) else { return false };
        let (mut salted, mut out) = ([0; Salt::MAX_LENGTH], [0; Output::MAX_LENGTH]);
        let (Ok(salt), Some(out)) = (salt.decode_b64(&mut salted), out.get_mut(..hash.len())) else { return false };
        let blocks = params.block_count();
        let argon2 = Argon2::new(Algorithm::Argon2id, version, params);
        let hashed =
            workshop.lend(blocks, |memory| argon2.hash_password_into_with_memory(password.as_bytes(), salt, out, memory));
        // Compared in constant time.
        hashed.is_ok() && Output::new(out).is_ok_and(|out| out == hash)
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

    /// I5: what one verification needs is kept for the next one, at whatever cost that has.
    #[test]
    fn verifications_work_where_others_have_worked() {
        let hash =
            |kib, passes, lanes| PasswordHash::make_at_cost("right", [7; 16], Params::new(kib, passes, lanes, None).unwrap());
        let (workshop, hashes) = (Workshop::new(), [hash(2_048, 1, 1), hash(64, 3, 2), hash(8, 1, 1), hash(2_000, 1, 1)]);
        assert!(hashes[0].verifies_in(&workshop, "right"));
        for hash in &hashes {
            let verify = || {
                assert!(hash.verifies_in(&workshop, "right"));
                assert!(!hash.verifies_in(&workshop, "wrong"));
            };
            let held = allocation_counter::measure(verify).bytes_max;
            assert!(held < 64 << 10, "{held} bytes");
        }
        assert_eq!(workshop.0.lock().unwrap().len(), 1);
    }

    /// What another program has made is verified, too.
    #[test]
    fn a_hash_from_elsewhere_is_verified() {
        use argon2::PasswordVerifier as _;
        let phc = SaltString::encode_b64(b"saltsalt").unwrap();
        for version in [Version::V0x10, Version::V0x13] {
            for length in [16, 32, 64] {
                let params = Params::new(64, 2, 4, Some(length)).unwrap();
                let made = Argon2::new(Algorithm::Argon2id, version, params).hash_password(b"right", &phc).unwrap();
                let hash = PasswordHash::parse(&made.to_string()).unwrap();
                for password in ["right", "wrong"] {
                    let known = Argon2::default().verify_password(password.as_bytes(), &made).is_ok();
                    assert_eq!((hash.verifies(password), known), (password == "right", password == "right"));
                }
            }
        }
    }

    #[test]
    fn it_is_never_shown() {
        let hash = PasswordHash::make_at_cost("x", [1; 16], Params::new(8, 1, 1, None).unwrap());
        assert_eq!(format!("{hash:?}"), "(hidden)");
    }
}
