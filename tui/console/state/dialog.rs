//! The dialog before an order that costs something. It holds an id, not a row; it counts the price anew
//! with all news; the focus starts on Cancel, and Enter alone never confirms.

use cordboard::{Board, control::Precondition};
use tui_input::Input;

use super::{deed::Deed, price::Price, question::Question};

/// Where the next key goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Focus {
    /// The button that does nothing.
    Cancel,
    /// Why it is done.
    Reason,
    /// The typed confirmation.
    Phrase,
    /// How long the gate waits.
    Delay,
    /// Whether it is done whatever it costs by then.
    AnyPrice,
    /// The button that does it.
    Confirm,
}

/// The delays that can be chosen, in seconds.
const DELAYS: [u64; 5] = [0, 5, 10, 30, 60];
/// What an order waits that loses messages, unless its operator says otherwise.
const UNDO_SECONDS: u64 = 5;

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
    /// The first fact in sight, where there is no room for all of them.
    pub(crate) top: usize,
    /// Why it is done, for the audit.
    pub(crate) reason: Input,
    /// What was typed to confirm.
    pub(crate) phrase: Input,
    /// A key was pressed that does not confirm; this says what would.
    pub(crate) note: Option<String>,
    /// The delay that was chosen, in seconds; none yet.
    delay: Option<u64>,
    /// It is to be done whatever it costs by then: a queue that fills fast makes each price too low.
    pub(crate) any_price: bool,
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
            top: 0,
            reason: Input::default(),
            phrase: Input::default(),
            note: None,
            delay: None,
            any_price: false,
        }
    }

    /// How long the gate waits before it is done, in seconds: time to think again, if messages are lost.
    pub(crate) fn delay_seconds(&self) -> u64 {
        self.delay.unwrap_or(if self.price.loss > 0 { UNDO_SECONDS } else { 0 })
    }

    /// What must be typed: more if no price is too high.
    pub(crate) fn wanted(&self) -> String {
        let phrase = self.deed.phrase();
        if self.any_price { format!("{phrase} AT ANY PRICE") } else { phrase }
    }

    /// What its operator wants to be still so: as the last frame showed it.
    pub(crate) fn precondition(&self) -> Precondition {
        let seen = self.seen.precondition(&self.deed);
        if self.any_price { Precondition { loss: None, ..seen } } else { seen }
    }

    /// Changes what the focus is on.
    pub(crate) fn toggle(&mut self) {
        match self.focus {
            Focus::Delay => {
                let now = self.delay_seconds();
                self.delay = Some(DELAYS.into_iter().find(|seconds| *seconds > now).unwrap_or(DELAYS[0]));
            }
            Focus::AnyPrice => self.any_price = !self.any_price,
            Focus::Cancel | Focus::Reason | Focus::Phrase | Focus::Confirm => {}
        }
        self.note = None;
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
        self.phrase.value() == self.wanted()
    }

    /// What the keys can be on now, in the order of Tab.
    pub(crate) fn stops(&self) -> &'static [Focus] {
        if self.price.gone {
            &[Focus::Cancel]
        } else if self.typed && self.deed.control().destroys() {
            &[Focus::Cancel, Focus::Reason, Focus::Phrase, Focus::Delay, Focus::AnyPrice, Focus::Confirm]
        } else if self.typed {
            &[Focus::Cancel, Focus::Reason, Focus::Phrase, Focus::Delay, Focus::Confirm]
        } else {
            &[Focus::Cancel, Focus::Confirm]
        }
    }

    /// Shows facts further down, or up; it stops at both ends.
    pub(crate) fn scroll(&mut self, by: isize, size: (u16, u16)) {
        let at = Question::of(self, size).shown.start;
        self.top = at.saturating_add_signed(by);
        self.top = Question::of(self, size).shown.start;
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
            Focus::Cancel | Focus::Delay | Focus::AnyPrice | Focus::Confirm => None,
        }
    }
}
