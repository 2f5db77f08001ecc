//! How messages are printed: as lines of text, as objects of JSON, or as the bytes they are.

use std::{
    borrow::Cow,
    collections::BTreeMap,
    fmt::Write as _,
    io::{self, BufWriter, IsTerminal, Stdout, Write},
};

use base64ct::{Base64, Encoding as _};
use cordboard::{Printable, client::Delivery};
use serde::Serialize;

use crate::cli::{Format, SubArgs, UsageError, WithTopic};

/// How a message becomes bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Text { with_topic: bool, escape: bool },
    Json,
    Raw,
}

impl Form {
    fn new(args: &SubArgs, is_terminal: bool) -> Result<Self, UsageError> {
        let refused = |why: &str| Err(UsageError(why.to_owned()));
        match args.format {
            Format::Text => Ok(Self::Text { with_topic: args.with_topic(), escape: is_terminal }),
            _ if args.topic == WithTopic::Always => {
                refused("--topic is for --format text; json has the topic anyway, and raw is the payload alone")
            }
            Format::Json => Ok(Self::Json),
            Format::Raw if is_terminal => {
                refused("raw bytes could take the terminal over; send them into a file or a pipe, or use --format text")
            }
            Format::Raw => Ok(Self::Raw),
        }
    }
}

/// Where messages are printed, and how.
pub(super) struct Output {
    out: BufWriter<Stdout>,
    printed: usize,
    form: Form,
}

impl Output {
    /// Messages written at once; they are acknowledged together.
    const AT_ONCE: usize = 256;

    pub(super) fn new(args: &SubArgs) -> Result<Self, UsageError> {
        let stdout = io::stdout();
        let form = Form::new(args, stdout.is_terminal())?;
        Ok(Self { out: BufWriter::new(stdout), printed: 0, form })
    }

    pub(super) fn print(&mut self, delivery: &Delivery) -> io::Result<()> {
        self.printed += 1;
        match self.form {
            Form::Text { with_topic, escape } => {
                print_line(&mut self.out, delivery.topic.as_str(), &delivery.payload, with_topic, escape)
            }
            Form::Json => writeln!(self.out, "{}", Object::of(delivery).line()?),
            Form::Raw => self.out.write_all(&delivery.payload),
        }
    }

    pub(super) fn is_full(&self) -> bool {
        self.printed >= Self::AT_ONCE
    }

    pub(super) fn flush(&mut self) -> io::Result<()> {
        self.printed = 0;
        self.out.flush()
    }
}

/// One line. No byte of a payload reaches a terminal as it is (I7).
fn print_line(out: &mut impl Write, topic: &str, payload: &[u8], with_topic: bool, escape: bool) -> io::Result<()> {
    if with_topic {
        // A topic has no tabs and nothing unprintable: it was checked where it came in.
        write!(out, "{topic}\t")?;
    }
    if escape {
        writeln!(out, "{}", Printable(&String::from_utf8_lossy(payload)))
    } else {
        out.write_all(payload)?;
        out.write_all(b"\n")
    }
}

/// A message as JSON.
#[derive(Serialize)]
struct Object<'a> {
    topic: &'a str,
    number: u64,
    /// When the broker took it.
    accepted: String,
    redelivered: bool,
    headers: BTreeMap<&'a str, &'a str>,
    /// How to read the payload: `text` or `base64`.
    encoding: &'static str,
    payload: Cow<'a, str>,
}

impl<'a> Object<'a> {
    fn of(delivery: &'a Delivery) -> Self {
        let (encoding, payload) = match std::str::from_utf8(&delivery.payload) {
            Ok(text) => ("text", Cow::Borrowed(text)),
            Err(_) => ("base64", Cow::Owned(Base64::encode_string(&delivery.payload))),
        };
        Self {
            topic: delivery.topic.as_str(),
            number: delivery.number,
            accepted: humantime::format_rfc3339_millis(delivery.accepted_at()).to_string(),
            redelivered: delivery.redelivered,
            headers: delivery.headers().iter().collect(),
            encoding,
            payload,
        }
    }

    fn line(&self) -> io::Result<String> {
        Ok(visible(&serde_json::to_string(self)?))
    }
}

/// `json` with what cannot be seen in JSON's own escapes: it reads the same, and no terminal obeys it (I7).
fn visible(json: &str) -> String {
    let mut text = String::with_capacity(json.len());
    for c in json.chars() {
        if c.is_ascii() && !c.is_ascii_control() || !is_escaped(c) {
            text.push(c);
        } else {
            for unit in c.encode_utf16(&mut [0; 2]) {
                // A string takes everything.
                let _ = write!(text, "\\u{unit:04x}");
            }
        }
    }
    text
}

fn is_escaped(c: char) -> bool {
    let mut bytes = [0; 4];
    let text = &*c.encode_utf8(&mut bytes);
    Printable(text).to_string() != text
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;

    #[derive(clap::Parser)]
    struct Line {
        #[command(flatten)]
        args: SubArgs,
    }

    fn form(line: &str, is_terminal: bool) -> Result<Form, String> {
        let line = Line::parse_from(std::iter::once("sub").chain(line.split(' ')));
        Form::new(&line.args, is_terminal).map_err(|error| error.to_string())
    }

    #[test]
    fn only_a_terminal_is_spared_raw_bytes() {
        assert_eq!(form("t", true), Ok(Form::Text { with_topic: false, escape: true }));
        assert_eq!(form("t/#", false), Ok(Form::Text { with_topic: true, escape: false }));
        assert_eq!(form("t/# --format json", true), Ok(Form::Json));
        assert_eq!(form("t/# --format raw", false), Ok(Form::Raw));
        assert!(form("t --format raw", true).unwrap_err().contains("--format text"));
        assert!(form("t --format json --topic always", false).unwrap_err().contains("--topic is for --format text"));
    }

    fn line(payload: &[u8], with_topic: bool, escape: bool) -> Vec<u8> {
        let mut out = Vec::new();
        print_line(&mut out, "t/1", payload, with_topic, escape).unwrap();
        out
    }

    #[test]
    fn a_line_is_the_payload_after_its_topic_where_that_is_wanted() {
        assert_eq!(line(b"x", false, false), b"x\n");
        assert_eq!(line(b"x", true, false), b"t/1\tx\n");
        assert_eq!(line(b"", true, true), b"t/1\t\n");
    }

    /// A pipe gets the bytes as they are, a terminal none of them that could move its cursor.
    #[test]
    fn only_a_terminal_is_protected() {
        let hostile = b"\x1b[2Ja\xff\xe2\x80\xae\n";
        assert_eq!(line(hostile, false, false), [&hostile[..], b"\n"].concat());
        assert_eq!(line(hostile, false, true), "\\u{1b}[2Ja\u{fffd}\\u{202e}\\u{a}\n".as_bytes());
    }

    /// It reads as what it was, and has not one character that a terminal would obey.
    #[test]
    fn json_is_visible_and_means_the_same() {
        let hostile = "\u{1b}[2J\u{9b}\u{7f}\u{202e}\u{e0001}é\"\\\n";
        let object = Object {
            topic: "t",
            number: 7,
            accepted: "2026-01-02T03:04:05.006Z".to_owned(),
            redelivered: false,
            headers: [("k", hostile)].into(),
            encoding: "text",
            payload: hostile.into(),
        };
        let line = object.line().unwrap();
        assert!(line.contains('é') && line.chars().filter(|c| !c.is_ascii()).count() == 2, "{line}");
        assert!(!line.chars().any(char::is_control), "{line:?}");
        let read: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!((read["payload"].as_str(), read["headers"]["k"].as_str()), (Some(hostile), Some(hostile)));
        let start = r#"{"topic":"t","number":7,"accepted":"2026-01-02T03:04:05.006Z","redelivered":false,"headers":{"#;
        assert!(line.starts_with(start), "{line}");
    }
}
