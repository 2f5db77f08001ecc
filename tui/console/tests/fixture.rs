//! A broker on a bad night, told in events, and a console that has heard them.

use std::sync::Arc;

use cordboard::{
    Config,
    clock::{Moment, UnixMillis, Uptime},
    config::{Grants, PasswordHash, User},
    events::{
        Allowance, BrokerSample, CloseReason, Depth, DropReason, Event, Lost, Sample, SessionEnd, SessionSample, Stamped,
        SubscriptionSample, Terms, TopicSample,
    },
    name::{Epoch, ListenerId, Principal, SessionId, SubscriptionId, TopicName},
    reload::Preview,
};
use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use ratatui::{Terminal, backend::TestBackend, buffer::Buffer};

use crate::console::{
    msg::{Effect, Msg, News},
    state::State,
    theme::Theme,
    update::update,
    view::draw,
};

/// The moment that the screens are of: 14:22:07Z, the broker up for 3 days, 4 hours and 20 minutes.
pub(super) const NOW: u64 = 274_800;

/// Milliseconds of the day at [`NOW`].
const WALL: u64 = 20_000 * 86_400_000 + 51_727_000;

/// The moment `seconds` after the broker started.
pub(super) fn at(seconds: u64) -> Moment {
    Moment { up: Uptime(seconds * 1_000), wall: UnixMillis(WALL + seconds * 1_000 - NOW * 1_000) }
}

/// A session's id by its first and last byte pairs, as the screen shows it.
pub(super) fn id(first: [u8; 2], last: [u8; 2]) -> SessionId {
    let mut bytes = [7; 16];
    bytes[..2].copy_from_slice(&first);
    bytes[14..].copy_from_slice(&last);
    SessionId::from_bytes(bytes)
}

/// 9f3c..e1a2, detached, 18 s left, 1,204 waiting.
pub(super) fn billing_7() -> SessionId {
    id([0x9f, 0x3c], [0xe1, 0xa2])
}

/// 77ab..02cd, detached, nothing to lose.
pub(super) fn edge_cam_3() -> SessionId {
    id([0x77, 0xab], [0x02, 0xcd])
}

/// 51aa..90bb, attached.
pub(super) fn billing_3() -> SessionId {
    id([0x51, 0xaa], [0x90, 0xbb])
}

pub(super) fn topic(name: &str) -> TopicName {
    name.parse().unwrap()
}

pub(super) fn subscription(session: SessionId, filter: &str) -> SubscriptionId {
    SubscriptionId { session, filter: filter.parse().unwrap() }
}

/// A configuration in which everyone of [`Bench::busy`] may subscribe to less, another user is new, and a key has changed.
pub(super) fn narrower() -> Box<Preview> {
    let filters = |texts: &[&str]| texts.iter().map(|text| text.parse().unwrap()).collect();
    let hash = "$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHRzYWx0$aGFzaGhhc2hoYXNoaGFzaGhhc2hoYXNo";
    let user = |name: &str, subscribe: &[&str], deny: &[&str]| User {
        name: name.parse().unwrap(),
        password_hash: PasswordHash::parse(hash).unwrap(),
        allow: Grants { subscribe: filters(subscribe), ..Grants::default() },
        deny: Grants { subscribe: filters(deny), ..Grants::default() },
    };
    let running = Config { users: vec![user("local", &["#"], &[])], ..Config::default() };
    let users = vec![user("local", &["orders/#", "frames/#"], &["orders/us"]), user("night-shift", &[], &[])];
    let mut next = Config { users, ..Config::default() };
    next.connections.max = 9;
    Box::new(Preview::new(&running, &next, 7))
}

/// A console, and the broker that it hears.
#[derive(Clone)]
pub(super) struct Bench {
    pub(super) state: State,
    pub(super) now: Moment,
    number: u64,
    listener: u64,
}

impl Bench {
    /// A console that has heard nothing.
    pub(super) fn silent(size: (u16, u16)) -> Self {
        let theme = Theme { colour: true, ascii: false };
        Self { state: State::new("ana".into(), theme, size), now: at(0), number: 0, listener: 0 }
    }

    /// A broker that nobody uses.
    pub(super) fn empty(size: (u16, u16)) -> Self {
        let mut bench = Self::silent(size);
        bench.started(0, "127.0.0.1:2673");
        bench.tick(at(NOW));
        bench
    }

    /// A broker on a bad night.
    pub(super) fn busy(size: (u16, u16)) -> Self {
        let mut bench = Self::silent(size);
        bench.started(3, "10.0.0.5:2673");
        bench.now = at(NOW - 9_000);
        bench.people();
        bench.minute();
        bench.tick(at(NOW));
        bench
    }

    pub(super) fn started(&mut self, users: usize, address: &str) {
        let (version, host) = ("0.1.0".to_owned(), "prod-eu1".to_owned());
        let terms = Terms {
            registration_ms: 5_000,
            stall_ms: 10_000,
            leaf: Allowance { restarts: 3, window_ms: 60_000 },
            managers: Allowance { restarts: 3, window_ms: 600_000 },
            audit: Some("/var/lib/cordboard/audit.jsonl".to_owned()),
        };
        self.hear(Event::BrokerStarted { version, pid: 4121, host, users, terms: terms.into() });
        self.hear(Event::EndpointOpened { address: address.parse().unwrap() });
        self.hear(Event::Accepting { on: true });
    }

    /// Sessions, their subscriptions, the topics.
    fn people(&mut self) {
        for name in ["orders/eu", "orders/us", "frames/raw", "audit/tmp", "hello"] {
            self.hear(Event::TopicCreated { topic: topic(name), by: "svc-orders".parse().unwrap() });
        }
        self.joins(billing_7(), "billing-7", "10.0.4.17:50112", &["orders/eu", "orders/us", "invoices/#"]);
        self.joins(edge_cam_3(), "edge-cam-3", "10.0.9.3:41001", &["hello"]);
        self.joins(id([0xc0, 0xde], [0x91, 0xf0]), "etl-night", "10.0.2.88:50222", &["orders/eu", "orders/+"]);
        self.joins(id([0x51, 0xff], [0x0c, 0x0c]), "lab-2", "10.0.8.8:33001", &["orders/us"]);
        self.joins(billing_3(), "billing-3", "10.0.4.12:50110", &["orders/eu", "orders/us"]);
        self.joins(id([0xbe, 0x12], [0x0a, 0x01]), "edge-cam-9", "10.0.7.31:41822", &["frames/raw"]);
        self.joins(id([0x1d, 0x22], [0xaa, 0x10]), "reports", "10.0.2.9:50100", &["orders/us"]);
    }

    /// A client registers and subscribes.
    pub(super) fn joins(&mut self, session: SessionId, client: &str, peer: &str, filters: &[&str]) {
        self.listener += 1;
        let (listener, peer) = (ListenerId(self.listener), peer.parse().unwrap());
        self.hear(Event::ListenerOpened { id: listener, peer });
        self.hear(Event::SessionCreated {
            id: session,
            client: client.parse().unwrap(),
            principal: Principal::local(),
            listener,
            peer,
            epoch: Epoch(1),
            reclaim_ms: 90_000,
        });
        self.hear(Event::ListenerRegistered { id: listener, session });
        for filter in filters {
            let id = subscription(session, filter);
            self.hear(Event::SubscriptionCreated { id: id.clone() });
            self.hear(Event::SubscriptionDrained { id });
        }
    }

    /// A client goes; its timer runs until `deadline` seconds.
    pub(super) fn leaves(&mut self, session: SessionId, deadline: u64) {
        let row = self.state.live.board.sessions.get(&session).unwrap().clone();
        self.hear(Event::SessionDetached { id: session, epoch: row.epoch, why: CloseReason::PeerClosed, deadline: at(deadline) });
        for filter in row.subscriptions {
            self.hear(Event::SubscriptionParked { id: SubscriptionId { session, filter } });
        }
    }

    /// A client comes back.
    pub(super) fn returns(&mut self, session: SessionId) {
        let row = self.state.live.board.sessions.get(&session).unwrap().clone();
        self.listener += 1;
        self.hear(Event::SessionAttached {
            id: session,
            client: row.client,
            listener: ListenerId(self.listener),
            peer: row.peer,
            epoch: row.epoch.next(),
            reclaim_ms: row.reclaim_ms,
            takeover: false,
        });
    }

    /// A session ends.
    pub(super) fn ends(&mut self, session: SessionId, why: SessionEnd) {
        let depth = self.state.live.board.sessions.get(&session).unwrap().depth;
        let lost = Lost { queued: depth.queued(), poison: depth.poison, ..Lost::default() };
        self.hear(Event::SessionEnded { id: session, why, lost });
    }

    /// What subscriptions hold: waiting, in flight, poison, dropped.
    pub(super) fn holds(&mut self, rows: &[(SessionId, &str, [u64; 4])]) {
        let subscriptions = rows
            .iter()
            .map(|(session, filter, [waiting, in_flight, poison, dropped])| SubscriptionSample {
                id: subscription(*session, filter),
                depth: Depth {
                    waiting: *waiting,
                    in_flight: *in_flight,
                    poison: *poison,
                    bytes: (waiting + in_flight + poison) * 1_650,
                    dropped: *dropped,
                },
                deliver_rate: 0,
            })
            .collect();
        self.hear(Event::from(Sample { subscriptions, ..Sample::default() }));
    }

    /// The last minute's traffic.
    fn minute(&mut self) {
        for second in NOW - 60..NOW {
            self.now = at(second);
            let wave = |seed: u64, most: u64| most / 2 + (second * seed * 7_919 + seed) % (most / 2 + 1);
            let topic = |name: &str, rate: u64, matched: u64, backlog: u64| TopicSample {
                topic: topic(name),
                published: second * 3,
                publish_rate: rate,
                fan_out_rate: rate * matched,
                matched,
                backlog,
                backlog_bytes: backlog * 512,
                last_publish: Some(at(second)),
            };
            let sample = Sample {
                broker: Some(BrokerSample {
                    published: 88_121_004,
                    delivered: 203_448_117,
                    publish_rate: wave(3, 1_204),
                    deliver_rate: wave(5, 3_880),
                    held_bytes: 20_100_000,
                    dropped: 12,
                    ..BrokerSample::default()
                }),
                sessions: vec![SessionSample { id: billing_3(), publish_rate: 210, deliver_rate: 640 }],
                topics: vec![
                    topic("orders/eu", wave(11, 412), 3, 0),
                    topic("orders/us", wave(13, 220), 4, 0),
                    topic("frames/raw", wave(17, 96), 1, 0),
                    topic("audit/tmp", 3, 0, 180),
                ],
                ..Sample::default()
            };
            self.hear(sample.into());
            self.night(second);
        }
    }

    /// What went wrong, and when.
    fn night(&mut self, second: u64) {
        let (etl, lab) = (id([0xc0, 0xde], [0x91, 0xf0]), id([0x51, 0xff], [0x0c, 0x0c]));
        let (cam, reports) = (id([0xbe, 0x12], [0x0a, 0x01]), id([0x1d, 0x22], [0xaa, 0x10]));
        match NOW - second {
            60 => {
                self.leaves(billing_7(), NOW + 18);
                self.holds(&[(billing_7(), "orders/eu", [400, 38, 0, 0])]);
            }
            43 => self.leaves(edge_cam_3(), NOW + 47),
            38 => self.leaves(etl, NOW + 112),
            30 => {
                self.leaves(lab, NOW + 60);
                self.hear(Event::SessionHeld { id: lab, by: "ana".into() });
                self.holds(&[
                    (billing_7(), "orders/eu", [747, 64, 38, 0]),
                    (billing_7(), "orders/us", [393, 0, 0, 0]),
                    (etl, "orders/eu", [8_487, 0, 19, 12]),
                    (lab, "orders/us", [12, 0, 0, 0]),
                    (cam, "frames/raw", [1_940, 12, 0, 0]),
                    (billing_3(), "orders/eu", [0, 3, 0, 0]),
                    (reports, "orders/us", [88, 0, 0, 0]),
                ]);
                let id = subscription(etl, "orders/eu");
                self.hear(Event::SubscriptionOverflowed { id, dropped: 12, why: DropReason::QueueFull });
            }
            12 => self.hear(Event::TopicRestarted { topic: topic("orders/us"), restarts: 1, why: "index out of bounds".into() }),
            4 => {
                self.leaves(reports, NOW - 4);
                self.ends(reports, SessionEnd::Reclaimed);
            }
            _ => {}
        }
    }

    /// The broker says something.
    pub(super) fn hear(&mut self, event: Event) {
        self.number += 1;
        let stamped = Arc::new(Stamped { number: self.number, at: self.now, event });
        self.tell(Msg::News(News { events: vec![stamped], ..News::default() }));
    }

    /// A message comes.
    pub(super) fn tell(&mut self, msg: Msg) -> Vec<Effect> {
        update(&mut self.state, self.now, msg)
    }

    /// A second has passed, it is `now`, and a frame shows it.
    pub(super) fn tick(&mut self, now: Moment) {
        self.now = now;
        self.tell(Msg::Tick);
        self.state.drawn();
    }

    /// Time enough for every list to be rebuilt.
    pub(super) fn settle(&mut self) {
        let later = self.now.up.0 / 1_000 + 2;
        self.tick(at(later));
    }

    /// A key is pressed.
    pub(super) fn press(&mut self, code: KeyCode) -> Vec<Effect> {
        self.tell(Msg::Key(KeyEvent::new(code, KeyModifiers::NONE)))
    }

    /// Characters are typed, one after the other.
    pub(super) fn type_(&mut self, text: &str) -> Vec<Effect> {
        text.chars().flat_map(|c| self.press(KeyCode::Char(c))).collect()
    }

    /// The screen.
    pub(super) fn frame(&self) -> Buffer {
        let (width, height) = self.state.size;
        let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
        terminal.draw(|frame| draw(&self.state, frame)).unwrap();
        terminal.backend().buffer().clone()
    }

    /// The screen as text.
    pub(super) fn screen(&self) -> String {
        lines(&self.frame())
    }
}

/// A buffer as lines without trailing blanks.
pub(super) fn lines(buffer: &Buffer) -> String {
    let mut text = String::new();
    for y in 0..buffer.area.height {
        let mut line = String::new();
        let mut skip = 0;
        for x in 0..buffer.area.width {
            let symbol = buffer[(x, y)].symbol();
            if skip == 0 {
                line.push_str(symbol);
            }
            skip = crate::console::state::text::width(symbol).max(skip).saturating_sub(1);
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}
