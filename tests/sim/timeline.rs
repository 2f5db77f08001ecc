//! What the broker's own account must be like: epochs grow (I4), a session is reclaimed when its timer says and at no other
//! moment, and it is resumed before that or not at all.

use std::collections::BTreeMap;

use cordboard::{
    events::{Event, SessionEnd, Stamped},
    name::{Epoch, SessionId},
};

/// Timers count whole milliseconds.
const GRAIN_MS: u64 = 2;

#[derive(Debug, Default)]
pub(super) struct Timeline {
    sessions: BTreeMap<SessionId, Session>,
}

#[derive(Debug)]
struct Session {
    epoch: Epoch,
    timer: Timer,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Timer {
    Attached,
    RunsUntil(u64),
    Held,
}

impl Timeline {
    pub(super) fn take(&mut self, stamped: &Stamped) {
        let at = stamped.at.up.0;
        let event = &stamped.event;
        match event {
            Event::SessionCreated { id, epoch, .. } => {
                let session = Session { epoch: *epoch, timer: Timer::Attached };
                assert!(self.sessions.insert(*id, session).is_none(), "{id} was created twice");
            }
            Event::SessionAttached { id, epoch, takeover, .. } => self.session(id).attach(*epoch, *takeover, at),
            Event::SessionDetached { id, epoch, deadline, .. } => {
                let session = self.session(id);
                assert_eq!((session.epoch, session.timer), (*epoch, Timer::Attached), "{event:?}");
                session.timer = Timer::RunsUntil(deadline.up.0);
            }
            Event::SessionHeld { id, .. } => self.session(id).timer = Timer::Held,
            Event::SessionTimerSet { id, deadline, .. } => self.session(id).timer = Timer::RunsUntil(deadline.up.0),
            Event::SessionEnded { id, why, .. } => {
                let session = self.sessions.remove(id).unwrap_or_else(|| panic!("{id} ended and was not there"));
                if *why == SessionEnd::Reclaimed {
                    session.is_reclaimed(at);
                }
            }
            Event::ManagerFailed { .. } | Event::SubscriptionRestarted { .. } | Event::TopicRestarted { .. } => {
                panic!("nothing fails by itself: {event:?}")
            }
            _ => {}
        }
        for (id, session) in &self.sessions {
            assert!(!session.is_overdue(at), "{id} was to be reclaimed, {session:?}, and is still there at {at}: {event:?}");
        }
    }

    fn session(&mut self, id: &SessionId) -> &mut Session {
        self.sessions.get_mut(id).unwrap_or_else(|| panic!("{id} is not there"))
    }
}

impl Session {
    fn attach(&mut self, epoch: Epoch, takeover: bool, at: u64) {
        assert!(epoch > self.epoch, "an epoch that does not grow: {epoch:?} at {at}, {self:?}");
        assert_eq!(takeover, self.timer == Timer::Attached, "{self:?}");
        assert!(!self.is_overdue(at), "resumed at {at}, after its time: {self:?}");
        (self.epoch, self.timer) = (epoch, Timer::Attached);
    }

    fn is_reclaimed(&self, at: u64) {
        let Timer::RunsUntil(deadline) = self.timer else { panic!("reclaimed with no timer running: {self:?}") };
        assert!((deadline..=deadline + GRAIN_MS).contains(&at), "reclaimed at {at} and not at {deadline}");
    }

    fn is_overdue(&self, at: u64) -> bool {
        matches!(self.timer, Timer::RunsUntil(deadline) if at > deadline + GRAIN_MS)
    }
}
