//! A figure over the last seconds, one value a second: what a sparkline shows.

use std::collections::VecDeque;

/// The last [`Series::SECONDS`] values.
#[derive(Debug, Clone, Default)]
pub(crate) struct Series {
    /// The second, in uptime, of the newest value.
    second: u64,
    values: VecDeque<u64>,
}

impl Series {
    /// How far back it goes.
    pub(crate) const SECONDS: usize = 60;

    /// Takes the rate of one second. Seconds without a sample had nothing to tell, so their rate was zero; a single one is
    /// a sample that came late, not a silence.
    pub(crate) fn record_rate(&mut self, second: u64, rate: u64) {
        let fill = if second.saturating_sub(self.second) == 2 { rate } else { 0 };
        self.record(second, rate, fill);
    }

    /// Takes a level. Between samples it was what it was before.
    pub(crate) fn record_level(&mut self, second: u64, level: u64) {
        let fill = self.values.back().copied().unwrap_or(level);
        self.record(second, level, fill);
    }

    fn record(&mut self, second: u64, value: u64, fill: u64) {
        let gap = second.saturating_sub(self.second);
        if gap == 0
            && let Some(newest) = self.values.back_mut()
        {
            *newest = value;
            return;
        }
        if !self.values.is_empty() {
            let missing = (gap.saturating_sub(1) as usize).min(Self::SECONDS);
            self.values.extend(std::iter::repeat_n(fill, missing));
        }
        self.values.push_back(value);
        let excess = self.values.len().saturating_sub(Self::SECONDS);
        self.values.drain(..excess);
        self.second = second.max(self.second);
    }

    /// The rates of the last seconds up to `second`, oldest first.
    pub(crate) fn rates(&self, second: u64) -> Vec<u64> {
        // The newest sample may be of the second before, or on its way.
        let silence = second.saturating_sub(self.second).saturating_sub(2) as usize;
        let mut rates = self.levels();
        if !rates.is_empty() {
            rates.extend(std::iter::repeat_n(0, silence.min(Self::SECONDS)));
        }
        rates.split_off(rates.len().saturating_sub(Self::SECONDS))
    }

    /// The rate now: the newest sample's, or zero if that is old.
    pub(crate) fn rate(&self, second: u64) -> u64 {
        if second.saturating_sub(self.second) > 2 { 0 } else { self.values.back().copied().unwrap_or(0) }
    }

    /// The levels of the last seconds, oldest first.
    pub(crate) fn levels(&self) -> Vec<u64> {
        self.values.iter().copied().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_silence_is_zeros_and_a_late_sample_is_not_a_silence() {
        let mut series = Series::default();
        series.record_rate(10, 5);
        series.record_rate(12, 7);
        assert_eq!(series.rates(12), [5, 7, 7]);
        series.record_rate(15, 1);
        assert_eq!(series.rates(15), [5, 7, 7, 0, 0, 1]);
        assert_eq!(series.rates(18), [5, 7, 7, 0, 0, 1, 0]);
        assert_eq!((series.rate(17), series.rate(18)), (1, 0));
    }

    #[test]
    fn a_level_stays_until_it_changes_and_the_past_is_bounded() {
        let mut series = Series::default();
        series.record_level(1, 4);
        series.record_level(4, 9);
        assert_eq!(series.levels(), [4, 4, 4, 9]);
        for second in 5..500 {
            series.record_level(second, second);
        }
        assert_eq!((series.levels().len(), series.levels()[0]), (Series::SECONDS, 440));
        series.record_level(100_000, 1);
        assert_eq!(series.levels().len(), Series::SECONDS);
    }
}
