//! What a queue promises: one short example a rule, and behind them a model that any mix of calls must agree with.

mod model;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use super::*;
use crate::wire::{Headers, Publish, headers_from};

const SECOND: Duration = Duration::from_secs(1);

/// A bound of ten messages, a window of four, three attempts.
const BOUNDS: Bounds = Bounds {
    messages: 10,
    bytes: 10_000,
    poison: 2,
    window_messages: 4,
    window_bytes: 1_000,
    attempts: 3,
    hold: Duration::from_secs(2),
};

/// A message: who it is, how long its payload is, how long it lives.
#[derive(Debug, Clone, Copy)]
struct Made {
    id: u64,
    len: usize,
    ttl: Option<Duration>,
}

fn batch(messages: &[Made], now: Instant) -> Arc<Batch> {
    batch_of("t", messages, now)
}

fn batch_of(topic: &str, messages: &[Made], now: Instant) -> Arc<Batch> {
    let mut builder = crate::batch::BatchBuilder::new(topic.parse().unwrap(), crate::batch::BatchSize::default());
    for made in messages {
        let ttl = made.ttl.map(|ttl| ttl.as_millis().to_string());
        let headers = headers_from(ttl.iter().map(|ttl| (Headers::TTL_MS, ttl.as_str()))).unwrap();
        let mut payload = made.id.to_be_bytes().to_vec();
        payload.resize(made.len.max(8), 0);
        let headers = Headers::from_bytes(&headers).unwrap();
        builder.push(&Publish { sequence: 1, topic: topic.as_bytes(), headers, payload: &payload });
    }
    Arc::new(builder.seal(now))
}

/// Messages 1 to `count`, as one batch.
fn plain(count: u64, now: Instant) -> Arc<Batch> {
    batch(&(1..=count).map(|id| Made { id, len: 8, ttl: None }).collect::<Vec<_>>(), now)
}

/// What was taken: (number, id, redelivered).
fn told(runs: &[Run]) -> Vec<(u64, u64, bool)> {
    let message = |run: &Run, i: u32| {
        let (_, payload) = crate::wire::read_record(run.batch.records(run.start + i, 1)).unwrap();
        (run.first + u64::from(i), u64::from_be_bytes(payload[..8].try_into().unwrap()), run.redelivered)
    };
    runs.iter().flat_map(|run| (0..run.len).map(move |i| message(run, i))).collect()
}

fn take(queue: &mut Queue<u32>, now: Instant) -> Vec<(u64, u64, bool)> {
    let mut out = Vec::new();
    queue.take(u64::MAX, u64::MAX, now, &mut out);
    told(&out)
}

/// Takes what the window has room for and says that it was written; the numbers of that.
fn send(queue: &mut Queue<u32>, now: Instant) -> Vec<u64> {
    let numbers: Vec<u64> = take(queue, now).into_iter().map(|(number, ..)| number).collect();
    if let Some(last) = numbers.last() {
        queue.written(queue.pass(), *last);
    }
    numbers
}

/// A live queue with messages 1 to `count`.
fn live(count: u64) -> (Queue<u32>, Instant) {
    let (mut queue, now) = (Queue::new(BOUNDS), Instant::now());
    queue.go_live();
    assert_eq!(queue.append(&plain(count, now), 0, || None, now), Appended::Fits);
    (queue, now)
}

fn dropped(queue: &mut Queue<u32>) -> Vec<(DropReason, u64)> {
    queue.take_untold().collect()
}

#[test]
fn the_window_is_filled_and_moves_with_the_acknowledgements() {
    let (mut queue, now) = live(6);
    assert_eq!(send(&mut queue, now), [1, 2, 3, 4]);
    assert_eq!(send(&mut queue, now), [0_u64; 0]);
    assert_eq!(queue.ack(2), Some(2));
    assert_eq!(send(&mut queue, now), [5, 6]);
}

/// I5: where nobody is waited for, half of what a queue may hold is in flight, and the newest have the other half.
#[test]
fn where_writing_settles_the_window_is_half_of_the_queue() {
    let (mut queue, now) = live(6);
    queue.settle_by_writing(true);
    assert_eq!(send(&mut queue, now), [1, 2, 3, 4, 5]);
    for _ in 0..3 {
        assert_eq!(queue.append(&plain(3, now), 0, || None, now), Appended::Fits);
    }
    assert_eq!(dropped(&mut queue), [(DropReason::QueueFull, 5)]);
    assert_eq!(queue.ack(5), Some(5));
    assert_eq!(send(&mut queue, now), [11, 12, 13, 14, 15]);
    queue.settle_by_writing(false);
    queue.ack(15);
    queue.append(&plain(6, now), 0, || None, now);
    assert_eq!(send(&mut queue, now), [16, 17, 18, 19]);
}

/// A message of more than the window goes alone, so that it goes at all.
#[test]
fn a_message_larger_than_the_window_is_sent_when_nothing_else_is_in_flight() {
    let (mut queue, now) = (Queue::<u32>::new(BOUNDS), Instant::now());
    let made = |id, len| Made { id, len, ttl: None };
    queue.append(&batch(&[made(1, 8), made(2, 2_000), made(3, 8)], now), 0, || None, now);
    assert_eq!(send(&mut queue, now), [1]);
    queue.ack(1);
    assert_eq!(send(&mut queue, now), [2]);
    queue.ack(2);
    assert_eq!(send(&mut queue, now), [3]);
}

/// A Deliver is cut at 1 MiB, but carries at least one message.
#[test]
fn what_is_taken_is_cut_into_frames() {
    let bounds = Bounds { window_bytes: 8 << 20, bytes: 8 << 20, ..BOUNDS };
    let (mut queue, now) = (Queue::<u32>::new(bounds), Instant::now());
    let lens = [400 << 10, 400 << 10, 400 << 10, 2 << 20];
    let made: Vec<_> = (1..).zip(lens).map(|(id, len)| Made { id, len, ttl: None }).collect();
    queue.append(&batch(&made, now), 0, || None, now);
    let mut out = Vec::new();
    queue.take(u64::MAX, u64::MAX, now, &mut out);
    assert_eq!(out.iter().map(|run| run.len).collect::<Vec<_>>(), [2, 1]);
    queue.ack(3);
    out.clear();
    queue.take(u64::MAX, u64::MAX, now, &mut out);
    assert_eq!(told(&out), [(4, 4, false)]);
}

/// Who waits for what: the budget when it is written, the window when it is acknowledged.
#[test]
fn it_is_told_whether_the_budget_or_the_window_was_short() {
    let (mut queue, now) = live(6);
    let mut take = |bytes| queue.take(u64::MAX, bytes, now, &mut Vec::new());
    assert_eq!(take(20), Stop::Bytes, "the third does not fit 20 bytes");
    assert_eq!(take(u64::MAX), Stop::Window, "four are in flight");
}

#[test]
fn an_acknowledgement_beyond_what_was_sent_is_refused() {
    let (mut queue, now) = live(6);
    assert_eq!(queue.ack(1), None);
    send(&mut queue, now);
    assert_eq!(queue.ack(5), None);
    assert_eq!((queue.depth().in_flight, queue.ack(4)), (4, Some(4)));
    assert_eq!(queue.ack(4), Some(0));
}

/// I3: what was in flight comes again first, in its order, with its numbers, marked; what is new is not marked.
#[test]
fn what_was_in_flight_comes_again_marked() {
    let (mut queue, now) = live(3);
    send(&mut queue, now);
    queue.ack(1);
    queue.park(now);
    queue.append(&batch(&[Made { id: 9, len: 8, ttl: None }], now), 0, || None, now);
    queue.go_live();
    assert_eq!(take(&mut queue, now), [(2, 2, true), (3, 3, true), (4, 9, false)]);
}

/// The copy that was sent before counts, even if the message has come back meanwhile.
#[test]
fn a_late_acknowledgement_settles_what_has_come_back() {
    let (mut queue, now) = live(4);
    send(&mut queue, now);
    queue.bring_all_back();
    assert_eq!(queue.ack(3), Some(3));
    assert_eq!(take(&mut queue, now), [(4, 4, true)]);
}

/// `again n` acknowledges nothing from n on until n was sent again.
#[test]
fn what_was_asked_for_again_is_not_acknowledged_by_an_older_copy() {
    let (mut queue, now) = live(4);
    send(&mut queue, now);
    queue.again(3);
    assert_eq!(queue.ack(4), Some(2));
    assert_eq!(take(&mut queue, now), [(3, 3, true), (4, 4, true)]);
    assert_eq!(queue.ack(4), Some(2));
}

/// Asking for a later one as well takes nothing back of what was asked for before.
#[test]
fn two_messages_asked_for_again_are_both_sent_again() {
    let (mut queue, now) = live(4);
    send(&mut queue, now);
    queue.again(2);
    queue.again(4);
    assert_eq!(queue.ack(3), Some(1));
    assert_eq!(take(&mut queue, now), [(2, 2, true), (3, 3, true), (4, 4, true)]);
}

/// The numbers that runs start with, and whether they say that what was given back starts there.
fn starts(queue: &mut Queue<u32>, now: Instant) -> Vec<(u64, bool)> {
    let mut out = Vec::new();
    queue.take(u64::MAX, u64::MAX, now, &mut out);
    out.iter().map(|run| (run.first, run.returns)).collect()
}

/// A client knows what was under way when it said `again`: all that comes before the first run after it, which says so, once.
#[test]
fn the_first_run_after_again_says_so() {
    let (mut queue, now) = live(6);
    assert_eq!(starts(&mut queue, now), [(1, false)]);
    queue.again(2);
    assert_eq!(starts(&mut queue, now), [(2, true)]);
    queue.ack(4);
    assert_eq!(starts(&mut queue, now), [(5, false)]);
    queue.bring_all_back();
    assert_eq!(starts(&mut queue, now), [(5, false)]);
}

/// Two that were said one after another are honoured by one run.
#[test]
fn two_agains_without_a_run_between_them_share_one() {
    let (mut queue, now) = live(4);
    send(&mut queue, now);
    queue.again(3);
    queue.again(2);
    assert_eq!(starts(&mut queue, now), [(2, true), (3, false), (4, false)]);
    queue.again(4);
    assert_eq!(starts(&mut queue, now), [(4, true)]);
}

/// What was given back may have expired, or become poison by it: then the run that says so starts later, if need be with what
/// is appended later.
#[test]
fn what_is_not_there_to_come_again_is_passed_over_by_the_run_that_says_so() {
    let (mut queue, now) = (Queue::<u32>::new(BOUNDS), Instant::now());
    queue.go_live();
    let made = |id, ttl| Made { id, len: 8, ttl };
    queue.append(&batch(&[made(1, Some(SECOND)), made(2, None)], now), 0, || None, now);
    for attempt in 1..=BOUNDS.attempts {
        send(&mut queue, now);
        assert_eq!(queue.again(2).is_some(), attempt == BOUNDS.attempts);
    }
    queue.again(1);
    assert_eq!(starts(&mut queue, now + SECOND), []);
    queue.append(&plain(1, now), 0, || None, now);
    assert_eq!(starts(&mut queue, now + SECOND), [(3, true)]);
}

/// A new connection has given nothing back yet.
#[test]
fn what_was_given_back_is_forgotten_with_the_connection() {
    let (mut queue, now) = live(2);
    send(&mut queue, now);
    queue.again(1);
    queue.park(now);
    queue.go_live();
    assert_eq!(starts(&mut queue, now), [(1, false), (2, false)]);
}

/// Whoever served a live queue has failed, and an `again` may have gone with it: everything comes back and says so.
#[test]
fn a_queue_that_gets_a_new_subscriber_brings_everything_back() {
    let (mut queue, now) = live(4);
    send(&mut queue, now);
    queue.ack(1);
    assert_eq!(queue.go_live(), None);
    assert_eq!(starts(&mut queue, now), [(2, true), (3, false)]);
}

#[test]
fn nobody_gives_back_what_was_never_sent() {
    let (mut queue, now) = live(6);
    send(&mut queue, now);
    assert_eq!((queue.again(5), queue.again(0), queue.give_up_one(5)), (None, None, None));
    assert_eq!(queue.depth().in_flight, 4);
    assert_eq!(queue.ack(4), Some(4));
}

/// The message that a client dies of is given up, and what is behind it flows.
#[test]
fn a_message_that_came_back_too_often_becomes_poison() {
    let (mut queue, now) = live(3);
    for attempt in 1..=BOUNDS.attempts {
        assert_eq!(send(&mut queue, now), [1, 2, 3]);
        let given_up = (attempt == BOUNDS.attempts).then_some(GivenUp { number: 1, attempts: BOUNDS.attempts });
        assert_eq!(queue.park(now), given_up);
        queue.go_live();
    }
    assert_eq!(take(&mut queue, now), [(2, 2, true), (3, 3, true)]);
    assert_eq!(queue.depth().poison, 1);
}

#[test]
fn only_what_was_written_counts_as_an_attempt() {
    let (mut queue, now) = live(1);
    for _ in 0..BOUNDS.attempts * 2 {
        assert_eq!(take(&mut queue, now).len(), 1);
        assert_eq!(queue.bring_all_back(), None);
    }
    let stale = queue.pass() - 1;
    take(&mut queue, now);
    queue.written(stale, 1);
    assert_eq!(queue.bring_all_back(), None);
    assert_eq!(queue.depth().poison, 0);
}

/// An acknowledged head is no suspect any more: the next one starts counting from nothing.
#[test]
fn attempts_belong_to_the_message_at_the_head() {
    let (mut queue, now) = live(2);
    for _ in 1..BOUNDS.attempts {
        send(&mut queue, now);
        assert_eq!(queue.bring_all_back(), None);
    }
    send(&mut queue, now);
    queue.ack(1);
    assert_eq!(queue.bring_all_back(), None);
    assert_eq!(take(&mut queue, now), [(2, 2, true)]);
}

/// Redelivered poison is the one exception to order: at the tail, marked, its attempts forgotten.
#[test]
fn redelivered_poison_comes_last_and_marked() {
    let (mut queue, now) = live(3);
    send(&mut queue, now);
    assert_eq!(queue.give_up_one(2), Some(GivenUp { number: 2, attempts: 1 }), "it was under way");
    assert_eq!(queue.give_up_one(2), None);
    assert_eq!(queue.ack(3), Some(2));
    assert_eq!(queue.redeliver(&Room::new(1 << 20), now), 1);
    assert_eq!((queue.depth().poison, queue.redeliver(&Room::new(1 << 20), now)), (0, 0));
    assert_eq!(take(&mut queue, now), [(4, 2, true)]);
}

#[test]
fn poison_is_bounded_and_what_falls_out_is_counted() {
    let (mut queue, now) = live(3);
    send(&mut queue, now);
    assert!((1..=3).all(|number| queue.give_up_one(number).is_some()));
    assert_eq!((queue.depth().poison, queue.depth().dropped), (2, 1));
    assert_eq!(dropped(&mut queue), [(DropReason::PoisonFull, 1)]);
}

/// What one client calls poison is as much as a queue may hold, and counts against what all queues may (I5).
#[test]
fn poison_is_bounded_in_bytes_and_counted_in_memory() {
    let (room, now) = (Room::new(1 << 20), Instant::now());
    let mut queue = Queue::<u32>::new(Bounds { poison: 100, bytes: 1_000, window_messages: 100, ..BOUNDS });
    queue.go_live();
    for id in 1..=5 {
        let mut batch = Arc::into_inner(batch(&[Made { id, len: 400, ttl: None }], now)).unwrap();
        batch.accept(0, &room);
        queue.append(&Arc::new(batch), 0, || None, now);
        send(&mut queue, now);
        assert!(queue.give_up_one(id).is_some());
    }
    assert_eq!((queue.depth().poison, dropped(&mut queue)), (2, vec![(DropReason::PoisonFull, 3)]));
    assert!(room.used() >= 2 * 400, "{} bytes of room pay for the poison", room.used());
    queue.purge();
    assert_eq!(room.used(), 0);
}

#[test]
fn a_time_to_live_is_looked_at_when_a_message_is_taken() {
    let (mut queue, now) = (Queue::<u32>::new(BOUNDS), Instant::now());
    let made = |id, ttl| Made { id, len: 8, ttl };
    let all = [made(1, Some(SECOND)), made(2, None), made(3, Some(SECOND)), made(4, Some(SECOND * 9))];
    queue.append(&batch(&all, now), 0, || None, now);
    assert_eq!(take(&mut queue, now + SECOND), [(2, 2, false), (4, 4, false)]);
    assert_eq!(dropped(&mut queue), [(DropReason::Expired, 2)]);
    // In flight it is the client's: it may have seen it. Come back too late, it is not sent again.
    queue.bring_all_back();
    assert_eq!(take(&mut queue, now + SECOND * 9), [(2, 2, true)]);
    assert_eq!(dropped(&mut queue), [(DropReason::Expired, 1)]);
}

/// A parked queue drops its oldest at once; what had expired anyway is not blamed on the bound.
#[test]
fn a_parked_queue_drops_its_oldest_at_the_bound() {
    let (mut queue, now) = (Queue::new(BOUNDS), Instant::now());
    let early = batch(&[Made { id: 90, len: 8, ttl: Some(SECOND) }, Made { id: 91, len: 8, ttl: None }], now);
    queue.append(&early, 0, || Some(1), now);
    assert_eq!(queue.append(&plain(10, now), 0, || Some(2), now + SECOND), Appended::Fits);
    assert_eq!(queue.depth().waiting, 10);
    assert_eq!(dropped(&mut queue), [(DropReason::QueueFull, 1), (DropReason::Expired, 1)]);
    assert_eq!(take(&mut queue, now)[0], (3, 1, false));
}

/// A live queue over its bound holds the receipt until there is room.
#[test]
fn a_live_queue_holds_the_receipt_until_room_is_made() {
    let (mut queue, now) = live(10);
    let one = || batch(&[Made { id: 99, len: 8, ttl: None }], now);
    assert_eq!(queue.append(&one(), 0, || Some(1), now), Appended::Held(Some(now + BOUNDS.hold)));
    assert_eq!(queue.append(&one(), 0, || Some(2), now + SECOND), Appended::Held(None));
    send(&mut queue, now);
    queue.ack(1);
    assert!(queue.release().is_empty());
    queue.ack(2);
    assert_eq!((queue.release(), queue.depth().dropped), (vec![1, 2], 0));
    // The next one has its own two seconds.
    let later = now + SECOND;
    assert_eq!(queue.append(&one(), 0, || Some(3), later), Appended::Held(Some(later + BOUNDS.hold)));
    queue.hold_expired(now + BOUNDS.hold);
    assert!(queue.release().is_empty());
}

/// One slow client never stops a publisher: after two seconds the oldest go, and nobody waits again until half is gone.
#[test]
fn after_the_hold_the_oldest_are_dropped_and_nobody_waits_any_more() {
    let (mut queue, now) = live(10);
    let one = || batch(&[Made { id: 99, len: 8, ttl: None }], now);
    queue.append(&one(), 0, || Some(1), now);
    queue.hold_expired(now + SECOND);
    assert!(queue.release().is_empty());
    queue.hold_expired(now + BOUNDS.hold);
    assert_eq!((queue.release(), queue.depth().dropped), (vec![1], 1));
    assert_eq!(queue.append(&one(), 0, || panic!("nobody waits"), now), Appended::Fits);
    for number in [5, 7] {
        send(&mut queue, now);
        assert!(queue.ack(number).is_some());
    }
    assert_eq!(queue.depth().queued(), 5);
    assert!(queue.release().is_empty());
    queue.append(&plain(5, now), 0, || None, now);
    assert!(matches!(queue.append(&one(), 0, || Some(2), now), Appended::Held(Some(_))));
}

#[test]
fn receipts_go_when_the_client_goes_or_the_queue_ends() {
    for end in [(|queue, now| assert_eq!(queue.park(now), None)) as fn(&mut Queue<u32>, Instant), |queue, _| {
        queue.close();
    }] {
        let (mut queue, now) = live(10);
        queue.append(&plain(1, now), 0, || Some(7), now);
        end(&mut queue, now);
        assert_eq!(queue.release(), [7]);
    }
}

#[test]
fn a_closed_queue_counts_what_it_held_and_takes_nothing() {
    let (mut queue, now) = live(6);
    send(&mut queue, now);
    queue.give_up_one(1);
    let lost = queue.close();
    assert_eq!((lost.queued, lost.poison, lost.bytes), (5, 1, 6 * 9));
    assert_eq!(queue.append(&plain(1, now), 0, || Some(1), now), Appended::Closed);
    assert_eq!((queue.depth(), take(&mut queue, now).len()), (Depth::default(), 0));
}

/// The broker is full: the oldest waiting messages go, what is in flight stays.
#[test]
fn giving_up_takes_what_waits() {
    let (mut queue, now) = live(6);
    send(&mut queue, now);
    assert_eq!(queue.give_up(now), 2 * 9);
    assert_eq!(queue.give_up(now), 0);
    assert_eq!((queue.depth().waiting, queue.depth().in_flight), (0, 4));
    assert_eq!(dropped(&mut queue), [(DropReason::MemoryFull, 2)]);
}

/// I2: of what is in flight, waits or was given up, the topics that may no longer be seen go, and nothing of them comes again.
#[test]
fn what_may_no_longer_be_seen_goes_from_everywhere() {
    let (mut queue, now) = (Queue::<u32>::new(BOUNDS), Instant::now());
    queue.go_live();
    let one = |id| [Made { id, len: 8, ttl: None }];
    for (id, topic) in [(1, "secret"), (2, "secret"), (3, "open"), (4, "secret"), (5, "open"), (6, "secret")] {
        queue.append(&batch_of(topic, &one(id), now), 0, || None, now);
    }
    let mut taken = Vec::new();
    queue.take(4, u64::MAX, now, &mut taken);
    queue.written(queue.pass(), 4);
    assert!(queue.give_up_one(1).is_some());
    let lost = queue.withdraw(|topic| topic.as_str() == "open");
    assert_eq!((lost.queued, lost.poison), (3, 1));
    let depth = queue.depth();
    assert_eq!((depth.in_flight, depth.waiting, depth.poison, depth.dropped), (1, 1, 0, 4));
    assert_eq!(queue.take_untold().collect::<Vec<_>>(), [(DropReason::RightWithdrawn, 4)]);
    // What its client gives back all the same is not there to come again.
    queue.again(2);
    let mut again = Vec::new();
    queue.take(9, u64::MAX, now, &mut again);
    assert_eq!(told(&again), [(3, 3, true), (5, 5, false)]);
    assert_eq!(queue.redeliver(&Room::new(u64::MAX), now), 0);
    assert_eq!(queue.ack(6), None);
    assert_eq!(queue.ack(5), Some(2));
    assert_eq!(queue.depth().bytes, 0);
}
