//! `cordboard passwd`: a password becomes the hash that the configuration wants. The password itself is asked for without an
//! echo, is never an argument, and is not kept.

use std::{
    io::{self, IsTerminal as _, Read as _, Write as _},
    process::ExitCode,
};

use anyhow::Context as _;
use cordboard::config::PasswordHash;
use tokio::sync::oneshot;

use super::say;
use crate::{
    cli::{Exit, PasswdArgs},
    signals::Signals,
};

/// The longest password, in bytes; a frame could carry more, and nobody types more.
const MAX_BYTES: usize = 1_024;

/// Reads a password and prints its hash, or with a name the lines that make a user of it.
pub(super) async fn run(args: PasswdArgs) -> anyhow::Result<ExitCode> {
    let mut signals = Signals::catch()?;
    let password = if io::stdin().is_terminal() { ask(&mut signals).await? } else { read(&mut io::stdin().lock())? };
    let mut salt = [0; 16];
    getrandom::fill(&mut salt).map_err(|error| anyhow::anyhow!("the operating system gives no random bytes: {error}"))?;
    let hash = PasswordHash::make(&password, salt);
    let lines = match &args.name {
        Some(name) => {
            let name = toml::Value::String(name.to_string());
            format!("[[users]]\nname = {name}\npassword_hash = \"{}\"\n", hash.expose())
        }
        None => format!("{}\n", hash.expose()),
    };
    io::stdout().write_all(lines.as_bytes()).context("the hash could not be written")?;
    if args.name.is_some() {
        say("these lines go to the end of the configuration; [users.allow] below them says what the user may do");
    }
    Ok(Exit::Done.into())
}

/// What is not typed is read to its end: one line.
fn read(input: &mut impl io::Read) -> anyhow::Result<String> {
    let mut bytes = Vec::new();
    input.take(MAX_BYTES as u64 + 3).read_to_end(&mut bytes).context("the password could not be read")?;
    let text = String::from_utf8(bytes).map_err(|_| anyhow::anyhow!("the password is not UTF-8; clients can only send text"))?;
    let line = text.strip_suffix('\n').unwrap_or(&text);
    checked(line.strip_suffix('\r').unwrap_or(line))
}

fn checked(password: &str) -> anyhow::Result<String> {
    if password.is_empty() {
        anyhow::bail!("the password is empty; give one");
    }
    if password.len() > MAX_BYTES {
        anyhow::bail!("the password has more than {MAX_BYTES} bytes; use a shorter one");
    }
    if password.contains(char::is_control) {
        anyhow::bail!("the password has a line break or another control character; nobody could type it");
    }
    Ok(password.to_owned())
}

/// Asks twice, so that a slip is not found out at the first registration.
async fn ask(signals: &mut Signals) -> anyhow::Result<String> {
    let _hidden = echo::Off::new().context("the terminal's echo cannot be switched off")?;
    let first = checked(&line("Password: ", signals).await?)?;
    let second = line("Again: ", signals).await?;
    if first != second {
        anyhow::bail!("the two passwords differ; try again");
    }
    Ok(first)
}

/// One line that was typed. An interrupt ends the wait, so that the echo comes back.
async fn line(prompt: &str, signals: &mut Signals) -> anyhow::Result<String> {
    // A terminal that cannot be written to will not be read from either.
    let _ = write!(io::stderr(), "{prompt}").and_then(|()| io::stderr().flush());
    let (typed, line) = oneshot::channel();
    // A thread nobody waits for: a read of a terminal cannot be taken back, and ends with the process.
    std::thread::spawn(move || {
        let mut line = String::new();
        let read = io::stdin().read_line(&mut line).map(|_| line);
        let _ = typed.send(read);
    });
    let line = tokio::select! {
        line = line => line.context("nobody reads the terminal")?.context("the password could not be read")?,
        _ = signals.next() => {
            say("");
            anyhow::bail!("interrupted; nothing was made");
        }
    };
    // The line break was not echoed either.
    say("");
    Ok(line.trim_end_matches(['\r', '\n']).to_owned())
}

#[cfg(unix)]
mod echo {
    //! The terminal's echo, off for as long as a value lives.

    use std::io;

    use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};

    pub(super) struct Off(Termios);

    impl Off {
        pub(super) fn new() -> io::Result<Self> {
            let before = tcgetattr(io::stdin())?;
            let mut silent = before.clone();
            silent.local_modes.remove(LocalModes::ECHO);
            // What was typed ahead was seen, and is not the password.
            tcsetattr(io::stdin(), OptionalActions::Flush, &silent)?;
            Ok(Self(before))
        }
    }

    impl Drop for Off {
        fn drop(&mut self) {
            // If that fails the terminal has gone.
            let _ = tcsetattr(io::stdin(), OptionalActions::Now, &self.0);
        }
    }
}

#[cfg(not(unix))]
mod echo {
    //! Where the echo cannot be switched off, nothing is asked for on a terminal.

    use std::io;

    pub(super) struct Off;

    impl Off {
        pub(super) fn new() -> io::Result<Self> {
            Err(io::Error::other("write the password to the standard input instead"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_read_is_one_line() {
        let read = |text: &[u8]| read(&mut &text[..]).map_err(|error| error.to_string());
        for text in [&b"secret"[..], b"secret\n", b"secret\r\n"] {
            assert_eq!(read(text).as_deref(), Ok("secret"));
        }
        assert_eq!(read(" a b \u{e9}\n".as_bytes()).as_deref(), Ok(" a b \u{e9}"));
        let longest = [b'x'; MAX_BYTES];
        assert_eq!(read(&[&longest[..], b"\r\n"].concat()).map(|password| password.len()), Ok(MAX_BYTES));
        for (text, why) in [
            (&b""[..], "is empty"),
            (b"\n", "is empty"),
            (b"a\nb\n", "line break"),
            (b"a\0b", "control character"),
            (b"\xff", "not UTF-8"),
            (&[b'x'; MAX_BYTES + 1], "more than 1024 bytes"),
            (&[b'x'; 10 * MAX_BYTES], "more than 1024 bytes"),
        ] {
            let error = read(text).unwrap_err();
            assert!(error.contains(why) && !error.contains("a\n"), "{error}");
        }
    }
}
