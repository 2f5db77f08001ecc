//! Hostile and faulty clients, over real sockets: each case has its written outcome (`assets/protocol.md`), a well-behaved
//! client beside it that notices nothing (I6), and a broker that is as it was when all are gone (I5).

mod claims;
mod delivery;
mod flooding;
mod framing;
mod sessions;

use cordboard::{
    Config, Handle,
    wire::{ClientFrame, ErrorFrame},
};

use crate::fixture::{Raw, baseline::Baseline, broker_with};

/// A broker with a client that must go on working, whatever others do.
pub(crate) struct Scene {
    pub(crate) broker: Handle,
    baseline: Baseline,
    canary: Raw,
}

impl Scene {
    pub(crate) async fn set() -> Self {
        Self::set_with(|_| {}).await
    }

    pub(crate) async fn set_with(change: impl FnOnce(&mut Config)) -> Self {
        let broker = broker_with(change).await;
        let baseline = Baseline::of(&broker);
        let (mut canary, _) = Raw::register(&broker, "canary").await;
        canary.subscribe("canary").await;
        Self { broker, baseline, canary }
    }

    /// The canary is served as if nobody else were there.
    pub(crate) async fn canary_sings(&mut self) {
        let sequence = self.canary.enqueue("canary", "tweet").await;
        let got = self.canary.messages(1).await.remove(0);
        assert_eq!(got.text(), "tweet");
        self.canary.ack(cordboard::name::SubscriptionHandle(got.handle), got.number).await;
        self.canary.settle().await;
        assert!(sequence > 0);
    }

    /// All is well, and all of it ends.
    pub(crate) async fn end(mut self) {
        self.canary_sings().await;
        assert_eq!(self.broker.bus().board().broker.restarts, 0, "no manager failed");
        self.canary.disconnect(true).await;
        self.baseline.returns(&self.broker).await;
        self.broker.shutdown().await;
    }

    async fn connect(&self) -> Raw {
        Raw::connect(self.broker.endpoints()[0]).await
    }

    /// What `bytes` are answered with on a connection of their own, which is closed for it.
    async fn closed_for(&self, registered: bool, bytes: &[u8]) -> ErrorFrame {
        let mut raw = if registered { Raw::register(&self.broker, "hostile").await.0 } else { self.connect().await };
        raw.send_bytes(bytes).await;
        raw.closing_error().await
    }
}

/// A frame of any kind, flags and body, whether there is such a frame or not.
fn frame(kind: u8, flags: u8, body: &[u8]) -> Vec<u8> {
    let mut bytes = (body.len() as u32 + 2).to_be_bytes().to_vec();
    bytes.extend([kind, flags]);
    bytes.extend(body);
    bytes
}

fn encoded(frame: &ClientFrame<'_>) -> Vec<u8> {
    let mut bytes = Vec::new();
    frame.encode(&mut bytes);
    bytes
}
