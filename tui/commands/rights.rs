//! `cordboard rights`: whether a user may do something, and which line of the configuration says so.

use std::{
    fmt,
    io::{self, Write as _},
    path::Path,
    process::ExitCode,
};

use cordboard::{
    Config, Printable,
    auth::{Rights, Verdict},
    config::{Places, User},
    events::Action,
    name::{Filter, Principal},
};

use crate::cli::{Exit, RightsArgs, UsageError, Wish};

/// Explains one decision. Exit codes are those of a question: yes, no, or no answer.
pub(super) fn run(args: &RightsArgs) -> anyhow::Result<ExitCode> {
    let Some(file) = &args.config else {
        return Err(UsageError("whose rights? name the configuration with --config FILE".to_owned()).into());
    };
    let (config, places) = Config::load_with_places(file)?;
    if args.wish.is_of_topic() && args.what.exact().is_none() {
        let why = format!("{} is a filter; to {} takes one topic, without + and #", Printable(args.what.as_str()), args.wish);
        return Err(UsageError(why).into());
    }
    let explained = explain(&config, &places, file, args);
    // A closed output does not make a no of a yes.
    let _ = writeln!(io::stdout(), "{}", explained.text);
    Ok(if explained.is_allowed { Exit::Done } else { Exit::Failed }.into())
}

struct Explained {
    is_allowed: bool,
    text: String,
}

/// What a decision is about, and where it can be read.
struct Case<'a> {
    args: &'a RightsArgs,
    places: &'a Places,
    file: &'a Path,
}

fn explain(config: &Config, places: &Places, file: &Path, args: &RightsArgs) -> Explained {
    let case = Case { args, places, file };
    if config.users.is_empty() {
        let is_allowed = args.name == Principal::local();
        let who = "there are no users, so everyone on this machine is local and may do everything";
        return case.explained(is_allowed, &[format!("{}: {who}", file.display())]);
    }
    let Some(nth) = config.users.iter().position(|user| user.name == args.name) else {
        return case.explained(false, &[format!("{}: there is no such user", file.display())]);
    };
    let user = &config.users[nth];
    let rights = Rights::for_user(&user.name, &user.allow, &user.deny).unwrap_or_default();
    let verdict = rights.judge(args.wish.action(), &args.what);
    case.explained(verdict.is_allowed(), &case.reasons(nth, user, &verdict))
}

impl Case<'_> {
    fn explained(&self, is_allowed: bool, reasons: &[String]) -> Explained {
        let RightsArgs { name, wish, what, .. } = self.args;
        let may = if is_allowed { "may" } else { "may not" };
        let head = format!("{} {may} {wish} {}", Printable(name.as_str()), Printable(what.as_str()));
        let text = reasons.iter().fold(head, |text, reason| format!("{text}\n  {reason}"));
        Explained { is_allowed, text }
    }

    fn reasons(&self, nth: usize, user: &User, verdict: &Verdict) -> Vec<String> {
        match verdict {
            Verdict::Allowed { by, except } => {
                let first = self.line_of(nth, user, true, *by);
                let others = except.iter().map(|at| format!("but without {}", self.line_of(nth, user, false, *at)));
                std::iter::once(first).chain(others).collect()
            }
            Verdict::Denied { by } => vec![self.line_of(nth, user, false, *by)],
            Verdict::NotAllowed => {
                let key = self.args.wish.key();
                let at = self.place(&format!("users[{nth}].allow.{key}")).or_else(|| self.place(&format!("users[{nth}]")));
                vec![format!("{}no filter of allow.{key} covers it", at.unwrap_or_default())]
            }
        }
    }

    /// `cordboard.toml:12: allow.publish "orders/%u", here "orders/ana"`
    fn line_of(&self, nth: usize, user: &User, allow: bool, at: usize) -> String {
        let (list, grants) = if allow { ("allow", &user.allow) } else { ("deny", &user.deny) };
        let key = self.args.wish.key();
        let filter: &Filter = &grants.of(self.args.wish.action())[at];
        let place = self.place(&format!("users[{nth}].{list}.{key}[{at}]")).unwrap_or_default();
        let filled = filter.as_str().replace("%u", user.name.as_str());
        let here = if filled == filter.as_str() { String::new() } else { format!(", here \"{}\"", Printable(&filled)) };
        format!("{place}{list}.{key} \"{}\"{here}", Printable(filter.as_str()))
    }

    fn place(&self, path: &str) -> Option<String> {
        self.places.line(path).map(|line| format!("{}:{line}: ", self.file.display()))
    }
}

impl Wish {
    fn action(self) -> Action {
        match self {
            Self::Publish => Action::Publish,
            Self::Subscribe => Action::Subscribe,
            Self::Create => Action::Create,
            Self::Operate => Action::Operate,
        }
    }

    /// As the configuration spells it.
    fn key(self) -> &'static str {
        match self {
            Self::Publish => "publish",
            Self::Subscribe => "subscribe",
            Self::Create => "create",
            Self::Operate => "operate",
        }
    }

    fn is_of_topic(self) -> bool {
        matches!(self, Self::Publish | Self::Create)
    }
}

impl fmt::Display for Wish {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Publish => "publish to",
            Self::Subscribe => "subscribe to",
            Self::Create => "create",
            Self::Operate => "operate on",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "\
[[users]]
name = \"ana\"
password_hash = \"$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHRzYWx0$aGFzaGhhc2hoYXNoaGFzaGhhc2hoYXNo\"
[users.allow]
publish = [\"orders/eu/+\",
           \"own/%u/#\"]
subscribe = [\"orders/#\"]
[users.deny]
publish = [\"orders/eu/closed\"]
subscribe = [\"orders/secret/#\", \"orders/+/key\"]
";

    fn ask(text: &str, name: &str, wish: Wish, what: &str) -> String {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("c.toml");
        std::fs::write(&file, text).unwrap();
        let (config, places) = Config::load_with_places(&file).unwrap();
        let args = RightsArgs { config: None, name: name.parse().unwrap(), wish, what: what.parse().unwrap() };
        let explained = explain(&config, &places, Path::new("c.toml"), &args);
        assert_eq!(explained.is_allowed, !explained.text.lines().next().unwrap().contains(" may not "));
        explained.text
    }

    #[test]
    fn a_decision_is_explained_by_the_line_that_made_it() {
        for (wish, what, expected) in [
            (Wish::Publish, "orders/eu/1", "ana may publish to orders/eu/1\n  c.toml:5: allow.publish \"orders/eu/+\""),
            (
                Wish::Publish,
                "own/ana/x",
                "ana may publish to own/ana/x\n  c.toml:6: allow.publish \"own/%u/#\", here \"own/ana/#\"",
            ),
            (Wish::Publish, "own/bob/x", "ana may not publish to own/bob/x\n  c.toml:5: no filter of allow.publish covers it"),
            (
                Wish::Publish,
                "orders/eu/closed",
                "ana may not publish to orders/eu/closed\n  c.toml:9: deny.publish \"orders/eu/closed\"",
            ),
            (
                Wish::Subscribe,
                "orders/#",
                "ana may subscribe to orders/#\n  c.toml:7: allow.subscribe \"orders/#\"\n  \
                 but without c.toml:10: deny.subscribe \"orders/secret/#\"\n  but without c.toml:10: deny.subscribe \"orders/+/key\"",
            ),
            (Wish::Create, "x", "ana may not create x\n  c.toml:1: no filter of allow.create covers it"),
            (Wish::Operate, "#", "ana may not operate on #\n  c.toml:1: no filter of allow.operate covers it"),
        ] {
            assert_eq!(ask(FILE, "ana", wish, what), expected);
        }
        assert_eq!(ask(FILE, "bob", Wish::Publish, "x"), "bob may not publish to x\n  c.toml: there is no such user");
        let nobody = "c.toml: there are no users, so everyone on this machine is local and may do everything";
        assert_eq!(ask("# none", "local", Wish::Operate, "#"), format!("local may operate on #\n  {nobody}"));
        assert_eq!(ask("# none", "ana", Wish::Create, "x"), format!("ana may not create x\n  {nobody}"));
    }
}
