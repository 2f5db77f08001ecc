//! The demo: a company of synthetic clients at a real broker, over real TCP, so that whoever starts it for the first time has
//! something to watch, to evict and to rescue.
//!
//! Its clients are clients like any others: they use the library's public door, and the broker does not know them from real
//! ones that connect meanwhile. An operator does, by their names, which all begin with [`PREFIX`]. What they do is decided by
//! values ([`cast`], [`life`], [`temper`], [`pace`], [`letter`]) from a seed; [`player`] carries it out, and [`line`] is what is
//! cut when one of them dies.

mod cast;
mod letter;
mod life;
mod line;
mod pace;
mod player;
mod rng;
mod temper;
#[cfg(test)]
mod tests;

use std::net::SocketAddr;

use cordboard::{Config, Handle};
use tokio::task::JoinSet;

pub(crate) use self::cast::PREFIX;
use self::{
    cast::{CAST, Part},
    life::Life,
    rng::Rng,
};

/// The story that is told unless another is asked for: the same for everyone who reads about it.
pub(crate) const SEED: u64 = 2_673;

/// Why there is no demo.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NoDemo {
    /// The broker belongs to somebody.
    #[error(
        "--demo runs clients that have no passwords, and the configuration has users; leave --config away, or name one \
         without [[users]]"
    )]
    Users,
    /// The broker cannot be reached from here.
    #[error("--demo runs clients that connect over loopback, and no address of the broker is there; add --listen 127.0.0.1")]
    NoLoopback,
}

/// Whether a broker of this configuration may have a demo.
pub(crate) fn permit(config: &Config) -> Result<(), NoDemo> {
    if config.users.is_empty() { door(&config.listen).map(drop) } else { Err(NoDemo::Users) }
}

/// The first address that the company can connect to.
fn door(addresses: &[SocketAddr]) -> Result<SocketAddr, NoDemo> {
    addresses.iter().find(|address| address.ip().is_loopback()).copied().ok_or(NoDemo::NoLoopback)
}

/// Brings the company to `handle`'s broker, until that has ended. Needs a runtime around it.
pub(crate) fn start(handle: &Handle, seed: u64) -> Result<(), NoDemo> {
    let door = door(&handle.endpoints())?;
    tracing::warn!("DEMO: {}, connect to {door}", company());
    for part in CAST {
        tracing::info!("demo: {} {}", part.name, part.about);
    }
    tokio::spawn(play(handle.clone(), door, CAST, seed));
    Ok(())
}

/// Who they are, in words.
pub(crate) fn company() -> String {
    format!("{} synthetic clients, whose names all begin with {PREFIX}", CAST.len())
}

/// Plays `cast` until the broker has ended.
async fn play(handle: Handle, door: SocketAddr, cast: &'static [Part], seed: u64) {
    let mut rng = Rng::new(seed);
    let mut company = JoinSet::new();
    for part in cast {
        company.spawn(player::live(Life::new(part, rng.fork()), door));
    }
    handle.stopped().await;
}
