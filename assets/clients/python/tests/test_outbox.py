"""What becomes of publishes: outcomes, credit, and what is sent again."""

from __future__ import annotations

import unittest
from concurrent.futures import Future

from cordboard.errors import PublishFailed
from cordboard.frames import Error, Failure
from cordboard.outbox import Outbox

from .broker import response


def outcome(future: Future[None]) -> object:
    """None while it is open, then "ok" or the code."""
    if not future.done():
        return None
    failure = future.exception()
    return failure.code if isinstance(failure, PublishFailed) else "ok"


class Outcomes(unittest.TestCase):
    def setUp(self) -> None:
        self.outbox = Outbox()
        self.outbox.restart(response())
        self.futures: list[Future[None]] = []

    def publish(self, count: int) -> list[bytes]:
        added = [self.outbox.add("t", b"x", {}) for _ in range(count)]
        self.futures += [future for _, future in added]
        return [frame for frame, _ in added]

    def outcomes(self) -> list[object]:
        return [outcome(future) for future in self.futures]

    def test_an_ack_settles_all_before_it_and_errors_are_the_exceptions(self) -> None:
        self.publish(5)
        self.outbox.fail(Error(403, "no", sequence=2))
        self.outbox.fail(Error(429, "slow", sequence=3, count=2))
        self.assertEqual(self.outcomes(), [None] * 5)
        self.outbox.settle(3)
        self.assertEqual(self.outcomes(), ["ok", 403, 429, None, None])
        self.outbox.settle(5)
        self.assertEqual(self.outcomes(), ["ok", 403, 429, 429, "ok"])

    def test_what_is_not_settled_is_sent_again_as_it_was(self) -> None:
        sent = self.publish(5)
        self.outbox.settle(1)
        again = self.outbox.resume(response(3, failures=(Failure(2, 1, 507),)))
        self.assertEqual(again, sent[3:])
        self.assertEqual(self.outcomes(), ["ok", 507, "ok", None, None])

    def test_outcomes_that_the_broker_has_forgotten_are_unknown(self) -> None:
        self.publish(5)
        self.outbox.settle(1)
        self.outbox.resume(response(5, failures=(Failure(4, 1, 410),), unknown_to=3))
        self.assertEqual(self.outcomes(), ["ok", 503, 503, 410, "ok"])

    def test_a_new_session_knows_nothing_and_counts_from_one(self) -> None:
        self.publish(2)
        self.outbox.restart(response())
        self.assertEqual(self.outcomes(), [503, 503])
        self.assertEqual(self.publish(1)[0][6:14], (1).to_bytes(8, "big"))

    def test_another_process_goes_on_behind_the_last_one(self) -> None:
        self.outbox.resume(response(41))
        self.assertEqual(self.publish(1)[0][6:14], (42).to_bytes(8, "big"))
        self.outbox = Outbox()
        self.outbox.resume(response(41, taken=45))
        self.assertEqual(self.publish(1)[0][6:14], (46).to_bytes(8, "big"))
        self.outbox.settle(45)
        self.assertEqual(self.outcomes()[1], None)

    def test_credit_counts_messages_and_whole_frames(self) -> None:
        self.assertTrue(self.outbox.has_credit(1 << 30), "one message always may go")
        (frame,) = self.publish(1)
        self.assertTrue(self.outbox.has_credit(1_000 - len(frame)))
        self.assertFalse(self.outbox.has_credit(1_001 - len(frame)))
        self.publish(4)
        self.assertFalse(self.outbox.has_credit(1))
        self.outbox.settle(1)
        self.assertTrue(self.outbox.has_credit(1))

    def test_what_is_sent_cannot_be_called_back(self) -> None:
        self.publish(1)
        self.assertFalse(self.futures[0].cancel())
        self.outbox.settle(1)
        self.assertEqual(self.outcomes(), ["ok"])


if __name__ == "__main__":
    unittest.main()
