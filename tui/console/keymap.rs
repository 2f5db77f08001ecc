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
    /// The list of sessions.
    Sessions,
    /// The list of topics.
    Topics,
    /// The list of subscriptions.
    DeadLetters,
    /// The log.
    Events,
    /// A session, opened.
    SessionPage,
    /// A topic, opened.
    TopicPage,
    /// A subscription, opened.
    SubscriptionPage,
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
}

/// What a key does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(missing_docs)] // the table below says what each does
pub(crate) enum Act {
    Go(View),
    Pane,
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
    Accepting,
    ReadOnly,
    Help,
    Quit,
    Cancel,
    Next,
    Previous,
    Press,
    Yes,
    Detach,
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

const fn bind(
    keys: &'static [Stroke],
    label: &'static str,
    (act, group): (Act, Group),
    contexts: &'static [Context],
    hint: &'static str,
    help: &'static str,
) -> Binding {
    Binding { keys, label, act, contexts, hint, help, group }
}

use Context::{DeadLetters, Dialog, Events, Overview, SessionPage, Sessions, SubscriptionPage, TopicPage, Topics};

const BODY: &[Context] = &[Overview, Sessions, Topics, DeadLetters, Events, SessionPage, TopicPage, SubscriptionPage];
const LISTS: &[Context] = &[Sessions, Topics, DeadLetters, Events];
const SORTED: &[Context] = &[Sessions, Topics, DeadLetters];
const OF_SESSIONS: &[Context] = &[Sessions, SessionPage];
const TIMERS: &[Context] = &[Overview, Sessions, SessionPage];
const OF_TOPICS: &[Context] = &[Topics, TopicPage];
const OF_SUBSCRIPTIONS: &[Context] = &[DeadLetters, SubscriptionPage, SessionPage, TopicPage];
const QUESTIONS: &[Context] = &[Dialog, Context::Quit, Context::Sort];
const ESCAPABLE: &[Context] = &[Dialog, Context::Quit, Context::Sort, Context::Filter];
const SCROLLED: &[Context] = &[Context::Quit, Context::Sort, Context::Help];

/// The table. The footer shows hints in this order, as many as fit.
pub(crate) static TABLE: &[Binding] = &[
    bind(&[code(KeyCode::Enter)], "Enter", (Act::Open, Group::Go), BODY, "open", "open the object under the cursor"),
    bind(&[code(KeyCode::Esc)], "Esc", (Act::Back, Group::Go), BODY, "", "back; in a list, clear the filter; never quits"),
    bind(&[key('-')], "-", (Act::PreviousView, Group::Go), BODY, "", "the view before this one"),
    bind(
        &[key('1')],
        "1",
        (Act::Go(View::Overview), Group::Go),
        BODY,
        "",
        "Overview: needs attention, figures, next to be reclaimed",
    ),
    bind(&[key('2')], "2", (Act::Go(View::Sessions), Group::Go), BODY, "", "Sessions"),
    bind(&[key('4')], "4", (Act::Go(View::Topics), Group::Go), BODY, "", "Topics"),
    bind(&[key('5')], "5", (Act::Go(View::DeadLetters), Group::Go), BODY, "", "Dead letters: what each subscription holds"),
    bind(&[key('7')], "7", (Act::Go(View::Events), Group::Go), BODY, "", "Events"),
    bind(&[code(KeyCode::Tab), code(KeyCode::BackTab)], "Tab", (Act::Pane, Group::Go), &[Overview], "pane", "the other pane"),
    bind(&[key('j'), code(KeyCode::Down)], "j Down", (Act::Down, Group::Move), BODY, "", "down"),
    bind(&[key('k'), code(KeyCode::Up)], "k Up", (Act::Up, Group::Move), BODY, "", "up"),
    bind(&[key('g'), code(KeyCode::Home)], "g Home", (Act::First, Group::Move), BODY, "", "the first row"),
    bind(
        &[key('G'), code(KeyCode::End)],
        "G End",
        (Act::Last, Group::Move),
        BODY,
        "",
        "the last row; in Events, follow what comes",
    ),
    bind(&[code(KeyCode::PageDown)], "PgDn", (Act::PageDown, Group::Move), BODY, "", "a page down"),
    bind(&[code(KeyCode::PageUp)], "PgUp", (Act::PageUp, Group::Move), BODY, "", "a page up"),
    bind(&[control('d')], "Ctrl-D", (Act::HalfDown, Group::Move), BODY, "", "half a page down"),
    bind(&[control('u')], "Ctrl-U", (Act::HalfUp, Group::Move), BODY, "", "half a page up"),
    bind(&[key('/')], "/", (Act::Filter, Group::Look), LISTS, "filter", "filter by words and terms, as under Filters"),
    bind(&[key('s')], "s", (Act::Sort, Group::Look), SORTED, "sort", "sort by..."),
    bind(&[key('S')], "S", (Act::Invert, Group::Look), SORTED, "", "sort the other way round"),
    bind(&[key('x')], "x", (Act::Evict, Group::Order), TIMERS, "evict", "evict the session: it and all that its queues hold end"),
    bind(
        &[key('x')],
        "x",
        (Act::Kill, Group::Order),
        OF_TOPICS,
        "kill",
        "kill the topic: exact subscriptions and what they hold end",
    ),
    bind(
        &[key('D')],
        "D",
        (Act::Drop, Group::Order),
        OF_SESSIONS,
        "drop",
        "drop the connection: the session lives, its timer starts",
    ),
    bind(&[key('H')], "H", (Act::Hold, Group::Order), TIMERS, "hold", "hold the reclaim timer"),
    bind(&[key('+')], "+", (Act::Extend, Group::Order), TIMERS, "5 min", "give the reclaim timer 5 min more; ends a hold"),
    bind(
        &[key('R')],
        "R",
        (Act::Redeliver, Group::Order),
        OF_SUBSCRIPTIONS,
        "redeliver",
        "put a subscription's poison back into its queue",
    ),
    bind(
        &[key('P')],
        "P",
        (Act::Purge, Group::Order),
        OF_SUBSCRIPTIONS,
        "purge",
        "throw away what a subscription holds, poison included",
    ),
    bind(&[key('A')], "A", (Act::Accepting, Group::Order), BODY, "", "stop accepting connections, or accept again"),
    bind(&[key('d')], "d", (Act::Detail, Group::Look), LISTS, "detail", "show or hide the detail"),
    bind(&[key('p')], "p", (Act::Pause, Group::Look), BODY, "pause", "freeze the screen; collection goes on, and is counted"),
    bind(&[key('y')], "y", (Act::Copy, Group::Look), BODY, "", "copy the full id to the terminal's clipboard (OSC 52)"),
    bind(
        &[key('r')],
        "r",
        (Act::ReadOnly, Group::Program),
        BODY,
        "read-only",
        "read-only on or off, for every order to this broker",
    ),
    bind(&[key('?')], "?", (Act::Help, Group::Program), BODY, "help", "this help; type to search it"),
    bind(&[key('q'), control('c')], "q Ctrl-C", (Act::Quit, Group::Program), BODY, "quit", "ask: detach, shut down, cancel"),
    bind(
        &[code(KeyCode::Esc), control('c')],
        "Esc",
        (Act::Cancel, Group::Question),
        ESCAPABLE,
        "cancels",
        "cancel: nothing happens",
    ),
    bind(
        &[code(KeyCode::Esc), control('c')],
        "Esc",
        (Act::Cancel, Group::Question),
        &[Context::Help],
        "closes",
        "close the help",
    ),
    bind(
        &[code(KeyCode::Tab), code(KeyCode::Right)],
        "Tab",
        (Act::Next, Group::Question),
        &[Dialog],
        "next",
        "the next field or button",
    ),
    bind(
        &[code(KeyCode::BackTab), code(KeyCode::Left)],
        "S-Tab",
        (Act::Previous, Group::Question),
        &[Dialog],
        "",
        "the field or button before",
    ),
    bind(
        &[code(KeyCode::Enter)],
        "Enter",
        (Act::Press, Group::Question),
        QUESTIONS,
        "press",
        "press the button with the focus; on opening that is Cancel",
    ),
    bind(&[key('y')], "y", (Act::Yes, Group::Question), &[Dialog], "", "yes, where no message is lost; else a phrase is typed"),
    bind(
        &[code(KeyCode::Enter)],
        "Enter",
        (Act::Press, Group::Question),
        &[Context::Filter],
        "keep",
        "keep the filter; an empty one shows all",
    ),
    bind(&[code(KeyCode::Down), code(KeyCode::Tab)], "Down", (Act::Down, Group::Question), SCROLLED, "", "down"),
    bind(&[code(KeyCode::Up), code(KeyCode::BackTab)], "Up", (Act::Up, Group::Question), SCROLLED, "", "up"),
    bind(&[code(KeyCode::PageDown)], "PgDn", (Act::PageDown, Group::Question), &[Context::Help], "", "a page down"),
    bind(&[code(KeyCode::PageUp)], "PgUp", (Act::PageUp, Group::Question), &[Context::Help], "", "a page up"),
    bind(&[key('d')], "d", (Act::Detach, Group::Question), &[Context::Quit], "detach", "leave the console; the broker goes on"),
    bind(
        &[key('s')],
        "s",
        (Act::ShutDown, Group::Question),
        &[Context::Quit],
        "shut down",
        "end the broker; says first what is lost",
    ),
];

/// What `event` does in `context`.
pub(crate) fn act(context: Context, event: &KeyEvent) -> Option<Act> {
    if event.modifiers.intersects(KeyModifiers::ALT | KeyModifiers::SUPER | KeyModifiers::META) {
        return None;
    }
    let stroke = Stroke { code: event.code, control: event.modifiers.contains(KeyModifiers::CONTROL) };
    of(context).find(|binding| binding.keys.contains(&stroke)).map(|binding| binding.act)
}

/// The lines of the table that hold in `context`.
pub(crate) fn of(context: Context) -> impl Iterator<Item = &'static Binding> {
    TABLE.iter().filter(move |binding| binding.contexts.contains(&context))
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    const ALL: &[Context] = &[
        Overview,
        Sessions,
        Topics,
        DeadLetters,
        Events,
        SessionPage,
        TopicPage,
        SubscriptionPage,
        Dialog,
        Context::Quit,
        Context::Filter,
        Context::Sort,
        Context::Help,
    ];

    #[test]
    fn no_key_has_two_meanings_in_one_place() {
        for context in ALL {
            let mut seen = HashSet::new();
            for stroke in of(*context).flat_map(|binding| binding.keys) {
                assert!(seen.insert(stroke), "{stroke:?} twice in {context:?}");
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
        for context in ALL {
            let acts: Vec<_> = of(*context).map(|binding| binding.act).collect();
            assert!(acts.contains(&Act::Back) != acts.contains(&Act::Cancel), "{context:?}");
            if BODY.contains(context) {
                assert!(acts.contains(&Act::Help) && acts.contains(&Act::Quit), "{context:?}");
            }
        }
    }

    /// Each of these has cost someone a queue elsewhere.
    #[test]
    fn nothing_is_on_keys_that_slip() {
        let destroys = [Act::Evict, Act::Kill, Act::Drop, Act::Purge, Act::ShutDown, Act::Yes];
        for binding in TABLE {
            for stroke in binding.keys {
                let slips = matches!(stroke.code, KeyCode::Backspace | KeyCode::Delete) || stroke == &control('d');
                assert!(!(slips && destroys.contains(&binding.act)), "{:?}", binding.act);
                assert!(!"sqab".chars().any(|c| *stroke == control(c)), "{:?}", binding.act);
            }
        }
    }
}
