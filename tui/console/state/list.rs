//! A list: which rows, in which order, and where the cursor is. The cursor holds an id, so rows may move and it does not.
//!
//! Sorting and filtering happen in [`List::rebuild`], a few times a second at most and never for a key press or a frame;
//! between two of them the list is a vector of ids, and a frame looks only at those it shows.

use std::ops::Range;

use cordboard::clock::{Moment, Uptime};

use super::{
    filter::{Facts, Filter},
    model::Model,
};

/// What a list is sorted by. Ties break on the id.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Value {
    /// A number.
    Number(u64),
    /// A name.
    Text(String),
}

/// One way to sort a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Sort {
    /// Its name, which is also its column's.
    pub(crate) name: &'static str,
    /// Largest first, unless inverted.
    pub(crate) descending: bool,
}

/// A kind of list.
pub(crate) trait Table {
    /// What names a row for as long as it lives.
    type Id: Clone + Ord;
    /// A row, borrowed from the model.
    type Row<'a>: Facts;
    /// What its reader has chosen to see of it, beside the filter.
    type Lens: Clone + Default;
    /// The ways to sort it; the first is the usual one.
    const SORTS: &'static [Sort];
    /// The fields a filter may ask for.
    const FIELDS: &'static [&'static str];

    /// All rows, as seen through `lens`.
    fn rows<'a>(model: &'a Model, lens: &Self::Lens) -> impl Iterator<Item = Self::Row<'a>>;
    /// The rows that a filter chooses from: those, unless what is folded away is looked through as well.
    fn searched<'a>(model: &'a Model, lens: &Self::Lens) -> impl Iterator<Item = Self::Row<'a>> {
        Self::rows(model, lens)
    }
    /// A row's id.
    fn id(row: &Self::Row<'_>) -> Self::Id;
    /// True for a row that is shown only because it has just ended.
    fn is_over(_row: &Self::Row<'_>) -> bool {
        false
    }
    /// What the row is sorted by.
    fn value(row: &Self::Row<'_>, sort: &'static str) -> Value;
}

/// What can be done with a list, whatever its rows are.
pub(crate) trait AnyList {
    /// The ways to sort it.
    fn sorts(&self) -> &'static [Sort];
    /// The place of its way of sorting among them.
    fn sort_index(&self) -> usize;
    /// Sorts by the way at `index`.
    fn sort_by(&mut self, index: usize);
    /// The other way round.
    fn invert(&mut self);
    /// The fields that a filter can ask for.
    fn fields(&self) -> &'static [&'static str];
    /// The filter.
    fn filter(&self) -> &Filter;
    /// Shows only what passes `text`.
    fn filter_by(&mut self, text: &str);
    /// True if there are rows and none passes the filter.
    fn is_filtered_out(&self) -> bool;
    /// What is shown may no longer be so.
    fn mark_stale(&mut self);
    /// When it wants to be rebuilt: four times a second at most, and less often the longer it is.
    fn due(&self) -> Option<Uptime>;
    /// A cursor that nobody has moved goes back to where it starts.
    fn settle(&mut self);
    /// Sorts and filters anew.
    fn rebuild(&mut self, model: &Model, now: Moment, rows: usize);
    /// Scrolls as little as is needed to show the cursor, and leaves no room empty that rows could fill.
    fn keep_in_sight(&mut self, rows: usize);
    /// Moves the cursor by `rows`; it stops at both ends.
    fn move_by(&mut self, by: isize, rows: usize);
    /// To the first row.
    fn first(&mut self, rows: usize);
    /// To the last row.
    fn last(&mut self, rows: usize);
}

/// What a cursor stays with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Anchor {
    /// Nobody has moved it yet.
    Start,
    /// Its row.
    Row,
    /// The last row, whichever that is.
    End,
}

/// A list and where its reader is in it.
#[derive(Debug, Clone)]
pub(crate) struct List<T: Table> {
    order: Vec<T::Id>,
    cursor: Option<T::Id>,
    at: usize,
    top: usize,
    sort: usize,
    inverted: bool,
    filter: Filter,
    lens: T::Lens,
    anchor: Anchor,
    total: usize,
    built: Option<Uptime>,
    stale: bool,
}

impl<T: Table> Default for List<T> {
    fn default() -> Self {
        Self {
            order: Vec::new(),
            cursor: None,
            at: 0,
            top: 0,
            sort: 0,
            inverted: false,
            filter: Filter::default(),
            lens: T::Lens::default(),
            anchor: Anchor::Start,
            total: 0,
            built: None,
            stale: true,
        }
    }
}

impl<T: Table> List<T> {
    /// A list that stays at its end until its reader moves.
    pub(crate) fn following() -> Self {
        Self { anchor: Anchor::End, ..Self::default() }
    }

    /// A list of the rows that pass `filter`.
    pub(crate) fn filtered(filter: &str) -> Self {
        Self { filter: Filter::parse(filter, T::FIELDS), ..Self::default() }
    }

    /// A list that is not seen as it usually is.
    pub(crate) fn seen_through(lens: T::Lens) -> Self {
        Self { lens, ..Self::default() }
    }

    /// The ids, in order.
    pub(crate) fn order(&self) -> &[T::Id] {
        &self.order
    }

    /// Rows that there are, whether they pass the filter or not.
    pub(crate) fn total(&self) -> usize {
        self.total
    }

    /// The row that the cursor is on.
    pub(crate) fn cursor(&self) -> Option<&T::Id> {
        self.cursor.as_ref()
    }

    /// What its reader has chosen to see of it.
    pub(crate) fn lens(&self) -> &T::Lens {
        &self.lens
    }

    /// The same, to be changed: the rows are others then.
    pub(crate) fn lens_mut(&mut self) -> &mut T::Lens {
        self.stale = true;
        self.built = None;
        &mut self.lens
    }

    /// True while it stays at its end.
    pub(crate) fn follows(&self) -> bool {
        self.anchor == Anchor::End
    }

    /// What it is sorted by, and whether largest first.
    pub(crate) fn sort(&self) -> (&'static str, bool) {
        let sort = T::SORTS[self.sort];
        (sort.name, sort.descending != self.inverted)
    }

    /// The ids that are on the screen when it shows `rows`, and which of them has the cursor.
    pub(crate) fn window(&self, rows: usize) -> (&[T::Id], Option<usize>) {
        let Range { start, end } = self.top.min(self.order.len())..(self.top + rows).min(self.order.len());
        let cursor = (self.cursor.is_some() && (start..end).contains(&self.at)).then(|| self.at - start);
        (&self.order[start..end], cursor)
    }

    /// Which of how many rows are on the screen when it shows `rows`; nothing if it shows them all.
    pub(crate) fn excerpt(&self, rows: usize) -> Option<(usize, usize, usize)> {
        let shown = self.window(rows).0.len();
        (0 < shown && shown < self.order.len()).then(|| (self.top + 1, self.top + shown, self.order.len()))
    }

    fn find_cursor(&mut self) {
        let found = self.cursor.as_ref().and_then(|cursor| self.order.iter().position(|id| id == cursor));
        let last = self.order.len().saturating_sub(1);
        self.at = if self.follows() { last } else { found.unwrap_or(self.at.min(last)) };
        self.cursor = self.order.get(self.at).cloned();
    }

    fn go_to(&mut self, at: usize, rows: usize) {
        if self.anchor == Anchor::Start {
            self.anchor = Anchor::Row;
        }
        self.at = at.min(self.order.len().saturating_sub(1));
        self.cursor = self.order.get(self.at).cloned();
        self.keep_in_sight(rows);
    }

    /// To the end, and on with it.
    pub(crate) fn follow(&mut self) {
        self.anchor = Anchor::End;
    }

    /// To that row, once it is in the list.
    pub(crate) fn select(&mut self, id: T::Id) {
        if let Some(at) = self.order.iter().position(|other| *other == id) {
            self.at = at;
        }
        (self.cursor, self.anchor, self.stale) = (Some(id), Anchor::Row, true);
    }
}

impl<T: Table> AnyList for List<T> {
    fn sorts(&self) -> &'static [Sort] {
        T::SORTS
    }

    fn sort_index(&self) -> usize {
        self.sort
    }

    fn sort_by(&mut self, index: usize) {
        (self.sort, self.inverted, self.stale) = (index.min(T::SORTS.len() - 1), false, true);
    }

    fn invert(&mut self) {
        (self.inverted, self.stale) = (!self.inverted, true);
    }

    fn fields(&self) -> &'static [&'static str] {
        T::FIELDS
    }

    fn filter(&self) -> &Filter {
        &self.filter
    }

    fn filter_by(&mut self, text: &str) {
        let filter = Filter::parse(text, T::FIELDS);
        if filter != self.filter {
            (self.filter, self.stale) = (filter, true);
        }
    }

    fn is_filtered_out(&self) -> bool {
        self.total > 0 && self.order.is_empty()
    }

    fn mark_stale(&mut self) {
        self.stale = true;
    }

    fn due(&self) -> Option<Uptime> {
        let pause = 250 + self.total as u64 / 100;
        self.stale.then(|| self.built.map_or(Uptime(0), |built| Uptime(built.0 + pause)))
    }

    fn settle(&mut self) {
        if self.anchor == Anchor::Start {
            self.cursor = None;
        }
    }

    fn rebuild(&mut self, model: &Model, now: Moment, rows: usize) {
        let (name, descending) = self.sort();
        let mut keyed = Vec::new();
        let key = |row: T::Row<'_>| (T::value(&row, name), T::id(&row), T::is_over(&row));
        if self.filter.is_empty() {
            keyed.extend(T::rows(model, &self.lens).map(key));
            self.total = keyed.len();
        } else {
            self.total = 0;
            let rows = T::searched(model, &self.lens).inspect(|_| self.total += 1);
            keyed.extend(rows.filter(|row| self.filter.passes(row)).map(key));
        }
        keyed.sort_unstable_by(|(a, a_id, _), (b, b_id, _)| {
            let order = if descending { b.cmp(a) } else { a.cmp(b) };
            order.then_with(|| a_id.cmp(b_id))
        });
        if self.cursor.is_none() {
            // A cursor that nobody has moved starts on a row that something can be done to.
            self.at = keyed.iter().position(|(.., over)| !over).unwrap_or(0);
        }
        self.order.clear();
        self.order.extend(keyed.into_iter().map(|(_, id, _)| id));
        (self.built, self.stale) = (Some(now.up), false);
        self.find_cursor();
        self.keep_in_sight(rows);
    }

    fn keep_in_sight(&mut self, rows: usize) {
        let rows = rows.max(1);
        let highest = (self.at + 1).saturating_sub(rows);
        self.top = self.top.clamp(highest, self.at).min(self.order.len().saturating_sub(rows));
    }

    fn move_by(&mut self, by: isize, rows: usize) {
        self.go_to(self.at.saturating_add_signed(by), rows);
        if by < 0 {
            self.anchor = Anchor::Row;
        }
    }

    fn first(&mut self, rows: usize) {
        self.go_to(0, rows);
        self.anchor = Anchor::Row;
    }

    fn last(&mut self, rows: usize) {
        self.go_to(usize::MAX, rows);
    }
}
