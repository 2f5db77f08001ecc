//! The configuration against its manual, and against everything a file can get wrong.

use proptest::{prelude::*, sample::select};
use toml::{Table, Value};

use super::{read::manual_in_full, *};

const HASH: &str = "$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHRzYWx0$aGFzaGhhc2hoYXNoaGFzaGhhc2hoYXNo";

fn read(text: &str) -> Result<Config, String> {
    Config::parse(text, "cordboard.toml").map_err(|error| error.to_string())
}

/// A configuration with a value in each place that the default leaves empty: its keys are all there are.
fn full() -> Config {
    let grants = || Grants {
        publish: vec!["a/b".parse().unwrap()],
        subscribe: vec!["a/#".parse().unwrap()],
        create: vec!["a/+".parse().unwrap()],
        operate: vec!["#".parse().unwrap()],
    };
    let user = User {
        name: "alice".parse().unwrap(),
        password_hash: PasswordHash::parse(HASH).unwrap(),
        allow: grants(),
        deny: grants(),
    };
    Config { audit: Audit { file: Some("audit.jsonl".into()) }, users: vec![user], ..Config::default() }
}

#[track_caller]
fn refused(text: &str, message: &str) {
    assert_eq!(read(text).expect_err("it was taken"), message);
}

/// Every leaf's path; elements of an array are one.
fn paths(table: &Table, section: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (key, value) in table {
        let path = if section.is_empty() { key.clone() } else { format!("{section}.{key}") };
        match value {
            Value::Table(table) => found.extend(paths(table, &path)),
            Value::Array(array) if array.first().is_some_and(Value::is_table) => {
                found.extend(array.iter().filter_map(Value::as_table).flat_map(|table| paths(table, &path)));
            }
            Value::Array(array) if array.is_empty() && section.is_empty() => {}
            _ => found.push(path),
        }
    }
    found
}

#[test]
fn the_manual_is_the_default() {
    assert_eq!(read(MANUAL), Ok(Config::default()));
    assert_eq!(read(""), Ok(Config::default()));
}

#[test]
fn the_manual_has_every_key_and_shows_the_unset_ones_as_they_would_be_written() {
    let manual: Table = MANUAL.parse().unwrap();
    assert_eq!(paths(&manual, ""), paths(&Table::try_from(Config::default()).unwrap(), ""));

    assert_eq!(read(&manual_in_full()).map(|config| config.users.len()), Ok(1));
    assert_eq!(paths(&manual_in_full().parse().unwrap(), ""), paths(&Table::try_from(full()).unwrap(), ""));
}

#[test]
fn each_key_of_the_manual_has_a_reason() {
    let mut above = "";
    for line in MANUAL.lines() {
        let is_section = line.trim_start_matches('#').starts_with('[');
        if line.contains(" = ") && !line.starts_with('#') {
            assert!(above.starts_with("# "), "{line} has no comment");
        }
        above = if is_section { "" } else { line };
    }
}

#[test]
fn what_is_written_is_read_back() {
    assert_eq!(read(&toml::to_string(&full()).unwrap()), Ok(full()));
}

#[test]
fn a_windows_editors_file_is_the_same_file() {
    let windows = format!("\u{feff}{}", MANUAL.replace('\n', "\r\n"));
    assert_eq!(read(&windows), Ok(Config::default()));
    refused("\u{feff}\r\n\r\n[topics]\r\nmax = 0\r\n", "cordboard.toml:4: topics.max is 0; use at least 1");
}

#[test]
fn an_unknown_key_is_refused_with_its_line_and_the_nearest_known_one() {
    refused(
        "\n[sessions]\n\nreclaim_afer = \"90s\"",
        "cordboard.toml:4: unknown key `reclaim_afer` in [sessions]; did you mean `reclaim_after`?",
    );
    refused("[sesions]\ntombstones = 1", "cordboard.toml:1: unknown key `sesions`; did you mean `sessions`?");
    refused("[topics]\nwindow_bytes = 1", "cordboard.toml:2: unknown key `window_bytes` in [topics]; it belongs in [queues]");
    refused("[audit]\nlisten = []", "cordboard.toml:2: unknown key `listen` in [audit]; it belongs before the first [section]");
    refused("[audit]\nqqq = 1\nzzz = 2", "cordboard.toml:2: unknown key `qqq` in [audit]; there are file");
    refused(
        "[[users]]\nname = \"a\"\nallow.publsh = []",
        "cordboard.toml:3: unknown key `publsh` in [users.allow]; did you mean `publish`?",
    );
    refused(
        "\"\\u001b[2J\" = 1",
        &format!(
            "cordboard.toml:1: unknown key `\\u{{1b}}[2J`; there are {}",
            manual_in_full().parse::<Table>().unwrap().keys().cloned().collect::<Vec<_>>().join(", "),
        ),
    );
}

#[test]
fn a_wrong_value_is_refused_with_its_line_and_an_example() {
    refused(
        "[sessions]\nreclaim_after = 90",
        "cordboard.toml:2: sessions.reclaim_after: invalid type: integer `90`, expected a duration; write it like reclaim_after = \"90s\"",
    );
    refused(
        "[queues]\nmax_messages = \"many\"",
        "cordboard.toml:2: queues.max_messages: invalid type: string \"many\", expected a whole number up to 4294967295; write it like max_messages = 10000",
    );
    let size = "expected a size in B, KiB, MiB or GiB, or a whole number of bytes; write it like max_bytes = \"16MiB\"";
    refused(
        "\nqueues.max_bytes = \"16MB\"",
        &format!("cordboard.toml:2: queues.max_bytes: invalid value: string \"16MB\", {size}"),
    );
    refused("[queues]\nmax_bytes = -1", &format!("cordboard.toml:2: queues.max_bytes: invalid value: integer `-1`, {size}"));
    refused("queues = 3", "cordboard.toml:1: queues: invalid type: integer `3`, expected struct Queues; [queues] is a section");
    refused(
        "listen = [\n  \"nowhere\",\n]",
        "cordboard.toml:2: listen: invalid socket address syntax; write it like listen = [\"127.0.0.1:2673\"]",
    );
    refused(
        &format!("[[users]]\nname = \"a\"\npassword_hash = \"{HASH}\"\n\nallow.publish = [\"a//b\"]"),
        "cordboard.toml:5: users.allow.publish: the filter has an empty level; write a/b, not /a, a/ or a//b; write it like publish = [\"orders/eu/+\", \"replies/%u/#\"]",
    );
    refused("[[users]]\nname = \"a\"", "cordboard.toml:1: users: missing field `password_hash`; [[users]] is a section for each");
    refused("a = = 1", "cordboard.toml:1: extra `=`, expected nothing");
    refused("[topics]\nmax = 1\nmax = 2", "cordboard.toml:3: duplicate key");
}

/// Some will put the password itself there. It must not end up in a log.
#[test]
fn a_password_in_the_wrong_place_is_not_repeated() {
    for value in ["\"hunter2\"", "4711", "-4711", "47.11", "[\"hunter2\"]", "hunter2", "\"hunter2"] {
        let error = read(&format!("[[users]]\nname = \"a\"\npassword_hash = {value}")).unwrap_err();
        assert!(error.starts_with("cordboard.toml:3: "), "{error}");
        assert!(!error.contains("hunter2") && !error.contains("47"), "{error}");
    }
    refused(
        "[[users]]\npassword = \"hunter2\"",
        "cordboard.toml:2: unknown key `password` in [users]; did you mean `password_hash`?",
    );
    assert!(!format!("{:?}", full()).contains("argon2"));
}

/// Whoever adds a key decides here whether it may be zero.
#[test]
fn no_count_time_or_size_may_be_zero_unless_zero_means_something() {
    const MAY_BE_ZERO: [&str; 3] = ["failures.leaf_restarts", "failures.manager_restarts", "queues.hold_publisher"];
    let defaults = Table::try_from(Config::default()).unwrap();
    for path in paths(&defaults, "") {
        let Some((section, key)) = path.split_once('.') else { continue };
        let zero = match &defaults[section][key] {
            Value::Integer(_) => "0",
            Value::String(text) if text.ends_with(['B']) => "\"0B\"",
            _ => "\"0s\"",
        };
        let result = read(&format!("[{section}]\n{key} = {zero}"));
        assert_eq!(result.is_ok(), MAY_BE_ZERO.contains(&path.as_str()), "{path}: {result:?}");
    }
    refused("[queues]\nmax_messages = 0", "cordboard.toml:2: queues.max_messages is 0; use at least 1");
}

#[test]
fn what_could_never_fit_is_refused() {
    refused(
        "[queues]\nwindow_messages = 20_000",
        "cordboard.toml:2: queues.window_messages is 20000, more than queues.max_messages; use at most 10000, or raise that",
    );
    refused(
        "[queues]\nmax_messages = 100",
        "cordboard.toml:2: queues.window_messages is 1024, more than queues.max_messages; use at most 100, or raise that",
    );
    refused(
        "[queues]\nwindow_bytes = \"32MiB\"",
        "cordboard.toml:2: queues.max_bytes is 16MiB, less than queues.window_bytes; use at least \"32MiB\"",
    );
    refused(
        "[connections]\nmax_frame_bytes = \"8MiB\"",
        "cordboard.toml:2: connections.outbound_bytes is 4MiB, less than connections.max_frame_bytes; use at least \"8MiB\"",
    );
    for (frame, fits) in [(1023, false), (1024, true), ((16 << 20) + 1, false)] {
        assert_eq!(read(&format!("connections.max_frame_bytes = {frame}")).is_ok(), fits, "{frame}");
    }
    refused("[topics]\nmax_levels = 17", "cordboard.toml:2: topics.max_levels is 17; use 1 to 16");
    refused("[topics]\nmax_name_bytes = 256", "cordboard.toml:2: topics.max_name_bytes is 256; use 1 to 255");
    refused(
        "[sessions]\nreclaim_after = \"25h\"",
        "cordboard.toml:2: sessions.reclaim_after is longer than sessions.max_reclaim_after; raise that too",
    );
    let unheard = "logins.slow_answer is not less than connections.registration_deadline, so nobody would hear the answer; \
        lower it, or raise that";
    for text in ["[logins]\nslow_answer = \"5s\"", "[connections]\nregistration_deadline = \"2s\""] {
        refused(text, &format!("cordboard.toml:2: {unheard}"));
    }
    assert!(read("[logins]\nslow_answer = \"4999ms\"").is_ok());
    refused(
        "[sessions]\ntombstone_life = \"900years\"",
        "cordboard.toml:2: sessions.tombstone_life is too long; use at most \"30days\"",
    );
}

fn user(name: &str) -> String {
    format!("[[users]]\nname = \"{name}\"\npassword_hash = \"{HASH}\"\n")
}

#[test]
fn a_user_is_there_once_and_is_not_local() {
    refused(&(user("a") + &user("b") + &user("a")), "cordboard.toml:8: users.name is a a second time; keep one of them");
    refused(
        &user("local"),
        "cordboard.toml:2: users.name is local, which is who everyone is while there are no users; use another",
    );
}

/// A right with %u is the user's own, so a name that would be a pattern in its place is refused where it is written.
#[test]
fn a_name_that_is_a_pattern_goes_with_no_right_that_says_it() {
    let own = |name: &str| user("first") + &user(name) + "allow.publish = [\"own/%u\"]\n";
    assert!(read(&own("ana")).is_ok());
    assert!(read(&user("a/+")).is_ok());
    refused(
        &own("+"),
        "cordboard.toml:5: users.name has own/%u, and the name + holds /, + or #, which mean something in a filter; use another name, or no %u",
    );
    let long = "x".repeat(128);
    let error = read(&(user(&long) + "deny.create = [\"%u/%u\"]")).unwrap_err();
    assert!(error.starts_with("cordboard.toml:2: users.name has %u/%u, which makes no filter with the name xxx"), "{error}");
}

/// Without users everyone may do everything, so only this machine may connect (I2).
#[test]
fn other_machines_need_users() {
    for address in ["0.0.0.0:2673", "192.168.1.1:2673", "[::]:2673", "[::ffff:10.0.0.1]:2673"] {
        let listen = format!("listen = [\"127.0.0.1:1\", \"{address}\"]\n");
        refused(
            &listen,
            &format!(
                "cordboard.toml:1: listen has {address}, which other machines reach, and there are no users; add [[users]] or use 127.0.0.1"
            ),
        );
        assert!(read(&(listen + &user("a"))).is_ok());
    }
    for address in ["127.0.0.1:0", "127.9.9.9:1", "[::1]:2673", "[::ffff:127.0.0.1]:2673"] {
        assert!(read(&format!("listen = [\"{address}\"]")).is_ok(), "{address}");
    }
    refused("listen = []", "cordboard.toml:1: listen is empty; give at least one address, as in [\"127.0.0.1:2673\"]");
    refused("listen = [\"127.0.0.1:9\", \"127.0.0.1:9\"]", "cordboard.toml:1: listen has 127.0.0.1:9 twice; keep one of them");
    assert!(read("listen = [\"127.0.0.1:0\", \"127.0.0.1:0\"]").is_ok());
}

#[test]
fn a_change_made_in_code_is_checked_too() {
    let config = Config { listen: vec!["0.0.0.0:2673".parse().unwrap()], ..Config::default() };
    let error = config.validate().unwrap_err().to_string();
    assert!(error.starts_with("listen has 0.0.0.0:2673"), "{error}");
}

#[test]
fn a_file_that_cannot_be_trusted_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let load = |name: &str, content: &[u8]| {
        let path = dir.path().join(name);
        std::fs::write(&path, content).unwrap();
        Config::load(&path)
    };
    assert_eq!(load("manual.toml", MANUAL.as_bytes()).unwrap(), Config::default());
    for nothing in [&b""[..], b"\n \r\n", b"\xef\xbb\xbf"] {
        assert!(matches!(load("empty.toml", nothing), Err(ConfigError::Empty { .. })), "{nothing:?}");
    }
    assert_eq!(load("comment.toml", b"# all as it comes\n").unwrap(), Config::default());
    assert!(matches!(load("latin.toml", b"\n# Z\xfcrich"), Err(ConfigError::NotUtf8 { line: 2, .. })));
    assert!(matches!(load("huge.toml", &vec![b'\n'; 10 << 20]), Err(ConfigError::TooLarge { .. })));
    assert!(matches!(Config::load(&dir.path().join("missing.toml")), Err(ConfigError::Unreadable { .. })));
    assert!(matches!(Config::load(dir.path()), Err(ConfigError::Unreadable { .. })));
    assert!(matches!(Config::parse(&"\n".repeat(10 << 20), "huge"), Err(ConfigError::TooLarge { .. })));
}

#[cfg(unix)]
#[test]
fn a_file_that_anyone_can_change_is_refused() {
    use std::os::unix::fs::PermissionsExt as _;
    let file = tempfile::NamedTempFile::new().unwrap();
    file.as_file().set_permissions(std::fs::Permissions::from_mode(0o646)).unwrap();
    assert!(matches!(Config::load(file.path()), Err(ConfigError::WorldWritable { .. })));
    file.as_file().set_permissions(std::fs::Permissions::from_mode(0o664)).unwrap();
    std::fs::write(file.path(), MANUAL).unwrap();
    assert_eq!(Config::load(file.path()).unwrap(), Config::default());
}

proptest! {
    /// Whatever a file holds, reading it ends in a configuration that passes its checks or in one line that names the file.
    #[test]
    fn any_text_is_taken_or_refused_in_one_line(
        at: prop::sample::Index,
        damage in prop_oneof![
            ".{0,12}".boxed(),
            select(vec!["[[", "]", "\"", "'''", "users = 3", "=", "#", "\u{feff}", "[users]", "a.b.c = {"])
                .prop_map(str::to_owned)
                .boxed(),
        ],
        replaced in 0..40_usize,
    ) {
        let manual = manual_in_full();
        let start = at.index(manual.len());
        let end = (start + replaced).min(manual.len());
        let text = format!("{}{damage}{}", &manual[..start], &manual[end..]);
        match Config::parse(&text, "cordboard.toml") {
            Ok(config) => prop_assert!(config.validate().is_ok()),
            Err(error) => {
                let error = error.to_string();
                prop_assert!(error.starts_with("cordboard.toml:") && !error.chars().any(char::is_control), "{error:?}");
            }
        }
    }
}
