//! A client's life: how long it stays, what befalls it, and when and as whom it is back. A small state machine that knows no
//! socket and no clock, so that a whole life is told in a test.

use std::time::Duration;

use cordboard::name::SessionId;

use super::{cast::Part, rng::Rng};

/// Before a client that is not wanted tries again.
const UNWANTED: Duration = Duration::from_secs(30);
/// The longest first wait for a broker that is not there, or takes nobody. It doubles with each attempt …
const FIRST_WAIT: Duration = Duration::from_secs(1);
/// … up to this.
const LONGEST_WAIT: Duration = Duration::from_secs(16);
/// A connection that held for so long was a good one: the next loss is the first again.
const HELD: Duration = Duration::from_secs(10);

/// What befell a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It died, as its part has it.
    Died,
    /// It lost its connection, which had held for so long.
    Lost(Duration),
    /// Nobody answered, or the broker takes nobody now. It may have asked for a wait.
    TurnedAway(Option<Duration>),
    /// It may not come at all.
    Unwanted,
    /// An operator ended its session.
    Evicted,
}

/// When a client is back, and as whom.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Return {
    /// After so long.
    pub(crate) after: Duration,
    /// In this session, if it is still there; none: in a new one.
    pub(crate) session: Option<SessionId>,
}

/// One client's life.
#[derive(Debug)]
pub(crate) struct Life {
    /// The part it plays.
    pub(crate) part: &'static Part,
    rng: Rng,
    /// What it remembers of the last time it was there.
    session: Option<SessionId>,
    deaths: u32,
    failures: u32,
}

impl Life {
    /// Not begun.
    pub(crate) fn new(part: &'static Part, rng: Rng) -> Self {
        Self { part, rng, session: None, deaths: 0, failures: 0 }
    }

    /// Its first entrance.
    pub(crate) fn entrance(&self) -> Return {
        Return { after: self.part.enters, session: None }
    }

    /// It is connected, in `session`: how long until it dies, if it does.
    pub(crate) fn stay(&mut self, session: SessionId) -> Option<Duration> {
        self.session = Some(session);
        let leaves = self.part.leaves.as_ref()?;
        Some(if self.deaths == 0 { leaves.first.0 } else { self.rng.time(leaves.stays) })
    }

    /// Something befell it: when it is back.
    pub(crate) fn after(&mut self, fate: Fate) -> Return {
        let after = match fate {
            Fate::Died => self.absence(),
            Fate::Lost(held) => {
                self.failures = if held >= HELD { 0 } else { self.failures };
                self.wait()
            }
            Fate::TurnedAway(asked) => self.wait().max(asked.unwrap_or_default()),
            Fate::Unwanted => UNWANTED + self.rng.time((Duration::ZERO, FIRST_WAIT)),
            Fate::Evicted => {
                self.session = None;
                // Nobody restarts a dozen programs in the same instant.
                let least = self.part.restarted_after;
                self.rng.time((least, least.mul_f64(1.3)))
            }
        };
        Return { after, session: self.session }
    }

    /// Random choices for what it does while it is there.
    pub(crate) fn fork(&mut self) -> Rng {
        self.rng.fork()
    }

    fn absence(&mut self) -> Duration {
        let Some(leaves) = &self.part.leaves else { return FIRST_WAIT };
        (self.deaths, self.failures) = (self.deaths + 1, 0);
        if self.deaths == 1 { leaves.first.1 } else { self.rng.time(leaves.away) }
    }

    /// Longer each time, and never as long as its neighbour.
    fn wait(&mut self) -> Duration {
        let longest = FIRST_WAIT.saturating_mul(1 << self.failures.min(10)).min(LONGEST_WAIT);
        self.failures = self.failures.saturating_add(1);
        self.rng.time((longest / 2, longest))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::demo::cast::CAST;

    fn session(byte: u8) -> SessionId {
        SessionId::from_bytes([byte; 16])
    }

    fn life(name: &str, seed: u64) -> Life {
        Life::new(CAST.iter().find(|part| part.name == name).unwrap(), Rng::new(seed))
    }

    fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    /// The first minute is the same for everyone; what comes later is drawn, and the same for the same seed.
    #[test]
    fn it_dies_and_comes_back_to_its_session() {
        let tell = |seed| {
            let mut life = life("demo-books", seed);
            assert_eq!(life.entrance(), Return { after: Duration::from_millis(900), session: None });
            assert_eq!(life.stay(session(1)), Some(s(13)));
            assert_eq!(life.after(Fate::Died), Return { after: s(32), session: Some(session(1)) });
            let later: Vec<_> = (0..50).map(|_| (life.stay(session(1)).unwrap(), life.after(Fate::Died))).collect();
            for (stay, back) in &later {
                assert!((s(25)..=s(60)).contains(stay) && (s(20)..=s(60)).contains(&back.after));
                assert_eq!(back.session, Some(session(1)));
            }
            later
        };
        assert_eq!(tell(5), tell(5));
        assert_ne!(tell(5), tell(6));
    }

    #[test]
    fn one_without_a_fate_stays() {
        assert_eq!(life("demo-shop", 1).stay(session(1)), None);
    }

    /// It knows nothing of a reclaim: it asks for its session, gets another, and remembers that one.
    #[test]
    fn it_remembers_the_session_it_was_given_last() {
        let mut life = life("demo-scan", 1);
        life.stay(session(1));
        assert_eq!(life.after(Fate::Died).session, Some(session(1)));
        life.stay(session(2));
        assert_eq!(life.after(Fate::Died).session, Some(session(2)));
    }

    #[test]
    fn evicted_it_stays_away_and_comes_back_as_a_stranger() {
        let mut life = life("demo-dash", 1);
        life.stay(session(1));
        let back = life.after(Fate::Evicted);
        assert!((s(30)..=s(39)).contains(&back.after) && back.session.is_none(), "{back:?}");
        assert_eq!(life.after(Fate::TurnedAway(None)).session, None);
    }

    /// A broker that is closed, or gone, is asked less and less often.
    #[test]
    fn it_does_not_hammer_at_a_closed_door() {
        let mut life = life("demo-dash", 1);
        life.stay(session(1));
        let waits: Vec<_> = (0..100).map(|_| life.after(Fate::TurnedAway(None)).after).collect();
        assert!((s(1) / 2..=s(1)).contains(&waits[0]), "{waits:?}");
        assert!(waits[5..].iter().all(|wait| (s(8)..=s(16)).contains(wait)), "{waits:?}");
        assert_eq!(life.after(Fate::TurnedAway(Some(s(40)))).after, s(40));
        // One that lets in and throws out at once, neither.
        assert!(life.after(Fate::Lost(s(0))).after >= s(8));
        let back = life.after(Fate::Lost(s(60)));
        assert!(back.after <= s(1) && back.session == Some(session(1)), "{back:?}");
    }

    #[test]
    fn unwanted_it_waits_for_half_a_minute() {
        let mut life = life("demo-dash", 1);
        assert!((s(30)..=s(31)).contains(&life.after(Fate::Unwanted).after));
    }
}
