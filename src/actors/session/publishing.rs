//! What a session's client publishes: sequences without gaps, a group a topic, one acknowledgement for all that is settled.

use std::{collections::VecDeque, sync::Arc};

use super::{Goodbye, State};
use crate::{
    actors::{
        topic::{TopicMsg, TopicRef},
        topic_manager::TopicManagerMsg,
    },
    connection::{Group, Spent},
    events::{Action, CloseReason},
    name::{NameError, TopicName},
    receipt::{Receipt, Refusal, Sequences, Settlement},
    wire::{Code, ErrorFrame, Failure, MAX_FAILURES, ServerFrame},
};

/// Topics whose way is remembered; at the bound, those not being looked up are forgotten.
const ROUTES: usize = 4_096;

const MAY_NOT_PUBLISH: &str = "you may not publish to this topic";

/// The publish sequences of a session.
#[derive(Debug, Default)]
pub(super) struct Publishing {
    /// The highest sequence taken in.
    taken: u64,
    /// Everything up to here has been answered.
    settled: u64,
    /// Chunks that have not been, in order; the first one's number is `first_pending`.
    pending: VecDeque<Pending>,
    first_pending: u64,
    failures: VecDeque<Failure>,
    /// Failures up to here have been forgotten.
    forgotten: u64,
}

#[derive(Debug)]
struct Pending {
    last: u64,
    refusals: Option<Vec<Refusal>>,
    /// The credit it spent, given back when it is answered.
    spent: Spent,
}

/// How a session reaches a topic.
#[derive(Debug)]
pub(super) enum Route {
    /// It is there and may be published to.
    Known(TopicRef),
    /// Being looked up; these groups and subscriptions wait for it, in order.
    LookingUp(Waiting),
}

/// What waits for a look-up.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    groups: Vec<TopicMsg>,
    /// An exact subscription waits, too.
    pub(super) subscription: bool,
}

impl Publishing {
    /// The last sequence that is settled.
    pub(super) fn settled(&self) -> u64 {
        self.settled
    }

    /// The highest sequence taken in, if it has not been answered.
    pub(super) fn unsettled(&self) -> Option<u64> {
        (self.taken > self.settled).then_some(self.taken)
    }

    /// True if nothing is left to be answered.
    pub(super) fn is_settled(&self) -> bool {
        self.pending.is_empty()
    }

    /// The failures after `known`, and up to where outcomes are unknown because too many were forgotten.
    pub(super) fn failures(&self, known: u64) -> (Vec<Failure>, Option<u64>) {
        // Nobody knows what is not settled, whatever a client says.
        let known = known.min(self.settled);
        (self.failures_in(known + 1, u64::MAX).collect(), (self.forgotten > known).then_some(self.forgotten))
    }

    fn failures_in(&self, first: u64, last: u64) -> impl Iterator<Item = Failure> {
        self.failures.iter().filter_map(move |failure| {
            let from = failure.sequence.max(first);
            let to = (failure.sequence + u64::from(failure.count) - 1).min(last);
            (from <= to).then(|| Failure { sequence: from, count: (to - from + 1) as u32, code: failure.code })
        })
    }

    /// What of `first` to `last` has failed, as far as it is remembered; what is not may have failed.
    fn told_again(&self, first: u64, last: u64) -> Vec<Failure> {
        let unknown = last.min(self.forgotten);
        let unknown = (first <= unknown).then(|| {
            let count = u32::try_from(unknown - first + 1).unwrap_or(u32::MAX);
            Failure { sequence: first, count, code: Code::Unavailable }
        });
        unknown.into_iter().chain(self.failures_in(first, last)).collect()
    }

    /// The client knows the outcomes up to `known`.
    pub(super) fn forget_failures(&mut self, known: u64) {
        let known = known.min(self.settled);
        self.failures.retain(|failure| failure.sequence + u64::from(failure.count) - 1 > known);
    }

    /// A chunk's number among all chunks of the session.
    fn open(&mut self, last: u64, spent: Spent) -> u64 {
        self.taken = last;
        self.pending.push_back(Pending { last, refusals: None, spent });
        self.first_pending + self.pending.len() as u64 - 1
    }

    /// A chunk was answered. Returns the refusals that are settled now, in order, and whether anything is.
    fn settle(&mut self, chunk: u64, refusals: Vec<Refusal>) -> (Vec<Refusal>, bool) {
        if let Some(pending) = chunk.checked_sub(self.first_pending).and_then(|at| self.pending.get_mut(at as usize)) {
            pending.refusals = Some(refusals);
        }
        let (mut told, before) = (Vec::new(), self.settled);
        while let Some(pending) = self.pending.pop_front_if(|pending| pending.refusals.is_some()) {
            self.first_pending += 1;
            self.settled = pending.last;
            let mut refusals = pending.refusals.unwrap_or_default();
            refusals.sort_by_key(|refusal| refusal.failure.sequence);
            told.extend(refusals);
            drop(pending.spent);
        }
        for Refusal { failure, .. } in &told {
            if self.failures.len() == MAX_FAILURES
                && let Some(oldest) = self.failures.pop_front()
            {
                self.forgotten = oldest.sequence + u64::from(oldest.count) - 1;
            }
            self.failures.push_back(*failure);
        }
        (told, self.settled > before)
    }
}

impl State {
    /// Takes a stretch of publishes in. False if the client broke the sequence and is being closed for it.
    pub(super) fn publish(
        &mut self,
        first: u64,
        count: u64,
        groups: Vec<Group>,
        misnamed: Vec<(Sequences, NameError)>,
        spent: Spent,
    ) -> bool {
        let expected = self.publishing.taken + 1;
        if first == 0 || first > expected || first.checked_add(count).is_none() {
            let reason = format!("publish sequence {first} where {expected} was expected; sequences start at 1 and have no gaps");
            self.say_goodbye(Goodbye::error(Code::Malformed, reason), CloseReason::ProtocolError);
            if let Some(attached) = &mut self.attached {
                attached.broken = true;
            }
            return false;
        }
        let last = first + count - 1;
        self.shared.stats.repeats.add(count.min(expected - first));
        if first < expected {
            self.tell_failures_again(first, last.min(expected - 1));
        }
        if last < expected {
            // All of it came before. What is settled is answered again; what is pending will be answered once.
            if let Some(attached) = &self.attached
                && first <= self.publishing.settled
            {
                attached.outbound.publish_ack(self.publishing.settled);
            }
            return true;
        }
        self.flow.published.add(last + 1 - expected);
        let chunk = self.publishing.open(last, spent);
        let settlement = Settlement::new(self.myself.clone(), Arc::clone(&self.shared.stats), chunk);
        for (mut sequences, error) in misnamed {
            sequences.skip(sequences.up_to(expected - 1));
            self.name_refused(&error);
            settlement.refuse(&sequences, Code::Malformed, &error.to_string());
        }
        for mut group in groups {
            group.skip = group.sequences.up_to(expected - 1);
            group.sequences.skip(group.skip);
            if group.skip < group.batch.len() {
                self.publish_group(group, &settlement);
            }
        }
        true
    }

    /// A repeat is answered like the first time: without this, the acknowledgement alone would call a failure a success.
    fn tell_failures_again(&self, first: u64, last: u64) {
        for failure in self.publishing.told_again(first, last) {
            let error = ErrorFrame::new(failure.code, "this publish failed before; a new attempt needs a new sequence");
            self.reply(&ServerFrame::Error(error.to_publishes(failure.sequence, failure.count)));
        }
    }

    fn publish_group(&mut self, group: Group, settlement: &Arc<Settlement>) {
        let Group { batch, skip, sequences, ingress } = group;
        let receipt = Receipt::new(settlement, sequences);
        let topic = batch.topic().clone();
        // Only a topic that may be published to becomes known; whatever else the route says is judged here.
        let known = matches!(self.routes.get(&topic), Some(Route::Known(_)));
        if !known && !self.judge.may(Action::Publish, &topic) {
            self.right_refused(Action::Publish, topic.as_str());
            return receipt.refuse(Code::Forbidden, MAY_NOT_PUBLISH);
        }
        self.send_to_topic(&topic, TopicMsg::Publish { batch, skip, receipt, ingress });
    }

    /// Sends a group on: by a way that is known, or that the table shows; else it waits until the manager has been asked.
    fn send_to_topic(&mut self, topic: &TopicName, message: TopicMsg) {
        let untaken = match self.routes.get_mut(topic) {
            Some(Route::LookingUp(waiting)) => return waiting.groups.push(message),
            Some(Route::Known(known)) => known.send(&self.shared.stats, message),
            None => match self.shared.topics.find(topic) {
                Some(found) => {
                    let untaken = found.send(&self.shared.stats, message);
                    self.remember(topic.clone(), Route::Known(found));
                    untaken
                }
                None => Some(message),
            },
        };
        // Killed or forgotten: the look-up waits until it has ended.
        if let Some(message) = untaken {
            self.look_up(topic).groups.push(message);
        }
    }

    /// Asks for the topic, unless it is being asked for already.
    pub(super) fn look_up(&mut self, topic: &TopicName) -> &mut Waiting {
        if !matches!(self.routes.get(topic), Some(Route::LookingUp(_))) {
            let find =
                TopicManagerMsg::Find { topic: topic.clone(), principal: self.principal.clone(), session: self.myself.clone() };
            // A manager that has failed takes this session with it.
            let _ = self.shared.tell(&self.topics, find);
            self.remember(topic.clone(), Route::LookingUp(Waiting::default()));
        }
        match self.routes.get_mut(topic) {
            Some(Route::LookingUp(waiting)) => waiting,
            Some(Route::Known(_)) | None => unreachable!("the route was just set to being looked up"),
        }
    }

    fn remember(&mut self, topic: TopicName, route: Route) {
        if self.routes.len() >= ROUTES {
            self.routes.retain(|_, route| matches!(route, Route::LookingUp(_)));
        }
        self.routes.insert(topic, route);
    }

    pub(super) fn topic_found(&mut self, topic: &TopicName, found: Result<TopicRef, (Code, String)>) {
        let Some(Route::LookingUp(Waiting { groups, subscription })) = self.routes.remove(topic) else { return };
        if subscription {
            self.topic_for_subscription(topic, &found);
        }
        match found {
            // Judged when it was asked for, and again now: the rights may be others.
            Ok(known) if self.judge.may(Action::Publish, topic) => {
                self.remember(topic.clone(), Route::Known(known));
                for group in groups {
                    self.send_to_topic(topic, group);
                }
            }
            Ok(_) => refuse_groups(groups, Code::Forbidden, MAY_NOT_PUBLISH),
            Err((code, reason)) => {
                if code == Code::Forbidden {
                    // What an operator has forbidden is not a matter of rights: it is no publish, whoever made the topic.
                    let action = if self.shared.bans.topic(topic).is_some() { Action::Publish } else { Action::Create };
                    self.right_refused(action, topic.as_str());
                }
                refuse_groups(groups, code, &reason);
            }
        }
    }

    /// A chunk was answered: failures first, then one acknowledgement for all that is settled.
    pub(super) fn settled(&mut self, chunk: u64, refusals: Vec<Refusal>) {
        let (told, any) = self.publishing.settle(chunk, refusals);
        for Refusal { failure, reason } in told {
            let error = ErrorFrame::new(failure.code, reason).to_publishes(failure.sequence, failure.count);
            self.reply(&ServerFrame::Error(error));
        }
        if let Some(attached) = &self.attached
            && any
        {
            attached.outbound.publish_ack(self.publishing.settled);
        }
        self.leave_when_settled();
    }
}

fn refuse_groups(groups: Vec<TopicMsg>, code: Code, reason: &str) {
    for group in groups {
        if let TopicMsg::Publish { receipt, .. } = group {
            receipt.refuse(code, reason);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*, sample::Index};

    use super::*;
    use crate::connection::Credit;

    fn refusal(sequence: u64, count: u32) -> Refusal {
        Refusal { failure: Failure { sequence, count, code: Code::Unavailable }, reason: String::new() }
    }

    fn publishing() -> (Publishing, Credit) {
        (Publishing::default(), Credit::new(u64::MAX, u64::MAX))
    }

    /// The sequences that failures name.
    fn named(failures: &[Failure]) -> Vec<u64> {
        failures.iter().flat_map(|failure| failure.sequence..failure.sequence + u64::from(failure.count)).collect()
    }

    proptest! {
        /// Chunks are answered in any order; what is acknowledged is a prefix, and its failures were told before, in order.
        #[test]
        fn only_what_is_settled_is_acknowledged(
            chunks in vec((1_u64..5, vec(any::<bool>(), 4)), 1..20),
            order in vec(any::<Index>(), 20),
        ) {
            let (mut publishing, credit) = publishing();
            let (mut open, mut last) = (Vec::new(), 0);
            for (count, refused) in chunks {
                let first = last + 1;
                last += count;
                let number = publishing.open(last, credit.spend(count, 1));
                // Refusals come in the order in which topics answer, not in that of the sequences.
                let mut refusals: Vec<_> =
                    (first..=last).zip(&refused).filter(|(_, no)| **no).map(|(n, _)| refusal(n, 1)).collect();
                refusals.reverse();
                open.push((number, first, last, refusals));
            }
            let expected: Vec<u64> = {
                let mut all: Vec<u64> = open.iter().flat_map(|(.., refusals)| refusals.iter().map(|r| r.failure.sequence)).collect();
                all.sort_unstable();
                all
            };
            let mut told = Vec::new();
            for at in order {
                if open.is_empty() {
                    break;
                }
                let (number, _, _, refusals) = open.swap_remove(at.index(open.len()));
                let before = publishing.settled();
                let (now, any) = publishing.settle(number, refusals);
                told.extend(now.iter().map(|refusal| refusal.failure.sequence));
                let first_open = open.iter().map(|(_, first, ..)| *first).min().unwrap_or(last + 1);
                prop_assert_eq!(publishing.settled(), first_open - 1);
                prop_assert_eq!(any, publishing.settled() > before);
                prop_assert_eq!(&told, &expected.iter().copied().filter(|n| *n < first_open).collect::<Vec<_>>());
            }
            prop_assert_eq!(named(&publishing.failures(0).0), told);
            prop_assert!(publishing.pending.is_empty());
        }

        /// A client that knows a part hears of all the rest, and of nothing that it knows.
        #[test]
        fn the_failures_after_what_a_client_knows_are_told(
            failures in vec((1_u64..4, 1_u32..4), 0..12),
            known in prop_oneof![0_u64..60, Just(u64::MAX)],
            forgotten in prop_oneof![0_u64..60, Just(u64::MAX)],
        ) {
            let (mut publishing, credit) = publishing();
            let (mut next, mut refusals) = (1, Vec::new());
            for (gap, count) in failures {
                refusals.push(refusal(next + gap, count));
                next += gap + u64::from(count);
            }
            let all = named(&refusals.iter().map(|refusal| refusal.failure).collect::<Vec<_>>());
            let chunk = publishing.open(next, credit.spend(1, 1));
            publishing.settle(chunk, refusals);
            // One connection knew this much, the next knows that: never less.
            let forgotten = forgotten.min(known);
            publishing.forget_failures(forgotten);
            let (told, unknown_to) = publishing.failures(known);
            prop_assert_eq!(named(&told), all.into_iter().filter(|n| *n > known).collect::<Vec<_>>());
            prop_assert_eq!(unknown_to, None);
        }
    }

    /// I5: failures are bounded, and up to where they were forgotten the outcome is unknown, not success.
    #[test]
    fn too_many_failures_are_unknown_outcomes() {
        let (mut publishing, credit) = publishing();
        let last = MAX_FAILURES as u64 + 5;
        let chunk = publishing.open(last, credit.spend(1, 1));
        publishing.settle(chunk, (1..=last).map(|n| refusal(n, 1)).collect());
        let (failures, unknown_to) = publishing.failures(0);
        assert_eq!((failures.len(), failures[0].sequence, unknown_to), (MAX_FAILURES, 6, Some(5)));
        assert_eq!(publishing.failures(3).1, Some(5));
        // Whoever knows what was forgotten knows everything.
        assert_eq!(publishing.failures(5).1, None);
    }

    /// A settlement of a chunk that is answered already, or never was, moves nothing.
    #[test]
    fn a_chunk_is_settled_once() {
        let (mut publishing, credit) = publishing();
        let chunk = publishing.open(3, credit.spend(3, 1));
        assert!(publishing.settle(chunk, Vec::new()).1);
        for stray in [chunk, chunk + 1, u64::MAX] {
            assert!(!publishing.settle(stray, vec![refusal(1, 1)]).1);
        }
        assert_eq!((publishing.settled(), publishing.failures(0)), (3, (Vec::new(), None)));
    }
}
