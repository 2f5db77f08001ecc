//! The console in front of a running broker: opened, left, opened again; the broker does not depend on it.

use std::{
    io,
    os::fd::AsFd,
    time::{Duration, Instant},
};

use cordboard::Handle;
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    io::Errno,
};
use tokio::{runtime::Runtime, sync::oneshot};

use super::say;
use crate::{
    chronicle,
    cli::Exit,
    console::{self, Leave, Options},
    job::{self, Stops},
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
                // Before anybody can take the words for an invitation to press Ctrl-Z. If it fails, the system stops the process.
                let stops = {
                    let _context = runtime.enter();
                    Stops::catch().ok()
                };
                say("console closed, the broker goes on; Enter opens it again");
                let again = runtime.block_on(wait(handle, stops));
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
async fn wait(handle: &Handle, stops: Option<Stops>) -> bool {
    let (pressed, enter) = oneshot::channel();
    // A thread nobody waits for: a read of a terminal cannot be taken back, and ends with the process.
    std::thread::spawn(move || {
        // The broker may have ended first.
        let _ = pressed.send(read_line().is_ok_and(|read| read > 0));
    });
    let again = tokio::select! {
        again = enter => again.unwrap_or(false),
        _ = handle.stopped() => false,
        () = obey(stops) => false,
    };
    // A broker that is on its way out has nothing more to be asked for: the end of the log is what there is to see.
    again && handle.bus().board().broker.draining.is_none()
}

/// Reads a line once there is one, and only while the terminal is ours: who reads from it behind a shell is stopped, the broker
/// with it.
fn read_line() -> io::Result<usize> {
    const LOOK_AGAIN: Duration = Duration::from_millis(200);
    let stdin = io::stdin();
    loop {
        match poll(&mut [PollFd::from_borrowed_fd(stdin.as_fd(), PollFlags::IN)], None::<&Timespec>) {
            Err(Errno::INTR) => continue,
            ready => _ = ready?,
        }
        if job::is_in_front() {
            return stdin.read_line(&mut String::new());
        }
        // What is typed there is the shell's, which takes it.
        std::thread::sleep(LOOK_AGAIN);
    }
}

/// Stops the process when that is asked for twice, as [`AskFirst`] has it for its end: the broker would stand still.
async fn obey(stops: Option<Stops>) {
    let ask_first = AskFirst::default();
    ask_first.set(true);
    let Some(mut stops) = stops else { return std::future::pending().await };
    loop {
        stops.asked().await;
        if ask_first.take(Instant::now()) {
            say("the broker is running, and its clients would wait: Ctrl-Z again stops it, and \"bg\" lets it go on");
        } else if let Err(error) = job::stop() {
            tracing::warn!(%error, "the process cannot be stopped");
        }
    }
}
