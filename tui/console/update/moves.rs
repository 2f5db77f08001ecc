//! Moves: the cursor of a list, a pane or a page, and from one view to another.

use crate::console::{
    keymap::Act,
    state::{
        Pane, State, View,
        geometry::{Geometry, inside},
        list::{List, Table},
        page::Page,
        subject::Subject,
    },
};

/// Pages that can lie on each other; the oldest goes.
const DEEPEST: usize = 16;

/// Opens a view by its digit.
pub(super) fn go(state: &mut State, view: View) {
    if state.view != view {
        (state.previous, state.view) = (state.view, view);
    }
    state.pages.clear();
    keep_in_sight(state);
}

/// To the overview's other pane.
pub(super) fn other_pane(state: &mut State) {
    state.pane = match state.pane {
        Pane::Needs => Pane::Reclaim,
        Pane::Reclaim => Pane::Needs,
    };
}

/// Opens what the cursor is on.
pub(super) fn open(state: &mut State) {
    if let Some(page) = state.pages.last() {
        if let Some(member) = page.selected(state.shown()) {
            push(state, member);
        }
        return;
    }
    let Some(subject) = state.subject() else { return };
    if state.view == View::Overview {
        jump(state, subject);
    } else {
        push(state, subject);
    }
}

/// To the view that an object belongs to, with the cursor on it and its page open.
fn jump(state: &mut State, subject: Subject) {
    go(state, super::view_of(&subject));
    match &subject {
        Subject::Session(id) => state.sessions.select(*id),
        Subject::Topic(topic) => state.topics.select(topic.clone()),
        Subject::Subscription(id) => state.subscriptions.select(id.clone()),
        Subject::Broker => return,
    }
    push(state, subject);
}

fn push(state: &mut State, subject: Subject) {
    if subject == Subject::Broker {
        return;
    }
    if state.pages.len() == DEEPEST {
        state.pages.remove(0);
    }
    state.pages.push(Page::new(subject));
}

/// Back from a page; in a list, back to all of its rows.
pub(super) fn back(state: &mut State) {
    if state.pages.pop().is_none() {
        super::modal::filter_by(state, "");
    }
}

/// Sorts the other way round.
pub(super) fn invert(state: &mut State) {
    match state.view {
        View::Sessions => state.sessions.invert(),
        View::Topics => state.topics.invert(),
        View::DeadLetters => state.subscriptions.invert(),
        View::Overview | View::Events => {}
    }
}

/// Moves the cursor.
pub(super) fn act(state: &mut State, act: Act) {
    let Some(geometry) = state.geometry() else { return };
    if !state.pages.is_empty() {
        return on_page(state, act, geometry);
    }
    let rows = geometry.rows();
    let panes = geometry.panes();
    match (state.view, state.pane) {
        (View::Overview, Pane::Needs) => on_list(&mut state.needs, act, inside(panes.needs)),
        (View::Overview, Pane::Reclaim) => on_list(&mut state.reclaim, act, inside(panes.reclaim)),
        (View::Sessions, _) => on_list(&mut state.sessions, act, rows),
        (View::Topics, _) => on_list(&mut state.topics, act, rows),
        (View::DeadLetters, _) => on_list(&mut state.subscriptions, act, rows),
        (View::Events, _) => {
            on_list(&mut state.events, act, rows);
            if act == Act::Last {
                state.events.follow();
            }
        }
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

fn on_list<T: Table>(list: &mut List<T>, act: Act, rows: usize) {
    match (act, distance(act, rows)) {
        (_, Some(by)) => list.move_by(by, rows),
        (Act::First, None) => list.first(rows),
        (Act::Last, None) => list.last(rows),
        _ => {}
    }
}

fn on_page(state: &mut State, act: Act, geometry: Geometry) {
    let Some(mut page) = state.pages.pop() else { return };
    let (rows, model) = (geometry.members(), state.shown());
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

/// The screen has another size or other parts: the cursors stay in sight.
pub(super) fn keep_in_sight(state: &mut State) {
    let Some(geometry) = state.geometry() else { return };
    let (rows, panes) = (geometry.rows(), geometry.panes());
    state.needs.keep_in_sight(inside(panes.needs));
    state.reclaim.keep_in_sight(inside(panes.reclaim));
    state.sessions.keep_in_sight(rows);
    state.topics.keep_in_sight(rows);
    state.subscriptions.keep_in_sight(rows);
    state.events.keep_in_sight(rows);
}
