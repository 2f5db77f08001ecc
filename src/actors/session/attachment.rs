//! A session's client: how it comes, goes, and is told goodbye.

use std::{sync::Arc, time::Duration};

use ractor::ActorRef;

use super::{SessionMsg, State};
use crate::{
    actors::{Doing, Door, SubscriberMsg, listener::ListenerMsg},
    connection::{Credit, Outbound, Requests},
    events::CloseReason,
    name::{Epoch, SessionId},
    wire::{self, AckMode, Code, ErrorFrame, Evicted, RegistrationResponse, ServerFrame},
};

/// A client that has been admitted, on its way through the session to its listener.
#[derive(Debug)]
pub(crate) struct Attach {
    pub(crate) epoch: Epoch,
    pub(crate) resumed: bool,
    pub(crate) listener: ActorRef<ListenerMsg>,
    pub(crate) outbound: Arc<Outbound>,
    pub(crate) lease: Lease,
    pub(crate) ack: AckMode,
    /// The last publish sequence that the client knows settled.
    pub(crate) settled: u64,
    pub(crate) keep_alive: Duration,
    pub(crate) reclaim: Duration,
}

/// The connection of a session.
#[derive(Debug)]
pub(super) struct Attached {
    pub(super) epoch: Epoch,
    pub(super) listener: ActorRef<ListenerMsg>,
    pub(super) outbound: Arc<Outbound>,
    pub(super) ack: AckMode,
    /// The client broke the protocol: what it has sent behind that is not handled.
    pub(super) broken: bool,
}

/// What a listener is told when its client is admitted.
#[derive(Debug)]
pub(crate) struct Registered {
    pub(crate) session: SessionId,
    pub(crate) epoch: Epoch,
    pub(crate) actor: ActorRef<SessionMsg>,
    pub(crate) lease: Lease,
    pub(crate) keep_alive: Duration,
    pub(crate) credit: Credit,
    pub(crate) requests: Requests,
}

/// A connection's hold on a session. Wherever it is dropped (in a listener that ends or fails, in a message that nobody
/// handled), the session manager hears that this epoch's connection is gone: once, and never not.
#[derive(Debug)]
pub(crate) struct Lease {
    pub(crate) session: SessionId,
    pub(crate) epoch: Epoch,
    pub(crate) why: CloseReason,
    pub(crate) gone: Door<ConnectionGone>,
}

/// A session's connection is gone.
#[derive(Debug)]
pub(crate) struct ConnectionGone {
    pub(crate) session: SessionId,
    pub(crate) epoch: Epoch,
    pub(crate) why: CloseReason,
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.gone.send(ConnectionGone { session: self.session, epoch: self.epoch, why: self.why });
    }
}

/// The last thing a client is told.
#[derive(Debug, Clone)]
pub(crate) enum Goodbye {
    /// Nothing: it knows, or it is gone.
    Silent,
    Displaced,
    Evicted {
        reason: String,
    },
    Error {
        code: Code,
        reason: String,
        /// After how long it makes sense to come back.
        wait: Option<Duration>,
    },
}

impl Goodbye {
    pub(crate) fn error(code: Code, reason: impl Into<String>) -> Self {
        Self::Error { code, reason: reason.into(), wait: None }
    }

    /// What is said for an actor that ends and was not asked to: in the middle of something it has failed, else its manager has.
    pub(crate) fn of_failure(doing: &Doing, what: &str) -> Self {
        match doing.now() {
            Some(_) => Self::error(Code::Internal, format!("{what} has failed; connect again")),
            None => Self::error(Code::Unavailable, "the broker is restarting; connect again"),
        }
    }

    /// The frame that says it.
    pub(crate) fn frame(self) -> Option<ServerFrame<'static>> {
        match self {
            Self::Silent => None,
            Self::Displaced => Some(ServerFrame::Displaced),
            Self::Evicted { reason } => Some(ServerFrame::Evicted(Evicted { reason })),
            Self::Error { code, reason, wait } => {
                let mut error = ErrorFrame::new(code, reason).retry_after(wait);
                if code == Code::VersionNotSupported {
                    error.versions = vec![wire::VERSION];
                }
                Some(ServerFrame::Error(error))
            }
        }
    }
}

impl State {
    /// The response first, then each subscriber empties its queue behind it.
    pub(super) fn attach(&mut self, attach: Attach) {
        self.say_goodbye(Goodbye::Displaced, CloseReason::Displaced);
        self.leaving = None;
        self.publishing.forget_failures(attach.settled);
        self.shared.stats.stale.add(self.subscriptions.forget_waiting());
        attach.outbound.reply(&ServerFrame::RegistrationResponse(self.response(&attach)));
        let publishing = &self.shared.config.publishing;
        let registered = Registered {
            session: self.id,
            epoch: attach.epoch,
            actor: self.myself.clone(),
            lease: attach.lease,
            keep_alive: attach.keep_alive,
            credit: Credit::new(publishing.credit_messages as u64, publishing.credit_bytes as u64),
            requests: self.requests.clone(),
        };
        // If the listener has ended, the lease says so when this message is dropped.
        let _ = self.shared.tell(&attach.listener, ListenerMsg::Registered(Box::new(registered)));
        let Attach { epoch, listener, outbound, ack, .. } = attach;
        self.attached = Some(Attached { epoch, listener, outbound, ack, broken: false });
        for subscriber in self.subscriptions.subscribers() {
            self.resume(subscriber);
        }
    }

    fn response(&self, attach: &Attach) -> RegistrationResponse {
        let config = &self.shared.config;
        let (failures, unknown_to) = self.publishing.failures(attach.settled);
        RegistrationResponse {
            version: wire::VERSION,
            session: self.id,
            resumed: attach.resumed,
            epoch: attach.epoch,
            server: concat!("cordboard/", env!("CARGO_PKG_VERSION")).to_owned(),
            keep_alive_ms: attach.keep_alive.as_millis() as u64,
            reclaim_ms: attach.reclaim.as_millis() as u64,
            max_frame: config.connections.max_frame_bytes as u32,
            max_topic_bytes: config.topics.max_name_bytes as u16,
            max_topic_levels: config.topics.max_levels as u16,
            window_messages: config.queues.window_messages as u32,
            window_bytes: config.queues.window_bytes as u64,
            credit_messages: config.publishing.credit_messages as u32,
            credit_bytes: config.publishing.credit_bytes as u64,
            settled: self.publishing.settled(),
            taken: self.publishing.unsettled(),
            failures,
            unknown_to,
            subscriptions: self.subscriptions.handles(),
        }
    }

    /// Tells a subscriber that the client is here.
    pub(super) fn resume(&self, subscriber: &ActorRef<SubscriberMsg>) {
        if let Some(Attached { epoch, outbound, ack, .. }) = &self.attached {
            let resume = SubscriberMsg::Resume { epoch: *epoch, outbound: Arc::clone(outbound), settles: *ack == AckMode::None };
            // One that has failed is replaced, and the new one announces itself.
            let _ = self.shared.tell(subscriber, resume);
        }
    }

    pub(super) fn detach(&mut self, epoch: Epoch) {
        if !self.is_current(epoch) {
            return;
        }
        self.attached = None;
        for subscriber in self.subscriptions.subscribers() {
            let _ = self.shared.tell(subscriber, SubscriberMsg::Park { epoch });
        }
    }
}
