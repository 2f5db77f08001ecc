//! A host that subscribes, frame by frame: it acknowledges, forgets to, gives back, leaves, takes over from itself, crashes,
//! and resumes; or finds its session gone, and begins again.

use std::{cell::RefCell, collections::BTreeMap, rc::Rc, time::Duration};

use cordboard::{
    name::{Epoch, Filter, SessionId, SubscriptionHandle},
    wire::{
        ClientFrame, Code, DeliverAck, DeliverNack, Disconnect, Nack, RegistrationRequest, RegistrationResponse,
        SubscribeRequest, UnsubscribeRequest,
    },
};
use tokio::time::Instant;

use super::{
    feed::Feed,
    judge::subscription,
    net::Line,
    stage::{Stage, Weather},
};
use crate::fixture::{Reply, let_pass, rng::Rng};

/// How long an answer may take before the line is called dead.
const PATIENCE: Duration = Duration::from_secs(3);
/// Subscribed and unsubscribed all the time.
const FLEETING: [&str; 3] = ["news/+", "sport/#", "news/us"];
/// Answered, and good for nothing else: what was sent before it was handled when it is.
const BARRIER: &str = "no/such/filter";

/// What survives a crash.
pub(super) struct Memory {
    pub(super) rng: Rng,
    session: Option<(SessionId, Epoch)>,
    feeds: BTreeMap<u32, Feed>,
    pub(super) done: bool,
}

impl Memory {
    pub(super) fn new(rng: Rng) -> Self {
        Self { rng, session: None, feeds: BTreeMap::new(), done: false }
    }
}

#[derive(Clone)]
pub(super) struct Subscriber {
    pub(super) stage: Rc<Stage>,
    pub(super) name: &'static str,
    pub(super) filters: &'static [&'static str],
    /// Acknowledges once in so many reads.
    pub(super) sloppiness: u64,
    pub(super) memory: Rc<RefCell<Memory>>,
}

/// The line is dead, or the broker has closed it.
struct Gone;

type Act<T = ()> = Result<T, Gone>;

impl Subscriber {
    fn below(&self, bound: u64) -> u64 {
        self.memory.borrow_mut().rng.below(bound)
    }

    fn note(&self, what: impl std::fmt::Display) {
        self.stage.note(self.name, what);
    }

    /// From a start to the next crash, or to the end.
    pub(super) async fn live(self) {
        while !self.memory.borrow().done {
            if let Ok(line) = self.register().await {
                // However it ends, the next line begins with what is remembered.
                let _ = self.listen(line).await;
                self.note("is without a line");
            }
            let_pass(Duration::from_millis(self.below(500))).await;
        }
    }

    /// A line to its session; to a new one if that is gone.
    async fn register(&self) -> Act<Line> {
        let mut line = Line::connect().await.ok_or(Gone)?;
        loop {
            let known = self.memory.borrow().session;
            let mut request = RegistrationRequest::new(self.name);
            request.session = known.map(|(session, _)| session);
            request.keep_alive_ms = Some(2_000);
            if !line.send(&[ClientFrame::RegistrationRequest(request)]).await {
                return Err(Gone);
            }
            match line.hear(PATIENCE).await {
                Some(Reply::Response(response)) => {
                    self.registered(&response, known);
                    return Ok(line);
                }
                Some(Reply::Error(error)) if matches!(error.code, Code::Gone | Code::NotFound) => {
                    self.note(format_args!("its session is gone: {}, {}", error.code, error.reason));
                    let mut memory = self.memory.borrow_mut();
                    memory.session = None;
                    memory.feeds.clear();
                }
                other => {
                    self.note(match &other {
                        Some(Reply::Error(error)) => format!("refused: {}, {}", error.code, error.reason),
                        other => format!("not registered: {other:?}"),
                    });
                    return Err(Gone);
                }
            }
        }
    }

    fn registered(&self, response: &RegistrationResponse, known: Option<(SessionId, Epoch)>) {
        self.note(format_args!("registered: {} {:?}, resumed: {}", response.session, response.epoch, response.resumed));
        assert_eq!(response.resumed, known.is_some(), "{}: {response:?}", self.name);
        if let Some((session, epoch)) = known {
            assert!(response.session == session && response.epoch > epoch, "{}: {response:?} after {epoch:?}", self.name);
        }
        let mut memory = self.memory.borrow_mut();
        memory.session = Some((response.session, response.epoch));
        let told: BTreeMap<_, _> = response.subscriptions.iter().map(|of| (of.handle.0, &of.filter)).collect();
        memory.feeds.retain(|handle, feed| told.get(handle).is_some_and(|filter| **filter == feed.filter));
        memory.feeds.values_mut().for_each(Feed::new_connection);
        drop(memory);
        for (handle, filter) in told {
            self.has_feed(handle, filter);
        }
    }

    /// There is a subscription with this handle.
    fn has_feed(&self, handle: u32, filter: &Filter) {
        let mut memory = self.memory.borrow_mut();
        let (Some((session, _)), Some(broker)) = (memory.session, self.stage.broker()) else { return };
        memory.feeds.entry(handle).or_insert_with(|| {
            self.stage.catch_up();
            let id = self.stage.judge.borrow_mut().opens(&subscription(session, filter), &broker.bus().board());
            Feed::new(filter.clone(), id)
        });
    }

    async fn listen(&self, mut line: Line) -> Act {
        for filter in self.filters {
            self.subscribe(&mut line, filter).await?;
        }
        while self.stage.weather() == Weather::Storm {
            self.read_a_little(&mut line).await?;
            match self.below(30) {
                0 => return Ok(()),
                1 => return self.leave(line, false).await,
                2 if self.below(3) == 0 => return self.leave(line, true).await,
                3 => line = self.take_over(line).await?,
                4..=6 => self.give_back(&mut line, Nack::Again).await?,
                7 => self.give_back(&mut line, Nack::Poison).await?,
                8..=9 => self.confirm(&mut line).await?,
                10 => {
                    let filter = FLEETING[self.below(3) as usize];
                    self.subscribe(&mut line, filter).await?;
                }
                11 => {
                    let filter = FLEETING[self.below(3) as usize];
                    self.unsubscribe(&mut line, filter).await?;
                }
                // Says nothing for longer than it may, now and then.
                12 if self.sloppiness > 1 => let_pass(Duration::from_millis(self.below(5_000))).await,
                _ => {}
            }
        }
        self.finish(line).await
    }

    /// Takes everything that still comes.
    async fn finish(&self, mut line: Line) -> Act {
        while self.stage.weather() == Weather::Calm {
            self.read(&mut line, Duration::from_millis(500)).await?;
            self.acknowledge(&mut line).await?;
            self.confirm(&mut line).await?;
        }
        self.memory.borrow_mut().done = true;
        Ok(())
    }

    fn take(&self, reply: Reply) -> Act {
        match reply {
            Reply::Deliver(messages) => {
                self.stage.catch_up();
                let mut memory = self.memory.borrow_mut();
                for got in messages {
                    // What was on its way when its subscription ended is nobody's.
                    let Some(feed) = memory.feeds.get_mut(&got.handle) else { continue };
                    feed.take(&got, &self.stage);
                }
            }
            Reply::Subscribed(ack) => self.has_feed(ack.handle.0, &ack.filter),
            Reply::Ended(told) => {
                self.note(format_args!("{told:?}"));
                self.memory.borrow_mut().feeds.remove(&told.handle.0);
            }
            Reply::Closed => return Err(Gone),
            Reply::Displaced | Reply::Evicted(_) | Reply::Error(_) => {
                self.note(format_args!("{reply:?}"));
                return Err(Gone);
            }
            Reply::Other(text) => assert!(text.starts_with("UnsubscribeAck") || text.starts_with("Pong"), "{text}"),
            Reply::Response(_) | Reply::Acked(_) => panic!("{}: {reply:?}", self.name),
        }
        Ok(())
    }

    /// Reads for so long.
    async fn read(&self, line: &mut Line, time: Duration) -> Act {
        let until = Instant::now() + time;
        while let Some(reply) = line.hear(until.saturating_duration_since(Instant::now())).await {
            self.take(reply)?;
        }
        Ok(())
    }

    async fn read_a_little(&self, line: &mut Line) -> Act {
        let time = Duration::from_millis(self.below(200));
        self.read(line, time).await?;
        if self.below(self.sloppiness) == 0 {
            self.acknowledge(line).await?;
        }
        // Whoever only listens must ping.
        self.send(line, ClientFrame::Ping(0)).await
    }

    async fn send(&self, line: &mut Line, frame: ClientFrame<'_>) -> Act {
        if line.send(&[frame]).await { Ok(()) } else { Err(Gone) }
    }

    /// Sends `frame` and takes what comes, until `is_answer` does.
    async fn ask(&self, line: &mut Line, frame: ClientFrame<'_>, is_answer: impl Fn(&Reply) -> bool) -> Act {
        self.send(line, frame).await?;
        let until = Instant::now() + PATIENCE;
        loop {
            let reply = line.hear(until.saturating_duration_since(Instant::now())).await.ok_or(Gone)?;
            let is_it = is_answer(&reply);
            self.take(reply)?;
            if is_it {
                return Ok(());
            }
        }
    }

    async fn subscribe(&self, line: &mut Line, filter: &str) -> Act {
        let request = SubscribeRequest { request: 1, filter: filter.to_owned(), ack_timeout_ms: None, group: None };
        self.ask(line, ClientFrame::SubscribeRequest(request), |reply| matches!(reply, Reply::Subscribed(_))).await
    }

    async fn unsubscribe(&self, line: &mut Line, filter: &str) -> Act {
        for (_, feed) in self.memory.borrow_mut().feeds.extract_if(.., |_, feed| feed.filter.as_str() == filter) {
            self.stage.judge.borrow_mut().gives_up(feed.id);
        }
        let request = UnsubscribeRequest { request: 2, filter: filter.to_owned() };
        let is_answer = |reply: &Reply| matches!(reply, Reply::Other(text) if text.starts_with("UnsubscribeAck"));
        self.ask(line, ClientFrame::UnsubscribeRequest(request), is_answer).await
    }

    async fn acknowledge(&self, line: &mut Line) -> Act {
        let due: Vec<_> = {
            let mut memory = self.memory.borrow_mut();
            let due = memory.feeds.iter_mut().filter(|(_, feed)| feed.acknowledgeable() > feed.acknowledged);
            due.map(|(handle, feed)| {
                feed.acknowledged = feed.acknowledgeable();
                DeliverAck { handle: SubscriptionHandle(*handle), number: feed.acknowledged }
            })
            .collect()
        };
        for ack in due {
            self.send(line, ClientFrame::DeliverAck(ack)).await?;
        }
        Ok(())
    }

    /// Waits until what was acknowledged was handled.
    async fn confirm(&self, line: &mut Line) -> Act {
        let acknowledged: Vec<_> = self.memory.borrow().feeds.iter().map(|(handle, feed)| (*handle, feed.acknowledged)).collect();
        self.unsubscribe(line, BARRIER).await?;
        let mut memory = self.memory.borrow_mut();
        for (handle, number) in acknowledged {
            if let Some(feed) = memory.feeds.get_mut(&handle) {
                feed.confirm(number);
            }
        }
        Ok(())
    }

    async fn give_back(&self, line: &mut Line, what: Nack) -> Act {
        let (handle, number) = {
            let mut memory = self.memory.borrow_mut();
            let Memory { rng, feeds, .. } = &mut *memory;
            let open: Vec<_> = feeds.iter().filter(|(_, feed)| !feed.unsettled().is_empty()).map(|(handle, _)| *handle).collect();
            if open.is_empty() {
                return Ok(());
            }
            let handle = *rng.pick(&open);
            let Some(feed) = feeds.get_mut(&handle) else { return Ok(()) };
            let unsettled = feed.unsettled();
            let number = unsettled.start() + rng.below(unsettled.end() - unsettled.start() + 1);
            if what == Nack::Again {
                feed.gives_back(number);
            }
            (SubscriptionHandle(handle), number)
        };
        self.note(format_args!("gives {number} of {handle:?} back: {what:?}"));
        self.send(line, ClientFrame::DeliverNack(DeliverNack { handle, number, what })).await
    }

    async fn leave(&self, mut line: Line, end: bool) -> Act {
        self.note(format_args!("leaves, end: {end}"));
        self.send(&mut line, ClientFrame::Disconnect(Disconnect { end })).await?;
        if self.below(2) == 0 {
            self.read(&mut line, PATIENCE).await?;
        }
        Ok(())
    }

    /// Registers again while the old line still stands; the old one is forgotten, and closes some time.
    async fn take_over(&self, old: Line) -> Act<Line> {
        self.note("takes over from itself");
        let mut new = self.register().await?;
        drop(old);
        for filter in self.filters {
            self.subscribe(&mut new, filter).await?;
        }
        Ok(new)
    }
}
