//! The pace: how many messages go out when, in waves, so that a minute of it looks like something on a screen.

use std::{f64::consts::TAU, time::Duration};

use cordboard::wire::Code;

use super::rng::Rng;

/// How often a publisher publishes: what is due by then goes out together, and the processor sleeps in between.
pub(crate) const BEAT: Duration = Duration::from_millis(250);
/// Beats from one crest to the next.
const WAVE: f64 = 160.0;
/// How far the rate rises above, and falls below, what it is on the whole.
const SWELL: f64 = 0.35;
/// Before a topic that is forbidden is tried again.
const FORBIDDEN: Duration = Duration::from_secs(30);
/// Before a topic that was killed is subscribed to again: long enough to be seen without its subscribers.
const KILLED: Duration = Duration::from_secs(10);
/// Before a broker that has no room, or a limit, is tried again.
const REFUSED: Duration = Duration::from_secs(5);

/// One publisher's.
#[derive(Debug)]
pub(crate) struct Pace {
    per_second: f64,
    phase: f64,
    beats: u32,
    /// The part of a message that the last beat did not send.
    owed: f64,
}

impl Pace {
    /// About `per_second`, somewhere in the wave.
    pub(crate) fn new(per_second: f64, rng: &mut Rng) -> Self {
        Self { per_second, phase: rng.share(), beats: 0, owed: rng.share() }
    }

    /// How many messages go out at the next beat.
    pub(crate) fn beat(&mut self) -> u32 {
        let wave = 1.0 + SWELL * (TAU * (f64::from(self.beats) / WAVE + self.phase)).sin();
        self.beats = self.beats.wrapping_add(1);
        let due = self.per_second * BEAT.as_secs_f64() * wave + self.owed;
        self.owed = due.fract();
        due as u32
    }
}

/// How long a publisher stops that was told `code`; none: it goes on.
pub(crate) fn silent_for(code: Code) -> Option<Duration> {
    match code {
        Code::Forbidden => Some(FORBIDDEN),
        // The topic was killed: the next publish makes it anew, as anybody's would.
        Code::Gone => None,
        _ => Some(REFUSED),
    }
}

/// How long a subscriber that was told `code` does without its subscription.
pub(crate) fn deaf_for(code: Code) -> Duration {
    match code {
        Code::Forbidden => FORBIDDEN,
        Code::Gone => KILLED,
        _ => REFUSED,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn on_the_whole_it_keeps_its_rate() {
        for per_second in [0.5, 9.0, 14.0] {
            let mut rng = Rng::new(3);
            let mut pace = Pace::new(per_second, &mut rng);
            let sent: u32 = (0..16_000).map(|_| pace.beat()).sum();
            let rate = f64::from(sent) / (16_000.0 * BEAT.as_secs_f64());
            assert!((rate / per_second - 1.0).abs() < 0.01, "{rate} instead of {per_second}");
        }
    }

    #[test]
    fn it_swells_and_ebbs() {
        let mut rng = Rng::new(3);
        let mut pace = Pace::new(40.0, &mut rng);
        let beats: Vec<u32> = (0..160).map(|_| pace.beat()).collect();
        assert_eq!((*beats.iter().min().unwrap(), *beats.iter().max().unwrap()), (6, 14));
    }

    #[test]
    fn the_forbidden_stop_for_a_while_and_the_killed_go_on() {
        let s = Duration::from_secs;
        let codes = [Code::Forbidden, Code::Gone, Code::NoRoom];
        assert_eq!(codes.map(silent_for), [Some(s(30)), None, Some(s(5))]);
        assert_eq!(codes.map(deaf_for), [s(30), s(10), s(5)]);
    }
}
