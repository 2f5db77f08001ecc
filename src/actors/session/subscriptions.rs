//! A session's subscriptions: requests on one filter are handled one after another, handles are never used twice.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
    time::Duration,
};

use ractor::ActorRef;

use super::{State, publishing::Route};
use crate::{
    actors::{
        SubscriberMsg,
        subscriber_manager::{Create, SubscriberManagerMsg},
        topic::TopicRef,
    },
    events::Action,
    limits::Limit,
    name::{Epoch, Filter, SubscriptionHandle, SubscriptionId, TopicName},
    subscription::SubscriptionQueue,
    topic_cell::Life,
    wire::{
        Code, HandleOf, Resubscribe, ServerFrame, SubscribeAck, SubscribeRequest, SubscriptionEnded, UnsubscribeAck,
        UnsubscribeRequest,
    },
};

/// The shortest ack timeout a client may ask for, and the longest.
const MIN_ACK_TIMEOUT: Duration = Duration::from_millis(100);
const MAX_ACK_TIMEOUT: Duration = Duration::from_hours(24);
/// Requests that may wait on one filter.
const MAX_WAITING: usize = 64;

/// What a client has subscribed to.
#[derive(Debug, Default)]
pub(super) struct Subscriptions {
    filters: BTreeMap<Filter, Subscription>,
    /// Who serves a handle.
    serving: BTreeMap<SubscriptionHandle, ActorRef<SubscriberMsg>>,
    last_handle: u32,
}

#[derive(Debug)]
struct Subscription {
    handle: SubscriptionHandle,
    ack_timeout: Duration,
    phase: Phase,
    /// Requests that came while another one on this filter was being handled.
    waiting: VecDeque<Waiting>,
}

impl Subscription {
    /// The request for it, if the client of `epoch` still waits for its answer: it does not know the handle.
    fn unanswered(&self, epoch: Epoch) -> Option<u32> {
        match self.phase {
            Phase::Starting { asked } if asked.epoch == epoch => Some(asked.request),
            Phase::Starting { .. } | Phase::Serving | Phase::Ending { .. } => None,
        }
    }
}

#[derive(Debug)]
enum Phase {
    /// Asked for; its topic is being looked up, or its subscriber created.
    Starting {
        asked: Asked,
    },
    Serving,
    /// Being ended because the client asked.
    Ending {
        asked: Epoch,
    },
}

/// Who asked for a subscription, and for what.
#[derive(Debug, Clone, Copy)]
struct Asked {
    epoch: Epoch,
    request: u32,
}

#[derive(Debug)]
enum Waiting {
    Subscribe(SubscribeRequest),
    Unsubscribe(UnsubscribeRequest),
}

impl Subscriptions {
    pub(super) fn subscriber(&self, handle: SubscriptionHandle) -> Option<&ActorRef<SubscriberMsg>> {
        self.serving.get(&handle)
    }

    pub(super) fn subscribers(&self) -> impl Iterator<Item = &ActorRef<SubscriberMsg>> {
        self.serving.values()
    }

    /// The surviving subscriptions with their handles, in order. One that is just being made is among them: its answer would
    /// go to a connection that is gone, and its first messages must not be the first that the client hears of it.
    pub(super) fn handles(&self) -> Vec<HandleOf> {
        let lives = |subscription: &Subscription| matches!(subscription.phase, Phase::Serving | Phase::Starting { .. });
        let living = self.filters.iter().filter(|(_, subscription)| lives(subscription));
        let mut handles: Vec<_> =
            living.map(|(filter, subscription)| HandleOf { filter: filter.clone(), handle: subscription.handle }).collect();
        handles.sort_by_key(|of| of.handle.0);
        handles
    }

    /// A new connection is here: requests of the one before that have not begun are void (I4), and their numbers mean nothing
    /// to it.
    pub(super) fn forget_waiting(&mut self) -> u64 {
        self.filters.values_mut().map(|subscription| subscription.waiting.drain(..).count() as u64).sum()
    }

    fn remove(&mut self, filter: &Filter) -> Option<Subscription> {
        let subscription = self.filters.remove(filter)?;
        self.serving.remove(&subscription.handle);
        Some(subscription)
    }
}

impl State {
    fn epoch(&self) -> Epoch {
        self.attached.as_ref().map(|attached| attached.epoch).unwrap_or_default()
    }

    pub(super) fn subscribe(&mut self, request: SubscribeRequest) {
        let id = request.request;
        let filter = match Filter::parse(&request.filter, &self.shared.name_rules()) {
            Ok(filter) => filter,
            Err(error) => {
                self.name_refused(&error);
                return self.refuse_request(id, Code::Malformed, error.to_string());
            }
        };
        if request.group.is_some() {
            let reason = "shared subscriptions are not there yet; leave `group` out";
            return self.refuse_request(id, Code::Malformed, reason);
        }
        if !self.judge.may_subscribe(&filter) {
            self.right_refused(Action::Subscribe, filter.as_str());
            return self.refuse_request(id, Code::Forbidden, "you may not subscribe to this filter");
        }
        match self.subscriptions.filters.get_mut(&filter) {
            Some(Subscription { phase: Phase::Serving, handle, ack_timeout, .. }) => {
                let ack_timeout_ms = ack_timeout.as_millis() as u64;
                let ack = SubscribeAck { request: id, filter, handle: *handle, ack_timeout_ms, existing: true };
                self.reply(&ServerFrame::SubscribeAck(ack));
            }
            Some(subscription) if subscription.waiting.len() < MAX_WAITING => {
                subscription.waiting.push_back(Waiting::Subscribe(request));
            }
            Some(_) => self.too_many_wait(id),
            None => self.start(filter, &request),
        }
    }

    fn too_many_wait(&self, request: u32) {
        self.shared.limit_hit(Limit::RequestsPerFilter, self.principal.as_str());
        let reason = format!("{MAX_WAITING} requests wait on this filter; wait for their answers");
        self.refuse_request(request, Code::TooMany, reason);
    }

    fn start(&mut self, filter: Filter, request: &SubscribeRequest) {
        let max = self.shared.config.sessions.max_subscriptions;
        if self.subscriptions.filters.len() >= max {
            self.shared.limit_hit(Limit::SubscriptionsPerSession, self.principal.as_str());
            let reason = format!("this session has {max} subscriptions (sessions.max_subscriptions); end one first");
            return self.refuse_request(request.request, Code::TooMany, reason);
        }
        self.subscriptions.last_handle += 1;
        let handle = SubscriptionHandle(self.subscriptions.last_handle);
        let ack_timeout = request.ack_timeout_ms.map_or(self.shared.config.queues.ack_timeout, |ms| {
            Duration::from_millis(ms).clamp(MIN_ACK_TIMEOUT, MAX_ACK_TIMEOUT)
        });
        let asked = Asked { epoch: self.epoch(), request: request.request };
        let phase = Phase::Starting { asked };
        self.subscriptions.filters.insert(filter.clone(), Subscription { handle, ack_timeout, phase, waiting: VecDeque::new() });
        let Some(topic) = filter.exact() else { return self.create(filter, asked, None) };
        match self.routes.get(&topic) {
            Some(Route::Known(known)) if known.cell.life() == Life::Open => {
                let known = known.clone();
                self.create(filter, asked, Some(known));
            }
            _ => self.look_up(&topic).subscription = true,
        }
    }

    fn create(&mut self, filter: Filter, asked: Asked, topic: Option<TopicRef>) {
        let Some(Subscription { handle, ack_timeout, .. }) = self.subscriptions.filters.get(&filter) else { return };
        let create = Create {
            id: SubscriptionId { session: self.id, filter },
            handle: *handle,
            principal: self.principal.clone(),
            ack_timeout: *ack_timeout,
            request: asked.request,
            session: self.myself.clone(),
            topic,
        };
        // A manager that has failed takes this session with it.
        let _ = self.shared.tell(&self.subscribers, SubscriberManagerMsg::Create(Box::new(create)));
    }

    /// The topic of an exact subscription was looked up.
    pub(super) fn topic_for_subscription(&mut self, topic: &TopicName, found: &Result<TopicRef, (Code, String)>) {
        let filter = Filter::from(topic.clone());
        let Some(Subscription { phase: Phase::Starting { asked }, .. }) = self.subscriptions.filters.get(&filter) else {
            return;
        };
        let asked = *asked;
        match found {
            Ok(topic) => self.create(filter, asked, Some(topic.clone())),
            Err((code, reason)) => self.subscribe_refused(&filter, asked.request, *code, reason),
        }
    }

    pub(super) fn subscribe_refused(&mut self, filter: &Filter, request: u32, code: Code, reason: &str) {
        let Some(subscription) = self.subscriptions.remove(filter) else { return };
        if subscription.unanswered(self.epoch()).is_some() {
            self.refuse_request(request, code, reason);
        } else {
            // A connection that came meanwhile was told of it as of one that lives.
            let (filter, handle, reason) = (filter.clone(), subscription.handle, reason.to_owned());
            self.reply(&ServerFrame::SubscriptionEnded(SubscriptionEnded { filter, handle, code, reason, lost: 0 }));
        }
        self.go_on(subscription.waiting);
    }

    /// A subscriber announces itself: answered if its client still waits for that, and resumed if it is here.
    pub(super) fn serving(
        &mut self,
        queue: &Arc<SubscriptionQueue>,
        subscriber: &ActorRef<SubscriberMsg>,
        ack: Option<SubscribeAck>,
    ) {
        let epoch = self.epoch();
        let Some(subscription) = self.subscriptions.filters.get_mut(&queue.id.filter) else { return };
        if subscription.handle != queue.handle {
            return;
        }
        let answered = subscription.unanswered(epoch).is_some();
        if matches!(subscription.phase, Phase::Starting { .. }) {
            subscription.phase = Phase::Serving;
        }
        let waiting = std::mem::take(&mut subscription.waiting);
        self.subscriptions.serving.insert(queue.handle, subscriber.clone());
        match ack {
            Some(ack) if answered && self.attached.is_some() => self.reply(&ServerFrame::SubscribeAck(ack)),
            Some(_) => tracing::debug!(session = %self.id, filter = %queue.id.filter, "nobody is there for the SubscribeAck"),
            None => {}
        }
        if self.attached.is_some() {
            self.resume(subscriber);
        } else {
            // One that takes the place of another may have a queue that nobody has parked.
            let _ = self.shared.tell(subscriber, SubscriberMsg::Park { epoch });
        }
        self.go_on(waiting);
    }

    /// Handles what waited on a filter.
    fn go_on(&mut self, waiting: VecDeque<Waiting>) {
        for request in waiting {
            match request {
                Waiting::Subscribe(request) => self.subscribe(request),
                Waiting::Unsubscribe(request) => self.unsubscribe(&request),
            }
        }
    }

    pub(super) fn unsubscribe(&mut self, request: &UnsubscribeRequest) {
        let id = request.request;
        let filter = match Filter::parse(&request.filter, &self.shared.name_rules()) {
            Ok(filter) => filter,
            Err(error) => {
                self.name_refused(&error);
                return self.refuse_request(id, Code::Malformed, error.to_string());
            }
        };
        let epoch = self.epoch();
        match self.subscriptions.filters.get_mut(&filter) {
            None => self.reply(&ServerFrame::UnsubscribeAck(UnsubscribeAck { request: id, filter, existed: false })),
            Some(subscription) if matches!(subscription.phase, Phase::Serving) => {
                subscription.phase = Phase::Ending { asked: epoch };
                self.subscriptions.serving.retain(|handle, _| *handle != subscription.handle);
                let message = SubscriberManagerMsg::Unsubscribe {
                    id: SubscriptionId { session: self.id, filter },
                    request: id,
                    session: self.myself.clone(),
                };
                let _ = self.shared.tell(&self.subscribers, message);
            }
            Some(subscription) if subscription.waiting.len() < MAX_WAITING => {
                subscription.waiting.push_back(Waiting::Unsubscribe(request.clone()));
            }
            Some(_) => self.too_many_wait(id),
        }
    }

    pub(super) fn unsubscribed(&mut self, filter: Filter, request: u32, existed: bool) {
        let Some(subscription) = self.subscriptions.remove(&filter) else { return };
        if matches!(subscription.phase, Phase::Ending { asked } if asked == self.epoch()) {
            self.reply(&ServerFrame::UnsubscribeAck(UnsubscribeAck { request, filter, existed }));
        }
        self.go_on(subscription.waiting);
    }

    pub(super) fn subscription_ended(&mut self, filter: Filter, code: Code, reason: String, lost: u64) {
        let Some(subscription) = self.end_serving(&filter) else { return };
        if let Some(request) = subscription.unanswered(self.epoch()) {
            self.refuse_request(request, code, reason);
        } else {
            let ended = SubscriptionEnded { filter, handle: subscription.handle, code, reason, lost };
            self.reply(&ServerFrame::SubscriptionEnded(ended));
        }
        self.go_on(subscription.waiting);
    }

    pub(super) fn subscriber_failed(&mut self, filter: Filter, lost: u64) {
        let Some(subscription) = self.end_serving(&filter) else { return };
        if let Some(request) = subscription.unanswered(self.epoch()) {
            self.refuse_request(request, Code::Internal, "the subscription failed; subscribe again");
        } else {
            let again = Resubscribe { filter, handle: subscription.handle, lost };
            self.reply(&ServerFrame::Resubscribe(again));
        }
        self.go_on(subscription.waiting);
    }

    /// A subscription has been ended by someone else, perhaps before its subscriber could announce itself. One that is ending
    /// answers for itself.
    fn end_serving(&mut self, filter: &Filter) -> Option<Subscription> {
        let subscription = self.subscriptions.filters.get(filter)?;
        if !matches!(subscription.phase, Phase::Serving | Phase::Starting { .. }) {
            return None;
        }
        self.subscriptions.remove(filter)
    }
}
