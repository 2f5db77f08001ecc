//! Moves: the cursor of a list, a pane or a page, and from one view to another.

use crate::console::{
    keymap::Act,
    state::{
        Pane, State, View, Zoom,
        attention::Rule,
        geometry::Geometry,
        orders::Tone,
        page::Page,
        subject::Subject,
        tables::actors::{Node, object},
    },
};

/// Pages that can lie on each other; the oldest goes.
const DEEPEST: usize = 16;

/// Opens a view by its digit.
pub(super) fn go(state: &mut State, view: View) {
    if state.view != view || !state.pages.is_empty() {
        state.mark_place();
    }
    state.view = view;
    state.pages.clear();
    state.keep_in_sight();
}

/// Opens what the cursor is on.
pub(super) fn open(state: &mut State) {
    if let Some(page) = state.pages.last() {
        if let Some(member) = page.selected(state.shown()) {
            push(state, member);
        }
        return;
    }
    if state.room() == View::Actors {
        return open_node(state);
    }
    let Some(subject) = state.subject() else { return };
    match (state.room(), state.pane) {
        (View::Overview, Pane::Needs) => {
            let rule = state.needs.cursor().map(|(rule, ..)| *rule);
            match rule.and_then(|rule| room(rule, &subject)) {
                Some((view, filter)) => {
                    go(state, view);
                    state.list_mut().filter_by(filter);
                }
                None => jump(state, subject),
            }
        }
        (View::Overview, _) => jump(state, subject),
        // What a connection is for is its session; one that has none is shown itself.
        (View::Listeners, _) => {
            let session = state.session().map(Subject::Session);
            push(state, session.unwrap_or(subject));
        }
        _ if matches!(subject, Subject::Actor(_)) => jump(state, subject),
        _ => push(state, subject),
    }
}

/// Where an alarm leads that is about no row: the view, and what of it is shown there.
fn room(rule: Rule, subject: &Subject) -> Option<(View, &'static str)> {
    match (rule, subject) {
        (Rule::NoUsers | Rule::NotAccepting, _) => Some((View::Listeners, "")),
        (Rule::Configuration, _) => Some((View::Audit, "order:reload")),
        (Rule::Limit, Subject::Broker) => Some((View::Events, "name:limit.hit")),
        (Rule::Refusals, Subject::Broker) => Some((View::Events, "name:registration.refused")),
        _ => None,
    }
}

/// Folds or unfolds what has something below it; a leaf leads to what it serves.
fn open_node(state: &mut State) {
    let Some(node) = state.tree().cursor().cloned() else { return };
    match &node {
        Node::Actor(actor) if node.is_leaf() => jump(state, object(actor)),
        // Of what a filter has found nothing is folded: it is shown where it is in the tree.
        _ if state.tree().is_flat() => super::modal::filter_by(state, ""),
        _ => {
            let folds = state.tree_mut().lens_mut();
            let open = !folds.is_open(&node);
            folds.set(&node, open);
        }
    }
}

/// What a filter has found is no tree.
const FLAT: &str = "nothing to fold in what a filter has found; Esc shows the tree";

/// Folds the node under the cursor; where there is nothing to fold, to the node above it.
pub(super) fn fold(state: &mut State) {
    if state.tree().is_flat() {
        return super::say(state, FLAT, Tone::Plain);
    }
    let Some(node) = state.tree().cursor().cloned() else { return };
    if !node.is_leaf() && state.tree_mut().lens_mut().set(&node, false) {
        return;
    }
    if let Some(parent) = node.parent() {
        state.tree_mut().select(parent);
    }
}

/// Unfolds the node under the cursor.
pub(super) fn unfold(state: &mut State) {
    if state.tree().is_flat() {
        return super::say(state, FLAT, Tone::Plain);
    }
    if let Some(node) = state.tree().cursor().cloned().filter(|node| !node.is_leaf()) {
        state.tree_mut().lens_mut().set(&node, true);
    }
}

/// To the view that an object belongs to, with the cursor on it and its page open.
fn jump(state: &mut State, subject: Subject) {
    if subject == Subject::Broker {
        return go(state, View::Events);
    }
    go(state, super::view_of(&subject));
    state.select(&subject);
    if !matches!(subject, Subject::Actor(_)) {
        lay(state, subject);
    }
}

/// Opens the page of an object over what is shown.
fn push(state: &mut State, subject: Subject) {
    if subject == Subject::Broker {
        return;
    }
    state.mark_place();
    lay(state, subject);
}

fn lay(state: &mut State, subject: Subject) {
    if state.pages.len() == DEEPEST {
        state.pages.remove(0);
    }
    state.pages.push(Page::new(subject));
}

/// Back from a page; in a list, back to all of its rows.
pub(super) fn back(state: &mut State) {
    if state.geometry().is_none() {
        return; // nothing of it would be seen
    }
    if state.pages.pop().is_none() {
        if state.view == View::Overview && state.zoom == Zoom::In {
            zoom(state);
        } else {
            super::modal::filter_by(state, "");
        }
    }
    state.forget_place();
}

/// Shows the overview's pane with the cursor alone, or all of them again.
pub(super) fn zoom(state: &mut State) {
    state.zoom = match state.zoom {
        Zoom::Out => Zoom::In,
        Zoom::In => Zoom::Out,
    };
    state.keep_in_sight();
    state.mark_stale();
}

/// Moves the cursor.
pub(super) fn act(state: &mut State, act: Act) {
    let Some(geometry) = state.geometry() else { return };
    if !state.pages.is_empty() {
        return on_page(state, act, geometry);
    }
    let rows = state.rows(&geometry);
    let list = state.list_mut();
    match (act, distance(act, rows)) {
        (_, Some(by)) => list.move_by(by, rows),
        (Act::First, None) => list.first(rows),
        (Act::Last, None) => {
            list.last(rows);
            if state.room() == View::Events {
                state.events.follow();
            }
        }
        _ => {}
    }
}

/// How far an act moves a cursor that has `rows` around it; none if it goes to an end.
fn distance(act: Act, rows: usize) -> Option<isize> {
    let page = rows.saturating_sub(1).max(1).cast_signed();
    Some(match act {
        Act::Down => 1,
        Act::Up => -1,
        Act::PageDown => page,
        Act::PageUp => -page,
        Act::HalfDown => (page / 2).max(1),
        Act::HalfUp => -(page / 2).max(1),
        _ => return None,
    })
}

fn on_page(state: &mut State, act: Act, geometry: Geometry) {
    let Some(mut page) = state.pages.pop() else { return };
    let (rows, model) = (geometry.members(page.facts(state)), state.shown());
    let at = page.at(model);
    let to = match (act, distance(act, rows)) {
        (_, Some(by)) => at.saturating_add_signed(by),
        (Act::First, None) => 0,
        (Act::Last, None) => usize::MAX,
        _ => at,
    };
    page.go_to(to, model, rows);
    state.pages.push(page);
}
