//! A publisher that keeps to the protocol's rules for not losing anything, and to no others.

use std::collections::VecDeque;

use cordboard::{
    Handle,
    name::{Epoch, SessionId},
};

use super::{Loss, Rounds, TOPICS, comes_back};
use crate::fixture::{Raw, Reply, publish, rng::Rng};

/// Settled publishes remembered, to send some of them again.
const REMEMBERED: usize = 8;

pub(super) struct Publisher {
    broker: Handle,
    name: String,
    number: u32,
    rng: Rng,
    raw: Raw,
    session: SessionId,
    epoch: Epoch,
    /// What was sent and is not settled, oldest first, behind a few that are.
    sent: VecDeque<Sent>,
    next_sequence: u64,
    settled: u64,
    /// Messages made for each topic.
    made: [u64; TOPICS.len()],
}

struct Sent {
    sequence: u64,
    topic: &'static str,
    payload: String,
}

impl Sent {
    fn encode(&self, out: &mut Vec<u8>) {
        publish(self.sequence, self.topic, self.payload.as_bytes()).encode(out);
    }
}

impl Publisher {
    pub(super) async fn start(broker: &Handle, number: u32, rng: Rng) -> Self {
        let name = format!("pub-{number}");
        let (raw, response) = Raw::register(broker, &name).await;
        Self {
            broker: broker.clone(),
            name,
            number,
            rng,
            raw,
            session: response.session,
            epoch: response.epoch,
            sent: VecDeque::new(),
            next_sequence: 1,
            settled: 0,
            made: [0; TOPICS.len()],
        }
    }

    /// Publishes until the rounds are over; returns how many messages of each topic were acknowledged: all that it made.
    pub(super) async fn live(mut self, rounds: Rounds) -> Vec<u64> {
        for topic in 0..TOPICS.len() {
            self.publish(&[topic]).await;
        }
        while rounds.take() {
            let topics: Vec<_> = (0..=self.rng.below(16)).map(|_| self.rng.below(TOPICS.len() as u64) as usize).collect();
            self.publish(&topics).await;
            match self.rng.below(10) {
                0..=2 => self.wait_until_settled().await,
                3..=4 => self.rng.dawdle().await,
                5..=7 => self.lose_and_resume().await,
                _ => self.take_over().await,
            }
        }
        self.wait_until_settled().await;
        self.raw.disconnect(true).await;
        self.made.to_vec()
    }

    /// Sends a message to each of `topics`, all in one segment or each in its own.
    async fn publish(&mut self, topics: &[usize]) {
        let mut bytes = Vec::new();
        let at_once = self.rng.once_in(2);
        for topic in topics {
            self.made[*topic] += 1;
            let payload = format!("{} {topic} {}", self.number, self.made[*topic]);
            let sent = Sent { sequence: self.next_sequence, topic: TOPICS[*topic], payload };
            self.next_sequence += 1;
            sent.encode(&mut bytes);
            self.sent.push_back(sent);
            if !at_once {
                self.raw.send_bytes(&bytes).await;
                bytes.clear();
            }
        }
        self.raw.send_bytes(&bytes).await;
    }

    async fn wait_until_settled(&mut self) {
        while self.settled < self.next_sequence - 1 {
            match self.raw.next().await {
                Reply::Acked(sequence) => self.settle(sequence),
                other => panic!("{}: an acknowledgement was expected, not {other:?}", self.name),
            }
        }
    }

    fn settle(&mut self, sequence: u64) {
        assert!(sequence < self.next_sequence, "{}: {sequence} was acknowledged and never sent", self.name);
        self.settled = sequence.max(self.settled);
        while self.sent.len() > REMEMBERED && self.sent[REMEMBERED].sequence <= self.settled {
            self.sent.pop_front();
        }
    }

    /// A frame of which only a part will be sent; nothing of it may ever be seen.
    fn never_sent_whole(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        publish(self.next_sequence, TOPICS[0], b"of a frame that was never whole").encode(&mut bytes);
        bytes
    }

    async fn lose_and_resume(&mut self) {
        let request = comes_back(&self.name, self.session, self.settled);
        let (loss, unfinished) = (*self.rng.pick(&Loss::ALL), self.never_sent_whole());
        // The socket stands in for the lost one until the session is resumed; it never speaks.
        let old = std::mem::replace(&mut self.raw, Raw::connect(self.broker.endpoints()[0]).await);
        loss.of(old, &unfinished, &mut self.rng).await;
        self.rng.dawdle().await;
        self.raw.send(&cordboard::wire::ClientFrame::RegistrationRequest(request)).await;
        self.resumed().await;
    }

    /// Resumes while the connection still stands: it is told, and closed.
    async fn take_over(&mut self) {
        let request = comes_back(&self.name, self.session, self.settled);
        let new = Raw::connect(self.broker.endpoints()[0]).await;
        let mut old = std::mem::replace(&mut self.raw, new);
        self.raw.send(&cordboard::wire::ClientFrame::RegistrationRequest(request)).await;
        let mut displaced = false;
        loop {
            match old.next().await {
                Reply::Acked(sequence) => self.settle(sequence),
                Reply::Displaced => displaced = true,
                Reply::Closed => break,
                other => panic!("{}: the displaced connection was told {other:?}", self.name),
            }
        }
        assert!(displaced, "{}: closed without a word", self.name);
        self.resumed().await;
    }

    /// Reads the response and sends again what is not settled, and sometimes a little of what is.
    async fn resumed(&mut self) {
        let response = self.raw.response().await;
        assert!(response.resumed && response.epoch > self.epoch, "{}: {response:?}", self.name);
        assert!(response.settled >= self.settled, "{}: what was settled is settled", self.name);
        assert!(response.failures.is_empty() && response.unknown_to.is_none(), "{}: {response:?}", self.name);
        self.epoch = response.epoch;
        self.settle(response.settled);
        let from = (self.settled + 1).saturating_sub(self.rng.below(3));
        let mut bytes = Vec::new();
        self.sent.iter().filter(|sent| sent.sequence >= from).for_each(|sent| sent.encode(&mut bytes));
        self.raw.send_bytes(&bytes).await;
    }
}
