//! A broker for one test, and a client that speaks the protocol frame by frame, so that a test can also speak it wrongly.

pub(crate) mod baseline;
pub(crate) mod memory;
pub(crate) mod proxy;
pub(crate) mod rng;

use std::{net::SocketAddr, time::Duration};

use cordboard::{
    Board, Broker, Config, Handle,
    control::{Control, Order, Outcome},
    events::{Event, Lost, SessionEnd},
    name::{SessionId, SubscriptionHandle},
    wire::{
        self, ClientFrame, Deliver, DeliverAck, Disconnect, ErrorFrame, Headers, Publish, RegistrationRequest,
        RegistrationResponse, ServerFrame, SubscribeAck, SubscribeRequest, SubscriptionEnded,
    },
};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpStream,
    time,
};

/// How long anything in a test may take before it is called missing. Never waited out by a test that passes.
pub(crate) const PATIENCE: Duration = Duration::from_secs(100);

/// The default configuration on a free port of loopback.
pub(crate) fn config() -> Config {
    Config { listen: vec!["127.0.0.1:0".parse().unwrap()], ..Config::default() }
}

pub(crate) async fn broker() -> Handle {
    broker_with(|_| {}).await
}

pub(crate) async fn broker_with(change: impl FnOnce(&mut Config)) -> Handle {
    let mut config = config();
    change(&mut config);
    Broker::start(config).await.unwrap()
}

/// A number from the environment, so that a test can be run again as it was, or for longer.
pub(crate) fn from_env(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().unwrap_or_else(|_| panic!("{name} must be a number, not {text:?}")))
}

/// Waits until the board is as `so` wants it.
pub(crate) async fn eventually(broker: &Handle, what: &str, so: impl Fn(&Board) -> bool) {
    let (board, mut follower) = broker.bus().follow();
    if so(&board) {
        return;
    }
    let wait = async {
        loop {
            follower.changed().await;
            follower.take(usize::MAX);
            if so(&broker.bus().board()) {
                return;
            }
        }
    };
    assert!(
        time::timeout(PATIENCE, wait).await.is_ok(),
        "it never came to pass that {what}; the board is {:#?}",
        broker.bus().board()
    );
}

/// Gives an order as an operator who looked at nothing.
pub(crate) async fn order(broker: &Handle, control: Control) -> Outcome {
    broker.order(Order::new("test", control)).await
}

/// Waits until a session has ended; how, and what was lost.
pub(crate) async fn ended(broker: &Handle, session: SessionId) -> (SessionEnd, Lost) {
    let mut follower = broker.bus().follow_from_start();
    loop {
        for stamped in follower.take(usize::MAX).events {
            if let Event::SessionEnded { id, why, lost } = &stamped.event
                && *id == session
            {
                return (why.clone(), *lost);
            }
        }
        time::timeout(Duration::from_hours(1), follower.changed()).await.expect("the session ends");
    }
}

/// Lets the paused clock move on, and everything that waits for it happen.
pub(crate) async fn let_pass(time: Duration) {
    time::sleep(time).await;
}

/// Waits for something that no event tells.
pub(crate) async fn eventually_true(what: &str, so: impl Fn() -> bool) {
    let wait = async {
        while !so() {
            time::sleep(Duration::from_millis(2)).await;
        }
    };
    assert!(time::timeout(PATIENCE, wait).await.is_ok(), "it never came to pass that {what}");
}

/// One message as it was delivered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Got {
    pub(crate) handle: u32,
    pub(crate) number: u64,
    pub(crate) redelivered: bool,
    /// Of the first message of a Deliver that says so: what was given back starts here.
    pub(crate) returns: bool,
    pub(crate) topic: String,
    pub(crate) payload: Vec<u8>,
}

impl Got {
    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.payload.clone()).unwrap()
    }
}

/// A frame from the broker, owned.
#[derive(Debug)]
pub(crate) enum Reply {
    Response(RegistrationResponse),
    Subscribed(SubscribeAck),
    Error(ErrorFrame),
    Acked(u64),
    Deliver(Vec<Got>),
    Displaced,
    Evicted(String),
    Ended(SubscriptionEnded),
    Other(String),
    /// The broker closed.
    Closed,
}

/// A connection, spoken frame by frame.
#[derive(Debug)]
pub(crate) struct Raw<S = TcpStream> {
    pub(crate) socket: S,
    buffer: Vec<u8>,
    /// Publishes sent so far in this session.
    pub(crate) sequence: u64,
    requests: u32,
}

impl Raw {
    pub(crate) async fn connect(address: SocketAddr) -> Self {
        Self::over_tcp(TcpStream::connect(address).await.unwrap())
    }

    /// Connected from another address of this machine: 127.0.0.`host`.
    #[cfg(target_os = "linux")]
    pub(crate) async fn connect_from(host: u8, address: SocketAddr) -> Self {
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        socket.bind(([127, 0, 0, host], 0).into()).unwrap();
        Self::over_tcp(socket.connect(address).await.unwrap())
    }

    fn over_tcp(socket: TcpStream) -> Self {
        socket.set_nodelay(true).unwrap();
        Self::over(socket)
    }

    /// Connected and registered, with a new session.
    pub(crate) async fn register(broker: &Handle, name: &str) -> (Self, RegistrationResponse) {
        Self::register_with(broker, RegistrationRequest::new(name)).await
    }

    /// Connected and registered again.
    pub(crate) async fn resume(broker: &Handle, name: &str, session: SessionId) -> (Self, RegistrationResponse) {
        let mut request = RegistrationRequest::new(name);
        request.session = Some(session);
        let (mut raw, response) = Self::register_with(broker, request).await;
        assert!(response.resumed);
        raw.sequence = response.taken.unwrap_or(response.settled);
        (raw, response)
    }

    pub(crate) async fn register_with(broker: &Handle, request: RegistrationRequest) -> (Self, RegistrationResponse) {
        let mut raw = Self::connect(broker.endpoints()[0]).await;
        raw.send(&ClientFrame::RegistrationRequest(request)).await;
        let response = raw.response().await;
        (raw, response)
    }

    /// Closes so that the peer sees a reset.
    pub(crate) fn reset(self) {
        socket2::SockRef::from(&self.socket).set_linger(Some(Duration::ZERO)).unwrap();
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Raw<S> {
    pub(crate) fn over(socket: S) -> Self {
        Self { socket, buffer: Vec::new(), sequence: 0, requests: 0 }
    }

    pub(crate) async fn send(&mut self, frame: &ClientFrame<'_>) {
        let mut bytes = Vec::new();
        frame.encode(&mut bytes);
        self.send_bytes(&bytes).await;
    }

    pub(crate) async fn send_bytes(&mut self, bytes: &[u8]) {
        time::timeout(PATIENCE, self.socket.write_all(bytes)).await.expect("the broker reads").unwrap();
    }

    /// The next frame.
    pub(crate) async fn next(&mut self) -> Reply {
        time::timeout(PATIENCE, self.read()).await.expect("the broker answers")
    }

    async fn read(&mut self) -> Reply {
        loop {
            if let Some((raw, len)) = wire::split(&self.buffer, wire::MAX_DELIVER_FRAME).unwrap() {
                let reply = owned(ServerFrame::decode(raw).unwrap());
                self.buffer.drain(..len);
                return reply;
            }
            self.buffer.reserve(64 << 10);
            if matches!(self.socket.read_buf(&mut self.buffer).await, Ok(0) | Err(_)) {
                return Reply::Closed;
            }
        }
    }

    pub(crate) async fn response(&mut self) -> RegistrationResponse {
        match self.next().await {
            Reply::Response(response) => response,
            other => panic!("a registration response was expected, not {other:?}"),
        }
    }

    pub(crate) async fn error(&mut self) -> ErrorFrame {
        loop {
            match self.next().await {
                Reply::Error(error) => return error,
                Reply::Acked(_) | Reply::Deliver(_) => {}
                other => panic!("an error was expected, not {other:?}"),
            }
        }
    }

    /// The error that closes this connection.
    pub(crate) async fn closing_error(&mut self) -> ErrorFrame {
        let error = self.error().await;
        assert!(matches!(self.next().await, Reply::Closed), "the broker closes after {error:?}");
        error
    }

    pub(crate) async fn ask_subscribe(&mut self, filter: &str) -> u32 {
        self.requests += 1;
        let (request, filter) = (self.requests, filter.to_owned());
        self.send(&ClientFrame::SubscribeRequest(SubscribeRequest { request, filter, ack_timeout_ms: None, group: None })).await;
        request
    }

    pub(crate) async fn subscribe(&mut self, filter: &str) -> SubscriptionHandle {
        let request = self.ask_subscribe(filter).await;
        match self.next().await {
            Reply::Subscribed(ack) => {
                assert_eq!((ack.request, ack.filter.as_str()), (request, filter));
                ack.handle
            }
            other => panic!("a subscribe ack was expected, not {other:?}"),
        }
    }

    /// Publishes without waiting.
    pub(crate) async fn enqueue(&mut self, topic: &str, payload: impl AsRef<[u8]>) -> u64 {
        self.sequence += 1;
        let sequence = self.sequence;
        self.send(&publish(sequence, topic, payload.as_ref())).await;
        sequence
    }

    /// Publishes and waits for the acknowledgement.
    pub(crate) async fn publish(&mut self, topic: &str, payload: impl AsRef<[u8]>) {
        let sequence = self.enqueue(topic, payload).await;
        self.acked(sequence).await;
    }

    /// Publishes to a topic it is subscribed to, and waits for the message and the acknowledgement, in whatever order.
    pub(crate) async fn publish_and_get(&mut self, topic: &str, payload: impl AsRef<[u8]>) -> Got {
        let sequence = self.enqueue(topic, payload).await;
        let (mut got, mut acked) = (Vec::new(), false);
        while got.is_empty() || !acked {
            match self.next().await {
                Reply::Deliver(messages) => got.extend(messages),
                Reply::Acked(settled) => acked = settled >= sequence,
                other => panic!("a message and its acknowledgement were expected, not {other:?}"),
            }
        }
        assert_eq!(got.len(), 1);
        got.remove(0)
    }

    /// Waits until everything up to `sequence` is acknowledged.
    pub(crate) async fn acked(&mut self, sequence: u64) {
        loop {
            match self.next().await {
                Reply::Acked(settled) if settled >= sequence => return,
                Reply::Acked(_) => {}
                other => panic!("an acknowledgement of {sequence} was expected, not {other:?}"),
            }
        }
    }

    /// The next `count` messages, whatever the frames they come in.
    pub(crate) async fn messages(&mut self, count: usize) -> Vec<Got> {
        let mut all = Vec::new();
        while all.len() < count {
            match self.next().await {
                Reply::Deliver(messages) => all.extend(messages),
                Reply::Acked(_) => {}
                other => panic!("a delivery was expected, not {other:?}, after {all:?}"),
            }
        }
        all
    }

    /// Reads on until `count` messages have come, and keeps none of them: nothing is allocated for any.
    pub(crate) async fn skim(&mut self, count: u32) {
        let mut came = 0;
        while came < count {
            let (mut start, buffer) = (0, &mut self.buffer);
            while let Some((raw, len)) = wire::split(&buffer[start..], wire::MAX_DELIVER_FRAME).unwrap() {
                if let ServerFrame::Deliver(deliver) = ServerFrame::decode(raw).unwrap() {
                    came += deliver.count;
                }
                start += len;
            }
            buffer.drain(..start);
            if came < count {
                let read = time::timeout(PATIENCE, self.socket.read_buf(buffer)).await.expect("the broker delivers").unwrap();
                assert!(read > 0, "the broker closed after {came} messages");
            }
        }
    }

    pub(crate) async fn ack(&mut self, handle: SubscriptionHandle, number: u64) {
        self.send(&ClientFrame::DeliverAck(DeliverAck { handle, number })).await;
    }

    /// Waits until the broker has handled everything sent before.
    pub(crate) async fn settle(&mut self) {
        self.send(&ClientFrame::UnsubscribeRequest(wire::UnsubscribeRequest {
            request: u32::MAX,
            filter: "no/such/filter".into(),
        }))
        .await;
        loop {
            if let Reply::Other(text) = self.next().await
                && text.starts_with("UnsubscribeAck")
            {
                return;
            }
        }
    }

    pub(crate) async fn disconnect(mut self, end: bool) {
        self.send(&ClientFrame::Disconnect(Disconnect { end })).await;
        while !matches!(self.next().await, Reply::Closed) {}
    }
}

pub(crate) fn publish<'a>(sequence: u64, topic: &'a str, payload: &'a [u8]) -> ClientFrame<'a> {
    ClientFrame::Publish(Publish { sequence, topic: topic.as_bytes(), headers: Headers::NONE, payload })
}

pub(crate) fn owned(frame: ServerFrame<'_>) -> Reply {
    match frame {
        ServerFrame::RegistrationResponse(response) => Reply::Response(response),
        ServerFrame::SubscribeAck(ack) => Reply::Subscribed(ack),
        ServerFrame::Error(error) => Reply::Error(error),
        ServerFrame::PublishAck(sequence) => Reply::Acked(sequence),
        ServerFrame::Deliver(deliver) => Reply::Deliver(messages_of(&deliver)),
        ServerFrame::Displaced => Reply::Displaced,
        ServerFrame::Evicted(evicted) => Reply::Evicted(evicted.reason),
        ServerFrame::SubscriptionEnded(ended) => Reply::Ended(ended),
        other => Reply::Other(format!("{other:?}")),
    }
}

fn messages_of(deliver: &Deliver<'_>) -> Vec<Got> {
    let message = |record: wire::Record<'_>| Got {
        handle: deliver.handle.0,
        number: record.number,
        redelivered: deliver.redelivered,
        returns: deliver.returns && record.number == deliver.first,
        topic: deliver.topic.to_owned(),
        payload: record.payload.to_vec(),
    };
    deliver.records().map(message).collect()
}
