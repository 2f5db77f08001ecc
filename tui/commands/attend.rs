//! The console in front of a running broker: opened, left, opened again; the broker does not depend on it.

use std::io;

use cordboard::Handle;
use tokio::{runtime::Runtime, sync::oneshot};

use super::say;
use crate::{
    chronicle,
    cli::Exit,
    console::{self, Leave, Options},
    logging::Screen,
    signals::AskFirst,
};

/// Shows the console on this thread until the operator shuts the broker down, or nobody can see it any more.
pub(super) fn attend(handle: &Handle, runtime: &Runtime, screen: &Screen, ask_first: &AskFirst, options: &Options) {
    loop {
        // Nothing may write on the terminal while the console draws on it.
        screen.show(false);
        match console::run(handle, runtime.handle().clone(), options.clone()) {
            Ok(Leave::Detach) => {
                screen.show(true);
                ask_first.set(true);
                say("console closed, the broker goes on; Enter opens it again");
                let again = runtime.block_on(wait(handle));
                ask_first.set(false);
                if !again {
                    return;
                }
            }
            Ok(Leave::BrokerEnded) => {
                runtime.block_on(handle.stopped());
                return farewell(handle);
            }
            Ok(Leave::EndNow) => {
                say("ended at once");
                std::process::exit(Exit::Interrupted as i32);
            }
            Ok(Leave::TerminalGone) => {
                screen.show(true);
                tracing::info!("the terminal is gone; the broker goes on without a console");
                return;
            }
            Err(error) => {
                screen.show(true);
                tracing::error!(%error, "the console failed; the broker goes on without it");
                return;
            }
        }
    }
}

/// Says how it ended and what that cost: the log, which says it too, is not shown.
fn farewell(handle: &Handle) {
    match chronicle::last_loss(handle) {
        Some(lost) => say(format_args!("the broker has stopped, {} lost", chronicle::loss(&lost))),
        None => say("the broker has stopped"),
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
    let again = tokio::select! {
        again = enter => again.unwrap_or(false),
        _ = handle.stopped() => false,
    };
    // A broker that is on its way out has nothing more to be asked for: the end of the log is what there is to see.
    again && handle.bus().board().broker.draining.is_none()
}
