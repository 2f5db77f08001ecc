//! The state directory: logs, audit records, and the sessions that named clients come back to.
//!
//! All of it is for its user's eyes only: a session id finds a session, and an audit record says who did what.

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, Write},
    path::{Path, PathBuf},
};

use cordboard::{InWords, name::SessionId};
use etcetera::BaseStrategy;

/// Why the state directory cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StateDirError {
    /// Nothing says where it should be.
    #[error("there is no home directory to keep state in; name a directory with --state-dir")]
    Homeless,
    /// It is there, or should be, and cannot be written.
    #[error("cannot write to the state directory {}: {}; name another with --state-dir", path.display(), InWords(.why))]
    Unwritable {
        /// Which.
        path: PathBuf,
        /// What the operating system says.
        why: io::Error,
    },
    /// Logs and audit records of two brokers in one file would be nobody's.
    #[error(
        "another broker{} uses the state directory {}; stop it, or name another directory with --state-dir",
        process.as_ref().map_or_else(String::new, |process| format!(" (process {process})")),
        path.display()
    )]
    Taken {
        /// Which.
        path: PathBuf,
        /// Whose, if it can be read.
        process: Option<u32>,
    },
}

/// A directory that is there and can be written.
#[derive(Debug, Clone)]
pub(crate) struct StateDir(PathBuf);

impl StateDir {
    /// `given`, or the platform's place for it; made if it is not there.
    pub(crate) fn open(given: Option<PathBuf>) -> Result<Self, StateDirError> {
        let path = match given {
            Some(path) => path,
            None => default_path().ok_or(StateDirError::Homeless)?,
        };
        if path.is_file() {
            return Err(StateDirError::Unwritable { path, why: io::ErrorKind::NotADirectory.into() });
        }
        match make_private(&path).and_then(|()| probe(&path)) {
            Ok(()) => Ok(Self(path)),
            Err(why) => Err(StateDirError::Unwritable { path, why }),
        }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// Takes it for the one broker that may log here, until the lock is dropped or the process ends, however it does.
    pub(crate) fn lock(&self) -> Result<Lock, StateDirError> {
        let unwritable = |why| StateDirError::Unwritable { path: self.0.clone(), why };
        let path = self.0.join("broker.lock");
        let mut file = private().open(&path).map_err(unwritable)?;
        match file.try_lock() {
            // Whoever comes second is told who was first.
            Ok(()) => {
                let pid = std::process::id();
                file.set_len(0).and_then(|()| writeln!(file, "{pid}")).map_err(unwritable)?;
                Ok(Lock(file))
            }
            Err(TryLockError::WouldBlock) => {
                let process = fs::read_to_string(path).ok().and_then(|pid| pid.trim().parse().ok());
                Err(StateDirError::Taken { path: self.0.clone(), process })
            }
            Err(TryLockError::Error(why)) => Err(unwritable(why)),
        }
    }

    /// Where the session of the named client is kept. One file for each broker, user and name.
    pub(crate) fn session_file(&self, server: &str, user: Option<&str>, name: &str) -> SessionFile {
        let key = match user {
            Some(user) => format!("{user}@{server}"),
            None => server.to_owned(),
        };
        SessionFile(self.0.join("sessions").join(file_name(&key)).join(file_name(name)))
    }
}

/// The operating system's lock on a state directory. A file that is left behind locks nothing.
#[derive(Debug)]
pub(crate) struct Lock(#[expect(dead_code, reason = "held, not used: dropped, it unlocks")] File);

/// How to open a file that only its user may read.
fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

fn default_path() -> Option<PathBuf> {
    let base = etcetera::choose_base_strategy().ok()?;
    Some(base.state_dir().unwrap_or_else(|| base.data_dir()).join("cordboard"))
}

/// A directory that only its user may read. One that is there already keeps its mode: its owner has decided.
fn make_private(path: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}

/// Writes, to find out now rather than at the first log line.
fn probe(path: &Path) -> io::Result<()> {
    let probe = path.join(format!(".probe-{}", std::process::id()));
    fs::write(&probe, b"")?;
    fs::remove_file(probe)
}

/// `text` as the name of one file on any file system; different texts have different names.
fn file_name(text: &str) -> String {
    use std::fmt::Write as _;
    let mut name = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-_.".contains(&byte) && !name.is_empty() {
            name.push(byte.into());
        } else {
            let _ = write!(name, "%{byte:02x}");
        }
    }
    if name.len() > 200 {
        name.truncate(180);
        let _ = write!(name, "%{:016x}", fnv(text.as_bytes()));
    }
    name
}

/// FNV-1a: the same in every version of this program, and nobody gains by a collision in their own directory.
fn fnv(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

/// The file that remembers a session.
#[derive(Debug, Clone)]
pub(crate) struct SessionFile(PathBuf);

impl SessionFile {
    /// The session in it. None if there is none, or what is there is not one.
    pub(crate) fn read(&self) -> Option<SessionId> {
        fs::read_to_string(&self.0).ok()?.trim().parse().ok()
    }

    /// Remembers `session`: whole or not at all, for this user alone.
    pub(crate) fn write(&self, session: SessionId) -> Result<(), StateDirError> {
        self.replace(session).map_err(|why| StateDirError::Unwritable { path: self.0.clone(), why })
    }

    fn replace(&self, session: SessionId) -> io::Result<()> {
        let directory = self.0.parent().unwrap_or(Path::new("."));
        make_private(directory)?;
        let new = directory.join(format!(".new-{}", std::process::id()));
        let mut file = private().truncate(true).open(&new)?;
        writeln!(file, "{session}")?;
        fs::rename(&new, &self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state_dir() -> (tempfile::TempDir, StateDir) {
        let root = tempfile::tempdir().unwrap();
        let state = StateDir::open(Some(root.path().join("a/b"))).unwrap();
        (root, state)
    }

    #[test]
    fn a_session_is_remembered_for_its_server_user_and_name() {
        let (_root, state) = state_dir();
        let file = state.session_file("127.0.0.1:2673", None, "Zürich ../7");
        assert_eq!(file.read(), None);
        let session = SessionId::from_bytes([7; 16]);
        file.write(session).unwrap();
        assert_eq!(file.read(), Some(session));
        let other = SessionId::from_bytes([8; 16]);
        file.write(other).unwrap();
        assert_eq!(file.read(), Some(other));
        for (server, user, name) in [
            ("127.0.0.1:2674", None, "Zürich ../7"),
            ("127.0.0.1:2673", Some("ada"), "Zürich ../7"),
            ("127.0.0.1:2673", None, "zürich ../7"),
        ] {
            assert_eq!(state.session_file(server, user, name).read(), None);
        }
        assert!(file.0.starts_with(state.path()));
        assert_eq!(file.0.components().count(), state.path().components().count() + 3);
    }

    #[cfg(unix)]
    #[test]
    fn nobody_else_can_read_a_session() {
        use std::os::unix::fs::PermissionsExt;
        let (_root, state) = state_dir();
        let file = state.session_file("s", None, "n");
        file.write(SessionId::from_bytes([7; 16])).unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&file.0), mode(file.0.parent().unwrap()), mode(state.path())), (0o600, 0o700, 0o700));
    }

    /// One broker at a time; the next may have it once the first is gone.
    #[test]
    fn a_directory_is_one_brokers() {
        let (_root, state) = state_dir();
        let lock = state.lock().unwrap();
        let refused = state.lock().unwrap_err().to_string();
        let who = format!("another broker (process {}) uses", std::process::id());
        assert!(refused.starts_with(&who) && refused.contains("--state-dir"), "{refused}");
        assert!(refused.contains(&state.path().display().to_string()), "{refused}");
        drop(lock);
        assert!(state.lock().is_ok());
    }

    /// Damaged or half written by something else: as if there were none.
    #[test]
    fn what_is_no_session_is_none() {
        let (_root, state) = state_dir();
        let file = state.session_file("s", None, "n");
        file.write(SessionId::from_bytes([7; 16])).unwrap();
        for damaged in [&b""[..], b"7", b"\xff\xfe", b"0707070707070707070707070707070707"] {
            fs::write(&file.0, damaged).unwrap();
            assert_eq!(file.read(), None);
        }
    }

    #[test]
    fn names_of_files_are_tame_and_distinct() {
        assert_eq!(file_name("billing-7.a"), "billing-7.a");
        assert_eq!(file_name("../x"), "%2e.%2fx");
        assert_eq!(file_name("A"), "%41");
        let (long, longer) = (file_name(&"é".repeat(64)), file_name(&format!("{}x", "é".repeat(64))));
        assert!(long.len() <= 200 && long != longer);
    }

    #[test]
    fn a_directory_that_cannot_be_is_refused_with_a_remedy() {
        let root = tempfile::tempdir().unwrap();
        fs::write(root.path().join("file"), "").unwrap();
        let error = StateDir::open(Some(root.path().join("file/below"))).unwrap_err().to_string();
        assert!(error.contains("file/below") && error.ends_with("name another with --state-dir"), "{error}");
    }
}
