//! What differs from one machine and one run to the next is made the same: whose machine it is, who runs there, at which port,
//! when, and under which random ids.

use std::collections::BTreeMap;

use super::frame::Frame;

/// The first clock that is seen becomes this one, in seconds of the day.
const START: u32 = 14 * 3_600 + 22 * 60;
const DAY: u32 = 24 * 3_600;
/// Where every broker listens unless it is told otherwise.
const SERVER: &str = "127.0.0.1:2673";

/// Makes frames the same. One broker, one scrubber: an id that is seen again is called the same again.
pub(crate) struct Scrubber {
    words: Vec<(String, String)>,
    ids: BTreeMap<String, u64>,
    ports: BTreeMap<String, u64>,
    started: Option<u32>,
}

impl Scrubber {
    /// For the broker of that process, at that address, whose files are below `state`.
    pub(crate) fn new(host: &str, process: u32, address: &str, state: &str) -> Self {
        let words = [
            (state.to_owned(), "~/.local/state/cordboard".to_owned()),
            (address.to_owned(), SERVER.to_owned()),
            (format!("pid {process}"), "pid 4121".to_owned()),
            (format!(" {host} "), " prod-eu1 ".to_owned()),
        ];
        Self { words: words.into(), ids: BTreeMap::new(), ports: BTreeMap::new(), started: None }
    }

    /// Makes `frame` the same as it would be elsewhere.
    pub(crate) fn scrub(&mut self, frame: &mut Frame) {
        for line in 0..frame.lines.len() {
            let mut column = 0;
            while column < frame.lines[line].len() {
                let signs: Vec<char> = frame.lines[line].iter().map(|cell| cell.sign.chars().next().unwrap_or(' ')).collect();
                let before = column.checked_sub(1).map(|at| signs[at]);
                match self.other(&signs[column..], before) {
                    Some((length, text)) => {
                        frame.rewrite(line, (column, length), &text);
                        column += text.chars().count();
                    }
                    None => column += 1,
                }
            }
        }
    }

    /// How many signs at the start of `rest` are to be others, and which. `before` is the sign in front of them.
    fn other(&mut self, rest: &[char], before: Option<char>) -> Option<(usize, String)> {
        let starts = |word: &str| word.chars().count() <= rest.len() && word.chars().zip(rest).all(|(a, b)| a == *b);
        if let Some((word, other)) = self.words.iter().find(|(word, _)| starts(word)) {
            return Some((word.chars().count(), other.clone()));
        }
        if before.is_some_and(|sign| sign.is_ascii_alphanumeric()) {
            return None;
        }
        self.port(rest).or_else(|| self.id(rest)).or_else(|| self.clock(rest))
    }

    /// A client's address: `127.0.0.1:` and a port that the system chose.
    fn port(&mut self, rest: &[char]) -> Option<(usize, String)> {
        let host: Vec<char> = "127.0.0.1:".chars().collect();
        let port: String = rest.strip_prefix(host.as_slice())?.iter().take_while(|sign| sign.is_ascii_digit()).collect();
        if port.len() != 5 {
            return None;
        }
        let (length, next) = (host.len() + 5, self.ports.len() as u64);
        let number = self.ports.entry(port).or_insert(next);
        Some((length, format!("127.0.0.1:{}", 50_110 + *number % 10_000)))
    }

    /// A random id, `9f3c..e1a2` or in full.
    fn id(&mut self, rest: &[char]) -> Option<(usize, String)> {
        let hex = |from: usize| -> String { rest.iter().skip(from).take_while(|sign| sign.is_ascii_hexdigit()).collect() };
        let (first, last) = (hex(0), hex(6));
        let is_short = first.len() == 4 && rest.get(4..6) == Some(&['.', '.']) && last.len() == 4;
        if !is_short && first.len() != 32 {
            return None;
        }
        let id = if is_short { first + &last } else { format!("{}{}", &first[..4], &first[28..]) };
        let next = self.ids.len() as u64;
        let number = *self.ids.entry(id).or_insert(next);
        // Odd and far from simple: neighbours look nothing like each other.
        let hash = (number + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let other = format!("{hash:016x}{:016x}", hash.wrapping_mul(0xbf58_476d_1ce4_e5b9));
        Some(if is_short { (10, format!("{}..{}", &other[..4], &other[28..])) } else { (32, other) })
    }

    /// A time of the day, `14:22:07`.
    fn clock(&mut self, rest: &[char]) -> Option<(usize, String)> {
        let text: String = rest.iter().take(8).collect();
        let parts: Vec<u32> = text.split(':').filter(|part| part.len() == 2).filter_map(|part| part.parse().ok()).collect();
        let [hours, minutes, seconds] = parts[..] else { return None };
        let now = (hours * 3_600 + minutes * 60 + seconds) % DAY;
        let started = *self.started.get_or_insert(now);
        let now = (now + DAY - started + START) % DAY;
        Some((8, format!("{:02}:{:02}:{:02}", now / 3_600, now / 60 % 60, now % 60)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scrubbed(lines: &[&str]) -> Vec<String> {
        let mut scrubber = Scrubber::new("builder-7.lan", 31_337, "127.0.0.1:41234", "/tmp/.tmpX");
        let columns = lines.iter().map(|line| line.len()).max().unwrap() as u16;
        let mut terminal = vt100::Parser::new(lines.len() as u16, columns, 0);
        terminal.process(lines.join("\r\n").as_bytes());
        let mut frame = Frame::of(terminal.screen());
        scrubber.scrub(&mut frame);
        (0..lines.len()).map(|line| frame.text(line).trim_end().to_owned()).collect()
    }

    #[test]
    fn nothing_of_the_machine_is_left_and_every_column_stays() {
        let lines = scrubbed(&[
            " builder-7.lan  pid 31337  127.0.0.1:41234  up 12s          RW  23:59:58Z",
            " 9f3c..e1a2  billing   127.0.0.1:51122   0:18  ends 00:00:07Z         |",
            " 77ab..02cd  books     127.0.0.1:51123   1:52  0.0.0.0:41234          |",
            " 9f3c..e1a2  9f3c070707070707070707070707e1a2  127.0.0.1:51122        |",
            " all in /tmp/.tmpX/audit.jsonl          sort TIME                     |",
        ]);
        assert_eq!(lines[0], " prod-eu1  pid 4121  127.0.0.1:2673  up 12s                 RW  14:22:00Z");
        assert_eq!(lines[1], " 9e37..742d  billing   127.0.0.1:50110   0:18  ends 14:22:09Z         |");
        assert!(lines[2].contains("  books     127.0.0.1:50111   1:52  0.0.0.0:41234          |"), "{}", lines[2]);
        assert!(lines[3].starts_with(" 9e37..742d  9e37") && lines[3].contains("742d  127.0.0.1:50110 "), "{}", lines[3]);
        assert!(lines[4].starts_with(" all in ~/.local/state/cordboard/audit.jsonl") && lines[4].ends_with('|'), "{}", lines[4]);
    }

    #[test]
    fn what_only_looks_like_it_stays() {
        let line = " 12 MiB  cafe  0:18 1:30  14:22  a9f3c..e1a2  v0.1.0  1,204/s";
        assert_eq!(scrubbed(&[line])[0], line);
    }
}
