//! The console in front of a running broker: opened, left, opened again; the broker does not depend on it.

use std::io;

use cordboard::Handle;
use tokio::{runtime::Runtime, sync::oneshot};

use super::say;
use crate::{
    console::{self, Leave},
    logging::Screen,
    signals::AskFirst,
};

/// Shows the console on this thread until the operator shuts the broker down, or nobody can see it any more.
pub(super) fn attend(handle: &Handle, runtime: &Runtime, screen: &Screen, ask_first: &AskFirst, operator: &str) {
    loop {
        // Nothing may write on the terminal while the console draws on it.
        screen.show(false);
        let options = console::Options { operator: operator.to_owned() };
        let leave = console::run(handle, runtime.handle().clone(), options);
        screen.show(true);
        match leave {
            Ok(Leave::Detach) => {
                ask_first.set(true);
                say("console closed, the broker goes on; Enter opens it again");
                let again = runtime.block_on(wait(handle));
                ask_first.set(false);
                if !again {
                    return;
                }
            }
            Ok(Leave::ShutDown) => {
                say("shutting down");
                let lost = runtime.block_on(handle.shutdown());
                say(format_args!("shut down, {} messages were not delivered", lost.messages()));
                return;
            }
            Ok(Leave::BrokerEnded) => return say("the broker has stopped"),
            Ok(Leave::TerminalGone) => {
                tracing::info!("the terminal is gone; the broker goes on without a console");
                return;
            }
            Err(error) => {
                tracing::error!(%error, "the console failed; the broker goes on without it");
                return;
            }
        }
    }
}

/// Waits for Enter. False if the broker has ended meanwhile, or no key can ever come.
async fn wait(handle: &Handle) -> bool {
    let (pressed, enter) = oneshot::channel();
    // A thread nobody waits for: a read of a terminal cannot be taken back, and ends with the process.
    std::thread::spawn(move || {
        let mut line = String::new();
        let read = io::stdin().read_line(&mut line);
        // The broker may have ended first.
        let _ = pressed.send(matches!(read, Ok(1..)));
    });
    tokio::select! {
        again = enter => again.unwrap_or(false),
        _ = handle.stopped() => false,
    }
}
