//! Words for errors of the operating system: what it says, for people who do not know its numbers.

use std::{fmt, io};

/// An error of the operating system in the middle of a sentence, without its number.
///
/// ```
/// let error = std::fs::File::open("/none").unwrap_err();
/// assert_eq!(cordboard::InWords(&error).to_string(), "no such file or directory");
/// ```
#[derive(Debug, Clone, Copy)]
pub struct InWords<'a>(pub &'a io::Error);

impl fmt::Display for InWords<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.0.to_string();
        let text = text.split(" (os error").next().unwrap_or_default();
        let mut letters = text.chars();
        // "No such file", but "TLS" and "I/O" stay what they are.
        let is_word = letters.clone().nth(1).is_some_and(char::is_lowercase);
        match letters.next() {
            Some(first) if is_word => write!(f, "{}{}", first.to_lowercase(), letters.as_str()),
            _ => f.write_str(text),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_left_out_and_a_word_begins_small() {
        let words = |error: io::Error| InWords(&error).to_string();
        assert_eq!(words(io::Error::from_raw_os_error(21)), "is a directory");
        assert_eq!(words(io::Error::other("I/O is over")), "I/O is over");
        assert_eq!(words(io::Error::other("")), "");
    }
}
