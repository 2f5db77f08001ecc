//! A supervisor's children: how they are started, what they are doing, and how they ended. However one fails, by a panic, an
//! error, a message it never came back from, or a start that came to nothing, its supervisor hears of it once, in one form.

use std::{collections::BTreeMap, mem, sync::Arc};

use ractor::{Actor, ActorCell, ActorId, ActorRef, Message, SpawnErr, SupervisionEvent};
use tokio::time;

use super::{
    round::{PAUSE, Round},
    watch::{Doing, Kinds, Watched},
};
use crate::{
    commons::{Commons, tell},
    events::{ActorName, Busy, BusyActors, Event, Sample},
    timers::Alarm,
};

/// The part of a supervisor's own patience that it has for the start of a child.
const START_SHARE: u32 = 2;

/// The children of one supervisor, each standing for a `T`.
#[derive(Debug)]
pub(crate) struct Children<T> {
    /// What their supervisor itself is doing.
    supervisor: Arc<Doing>,
    all: BTreeMap<ActorId, Child<T>>,
    round: Round<ActorId>,
    /// For the next stride.
    next: Alarm,
    /// Those that were found busy in this round.
    busy: Vec<Busy>,
    /// Some were told to be busy after the last one.
    told: bool,
}

#[derive(Debug)]
struct Child<T> {
    of: T,
    cell: ActorCell,
    doing: Arc<Doing>,
    /// It hung, and was killed for it: in which message, and at which second.
    hung: Option<(String, u64)>,
}

/// A child that is there no more.
#[derive(Debug)]
pub(crate) struct Ended<T> {
    pub(crate) actor: ActorId,
    pub(crate) of: T,
    /// Why, if it was not asked to.
    pub(crate) failure: Option<String>,
}

impl<T: Clone + Into<ActorName>> Children<T> {
    pub(crate) fn new(shared: &Commons, supervisor: Arc<Doing>) -> Self {
        Self {
            supervisor,
            next: shared.timers.alarm(),
            all: BTreeMap::new(),
            round: Round::default(),
            busy: Vec::new(),
            told: false,
        }
    }

    /// Starts an actor below `supervisor`.
    ///
    /// # Errors
    /// If it fails before it has a state, or takes too long for that: its supervisor must not hang with it.
    pub(crate) async fn start<A>(
        &mut self,
        shared: &Arc<Commons>,
        supervisor: ActorCell,
        of: T,
        actor: A,
        arguments: impl FnOnce(&Arc<Doing>) -> A::Arguments,
    ) -> Result<ActorRef<A::Msg>, SpawnErr>
    where
        A: Actor,
        A::Msg: Kinds,
    {
        let doing = Doing::new(of.clone().into(), A::Msg::KINDS);
        let watched = Watched { actor, doing: Arc::clone(&doing), shared: Arc::clone(shared) };
        let start = Actor::spawn_linked(None, watched, arguments(&doing), supervisor);
        let patience = shared.config.failures.hang_after / START_SHARE;
        let started = time::timeout(patience, start).await;
        // Started or not, the supervisor has come a step further and does not hang, however often it tries.
        self.supervisor.goes_on(shared.second());
        let (actor, _) = started.map_err(|_| SpawnErr::StartupFailed(doing.hang(patience).into()))??;
        self.all.insert(actor.get_id(), Child { of, cell: actor.get_cell(), doing, hung: None });
        Ok(actor)
    }

    /// What `event` says of a child; nothing, if it says nothing of its end or that was known.
    pub(crate) fn ended(&mut self, event: &SupervisionEvent) -> Option<Ended<T>> {
        let (who, failure) = match event {
            SupervisionEvent::ActorFailed(who, error) => (who, Some(error.to_string())),
            // Nobody kills but the watch, and a supervisor that ends itself.
            SupervisionEvent::ActorTerminated(who, _, Some(reason)) if reason == "killed" || reason.ends_with("cancelled") => {
                (who, Some(reason.clone()))
            }
            SupervisionEvent::ActorTerminated(who, ..) => (who, None),
            SupervisionEvent::ActorStarted(_) | SupervisionEvent::ProcessGroupChanged(_) => return None,
        };
        let child = self.all.remove(&who.get_id())?;
        let failure = match child.hung {
            Some((why, _)) => Some(why),
            None => failure.map(|how| child.doing.failure(&how)),
        };
        if let Some(why) = &failure {
            tracing::error!(actor = child.doing.name().kind(), of = %child.doing.name(), why, "an actor failed");
        }
        Some(Ended { actor: who.get_id(), of: child.of, failure })
    }

    /// A round of theirs begins beside `other` of the same supervisor, unless one of the two is still under way.
    pub(crate) fn begin<K: Ord + Clone>(&mut self, other: &mut Round<K>, second: u64) -> bool {
        let are_over = self.are_over(other);
        if are_over {
            self.round.begin(second);
            other.begin(second);
        }
        are_over
    }

    fn are_over<K: Ord + Clone>(&self, other: &Round<K>) -> bool {
        self.round.is_over() && other.is_over()
    }

    /// Has their supervisor told of the next stride, if one of the two rounds is still under way.
    pub(crate) fn go_on<K, M>(&self, other: &Round<K>, shared: &Commons, supervisor: &ActorRef<M>, stride: fn() -> M)
    where
        K: Ord + Clone,
        M: Message,
    {
        if !self.are_over(other) {
            let (stats, supervisor) = (Arc::clone(&shared.stats), supervisor.clone());
            // One that has ended needs no more.
            self.next.set(time::Instant::now() + PAUSE, move || drop(tell(&stats, &supervisor, stride())));
        }
    }

    /// As [`look`](Self::look) for a whole round, where they are as few as managers are.
    pub(crate) fn look_at_all(&mut self, shared: &Commons) -> Vec<Ended<T>> {
        self.round.begin(shared.second());
        self.look(shared)
    }

    /// Looks what some of them are doing: the hung are killed and, when all have been looked at, the slow told. Returns those that
    /// do not even end when they are killed, because they keep their thread: they are given up, and must be replaced without
    /// waiting for them.
    pub(crate) fn look(&mut self, shared: &Commons) -> Vec<Ended<T>> {
        if self.round.is_over() {
            return Vec::new();
        }
        let (second, patience) = (shared.second(), shared.config.failures.hang_after);
        let mut given_up = Vec::new();
        for (id, child) in self.round.stride(&mut self.all, second, |_| 1) {
            match &child.hung {
                None if child.doing.is_hung(second, patience) => {
                    child.hung = Some((child.doing.hang(patience), second));
                    child.cell.kill();
                    // Nobody sends it anything more: should it keep its thread, that would never be answered.
                    let _ = child.cell.drain();
                }
                Some((_, since)) if second - since > patience.as_secs() => given_up.push(*id),
                None | Some(_) => {}
            }
            if self.busy.len() < Sample::MAX_ROWS {
                self.busy.extend(child.doing.busy(second));
            }
        }
        if self.round.is_over() {
            self.tell_busy(shared);
        }
        let given_up = given_up.into_iter().filter_map(|id| Some((id, self.all.remove(&id)?)));
        given_up.map(|(actor, child)| child.given_up(actor)).collect()
    }

    /// Tells who is busy; once more when nobody is any more.
    fn tell_busy(&mut self, shared: &Commons) {
        let actors = mem::take(&mut self.busy);
        let is_told = !actors.is_empty();
        if mem::replace(&mut self.told, is_told) || is_told {
            let busy = Some(BusyActors { of: self.supervisor.name().clone(), actors });
            shared.emit(Event::from(Sample { busy, ..Sample::default() }));
        }
    }

    /// All of them, to be ended without a word: those started last come first, so that no stale reference is used.
    pub(crate) fn take_newest_first(&mut self) -> Vec<ActorCell> {
        let mut cells: Vec<_> = mem::take(&mut self.all).into_values().map(|child| child.cell).collect();
        cells.sort_by_key(|cell| std::cmp::Reverse(cell.get_id()));
        cells
    }
}

impl<T> Child<T> {
    fn given_up(self, actor: ActorId) -> Ended<T> {
        let why = self.hung.map(|(why, _)| why).unwrap_or_default();
        tracing::error!(actor = self.doing.name().kind(), of = %self.doing.name(), why, "an actor blocks its thread; it is given up");
        Ended { actor, of: self.of, failure: Some(why) }
    }
}
