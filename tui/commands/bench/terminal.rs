//! A terminal of 80x24 that nobody looks at: what is drawn on it is read at once, so that whoever draws never waits, and counted.

use std::{
    fs::File,
    io::{self, Read as _},
    os::fd::OwnedFd,
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    thread::{self, JoinHandle},
};

use rustix::{
    pty::{OpenptFlags, grantpt, ioctl_tiocgptpeer, openpt, unlockpt},
    termios::{Winsize, tcsetwinsize},
};

const SIZE: Winsize = Winsize { ws_row: 24, ws_col: 80, ws_xpixel: 0, ws_ypixel: 0 };

/// The end that is watched.
#[derive(Debug)]
pub(super) struct Terminal {
    drawn: Arc<AtomicU64>,
    reader: JoinHandle<()>,
}

impl Terminal {
    /// Gives `command` a terminal as its input and output. It is gone with the process.
    pub(super) fn of(command: &mut Command) -> io::Result<Self> {
        let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
        let ours = openpt(flags)?;
        grantpt(&ours)?;
        unlockpt(&ours)?;
        tcsetwinsize(&ours, SIZE)?;
        let theirs: OwnedFd = ioctl_tiocgptpeer(&ours, flags)?;
        command.stdin(theirs.try_clone()?).stdout(theirs).env("TERM", "xterm-256color");
        let drawn = Arc::new(AtomicU64::new(0));
        let counted = Arc::clone(&drawn);
        let reader = thread::Builder::new().name("terminal".to_owned()).spawn(move || read(&mut File::from(ours), &counted))?;
        Ok(Self { drawn, reader })
    }

    /// True if something was drawn.
    pub(super) fn is_drawn_on(&self) -> bool {
        self.drawn.load(Relaxed) > 0
    }

    /// True if nobody can draw any more.
    pub(super) fn is_left(&self) -> bool {
        self.reader.is_finished()
    }
}

/// Reads until nobody is left who could write.
fn read(terminal: &mut File, drawn: &AtomicU64) {
    let mut bytes = [0; 16 << 10];
    loop {
        match terminal.read(&mut bytes) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Ok(0) | Err(_) => return,
            Ok(read) => drop(drawn.fetch_add(read as u64, Relaxed)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt as _;

    use super::*;

    /// More than it holds by itself would otherwise stop whoever writes.
    #[test]
    fn a_terminal_has_its_size_and_never_makes_anybody_wait() {
        let mut command = Command::new("sh");
        let size = "[ \"$(stty size)\" = \"24 80\" ] || exit 3";
        command.args(["-c", &format!("{size}; [ -t 0 ] && [ -t 1 ] && head -c 300000 /dev/zero")]);
        let terminal = Terminal::of(&mut command).unwrap();
        let status = command.status().unwrap();
        assert_eq!((status.code(), status.signal()), (Some(0), None));
        drop(command);
        assert!(terminal.is_drawn_on());
        terminal.reader.join().unwrap();
        assert_eq!(terminal.drawn.load(Relaxed), 300_000);
    }
}
