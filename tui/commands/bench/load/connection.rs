//! One connection to a broker: bytes that wait to be written, and bytes that are not whole yet.

use std::{
    io::{self, ErrorKind, IoSliceMut, Write},
    net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream},
    os::fd::{AsFd, AsRawFd as _, BorrowedFd},
    time::{Duration, Instant, SystemTime},
};

use nix::sys::{
    socket::{ControlMessageOwned, MsgFlags, recvmsg, setsockopt, sockopt::ReceiveTimestampns},
    time::TimeSpec,
};
use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, socket_with};

use super::{Heard, Identity, LoadError, Protocol};

/// How long a broker may take to answer what is asked before a measurement.
const PATIENCE: Duration = Duration::from_secs(10);

/// Connections from one address to one other and its port: systems have some 28,000 ports to give to them.
const PER_SOURCE: usize = 20_000;

/// Bytes that are written at once where nobody waits for each.
const CHUNK: usize = 32 << 10;

/// What one reading brought.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum Read {
    None,
    Some {
        /// When the last of it came to this system, if that was noted.
        arrived: Option<Instant>,
    },
}

/// A connection that speaks `P`.
#[derive(Debug)]
pub(in super::super) struct Connection<P> {
    socket: TcpStream,
    pub(in super::super) protocol: P,
    inbox: Vec<u8>,
    /// Bytes of the inbox that are there.
    filled: usize,
    /// For what the system says of them.
    notes: Vec<u8>,
    outbox: Vec<u8>,
    /// Bytes of the outbox that are written.
    written: usize,
}

impl<P: Protocol> Connection<P> {
    /// Connects and says who it is, with room for `buffer` bytes at first; the answer is still to come.
    pub(in super::super) fn begin(address: SocketAddr, identity: &Identity, buffer: usize) -> Result<Self, LoadError> {
        let socket = connect(address, identity.source).map_err(unreachable)?;
        socket.set_nodelay(true)?;
        let mut outbox = Vec::new();
        let protocol = P::open(identity, &mut outbox);
        let mut connection = Self { socket, protocol, inbox: vec![0; buffer], filled: 0, notes: Vec::new(), outbox, written: 0 };
        connection.flush()?;
        Ok(connection)
    }

    /// Connects, and waits until it is welcome.
    pub(in super::super) fn open(address: SocketAddr, identity: &Identity, buffer: usize) -> Result<Self, LoadError> {
        let mut connection = Self::begin(address, identity, buffer)?;
        connection.socket.set_read_timeout(Some(PATIENCE))?;
        connection.socket.set_write_timeout(Some(PATIENCE))?;
        connection.await_answers(1)?;
        Ok(connection)
    }

    /// Subscribes to all of them; all are in place when it returns.
    pub(in super::super) fn subscribe(&mut self, filters: impl Iterator<Item = String>) -> Result<(), LoadError> {
        let mut count = 0;
        for filter in filters {
            self.protocol.subscribe(&filter, &mut self.outbox);
            count += 1;
        }
        self.flush_all()?;
        self.await_answers(count)
    }

    /// Reads until so many answers have come. What else comes meanwhile is older than any measurement.
    fn await_answers(&mut self, mut count: usize) -> Result<(), LoadError> {
        while count > 0 {
            self.hear_more("a registration or subscription was to be answered", &mut |heard| {
                count -= usize::from(heard == Heard::Answered && count > 0);
            })?;
        }
        Ok(())
    }

    /// Reads until so many messages have come, which are older than any measurement.
    pub(in super::super) fn await_messages(&mut self, mut count: usize) -> Result<(), LoadError> {
        while count > 0 {
            self.hear_more("messages were to be delivered", &mut |heard| {
                count -= usize::from(matches!(heard, Heard::Message(_)) && count > 0);
            })?;
            self.flush_all()?;
        }
        Ok(())
    }

    /// Publishes; waits first, if there is no credit.
    pub(in super::super) fn publish_within_credit(&mut self, topic: &str, payload: &[u8]) -> Result<(), LoadError> {
        if self.protocol.credit(payload.len()) == 0 || self.outbox.len() > CHUNK {
            self.flush_all()?;
        }
        while self.protocol.credit(payload.len()) == 0 {
            if self.protocol.is_settled() {
                return Err(LoadError::NoCredit { payload: payload.len() });
            }
            self.hear_more("messages were to be acknowledged", &mut |_| {})?;
        }
        self.publish(topic, payload);
        Ok(())
    }

    /// Waits until all that was published is acknowledged.
    pub(in super::super) fn settle(&mut self) -> Result<(), LoadError> {
        self.flush_all()?;
        while !self.protocol.is_settled() {
            self.hear_more("messages were to be acknowledged", &mut |_| {})?;
        }
        Ok(())
    }

    fn hear_more(&mut self, waits_for: &'static str, hear: &mut impl FnMut(Heard<'_>)) -> Result<(), LoadError> {
        if self.receive(hear)? { Ok(()) } else { Err(LoadError::Silent { seconds: PATIENCE.as_secs(), waits_for }) }
    }

    /// Before a measurement: waits until everything is written.
    fn flush_all(&mut self) -> Result<(), LoadError> {
        let waits_for = "it was to read what it was sent";
        if self.flush()? { Ok(()) } else { Err(LoadError::Silent { seconds: PATIENCE.as_secs(), waits_for }) }
    }

    /// From now on it waits no longer than this for something to read.
    pub(in super::super) fn set_patience(&self, patience: Duration) -> Result<(), LoadError> {
        Ok(self.socket.set_read_timeout(Some(patience))?)
    }

    /// From now on it never waits.
    pub(in super::super) fn set_nonblocking(&self) -> Result<(), LoadError> {
        Ok(self.socket.set_nonblocking(true)?)
    }

    /// From now on the system notes when something comes, which may be long before this process has a processor to read it.
    pub(in super::super) fn note_arrivals(&mut self) -> Result<(), LoadError> {
        setsockopt(&self.socket, ReceiveTimestampns, &true).map_err(io::Error::from)?;
        self.notes = nix::cmsg_space!(TimeSpec);
        Ok(())
    }

    /// Reads once and hears all of it that is whole. False if nothing was there.
    pub(in super::super) fn receive(&mut self, hear: &mut impl FnMut(Heard<'_>)) -> Result<bool, LoadError> {
        if self.read()? == Read::None {
            return Ok(false);
        }
        self.hear(hear)?;
        Ok(true)
    }

    /// Reads once.
    pub(in super::super) fn read(&mut self) -> Result<Read, LoadError> {
        let room = &mut [IoSliceMut::new(&mut self.inbox[self.filled..])];
        let read = recvmsg::<()>(self.socket.as_raw_fd(), room, Some(&mut self.notes), MsgFlags::empty());
        let read = match read.map_err(io::Error::from) {
            Ok(read) if read.bytes == 0 => return Err(LoadError::Closed),
            Ok(read) => read,
            Err(error) if is_not_now(&error) => return Ok(Read::None),
            Err(error) => return Err(error.into()),
        };
        let noted = read.cmsgs().map_err(io::Error::from)?.find_map(|note| match note {
            ControlMessageOwned::ScmTimestampns(time) => Some(SystemTime::UNIX_EPOCH + Duration::from(time)),
            _ => None,
        });
        self.filled += read.bytes;
        // The two clocks are read together, as they drift apart; a clock that was set meanwhile says nothing.
        let ago = noted.and_then(|noted| noted.elapsed().ok());
        Ok(Read::Some { arrived: ago.and_then(|ago| Instant::now().checked_sub(ago)) })
    }

    /// Hears all that was read and is whole.
    pub(in super::super) fn hear(&mut self, hear: &mut impl FnMut(Heard<'_>)) -> Result<(), LoadError> {
        let taken = self.protocol.read(&self.inbox[..self.filled], &mut self.outbox, hear)?;
        self.inbox.copy_within(taken..self.filled, 0);
        self.filled -= taken;
        if self.filled == self.inbox.len() {
            self.inbox.resize(2 * self.filled, 0);
        }
        Ok(())
    }

    /// Publishes, when it is flushed.
    pub(in super::super) fn publish(&mut self, topic: &str, payload: &[u8]) {
        self.protocol.publish(topic, payload, &mut self.outbox);
    }

    /// Says that it is still there.
    pub(in super::super) fn heartbeat(&mut self) -> Result<bool, LoadError> {
        self.protocol.heartbeat(&mut self.outbox);
        self.flush()
    }

    /// Leaves for good, as far as that can be said without waiting.
    pub(in super::super) fn leave(mut self) {
        self.protocol.goodbye(&mut self.outbox);
        // A broker that has gone does not need to know.
        let _ = self.flush();
    }

    /// Writes what is there. False if not all of it could be written now.
    pub(in super::super) fn flush(&mut self) -> Result<bool, LoadError> {
        while self.written < self.outbox.len() {
            match self.socket.write(&self.outbox[self.written..]) {
                Ok(0) => return Err(LoadError::Closed),
                Ok(written) => self.written += written,
                Err(error) if is_not_now(&error) => return Ok(false),
                Err(error) if matches!(error.kind(), ErrorKind::BrokenPipe | ErrorKind::ConnectionReset) => {
                    return Err(LoadError::Closed);
                }
                Err(error) => return Err(error.into()),
            }
        }
        self.outbox.clear();
        self.written = 0;
        Ok(true)
    }
}

impl<P> AsFd for Connection<P> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// From `source`, or from where the system likes.
fn connect(address: SocketAddr, source: Option<IpAddr>) -> io::Result<TcpStream> {
    let Some(source) = source else { return TcpStream::connect(address) };
    let family = if source.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let socket = socket_with(family, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
    bind(&socket, &SocketAddr::new(source, 0))?;
    rustix::net::connect(&socket, &address)?;
    Ok(socket.into())
}

fn unreachable(error: io::Error) -> LoadError {
    match error.kind() {
        ErrorKind::AddrNotAvailable | ErrorKind::AddrInUse => LoadError::NoPort,
        _ => LoadError::Unreachable(error),
    }
}

/// Where connection `number` of very many comes from: on a machine that talks with itself there are more addresses than one, each
/// with ports of its own.
pub(in super::super) fn source(address: SocketAddr, number: usize) -> Option<IpAddr> {
    const FIRST: u32 = Ipv4Addr::LOCALHOST.to_bits();
    let nth = u32::try_from(number / PER_SOURCE).ok().filter(|nth| *nth > 0)?;
    address.ip().is_loopback().then_some(())?;
    address.is_ipv4().then(|| Ipv4Addr::from_bits(FIRST + nth).into())
}

fn is_not_now(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Where there are other addresses to come from, so many clients as have no ports otherwise come from those.
    #[test]
    fn very_many_clients_come_from_several_addresses() {
        let of = |address: &str, number| source(address.parse().unwrap(), number).map(|source| source.to_string());
        assert_eq!([0, PER_SOURCE - 1].map(|number| of("127.0.0.1:9", number)), [None, None]);
        assert_eq!([PER_SOURCE, 3 * PER_SOURCE].map(|number| of("127.0.0.1:9", number).unwrap()), ["127.0.0.2", "127.0.0.4"]);
        assert_eq!([of("[::1]:9", PER_SOURCE), of("192.0.2.1:9", PER_SOURCE)], [None, None]);
    }

    #[test]
    fn a_connection_comes_from_where_it_should() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let socket = connect(address, source(address, PER_SOURCE)).unwrap();
        assert_eq!(listener.accept().unwrap().1, socket.local_addr().unwrap());
        assert_eq!(socket.local_addr().unwrap().ip().to_string(), "127.0.0.2");
        let error = unreachable(connect(address, Some("192.0.2.1".parse().unwrap())).unwrap_err()).to_string();
        assert!(error.contains("no port left") && error.contains("--clients"), "{error}");
    }
}
