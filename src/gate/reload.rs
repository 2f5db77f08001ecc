//! The gate's part in reading the configuration again. The library knows no files of its own accord: the program says how its
//! configuration is read, and the gate has it read, on a thread that may wait for a disk.

use std::{
    fmt,
    hash::{BuildHasher as _, RandomState},
    sync::{Arc, OnceLock},
};

use tokio::sync::Mutex;

use super::Gate;
use crate::{
    actors::BrokerMsg,
    commons::Commons,
    config::Config,
    control::{Order, Outcome},
    reload::Preview,
};

/// How a program reads its configuration. The error says where and what is wrong, and what would work.
pub(crate) type Read = Box<dyn Fn() -> Result<Config, String> + Send + Sync>;

/// Where the configuration comes from, if it can be read again.
#[derive(Default)]
pub(crate) struct Source {
    read: OnceLock<Read>,
    /// Marks what was read.
    marks: RandomState,
    /// Held from reading to taking, so that what was read first is not taken last.
    turn: Mutex<()>,
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Source").field("is_set", &self.read.get().is_some()).finish_non_exhaustive()
    }
}

impl Gate {
    /// Says how the configuration is read again. The first one stays.
    pub(crate) fn reload_from(&self, read: Read) {
        let _ = self.source.read.set(read);
    }

    /// Reads the configuration and says what it would change; nothing is changed by it.
    pub(crate) async fn preview(&self) -> Result<Preview, String> {
        let (preview, _) = self.read_again().await?;
        Ok(preview)
    }

    /// Reads the configuration and has it taken, if it is what the operator saw.
    pub(super) async fn take_configuration(&self, seen: Option<u64>, order: Order) -> Outcome {
        let _turn = self.source.turn.lock().await;
        let (preview, config) = match self.read_again().await {
            Ok(read) => read,
            Err(why) => return Outcome::refused(why),
        };
        if seen.is_some_and(|seen| seen != preview.mark) {
            return Outcome::refused("the configuration has changed since you looked; look again");
        }
        let price = preview.price_by(&self.shared.bus.board(), |filter, session| self.shared.held_in(filter, session));
        if let Err(refused) = order.precondition.check(None, price.loss + price.at_risk) {
            return refused;
        }
        let (config, by) = (Box::new(config), order.operator);
        self.ask(|reply| BrokerMsg::Reload { config, by, reply }, Some(self.patience())).await
    }

    async fn read_again(&self) -> Result<(Preview, Config), String> {
        let (source, shared) = (Arc::clone(&self.source), Arc::clone(&self.shared));
        let read = tokio::task::spawn_blocking(move || source.read(&shared)).await;
        read.unwrap_or_else(|error| Err(format!("the configuration was not read: {error}")))
    }
}

impl Source {
    fn read(&self, shared: &Commons) -> Result<(Preview, Config), String> {
        let read = self.read.get().ok_or("this broker was started without a configuration file")?;
        let config = read()?;
        config.validate().map_err(|error| error.to_string())?;
        let before = shared.access.current();
        if config.users.is_empty() && !before.configured.is_empty() {
            // A file that was cut short says so, too; nobody should find the doors open after that.
            let why = "the configuration has no users any more, and everyone on this machine could do everything; \
                       restart the broker if that is wanted";
            return Err(why.to_owned());
        }
        let running = Config { users: before.configured.clone(), ..shared.config.clone() };
        let text = serde_json::to_string(&config).map_err(|error| error.to_string())?;
        Ok((Preview::new(&running, &config, self.marks.hash_one(text)), config))
    }
}
