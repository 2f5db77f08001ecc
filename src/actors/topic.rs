//! The topic: one actor, so that every subscription sees a publisher's messages in one order. It appends what is published to
//! the queue of every subscription that matches, or to its backlog, and answers the receipt.

use std::{
    collections::VecDeque,
    sync::{Arc, atomic::Ordering::Relaxed},
};

use ractor::{Actor, ActorProcessingErr, ActorRef};
use smallvec::SmallVec;

use super::{Door, alive, watch::kinds};
use crate::{
    batch::Batch,
    commons::{Commons, tell},
    connection::Unaccepted,
    name::Principal,
    receipt::Receipt,
    stats::Stats,
    subscription::{SubscriptionQueue, Wake},
    topic_cell::{Life, TopicCell},
    wire::Code,
};

/// What a topic can be asked.
#[derive(Debug)]
pub(crate) enum TopicMsg {
    /// Append `batch` from index `skip` on to the queue of every matching subscription, and answer `receipt`.
    Publish { batch: Batch, skip: u32, receipt: Receipt, ingress: Unaccepted },
    /// An exact subscription has come: the backlog is for it.
    Wake,
    /// As much room as could be made has been made: what waits for it is accepted or refused.
    RoomMade(RoomMade),
}

kinds! { TopicMsg: Publish Wake RoomMade }

/// The broker is full: make room by dropping the oldest backlogs, then the oldest messages of parked queues, and say when it is
/// done.
#[derive(Debug)]
pub(crate) struct MakeRoom(pub(crate) Door<RoomMade>);

/// It is done, as far as it could be.
#[derive(Debug)]
pub(crate) struct RoomMade;

/// Where to publish to.
#[derive(Debug, Clone)]
pub(crate) struct TopicRef {
    pub(crate) actor: ActorRef<TopicMsg>,
    pub(crate) cell: Arc<TopicCell>,
}

impl TopicRef {
    /// Sends it what is published; gives it back if the topic is ending or has ended.
    pub(crate) fn send(&self, stats: &Stats, message: TopicMsg) -> Option<TopicMsg> {
        if self.cell.life() == Life::Open { tell(stats, &self.actor, message).err() } else { Some(message) }
    }
}

/// A topic's references, in dependency order.
pub(crate) struct Arguments {
    pub(crate) shared: Arc<Commons>,
    pub(crate) cell: Arc<TopicCell>,
    pub(crate) make_room: Door<MakeRoom>,
}

pub(crate) struct Topic;

pub(crate) struct State {
    shared: Arc<Commons>,
    cell: Arc<TopicCell>,
    make_room: Door<MakeRoom>,
    /// The queues that matched at `generation`; none matched before the first look.
    queues: Vec<Arc<SubscriptionQueue>>,
    generation: Option<u64>,
    /// The users by whose rights they were chosen.
    judged: u64,
    /// What was published while the broker was full, in order. Bounded by what all connections may have on their way.
    stalled: VecDeque<TopicMsg>,
    room_made: Door<RoomMade>,
    _alive: super::Living,
}

impl Actor for Topic {
    type Msg = TopicMsg;
    type State = State;
    type Arguments = Arguments;

    async fn pre_start(&self, myself: ActorRef<TopicMsg>, args: Arguments) -> Result<State, ActorProcessingErr> {
        let Arguments { shared, cell, make_room } = args;
        let alive = alive(&shared);
        let room_made = Door::new(&shared.stats, &myself, TopicMsg::RoomMade);
        let stalled = VecDeque::new();
        Ok(State { shared, cell, make_room, queues: Vec::new(), generation: None, judged: 0, stalled, room_made, _alive: alive })
    }

    async fn handle(&self, _: ActorRef<TopicMsg>, message: TopicMsg, state: &mut State) -> Result<(), ActorProcessingErr> {
        match message {
            publish @ TopicMsg::Publish { .. } if state.must_wait() => state.stall(publish),
            TopicMsg::Publish { batch, skip, receipt, ingress } => {
                state.publish(batch, skip, receipt, ingress);
            }
            TopicMsg::Wake => state.look_again(),
            TopicMsg::RoomMade(RoomMade) => state.go_on(),
        }
        Ok(())
    }
}

impl State {
    /// Nothing overtakes what waits for room.
    fn must_wait(&self) -> bool {
        !self.stalled.is_empty() || self.shared.memory.is_full()
    }

    fn stall(&mut self, publish: TopicMsg) {
        if self.stalled.is_empty() {
            self.make_room.send(MakeRoom(self.room_made.clone()));
        }
        self.stalled.push_back(publish);
    }

    /// Room was made, if any could be.
    fn go_on(&mut self) {
        for publish in std::mem::take(&mut self.stalled) {
            if let TopicMsg::Publish { batch, skip, receipt, ingress } = publish {
                self.publish(batch, skip, receipt, ingress);
            }
        }
    }

    fn publish(&mut self, mut batch: Batch, skip: u32, receipt: Receipt, unaccepted: Unaccepted) {
        if self.cell.life() == Life::Killed {
            return receipt.refuse(Code::Gone, "the topic was killed; publish again to create it anew");
        }
        if self.shared.memory.is_full() {
            return receipt.refuse(Code::NoRoom, "the broker's queues are full (queues.all_bytes); try again later");
        }
        let now = self.shared.clock.now();
        batch.accept(now.wall.0, &self.shared.memory);
        drop(unaccepted);
        let messages = u64::from(batch.len() - skip);
        let batch = Arc::new(batch);
        self.look_again();
        let instant = Commons::now();
        let mut woken = SmallVec::<[Wake; 1]>::new();
        if self.queues.is_empty() {
            if !self.cell.backlog().append(batch, skip, instant) {
                // Everything ends just now: as lost as what the backlog held then.
                self.shared.stats.dropped.add(messages);
            }
        } else {
            let append =
                |queue: &Arc<SubscriptionQueue>| queue.append(&batch, skip, || receipt.settlement(), (instant, self.judged));
            woken.extend(self.queues.iter().filter_map(append));
        }
        self.shared.faults.point("Topic", "appended", &self.cell.topic);
        self.shared.stats.published.add(messages);
        self.cell.published.add(messages);
        self.cell.fanned_out.add(messages * self.queues.len() as u64);
        self.cell.last_publish.store(now.up.0 + 1, Relaxed);
        self.cell.changed.store(true, Relaxed);
        receipt.accept();
        // Told last, they run first, but for what is still on its way in: a delivery is waited for by more than its answer is.
        drop(woken);
    }

    /// Matches again if subscriptions or rights have changed. A backlog goes to the first exact subscription, before anything newer.
    fn look_again(&mut self) {
        if self.generation == Some(self.shared.filters.generation()) && self.judged == self.shared.access.generation() {
            return;
        }
        let (generation, mut queues) = self.shared.filters.matches(&self.cell.topic);
        let users = self.shared.access.current();
        let may_receive =
            |principal: &Principal| users.rights_of(principal).is_some_and(|rights| rights.may_receive(&self.cell.topic));
        queues.retain(|queue| may_receive(&queue.principal));
        (self.generation, self.judged) = (Some(generation), users.generation);
        self.queues = queues;
        self.cell.matched.set(self.queues.len() as u64);
        let first_exact = self.queues.iter().find(|queue| queue.id.filter.as_str() == self.cell.topic.as_str());
        if let Some(queue) = first_exact {
            let backlog = self.cell.backlog().take();
            for part in backlog {
                drop(queue.append(&part.batch, part.from, || None, (Commons::now(), self.judged)));
            }
        }
    }
}
