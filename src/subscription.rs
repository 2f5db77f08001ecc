//! A subscription's queue with what shares it: topics append, its subscriber takes, the writer says what was written.
//!
//! It belongs to `SubscriberManager`, so that it outlives a subscriber's panic. Whoever holds the lock does nothing but data
//! work: casts, events and dropped receipts come after it.

use std::{
    collections::HashMap,
    mem,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use ractor::ActorRef;

use crate::{
    access::Access,
    actors::SubscriberMsg,
    batch::Batch,
    commons::{Commons, tell},
    events::{Depth, DropReason, Event, Lost},
    limits::Limit,
    name::{Principal, SubscriptionHandle, SubscriptionId, TopicName},
    peek::Peek,
    queue::{Appended, Bounds, GivenUp, Queue, Run, Stop},
    receipt::Settlement,
    room::Room,
    stats::Stats,
    timers::Alarm,
};

/// A subscription's queue and who serves it.
#[derive(Debug)]
pub(crate) struct SubscriptionQueue {
    pub(crate) id: SubscriptionId,
    pub(crate) handle: SubscriptionHandle,
    pub(crate) principal: Principal,
    access: Arc<Access>,
    stats: Arc<Stats>,
    ack_timeout: Duration,
    /// For receipts that are held: one timer, however often that begins.
    hold: Alarm,
    state: Mutex<State>,
    changed: AtomicBool,
    delivered: AtomicU64,
}

#[derive(Debug)]
struct State {
    queue: Queue<Arc<Settlement>>,
    subscriber: Option<ActorRef<SubscriberMsg>>,
    /// Everything in the queue may be seen as of this generation of users.
    judged: u64,
    /// What had to go since the last look, because its principal may no longer see it.
    withdrawn: Lost,
    /// The subscriber found nothing to take and waits to be told.
    idle: bool,
    /// The window had no room for what the subscriber would have taken: whoever makes some without it has to tell it.
    paused: bool,
    /// When the last message was written or acknowledged, or the client came.
    progress: Instant,
}

/// A subscriber that has something to take now. It is told when this is dropped, so that whoever appended chooses
/// when, and cannot forget it by failing.
#[derive(Debug)]
pub(crate) struct Wake {
    stats: Arc<Stats>,
    subscriber: ActorRef<SubscriberMsg>,
}

impl Drop for Wake {
    fn drop(&mut self) {
        // One that has just ended is restarted and looks at its queue first.
        let _ = tell(&self.stats, &self.subscriber, SubscriberMsg::Ready);
    }
}

/// What a subscriber took.
#[derive(Debug, Default)]
pub(crate) struct Taken {
    pub(crate) runs: Vec<Run>,
    pub(crate) pass: u32,
    /// They may be seen as of this generation of users.
    pub(crate) judged: u64,
    pub(crate) stop: Stop,
}

impl SubscriptionQueue {
    pub(crate) fn new(
        id: SubscriptionId,
        handle: SubscriptionHandle,
        principal: Principal,
        shared: &Commons,
        bounds: Bounds,
        ack_timeout: Duration,
    ) -> Arc<Self> {
        let (access, stats, hold) = (Arc::clone(&shared.access), Arc::clone(&shared.stats), shared.timers.alarm());
        let judged = access.generation();
        let inner = State {
            queue: Queue::new(bounds),
            subscriber: None,
            judged,
            withdrawn: Lost::default(),
            idle: false,
            paused: false,
            progress: Commons::now(),
        };
        Arc::new(Self {
            id,
            handle,
            principal,
            access,
            stats,
            ack_timeout,
            hold,
            state: Mutex::new(inner),
            changed: AtomicBool::new(true),
            delivered: AtomicU64::new(0),
        })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // The queue is consistent between its calls, and each is complete or has panicked before it changed anything.
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        // Under the lock: a sampler that clears the mark before this looks at the queue after what is done now.
        self.changed.store(true, Relaxed);
        state
    }

    fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let mut state = self.lock();
        let result = change(&mut state);
        let released = state.queue.release();
        drop(state);
        // Each receipt casts to its session when it goes: not under the lock.
        drop(released);
        result
    }

    /// To be dropped when the lock is not held any more.
    fn wake(&self, state: &State) -> Option<Wake> {
        let subscriber = state.subscriber.clone()?;
        Some(Wake { stats: Arc::clone(&self.stats), subscriber })
    }

    /// A new subscriber serves the queue and looks at it first.
    pub(crate) fn set_subscriber(&self, subscriber: ActorRef<SubscriberMsg>) {
        let mut state = self.lock();
        state.subscriber = Some(subscriber);
        state.idle = false;
    }

    /// Appends what a topic accepted, and judged as of generation `judged`. Returns its subscriber if that was idle. `receipt` is
    /// held while the queue is over its bound.
    #[must_use = "dropped at once, it tells the subscriber before anyone else"]
    pub(crate) fn append(
        self: &Arc<Self>,
        batch: &Arc<Batch>,
        from: u32,
        receipt: impl FnOnce() -> Option<Arc<Settlement>>,
        (now, judged): (Instant, u64),
    ) -> Option<Wake> {
        let (appended, wake) = self.change(|state| {
            state.judged = state.judged.min(judged);
            let appended = state.queue.append(batch, from, receipt, now);
            let wake = mem::take(&mut state.idle);
            (appended, wake.then(|| self.wake(state)).flatten())
        });
        match appended {
            Appended::Fits | Appended::Held(None) => {}
            // The topic matched before the subscription ended: as lost as what the queue held then.
            Appended::Closed => self.stats.dropped.add(u64::from(batch.len() - from)),
            Appended::Held(Some(until)) => self.watch_hold(until),
        }
        wake
    }

    /// Not for its subscriber to do: a publisher must not wait for one that has failed, or hangs.
    fn watch_hold(self: &Arc<Self>, until: Instant) {
        let queue = Arc::downgrade(self);
        self.hold.set(until.into(), move || {
            if let Some(queue) = queue.upgrade() {
                queue.hold_expired();
            }
        });
    }

    /// The writer has written `run`. With `settles` that is as good as an acknowledgement.
    pub(crate) fn wrote(&self, run: &Run, pass: u32, settles: bool) {
        self.delivered.fetch_add(u64::from(run.len), Relaxed);
        let wake = self.change(|state| {
            state.progress = Commons::now();
            if !state.queue.written(pass, run.last()) || !settles {
                return None;
            }
            self.stats.acknowledged.add(state.queue.ack(run.last()).unwrap_or_default());
            mem::take(&mut state.paused).then(|| self.wake(state)).flatten()
        });
        drop(wake);
    }

    /// Takes what fits the window, at most `messages` and `bytes`. Where nothing waits, the next append wakes the subscriber.
    pub(crate) fn take(&self, messages: u64, bytes: u64) -> Taken {
        let now = Commons::now();
        self.change(|state| {
            self.judge_if_old(state);
            let mut taken = Taken { judged: state.judged, ..Taken::default() };
            if state.queue.depth().in_flight == 0 {
                // The ack clock of what is taken now has not begun: it waits for the writer.
                state.progress = now;
            }
            taken.stop = state.queue.take(messages, bytes, now, &mut taken.runs);
            taken.pass = state.queue.pass();
            (state.idle, state.paused) = (taken.stop == Stop::Empty, taken.stop == Stop::Window);
            taken
        })
    }

    /// Judges everything in the queue by what its principal may see now. What it may not is dropped and counted.
    fn judge(&self, state: &mut State) {
        let users = self.access.current();
        state.judged = users.generation;
        state.withdrawn += match users.rights_of(&self.principal) {
            Some(rights) if rights.may_receive_all(&self.id.filter) => Lost::default(),
            Some(rights) => {
                let mut known = HashMap::new();
                let mut may = |topic: &TopicName| *known.entry(topic.clone()).or_insert_with(|| rights.may_receive(topic));
                state.queue.withdraw(&mut may)
            }
            None => state.queue.withdraw(|_| false),
        };
    }

    /// The users are others now: what may no longer be seen goes at once. Returns what that was, whoever looked first.
    pub(crate) fn look_at_rights(&self) -> Lost {
        self.change(|state| {
            self.judge_if_old(state);
            mem::take(&mut state.withdrawn)
        })
    }

    fn judge_if_old(&self, state: &mut State) {
        if state.judged < self.access.generation() {
            self.judge(state);
        }
    }

    /// True if `run`, taken as of generation `judged`, may still be written. If not, the queue has counted it.
    pub(crate) fn may_write(&self, run: &Run, judged: u64) -> bool {
        if judged == self.access.generation() {
            return true;
        }
        self.change(|state| self.judge_if_old(state));
        let may = self.access.rights_of(&self.principal).is_some_and(|rights| rights.may_receive(run.batch.topic()));
        if !may && run.returns {
            // It would have said where what the client gave back starts: the next one does, and all behind it come again.
            drop(self.change(|state| {
                state.queue.again(run.first);
                self.wake(state)
            }));
        }
        may
    }

    /// The client is here; with `settles`, what is written to it is settled. Returns what the queue holds for it, and what was
    /// given up if it comes again.
    pub(crate) fn go_live(&self, settles: bool) -> (Depth, Option<GivenUp>) {
        self.change(|state| {
            state.progress = Commons::now();
            state.queue.settle_by_writing(settles);
            let given_up = state.queue.go_live();
            (state.queue.depth(), given_up)
        })
    }

    /// The client is gone.
    pub(crate) fn park(&self) -> Option<GivenUp> {
        self.change(|state| {
            state.idle = false;
            state.queue.park(Commons::now())
        })
    }

    /// Its subscriber has failed: what it had taken comes back, and so does what it may not have heard of.
    pub(crate) fn lose_subscriber(&self) -> Option<GivenUp> {
        self.change(|state| {
            state.idle = false;
            state.queue.lose_subscriber()
        })
    }

    /// The client has settled everything up to `number`. False if it was never sent that far. What settles nothing does not
    /// set the ack clock back: a client that says the same again and again has acknowledged nothing.
    pub(crate) fn ack(&self, number: u64) -> bool {
        let acknowledged = self.change(|state| {
            let acknowledged = state.queue.ack(number);
            if acknowledged.is_some_and(|messages| messages > 0) {
                state.progress = Commons::now();
            }
            acknowledged
        });
        self.stats.acknowledged.add(acknowledged.unwrap_or_default());
        acknowledged.is_some()
    }

    /// The client gives `number` and all after it back.
    pub(crate) fn again(&self, number: u64) -> Option<GivenUp> {
        self.change(|state| state.queue.again(number))
    }

    /// The client gives one message up. `None` if it was not sent that one, or has settled it.
    pub(crate) fn give_up_one(&self, number: u64) -> Option<GivenUp> {
        self.change(|state| state.queue.give_up_one(number))
    }

    /// If nothing was acknowledged in time, what is in flight comes back. Returns what was given up for it.
    pub(crate) fn check_acks(&self, now: Instant) -> Option<GivenUp> {
        self.change(|state| {
            if state.queue.depth().in_flight == 0 || now < state.progress + self.ack_timeout {
                return None;
            }
            state.progress = now;
            state.queue.bring_all_back()
        })
    }

    /// After how long without an acknowledgement what is in flight comes again.
    pub(crate) fn ack_timeout(&self) -> Duration {
        self.ack_timeout
    }

    /// When to look at the acknowledgements, if something is in flight.
    pub(crate) fn ack_deadline(&self) -> Instant {
        self.lock().progress + self.ack_timeout
    }

    fn hold_expired(self: &Arc<Self>) {
        // Receipts are released although the queue stays at its bound, because the oldest messages went.
        let later = self.change(|state| {
            state.queue.hold_expired(Commons::now());
            state.queue.held_until()
        });
        // They were others: two topics may have begun to hold in one order and set the timer in the other.
        if let Some(until) = later {
            self.watch_hold(until);
        }
    }

    /// Throws away what waits and the poison, unless `judge` refuses to lose that many.
    pub(crate) fn purge_if<E>(&self, judge: impl FnOnce(u64) -> Result<(), E>) -> Result<Lost, E> {
        self.change(|state| {
            let depth = state.queue.depth();
            judge(depth.waiting + depth.poison).map(|()| state.queue.purge())
        })
    }

    /// A copy of its first messages.
    pub(crate) fn peek(&self, most: u32) -> Peek {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).queue.peek(most)
    }

    pub(crate) fn redeliver(&self, room: &Room) -> u64 {
        self.change(|state| {
            let messages = state.queue.redeliver(room, Commons::now());
            // Its subscriber is told of what came back; where nothing did, it still waits to be told of what comes.
            state.idle &= messages == 0;
            messages
        })
    }

    /// Drops the run that has waited longest, because the whole broker is full.
    pub(crate) fn give_up_oldest(&self) {
        self.change(|state| state.queue.give_up(Commons::now()));
    }

    /// When the oldest message that waits was accepted.
    pub(crate) fn oldest_ms(&self) -> Option<u64> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).queue.oldest_ms()
    }

    /// Ends the queue: what it holds is lost, receipts go.
    pub(crate) fn close(&self) -> Lost {
        self.hold.clear();
        self.change(|state| {
            state.subscriber = None;
            state.queue.close()
        })
    }

    pub(crate) fn depth(&self) -> Depth {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).queue.depth()
    }

    /// Messages written so far.
    pub(crate) fn delivered(&self) -> u64 {
        self.delivered.load(Relaxed)
    }

    /// What it holds, if it may have changed since the last call.
    pub(crate) fn depth_if_changed(&self) -> Option<Depth> {
        self.changed.swap(false, Relaxed).then(|| self.depth())
    }

    /// Counts and tells what was dropped since this was last done.
    pub(crate) fn tell_dropped(&self, shared: &Commons) {
        let untold: Vec<_> = self.state.lock().unwrap_or_else(PoisonError::into_inner).queue.take_untold().collect();
        for (why, dropped) in untold {
            shared.stats.dropped.add(dropped);
            match why {
                DropReason::QueueFull => shared.limits.count(Limit::Queue, dropped),
                DropReason::PoisonFull => shared.limit_hit(Limit::Poison, self.principal.as_str()),
                DropReason::BacklogFull | DropReason::Expired | DropReason::MemoryFull | DropReason::RightWithdrawn => {}
            }
            shared.emit(Event::SubscriptionOverflowed { id: self.id.clone(), dropped, why });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        Broker, Config,
        actors::ear::ear,
        batch::{BatchBuilder, BatchSize},
        config::{Grants, PasswordHash, User},
        name::SessionId,
        wire::{Headers, Publish},
    };

    const BOUNDS: Bounds =
        Bounds { messages: 9, bytes: 999, poison: 9, window_messages: 9, window_bytes: 999, attempts: 9, hold: Duration::ZERO };

    fn ana(deny: &[&str]) -> User {
        let grants = |filters: &[&str]| Grants {
            subscribe: filters.iter().map(|filter| filter.parse().unwrap()).collect(),
            ..Grants::default()
        };
        let params = argon2::Params::new(8, 1, 1, None).unwrap();
        let password_hash = PasswordHash::make_at_cost("x", [3; 16], params);
        User { name: "ana".parse().unwrap(), password_hash, allow: grants(&["#"]), deny: grants(deny) }
    }

    fn one_message_of(topic: &str) -> Arc<Batch> {
        let mut batch = BatchBuilder::new(topic.parse().unwrap(), BatchSize::default());
        batch.push(&Publish { sequence: 1, topic: topic.as_bytes(), headers: Headers::NONE, payload: b"x" });
        Arc::new(batch.seal(Instant::now()))
    }

    /// Where writing settles, it makes room in the window: a subscriber that waits for that hears of it, once, and no other does.
    #[tokio::test(start_paused = true)]
    async fn writing_tells_a_subscriber_that_the_window_stopped() {
        let broker = Broker::start(Config { listen: vec!["127.0.0.1:0".parse().unwrap()], ..Config::default() }).await.unwrap();
        let shared = broker.shared();
        let id = SubscriptionId { session: SessionId::from_bytes([1; 16]), filter: "t".parse().unwrap() };
        let bounds = Bounds { window_messages: 2, messages: 4, ..BOUNDS };
        let queue = SubscriptionQueue::new(id, SubscriptionHandle(1), Principal::local(), shared, bounds, Duration::from_secs(9));
        let (subscriber, mut told) = ear().await;
        queue.set_subscriber(subscriber);
        queue.go_live(true);
        let append = |messages| {
            for _ in 0..messages {
                drop(queue.append(&one_message_of("t"), 0, || None, (Commons::now(), shared.access.generation())));
            }
        };
        append(2);
        let Taken { runs, pass, stop, .. } = queue.take(9, 999);
        assert_eq!((runs.len(), stop), (2, Stop::Empty));
        queue.wrote(&runs[0], pass, true);
        append(2);
        assert!(matches!(told.recv().await, Some(SubscriberMsg::Ready)), "something waits");
        let more = queue.take(9, 999);
        assert_eq!((more.runs.len(), more.stop), (1, Stop::Window));
        queue.wrote(&runs[1], pass, true);
        queue.wrote(&more.runs[0], pass, true);
        let heard = tokio::time::timeout(Duration::from_secs(1), told.recv()).await;
        assert!(matches!(heard, Ok(Some(SubscriberMsg::Ready))), "there is room, but: {heard:?}");
        tokio::task::yield_now().await;
        assert!(told.is_empty(), "it is told once");
        broker.shutdown().await;
    }

    /// What comes again starts with a mark, and the run that has it may not be seen any more: the next one must have it, and
    /// nobody but its subscriber sends that.
    #[tokio::test(start_paused = true)]
    async fn a_mark_that_may_not_be_written_is_given_to_the_next_and_the_subscriber_told() {
        let broker = Broker::start(Config { listen: vec!["127.0.0.1:0".parse().unwrap()], ..Config::default() }).await.unwrap();
        let shared = broker.shared();
        shared.access.swap(vec![ana(&[])]);
        let id = SubscriptionId { session: SessionId::from_bytes([1; 16]), filter: "#".parse().unwrap() };
        let principal = "ana".parse().unwrap();
        let queue = SubscriptionQueue::new(id, SubscriptionHandle(1), principal, shared, BOUNDS, Duration::from_secs(9));
        let (subscriber, mut told) = ear().await;
        queue.set_subscriber(subscriber);
        queue.go_live(false);
        for topic in ["a", "b"] {
            drop(queue.append(&one_message_of(topic), 0, || None, (Commons::now(), shared.access.generation())));
        }
        let Taken { runs, pass, .. } = queue.take(9, 999);
        for run in &runs {
            queue.wrote(run, pass, false);
        }
        queue.again(1);
        let Taken { runs, judged, .. } = queue.take(9, 999);
        assert_eq!(runs.iter().map(|run| (run.first, run.returns)).collect::<Vec<_>>(), [(1, true), (2, false)]);

        shared.access.swap(vec![ana(&["a"])]);
        assert!(!queue.may_write(&runs[0], judged));
        let heard = tokio::time::timeout(Duration::from_secs(1), told.recv()).await;
        assert!(matches!(heard, Ok(Some(SubscriberMsg::Ready))), "{heard:?}");
        let Taken { runs, .. } = queue.take(9, 999);
        assert_eq!(runs.iter().map(|run| (run.first, run.returns)).collect::<Vec<_>>(), [(2, true)]);
        broker.shutdown().await;
    }
}
