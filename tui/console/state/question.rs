//! What the question before an order says, line by line, in as much of the screen as there is: the facts above, which scroll
//! where they must, and below them what is answered. `update` scrolls it and the view draws it, so both ask here.
//!
//! ```text
//! TARGET       facts: all of them, or as many as there is room for, what the price is first
//! DESTROYED
//! Reason       answers: all of them, or where that would leave no facts the one with the focus
//! type that
//! [ Cancel ]   buttons, always
//! ```

use std::{cmp::Reverse, ops::Range};

use super::{
    dialog::{Dialog, Focus},
    text::{safe, width, wrap},
};

/// Columns of the dialog, and of its labels.
pub(crate) const COLUMNS: u16 = 76;
pub(crate) const LABEL: u16 = 13;
/// Of them those beside what is said: the border, and a blank on either side.
const BESIDE: u16 = 4;
/// Lines that are not the dialog's: the screen's first, and the border.
const AROUND: u16 = 3;
/// Facts that stay in sight beside the answers, where there are so many.
const FACTS: usize = 3;

/// What holds for every dialog.
const REMARK: &str = "Fixed when you pressed the key: rows may move, the target does not.";
/// What stands beside the box that is checked where any price will do.
pub(crate) const ANY_PRICE: &str = "[ ] whatever it costs by then";

/// A line of the dialog.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Line {
    /// Nothing.
    Blank,
    /// A fact, with its label where it begins.
    Fact(&'static str, String, Weight, Rank),
    /// Why it is done.
    Reason,
    /// A part of what must be typed.
    Phrase(&'static str, String),
    /// Where it is typed.
    Typed,
    /// How long the gate waits.
    Delay,
    /// Whether any price will do.
    AnyPrice,
    /// Both, where a line has room for them.
    Options,
    /// What can be pressed.
    Buttons,
    /// What the last key has not done.
    Note(String),
}

/// How loudly a fact is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Weight {
    /// Nobody decides by it.
    Quiet,
    /// As others.
    Plain,
    /// What it is about.
    Strong,
    /// Not to be missed.
    Warning,
    /// Messages are lost.
    Bad,
}

/// What comes first where not everything is in sight.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Rank {
    /// What holds for every dialog.
    Remark,
    /// That nothing has changed.
    Unchanged,
    /// What is kept.
    Kept,
    /// What it is done to, and what that costs.
    Price,
}

/// The dialog on a screen of some size.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Question {
    /// All that it says.
    pub(crate) facts: Vec<Line>,
    /// Which of that is in sight.
    pub(crate) shown: Range<usize>,
    /// What is answered, below that.
    pub(crate) answers: Vec<Line>,
}

impl Question {
    /// What `dialog` says and asks on a screen of that size.
    pub(crate) fn of(dialog: &Dialog, (columns, lines): (u16, u16)) -> Self {
        let (columns, room) = (columns_of(columns), usize::from(lines.saturating_sub(AROUND)));
        let (mut facts, mut answers) = (facts(dialog, columns), answers(dialog, columns));
        while facts.len() + answers.len() > room
            && let Some(air) = answers.iter().rposition(|line| *line == Line::Blank)
        {
            answers.remove(air);
        }
        if facts.len() + answers.len() > room {
            facts.sort_by_key(|line| Reverse(line.rank()));
            if answers.len() + FACTS > room {
                let (above, below) = focused(dialog, answers, room);
                (facts, answers) = ([above, facts].concat(), below);
            }
        }
        let rows = room.saturating_sub(answers.len()).min(facts.len());
        let top = dialog.top.min(facts.len() - rows);
        Self { facts, shown: top..top + rows, answers }
    }
}

impl Line {
    fn rank(&self) -> Rank {
        match self {
            Self::Fact(.., rank) => *rank,
            _ => Rank::Price,
        }
    }

    /// The answers that are given on it; none for what is always in sight.
    fn stops(&self) -> &'static [Focus] {
        match self {
            Self::Reason => &[Focus::Reason],
            // Whoever stands on a button is to see what opens it.
            Self::Phrase(..) | Self::Typed => &[Focus::Phrase, Focus::Cancel, Focus::Confirm],
            Self::Delay => &[Focus::Delay],
            Self::AnyPrice => &[Focus::AnyPrice],
            Self::Options => &[Focus::Delay, Focus::AnyPrice],
            Self::Blank | Self::Fact(..) | Self::Buttons | Self::Note(_) => &[],
        }
    }
}

/// Columns of what a dialog says.
fn columns_of(screen: u16) -> usize {
    usize::from(COLUMNS.min(screen).saturating_sub(BESIDE))
}

/// Of `answers` those that the focus is on, and what is always in sight. What must be typed is above them if it is so long
/// that nothing else would be seen.
fn focused(dialog: &Dialog, answers: Vec<Line>, room: usize) -> (Vec<Line>, Vec<Line>) {
    let answers = answers.into_iter().filter(|line| line.stops().is_empty() || line.stops().contains(&dialog.focus));
    let (phrase, rest): (Vec<_>, Vec<_>) = answers.partition(|line| matches!(line, Line::Phrase(..)));
    if phrase.len() + rest.len() + FACTS > room + 1 { (phrase, rest) } else { (Vec::new(), [phrase, rest].concat()) }
}

/// What the dialog says above its inputs.
fn facts(dialog: &Dialog, columns: usize) -> Vec<Line> {
    let price = &dialog.price;
    let mut lines: Vec<Line> =
        wrap(REMARK, columns).into_iter().map(|text| Line::Fact("", text, Weight::Quiet, Rank::Remark)).collect();
    let mut say = |label: &'static str, text: &str, weight: Weight, rank: Rank| {
        for (at, text) in wrap(text, columns.saturating_sub(usize::from(LABEL))).into_iter().enumerate() {
            lines.push(Line::Fact(if at == 0 { label } else { "" }, text, weight, rank));
        }
    };
    say("TARGET", &price.target, Weight::Strong, Rank::Price);
    if !price.gone {
        let destroys = if price.loss > 0 { Weight::Bad } else { Weight::Plain };
        say("DESTROYED", &price.destroyed, destroys, Rank::Price);
        say("KEPT", &price.kept, Weight::Plain, Rank::Kept);
        for (at, side) in price.side.iter().enumerate() {
            let label = if at == 0 { "SIDE EFFECT" } else { "" };
            say(label, side, if side.contains("LAST") { Weight::Warning } else { Weight::Plain }, Rank::Price);
        }
    }
    let changes = price.changed_since(&dialog.before);
    let (text, weight, rank) = if changes.is_empty() {
        ("nothing since this was opened (recounted each second)".to_owned(), Weight::Quiet, Rank::Unchanged)
    } else if price.gone {
        (changes.join("; "), Weight::Warning, Rank::Price)
    } else {
        (format!("{} since this was opened", changes.join("; ")), Weight::Warning, Rank::Price)
    };
    say("CHANGED", &text, weight, rank);
    lines
}

/// What is answered, as it is where there is room for all of it.
fn answers(dialog: &Dialog, columns: usize) -> Vec<Line> {
    let values = columns.saturating_sub(usize::from(LABEL));
    let mut lines = vec![Line::Blank];
    if dialog.is_typed() {
        lines.push(Line::Reason);
        for (at, part) in wrap(&safe(dialog.wanted()), values).into_iter().enumerate() {
            lines.push(Line::Phrase(if at == 0 { "To confirm" } else { "" }, part));
        }
        lines.push(Line::Typed);
        let needed = width(&delay(dialog)) + width(ANY_PRICE) + 2;
        let has_price = dialog.stops().contains(&Focus::AnyPrice);
        lines.extend(match has_price {
            true if needed > values => vec![Line::Delay, Line::AnyPrice],
            true => vec![Line::Options],
            false => vec![Line::Delay],
        });
        lines.push(Line::Blank);
    }
    lines.push(Line::Buttons);
    match &dialog.note {
        Some(note) if width(note) > columns.saturating_sub(buttons_width(dialog)) => {
            lines.extend(wrap(note, columns).into_iter().map(Line::Note));
        }
        _ => lines.push(Line::Blank),
    }
    lines
}

/// How long the gate waits.
pub(crate) fn delay(dialog: &Dialog) -> String {
    match dialog.delay_seconds() {
        0 => "< at once >".to_owned(),
        seconds => format!("< in {seconds} s, u stops it >"),
    }
}

/// The buttons that can be pressed now.
pub(crate) fn offered(dialog: &Dialog) -> impl Iterator<Item = (Focus, String)> {
    let all = [(Focus::Cancel, "Cancel"), (Focus::Confirm, dialog.deed.button())];
    let stops = dialog.stops();
    all.into_iter().filter(|(stop, _)| stops.contains(stop)).map(|(stop, name)| (stop, format!("[ {name} ]")))
}

/// Columns that they take, with what separates them from a hint.
pub(crate) fn buttons_width(dialog: &Dialog) -> usize {
    offered(dialog).map(|(_, text)| width(&text) + 2).sum::<usize>() + 1
}
