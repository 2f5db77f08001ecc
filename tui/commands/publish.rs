//! `cordboard pub`: one message, or one for each line of the standard input.
//!
//! Lines are read by a thread of their own and published without waiting for the broker, many to a write. Each message is
//! accounted for: the exit code is 0 only if all were accepted.

use std::{
    future::{Future, poll_fn},
    io::{self, BufRead},
    pin::Pin,
    process::ExitCode,
    task::Poll,
    time::Duration,
};

use anyhow::Context;
use cordboard::{
    Printable,
    client::{Backoff, Client, ClientEvent, Events, Pending, PublishError, Publisher},
    wire::MAX_FRAME,
};
use tokio::sync::mpsc;

use super::{builder, connect, say};
use crate::{
    cli::{Exit, PubArgs},
    signals::Signals,
};

/// Lines read and not yet published.
const LINES_AHEAD: usize = 1_024;
/// A single message is not worth waiting long for.
const ONE_SHOT: Backoff = Backoff { first: Duration::from_millis(200), max: Duration::from_secs(2), attempts: 5 };

/// How long after an interrupt the broker may take to acknowledge what it has.
const GRACE: Duration = Duration::from_secs(2);

pub(super) async fn run(args: PubArgs) -> anyhow::Result<ExitCode> {
    let single = args.payload.as_deref().filter(|payload| *payload != "-");
    let backoff = if single.is_some() { ONE_SHOT } else { Backoff::default() };
    let mut signals = Signals::catch()?;
    let client = connect(builder(&args.server, args.name.as_str(), backoff), &mut signals).await?;
    let (published, interrupted) = tokio::select! {
        biased;
        _ = signals.next() => (Ok(()), true),
        published = publish(&client, &args, single) => (published, false),
    };
    // After a failure, too: nobody comes back for a session without a name.
    let settled = tokio::select! {
        settled = client.end() => settled.map_err(Into::into),
        // Whoever asks twice does not want to wait.
        _ = signals.next() => Err(unacknowledged()),
        () = tokio::time::sleep(GRACE), if interrupted => Err(unacknowledged()),
    };
    published?;
    settled?;
    Ok(Exit::Done.into())
}

fn unacknowledged() -> anyhow::Error {
    anyhow::anyhow!("interrupted before everything was acknowledged")
}

/// Publishes what the command line says: one message, or all lines.
async fn publish(client: &Client, args: &PubArgs, single: Option<&str>) -> anyhow::Result<()> {
    let publisher = publisher(client, args)?;
    if let Some(payload) = single {
        publisher.publish(payload).await?;
        return Ok(());
    }
    tokio::spawn(tell_losses(client.events()));
    publish_lines(&publisher, read_lines(io::stdin())).await
}

/// Says when the broker is away: input that stands still wants a reason.
async fn tell_losses(mut events: Events) {
    while let Some(event) = events.next().await {
        match event {
            ClientEvent::Lost { why } => say(format_args!("connection lost: {}; trying again", Printable(&why))),
            ClientEvent::Connected { .. } => say("connected again"),
            _ => {}
        }
    }
}

fn publisher(client: &Client, args: &PubArgs) -> Result<Publisher, PublishError> {
    let mut publisher = client.topic(args.topic.as_str())?;
    for (key, value) in &args.header {
        publisher = publisher.header(key, value)?;
    }
    match args.ttl {
        Some(ttl) => publisher.ttl(ttl),
        None => Ok(publisher),
    }
}

/// Publishes every line, until there are no more.
async fn publish_lines(publisher: &Publisher, mut lines: mpsc::Receiver<io::Result<Vec<u8>>>) -> anyhow::Result<()> {
    // One message at a time is watched: what is refused once is mostly refused always, and said before the input ends.
    let mut watched: Option<Pending> = None;
    while let Some(line) = watching(&mut watched, lines.recv()).await? {
        let enqueued = publisher.enqueue(line.context("cannot read the standard input")?);
        let pending = watching(&mut watched, enqueued).await??;
        watched.get_or_insert(pending);
    }
    Ok(())
}

/// Waits for `what`, unless the watched message fails first.
async fn watching<T>(watched: &mut Option<Pending>, what: impl Future<Output = T>) -> Result<T, PublishError> {
    tokio::pin!(what);
    loop {
        tokio::select! {
            biased;
            outcome = outcome(watched) => outcome?,
            done = &mut what => return Ok(done),
        }
    }
}

/// Resolves with the outcome of the watched message, which is then no longer watched; never if there is none.
async fn outcome(watched: &mut Option<Pending>) -> Result<(), PublishError> {
    let outcome = poll_fn(|cx| match watched {
        Some(pending) => Pin::new(pending).poll(cx),
        None => Poll::Pending,
    })
    .await;
    *watched = None;
    outcome
}

/// Reads `input` on a thread of its own, which nobody waits for: a read of a terminal cannot be taken back.
fn read_lines(input: io::Stdin) -> mpsc::Receiver<io::Result<Vec<u8>>> {
    let (sender, receiver) = mpsc::channel(LINES_AHEAD);
    std::thread::spawn(move || {
        for line in Lines::new(input.lock(), MAX_FRAME) {
            if sender.blocking_send(line).is_err() {
                break;
            }
        }
    });
    receiver
}

/// Lines as bytes, without their ends, none longer than a bound.
struct Lines<R> {
    input: R,
    max_bytes: usize,
    number: u64,
}

impl<R: BufRead> Lines<R> {
    fn new(input: R, max_bytes: usize) -> Self {
        Self { input, max_bytes, number: 0 }
    }

    fn read(&mut self) -> io::Result<Option<Vec<u8>>> {
        let mut line = Vec::new();
        self.number += 1;
        // One more than a line may have, and its end.
        let bound = self.max_bytes as u64 + 2;
        io::Read::take(&mut self.input, bound).read_until(b'\n', &mut line)?;
        if line.is_empty() {
            return Ok(None);
        }
        if line.last() == Some(&b'\n') {
            line.pop();
        }
        if line.len() > self.max_bytes {
            let why = format!("line {} has more than {} bytes, which no message has", self.number, self.max_bytes);
            return Err(io::Error::new(io::ErrorKind::InvalidData, why));
        }
        Ok(Some(line))
    }
}

impl<R: BufRead> Iterator for Lines<R> {
    type Item = io::Result<Vec<u8>>;

    fn next(&mut self) -> Option<Self::Item> {
        self.read().transpose()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(input: &[u8]) -> Vec<Vec<u8>> {
        Lines::new(input, 8).map(Result::unwrap).collect()
    }

    #[test]
    fn a_line_is_what_stands_before_its_end() {
        assert_eq!(lines(b""), Vec::<Vec<u8>>::new());
        assert_eq!(lines(b"a\nb\n"), [b"a", b"b"]);
        assert_eq!(lines(b"a\n\nb"), [&b"a"[..], b"", b"b"]);
        assert_eq!(lines(b"\n"), [b""]);
        assert_eq!(lines(b"a\r\n\xff\x00"), [&b"a\r"[..], b"\xff\x00"]);
        assert_eq!(lines(b"12345678\n1"), [&b"12345678"[..], b"1"]);
    }

    /// A file without line ends does not fill the memory.
    #[test]
    fn a_line_that_is_too_long_is_named() {
        let mut lines = Lines::new(&b"ok\n123456789\n"[..], 8);
        assert_eq!(lines.next().unwrap().unwrap(), b"ok");
        assert_eq!(lines.next().unwrap().unwrap_err().to_string(), "line 2 has more than 8 bytes, which no message has");
    }
}
