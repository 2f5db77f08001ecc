//! The heart: starts the broker, beats once a second for as long as it lives, and ends it if it hangs. It supervises the root,
//! which no actor does, so that a broker always comes to an end that can be seen.

use std::{
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Duration,
};

use ractor::{Actor as _, ActorRef, SpawnErr};
use tokio::{
    sync::watch,
    task::JoinHandle,
    time::{self, Instant},
};

use super::{
    broker::{Arguments, Broker, BrokerMsg},
    pulse::Pulse,
    watch::{Doing, Kinds as _, Watched},
};
use crate::{
    commons::Commons,
    events::{ActorName, Event},
    net::Accept,
};

/// How long the last words of connections may take to be written.
const LAST_WORDS: Duration = Duration::from_secs(1);
/// How often it looks whether they are.
const POLL: Duration = Duration::from_millis(5);
/// What managers that hang may cost the broker, which stops them one by one, beyond its own patience.
const MANAGERS: Duration = Duration::from_secs(16);

/// The task around the broker.
pub(crate) struct Heart {
    shared: Arc<Commons>,
    broker: ActorRef<BrokerMsg>,
    doing: Arc<Doing>,
    task: JoinHandle<()>,
    _pulse: Option<Pulse>,
}

impl Heart {
    /// Starts the broker. It accepts connections when this returns.
    pub(crate) async fn start(
        shared: Arc<Commons>,
        endpoints: Vec<Arc<dyn Accept>>,
    ) -> Result<(Self, ActorRef<BrokerMsg>), SpawnErr> {
        let doing = Doing::new(ActorName::Broker, BrokerMsg::KINDS);
        let arguments = Arguments { shared: Arc::clone(&shared), endpoints, doing: Arc::clone(&doing) };
        let watched = Watched { actor: Broker, doing: Arc::clone(&doing), shared: Arc::clone(&shared) };
        let pulse = Pulse::start(&shared).map_err(|error| SpawnErr::StartupFailed(error.into()))?;
        let (broker, task) = Watched::spawn(None, watched, arguments).await?;
        Ok((Self { shared, broker: broker.clone(), doing, task, _pulse: pulse }, broker))
    }

    /// Beats until the broker has ended and its connections have said so; then tells `ended` whether that was in order.
    pub(crate) async fn beat(mut self, ended: watch::Sender<Option<bool>>) {
        let failure = self.live().await;
        // Orders that wait for their time wait in vain.
        self.shared.stopping.send_replace(true);
        let row = self.shared.bus.board().broker;
        if !row.stopped {
            let why = failure.unwrap_or_else(|| self.doing.failure("its actor ended"));
            tracing::error!(why, "the broker failed");
            let lost = self.shared.close_all();
            self.shared.emit(Event::Stopped { lost, failed: Some(format!("the broker {why}")) });
        }
        self.last_words().await;
        ended.send_replace(Some(self.shared.bus.board().broker.failed.is_none()));
    }

    /// A beat a second for as long as the broker lives. How it hung, if it had to be ended.
    async fn live(&mut self) -> Option<String> {
        let mut seconds = time::interval(Duration::from_secs(1));
        seconds.set_missed_tick_behavior(time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = &mut self.task => return None,
                _ = seconds.tick() => {}
            }
            let second = self.shared.seconds.fetch_add(1, Relaxed) + 1;
            // It may have stopped just now.
            let _ = self.shared.tell(&self.broker, BrokerMsg::Tick);
            if self.doing.is_hung(second, self.patience()) {
                let why = self.doing.hang(self.patience());
                self.broker.kill();
                // One that keeps its thread is not waited for.
                let _ = time::timeout(LAST_WORDS, &mut self.task).await;
                return Some(why);
            }
        }
    }

    /// The broker alone waits for others, when it restarts them, but not for ever.
    fn patience(&self) -> Duration {
        self.shared.config.failures.hang_after + MANAGERS
    }

    /// Whoever has been told something has a moment to be told all of it.
    async fn last_words(&self) {
        let deadline = Instant::now() + LAST_WORDS;
        while self.shared.stats.tasks.get() > 0 && Instant::now() < deadline {
            time::sleep(POLL).await;
        }
    }
}
