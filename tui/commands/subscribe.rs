//! `cordboard sub`: prints messages as they come; with a name, from where it left off.
//!
//! A message is acknowledged once its line is written. So what a closed pipe or a killed process had not written comes again to
//! the next `sub` of the same name.

use std::{
    io::{self, BufWriter, IsTerminal, Stdout, Write},
    path::PathBuf,
    pin::Pin,
    process::ExitCode,
    task::{Context, Poll},
};

use cordboard::{
    Printable,
    client::{Backoff, Client, ClientEnd, ClientEvent, Delivery, Events, ExplicitSubscription, Held, LostSession},
    name::Filter,
    wire::Code,
};
use futures_core::Stream;

use super::{builder, connect, say};
use crate::{
    cli::{Exit, SubArgs},
    signals::Signals,
    state_dir::{SessionFile, StateDir},
};

pub(super) async fn run(args: SubArgs, state_dir: Option<PathBuf>) -> anyhow::Result<ExitCode> {
    let file = match &args.name {
        Some(name) => {
            let state = StateDir::open(state_dir)?;
            Some(state.session_file(&args.server.server, args.server.user.as_deref(), name.as_str()))
        }
        None => None,
    };
    let label = args.name.as_ref().map_or("cordboard-sub", |name| name.as_str());
    let mut builder = builder(&args.server, label, Backoff::default());
    if let Some(session) = file.as_ref().and_then(SessionFile::read) {
        builder = builder.session(session);
    }
    let mut signals = Signals::catch()?;
    let client = connect(builder, &mut signals).await?;
    let outcome = print_messages(&client, &args, file.as_ref(), &mut signals).await;
    // After a failure, too: nobody comes back for a session without a name.
    tokio::select! {
        () = leave(client, file.is_some()) => {}
        // Whoever asks twice does not want to wait for a goodbye.
        _ = signals.next() => {}
    }
    outcome
}

/// Prints what comes until there is enough of it, an interrupt comes, or nothing more can come.
async fn print_messages(
    client: &Client,
    args: &SubArgs,
    file: Option<&SessionFile>,
    signals: &mut Signals,
) -> anyhow::Result<ExitCode> {
    let events = client.events();
    if let Some(file) = file {
        file.write(client.session())?;
        say(greeting(client, client.lost_session().as_ref()));
    }
    let streams = tokio::select! {
        streams = subscribe(client, &args.filters) => streams?,
        _ = signals.next() => return Ok(Exit::Done.into()),
    };
    let mut printing = Printing::new(streams, Output::new(args.with_topic()), args.count);
    let ended = tokio::select! {
        ended = printing.run() => ended?,
        end = watch(events, file) => return Err(end.into()),
        _ = signals.next() => End::Asked,
    };
    unless_nobody_reads(printing.settle())?;
    let over = printing.streams.iter().find_map(ExplicitSubscription::over);
    match (ended, over) {
        (End::Asked, _) => Ok(Exit::Done.into()),
        (End::Streams, Some(over)) => Err(anyhow::anyhow!("nothing more can come: {} ({})", Printable(&over.reason), over.code)),
        (End::Streams, None) => Err(client.ended().await.into()),
    }
}

/// Subscribes to what was asked for, and to nothing else that an earlier run of the same name had.
async fn subscribe(client: &Client, filters: &[Filter]) -> anyhow::Result<Vec<ExplicitSubscription>> {
    for filter in client.unclaimed() {
        if !filters.contains(&filter) {
            client.unsubscribe(&filter).await?;
            say(format_args!("no longer subscribed to {}", Printable(filter.as_str())));
        }
    }
    let mut streams: Vec<ExplicitSubscription> = Vec::new();
    for filter in filters {
        if streams.iter().all(|stream| stream.filter() != filter) {
            streams.push(client.subscribe(filter.as_str()).await?.explicit());
        }
    }
    Ok(streams)
}

/// A named client leaves its session to be resumed; another takes everything with it.
async fn leave(client: Client, keep: bool) {
    // Nothing was published, so nothing can have failed.
    let _ = if keep { client.close().await } else { client.end().await };
}

/// What a named client is told about its session.
fn greeting(client: &Client, lost: Option<&LostSession>) -> String {
    let session = client.session().short();
    match lost {
        None if client.resumed() => format!("resumed session {session}"),
        None => format!("new session {session}"),
        Some(lost) => format!("{}; new session {session}", farewell(lost)),
    }
}

fn farewell(lost: &LostSession) -> String {
    let old = lost.session.short();
    if lost.code == Code::Gone {
        format!("session {old} is gone with what it held ({})", Printable(&lost.reason))
    } else {
        format!("session {old} is not known to this broker; what it held, if anything, is gone")
    }
}

/// Says what happens to the connection, and keeps the session's file true. Resolves when the client is over.
async fn watch(mut events: Events, file: Option<&SessionFile>) -> ClientEnd {
    loop {
        match events.next().await {
            Some(ClientEvent::Ended(end)) => return end,
            None => return ClientEnd::Closed,
            Some(event) => tell(&event, file),
        }
    }
}

fn tell(event: &ClientEvent, file: Option<&SessionFile>) {
    match event {
        ClientEvent::Lost { why } => say(format_args!("connection lost: {}; trying again", Printable(why))),
        ClientEvent::SessionLost(lost) => say(farewell(lost)),
        ClientEvent::Connected { session, resumed } => {
            say(format_args!("{} session {}", if *resumed { "resumed" } else { "new" }, session.short()));
            if let Some(Err(error)) = file.map(|file| file.write(*session)) {
                say(error);
            }
        }
        ClientEvent::Resubscribed { filter, lost } => {
            let lost = lost.map_or_else(|| "an unknown number of".to_owned(), |lost| lost.to_string());
            say(format_args!("subscribed to {} again; {lost} messages were lost", Printable(filter.as_str())));
        }
        ClientEvent::SubscriptionEnded { filter, ended } => {
            let filter = Printable(filter.as_str());
            say(format_args!("{filter} has ended: {} ({}), {} messages lost", Printable(&ended.reason), ended.code, ended.lost));
        }
        ClientEvent::Missed(_) | ClientEvent::Reconnecting { .. } | ClientEvent::Ended(_) => {}
    }
}

/// Why printing has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// As many as were wanted, an interrupt, or nobody reads on.
    Asked,
    /// All streams are over.
    Streams,
}

/// Messages on their way from the streams to the output.
struct Printing {
    streams: Vec<ExplicitSubscription>,
    /// Whose turn it is: a busy stream does not starve the others.
    turn: usize,
    output: Output,
    left: Option<u64>,
    /// The last message of each stream that was printed, and not yet known to be written.
    unsettled: Vec<Option<Held>>,
    /// Printed messages that an earlier run, or an earlier connection, may have printed too, and nothing was said about yet.
    again: u64,
}

impl Printing {
    fn new(streams: Vec<ExplicitSubscription>, output: Output, left: Option<u64>) -> Self {
        let unsettled = streams.iter().map(|_| None).collect();
        Self { streams, turn: 0, output, left, unsettled, again: 0 }
    }

    async fn run(&mut self) -> io::Result<End> {
        while self.left != Some(0) {
            match std::future::poll_fn(|cx| self.poll_print(cx)).await {
                Ok(Some(())) => {}
                Ok(None) => return Ok(End::Streams),
                Err(error) => return unless_nobody_reads(Err(error)).map(|()| End::Asked),
            }
        }
        Ok(End::Asked)
    }

    /// Prints one message. When none is there, writes out what was printed before it waits.
    fn poll_print(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Option<()>>> {
        let count = self.streams.len();
        let mut over = 0;
        for offset in 0..count {
            let index = (self.turn + offset) % count;
            match Pin::new(&mut self.streams[index]).poll_next(cx) {
                Poll::Ready(Some(held)) => {
                    self.turn = index + 1;
                    self.left = self.left.map(|left| left - 1);
                    return Poll::Ready(self.print(index, held).map(Some));
                }
                Poll::Ready(None) => over += 1,
                Poll::Pending => {}
            }
        }
        let settled = self.settle();
        match (settled, over == count) {
            (Err(error), _) => Poll::Ready(Err(error)),
            (Ok(()), true) => Poll::Ready(Ok(None)),
            (Ok(()), false) => Poll::Pending,
        }
    }

    fn print(&mut self, index: usize, held: Held) -> io::Result<()> {
        self.output.print(&held)?;
        self.again += u64::from(held.redelivered);
        // The later one acknowledges the earlier, too.
        self.unsettled[index] = Some(held);
        if self.output.is_full() { self.settle() } else { Ok(()) }
    }

    /// Says how much may have been printed before: a kill between a line and its acknowledgement cannot be told from one
    /// before the line.
    fn tell_again(&mut self) {
        match std::mem::take(&mut self.again) {
            0 => {}
            1 => say("1 message may have come before"),
            again => say(format_args!("{again} messages may have come before")),
        }
    }

    /// Writes out, and only then acknowledges; without delay, for what is written and not acknowledged may be printed twice.
    fn settle(&mut self) -> io::Result<()> {
        // First the warning: whoever has the line twice has read it.
        self.tell_again();
        let written = self.output.flush();
        for held in self.unsettled.iter_mut().filter_map(Option::take) {
            if written.is_ok() {
                held.ack_now();
            }
        }
        written
    }
}

/// A reader that has gone is how `| head` ends, and no failure.
fn unless_nobody_reads(written: io::Result<()>) -> io::Result<()> {
    written.or_else(|error| if error.kind() == io::ErrorKind::BrokenPipe { Ok(()) } else { Err(error) })
}

/// Where messages are printed, and how.
struct Output {
    lines: BufWriter<Stdout>,
    printed: usize,
    with_topic: bool,
    escape: bool,
}

impl Output {
    /// Lines written at once; they are acknowledged together.
    const LINES: usize = 256;

    fn new(with_topic: bool) -> Self {
        let stdout = io::stdout();
        let escape = stdout.is_terminal();
        Self { lines: BufWriter::new(stdout), printed: 0, with_topic, escape }
    }

    fn print(&mut self, delivery: &Delivery) -> io::Result<()> {
        self.printed += 1;
        print_line(&mut self.lines, delivery.topic.as_str(), &delivery.payload, self.with_topic, self.escape)
    }

    fn is_full(&self) -> bool {
        self.printed >= Self::LINES
    }

    fn flush(&mut self) -> io::Result<()> {
        self.printed = 0;
        self.lines.flush()
    }
}

/// One line. No byte of a payload reaches a terminal as it is (I7).
fn print_line(out: &mut impl Write, topic: &str, payload: &[u8], with_topic: bool, escape: bool) -> io::Result<()> {
    if with_topic {
        // A topic has no tabs and nothing unprintable: it was checked where it came in.
        write!(out, "{topic}\t")?;
    }
    if escape {
        writeln!(out, "{}", Printable(&String::from_utf8_lossy(payload)))
    } else {
        out.write_all(payload)?;
        out.write_all(b"\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(payload: &[u8], with_topic: bool, escape: bool) -> Vec<u8> {
        let mut out = Vec::new();
        print_line(&mut out, "t/1", payload, with_topic, escape).unwrap();
        out
    }

    #[test]
    fn a_line_is_the_payload_after_its_topic_where_that_is_wanted() {
        assert_eq!(line(b"x", false, false), b"x\n");
        assert_eq!(line(b"x", true, false), b"t/1\tx\n");
        assert_eq!(line(b"", true, true), b"t/1\t\n");
    }

    /// A pipe gets the bytes as they are, a terminal none of them that could move its cursor.
    #[test]
    fn only_a_terminal_is_protected() {
        let hostile = b"\x1b[2Ja\xff\xe2\x80\xae\n";
        assert_eq!(line(hostile, false, false), [&hostile[..], b"\n"].concat());
        assert_eq!(line(hostile, false, true), "\\u{1b}[2Ja\u{fffd}\\u{202e}\\u{a}\n".as_bytes());
    }

    #[test]
    fn a_lost_session_is_told_by_what_is_known_of_it() {
        let session = cordboard::name::SessionId::from_bytes([0xab; 16]);
        let lost = |code| LostSession { session, code, reason: "reclaimed\u{7}".to_owned(), at_ms: None };
        assert_eq!(farewell(&lost(Code::Gone)), "session abab..abab is gone with what it held (reclaimed\\u{7})");
        assert!(farewell(&lost(Code::NotFound)).contains("not known to this broker"));
    }
}
