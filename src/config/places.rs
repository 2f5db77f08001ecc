//! Where a configuration says what: the line of each value, for those who explain a decision by it.

use std::collections::HashMap;

use toml::de::{DeTable, DeValue};

use super::read::line_at;

/// The lines of a configuration's values, by their paths: `queues.max_messages`, `users[2].allow.publish[0]`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Places(HashMap<String, usize>);

impl Places {
    /// The line of the value at `path`, from 1; none if the configuration leaves it out.
    pub fn line(&self, path: &str) -> Option<usize> {
        self.0.get(path).copied()
    }

    /// The places of `text`; none if it is not TOML.
    pub(super) fn of(text: &str) -> Self {
        let mut places = Self::default();
        if let Ok(root) = DeTable::parse(text) {
            places.collect(text, root.get_ref(), "");
        }
        places
    }

    fn collect(&mut self, text: &str, table: &DeTable<'_>, path: &str) {
        for (name, value) in table {
            let path = if path.is_empty() { name.get_ref().to_string() } else { format!("{path}.{}", name.get_ref()) };
            self.add(text, name.span().start, value.get_ref(), path);
        }
    }

    fn add(&mut self, text: &str, at: usize, value: &DeValue<'_>, path: String) {
        match value {
            DeValue::Table(table) => self.collect(text, table, &path),
            DeValue::Array(array) => {
                for (nth, value) in array.iter().enumerate() {
                    self.add(text, value.span().start, value.get_ref(), format!("{path}[{nth}]"));
                }
            }
            _ => {}
        }
        self.0.insert(path, line_at(text.as_bytes(), at));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_value_has_its_line() {
        let text = "listen = []\n[queues]\nmax_messages = 1\n\n[[users]]\nname = \"a\"\n[[users]]\nname = \"b\"\n\
                    allow.publish = [\"x\",\n  \"y\"]\n[users.deny]\ncreate = [\n\"z\"]\n";
        let places = Places::of(text);
        for (path, line) in [
            ("listen", 1),
            ("queues.max_messages", 3),
            ("users[0]", 5),
            ("users[0].name", 6),
            ("users[1]", 7),
            ("users[1].allow.publish", 9),
            ("users[1].allow.publish[0]", 9),
            ("users[1].allow.publish[1]", 10),
            ("users[1].deny.create[0]", 13),
        ] {
            assert_eq!(places.line(path), Some(line), "{path}");
        }
        assert_eq!(places.line("users[2]"), None);
        assert_eq!(Places::of("a = = 1"), Places::default());
    }
}
