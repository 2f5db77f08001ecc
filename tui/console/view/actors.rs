//! Actors: the supervision tree as it is. It is for looking: nothing here ends an actor.

use ratatui::{Frame, layout::Rect};

use super::{
    detail, pane, put,
    table::{self, Column, Row, Size, number, text},
};
use crate::console::state::{
    State, View,
    geometry::Geometry,
    subject::Subject,
    tables::actors::{Health, Leaf, Member, Node, troubled},
    text::{age, counted, safe},
};

const COLUMNS: &[Column] = &[
    text("ST", Size::Fixed(2), 0),
    text("ACTOR", Size::Fill(30, 60), 0),
    text("STATE", Size::Fill(20, 40), 0),
    number("RESTARTS", 9, 0),
    text("LAST FAILURE", Size::Fill(12, 60), 100),
    number("UP", 6, 0),
];

/// The same where there is little room: what it is, and what is wrong with it.
const NARROW: &[Column] = &[
    text("ST", Size::Fixed(2), 0),
    text("ACTOR", Size::Fill(16, 40), 0),
    text("STATE", Size::Fill(17, 18), 0),
    number("RESTARTS", 9, 56),
    text("LAST FAILURE", Size::Fill(12, 60), u16::MAX),
    number("UP", 6, u16::MAX),
];

/// What the detail says below an actor's facts.
const NOTE: &str = "actors are never killed here: views 2-4 end what they serve";

/// Draws the tree and the detail.
pub(super) fn draw(state: &State, frame: &mut Frame<'_>, geometry: &Geometry) {
    let (theme, list, model) = (state.theme, state.tree(), state.shown());
    let all: usize = 1 + Leaf::ALL.iter().map(|(_, leaf)| 1 + leaf.count(model)).sum::<usize>();
    let problems = counted(troubled(model) as u64, "problem");
    let shown = if list.lens().problems { format!("{problems}, nothing else shown: ! shows all") } else { problems.clone() };
    let all = counted(all as u64, "actor");
    let is_narrow = geometry.list.width < 76;
    let said = match (is_narrow, list.lens().problems) {
        (true, true) => (problems.as_str(), "! shows all actors"),
        _ => (all.as_str(), shown.as_str()),
    };
    detail::info(state, frame, geometry.info, list, said);
    let (nodes, cursor) = list.window(geometry.rows());
    let rows = nodes.iter().map(|node| row(state, node));
    let columns = if is_narrow { NARROW } else { COLUMNS };
    table::draw(frame.buffer_mut(), geometry.list, theme, (columns, None), (rows, cursor));
    if nodes.is_empty() {
        detail::nothing(state, View::Actors, frame, geometry.list);
    }
    if let (Some(area), Some(node)) = (geometry.detail, list.cursor()) {
        let (title, remark) = match node {
            Node::Group(leaf) => (format!("all of {}", leaf.manager().kind()), "Enter folds"),
            Node::Actor(actor) if node.is_leaf() => (Subject::Actor(actor.clone()).label_in(model), "Enter goes to it"),
            Node::Actor(actor) if list.is_flat() => (actor.kind().to_owned(), "Enter shows it in the tree"),
            Node::Actor(actor) => (actor.kind().to_owned(), "Enter folds"),
        };
        let inside = pane(frame.buffer_mut(), area, theme, (&title, remark), false);
        let below = detail::lines(state, state.node_facts(node), frame.buffer_mut(), inside);
        let rest = Rect { y: inside.y + below, height: inside.height.saturating_sub(below), ..inside };
        put(frame.buffer_mut(), rest, (1, rest.height.saturating_sub(1)), NOTE, theme.dim());
    }
}

fn row(state: &State, node: &Node) -> Row {
    let (theme, model) = (state.theme, state.shown());
    let tree = state.tree();
    let before = match (node.is_leaf(), tree.lens().is_open(node)) {
        _ if tree.is_flat() => String::new(),
        (true, _) => "  ".repeat(usize::from(node.depth()) + 1),
        (false, true) => "  ".repeat(usize::from(node.depth())) + "v ",
        (false, false) => "  ".repeat(usize::from(node.depth())) + "> ",
    };
    let label = |what: String| format!("{before}{what}");
    let Node::Actor(actor) = node else {
        let Node::Group(leaf) = node else { return Row::default() };
        let what = label(counted(leaf.count(model) as u64, leaf.word()));
        let blank = || (String::new(), theme.dim());
        return Row { cells: vec![blank(), (what, theme.text()), blank(), blank(), blank(), blank()], ..Row::default() };
    };
    let member = Member::of(model, actor);
    let (letters, said, style) = match member.health() {
        Health::Running => ("", "running".to_owned(), theme.dim()),
        Health::Busy { message, seconds } => ("!!", format!("{seconds}s in {}", safe(message)), theme.bad()),
        Health::Restarted(ago) => ("r", format!("restarted {} ago", age(ago)), theme.warning()),
        Health::Failed(ago) => ("~~", format!("failed {} ago", age(ago)), theme.ended()),
    };
    let restarts = match member.restarts() {
        Some((count, allowance)) => {
            (format!("{count}/{}", allowance.restarts), if count == 0 { theme.dim() } else { theme.warning() })
        }
        None => ("-".to_owned(), theme.dim()),
    };
    let failure = member.last_failure().map(|failure| safe(failure.why)).unwrap_or_default();
    let cells = vec![
        (letters.to_owned(), style),
        (label(Subject::Actor(actor.clone()).label_in(model)), theme.strong()),
        (said, style),
        restarts,
        (failure, theme.text()),
        (member.age(), theme.dim()),
    ];
    let over = if matches!(member.health(), Health::Failed(_)) { theme.ended() } else { theme.text() };
    Row { cells, over, span: None }
}
