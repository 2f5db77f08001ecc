//! What is to be published: one message, as often as wanted, or each line of the standard input.
//!
//! Lines are read by a thread of their own, which nobody waits for: a read of a terminal cannot be taken back.

use std::{
    fs::File,
    io::{self, BufRead, Read},
    path::Path,
};

use bytes::Bytes;
use cordboard::{InWords, wire::MAX_FRAME};
use tokio::sync::mpsc;

/// Lines read and not yet published.
const LINES_AHEAD: usize = 1_024;
/// No broker takes a larger message, however it is configured.
const MAX_MESSAGE: usize = 16 << 20;

/// Why there is no message.
#[derive(Debug, thiserror::Error)]
pub(crate) enum InputError {
    #[error("cannot read {name}: {}", InWords(why))]
    Unreadable { name: String, why: io::Error },
    #[error("{name} has more than {MAX_MESSAGE} bytes, the most that connections.max_frame_bytes can be; publish its parts")]
    TooLarge { name: String },
    #[error(
        "line {number} has more than {max_bytes} bytes, the most for a line; publish its parts, or, to a broker whose \
         connections.max_frame_bytes allows it, the whole by itself with --file"
    )]
    LongLine { number: u64, max_bytes: usize },
}

/// Messages to publish, one after the other.
#[derive(Debug)]
pub(super) enum Input {
    Message { payload: Bytes, left: u64 },
    Lines(mpsc::Receiver<Result<Vec<u8>, InputError>>),
}

impl Input {
    /// The whole of a file, or of the standard input if it is called `-`.
    pub(super) fn whole(file: &Path, count: u64) -> Result<Self, InputError> {
        let name = if file == Path::new("-") { "the standard input".to_owned() } else { file.display().to_string() };
        let mut payload = Vec::new();
        let bounded = |input: &mut dyn Read, payload| input.take(MAX_MESSAGE as u64 + 1).read_to_end(payload);
        let read = if file == Path::new("-") {
            bounded(&mut io::stdin().lock(), &mut payload)
        } else {
            File::open(file).and_then(|mut file| bounded(&mut file, &mut payload))
        };
        match read {
            Err(why) => Err(InputError::Unreadable { name, why }),
            Ok(bytes) if bytes > MAX_MESSAGE => Err(InputError::TooLarge { name }),
            Ok(_) => Ok(Self::Message { payload: payload.into(), left: count }),
        }
    }

    /// Each line of the standard input.
    pub(super) fn lines() -> Self {
        let (sender, receiver) = mpsc::channel(LINES_AHEAD);
        std::thread::spawn(move || {
            for line in Lines::new(io::stdin().lock(), MAX_FRAME) {
                if sender.blocking_send(line).is_err() {
                    break;
                }
            }
        });
        Self::Lines(receiver)
    }

    /// The next one; none if that was all. Cancel safe.
    pub(super) async fn next(&mut self) -> Result<Option<Bytes>, InputError> {
        match self {
            Self::Message { left: 0, .. } => Ok(None),
            Self::Message { payload, left } => {
                *left -= 1;
                Ok(Some(payload.clone()))
            }
            Self::Lines(lines) => {
                let line = lines.recv().await.transpose();
                Ok(line?.map(Bytes::from))
            }
        }
    }
}

/// Lines as bytes, without their ends, none longer than a bound.
struct Lines<R> {
    input: R,
    max_bytes: usize,
    number: u64,
}

impl<R: BufRead> Lines<R> {
    fn new(input: R, max_bytes: usize) -> Self {
        Self { input, max_bytes, number: 0 }
    }

    fn read(&mut self) -> Result<Option<Vec<u8>>, InputError> {
        let mut line = Vec::new();
        self.number += 1;
        // One more than a line may have, and its end.
        let bound = self.max_bytes as u64 + 2;
        let unreadable = |why| InputError::Unreadable { name: "the standard input".to_owned(), why };
        io::Read::take(&mut self.input, bound).read_until(b'\n', &mut line).map_err(unreadable)?;
        if line.is_empty() {
            return Ok(None);
        }
        if line.last() == Some(&b'\n') {
            line.pop();
        }
        if line.len() > self.max_bytes {
            return Err(InputError::LongLine { number: self.number, max_bytes: self.max_bytes });
        }
        Ok(Some(line))
    }
}

impl<R: BufRead> Iterator for Lines<R> {
    type Item = Result<Vec<u8>, InputError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.read().transpose()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(input: &[u8]) -> Vec<Vec<u8>> {
        Lines::new(input, 8).map(Result::unwrap).collect()
    }

    #[test]
    fn a_line_is_what_stands_before_its_end() {
        assert_eq!(lines(b""), Vec::<Vec<u8>>::new());
        assert_eq!(lines(b"a\nb\n"), [b"a", b"b"]);
        assert_eq!(lines(b"a\n\nb"), [&b"a"[..], b"", b"b"]);
        assert_eq!(lines(b"\n"), [b""]);
        assert_eq!(lines(b"a\r\n\xff\x00"), [&b"a\r"[..], b"\xff\x00"]);
        assert_eq!(lines(b"12345678\n1"), [&b"12345678"[..], b"1"]);
    }

    /// A file without line ends does not fill the memory.
    #[test]
    fn a_line_that_is_too_long_is_named() {
        let mut lines = Lines::new(&b"ok\n123456789\n"[..], 8);
        assert_eq!(lines.next().unwrap().unwrap(), b"ok");
        let error = lines.next().unwrap().unwrap_err().to_string();
        assert!(error.starts_with("line 2 has more than 8 bytes, the most for a line; publish its parts, or"), "{error}");
        assert!(error.contains("connections.max_frame_bytes"), "{error}");
    }

    #[tokio::test]
    async fn a_message_comes_as_often_as_wanted() {
        let mut input = Input::Message { payload: Bytes::from_static(b"x"), left: 2 };
        for expected in [Some("x"), Some("x"), None, None] {
            assert_eq!(input.next().await.unwrap().as_deref(), expected.map(str::as_bytes));
        }
    }

    #[test]
    fn a_file_is_one_message_or_is_named() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("m");
        std::fs::write(&file, b"two\nlines\n").unwrap();
        assert!(matches!(Input::whole(&file, 3), Ok(Input::Message { payload, left: 3 }) if payload == "two\nlines\n"));
        std::fs::write(&file, vec![0; MAX_MESSAGE + 1]).unwrap();
        assert!(Input::whole(&file, 1).unwrap_err().to_string().contains("has more than 16777216 bytes"));
        let missing = Input::whole(&directory.path().join("none"), 1).unwrap_err().to_string();
        assert!(missing.ends_with("none: no such file or directory"), "{missing}");
    }
}
