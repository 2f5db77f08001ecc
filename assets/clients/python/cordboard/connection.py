"""One connection: frames in, frames out, and the clock that notices silence. It knows nothing of sessions."""

from __future__ import annotations

import selectors
import socket
import threading
import time

from .errors import ConnectionLost, Unreachable
from .frames import Frame, FrameReader, Ping

_CHUNK = 1 << 16


class KeepAlive:
    """When to send a Ping, and when to give up. Times are seconds of any one clock."""

    def __init__(self, interval: float, now: float) -> None:
        self._interval = interval
        self._heard = self._said = now
        self._asked: float | None = None

    def said(self, now: float) -> None:
        """Something was sent."""
        self._said = now

    def heard(self, now: float) -> None:
        """Something has come."""
        self._heard = now
        self._asked = None

    def asked(self, now: float) -> None:
        """A Ping is on its way."""
        self._asked = now

    def wait(self, now: float) -> float:
        """How long until a Ping is due: 0 if it is. Well before the interval, so that a slow network is no silence."""
        if self._asked is not None:
            return max(0.0, self._asked + self._interval - now)
        return max(0.0, min(self._heard, self._said) + self._interval / 3 - now)

    def is_lost(self, now: float) -> bool:
        """Nothing has come for a whole interval after a Ping."""
        return self._asked is not None and now - self._asked >= self._interval


class Connection:
    """A socket, read and written by one thread. Any thread may `send`: that never blocks, and wakes the other."""

    def __init__(self, address: tuple[str, int], timeout: float) -> None:
        try:
            self._socket = socket.create_connection(address, timeout)
        except OSError as error:
            raise Unreachable(*address, error) from error
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket.setblocking(False)
        self._bell, self._ear = socket.socketpair()
        self._bell.setblocking(False)
        self._ear.setblocking(False)
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._ear, selectors.EVENT_READ)
        self._selector.register(self._socket, selectors.EVENT_READ)
        self._lock = threading.Lock()  # over what is to be written; never held while waiting
        self._outgoing = bytearray()
        self._is_rung = False
        self._is_closed = False
        self._keep_alive: KeepAlive | None = None
        self.reader = FrameReader()

    def keep_alive(self, interval: float) -> None:
        """From now on, break the silence, and notice it."""
        self._keep_alive = KeepAlive(interval, time.monotonic())

    def send(self, frame: bytes) -> None:
        """Put a frame behind what is to be written."""
        with self._lock:
            self._outgoing += frame
            self._ring()

    def break_off(self) -> None:
        """End the connection without a word. The reading thread sees it as lost."""
        with self._lock:
            if not self._is_closed:
                try:
                    self._socket.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass  # it is gone already
                self._ring()

    def close(self) -> None:
        """Give everything back. Only the reading thread may."""
        with self._lock:
            self._is_closed = True
            self._selector.close()
            for each in (self._socket, self._bell, self._ear):
                each.close()

    def receive(self, timeout: float | None = None) -> Frame:
        """The next frame, while writing what there is to write. ConnectionLost at its end, TimeoutError before that."""
        deadline = None if timeout is None else time.monotonic() + timeout
        while True:
            frame = self.reader.next()
            if frame is not None:
                return frame
            now = time.monotonic()
            if deadline is not None and now >= deadline:
                raise TimeoutError(f"the broker has not answered within {timeout} s")
            self._exchange(self._patience(now, deadline))

    def _patience(self, now: float, deadline: float | None) -> float | None:
        waits = [] if deadline is None else [deadline - now]
        if self._keep_alive is not None:
            if self._keep_alive.is_lost(now):
                raise ConnectionLost("the broker has gone silent")
            if self._keep_alive.wait(now) == 0:
                self._keep_alive.asked(now)
                self.send(Ping(0).encode())
            waits.append(self._keep_alive.wait(now))
        return min(waits, default=None)

    def _exchange(self, patience: float | None) -> None:
        with self._lock:
            wanted = selectors.EVENT_READ | (selectors.EVENT_WRITE if self._outgoing else 0)
        self._selector.modify(self._socket, wanted)
        for key, ready in self._selector.select(patience):
            if key.fileobj is self._ear:
                self._answer_bell()
            else:
                self._transfer(ready)

    def _transfer(self, ready: int) -> None:
        if ready & selectors.EVENT_WRITE:
            self._write()
        if ready & selectors.EVENT_READ:
            self._read()

    def _read(self) -> None:
        try:
            data = self._socket.recv(_CHUNK)
        except BlockingIOError:
            return
        except OSError as error:
            raise ConnectionLost(f"the connection broke: {error}") from error
        if not data:
            raise ConnectionLost("the broker has closed the connection")
        self.reader.feed(data)
        if self._keep_alive is not None:
            self._keep_alive.heard(time.monotonic())

    def _write(self) -> None:
        with self._lock:
            try:
                sent = self._socket.send(self._outgoing[:_CHUNK])
            except BlockingIOError:
                return
            except OSError:
                # The broker has closed, and may have said why: the read that follows tells.
                sent = len(self._outgoing)
            del self._outgoing[:sent]
        if self._keep_alive is not None:
            self._keep_alive.said(time.monotonic())

    def _ring(self) -> None:
        if not self._is_rung and not self._is_closed:
            self._is_rung = True
            self._bell.send(b"\0")

    def _answer_bell(self) -> None:
        with self._lock:
            self._ear.recv(1)
            self._is_rung = False
