//! A visitor: comes without a session, does something half or wholly, and is gone.

use cordboard::{
    Handle,
    wire::{ClientFrame, RegistrationRequest, SubscribeRequest},
};

use super::{Loss, Rounds};
use crate::fixture::{Raw, rng::Rng};

pub(super) struct Visitor {
    broker: Handle,
    rng: Rng,
}

impl Visitor {
    pub(super) fn new(broker: &Handle, rng: Rng) -> Self {
        Self { broker: broker.clone(), rng }
    }

    pub(super) async fn live(mut self, rounds: Rounds) {
        while rounds.take() {
            self.visit().await;
        }
    }

    async fn visit(&mut self) {
        let mut subscribe = Vec::new();
        let filter = (*self.rng.pick(&["#", "news/+", "news/eu", "nobody/publishes/this"])).to_owned();
        ClientFrame::SubscribeRequest(SubscribeRequest { request: 1, filter, ack_timeout_ms: None, group: None })
            .encode(&mut subscribe);
        let mut raw = Raw::connect(self.broker.endpoints()[0]).await;
        if self.rng.once_in(4) {
            // Gone before it said who it is.
            let mut register = Vec::new();
            ClientFrame::RegistrationRequest(RegistrationRequest::new("visitor")).encode(&mut register);
            return Loss::MidFrame { reset: self.rng.once_in(2) }.of(raw, &register, &mut self.rng).await;
        }
        raw.send(&ClientFrame::RegistrationRequest(RegistrationRequest::new("visitor"))).await;
        if self.rng.once_in(4) {
            // Gone before it heard its session's id: nobody will ever resume it.
            return (*self.rng.pick(&[Loss::Eof, Loss::Reset])).of(raw, &subscribe, &mut self.rng).await;
        }
        assert!(!raw.response().await.resumed);
        raw.send_bytes(&subscribe).await;
        self.rng.dawdle().await;
        if self.rng.once_in(2) {
            raw.disconnect(true).await;
        } else {
            self.rng.pick(&Loss::ALL).of(raw, &subscribe, &mut self.rng).await;
        }
    }
}
