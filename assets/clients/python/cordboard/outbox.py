"""What a client has published and does not know the outcome of. Plain data: no socket, no thread, no clock."""

from __future__ import annotations

from collections import OrderedDict
from concurrent.futures import Future
from dataclasses import dataclass

from .errors import PublishFailed
from .frames import Error, Headers, Publish, RegistrationResponse


@dataclass
class _Pending:
    frame: bytes
    outcome: Future[None]
    failure: PublishFailed | None = None


class Outbox:
    """Counts a session's publishes, keeps the unsettled ones to be sent again, and tells how each has ended."""

    def __init__(self) -> None:
        self._pending: OrderedDict[int, _Pending] = OrderedDict()
        self._bytes = 0
        self._next = 1
        self._credit_messages = self._credit_bytes = 0
        #: Every publish up to this one is settled.
        self.settled = 0
        #: How many were ever taken in, and of how many the outcome was told, in whatever session.
        self.added = self.told = 0

    def __len__(self) -> int:
        return len(self._pending)

    def has_credit(self, size: int) -> bool:
        """Is there credit for a frame of `size` bytes? For one, whatever its size, there always is."""
        messages, total = len(self._pending) + 1, self._bytes + size
        return not self._pending or (messages <= self._credit_messages and total <= self._credit_bytes)

    def add(self, topic: str, payload: bytes, headers: Headers) -> tuple[bytes, Future[None]]:
        """Give the message its sequence: the frame to send, and what will tell its outcome."""
        frame = Publish(self._next, topic, payload, headers).encode()
        outcome: Future[None] = Future()
        outcome.set_running_or_notify_cancel()  # what is sent cannot be called back
        self._pending[self._next] = _Pending(frame, outcome)
        self._bytes += len(frame)
        self._next += 1
        self.added += 1
        return frame, outcome

    def fail(self, error: Error) -> None:
        """Note how some have ended. They are settled by the PublishAck that follows."""
        count = 1 if error.count is None else error.count
        self._note(error.sequence or 0, count, PublishFailed(error.code, error.reason))

    def settle(self, sequence: int) -> None:
        """Tell the outcome of everything up to `sequence`: without a failure noted, it has succeeded."""
        self.settled = max(self.settled, sequence)
        while self._pending and next(iter(self._pending)) <= sequence:
            self._tell(self._pending.popitem(last=False)[1])

    def resume(self, response: RegistrationResponse) -> list[bytes]:
        """Go on in a session: tell what is settled by now, and return the frames that must be sent again."""
        self._grant(response)
        for failure in response.failures or ():
            error = PublishFailed(failure.code, "it failed while the client was away")
            self._note(failure.sequence, failure.count, error)
        if response.unknown_to is not None:
            unknown = PublishFailed(503, "the broker no longer knows how it ended")
            self._note(self.settled + 1, max(0, response.unknown_to - self.settled), unknown)
        self.settle(response.settled)
        # An earlier process may have sent what is taken and not settled: its sequences are used up.
        self._next = max(self._next, response.settled + 1, (response.taken or 0) + 1)
        return [pending.frame for pending in self._pending.values()]

    def restart(self, response: RegistrationResponse) -> None:
        """Go on in a new session, which knows nothing of what was published in the old one."""
        self.abandon("the session ended before the outcome was known")
        self._next, self.settled = 1, 0
        self._grant(response)

    def abandon(self, reason: str) -> None:
        """Nobody will ever tell how these ended."""
        while self._pending:
            _, pending = self._pending.popitem(last=False)
            pending.failure = pending.failure or PublishFailed(503, reason)
            self._tell(pending)

    def _grant(self, response: RegistrationResponse) -> None:
        self._credit_messages, self._credit_bytes = response.credit_messages, response.credit_bytes

    def _note(self, first: int, count: int, failure: PublishFailed) -> None:
        for sequence in range(max(first, self.settled + 1), min(first + count, self._next)):
            if sequence in self._pending:
                self._pending[sequence].failure = failure

    def _tell(self, pending: _Pending) -> None:
        self._bytes -= len(pending.frame)
        self.told += 1
        if pending.failure is None:
            pending.outcome.set_result(None)
        else:
            pending.outcome.set_exception(pending.failure)
