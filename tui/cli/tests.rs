//! The table against itself: every option where it means something, every example a command line.

use super::*;

fn parse(line: &str) -> Result<Command, clap::Error> {
    Cli::parse(std::iter::once("cordboard").chain(line.split_whitespace()))
}

fn sub(line: &str) -> SubArgs {
    match parse(line).unwrap() {
        Command::Sub(args) => args,
        other => panic!("{other:?}"),
    }
}

fn console(line: &str) -> ConsoleArgs {
    match parse(line).unwrap() {
        Command::Console(args) => args,
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_commands_are_consistent() {
    table().debug_assert();
}

/// Options of the broker stand before or after the command; without one, the command is the console.
#[test]
fn broker_options_stand_on_both_sides() {
    for line in ["--listen 127.0.0.1 serve", "serve --listen 127.0.0.1:2673"] {
        let Command::Serve(args) = parse(line).unwrap() else { panic!("{line}") };
        assert_eq!(args.listen, ["127.0.0.1:2673".parse().unwrap()], "{line}");
    }
    for line in ["--config f --read-only --operator ana", "--read-only console --config f --operator ana"] {
        let args = console(line);
        assert_eq!((args.serve.config, args.operator.as_deref()), (Some("f".into()), Some("ana")), "{line}");
        assert!(args.read_only, "{line}");
    }
    assert_eq!(console(""), ConsoleArgs::default());
    assert_eq!(sub("--state-dir d sub t").state_dir, Some("d".into()));
    assert!(matches!(parse("--config f rights --as a publish t"), Ok(Command::Rights(args)) if args.config.is_some()));
}

/// Before a command stands only what means something to it.
#[test]
fn an_option_before_the_wrong_command_is_told_where_it_belongs() {
    for (line, why) in [
        ("--read-only serve", "--read-only belongs to console, not to serve"),
        ("--listen ::1 pub t x", "--listen belongs to console and serve, not to pub"),
        ("--config f passwd", "--config belongs to console, serve and rights, not to passwd"),
        ("--state-dir d ping", "--state-dir belongs to console, serve and sub, not to ping"),
    ] {
        let error = parse(line).unwrap_err();
        assert_eq!(error.exit_code(), 2, "{line:?}");
        assert!(in_words(error, [], &table()).unwrap().starts_with(why), "{line}");
    }
}

/// An option is there because it has an effect there.
#[test]
fn commands_have_their_own_options_and_no_others() {
    let connection = ["server", "user"];
    let expected = |name: &str| -> Vec<&str> {
        match name {
            "console" => vec!["config", "listen", "state-dir", "demo", "demo-seed", "workers", "operator", "read-only", "ascii"],
            "serve" => vec!["config", "listen", "state-dir", "demo", "demo-seed", "workers"],
            "pub" => [&["file", "count", "name", "header", "ttl", "quiet"][..], &connection].concat(),
            "sub" => [&["name", "count", "timeout", "format", "topic", "quiet", "state-dir"][..], &connection].concat(),
            "ping" => [&["timeout", "quiet"][..], &connection].concat(),
            "bench" => {
                let load = [
                    "payload",
                    "count",
                    "duration",
                    "clients",
                    "topics",
                    "wildcard",
                    "rate",
                    "beside",
                    "letters",
                    "window",
                    "ack",
                    "filters",
                    "other-topics",
                ];
                [&load[..], &["rounds", "compare", "server", "pid", "user", "format", "quiet"]].concat()
            }
            "config" => vec!["check"],
            "rights" => vec!["config", "as"],
            _ => vec![],
        }
    };
    let table = table();
    assert_eq!(table.get_subcommands().count(), 11);
    for command in table.get_subcommands() {
        let longs: Vec<&str> = command.get_arguments().filter_map(clap::Arg::get_long).collect();
        assert_eq!(longs, expected(command.get_name()), "{}", command.get_name());
    }
}

/// Each command's help ends with two or three, and each is a line that this table takes.
#[test]
fn examples_are_command_lines() {
    for command in table().get_subcommands().chain([&table()]) {
        let after = command.get_after_long_help().map(ToString::to_string).unwrap_or_default();
        let examples = after.split("\n\n").next().unwrap();
        let lines: Vec<&str> = examples.strip_prefix("Examples:\n").unwrap_or_default().lines().collect();
        assert!((2..=3).contains(&lines.len()), "{}: {after}", command.get_name());
        for line in lines {
            let words = words_of(line);
            let parsed = Cli::parse(&words);
            assert!(parsed.is_ok(), "{words:?}: {}", parsed.unwrap_err());
        }
    }
}

/// The words of the `cordboard` in a line for a shell, as far as examples go.
fn words_of(line: &str) -> Vec<String> {
    let line = &line[line.find("cordboard").expect("an example runs the program")..];
    // Two spaces begin what is said about it.
    let line = line.split("  ").next().unwrap();
    let mut words = vec![String::new()];
    for (nth, part) in line.split('\'').enumerate() {
        let end = part.find([';', '|', '>', '<']).filter(|_| nth % 2 == 0);
        for (gap, word) in part[..end.unwrap_or(part.len())].split(if nth % 2 == 0 { ' ' } else { '\0' }).enumerate() {
            if gap > 0 {
                words.push(String::new());
            }
            words.last_mut().unwrap().push_str(word);
        }
        if end.is_some() {
            break;
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

#[test]
fn what_a_name_may_not_be_is_a_usage_error() {
    for line in [
        "pub a/+ x",
        "sub a/#/b",
        "sub a --name a\u{202e}b",
        "--operator \u{7} console",
        "sub a -n 0",
        "sub",
        "pub t x -n 0",
        "pub t x --file f",
        "completions",
    ] {
        let error = parse(line).unwrap_err();
        assert_eq!(error.exit_code(), 2, "{line:?}");
        assert_ne!(error.kind(), ErrorKind::DisplayHelp, "{line:?}");
    }
}

#[test]
fn a_message_may_look_like_an_option_or_be_nothing() {
    let message = |line: &str| match parse(line).unwrap() {
        Command::Pub(args) => args.message,
        other => panic!("{other:?}"),
    };
    assert_eq!(message("pub t -").as_deref(), Some("-"));
    assert_eq!(message("pub t -- --x").as_deref(), Some("--x"));
    assert_eq!(message("pub t"), None);
}

#[test]
fn lines_name_the_topic_where_it_is_not_known() {
    assert!(!sub("sub a/b").with_topic());
    assert!(sub("sub a/+").with_topic());
    assert!(sub("sub a b").with_topic());
    assert!(sub("sub a --topic always").with_topic());
    assert!(!sub("sub # --topic never").with_topic());
}
