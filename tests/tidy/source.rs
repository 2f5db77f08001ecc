//! A source file as the house rules see it: its code without comments and literals, its comments without code, its functions
//! and the paths it names. A reader of Rust's surface, not a parser: enough for rules about lines and names.

use std::{fs, ops::RangeInclusive, path::Path};

/// One `.rs` file.
pub(crate) struct Source {
    /// From the root of the package, with `/`.
    pub(crate) path: String,
    /// As it is.
    pub(crate) text: String,
    /// With comments and the insides of literals blanked. Same lines, same columns.
    pub(crate) code: String,
    /// The comments alone. Same lines, same columns.
    pub(crate) comments: String,
}

/// A function with a body.
#[derive(Debug, PartialEq)]
pub(crate) struct Function {
    /// Its name.
    pub(crate) name: String,
    /// From the line of its `fn` to that of its closing brace, counted from 1.
    pub(crate) lines: RangeInclusive<usize>,
}

impl Source {
    /// A source that was read already.
    pub(crate) fn new(path: &str, text: &str) -> Self {
        let (code, comments) = split(text);
        Self { path: path.to_owned(), text: text.to_owned(), code, comments }
    }

    /// Every `.rs` file below the package's `folders`, in the order of their paths.
    pub(crate) fn read_all(root: &Path, folders: &[&str]) -> Vec<Self> {
        let mut sources = Vec::new();
        let mut pending: Vec<_> = folders.iter().map(|folder| root.join(folder)).collect();
        while let Some(folder) = pending.pop() {
            for entry in fs::read_dir(&folder).expect("a folder of the package") {
                let path = entry.expect("an entry of a folder").path();
                if path.is_dir() && !path.ends_with("fuzz/target") {
                    pending.push(path);
                } else if path.extension().is_some_and(|extension| extension == "rs") {
                    let text = fs::read_to_string(&path).expect("a source is UTF-8");
                    let path = path.strip_prefix(root).expect("it is below the root").to_string_lossy().replace('\\', "/");
                    sources.push(Self::new(&path, &text));
                }
            }
        }
        sources.sort_by(|a, b| a.path.cmp(&b.path));
        sources
    }

    /// The code with its line numbers.
    pub(crate) fn code_lines(&self) -> impl Iterator<Item = (usize, &str)> {
        (1..).zip(self.code.lines())
    }

    /// The code before the unit tests, with its line numbers; none in a file of tests.
    pub(crate) fn shipped_lines(&self) -> impl Iterator<Item = (usize, &str)> {
        let end = if self.is_of_tests() { 0 } else { self.tests_start() };
        self.code_lines().take_while(move |(line, _)| *line < end)
    }

    /// The code of the unit tests, or of the whole file if it is one of tests.
    pub(crate) fn test_lines(&self) -> impl Iterator<Item = (usize, &str)> {
        let start = if self.is_of_tests() { 1 } else { self.tests_start() };
        self.code_lines().skip_while(move |(line, _)| *line < start)
    }

    fn is_of_tests(&self) -> bool {
        let in_tests = self.path.starts_with("tests/") || self.path.contains("/tests/");
        in_tests || self.path.ends_with("/tests.rs") || self.path.ends_with("_tests.rs")
    }

    /// The line of the first `#[cfg(test)]` before a module with a body; past the end if there is none.
    fn tests_start(&self) -> usize {
        let lines: Vec<_> = self.code_lines().collect();
        let is_start = |pair: &&[(usize, &str)]| {
            pair[0].1.trim() == "#[cfg(test)]" && pair[1].1.trim_start().starts_with("mod ") && pair[1].1.ends_with('{')
        };
        lines.windows(2).find(is_start).map_or(usize::MAX, |pair| pair[0].0)
    }

    /// Every function that has a body, inner ones included.
    pub(crate) fn functions(&self) -> Vec<Function> {
        let mut functions = Vec::new();
        for (at, _) in self.code.match_indices("fn ") {
            let is_word = !self.code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_');
            let name: String = self.code[at + 3..].chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
            if !is_word || name.is_empty() {
                continue;
            }
            if let Some(end) = body_end(&self.code[at..]) {
                let line = |at: usize| 1 + self.code[..at].matches('\n').count();
                functions.push(Function { name, lines: line(at)..=line(at + end) });
            }
        }
        functions
    }

    /// Every path the shipped code names (`use` trees flattened, `super` and `self` resolved), with its line.
    pub(crate) fn paths(&self) -> Vec<(usize, String)> {
        let mut found = Vec::new();
        let mut tree: Option<(usize, String)> = None;
        for (line, code) in self.shipped_lines() {
            let start = code.trim_start();
            let start = start.strip_prefix("pub ").or(start.strip_prefix("pub(crate) ")).unwrap_or(start);
            match (&mut tree, start.strip_prefix("use ")) {
                (Some((_, tree)), _) => tree.push_str(code),
                (none, Some(rest)) => *none = Some((line, rest.to_owned())),
                (None, None) => found.extend(words(code).map(|path| (line, path.to_owned()))),
            }
            if let Some((line, text)) = tree.take_if(|(_, text)| text.contains(';')) {
                let mut flat = Vec::new();
                flatten("", text.trim_end().trim_end_matches(';'), &mut flat);
                found.extend(flat.into_iter().map(|path| (line, path)));
            }
        }
        found.into_iter().map(|(line, path)| (line, self.resolve(&path))).collect()
    }

    /// This file's own module, as `["console", "view"]`.
    fn module(&self) -> Vec<&str> {
        let mut steps: Vec<&str> = self.path.trim_end_matches(".rs").split('/').skip(1).collect();
        if matches!(steps.last(), Some(&("mod" | "main" | "lib"))) {
            steps.pop();
        }
        steps
    }

    fn resolve(&self, path: &str) -> String {
        let mut module = self.module();
        let mut rest = path;
        if let Some(below) = rest.strip_prefix("self::") {
            rest = below;
        } else if !rest.starts_with("super::") {
            return path.to_owned();
        }
        while let Some(above) = rest.strip_prefix("super::") {
            module.pop();
            rest = above;
        }
        ["crate"].into_iter().chain(module).chain([rest]).collect::<Vec<_>>().join("::")
    }
}

/// Paths of two or more steps.
fn words(code: &str) -> impl Iterator<Item = &str> {
    code.split(|c: char| !(c.is_alphanumeric() || c == '_' || c == ':'))
        .map(|word| word.trim_matches(':'))
        .filter(|word| word.contains("::"))
}

/// `a::{b, c::{d, self}}` as `a::b`, `a::c::d`, `a::c`.
fn flatten(prefix: &str, tree: &str, flat: &mut Vec<String>) {
    let mut depth = 0;
    let parts = tree.split(|c| {
        depth += i32::from(c == '{') - i32::from(c == '}');
        c == ',' && depth == 0
    });
    for part in parts.map(str::trim).filter(|part| !part.is_empty()) {
        if let Some((path, inner)) = part.split_once('{') {
            flatten(&format!("{prefix}{path}"), inner.strip_suffix('}').unwrap_or(inner), flat);
        } else {
            let name = part.split(" as ").next().unwrap_or(part).trim();
            let path = format!("{prefix}{name}");
            flat.push(path.strip_suffix("::self").unwrap_or(&path).to_owned());
        }
    }
}

/// Where the body ends of the function that `code` begins with; none if it has no body.
fn body_end(code: &str) -> Option<usize> {
    let mut nested = 0;
    let mut braces = 0;
    for (at, c) in code.char_indices() {
        match c {
            '(' | '[' if braces == 0 => nested += 1,
            ')' | ']' if braces == 0 => nested -= 1,
            ';' if braces == 0 && nested == 0 => return None,
            '{' if nested == 0 => braces += 1,
            '}' if braces == 1 => return Some(at),
            '}' if braces > 1 => braces -= 1,
            _ => {}
        }
    }
    None
}

#[derive(Clone, Copy, PartialEq)]
enum Inside {
    Code,
    Line,
    Block { depth: usize },
    Text,
    Raw { hashes: usize },
}

/// Code and comments apart, each blank where the other is.
fn split(text: &str) -> (String, String) {
    let (mut code, mut comments) = (String::new(), String::new());
    let mut inside = Inside::Code;
    let mut rest = text;
    while !rest.is_empty() {
        let (length, next) = step(rest, &code, inside);
        let (taken, after) = rest.split_at(length);
        let is_comment = |inside| matches!(inside, Inside::Line | Inside::Block { .. });
        for c in taken.chars() {
            let blank = if c == '\n' { '\n' } else { ' ' };
            let commented = is_comment(inside) || is_comment(next);
            comments.push(if commented { c } else { blank });
            code.push(if commented || inside != Inside::Code || length > 2 && taken.starts_with('\'') { blank } else { c });
        }
        (rest, inside) = (after, next);
    }
    (code, comments)
}

/// How many bytes to take at the start of `rest`, and where they lead.
fn step(rest: &str, before: &str, inside: Inside) -> (usize, Inside) {
    let one = rest.chars().next().map_or(0, char::len_utf8);
    match inside {
        Inside::Code if rest.starts_with("//") => (2, Inside::Line),
        Inside::Code if rest.starts_with("/*") => (2, Inside::Block { depth: 1 }),
        Inside::Code if rest.starts_with('"') => (1, Inside::Text),
        Inside::Code if rest.starts_with('r') && !before.ends_with(|c: char| c.is_alphanumeric() && c != 'b' || c == '_') => {
            let hashes = rest[1..].chars().take_while(|c| *c == '#').count();
            if rest[1 + hashes..].starts_with('"') { (2 + hashes, Inside::Raw { hashes }) } else { (1, inside) }
        }
        Inside::Code if rest.starts_with('\'') => (char_literal(rest).unwrap_or(1), inside),
        Inside::Line if rest.starts_with('\n') => (1, Inside::Code),
        Inside::Block { depth } if rest.starts_with("/*") => (2, Inside::Block { depth: depth + 1 }),
        Inside::Block { depth: 1 } if rest.starts_with("*/") => (2, Inside::Code),
        Inside::Block { depth } if rest.starts_with("*/") => (2, Inside::Block { depth: depth - 1 }),
        Inside::Text if rest.starts_with('\\') => (1 + rest[1..].chars().next().map_or(0, char::len_utf8), inside),
        Inside::Text if rest.starts_with('"') => (1, Inside::Code),
        Inside::Raw { hashes } if rest.starts_with(&format!("\"{}", "#".repeat(hashes))) => (1 + hashes, Inside::Code),
        _ => (one, inside),
    }
}

/// The length of the character literal at the start of `rest`; none if it is a lifetime.
fn char_literal(rest: &str) -> Option<usize> {
    let inner = &rest[1..];
    if let Some(escape) = inner.strip_prefix('\\') {
        let first = escape.chars().next()?;
        let end = escape[first.len_utf8()..].find('\'')?;
        return Some(2 + first.len_utf8() + end + 1);
    }
    let first = inner.chars().next()?;
    inner[first.len_utf8()..].starts_with('\'').then_some(1 + first.len_utf8() + 1)
}

#[test]
fn comments_and_literals_are_told_from_code() {
    let text = concat!(
        "let a = \"// no { comment\"; // yes }\n",
        "let b = '{'; let c: &'static str = r#\"fn x() { \" \"#;\n",
        "/* a /* b */ fn */ let d = '\\''; let e = b\"\\\"{\";\n",
        "//! für\n",
    );
    let source = Source::new("src/x.rs", text);
    for unseen in ["no", "yes", "{", "fn", "}", "für", "\\"] {
        assert!(!source.code.contains(unseen), "{unseen} in {}", source.code);
    }
    for seen in ["let a", "let b", "let c: &'static str", "let d", "let e"] {
        assert!(source.code.contains(seen), "{seen} not in {}", source.code);
    }
    assert!(source.comments.contains("// yes }") && source.comments.contains("//! für"));
    assert!(!source.comments.contains("no {") && !source.comments.contains("let"));
    assert_eq!(source.code.lines().count(), text.lines().count());
}

#[test]
fn functions_have_names_and_lines() {
    let source = Source::new(
        "src/x.rs",
        "trait T {\n    fn none(&self) -> [u8; 2];\n}\nfn one() {}\nfn two(a: [u8; 3]) -> X\nwhere\n    A: B,\n{\n    if x {\n    }\n    fn inner() {\n    }\n}\n",
    );
    let found: Vec<_> = source.functions().into_iter().map(|function| (function.name, function.lines)).collect();
    let expected = [("one", 4..=4), ("two", 5..=13), ("inner", 11..=12)].map(|(name, lines)| (name.to_owned(), lines));
    assert_eq!(found, expected);
}

#[test]
fn paths_are_flattened_and_resolved() {
    let source = Source::new(
        "tui/console/view/rows.rs",
        concat!(
            "use std::{fmt, collections::{BTreeMap as Map, self}};\n",
            "use super::super::{\n    state::Row,\n    theme,\n};\npub use self::inner::X;\n",
            "fn x() { crate::cli::run(super::y()) }\n",
            "#[cfg(test)]\nmod tests {\n    use crate::unseen::Z;\n}\n",
        ),
    );
    let paths = source.paths();
    let expected = [
        (1, "std::fmt"),
        (1, "std::collections::BTreeMap"),
        (1, "std::collections"),
        (2, "crate::console::state::Row"),
        (2, "crate::console::theme"),
        (6, "crate::console::view::rows::inner::X"),
        (7, "crate::cli::run"),
        (7, "crate::console::view::y"),
    ]
    .map(|(line, path)| (line, path.to_owned()));
    assert_eq!(paths, expected);
}

#[test]
fn unit_tests_begin_at_their_module() {
    let source = Source::new("src/x.rs", "fn a() {}\n#[cfg(test)]\nuse b;\n#[cfg(test)]\nmod tests {\n}\n");
    assert_eq!(source.shipped_lines().count(), 3);
    assert_eq!(source.test_lines().count(), 3);
    for of_tests in ["tests/x.rs", "src/x/tests.rs", "src/x/tests/y.rs", "src/x/y_tests.rs"] {
        let source = Source::new(of_tests, "fn a() {}\n");
        assert_eq!((source.shipped_lines().count(), source.test_lines().count()), (0, 1), "{of_tests}");
    }
    assert_eq!(Source::new("src/y.rs", "fn a() {}\n").test_lines().count(), 0);
}
