//! An ear, for unit tests: stands where an actor would, and says what it hears.

use std::marker::PhantomData;

use ractor::{Actor, ActorProcessingErr, ActorRef, Message};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

struct Ear<M>(PhantomData<fn(M)>);

impl<M: Message> Actor for Ear<M> {
    type Msg = M;
    type State = UnboundedSender<M>;
    type Arguments = Self::State;

    async fn pre_start(&self, _: ActorRef<M>, heard: Self::State) -> Result<Self::State, ActorProcessingErr> {
        Ok(heard)
    }

    async fn handle(&self, _: ActorRef<M>, said: M, heard: &mut Self::State) -> Result<(), ActorProcessingErr> {
        heard.send(said).map_err(|_| "nobody listens".into())
    }
}

/// A reference to tell things to, and what was told.
pub(crate) async fn ear<M: Message>() -> (ActorRef<M>, UnboundedReceiver<M>) {
    let (sender, heard) = unbounded_channel();
    let (ear, _) = Actor::spawn(None, Ear(PhantomData), sender).await.expect("an ear starts");
    (ear, heard)
}
