//! The program `cordboard`: a broker with its operator's console, or the broker alone, or a client of one.
//!
//! Everything here is the face of the library: arguments, signals, files, terminals. What fails is said once, on the standard
//! error, in a line that also says what would work.

mod chronicle;
mod cli;
mod commands;
#[cfg(feature = "console")]
mod console;
mod demo;
#[cfg(feature = "console")]
mod job;
mod logging;
mod signals;
mod state_dir;
#[cfg(feature = "console")]
mod typed;

use std::process::ExitCode;

use cli::{Cli, Exit};

fn main() -> ExitCode {
    let command = match Cli::parse(std::env::args_os()) {
        Ok(command) => command,
        Err(asked) => return mistaken(asked),
    };
    match commands::run(command) {
        Ok(code) => code,
        Err(error) => {
            commands::say(format_args!("cordboard: {error:#}"));
            Exit::of(&error).into()
        }
    }
}

/// Help was asked for, or the command line makes no sense.
fn mistaken(asked: clap::Error) -> ExitCode {
    // A closed output does not want to know.
    let _ = (!asked.use_stderr()).then(|| asked.print());
    match cli::in_words(asked, std::env::args_os(), &cli::table()) {
        None => Exit::Done.into(),
        Some(words) => {
            commands::say(format_args!("cordboard: {words}"));
            Exit::Usage.into()
        }
    }
}
