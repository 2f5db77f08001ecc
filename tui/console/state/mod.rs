//! The state: plain data, a model of the broker and what the operator is doing with it. `update` alone changes it, the views
//! only read it.

pub(crate) mod attention;
pub(crate) mod deed;
pub(crate) mod departed;
pub(crate) mod dialog;
pub(crate) mod empty;
pub(crate) mod facts;
pub(crate) mod filter;
pub(crate) mod forbidden;
pub(crate) mod geometry;
pub(crate) mod growth;
pub(crate) mod help;
pub(crate) mod incidents;
pub(crate) mod list;
pub(crate) mod lists;
pub(crate) mod log;
pub(crate) mod model;
pub(crate) mod orders;
pub(crate) mod page;
pub(crate) mod peek;
pub(crate) mod price;
pub(crate) mod question;
pub(crate) mod room_facts;
pub(crate) mod series;
pub(crate) mod subject;
pub(crate) mod tables;
pub(crate) mod text;
pub(crate) mod trail;
pub(crate) mod words;

use cordboard::{
    clock::{Moment, Uptime},
    name::SessionId,
};
use tui_input::Input;

use self::{
    dialog::Dialog,
    forbidden::Banned,
    geometry::{Geometry, LEAST},
    list::List,
    model::Model,
    orders::{Given, Status},
    page::Page,
    peek::PeekPane,
    subject::Subject,
    tables::{
        actors::{Actors, Folds},
        audit::Audit,
        events::Events,
        listeners::Listeners,
        needs::Needs,
        sessions::Sessions,
        subscriptions::Subscriptions,
        topics::Topics,
    },
    text::wrap,
    trail::Place,
};
use super::{keymap::Context, theme::Theme};
use crate::demo::PREFIX;

/// A view, by the digit that opens it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum View {
    /// What needs attention, the broker's figures, what is reclaimed next.
    Overview,
    /// Sessions.
    Sessions,
    /// Connections.
    Listeners,
    /// Topics.
    Topics,
    /// Subscriptions by what they hold.
    DeadLetters,
    /// The supervision tree.
    Actors,
    /// The log.
    Events,
    /// Orders.
    Audit,
}

impl View {
    /// All views with their digits, their names, and these cut to what fits beside each other on 80 columns.
    pub(crate) const ALL: [(Self, char, &'static str, &'static str); 8] = [
        (Self::Overview, '1', "Overview", "Over"),
        (Self::Sessions, '2', "Sessions", "Sess"),
        (Self::Listeners, '3', "Listeners", "List"),
        (Self::Topics, '4', "Topics", "Topics"),
        (Self::DeadLetters, '5', "Dead letters", "DLQ"),
        (Self::Actors, '6', "Actors", "Actors"),
        (Self::Events, '7', "Events", "Events"),
        (Self::Audit, '8', "Audit", "Audit"),
    ];
}

/// A pane of the overview that takes a cursor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pane {
    /// What needs attention.
    Needs,
    /// What is reclaimed next.
    Reclaim,
    /// The cockpit's sessions.
    Sessions,
    /// The cockpit's topics.
    Topics,
    /// The cockpit's actors in trouble.
    Actors,
    /// The cockpit's log.
    Events,
}

/// What is shown of the overview's panes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Zoom {
    /// All of them.
    Out,
    /// The one with the cursor.
    In,
}

/// What stands before the view and takes the keys.
#[derive(Debug, Clone)]
pub(crate) enum Modal {
    /// Nothing.
    None,
    /// The filter line, and the filter that Esc brings back.
    Filter {
        /// What is typed.
        input: Input,
        /// The filter before.
        before: String,
    },
    /// The menu of sort orders, and the one under the cursor.
    Sort(usize),
    /// The question before an order.
    Dialog(Box<Dialog>),
    /// The question before leaving, and the answer under the cursor.
    Quit(usize),
    /// A look into a queue or a backlog.
    Peek(Box<PeekPane>),
    /// What is forbidden, and what of it is under the cursor.
    Forbidden(Option<Banned>),
    /// The help screen: what is searched, and the first line shown.
    Help {
        /// What is searched.
        input: Input,
        /// The first line shown.
        top: usize,
    },
}

/// The answers before leaving, in their order; the first has the focus.
pub(crate) const QUIT_ANSWERS: usize = 4;

/// Everything that a frame is drawn from.
#[derive(Debug, Clone)]
pub(crate) struct State {
    /// Who gives orders here.
    pub(crate) operator: String,
    /// What to type to run this program.
    pub(crate) program: String,
    /// The broker has synthetic clients, and every screen says so.
    pub(crate) demo: bool,
    /// What the screen may look like.
    pub(crate) theme: Theme,
    /// The terminal's size.
    pub(crate) size: (u16, u16),
    /// The moment of the last message.
    pub(crate) clock: Moment,
    /// The broker as it is.
    pub(crate) live: Model,
    /// The broker as it was when the screen was frozen.
    pub(crate) held: Option<Box<Model>>,
    /// The view.
    pub(crate) view: View,
    /// The places that led here, the last one last.
    pub(crate) trail: Vec<Place>,
    /// Pages opened over the view.
    pub(crate) pages: Vec<Page>,
    /// The overview's pane with the cursor.
    pub(crate) pane: Pane,
    /// What of the panes is shown.
    pub(crate) zoom: Zoom,
    /// What needs attention.
    pub(crate) needs: List<Needs>,
    /// What is reclaimed next.
    pub(crate) reclaim: List<Sessions>,
    /// The list of sessions.
    pub(crate) sessions: List<Sessions>,
    /// The list of connections.
    pub(crate) listeners: List<Listeners>,
    /// The list of topics.
    pub(crate) topics: List<Topics>,
    /// The list of subscriptions.
    pub(crate) subscriptions: List<Subscriptions>,
    /// The supervision tree.
    pub(crate) actors: List<Actors>,
    /// The cockpit's tree: at first its problems alone.
    pub(crate) troubled: List<Actors>,
    /// The log.
    pub(crate) events: List<Events>,
    /// The list of orders.
    pub(crate) audit: List<Audit>,
    /// The detail is wanted.
    pub(crate) detail: bool,
    /// What takes the keys.
    pub(crate) modal: Modal,
    /// Orders that have not shown their effect yet.
    pub(crate) given: Vec<Given>,
    /// What stands until the operator has dismissed it.
    pub(crate) notice: Option<String>,
    /// What was last said to the operator.
    pub(crate) status: Option<Status>,
    /// The number of the next order.
    pub(crate) ticket: u64,
    /// The screen is no longer what a frame would be.
    pub(crate) dirty: bool,
    /// What the last frame told of events held back.
    pub(crate) told: Option<u64>,
    /// When attention was last assessed.
    pub(crate) assessed: Option<Uptime>,
}

impl State {
    /// A console that has heard nothing yet.
    pub(crate) fn new(operator: String, theme: Theme, size: (u16, u16)) -> Self {
        Self {
            operator,
            program: "cordboard".to_owned(),
            demo: false,
            theme,
            size,
            clock: Moment::default(),
            live: Model::default(),
            held: None,
            view: View::Overview,
            trail: Vec::new(),
            pages: Vec::new(),
            pane: Pane::Needs,
            zoom: Zoom::Out,
            needs: List::default(),
            reclaim: List::filtered("!state:attached !state:ended"),
            sessions: List::default(),
            listeners: List::default(),
            topics: List::default(),
            subscriptions: List::default(),
            actors: List::default(),
            troubled: List::seen_through(Folds::problems()),
            events: List::following(),
            audit: List::default(),
            detail: true,
            modal: Modal::None,
            given: Vec::new(),
            notice: None,
            status: None,
            ticket: 0,
            dirty: true,
            told: None,
            assessed: None,
        }
    }

    /// The broker as the screen shows it: as it is, or as it was when it was frozen.
    pub(crate) fn shown(&self) -> &Model {
        self.held.as_deref().unwrap_or(&self.live)
    }

    /// A frame was drawn: the operator has seen what it shows.
    pub(crate) fn drawn(&mut self) {
        self.dirty = false;
        if let Modal::Dialog(dialog) = &mut self.modal {
            dialog.seen = dialog.price.clone();
        }
    }

    /// Events that have happened since the screen was frozen.
    pub(crate) fn held_back(&self) -> Option<u64> {
        self.held.as_ref().map(|held| self.live.board.number.saturating_sub(held.board.number))
    }

    /// True while every session is one of the demo's own: nothing that its end loses is missed by anybody.
    pub(crate) fn is_only_demo(&self) -> bool {
        self.demo && self.live.board.sessions.values().all(|row| row.client.as_str().starts_with(PREFIX))
    }

    /// What stands until it is dismissed, in lines as wide as the screen, and how to dismiss it.
    pub(crate) fn notice_lines(&self) -> Vec<String> {
        let columns = usize::from(self.size.0.saturating_sub(2));
        self.notice.as_ref().map_or_else(Vec::new, |text| wrap(&format!("{text} - Esc dismisses this"), columns))
    }

    /// Where the parts of the screen are.
    pub(crate) fn geometry(&self) -> Option<Geometry> {
        Geometry::of(self.size, self.detail, self.notice_lines().len())
    }

    /// True if a question before an order can be read and answered: on less of a screen than the views need, too.
    pub(crate) fn has_room_for_questions(&self) -> bool {
        self.size.0 >= LEAST.0 && self.size.1 >= LEAST.1
    }

    /// What takes the keys.
    pub(crate) fn context(&self) -> Context {
        let covered = self.geometry().is_none();
        match &self.modal {
            Modal::None if covered => Context::Compact,
            Modal::Quit(_) => Context::Quit,
            Modal::Dialog(_) if self.has_room_for_questions() => Context::Dialog,
            _ if covered => Context::Covered,
            Modal::Filter { .. } => Context::Filter,
            Modal::Sort(_) => Context::Sort,
            Modal::Dialog(_) => Context::Dialog,
            Modal::Peek(_) => Context::Peek,
            Modal::Forbidden(_) => Context::Forbidden,
            Modal::Help { .. } => Context::Help,
            Modal::None => self.body_context(),
        }
    }

    /// What would take the keys if nothing stood before it.
    pub(crate) fn body_context(&self) -> Context {
        match (self.pages.last().map(|page| &page.subject), self.room()) {
            (Some(Subject::Session(_)), _) => Context::SessionPage,
            (Some(Subject::Topic(_)), _) => Context::TopicPage,
            (Some(Subject::Subscription(_)), _) => Context::SubscriptionPage,
            (Some(Subject::Listener(_)), _) => Context::ListenerPage,
            (Some(Subject::Order(_)), _) => Context::OrderPage,
            (_, View::Overview) => Context::Overview,
            (_, View::Sessions) => Context::Sessions,
            (_, View::Listeners) => Context::Listeners,
            (_, View::Topics) => Context::Topics,
            (_, View::DeadLetters) => Context::DeadLetters,
            (_, View::Actors) => Context::Actors,
            (_, View::Events) => Context::Events,
            (_, View::Audit) => Context::Audit,
        }
    }

    /// Where the operator is, as a message calls it.
    pub(crate) fn whereabouts(&self) -> &'static str {
        match self.body_context() {
            Context::SessionPage => "a session's page",
            Context::TopicPage => "a topic's page",
            Context::SubscriptionPage => "a subscription's page",
            Context::ListenerPage => "a connection's page",
            Context::OrderPage => "an order's page",
            _ => View::ALL.iter().find(|(view, ..)| *view == self.room()).map_or("", |(_, _, name, _)| *name),
        }
    }

    /// Where else the keys of the body are looked for: the overview's panes are the same wherever its cursor is.
    pub(crate) fn body_contexts(&self) -> Vec<Context> {
        let panes = self.view == View::Overview && self.pages.is_empty();
        [self.body_context()].into_iter().chain(panes.then_some(Context::Panes)).collect()
    }

    /// What takes the keys, all of it.
    pub(crate) fn contexts(&self) -> Vec<Context> {
        let body = matches!(self.modal, Modal::None) && self.geometry().is_some();
        if body { self.body_contexts() } else { vec![self.context()] }
    }

    /// What the cursor is on, or the page that is open.
    pub(crate) fn subject(&self) -> Option<Subject> {
        self.pages.last().map(|page| page.subject.clone()).or_else(|| self.under_cursor())
    }

    /// The session that an order would be for: the page's, the one under the cursor, or that of the connection there.
    pub(crate) fn session(&self) -> Option<SessionId> {
        match self.subject()? {
            Subject::Session(id) => Some(id),
            Subject::Listener(id) => self.shown().board.listeners.get(&id)?.session,
            _ => None,
        }
    }

    /// The subscription that an order would be for: the page's, the one under the page's cursor, or the list's.
    pub(crate) fn subscription(&self) -> Option<Subject> {
        let subject = self.subject()?;
        if subject.subscription().is_some() {
            return Some(subject);
        }
        self.pages.last()?.selected(self.shown()).filter(|member| member.subscription().is_some())
    }
}
