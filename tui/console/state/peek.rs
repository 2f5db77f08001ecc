//! The pane of a look into a queue or a backlog: a copy that the broker made, and the message of it under the cursor. It is as
//! old as it is: nothing in it moves until it is asked for again.

use cordboard::{
    clock::Moment,
    control::{Control, Outcome},
    peek::{MAX_MESSAGES, Peek, Peeked},
};

use super::{subject::Subject, words::outcome};

/// What has come of the question so far.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Answer {
    /// Nothing yet.
    Awaited,
    /// The copy, and when it came.
    Copy(Box<Peek>, Moment),
    /// None, for this reason.
    None(String),
}

/// The pane.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PeekPane {
    /// Whose messages.
    pub(crate) subject: Subject,
    /// What that is called.
    pub(crate) label: String,
    /// The number of the order that asked.
    pub(crate) ticket: u64,
    /// Its answer.
    pub(crate) answer: Answer,
    /// The message under the cursor.
    pub(crate) at: usize,
    /// Payloads as bytes, whatever they are.
    pub(crate) hex: bool,
}

impl PeekPane {
    /// A pane that waits for the answer to `ticket`.
    pub(crate) fn new(subject: Subject, label: String, ticket: u64) -> Self {
        Self { subject, label, ticket, answer: Answer::Awaited, at: 0, hex: false }
    }

    /// The order that fills it; none if nothing of the kind is kept for `subject`.
    pub(crate) fn control(subject: &Subject) -> Option<Control> {
        match subject {
            Subject::Subscription(id) => Some(Control::PeekQueue { subscription: id.clone(), most: MAX_MESSAGES }),
            Subject::Topic(topic) => Some(Control::PeekBacklog { topic: topic.clone(), most: MAX_MESSAGES }),
            Subject::Broker | Subject::Session(_) | Subject::Listener(_) | Subject::Order(_) | Subject::Actor(_) => None,
        }
    }

    /// The gate has answered.
    pub(crate) fn answered(&mut self, answer: Outcome, now: Moment) {
        self.answer = match answer {
            Outcome::Seen { peek } => Answer::Copy(peek, now),
            Outcome::AlreadyGone => Answer::None("it is no longer there".to_owned()),
            other => Answer::None(outcome(&other)),
        };
        self.move_by(0);
    }

    /// The copied messages.
    pub(crate) fn messages(&self) -> &[Peeked] {
        match &self.answer {
            Answer::Copy(peek, _) => &peek.messages,
            Answer::Awaited | Answer::None(_) => &[],
        }
    }

    /// Moves the cursor; it never wraps.
    pub(crate) fn move_by(&mut self, by: isize) {
        self.at = self.at.saturating_add_signed(by).min(self.messages().len().saturating_sub(1));
    }

    /// The message under the cursor.
    pub(crate) fn message(&self) -> Option<&Peeked> {
        self.messages().get(self.at)
    }

    /// True if `message` is to be shown as bytes: that was asked for, or it is no text.
    pub(crate) fn is_hex(&self, message: &Peeked) -> bool {
        // A character that the copy has cut in two does not make it binary.
        self.hex || std::str::from_utf8(&message.payload).is_err_and(|error| error.error_len().is_some())
    }
}

/// `7b 22 6f 72  {"or`: bytes as numbers and, where they are visible ASCII, as characters.
pub(crate) fn hex_line(bytes: &[u8], columns: usize) -> String {
    let numbers = bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(" ");
    let visible: String =
        bytes.iter().map(|byte| if byte.is_ascii_graphic() || *byte == b' ' { *byte as char } else { '.' }).collect();
    format!("{numbers:<width$}  {visible}", width = columns * 3 - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_stand_under_each_other_and_hide_nothing() {
        assert_eq!(hex_line(b"a\x1b[ \xff", 8), "61 1b 5b 20 ff           a.[ .");
        assert_eq!(hex_line(b"", 2), "       ");
    }
}
