//! Reading a configuration to its end: everything that is wrong with it, where [`Config::load`] stops at the first.

use std::path::Path;

use serde::Deserialize as _;
use toml::de::{DeArray, DeTable, DeValue, Deserializer};

use super::{
    Config, ConfigError, Fault,
    read::{Document, line_at, read_file},
};

impl Config {
    /// Reads a file as [`Config::load`] does, and says all that is wrong with it, from its first line to its last; at the
    /// end what concerns nothing that the file mentions.
    ///
    /// # Errors
    /// Every [`ConfigError`]. Only of a text that is not TOML, and of a file that cannot be read, nothing further is known.
    pub fn examine(path: &Path) -> Result<Self, Vec<ConfigError>> {
        let text = read_file(path).map_err(|error| vec![error])?;
        examine(&text, &path.display().to_string())
    }
}

fn examine(text: &str, origin: &str) -> Result<Config, Vec<ConfigError>> {
    let document = Document::read(text, origin).map_err(|first| every_slip(text, origin, first))?;
    let mut found = Found::default();
    let (mut root, _) = DeTable::parse_recoverable(text);
    for key in document.keys.iter().filter(|key| document.is_unknown(key)) {
        found.push(Some(document.line(key.at)), document.unknown_key(key));
        take_out(root.get_mut(), &|name, _| name == key.at);
    }
    let mut unread = Vec::new();
    let config = loop {
        let error = match Config::deserialize(Deserializer::from(root.clone())) {
            Ok(config) => break config,
            Err(error) => error,
        };
        let at = error.span().map_or(0, |span| span.start);
        found.push(Some(line_at(text.as_bytes(), at)), document.wrong_value(&error));
        // Without it the rest can be read.
        match take_out(root.get_mut(), &|_, value| value.contains(&at)) {
            Some(path) => unread.push(path),
            None => return Err(found.in_order()),
        }
    };
    for fault in config.faults().into_iter().filter(|fault| !is_of_the_unread(fault, &unread)) {
        let (line, place) = (document.line_of(&fault), document.place_of(&fault));
        found.push(line, ConfigError::Invalid { place, fault });
    }
    if found.0.is_empty() { Ok(config) } else { Err(found.in_order()) }
}

/// Every place in which `text` is not TOML, a line once: one slip is often told several times. `first` if there is none.
fn every_slip(text: &str, origin: &str, first: ConfigError) -> Vec<ConfigError> {
    let (_, errors) = DeTable::parse_recoverable(text);
    let mut found = Found::default();
    for error in errors {
        let line = line_at(text.as_bytes(), error.span().map_or(0, |span| span.start));
        let why = error.message().trim_end().to_owned();
        found.push(Some(line), ConfigError::Syntax { origin: origin.to_owned(), line, why });
    }
    let mut slips = found.0;
    slips.sort_by_key(|(line, _)| *line);
    slips.dedup_by_key(|(line, _)| *line);
    if slips.is_empty() { vec![first] } else { slips.into_iter().map(|(_, error)| error).collect() }
}

/// What is wrong, with the line of each; those without one come last.
#[derive(Default)]
struct Found(Vec<(usize, ConfigError)>);

impl Found {
    fn push(&mut self, line: Option<usize>, error: ConfigError) {
        self.0.push((line.unwrap_or(usize::MAX), error));
    }

    fn in_order(mut self) -> Vec<ConfigError> {
        self.0.sort_by_key(|(line, _)| *line);
        self.0.into_iter().map(|(_, error)| error).collect()
    }
}

/// True if a fault may be there only because a value that could not be read was left out.
fn is_of_the_unread(fault: &Fault, unread: &[String]) -> bool {
    let concerns = |key: &str| unread.iter().any(|path| path.split('.').zip(key.split('.')).all(|(one, other)| one == other));
    concerns(&fault.key) || fault.against.is_some_and(concerns)
}

/// Takes the innermost value out of `table` for which `is_it` is true of where its key and where it stands; answers its path.
/// A table of an array goes without its neighbours.
fn take_out(table: &mut DeTable<'_>, is_it: &impl Fn(usize, std::ops::Range<usize>) -> bool) -> Option<String> {
    for (name, value) in table.iter_mut() {
        let below = match value.get_mut() {
            DeValue::Table(table) => take_out(table, is_it),
            DeValue::Array(array) => {
                let deeper = array.iter_mut().find_map(|element| match element.get_mut() {
                    DeValue::Table(table) => take_out(table, is_it),
                    _ => None,
                });
                if deeper.is_some() {
                    deeper
                } else {
                    let before = array.len();
                    let is_gone = |value: &DeValue<'_>, place| matches!(value, DeValue::Table(_)) && is_it(usize::MAX, place);
                    let kept = std::mem::replace(array, DeArray::new()).into_iter();
                    *array = kept.filter(|element| !is_gone(element.get_ref(), element.span())).collect();
                    (array.len() < before).then(String::new)
                }
            }
            _ => None,
        };
        if let Some(below) = below {
            return Some(format!("{}.{below}", name.get_ref()).trim_end_matches('.').to_owned());
        }
    }
    let mut gone = None;
    let kept = std::mem::take(table).into_iter().filter(|(name, value)| {
        let is_kept = gone.is_some() || !is_it(name.span().start, value.span());
        if !is_kept {
            gone = Some(name.get_ref().to_string());
        }
        is_kept
    });
    *table = kept.collect();
    gone
}

#[cfg(test)]
mod tests {
    use super::*;

    const HASH: &str = "$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHRzYWx0$aGFzaGhhc2hoYXNoaGFzaGhhc2hoYXNo";

    fn errors(text: &str) -> Vec<String> {
        let errors = examine(text, "c.toml").expect_err("it was taken");
        errors.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn everything_is_said_in_the_order_of_the_lines() {
        let text = format!(
            "listen = [\"nowhere\"]\n[sesions]\nreclaim_after = \"1s\"\n[queues]\nmax_mesages = 1\nmax_poison = 0\n\
             max_bytes = \"big\"\nwindow_messages = 20_000\n[[users]]\nname = \"a\"\n[[users]]\nname = \"b\"\n\
             password_hash = \"{HASH}\"\nallow.publish = [\"x//y\"]\n"
        );
        let errors = errors(&text);
        let starts = [
            "c.toml:1: listen: invalid socket address syntax",
            "c.toml:2: unknown key `sesions`; did you mean `sessions`?",
            "c.toml:5: unknown key `max_mesages` in [queues]; did you mean `max_messages`?",
            "c.toml:6: queues.max_poison is 0; use at least 1",
            "c.toml:7: queues.max_bytes: invalid value: string \"big\"",
            "c.toml:8: queues.window_messages is 20000, more than queues.max_messages",
            "c.toml:9: users: missing field `password_hash`",
            "c.toml:14: users.allow.publish: the filter has an empty level",
        ];
        assert_eq!(errors.len(), starts.len(), "{errors:#?}");
        for (error, start) in errors.iter().zip(starts) {
            assert!(error.starts_with(start), "{error} instead of {start}");
        }
    }

    /// A default that no longer goes with what was written is told where that is; and of a zero nothing more than that.
    #[test]
    fn what_contradicts_a_default_is_told_at_its_own_line() {
        let said = "c.toml:2: queues.window_messages is 1024, more than queues.max_messages; use at most 5, or raise that";
        assert_eq!(errors("[queues]\nmax_messages = 5\n"), [said]);
        assert_eq!(errors("[queues]\nmax_messages = 0\n"), ["c.toml:2: queues.max_messages is 0; use at least 1"]);
    }

    /// Users who cannot be read are users all the same.
    #[test]
    fn what_follows_only_from_a_value_left_out_is_not_said() {
        let text = "listen = [\"0.0.0.0:2673\"]\n[[users]]\nname = \"ana\"\npassword_hash = \"hunter2\"\n";
        let errors = errors(text);
        assert!(errors.len() == 2 && errors.iter().all(|error| error.contains(": users")), "{errors:#?}");
    }

    #[test]
    fn a_text_that_is_not_toml_is_told_by_its_lines() {
        let errors = errors("a = = 1\nb = 2\nc = \n");
        assert!(errors[0].starts_with("c.toml:1: ") && errors.iter().any(|error| error.starts_with("c.toml:3: ")), "{errors:#?}");
    }

    #[test]
    fn what_is_sound_is_read() {
        assert_eq!(examine("[queues]\nmax_poison = 7\n", "c.toml").unwrap().queues.max_poison, 7);
    }

    /// The first of all is among them, and what is sound to one is sound to the other.
    #[test]
    fn both_ways_to_read_agree() {
        for text in ["", "a = 1", "[queues]\nmax_bytes = 1", "listen = []", "topics = 3", "users = 3", "[[users]]\n", "[topics"] {
            match (Config::parse(text, "c.toml"), examine(text, "c.toml")) {
                (Ok(one), Ok(other)) => assert_eq!(one, other, "{text}"),
                (Err(one), Err(all)) => {
                    assert!(all.iter().any(|error| error.to_string() == one.to_string()), "{text}: {one}: {all:#?}");
                }
                (one, other) => panic!("{text}: {one:?} {other:?}"),
            }
        }
    }
}
