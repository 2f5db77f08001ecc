"""The frames of protocol version 1, both sides', and the stream they come in."""

from __future__ import annotations

from collections.abc import Iterator

from .control import (
    Disconnect,
    Displaced,
    Error,
    Evicted,
    Failure,
    RegistrationRequest,
    RegistrationResponse,
    Resubscribe,
    SubscribeAck,
    SubscribeRequest,
    SubscriptionEnded,
    Surviving,
    UnsubscribeAck,
    UnsubscribeRequest,
)
from .errors import ProtocolError
from .frame import PREFIX, Frame
from .hot import Deliver, DeliverAck, DeliverNack, Headers, Ping, Pong, Publish, PublishAck, Record

__all__ = [
    "DEFAULT_PORT",
    "MAX_CONTROL_LENGTH",
    "MIN_RECEIVED_LENGTH",
    "VERSION",
    "Deliver",
    "DeliverAck",
    "DeliverNack",
    "Disconnect",
    "Displaced",
    "Error",
    "Evicted",
    "Failure",
    "Frame",
    "FrameReader",
    "Headers",
    "Ping",
    "Pong",
    "Publish",
    "PublishAck",
    "Record",
    "RegistrationRequest",
    "RegistrationResponse",
    "Resubscribe",
    "SubscribeAck",
    "SubscribeRequest",
    "SubscriptionEnded",
    "Surviving",
    "UnsubscribeAck",
    "UnsubscribeRequest",
    "decode",
]

VERSION = 1
DEFAULT_PORT = 2673

#: A client accepts frames of this `length` whatever the broker's own limit is, and of twice that limit.
MIN_RECEIVED_LENGTH = 2_097_152
#: The largest `length` of a control frame from a client.
MAX_CONTROL_LENGTH = 16_384

_KINDS: dict[int, type[Frame]] = {
    kind.KIND: kind
    for kind in (
        RegistrationRequest,
        RegistrationResponse,
        SubscribeRequest,
        SubscribeAck,
        UnsubscribeRequest,
        UnsubscribeAck,
        SubscriptionEnded,
        Resubscribe,
        Disconnect,
        Displaced,
        Evicted,
        Error,
        Publish,
        PublishAck,
        Deliver,
        DeliverAck,
        DeliverNack,
        Ping,
        Pong,
    )
}


def decode(kind: int, flags: int, body: bytes) -> Frame:
    """The frame of that kind and body, or ProtocolError."""
    found = _KINDS.get(kind)
    if found is None:
        raise ProtocolError(f"frame of unknown kind 0x{kind:02x}")
    if flags & ~found.FLAGS:
        raise ProtocolError(f"{found.__name__} with undefined flags 0x{flags:02x}")
    return found.read(flags, body)


class FrameReader:
    """Turns a stream of bytes, cut anywhere, into frames."""

    def __init__(self, max_length: int = MIN_RECEIVED_LENGTH) -> None:
        #: The largest `length` to accept.
        self.max_length = max_length
        self._buffer = bytearray()
        self._at = 0

    def feed(self, data: bytes) -> None:
        """Take what has arrived."""
        del self._buffer[: self._at]
        self._at = 0
        self._buffer += data

    def next(self) -> Frame | None:
        """The next whole frame, or None until more has arrived."""
        start = self._at + PREFIX.size
        if len(self._buffer) < start:
            return None
        (length,) = PREFIX.unpack_from(self._buffer, self._at)
        if not 2 <= length <= self.max_length:
            raise ProtocolError(f"a frame of length {length}; 2 to {self.max_length} are possible")
        if len(self._buffer) < start + length:
            return None
        self._at = start + length
        kind, flags = self._buffer[start], self._buffer[start + 1]
        return decode(kind, flags, bytes(self._buffer[start + 2 : self._at]))

    def __iter__(self) -> Iterator[Frame]:
        """The whole frames that are there."""
        return iter(self.next, None)
