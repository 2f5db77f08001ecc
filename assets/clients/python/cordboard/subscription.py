"""A subscription as its reader sees it: messages to wait for, and what to say about each."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Callable

from .errors import Closed, CordboardError
from .frames import Deliver, Frame, Headers
from .inbox import Entry, Inbox


class Message:
    """One message, and the three things that can be said of it. Each returns whether it counted."""

    __slots__ = ("_entry", "_subscription")

    def __init__(self, subscription: Subscription, entry: Entry) -> None:
        self._subscription = subscription
        self._entry = entry

    @property
    def topic(self) -> str:
        """The topic it was published to."""
        return self._entry.frame.topic

    @property
    def payload(self) -> bytes:
        """What was published."""
        return self._entry.record.payload

    @property
    def headers(self) -> Headers:
        """Its headers, if it has any."""
        return self._entry.record.headers

    @property
    def number(self) -> int:
        """Its place in the subscription's queue. Numbers rise, and may have gaps."""
        return self._entry.number

    @property
    def accepted_ms(self) -> int:
        """When the broker accepted it, in milliseconds since 1970-01-01 UTC."""
        return self._entry.frame.accepted_ms

    @property
    def redelivered(self) -> bool:
        """The broker may have sent it before."""
        return self._entry.frame.redelivered

    @property
    def repeat(self) -> bool:
        """This subscription has handed it out before."""
        return self._entry.repeat

    def ack(self) -> bool:
        """Done with this message and every earlier one of its subscription. Without a connection, told when it is back.

        False: it was settled already, or given back, and comes again.
        """
        return self._subscription._ack(self._entry)

    def again(self) -> bool:
        """Give this message back: it and all after it come again, in order."""
        return self._subscription._again(self._entry)

    def poison(self) -> bool:
        """Put this one message aside for an operator. False, too, while there is no connection: then it comes again."""
        return self._subscription._poison(self._entry)

    def __repr__(self) -> str:
        mark = " redelivered" if self.redelivered else ""
        return f"<Message {self.number} of {self.topic!r}, {len(self.payload)} bytes{mark}>"


class Subscription:
    """The messages of one filter. Iterate over it, or ask for one message at a time; any number of threads may."""

    def __init__(
        self,
        filter: str,
        ack_timeout_ms: int | None,
        inbox: Inbox,
        lock: threading.RLock,
        send: Callable[[Frame], bool],
    ) -> None:
        self.filter = filter
        self.ack_timeout_ms = ack_timeout_ms
        #: Messages that the broker held for it and has lost, by its own word.
        self.lost = 0
        #: Why it is over.
        self.ended: CordboardError | None = None
        self._leaving = False
        self._inbox = inbox
        self._send = send
        self._lock = lock
        self._changed = threading.Condition(lock)

    @property
    def dropped(self) -> int:
        """Messages dropped on this side: only without acknowledgements, when nobody takes them."""
        return self._inbox.dropped

    def get(self, timeout: float | None = None) -> Message:
        """The next message. TimeoutError after `timeout` seconds; the reason, once the subscription is over."""
        with self._lock:
            if not self._changed.wait_for(lambda: len(self._inbox) or self.ended, timeout):
                raise TimeoutError(f"no message of {self.filter!r} within {timeout} s")
            if len(self._inbox):
                return Message(self, self._inbox.take())
            assert self.ended is not None
            raise self.ended

    def __iter__(self) -> Iterator[Message]:
        """Messages until this side closes. What ends the subscription otherwise is raised."""
        while True:
            try:
                yield self.get()
            except Closed:
                return

    def __repr__(self) -> str:
        return f"<Subscription {self.filter!r}: {self.ended or 'open'}>"

    # What its messages say.

    def _ack(self, entry: Entry) -> bool:
        with self._lock:
            frame = self._inbox.ack(entry)
            if frame is not None:
                self._send(frame)  # without a connection, told on the next one
            return frame is not None

    def _again(self, entry: Entry) -> bool:
        with self._lock:
            counts, frame = self._inbox.again(entry)
            if frame is not None:
                self._send(frame)  # without a connection, everything unsettled comes again anyway
            return counts

    def _poison(self, entry: Entry) -> bool:
        with self._lock:
            frame = self._inbox.poison(entry)
            return frame is not None and self._send(frame)

    # What the client tells it, holding the lock.

    @property
    def _handle(self) -> int | None:
        return self._inbox.handle

    def _attach(self, handle: int | None) -> None:
        missed = self._inbox.attach(handle)
        if missed is not None:
            self._send(missed)
        self._changed.notify_all()

    def _deliver(self, frame: Deliver) -> None:
        answer = self._inbox.deliver(frame)
        if answer is not None:
            self._send(answer)
        self._changed.notify_all()

    def _end(self, reason: CordboardError) -> None:
        if self.ended is None:
            self.ended = reason
        self._changed.notify_all()
