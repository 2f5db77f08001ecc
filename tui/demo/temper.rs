//! Tempers: how a client of the demo handles what it is sent, decided as values.

use std::time::Duration;

use super::{letter::has_no_address, rng::Rng};

/// How a client handles messages.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Temper {
    /// At once.
    Quick,
    /// One by one: each takes so long.
    Careful(Duration),
    /// One by one, quickly for a while, then slowly for a while, and so on.
    Slow {
        /// For how long quickly, and how long each one takes then.
        quick: (Duration, Duration),
        /// For how long slowly, and how long each one takes then.
        slow: (Duration, Duration),
    },
    /// At once, unless it cannot be handled at all.
    Picky,
    /// At once, but once in so many times it does not succeed.
    Moody {
        /// So many.
        once_in: u64,
    },
}

/// What is done with a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It is handled.
    Ack,
    /// It shall come again.
    Again,
    /// It can never be handled.
    Poison,
}

impl Temper {
    /// How long a message takes, `since` the first.
    pub(crate) fn takes(self, since: Duration) -> Duration {
        match self {
            Self::Careful(each) => each,
            Self::Slow { quick, slow } => {
                let round = (quick.0 + slow.0).as_millis().max(1);
                if since.as_millis() % round < quick.0.as_millis() { quick.1 } else { slow.1 }
            }
            Self::Quick | Self::Picky | Self::Moody { .. } => Duration::ZERO,
        }
    }

    /// What becomes of a message.
    pub(crate) fn judge(self, payload: &[u8], rng: &mut Rng) -> Verdict {
        match self {
            Self::Picky if has_no_address(payload) => Verdict::Poison,
            Self::Moody { once_in } if rng.once_in(once_in) => Verdict::Again,
            Self::Quick | Self::Careful(_) | Self::Slow { .. } | Self::Picky | Self::Moody { .. } => Verdict::Ack,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_slow_one_is_quick_now_and_then() {
        let s = Duration::from_secs;
        let slow = Temper::Slow { quick: (s(4), s(1)), slow: (s(75), s(9)) };
        let takes: Vec<u64> = [0, 3, 4, 78, 79, 82, 83].into_iter().map(|since| slow.takes(s(since)).as_secs()).collect();
        assert_eq!(takes, [1, 1, 9, 9, 1, 1, 9]);
        assert_eq!((Temper::Quick.takes(s(10)), Temper::Careful(s(2)).takes(s(10))), (s(0), s(2)));
    }

    #[test]
    fn each_temper_has_its_verdict() {
        let mut rng = Rng::new(1);
        assert_eq!(Temper::Picky.judge(b"{\"mail\":null}", &mut rng), Verdict::Poison);
        assert_eq!(Temper::Picky.judge(b"{\"mail\":\"ana@example.org\"}", &mut rng), Verdict::Ack);
        assert_eq!(Temper::Quick.judge(b"{\"mail\":null}", &mut rng), Verdict::Ack);
        assert_eq!(Temper::Moody { once_in: 1 }.judge(b"", &mut rng), Verdict::Again);
        let again = (0..1_000).filter(|_| Temper::Moody { once_in: 50 }.judge(b"", &mut rng) == Verdict::Again).count();
        assert!((5..60).contains(&again), "{again}");
    }
}
