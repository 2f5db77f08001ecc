//! The house rules, held by reading the tree: how files open, who imports whom, how long a function may be, what is left
//! behind by nobody. A rule is a function from sources to complaints; each is tried on a source that breaks it, too.

mod source;

use std::{
    fs,
    path::{Path, PathBuf},
};

use source::Source;

const FUNCTION_LINES: usize = 70;
const FILE_LINES: usize = 600;

/// Pure cores: no runtime, no clock, no I/O, so that they are tested without any and could be used anywhere.
/// Values in, values out: no runtime, no clock, no I/O.
const PURE: [&str; 20] = [
    "name",
    "wire",
    "queue",
    "filters",
    "board",
    "auth",
    "control",
    "peek",
    "events",
    "batch",
    "backlog",
    "room",
    "bucket",
    "throttle",
    "repeats",
    "limits",
    "logins",
    "bans",
    "tombstones",
    "reload",
];

type Rule = fn(&Source) -> Vec<(usize, String)>;

/// What `rule` says of the whole tree must be nothing.
#[track_caller]
fn holds(rule: Rule) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let sources = Source::read_all(root, &["src", "tui", "tests"]);
    assert!(["src/lib.rs", "tui/main.rs", "tests/tidy.rs"].iter().all(|path| sources.iter().any(|source| source.path == *path)));
    let complaints: Vec<String> = sources
        .iter()
        .flat_map(|source| rule(source).into_iter().map(|(line, why)| format!("{}:{line}: {why}", source.path)))
        .collect();
    assert!(complaints.is_empty(), "\n{}\n", complaints.join("\n"));
}

/// What `rule` says of one file, by line.
fn lines(rule: Rule, path: &str, text: &str) -> Vec<usize> {
    rule(&Source::new(path, text)).into_iter().map(|(line, _)| line).collect()
}

fn has_word(code: &str, word: &str) -> bool {
    let is_part = |c: char| c.is_alphanumeric() || c == '_';
    code.match_indices(word).any(|(at, _)| !code[..at].ends_with(is_part) && !code[at + word.len()..].starts_with(is_part))
}

/// Lines of code that hold one of `words`, with `why`.
fn lines_with<'a>(lines: impl Iterator<Item = (usize, &'a str)>, words: &[&str], why: &str) -> Vec<(usize, String)> {
    let found = lines.filter_map(|(line, code)| Some((line, words.iter().find(|word| has_word(code, word))?)));
    found.map(|(line, word)| (line, format!("{word}: {why}"))).collect()
}

/// Brackets that do not balance: the reader took a literal or a comment for code, and other rules may be blind after it.
fn is_understood(source: &Source) -> Vec<(usize, String)> {
    let count = |c: char| source.code.matches(c).count();
    let pairs = [('{', '}'), ('(', ')'), ('[', ']')].into_iter().filter(|(open, close)| count(*open) != count(*close));
    pairs.map(|(open, close)| (1, format!("{open} and {close} do not balance as the rules read them"))).collect()
}

#[test]
fn the_rules_understand_every_file() {
    holds(is_understood);
    assert_eq!(lines(is_understood, "src/x.rs", "fn a() { b(']') }\nfn c() {"), [1]);
}

fn opens_with_its_purpose(source: &Source) -> Vec<(usize, String)> {
    if source.text.starts_with("//! ") { Vec::new() } else { vec![(1, "a file opens with `//!`, what it is and why".into())] }
}

#[test]
fn every_file_says_what_it_is() {
    holds(opens_with_its_purpose);
    assert_eq!(lines(opens_with_its_purpose, "src/x.rs", "use a;\n//! Late."), [1]);
    assert!(lines(opens_with_its_purpose, "src/x.rs", "//! The x.\n").is_empty());
}

fn is_short(source: &Source) -> Vec<(usize, String)> {
    let mut complaints = Vec::new();
    for function in source.functions() {
        let length = function.lines.clone().count();
        if length > FUNCTION_LINES {
            let why = format!("{} has {length} lines; at most {FUNCTION_LINES}", function.name);
            complaints.push((*function.lines.start(), why));
        }
    }
    let length = source.text.lines().count();
    if length > FILE_LINES {
        complaints.push((FILE_LINES + 1, format!("the file has {length} lines; at most {FILE_LINES}")));
    }
    complaints
}

#[test]
fn functions_fit_a_screen_and_files_a_sitting() {
    holds(is_short);
    let function = |body: usize| format!("\nfn x() {{\n{}}}\n", "    y();\n".repeat(body));
    assert!(lines(is_short, "src/x.rs", &function(FUNCTION_LINES - 2)).is_empty());
    assert_eq!(lines(is_short, "src/x.rs", &function(FUNCTION_LINES - 1)), [2]);
    assert!(lines(is_short, "src/x.rs", &"\n".repeat(FILE_LINES)).is_empty());
    assert_eq!(lines(is_short, "src/x.rs", &"\n".repeat(FILE_LINES + 1)), [FILE_LINES + 1]);
}

fn is_finished(source: &Source) -> Vec<(usize, String)> {
    // Put together, so that this file does not break its own rule.
    let notes = [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("XX", "X"), concat!("HA", "CK")];
    let mut complaints = lines_with((1..).zip(source.text.lines()), &notes, "finish it or leave it out");
    complaints.extend(lines_with(source.code_lines(), &["todo!", "unimplemented!", "dbg!"], "finish it or leave it out"));
    complaints
}

#[test]
fn nothing_is_left_for_later() {
    holds(is_finished);
    let unfinished = format!("fn a() {{}}\n// {}: more\nfn b() {{ todo!() }}\n\"{}\"", concat!("TO", "DO"), concat!("FIX", "ME"));
    assert_eq!(lines(is_finished, "src/x.rs", &unfinished), [2, 4, 3]);
    assert!(lines(is_finished, "src/x.rs", "let todo = \"unimplemented!\"; // METHODOLOGY").is_empty());
}

/// Prose may end a line with a semicolon; code has something of code before it.
fn is_code(comment: &str) -> bool {
    let Some(text) = comment.trim_start().strip_prefix("//").filter(|text| !text.starts_with(['/', '!'])) else { return false };
    let text = text.trim();
    let of_code = ["(", "=", "::", "let ", "use ", "return", "break", "continue", "mod ", "."];
    text.ends_with('{')
        || text == "}"
        || text.strip_suffix(';').is_some_and(|line| of_code.iter().any(|sign| line.contains(sign)))
}

fn has_no_dead_code(source: &Source) -> Vec<(usize, String)> {
    let comments = (1..).zip(source.comments.lines());
    comments.filter(|(_, comment)| is_code(comment)).map(|(line, _)| (line, "code in a comment; delete it".into())).collect()
}

#[test]
fn no_code_is_commented_out() {
    holds(has_no_dead_code);
    let dead =
        "fn a() {\n    // let x = 1;\n    // if y {\n    // }\n    b(); // c();\n    // One thing;\n    /// d();\n}\n\"// e();\"";
    assert_eq!(lines(has_no_dead_code, "src/x.rs", dead), [2, 3, 4, 5]);
}

fn knows_no_terminal(source: &Source) -> Vec<(usize, String)> {
    if !source.path.starts_with("src/") {
        return Vec::new();
    }
    lines_with(
        source.code_lines(),
        &["ratatui", "crossterm", "clap", "anyhow", "tui_input"],
        "the library knows no terminal and no command line",
    )
}

#[test]
fn the_library_knows_no_terminal_and_no_command_line() {
    holds(knows_no_terminal);
    assert_eq!(lines(knows_no_terminal, "src/x.rs", "// clap\nuse clap::Parser;\nlet clapped;\n"), [2]);
    assert!(lines(knows_no_terminal, "tui/x.rs", "use clap::Parser;").is_empty());
}

fn uses_the_library_by_its_door(source: &Source) -> Vec<(usize, String)> {
    if !source.path.starts_with("tui/") {
        return Vec::new();
    }
    // The compiler holds what is public; these two would go around it.
    let is_detour = |code: &str| code.contains("#[path") || has_word(code, "include!");
    let detours = source.code_lines().filter(|(_, code)| is_detour(code));
    detours.map(|(line, _)| (line, "the program sees the library's public API only".into())).collect()
}

#[test]
fn the_program_sees_the_librarys_public_api_only() {
    holds(uses_the_library_by_its_door);
    let detours =
        "use cordboard::Config;\n#[path = \"../src/name.rs\"]\nmod name;\ninclude!(\"../src/x.rs\");\ninclude_str!(\"y\");";
    assert_eq!(lines(uses_the_library_by_its_door, "tui/x.rs", detours), [2, 4]);
    assert!(lines(uses_the_library_by_its_door, "src/x.rs", detours).is_empty());
}

const OUTSIDE: [&str; 13] = [
    "tokio",
    "tokio_util",
    "ractor",
    "std::fs",
    "std::process",
    "std::thread",
    "std::io::stdin",
    "std::io::stdout",
    "std::env",
    "Instant::now",
    "SystemTime::now",
    "Clock::start",
    "std::net",
];

/// Paths that reach for the runtime, the clock or the system. Addresses are plain data.
fn reaches_outside(source: &Source) -> Vec<(usize, String)> {
    let is_address =
        |path: &str| path.strip_prefix("std::net::").is_some_and(|name| name.contains("Addr") || name.starts_with("Ip"));
    let is_outside = |path: &str| OUTSIDE.iter().any(|word| has_word(path, word)) && !is_address(path);
    let found = source.paths().into_iter().filter(|(_, path)| is_outside(path));
    found.map(|(line, path)| (line, format!("{path}: this module is pure: no runtime, no clock, no I/O"))).collect()
}

fn is_below(source: &Source, folder: &str, module: &str) -> bool {
    let rest = source.path.strip_prefix(folder).and_then(|rest| rest.strip_prefix(module));
    rest.is_some_and(|rest| rest == ".rs" || rest.starts_with('/'))
}

fn is_pure(source: &Source) -> Vec<(usize, String)> {
    if PURE.iter().any(|module| is_below(source, "src/", module)) { reaches_outside(source) } else { Vec::new() }
}

#[test]
fn the_cores_are_pure() {
    holds(is_pure);
    let impure = concat!(
        "use std::{net::{SocketAddr, TcpStream}, time::Instant};\nuse tokio::sync::mpsc;\nfn a() { Instant::now(); }\n",
        "fn b() { std::fs::read(x) }\n// tokio::spawn\n#[cfg(test)]\nmod tests {\n    use tokio::x;\n}\n",
    );
    for path in ["src/queue.rs", "src/wire/frame.rs", "src/auth.rs"] {
        assert_eq!(lines(is_pure, path, impure), [1, 2, 3, 4], "{path}");
    }
    for path in ["src/client/wire.rs", "src/queues.rs", "tests/wire.rs"] {
        assert!(lines(is_pure, path, impure).is_empty(), "{path}");
    }
}

fn update_is_pure(source: &Source) -> Vec<(usize, String)> {
    if is_below(source, "tui/console/", "update") { reaches_outside(source) } else { Vec::new() }
}

#[test]
fn the_consoles_update_does_no_io_and_reads_no_clock() {
    holds(update_is_pure);
    assert_eq!(lines(update_is_pure, "tui/console/update/keys.rs", "use std::env;\nfn a() { SystemTime::now() }"), [1, 2]);
    assert!(lines(update_is_pure, "tui/console/source.rs", "use std::env;").is_empty());
}

fn view_sees_state_and_theme(source: &Source) -> Vec<(usize, String)> {
    if !is_below(source, "tui/console/", "view") {
        return Vec::new();
    }
    let is_elsewhere = |path: &str| {
        path.strip_prefix("crate::").is_some_and(|path| {
            let module = path.strip_prefix("console::").and_then(|path| path.split("::").next());
            !matches!(module, Some("state" | "theme" | "view"))
        })
    };
    let elsewhere = source.paths().into_iter().filter(|(_, path)| is_elsewhere(path));
    let mut complaints: Vec<_> =
        elsewhere.map(|(line, path)| (line, format!("{path}: a view sees the console's state and theme only"))).collect();
    complaints.extend(reaches_outside(source));
    complaints
}

#[test]
fn a_view_sees_state_and_theme_only() {
    holds(view_sees_state_and_theme);
    let path = "tui/console/view/rows.rs";
    let good = "use super::{super::state::Row, gauge};\nuse crate::console::{state, theme::Theme};\nuse ratatui::Frame;\n";
    assert!(lines(view_sees_state_and_theme, path, good).is_empty());
    let bad = "use super::super::update;\nuse crate::console::{state, source};\nuse crate::cli;\nfn a() { std::fs::read(x) }\n";
    assert_eq!(lines(view_sees_state_and_theme, path, bad), [1, 2, 3, 4]);
    assert!(lines(view_sees_state_and_theme, "tui/console/run.rs", bad).is_empty());
}

fn has_one_mailbox(source: &Source) -> Vec<(usize, String)> {
    if !source.path.starts_with("src/actors/") {
        return Vec::new();
    }
    let is_mailbox = |code: &str| {
        code.split_once("enum ")
            .is_some_and(|(_, rest)| rest.split(|c: char| !c.is_alphanumeric()).next().is_some_and(|name| name.ends_with("Msg")))
    };
    let second = source.shipped_lines().filter(|(_, code)| is_mailbox(code)).skip(1);
    second.map(|(line, _)| (line, "a second mailbox enum; one actor a file".into())).collect()
}

#[test]
fn an_actor_has_one_mailbox_and_a_file_one_actor() {
    holds(has_one_mailbox);
    let two = "pub(crate) enum TopicMsg {}\nenum State {}\nenum OtherMsg<T> {}\n";
    assert_eq!(lines(has_one_mailbox, "src/actors/topic.rs", two), [3]);
    assert!(lines(has_one_mailbox, "src/actors/topic.rs", "enum TopicMsg {}\nenum MsgState {}\n").is_empty());
    assert!(lines(has_one_mailbox, "src/client/mod.rs", two).is_empty());
}

/// The one place that may wait for time to pass is the helper that waits for a condition.
fn tests_wait_for_conditions(source: &Source) -> Vec<(usize, String)> {
    let helpers: Vec<_> = source
        .functions()
        .into_iter()
        .filter(|function| function.name.starts_with("eventually") || function.name == "let_pass")
        .collect();
    let is_test = |(line, _): &(usize, &str)| !helpers.iter().any(|helper| helper.lines.contains(line));
    let calls = ["sleep", "sleep_until", "sleep_ms"];
    let mut complaints = lines_with(source.test_lines().filter(is_test), &calls, "a test waits for a condition, not for time");
    let ignored = source.code_lines().filter(|(_, code)| code.contains("#[ignore"));
    complaints.extend(ignored.map(|(line, _)| (line, "a test that does not run holds nothing".into())));
    complaints
}

#[test]
fn no_test_sleeps_or_is_ignored() {
    holds(tests_wait_for_conditions);
    let lazy =
        "fn a() {\n    sleep(x);\n}\n#[ignore = \"slow\"]\nfn b() { thread::sleep(x) }\nfn eventually() {\n    sleep(x)\n}\n";
    assert_eq!(lines(tests_wait_for_conditions, "tests/x.rs", lazy), [2, 5, 4]);
    assert_eq!(
        lines(tests_wait_for_conditions, "src/x.rs", "fn a() { sleep(x) }\n#[cfg(test)]\nmod tests {\n  sleep(x)\n}\n"),
        [4]
    );
}

/// Everything below `folder` whose name ends in `.py`.
fn python_files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let found = entries.flat_map(|path| if path.is_dir() { python_files(&path) } else { vec![path] });
    found.filter(|path| path.extension().is_some_and(|extension| extension == "py")).collect()
}

#[test]
fn python_keeps_the_house_rules_that_it_can() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let files: Vec<_> =
        ["assets/clients/python", "tests/python"].iter().flat_map(|folder| python_files(&root.join(folder))).collect();
    assert!(files.len() > 10, "{files:?}");
    for path in files {
        let text = fs::read_to_string(&path).unwrap();
        let path = path.display();
        assert!(text.starts_with("\"\"\""), "{path}: a file opens with a docstring, what it is and why");
        assert!(text.lines().count() <= FILE_LINES, "{path}: at most {FILE_LINES} lines");
        let unfinished = [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("XX", "X"), "NotImplementedError"];
        let found = unfinished.iter().find(|word| has_word(&text, word));
        assert!(found.is_none(), "{path}: {found:?}: finish it or leave it out");
    }
}

fn keeps_no_seeds(source: &Source) -> Vec<(usize, String)> {
    lines_with(source.code_lines(), &["failure_persistence"], "said once, for every property, in .cargo/config.toml")
}

/// The run that fails must not make the next one fail for what it left behind.
#[test]
fn a_property_that_fails_leaves_nothing_in_the_tree() {
    let config: toml::Table = include_str!("../.cargo/config.toml").parse().unwrap();
    assert_eq!(config["env"]["PROPTEST_DISABLE_FAILURE_PERSISTENCE"].as_str(), Some("1"));
    holds(keeps_no_seeds);
    assert_eq!(lines(keeps_no_seeds, "src/x.rs", "a;\nProptestConfig { failure_persistence: None }"), [2]);
}

fn is_expected_at_the_top(name: &str) -> bool {
    let fixed = ["Cargo.toml", "Cargo.lock", "README.md", "src", "tui", "tests", "assets", "target"];
    fixed.contains(&name) || name.starts_with("LICENSE-") || name.starts_with('.')
}

#[test]
fn the_top_level_holds_what_the_design_names() {
    for entry in fs::read_dir(env!("CARGO_MANIFEST_DIR")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        assert!(is_expected_at_the_top(&name), "{name} does not belong at the top; is it one of assets/ or tests/?");
    }
    assert!(is_expected_at_the_top("LICENSE-MIT") && is_expected_at_the_top(".ci"));
    assert!(!is_expected_at_the_top("docs") && !is_expected_at_the_top("build.rs"));
}
