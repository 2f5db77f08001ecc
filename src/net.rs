//! Sockets as the broker and the client see them: something that accepts, something that connects, and the two halves of a
//! stream of bytes. TCP is what both use unless they are given something else.
//!
//! What stands here is chosen when the program runs, so what is tested over a simulated network is what is shipped, and
//! encryption needs no other reader, writer or client. A half is polled through one virtual call a system call; nothing is
//! copied, vectored writes stay vectored, and the halves of a TCP stream share no lock.

use std::{fmt, future::Future, io, net::SocketAddr, pin::Pin};

use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpSocket, TcpStream},
};

/// Where bytes come from. An error or the end is final.
pub type ReadHalf = Box<dyn AsyncRead + Send + Unpin>;

/// Where bytes go. Shutting it down, or dropping it, tells the peer that nothing more comes.
pub type WriteHalf = Box<dyn AsyncWrite + Send + Unpin>;

/// What [`Accept`] and [`Connect`] answer with, in the end.
pub type Eventually<'a, T> = Pin<Box<dyn Future<Output = io::Result<T>> + Send + 'a>>;

/// A connection: an ordered stream of bytes each way.
pub struct Socket {
    pub(crate) read: ReadHalf,
    pub(crate) write: WriteHalf,
}

impl Socket {
    /// A socket of two halves that need nothing of each other.
    pub fn from_halves(read: impl AsyncRead + Send + Unpin + 'static, write: impl AsyncWrite + Send + Unpin + 'static) -> Self {
        Self { read: Box::new(read), write: Box::new(write) }
    }

    /// A socket of a stream that cannot be taken apart. Its halves share a lock; it is held while one of them is polled.
    pub fn of_stream(stream: impl AsyncRead + AsyncWrite + Send + 'static) -> Self {
        let (read, write) = tokio::io::split(stream);
        Self::from_halves(read, write)
    }
}

impl From<TcpStream> for Socket {
    /// Frames are gathered before they are written; holding them back again would only delay them.
    fn from(stream: TcpStream) -> Self {
        // Refused only by a socket that is dead already: its reader will hear of that.
        let _ = stream.set_nodelay(true);
        let (read, write) = stream.into_split();
        Self::from_halves(read, write)
    }
}

impl fmt::Debug for Socket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Socket").finish_non_exhaustive()
    }
}

/// An endpoint: where a broker accepts connections.
pub trait Accept: fmt::Debug + Send + Sync {
    /// The next connection, and whose it is: its address is what limits per address count, and being on loopback is what a
    /// broker without users asks for. What a peer can delay, a handshake say, belongs into the socket's first read, not here.
    ///
    /// # Errors
    /// Nothing can be accepted now. The broker tries again after a moment.
    fn accept(&self) -> Eventually<'_, (Socket, SocketAddr)>;

    /// Where that is.
    ///
    /// # Errors
    /// It is nowhere any more.
    fn local_addr(&self) -> io::Result<SocketAddr>;
}

/// Connections that may wait to be accepted; the system may allow fewer. Where they do not fit they are lost, and their clients try
/// again a second later: a whole site comes back at once when its network does.
const BACKLOG: u32 = 4_096;

/// Listens at `address`.
pub(crate) fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    // What a broker that has ended leaves behind must not keep the next one from its port.
    #[cfg(unix)]
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

impl Accept for TcpListener {
    fn accept(&self) -> Eventually<'_, (Socket, SocketAddr)> {
        Box::pin(async {
            let (stream, peer) = self.accept().await?;
            Ok((stream.into(), peer))
        })
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.local_addr()
    }
}

/// How a client gets to its broker.
pub trait Connect: fmt::Debug + Send + Sync {
    /// Connects to `address`: `host:port`, the port always there.
    ///
    /// # Errors
    /// Nobody answers there now. Whether to try again is the client's to decide.
    fn connect<'a>(&'a self, address: &'a str) -> Eventually<'a, Socket>;
}

/// TCP, with names looked up by the operating system.
#[derive(Debug, Clone, Copy, Default)]
pub struct Tcp;

impl Connect for Tcp {
    fn connect<'a>(&'a self, address: &'a str) -> Eventually<'a, Socket> {
        Box::pin(async move { Ok(TcpStream::connect(address).await?.into()) })
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    /// What the writer relies on: many slices, one call, nothing joined together before it.
    #[tokio::test]
    async fn a_boxed_half_of_tcp_still_writes_vectored() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = Accept::local_addr(&listener).unwrap().to_string();
        let (accepted, connected) = tokio::join!(Accept::accept(&listener), Tcp.connect(&address));
        let ((mut here, peer), mut there) = (accepted.unwrap(), connected.unwrap());
        assert!(peer.ip().is_loopback() && here.write.is_write_vectored());
        let slices = [io::IoSlice::new(b"one"), io::IoSlice::new(b"two")];
        assert_eq!(here.write.write_vectored(&slices).await.unwrap(), 6);
        let mut both = [0; 6];
        there.read.read_exact(&mut both).await.unwrap();
        assert_eq!(&both, b"onetwo");
    }

    #[tokio::test]
    async fn a_stream_that_is_one_piece_makes_a_socket_too() {
        let (here, there) = tokio::io::duplex(16);
        let (mut here, mut there) = (Socket::of_stream(here), Socket::of_stream(there));
        here.write.write_all(b"x").await.unwrap();
        here.write.shutdown().await.unwrap();
        let mut all = Vec::new();
        there.read.read_to_end(&mut all).await.unwrap();
        assert_eq!(all, b"x");
    }
}
