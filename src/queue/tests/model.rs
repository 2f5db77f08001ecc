//! The queue against a model that holds every message by itself, in plain lists, and looks at each of them again for each call.

use std::collections::{BTreeMap, BTreeSet};

use proptest::{collection::vec, option, prelude::*};

use super::*;

const MODEL: Bounds = Bounds {
    messages: 12,
    bytes: 500,
    poison: 3,
    window_messages: 5,
    window_bytes: 160,
    attempts: 3,
    hold: Duration::from_millis(50),
};

#[derive(Debug, Clone)]
struct Message {
    number: u64,
    id: u64,
    bytes: u64,
    expires: Option<Instant>,
    attempts: u32,
    redelivered: bool,
    /// Of the topic that is withdrawn.
    secret: bool,
}

/// What the queue is meant to do, message by message.
#[derive(Debug, Default)]
#[allow(clippy::struct_excessive_bools)] // each is a plain fact of its own, as a model has them
struct Model {
    flight: Vec<Message>,
    waiting: Vec<Message>,
    poison: Vec<Message>,
    next: u64,
    taken: u64,
    written: u64,
    pass: u32,
    replay: Option<u64>,
    /// `again` was said and nothing was taken since.
    returns: bool,
    live: bool,
    closed: bool,
    shedding: bool,
    held: Vec<u32>,
    held_until: Option<Instant>,
    dropped: BTreeMap<String, u64>,
    /// For the account: everything that was ever taken in, and where it went for good.
    accepted: u64,
    settled: u64,
    lost: u64,
    /// Ids that were ever sent.
    sent: BTreeSet<u64>,
}

fn bytes(messages: &[Message]) -> u64 {
    messages.iter().map(|message| message.bytes).sum()
}

impl Model {
    fn sizes(&self) -> (u64, u64) {
        ((self.flight.len() + self.waiting.len()) as u64, bytes(&self.flight) + bytes(&self.waiting))
    }

    fn is_over(&self) -> bool {
        self.sizes().0 > MODEL.messages || self.sizes().1 > MODEL.bytes
    }

    fn count(&mut self, why: DropReason) {
        *self.dropped.entry(format!("{why:?}")).or_default() += 1;
    }

    fn drop_oldest(&mut self, now: Instant, why: DropReason) -> Message {
        let message = self.waiting.remove(0);
        self.count(if message.expires.is_some_and(|at| at <= now) { DropReason::Expired } else { why });
        message
    }

    fn shed(&mut self, now: Instant) {
        while self.is_over() && !self.waiting.is_empty() {
            self.drop_oldest(now, DropReason::QueueFull);
        }
    }

    fn push(&mut self, id: u64, bytes: u64, expires: Option<Instant>, redelivered: bool, secret: bool) {
        self.next += 1;
        self.waiting.push(Message { number: self.next, id, bytes, expires, attempts: 0, redelivered, secret });
    }

    fn append(&mut self, messages: &[(u64, u64, Option<Instant>)], secret: bool, receipt: Option<u32>, now: Instant) -> Appended {
        if self.closed {
            return Appended::Closed;
        }
        self.accepted += messages.len() as u64;
        for (id, bytes, expires) in messages {
            self.push(*id, *bytes, *expires, false, secret);
        }
        if !self.is_over() {
            return Appended::Fits;
        }
        match receipt.filter(|_| self.live && !self.shedding) {
            None => {
                self.shed(now);
                Appended::Fits
            }
            Some(receipt) => {
                let first = self.held.is_empty();
                self.held.push(receipt);
                if first {
                    self.held_until = Some(now + MODEL.hold);
                }
                Appended::Held(self.held_until.filter(|_| first))
            }
        }
    }

    fn take(&mut self, messages: u64, mut room: u64, now: Instant) -> (Vec<(u64, u64, bool)>, Stop) {
        let mut out = Vec::new();
        while let Some(head) = self.waiting.first() {
            if head.expires.is_some_and(|at| at <= now) {
                self.drop_oldest(now, DropReason::Expired);
                continue;
            }
            let places = (self.flight.len() as u64) < MODEL.window_messages;
            let in_window = places && bytes(&self.flight) + head.bytes <= MODEL.window_bytes;
            if out.len() as u64 == messages {
                return (out, Stop::Turn);
            }
            let fits = in_window && head.bytes <= room;
            if !(fits || self.flight.is_empty()) {
                return (out, if in_window { Stop::Bytes } else { Stop::Window });
            }
            let message = self.waiting.remove(0);
            room = room.saturating_sub(message.bytes);
            self.taken = self.taken.max(message.number);
            if self.replay.is_some_and(|replay| replay <= message.number) {
                self.replay = None;
            }
            // I3: whoever may have seen it is told.
            assert!(self.sent.insert(message.id) || message.redelivered, "{message:?} was sent before and is not marked");
            out.push((message.number, message.id, message.redelivered));
            self.flight.push(message);
        }
        (out, Stop::Empty)
    }

    fn ack(&mut self, number: u64) -> Option<u64> {
        if number > self.taken {
            return None;
        }
        let number = self.replay.map_or(number, |replay| number.min(replay - 1));
        let before = self.sizes().0;
        self.flight.retain(|message| message.number > number);
        self.waiting.retain(|message| message.number > number);
        self.settled += before - self.sizes().0;
        Some(before - self.sizes().0)
    }

    fn again(&mut self, number: u64) -> Option<GivenUp> {
        if number == 0 || number > self.taken {
            return None;
        }
        self.replay = Some(self.replay.map_or(number, |replay| replay.min(number)));
        self.returns = true;
        self.bring_back(number)
    }

    fn bring_back(&mut self, number: u64) -> Option<GivenUp> {
        let at = self.flight.iter().position(|message| message.number >= number).unwrap_or(self.flight.len());
        let mut back = self.flight.split_off(at);
        for message in &mut back {
            message.redelivered = true;
        }
        let mut given_up = None;
        if let Some(head) = back.first_mut()
            && head.number <= self.written
        {
            head.attempts += 1;
            if head.attempts == MODEL.attempts {
                given_up = Some(GivenUp { number: head.number, attempts: head.attempts });
                let head = back.remove(0);
                self.push_poison(head);
            }
        }
        back.append(&mut self.waiting);
        self.waiting = back;
        self.written = self.written.min(number.saturating_sub(1));
        self.pass += 1;
        given_up
    }

    fn push_poison(&mut self, message: Message) {
        self.poison.push(message);
        while self.poison.len() > MODEL.poison || bytes(&self.poison) > MODEL.bytes {
            self.poison.remove(0);
            self.count(DropReason::PoisonFull);
        }
    }

    fn give_up_one(&mut self, number: u64) -> Option<GivenUp> {
        if number > self.taken {
            return None;
        }
        let is = |message: &Message| message.number == number;
        let (found, attempt) = match (self.flight.iter().position(is), self.waiting.iter().position(is)) {
            (Some(at), _) => (self.flight.remove(at), 1),
            (None, Some(at)) => (self.waiting.remove(at), 0),
            (None, None) => return None,
        };
        let attempts = found.attempts + attempt;
        self.push_poison(found);
        Some(GivenUp { number, attempts })
    }

    /// Whole runs go; how much that is, the queue says. The model looks whether it was enough and not more than there is.
    fn give_up(&mut self, gone: u64, now: Instant) {
        assert_eq!(gone == 0, self.waiting.is_empty(), "{gone} bytes went");
        let mut left = gone;
        while left > 0 {
            left -= self.drop_oldest(now, DropReason::MemoryFull).bytes;
        }
    }

    fn redeliver(&mut self, now: Instant) -> u64 {
        let all = std::mem::take(&mut self.poison);
        for message in &all {
            self.push(message.id, message.bytes, None, true, message.secret);
        }
        self.shed(now);
        all.len() as u64
    }

    fn go_live(&mut self) -> Option<GivenUp> {
        self.shedding = false;
        if !std::mem::replace(&mut self.live, true) {
            return None;
        }
        self.returns = true;
        self.bring_back(0)
    }

    fn park(&mut self, now: Instant) -> Option<GivenUp> {
        (self.live, self.replay, self.returns) = (false, None, false);
        let given_up = self.bring_back(0);
        self.shed(now);
        given_up
    }

    fn purge(&mut self) -> Lost {
        let bytes = bytes(&self.waiting) + bytes(&self.poison);
        let lost = Lost { queued: self.waiting.len() as u64, poison: self.poison.len() as u64, backlog: 0, bytes };
        self.waiting.clear();
        self.poison.clear();
        self.lost += lost.messages();
        lost
    }

    fn withdraw(&mut self) -> Lost {
        let mut gone: Vec<Message> = self.flight.extract_if(.., |message| message.secret).collect();
        gone.extend(self.waiting.extract_if(.., |message| message.secret));
        let queued = gone.len() as u64;
        gone.extend(self.poison.extract_if(.., |message| message.secret));
        for _ in &gone {
            self.count(DropReason::RightWithdrawn);
        }
        Lost { queued, poison: gone.len() as u64 - queued, backlog: 0, bytes: bytes(&gone) }
    }

    fn close(&mut self) -> Lost {
        self.closed = true;
        self.waiting.append(&mut self.flight);
        self.purge()
    }

    fn release(&mut self) -> Vec<u32> {
        let (messages, bytes) = self.sizes();
        if messages * 2 <= MODEL.messages && bytes * 2 <= MODEL.bytes {
            self.shedding = false;
        }
        if self.is_over() {
            return Vec::new();
        }
        self.held_until = None;
        std::mem::take(&mut self.held)
    }

    fn depth(&self) -> Depth {
        Depth {
            waiting: self.waiting.len() as u64,
            in_flight: self.flight.len() as u64,
            poison: self.poison.len() as u64,
            bytes: self.sizes().1 + bytes(&self.poison),
            dropped: self.dropped.values().sum(),
        }
    }

    /// What must be so after every call.
    fn check(&self) {
        let depth = self.depth();
        let held = depth.queued() + depth.poison;
        // I1: to the message.
        assert_eq!(self.accepted, self.settled + held + depth.dropped + self.lost);
        // Order never changes and no number comes twice.
        let numbers: Vec<u64> = self.flight.iter().chain(&self.waiting).map(|message| message.number).collect();
        assert!(numbers.is_sorted_by(|a, b| a < b), "{numbers:?}");
        // I5: the bounds.
        assert!(!self.held.is_empty() || !self.is_over(), "over the bound, and nobody waits for it");
        assert!(depth.in_flight <= MODEL.window_messages && depth.poison <= MODEL.poison as u64);
        assert!(bytes(&self.flight) <= MODEL.window_bytes || depth.in_flight == 1);
        assert!(self.held.is_empty() || (self.live && !self.closed && !self.shedding), "a receipt is held for nobody");
    }
}

/// What to call; numbers are meant as shares of what there is.
#[derive(Debug, Clone)]
enum Step {
    Append { messages: Vec<(usize, Option<u64>)>, from: usize, receipt: bool, secret: bool },
    Take { messages: u64, bytes: u64 },
    Written { stale: bool, number: u64 },
    Ack(u64),
    Again(u64),
    GiveUpOne(u64),
    BringAllBack,
    Park,
    GoLive,
    HoldExpired,
    Purge,
    Withdraw,
    Redeliver,
    GiveUp,
    Close,
    Pass(u64),
}

fn any_step() -> impl Strategy<Value = Step> {
    let messages = vec((8_usize..70, option::weighted(0.2, 1_u64..40)), 1..6);
    let bytes = prop_oneof![Just(u64::MAX), 0_u64..200];
    prop_oneof![
        12 => (messages, 0_usize..3, any::<bool>(), any::<bool>())
            .prop_map(|(messages, from, receipt, secret)| Step::Append { messages, from, receipt, secret }),
        10 => (prop_oneof![Just(u64::MAX), 0_u64..6], bytes).prop_map(|(messages, bytes)| Step::Take { messages, bytes }),
        8 => (any::<bool>(), 0_u64..8).prop_map(|(stale, number)| Step::Written { stale, number }),
        8 => (0_u64..7).prop_map(Step::Ack),
        6 => (0_u64..7).prop_map(Step::Again),
        2 => (0_u64..8).prop_map(Step::GiveUpOne),
        3 => Just(Step::BringAllBack),
        2 => Just(Step::Park),
        5 => Just(Step::GoLive),
        3 => Just(Step::HoldExpired),
        1 => Just(Step::Purge),
        2 => Just(Step::Withdraw),
        1 => Just(Step::Redeliver),
        1 => Just(Step::GiveUp),
        5 => (0_u64..40).prop_map(Step::Pass),
    ]
}

/// Both of them, and the time.
struct Pair {
    queue: Queue<u32>,
    model: Model,
    room: Room,
    now: Instant,
    ids: u64,
    receipts: u32,
}

impl Pair {
    fn append(&mut self, lens: &[(usize, Option<u64>)], from: usize, receipt: bool, secret: bool) {
        let from = from.min(lens.len() - 1);
        let made: Vec<Made> = (self.ids + 1..)
            .zip(lens)
            .map(|(id, (len, ttl))| Made { id, len: *len, ttl: ttl.map(Duration::from_millis) })
            .collect();
        self.ids += made.len() as u64;
        self.receipts += 1;
        let batch = batch_of(if secret { "secret" } else { "open" }, &made, self.now);
        let messages: Vec<_> = made[from..]
            .iter()
            .zip(from as u32..)
            .map(|(made, at)| (made.id, batch.bytes(at, 1) as u64, made.ttl.map(|ttl| self.now + ttl)))
            .collect();
        let receipt = receipt.then_some(self.receipts);
        let appended = self.queue.append(&batch, from as u32, || receipt, self.now);
        assert_eq!(appended, self.model.append(&messages, secret, receipt, self.now));
    }

    /// A number a little below, at, or above the highest that was ever taken.
    fn number(&self, share: u64) -> u64 {
        (self.model.taken + 1).saturating_sub(share)
    }

    fn step(&mut self, step: &Step) {
        let Self { queue, model, now, .. } = self;
        match step {
            Step::Append { messages, from, receipt, secret } => self.append(messages, *from, *receipt, *secret),
            Step::Take { messages, bytes } => {
                let mut out = Vec::new();
                let stop = queue.take(*messages, *bytes, *now, &mut out);
                assert_eq!((told(&out), stop), model.take(*messages, *bytes, *now));
                let returns = !out.is_empty() && std::mem::take(&mut model.returns);
                let says: Vec<bool> = out.iter().map(|run| run.returns).collect();
                assert_eq!(says, (0..out.len()).map(|at| at == 0 && returns).collect::<Vec<_>>());
            }
            Step::Written { stale, number } => {
                let number = model.taken.saturating_sub(*number);
                let pass = model.pass.wrapping_sub(u32::from(*stale));
                queue.written(pass, number);
                if !stale {
                    model.written = model.written.max(number);
                }
            }
            Step::Ack(share) => {
                let number = self.number(*share);
                assert_eq!(self.queue.ack(number), self.model.ack(number));
            }
            Step::Again(share) => {
                let number = self.number(*share);
                assert_eq!(self.queue.again(number), self.model.again(number));
            }
            Step::GiveUpOne(share) => {
                let number = self.number(*share);
                assert_eq!(self.queue.give_up_one(number), self.model.give_up_one(number));
            }
            Step::BringAllBack => assert_eq!(queue.bring_all_back(), model.bring_back(0)),
            Step::Park => assert_eq!(queue.park(*now), model.park(*now)),
            Step::GoLive => {
                assert_eq!(queue.go_live(), model.go_live());
            }
            Step::HoldExpired => {
                queue.hold_expired(*now);
                if model.held_until.is_some_and(|until| until <= *now) {
                    model.shedding = true;
                    model.shed(*now);
                }
            }
            Step::Withdraw => assert_eq!(queue.withdraw(|topic| topic.as_str() != "secret"), model.withdraw()),
            Step::Purge => assert_eq!(queue.purge(), model.purge()),
            Step::Redeliver => assert_eq!(queue.redeliver(&self.room, *now), model.redeliver(*now)),
            Step::GiveUp => model.give_up(queue.give_up(*now), *now),
            Step::Close => assert_eq!(queue.close(), model.close()),
            Step::Pass(millis) => *now += Duration::from_millis(*millis),
        }
    }

    fn agree(&mut self) {
        assert_eq!(self.queue.release(), self.model.release());
        assert_eq!(self.queue.depth(), self.model.depth());
        assert_eq!(self.queue.pass(), self.model.pass);
        for (runs, messages) in [(&self.queue.in_flight, &self.model.flight), (&self.queue.waiting, &self.model.waiting)] {
            let runs: Vec<Run> = runs.iter().cloned().collect();
            assert_eq!(told(&runs), messages.iter().map(|m| (m.number, m.id, m.redelivered)).collect::<Vec<_>>());
            assert!(runs.iter().all(|run| run.len > 0));
        }
        self.model.check();
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    /// I1, I3 and I5, whatever is called in whatever order.
    #[test]
    fn the_queue_does_what_the_model_does(steps in vec(any_step(), 0..120)) {
        let (queue, room) = (Queue::new(MODEL), Room::new(u64::MAX));
        let mut pair = Pair { queue, model: Model::default(), room, now: Instant::now(), ids: 0, receipts: 0 };
        for step in &steps {
            pair.step(step);
            pair.agree();
        }
        let mut told: BTreeMap<String, u64> = BTreeMap::new();
        pair.queue.take_untold().for_each(|(why, messages)| *told.entry(format!("{why:?}")).or_default() += messages);
        prop_assert_eq!(&told, &pair.model.dropped);
        pair.step(&Step::Close);
        pair.agree();
        pair.step(&Step::Append { messages: vec![(8, None)], from: 0, receipt: true, secret: false });
        pair.agree();
        prop_assert_eq!(pair.model.depth().queued(), 0);
        drop(pair.queue);
        prop_assert_eq!(pair.room.used(), 0);
    }
}
