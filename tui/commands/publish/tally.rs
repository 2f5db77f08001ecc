//! What became of the messages: how many were sent, acknowledged and refused, and which was the first that failed.

use std::time::Duration;

use cordboard::client::PublishError;

use super::super::{grouped, messages};
use crate::cli::NotAccepted;

/// Every message is in it once it is sent, and once more when it is settled.
#[derive(Debug, Default)]
pub(super) struct Tally {
    pub(super) sent: u64,
    bytes: u64,
    accepted: u64,
    failed: u64,
    /// The first that failed, by its number.
    first: Option<(u64, PublishError)>,
}

impl Tally {
    /// One more, on its way.
    pub(super) fn sent(&mut self, bytes: usize) {
        self.sent += 1;
        self.bytes += bytes as u64;
    }

    /// The oldest that was not settled is: outcomes come in the order of sending.
    pub(super) fn settled(&mut self, outcome: Result<(), PublishError>) {
        match outcome {
            Ok(()) => self.accepted += 1,
            Err(error) => {
                self.failed += 1;
                let number = self.accepted + self.failed;
                self.first.get_or_insert((number, error));
            }
        }
    }

    /// One more, which could not even be sent.
    pub(super) fn unsendable(&mut self, error: PublishError) {
        self.sent += 1;
        self.failed += 1;
        self.first.get_or_insert((self.sent, error));
    }

    pub(super) fn has_failed(&self) -> bool {
        self.failed > 0
    }

    /// True if nothing is under way any more.
    pub(super) fn is_settled(&self) -> bool {
        self.accepted + self.failed == self.sent
    }

    /// What failed, if anything did.
    pub(super) fn failure(&mut self) -> Option<NotAccepted> {
        let (failed, all) = (self.failed, self.sent);
        self.first.take().map(|(number, first)| NotAccepted { failed, all, number, first })
    }

    /// So far.
    pub(super) fn progress(&self, since: Duration) -> String {
        format!("{} sent, {} acknowledged, {}/s", grouped(self.sent), grouped(self.accepted), grouped(self.rate(since)))
    }

    /// At the end. The broker's acknowledgement says that it has taken a message; whether it was delivered, or dropped since because
    /// nobody had subscribed, the publisher is not told.
    pub(super) fn summary(&self, since: Duration) -> String {
        let bytes = format!("{} byte{}", grouped(self.bytes), if self.bytes == 1 { "" } else { "s" });
        let (count, took) = (messages(self.accepted), took(since));
        match self.rate(since) {
            rate if rate >= 10 && since >= Duration::from_secs(1) => {
                format!("accepted: {count} ({bytes}) in {took}, {}/s", grouped(rate))
            }
            _ => format!("accepted: {count} ({bytes}) in {took}"),
        }
    }

    /// After an interrupt; `wanted` is how many there should have been, if that is known.
    pub(super) fn interrupted(&self, wanted: Option<u64>) -> String {
        let of = match wanted {
            Some(wanted) => format!("{} of {}", grouped(self.accepted), messages(wanted)),
            None => format!("{} of {}", grouped(self.accepted), messages(self.sent)),
        };
        let unknown = match self.sent - self.accepted - self.failed {
            0 => String::new(),
            unknown => format!("; {} more may have been accepted", grouped(unknown)),
        };
        format!("interrupted: {of} acknowledged{unknown}")
    }

    fn rate(&self, since: Duration) -> u64 {
        (self.accepted as f64 / since.as_secs_f64().max(0.001)) as u64
    }
}

/// In milliseconds while they say something, in seconds after that.
fn took(time: Duration) -> String {
    if time < Duration::from_secs(1) { format!("{} ms", time.as_millis()) } else { format!("{:.1} s", time.as_secs_f64()) }
}

#[cfg(test)]
mod tests {
    use cordboard::wire::Code;

    use super::*;

    fn refused() -> PublishError {
        PublishError::Refused { topic: "t".to_owned(), code: Code::Forbidden, reason: "no".to_owned() }
    }

    #[test]
    fn messages_are_counted_and_the_first_failure_is_named() {
        let mut tally = Tally::default();
        (0..4).for_each(|_| tally.sent(500));
        tally.settled(Ok(()));
        assert!(!tally.has_failed() && !tally.is_settled());
        assert_eq!(tally.progress(Duration::from_secs(1)), "4 sent, 1 acknowledged, 1/s");
        tally.settled(Err(refused()));
        tally.settled(Ok(()));
        assert_eq!(tally.interrupted(None), "interrupted: 2 of 4 messages acknowledged; 1 more may have been accepted");
        assert_eq!(tally.interrupted(Some(9)), "interrupted: 2 of 9 messages acknowledged; 1 more may have been accepted");
        tally.settled(Err(refused()));
        assert!(tally.has_failed() && tally.is_settled());
        let failure = tally.failure().unwrap();
        assert_eq!((failure.failed, failure.all, failure.number), (2, 4, 2));
    }

    #[test]
    fn what_could_not_be_sent_has_its_number_too() {
        let mut tally = Tally::default();
        tally.sent(1);
        tally.unsendable(PublishError::TooLarge { bytes: 9, max: 8 });
        tally.settled(Ok(()));
        assert!(tally.is_settled());
        assert_eq!(tally.failure().unwrap().number, 2);
    }

    #[test]
    fn the_last_line_has_a_rate_if_it_took_long_enough_for_one() {
        let mut tally = Tally::default();
        tally.sent(1);
        tally.settled(Ok(()));
        assert_eq!(tally.summary(Duration::from_micros(2_300)), "accepted: 1 message (1 byte) in 2 ms");
        assert_eq!(tally.summary(Duration::from_secs(2)), "accepted: 1 message (1 byte) in 2.0 s");
        (0..1_999).for_each(|_| {
            tally.sent(1);
            tally.settled(Ok(()));
        });
        assert_eq!(tally.summary(Duration::from_secs(2)), "accepted: 2,000 messages (2,000 bytes) in 2.0 s, 1,000/s");
    }
}
