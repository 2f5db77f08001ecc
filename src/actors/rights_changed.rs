//! The message that the users were read again, and the count of what that has cost: each actor that ends something for it adds
//! to the count, and when the last copy of the message is dropped, the order is answered.

use std::sync::{Arc, Mutex, PoisonError};

use ractor::RpcReplyPort;

use crate::{control::Outcome, events::Lost};

/// The users are others now: whoever keeps something by what they were looks again.
#[derive(Debug, Clone)]
pub(crate) struct RightsChanged(Arc<Reload>);

#[derive(Debug)]
struct Reload {
    by: String,
    lost: Mutex<Lost>,
    reply: Option<RpcReplyPort<Outcome>>,
}

impl RightsChanged {
    /// `reply` is answered when everyone has looked.
    pub(crate) fn new(by: String, reply: RpcReplyPort<Outcome>) -> Self {
        Self(Arc::new(Reload { by, lost: Mutex::default(), reply: Some(reply) }))
    }

    /// Who ordered it.
    pub(crate) fn by(&self) -> &str {
        &self.0.by
    }

    /// Something was lost by it.
    pub(crate) fn cost(&self, lost: Lost) {
        *self.0.lost.lock().unwrap_or_else(PoisonError::into_inner) += lost;
    }
}

impl Drop for Reload {
    fn drop(&mut self) {
        let lost = *self.lost.get_mut().unwrap_or_else(PoisonError::into_inner);
        if let Some(reply) = self.reply.take() {
            // Whoever asked may have given up waiting.
            let _ = reply.send(Outcome::Done { lost });
        }
    }
}
