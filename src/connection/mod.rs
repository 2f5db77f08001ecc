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
