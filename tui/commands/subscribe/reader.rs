//! Whether anybody still reads what is printed. Who waits for messages does not write, and so would not notice: `| head -3` would
//! stand until one message more came.

/// Resolves when whoever reads the standard output has gone; never for a file, nor where nobody can tell.
#[cfg(unix)]
pub(super) async fn gone() {
    let (tell, told) = tokio::sync::oneshot::channel();
    // A thread nobody waits for, as the poll cannot be taken back: it ends with the process.
    let watching = std::thread::Builder::new().name("reader".to_owned()).spawn(move || {
        if poll_until_gone(std::io::stdout()).is_ok() {
            // Printing may have ended first.
            let _ = tell.send(());
        }
    });
    if watching.is_err() || told.await.is_err() {
        std::future::pending::<()>().await;
    }
}

/// The next write tells.
#[cfg(not(unix))]
pub(super) async fn gone() {
    std::future::pending::<()>().await;
}

/// Nothing is asked for; that the other end is closed is told all the same.
#[cfg(unix)]
fn poll_until_gone(output: impl std::os::fd::AsFd) -> rustix::io::Result<()> {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    let mut ends = [PollFd::new(&output, PollFlags::empty())];
    rustix::io::retry_on_intr(|| poll(&mut ends, None::<&Timespec>)).map(drop)
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn a_pipe_whose_reader_has_gone_is_told() {
        let (reader, writer) = std::io::pipe().unwrap();
        let watching = std::thread::spawn(move || poll_until_gone(writer));
        drop(reader);
        watching.join().unwrap().unwrap();
    }
}
