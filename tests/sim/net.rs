//! The simulated network behind the library's sockets, and a client's line that is spoken frame by frame over it.

use std::{
    io,
    net::{IpAddr, SocketAddr},
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use cordboard::{
    net::{Accept, Connect, Eventually, Socket},
    wire::{self, ClientFrame, ServerFrame},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    time::timeout,
};
use turmoil::net::{TcpListener, TcpStream, tcp::OwnedWriteHalf};

use crate::fixture::{Reply, owned, rng::Rng};

pub(super) const PORT: u16 = 2673;
/// How long connecting or writing may take before a client calls the line dead.
const PATIENCE: Duration = Duration::from_secs(2);

/// The broker's endpoint.
pub(super) struct Port(TcpListener);

impl Port {
    pub(super) async fn open() -> io::Result<Self> {
        Ok(Self(TcpListener::bind(("0.0.0.0", PORT)).await?))
    }
}

impl std::fmt::Debug for Port {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Port")
    }
}

impl Accept for Port {
    /// Every host counts as this machine: a broker without users takes no others. Its number is still to be seen.
    fn accept(&self) -> Eventually<'_, (Socket, SocketAddr)> {
        Box::pin(async {
            let (stream, peer) = self.0.accept().await?;
            let host = match peer.ip() {
                IpAddr::V4(address) => address.octets()[3],
                IpAddr::V6(_) => 0,
            };
            Ok((socket(stream, u64::from(peer.port())), SocketAddr::from(([127, 0, 0, host], peer.port()))))
        })
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.0.local_addr()
    }
}

/// The library client's way to the broker.
#[derive(Debug)]
pub(super) struct Road;

impl Connect for Road {
    fn connect<'a>(&'a self, address: &'a str) -> Eventually<'a, Socket> {
        Box::pin(async move {
            let stream = TcpStream::connect(address).await?;
            let port = stream.local_addr()?.port();
            Ok(socket(stream, u64::from(port)))
        })
    }
}

fn socket(stream: TcpStream, seed: u64) -> Socket {
    let (read, write) = stream.into_split();
    Socket::from_halves(read, Choppy { inner: write, rng: Rng(seed) })
}

/// Takes only a part of what it is given, so that frames begin and end anywhere in a segment.
struct Choppy {
    inner: OwnedWriteHalf,
    rng: Rng,
}

impl AsyncWrite for Choppy {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let most = if self.rng.once_in(4) { 1 + self.rng.below(64) } else { 4_096 };
        let part = &bytes[..bytes.len().min(most as usize)];
        Pin::new(&mut self.inner).poll_write(context, part)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(context)
    }
}

/// A client's connection. It may end at any moment, and then says so.
pub(super) struct Line {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Line {
    /// None if the broker cannot be reached now.
    pub(super) async fn connect() -> Option<Self> {
        let stream = timeout(PATIENCE, TcpStream::connect(("broker", PORT))).await.ok()?.ok()?;
        Some(Self { stream, buffer: Vec::new() })
    }

    /// False if the line is dead.
    pub(super) async fn send(&mut self, frames: &[ClientFrame<'_>]) -> bool {
        let mut bytes = Vec::new();
        for frame in frames {
            frame.encode(&mut bytes);
        }
        matches!(timeout(PATIENCE, self.stream.write_all(&bytes)).await, Ok(Ok(())))
    }

    /// The next frame; none if nothing comes for so long.
    pub(super) async fn hear(&mut self, within: Duration) -> Option<Reply> {
        timeout(within, self.next()).await.ok()
    }

    async fn next(&mut self) -> Reply {
        loop {
            if let Some((raw, len)) = wire::split(&self.buffer, wire::MAX_DELIVER_FRAME).unwrap() {
                let reply = owned(ServerFrame::decode(raw).unwrap());
                self.buffer.drain(..len);
                return reply;
            }
            if matches!(self.stream.read_buf(&mut self.buffer).await, Ok(0) | Err(_)) {
                return Reply::Closed;
            }
        }
    }
}
