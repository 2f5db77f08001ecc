//! The pump: brings what the broker and the system say to the console's thread, and carries its orders out.
//!
//! It is the console's only part on the runtime, and it only waits and passes on. The bus never waits for it, and it never
//! waits for the screen for longer than the ring of the bus forgives: what is missed is told as missed.

use std::{io::Write as _, os::unix::net::UnixStream, sync::mpsc, time::Duration};

use tokio::signal::unix::{SignalKind, signal};

use super::{
    msg::{Msg, News},
    source::{Ear, Source},
};

/// News is passed on at most so often: as often as a frame can be drawn.
const PACE: Duration = Duration::from_millis(33);
/// After a resync the next one waits at least so long.
const RESYNC_PACE: Duration = Duration::from_secs(1);

/// The console's end of the channel: messages, and a descriptor that is readable when there are any.
#[derive(Debug)]
pub(crate) struct Inbox {
    /// What has come.
    pub(crate) messages: mpsc::Receiver<Msg>,
    /// Readable when something may have come.
    pub(crate) wake: UnixStream,
}

/// The other end. Clones feed the same console.
#[derive(Debug)]
pub(crate) struct Outbox {
    messages: mpsc::SyncSender<Msg>,
    wake: UnixStream,
}

/// Messages that may wait for the console's thread; beyond that the pump waits, the broker never.
const WAITING: usize = 256;

/// A channel to a thread that waits in `poll(2)`.
pub(crate) fn channel() -> std::io::Result<(Outbox, Inbox)> {
    let (sender, messages) = mpsc::sync_channel(WAITING);
    let (theirs, ours) = UnixStream::pair()?;
    theirs.set_nonblocking(true)?;
    ours.set_nonblocking(true)?;
    Ok((Outbox { messages: sender, wake: theirs }, Inbox { messages, wake: ours }))
}

/// The console has gone.
#[derive(Debug)]
pub(crate) struct Gone;

impl Outbox {
    /// Another one that feeds the same console.
    pub(crate) fn try_clone(&self) -> std::io::Result<Self> {
        Ok(Self { messages: self.messages.clone(), wake: self.wake.try_clone()? })
    }

    /// Passes `msg` on and wakes the console; a full channel is waited for without holding a worker.
    pub(crate) async fn send(&self, mut msg: Msg) -> Result<(), Gone> {
        loop {
            match self.messages.try_send(msg) {
                Ok(()) => break,
                Err(mpsc::TrySendError::Full(back)) => msg = back,
                Err(mpsc::TrySendError::Disconnected(_)) => return Err(Gone),
            }
            tokio::time::sleep(PACE).await;
        }
        // A full pipe wakes as well as one byte more would.
        let _ = (&self.wake).write(&[1]);
        Ok(())
    }
}

/// Runs until the console or the broker has gone.
pub(crate) async fn run<S: Source>(source: S, outbox: Outbox) {
    // The console going is the usual end, not a failure.
    let _ = pump(source, outbox).await;
}

async fn pump<S: Source>(source: S, outbox: Outbox) -> Result<(), Gone> {
    let (board, mut ear) = source.listen();
    let mut read_only = source.is_read_only();
    outbox.send(Msg::ReadOnly(read_only)).await?;
    outbox.send(Msg::Start(board)).await?;
    let mut resized = signal(SignalKind::window_change()).ok();
    let mut second = tokio::time::interval(Duration::from_secs(1));
    loop {
        tokio::select! {
            () = ear.changed() => {
                let news = ear.news();
                let pace = if news.resync.is_some() { RESYNC_PACE } else { PACE };
                outbox.send(Msg::News(news)).await?;
                tokio::time::sleep(pace).await;
            }
            () = size_changed(&mut resized) => send_size(&outbox).await?,
            _ = second.tick() => {
                // The gate is the program's, not only ours: someone else may close it.
                if source.is_read_only() != read_only {
                    read_only = !read_only;
                    outbox.send(Msg::ReadOnly(read_only)).await?;
                }
            }
            () = source.ended() => break,
        }
    }
    // The last words are in the log of whoever looks at it until the end.
    let last: News = ear.news();
    outbox.send(Msg::News(last)).await?;
    outbox.send(Msg::BrokerEnded).await
}

async fn size_changed(resized: &mut Option<tokio::signal::unix::Signal>) {
    let heard = match resized {
        Some(signal) => signal.recv().await,
        None => None,
    };
    if heard.is_none() {
        std::future::pending::<()>().await;
    }
}

async fn send_size(outbox: &Outbox) -> Result<(), Gone> {
    match crossterm::terminal::size() {
        Ok((width, height)) => outbox.send(Msg::Resize(width, height)).await,
        Err(_) => Ok(()),
    }
}
