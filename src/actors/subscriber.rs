//! The subscriber: moves one subscription's messages from its queue into its client's window, and waits for what the client
//! says of them. Its session alone resumes and parks it; it is born parked.

use std::sync::Arc;

use ractor::{Actor, ActorProcessingErr, ActorRef};

use super::{Living, SessionMsg, alive, watch::kinds};
use crate::{
    commons::{Commons, tell},
    connection::{Delivery, Outbound},
    events::Event,
    give_way::give_way,
    limits::Limit,
    name::Epoch,
    queue::{GivenUp, Run, Stop},
    subscription::SubscriptionQueue,
    timers::Alarm,
    wire::{Nack, SubscribeAck},
};

/// Messages moved in one go while dead letters are being emptied, so that a long queue does not keep others waiting.
const DRAIN_TURN: u64 = 256;
/// Messages moved in one go when live: as many as a publisher may have on their way, so that what one read brought is one run.
const LIVE_TURN: u64 = 8_192;

/// What a subscriber can be asked.
#[derive(Debug)]
pub(crate) enum SubscriberMsg {
    /// Something waits in the queue, or there is budget again.
    Ready,
    /// The client is here: empty the queue to it, from its head.
    Resume { epoch: Epoch, outbound: Arc<Outbound>, settles: bool },
    /// The client is gone: what comes are dead letters.
    Park { epoch: Epoch },
    /// The client has settled everything up to this number.
    Ack { epoch: Epoch, number: u64 },
    /// The client gives something back.
    Nack { epoch: Epoch, number: u64, what: Nack },
    /// The ack clock may have run out.
    CheckAcks,
}

kinds! { SubscriberMsg: Ready Resume Park Ack Nack CheckAcks }

/// A subscriber's references, in dependency order.
pub(crate) struct Arguments {
    pub(crate) shared: Arc<Commons>,
    pub(crate) queue: Arc<SubscriptionQueue>,
    pub(crate) session: ActorRef<SessionMsg>,
    /// The request to answer; absent when this one takes the place of one that failed.
    pub(crate) request: Option<u32>,
}

pub(crate) struct Subscriber;

pub(crate) struct State {
    shared: Arc<Commons>,
    queue: Arc<SubscriptionQueue>,
    session: ActorRef<SessionMsg>,
    /// The filter has a wildcard: many topics bring messages.
    gathers: bool,
    mode: Mode,
    /// A timer for the ack clock is out.
    watching: bool,
    alarm: Alarm,
    request: Option<u32>,
    _alive: Living,
}

enum Mode {
    Parked,
    Live {
        epoch: Epoch,
        outbound: Arc<Outbound>,
        settles: bool,
        /// What was held while the client was away has not all been sent yet.
        draining: bool,
        /// `Ready` has been sent to ourselves.
        turning: bool,
    },
}

impl Actor for Subscriber {
    type Msg = SubscriberMsg;
    type State = State;
    type Arguments = Arguments;

    async fn pre_start(&self, myself: ActorRef<SubscriberMsg>, args: Arguments) -> Result<State, ActorProcessingErr> {
        let Arguments { shared, queue, session, request } = args;
        queue.set_subscriber(myself);
        let (alive, alarm, gathers) = (alive(&shared), shared.timers.alarm(), queue.id.filter.exact().is_none());
        Ok(State { shared, queue, session, gathers, mode: Mode::Parked, watching: false, alarm, request, _alive: alive })
    }

    /// The new subscriber answers for itself: whoever reads the answer knows that messages reach it.
    async fn post_start(&self, myself: ActorRef<SubscriberMsg>, state: &mut State) -> Result<(), ActorProcessingErr> {
        let ack = state.request.map(|request| SubscribeAck {
            request,
            filter: state.queue.id.filter.clone(),
            handle: state.queue.handle,
            ack_timeout_ms: state.queue.ack_timeout().as_millis() as u64,
            existing: false,
        });
        let message = SessionMsg::Serving { queue: Arc::clone(&state.queue), subscriber: myself, ack };
        // A session that ended meanwhile has its subscriptions ended by its manager.
        let _ = state.shared.tell(&state.session, message);
        Ok(())
    }

    async fn handle(
        &self,
        myself: ActorRef<SubscriberMsg>,
        message: SubscriberMsg,
        state: &mut State,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            SubscriberMsg::Ready => {
                // What is on its way to other topics may be about to be here, too: then it goes out together.
                if state.gathers && state.shared.ingress.used() > 0 {
                    give_way().await;
                }
                state.take_turn();
            }
            SubscriberMsg::Resume { epoch, outbound, settles } => state.resume(epoch, outbound, settles),
            SubscriberMsg::Park { epoch } => state.park(epoch),
            SubscriberMsg::Ack { epoch, number } => state.ack(epoch, number),
            SubscriberMsg::Nack { epoch, number, what } => state.nack(epoch, number, what),
            SubscriberMsg::CheckAcks => state.check_acks(),
        }
        state.pump(&myself);
        Ok(())
    }
}

impl State {
    fn take_turn(&mut self) {
        if let Mode::Live { turning, .. } = &mut self.mode {
            *turning = false;
        }
    }

    fn resume(&mut self, epoch: Epoch, outbound: Arc<Outbound>, settles: bool) {
        if matches!(self.mode, Mode::Live { .. }) {
            self.give_up(self.queue.park());
        }
        let (depth, given_up) = self.queue.go_live(settles);
        self.give_up(given_up);
        let held = depth.queued();
        let draining = held > 0;
        self.mode = Mode::Live { epoch, outbound, settles, draining, turning: false };
        if draining {
            self.shared.emit(Event::SubscriptionDraining { id: self.queue.id.clone(), held });
        } else {
            self.shared.emit(Event::SubscriptionDrained { id: self.queue.id.clone() });
        }
    }

    fn park(&mut self, epoch: Epoch) {
        let Mode::Live { epoch: current, .. } = &self.mode else {
            // The one before may have failed before it could.
            return self.give_up(self.queue.park());
        };
        if *current != epoch {
            return self.shared.stats.stale.add(1);
        }
        self.mode = Mode::Parked;
        self.give_up(self.queue.park());
        self.shared.emit(Event::SubscriptionParked { id: self.queue.id.clone() });
    }

    fn is_current(&self, epoch: Epoch) -> bool {
        let current = matches!(&self.mode, Mode::Live { epoch: current, .. } if *current == epoch);
        if !current {
            self.shared.stats.stale.add(1);
        }
        current
    }

    /// True if it is for the client of `epoch` to settle, and not for the writer.
    fn settles(&self, epoch: Epoch) -> bool {
        self.is_current(epoch) && matches!(self.mode, Mode::Live { settles: false, .. })
    }

    fn ack(&mut self, epoch: Epoch, number: u64) {
        if self.settles(epoch) && !self.queue.ack(number) {
            self.shared.stats.bad_acks.add(1);
        }
    }

    fn nack(&mut self, epoch: Epoch, number: u64, what: Nack) {
        if !self.settles(epoch) {
            return;
        }
        match what {
            Nack::Again => self.give_up(self.queue.again(number)),
            Nack::Poison => match self.queue.give_up_one(number) {
                None => self.shared.stats.bad_acks.add(1),
                given_up => self.give_up(given_up),
            },
        }
    }

    fn give_up(&self, given_up: Option<GivenUp>) {
        if let Some(GivenUp { number, attempts }) = given_up {
            self.shared.emit(Event::SubscriptionPoisoned { id: self.queue.id.clone(), number, attempts });
        }
    }

    fn check_acks(&mut self) {
        self.watching = false;
        if matches!(self.mode, Mode::Live { settles: false, .. }) {
            self.give_up(self.queue.check_acks(Commons::now()));
        }
    }

    /// Moves what waits into the window, a turn at a time, as far as the connection's budget goes.
    fn pump(&mut self, myself: &ActorRef<SubscriberMsg>) {
        let Mode::Live { epoch, outbound, settles, draining, turning } = &mut self.mode else { return };
        if *turning {
            return;
        }
        if outbound.budget().left() == 0 && outbound.wait_for_budget(myself, 0) {
            return self.shared.limits.count(Limit::Outbound, 1);
        }
        let most = if *draining { DRAIN_TURN } else { LIVE_TURN };
        let mut left = outbound.budget().left();
        let taken = self.queue.take(most, left);
        self.shared.faults.point("Subscriber", "taken", &self.queue.id);
        if !taken.runs.is_empty() {
            let (epoch, settles, pass, judged) = (*epoch, *settles, taken.pass, taken.judged);
            let delivery = |run: Run| {
                let bytes = run.bytes() + size_of::<Delivery>() as u64;
                left = left.saturating_sub(bytes);
                let (queue, budget) = (Arc::clone(&self.queue), outbound.budget().take(bytes));
                Delivery { queue, run, pass, judged, settles, budget }
            };
            let deliveries = taken.runs.into_iter().map(delivery).collect();
            // A session that has ended takes its subscribers with it.
            let _ = self.shared.tell(&self.session, SessionMsg::Deliver { epoch, deliveries });
        }
        if *draining && taken.stop == Stop::Empty {
            *draining = false;
            self.shared.emit(Event::SubscriptionDrained { id: self.queue.id.clone() });
        }
        // Whatever stopped us short of a full turn wakes us when it lets go.
        *turning = match taken.stop {
            Stop::Empty => false,
            Stop::Turn => true,
            Stop::Window => {
                self.shared.limits.count(Limit::Window, 1);
                false
            }
            Stop::Bytes => {
                self.shared.limits.count(Limit::Outbound, 1);
                // What was left for us, and not what is left now: the writer may have given all of it back meanwhile.
                !outbound.wait_for_budget(myself, left)
            }
        };
        if *turning {
            let _ = self.shared.tell(myself, SubscriberMsg::Ready);
        }
        let watched = *settles;
        if !watched {
            self.watch_acks(myself);
        }
    }

    /// One timer at a time looks after the ack clock, for as long as the queue holds anything.
    fn watch_acks(&mut self, myself: &ActorRef<SubscriberMsg>) {
        if self.watching || self.queue.depth().in_flight == 0 {
            return;
        }
        self.watching = true;
        let (stats, myself) = (Arc::clone(&self.shared.stats), myself.clone());
        self.alarm.set(self.queue.ack_deadline().into(), move || {
            let _ = tell(&stats, &myself, SubscriberMsg::CheckAcks);
        });
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use tokio::{sync::mpsc::UnboundedReceiver, time::timeout};

    use super::*;
    use crate::{
        Broker, Config, Handle,
        actors::ear::ear,
        batch::{BatchBuilder, BatchSize},
        faults::{Fault, Gate, How},
        name::{SessionId, SubscriptionHandle, SubscriptionId},
        queue::Bounds,
        wire::{Headers, Publish},
    };

    /// A subscriber, its queue, and what its session hears of it.
    struct Subscribed {
        broker: Handle,
        subscriber: ActorRef<SubscriberMsg>,
        queue: Arc<SubscriptionQueue>,
        told: UnboundedReceiver<SessionMsg>,
    }

    impl Subscribed {
        async fn new() -> Self {
            let config = Config { listen: vec!["127.0.0.1:0".parse().unwrap()], ..Config::default() };
            let broker = Broker::start(config).await.unwrap();
            let (shared, (session, told)) = (Arc::clone(broker.shared()), ear().await);
            let id = SubscriptionId { session: SessionId::from_bytes([1; 16]), filter: "t".parse().unwrap() };
            let bounds = Bounds {
                messages: 9,
                bytes: 999,
                poison: 9,
                window_messages: 9,
                window_bytes: 999,
                attempts: 9,
                hold: Duration::ZERO,
            };
            let principal = crate::name::Principal::local();
            let queue = SubscriptionQueue::new(id, SubscriptionHandle(1), principal, &shared, bounds, Duration::from_secs(9));
            let arguments = Arguments { shared, queue: Arc::clone(&queue), session, request: None };
            let (subscriber, _) = Actor::spawn(None, Subscriber, arguments).await.unwrap();
            Self { broker, subscriber, queue, told }
        }

        fn publish(&self) {
            let mut batch = BatchBuilder::new("t".parse().unwrap(), BatchSize::default());
            batch.push(&Publish { sequence: 1, topic: b"t", headers: Headers::NONE, payload: b"x" });
            drop(self.queue.append(&Arc::new(batch.seal(Instant::now())), 0, || None, (Instant::now(), 1)));
        }

        async fn delivered(&mut self) -> (Epoch, Vec<Delivery>) {
            loop {
                match timeout(Duration::from_secs(10), self.told.recv()).await {
                    Ok(Some(SessionMsg::Deliver { epoch, deliveries })) => return (epoch, deliveries),
                    Ok(Some(SessionMsg::Serving { .. })) => {}
                    other => panic!("no delivery, but: {other:?}"),
                }
            }
        }
    }

    /// I4: a session says Park and Resume in their order, and yet what belongs to a connection that is gone parks no later one.
    #[tokio::test]
    async fn a_park_of_an_older_epoch_is_counted_and_does_nothing() {
        let mut subscribed = Subscribed::new().await;
        let (now, later) = (Epoch::default().next(), Epoch::default().next().next());
        let outbound = Outbound::new(Arc::default(), 999);
        subscribed.subscriber.cast(SubscriberMsg::Resume { epoch: later, outbound, settles: false }).unwrap();
        subscribed.subscriber.cast(SubscriberMsg::Park { epoch: now }).unwrap();
        subscribed.publish();
        assert_eq!(subscribed.delivered().await.0, later);
        assert_eq!(subscribed.broker.shared().stats.stale.get(), 1);
        subscribed.broker.shutdown().await;
    }

    /// The writer gives everything back after the subscriber has looked at the budget, and before it waits for some: then it
    /// would be told by nobody.
    #[tokio::test(flavor = "multi_thread")]
    async fn budget_that_is_given_back_in_between_is_not_waited_for() {
        let mut subscribed = Subscribed::new().await;
        let (epoch, outbound, gate) = (Epoch::default().next(), Outbound::new(Arc::default(), 999), Gate::default());
        let resume = SubscriberMsg::Resume { epoch, outbound: Arc::clone(&outbound), settles: true };
        subscribed.subscriber.cast(resume).unwrap();
        subscribed.publish();
        let (_, unwritten) = subscribed.delivered().await;

        let budget = outbound.budget().take(outbound.budget().left() - 1);
        let shared = Arc::clone(subscribed.broker.shared());
        shared.faults.plan(Fault::new("Subscriber.taken", How::Block(gate.clone())));
        subscribed.publish();
        while !shared.faults.is_spent() {
            tokio::task::yield_now().await;
        }
        drop(budget);
        outbound.wrote(0);
        gate.open();
        assert_eq!(subscribed.delivered().await.1.len(), 1);
        drop(unwritten);
        subscribed.broker.shutdown().await;
    }
}
