//! What a mistyped command line is answered: one line that says what would work, and one that says where to read on.

use std::ffi::OsString;

use clap::{
    Command,
    error::{ContextKind, ContextValue, ErrorKind},
};
use cordboard::Printable;

/// In one or two lines, what is wrong. None if nothing is: help was asked for, or the version.
pub(crate) fn in_words(error: clap::Error, words: impl IntoIterator<Item = OsString>, table: &Command) -> Option<String> {
    if matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) {
        return None;
    }
    let error = printable(error);
    let command = command_of(words, table);
    let why = misplaced(&error, &command, table).unwrap_or_else(|| in_one_line(&error.render().to_string()));
    let help = if command.is_empty() { "cordboard --help".to_owned() } else { format!("cordboard {command} --help") };
    Some(format!("{why}\nread on with \"{help}\""))
}

/// The error with what it repeats of the command line in visible characters: that may have come from anywhere (I7).
fn printable(mut error: clap::Error) -> clap::Error {
    let escaped: Vec<(ContextKind, ContextValue)> = error
        .context()
        .filter_map(|(kind, value)| match value {
            ContextValue::String(text) => Some((kind, ContextValue::String(Printable(text).to_string()))),
            _ => None,
        })
        .collect();
    for (kind, value) in escaped {
        error.insert(kind, value);
    }
    error
}

/// The command that `words` ask for; empty if they ask for none.
fn command_of(words: impl IntoIterator<Item = OsString>, table: &Command) -> String {
    let mut commands = words.into_iter().skip(1).filter_map(|word| table.find_subcommand(&word));
    commands.next().map(|command| command.get_name().to_owned()).unwrap_or_default()
}

/// For an option that other commands have: which.
fn misplaced(error: &clap::Error, command: &str, table: &Command) -> Option<String> {
    let (ErrorKind::UnknownArgument, Some(ContextValue::String(option))) = (error.kind(), error.get(ContextKind::InvalidArg))
    else {
        return None;
    };
    let owners = owners(option.split('=').next()?, table)?;
    let takes = |name: &str| owners.split(", ").flat_map(|names| names.split(" and ")).any(|owner| owner == name);
    if command.is_empty() || takes(command) {
        return Some(format!("{option} belongs to {owners}, and goes behind it"));
    }
    Some(format!("{option} belongs to {owners}, not to {command}"))
}

/// The commands that take `option`, as they are told; none if there are none.
pub(super) fn owners(option: &str, table: &Command) -> Option<String> {
    let long = option.strip_prefix("--")?;
    let has = |command: &&Command| command.get_arguments().any(|argument| argument.get_long() == Some(long));
    let names: Vec<&str> = table.get_subcommands().filter(has).map(Command::get_name).collect();
    match names.as_slice() {
        [] => None,
        [one] => Some((*one).to_owned()),
        [first @ .., last] => Some(format!("{} and {last}", first.join(", "))),
    }
}

/// The first words of `rendered` with its tips, without usage and what every such text ends with.
fn in_one_line(rendered: &str) -> String {
    let paragraphs = rendered.trim().split("\n\n").map(str::trim);
    let told = paragraphs.filter(|text| !text.starts_with("Usage:") && !text.starts_with("For more information"));
    let mut words = told.map(|text| {
        let text: Vec<&str> = text.lines().map(str::trim).collect();
        let text = text.join(" ");
        text.strip_prefix("error: ").or(text.strip_prefix("tip: ")).unwrap_or(&text).to_owned()
    });
    let first = words.next().unwrap_or_default();
    words.fold(first, |line, tip| format!("{line}; {tip}"))
}

#[cfg(test)]
mod tests {
    use super::super::{Cli, table};
    use super::*;

    fn tried(line: &str) -> Option<String> {
        let words = || std::iter::once("cordboard").chain(line.split_whitespace()).map(OsString::from);
        let error = Cli::parse(words()).expect_err("it was taken");
        in_words(error, words(), &table())
    }

    fn said(line: &str) -> String {
        tried(line).expect("it is no help")
    }

    #[test]
    fn a_mistake_is_one_line_and_a_place_to_read_on() {
        for (line, why, help) in [
            ("pub t x --heade a=b", "unexpected argument '--heade' found; a similar argument exists: '--header'", "pub "),
            ("pubb t x", "unrecognized subcommand 'pubb'; ", ""),
            ("sub", "the following required arguments were not provided: <FILTER>...", "sub "),
            ("sub t --format xml", "invalid value 'xml' for '--format <FORMAT>' [possible values: text, json, raw]", "sub "),
            ("pub t x --listen 127.0.0.1", "--listen belongs to console and serve, not to pub", "pub "),
            ("passwd --server h", "--server belongs to pub, sub, ping and bench, not to passwd", "passwd "),
            ("serve --read-only", "--read-only belongs to console, not to serve", "serve "),
            ("--format json sub t", "--format belongs to sub and bench, and goes behind it", "sub "),
            ("--listen nowhere", "invalid value 'nowhere' for '--listen <ADDRESS>': give an IP address", ""),
            ("pub a/# x", "invalid value 'a/#' for '<TOPIC>': a topic cannot hold + or #; they belong in filters", "pub "),
        ] {
            let said = said(line);
            let (first, second) = said.split_once('\n').unwrap();
            assert!(first.starts_with(why), "{line}: {first}");
            assert_eq!(second, format!("read on with \"cordboard {help}--help\""), "{line}");
        }
    }

    #[test]
    fn who_asks_for_help_has_made_no_mistake() {
        for line in ["--help", "sub -h", "--version"] {
            assert_eq!(tried(line), None, "{line}");
        }
    }

    /// A mistake that is repeated does not turn a terminal's text around.
    #[test]
    fn what_was_mistyped_is_repeated_in_visible_characters() {
        for line in ["sub a\u{202e}b/#/c", "pub t x --ttl \u{202e}", "su\u{202e}b", "sub a --\u{1b}[2J"] {
            let said = said(line);
            assert!(!said.contains(['\u{202e}', '\u{1b}']), "{said:?}");
            assert!(said.contains("\\u{"), "{said:?}");
        }
    }
}
