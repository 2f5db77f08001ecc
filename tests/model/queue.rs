//! What a subscription holds, as its client may rely on it: first what is in flight, then what waits, and the poison aside;
//! what goes when it is full, what comes again when nobody acknowledges, and what is given up for having come too often.

use std::collections::VecDeque;

use cordboard::peek::Place;

/// A message in a queue, and as it is delivered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Message {
    pub(super) number: u64,
    pub(super) topic: &'static str,
    /// All messages ever published are counted; this is the message's place.
    pub(super) payload: u64,
    pub(super) redelivered: bool,
    /// The first of what was given back.
    pub(super) returns: bool,
    /// How often it came back as the first of what did. No client is told.
    pub(super) attempts: u32,
}

/// A message as an operator sees it: where it is, its number, its payload, its attempts, and whether it may have been seen.
pub(super) type Seen = (Place, Option<u64>, u64, u32, bool);

#[derive(Debug, Clone)]
pub(super) struct Queue {
    flight: VecDeque<Message>,
    waiting: VecDeque<Message>,
    poison: VecDeque<Message>,
    /// Messages ever appended, and the highest number ever sent.
    appended: u64,
    pub(super) sent: u64,
    /// Given back from here on, and not sent again yet: nothing from there can be acknowledged.
    owed: Option<u64>,
    /// The next message sent is the first of what was given back.
    announces: bool,
    /// Its client is there.
    live: bool,
    /// When something was last sent or acknowledged, and after how long without that everything comes again.
    progress: u64,
    ack_timeout: u64,
    /// Until when publishers wait for it.
    held_until: Option<u64>,
    /// They have waited in vain, and do not before it is half empty.
    shedding: bool,
    /// Messages dropped at its bounds.
    pub(super) dropped: u64,
}

impl Queue {
    /// In flight at most.
    pub(super) const WINDOW: usize = 4;
    /// In flight and waiting at most.
    pub(super) const BOUND: usize = 10;
    /// Put aside at most.
    pub(super) const POISON: usize = 2;
    /// Sent at most so often.
    pub(super) const ATTEMPTS: u32 = 3;
    /// How long publishers wait at the bound.
    pub(super) const HOLD_MS: u64 = 50;

    pub(super) fn new(ack_timeout: u64) -> Self {
        Self {
            flight: VecDeque::new(),
            waiting: VecDeque::new(),
            poison: VecDeque::new(),
            appended: 0,
            sent: 0,
            owed: None,
            announces: false,
            live: false,
            progress: 0,
            ack_timeout,
            held_until: None,
            shedding: false,
            dropped: 0,
        }
    }

    fn push(&mut self, topic: &'static str, payload: u64, redelivered: bool) {
        self.appended += 1;
        let number = self.appended;
        self.waiting.push_back(Message { number, topic, payload, redelivered, returns: false, attempts: 0 });
    }

    /// What nobody waits for: at the bound, the oldest make room.
    pub(super) fn append(&mut self, topic: &'static str, payload: u64, redelivered: bool) {
        self.push(topic, payload, redelivered);
        self.shed();
    }

    /// Its publisher waits at the bound, if there is a client who may make room.
    pub(super) fn publish(&mut self, topic: &'static str, payload: u64, now: u64) {
        self.push(topic, payload, false);
        if !self.live || self.shedding {
            return self.shed();
        }
        if self.is_over() {
            self.held_until.get_or_insert(now + Self::HOLD_MS);
        }
    }

    fn is_over(&self) -> bool {
        self.flight.len() + self.waiting.len() > Self::BOUND
    }

    fn shed(&mut self) {
        while self.is_over() && self.waiting.pop_front().is_some() {
            self.dropped += 1;
        }
    }

    /// The client is there.
    pub(super) fn go_live(&mut self) {
        (self.live, self.shedding) = (true, false);
    }

    /// What is sent to a client that is there: as much as the window has room for.
    pub(super) fn send(&mut self, now: u64) -> Vec<Message> {
        if self.flight.len() + self.waiting.len() <= Self::BOUND / 2 {
            self.shedding = false;
        }
        if !self.is_over() {
            self.held_until = None;
        }
        if !self.live {
            return Vec::new();
        }
        let room = Self::WINDOW.saturating_sub(self.flight.len()).min(self.waiting.len());
        let taken: Vec<_> = self.waiting.drain(..room).collect();
        let mut sent: Vec<_> = taken.iter().map(|message| Message { attempts: 0, ..message.clone() }).collect();
        self.flight.extend(taken);
        if let (Some(first), Some(last)) = (sent.first().cloned(), sent.last().map(|last| last.number)) {
            sent[0] = Message { returns: std::mem::take(&mut self.announces), ..first };
            self.sent = self.sent.max(last);
            self.owed = self.owed.filter(|from| *from > last);
            self.progress = now;
        }
        sent
    }

    /// When time alone changes something next.
    pub(super) fn due(&self) -> Option<u64> {
        let acks = (self.live && !self.flight.is_empty()).then_some(self.progress + self.ack_timeout);
        acks.into_iter().chain(self.held_until).min()
    }

    /// It is `now`.
    pub(super) fn pass(&mut self, now: u64) {
        if self.held_until.is_some_and(|until| until <= now) {
            self.shedding = true;
            self.shed();
        } else if self.due().is_some_and(|due| due <= now) {
            self.progress = now;
            self.bring_back(0);
        }
    }

    /// Everything up to `number` is done with, if it was ever sent.
    pub(super) fn ack(&mut self, number: u64, now: u64) {
        if number > self.sent {
            return;
        }
        let (upto, before) = (self.owed.map_or(number, |from| number.min(from - 1)), self.held());
        self.flight.retain(|message| message.number > upto);
        self.waiting.retain(|message| message.number > upto);
        if self.held() < before {
            self.progress = now;
        }
    }

    /// `number` and all after it come again.
    pub(super) fn again(&mut self, number: u64) {
        if number == 0 || number > self.sent {
            return;
        }
        self.owed = Some(self.owed.map_or(number, |before| before.min(number)));
        self.announces = true;
        self.bring_back(number);
    }

    /// The client is gone: all that was in flight comes again, and nothing that was asked for is owed.
    pub(super) fn park(&mut self) {
        (self.live, self.owed, self.announces) = (false, None, false);
        self.bring_back(0);
        self.shed();
    }

    /// The first of what comes back has had another attempt; at its last one it is put aside.
    fn bring_back(&mut self, number: u64) {
        let from = self.flight.partition_point(|message| message.number < number);
        let mut back = self.flight.split_off(from);
        if let Some(mut head) = back.pop_front() {
            head.attempts += 1;
            if head.attempts < Self::ATTEMPTS { back.push_front(head) } else { self.put_aside(head) }
        }
        for mut message in back.into_iter().rev() {
            message.redelivered = true;
            self.waiting.push_front(message);
        }
    }

    fn put_aside(&mut self, message: Message) {
        if self.poison.len() == Self::POISON {
            self.poison.pop_front();
            self.dropped += 1;
        }
        self.poison.push_back(message);
    }

    /// This one is put aside.
    pub(super) fn poison(&mut self, number: u64) {
        if number > self.sent {
            return;
        }
        let is = |message: &Message| message.number == number;
        let (flying, waits) = (self.flight.iter().position(is), self.waiting.iter().position(is));
        let found = flying.and_then(|at| self.flight.remove(at)).or_else(|| waits.and_then(|at| self.waiting.remove(at)));
        if let Some(message) = found {
            self.put_aside(message);
        }
    }

    /// What was put aside is appended anew, marked: so many.
    pub(super) fn redeliver(&mut self) -> u64 {
        let all = std::mem::take(&mut self.poison);
        for message in &all {
            self.append(message.topic, message.payload, true);
        }
        all.len() as u64
    }

    /// What waits and the poison go. How many that were.
    pub(super) fn purge(&mut self) -> u64 {
        let lost = self.waiting.len() + self.poison.len();
        self.waiting.clear();
        self.poison.clear();
        lost as u64
    }

    /// What its end would cost.
    pub(super) fn held(&self) -> u64 {
        self.depths().into_iter().sum()
    }

    /// In flight, waiting, put aside.
    pub(super) fn depths(&self) -> [u64; 3] {
        [&self.flight, &self.waiting, &self.poison].map(|messages| messages.len() as u64)
    }

    /// What an operator sees.
    pub(super) fn seen(&self) -> Vec<Seen> {
        let numbered = |place| move |it: &Message| (place, Some(it.number), it.payload, it.attempts, it.redelivered);
        let (flight, waiting) =
            (self.flight.iter().map(numbered(Place::InFlight)), self.waiting.iter().map(numbered(Place::Waiting)));
        flight.chain(waiting).chain(self.poison.iter().map(|it| (Place::Poison, None, it.payload, 0, false))).collect()
    }
}
