//! The pace of a session's requests. A client beyond it is read more slowly; coming back on another connection buys nothing.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use crate::{
    bucket::{Bucket, Pace},
    config::Sessions,
};

/// One session's requests. Clones share it.
#[derive(Debug, Clone)]
pub(crate) struct Requests(Arc<Mutex<Bucket>>);

fn pace(limits: &Sessions) -> Pace {
    Pace::per_second(limits.request_burst, limits.requests_per_second)
}

impl Requests {
    pub(crate) fn new(now: Instant) -> Self {
        Self(Arc::new(Mutex::new(Bucket::new(now))))
    }

    /// One more.
    ///
    /// # Errors
    /// Not before this time has passed.
    pub(crate) fn take(&self, limits: &Sessions, now: Instant) -> Result<(), Duration> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take(pace(limits), now)
    }
}
