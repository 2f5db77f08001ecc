//! The plan: which faults strike where, how often, and which are left.

use std::{
    fmt::Display,
    str::FromStr,
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
};

/// How an actor or a task fails.
#[derive(Debug, Clone)]
pub enum How {
    /// It panics.
    Panic,
    /// It returns an error. In the middle of a deed, where it cannot, it panics.
    Error,
    /// It waits for what never comes. In the middle of a deed, where it cannot, it panics.
    Hang,
    /// It keeps its thread until the gate is opened: what nobody can end from outside.
    Block(Gate),
}

/// Something that blocks whoever comes to it until it is opened.
#[derive(Debug, Clone, Default)]
pub struct Gate(Arc<(Mutex<bool>, Condvar)>);

impl Gate {
    /// Lets everybody through from now on.
    pub fn open(&self) {
        *self.0.0.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.0.1.notify_all();
    }

    fn pass(&self) {
        let closed = self.0.0.lock().unwrap_or_else(PoisonError::into_inner);
        drop(self.0.1.wait_while(closed, |open| !*open));
    }
}

/// One planned fault.
#[derive(Debug, Clone)]
pub struct Fault {
    place: String,
    of: Option<String>,
    skip: u32,
    times: u32,
    how: How,
}

impl Fault {
    /// A fault at `place`, the first time anybody comes there: `"Topic.Publish"`, an actor and the message it is in.
    /// `Start` is before an actor has a state, `Started` after it, `Supervision` the end of a child; others are in the
    /// middle of a deed.
    pub fn new(place: &str, how: How) -> Self {
        Self { place: place.to_owned(), of: None, skip: 0, times: 1, how }
    }

    /// Only the actor of this name: a topic, a session's id, `session:filter`.
    #[must_use]
    pub fn of(self, name: impl Display) -> Self {
        Self { of: Some(name.to_string()), ..self }
    }

    /// Not before `skip` have come there.
    #[must_use]
    pub fn after(self, skip: u32) -> Self {
        Self { skip, ..self }
    }

    /// So often, one after another; once at the least.
    #[must_use]
    pub fn times(self, times: u32) -> Self {
        Self { times: times.max(1), ..self }
    }

    fn is_at(&self, actor: &str, at: &str, of: &(dyn Display + Sync)) -> bool {
        let place = self.place.strip_prefix(actor).and_then(|rest| rest.strip_prefix('.'));
        place == Some(at) && self.of.as_ref().is_none_or(|name| *name == of.to_string())
    }
}

/// `place=how`, then optionally `@` at which time it is first and `*` how often: `TopicManager.Tick=panic@3*4`.
impl FromStr for Fault {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let refused = || format!("{text:?} is no fault; write \"Topic.Publish=panic\", or \"TopicManager.Tick=hang@3*4\"");
        let number = |text: &str| text.parse::<u32>().map_err(|_| refused());
        let (place, how) = text.split_once('=').ok_or_else(refused)?;
        let (how, times) = how.split_once('*').unwrap_or((how, "1"));
        let (how, nth) = how.split_once('@').unwrap_or((how, "1"));
        let how = match how {
            "panic" => How::Panic,
            "error" => How::Error,
            "hang" => How::Hang,
            "block" => How::Block(Gate::default()),
            _ => return Err(refused()),
        };
        Ok(Self::new(place, how).after(number(nth)?.saturating_sub(1)).times(number(times)?))
    }
}

/// The faults that are planned for one broker.
#[derive(Debug, Default)]
pub struct Faults {
    armed: AtomicBool,
    plan: Mutex<Vec<Fault>>,
}

impl Faults {
    /// Plans one more.
    pub fn plan(&self, fault: Fault) {
        self.lock().push(fault);
        self.armed.store(true, Relaxed);
    }

    /// Plans what `text` says, faults with commas between them.
    ///
    /// # Errors
    /// If one of them is none.
    pub fn plan_all(&self, text: &str) -> Result<(), String> {
        text.split(',').try_for_each(|fault| fault.trim().parse().map(|fault| self.plan(fault)))
    }

    /// True if all that was planned has struck.
    pub fn is_spent(&self) -> bool {
        self.lock().is_empty()
    }

    /// A point at which an actor or a task can wait.
    ///
    /// # Errors
    /// If an error is planned.
    ///
    /// # Panics
    /// If a panic is planned.
    pub async fn strike(&self, actor: &str, at: &str, of: &(dyn Display + Sync)) -> Result<(), String> {
        match self.due(actor, at, of) {
            None => Ok(()),
            Some(How::Panic) => panic!("a test wants {actor}.{at} to panic"),
            Some(How::Error) => Err(format!("a test wants {actor}.{at} to fail")),
            Some(How::Hang) => std::future::pending().await,
            Some(How::Block(gate)) => {
                gate.pass();
                Ok(())
            }
        }
    }

    /// A point in the middle of a deed.
    ///
    /// # Panics
    /// If a fault is planned, whatever it is, unless it blocks.
    pub fn point(&self, actor: &str, at: &str, of: &(dyn Display + Sync)) {
        match self.due(actor, at, of) {
            None => {}
            Some(How::Block(gate)) => gate.pass(),
            Some(How::Panic | How::Error | How::Hang) => panic!("a test wants {actor}.{at} to panic"),
        }
    }

    /// What strikes here now.
    fn due(&self, actor: &str, at: &str, of: &(dyn Display + Sync)) -> Option<How> {
        if !self.armed.load(Relaxed) {
            return None;
        }
        let mut plan = self.lock();
        let index = plan.iter().position(|fault| fault.is_at(actor, at, of))?;
        let fault = &mut plan[index];
        if fault.skip > 0 {
            fault.skip -= 1;
            return None;
        }
        fault.times -= 1;
        let how = fault.how.clone();
        if fault.times == 0 {
            plan.remove(index);
        }
        Some(how)
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Fault>> {
        self.plan.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_fault_strikes_where_it_is_planned_and_as_often() {
        let faults = Faults::default();
        faults.plan(Fault::new("Topic.Publish", How::Error).of("a").after(1).times(2));
        for (actor, at, of, fails) in [
            ("Topic", "Publish", "b", false),
            ("Topic", "Wake", "a", false),
            ("TopicManager", "Publish", "a", false),
            ("Topic", "Publish", "a", false),
            ("Topic", "Publish", "a", true),
            ("Topic", "Publish", "a", true),
            ("Topic", "Publish", "a", false),
        ] {
            assert_eq!(faults.strike(actor, at, &of).await.is_err(), fails, "{actor}.{at} of {of}");
        }
        assert!(faults.is_spent());
    }

    #[test]
    fn a_plan_can_be_written() {
        let faults = Faults::default();
        faults.plan_all("Topic.Publish=panic, TopicManager.Tick=hang@3*4").unwrap();
        let plan: Vec<_> = faults.lock().iter().map(|fault| (fault.place.clone(), fault.skip, fault.times)).collect();
        assert_eq!(plan, [("Topic.Publish".to_owned(), 0, 1), ("TopicManager.Tick".to_owned(), 2, 4)]);
        for text in ["", "Topic.Publish", "Topic.Publish=explode", "Topic.Publish=panic*often", "Topic.Publish=panic@*"] {
            assert!(faults.plan_all(text).unwrap_err().contains("is no fault"), "{text}");
        }
    }
}
