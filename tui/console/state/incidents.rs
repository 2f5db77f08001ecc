//! What went wrong lately, one entry a thing and kind: the part of "needs attention" that the board does not remember.

use std::collections::BTreeMap;

use cordboard::{
    clock::Moment,
    events::{Event, SessionEnd, Stamped},
};

use super::{subject::Subject, text::safe};

/// How long an incident is worth a line.
pub(crate) const REMEMBERED_MS: u64 = 10 * 60 * 1_000;
/// At most so many are kept; the oldest goes first.
const MOST: usize = 512;

/// What kind of thing went wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Trouble {
    /// Messages were dropped from a queue or a backlog.
    Dropped,
    /// An actor failed and was restarted.
    Restarted,
    /// An actor failed and is gone.
    Failed,
    /// A bound was reached.
    Limit,
    /// Registrations were refused.
    Registrations,
    /// Rights were refused.
    Rights,
    /// A configuration was read and not taken.
    Configuration,
}

/// One thing that went wrong, however often.
#[derive(Debug, Clone)]
pub(crate) struct Incident {
    /// The last time.
    pub(crate) last: Moment,
    /// How often, or how many messages.
    pub(crate) count: u64,
    /// The last reason.
    pub(crate) why: String,
}

/// What went wrong lately.
#[derive(Debug, Clone, Default)]
pub(crate) struct Incidents(BTreeMap<(Trouble, Subject, String), Incident>);

impl Incidents {
    /// Remembers `stamped` if it is bad news.
    pub(crate) fn note(&mut self, stamped: &Stamped) {
        let subject = || match &stamped.event {
            // Those that are refused in a burst have a connection each; what there is to see are the events.
            Event::RegistrationRefused { .. } | Event::Order(_) => Subject::Broker,
            Event::SessionEnded { id, .. } => Subject::Actor((*id).into()),
            event => Subject::of_event(event).unwrap_or(Subject::Broker),
        };
        let (trouble, count, why) = match &stamped.event {
            Event::SubscriptionOverflowed { dropped, why, .. } | Event::BacklogOverflowed { dropped, why, .. } => {
                (Trouble::Dropped, *dropped, super::words::drop_reason(*why).to_owned())
            }
            Event::TopicRestarted { why, .. } | Event::SubscriptionRestarted { why, .. } => (Trouble::Restarted, 1, safe(why)),
            Event::ManagerFailed { manager, why } => (Trouble::Restarted, 1, format!("{}: {}", safe(manager), safe(why))),
            Event::ListenerFailed { why, .. } | Event::SessionEnded { why: SessionEnd::Failed { why }, .. } => {
                (Trouble::Failed, 1, safe(why))
            }
            Event::LimitHit { limit, who, times } => (Trouble::Limit, *times, format!("{} by {}", safe(limit), safe(who))),
            Event::RegistrationRefused { code, why, times, .. } => {
                (Trouble::Registrations, *times, format!("{code} {}", safe(why)))
            }
            Event::RightRefused { name, action, times, .. } => {
                (Trouble::Rights, *times, format!("{} {}", super::words::action(*action), safe(name)))
            }
            Event::Order(record) if super::words::is_failed_reload(record) => {
                (Trouble::Configuration, 1, super::words::outcome(&record.outcome))
            }
            Event::ConfigurationRead { .. } => return self.0.retain(|(trouble, ..), _| *trouble != Trouble::Configuration),
            _ => return,
        };
        // Several limits are several troubles; for the rest the last reason stands for all.
        let apart = if trouble == Trouble::Limit { why.clone() } else { String::new() };
        let entry =
            self.0.entry((trouble, subject(), apart)).or_insert(Incident { last: stamped.at, count: 0, why: String::new() });
        (entry.last, entry.why) = (stamped.at, why);
        entry.count += count;
        if self.0.len() > MOST
            && let Some(oldest) = self.0.iter().min_by_key(|(_, incident)| incident.last).map(|(key, _)| key.clone())
        {
            self.0.remove(&oldest);
        }
    }

    /// Forgets what is old; true if there was any.
    pub(crate) fn expire(&mut self, now: Moment) -> bool {
        let before = self.0.len();
        self.0.retain(|_, incident| (incident.last.up.until(now.up).as_millis() as u64) < REMEMBERED_MS);
        before != self.0.len()
    }

    /// All of them.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (Trouble, &Subject, &Incident)> {
        self.0.iter().map(|((trouble, subject, _), incident)| (*trouble, subject, incident))
    }
}
