"""A broker that a test plays itself, frame by frame."""

from __future__ import annotations

import socket
from typing import Any, TypeVar

from cordboard.frames import Frame, FrameReader, RegistrationRequest, RegistrationResponse

#: Seconds that anything may take before it is called missing. Never waited out by a test that passes.
PATIENCE = 30.0

SESSION = "9f3c41d07be2586a0d94c1b7336ee1a2"

_F = TypeVar("_F", bound=Frame)


def response(settled: int = 0, **changes: Any) -> RegistrationResponse:
    granted = {
        "version": 1,
        "session": SESSION,
        "resumed": True,
        "epoch": 1,
        "server": "test",
        "keep_alive_ms": 30_000,
        "reclaim_ms": 90_000,
        "max_frame": 1 << 20,
        "max_topic_bytes": 255,
        "max_topic_levels": 16,
        "window_messages": 1_024,
        "window_bytes": 1 << 20,
        "credit_messages": 5,
        "credit_bytes": 1_000,
    }
    return RegistrationResponse(**{**granted, "settled": settled, **changes})


class Line:
    """One connection, as the broker has it."""

    def __init__(self, connection: socket.socket) -> None:
        self._socket = connection
        self._socket.settimeout(PATIENCE)
        self._reader = FrameReader()

    def expect(self, kind: type[_F]) -> _F:
        """The client's next frame, which must be of that kind."""
        frame = self._reader.next()
        while frame is None:
            data = self._socket.recv(65_536)
            if not data:
                raise AssertionError(f"the client has closed; a {kind.__name__} was expected")
            self._reader.feed(data)
            frame = self._reader.next()
        if not isinstance(frame, kind):
            raise AssertionError(f"{frame} came; a {kind.__name__} was expected")
        return frame

    def send(self, *frames: Frame) -> None:
        """Say all of these at once."""
        self._socket.sendall(b"".join(frame.encode() for frame in frames))

    def register(self, **changes: Any) -> RegistrationRequest:
        """Let the client in, on these terms; what it has asked for."""
        request = self.expect(RegistrationRequest)
        self.send(response(**{"resumed": request.session is not None, **changes}))
        return request

    def close(self) -> None:
        """Hang up."""
        self._socket.close()


class Broker:
    """Where clients connect."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.settimeout(PATIENCE)
        self._lines: list[Line] = []
        self.port = self._listener.getsockname()[1]

    def accept(self) -> Line:
        """The next connection."""
        line = Line(self._listener.accept()[0])
        self._lines.append(line)
        return line

    def close(self) -> None:
        """Nobody is connected any more, and nobody connects."""
        self._listener.close()
        for line in self._lines:
            line.close()
