//! What a subscription holds, as its client may rely on it: first what is in flight, then what waits, and the poison aside.

use std::collections::VecDeque;

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
}

#[derive(Debug, Clone, Default)]
pub(super) struct Queue {
    pub(super) flight: VecDeque<Message>,
    pub(super) waiting: VecDeque<Message>,
    pub(super) poison: VecDeque<Message>,
    /// Messages ever appended, and the highest number ever sent.
    appended: u64,
    pub(super) sent: u64,
    /// Given back from here on, and not sent again yet: nothing from there can be acknowledged.
    owed: Option<u64>,
    /// The next message sent is the first of what was given back.
    announces: bool,
}

impl Queue {
    /// In flight at most.
    pub(super) const WINDOW: usize = 4;

    pub(super) fn append(&mut self, topic: &'static str, payload: u64, redelivered: bool) {
        self.appended += 1;
        self.waiting.push_back(Message { number: self.appended, topic, payload, redelivered, returns: false });
    }

    /// What is sent to a client that is there: as much as the window has room for.
    pub(super) fn send(&mut self) -> Vec<Message> {
        let room = Self::WINDOW.saturating_sub(self.flight.len()).min(self.waiting.len());
        let mut sent: Vec<_> = self.waiting.drain(..room).collect();
        self.flight.extend(sent.iter().cloned());
        if let (Some(first), Some(last)) = (sent.first().cloned(), sent.last().map(|last| last.number)) {
            sent[0] = Message { returns: std::mem::take(&mut self.announces), ..first };
            self.sent = self.sent.max(last);
            self.owed = self.owed.filter(|from| *from > last);
        }
        sent
    }

    /// Everything up to `number` is done with, if it was ever sent.
    pub(super) fn ack(&mut self, number: u64) {
        if number > self.sent {
            return;
        }
        let upto = self.owed.map_or(number, |from| number.min(from - 1));
        self.flight.retain(|message| message.number > upto);
        self.waiting.retain(|message| message.number > upto);
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
        (self.owed, self.announces) = (None, false);
        self.bring_back(0);
    }

    fn bring_back(&mut self, number: u64) {
        let from = self.flight.partition_point(|message| message.number < number);
        for mut message in self.flight.split_off(from).into_iter().rev() {
            message.redelivered = true;
            self.waiting.push_front(message);
        }
    }

    /// This one is put aside.
    pub(super) fn poison(&mut self, number: u64) {
        if number > self.sent {
            return;
        }
        for queue in [&mut self.flight, &mut self.waiting] {
            if let Some(at) = queue.iter().position(|message| message.number == number) {
                self.poison.extend(queue.remove(at));
            }
        }
    }

    /// What was put aside is appended anew, marked. False if there was nothing.
    pub(super) fn redeliver(&mut self) -> bool {
        let all = std::mem::take(&mut self.poison);
        for message in &all {
            self.append(message.topic, message.payload, true);
        }
        !all.is_empty()
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
        (self.flight.len() + self.waiting.len() + self.poison.len()) as u64
    }
}
