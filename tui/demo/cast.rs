//! The cast: who is in the story, what they say and hear, and what befalls them.
//!
//! A shop sells, `bills` invoices what was ordered, three others handle the invoices, two cameras watch a yard, and a handful
//! of programs look on. Each shows one thing that an operator meets, and the first minute has all of them: a camera is away for
//! a moment at 6 s, the scanner dies at 9 s and is reclaimed at 29 s, the books close at 14 s and have 280 dead letters to
//! drain at 46 s, and the printer's window is full before the minute is over.

use std::time::Duration;

use super::{letter::Letter, temper::Temper};

/// What the name of every client of the demo begins with, so that they can be told from those of others.
pub(crate) const PREFIX: &str = "demo-";

/// A client: a row of the table.
#[derive(Debug)]
pub(crate) struct Part {
    /// What it calls itself, [`PREFIX`] included; ten letters are shown in full on a screen of 80 columns.
    pub(crate) name: &'static str,
    /// What it does, and what there is to be seen of it.
    pub(crate) about: &'static str,
    /// When it comes for the first time.
    pub(crate) enters: Duration,
    /// The reclaim time it asks for; none: the broker's.
    pub(crate) reclaim_after: Option<Duration>,
    /// How long it takes until somebody has noticed that it was evicted, and starts it again.
    pub(crate) restarted_after: Duration,
    /// How it dies and comes back; none: it stays.
    pub(crate) leaves: Option<Leaves>,
    /// What it publishes.
    pub(crate) talks: &'static [Talk],
    /// What it subscribes to.
    pub(crate) hears: &'static [Hear],
}

/// How a client dies, again and again, and comes back.
#[derive(Debug)]
pub(crate) struct Leaves {
    /// How long it stays the first time, and how long it is away then: the first minute is the same for everyone.
    pub(crate) first: (Duration, Duration),
    /// The shortest and the longest stay after that.
    pub(crate) stays: (Duration, Duration),
    /// The shortest and the longest absence.
    pub(crate) away: (Duration, Duration),
}

/// Something a client publishes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Talk {
    /// Where.
    pub(crate) topic: &'static str,
    /// Messages a second, on the whole.
    pub(crate) per_second: f64,
    /// What they say.
    pub(crate) letter: Letter,
}

/// Something a client subscribes to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Hear {
    /// What.
    pub(crate) filter: &'static str,
    /// How it handles what comes.
    pub(crate) temper: Temper,
}

pub(super) const fn s(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

pub(super) const fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

pub(super) const fn talk(topic: &'static str, per_second: f64, letter: Letter) -> Talk {
    Talk { topic, per_second, letter }
}

pub(super) const fn hear(filter: &'static str, temper: Temper) -> Hear {
    Hear { filter, temper }
}

/// One that stays, says and hears nothing: the rows below say what is different.
pub(super) const NOBODY: Part =
    Part { name: "", about: "", enters: s(0), reclaim_after: None, restarted_after: s(30), leaves: None, talks: &[], hears: &[] };

/// The table.
pub(crate) const CAST: &[Part] = &[
    Part {
        name: "demo-audit",
        about: "keeps a record of everything that is ordered and invoiced: two wildcards",
        enters: ms(300),
        hears: &[hear("orders/#", Temper::Quick), hear("invoices/#", Temper::Quick)],
        ..NOBODY
    },
    Part {
        name: "demo-bills",
        about: "the billing API: turns orders into invoices, and traces into a topic that nobody subscribes to",
        enters: ms(600),
        talks: &[talk("invoices/raw", 9.0, Letter::Invoice), talk("debug/bills", 1.6, Letter::Trace)],
        hears: &[hear("orders/+", Temper::Quick)],
        ..NOBODY
    },
    Part {
        name: "demo-books",
        about: "does the accounts; away for 20 to 60 s now and then, and drains its dead letters when it is back",
        enters: ms(900),
        leaves: Some(Leaves { first: (s(13), s(32)), stays: (s(25), s(60)), away: (s(20), s(60)) }),
        hears: &[hear("invoices/raw", Temper::Careful(ms(12)))],
        ..NOBODY
    },
    Part {
        name: "demo-mail",
        about: "mails invoices; one without an address is poison to it",
        enters: ms(1_200),
        talks: &[talk("invoices/sent", 4.0, Letter::Receipt)],
        hears: &[hear("invoices/raw", Temper::Picky)],
        ..NOBODY
    },
    Part {
        name: "demo-tax",
        about: "works out taxes; gives a message back now and then, and gets it again",
        enters: ms(1_500),
        hears: &[hear("invoices/raw", Temper::Moody { once_in: 60 })],
        ..NOBODY
    },
    Part {
        name: "demo-shop",
        about: "sells in two regions",
        enters: ms(1_800),
        talks: &[talk("orders/eu", 14.0, Letter::Order), talk("orders/us", 9.0, Letter::Order)],
        ..NOBODY
    },
    Part {
        name: "demo-app",
        about: "sells in Europe, too, from telephones",
        enters: ms(2_100),
        talks: &[talk("orders/eu", 7.0, Letter::Order)],
        ..NOBODY
    },
    Part {
        name: "demo-print",
        about: "prints every order; slows down for more than a minute until its window is full, then catches up",
        enters: ms(2_400),
        hears: &[hear("orders/#", Temper::Slow { quick: (s(12), ms(4)), slow: (s(70), ms(700)) })],
        ..NOBODY
    },
    Part {
        name: "demo-dash",
        about: "a dashboard: shows every camera, and turns one of them",
        enters: ms(2_700),
        talks: &[talk("cams/7/turn", 0.5, Letter::Turn)],
        hears: &[hear("telemetry/+", Temper::Quick), hear("orders/us", Temper::Quick)],
        ..NOBODY
    },
    Part {
        name: "demo-cam-7",
        about: "a camera with a poor radio: away for a few seconds, and back in its session",
        enters: ms(500),
        leaves: Some(Leaves { first: (ms(5_500), s(4)), stays: (s(10), s(30)), away: (s(3), s(8)) }),
        talks: &[talk("telemetry/cam-7", 10.0, Letter::Reading)],
        hears: &[hear("cams/7/turn", Temper::Quick)],
        ..NOBODY
    },
    Part {
        name: "demo-cam-8",
        about: "a camera that works",
        enters: ms(3_000),
        talks: &[talk("telemetry/cam-8", 10.0, Letter::Reading)],
        ..NOBODY
    },
    Part {
        name: "demo-scan",
        about: "a scanner that asks to be reclaimed after 20 s, stays away for longer, and starts anew",
        enters: ms(1_000),
        reclaim_after: Some(s(20)),
        leaves: Some(Leaves { first: (s(8), s(35)), stays: (s(20), s(40)), away: (s(25), s(45)) }),
        talks: &[talk("scans/dock-4", 3.0, Letter::Scan)],
        hears: &[hear("scans/jobs", Temper::Quick)],
        ..NOBODY
    },
    Part {
        name: "demo-stock",
        about: "counts what is in store: tells the scanner what to look at, and hears what it saw",
        enters: ms(3_300),
        talks: &[talk("scans/jobs", 1.5, Letter::Job)],
        hears: &[hear("scans/+", Temper::Quick)],
        ..NOBODY
    },
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use cordboard::{
        filters,
        name::{ClientName, Filter, TopicName},
    };

    use super::*;

    /// The default configuration's; the books must be back before it.
    const RECLAIM_AFTER: Duration = s(90);

    fn part(name: &str) -> &'static Part {
        CAST.iter().find(|part| part.name == name).unwrap()
    }

    fn topics() -> BTreeSet<&'static str> {
        CAST.iter().flat_map(|part| part.talks).map(|talk| talk.topic).collect()
    }

    fn hearers(topic: &str) -> usize {
        let topic: TopicName = topic.parse().unwrap();
        let wanted = CAST.iter().flat_map(|part| part.hears).map(|hear| hear.filter.parse::<Filter>().unwrap());
        wanted.filter(|filter| filters::matches(filter, &topic)).count()
    }

    #[test]
    fn everyone_has_a_name_of_their_own_that_says_demo_and_fits() {
        let names: BTreeSet<&str> = CAST.iter().map(|part| part.name).collect();
        assert_eq!(names.len(), CAST.len());
        for name in names {
            assert!(name.parse::<ClientName>().is_ok() && name.starts_with(PREFIX) && name.len() <= 10, "{name}");
        }
    }

    #[test]
    fn one_topic_has_no_subscriber() {
        let unheard: Vec<&str> = topics().into_iter().filter(|topic| hearers(topic) == 0).collect();
        assert_eq!(unheard, ["debug/bills"]);
    }

    /// Some tens of messages in, a few hundred out: alive, and no load.
    #[test]
    fn the_traffic_is_lively_and_light() {
        let talks = || CAST.iter().flat_map(|part| part.talks);
        let published: f64 = talks().map(|talk| talk.per_second).sum();
        let delivered: f64 = talks().map(|talk| talk.per_second * hearers(talk.topic) as f64).sum();
        assert!((40.0..100.0).contains(&published), "{published}");
        assert!((100.0..300.0).contains(&delivered), "{delivered}");
    }

    #[test]
    fn the_first_minute_has_a_detached_session_and_a_reclaim() {
        let died = |part: &Part| part.enters + part.leaves.as_ref().unwrap().first.0;
        assert!(["demo-cam-7", "demo-scan"].iter().all(|name| died(part(name)) < s(10)));
        let scan = part("demo-scan");
        let reclaimed = died(scan) + scan.reclaim_after.unwrap();
        let returns = died(scan) + scan.leaves.as_ref().unwrap().first.1;
        assert!(reclaimed < s(40) && reclaimed < returns && returns < s(60));
    }

    /// Who asks for a short time is always too late for it; the others never are.
    #[test]
    fn who_is_reclaimed_and_who_is_not_is_no_accident() {
        for part in CAST {
            let Some(leaves) = &part.leaves else { continue };
            let absences = [leaves.first.1, leaves.away.0, leaves.away.1];
            match part.reclaim_after {
                Some(wish) => assert!(absences.iter().all(|away| *away > wish + s(2)), "{}", part.name),
                None => assert!(absences.iter().all(|away| *away + s(10) < RECLAIM_AFTER), "{}", part.name),
            }
        }
    }
}
