//! The state of a client: its session, what it has under way, and what every frame of the broker does to them.
//!
//! Plain data behind one lock; nothing here waits, reads a clock or touches a socket.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    sync::Arc,
    time::Duration,
};

use tokio::{sync::oneshot, time::Instant};

use super::{
    error::{ClientEnd, PingError, SubscribeError},
    event::{ClientEvent, LostSession, SubscriptionOver},
    hub::Output,
    inbox::{Inbox, Window},
    ledger::{Credit, Ledger},
};
use crate::{
    name::{Filter, NameError, NameRules, SubscriptionHandle, TopicName},
    wire::{
        ClientFrame, Code, DeliverAck, Disconnect, ErrorFrame, HandleOf, RegistrationResponse, Resubscribe, SubscribeAck,
        SubscribeRequest, SubscriptionEnded, UnsubscribeAck, UnsubscribeRequest,
    },
};

/// What a subscription may ask for besides its filter.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SubscribeOptions {
    /// After how long without an acknowledgement the broker delivers again, from 100 ms to 24 h; none: as the broker is
    /// configured, `queues.ack_timeout`.
    pub ack_timeout: Option<Duration>,
}

/// Tokens of pings that a user waits for begin here; those that keep the connection alive are far below.
const FIRST_PING: u64 = 1 << 63;

/// The handle of a subscription that has none yet.
const NO_HANDLE: SubscriptionHandle = SubscriptionHandle(u32::MAX);

/// Whether there is a connection.
#[derive(Debug)]
pub(super) enum Link {
    Up,
    Down,
    Over(ClientEnd),
}

type Answer<T> = oneshot::Sender<Result<T, SubscribeError>>;
/// Where the one who asked waits.
pub(super) type Answered<T> = oneshot::Receiver<Result<T, SubscribeError>>;
/// A subscription's inbox, and whether it was there before.
pub(super) type Subscribed = (Arc<Inbox>, bool);

/// A request without an answer. It is sent again on every new connection until there is one.
#[derive(Debug)]
enum Request {
    Subscribe {
        filter: Filter,
        options: SubscribeOptions,
        answer: Answer<Subscribed>,
    },
    /// The library's own: the subscription is there and its stream must not notice.
    Resubscribe {
        filter: Filter,
        options: SubscribeOptions,
        lost: Option<u64>,
    },
    Unsubscribe {
        filter: Filter,
        answer: Answer<bool>,
    },
}

impl Request {
    fn filter(&self) -> &Filter {
        match self {
            Self::Subscribe { filter, .. } | Self::Resubscribe { filter, .. } | Self::Unsubscribe { filter, .. } => filter,
        }
    }

    fn encode(&self, request: u32, out: &mut Vec<u8>) {
        let filter = self.filter().to_string();
        match self {
            Self::Subscribe { options, .. } | Self::Resubscribe { options, .. } => {
                let ack_timeout_ms = options.ack_timeout.map(|timeout| timeout.as_millis() as u64);
                ClientFrame::SubscribeRequest(SubscribeRequest { request, filter, ack_timeout_ms, group: None }).encode(out);
            }
            Self::Unsubscribe { .. } => ClientFrame::UnsubscribeRequest(UnsubscribeRequest { request, filter }).encode(out),
        }
    }
}

#[derive(Debug)]
struct Entry {
    inbox: Arc<Inbox>,
    options: SubscribeOptions,
}

#[derive(Debug)]
pub(super) struct State {
    pub(super) link: Link,
    /// The last answer to a registration, without its lists.
    pub(super) registration: RegistrationResponse,
    /// The session the last registration asked for in vain.
    pub(super) lost_session: Option<LostSession>,
    pub(super) ledger: Ledger,
    /// Encoded frames for the present connection.
    pub(super) control: Vec<u8>,
    subscriptions: BTreeMap<Filter, Entry>,
    handles: HashMap<SubscriptionHandle, Arc<Inbox>>,
    requests: BTreeMap<u32, Request>,
    next_request: u32,
    /// Who waits for an answer to a ping, by its token.
    pings: BTreeMap<u64, oneshot::Sender<()>>,
    next_ping: u64,
    /// Inboxes with something to acknowledge, when that is due, and whether it is.
    pub(super) acks: Vec<Arc<Inbox>>,
    pub(super) acks_at: Option<Instant>,
    pub(super) acks_now: bool,
    /// The client is to be closed; true: its session too.
    pub(super) closing: Option<bool>,
    /// The topic that was checked last: publishing to one topic checks it once.
    topic: Option<TopicName>,
}

impl State {
    /// The state after the first registration.
    pub(super) fn new(mut response: RegistrationResponse, lost: Option<LostSession>) -> Self {
        let survivors = std::mem::take(&mut response.subscriptions);
        let mut state = Self {
            link: Link::Up,
            ledger: Ledger::new(credit(&response)),
            registration: response,
            lost_session: lost,
            control: Vec::new(),
            subscriptions: BTreeMap::new(),
            handles: HashMap::new(),
            requests: BTreeMap::new(),
            next_request: 1,
            pings: BTreeMap::new(),
            next_ping: FIRST_PING,
            acks: Vec::new(),
            acks_at: None,
            acks_now: false,
            closing: None,
            topic: None,
        };
        state.ledger.resume(state.registration.settled, state.registration.taken, &[], None);
        for survivor in survivors {
            state.adopt(survivor);
        }
        state
    }

    pub(super) fn max_frame(&self) -> usize {
        self.registration.max_frame as usize
    }

    pub(super) fn rules(&self) -> NameRules {
        let RegistrationResponse { max_topic_bytes, max_topic_levels, .. } = self.registration;
        NameRules { max_bytes: max_topic_bytes.into(), max_levels: max_topic_levels.into() }
    }

    /// Checks a topic, remembering the last one that was right.
    pub(super) fn check_topic<'a>(&mut self, text: &'a str) -> Result<&'a str, NameError> {
        if self.topic.as_ref().is_none_or(|topic| topic.as_str() != text) {
            self.topic = Some(TopicName::parse(text, &self.rules())?);
        }
        Ok(text)
    }

    /// Filters of the session that no stream reads.
    pub(super) fn unclaimed(&self) -> Vec<Filter> {
        let unclaimed = self.subscriptions.iter().filter(|(_, entry)| !entry.inbox.is_claimed());
        let mut filters: Vec<_> = unclaimed.map(|(filter, _)| filter.clone()).collect();
        filters.sort();
        filters
    }

    pub(super) fn inbox(&self, handle: SubscriptionHandle) -> Option<Arc<Inbox>> {
        self.handles.get(&handle).map(Arc::clone)
    }

    // What the user asks for

    pub(super) fn subscribe(&mut self, filter: &str, options: SubscribeOptions) -> Result<Answered<Subscribed>, SubscribeError> {
        let filter = Filter::parse(filter, &self.rules())?;
        let claimed = self.subscriptions.get(&filter).is_some_and(|entry| entry.inbox.is_claimed());
        let asked = |request: &Request| matches!(request, Request::Subscribe { filter: other, .. } if *other == filter);
        if claimed || self.requests.values().any(asked) {
            return Err(SubscribeError::AlreadySubscribed(filter));
        }
        let (answer, receiver) = oneshot::channel();
        self.request(Request::Subscribe { filter, options, answer })?;
        Ok(receiver)
    }

    pub(super) fn unsubscribe(&mut self, filter: &Filter) -> Result<Answered<bool>, SubscribeError> {
        let (answer, receiver) = oneshot::channel();
        self.request(Request::Unsubscribe { filter: filter.clone(), answer })?;
        Ok(receiver)
    }

    /// Asks whether the broker is there. The answer's sender is dropped when the connection is lost.
    pub(super) fn ping(&mut self) -> Result<oneshot::Receiver<()>, PingError> {
        match &self.link {
            Link::Over(end) => return Err(end.clone().into()),
            Link::Down => return Err(PingError::Lost),
            Link::Up => {}
        }
        self.pings.retain(|_, answer| !answer.is_closed());
        let (answer, receiver) = oneshot::channel();
        ClientFrame::Ping(self.next_ping).encode(&mut self.control);
        self.pings.insert(self.next_ping, answer);
        self.next_ping += 1;
        Ok(receiver)
    }

    fn request(&mut self, request: Request) -> Result<(), SubscribeError> {
        match &self.link {
            Link::Over(end) => return Err(end.clone().into()),
            Link::Up => request.encode(self.next_request, &mut self.control),
            Link::Down => {}
        }
        self.requests.insert(self.next_request, request);
        self.next_request = self.next_request.wrapping_add(1);
        Ok(())
    }

    // What the connection does

    /// Takes what is to be written now: control frames, due acknowledgements, publishes, and at last the goodbye.
    pub(super) fn take_output(&mut self, budget: usize) -> Output {
        let mut output = Output::default();
        let mut publishes = VecDeque::new();
        self.ledger.hand_over(budget, &mut publishes);
        let more = !publishes.is_empty() || !self.control.is_empty();
        // Whoever writes anyway takes the acknowledgements along.
        if self.acks_now || more || self.closing.is_some() {
            self.acks_now = false;
            self.acks_at = None;
            for inbox in std::mem::take(&mut self.acks) {
                if let Some((handle, number)) = inbox.take_ack() {
                    ClientFrame::DeliverAck(DeliverAck { handle, number }).encode(&mut self.control);
                }
            }
        }
        if !self.control.is_empty() {
            output.frames.push_back(std::mem::take(&mut self.control).into());
        }
        output.frames.append(&mut publishes);
        if let Some(end) = self.closing
            && !self.ledger.has_more()
        {
            let mut goodbye = Vec::new();
            ClientFrame::Disconnect(Disconnect { end }).encode(&mut goodbye);
            output.frames.push_back(goodbye.into());
            output.goodbye = true;
        }
        output
    }

    pub(super) fn down(&mut self) {
        self.link = Link::Down;
        self.control.clear();
        self.pings.clear();
        for inbox in std::mem::take(&mut self.acks) {
            inbox.take_ack();
        }
        self.acks_at = None;
        self.acks_now = false;
    }

    /// Registered again. Answers the events to tell.
    pub(super) fn up(&mut self, mut response: RegistrationResponse, lost: Option<LostSession>) -> Vec<ClientEvent> {
        let survivors = std::mem::take(&mut response.subscriptions);
        let failures = std::mem::take(&mut response.failures);
        let mut events = Vec::new();
        self.link = Link::Up;
        self.ledger.set_credit(credit(&response));
        let (session, resumed, settled) = (response.session, response.resumed, response.settled);
        let (taken, unknown) = (response.taken, response.unknown_to);
        self.registration = response;
        self.lost_session.clone_from(&lost);
        if resumed {
            self.ledger.resume(settled, taken, &failures, unknown);
            self.take_up(survivors, &mut events);
        } else {
            self.ledger.start_over();
            self.begin_again();
        }
        for (number, request) in &self.requests {
            request.encode(*number, &mut self.control);
        }
        events.extend(lost.map(ClientEvent::SessionLost));
        events.push(ClientEvent::Connected { session, resumed });
        events
    }

    /// The session is the one from before: each subscription goes on, or ended while nobody could be told.
    fn take_up(&mut self, survivors: Vec<HandleOf>, events: &mut Vec<ClientEvent>) {
        let window = self.window();
        let mut left = std::mem::take(&mut self.subscriptions);
        self.handles.clear();
        for survivor in survivors {
            match left.remove(&survivor.filter) {
                Some(entry) if entry.inbox.handle() == survivor.handle => {
                    entry.inbox.reconnect(window);
                    if entry.inbox.list() {
                        self.acks.push(Arc::clone(&entry.inbox));
                        self.acks_now = true;
                    }
                    self.handles.insert(survivor.handle, Arc::clone(&entry.inbox));
                    self.subscriptions.insert(survivor.filter, entry);
                }
                Some(entry) => {
                    entry.inbox.rebind(survivor.handle, window);
                    self.handles.insert(survivor.handle, Arc::clone(&entry.inbox));
                    events.push(ClientEvent::Resubscribed { filter: survivor.filter.clone(), lost: None });
                    self.subscriptions.insert(survivor.filter, entry);
                }
                None => self.adopt(survivor),
            }
        }
        for (filter, entry) in left {
            let resubscribing =
                |request: &Request| matches!(request, Request::Resubscribe { filter: other, .. } if *other == filter);
            if self.requests.values().any(resubscribing) {
                self.subscriptions.insert(filter, entry);
                continue;
            }
            let reason = "it ended while the client was away".to_owned();
            let over = SubscriptionOver { code: Code::Gone, reason, lost: 0 };
            entry.inbox.end(Some(over.clone()));
            events.push(ClientEvent::SubscriptionEnded { filter, ended: over });
        }
    }

    /// The session is a new one: subscribes again to what its streams read.
    fn begin_again(&mut self) {
        self.handles.clear();
        self.subscriptions.retain(|_, entry| entry.inbox.is_claimed());
        // Handles start anew: what was taken under an old one must not settle anything under a new one.
        let window = self.window();
        self.subscriptions.values().for_each(|entry| entry.inbox.rebind(NO_HANDLE, window));
        let asked: Vec<Filter> = self.requests.values().map(|request| request.filter().clone()).collect();
        let wanted = self.subscriptions.iter().filter(|(filter, _)| !asked.contains(filter));
        for (filter, entry) in wanted {
            let request = Request::Resubscribe { filter: filter.clone(), options: entry.options, lost: None };
            self.requests.insert(self.next_request, request);
            self.next_request = self.next_request.wrapping_add(1);
        }
    }

    /// A subscription of the session that nobody here has asked for yet: what it delivers is kept until someone does.
    fn adopt(&mut self, survivor: HandleOf) {
        let inbox = Arc::new(Inbox::new(survivor.filter.clone(), survivor.handle, self.window()));
        self.handles.insert(survivor.handle, Arc::clone(&inbox));
        self.subscriptions.insert(survivor.filter, Entry { inbox, options: SubscribeOptions::default() });
    }

    fn window(&self) -> Window {
        let RegistrationResponse { window_messages, window_bytes, .. } = self.registration;
        Window { messages: window_messages as usize, bytes: window_bytes as usize }
    }

    // What the broker says

    pub(super) fn subscribed(&mut self, ack: &SubscribeAck) -> Option<ClientEvent> {
        let request = self.requests.remove(&ack.request)?;
        let window = self.window();
        let (filter, options) = match &request {
            Request::Subscribe { filter, options, .. } | Request::Resubscribe { filter, options, .. } => {
                (filter.clone(), *options)
            }
            Request::Unsubscribe { .. } => return None,
        };
        let entry = self
            .subscriptions
            .entry(filter.clone())
            .or_insert_with(|| Entry { inbox: Arc::new(Inbox::new(filter.clone(), ack.handle, window)), options });
        entry.options = options;
        let inbox = Arc::clone(&entry.inbox);
        let bound = self.handles.get(&ack.handle).is_some_and(|known| Arc::ptr_eq(known, &inbox));
        if !bound {
            self.handles.retain(|_, known| !Arc::ptr_eq(known, &inbox));
            inbox.rebind(ack.handle, window);
            self.handles.insert(ack.handle, Arc::clone(&inbox));
        }
        match request {
            Request::Subscribe { answer, .. } => {
                inbox.claim(true);
                if let Err(Ok((inbox, _))) = answer.send(Ok((inbox, ack.existing))) {
                    // The one who asked has gone; what comes is kept for the next.
                    inbox.claim(false);
                }
                None
            }
            Request::Resubscribe { filter, lost, .. } => Some(ClientEvent::Resubscribed { filter, lost }),
            Request::Unsubscribe { .. } => None,
        }
    }

    pub(super) fn ponged(&mut self, token: u64) {
        if let Some(answer) = self.pings.remove(&token) {
            // Whoever has stopped waiting does not miss it.
            let _ = answer.send(());
        }
    }

    pub(super) fn unsubscribed(&mut self, ack: &UnsubscribeAck) {
        if let Some(Request::Unsubscribe { filter, answer }) = self.requests.remove(&ack.request) {
            if let Some(entry) = self.subscriptions.remove(&filter) {
                self.handles.remove(&entry.inbox.handle());
                entry.inbox.end(None);
            }
            // Nobody waiting is no failure: it was asked for and it is done.
            let _ = answer.send(Ok(ack.existed));
        }
    }

    pub(super) fn subscription_ended(&mut self, told: SubscriptionEnded) -> Option<ClientEvent> {
        self.handles.remove(&told.handle)?;
        let entry = self.subscriptions.remove(&told.filter)?;
        let ended = SubscriptionOver { code: told.code, reason: told.reason, lost: told.lost };
        entry.inbox.end(Some(ended.clone()));
        Some(ClientEvent::SubscriptionEnded { filter: told.filter, ended })
    }

    pub(super) fn resubscribe(&mut self, told: &Resubscribe) {
        if self.handles.remove(&told.handle).is_none() {
            return;
        }
        if let Some(entry) = self.subscriptions.get(&told.filter) {
            let options = entry.options;
            let request = Request::Resubscribe { filter: told.filter.clone(), options, lost: Some(told.lost) };
            // The link is up: this came over it.
            let _ = self.request(request);
        }
    }

    /// An error that answers publishes or a request; given back if it is the connection's own.
    pub(super) fn refused(&mut self, error: ErrorFrame) -> Result<Option<ClientEvent>, ErrorFrame> {
        if let Some(sequence) = error.sequence {
            self.ledger.refuse(sequence, error.count.into(), error.code, &error.reason);
            return Ok(None);
        }
        let Some(request) = error.request else { return Err(error) };
        let ErrorFrame { code, reason, .. } = error;
        match self.requests.remove(&request) {
            Some(Request::Subscribe { filter, answer, .. }) => {
                let _ = answer.send(Err(SubscribeError::Refused { filter, code, reason }));
                Ok(None)
            }
            Some(Request::Unsubscribe { filter, answer }) => {
                let _ = answer.send(Err(SubscribeError::Refused { filter, code, reason }));
                Ok(None)
            }
            Some(Request::Resubscribe { filter, lost, .. }) => {
                let ended = SubscriptionOver { code, reason, lost: lost.unwrap_or_default() };
                if let Some(entry) = self.subscriptions.remove(&filter) {
                    entry.inbox.end(Some(ended.clone()));
                }
                Ok(Some(ClientEvent::SubscriptionEnded { filter, ended }))
            }
            None => Ok(None),
        }
    }

    pub(super) fn end(&mut self, end: &ClientEnd) {
        self.down();
        self.link = Link::Over(end.clone());
        self.ledger.end(end);
        self.handles.clear();
        for (_, entry) in std::mem::take(&mut self.subscriptions) {
            entry.inbox.end(None);
        }
        for (_, request) in std::mem::take(&mut self.requests) {
            match request {
                Request::Subscribe { answer, .. } => drop(answer.send(Err(end.clone().into()))),
                Request::Unsubscribe { answer, .. } => drop(answer.send(Err(end.clone().into()))),
                Request::Resubscribe { .. } => {}
            }
        }
    }
}

fn credit(response: &RegistrationResponse) -> Credit {
    Credit { messages: response.credit_messages as usize, bytes: response.credit_bytes as usize }
}
