//! The filter line: words that must be found, and terms on fields such as `state:detached dlq>100 topic~orders !edge`.
//!
//! `:` and `=` ask for the whole value, `~` for a part of it, `>` `<` `>=` `<=` for a number, and a leading `!` turns it
//! round. A field that the list has not is a mistake that is told, never a filter that silently hides everything.

/// What a row answers about one of its fields.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Fact {
    /// A number, to be compared.
    Number(u64),
    /// A word.
    Text(String),
}

/// A row that can be asked.
pub(crate) trait Facts {
    /// The value of one of the list's fields.
    fn fact(&self, field: &str) -> Option<Fact>;
    /// All its text, in which words are looked for.
    fn words(&self) -> String;
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Compare {
    Is,
    Has,
    More,
    Less,
    AtLeast,
    AtMost,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Ask {
    Word(String),
    Field { field: &'static str, compare: Compare, value: String, number: Option<u64> },
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Term {
    not: bool,
    ask: Ask,
}

/// A filter, as it was written and as it is understood.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Filter {
    text: String,
    terms: Vec<Term>,
    applied: Vec<String>,
    left_out: Vec<String>,
    problem: Option<String>,
    half: Option<String>,
}

/// The operators, longest first.
const OPERATORS: [(&str, Compare); 7] = [
    (">=", Compare::AtLeast),
    ("<=", Compare::AtMost),
    (">", Compare::More),
    ("<", Compare::Less),
    ("~", Compare::Has),
    (":", Compare::Is),
    ("=", Compare::Is),
];

impl Filter {
    /// Understands `text` for a list that has `fields`.
    pub(crate) fn parse(text: &str, fields: &'static [&'static str]) -> Self {
        let mut filter = Self { text: text.trim().to_owned(), ..Self::default() };
        for written in text.split_whitespace() {
            let (not, word) = written.strip_prefix('!').map_or((false, written), |rest| (true, rest));
            match ask(word, fields) {
                Ok(Some(ask)) => {
                    filter.terms.push(Term { not, ask });
                    filter.applied.push(written.to_owned());
                }
                Ok(None) => {
                    filter.left_out.push(written.to_owned());
                    filter.half = Some(format!("nothing follows {written}"));
                }
                Err(problem) => {
                    filter.left_out.push(written.to_owned());
                    filter.problem = Some(problem);
                }
            }
        }
        filter
    }

    /// As it was written.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// The terms that decide which rows pass, as they were written.
    pub(crate) fn applied(&self) -> String {
        self.applied.join(" ")
    }

    /// The terms that decide nothing: not understood, or half written.
    pub(crate) fn left_out(&self) -> String {
        self.left_out.join(" ")
    }

    /// What of it was not understood, and is left out of account.
    pub(crate) fn problem(&self) -> Option<&str> {
        self.problem.as_deref()
    }

    /// Why something is left out. Of a filter that is still typed, half a term is no mistake yet; of one that stands, it is.
    pub(crate) fn why_left_out(&self) -> Option<&str> {
        self.problem.as_deref().or(self.half.as_deref())
    }

    /// True if every row passes.
    pub(crate) fn is_empty(&self) -> bool {
        self.terms.is_empty()
    }

    /// True if `row` passes.
    pub(crate) fn passes(&self, row: &impl Facts) -> bool {
        let mut words = None;
        self.terms.iter().all(|term| {
            let found = match &term.ask {
                Ask::Word(word) => words.get_or_insert_with(|| row.words().to_lowercase()).contains(word.as_str()),
                Ask::Field { field, compare, value, number } => {
                    row.fact(field).is_some_and(|fact| holds(&fact, *compare, value, *number))
                }
            };
            found != term.not
        })
    }
}

/// One word of the line; none if there is nothing to ask in it yet.
fn ask(word: &str, fields: &'static [&'static str]) -> Result<Option<Ask>, String> {
    let operator = word.find(['>', '<', '~', ':', '=']).filter(|at| {
        let name = &word[..*at];
        !name.is_empty() && name.chars().all(|c| c.is_ascii_alphabetic() || c == '_')
    });
    let Some(at) = operator else {
        return Ok((!word.is_empty()).then(|| Ask::Word(word.to_lowercase())));
    };
    let (name, rest) = word.split_at(at);
    let Some(field) = fields.iter().find(|field| field.eq_ignore_ascii_case(name)) else {
        return Err(format!("no field {name}"));
    };
    let (sign, compare) = OPERATORS.into_iter().find(|(sign, _)| rest.starts_with(sign)).unwrap_or(("", Compare::Is));
    let value = rest[sign.len()..].to_lowercase();
    if value.is_empty() {
        return Ok(None);
    }
    let number = value.replace(',', "").parse().ok();
    if number.is_none() && !matches!(compare, Compare::Is | Compare::Has) {
        return Err(format!("{field}{sign} wants a number, as in {field}{sign}100"));
    }
    Ok(Some(Ask::Field { field, compare, value, number }))
}

fn holds(fact: &Fact, compare: Compare, value: &str, number: Option<u64>) -> bool {
    match (fact, number) {
        (Fact::Number(is), Some(asked)) => match compare {
            Compare::Is => *is == asked,
            Compare::Has => is.to_string().contains(value),
            Compare::More => *is > asked,
            Compare::Less => *is < asked,
            Compare::AtLeast => *is >= asked,
            Compare::AtMost => *is <= asked,
        },
        (Fact::Number(is), None) => is.to_string().contains(value),
        (Fact::Text(is), _) if compare == Compare::Is => is.to_lowercase() == value,
        (Fact::Text(is), _) => compare == Compare::Has && is.to_lowercase().contains(value),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIELDS: &[&str] = &["state", "dlq", "topic"];

    struct Row(&'static str, u64);

    impl Facts for Row {
        fn fact(&self, field: &str) -> Option<Fact> {
            match field {
                "state" => Some(Fact::Text(self.0.to_owned())),
                "dlq" => Some(Fact::Number(self.1)),
                _ => None,
            }
        }

        fn words(&self) -> String {
            format!("Billing-7 {}", self.0)
        }
    }

    fn check(filter: &str, passes: bool) {
        let row = Row("detached", 57);
        assert_eq!(Filter::parse(filter, FIELDS).passes(&row), passes, "{filter}");
    }

    #[test]
    fn words_and_terms_must_all_hold() {
        check("", true);
        check("billing detach", true);
        check("billing edge", false);
        check("!edge", true);
        check("state:detached dlq>56 dlq<=57", true);
        check("state:detach", false);
        check("STATE~TACH", true);
        check("dlq>57", false);
        check("!dlq>57", true);
        check("dlq=57", true);
        check("topic~orders", false);
    }

    /// A half-typed term must not empty the list under the operator's eyes.
    #[test]
    fn a_mistake_is_told_and_hides_nothing() {
        check("dlq>", true);
        check("dlg>5", true);
        check("orders:eu", true);
        assert_eq!(Filter::parse("dlg>5", FIELDS).problem(), Some("no field dlg"));
        let half = Filter::parse("billing dlg>5 !dlq>", FIELDS);
        assert_eq!((half.applied().as_str(), half.left_out().as_str()), ("billing", "dlg>5 !dlq>"));
        assert_eq!(half.why_left_out(), half.problem());
        let half = Filter::parse("billing topic~", FIELDS);
        assert_eq!((half.problem(), half.why_left_out()), (None, Some("nothing follows topic~")));
        assert_eq!(Filter::parse("dlq>x", FIELDS).problem(), Some("dlq> wants a number, as in dlq>100"));
        check("10.0.4.17:50110", false);
    }
}
