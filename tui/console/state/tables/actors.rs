//! The supervision tree as it is: the broker, its managers, their leaves by kind, and beside those each leaf that is a
//! problem. Groups are folded at first: a hundred thousand leaves that are well are one line. A filter looks through all of
//! them, folded or not, and what it finds is a plain list.

use std::collections::{BTreeMap, BTreeSet};

use cordboard::{
    clock::Moment,
    events::{ActorName, Allowance, Busy, LastFailure},
};

use crate::console::state::{
    filter::{Fact, Facts},
    incidents::REMEMBERED_MS,
    list::{AnyList as _, List, Sort, Table, Value},
    model::Model,
    subject::Subject,
    text::{age, safe},
};

use super::{number, text};

/// The tree as a list.
#[derive(Debug, Clone)]
pub(crate) struct Actors;

/// A line of the tree.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Node {
    /// An actor.
    Actor(ActorName),
    /// All leaves of a kind.
    Group(Leaf),
}

/// A kind of leaf.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Leaf {
    /// Topics.
    Topic,
    /// Subscribers.
    Subscriber,
    /// Sessions.
    Session,
    /// Listeners.
    Listener,
}

/// What is unfolded, and whether only problems are shown.
#[derive(Debug, Clone, Default)]
pub(crate) struct Folds {
    /// Nodes that are not as they are at first.
    toggled: BTreeSet<Node>,
    /// Problems only.
    pub(crate) problems: bool,
}

impl Folds {
    /// Problems only, everything unfolded that they are below.
    pub(crate) fn problems() -> Self {
        Self { problems: true, ..Self::default() }
    }

    /// True if what is below `node` is shown.
    pub(crate) fn is_open(&self, node: &Node) -> bool {
        let at_first = matches!(node, Node::Actor(_));
        at_first != self.toggled.contains(node)
    }

    /// Shows or hides what is below `node`; false if that is so already.
    pub(crate) fn set(&mut self, node: &Node, open: bool) -> bool {
        if self.is_open(node) == open {
            return false;
        }
        if !self.toggled.remove(node) {
            self.toggled.insert(node.clone());
        }
        true
    }
}

impl Leaf {
    /// All of them, with their managers, in the order in which they are started.
    pub(crate) const ALL: [(ActorName, Self); 4] = [
        (ActorName::TopicManager, Self::Topic),
        (ActorName::SubscriberManager, Self::Subscriber),
        (ActorName::SessionManager, Self::Session),
        (ActorName::ListenerManager, Self::Listener),
    ];

    /// What one of them is called.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Topic => "Topic",
            Self::Subscriber => "Subscriber",
            Self::Session => "Session",
            Self::Listener => "Listener",
        }
    }

    /// The kind of `actor`, if it is a leaf. A connection's tasks are of its listener.
    pub(crate) fn of(actor: &ActorName) -> Option<Self> {
        Some(match actor {
            ActorName::Topic(_) => Self::Topic,
            ActorName::Subscriber(_) => Self::Subscriber,
            ActorName::Session(_) => Self::Session,
            ActorName::Listener(_) | ActorName::Reader(_) | ActorName::Writer(_) => Self::Listener,
            ActorName::Broker
            | ActorName::TopicManager
            | ActorName::SubscriberManager
            | ActorName::SessionManager
            | ActorName::ListenerManager => return None,
        })
    }

    /// Its manager.
    pub(crate) fn manager(self) -> ActorName {
        match self {
            Self::Topic => ActorName::TopicManager,
            Self::Subscriber => ActorName::SubscriberManager,
            Self::Session => ActorName::SessionManager,
            Self::Listener => ActorName::ListenerManager,
        }
    }

    /// How many there are.
    pub(crate) fn count(self, model: &Model) -> usize {
        let board = &model.board;
        match self {
            Self::Topic => board.topics.len(),
            Self::Subscriber => board.subscriptions.len(),
            Self::Session => board.sessions.len(),
            Self::Listener => board.listeners.len(),
        }
    }

    /// All of them.
    fn all(self, model: &Model) -> Box<dyn Iterator<Item = ActorName> + '_> {
        let board = &model.board;
        match self {
            Self::Topic => Box::new(board.topics.keys().cloned().map(ActorName::Topic)),
            Self::Subscriber => Box::new(board.subscriptions.keys().cloned().map(ActorName::Subscriber)),
            Self::Session => Box::new(board.sessions.keys().copied().map(ActorName::Session)),
            Self::Listener => Box::new(board.listeners.keys().copied().map(ActorName::Listener)),
        }
    }
}

impl Node {
    /// The node that it is below.
    pub(crate) fn parent(&self) -> Option<Self> {
        match self {
            Self::Actor(ActorName::Broker) => None,
            Self::Actor(actor) => Some(Leaf::of(actor).map_or(Self::Actor(ActorName::Broker), Self::Group)),
            Self::Group(leaf) => Some(Self::Actor(leaf.manager())),
        }
    }

    /// How deep it is in the tree.
    pub(crate) fn depth(&self) -> u16 {
        self.parent().map_or(0, |parent| parent.depth() + 1)
    }

    /// True if nothing can be below it.
    pub(crate) fn is_leaf(&self) -> bool {
        matches!(self, Self::Actor(actor) if Leaf::of(actor).is_some())
    }
}

impl List<Actors> {
    /// It is no tree, but what a filter has found in it.
    pub(crate) fn is_flat(&self) -> bool {
        !self.filter().is_empty()
    }
}

/// How an actor is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Health {
    /// It does what comes.
    Running,
    /// It has been in one message for long.
    Busy {
        /// Which.
        message: String,
        /// For how long.
        seconds: u64,
    },
    /// It was restarted so long ago, in milliseconds.
    Restarted(u64),
    /// It failed so long ago, in milliseconds, and is gone.
    Failed(u64),
}

/// An actor of the tree.
#[derive(Clone, Copy)]
pub(crate) struct Member<'a> {
    /// Which.
    pub(crate) actor: &'a ActorName,
    model: &'a Model,
}

impl<'a> Member<'a> {
    /// What is known of `actor`.
    pub(crate) fn of(model: &'a Model, actor: &'a ActorName) -> Self {
        Self { actor, model }
    }

    /// True if it is there.
    pub(crate) fn is_there(&self) -> bool {
        self.since().is_some()
    }

    /// Since when it has been there.
    pub(crate) fn since(&self) -> Option<Moment> {
        let board = &self.model.board;
        match self.actor {
            ActorName::Topic(topic) => board.topics.get(topic).map(|row| row.created),
            ActorName::Subscriber(id) => board.subscriptions.get(id).map(|row| row.created),
            ActorName::Session(id) => board.sessions.get(id).map(|row| row.created),
            ActorName::Listener(id) | ActorName::Reader(id) | ActorName::Writer(id) => {
                board.listeners.get(id).map(|row| row.opened)
            }
            ActorName::Broker => Some(board.broker.started),
            // When one fails all four are restarted.
            _ => Some(self.managers_failed().map_or(board.broker.started, |at| at.max(board.broker.started))),
        }
    }

    fn managers_failed(&self) -> Option<Moment> {
        let failures = &self.model.board.history.failures;
        failures.iter().rev().find(|failure| Leaf::of(&failure.actor).is_none()).map(|failure| failure.at)
    }

    /// How old it is.
    pub(crate) fn age(&self) -> String {
        self.since().map_or_else(|| "-".to_owned(), |at| age(self.ago(at)))
    }

    fn ago(&self, at: Moment) -> u64 {
        at.up.until(self.model.now.up).as_millis() as u64
    }

    /// What it has been in for long.
    fn busy(&self) -> Option<&'a Busy> {
        self.model.board.busy.values().flatten().find(|busy| busy.actor == *self.actor)
    }

    /// The last time it failed, if that is remembered.
    pub(crate) fn last_failure(&self) -> Option<LastFailure> {
        let board = &self.model.board;
        let of_row = match self.actor {
            ActorName::Topic(topic) => board.topics.get(topic).and_then(|row| row.last_failure.clone()),
            ActorName::Subscriber(id) => board.subscriptions.get(id).and_then(|row| row.last_failure.clone()),
            _ => None,
        };
        let remembered = || board.history.last_failure(self.actor);
        of_row.or_else(|| remembered().map(|failure| LastFailure { at: failure.at, why: failure.why.clone() }))
    }

    /// How it is.
    pub(crate) fn health(&self) -> Health {
        let failed = self.last_failure().map(|failure| self.ago(failure.at));
        match (self.busy(), failed) {
            (Some(Busy { message, seconds, .. }), _) => Health::Busy { message: message.clone(), seconds: *seconds },
            (None, Some(ago)) if !self.is_there() => Health::Failed(ago),
            (None, Some(ago)) if ago < REMEMBERED_MS => Health::Restarted(ago),
            (None, Some(_) | None) => Health::Running,
        }
    }

    /// How often it was restarted, as counted at its last failure while that counts, and how often it may be. None: it never
    /// is, its end is its client's affair.
    pub(crate) fn restarts(&self) -> Option<(u32, Allowance)> {
        let (board, terms) = (&self.model.board, &self.model.board.broker.terms);
        let (count, allowed, last) = match self.actor {
            ActorName::Topic(topic) => (board.topics.get(topic)?.restarts, terms.leaf, self.last_failure().map(|last| last.at)),
            ActorName::Subscriber(id) => {
                (board.subscriptions.get(id)?.restarts, terms.leaf, self.last_failure().map(|last| last.at))
            }
            actor if Leaf::of(actor).is_none() && *actor != ActorName::Broker => {
                (board.broker.restarts, terms.managers, self.managers_failed())
            }
            _ => return None,
        };
        let counts = last.is_some_and(|at| self.ago(at) < allowed.window_ms);
        Some((if counts { count } else { 0 }, allowed))
    }
}

/// Leaves that are busy, failed lately or were restarted lately, by kind. Bounded, as what is told and remembered of them is.
fn problems(model: &Model) -> BTreeMap<Leaf, BTreeSet<ActorName>> {
    let recent = |at: Moment| (at.up.until(model.now.up).as_millis() as u64) < REMEMBERED_MS;
    let failed = model.board.history.failures.iter().filter(|failure| recent(failure.at)).map(|failure| &failure.actor);
    let busy = model.board.busy.values().flatten().map(|busy| &busy.actor);
    let mut problems: BTreeMap<_, BTreeSet<_>> = BTreeMap::new();
    for actor in failed.chain(busy) {
        if let Some(leaf) = Leaf::of(actor) {
            problems.entry(leaf).or_default().insert(actor.clone());
        }
    }
    problems
}

/// How many actors are a problem, managers included.
pub(crate) fn troubled(model: &Model) -> usize {
    let managers = Leaf::ALL.iter().filter(|(manager, _)| Member::of(model, manager).health() != Health::Running).count();
    managers + problems(model).values().map(BTreeSet::len).sum::<usize>()
}

impl Health {
    /// In one word.
    fn word(&self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Busy { .. } => "busy",
            Self::Restarted(_) => "restarted",
            Self::Failed(_) => "failed",
        }
    }
}

/// A line of the tree and its place in it.
#[derive(Clone)]
pub(crate) struct Place<'a> {
    node: Node,
    nth: u64,
    model: &'a Model,
}

impl Place<'_> {
    /// The actor on this line; a group is none.
    fn member(&self) -> Option<Member<'_>> {
        match &self.node {
            Node::Actor(actor) => Some(Member::of(self.model, actor)),
            Node::Group(_) => None,
        }
    }
}

impl Facts for Place<'_> {
    fn fact(&self, field: &str) -> Option<Fact> {
        let member = self.member()?;
        Some(match field {
            "kind" => text(member.actor.kind()),
            "name" => text(object(member.actor).label_in(self.model)),
            "state" => text(member.health().word()),
            "restarts" => number(member.restarts().map_or(0, |(count, _)| count.into())),
            "failure" => text(member.last_failure().map(|failure| safe(failure.why)).unwrap_or_default()),
            _ => return None,
        })
    }

    fn words(&self) -> String {
        let Some(member) = self.member() else { return String::new() };
        let failure = member.last_failure().map(|failure| safe(failure.why)).unwrap_or_default();
        let label = Subject::Actor(member.actor.clone()).label_in(self.model);
        format!("{label} {} {failure}", member.health().word())
    }
}

/// The lines of the tree.
fn nodes(model: &Model, folds: &Folds) -> Vec<Node> {
    let mut nodes = Vec::new();
    let mut problems = problems(model);
    let root = Node::Actor(ActorName::Broker);
    let is_open = folds.is_open(&root);
    let any = troubled(model) > 0;
    if model.is_known() && (any || !folds.problems) {
        nodes.push(root);
    }
    for (manager, leaf) in Leaf::ALL {
        let troubled = problems.remove(&leaf).unwrap_or_default();
        let is_well = troubled.is_empty() && Member::of(model, &manager).health() == Health::Running;
        if !is_open || !model.is_known() || (folds.problems && is_well) {
            continue;
        }
        let manager = Node::Actor(manager);
        let (shows, group) = (folds.is_open(&manager), Node::Group(leaf));
        nodes.push(manager);
        if !shows {
            continue;
        }
        let all = folds.is_open(&group) && !folds.problems;
        nodes.push(group);
        if all {
            nodes.extend(leaf.all(model).chain(gone(model, troubled)).map(Node::Actor));
        } else {
            nodes.extend(troubled.into_iter().map(Node::Actor));
        }
    }
    nodes
}

/// Of actors in trouble those that are no longer there.
fn gone(model: &Model, troubled: BTreeSet<ActorName>) -> impl Iterator<Item = ActorName> {
    troubled.into_iter().filter(|actor| !Member::of(model, actor).is_there())
}

/// All actors, or all that are a problem, in the order of the tree.
fn actors<'a>(model: &'a Model, folds: &Folds) -> Box<dyn Iterator<Item = ActorName> + 'a> {
    let mut problems = problems(model);
    let only_problems = folds.problems;
    let leaves = Leaf::ALL.into_iter().flat_map(move |(manager, leaf)| {
        let troubled = problems.remove(&leaf).unwrap_or_default();
        let below: Box<dyn Iterator<Item = ActorName>> =
            if only_problems { Box::new(troubled.into_iter()) } else { Box::new(leaf.all(model).chain(gone(model, troubled))) };
        std::iter::once(manager).chain(below)
    });
    let is_shown = move |actor: &ActorName| {
        !only_problems || Leaf::of(actor).is_some() || Member::of(model, actor).health() != Health::Running
    };
    Box::new(std::iter::once(ActorName::Broker).filter(|_| model.is_known()).chain(leaves).filter(is_shown))
}

fn places(model: &Model, nodes: impl Iterator<Item = Node>) -> impl Iterator<Item = Place<'_>> {
    nodes.zip(0..).map(move |(node, nth)| Place { node, nth, model })
}

impl Table for Actors {
    type Id = Node;
    type Row<'a> = Place<'a>;
    type Lens = Folds;
    const SORTS: &'static [Sort] = &[Sort { name: "TREE", descending: false }];
    const FIELDS: &'static [&'static str] = &["kind", "name", "state", "restarts", "failure"];

    fn rows<'a>(model: &'a Model, folds: &Folds) -> impl Iterator<Item = Place<'a>> {
        places(model, nodes(model, folds).into_iter())
    }

    fn searched<'a>(model: &'a Model, folds: &Folds) -> impl Iterator<Item = Place<'a>> {
        places(model, actors(model, folds).map(Node::Actor))
    }

    fn id(row: &Place<'_>) -> Node {
        row.node.clone()
    }

    fn value(row: &Place<'_>, _sort: &'static str) -> Value {
        Value::Number(row.nth)
    }
}

/// The object that an actor serves, to go there.
pub(crate) fn object(actor: &ActorName) -> Subject {
    match actor {
        ActorName::Topic(topic) => Subject::Topic(topic.clone()),
        ActorName::Subscriber(id) => Subject::Subscription(id.clone()),
        ActorName::Session(id) => Subject::Session(*id),
        ActorName::Listener(id) | ActorName::Reader(id) | ActorName::Writer(id) => Subject::Listener(*id),
        manager => Subject::Actor(manager.clone()),
    }
}
