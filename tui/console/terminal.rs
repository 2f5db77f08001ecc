//! The terminal: taken, and given back on every way out (I7).
//!
//! A panic of this thread gives it back before its message is printed. A panic of any other thread, an actor's above all,
//! must not touch the screen: while the console has it, such a panic goes to the log and nowhere else. A terminal that was
//! hung up is noticed with `poll(2)`, before anyone reads from it.

use std::{
    io::{self, Read as _, Write as _},
    os::{fd::AsFd, unix::net::UnixStream},
    panic::PanicHookInfo,
    sync::Arc,
    thread,
    time::Duration,
};

use crossterm::{
    cursor, event, execute,
    terminal::{Clear, ClearType, EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode},
};
use ratatui::Terminal;
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::backend::Bounded;

/// Bytes of keys that are read at once.
const KEYS_BYTES: usize = 1_024;

type Hook = dyn Fn(&PanicHookInfo<'_>) + Send + Sync;

/// The terminal while the console has it. Dropping gives it back.
pub(crate) struct Screen {
    terminal: Terminal<Bounded<Output>>,
    hook: Option<Arc<Hook>>,
    /// It is given back for now.
    lent: bool,
}

/// What [`Screen::wait`] found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ready {
    /// Keys can be read.
    Keys,
    /// Messages have come, or the time has.
    Other,
    /// There is no terminal any more.
    HungUp,
}

impl Screen {
    /// Takes the terminal.
    ///
    /// # Errors
    /// If standard input and output are not a terminal, or it cannot be set up; then it is as it was.
    pub(crate) fn take() -> io::Result<Self> {
        match set_up().and_then(|()| Terminal::new(Bounded::new(Output::default()))) {
            Ok(terminal) => Ok(Self { terminal, hook: Some(take_hook()), lent: false }),
            Err(error) => {
                give_back();
                Err(error)
            }
        }
    }

    /// Gives the terminal back until it is taken again.
    pub(crate) fn lend(&mut self) {
        self.lent = true;
        give_back();
    }

    /// Takes the terminal again, whatever was done to it meanwhile; the next frame is drawn whole.
    ///
    /// # Errors
    /// If there is none any more.
    pub(crate) fn retake(&mut self) -> io::Result<()> {
        self.lent = false;
        // Both of its buffers are blank then, as the screen is.
        self.terminal.swap_buffers();
        set_up()
    }

    /// Draws a frame.
    pub(crate) fn draw(&mut self, render: impl FnOnce(&mut ratatui::Frame<'_>)) -> io::Result<()> {
        self.terminal.draw(render).map(|_| ())
    }

    /// The terminal's size, as far as it is drawn on.
    pub(crate) fn size(&self) -> io::Result<(u16, u16)> {
        self.terminal.size().map(|size| (size.width, size.height))
    }

    /// Waits until keys can be read, `wake` is readable, or `timeout` has passed. While the terminal is lent, keys are
    /// somebody else's; that it is gone is heard all the same.
    pub(crate) fn wait(&self, wake: &UnixStream, timeout: Duration) -> io::Result<Ready> {
        let stdin = io::stdin();
        let gone = PollFlags::HUP | PollFlags::ERR;
        let keys = if self.lent { gone } else { gone | PollFlags::IN };
        let woken = gone | PollFlags::IN;
        let mut descriptors = [PollFd::from_borrowed_fd(stdin.as_fd(), keys), PollFd::from_borrowed_fd(wake.as_fd(), woken)];
        let timeout = Timespec { tv_sec: timeout.as_secs().try_into().unwrap_or(1), tv_nsec: timeout.subsec_nanos().into() };
        match poll(&mut descriptors, Some(&timeout)) {
            Ok(_) => {}
            Err(rustix::io::Errno::INTR) => return Ok(Ready::Other),
            Err(error) => return Err(error.into()),
        }
        let keys = descriptors[0].revents();
        if keys.intersects(PollFlags::HUP | PollFlags::ERR | PollFlags::NVAL) {
            return Ok(Ready::HungUp);
        }
        if descriptors[1].revents().contains(PollFlags::IN) {
            let mut wakes = [0; 512];
            // What it says is that there are messages; how often it says so does not matter.
            while (&*wake).read(&mut wakes).is_ok_and(|read| read == wakes.len()) {}
        }
        Ok(if keys.contains(PollFlags::IN) { Ready::Keys } else { Ready::Other })
    }

    /// Reads the keys that [`wait`](Self::wait) has found, past the buffer of the standard input, which `poll(2)` cannot see.
    ///
    /// # Errors
    /// If the terminal is gone.
    pub(crate) fn read() -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; KEYS_BYTES];
        match rustix::io::read(io::stdin(), bytes.as_mut_slice()) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(read) => bytes.truncate(read),
            Err(rustix::io::Errno::INTR | rustix::io::Errno::AGAIN) => bytes.clear(),
            Err(error) => return Err(error.into()),
        }
        Ok(bytes)
    }

    /// Puts `text` on the terminal's clipboard, if the terminal takes that (OSC 52).
    pub(crate) fn copy(text: &str) -> io::Result<()> {
        let mut out = io::stdout();
        write!(out, "\x1b]52;c;{}\x07", base64(text.as_bytes()))?;
        out.flush()
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        if !self.lent {
            give_back();
        }
        // On a terminal that is gone this is the failure that `Output` tells; ratatui's own attempt, which would print, is quiet.
        let _ = self.terminal.show_cursor();
        // A panicking thread may not change the hook; then ours stays, and does no harm to a terminal that is given back.
        if let (Some(hook), false) = (self.hook.take(), thread::panicking()) {
            std::panic::set_hook(Box::new(move |info| hook(info)));
        }
    }
}

/// The standard output, until it fails. The first failure is told; after it there is nobody to write to, and no reason to say
/// so again: ratatui, dropped, would print it to a standard error that is the same lost terminal, and panic.
#[derive(Debug)]
struct Output {
    stdout: io::Stdout,
    failed: bool,
}

impl Default for Output {
    fn default() -> Self {
        Self { stdout: io::stdout(), failed: false }
    }
}

impl Output {
    fn told<T>(&mut self, outcome: io::Result<T>, quiet: T) -> io::Result<T> {
        match outcome {
            Err(error) if error.kind() != io::ErrorKind::Interrupted => {
                if std::mem::replace(&mut self.failed, true) {
                    Ok(quiet)
                } else {
                    Err(error)
                }
            }
            outcome => outcome,
        }
    }
}

impl io::Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.stdout.write(bytes);
        self.told(written, bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        let flushed = self.stdout.flush();
        self.told(flushed, ())
    }
}

/// Takes the terminal.
fn set_up() -> io::Result<()> {
    // What crossterm has set once it does not set again, and a shell may have changed it while this process was stopped.
    disable_raw_mode()?;
    enable_raw_mode()?;
    // Cleared here and not by ratatui, which would ask for the cursor's position first: not every terminal answers.
    let clear = Clear(ClearType::All);
    execute!(io::stdout(), EnterAlternateScreen, clear, event::EnableBracketedPaste, cursor::Hide)
}

/// Gives the terminal back, as far as there is one. Cleared first: a multiplexer that was resized meanwhile mixes the two
/// screens.
fn give_back() {
    let _ = execute!(io::stdout(), event::DisableBracketedPaste, Clear(ClearType::All), LeaveAlternateScreen, cursor::Show);
    let _ = disable_raw_mode();
}

/// Installs the hook that keeps other threads' panics off the screen; returns the one that was there.
fn take_hook() -> Arc<Hook> {
    let before: Arc<Hook> = Arc::from(std::panic::take_hook());
    let (console, old) = (thread::current().id(), Arc::clone(&before));
    std::panic::set_hook(Box::new(move |info| {
        if thread::current().id() == console {
            give_back();
            old(info);
        } else {
            tracing::error!(panic = %info, "a task failed");
        }
    }));
    before
}

/// Base64 with padding, as OSC 52 wants it.
fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let word = chunk.iter().fold(0_u32, |word, byte| word << 8 | u32::from(*byte)) << (8 * (3 - chunk.len()));
        for place in 0..4 {
            let digit = DIGITS[(word >> (18 - 6 * place) & 63) as usize];
            text.push(if place <= chunk.len() { char::from(digit) } else { '=' });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_what_terminals_expect() {
        for (plain, coded) in
            [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foobar", "Zm9vYmFy"), ("\u{fb}\u{ff}", "w7vDvw==")]
        {
            assert_eq!(base64(plain.as_bytes()), coded, "{plain}");
        }
    }
}
