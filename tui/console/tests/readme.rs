//! The README's table of keys is written for people, and says what the table of keys does.

use std::collections::BTreeSet;

use crate::console::keymap::{Group, TABLE};

const README: &str = include_str!("../../../README.md");

/// The keys in the first column of its table.
fn promised() -> BTreeSet<&'static str> {
    let (_, section) = README.split_once("### Keys\n").expect("it has a section of keys");
    let section = section.split("\n## ").next().unwrap_or(section);
    let cells = section.lines().filter_map(|line| line.strip_prefix("| `")?.split(" | ").next());
    cells.flat_map(|cell| cell.split(['`', ' '])).filter(|key| !key.is_empty()).collect()
}

/// Those of questions and input lines are written where they are asked.
#[test]
fn the_readme_names_every_key_and_no_other() {
    let bound = TABLE.iter().filter(|binding| binding.group != Group::Question);
    let there_are: BTreeSet<_> = bound.flat_map(|binding| binding.label.split(' ')).collect();
    assert_eq!(promised(), there_are);
}
