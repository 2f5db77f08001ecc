//! The pump: brings what the broker and the system say to the console's thread, and carries its orders out.
//!
//! It is the console's only part on the runtime, and it only waits and passes on. The bus never waits for it, and it never
//! waits for the screen for longer than the ring of the bus forgives: what is missed is told as missed.

use std::{io::Write as _, os::unix::net::UnixStream, sync::mpsc, time::Duration};

use tokio::signal::unix::{SignalKind, signal};

use super::{
    backend,
    msg::{Msg, News},
    source::{Ear, Source},
};
use crate::job::{Goes, Stops};

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
    let (mut stops, mut goes) = (Stops::catch().ok(), Goes::listen().ok());
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
            () = asked(&mut stops) => outbox.send(Msg::Stop).await?,
            () = gone_on(&mut goes) => outbox.send(Msg::GoOn).await?,
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

async fn asked(stops: &mut Option<Stops>) {
    match stops {
        Some(stops) => stops.asked().await,
        None => std::future::pending().await,
    }
}

async fn gone_on(goes: &mut Option<Goes>) {
    match goes {
        Some(goes) => goes.on().await,
        None => std::future::pending().await,
    }
}

async fn send_size(outbox: &Outbox) -> Result<(), Gone> {
    match backend::size() {
        Ok((width, height)) => outbox.send(Msg::Resize(width, height)).await,
        Err(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::{
        future::pending,
        io::Read as _,
        sync::{
            Arc,
            atomic::{AtomicBool, Ordering::Relaxed},
        },
    };

    use cordboard::{
        Board,
        clock::{Clock, Moment},
        control::{Order, Outcome},
    };
    use tokio::sync::{Notify, mpsc as channels};

    use super::*;

    /// A broker that says what the test has it say.
    #[derive(Clone)]
    struct Script {
        clock: Clock,
        read_only: Arc<AtomicBool>,
        end: Arc<Notify>,
        said: Arc<std::sync::Mutex<Option<channels::UnboundedReceiver<News>>>>,
    }

    struct ScriptEar {
        said: channels::UnboundedReceiver<News>,
        heard: Option<News>,
    }

    impl Source for Script {
        type Ear = ScriptEar;

        fn listen(&self) -> (Board, ScriptEar) {
            let said = self.said.lock().unwrap().take().expect("listened to once");
            (Board { number: 7, ..Board::default() }, ScriptEar { said, heard: None })
        }

        fn now(&self) -> Moment {
            self.clock.now()
        }

        fn is_read_only(&self) -> bool {
            self.read_only.load(Relaxed)
        }

        fn set_read_only(&self, on: bool) {
            self.read_only.store(on, Relaxed);
        }

        async fn order(&self, _: Order) -> Outcome {
            Outcome::AlreadyGone
        }

        async fn preview(&self) -> Result<cordboard::reload::Preview, String> {
            Err("there is none".to_owned())
        }

        async fn ended(&self) {
            self.end.notified().await;
        }
    }

    impl Ear for ScriptEar {
        async fn changed(&mut self) {
            match self.said.recv().await {
                Some(news) => self.heard = Some(news),
                None => pending().await,
            }
        }

        fn news(&mut self) -> News {
            self.heard.take().unwrap_or_default()
        }
    }

    async fn next(inbox: &Inbox) -> Msg {
        loop {
            match inbox.messages.try_recv() {
                Ok(msg) => return msg,
                Err(_) => tokio::time::advance(PACE).await,
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_the_broker_says_arrives_in_order_until_it_has_ended() {
        let (say, said) = channels::unbounded_channel();
        let (outbox, inbox) = channel().unwrap();
        let script = Script {
            clock: Clock::start(),
            read_only: Arc::default(),
            end: Arc::default(),
            said: Arc::new(std::sync::Mutex::new(Some(said))),
        };
        let pump = tokio::spawn(run(script.clone(), outbox));
        assert!(matches!(next(&inbox).await, Msg::ReadOnly(false)));
        assert!(matches!(next(&inbox).await, Msg::Start(Board { number: 7, .. })));
        say.send(News { lag: 3, ..News::default() }).unwrap();
        assert!(matches!(next(&inbox).await, Msg::News(News { lag: 3, .. })));
        assert!((&inbox.wake).read(&mut [0; 8]).is_ok_and(|woken| woken > 0));
        // Someone else closes the gate.
        script.set_read_only(true);
        assert!(matches!(next(&inbox).await, Msg::ReadOnly(true)));
        script.end.notify_one();
        assert!(matches!(next(&inbox).await, Msg::News(_)));
        assert!(matches!(next(&inbox).await, Msg::BrokerEnded));
        pump.await.unwrap();
    }

    /// A console that was left must not keep a task alive.
    #[tokio::test(start_paused = true)]
    async fn the_pump_ends_with_its_console() {
        let (say, said) = channels::unbounded_channel();
        let (outbox, inbox) = channel().unwrap();
        let script = Script {
            clock: Clock::start(),
            read_only: Arc::default(),
            end: Arc::default(),
            said: Arc::new(std::sync::Mutex::new(Some(said))),
        };
        drop(inbox);
        say.send(News::default()).unwrap();
        run(script, outbox).await;
    }
}
