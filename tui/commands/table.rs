//! `cordboard completions` and `cordboard man`: the command line's table in the forms that shells and `man` read.

use std::{io, process::ExitCode};

use anyhow::Context as _;
use clap::Command;
use clap_mangen::Man;

use super::print;
use crate::cli::{self, CompletionsArgs, Exit, ManArgs, UsageError};

const NAME: &str = "cordboard";

/// Prints the completions of one shell.
pub(super) fn completions(args: &CompletionsArgs) -> anyhow::Result<ExitCode> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut cli::table(), NAME, &mut script);
    print(&script).context("the completions could not be written")?;
    Ok(Exit::Done.into())
}

/// Prints the manual page of the program, or of one command.
pub(super) fn manual(args: &ManArgs) -> anyhow::Result<ExitCode> {
    let mut table = cli::table();
    table.build();
    let page = match &args.command {
        None => page(table)?,
        Some(name) => page(command(&table, name)?)?,
    };
    print(&page).context("the manual page could not be written")?;
    Ok(Exit::Done.into())
}

/// The command as a page of its own, `cordboard-pub(1)`.
fn command(table: &Command, name: &str) -> Result<Command, UsageError> {
    let command = table.get_subcommands().find(|command| command.get_name() == name && name != "help").cloned();
    command.ok_or_else(|| {
        let names: Vec<&str> = table.get_subcommands().map(Command::get_name).filter(|name| *name != "help").collect();
        UsageError(format!("there is no command {}; there are {}", cordboard::Printable(name), names.join(", ")))
    })
}

fn page(command: Command) -> io::Result<Vec<u8>> {
    let mut page = Vec::new();
    Man::new(command).manual("Cordboard").render(&mut page)?;
    Ok(page)
}

#[cfg(test)]
mod tests {
    use clap::ValueEnum as _;
    use clap_complete::Shell;

    use super::*;

    #[test]
    fn each_shell_completes_each_command() {
        for shell in Shell::value_variants() {
            let mut script = Vec::new();
            clap_complete::generate(*shell, &mut cli::table(), NAME, &mut script);
            let script = String::from_utf8(script).unwrap();
            for word in ["console", "serve", "ping", "state-dir", "timeout"] {
                assert!(script.contains(word), "{shell}: {word}");
            }
        }
    }

    #[test]
    fn each_command_has_a_page() {
        let mut table = cli::table();
        table.build();
        for name in ["console", "pub", "sub", "completions", "man"] {
            let page = String::from_utf8(page(command(&table, name).unwrap()).unwrap()).unwrap();
            assert!(page.contains(&format!(".TH cordboard-{name} 1")), "{page}");
            assert!(page.contains("Examples:"), "{page}");
        }
        assert!(command(&table, "pubb").unwrap_err().to_string().contains("; there are console, serve, pub, "));
    }
}
