"""Hot frames: what each message costs, in fixed binary bodies."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import ClassVar

from . import msgpack
from .errors import ProtocolError
from .frame import Frame

_HEADERS = 0x01
_REDELIVERED = 0x01
_RETURNS = 0x02

_U16 = struct.Struct(">H")
_U32 = struct.Struct(">I")
_U64 = struct.Struct(">Q")

Headers = Mapping[str, str]


class _Bytes:
    """Takes a body apart from its front."""

    def __init__(self, body: bytes) -> None:
        self.body = body
        self.at = 0

    def number(self, form: struct.Struct) -> int:
        return self.numbers(form)[0]

    def numbers(self, form: struct.Struct) -> tuple[int, ...]:
        if self.at + form.size > len(self.body):
            raise ProtocolError("the frame ends too early")
        self.at += form.size
        return form.unpack_from(self.body, self.at - form.size)

    def text(self) -> str:
        size = self.number(_U16)
        if self.at + size > len(self.body):
            raise ProtocolError("the frame ends too early")
        self.at += size
        return msgpack.text(self.body[self.at - size : self.at])

    def headers(self) -> Headers:
        count = self.number(_U16)
        headers: dict[str, str] = {}
        for _ in range(count):
            key = self.text()
            if key in headers:
                raise ProtocolError(f"the header {key!r} stands twice")
            headers[key] = self.text()
        if not _are_in_bounds(headers):
            raise ProtocolError("headers are 1 to 64 pairs with keys of 1 to 255 bytes")
        return headers

    def rest(self) -> bytes:
        return self.body[self.at :]


def _are_in_bounds(headers: Headers) -> bool:
    return 1 <= len(headers) <= 64 and all(1 <= len(key.encode()) <= 255 for key in headers)


def _short_text(text: str) -> bytes:
    data = text.encode()
    if len(data) > 0xFFFF:
        raise ValueError(f"text of {len(data)} bytes; at most 65,535 fit")
    return _U16.pack(len(data)) + data


def _pack_headers(headers: Headers) -> bytes:
    if not headers:
        return b""
    if not _are_in_bounds(headers):
        raise ValueError("a message has up to 64 headers, with keys of 1 to 255 bytes")
    life = headers.get("ttl-ms", "1")
    if not (life.isascii() and life.isdigit() and 1 <= int(life) < 1 << 64):
        raise ValueError(f"ttl-ms is a whole number of milliseconds from 1, in digits; not {life!r}")
    pairs = (_short_text(key) + _short_text(value) for key, value in headers.items())
    return _U16.pack(len(headers)) + b"".join(pairs)


@dataclass(frozen=True)
class Publish(Frame):
    """A message for a topic, with its place in the session's sequence."""

    KIND = 0x10
    FLAGS = _HEADERS
    sequence: int
    topic: str
    payload: bytes
    headers: Headers = field(default_factory=dict)

    def _flags(self) -> int:
        return _HEADERS if self.headers else 0

    def _body(self) -> bytes:
        return b"".join((_U64.pack(self.sequence), _short_text(self.topic), _pack_headers(self.headers), self.payload))

    @classmethod
    def read(cls, flags: int, body: bytes) -> Frame:
        rest = _Bytes(body)
        sequence, topic = rest.number(_U64), rest.text()
        headers = rest.headers() if flags & _HEADERS else {}
        return cls(sequence, topic, rest.rest(), headers)


@dataclass(frozen=True)
class Record:
    """One message of a Deliver."""

    payload: bytes
    headers: Headers = field(default_factory=dict)

    def encode(self) -> bytes:
        """Its flags, headers and payload."""
        return bytes([_HEADERS if self.headers else 0]) + _pack_headers(self.headers) + self.payload

    @classmethod
    def decode(cls, data: bytes) -> Record:
        """Reads what `encode` writes."""
        if not data or data[0] & ~_HEADERS:
            raise ProtocolError("a record starts with its flags, of which only bit 0 is defined")
        rest = _Bytes(data)
        rest.at = 1
        headers = rest.headers() if data[0] & _HEADERS else {}
        return cls(rest.rest(), headers)


@dataclass(frozen=True)
class Deliver(Frame):
    """Messages of one topic for one subscription, numbered from `first`."""

    KIND = 0x12
    FLAGS = _REDELIVERED | _RETURNS
    _FRONT: ClassVar[struct.Struct] = struct.Struct(">IQQ")
    handle: int
    first: int
    accepted_ms: int
    topic: str
    records: tuple[Record, ...]
    redelivered: bool = False
    returns: bool = False
    #: What the table of records counts from. It means nothing; kept, so that a frame is written as it was read.
    base: int = 0

    @property
    def last(self) -> int:
        """The number of its last message."""
        return self.first + len(self.records) - 1

    def _flags(self) -> int:
        return (_REDELIVERED if self.redelivered else 0) | (_RETURNS if self.returns else 0)

    def _body(self) -> bytes:
        records = [record.encode() for record in self.records]
        table = [self.base]
        for record in records:
            table.append(table[-1] + len(record))
        front = self._FRONT.pack(self.handle, self.first, self.accepted_ms) + _short_text(self.topic)
        return front + struct.pack(f">I{len(table)}I", len(records), *table) + b"".join(records)

    @classmethod
    def read(cls, flags: int, body: bytes) -> Frame:
        rest = _Bytes(body)
        handle, first, accepted_ms = rest.numbers(cls._FRONT)
        topic, count = rest.text(), rest.number(_U32)
        if count == 0 or count > len(body) // 4:
            raise ProtocolError(f"a Deliver of {len(body)} bytes with {count} messages")
        table = rest.numbers(struct.Struct(f">{count + 1}I"))
        base, block = table[0], rest.rest()
        spans = list(zip(table, table[1:]))
        if table[-1] - base != len(block) or any(start > end for start, end in spans):
            raise ProtocolError("a Deliver whose table does not fit its records")
        records = tuple(Record.decode(block[start - base : end - base]) for start, end in spans)
        redelivered, returns = bool(flags & _REDELIVERED), bool(flags & _RETURNS)
        return cls(handle, first, accepted_ms, topic, records, redelivered, returns, base)


class _Fixed(Frame):
    """A frame that is nothing but numbers."""

    FORM: ClassVar[struct.Struct]

    def _body(self) -> bytes:
        return self.FORM.pack(*(getattr(self, each.name) for each in fields(self)))  # type: ignore[arg-type]

    @classmethod
    def read(cls, flags: int, body: bytes) -> Frame:
        if len(body) != cls.FORM.size:
            raise ProtocolError(f"{cls.__name__} with a body of {len(body)} bytes instead of {cls.FORM.size}")
        return cls(*cls.FORM.unpack(body))


@dataclass(frozen=True)
class PublishAck(_Fixed):
    """Every publish up to `sequence` is settled."""

    KIND = 0x11
    FORM = _U64
    sequence: int


@dataclass(frozen=True)
class DeliverAck(_Fixed):
    """The client is done with every message of this subscription up to `number`."""

    KIND = 0x13
    FORM = struct.Struct(">IQ")
    handle: int
    number: int


@dataclass(frozen=True)
class DeliverNack(_Fixed):
    """The client gives `number` back: AGAIN, it and all after it come again; POISON, it is put aside."""

    AGAIN: ClassVar[int] = 1
    POISON: ClassVar[int] = 2
    KIND = 0x14
    FORM = struct.Struct(">IQB")
    handle: int
    number: int
    what: int


@dataclass(frozen=True)
class Ping(_Fixed):
    """Is the other side there?"""

    KIND = 0x15
    FORM = _U64
    token: int


@dataclass(frozen=True)
class Pong(_Fixed):
    """The answer to the Ping with this token."""

    KIND = 0x16
    FORM = _U64
    token: int
