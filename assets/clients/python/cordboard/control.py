"""Control frames: dataclasses that travel as MessagePack maps with the same field names."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Any, Callable, TypeVar

from . import msgpack
from .errors import ProtocolError
from .frame import Frame


def _unsigned(bits: int) -> Callable[[Any], int]:
    def read(value: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 1 << bits:
            raise ProtocolError(f"{value!r} is no u{bits}")
        return value

    return read


def _exactly(kind: type) -> Callable[[Any], Any]:
    def read(value: Any) -> Any:
        if not isinstance(value, kind):
            raise ProtocolError(f"{value!r} is no {kind.__name__}")
        return value

    return read


def _list_of(item: Callable[[Any], Any]) -> Callable[[Any], tuple[Any, ...]]:
    def read(value: Any) -> tuple[Any, ...]:
        return tuple(item(entry) for entry in _exactly(list)(value))

    return read


_u16, _u32, _u64, _text, _bool = _unsigned(16), _unsigned(32), _unsigned(64), _exactly(str), _exactly(bool)


def _field(read: Callable[[Any], Any]) -> Any:
    return field(metadata={"read": read})


def _optional(read: Callable[[Any], Any]) -> Any:
    return field(default=None, metadata={"read": read})


_M = TypeVar("_M", bound="_Map")


class _Map:
    """A dataclass that is a MessagePack map: a field that is None is left out, an unknown one ignored."""

    def to_map(self) -> dict[str, Any]:
        named = ((each.name, getattr(self, each.name)) for each in fields(self))  # type: ignore[arg-type]
        return {name: _plain(value) for name, value in named if value is not None}

    @classmethod
    def from_map(cls: type[_M], found: Any) -> _M:
        values = {}
        for each in fields(cls):  # type: ignore[arg-type]
            value = _exactly(dict)(found).get(each.name)
            if value is not None:
                values[each.name] = each.metadata["read"](value)
            elif each.default is not None:
                raise ProtocolError(f"{cls.__name__} without {each.name}")
        return cls(**values)


def _plain(value: Any) -> Any:
    if isinstance(value, _Map):
        return value.to_map()
    return [_plain(entry) for entry in value] if isinstance(value, tuple) else value


class _Control(_Map, Frame):
    """A frame whose body is a map."""

    def _body(self) -> bytes:
        return msgpack.pack(self.to_map())

    @classmethod
    def read(cls, flags: int, body: bytes) -> Frame:
        return cls.from_map(msgpack.unpack(body))


@dataclass(frozen=True)
class RegistrationRequest(_Control):
    """The client's first frame."""

    KIND = 0x01
    versions: tuple[int, ...] = _field(_list_of(_u16))
    name: str = _field(_text)
    user: str | None = _optional(_text)
    password: str | None = field(default=None, repr=False, metadata={"read": _text})
    session: str | None = _optional(_text)
    keep_alive_ms: int | None = _optional(_u64)
    reclaim_ms: int | None = _optional(_u64)
    ack: str | None = _optional(_text)
    settled: int | None = _optional(_u64)


@dataclass(frozen=True)
class Failure(_Map):
    """`count` consecutive publishes, from `sequence`, that have failed."""

    sequence: int = _field(_u64)
    count: int = _field(_u32)
    code: int = _field(_u16)


@dataclass(frozen=True)
class Surviving(_Map):
    """A subscription that a resumed session still has."""

    filter: str = _field(_text)
    handle: int = _field(_u32)


@dataclass(frozen=True)
class RegistrationResponse(_Control):
    """The connection is registered, with these limits."""

    KIND = 0x02
    version: int = _field(_u16)
    session: str = _field(_text)
    resumed: bool = _field(_bool)
    epoch: int = _field(_u64)
    server: str = _field(_text)
    keep_alive_ms: int = _field(_u64)
    reclaim_ms: int = _field(_u64)
    max_frame: int = _field(_u32)
    max_topic_bytes: int = _field(_u16)
    max_topic_levels: int = _field(_u16)
    window_messages: int = _field(_u32)
    window_bytes: int = _field(_u64)
    credit_messages: int = _field(_u32)
    credit_bytes: int = _field(_u64)
    settled: int = _field(_u64)
    taken: int | None = _optional(_u64)
    failures: tuple[Failure, ...] | None = _optional(_list_of(Failure.from_map))
    unknown_to: int | None = _optional(_u64)
    subscriptions: tuple[Surviving, ...] | None = _optional(_list_of(Surviving.from_map))


@dataclass(frozen=True)
class SubscribeRequest(_Control):
    """Asks for a subscription. The reserved `group` is never sent."""

    KIND = 0x03
    request: int = _field(_u32)
    filter: str = _field(_text)
    ack_timeout_ms: int | None = _optional(_u64)


@dataclass(frozen=True)
class SubscribeAck(_Control):
    """The subscription is there, under this handle."""

    KIND = 0x04
    request: int = _field(_u32)
    filter: str = _field(_text)
    handle: int = _field(_u32)
    ack_timeout_ms: int = _field(_u64)
    existing: bool = _field(_bool)


@dataclass(frozen=True)
class UnsubscribeRequest(_Control):
    """Gives a subscription up."""

    KIND = 0x05
    request: int = _field(_u32)
    filter: str = _field(_text)


@dataclass(frozen=True)
class UnsubscribeAck(_Control):
    """Nothing of this filter comes any more."""

    KIND = 0x06
    request: int = _field(_u32)
    filter: str = _field(_text)
    existed: bool = _field(_bool)


@dataclass(frozen=True)
class SubscriptionEnded(_Control):
    """Somebody has ended it. Not to be subscribed again without being told to."""

    KIND = 0x07
    filter: str = _field(_text)
    handle: int = _field(_u32)
    code: int = _field(_u16)
    reason: str = _field(_text)
    lost: int = _field(_u64)


@dataclass(frozen=True)
class Resubscribe(_Control):
    """The subscription failed at the broker: to be subscribed again at once."""

    KIND = 0x08
    filter: str = _field(_text)
    handle: int = _field(_u32)
    lost: int = _field(_u64)


@dataclass(frozen=True)
class Disconnect(_Control):
    """The client's last frame."""

    KIND = 0x09
    end: bool | None = _optional(_bool)


@dataclass(frozen=True)
class Displaced(_Control):
    """Another connection has resumed the session."""

    KIND = 0x0A


@dataclass(frozen=True)
class Evicted(_Control):
    """An operator has ended the session."""

    KIND = 0x0B
    reason: str = _field(_text)


@dataclass(frozen=True)
class Error(_Control):
    """With `request` or `sequence` the answer to that; otherwise the end of the connection."""

    KIND = 0x0C
    code: int = _field(_u16)
    reason: str = _field(_text)
    request: int | None = _optional(_u32)
    sequence: int | None = _optional(_u64)
    count: int | None = _optional(_u32)
    at_ms: int | None = _optional(_u64)
    retry_ms: int | None = _optional(_u64)
    versions: tuple[int, ...] | None = _optional(_list_of(_u16))
