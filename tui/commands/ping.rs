//! `cordboard ping`: whether a broker is there, in one line and an exit code.

use std::{process::ExitCode, time::Duration};

use cordboard::client::{Backoff, ConnectError};
use tokio::time::timeout;

use super::{builder, connect, print};
use crate::{
    cli::{Exit, NotConnected, PingArgs},
    signals::Signals,
};

/// Asks once. The exit code says as much as the line.
pub(super) async fn run(args: PingArgs) -> anyhow::Result<ExitCode> {
    match answered(&args).await {
        Ok(took) => {
            if !args.quiet {
                print(format!("{} answered in {} ms\n", args.server.server, millis(took)).as_bytes())?;
            }
            Ok(Exit::Done.into())
        }
        Err(error) if args.quiet => Ok(Exit::of(&error).into()),
        Err(error) => Err(error),
    }
}

/// How long the broker took to answer one ping. All of it, connecting included, has the time that was given.
async fn answered(args: &PingArgs) -> anyhow::Result<Duration> {
    let late = || ConnectError::TimedOut { address: args.server.server.clone(), within: args.timeout };
    let mut signals = Signals::catch()?;
    let builder = builder(&args.server, "cordboard-ping", Backoff::NEVER)?.connect_timeout(args.timeout);
    let asked = async {
        let client = connect(builder, &args.server, &mut signals).await?;
        let took = client.ping().await;
        // Nobody comes back to its session; a broker that does not hear the goodbye forgets it by itself.
        let _ = client.end().await;
        let lost = |_| ConnectError::ClosedEarly { address: args.server.server.clone() };
        Ok(took.map_err(lost).map_err(|error| NotConnected::new(error, &args.server))?)
    };
    timeout(args.timeout, asked).await.unwrap_or_else(|_| Err(NotConnected::new(late(), &args.server).into()))
}

/// With as many digits as mean something.
fn millis(time: Duration) -> String {
    let millis = time.as_secs_f64() * 1_000.0;
    if millis < 10.0 { format!("{millis:.1}") } else { format!("{millis:.0}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_has_the_digits_that_mean_something() {
        assert_eq!(millis(Duration::from_micros(431)), "0.4");
        assert_eq!(millis(Duration::from_micros(12_345)), "12");
    }
}
