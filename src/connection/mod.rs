//! One client connection's two tasks and what lies between them and the actors: the reader turns bytes into chunks, the
//! writer turns what waits in the outbound queue into bytes. All socket I/O of the broker is in here; actors never wait for it.

mod chunk;
mod credit;
mod outbound;
mod reader;
mod requests;
mod writer;

use std::time::Duration;

pub(crate) use self::{
    chunk::{Chunk, Group, Request, Unaccepted},
    credit::{Credit, Spent},
    outbound::{Delivery, Outbound},
    reader::{Admission, ReadEnd, Reader},
    requests::Requests,
    writer::Writer,
};

/// How long a goodbye may take to be written, and then its peer to hear it and go.
pub(crate) const GOODBYE: Duration = Duration::from_secs(1);

/// What runs beside a listener until it ends. It is lent to its future, and that to nobody: whatever is handed over to a future
/// takes its room twice, for as long as a connection lives.
pub(crate) trait Task: Send + 'static {
    /// How it ended.
    type End: Send + 'static;

    /// Runs to the end.
    fn run(&mut self) -> impl Future<Output = Self::End> + Send;
}
