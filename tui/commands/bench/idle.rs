//! Many clients that register, stay silent, and go: how fast they come in, and what each costs to have and to remember.

use std::{
    sync::atomic::Ordering::Relaxed,
    time::{Duration, Instant},
};

use super::{
    Target,
    figures::{Measure, Round},
    load::{Connection, Heard, Identity, LoadError, Protocol, Watch, source},
    plan::Plan,
    shared::Gauge,
};

/// Clients that have said who they are and have no answer yet: fewer than wait at the door of any broker, because whoever finds
/// no place there comes again a second later, and that would be what is measured.
const AT_ONCE: usize = 64;
const TURN: Duration = Duration::from_millis(50);
/// Well below the shortest time after which a broker gives a silent client up.
const HEARTBEAT: Duration = Duration::from_secs(10);
/// What an idle client has room for.
const BUFFER: usize = 1 << 10;

/// Does all of it once.
pub(super) fn run<P: Protocol>(plan: &Plan, target: &Target<'_>, gauge: &Gauge) -> Result<Round, LoadError> {
    let mut round = Round::default();
    let count = plan.clients as u64;
    let (cpu, memory, start) = (target.cpu()?, target.memory()?, Instant::now());
    let clients = Clients::<P>::register(plan.clients, target, gauge)?;
    let wall = start.elapsed();
    round.cpu = target.cpu_since(cpu)?;
    round.add_rate(Measure::Registrations, count, wall);
    round.add_each(Measure::RegistrationCpu, round.cpu, count);
    let mut each = |measure| -> Result<(), LoadError> {
        if let Some(before) = memory {
            target.wait_until_quiet(gauge)?;
            let after = target.memory()?.unwrap_or(before);
            round.add(measure, (after.now as f64 - before.now as f64) / count as f64);
        }
        Ok(())
    };
    each(Measure::Connection)?;
    drop(clients);
    each(Measure::Detached)?;
    Ok(round)
}

/// Those that are registered, or about to be.
#[derive(Debug)]
struct Clients<P> {
    connections: Vec<Connection<P>>,
    watch: Watch,
    welcome: usize,
}

impl<P: Protocol> Clients<P> {
    fn register(count: usize, target: &Target<'_>, gauge: &Gauge) -> Result<Self, LoadError> {
        let mut clients = Self { connections: Vec::with_capacity(count), watch: Watch::new()?, welcome: 0 };
        let identity = target.identity("cordboard-bench-client");
        let (mut heard, mut beat) = (Instant::now(), Instant::now());
        while clients.welcome < count {
            gauge.check()?;
            while clients.connections.len() < count.min(clients.welcome + AT_ONCE) {
                let number = clients.connections.len();
                let identity = Identity { source: source(target.address, number), ..identity.clone() };
                let connection = Connection::begin(target.address, &identity, BUFFER)?;
                connection.set_nonblocking()?;
                clients.watch.add(&connection, number)?;
                clients.connections.push(connection);
            }
            let now = Instant::now();
            if clients.read()? > 0 {
                heard = now;
                gauge.sent.store(clients.connections.len() as u64, Relaxed);
                gauge.delivered.store(clients.welcome as u64, Relaxed);
            } else if now.duration_since(heard) > target.patience {
                return Err(LoadError::Silent { seconds: target.patience.as_secs(), waits_for: "clients were to be registered" });
            }
            if now.duration_since(beat) > HEARTBEAT {
                beat = now;
                for connection in &mut clients.connections {
                    connection.heartbeat()?;
                }
            }
        }
        Ok(clients)
    }

    /// Reads what has come. Returns how many are welcome now who were not.
    fn read(&mut self) -> Result<usize, LoadError> {
        let before = self.welcome;
        for number in self.watch.wait(TURN)? {
            let connection = &mut self.connections[number];
            connection.receive(&mut |heard| self.welcome += usize::from(heard == Heard::Answered))?;
            connection.flush()?;
        }
        Ok(self.welcome - before)
    }
}
