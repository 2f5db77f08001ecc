"""What a subscription has received and its reader has not taken yet. Plain data: no socket, no thread, no clock."""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

from .frames import Deliver, DeliverAck, DeliverNack, Record

#: Messages that wait here when nothing is acknowledged; beyond it the oldest are dropped. With acknowledgements the
#: broker's window is the bound.
MAX_UNACKNOWLEDGED = 10_000


class Entry(NamedTuple):
    """One message, and what brought it."""

    frame: Deliver
    #: Its number in the subscription's queue. It keeps it however often it comes.
    number: int
    record: Record
    #: Which of the Delivers of this inbox brought it.
    delivery: int
    #: It was taken from this inbox before.
    repeat: bool = False

    @property
    def handle(self) -> int:
        """The subscription it was delivered under."""
        return self.frame.handle


class _Returned:
    """Which copies have been given back. A late word on one of them says nothing about what comes again."""

    def __init__(self) -> None:
        #: (number, delivery): copies of this number and later ones, brought by this Deliver or earlier ones. Both rise.
        self._marks: list[tuple[int, int]] = []

    def add(self, number: int, delivery: int) -> None:
        self._marks = [mark for mark in self._marks if mark[0] < number] + [(number, delivery)]

    def __contains__(self, entry: Entry) -> bool:
        return any(entry.number >= number and entry.delivery <= delivery for number, delivery in self._marks)

    def settle(self, settled: int) -> None:
        """Of the marks that start at what is settled, the latest covers the others."""
        self._marks = [mark for mark in self._marks if mark[0] <= settled][-1:] + [
            mark for mark in self._marks if mark[0] > settled
        ]


class Inbox:
    """Keeps one subscription's messages in order, each once, whatever comes again."""

    def __init__(self, explicit: bool) -> None:
        #: None while the broker has not confirmed the subscription.
        self.handle: int | None = None
        #: How many were dropped here because nobody took them. Without acknowledgements the broker does not wait.
        self.dropped = 0
        self._explicit = explicit
        self._entries: deque[Entry] = deque()
        self._delivery = 0
        self._start()

    def _start(self) -> None:
        self._settled = 0
        self._highest_taken = 0
        self._returned = _Returned()
        self._forget_returns()

    def _forget_returns(self) -> None:
        self._awaited: int | None = None
        self._next_again: int | None = None

    def __len__(self) -> int:
        return len(self._entries)

    def clear(self) -> None:
        """Drop what waits."""
        self._entries.clear()

    def attach(self, handle: int | None) -> DeliverAck | None:
        """Take a handle, on this connection or a new one. Returns what the broker may have missed of an earlier one."""
        if handle != self.handle:
            # The numbers start again. What waits under the old handle exists nowhere else any more, and stays.
            self.handle = handle
            self._start()
        self._forget_returns()
        if handle is None or self._settled == 0:
            return None
        return DeliverAck(handle, self._settled)

    def deliver(self, frame: Deliver) -> DeliverAck | DeliverNack | None:
        """Take what has come. Returns what there is to answer."""
        if self._awaited is not None:
            if not frame.returns:
                return None  # it was under way already, and comes again
            self._awaited = None
            if self._next_again is not None:
                return self._ask_again()
        self._delivery += 1
        self._drop(frame.handle, frame.first)  # these have come again, before anybody has taken them
        for number, record in enumerate(frame.records, frame.first):
            if number > self._settled:
                self._entries.append(Entry(frame, number, record, self._delivery))
        while not self._explicit and len(self._entries) > MAX_UNACKNOWLEDGED:
            self._entries.popleft()
            self.dropped += 1
        if self._explicit and frame.first <= self._settled:
            # The broker's end of the subscription may have failed with the acknowledgement: nobody else would tell it.
            return DeliverAck(frame.handle, self._settled)
        return None

    def take(self) -> Entry:
        """The oldest message that waits."""
        entry = self._entries.popleft()
        if entry.handle != self.handle:
            return entry
        repeat = entry.number <= self._highest_taken
        self._highest_taken = max(self._highest_taken, entry.number)
        return entry._replace(repeat=repeat)

    def ack(self, entry: Entry) -> DeliverAck | None:
        """Settle this message and all before it, unless it is settled or given back already."""
        if not self._is_open(entry):
            return None
        self._settled = entry.number
        self._returned.settle(entry.number)
        while self._entries and self._entries[0].handle == entry.handle and self._entries[0].number <= entry.number:
            self._entries.popleft()
        return DeliverAck(entry.handle, entry.number)

    def poison(self, entry: Entry) -> DeliverNack | None:
        """Put this message aside, unless it is settled or given back already."""
        if not self._is_open(entry):
            return None
        return DeliverNack(entry.handle, entry.number, DeliverNack.POISON)

    def again(self, entry: Entry) -> tuple[bool, DeliverNack | None]:
        """Give back this message and all after it: whether that counts, and what is to be said now."""
        if not self._is_open(entry):
            return False, None
        self._returned.add(entry.number, self._delivery)
        self._drop(entry.handle, entry.number)
        self._next_again = entry.number
        # One at a time: the broker says where the returned messages start, but not which request it answers.
        return True, None if self._awaited is not None else self._ask_again()

    def _ask_again(self) -> DeliverNack:
        assert self.handle is not None and self._next_again is not None
        self._awaited, self._next_again = self._next_again, None
        return DeliverNack(self.handle, self._awaited, DeliverNack.AGAIN)

    def _is_open(self, entry: Entry) -> bool:
        is_current = self._explicit and entry.handle == self.handle and entry.number > self._settled
        return is_current and entry not in self._returned

    def _drop(self, handle: int, first: int) -> None:
        while self._entries and self._entries[-1].handle == handle and self._entries[-1].number >= first:
            self._entries.pop()
