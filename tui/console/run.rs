//! The loop of the console's thread: drain everything that has come, then draw at most one frame.
//!
//! It waits in `poll(2)` for keys, for messages and for the moment at which a list is due or a second has passed. It draws
//! only what has changed, and at most thirty times a second.

use std::{
    io,
    time::{Duration, Instant},
};

use cordboard::clock::Moment;

use super::{
    Options,
    keys::{Input, Keys},
    msg::{Effect, Leave, Msg},
    pump::{self, Inbox, Outbox},
    source::Source,
    state::State,
    terminal::{Ready, Screen},
    theme::Theme,
    update::update,
    view::draw,
};
use crate::job;

/// The shortest time between two frames.
const FRAME: Duration = Duration::from_millis(33);
/// A second that is a little early would be one that shows no change.
const TICK_MS: u64 = 1_000;
/// After an Escape byte, what belongs to it comes within this time, over a slow line too.
const ESCAPE: Duration = Duration::from_millis(50);

/// Whose the terminal is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// The console's.
    Front,
    /// A stop was asked for: the terminal is to be given back first.
    Stopping,
    /// Somebody else's, until the process goes on.
    Stopped,
    /// The process goes on; the terminal is taken again once it is in front.
    Behind,
}

/// The console's thread.
struct Loop<'a, S: Source> {
    source: &'a S,
    runtime: tokio::runtime::Handle,
    state: State,
    keys: Keys,
    typed: Instant,
    outbox: Outbox,
    ticked: u64,
    drawn: Option<Instant>,
    place: Place,
}

/// Runs the console on this thread until it is left.
pub(super) fn run<S: Source>(source: &S, runtime: tokio::runtime::Handle, options: Options) -> io::Result<Leave> {
    let (outbox, inbox) = pump::channel()?;
    let mut screen = Screen::take()?;
    let mut state = State::new(options.operator, Theme::chosen(options.ascii, |name| std::env::var(name).ok()), screen.size()?);
    (state.demo, state.program) = (options.demo, options.program);
    let pump = runtime.spawn(pump::run(source.clone(), outbox.try_clone()?));
    let ticked = source.now().up.0 / TICK_MS;
    let (keys, typed) = (Keys::default(), Instant::now());
    let mut console = Loop { source, runtime, state, keys, typed, outbox, ticked, drawn: None, place: Place::Front };
    let left = console.go(&mut screen, &inbox);
    pump.abort();
    left
}

impl<S: Source> Loop<'_, S> {
    fn go(&mut self, screen: &mut Screen, inbox: &Inbox) -> io::Result<Leave> {
        loop {
            if let Some(leave) = self.messages(inbox) {
                return Ok(leave);
            }
            if self.change_places(screen).and_then(|()| self.frame(screen)).is_err() {
                return Ok(Leave::TerminalGone);
            }
            let bytes = match screen.wait(&inbox.wake, self.patience())? {
                Ready::Keys => Screen::read().ok(),
                Ready::Other => Some(Vec::new()),
                Ready::HungUp => None,
            };
            let Some(bytes) = bytes else { return Ok(Leave::TerminalGone) };
            let inputs = self.inputs(&bytes);
            if let Some(leave) = self.obey(inputs) {
                return Ok(leave);
            }
        }
    }

    /// Gives the terminal back before a stop, and takes it again after that.
    fn change_places(&mut self, screen: &mut Screen) -> io::Result<()> {
        match self.place {
            Place::Stopping => {
                screen.lend();
                self.place = Place::Stopped;
                job::stop()?;
            }
            Place::Behind if job::is_in_front() => {
                screen.retake()?;
                (self.place, self.state.dirty) = (Place::Front, true);
            }
            Place::Front | Place::Stopped | Place::Behind => {}
        }
        Ok(())
    }

    /// Takes all messages that have come, and the second that has passed.
    fn messages(&mut self, inbox: &Inbox) -> Option<Leave> {
        let mut leave = None;
        while let Ok(msg) = inbox.messages.try_recv() {
            leave = leave.or(self.tell(msg));
        }
        let now = self.source.now();
        if now.up.0 / TICK_MS != self.ticked {
            self.ticked = now.up.0 / TICK_MS;
            leave = leave.or(self.tell(Msg::Tick));
        } else if self.state.due().is_some_and(|due| due <= now.up) {
            self.state.clock = now;
            self.state.rebuild();
        }
        leave
    }

    /// The keys that are whole by now; an Escape is one once nothing has followed it for a while.
    fn inputs(&mut self, bytes: &[u8]) -> Vec<Input> {
        if !bytes.is_empty() {
            self.typed = Instant::now();
            return self.keys.take(bytes);
        }
        let decided = self.until_decided().is_some_and(|left| left == Duration::ZERO);
        if decided { self.keys.decide().into_iter().collect() } else { Vec::new() }
    }

    /// How long it takes until what was typed last is a key by itself, if it may be one.
    fn until_decided(&self) -> Option<Duration> {
        self.keys.is_undecided().then(|| ESCAPE.saturating_sub(self.typed.elapsed()))
    }

    /// Does what was typed, up to the key that leaves.
    fn obey(&mut self, inputs: Vec<Input>) -> Option<Leave> {
        inputs.into_iter().find_map(|input| {
            self.tell(match input {
                Input::Key(key) => Msg::Key(key),
                Input::Paste(text) => Msg::Paste(text),
            })
        })
    }

    fn tell(&mut self, msg: Msg) -> Option<Leave> {
        let now: Moment = self.source.now();
        let effects = update(&mut self.state, now, msg);
        effects.into_iter().find_map(|effect| self.carry_out(effect))
    }

    fn carry_out(&mut self, effect: Effect) -> Option<Leave> {
        match effect {
            Effect::Leave(leave) => return Some(leave),
            Effect::ReadOnly(on) => {
                self.source.set_read_only(on);
                return self.tell(Msg::ReadOnly(self.source.is_read_only()));
            }
            Effect::Stop if self.place == Place::Front => self.place = Place::Stopping,
            Effect::Stop => {}
            Effect::Retake => self.place = Place::Behind,
            // A terminal that does not take it is not a reason to stop.
            Effect::Copy(text) => drop(Screen::copy(&text)),
            Effect::Preview => {
                let source = self.source.clone();
                match self.outbox.try_clone() {
                    Ok(outbox) => {
                        self.runtime.spawn(async move {
                            let preview = source.preview().await.map(Box::new);
                            // A console that has been left asks nothing.
                            let _ = outbox.send(Msg::Previewed(preview)).await;
                        });
                    }
                    Err(error) => return self.tell(Msg::Previewed(Err(error.to_string()))),
                }
            }
            Effect::Order(ticket, order) => {
                let source = self.source.clone();
                match self.outbox.try_clone() {
                    Ok(outbox) => {
                        self.runtime.spawn(async move {
                            let outcome = source.order(order).await;
                            // A console that has been left has no line to say it on; the audit has it.
                            let _ = outbox.send(Msg::Outcome { ticket, outcome }).await;
                        });
                    }
                    Err(error) => {
                        let why = format!("the order was not given: {error}");
                        return self.tell(Msg::Outcome { ticket, outcome: cordboard::control::Outcome::Refused { why } });
                    }
                }
            }
        }
        None
    }

    /// Draws if something has changed and the last frame is long enough ago.
    fn frame(&mut self, screen: &mut Screen) -> io::Result<()> {
        if self.place != Place::Front || !self.state.dirty || self.until_frame() > Duration::ZERO {
            return Ok(());
        }
        let size = screen.size()?;
        if size != self.state.size {
            self.tell(Msg::Resize(size.0, size.1));
        }
        screen.draw(|frame| {
            draw(&self.state, frame);
            self.source.point("Draw");
        })?;
        self.state.drawn();
        self.drawn = Some(Instant::now());
        Ok(())
    }

    fn until_frame(&self) -> Duration {
        self.drawn.map_or(Duration::ZERO, |drawn| FRAME.saturating_sub(drawn.elapsed()))
    }

    /// How long nothing need happen if nothing comes.
    fn patience(&self) -> Duration {
        let now = self.source.now().up.0;
        let second = (self.ticked + 1) * TICK_MS;
        let next = self.state.due().map_or(second, |due| due.0.min(second));
        let until = Duration::from_millis(next.saturating_sub(now));
        if self.place != Place::Front {
            return until;
        }
        let until = if self.state.dirty { until.min(self.until_frame()) } else { until };
        self.until_decided().map_or(until, |left| until.min(left))
    }
}
