//! The session: a client's identity at the broker, whether or not it is connected. What its client sends comes through here to
//! topics and subscribers, and what they have for it goes out through here; whatever carries an older epoch goes nowhere (I4).

mod attachment;
mod publishing;
mod rights;
mod subscriptions;

use std::sync::Arc;

use ractor::{Actor, ActorProcessingErr, ActorRef};

pub(crate) use self::attachment::{Attach, ConnectionGone, Goodbye, Lease, Registered};
use self::{
    attachment::Attached,
    publishing::{Publishing, Route},
    rights::Judge,
    subscriptions::Subscriptions,
};
use super::{
    Door, Living, RightsChanged, SubscriberMsg, alive,
    listener::ListenerMsg,
    subscriber_manager::{SubscriberManagerMsg, SubscriptionsEnded},
    topic::TopicRef,
    topic_manager::TopicManagerMsg,
    watch::{Doing, kinds},
};
use crate::{
    commons::Commons,
    connection::{Chunk, Delivery, Request, Requests},
    events::{Action, CloseReason, Event},
    limits::Limit,
    name::{Epoch, Filter, NameError, Principal, SessionId, TopicName},
    receipt::Refusal,
    stats::Counter,
    subscription::SubscriptionQueue,
    wire::{Code, Disconnect, ErrorFrame, ServerFrame, SubscribeAck},
};

/// What a session can be asked.
#[derive(Debug)]
pub(crate) enum SessionMsg {
    /// A client is here; whoever was before is displaced.
    Attach(Box<Attach>),
    /// The connection of this epoch is gone.
    Detach { epoch: Epoch },
    /// End the subscriptions, and stop. Its client has been told.
    End { done: Door<SubscriptionsEnded> },
    /// Close the connection, if there is one; the session lives.
    Drop { goodbye: Goodbye },
    /// Handle what the reader read.
    Chunk(Box<Chunk>),
    /// The topic that was looked up.
    TopicFound { topic: TopicName, found: Result<TopicRef, (Code, String)> },
    /// All groups of a chunk have been answered.
    Settled { chunk: u64, refusals: Vec<Refusal> },
    /// A subscriber is there: a new one, or one in place of one that failed.
    Serving { queue: Arc<SubscriptionQueue>, subscriber: ActorRef<SubscriberMsg>, ack: Option<SubscribeAck> },
    /// A subscription was not created.
    SubscribeRefused { filter: Filter, request: u32, code: Code, reason: String },
    /// A subscription was ended because the client asked.
    Unsubscribed { filter: Filter, request: u32, existed: bool },
    /// A subscription was ended by someone else.
    SubscriptionEnded { filter: Filter, code: Code, reason: String, lost: u64 },
    /// A subscriber failed too often: the client should subscribe again.
    SubscriberFailed { filter: Filter, lost: u64 },
    /// What its principal may do is something else now.
    RightsChanged(RightsChanged),
    /// Send these messages to the client of this epoch.
    Deliver { epoch: Epoch, deliveries: Vec<Delivery> },
}

kinds! {
    SessionMsg: RightsChanged
    Attach Detach End Drop Chunk TopicFound Settled Serving SubscribeRefused Unsubscribed SubscriptionEnded SubscriberFailed
    Deliver
}

/// A client said `Disconnect{end: true}`.
#[derive(Debug)]
pub(crate) struct ClientEnds {
    pub(crate) session: SessionId,
    pub(crate) epoch: Epoch,
}

/// A client's goodbye.
#[derive(Debug)]
struct Leaving {
    epoch: Epoch,
    /// Its session ends with it.
    end: bool,
}

/// What flowed through a session, for its manager's samples.
#[derive(Debug, Default)]
pub(crate) struct Flow {
    pub(crate) published: Counter,
    pub(crate) delivered: Counter,
}

/// A session's references, in dependency order.
pub(crate) struct Arguments {
    pub(crate) shared: Arc<Commons>,
    pub(crate) id: SessionId,
    pub(crate) principal: Principal,
    pub(crate) flow: Arc<Flow>,
    pub(crate) topics: ActorRef<TopicManagerMsg>,
    pub(crate) subscribers: ActorRef<SubscriberManagerMsg>,
    pub(crate) ends: Door<ClientEnds>,
    /// What this session is doing.
    pub(crate) doing: Arc<Doing>,
}

pub(crate) struct Session;

pub(crate) struct State {
    shared: Arc<Commons>,
    id: SessionId,
    principal: Principal,
    judge: Judge,
    flow: Arc<Flow>,
    topics: ActorRef<TopicManagerMsg>,
    subscribers: ActorRef<SubscriberManagerMsg>,
    ends: Door<ClientEnds>,
    myself: ActorRef<SessionMsg>,
    attached: Option<Attached>,
    leaving: Option<Leaving>,
    publishing: Publishing,
    routes: std::collections::HashMap<TopicName, Route>,
    subscriptions: Subscriptions,
    doing: Arc<Doing>,
    requests: Requests,
    _alive: Living,
}

impl Drop for State {
    /// However a session ends without having said goodbye, a panic included, the connection it still has is closed: also one
    /// that has just been taken over and that nobody else remembers.
    fn drop(&mut self) {
        self.say_goodbye(Goodbye::of_failure(&self.doing, "the session"), CloseReason::SessionEnded);
    }
}

impl Actor for Session {
    type Msg = SessionMsg;
    type State = State;
    type Arguments = Arguments;

    async fn pre_start(&self, myself: ActorRef<SessionMsg>, args: Arguments) -> Result<State, ActorProcessingErr> {
        let Arguments { shared, id, principal, flow, topics, subscribers, ends, doing } = args;
        let (alive, requests) = (alive(&shared), Requests::new(Commons::now()));
        let judge = Judge::new(&shared.access, &principal);
        Ok(State {
            shared,
            id,
            principal,
            judge,
            flow,
            topics,
            subscribers,
            ends,
            myself,
            attached: None,
            leaving: None,
            publishing: Publishing::default(),
            routes: std::collections::HashMap::new(),
            subscriptions: Subscriptions::default(),
            doing,
            requests,
            _alive: alive,
        })
    }

    async fn handle(&self, _: ActorRef<SessionMsg>, message: SessionMsg, state: &mut State) -> Result<(), ActorProcessingErr> {
        match message {
            SessionMsg::Attach(attach) => state.attach(*attach),
            SessionMsg::Detach { epoch } => state.detach(epoch),
            SessionMsg::End { done } => state.end(done),
            SessionMsg::Drop { goodbye } => state.say_goodbye(goodbye, CloseReason::Dropped),
            SessionMsg::Chunk(chunk) => state.chunk(*chunk),
            SessionMsg::TopicFound { topic, found } => state.topic_found(&topic, found),
            SessionMsg::Settled { chunk, refusals } => state.settled(chunk, refusals),
            SessionMsg::Serving { queue, subscriber, ack } => state.serving(&queue, &subscriber, ack),
            SessionMsg::SubscribeRefused { filter, request, code, reason } => {
                state.subscribe_refused(&filter, request, code, &reason);
            }
            SessionMsg::Unsubscribed { filter, request, existed } => state.unsubscribed(filter, request, existed),
            SessionMsg::SubscriptionEnded { filter, code, reason, lost } => state.subscription_ended(filter, code, reason, lost),
            SessionMsg::SubscriberFailed { filter, lost } => state.subscriber_failed(filter, lost),
            SessionMsg::RightsChanged(changed) => {
                state.look_at_rights();
                // The order is answered when the last one has looked.
                drop(changed);
            }
            SessionMsg::Deliver { epoch, deliveries } => state.deliver(epoch, deliveries),
        }
        Ok(())
    }
}

impl State {
    /// True if `epoch` is the connection's; what carries another one is counted.
    fn is_current(&self, epoch: Epoch) -> bool {
        let current = self.attached.as_ref().is_some_and(|attached| attached.epoch == epoch);
        if !current {
            self.shared.stats.stale.add(1);
        }
        current
    }

    /// Sends a frame to the client, if it is there.
    fn reply(&self, frame: &ServerFrame<'_>) {
        if let Some(attached) = &self.attached {
            attached.outbound.reply(frame);
        }
    }

    fn refuse_request(&self, request: u32, code: Code, reason: impl Into<String>) {
        self.reply(&ServerFrame::Error(ErrorFrame::new(code, reason).to_request(request)));
    }

    fn chunk(&mut self, chunk: Chunk) {
        let broken = self.attached.as_ref().is_some_and(|attached| attached.broken);
        if !self.is_current(chunk.epoch) || self.leaving.is_some() || broken {
            return;
        }
        self.look_at_rights();
        for (handle, number) in &chunk.acks {
            match self.subscriptions.subscriber(*handle) {
                Some(subscriber) => {
                    let _ = self.shared.tell(subscriber, SubscriberMsg::Ack { epoch: chunk.epoch, number: *number });
                }
                None => self.shared.stats.bad_acks.add(1),
            }
        }
        let Chunk { epoch, first, count, groups, misnamed, request, spent, .. } = chunk;
        if count > 0 && !self.publish(first, count, groups, misnamed, spent) {
            return;
        }
        match request {
            None => {}
            Some(Request::Subscribe(request)) => self.subscribe(request),
            Some(Request::Unsubscribe(request)) => self.unsubscribe(&request),
            Some(Request::Nack(nack)) => match self.subscriptions.subscriber(nack.handle) {
                Some(subscriber) => {
                    let message = SubscriberMsg::Nack { epoch, number: nack.number, what: nack.what };
                    let _ = self.shared.tell(subscriber, message);
                }
                None => self.shared.stats.bad_acks.add(1),
            },
            Some(Request::Disconnect(Disconnect { end })) => {
                self.leaving = Some(Leaving { epoch, end });
                self.leave_when_settled();
            }
        }
    }

    /// A client that has said goodbye leaves when everything it published has been answered.
    fn leave_when_settled(&mut self) {
        if !self.publishing.is_settled() {
            return;
        }
        match self.leaving.take() {
            Some(Leaving { epoch, end: true }) => {
                self.ends.send(ClientEnds { session: self.id, epoch });
            }
            Some(Leaving { end: false, .. }) => self.say_goodbye(Goodbye::Silent, CloseReason::Disconnected),
            None => {}
        }
    }

    fn deliver(&mut self, epoch: Epoch, deliveries: Vec<Delivery>) {
        if !self.is_current(epoch) {
            return;
        }
        if let Some(attached) = &self.attached {
            // Taken before the client unsubscribed, and counted as lost with the queue: after the answer nothing comes.
            if deliveries.iter().any(|delivery| self.subscriptions.subscriber(delivery.queue.handle).is_none()) {
                self.shared.stats.stale.add(1);
                drop(deliveries);
                return attached.outbound.wrote(0);
            }
            self.flow.delivered.add(deliveries.iter().map(|delivery| u64::from(delivery.run.len)).sum());
            attached.outbound.deliver(deliveries);
        }
    }

    fn right_refused(&self, action: Action, name: &str) {
        let (session, principal) = (self.id, self.principal.clone());
        let event = || Event::RightRefused { session, principal, action, name: name.to_owned(), times: 1 };
        self.shared.repeated("rights", &session.to_string(), event);
    }

    /// A name was refused; where a bound was the reason, it was hit.
    fn name_refused(&self, error: &NameError) {
        let limit = match error {
            NameError::TooLong { .. } => Limit::NameBytes,
            NameError::TooDeep { .. } => Limit::NameLevels,
            _ => return,
        };
        self.shared.limit_hit(limit, self.principal.as_str());
    }

    /// The client is told why and closed; the session stays as it is until its manager hears of the loss.
    fn say_goodbye(&self, goodbye: Goodbye, why: CloseReason) {
        if let Some(attached) = &self.attached {
            // A listener that has just ended needs no goodbye.
            let _ = self.shared.tell(&attached.listener, ListenerMsg::Close { goodbye, why });
        }
    }

    fn end(&mut self, done: Door<SubscriptionsEnded>) {
        self.attached = None;
        // Behind everything that this session has asked before.
        let _ = self.shared.tell(&self.subscribers, SubscriberManagerMsg::EndSession { session: self.id, done });
        self.myself.stop(None);
    }
}
