//! The state: plain data, a model of the broker and what the operator is doing with it. `update` alone changes it, the views
//! only read it.

pub(crate) mod attention;
pub(crate) mod deed;
pub(crate) mod departed;
pub(crate) mod dialog;
pub(crate) mod facts;
pub(crate) mod filter;
pub(crate) mod forbidden;
pub(crate) mod geometry;
pub(crate) mod growth;
pub(crate) mod help;
pub(crate) mod incidents;
pub(crate) mod list;
pub(crate) mod log;
pub(crate) mod model;
pub(crate) mod orders;
pub(crate) mod page;
pub(crate) mod peek;
pub(crate) mod price;
pub(crate) mod series;
pub(crate) mod subject;
pub(crate) mod tables;
pub(crate) mod text;
pub(crate) mod words;

use cordboard::clock::{Moment, Uptime};
use tui_input::Input;

use self::{
    dialog::Dialog,
    forbidden::Banned,
    geometry::{Geometry, inside},
    list::{List, Table},
    model::Model,
    orders::{Given, Status},
    page::Page,
    peek::PeekPane,
    subject::Subject,
    tables::{events::Events, needs::Needs, sessions::Sessions, subscriptions::Subscriptions, topics::Topics},
};
use super::{keymap::Context, theme::Theme};

/// A view, by the digit that opens it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum View {
    /// What needs attention, the broker's figures, what is reclaimed next.
    Overview,
    /// Sessions.
    Sessions,
    /// Topics.
    Topics,
    /// Subscriptions by what they hold.
    DeadLetters,
    /// The log.
    Events,
}

impl View {
    /// All views with their digits and names.
    pub(crate) const ALL: [(Self, char, &'static str); 5] = [
        (Self::Overview, '1', "Overview"),
        (Self::Sessions, '2', "Sessions"),
        (Self::Topics, '4', "Topics"),
        (Self::DeadLetters, '5', "Dead letters"),
        (Self::Events, '7', "Events"),
    ];
}

/// A pane of the overview that takes a cursor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pane {
    /// What needs attention.
    Needs,
    /// What is reclaimed next.
    Reclaim,
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
    /// The view before.
    pub(crate) previous: View,
    /// Pages opened over the view.
    pub(crate) pages: Vec<Page>,
    /// The overview's pane with the cursor.
    pub(crate) pane: Pane,
    /// What needs attention.
    pub(crate) needs: List<Needs>,
    /// What is reclaimed next.
    pub(crate) reclaim: List<Sessions>,
    /// The list of sessions.
    pub(crate) sessions: List<Sessions>,
    /// The list of topics.
    pub(crate) topics: List<Topics>,
    /// The list of subscriptions.
    pub(crate) subscriptions: List<Subscriptions>,
    /// The log.
    pub(crate) events: List<Events>,
    /// The detail is wanted.
    pub(crate) detail: bool,
    /// What takes the keys.
    pub(crate) modal: Modal,
    /// Orders that have not shown their effect yet.
    pub(crate) given: Vec<Given>,
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
            demo: false,
            theme,
            size,
            clock: Moment::default(),
            live: Model::default(),
            held: None,
            view: View::Overview,
            previous: View::Overview,
            pages: Vec::new(),
            pane: Pane::Needs,
            needs: List::default(),
            reclaim: List::filtered("!state:attached !state:ended"),
            sessions: List::default(),
            topics: List::default(),
            subscriptions: List::default(),
            events: List::following(),
            detail: true,
            modal: Modal::None,
            given: Vec::new(),
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

    /// Where the parts of the screen are.
    pub(crate) fn geometry(&self) -> Option<Geometry> {
        Geometry::of(self.size, self.detail)
    }

    /// What takes the keys.
    pub(crate) fn context(&self) -> Context {
        match &self.modal {
            Modal::Filter { .. } => Context::Filter,
            Modal::Sort(_) => Context::Sort,
            Modal::Dialog(_) => Context::Dialog,
            Modal::Quit(_) => Context::Quit,
            Modal::Peek(_) => Context::Peek,
            Modal::Forbidden(_) => Context::Forbidden,
            Modal::Help { .. } => Context::Help,
            Modal::None => self.body_context(),
        }
    }

    /// What would take the keys if nothing stood before it.
    pub(crate) fn body_context(&self) -> Context {
        match (self.pages.last().map(|page| &page.subject), self.view) {
            (Some(Subject::Session(_)), _) => Context::SessionPage,
            (Some(Subject::Topic(_)), _) => Context::TopicPage,
            (Some(Subject::Subscription(_)), _) => Context::SubscriptionPage,
            (_, View::Overview) => Context::Overview,
            (_, View::Sessions) => Context::Sessions,
            (_, View::Topics) => Context::Topics,
            (_, View::DeadLetters) => Context::DeadLetters,
            (_, View::Events) => Context::Events,
        }
    }

    /// What the cursor is on, or the page that is open.
    pub(crate) fn subject(&self) -> Option<Subject> {
        if let Some(page) = self.pages.last() {
            return Some(page.subject.clone());
        }
        match (self.view, self.pane) {
            (View::Overview, Pane::Needs) => self.needs.cursor().map(|(_, subject, _)| subject.clone()),
            (View::Overview, Pane::Reclaim) => self.reclaim.cursor().copied().map(Subject::Session),
            (View::Sessions, _) => self.sessions.cursor().copied().map(Subject::Session),
            (View::Topics, _) => self.topics.cursor().cloned().map(Subject::Topic),
            (View::DeadLetters, _) => self.subscriptions.cursor().cloned().map(Subject::Subscription),
            (View::Events, _) => {
                let entry = self.events.cursor().and_then(|number| self.shown().log.get(*number));
                entry.and_then(|entry| entry.subject())
            }
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

    /// When the screen wants to be looked at again before the next second: a list is due.
    pub(crate) fn due(&self) -> Option<Uptime> {
        if matches!(self.modal, Modal::Dialog(_)) {
            return None;
        }
        match self.view {
            View::Overview => self.needs.due().into_iter().chain(self.reclaim.due()).min(),
            View::Sessions => self.sessions.due(),
            View::Topics => self.topics.due(),
            View::DeadLetters => self.subscriptions.due(),
            View::Events => self.events.due(),
        }
    }

    /// Rebuilds the lists on the screen that are due. Under a dialog nothing moves.
    pub(crate) fn rebuild(&mut self) {
        if matches!(self.modal, Modal::Dialog(_)) {
            return;
        }
        let model = self.held.as_deref().unwrap_or(&self.live);
        let now = self.clock;
        let Some(geometry) = Geometry::of(self.size, self.detail) else { return };
        let rows = geometry.rows();
        self.dirty |= match self.view {
            View::Overview => {
                let panes = geometry.panes();
                rebuild(&mut self.needs, model, now, inside(panes.needs))
                    | rebuild(&mut self.reclaim, model, now, inside(panes.reclaim))
            }
            View::Sessions => rebuild(&mut self.sessions, model, now, rows),
            View::Topics => rebuild(&mut self.topics, model, now, rows),
            View::DeadLetters => rebuild(&mut self.subscriptions, model, now, rows),
            View::Events => rebuild(&mut self.events, model, now, rows),
        };
    }

    /// The rows of every list may no longer be so.
    pub(crate) fn mark_stale(&mut self) {
        self.needs.mark_stale();
        self.reclaim.mark_stale();
        self.sessions.mark_stale();
        self.topics.mark_stale();
        self.subscriptions.mark_stale();
        self.events.mark_stale();
    }
}

fn rebuild<T: Table>(list: &mut List<T>, model: &Model, now: Moment, rows: usize) -> bool {
    let due = list.due().is_some_and(|due| due <= now.up);
    if due {
        list.rebuild(model, now, rows);
    }
    due
}
