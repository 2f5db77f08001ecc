//! The watch over actors. Each says in one word which message it is in and since which second; its supervisor reads that once
//! a second, tells of those that take long, and ends one that does not come back: it has failed like one that panicked.
//!
//! Seconds are the broker's own beats, not the clock's: a process that was stopped for an hour finds nobody hung.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use ractor::{Actor, ActorProcessingErr, ActorRef, Message, SupervisionEvent};

use crate::{
    commons::Commons,
    events::{ActorName, Busy},
};

/// The messages of a mailbox, by name.
pub(crate) trait Kinds: Message {
    /// All of them.
    const KINDS: &'static [&'static str];

    /// Which of them this is.
    fn kind(&self) -> u8;
}

/// Names the messages of a mailbox.
macro_rules! kinds {
    ($message:ident: $($kind:ident)+) => {
        impl $crate::actors::watch::Kinds for $message {
            const KINDS: &'static [&'static str] = &[$(stringify!($kind)),+];

            fn kind(&self) -> u8 {
                enum Kind {
                    $($kind),+
                }
                match self {
                    $(Self::$kind { .. } => Kind::$kind as u8),+
                }
            }
        }
    };
}
pub(crate) use kinds;

/// What is not a message: the stages of a life, and what is heard of children.
const STAGES: [&str; 3] = ["Start", "PostStart", "Supervision"];
const START: u8 = 0;
const POST_START: u8 = 1;
const SUPERVISION: u8 = 2;

/// What an actor, or a task of a connection, is doing.
#[derive(Debug)]
pub(crate) struct Doing {
    name: ActorName,
    kinds: &'static [&'static str],
    /// The second in which it began and, in the lowest byte, what it is doing, counted from 1; zero if nothing.
    word: AtomicU64,
}

impl Doing {
    pub(crate) fn new(name: ActorName, kinds: &'static [&'static str]) -> Arc<Self> {
        Arc::new(Self { name, kinds, word: AtomicU64::new(0) })
    }

    /// It begins the message `kind`.
    pub(crate) fn begin(&self, second: u64, kind: u8) {
        self.note(second, kind + STAGES.len() as u8);
    }

    fn note(&self, second: u64, what: u8) {
        self.word.store(second << 8 | u64::from(what + 1), Relaxed);
    }

    /// It is still in it, and has come a step further.
    pub(crate) fn goes_on(&self, second: u64) {
        let what = self.word.load(Relaxed) & 0xff;
        if what > 0 {
            self.word.store(second << 8 | what, Relaxed);
        }
    }

    /// It is done with it. One that fails never is: that says what it failed in.
    pub(crate) fn done(&self) {
        self.word.store(0, Relaxed);
    }

    /// What it is in the middle of, and since which second.
    pub(crate) fn now(&self) -> Option<(&'static str, u64)> {
        let word = self.word.load(Relaxed);
        let what = usize::from((word as u8).checked_sub(1)?);
        let name = STAGES.iter().chain(self.kinds).nth(what)?;
        Some((name, word >> 8))
    }

    pub(crate) fn name(&self) -> &ActorName {
        &self.name
    }

    /// What it failed in, and how.
    pub(crate) fn failure(&self, how: &str) -> String {
        match self.now() {
            Some((message, _)) => format!("failed in {message}: {how}"),
            None => format!("failed: {how}"),
        }
    }

    /// What it hung in.
    pub(crate) fn hang(&self, patience: Duration) -> String {
        let message = self.now().map_or("nothing", |(message, _)| message);
        format!("hung in {message} for more than {} ms", patience.as_millis())
    }

    /// How long it has been in what it is doing, in whole seconds.
    fn seconds(&self, second: u64) -> Option<(&'static str, u64)> {
        let (message, since) = self.now()?;
        // It may have begun just before the second ended.
        let seconds = second.saturating_sub(since).checked_sub(1).filter(|seconds| *seconds > 0)?;
        Some((message, seconds))
    }

    /// What it has been doing for more than a second.
    pub(crate) fn busy(&self, second: u64) -> Option<Busy> {
        let (message, seconds) = self.seconds(second)?;
        Some(Busy { actor: self.name.clone(), message: message.to_owned(), seconds })
    }

    /// True if it has been in one message for longer than `patience`.
    pub(crate) fn is_hung(&self, second: u64, patience: Duration) -> bool {
        self.seconds(second).is_some_and(|(_, seconds)| seconds >= patience.as_secs())
    }
}

/// An actor that says what it is doing.
///
/// Its futures are blocks and no functions where a message goes through them: a function keeps the room of what it was called
/// with beside that of what became of it, in every actor there is.
pub(crate) struct Watched<A> {
    pub(crate) actor: A,
    pub(crate) doing: Arc<Doing>,
    pub(crate) shared: Arc<Commons>,
}

impl<A> Watched<A> {
    /// A point at which tests may let it fail.
    async fn point(&self, at: &str) -> Result<(), ActorProcessingErr> {
        Ok(self.shared.faults.strike(self.doing.name.kind(), at, &self.doing.name).await?)
    }

    /// It begins a stage of its life.
    async fn begin(&self, stage: u8) -> Result<(), ActorProcessingErr> {
        self.doing.note(self.shared.second(), stage);
        self.point(STAGES[usize::from(stage)]).await
    }
}

impl<A> Actor for Watched<A>
where
    A: Actor,
    A::Msg: Kinds,
{
    type Msg = A::Msg;
    type State = A::State;
    type Arguments = A::Arguments;

    async fn pre_start(&self, myself: ActorRef<A::Msg>, arguments: A::Arguments) -> Result<A::State, ActorProcessingErr> {
        self.begin(START).await?;
        let state = self.actor.pre_start(myself, arguments).await?;
        self.point("Started").await?;
        self.doing.done();
        Ok(state)
    }

    async fn post_start(&self, myself: ActorRef<A::Msg>, state: &mut A::State) -> Result<(), ActorProcessingErr> {
        self.begin(POST_START).await?;
        self.actor.post_start(myself, state).await?;
        self.doing.done();
        Ok(())
    }

    fn handle(
        &self,
        myself: ActorRef<A::Msg>,
        message: A::Msg,
        state: &mut A::State,
    ) -> impl Future<Output = Result<(), ActorProcessingErr>> + Send {
        let kind = message.kind();
        self.doing.begin(self.shared.second(), kind);
        async move {
            self.point(A::Msg::KINDS[usize::from(kind)]).await?;
            self.actor.handle(myself, message, state).await?;
            self.doing.done();
            Ok(())
        }
    }

    fn handle_supervisor_evt(
        &self,
        myself: ActorRef<A::Msg>,
        event: SupervisionEvent,
        state: &mut A::State,
    ) -> impl Future<Output = Result<(), ActorProcessingErr>> + Send {
        // That a child has started needs nothing done; that one has ended may.
        let is_news = !matches!(event, SupervisionEvent::ActorStarted(_));
        async move {
            if is_news {
                self.begin(SUPERVISION).await?;
                self.actor.handle_supervisor_evt(myself, event, state).await?;
                self.doing.done();
            }
            Ok(())
        }
    }

    async fn post_stop(&self, myself: ActorRef<A::Msg>, state: &mut A::State) -> Result<(), ActorProcessingErr> {
        self.actor.post_stop(myself, state).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_takes_long_is_told_and_what_takes_too_long_is_hung() {
        let doing = Doing::new(ActorName::Broker, &["Register", "Tick"]);
        assert_eq!((doing.now(), doing.busy(99)), (None, None));
        doing.begin(7, 1);
        assert_eq!(doing.now(), Some(("Tick", 7)));
        // It may have begun at the very end of its second.
        assert_eq!(doing.busy(8), None);
        let busy = Busy { actor: ActorName::Broker, message: "Tick".into(), seconds: 3 };
        assert_eq!(doing.busy(11), Some(busy));
        let patience = Duration::from_secs(3);
        assert_eq!((doing.is_hung(10, patience), doing.is_hung(11, patience)), (false, true));
        assert_eq!(doing.hang(patience), "hung in Tick for more than 3000 ms");
        doing.goes_on(11);
        assert!(!doing.is_hung(14, patience) && doing.is_hung(15, patience));
        doing.done();
        doing.goes_on(20);
        assert!(!doing.is_hung(99, patience));
    }
}
