//! The dialog before an order that costs something. It holds an id, not a row; it counts the price anew
//! with all news; the focus starts on Cancel, and Enter alone never confirms.

use cordboard::Board;
use tui_input::Input;

use super::{deed::Deed, price::Price};

/// Where the next key goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Focus {
    /// The button that does nothing.
    Cancel,
    /// Why it is done.
    Reason,
    /// The typed confirmation.
    Phrase,
    /// The button that does it.
    Confirm,
}

/// A question to the operator.
#[derive(Debug, Clone)]
pub(crate) struct Dialog {
    /// What would be done.
    pub(crate) deed: Deed,
    /// Its price when the dialog opened.
    pub(crate) before: Price,
    /// Its price at the last count.
    pub(crate) price: Price,
    /// Its price in the last frame: the one that is agreed to.
    pub(crate) seen: Price,
    /// Where the next key goes.
    pub(crate) focus: Focus,
    /// Why it is done, for the audit.
    pub(crate) reason: Input,
    /// What was typed to confirm.
    pub(crate) phrase: Input,
    /// A key was pressed that does not confirm; this says what would.
    pub(crate) note: Option<String>,
    typed: bool,
}

impl Dialog {
    /// Asks about `deed`.
    pub(crate) fn new(deed: Deed, board: &Board) -> Self {
        let price = Price::of(&deed, board);
        Self {
            typed: deed.always_typed() || price.loss > 0,
            deed,
            before: price.clone(),
            seen: price.clone(),
            price,
            focus: Focus::Cancel,
            reason: Input::default(),
            phrase: Input::default(),
            note: None,
        }
    }

    /// Counts the price anew. Once something may be lost a phrase is asked for, and stays asked for.
    pub(crate) fn recount(&mut self, board: &Board) {
        self.price = Price::of(&self.deed, board);
        self.typed |= self.price.loss > 0;
    }

    /// True if a phrase must be typed; else `y` does.
    pub(crate) fn is_typed(&self) -> bool {
        self.typed && !self.price.gone
    }

    /// True if the phrase is there.
    pub(crate) fn is_phrase_right(&self) -> bool {
        self.phrase.value() == self.deed.phrase()
    }

    /// What the keys can be on now, in the order of Tab.
    pub(crate) fn stops(&self) -> &'static [Focus] {
        if self.price.gone {
            &[Focus::Cancel]
        } else if self.typed {
            &[Focus::Cancel, Focus::Reason, Focus::Phrase, Focus::Confirm]
        } else {
            &[Focus::Cancel, Focus::Confirm]
        }
    }

    /// To the next stop, or back.
    pub(crate) fn step(&mut self, back: bool) {
        let stops = self.stops();
        let at = stops.iter().position(|stop| *stop == self.focus).unwrap_or(0);
        let next = if back { at + stops.len() - 1 } else { at + 1 };
        self.focus = stops[next % stops.len()];
        self.note = None;
    }

    /// The input that keys go to, if one has the focus.
    pub(crate) fn input(&mut self) -> Option<&mut Input> {
        match self.focus {
            Focus::Reason => Some(&mut self.reason),
            Focus::Phrase => Some(&mut self.phrase),
            Focus::Cancel | Focus::Confirm => None,
        }
    }
}
