//! `cordboard sub`: prints messages as they come; with a name, from where it left off.
//!
//! A message is acknowledged once its line is written. So what a closed pipe or a killed process had not written comes again to
//! the next `sub` of the same name.

mod output;
mod reader;

use std::{
    io,
    pin::Pin,
    process::ExitCode,
    task::{Context, Poll, Waker},
    time::Duration,
};

use cordboard::{
    Printable,
    client::{Backoff, Client, ClientEnd, ClientEvent, Events, ExplicitSubscription, Held, LostSession},
    name::Filter,
    wire::Code,
};
use futures_core::Stream;
use tokio::time::Instant;

use super::{builder, connect, grouped, messages, say, unless_nobody_reads};
use crate::{
    cli::{Exit, SubArgs},
    signals::Signals,
    state_dir::{SessionFile, StateDir},
};
use output::Output;

/// How long connecting may take where nothing is said about it.
const CONNECT: Duration = Duration::from_secs(10);

pub(super) async fn run(args: SubArgs) -> anyhow::Result<ExitCode> {
    let deadline = args.timeout.map(|timeout| Instant::now() + timeout);
    let output = Output::new(&args)?;
    let file = match &args.name {
        Some(name) => {
            let state = StateDir::open(args.state_dir.clone())?;
            Some(state.session_file(&args.server.server, args.server.user.as_deref(), name.as_str()))
        }
        None => None,
    };
    let label = args.name.as_ref().map_or("cordboard-sub", |name| name.as_str());
    let mut builder = builder(&args.server, label, Backoff::default())?;
    builder = builder.connect_timeout(args.timeout.map_or(CONNECT, |timeout| timeout.min(CONNECT)));
    if let Some(session) = file.as_ref().and_then(SessionFile::read) {
        builder = builder.session(session);
    }
    let mut signals = Signals::catch()?;
    let client = connect(builder, &args.server, &mut signals).await?;
    let watching = Watching { events: client.events(), file, quiet: args.quiet };
    let keep = args.name.is_some();
    let outcome = print_messages(&client, &args, output, watching, deadline, &mut signals).await;
    // After a failure, too: nobody comes back for a session without a name.
    tokio::select! {
        () = leave(client, keep) => {}
        // Whoever asks twice does not want to wait for a goodbye.
        _ = signals.next() => {}
    }
    outcome
}

/// Prints what comes until there is enough of it, its time is over, an interrupt comes, or nothing more can come.
async fn print_messages(
    client: &Client,
    args: &SubArgs,
    output: Output,
    mut watching: Watching,
    deadline: Option<Instant>,
    signals: &mut Signals,
) -> anyhow::Result<ExitCode> {
    watching.greet(client)?;
    let streams = tokio::select! {
        streams = subscribe(client, &args.filters, args.quiet) => streams?,
        () = until(deadline) => return Ok(out_of_time(args, 0).into()),
        _ = signals.next() => return Ok(Exit::Done.into()),
    };
    let mut printing = Printing::new(streams, output, args.count, args.quiet);
    let ended = tokio::select! {
        ended = printing.run() => ended?,
        end = watching.run() => return Err(end.into()),
        () = until(deadline) => End::OutOfTime,
        _ = signals.next() => End::Asked,
        () = reader::gone() => End::Asked,
    };
    unless_nobody_reads(printing.settle())?;
    if args.name.is_none() && !args.quiet && printing.is_enough() {
        tell_left(printing.left());
    }
    let over = printing.streams.iter().find_map(ExplicitSubscription::over);
    match (ended, over) {
        (End::Asked, _) => Ok(Exit::Done.into()),
        (End::OutOfTime, _) => Ok(out_of_time(args, printing.printed).into()),
        (End::Streams, Some(over)) => Err(anyhow::anyhow!("nothing more can come: {} ({})", Printable(&over.reason), over.code)),
        (End::Streams, None) => Err(client.ended().await.into()),
    }
}

/// Resolves at `deadline`; never if there is none.
async fn until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}

/// The time was all that was asked for, or it was too short for what was.
fn out_of_time(args: &SubArgs, printed: u64) -> Exit {
    let Some(count) = args.count else { return Exit::Done };
    if !args.quiet {
        say(format_args!("{} of {} came in time", grouped(printed), messages(count)));
    }
    Exit::TimedOut
}

/// Says what ends with a session that nobody comes back to. How many more the broker holds for it, nobody says.
fn tell_left(left: u64) {
    match left {
        0 => {}
        1 => say("at least 1 message more had come and is lost with this session; --name NAME keeps it for the next sub"),
        left => say(format_args!(
            "at least {} more had come and are lost with this session; --name NAME keeps them for the next sub",
            messages(left)
        )),
    }
}

/// Subscribes to what was asked for, and to nothing else that an earlier run of the same name had.
async fn subscribe(client: &Client, filters: &[Filter], quiet: bool) -> anyhow::Result<Vec<ExplicitSubscription>> {
    for filter in client.unclaimed() {
        if !filters.contains(&filter) {
            client.unsubscribe(&filter).await?;
            if !quiet {
                say(format_args!("no longer subscribed to {}", Printable(filter.as_str())));
            }
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

/// Says what happens to the session and its connection, and keeps the session's file true.
struct Watching {
    events: Events,
    file: Option<SessionFile>,
    quiet: bool,
}

impl Watching {
    /// A named client learns what became of its session.
    fn greet(&self, client: &Client) -> anyhow::Result<()> {
        if let Some(file) = &self.file {
            file.write(client.session())?;
            self.say(greeting(client, client.lost_session().as_ref()));
        }
        Ok(())
    }

    /// Resolves when the client is over.
    async fn run(&mut self) -> ClientEnd {
        loop {
            match self.events.next().await {
                Some(ClientEvent::Ended(end)) => return end,
                None => return ClientEnd::Closed,
                Some(event) => self.tell(&event),
            }
        }
    }

    fn tell(&self, event: &ClientEvent) {
        match event {
            ClientEvent::Lost { why } => self.say(format_args!("connection lost: {}; trying again", Printable(why))),
            ClientEvent::SessionLost(lost) => self.say(farewell(lost)),
            ClientEvent::Connected { session, resumed } => {
                self.say(format_args!("{} session {}", if *resumed { "resumed" } else { "new" }, session.short()));
                if let Some(Err(error)) = self.file.as_ref().map(|file| file.write(*session)) {
                    say(error);
                }
            }
            ClientEvent::Resubscribed { filter, lost } => {
                let lost = lost.map_or_else(|| "an unknown number of".to_owned(), |lost| lost.to_string());
                self.say(format_args!("subscribed to {} again; {lost} messages were lost", Printable(filter.as_str())));
            }
            ClientEvent::SubscriptionEnded { filter, ended } => {
                let (filter, reason) = (Printable(filter.as_str()), Printable(&ended.reason));
                self.say(format_args!("{filter} has ended: {reason} ({}), {} messages lost", ended.code, ended.lost));
            }
            ClientEvent::Missed(_) | ClientEvent::Reconnecting { .. } | ClientEvent::Ended(_) => {}
        }
    }

    fn say(&self, line: impl std::fmt::Display) {
        if !self.quiet {
            say(line);
        }
    }
}

/// Why printing has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// As many as were wanted, an interrupt, or nobody reads on.
    Asked,
    /// All streams are over.
    Streams,
    /// There was a time for it.
    OutOfTime,
}

/// Messages on their way from the streams to the output.
struct Printing {
    streams: Vec<ExplicitSubscription>,
    /// Whose turn it is: a busy stream does not starve the others.
    turn: usize,
    output: Output,
    printed: u64,
    /// How many are wanted.
    count: Option<u64>,
    quiet: bool,
    /// The last message of each stream that was printed, and not yet known to be written.
    unsettled: Vec<Option<Held>>,
    /// Printed messages that an earlier run, or an earlier connection, may have printed too, and nothing was said about yet.
    again: u64,
}

impl Printing {
    fn new(streams: Vec<ExplicitSubscription>, output: Output, count: Option<u64>, quiet: bool) -> Self {
        let unsettled = streams.iter().map(|_| None).collect();
        Self { streams, turn: 0, output, printed: 0, count, quiet, unsettled, again: 0 }
    }

    async fn run(&mut self) -> io::Result<End> {
        while !self.is_enough() {
            match std::future::poll_fn(|cx| self.poll_print(cx)).await {
                Ok(Some(())) => {}
                Ok(None) => return Ok(End::Streams),
                Err(error) => return unless_nobody_reads(Err(error)).map(|()| End::Asked),
            }
        }
        Ok(End::Asked)
    }

    /// True if as many are printed as were wanted.
    fn is_enough(&self) -> bool {
        self.count == Some(self.printed)
    }

    /// Takes what has come and was not wanted, and settles none of it; how many those are.
    fn left(&mut self) -> u64 {
        let mut context = Context::from_waker(Waker::noop());
        let mut left = 0;
        for stream in &mut self.streams {
            while let Poll::Ready(Some(_)) = Pin::new(&mut *stream).poll_next(&mut context) {
                left += 1;
            }
        }
        left
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
                    self.printed += 1;
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
            _ if self.quiet => {}
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lost_session_is_told_by_what_is_known_of_it() {
        let session = cordboard::name::SessionId::from_bytes([0xab; 16]);
        let lost = |code| LostSession { session, code, reason: "reclaimed\u{7}".to_owned(), at_ms: None };
        assert_eq!(farewell(&lost(Code::Gone)), "session abab..abab is gone with what it held (reclaimed\\u{7})");
        assert!(farewell(&lost(Code::NotFound)).contains("not known to this broker"));
    }
}
