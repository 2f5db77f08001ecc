//! `cordboard pub`: a message from the command line or a file, or one for each line of the standard input.
//!
//! Messages are published without waiting for the broker, many to a write. Each one is accounted for: the exit code is 0 only if
//! all were accepted, and whoever interrupts is told how many were.

mod input;
mod tally;

use std::{
    collections::VecDeque,
    future::{Future, poll_fn},
    io::{self, IsTerminal as _},
    path::Path,
    pin::Pin,
    process::ExitCode,
    task::Poll,
    time::Duration,
};

use bytes::Bytes;
use cordboard::{
    Printable,
    client::{Backoff, Client, ClientEvent, Events, Pending, PublishError, Publisher},
};

use super::{builder, connect, progress::Progress, say};
use crate::{
    cli::{Exit, PubArgs, UsageError},
    signals::Signals,
};
use input::Input;
pub(crate) use input::InputError;
use tally::Tally;

/// A single message is not worth waiting long for.
const ONE_SHOT: Backoff = Backoff { first: Duration::from_millis(200), max: Duration::from_secs(2), attempts: 5 };
/// How long after an interrupt the broker may take to acknowledge what it has.
const GRACE: Duration = Duration::from_secs(2);

pub(super) async fn run(args: PubArgs) -> anyhow::Result<ExitCode> {
    let input = input(&args)?;
    let wanted = match &input {
        Input::Message { left, .. } => Some(*left),
        Input::Lines(_) => None,
    };
    let typed = wanted.is_none() && io::stdin().is_terminal();
    let backoff = if wanted == Some(1) { ONE_SHOT } else { Backoff::default() };
    let mut signals = Signals::catch()?;
    let builder = builder(&args.server, args.name.as_str(), backoff)?;
    let client = connect(builder, &args.server, &mut signals).await?;
    if typed && !args.quiet {
        say("each line is a message; Ctrl-D ends");
    }
    let publisher = publisher(&client, &args);
    let mut publishing = Publishing {
        events: client.events(),
        signals,
        under_way: VecDeque::new(),
        tally: Tally::default(),
        progress: Progress::start(args.quiet, typed),
        quiet: args.quiet,
    };
    let outcome = match publisher {
        Ok(publisher) => publishing.publish_all(&publisher, input).await,
        Err(error) => Err(Stop::Failed(error.into())),
    };
    let outcome = publishing.finish(client, outcome).await;
    publishing.report(outcome, wanted)
}

/// What the command line wants published.
fn input(args: &PubArgs) -> anyhow::Result<Input> {
    let count = args.count.unwrap_or(1);
    match (&args.file, args.message.as_deref()) {
        (Some(file), _) => Ok(Input::whole(Path::new(file), count)?),
        (None, Some(message)) if message != "-" => {
            Ok(Input::Message { payload: Bytes::copy_from_slice(message.as_bytes()), left: count })
        }
        _ if args.count.is_some() => {
            Err(UsageError("--count repeats one message, from the command line or from --file; lines are read once".to_owned())
                .into())
        }
        _ => Ok(Input::lines()),
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

/// Why it does not go on.
#[derive(Debug)]
enum Stop {
    Interrupted,
    /// A message was not accepted; the tally has it. What is refused once is mostly refused always.
    Refused,
    Failed(anyhow::Error),
}

/// Messages on their way.
struct Publishing {
    events: Events,
    signals: Signals,
    /// Those the broker has not settled, in the order in which they were sent. The credit it grants bounds them.
    under_way: VecDeque<Pending>,
    tally: Tally,
    progress: Progress,
    quiet: bool,
}

impl Publishing {
    /// Publishes everything, until there is no more or a message fails.
    async fn publish_all(&mut self, publisher: &Publisher, mut input: Input) -> Result<(), Stop> {
        loop {
            let next = self.meanwhile(input.next()).await?;
            let Some(message) = next.map_err(|error: InputError| Stop::Failed(error.into()))? else { return Ok(()) };
            match self.meanwhile(publisher.enqueue(&message)).await? {
                Ok(pending) => {
                    self.tally.sent(message.len());
                    self.under_way.push_back(pending);
                }
                Err(error) => {
                    self.tally.unsendable(error);
                    return Err(Stop::Refused);
                }
            }
        }
    }

    /// Waits for `what`, and sees to everything else that happens meanwhile.
    async fn meanwhile<T>(&mut self, what: impl Future<Output = T>) -> Result<T, Stop> {
        tokio::pin!(what);
        loop {
            tokio::select! {
                biased;
                _ = self.signals.next() => return Err(Stop::Interrupted),
                () = settle(&mut self.under_way, &mut self.tally) => if self.tally.has_failed() {
                    return Err(Stop::Refused);
                },
                Some(event) = self.events.next() => self.tell(&event),
                () = self.progress.tick() => self.progress.draw(&self.tally.progress(self.progress.since.elapsed())),
                done = &mut what => return Ok(done),
            }
        }
    }

    /// Says when the broker is away: input that stands still wants a reason.
    fn tell(&mut self, event: &ClientEvent) {
        let told = match event {
            ClientEvent::Lost { why } => format!("connection lost: {}; trying again", Printable(why)),
            ClientEvent::Connected { .. } => "connected again".to_owned(),
            _ => return,
        };
        if !self.quiet {
            self.progress.erase();
            say(told);
        }
    }

    /// Learns what became of the rest, and leaves: nobody comes back for a session without a name. After an interrupt that has
    /// its bound, and whoever asks twice does not want to wait at all.
    async fn finish(&mut self, client: Client, outcome: Result<(), Stop>) -> Result<(), Stop> {
        let was_interrupted = matches!(outcome, Err(Stop::Interrupted));
        let leave = async {
            while !self.under_way.is_empty() {
                tokio::select! {
                    () = settle(&mut self.under_way, &mut self.tally) => {}
                    () = self.progress.tick() => self.progress.draw(&self.tally.progress(self.progress.since.elapsed())),
                }
            }
            // Whatever has failed is in the tally.
            let _ = client.end().await;
        };
        let is_over = tokio::select! {
            () = leave => true,
            _ = self.signals.next() => false,
            () = tokio::time::sleep(GRACE), if was_interrupted => false,
        };
        if is_over { outcome } else { Err(Stop::Interrupted) }
    }

    /// Says how it ended.
    fn report(mut self, outcome: Result<(), Stop>, wanted: Option<u64>) -> anyhow::Result<ExitCode> {
        self.progress.erase();
        let failure = self.tally.failure();
        match (outcome, failure) {
            (Err(Stop::Failed(error)), _) => Err(error),
            (Err(Stop::Interrupted), None) => {
                let told = self.tally.interrupted(wanted);
                // Lines end when their reader wants them to.
                if !self.tally.is_settled() || wanted.is_some_and(|wanted| wanted > self.tally.sent) {
                    anyhow::bail!(told);
                }
                self.say(told);
                Ok(Exit::Done.into())
            }
            (_, Some(failure)) => Err(failure.into()),
            (_, None) => {
                self.say(self.tally.summary(self.progress.since.elapsed()));
                Ok(Exit::Done.into())
            }
        }
    }

    fn say(&self, line: impl std::fmt::Display) {
        if !self.quiet {
            say(line);
        }
    }
}

/// Resolves when at least one more message is settled; never if none is under way. Cancel safe.
async fn settle(under_way: &mut VecDeque<Pending>, tally: &mut Tally) {
    poll_fn(|cx| {
        let mut settled = Poll::Pending;
        while let Some(pending) = under_way.front_mut() {
            let Poll::Ready(outcome) = Pin::new(pending).poll(cx) else { break };
            under_way.pop_front();
            tally.settled(outcome);
            settled = Poll::Ready(());
        }
        settled
    })
    .await;
}
