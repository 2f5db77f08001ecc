//! What may happen next: for the most part what makes a difference in the state there is.

use cordboard::wire::Nack;
use proptest::{prelude::*, sample::select};
use proptest_state_machine::ReferenceStateMachine;

use super::{
    reference::{CLIENTS, FILTERS, Life, Reference, TOPICS},
    words::Transition,
};

impl Reference {
    fn clients(&self, with_line: bool) -> Vec<usize> {
        (0..CLIENTS).filter(|client| self.lines[*client].is_some() == with_line).collect()
    }

    /// Subscriptions whose client is there, with the highest number sent.
    fn read(&self) -> Vec<(usize, &'static str, u64)> {
        let lines = self.lines.iter().enumerate().filter_map(|(client, session)| Some((client, (*session)?)));
        let of = |(client, session): (usize, usize)| {
            let queues = self.sessions[session].subscriptions.iter();
            queues.map(move |(filter, (_, queue))| (client, *filter, queue.sent))
        };
        lines.flat_map(of).collect()
    }

    /// Sessions whose timer runs, or is held.
    fn away(&self) -> Vec<usize> {
        let is_away = |at: &usize| matches!(self.sessions[*at].life, Life::Away { .. });
        (0..self.sessions.len()).filter(is_away).collect()
    }

    /// All subscriptions, by session.
    fn subscriptions(&self) -> Vec<(usize, &'static str)> {
        let sessions = self.sessions.iter().enumerate();
        sessions.flat_map(|(at, session)| session.subscriptions.keys().map(move |filter| (at, *filter))).collect()
    }
}

impl ReferenceStateMachine for Reference {
    type State = Self;
    type Transition = Transition;

    fn init_state() -> BoxedStrategy<Self> {
        Just(Self::default()).boxed()
    }

    fn transitions(state: &Self) -> BoxedStrategy<Transition> {
        let pass = prop_oneof![Just(1_000), Just(20_000), Just(70_000)].prop_map(|ms| Transition::Pass { ms });
        let mut all = vec![(2, pass.boxed()), (2, about_topics().boxed()), (1, Just(Transition::ForbidAll).boxed())];
        if state.all_forbidden {
            all.push((20, Just(Transition::AllowAll).boxed()));
        }
        if !state.forbidden.is_empty() {
            let forbidden: Vec<_> = state.forbidden.iter().copied().collect();
            all.push((4, select(forbidden).prop_map(|topic| Transition::Allow { topic }).boxed()));
        }
        let (here, free) = (state.clients(true), state.clients(false));
        if !free.is_empty() {
            all.push((3, select(free.clone()).prop_map(|client| Transition::Register { client }).boxed()));
        }
        if !state.sessions.is_empty() {
            let session = 0..state.sessions.len();
            if !free.is_empty() {
                let claim = (select(free), session.clone()).prop_map(|(client, session)| Transition::Claim { client, session });
                all.push((6, claim.boxed()));
            }
            all.push((3, orders(session).boxed()));
        }
        let away = state.away();
        if !away.is_empty() {
            all.push((5, timers(away).boxed()));
        }
        if !here.is_empty() {
            all.push((20, of_clients(here).boxed()));
        }
        if !state.read().is_empty() {
            all.push((12, settlements(state.read()).boxed()));
        }
        if !state.subscriptions().is_empty() {
            let of_subscription = (select(state.subscriptions()), any::<bool>()).prop_map(|((session, filter), purge)| {
                if purge { Transition::Purge { session, filter } } else { Transition::Redeliver { session, filter } }
            });
            all.push((2, of_subscription.boxed()));
        }
        proptest::strategy::Union::new_weighted(all).boxed()
    }

    /// A shrunk sequence may have lost what a transition was made for.
    fn preconditions(state: &Self, transition: &Transition) -> bool {
        match transition {
            Transition::Register { client } => state.lines[*client].is_none(),
            Transition::Claim { client, session } => state.lines[*client].is_none() && *session < state.sessions.len(),
            Transition::Lose { client }
            | Transition::Leave { client, .. }
            | Transition::Publish { client, .. }
            | Transition::Subscribe { client, .. }
            | Transition::Unsubscribe { client, .. } => state.lines[*client].is_some(),
            Transition::Ack { client, filter, .. } | Transition::Nack { client, filter, .. } => {
                state.read().iter().any(|(reader, read, _)| reader == client && read == filter)
            }
            Transition::Evict { session }
            | Transition::Drop { session }
            | Transition::Hold { session }
            | Transition::Extend { session, .. }
            | Transition::Purge { session, .. }
            | Transition::Redeliver { session, .. } => *session < state.sessions.len(),
            Transition::Kill { .. }
            | Transition::Forbid { .. }
            | Transition::Allow { .. }
            | Transition::ForbidAll
            | Transition::AllowAll
            | Transition::Pass { .. } => true,
        }
    }

    fn apply(mut state: Self, transition: &Transition) -> Self {
        state.step(transition);
        state
    }
}

fn of_clients(here: Vec<usize>) -> impl Strategy<Value = Transition> {
    let here = select(here);
    let client = move || here.clone();
    let (filter, topic) = (|| select(FILTERS.as_slice()), select(TOPICS.as_slice()));
    prop_oneof![
        8 => (client(), topic, 1_u64..6).prop_map(|(client, topic, count)| Transition::Publish { client, topic, count }),
        6 => (client(), filter()).prop_map(|(client, filter)| Transition::Subscribe { client, filter }),
        1 => (client(), filter()).prop_map(|(client, filter)| Transition::Unsubscribe { client, filter }),
        3 => client().prop_map(|client| Transition::Lose { client }),
        1 => (client(), any::<bool>()).prop_map(|(client, end)| Transition::Leave { client, end }),
    ]
}

/// Numbers up to one that was never sent.
fn settlements(read: Vec<(usize, &'static str, u64)>) -> impl Strategy<Value = Transition> {
    let what = prop_oneof![4 => Just(None), 3 => Just(Some(Nack::Again)), 2 => Just(Some(Nack::Poison))];
    (select(read), what, 0..=8_u64).prop_map(|((client, filter, sent), what, back)| {
        let number = (sent + 1).saturating_sub(back);
        match what {
            None => Transition::Ack { client, filter, number },
            Some(what) => Transition::Nack { client, filter, number, what },
        }
    })
}

/// To any session, whether it makes sense or not.
fn orders(session: std::ops::Range<usize>) -> impl Strategy<Value = Transition> {
    (session, 0..4).prop_map(|(session, which)| match which {
        0 => Transition::Evict { session },
        1 => Transition::Drop { session },
        2 => Transition::Hold { session },
        _ => Transition::Extend { session, by_ms: 10_005 },
    })
}

fn about_topics() -> impl Strategy<Value = Transition> {
    (select(TOPICS.as_slice()), 0..4).prop_map(|(topic, which)| match which {
        0 | 1 => Transition::Kill { topic },
        2 => Transition::Forbid { topic },
        _ => Transition::Allow { topic },
    })
}

fn timers(away: Vec<usize>) -> impl Strategy<Value = Transition> {
    (select(away), any::<bool>(), 1..8_u64).prop_map(|(session, hold, tens)| {
        if hold { Transition::Hold { session } } else { Transition::Extend { session, by_ms: tens * 10_000 + 5 } }
    })
}
