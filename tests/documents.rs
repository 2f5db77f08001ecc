//! What is written beside the program, in the README and for packagers, agrees with it.

use std::{collections::BTreeSet, path::Path, process::Command, time::Duration};

use cordboard::Config;

const README: &str = include_str!("../README.md");
const UNIT: &str = include_str!("../assets/packaging/cordboard.service");
const DOCKERFILE: &str = include_str!("../assets/packaging/Dockerfile");

fn help() -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_cordboard")).arg("--help").output().unwrap();
    String::from_utf8(output.stdout).unwrap()
}

/// The lines of `text` below `title`, to the next empty one.
fn below<'a>(text: &'a str, title: &str) -> impl Iterator<Item = &'a str> {
    let (_, rest) = text.split_once(&format!("\n{title}:\n")).unwrap_or_else(|| panic!("{title}"));
    rest.lines().take_while(|line| !line.is_empty())
}

/// The words in backticks.
fn code(text: &str) -> BTreeSet<&str> {
    text.split('`').skip(1).step_by(2).collect()
}

#[test]
fn the_readme_has_every_exit_code_with_its_meaning() {
    let help = help();
    for line in below(&help, "Exit codes") {
        let (number, meaning) = line.trim().split_once("  ").unwrap();
        assert!(README.replace('`', "").contains(&format!("| {number} | {meaning} |")), "{line}");
    }
}

#[test]
fn the_readme_has_every_command_and_variable_and_no_other() {
    let help = help();
    let words: BTreeSet<_> = code(README).into_iter().flat_map(str::split_whitespace).collect();
    for line in below(&help, "Commands").filter(|line| line.starts_with("  ") && !line.starts_with("   ")) {
        let command = line.split_whitespace().next().unwrap();
        assert!(words.contains(command) || matches!(command, "console" | "help"), "{command}");
    }
    let told: BTreeSet<_> =
        below(&help, "Environment").filter_map(|line| line.split_whitespace().next()).filter(is_variable).collect();
    let names = words.into_iter().filter_map(|word| word.split(['=', ',']).next());
    let written: BTreeSet<_> = names.filter(is_variable).collect();
    assert!(told.len() > 5, "{told:?}");
    assert_eq!(written, told);
}

fn is_variable(word: &&str) -> bool {
    word.starts_with("CORDBOARD_") || *word == "NO_COLOR"
}

/// Where a link of the README leads within the package, there is something.
#[test]
fn the_readmes_links_lead_somewhere() {
    let targets: Vec<_> = README.split("](").skip(1).filter_map(|rest| rest.split(')').next()).collect();
    assert!(targets.len() > 10, "{targets:?}");
    for target in targets.into_iter().filter(|target| !target.starts_with("https://")) {
        assert!(Path::new(env!("CARGO_MANIFEST_DIR")).join(target).exists(), "{target}");
    }
}

/// The value of a key of the unit.
fn unit(key: &str) -> &'static str {
    let line = UNIT.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
    line.unwrap_or_else(|| panic!("{key}"))
}

fn runs(words: &[&str]) {
    let output = Command::new(env!("CARGO_BIN_EXE_cordboard")).args(words).arg("--help").output().unwrap();
    assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// A service that is stopped has drained, and as many descriptors and as much memory as its default limits ask for.
#[test]
fn the_unit_fits_the_default_configuration() {
    let config = Config::default();
    let stop: u64 = unit("TimeoutStopSec").strip_suffix('s').unwrap().parse().unwrap();
    assert!(Duration::from_secs(stop) >= 2 * config.connections.drain_deadline);
    assert!(unit("LimitNOFILE").parse::<usize>().unwrap() >= config.connections.max + 1_024);
    let memory: usize = unit("MemoryMax").strip_suffix('G').unwrap().parse().unwrap();
    assert!(memory << 30 >= 2 * (config.queues.all_bytes + config.publishing.ingress_bytes));
}

#[test]
fn packages_start_what_there_is() {
    let start: Vec<_> = unit("ExecStart").split(' ').skip(1).collect();
    runs(&start);
    let line = |word: &str| DOCKERFILE.lines().find_map(|line| line.trim().strip_prefix(word)).unwrap();
    let check = line("CMD cordboard ").strip_suffix(" || exit 1").expect("the other exit codes are reserved");
    runs(&check.split(' ').collect::<Vec<_>>());
    runs(&[line("CMD [\"").strip_suffix("\"]").unwrap()]);
    let port = Config::default().listen[0].port();
    assert!(line("EXPOSE ") == port.to_string() && DOCKERFILE.contains(&format!("CORDBOARD_LISTEN=0.0.0.0:{port}")));
}
