//! Keys, from the bytes that a terminal sends for them.
//!
//! The console reads its terminal itself, as much as `poll(2)` says is there: crossterm's reader waits for the rest of a
//! sequence that never comes, spins on a terminal that was hung up, and forgets a key that comes with a change of size.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

/// What a terminal sends before and after text that is pasted.
const PASTE_END: &[u8] = b"\x1b[201~";
/// Pasted text that is kept; an input line has no use for more.
const MAX_PASTE_BYTES: usize = 4 << 10;
/// No key is longer; what goes on beyond is no key.
const MAX_KEY_BYTES: usize = 32;

const ESC: u8 = 0x1b;

/// Something the operator did at the keyboard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Input {
    /// A key.
    Key(KeyEvent),
    /// Text, pasted.
    Paste(String),
}

/// Bytes so far that are no key yet.
#[derive(Debug, Default)]
pub(crate) struct Keys {
    bytes: Vec<u8>,
    pasted: Option<Vec<u8>>,
}

/// What the first bytes are.
enum First {
    /// A key of so many bytes, or nothing that means anything.
    Whole(usize, Option<KeyEvent>),
    /// The beginning of pasted text, of so many bytes.
    Paste(usize),
    /// More must come.
    Part,
}

impl Keys {
    /// Takes `bytes`; all that is whole by now.
    pub(crate) fn take(&mut self, bytes: &[u8]) -> Vec<Input> {
        self.bytes.extend_from_slice(bytes);
        let mut inputs = Vec::new();
        while !self.bytes.is_empty() {
            if self.pasted.is_some() {
                match self.paste() {
                    Some(text) => inputs.push(Input::Paste(text)),
                    None => break,
                }
                continue;
            }
            let used = match first(&self.bytes) {
                First::Whole(used, key) => {
                    inputs.extend(key.map(Input::Key));
                    used
                }
                First::Paste(used) => {
                    self.pasted = Some(Vec::new());
                    used
                }
                First::Part if self.bytes.len() > MAX_KEY_BYTES => self.bytes.len(),
                First::Part => break,
            };
            self.bytes.drain(..used);
        }
        inputs
    }

    /// True if the last byte may be the Escape key, or the beginning of another one.
    pub(crate) fn is_undecided(&self) -> bool {
        self.pasted.is_none() && !self.bytes.is_empty()
    }

    /// Nothing has followed: a lone Escape is one, and a part of something else is nothing.
    pub(crate) fn decide(&mut self) -> Option<Input> {
        let bytes = std::mem::take(&mut self.bytes);
        (bytes == [ESC]).then(|| Input::Key(plain(KeyCode::Esc)))
    }

    /// Goes on with pasted text; all of it, once it has ended.
    fn paste(&mut self) -> Option<String> {
        let pasted = self.pasted.as_mut()?;
        let end = self.bytes.windows(PASTE_END.len()).position(|bytes| bytes == PASTE_END);
        // The end may be there in part; the bytes of it are kept for the next time.
        let text = end.unwrap_or(self.bytes.len().saturating_sub(PASTE_END.len() - 1));
        let room = MAX_PASTE_BYTES - pasted.len();
        pasted.extend_from_slice(&self.bytes[..text.min(room)]);
        self.bytes.drain(..end.map_or(text, |end| end + PASTE_END.len()));
        end?;
        self.pasted.take().map(|pasted| String::from_utf8_lossy(&pasted).into_owned())
    }
}

fn plain(code: KeyCode) -> KeyEvent {
    KeyEvent::new(code, KeyModifiers::NONE)
}

/// Reads one key off the front of `bytes`, of which there is at least one.
fn first(bytes: &[u8]) -> First {
    match bytes[0] {
        ESC => escape(bytes),
        b'\r' => First::Whole(1, Some(plain(KeyCode::Enter))),
        b'\t' => First::Whole(1, Some(plain(KeyCode::Tab))),
        0x7f => First::Whole(1, Some(plain(KeyCode::Backspace))),
        0x00 => First::Whole(1, Some(KeyEvent::new(KeyCode::Char(' '), KeyModifiers::CONTROL))),
        byte @ 0x01..=0x1a => First::Whole(1, Some(KeyEvent::new(KeyCode::Char(char::from(byte | 0x60)), KeyModifiers::CONTROL))),
        0x1c..=0x1f => First::Whole(1, None),
        _ => character(bytes),
    }
}

/// A character of one to four bytes.
fn character(bytes: &[u8]) -> First {
    let head = &bytes[..bytes.len().min(4)];
    let valid = match std::str::from_utf8(head) {
        Ok(text) => text,
        Err(error) if error.valid_up_to() > 0 => std::str::from_utf8(&head[..error.valid_up_to()]).unwrap_or_default(),
        Err(error) if error.error_len().is_none() => return First::Part,
        Err(_) => "",
    };
    let Some(c) = valid.chars().next() else { return First::Whole(1, None) };
    First::Whole(c.len_utf8(), (!c.is_control()).then(|| plain(KeyCode::Char(c))))
}

/// What follows an Escape byte.
fn escape(bytes: &[u8]) -> First {
    match bytes.get(1) {
        None => First::Part,
        // The key itself, and then something else that begins in the same way.
        Some(&ESC) => First::Whole(1, Some(plain(KeyCode::Esc))),
        Some(b'[') => sequence(bytes),
        Some(b'O') => match bytes.get(2) {
            None => First::Part,
            Some(last) => First::Whole(3, cursor(*last).map(plain)),
        },
        Some(_) => match first(&bytes[1..]) {
            First::Whole(used, key) => {
                First::Whole(used + 1, key.map(|key| KeyEvent { modifiers: key.modifiers | KeyModifiers::ALT, ..key }))
            }
            other => other,
        },
    }
}

/// `ESC [ parameters final`
fn sequence(bytes: &[u8]) -> First {
    let Some(length) = bytes[2..].iter().position(|byte| !(0x20..=0x3f).contains(byte)) else { return First::Part };
    let (parameters, last, used) = (&bytes[2..2 + length], bytes[2 + length], length + 3);
    // The console of Linux has function keys of its own form, with one letter more.
    if last == b'[' && parameters.is_empty() {
        return if bytes.len() > used { First::Whole(used + 1, None) } else { First::Part };
    }
    let mut numbers = parameters.split(|byte| *byte == b';').map(|digits| std::str::from_utf8(digits).ok()?.parse::<u16>().ok());
    let (number, modifiers) = (numbers.next().flatten(), numbers.next().flatten());
    let code = match (last, number) {
        (b'~', Some(200)) => return First::Paste(used),
        (b'~', Some(number)) => editing(number),
        (b'Z', _) => Some(KeyCode::BackTab),
        (last, _) => cursor(last),
    };
    First::Whole(used, code.map(|code| KeyEvent::new(code, held(modifiers))))
}

/// The keys whose sequence ends with a letter.
fn cursor(last: u8) -> Option<KeyCode> {
    Some(match last {
        b'A' => KeyCode::Up,
        b'B' => KeyCode::Down,
        b'C' => KeyCode::Right,
        b'D' => KeyCode::Left,
        b'H' => KeyCode::Home,
        b'F' => KeyCode::End,
        b'M' => KeyCode::Enter,
        _ => return None,
    })
}

/// The keys whose sequence is a number.
fn editing(number: u16) -> Option<KeyCode> {
    Some(match number {
        1 | 7 => KeyCode::Home,
        3 => KeyCode::Delete,
        4 | 8 => KeyCode::End,
        5 => KeyCode::PageUp,
        6 => KeyCode::PageDown,
        _ => return None,
    })
}

/// What is held down with a key: one more than a sum of 1, 2 and 4.
fn held(modifiers: Option<u16>) -> KeyModifiers {
    let bits = modifiers.unwrap_or(1).saturating_sub(1);
    let mut held = KeyModifiers::NONE;
    for (bit, modifier) in [(1, KeyModifiers::SHIFT), (2, KeyModifiers::ALT), (4, KeyModifiers::CONTROL)] {
        held.set(modifier, bits & bit != 0);
    }
    held
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn key(code: KeyCode, modifiers: KeyModifiers) -> Input {
        Input::Key(KeyEvent::new(code, modifiers))
    }

    fn typed(text: &str) -> Vec<Input> {
        text.chars().map(|c| key(KeyCode::Char(c), KeyModifiers::NONE)).collect()
    }

    #[test]
    fn keys_are_what_terminals_send_for_them() {
        const NONE: KeyModifiers = KeyModifiers::NONE;
        for (bytes, code, modifiers) in [
            ("\r", KeyCode::Enter, NONE),
            ("\t", KeyCode::Tab, NONE),
            ("\x1b[Z", KeyCode::BackTab, NONE),
            ("\x7f", KeyCode::Backspace, NONE),
            ("\x03", KeyCode::Char('c'), KeyModifiers::CONTROL),
            ("\x1b[A", KeyCode::Up, NONE),
            ("\x1bOB", KeyCode::Down, NONE),
            ("\x1b[1;5C", KeyCode::Right, KeyModifiers::CONTROL),
            ("\x1b[1;2D", KeyCode::Left, KeyModifiers::SHIFT),
            ("\x1b[H", KeyCode::Home, NONE),
            ("\x1b[4~", KeyCode::End, NONE),
            ("\x1b[3~", KeyCode::Delete, NONE),
            ("\x1b[5~", KeyCode::PageUp, NONE),
            ("\x1b[6~", KeyCode::PageDown, NONE),
            ("\x1bx", KeyCode::Char('x'), KeyModifiers::ALT),
            ("字", KeyCode::Char('字'), NONE),
        ] {
            assert_eq!(Keys::default().take(bytes.as_bytes()), [key(code, modifiers)], "{bytes:?}");
        }
    }

    /// A slow line cuts them anywhere.
    #[test]
    fn a_key_may_come_in_parts() {
        let mut keys = Keys::default();
        for part in [&b"\x1b"[..], b"[", b"1;5"] {
            assert_eq!(keys.take(part), []);
            assert!(keys.is_undecided());
        }
        assert_eq!(keys.take(b"Aj\xc3"), [key(KeyCode::Up, KeyModifiers::CONTROL), typed("j").remove(0)]);
        assert_eq!(keys.take(b"\xa9"), typed("é"));
        assert!(!keys.is_undecided());
    }

    #[test]
    fn an_escape_that_nothing_follows_is_the_key() {
        let mut keys = Keys::default();
        assert_eq!(keys.take(b"\x1b"), []);
        assert_eq!(keys.decide(), Some(key(KeyCode::Esc, KeyModifiers::NONE)));
        assert_eq!(keys.take(b"\x1b\x1b[A"), [key(KeyCode::Esc, KeyModifiers::NONE), key(KeyCode::Up, KeyModifiers::NONE)]);
        assert_eq!(keys.take(b"\x1b["), []);
        assert_eq!((keys.decide(), keys.is_undecided()), (None, false));
    }

    /// What a terminal says unasked, keys nobody uses, and noise do nothing, and what follows them is understood.
    #[test]
    fn what_is_no_key_is_passed_over() {
        for noise in
            [&b"\x1b[24;80R"[..], b"\x1b[?6c", b"\x1b[I", b"\x1b[11~", b"\x1bOP", b"\x1b[[A", b"\xff", b"\xc2\x9b", b"\x1f"]
        {
            assert_eq!(Keys::default().take(&[noise, b"j"].concat()), typed("j"), "{noise:?}");
        }
        let mut keys = Keys::default();
        keys.take(format!("\x1b[{}", "1".repeat(10_000)).as_bytes());
        assert_eq!(keys.take(b"j"), typed("j"));
    }

    /// Pasted text is text, however it is cut, even if it looks like keys; no more of it is kept than an input line can use.
    #[test]
    fn what_is_pasted_is_no_keys() {
        let bytes = b"j\x1b[200~EVICT\r\x1b[A \xc3\xa9\x1b[201~k";
        let expected = [typed("j").remove(0), Input::Paste("EVICT\r\x1b[A é".into()), typed("k").remove(0)];
        assert_eq!(Keys::default().take(bytes), expected);
        let mut keys = Keys::default();
        let one_by_one: Vec<Input> = bytes.iter().flat_map(|byte| keys.take(&[*byte])).collect();
        assert_eq!(one_by_one, expected);
        let mut keys = Keys::default();
        assert_eq!(keys.take(b"\x1b[200~"), []);
        for _ in 0..100 {
            assert_eq!(keys.take(&[b'x'; 1_000]), []);
        }
        assert!(keys.bytes.len() < PASTE_END.len());
        assert_eq!(keys.take(PASTE_END), [Input::Paste("x".repeat(MAX_PASTE_BYTES))]);
    }

    proptest! {
        /// Any bytes, cut anywhere: no panic, nothing kept for long, and the same keys as in one piece.
        #[test]
        fn noise_is_read_to_its_end(noise in prop::collection::vec(prop::sample::select(b"\x1b[O~;1205M\xc3\xa9\xff\rxA".to_vec()), 0..60), at in 0..60_usize) {
            let (left, right) = noise.split_at(at.min(noise.len()));
            let (mut whole, mut parts) = (Keys::default(), Keys::default());
            let expected = whole.take(&noise);
            let mut inputs = parts.take(left);
            inputs.extend(parts.take(right));
            prop_assert_eq!(inputs, expected);
        }
    }
}
