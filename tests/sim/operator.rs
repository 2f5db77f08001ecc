//! The broker's host: the broker, and an operator who gives orders at random.

use std::{cell::RefCell, rc::Rc, sync::Arc, time::Duration};

use cordboard::{
    Board, Broker, Config, Handle, Platform,
    control::Control,
    entropy::Entropy,
    name::{SessionId, SubscriptionId},
};

use super::{
    TOPICS,
    net::Port,
    stage::{Stage, Weather},
};
use crate::fixture::{let_pass, order, rng::Rng};

/// Short times and small bounds, so that all of them are met in a minute. Half of all brokers have room for everything.
pub(super) fn config(rng: &mut Rng) -> Config {
    let mut config = Config::default();
    config.sessions.reclaim_after = Duration::from_millis(4_000 + rng.below(3_000));
    config.connections.keep_alive = Duration::from_secs(2);
    config.connections.stall_after = Duration::from_secs(3);
    // Connections are lost often here, and taken over before the broker knows.
    config.sessions.max_takeovers = u32::MAX;
    config.queues.ack_timeout = Duration::from_millis(1_500 + rng.below(2_000));
    config.queues.window_messages = 8;
    config.queues.max_attempts = if rng.once_in(2) { 3 } else { 1_000 };
    config.queues.max_messages = if rng.once_in(2) { 24 } else { 100_000 };
    config.queues.max_poison = 4;
    config
}

pub(super) struct Operator {
    pub(super) stage: Rc<Stage>,
    pub(super) rng: Rc<RefCell<Rng>>,
    pub(super) config: Config,
    pub(super) entropy: Arc<dyn Entropy>,
}

impl Operator {
    pub(super) async fn serve(self) -> turmoil::Result {
        let platform = Platform { endpoints: vec![Arc::new(Port::open().await?)], entropy: Arc::clone(&self.entropy) };
        let broker = Broker::start_on(self.config.clone(), platform).await?;
        self.stage.opens(&broker);
        while self.stage.weather() == Weather::Storm {
            let pause = 100 + self.below(900);
            let_pass(Duration::from_millis(pause)).await;
            if let Some(control) = self.choose(&broker.bus().board()) {
                self.stage.note("operator", format_args!("{control:?}"));
                order(&broker, control).await;
            }
        }
        while self.stage.weather() == Weather::Calm {
            let_pass(Duration::from_millis(500)).await;
            self.bring_poison_back(&broker).await;
        }
        broker.shutdown().await;
        self.stage.note("operator", "the broker has stopped");
        Ok(())
    }

    fn below(&self, bound: u64) -> u64 {
        self.rng.borrow_mut().below(bound)
    }

    fn pick<T: Clone>(&self, mut all: impl Iterator<Item = T>, count: usize) -> Option<T> {
        if count == 0 { None } else { all.nth(self.below(count as u64) as usize) }
    }

    fn choose(&self, board: &Board) -> Option<Control> {
        let session: SessionId = self.pick(board.sessions.keys().copied(), board.sessions.len())?;
        let subscription: Option<SubscriptionId> = self.pick(board.subscriptions.keys().cloned(), board.subscriptions.len());
        let by_ms = 500 + self.below(3_000);
        Some(match self.below(12) {
            0 => Control::EvictSession { session },
            1..=4 => Control::DropConnection { session },
            5 => Control::HoldSession { session },
            6..=7 => Control::ExtendSession { session, by_ms },
            8 => Control::KillTopic { topic: TOPICS[self.below(TOPICS.len() as u64) as usize].parse().unwrap() },
            9 => Control::Purge { subscription: subscription? },
            10 => Control::Redeliver { subscription: subscription? },
            _ => Control::Accept { on: !board.broker.accepting },
        })
    }

    /// Nothing is kept from anyone at the end, and everyone is let in.
    async fn bring_poison_back(&self, broker: &Handle) {
        let board = broker.bus().board();
        if !board.broker.accepting {
            order(broker, Control::Accept { on: true }).await;
        }
        for (session, row) in &board.sessions {
            if matches!(&row.attachment, cordboard::board::Attachment::Detached { held_by: Some(_), .. }) {
                order(broker, Control::ExtendSession { session: *session, by_ms: 1_000 }).await;
            }
        }
        for (subscription, row) in &board.subscriptions {
            if row.depth.poison > 0 {
                order(broker, Control::Redeliver { subscription: subscription.clone() }).await;
            }
        }
    }
}
