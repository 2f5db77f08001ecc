//! What a client's users and its one background task share, and how they wake each other.

use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use bytes::Bytes;
use tokio::{
    sync::{Notify, broadcast},
    time::Instant,
};

use super::{
    error::{ClientEnd, FlushError, PingError, PublishError, SubscribeError},
    event::{self, ClientEvent, LostSession},
    inbox::{AckDue, Inbox},
    ledger::Next,
    settlement::Pending,
    state::{Answered, Link, State, SubscribeOptions, Subscribed},
};
use crate::{
    name::{Filter, TopicName},
    wire::{ClientFrame, DeliverNack, Headers, Nack, PREFIX, Publish, RegistrationResponse},
};

/// Acknowledgements that are in no hurry wait this long for others.
const ACK_DELAY: Duration = Duration::from_millis(5);
/// Publishes handed to one write.
const WRITE_BYTES: usize = 1 << 20;

#[derive(Debug)]
pub(super) struct Hub {
    state: Mutex<State>,
    /// There is something to write, or the client is to be closed.
    work: Notify,
    /// Publish credit came free.
    room: Notify,
    /// Publishes were settled, or the connection's fate has changed.
    progress: Notify,
    /// Much was taken in and not handed on: the next publish gives way first.
    piled: AtomicBool,
    events: broadcast::Sender<ClientEvent>,
}

/// What the writer is to write.
#[derive(Debug, Default)]
pub(super) struct Output {
    pub(super) frames: VecDeque<Bytes>,
    /// The last frame is a Disconnect.
    pub(super) goodbye: bool,
}

impl Hub {
    pub(super) fn new(state: State) -> Self {
        let events = broadcast::Sender::new(event::KEPT);
        Self {
            state: Mutex::new(state),
            work: Notify::new(),
            room: Notify::new(),
            progress: Notify::new(),
            piled: AtomicBool::new(false),
            events,
        }
    }

    /// A panic under this lock is a bug of ours; going on with what is there loses no more than stopping would.
    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn events(&self) -> broadcast::Receiver<ClientEvent> {
        self.events.subscribe()
    }

    pub(super) fn emit(&self, event: ClientEvent) {
        // Nobody listening is no failure.
        let _ = self.events.send(event);
    }

    /// Takes a message in, waiting only for credit.
    pub(super) async fn enqueue(&self, topic: Topic<'_>, headers: Headers<'_>, payload: &[u8]) -> Result<Pending, PublishError> {
        if self.piled.swap(false, Relaxed) {
            // The writer and the broker shall work on what is there while more is made. A task that never waits would keep the
            // writer from it until all credit is used up, and then wait for the broker to work through that. It waits before
            // anything is taken in: whoever gives this up has published nothing.
            tokio::task::yield_now().await;
        }
        match self.try_enqueue(topic, headers, payload, false) {
            Ok(Some((pending, next))) => {
                self.piled.fetch_or(matches!(next, Next::Yield), Relaxed);
                Ok(pending)
            }
            Ok(None) => self.enqueue_later(topic, headers, payload).await,
            Err(error) => Err(*error),
        }
    }

    /// Waits for credit first.
    async fn enqueue_later(&self, topic: Topic<'_>, headers: Headers<'_>, payload: &[u8]) -> Result<Pending, PublishError> {
        loop {
            // Made before looking, so that no wake falls between.
            let room = self.room.notified();
            match self.try_enqueue(topic, headers, payload, true) {
                Ok(Some((pending, _))) => return Ok(pending),
                Ok(None) => room.await,
                Err(error) => return Err(*error),
            }
        }
    }

    /// Takes a message in if there is credit for it. An error is large, and boxed: what is handed back for every message must
    /// be small.
    fn try_enqueue(
        &self,
        topic: Topic<'_>,
        headers: Headers<'_>,
        payload: &[u8],
        waited: bool,
    ) -> Result<Option<(Pending, Next)>, Box<PublishError>> {
        let mut state = self.state();
        if let Link::Over(end) = &state.link {
            return Err(PublishError::Ended(end.clone()).into());
        }
        let text = match topic {
            Topic::Checked(topic) => topic.as_str(),
            Topic::Unchecked(text) => state.check_topic(text).map_err(PublishError::Topic)?,
        };
        let length = Publish { sequence: 0, topic: text.as_bytes(), headers, payload }.length();
        let max = state.max_frame();
        if length > max {
            return Err(PublishError::TooLarge { bytes: length, max }.into());
        }
        if !state.ledger.has_room(PREFIX + length) {
            return Ok(None);
        }
        let (pending, next) = state.ledger.push(text, headers, payload);
        let pass_on = waited && state.ledger.has_room(PREFIX);
        drop(state);
        if next == Next::Wake {
            self.work.notify_one();
        }
        if pass_on {
            self.room.notify_one();
        }
        Ok(Some((pending, next)))
    }

    /// Publishes were settled: the first who waits for credit goes on, and wakes the next.
    pub(super) fn settled(&self) {
        self.room.notify_one();
        self.progress.notify_waiters();
    }

    /// Waits until everything taken in so far is settled, or with `while_up`, until the connection is gone.
    pub(super) async fn flush(&self, while_up: bool) -> Result<(), FlushError> {
        let target = self.state().ledger.progress().0;
        loop {
            let progress = self.progress.notified();
            {
                let mut state = self.state();
                let gone = while_up && !matches!(state.link, Link::Up);
                if state.ledger.progress().1 >= target || gone {
                    return match state.ledger.take_failures() {
                        Some((failed, first)) => Err(FlushError { failed, first }),
                        None => Ok(()),
                    };
                }
            }
            progress.await;
        }
    }

    pub(super) async fn subscribe(&self, filter: &str, options: SubscribeOptions) -> Result<Subscribed, SubscribeError> {
        let answer = self.state().subscribe(filter, options)?;
        self.work.notify_one();
        self.answer(answer).await
    }

    pub(super) async fn unsubscribe(&self, filter: &Filter) -> Result<bool, SubscribeError> {
        let answer = self.state().unsubscribe(filter)?;
        self.work.notify_one();
        self.answer(answer).await
    }

    /// How long the broker takes to answer.
    pub(super) async fn ping(&self) -> Result<Duration, PingError> {
        let asked = Instant::now();
        let answer = self.state().ping()?;
        self.work.notify_one();
        if answer.await.is_ok() {
            return Ok(asked.elapsed());
        }
        match &self.state().link {
            Link::Over(end) => Err(end.clone().into()),
            Link::Up | Link::Down => Err(PingError::Lost),
        }
    }

    async fn answer<T>(&self, answer: Answered<T>) -> Result<T, SubscribeError> {
        // Every request is answered, the last of them when the client ends.
        answer.await.unwrap_or(Err(SubscribeError::Ended(ClientEnd::Closed)))
    }

    /// `inbox` has something to acknowledge.
    pub(super) fn acknowledge(&self, inbox: &Arc<Inbox>, due: AckDue) {
        if due == AckDue::Nothing {
            return;
        }
        let mut state = self.state();
        if !matches!(state.link, Link::Up) {
            return;
        }
        if inbox.list() {
            state.acks.push(Arc::clone(inbox));
        }
        let wake = if due == AckDue::Now { !std::mem::replace(&mut state.acks_now, true) } else { state.acks_at.is_none() };
        if wake {
            state.acks_at.get_or_insert_with(|| Instant::now() + ACK_DELAY);
            drop(state);
            self.work.notify_one();
        }
    }

    /// Message `number`, taken in `round`, is given back, if that is still its holder's to say.
    pub(super) fn nack(&self, inbox: &Inbox, number: u64, round: u32, what: Nack) {
        // Under the lock that changes handles, so that this one is of the present session.
        let mut state = self.state();
        let handle = match what {
            Nack::Again => inbox.give_back(number, round),
            Nack::Poison => inbox.set_aside(number, round),
        };
        if let (Some(handle), Link::Up) = (handle, &state.link) {
            ClientFrame::DeliverNack(DeliverNack { handle, number, what }).encode(&mut state.control);
            drop(state);
            self.work.notify_one();
        }
    }

    /// There is something to write.
    pub(super) fn wake_writer(&self) {
        self.work.notify_one();
    }

    /// Puts a frame into the present connection's output; nowhere if there is none.
    pub(super) fn send(&self, frame: &ClientFrame<'_>) {
        let mut state = self.state();
        if matches!(state.link, Link::Up) {
            frame.encode(&mut state.control);
            drop(state);
            self.work.notify_one();
        }
    }

    /// Asks the background task to leave; the first to ask decides whether the session ends.
    pub(super) fn close(&self, end: bool) {
        self.state().closing.get_or_insert(end);
        self.work.notify_one();
        self.progress.notify_waiters();
    }

    /// Resolves when something is to be written. With `acks`, also when acknowledgements have waited long enough.
    pub(super) async fn wait_for_work(&self) {
        let acks_at = self.state().acks_at;
        match acks_at {
            Some(at) => {
                tokio::select! {
                    biased;
                    () = self.work.notified() => {}
                    () = tokio::time::sleep_until(at) => self.state().acks_now = true,
                }
            }
            None => self.work.notified().await,
        }
    }

    /// Resolves when the client is to be closed.
    pub(super) async fn closing(&self) -> bool {
        loop {
            let progress = self.progress.notified();
            if let Some(end) = self.state().closing {
                return end;
            }
            progress.await;
        }
    }

    /// What is to be written now.
    pub(super) fn take_output(&self) -> Output {
        self.state().take_output(WRITE_BYTES)
    }

    /// Registered again.
    pub(super) fn up(&self, response: RegistrationResponse, lost: Option<LostSession>) {
        let events = self.state().up(response, lost);
        for event in events {
            self.emit(event);
        }
        self.settled();
        self.work.notify_one();
    }

    /// The connection is gone.
    pub(super) fn down(&self, why: String) {
        self.state().down();
        self.progress.notify_waiters();
        self.emit(ClientEvent::Lost { why });
    }

    /// The client is over: everyone who waits is told. Only the first end counts.
    pub(super) fn end(&self, end: &ClientEnd) {
        let mut state = self.state();
        if matches!(state.link, Link::Over(_)) {
            return;
        }
        state.end(end);
        drop(state);
        self.emit(ClientEvent::Ended(end.clone()));
        self.room.notify_waiters();
        self.progress.notify_waiters();
    }

    /// Resolves when the client is over.
    pub(super) async fn ended(&self) -> ClientEnd {
        loop {
            let progress = self.progress.notified();
            if let Link::Over(end) = &self.state().link {
                return end.clone();
            }
            progress.await;
        }
    }
}

/// A topic to publish to.
#[derive(Debug, Clone, Copy)]
pub(super) enum Topic<'a> {
    Checked(&'a TopicName),
    Unchecked(&'a str),
}
