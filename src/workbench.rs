//! Inner parts as a benchmark can hold them: what `tests/bench` measures and no program needs.
//!
//! Compiled with the feature `workbench` only, which benchmarks and tests turn on for themselves.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use crate::{
    batch::{Batch, BatchBuilder, BatchSize},
    name::TopicName,
    queue::{Bounds, Queue, Run},
    wire::{Headers, Publish},
};

/// A queue whose client takes and acknowledges, without the actors around it.
pub struct Bench {
    queue: Queue<()>,
    batch: Arc<Batch>,
    taken: Vec<Run>,
    now: Instant,
}

impl Bench {
    /// A queue that is given batches of `messages` with `payload` bytes each.
    #[must_use]
    pub fn new(topic: &TopicName, messages: u32, payload: usize) -> Self {
        let now = Instant::now();
        let mut queue = Queue::new(Bounds {
            messages: u64::MAX,
            bytes: u64::MAX,
            poison: 1,
            window_messages: u64::MAX,
            window_bytes: u64::MAX,
            attempts: 1,
            hold: Duration::ZERO,
        });
        queue.go_live();
        Self { queue, batch: Arc::new(batch(topic, messages, payload, now)), taken: Vec::new(), now }
    }

    /// A batch comes.
    pub fn append(&mut self) {
        self.queue.append(&self.batch, 0, || None, self.now);
    }

    /// The client takes all that waits, and acknowledges it at once; how many messages that were.
    pub fn take_and_acknowledge(&mut self) -> u64 {
        self.taken.clear();
        self.queue.take(u64::MAX, u64::MAX, self.now, &mut self.taken);
        self.taken.last().and_then(|run| self.queue.ack(run.last())).unwrap_or_default()
    }
}

/// What a reader makes of `messages` that have arrived together.
fn batch(topic: &TopicName, messages: u32, payload: usize, now: Instant) -> Batch {
    let payload = vec![b'x'; payload];
    let mut builder = BatchBuilder::new(topic.clone(), BatchSize::default());
    for sequence in 1..=u64::from(messages) {
        builder.push(&Publish { sequence, topic: topic.as_str().as_bytes(), headers: Headers::NONE, payload: &payload });
    }
    builder.seal(now)
}

/// Fills a batch with `messages` of `payload` bytes and drops it; its size in memory, in bytes.
#[must_use]
pub fn fill(topic: &TopicName, messages: u32, payload: usize, now: Instant) -> usize {
    batch(topic, messages, payload, now).footprint()
}
