"""What becomes of deliveries: order, repeats, acknowledgements, and giving back."""

from __future__ import annotations

import unittest

from cordboard.frames import Deliver, DeliverAck, DeliverNack, Record
from cordboard.inbox import MAX_UNACKNOWLEDGED, Entry, Inbox

HANDLE = 3


def deliver(first: int, last: int, *, again: bool = False, returns: bool = False, handle: int = HANDLE) -> Deliver:
    records = tuple(Record(str(number).encode()) for number in range(first, last + 1))
    return Deliver(handle, first, 0, "t", records, redelivered=again, returns=returns)


def nack(number: int) -> DeliverNack:
    return DeliverNack(HANDLE, number, DeliverNack.AGAIN)


class InboxTest(unittest.TestCase):
    def setUp(self) -> None:
        self.inbox = Inbox(explicit=True)
        self.inbox.attach(HANDLE)

    def take(self) -> list[Entry]:
        return [self.inbox.take() for _ in range(len(self.inbox))]

    def numbers(self) -> list[int]:
        return [entry.number for entry in self.take()]


class Receiving(InboxTest):
    def test_messages_come_in_order_with_gaps(self) -> None:
        self.inbox.deliver(deliver(1, 3))
        self.inbox.deliver(deliver(7, 8))
        self.assertEqual(self.numbers(), [1, 2, 3, 7, 8])

    def test_what_nobody_has_taken_waits_once_however_often_it_comes(self) -> None:
        self.inbox.deliver(deliver(1, 4))
        self.inbox.take()
        self.inbox.deliver(deliver(1, 4, again=True))
        taken = self.take()
        self.assertEqual(
            [(entry.number, entry.repeat) for entry in taken], [(1, True), (2, False), (3, False), (4, False)]
        )

    def test_an_ack_is_cumulative_and_counts_once(self) -> None:
        self.inbox.deliver(deliver(1, 3))
        one, two, three = self.take()
        self.assertEqual(self.inbox.ack(two), DeliverAck(HANDLE, 2))
        self.assertIsNone(self.inbox.ack(one))
        self.assertIsNone(self.inbox.ack(two))
        self.assertEqual(self.inbox.again(two), (False, None))
        self.assertEqual(self.inbox.ack(three), DeliverAck(HANDLE, 3))

    def test_what_is_acknowledged_is_not_handed_out_again(self) -> None:
        self.inbox.deliver(deliver(1, 3))
        entries = self.take()
        self.inbox.deliver(deliver(1, 4, again=True))
        self.inbox.ack(entries[1])
        self.assertEqual(self.numbers(), [3, 4])
        self.inbox.deliver(deliver(1, 5, again=True))
        self.assertEqual(self.numbers(), [3, 4, 5])

    def test_what_comes_again_after_its_acknowledgement_is_acknowledged_again(self) -> None:
        self.inbox.deliver(deliver(1, 3))
        self.inbox.ack(self.take()[1])
        self.assertIsNone(self.inbox.deliver(deliver(3, 3, again=True)))
        self.assertEqual(self.inbox.deliver(deliver(1, 4, again=True)), DeliverAck(HANDLE, 2))
        self.assertEqual(self.numbers(), [3, 4])

    def test_what_was_acknowledged_without_a_connection_is_told_on_the_next(self) -> None:
        self.assertIsNone(self.inbox.attach(HANDLE))
        self.inbox.deliver(deliver(1, 3))
        self.inbox.ack(self.take()[1])
        self.assertEqual(self.inbox.attach(HANDLE), DeliverAck(HANDLE, 2))

    def test_a_new_handle_counts_from_the_start_and_keeps_what_waits(self) -> None:
        self.inbox.deliver(deliver(1, 3))
        old = self.inbox.take()
        self.assertIsNone(self.inbox.attach(9))
        self.inbox.deliver(deliver(1, 1, handle=9))
        self.assertIsNone(self.inbox.ack(old))
        taken = self.take()
        self.assertEqual(
            [(entry.handle, entry.number, entry.repeat) for entry in taken],
            [(3, 2, False), (3, 3, False), (9, 1, False)],
        )
        self.assertEqual(self.inbox.ack(taken[2]), DeliverAck(9, 1))

    def test_without_acknowledgements_the_oldest_give_way(self) -> None:
        inbox = Inbox(explicit=False)
        inbox.attach(HANDLE)
        inbox.deliver(deliver(1, MAX_UNACKNOWLEDGED + 5))
        self.assertEqual((len(inbox), inbox.dropped), (MAX_UNACKNOWLEDGED, 5))
        entry = inbox.take()
        self.assertEqual(entry.number, 6)
        self.assertIsNone(inbox.ack(entry))


class GivingBack(InboxTest):
    def setUp(self) -> None:
        super().setUp()
        self.inbox.deliver(deliver(1, 5))

    def test_what_was_under_way_is_dropped_until_it_returns(self) -> None:
        entries = [self.inbox.take() for _ in range(3)]
        self.assertEqual(self.inbox.again(entries[1]), (True, nack(2)))
        self.inbox.deliver(deliver(6, 6))
        self.inbox.deliver(deliver(1, 6, again=True))  # an ack timeout that was quicker
        self.assertEqual(self.numbers(), [])
        self.inbox.deliver(deliver(2, 5, again=True, returns=True))
        self.inbox.deliver(deliver(6, 6, again=True))
        self.assertEqual(self.numbers(), [2, 3, 4, 5, 6])

    def test_a_copy_that_was_given_back_settles_nothing_even_late(self) -> None:
        old = self.take()
        self.inbox.again(old[2])
        self.assertIsNone(self.inbox.ack(old[3]))
        self.assertIsNone(self.inbox.poison(old[2]))
        self.assertEqual(self.inbox.again(old[4]), (False, None))
        self.assertEqual(self.inbox.ack(old[1]), DeliverAck(HANDLE, 2))
        self.inbox.deliver(deliver(3, 5, again=True, returns=True))
        self.assertIsNone(self.inbox.ack(old[4]))
        new = self.take()
        self.assertEqual(self.inbox.ack(new[1]), DeliverAck(HANDLE, 4))
        self.assertIsNone(self.inbox.ack(old[4]))
        self.assertEqual(self.inbox.poison(new[2]), DeliverNack(HANDLE, 5, DeliverNack.POISON))

    def test_a_second_again_waits_for_the_first(self) -> None:
        old = self.take()
        self.assertEqual(self.inbox.again(old[3]), (True, nack(4)))
        self.assertEqual(self.inbox.again(old[1]), (True, None))
        self.assertEqual(self.inbox.deliver(deliver(4, 5, again=True, returns=True)), nack(2))
        self.inbox.deliver(deliver(6, 6))
        self.assertEqual(self.numbers(), [])
        self.assertIsNone(self.inbox.deliver(deliver(2, 6, again=True, returns=True)))
        self.assertEqual(self.numbers(), [2, 3, 4, 5, 6])

    def test_after_a_lost_connection_nothing_is_owed(self) -> None:
        old = self.take()
        self.inbox.again(old[3])
        self.inbox.again(old[1])
        self.inbox.attach(HANDLE)
        self.assertIsNone(self.inbox.deliver(deliver(1, 5, again=True)))
        self.assertIsNone(self.inbox.ack(old[4]))
        self.assertEqual(self.numbers(), [1, 2, 3, 4, 5])

    def test_a_returns_that_nobody_waits_for_is_a_delivery(self) -> None:
        self.take()
        self.inbox.deliver(deliver(6, 6, returns=True))
        self.assertEqual(self.numbers(), [6])


if __name__ == "__main__":
    unittest.main()
