//! Names and filters: what is shown of them, and what filters say of topics, beside a naive matcher.

use std::{fmt::Display, str::FromStr};

use cordboard::{
    Printable,
    filters::{Filters, covers, matches},
    name::{
        ClientName, Filter, MAX_LABEL_BYTES, MAX_TOPIC_BYTES, MAX_TOPIC_LEVELS, NameError, NameRules, Principal, SessionId,
        SubscriptionId, TopicName,
    },
};

use super::is_showable;

/// A level that no filter of a test says.
const FRESH: &str = "\u{1}";

/// The input is lines, each of them taken for a name of every sort, and all of them together for topics and filters.
pub fn hold(input: &[u8]) {
    let lines: Vec<&[u8]> = input.split(|byte| *byte == b'\n').take(8).collect();
    let (mut topics, mut filters) = (Vec::new(), Vec::new());
    for line in lines {
        let text = String::from_utf8_lossy(line);
        topics.extend(topic(line));
        filters.extend(named::<Filter>(&text, MAX_TOPIC_BYTES));
        named::<ClientName>(&text, MAX_LABEL_BYTES);
        named::<Principal>(&text, MAX_LABEL_BYTES);
        named::<SubscriptionId>(&text, 33 + MAX_TOPIC_BYTES);
        session(&text);
        is_shown_whole(&text);
    }
    agree(&topics, &filters);
}

/// Whatever is accepted can be shown as it is, is itself when it is read again, and is no longer than it may be; whatever is
/// refused is refused in words that can be shown.
fn named<T: FromStr<Err = NameError> + Display + PartialEq>(text: &str, max: usize) -> Option<T> {
    match text.parse::<T>() {
        Ok(name) => {
            let shown = name.to_string();
            is_showable(&shown);
            assert!(shown.len() <= max && shown.parse::<T>().is_ok_and(|again| again == name), "{shown:?} is not itself");
            Some(name)
        }
        Err(error) => {
            is_showable(&error.to_string());
            None
        }
    }
}

/// A topic from bytes is the topic of their text, under the default rules and under tighter ones.
fn topic(line: &[u8]) -> Option<TopicName> {
    let rules = NameRules::default();
    let name = TopicName::from_bytes(line, &rules);
    let Ok(text) = std::str::from_utf8(line) else {
        assert_eq!(name, Err(NameError::NotUtf8 { what: "topic" }));
        return None;
    };
    assert_eq!(name.as_ref().ok(), named::<TopicName>(text, MAX_TOPIC_BYTES).as_ref());
    let tight = NameRules { max_bytes: 8, max_levels: 2 };
    let fits = text.len() <= 8 && text.split('/').count() <= 2;
    assert_eq!(TopicName::parse(text, &tight).is_ok(), fits && name.is_ok(), "{text:?}");
    if let Ok(name) = &name {
        let filter = Filter::from(name.clone());
        assert_eq!(text.parse::<Filter>().as_ref(), Ok(&filter), "a topic is a filter");
        assert_eq!(filter.exact().as_ref(), Some(name));
    }
    name.ok()
}

fn session(text: &str) {
    let is_id = text.len() == 32 && text.bytes().all(|digit| digit.is_ascii_hexdigit());
    assert_eq!(text.parse::<SessionId>().is_ok_and(|id| id.to_string() == text.to_lowercase()), is_id, "{text:?}");
}

/// Any text can be shown, and what is shown says exactly which text it was.
fn is_shown_whole(text: &str) {
    let shown = Printable(text).to_string();
    is_showable(&shown);
    let mut rest = shown.as_str();
    let mut back = String::new();
    while let Some(first) = rest.chars().next() {
        let escape = rest.strip_prefix("\\u{").and_then(|code| code.split_once('}'));
        let (c, behind) = match (escape, rest.strip_prefix("\\\\")) {
            (Some((code, behind)), _) => (code_point(code), behind),
            (None, Some(behind)) => ('\\', behind),
            (None, None) => (first, &rest[first.len_utf8()..]),
        };
        back.push(c);
        rest = behind;
    }
    assert_eq!(back, text, "{shown:?} says another text");
}

fn code_point(hex: &str) -> char {
    u32::from_str_radix(hex, 16).ok().and_then(char::from_u32).expect("an escape is a code point")
}

/// Level by level, by the words of `assets/protocol.md`.
fn naive(filter: &[&str], topic: &[&str]) -> bool {
    match (filter, topic) {
        (["#"], _) | ([], []) => true,
        (["+", filter @ ..], [_, topic @ ..]) => naive(filter, topic),
        ([name, filter @ ..], [level, topic @ ..]) => name == level && naive(filter, topic),
        _ => false,
    }
}

/// No topic tells the two apart to the disadvantage of `wide`: those stand for all in which a wildcard of `narrow` is a level
/// that nobody says, or up to one more of them than `wide` has levels.
fn naively_covers(wide: &[&str], narrow: &[&str]) -> bool {
    let fixed = narrow.iter().filter(|level| **level != "#").map(|level| if *level == "+" { FRESH } else { level });
    let mut topic: Vec<&str> = fixed.collect();
    let longer = if topic.len() == narrow.len() { 0 } else { wide.len() + 1 };
    let mut all = topic.is_empty() || naive(wide, &topic);
    for _ in 0..longer {
        topic.push(FRESH);
        all &= naive(wide, &topic);
    }
    all
}

/// One filter and one topic, all filters as a trie, and one filter and another say what the naive ones say.
fn agree(topics: &[TopicName], filters: &[Filter]) {
    let of_filters: Vec<Vec<&str>> = filters.iter().map(|filter| filter.as_str().split('/').collect()).collect();
    assert!(of_filters.iter().all(|levels| levels.len() <= MAX_TOPIC_LEVELS));
    let mut trie = Filters::new();
    for (session, filter) in (0..).zip(filters) {
        assert_eq!(trie.insert(filter, SessionId::from_bytes([session; 16]), session), None);
    }
    for topic in topics {
        let of_topic: Vec<&str> = topic.as_str().split('/').collect();
        let naive: Vec<bool> = of_filters.iter().map(|filter| naive(filter, &of_topic)).collect();
        for (filter, naive) in filters.iter().zip(&naive) {
            assert_eq!(matches(filter, topic), *naive, "{filter} and {topic}");
        }
        let mut found = trie.matches(topic);
        found.sort_unstable();
        let expected: Vec<u8> = (0..).zip(&naive).filter(|(_, matches)| **matches).map(|(session, _)| session).collect();
        assert_eq!(found, expected, "{filters:?} and {topic}");
    }
    for (wide, of_wide) in filters.iter().zip(&of_filters) {
        for (narrow, of_narrow) in filters.iter().zip(&of_filters) {
            assert_eq!(covers(wide, narrow), naively_covers(of_wide, of_narrow), "{wide} over {narrow}");
        }
    }
}
