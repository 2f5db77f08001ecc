//! Reading a configuration: from a file or a text to a checked [`Config`], or to an error that names the line and a remedy.

use std::{fs::File, io, io::Read as _, ops::Range, path::Path};

use toml::{
    Spanned, Table, Value,
    de::{DeTable, DeValue},
};

use super::{Config, Fault, Places};
use crate::{name::Printable, words::InWords};

/// The largest configuration file. Twelve thousand users fit; a wrong path to something huge is noticed early.
pub const MAX_FILE_BYTES: usize = 4 << 20;

/// Why a configuration was refused. The text says where, and what would work; it never quotes a password or its hash.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file is not there, is a directory, or may not be read.
    #[error("{origin} cannot be read: {}", InWords(.why))]
    Unreadable {
        /// The file.
        origin: String,
        /// What the system said.
        why: io::Error,
    },
    /// Anyone on this machine could make themselves a user.
    #[error("{origin} can be changed by every user of this machine; take that away with chmod o-w")]
    WorldWritable {
        /// The file.
        origin: String,
    },
    /// Nothing in it: more often a file that was cut short, and has lost its users, than one that means the defaults.
    #[error(
        "{origin} is empty, as a file is that was cut short: without users, everyone would be let in; \
         for the defaults, write a comment into it, or do without a configuration file"
    )]
    Empty {
        /// The file.
        origin: String,
    },
    /// Larger than [`MAX_FILE_BYTES`].
    #[error("{origin} has more than {MAX_FILE_BYTES} bytes; is it a configuration?")]
    TooLarge {
        /// The file.
        origin: String,
    },
    /// Not UTF-8.
    #[error("{origin}:{line}: this line is not UTF-8")]
    NotUtf8 {
        /// The file.
        origin: String,
        /// The line, from 1.
        line: usize,
    },
    /// Not TOML.
    #[error("{origin}:{line}: {why}")]
    Syntax {
        /// The file.
        origin: String,
        /// The line, from 1.
        line: usize,
        /// What was expected.
        why: String,
    },
    /// A key that is not one.
    #[error("{origin}:{line}: unknown key `{}`{}; {hint}", Printable(.key), in_section(.section))]
    UnknownKey {
        /// The file.
        origin: String,
        /// The line, from 1.
        line: usize,
        /// The key.
        key: String,
        /// The table it is in; empty at the top.
        section: String,
        /// The key that was probably meant.
        hint: String,
    },
    /// A value of the wrong type or form.
    #[error("{origin}:{line}: {}", Printable(.why))]
    WrongValue {
        /// The file.
        origin: String,
        /// The line, from 1.
        line: usize,
        /// What was wrong, and an example.
        why: String,
    },
    /// Well-formed, and it makes no sense.
    #[error("{place}{fault}")]
    Invalid {
        /// `file:line: `, without the line if the file mentions nothing of it; nothing outside a file.
        place: String,
        /// What makes no sense.
        fault: Fault,
    },
}

impl Config {
    /// Reads a file.
    ///
    /// # Errors
    /// A [`ConfigError`] if it cannot be read, is not trustworthy, or [`Config::parse`] refuses it.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        Self::parse(&read_file(path)?, &path.display().to_string())
    }

    /// Reads a file, and where it says what.
    ///
    /// # Errors
    /// As [`Config::load`].
    pub fn load_with_places(path: &Path) -> Result<(Self, Places), ConfigError> {
        let text = read_file(path)?;
        Ok((Self::parse(&text, &path.display().to_string())?, Places::of(&text)))
    }

    /// Reads `text` and checks what it says; `origin` names it in errors. What it leaves out keeps its default.
    ///
    /// # Errors
    /// A [`ConfigError`] for text that is not TOML, keys that are none, values of another type, and whatever
    /// [`Config::validate`] refuses.
    pub fn parse(text: &str, origin: &str) -> Result<Self, ConfigError> {
        if text.len() > MAX_FILE_BYTES {
            return Err(ConfigError::TooLarge { origin: origin.to_owned() });
        }
        Document::read(text, origin)?.config()
    }
}

/// The text of a file that can be trusted to be a configuration.
pub(super) fn read_file(path: &Path) -> Result<String, ConfigError> {
    let origin = path.display().to_string();
    let unreadable = |why| ConfigError::Unreadable { origin: origin.clone(), why };
    let file = File::open(path).map_err(unreadable)?;
    if is_world_writable(&file).map_err(unreadable)? {
        return Err(ConfigError::WorldWritable { origin });
    }
    let mut bytes = Vec::new();
    file.take(MAX_FILE_BYTES as u64 + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() > MAX_FILE_BYTES {
        return Err(ConfigError::TooLarge { origin });
    }
    match String::from_utf8(bytes) {
        Ok(text) if text.trim_start_matches('\u{feff}').trim().is_empty() => Err(ConfigError::Empty { origin }),
        Ok(text) => Ok(text),
        Err(error) => {
            let line = line_at(error.as_bytes(), error.utf8_error().valid_up_to());
            Err(ConfigError::NotUtf8 { origin, line })
        }
    }
}

#[cfg(unix)]
fn is_world_writable(file: &File) -> io::Result<bool> {
    use std::os::unix::fs::PermissionsExt as _;
    let metadata = file.metadata()?;
    Ok(metadata.is_file() && metadata.permissions().mode() & 0o002 != 0)
}

#[cfg(not(unix))]
fn is_world_writable(_: &File) -> io::Result<bool> {
    Ok(false)
}

pub(super) fn line_at(text: &[u8], at: usize) -> usize {
    1 + text.iter().take(at).filter(|byte| **byte == b'\n').count()
}

fn in_section(section: &str) -> String {
    if section.is_empty() { String::new() } else { format!(" in [{section}]") }
}

/// The default configuration as a file, each key with its reason: `assets/cordboard.toml`.
pub const MANUAL: &str = include_str!("../../assets/cordboard.toml");

/// The manual with the settings that are not set by default, which it shows as comments without a space after the `#`.
/// Its keys are all there are, and its values are the examples.
pub(super) fn manual_in_full() -> String {
    let is_setting = |line: &&str| line.strip_prefix('#').is_some_and(|rest| rest.starts_with(|c: char| !c.is_whitespace()));
    let lines: Vec<&str> = MANUAL.lines().map(|line| if is_setting(&line) { &line[1..] } else { line }).collect();
    lines.join("\n")
}

/// A text that is TOML, with what errors about it need: where each key is.
pub(super) struct Document<'a> {
    text: &'a str,
    origin: &'a str,
    /// Every key, with the path of the table it is in.
    pub(super) keys: Vec<Key>,
    /// What the manual says in their places.
    known: Table,
}

pub(super) struct Key {
    section: String,
    name: String,
    pub(super) at: usize,
    value: Range<usize>,
}

impl Key {
    fn path(&self) -> String {
        if self.section.is_empty() { self.name.clone() } else { format!("{}.{}", self.section, self.name) }
    }
}

impl<'a> Document<'a> {
    pub(super) fn read(text: &'a str, origin: &'a str) -> Result<Self, ConfigError> {
        let root = DeTable::parse(text).map_err(|error| ConfigError::Syntax {
            origin: origin.to_owned(),
            line: line_at(text.as_bytes(), error.span().map_or(0, |span| span.start)),
            why: error.message().trim_end().to_owned(),
        })?;
        let mut keys = Vec::new();
        collect_keys(root.get_ref(), "", &mut keys);
        keys.sort_by_key(|key| key.at);
        Ok(Self { text, origin, keys, known: manual_in_full().parse().expect("the manual is TOML") })
    }

    fn config(&self) -> Result<Config, ConfigError> {
        if let Some(key) = self.keys.iter().find(|key| self.is_unknown(key)) {
            return Err(self.unknown_key(key));
        }
        let config: Config = toml::from_str(self.text).map_err(|error| self.wrong_value(&error))?;
        config.check().map_err(|fault| ConfigError::Invalid { place: self.place_of(&fault), fault })?;
        Ok(config)
    }

    pub(super) fn unknown_key(&self, key: &Key) -> ConfigError {
        ConfigError::UnknownKey {
            origin: self.origin.to_owned(),
            line: self.line(key.at),
            key: key.name.clone(),
            section: key.section.clone(),
            hint: self.hint(key),
        }
    }

    pub(super) fn line(&self, at: usize) -> usize {
        line_at(self.text.as_bytes(), at)
    }

    pub(super) fn place_of(&self, fault: &Fault) -> String {
        match self.line_of(fault) {
            Some(line) => format!("{}:{line}: ", self.origin),
            None => format!("{}: ", self.origin),
        }
    }

    /// Of the key, or, if the text leaves that to its default, of the one it cannot go with. None if it mentions neither.
    pub(super) fn line_of(&self, fault: &Fault) -> Option<usize> {
        let written = |path: &str, nth| self.keys.iter().filter(|key| key.path() == path).nth(nth);
        let key = written(&fault.key, fault.nth).or_else(|| written(fault.against?, 0))?;
        Some(self.line(key.at))
    }

    /// Keys of a table that is itself unknown are not told: its own name is.
    pub(super) fn is_unknown(&self, key: &Key) -> bool {
        known_table(&self.known, &key.section).is_some_and(|table| !table.contains_key(&key.name))
    }

    fn hint(&self, key: &Key) -> String {
        if let Some((section, _)) = self.known.iter().find(|(_, value)| value.get(&key.name).is_some()) {
            return format!("it belongs in [{section}]");
        }
        if !key.section.is_empty() && self.known.contains_key(&key.name) {
            return "it belongs before the first [section]".to_owned();
        }
        let siblings: Vec<&str> =
            known_table(&self.known, &key.section).into_iter().flat_map(Table::keys).map(String::as_str).collect();
        let distance = |name: &str| strsim::damerau_levenshtein(name, &key.name);
        match siblings.iter().min_by_key(|name| distance(name)) {
            Some(name) if distance(name) <= 1 + name.len() / 3 => format!("did you mean `{name}`?"),
            _ => format!("there are {}", siblings.join(", ")),
        }
    }

    /// The toml crate's own text would quote the line, and with it whatever secret is there.
    pub(super) fn wrong_value(&self, error: &toml::de::Error) -> ConfigError {
        let at = error.span().map_or(0, |span| span.start);
        let key = self.keys.iter().rfind(|key| key.value.contains(&at));
        let message = error.message().trim_end();
        let message = match message.strip_suffix("usize").or(message.strip_suffix("u32")) {
            Some(message) => format!("{message}a whole number up to {}", u32::MAX),
            None => message.replace("expected a sequence", "expected a list in [ ]"),
        };
        let why = key.map_or(message.clone(), |key| format!("{}: {message}{}", key.path(), self.example(key)));
        ConfigError::WrongValue { origin: self.origin.to_owned(), line: self.line(at), why }
    }

    fn example(&self, key: &Key) -> String {
        let Key { name, .. } = key;
        match known_table(&self.known, &key.section).and_then(|table| table.get(name)) {
            None => String::new(),
            Some(Value::Table(_)) => format!("; [{}] is a section", key.path()),
            Some(Value::Array(array)) if array.iter().any(Value::is_table) => {
                format!("; [[{name}]] is a section for each")
            }
            Some(value) => format!("; write it like {name} = {value}"),
        }
    }
}

/// The known keys of the table at `section`, through the first element of an array of tables.
fn known_table<'t>(root: &'t Table, section: &str) -> Option<&'t Table> {
    section.split('.').filter(|step| !step.is_empty()).try_fold(root, |table, step| match table.get(step)? {
        Value::Table(table) => Some(table),
        Value::Array(array) => array.first()?.as_table(),
        _ => None,
    })
}

fn collect_keys(table: &DeTable<'_>, section: &str, keys: &mut Vec<Key>) {
    for (name, value) in table {
        let key =
            Key { section: section.to_owned(), name: name.get_ref().to_string(), at: name.span().start, value: value.span() };
        let path = key.path();
        keys.push(key);
        match value.get_ref() {
            DeValue::Table(table) => collect_keys(table, &path, keys),
            DeValue::Array(array) => {
                for table in array.iter().map(Spanned::get_ref).filter_map(DeValue::as_table) {
                    collect_keys(table, &path, keys);
                }
            }
            _ => {}
        }
    }
}
