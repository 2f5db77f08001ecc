//! The broker as its clients and its operator may rely on it: sessions, epochs, timers, subscriptions, topics. No actors, no
//! batches, no sockets; what everyone hears in one step is a value.

use std::collections::{BTreeMap, BTreeSet};

use cordboard::wire::{Code, Nack};

use super::{
    queue::{Message, Queue},
    words::{Answer, Heard, Transition},
};

pub(super) const TOPICS: [&str; 2] = ["a", "b"];
pub(super) const FILTERS: [&str; 3] = ["#", "a", "b"];
pub(super) const CLIENTS: usize = 3;
/// How long a session waits for its client. Steps take whole seconds, and nothing that is waited for does: nothing is ever due
/// at the same moment, and whatever happens does so well before the board is sampled.
pub(super) const RECLAIM_MS: u64 = 60_050;
/// How long a step takes: time enough for everything to come to rest, and for the board to be sampled.
pub(super) const STEP_MS: u64 = 2_000;
/// When in each second steps begin; samples are taken at its start.
pub(super) const PHASE_MS: u64 = 300;
/// What waits for a first subscriber, at most.
pub(super) const BACKLOG: usize = 8;

/// After how long without an acknowledgement messages come again: what a client asks for, and the broker's own.
pub(super) fn ack_timeout(filter: &str) -> (Option<u64>, u64) {
    if filter == "a" { (Some(40_007), 40_007) } else { (None, 20_003) }
}

/// What whoever wants something forbidden hears.
const FORBIDDEN: Heard = Heard::Refused { code: Code::Forbidden, why: "forbidden" };

#[derive(Debug, Clone)]
pub(super) enum Life {
    Here { client: usize },
    Away { deadline: u64, held: bool },
    Gone { why: &'static str },
}

#[derive(Debug, Clone)]
pub(super) struct Session {
    pub(super) epoch: u64,
    pub(super) life: Life,
    pub(super) subscriptions: BTreeMap<&'static str, (u32, Queue)>,
    handles: u32,
    pub(super) published: u64,
}

impl Session {
    /// When time alone changes something next.
    fn due(&self) -> Option<u64> {
        let reclaim = match self.life {
            Life::Away { deadline, held: false } => Some(deadline),
            Life::Away { held: true, .. } | Life::Here { .. } | Life::Gone { .. } => None,
        };
        self.subscriptions.values().filter_map(|(_, queue)| queue.due()).chain(reclaim).min()
    }
}

/// Everything, and what was heard in the last step.
#[derive(Debug, Clone, Default)]
pub(super) struct Reference {
    pub(super) now: u64,
    pub(super) sessions: Vec<Session>,
    /// Which session each client's line is registered for.
    pub(super) lines: [Option<usize>; CLIENTS],
    /// Topics that are there, with what waits for a first subscriber.
    pub(super) topics: BTreeMap<&'static str, Vec<u64>>,
    pub(super) forbidden: BTreeSet<&'static str>,
    pub(super) all_forbidden: bool,
    published: u64,
    pub(super) heard: [Vec<Heard>; CLIENTS],
    /// By client and handle.
    pub(super) delivered: BTreeMap<(usize, u32), Vec<Message>>,
    pub(super) answer: Option<Answer>,
    /// Messages lost so far with what held them, or from a backlog.
    lost: u64,
}

impl Reference {
    /// One step.
    pub(super) fn step(&mut self, transition: &Transition) {
        (self.heard, self.answer) = (Default::default(), None);
        self.delivered.clear();
        match *transition {
            Transition::Register { client } => self.register(client),
            Transition::Claim { client, session } => self.claim(client, session),
            Transition::Lose { client } => self.lose(client),
            Transition::Leave { client, end } => self.leave(client, end),
            Transition::Publish { client, topic, count } => self.publish(client, topic, count),
            Transition::Subscribe { client, filter } => self.subscribe(client, filter),
            Transition::Unsubscribe { client, filter } => self.unsubscribe(client, filter),
            Transition::Ack { client, filter, number } => self.ack(client, filter, number),
            Transition::Nack { client, filter, number, what: Nack::Again } => {
                self.with_queue(client, filter, |queue| queue.again(number));
            }
            Transition::Nack { client, filter, number, what: Nack::Poison } => {
                self.with_queue(client, filter, |queue| queue.poison(number));
            }
            Transition::Evict { session } => self.answer = Some(self.evict(session, "was evicted by an operator")),
            Transition::Drop { session } => self.drop_line(session),
            Transition::Hold { session } => self.hold(session),
            Transition::Extend { session, by_ms } => self.extend(session, by_ms),
            Transition::Purge { session, filter } => self.purge(session, filter),
            Transition::Redeliver { session, filter } => self.redeliver(session, filter),
            Transition::Kill { topic } => self.answer = Some(self.kill(topic, Code::Gone)),
            Transition::Forbid { topic } => self.forbid(topic),
            Transition::Allow { topic } => {
                self.answer = Some(if self.forbidden.remove(topic) { Answer::DONE } else { Answer::AlreadyGone });
            }
            Transition::ForbidAll => self.forbid_all(),
            Transition::AllowAll => {
                let was = std::mem::take(&mut self.all_forbidden);
                self.answer = Some(if was { Answer::DONE } else { Answer::AlreadyGone });
            }
            Transition::Pass { ms } => self.pass(ms),
        }
        self.pass(STEP_MS);
    }

    /// Everyone who is there is sent what there is room for.
    fn send(&mut self) {
        for session in &mut self.sessions {
            for (handle, queue) in session.subscriptions.values_mut() {
                let sent = queue.send(self.now);
                if let Life::Here { client } = session.life
                    && !sent.is_empty()
                {
                    self.delivered.entry((client, *handle)).or_default().extend(sent);
                }
            }
        }
    }

    fn register(&mut self, client: usize) {
        if self.is_turned_away(client) {
            return;
        }
        let life = Life::Here { client };
        self.sessions.push(Session { epoch: 1, life, subscriptions: BTreeMap::new(), handles: 0, published: 0 });
        self.welcome(client, self.sessions.len() - 1, false);
    }

    fn is_turned_away(&mut self, client: usize) -> bool {
        if self.all_forbidden {
            self.heard[client].extend([FORBIDDEN, Heard::Closed]);
        }
        self.all_forbidden
    }

    fn welcome(&mut self, client: usize, session: usize, resumed: bool) {
        self.lines[client] = Some(session);
        let Session { epoch, published, subscriptions, .. } = &self.sessions[session];
        let mut subscriptions: Vec<_> = subscriptions.iter().map(|(filter, (handle, _))| (*filter, *handle)).collect();
        subscriptions.sort_by_key(|(_, handle)| *handle);
        let heard = Heard::Registered { session, resumed, epoch: *epoch, settled: *published, subscriptions };
        self.heard[client].push(heard);
    }

    /// A session that is there is given to whoever asks last; one that is not is remembered with its reason, and the line may
    /// ask for a new one.
    fn claim(&mut self, client: usize, session: usize) {
        if self.is_turned_away(client) {
            return;
        }
        match self.sessions[session].life {
            Life::Gone { why } => {
                self.heard[client].push(Heard::Refused { code: Code::Gone, why });
                return self.register(client);
            }
            Life::Here { client: other } => {
                self.heard[other].extend([Heard::Displaced, Heard::Closed]);
                self.lines[other] = None;
            }
            Life::Away { .. } => {}
        }
        let it = &mut self.sessions[session];
        for (_, queue) in it.subscriptions.values_mut() {
            queue.park();
            queue.go_live();
        }
        (it.epoch, it.life) = (it.epoch + 1, Life::Here { client });
        self.welcome(client, session, true);
    }

    fn lose(&mut self, client: usize) {
        if let Some(session) = self.lines[client].take() {
            let it = &mut self.sessions[session];
            it.subscriptions.values_mut().for_each(|(_, queue)| queue.park());
            it.life = Life::Away { deadline: self.now + RECLAIM_MS, held: false };
        }
    }

    fn leave(&mut self, client: usize, end: bool) {
        self.heard[client].push(Heard::Closed);
        if end && let Some(session) = self.lines[client].take() {
            self.end(session, "was ended by its client");
        }
        self.lose(client);
    }

    /// A session ends, with all it holds. What that was.
    fn end(&mut self, session: usize, why: &'static str) -> u64 {
        let it = &mut self.sessions[session];
        it.life = Life::Gone { why };
        let ended = std::mem::take(&mut it.subscriptions);
        ended.into_values().map(|(_, queue)| self.end_queue(&queue)).sum()
    }

    /// A queue ends. What it held.
    fn end_queue(&mut self, queue: &Queue) -> u64 {
        self.lost += queue.held() + queue.dropped;
        queue.held()
    }

    fn publish(&mut self, client: usize, topic: &'static str, count: u64) {
        let Some(session) = self.lines[client] else { return };
        self.sessions[session].published += count;
        let acked = Heard::Acked(self.sessions[session].published);
        if self.forbidden.contains(topic) {
            self.published += count;
            return self.heard[client].extend([FORBIDDEN, acked]);
        }
        for _ in 0..count {
            self.published += 1;
            let payload = self.published;
            let backlog = self.topics.entry(topic).or_default();
            let mut nobody = true;
            for (filter, (_, queue)) in self.sessions.iter_mut().flat_map(|session| &mut session.subscriptions) {
                if *filter == "#" || *filter == topic {
                    queue.publish(topic, payload, self.now);
                    nobody = false;
                }
            }
            if nobody {
                backlog.push(payload);
            }
            if backlog.len() > BACKLOG {
                backlog.remove(0);
                self.lost += 1;
            }
        }
        self.heard[client].push(acked);
    }

    fn subscribe(&mut self, client: usize, filter: &'static str) {
        let Some(session) = self.lines[client] else { return };
        let it = &mut self.sessions[session];
        let (_, ack_timeout) = ack_timeout(filter);
        if let Some((handle, _)) = it.subscriptions.get(filter) {
            let heard = Heard::Subscribed { filter, handle: *handle, existing: true, ack_timeout };
            return self.heard[client].push(heard);
        }
        it.handles += 1;
        if self.forbidden.contains(filter) {
            return self.heard[client].push(FORBIDDEN);
        }
        let mut queue = Queue::new(ack_timeout);
        queue.go_live();
        if filter != "#" {
            // What waited for a first subscriber is its.
            for payload in std::mem::take(self.topics.entry(filter).or_default()) {
                queue.append(filter, payload, false);
            }
        }
        it.subscriptions.insert(filter, (it.handles, queue));
        self.heard[client].push(Heard::Subscribed { filter, handle: it.handles, existing: false, ack_timeout });
    }

    fn unsubscribe(&mut self, client: usize, filter: &'static str) {
        let Some(session) = self.lines[client] else { return };
        let ended = self.sessions[session].subscriptions.remove(filter);
        self.heard[client].push(Heard::Unsubscribed { existed: ended.is_some() });
        if let Some((_, queue)) = ended {
            self.end_queue(&queue);
        }
    }

    fn ack(&mut self, client: usize, filter: &'static str, number: u64) {
        let now = self.now;
        self.with_queue(client, filter, |queue| queue.ack(number, now));
    }

    fn with_queue(&mut self, client: usize, filter: &'static str, change: impl FnOnce(&mut Queue)) {
        let Some(session) = self.lines[client] else { return };
        if let Some((_, queue)) = self.sessions[session].subscriptions.get_mut(filter) {
            change(queue);
        }
    }

    fn evict(&mut self, session: usize, why: &'static str) -> Answer {
        match self.sessions[session].life {
            Life::Gone { .. } => return Answer::AlreadyGone,
            Life::Away { .. } => {}
            Life::Here { client } => {
                self.heard[client].extend([Heard::Evicted, Heard::Closed]);
                self.lines[client] = None;
            }
        }
        Answer::Done { lost: self.end(session, why) }
    }

    fn drop_line(&mut self, session: usize) {
        self.answer = Some(match self.sessions[session].life {
            Life::Here { client } => {
                self.heard[client].extend([Heard::Refused { code: Code::Unavailable, why: "dropped" }, Heard::Closed]);
                self.lose(client);
                Answer::DONE
            }
            Life::Away { .. } | Life::Gone { .. } => Answer::AlreadyGone,
        });
    }

    fn hold(&mut self, session: usize) {
        self.answer = Some(match &mut self.sessions[session].life {
            Life::Away { held: true, .. } | Life::Gone { .. } => Answer::AlreadyGone,
            Life::Away { held, .. } => {
                *held = true;
                Answer::DONE
            }
            Life::Here { .. } => Answer::Refused,
        });
    }

    fn extend(&mut self, session: usize, by_ms: u64) {
        self.answer = Some(match &mut self.sessions[session].life {
            Life::Away { deadline, held } => {
                (*deadline, *held) = ((*deadline).max(self.now) + by_ms, false);
                Answer::DONE
            }
            Life::Here { .. } => Answer::Refused,
            Life::Gone { .. } => Answer::AlreadyGone,
        });
    }

    fn purge(&mut self, session: usize, filter: &'static str) {
        let purged = self.sessions[session].subscriptions.get_mut(filter).map(|(_, queue)| queue.purge());
        self.lost += purged.unwrap_or_default();
        let some = purged.filter(|lost| *lost > 0);
        self.answer = Some(some.map_or(Answer::AlreadyGone, |lost| Answer::Done { lost }));
    }

    fn redeliver(&mut self, session: usize, filter: &'static str) {
        let messages = self.sessions[session].subscriptions.get_mut(filter).map_or(0, |(_, queue)| queue.redeliver());
        self.answer = Some(if messages > 0 { Answer::PutBack { messages } } else { Answer::AlreadyGone });
    }

    /// A topic ends with its exact subscriptions.
    fn kill(&mut self, topic: &'static str, code: Code) -> Answer {
        let Some(backlog) = self.topics.remove(topic) else { return Answer::AlreadyGone };
        let mut all = backlog.len() as u64;
        self.lost += all;
        for session in 0..self.sessions.len() {
            let Some((_, queue)) = self.sessions[session].subscriptions.remove(topic) else { continue };
            let lost = self.end_queue(&queue);
            all += lost;
            if let Life::Here { client } = self.sessions[session].life {
                self.heard[client].push(Heard::Ended { filter: topic, code, lost });
            }
        }
        Answer::Done { lost: all }
    }

    fn forbid(&mut self, topic: &'static str) {
        let killed = self.forbidden.insert(topic).then(|| self.kill(topic, Code::Forbidden));
        self.answer = Some(match killed {
            None => Answer::AlreadyGone,
            // There was nothing to kill, and yet it is forbidden now.
            Some(Answer::AlreadyGone) => Answer::DONE,
            Some(killed) => killed,
        });
    }

    /// Every session is its user's.
    fn forbid_all(&mut self) {
        if std::mem::replace(&mut self.all_forbidden, true) {
            self.answer = Some(Answer::AlreadyGone);
            return;
        }
        let mut all = 0;
        for session in 0..self.sessions.len() {
            if let Answer::Done { lost } = self.evict(session, "was evicted by an operator: this user was forbidden") {
                all += lost;
            }
        }
        self.answer = Some(Answer::Done { lost: all });
    }

    /// Time passes: what is due happens, in its order.
    fn pass(&mut self, ms: u64) {
        self.send();
        let end = self.now + ms;
        while let Some(due) = self.sessions.iter().filter_map(Session::due).min().filter(|due| *due <= end) {
            self.now = due;
            for session in 0..self.sessions.len() {
                if matches!(self.sessions[session].life, Life::Away { deadline, held: false } if deadline <= due) {
                    self.end(session, "was reclaimed: its client was away for too long");
                }
                self.sessions[session].subscriptions.values_mut().for_each(|(_, queue)| queue.pass(due));
            }
            self.send();
        }
        self.now = end;
    }

    /// Messages that are lost, and counted as that.
    pub(super) fn counted(&self) -> u64 {
        self.lost + self.queues().map(|queue| queue.dropped).sum::<u64>()
    }

    fn queues(&self) -> impl Iterator<Item = &Queue> {
        self.sessions.iter().flat_map(|session| session.subscriptions.values()).map(|(_, queue)| queue)
    }

    /// Messages in all queues and backlogs.
    pub(super) fn held(&self) -> u64 {
        self.queues().map(Queue::held).sum::<u64>() + self.topics.values().map(|backlog| backlog.len() as u64).sum::<u64>()
    }
}
