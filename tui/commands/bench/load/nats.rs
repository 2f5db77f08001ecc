//! The core protocol of NATS: lines of text, nothing acknowledged. Written from its public description.

use cordboard::Printable;

use super::{Heard, Identity, LoadError, Protocol};

/// A client of nats-server.
#[derive(Debug, Default)]
pub(in super::super) struct Nats {
    subscriptions: u32,
    /// The last line that announced a message: of one topic and size, most are the same again.
    announced: Vec<u8>,
    size: usize,
    /// ` SIZE\r\n` of what is published, for this size.
    announces: (usize, Vec<u8>),
}

impl Nats {
    /// What `line` means, without its end, if it announces no message.
    fn hear(line: &[u8], out: &mut Vec<u8>, hear: &mut impl FnMut(Heard<'_>)) -> Result<(), LoadError> {
        match line.split(u8::is_ascii_whitespace).next() {
            Some(b"PONG") => hear(Heard::Answered),
            Some(b"PING") => out.extend_from_slice(b"PONG\r\n"),
            Some(b"INFO" | b"+OK") => {}
            Some(b"-ERR") => return Err(LoadError::Refused(printable(line))),
            _ => return Err(LoadError::Unexpected(printable(line))),
        }
        Ok(())
    }

    /// Remembers what `line`, with its end, announces. False if that is no message.
    fn announces(&mut self, line: &[u8]) -> bool {
        if !line.starts_with(b"MSG ") {
            return false;
        }
        let size = line.trim_ascii_end().rsplit(|byte| *byte == b' ').next().and_then(|size| std::str::from_utf8(size).ok());
        let Some(size) = size.and_then(|size| size.parse().ok()) else { return false };
        self.announced.clear();
        self.announced.extend_from_slice(line);
        self.size = size;
        true
    }
}

fn printable(line: &[u8]) -> String {
    Printable(String::from_utf8_lossy(line).trim_end()).to_string()
}

impl Protocol for Nats {
    const SEPARATOR: char = '.';
    const WILDCARD: char = '*';

    fn open(identity: &Identity, out: &mut Vec<u8>) -> Self {
        let connect = format!("CONNECT {{\"verbose\":false,\"pedantic\":false,\"name\":\"{}\"}}\r\nPING\r\n", identity.name);
        out.extend_from_slice(connect.as_bytes());
        Self::default()
    }

    fn subscribe(&mut self, filter: &str, out: &mut Vec<u8>) {
        self.subscriptions += 1;
        out.extend_from_slice(format!("SUB {filter} {}\r\nPING\r\n", self.subscriptions).as_bytes());
    }

    fn publish(&mut self, topic: &str, payload: &[u8], out: &mut Vec<u8>) {
        if self.announces.0 != payload.len() || self.announces.1.is_empty() {
            self.announces = (payload.len(), format!(" {}\r\n", payload.len()).into_bytes());
        }
        out.extend_from_slice(b"PUB ");
        out.extend_from_slice(topic.as_bytes());
        out.extend_from_slice(&self.announces.1);
        out.extend_from_slice(payload);
        out.extend_from_slice(b"\r\n");
    }

    fn heartbeat(&mut self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"PING\r\n");
    }

    /// There is none: the connection is closed.
    fn goodbye(&mut self, _: &mut Vec<u8>) {}

    fn read(&mut self, bytes: &[u8], out: &mut Vec<u8>, hear: &mut impl FnMut(Heard<'_>)) -> Result<usize, LoadError> {
        let mut taken = 0;
        loop {
            let rest = &bytes[taken..];
            if self.announced.is_empty() || !rest.starts_with(&self.announced) {
                let Some(end) = rest.iter().position(|byte| *byte == b'\n') else { break };
                if !self.announces(&rest[..=end]) {
                    Self::hear(&rest[..end], out, hear)?;
                    taken += end + 1;
                    continue;
                }
            }
            let head = self.announced.len();
            let Some(payload) = rest.get(head..head + self.size).filter(|_| rest.len() >= head + self.size + 2) else { break };
            hear(Heard::Message(payload));
            taken += head + self.size + 2;
        }
        Ok(taken)
    }

    /// It grants none and asks for none; who is too far ahead is cut off.
    fn credit(&self, _: usize) -> u64 {
        u64::MAX
    }

    fn is_settled(&self) -> bool {
        true
    }
}
