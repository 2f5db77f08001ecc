//! Which of many sockets have something: one thread serves them all, so that the load costs the machine little.

use std::{
    io,
    mem::MaybeUninit,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    time::Duration,
};

use rustix::{
    event::{
        EventfdFlags, Timespec,
        epoll::{self, CreateFlags, Event, EventData, EventFlags},
        eventfd,
    },
    io::Errno,
};

/// As many as are told at once.
const EVENTS: usize = 256;

/// A set of sockets, each with a number.
#[derive(Debug)]
pub(in super::super) struct Watch(OwnedFd);

impl Watch {
    pub(in super::super) fn new() -> io::Result<Self> {
        Ok(Self(epoll::create(CreateFlags::CLOEXEC)?))
    }

    /// Tells when there is something to read.
    pub(in super::super) fn add(&self, socket: impl AsFd, number: usize) -> io::Result<()> {
        Ok(epoll::add(&self.0, socket, EventData::new_u64(number as u64), EventFlags::IN)?)
    }

    /// Tells, besides, when there is room to write; or no longer.
    pub(in super::super) fn also_writable(&self, socket: impl AsFd, number: usize, on: bool) -> io::Result<()> {
        let flags = if on { EventFlags::IN | EventFlags::OUT } else { EventFlags::IN };
        Ok(epoll::modify(&self.0, socket, EventData::new_u64(number as u64), flags)?)
    }

    /// Waits until there is something, or for this time. Returns the numbers of those that have something.
    pub(in super::super) fn wait(&self, time: Duration) -> io::Result<Vec<usize>> {
        let mut events = [MaybeUninit::<Event>::uninit(); EVENTS];
        let time = Timespec { tv_sec: time.as_secs().cast_signed(), tv_nsec: i64::from(time.subsec_nanos()) };
        match epoll::wait(&self.0, &mut events, Some(&time)) {
            Ok((events, _)) => Ok(events.iter().map(|event| event.data.u64() as usize).collect()),
            Err(Errno::INTR) => Ok(Vec::new()),
            Err(error) => Err(error.into()),
        }
    }
}

/// What one thread rings, and another's [`Watch`] hears.
#[derive(Debug)]
pub(in super::super) struct Bell(OwnedFd);

impl Bell {
    pub(in super::super) fn new() -> io::Result<Self> {
        Ok(Self(eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?))
    }

    /// Is heard until it is hushed, however often it is rung.
    pub(in super::super) fn ring(&self) {
        // It fails only where it has been rung 2^64 times without being hushed.
        let _ = rustix::io::write(&self.0, &1_u64.to_ne_bytes());
    }

    pub(in super::super) fn hush(&self) {
        // It fails only where it has not been rung.
        let _ = rustix::io::read(&self.0, &mut [0; 8]);
    }
}

impl AsFd for Bell {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
