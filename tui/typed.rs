//! What to type to run this program again: a hint on the screen is a command, not a name that only an installed program has.

use std::{
    env,
    ffi::OsStr,
    path::{Path, PathBuf},
};

/// What the program is called, and what its commands are looked for as.
const NAME: &str = "cordboard";

/// What to type in another terminal of this directory to run this program: its name if that is on the `PATH`, else the path
/// that it was started by.
pub(crate) fn program() -> String {
    let started = env::args_os().next().map(PathBuf::from).unwrap_or_default();
    let here = env::current_dir().unwrap_or_default();
    let directories = env::var_os("PATH").unwrap_or_default();
    let is_found = |name: &str| env::split_paths(&directories).any(|directory| is_program(&directory.join(name)));
    command(&started, &here, is_found)
}

/// As [`program`], told all that it asks.
fn command(started: &Path, here: &Path, is_found: impl Fn(&str) -> bool) -> String {
    // Without a slash it was found on the `PATH` by whoever typed it, whatever it is called there.
    let by_name = started.components().count() <= 1 && !started.is_absolute() && started.as_os_str() != OsStr::new("");
    match started.to_str() {
        _ if is_found(NAME) => NAME.to_owned(),
        Some(name) if by_name && is_found(name) => quoted(name),
        _ if started.as_os_str().is_empty() => NAME.to_owned(),
        _ => quoted(&path(started, here)),
    }
}

/// The path of `started`, without the way to `here` if it lies below that.
fn path(started: &Path, here: &Path) -> String {
    let below = started.strip_prefix(here).unwrap_or(started);
    let text = below.to_string_lossy();
    if below.components().count() == 1 && !below.is_absolute() { format!("./{text}") } else { text.into_owned() }
}

/// `text` as one word of a shell.
fn quoted(text: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "/._-+,:@%=".contains(c);
    if text.chars().all(is_plain) { text.to_owned() } else { format!("'{}'", text.replace('\'', r"'\''")) }
}

#[cfg(unix)]
fn is_program(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    path.metadata().is_ok_and(|file| file.is_file() && file.permissions().mode() & 0o111 != 0)
}

#[cfg(not(unix))]
fn is_program(path: &Path) -> bool {
    path.is_file()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(started: &str, on_the_path: &[&str], expected: &str) {
        let found = |name: &str| on_the_path.contains(&name);
        assert_eq!(command(Path::new(started), Path::new("/home/ana/src"), found), expected);
    }

    #[test]
    fn the_name_stands_where_it_is_found() {
        check("/opt/cordboard/cordboard", &["cordboard"], "cordboard");
        check("target/release/cordboard", &["cordboard"], "cordboard");
        check("cb", &["cb"], "cb");
    }

    #[test]
    fn else_it_is_the_path_that_it_was_started_by() {
        check("target/release/cordboard", &[], "target/release/cordboard");
        check("/home/ana/src/target/release/cordboard", &[], "target/release/cordboard");
        check("/home/ana/src/cordboard", &[], "./cordboard");
        check("./cordboard", &[], "./cordboard");
        check("/opt/cordboard", &[], "/opt/cordboard");
        check("../bin/cordboard", &[], "../bin/cordboard");
        check("", &[], "cordboard");
    }

    /// It is typed into a shell as it stands.
    #[test]
    fn a_shell_reads_it_as_one_word() {
        check("/opt/my broker/cordboard", &[], "'/opt/my broker/cordboard'");
        check("/opt/ana's/$HOME/cordboard", &[], r"'/opt/ana'\''s/$HOME/cordboard'");
    }

    #[cfg(unix)]
    #[test]
    fn only_what_can_be_run_is_a_program() {
        use std::{fs, os::unix::fs::PermissionsExt};
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("cordboard");
        assert!(!is_program(&file) && !is_program(directory.path()));
        fs::write(&file, "").unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
        assert!(!is_program(&file));
        fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
        assert!(is_program(&file));
    }
}
