//! What is made of a configuration's text.

use cordboard::{Config, config::ConfigError};

use super::is_showable;

/// What errors call the text.
const ORIGIN: &str = "fuzz.toml";

/// A text is a configuration that makes sense and that is the same when it is written and read again, or it is refused in
/// words that can be shown and that say where.
pub fn hold(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    match Config::parse(&text, ORIGIN) {
        Ok(config) => {
            config.validate().expect("it was checked");
            let written = toml::to_string(&config).expect("a configuration is TOML");
            let again = Config::parse(&written, ORIGIN).expect("what was written is read");
            assert_eq!(again, config, "{written}");
        }
        Err(error) => says_where(&error, &text),
    }
}

fn says_where(error: &ConfigError, text: &str) {
    let shown = error.to_string();
    is_showable(&shown);
    let place = shown.strip_prefix(ORIGIN).and_then(|rest| rest.strip_prefix(':')).expect("an error names the file");
    let line = place.split_once(':').and_then(|(line, _)| line.parse::<usize>().ok());
    // What the file leaves to its default has no line there; everything else does.
    let lines = 1 + text.matches('\n').count();
    let is_there = line.is_some_and(|line| (1..=lines).contains(&line));
    assert!(is_there || line.is_none() && matches!(error, ConfigError::Invalid { .. }), "{shown} in {lines} lines");
}
