//! The broker as its clients and its operator may rely on it: sessions, epochs, timers, subscriptions, topics. No actors, no
//! batches, no sockets; what everyone hears in one step is a value.

use std::collections::BTreeMap;

use cordboard::wire::{Code, Nack};

use super::queue::{Message, Queue};

pub(super) const TOPICS: [&str; 2] = ["a", "b"];
pub(super) const FILTERS: [&str; 3] = ["#", "a", "b"];
pub(super) const CLIENTS: usize = 3;
/// How long a session waits for its client. Steps end at whole tenths of seconds: nothing is ever due at the same moment.
pub(super) const RECLAIM_MS: u64 = 60_050;
/// How long a step takes: time enough for everything to come to rest, and for the board to be sampled.
pub(super) const STEP_MS: u64 = 1_200;

/// What happens.
#[derive(Debug, Clone)]
pub(super) enum Transition {
    /// A client without a line connects and registers anew.
    Register {
        client: usize,
    },
    /// A client without a line connects and wants this session.
    Claim {
        client: usize,
        session: usize,
    },
    /// A line is lost.
    Lose {
        client: usize,
    },
    /// A client says goodbye.
    Leave {
        client: usize,
        end: bool,
    },
    Publish {
        client: usize,
        topic: &'static str,
        count: u64,
    },
    Subscribe {
        client: usize,
        filter: &'static str,
    },
    Unsubscribe {
        client: usize,
        filter: &'static str,
    },
    Ack {
        client: usize,
        filter: &'static str,
        number: u64,
    },
    Nack {
        client: usize,
        filter: &'static str,
        number: u64,
        what: Nack,
    },
    Evict {
        session: usize,
    },
    Drop {
        session: usize,
    },
    Hold {
        session: usize,
    },
    Extend {
        session: usize,
        by_ms: u64,
    },
    Purge {
        session: usize,
        filter: &'static str,
    },
    Redeliver {
        session: usize,
        filter: &'static str,
    },
    Kill {
        topic: &'static str,
    },
    Pass {
        ms: u64,
    },
}

/// What a client hears, but for deliveries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Heard {
    Registered { session: usize, resumed: bool, epoch: u64, settled: u64, subscriptions: Vec<(&'static str, u32)> },
    Refused { code: Code, why: &'static str },
    Subscribed { filter: &'static str, handle: u32, existing: bool },
    Unsubscribed { existed: bool },
    Acked(u64),
    Ended { filter: &'static str, lost: u64 },
    Displaced,
    Evicted,
    Closed,
}

/// What an operator is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Answer {
    Done { lost: u64 },
    AlreadyGone,
    Refused,
}

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

/// Everything, and what was heard in the last step.
#[derive(Debug, Clone, Default)]
pub(super) struct Reference {
    pub(super) now: u64,
    pub(super) sessions: Vec<Session>,
    /// Which session each client's line is registered for.
    pub(super) lines: [Option<usize>; CLIENTS],
    /// Topics that are there, with what waits for a first subscriber.
    pub(super) topics: BTreeMap<&'static str, Vec<u64>>,
    published: u64,
    pub(super) heard: [Vec<Heard>; CLIENTS],
    /// By client and handle.
    pub(super) delivered: BTreeMap<(usize, u32), Vec<Message>>,
    pub(super) answer: Option<Answer>,
    /// Messages lost so far, counted with a reason.
    pub(super) lost: u64,
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
            Transition::Ack { client, filter, number } => self.with_queue(client, filter, |queue| queue.ack(number)),
            Transition::Nack { client, filter, number, what: Nack::Again } => {
                self.with_queue(client, filter, |queue| queue.again(number));
            }
            Transition::Nack { client, filter, number, what: Nack::Poison } => {
                self.with_queue(client, filter, |queue| queue.poison(number));
            }
            Transition::Evict { session } => self.evict(session),
            Transition::Drop { session } => self.drop_line(session),
            Transition::Hold { session } => self.hold(session),
            Transition::Extend { session, by_ms } => self.extend(session, by_ms),
            Transition::Purge { session, filter } => self.purge(session, filter),
            Transition::Redeliver { session, filter } => self.redeliver(session, filter),
            Transition::Kill { topic } => self.kill(topic),
            Transition::Pass { ms } => self.pass(ms),
        }
        self.pass(STEP_MS);
        self.send();
    }

    /// Everyone who is there is sent what there is room for.
    fn send(&mut self) {
        for session in &mut self.sessions {
            let Life::Here { client } = session.life else { continue };
            for (handle, queue) in session.subscriptions.values_mut() {
                let sent = queue.send();
                if !sent.is_empty() {
                    self.delivered.insert((client, *handle), sent);
                }
            }
        }
    }

    fn register(&mut self, client: usize) {
        let life = Life::Here { client };
        self.sessions.push(Session { epoch: 1, life, subscriptions: BTreeMap::new(), handles: 0, published: 0 });
        self.welcome(client, self.sessions.len() - 1, false);
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
        it.subscriptions.values_mut().for_each(|(_, queue)| queue.park());
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
        let lost = std::mem::take(&mut it.subscriptions).values().map(|(_, queue)| queue.held()).sum();
        self.lost += lost;
        lost
    }

    fn publish(&mut self, client: usize, topic: &'static str, count: u64) {
        let Some(session) = self.lines[client] else { return };
        for _ in 0..count {
            self.published += 1;
            let payload = self.published;
            let backlog = self.topics.entry(topic).or_default();
            let mut nobody = true;
            for (filter, (_, queue)) in self.sessions.iter_mut().flat_map(|session| &mut session.subscriptions) {
                if *filter == "#" || *filter == topic {
                    queue.append(topic, payload, false);
                    nobody = false;
                }
            }
            if nobody {
                backlog.push(payload);
            }
        }
        self.sessions[session].published += count;
        self.heard[client].push(Heard::Acked(self.sessions[session].published));
    }

    fn subscribe(&mut self, client: usize, filter: &'static str) {
        let Some(session) = self.lines[client] else { return };
        let it = &mut self.sessions[session];
        if let Some((handle, _)) = it.subscriptions.get(filter) {
            return self.heard[client].push(Heard::Subscribed { filter, handle: *handle, existing: true });
        }
        it.handles += 1;
        let mut queue = Queue::default();
        if filter != "#" {
            // What waited for a first subscriber is its.
            for payload in std::mem::take(self.topics.entry(filter).or_default()) {
                queue.append(filter, payload, false);
            }
        }
        it.subscriptions.insert(filter, (it.handles, queue));
        self.heard[client].push(Heard::Subscribed { filter, handle: it.handles, existing: false });
    }

    fn unsubscribe(&mut self, client: usize, filter: &'static str) {
        let Some(session) = self.lines[client] else { return };
        let ended = self.sessions[session].subscriptions.remove(filter);
        self.lost += ended.as_ref().map_or(0, |(_, queue)| queue.held());
        self.heard[client].push(Heard::Unsubscribed { existed: ended.is_some() });
    }

    fn with_queue(&mut self, client: usize, filter: &'static str, change: impl FnOnce(&mut Queue)) {
        let Some(session) = self.lines[client] else { return };
        if let Some((_, queue)) = self.sessions[session].subscriptions.get_mut(filter) {
            change(queue);
        }
    }

    fn evict(&mut self, session: usize) {
        self.answer = Some(match self.sessions[session].life {
            Life::Gone { .. } => Answer::AlreadyGone,
            Life::Away { .. } => Answer::Done { lost: self.end(session, "was evicted by an operator") },
            Life::Here { client } => {
                self.heard[client].extend([Heard::Evicted, Heard::Closed]);
                self.lines[client] = None;
                Answer::Done { lost: self.end(session, "was evicted by an operator") }
            }
        });
    }

    fn drop_line(&mut self, session: usize) {
        self.answer = Some(match self.sessions[session].life {
            Life::Here { client } => {
                self.heard[client].extend([Heard::Refused { code: Code::Unavailable, why: "dropped" }, Heard::Closed]);
                self.lose(client);
                Answer::Done { lost: 0 }
            }
            Life::Away { .. } | Life::Gone { .. } => Answer::AlreadyGone,
        });
    }

    fn hold(&mut self, session: usize) {
        self.answer = Some(match &mut self.sessions[session].life {
            Life::Away { held: true, .. } | Life::Gone { .. } => Answer::AlreadyGone,
            Life::Away { held, .. } => {
                *held = true;
                Answer::Done { lost: 0 }
            }
            Life::Here { .. } => Answer::Refused,
        });
    }

    fn extend(&mut self, session: usize, by_ms: u64) {
        self.answer = Some(match &mut self.sessions[session].life {
            Life::Away { deadline, held } => {
                (*deadline, *held) = ((*deadline).max(self.now) + by_ms, false);
                Answer::Done { lost: 0 }
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
        let some = self.sessions[session].subscriptions.get_mut(filter).is_some_and(|(_, queue)| queue.redeliver());
        self.answer = Some(if some { Answer::Done { lost: 0 } } else { Answer::AlreadyGone });
    }

    fn kill(&mut self, topic: &'static str) {
        let Some(backlog) = self.topics.remove(topic) else {
            self.answer = Some(Answer::AlreadyGone);
            return;
        };
        let mut all = backlog.len() as u64;
        for session in &mut self.sessions {
            let Some((_, queue)) = session.subscriptions.remove(topic) else { continue };
            let lost = queue.held();
            all += lost;
            if let Life::Here { client } = session.life {
                self.heard[client].push(Heard::Ended { filter: topic, lost });
            }
        }
        self.lost += all;
        self.answer = Some(Answer::Done { lost: all });
    }

    /// Time passes; whoever has been away for too long is gone.
    fn pass(&mut self, ms: u64) {
        self.now += ms;
        for session in 0..self.sessions.len() {
            if matches!(self.sessions[session].life, Life::Away { deadline, held: false } if deadline <= self.now) {
                self.end(session, "was reclaimed: its client was away for too long");
            }
        }
    }

    /// Messages in all queues and backlogs.
    pub(super) fn held(&self) -> u64 {
        let queues = self.sessions.iter().flat_map(|session| session.subscriptions.values());
        queues.map(|(_, queue)| queue.held()).sum::<u64>() + self.topics.values().map(|backlog| backlog.len() as u64).sum::<u64>()
    }
}
