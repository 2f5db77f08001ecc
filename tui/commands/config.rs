//! `cordboard config`: the default configuration to begin with, and what is wrong with the one that was made of it.

use std::{fmt::Write as _, path::Path, process::ExitCode};

use anyhow::Context as _;
use cordboard::{
    Config,
    config::{Changes, MANUAL},
};
use toml::{Table, Value};

use super::{print, say};
use crate::cli::{ConfigArgs, Exit};

/// Prints the default, or checks a file.
pub(super) fn run(args: &ConfigArgs) -> anyhow::Result<ExitCode> {
    let Some(file) = &args.check else {
        print(MANUAL.as_bytes()).context("the configuration could not be written")?;
        return Ok(Exit::Done.into());
    };
    match Config::examine(file) {
        Ok(config) => {
            print(sound(&config, file).as_bytes()).context("the answer could not be written")?;
            Ok(Exit::Done.into())
        }
        Err(errors) => {
            errors.iter().for_each(say);
            Ok(Exit::Usage.into())
        }
    }
}

/// What `config` says otherwise than the default: of users the names, of the rest the values.
fn sound(config: &Config, file: &Path) -> String {
    let default = Config::default();
    let changes = Changes::between(&default, config);
    let (new, old) = (of(config), of(&default));
    let mut text = format!("{} is sound\n", file.display());
    for key in &changes.restart {
        let value = at(&new, key).unwrap_or_else(|| "not set".to_owned());
        let default = at(&old, key).unwrap_or_else(|| "not set".to_owned());
        let _ = writeln!(text, "  {key} = {value}  (default: {default})");
    }
    match changes.added.count {
        0 if changes.restart.is_empty() => text.push_str("  it says nothing else than the default\n"),
        0 => {}
        1 => text.push_str("  1 user: "),
        count => drop(write!(text, "  {count} users: ")),
    }
    if changes.added.count > 0 {
        let _ = writeln!(text, "{}", changes.added);
    }
    text
}

fn of(config: &Config) -> Table {
    let without_users = Config { users: Vec::new(), ..config.clone() };
    Table::try_from(without_users).unwrap_or_default()
}

/// The value at `section.key`, as it would be written.
fn at(table: &Table, path: &str) -> Option<String> {
    let mut steps = path.split('.');
    let first = table.get(steps.next()?)?;
    steps.try_fold(first, |value, step| value.get(step)).map(Value::to_string)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(text: &str) -> String {
        sound(&Config::parse(text, "c.toml").unwrap(), Path::new("c.toml"))
    }

    #[test]
    fn what_differs_is_said_with_both_values() {
        assert_eq!(said(MANUAL), "c.toml is sound\n  it says nothing else than the default\n");
        assert_eq!(
            said("listen = [\"127.0.0.1:7\"]\naudit.file = \"a\"\n[queues]\nmax_bytes = \"32MiB\"\nmax_poison = 1_000\n"),
            "c.toml is sound\n  audit.file = \"a\"  (default: not set)\n  \
             listen = [\"127.0.0.1:7\"]  (default: [\"127.0.0.1:2673\"])\n  \
             queues.max_bytes = \"32MiB\"  (default: \"16MiB\")\n"
        );
    }

    /// A hash is nobody's business, not even that of whoever checks the file.
    #[test]
    fn users_are_named_and_nothing_more() {
        let hash = "$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHRzYWx0$aGFzaGhhc2hoYXNoaGFzaGhhc2hoYXNo";
        let user = |name| format!("[[users]]\nname = \"{name}\"\npassword_hash = \"{hash}\"\n");
        assert_eq!(said(&user("ana")), "c.toml is sound\n  1 user: ana\n");
        assert_eq!(said(&(user("bob") + &user("ana"))), "c.toml is sound\n  2 users: ana, bob\n");
    }
}
