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
mod logging;
mod signals;
mod state_dir;

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    let arguments = cli::Cli::try_parse().unwrap_or_else(|error| cli::printable(error).exit());
    match commands::run(arguments) {
        Ok(code) => code,
        Err(error) => {
            commands::say(format_args!("cordboard: {error:#}"));
            cli::Exit::of(&error).into()
        }
    }
}
