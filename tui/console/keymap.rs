//! The keys: one table that dispatches them, fills the footer and the help screen, and is tested for duplicates.
//!
//! Nothing that destroys is on Backspace, Delete, Ctrl-D or the same key twice; Ctrl-S, Ctrl-Q, Ctrl-A and Ctrl-B belong to
//! terminals and multiplexers, Esc with a letter to nobody.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::state::View;

/// Where a key is pressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Context {
    /// The home view.
    Overview,
    /// Its panes, whichever has the cursor.
    Panes,
    /// The list of sessions.
    Sessions,
    /// The list of topics.
    Topics,
    /// The list of subscriptions.
    DeadLetters,
    /// The list of connections.
    Listeners,
    /// The supervision tree.
    Actors,
    /// The log.
    Events,
    /// The list of orders.
    Audit,
    /// A session, opened.
    SessionPage,
    /// A topic, opened.
    TopicPage,
    /// A subscription, opened.
    SubscriptionPage,
    /// A connection, opened.
    ListenerPage,
    /// An order, opened.
    OrderPage,
    /// A screen that is too small for the views.
    Compact,
    /// The same, over something that it cannot show.
    Covered,
    /// The question before an order.
    Dialog,
    /// The question before leaving.
    Quit,
    /// The filter line.
    Filter,
    /// The menu of sort orders.
    Sort,
    /// The help screen.
    Help,
    /// A look into a queue or a backlog.
    Peek,
    /// The list of what is forbidden.
    Forbidden,
}

/// What a key does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(missing_docs)] // the table below says what each does
pub(crate) enum Act {
    Go(View),
    NextPane,
    PreviousPane,
    Zoom,
    Down,
    Up,
    First,
    Last,
    PageDown,
    PageUp,
    HalfDown,
    HalfUp,
    Open,
    Back,
    PreviousView,
    Fold,
    Unfold,
    Problems,
    Filter,
    Sort,
    Invert,
    Pause,
    Detail,
    Copy,
    Evict,
    Kill,
    Drop,
    Hold,
    Extend,
    Redeliver,
    Purge,
    Forbid,
    Forbidden,
    Allow,
    Peek,
    Hex,
    Undo,
    Accepting,
    Reload,
    ReadOnly,
    Stay,
    Help,
    Quit,
    Cancel,
    Next,
    Previous,
    Press,
    Yes,
    Toggle,
    Detach,
    Drain,
    ShutDown,
}

/// How the help screen groups keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Group {
    /// Views and pages.
    Go,
    /// The cursor.
    Move,
    /// What the list shows.
    Look,
    /// Orders to the broker.
    Order,
    /// The program.
    Program,
    /// Questions and input lines.
    Question,
}

impl Group {
    /// Its heading.
    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::Go => "Go",
            Self::Move => "Move",
            Self::Look => "Look",
            Self::Order => "Orders",
            Self::Program => "Program",
            Self::Question => "In questions and input lines",
        }
    }
}

/// A key, with Control or without.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Stroke {
    code: KeyCode,
    control: bool,
}

/// A line of the table.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Binding {
    /// Its keys.
    pub(crate) keys: &'static [Stroke],
    /// How they are written.
    pub(crate) label: &'static str,
    /// What they do.
    pub(crate) act: Act,
    /// Where.
    pub(crate) contexts: &'static [Context],
    /// For the footer; empty where the key explains itself.
    pub(crate) hint: &'static str,
    /// For the help screen.
    pub(crate) help: &'static str,
    /// For the help screen.
    pub(crate) group: Group,
}

const fn key(c: char) -> Stroke {
    Stroke { code: KeyCode::Char(c), control: false }
}

const fn control(c: char) -> Stroke {
    Stroke { code: KeyCode::Char(c), control: true }
}

const fn code(code: KeyCode) -> Stroke {
    Stroke { code, control: false }
}

type Keys = &'static [Stroke];
type Contexts = &'static [Context];
type Text = &'static str;

/// A key of the whole body that leads somewhere.
const fn go(keys: Keys, label: Text, act: Act, hint: Text, help: Text) -> Binding {
    Binding { keys, label, act, contexts: BODY, hint, help, group: Group::Go }
}

/// A key of the overview, whichever of its panes has the cursor.
const fn pane(keys: Keys, label: Text, act: Act, hint: Text, help: Text) -> Binding {
    Binding { keys, label, act, contexts: &[Context::Panes], hint, help, group: Group::Go }
}

/// A key of the whole body that moves the cursor; everyone tries those, so the footer does not offer them.
const fn moves(keys: Keys, label: Text, act: Act, help: Text) -> Binding {
    Binding { keys, label, act, contexts: BODY, hint: "", help, group: Group::Move }
}

/// A key that changes what is shown.
const fn look(keys: Keys, label: Text, act: Act, contexts: Contexts, hint: Text, help: Text) -> Binding {
    Binding { keys, label, act, contexts, hint, help, group: Group::Look }
}

/// A key that gives an order, where there is something to give it to.
const fn order(keys: Keys, label: Text, act: Act, contexts: Contexts, hint: Text, help: Text) -> Binding {
    Binding { keys, label, act, contexts, hint, help, group: Group::Order }
}

/// A key of the whole body for the program itself.
const fn program(keys: Keys, label: Text, act: Act, hint: Text, help: Text) -> Binding {
    Binding { keys, label, act, contexts: BODY, hint, help, group: Group::Program }
}

/// A key of what stands before the body.
const fn ask(keys: Keys, label: Text, act: Act, contexts: Contexts, hint: Text, help: Text) -> Binding {
    Binding { keys, label, act, contexts, hint, help, group: Group::Question }
}

use Context::{
    Actors, Audit, DeadLetters, Dialog, Events, ListenerPage, Listeners, OrderPage, Overview, SessionPage, Sessions,
    SubscriptionPage, TopicPage, Topics,
};

/// What is left of the body where it does not fit, and the body.
const GLANCED: &[Context] = &[
    Context::Compact,
    Overview,
    Sessions,
    Listeners,
    Topics,
    DeadLetters,
    Actors,
    Events,
    Audit,
    SessionPage,
    TopicPage,
    SubscriptionPage,
    ListenerPage,
    OrderPage,
];
const BODY: &[Context] = GLANCED.split_at(1).1;
const LISTS: &[Context] = &[Sessions, Listeners, Topics, DeadLetters, Actors, Events, Audit];
const SORTED: &[Context] = &[Sessions, Listeners, Topics, DeadLetters, Audit];
const OF_SESSIONS: &[Context] = &[Sessions, SessionPage, Listeners, ListenerPage];
const EVICTABLE: &[Context] = &[Overview, Sessions, SessionPage, Listeners, ListenerPage];
const TIMERS: &[Context] = &[Overview, Sessions, SessionPage];
const OF_TOPICS: &[Context] = &[Topics, TopicPage];
const OF_SUBSCRIPTIONS: &[Context] = &[DeadLetters, SubscriptionPage, SessionPage, TopicPage];
const HOLDERS: &[Context] = &[Topics, TopicPage, DeadLetters, SubscriptionPage, SessionPage];
const FORBIDDABLE: &[Context] = &[Sessions, SessionPage, Topics, TopicPage, Listeners, ListenerPage];
const TREE: &[Context] = &[Actors];
const LOOK: &[Context] = &[Context::Peek];
const LOOKS: &[Context] = &[Context::Peek, Context::Forbidden];
const QUESTIONS: &[Context] = &[Dialog, Context::Quit, Context::Sort];
const ESCAPABLE: &[Context] = &[Dialog, Context::Quit, Context::Sort, Context::Filter, Context::Covered];
const PAGED: &[Context] = &[Dialog, Context::Help, Context::Peek, Context::Forbidden];
const SCROLLED: &[Context] = &[Context::Quit, Context::Sort, Context::Help];

/// The table. The footer shows hints in this order, as many as fit.
pub(crate) static TABLE: &[Binding] = &[
    go(&[code(KeyCode::Enter)], "Enter", Act::Open, "open", "open the object under the cursor"),
    Binding {
        contexts: GLANCED,
        ..go(&[code(KeyCode::Esc)], "Esc", Act::Back, "", "dismiss a notice; back; clear the filter; never quits")
    },
    go(&[key('-')], "-", Act::PreviousView, "", "back to where you came from, cursor included"),
    go(&[key('1')], "1", Act::Go(View::Overview), "", "Overview: needs attention, figures, next to be reclaimed"),
    go(&[key('2')], "2", Act::Go(View::Sessions), "", "Sessions"),
    go(&[key('3')], "3", Act::Go(View::Listeners), "", "Listeners: connections, who registers, who reads slowly"),
    go(&[key('4')], "4", Act::Go(View::Topics), "", "Topics"),
    go(&[key('5')], "5", Act::Go(View::DeadLetters), "", "Dead letters: what each subscription holds"),
    go(&[key('6')], "6", Act::Go(View::Actors), "", "Actors: the supervision tree, restarts, last failures"),
    go(&[key('7')], "7", Act::Go(View::Events), "", "Events"),
    go(&[key('8')], "8", Act::Go(View::Audit), "", "Audit: every order, by whom, why, at what cost"),
    pane(&[code(KeyCode::Tab)], "Tab", Act::NextPane, "pane", "the next pane"),
    pane(&[code(KeyCode::BackTab)], "S-Tab", Act::PreviousPane, "", "the pane before"),
    pane(&[key('z')], "z", Act::Zoom, "zoom", "the pane alone, or all of them again"),
    moves(&[key('j'), code(KeyCode::Down)], "j Down", Act::Down, "down"),
    moves(&[key('k'), code(KeyCode::Up)], "k Up", Act::Up, "up"),
    moves(&[key('g'), code(KeyCode::Home)], "g Home", Act::First, "the first row"),
    moves(&[key('G'), code(KeyCode::End)], "G End", Act::Last, "the last row; in Events, follow what comes"),
    moves(&[code(KeyCode::PageDown)], "PgDn", Act::PageDown, "a page down"),
    moves(&[code(KeyCode::PageUp)], "PgUp", Act::PageUp, "a page up"),
    moves(&[control('d')], "Ctrl-D", Act::HalfDown, "half a page down"),
    moves(&[control('u')], "Ctrl-U", Act::HalfUp, "half a page up"),
    look(&[key('h'), code(KeyCode::Left)], "h Left", Act::Fold, TREE, "fold", "fold the node, or go to the one above it"),
    look(&[key('l'), code(KeyCode::Right)], "l Right", Act::Unfold, TREE, "unfold", "unfold the node; Enter does either"),
    look(&[key('!')], "!", Act::Problems, TREE, "problems only", "problems only, or all actors"),
    look(&[key('/')], "/", Act::Filter, LISTS, "filter", "filter by words and terms, as under Filters"),
    look(&[key('s')], "s", Act::Sort, SORTED, "sort", "sort by..."),
    look(&[key('S')], "S", Act::Invert, SORTED, "", "sort the other way round"),
    order(&[key('x')], "x", Act::Evict, EVICTABLE, "evict", "evict the session: it and all that its queues hold end"),
    order(&[key('x')], "x", Act::Kill, OF_TOPICS, "kill", "kill the topic: exact subscriptions and what they hold end"),
    order(&[key('D')], "D", Act::Drop, OF_SESSIONS, "drop", "drop the connection: the session lives, its timer starts"),
    order(&[key('H')], "H", Act::Hold, TIMERS, "hold", "hold the reclaim timer"),
    order(&[key('+')], "+", Act::Extend, TIMERS, "5 min", "give the reclaim timer 5 min more; ends a hold"),
    order(&[key('R')], "R", Act::Redeliver, OF_SUBSCRIPTIONS, "redeliver", "put a subscription's poison back into its queue"),
    order(&[key('P')], "P", Act::Purge, OF_SUBSCRIPTIONS, "purge", "throw away what a subscription holds, poison included"),
    order(&[key('B')], "B", Act::Forbid, FORBIDDABLE, "forbid", "forbid the topic, or the session's user; F lists, and allows"),
    order(&[key('u')], "u", Act::Undo, GLANCED, "", "stop an order that waits: for this row, or the latest"),
    order(&[key('A')], "A", Act::Accepting, GLANCED, "", "stop accepting connections, or accept again"),
    order(&[key('L')], "L", Act::Reload, BODY, "", "load the configuration again: users, passwords, rights"),
    look(&[key('i')], "i", Act::Peek, HOLDERS, "look in", "look into a queue or backlog: a copy, audited, nothing moves"),
    look(&[key('F')], "F", Act::Forbidden, BODY, "", "what is forbidden, by whom, why; B there allows it"),
    look(&[key('d')], "d", Act::Detail, LISTS, "detail", "show or hide the detail"),
    look(&[key('p')], "p", Act::Pause, GLANCED, "pause", "freeze the screen; collection goes on, and is counted"),
    look(&[key('y')], "y", Act::Copy, BODY, "", "copy the full id to the terminal's clipboard (OSC 52)"),
    program(&[key('r')], "r", Act::ReadOnly, "read-only", "read-only on or off, for every order to this broker"),
    program(&[key('?')], "?", Act::Help, "help", "this help; type to search it"),
    Binding {
        contexts: GLANCED,
        ..program(&[key('q'), control('c')], "q Ctrl-C", Act::Quit, "quit", "ask: detach, shut down, cancel")
    },
    program(&[control('z')], "Ctrl-Z", Act::Stay, "", "stops nothing: the broker would stop with it; q, d leaves"),
    ask(&[code(KeyCode::Esc), control('c')], "Esc", Act::Cancel, ESCAPABLE, "cancels", "cancel: nothing happens"),
    ask(&[code(KeyCode::Esc), control('c')], "Esc", Act::Cancel, &[Context::Help], "closes", "close the help"),
    ask(&[code(KeyCode::Esc), control('c')], "Esc", Act::Cancel, LOOKS, "closes", "close the look, or the list"),
    ask(&[key('B')], "B", Act::Allow, &[Context::Forbidden], "allow", "allow what is under the cursor again"),
    ask(&[key('i')], "i", Act::Peek, LOOK, "look again", "ask for the copy anew"),
    ask(&[key('h')], "h", Act::Hex, LOOK, "text/bytes", "payloads as text, or as bytes"),
    ask(&[key('j'), code(KeyCode::Down)], "j Down", Act::Down, LOOKS, "", "down"),
    ask(&[key('k'), code(KeyCode::Up)], "k Up", Act::Up, LOOKS, "", "up"),
    ask(&[key('g'), code(KeyCode::Home)], "g Home", Act::First, LOOK, "", "the first message"),
    ask(&[key('G'), code(KeyCode::End)], "G End", Act::Last, LOOK, "", "the last message"),
    ask(&[code(KeyCode::Tab), code(KeyCode::Right)], "Tab", Act::Next, &[Dialog], "next", "the next field or button"),
    ask(&[code(KeyCode::BackTab), code(KeyCode::Left)], "S-Tab", Act::Previous, &[Dialog], "", "the field or button before"),
    ask(
        &[code(KeyCode::Enter)],
        "Enter",
        Act::Press,
        QUESTIONS,
        "press",
        "press the button with the focus; at first Cancel has it",
    ),
    ask(&[key('y')], "y", Act::Yes, &[Dialog], "", "yes, where no message is lost; else a phrase is typed"),
    ask(&[code(KeyCode::Enter)], "Enter", Act::Press, &[Context::Filter], "keep", "keep the filter; an empty one shows all"),
    ask(&[code(KeyCode::Down), code(KeyCode::Tab)], "Down", Act::Down, SCROLLED, "", "down"),
    ask(&[code(KeyCode::Up), code(KeyCode::BackTab)], "Up", Act::Up, SCROLLED, "", "up"),
    ask(&[code(KeyCode::Down)], "Down", Act::Down, &[Dialog], "", "more of a question that is too long for the screen"),
    ask(&[code(KeyCode::Up)], "Up", Act::Up, &[Dialog], "", "back to its beginning"),
    ask(&[code(KeyCode::PageDown)], "PgDn", Act::PageDown, PAGED, "", "a page down"),
    ask(&[code(KeyCode::PageUp)], "PgUp", Act::PageUp, PAGED, "", "a page up"),
    ask(&[key(' ')], "Space", Act::Toggle, &[Dialog], "", "change the option with the focus: delay, whatever it costs"),
    ask(&[key('d')], "d", Act::Detach, &[Context::Quit], "detach", "leave the console; the broker goes on"),
    ask(&[key('r')], "r", Act::Drain, &[Context::Quit], "drain", "tell clients 503, let publishers have receipts; it lives on"),
    ask(&[key('s')], "s", Act::ShutDown, &[Context::Quit], "shut down", "end the broker; says first what is lost"),
];

/// What `event` does in `contexts`.
pub(crate) fn act(contexts: &[Context], event: &KeyEvent) -> Option<Act> {
    let stroke = stroke(event)?;
    of(contexts).find(|binding| binding.keys.contains(&stroke)).map(|binding| binding.act)
}

/// How the key of `event` is written, if it does anything in any view.
pub(crate) fn elsewhere(event: &KeyEvent) -> Option<String> {
    let stroke = stroke(event)?;
    let binding = of(BODY).chain(of(&[Context::Panes])).find(|binding| binding.keys.contains(&stroke))?;
    Some(match stroke {
        Stroke { code: KeyCode::Char(c), control: false } => c.to_string(),
        _ => binding.label.split(' ').next_back().unwrap_or_default().to_owned(),
    })
}

fn stroke(event: &KeyEvent) -> Option<Stroke> {
    let foreign = event.modifiers.intersects(KeyModifiers::ALT | KeyModifiers::SUPER | KeyModifiers::META);
    (!foreign).then(|| Stroke { code: event.code, control: event.modifiers.contains(KeyModifiers::CONTROL) })
}

/// The lines of the table that hold in any of `contexts`.
pub(crate) fn of(contexts: &[Context]) -> impl Iterator<Item = &'static Binding> {
    TABLE.iter().filter(move |binding| contexts.iter().any(|context| binding.contexts.contains(context)))
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    /// Everywhere but on the compact screen, whose two keys are a test of their own.
    fn everywhere() -> Vec<Context> {
        let before_the_body = [Dialog, Context::Quit, Context::Filter, Context::Sort, Context::Help, Context::Peek];
        [BODY, &before_the_body, &[Context::Forbidden, Context::Covered]].concat()
    }

    #[test]
    fn no_key_has_two_meanings_in_one_place() {
        let in_panes = [Overview, Sessions, Topics, Actors, Events].map(|context| vec![context, Context::Panes]);
        for contexts in everywhere().into_iter().map(|context| vec![context]).chain(in_panes) {
            let mut seen = HashSet::new();
            for stroke in of(&contexts).flat_map(|binding| binding.keys) {
                assert!(seen.insert(stroke), "{stroke:?} twice in {contexts:?}");
            }
        }
    }

    #[test]
    fn every_key_is_written_and_explained() {
        for binding in TABLE {
            assert!(!binding.label.is_empty() && !binding.help.is_empty(), "{:?}", binding.act);
            assert!(!binding.keys.is_empty() && !binding.contexts.is_empty(), "{:?}", binding.act);
            assert!(binding.hint.len() <= 16 && binding.label.len() <= 12 && binding.help.len() <= 60, "{:?}", binding.act);
        }
    }

    /// Esc is the way out of everything, and a body never loses its way to help and to quit.
    #[test]
    fn every_place_can_be_left() {
        for context in everywhere() {
            let acts: Vec<_> = of(&[context]).map(|binding| binding.act).collect();
            assert!(acts.contains(&Act::Back) != acts.contains(&Act::Cancel), "{context:?}");
            if BODY.contains(&context) {
                assert!(acts.contains(&Act::Help) && acts.contains(&Act::Quit), "{context:?}");
            }
        }
    }

    /// What cannot be seen is not touched.
    #[test]
    fn a_screen_without_views_offers_only_what_it_can_show() {
        let acts = |context| of(&[context]).map(|binding| binding.act).collect::<Vec<_>>();
        assert_eq!(acts(Context::Compact), [Act::Back, Act::Undo, Act::Accepting, Act::Pause, Act::Quit]);
        assert_eq!(acts(Context::Covered), [Act::Cancel]);
    }

    /// Each of these has cost someone a queue elsewhere.
    #[test]
    fn nothing_is_on_keys_that_slip() {
        let destroys = [Act::Evict, Act::Kill, Act::Drop, Act::Purge, Act::Forbid, Act::Drain, Act::ShutDown, Act::Yes];
        for binding in TABLE {
            for stroke in binding.keys {
                let slips = matches!(stroke.code, KeyCode::Backspace | KeyCode::Delete) || stroke == &control('d');
                assert!(!(slips && destroys.contains(&binding.act)), "{:?}", binding.act);
                assert!(!"sqab".chars().any(|c| *stroke == control(c)), "{:?}", binding.act);
            }
        }
    }
}
