//! The help screen's lines and the footer's hints, both from the table of keys.

use super::{Modal, State, View, Zoom, geometry::Geometry, text::wrap};
use crate::console::keymap::{self, Act, Binding, Group};

/// The column in which the help says what a key or a sign means.
pub(crate) const MEANING: u16 = 17;

/// A line of the help screen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum HelpLine {
    /// The title of what follows.
    Heading(&'static str),
    /// A key, or a sign, and what it means; without either, what did not fit the line above.
    Entry(&'static str, String),
}

/// Lines of the help screen that are searched and folded.
struct Found<'a> {
    wanted: &'a str,
    columns: usize,
    lines: Vec<HelpLine>,
}

/// What the screen's signs mean.
const SIGNS: &[(&str, &str)] = &[
    ("!!", "session: 30 s left; subscription: it dropped messages"),
    ("!!", "connection: takes nothing; actor: busy; order: messages lost"),
    ("!", "session: 60 s left; subscription: poison; topic: no subscriber"),
    ("!", "connection: behind by more than a second; order: not done"),
    ("?", "connection: not registered yet; order: nobody answered"),
    ("..", "session: an operator holds its timer; order: it waits"),
    ("~~", "ended; stays for 5 s with the reason"),
    ("r", "its actor was restarted"),
    ("DLQ", "dead letters: what waits for a client that is away"),
    ("EXACT", "topic: subscriptions to just its name; HELD is what they hold"),
    ("MATCH", "topic: all that got its last publish, wildcards included"),
    ("poison", "messages given up after too many attempts; R and P move them"),
    ("lag", "events that have happened and are not on the screen yet"),
    ("lost", "events that were never read; the board was fetched anew"),
];

/// How a filter is written.
const FILTERS: &[(&str, &str)] = &[
    ("billing eu", "rows that hold every word"),
    ("!edge", "rows that do not"),
    ("state:held", "a field that is just this; also ="),
    ("client~bill", "a field that holds this"),
    ("dlq>100", "a number; also < >= <="),
];

impl State {
    /// The keys that the footer offers, best first. Orders that the gate would refuse are not offered.
    pub(crate) fn hints(&self) -> impl Iterator<Item = (&'static str, &'static str)> {
        let (read_only, paused, zoom) = (self.live.read_only, self.held.is_some(), self.zoom);
        keymap::of(&self.contexts())
            .collect::<Vec<_>>()
            .into_iter()
            .filter(move |binding| !binding.hint.is_empty() && (!read_only || binding.group != Group::Order))
            .map(move |binding| {
                let hint = match binding.act {
                    Act::Pause if paused => "resume",
                    Act::Zoom if zoom == Zoom::In => "all panes",
                    Act::ReadOnly if read_only => "allow orders",
                    _ => binding.hint,
                };
                (binding.label.split(' ').next().unwrap_or_default(), hint)
            })
    }

    /// The lines of the help screen that hold what is searched, folded to the screen's width: the keys of this view first.
    pub(crate) fn help_lines(&self, geometry: &Geometry) -> Vec<HelpLine> {
        let Modal::Help { input, .. } = &self.modal else { return Vec::new() };
        let wanted = input.value().to_lowercase();
        // A border and a blank on either side.
        let columns = usize::from(geometry.body.width.saturating_sub(MEANING + 3));
        let mut found = Found { wanted: &wanted, columns, lines: Vec::new() };
        let here: Vec<&Binding> = keymap::of(&self.body_contexts()).collect();
        let is_here = |binding: &Binding| here.iter().any(|other| std::ptr::eq(*other, binding));
        for group in [Group::Order, Group::Look, Group::Go, Group::Move, Group::Program] {
            let keys = here.iter().filter(|binding| binding.group == group).map(|binding| (binding.label, binding.help));
            found.section(group.title(), keys);
        }
        found.section("Signs", SIGNS.iter().copied());
        let fields = self.filter_fields();
        let of_the_list = fields.iter().map(|fields| ("fields here", fields.as_str()));
        found.section("Filters", FILTERS.iter().copied().chain(of_the_list));
        let asked = keymap::TABLE.iter().filter(|binding| binding.group == Group::Question);
        found.section(Group::Question.title(), asked.map(|binding| (binding.label, binding.help)));
        let other = keymap::TABLE.iter().filter(|binding| binding.group != Group::Question && !is_here(binding));
        found.section("In other views", other.map(|binding| (binding.label, binding.help)));
        found.lines
    }

    /// Lines of the help that the screen has room for, below the one that is searched with.
    pub(crate) fn help_rows(geometry: &Geometry) -> usize {
        usize::from(geometry.body.height.saturating_sub(3))
    }

    /// The fields that a filter of the list with the cursor can ask for; none where nothing is filtered.
    pub(crate) fn filter_fields(&self) -> Option<String> {
        let fields = self.list().fields();
        (self.room() != View::Overview && !fields.is_empty()).then(|| fields.join(" "))
    }
}

impl Found<'_> {
    fn section<'a>(&mut self, heading: &'static str, entries: impl Iterator<Item = (&'static str, &'a str)>) {
        let wanted = self.wanted;
        let mut entries =
            entries.filter(|(label, help)| format!("{heading} {label} {help}").to_lowercase().contains(wanted)).peekable();
        if entries.peek().is_some() {
            self.lines.push(HelpLine::Heading(heading));
        }
        for (label, help) in entries {
            let labels = std::iter::once(label).chain(std::iter::repeat(""));
            self.lines.extend(labels.zip(wrap(help, self.columns)).map(|(label, part)| HelpLine::Entry(label, part)));
        }
    }
}
