//! The handle's part in reading the configuration again. The library knows no files of its own accord: the program says how the
//! configuration is read, and the gate has it read, on a thread that may wait for a disk.

use std::hash::BuildHasher as _;

use super::{Handle, Inner};
use crate::{
    config::Config,
    control::{Control, Order, Outcome, Precondition},
    reload::Preview,
};

/// How a program reads its configuration. The error says where and what is wrong, and what would work.
pub(super) type Source = Box<dyn Fn() -> Result<Config, String> + Send + Sync>;

impl Handle {
    /// Says how the configuration is read again. Without this, or the second time, nothing changes.
    pub fn reload_from(&self, source: impl Fn() -> Result<Config, String> + Send + Sync + 'static) {
        // The first one stays.
        let _ = self.inner.source.set(Box::new(source));
    }

    /// Reads the configuration and says what it would change; nothing is changed by it.
    ///
    /// # Errors
    /// What is wrong with it, and where; or why it cannot be taken at run time.
    pub async fn preview_reload(&self) -> Result<Preview, String> {
        let (preview, _) = self.read_again().await?;
        Ok(preview)
    }

    /// Reads the configuration again as [`Control::Reload`] does, but without asking the gate: `by` has a hand on the process
    /// itself, as whoever sends it a signal has. The record is the same.
    pub async fn reload(&self, by: &str) -> Outcome {
        let control = Control::Reload { seen: None };
        let (operator, reason, precondition) = (by.to_owned(), String::new(), Precondition::default());
        self.carry_out(Order { control, operator, reason, precondition }, false).await
    }

    /// The configuration for a reload by someone who saw `seen`.
    pub(super) async fn configuration(&self, seen: Option<u64>) -> Result<Box<Config>, String> {
        let (preview, config) = self.read_again().await?;
        if seen.is_some_and(|seen| seen != preview.mark) {
            return Err("the configuration has changed since you looked; look again".to_owned());
        }
        Ok(Box::new(config))
    }

    async fn read_again(&self) -> Result<(Preview, Config), String> {
        let handle = self.clone();
        let read = tokio::task::spawn_blocking(move || handle.inner.read()).await;
        read.unwrap_or_else(|error| Err(format!("the configuration was not read: {error}")))
    }
}

impl Inner {
    fn read(&self) -> Result<(Preview, Config), String> {
        let source =
            self.source.get().ok_or("this broker was started without a configuration file; there is none to read again")?;
        let config = source()?;
        config.validate().map_err(|error| error.to_string())?;
        let before = self.shared.access.current();
        if config.users.is_empty() && !before.configured.is_empty() {
            // A file that was cut short says so, too; nobody should find the doors open after that.
            let why = "the configuration has no users any more, and everyone on this machine could do everything; \
                       restart the broker if that is wanted";
            return Err(why.to_owned());
        }
        let running = Config { users: before.configured.clone(), ..self.shared.config.clone() };
        let text = serde_json::to_string(&config).map_err(|error| error.to_string())?;
        Ok((Preview::new(&running, &config, self.marks.hash_one(text)), config))
    }
}
