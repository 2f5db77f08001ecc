//! A line: a TCP connection that can be cut, as when the process at its end is killed: no goodbye, the socket is gone.

use std::{
    fmt,
    future::Future,
    io,
    pin::Pin,
    task::{Context, Poll},
};

use cordboard::net::{Connect, Eventually, Socket};
use tokio::{
    io::{AsyncRead, ReadBuf},
    net::{TcpStream, tcp::OwnedReadHalf},
};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

/// What connects, and what is connected. Clones are the same line.
#[derive(Debug, Clone, Default)]
pub(crate) struct Line(CancellationToken);

impl Line {
    /// Cuts it, for good: the client's reader fails, and what had not gone out never will.
    pub(crate) fn cut(&self) {
        self.0.cancel();
    }
}

impl Connect for Line {
    fn connect<'a>(&'a self, address: &'a str) -> Eventually<'a, Socket> {
        Box::pin(async move {
            let stream = TcpStream::connect(address).await?;
            stream.set_nodelay(true)?;
            let (read, write) = stream.into_split();
            Ok(Socket::from_halves(Cuttable { read, cut: Box::pin(self.0.clone().cancelled_owned()) }, write))
        })
    }
}

/// The half that is always waited for, and so the one that notices.
struct Cuttable {
    read: OwnedReadHalf,
    cut: Pin<Box<WaitForCancellationFutureOwned>>,
}

impl fmt::Debug for Cuttable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cuttable").field("read", &self.read).finish_non_exhaustive()
    }
}

impl AsyncRead for Cuttable {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.cut.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
        }
        Pin::new(&mut self.read).poll_read(cx, buffer)
    }
}
