//! Repeats: what happens again and again is told the first time, and then at most once a second with how often it has happened.
//! The end of a flood is told, too: nothing is left over that was counted and never said. Pure, and bounded in causes.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use crate::events::Event;

/// How often the same is told.
const EVERY: Duration = Duration::from_secs(1);
/// The most causes that are told apart; what comes beyond them is counted together, by what it is.
const CAUSES: usize = 1_024;

/// What has happened lately, by what it is and whose doing.
#[derive(Debug, Default)]
pub(crate) struct Repeats(Mutex<HashMap<(&'static str, String), Cause>>);

#[derive(Debug)]
struct Cause {
    told: Instant,
    /// What has happened since then, as it did first.
    untold: Option<(Event, u64)>,
}

impl Repeats {
    fn lock(&self) -> MutexGuard<'_, HashMap<(&'static str, String), Cause>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// `what` has happened once more, by `who`. Returns the event to tell, if it is time.
    pub(crate) fn count(&self, what: &'static str, who: &str, now: Instant, event: impl FnOnce() -> Event) -> Option<Event> {
        let mut causes = self.lock();
        let mut key = (what, who.to_owned());
        if causes.len() >= CAUSES && !causes.contains_key(&key) {
            key = (what, "many".to_owned());
        }
        let Some(cause) = causes.get_mut(&key) else {
            causes.insert(key, Cause { told: now, untold: None });
            return Some(event().times(1));
        };
        let (_, times) = cause.untold.get_or_insert_with(|| (event(), 0));
        *times += 1;
        cause.tell(now)
    }

    /// What has happened, was not told, and is to be now. Whoever is quiet is forgotten. To be asked once a second.
    pub(crate) fn overdue(&self, now: Instant) -> Vec<Event> {
        let mut overdue = Vec::new();
        self.lock().retain(|_, cause| {
            let event = cause.tell(now);
            let is_quiet = event.is_none() && cause.untold.is_none() && cause.is_due(now);
            overdue.extend(event);
            !is_quiet
        });
        overdue
    }
}

impl Cause {
    fn is_due(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.told) >= EVERY
    }

    fn tell(&mut self, now: Instant) -> Option<Event> {
        if !self.is_due(now) {
            return None;
        }
        let (event, times) = self.untold.take()?;
        self.told = now;
        Some(event.times(times))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hit(who: &str) -> Event {
        Event::LimitHit { limit: "topics.max".into(), who: who.into(), times: 1 }
    }

    fn times(event: Option<Event>) -> Option<u64> {
        event.map(|event| if let Event::LimitHit { times, .. } = event { times } else { 0 })
    }

    /// A million refused topics are a million counts and one line a second.
    #[test]
    fn a_flood_is_told_once_a_second_with_its_count() {
        let (repeats, start) = (Repeats::default(), Instant::now());
        let count = |who: &str, now| times(repeats.count("topics.max", who, now, || hit(who)));
        assert_eq!(count("ana", start), Some(1));
        for _ in 0..500 {
            assert_eq!(count("ana", start), None);
        }
        assert_eq!(count("bob", start), Some(1));
        assert_eq!(count("ana", start + EVERY), Some(501));
    }

    /// I8: of a flood that ends within the second, all is told, and then nothing of it is kept.
    #[test]
    fn the_end_of_a_flood_is_told_too() {
        let (repeats, start) = (Repeats::default(), Instant::now());
        for _ in 0..=500 {
            repeats.count("topics.max", "ana", start, || hit("ana"));
        }
        assert_eq!(repeats.overdue(start + EVERY / 2), []);
        let late: Vec<_> = repeats.overdue(start + EVERY).into_iter().map(|event| times(Some(event))).collect();
        assert_eq!(late, [Some(500)]);
        assert_eq!((repeats.overdue(start + EVERY).len(), repeats.lock().len()), (0, 1), "it may go on");
        assert_eq!((repeats.overdue(start + EVERY * 2).len(), repeats.lock().len()), (0, 0));
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let (repeats, start) = (Repeats::default(), Instant::now());
        let told = (0..CAUSES * 2).filter_map(|n| repeats.count("topics.max", &n.to_string(), start, || hit("x"))).count();
        assert_eq!((told, repeats.lock().len()), (CAUSES + 1, CAUSES + 1));
        let late: Vec<_> = repeats.overdue(start + EVERY).into_iter().map(|event| times(Some(event))).collect();
        assert_eq!(late, [Some(CAUSES as u64 - 1)]);
    }
}
