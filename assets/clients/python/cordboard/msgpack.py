"""MessagePack, as far as the protocol needs it: control frames carry one map of named fields.

A broker may add fields of any kind to its maps, so everything can be read; only what a client says can be written.
"""

from __future__ import annotations

import struct
from typing import Any, NamedTuple

from .errors import ProtocolError

#: Maps and lists nest at most this deep, the outermost map included.
MAX_DEPTH = 7


class Extension(NamedTuple):
    """A value of a type that MessagePack leaves to its users."""

    code: int
    data: bytes


def pack(value: Any) -> bytes:
    """Encode booleans, integers, text, lists and dicts, each in its shortest form."""
    out = bytearray()
    _pack(value, out)
    return bytes(out)


def _pack(value: Any, out: bytearray) -> None:
    if isinstance(value, bool):
        out.append(0xC3 if value else 0xC2)
    elif isinstance(value, int):
        _pack_unsigned(value, out)
    elif isinstance(value, str):
        text = value.encode()
        _pack_size(len(text), (0xA0, 32), {8: 0xD9, 16: 0xDA, 32: 0xDB}, out)
        out += text
    elif isinstance(value, (list, tuple)):
        _pack_size(len(value), (0x90, 16), {16: 0xDC, 32: 0xDD}, out)
        for item in value:
            _pack(item, out)
    elif isinstance(value, dict):
        _pack_size(len(value), (0x80, 16), {16: 0xDE, 32: 0xDF}, out)
        for key, item in value.items():
            _pack(key, out)
            _pack(item, out)
    else:
        raise TypeError(f"the protocol has no use for {type(value).__name__}")


def _pack_unsigned(value: int, out: bytearray) -> None:
    if value < 0:
        raise ValueError(f"{value} is negative; the protocol counts from 0")
    _pack_size(value, (0, 128), {8: 0xCC, 16: 0xCD, 32: 0xCE, 64: 0xCF}, out)


def _pack_size(size: int, fix: tuple[int, int], marks: dict[int, int], out: bytearray) -> None:
    """Write a number into its mark, if there is room in it, or behind the first mark whose bits are enough."""
    mark, room = fix
    if size < room:
        out.append(mark | size)
        return
    for bits, mark in marks.items():
        if size < 1 << bits:
            out.append(mark)
            out += size.to_bytes(bits // 8, "big")
            return
    raise ValueError(f"{size} does not fit into MessagePack")


def unpack(data: bytes) -> Any:
    """Decode the one value that `data` is."""
    reader = _Reader(data)
    value = reader.value(MAX_DEPTH)
    if reader.at != len(data):
        raise ProtocolError("bytes after the MessagePack value")
    return value


_CONSTANTS = {0xC0: None, 0xC2: False, 0xC3: True}
_NUMBERS = {
    mark: struct.Struct(">" + form)
    for mark, form in zip(range(0xCA, 0xD4), ("f", "d", "B", "H", "I", "Q", "b", "h", "i", "q"))
}
#: What follows a mark, and in how many bytes its size stands.
_SIZED = {
    0xC4: ("bytes", 1),
    0xC5: ("bytes", 2),
    0xC6: ("bytes", 4),
    0xC7: ("extension", 1),
    0xC8: ("extension", 2),
    0xC9: ("extension", 4),
    0xD9: ("text", 1),
    0xDA: ("text", 2),
    0xDB: ("text", 4),
    0xDC: ("list", 2),
    0xDD: ("list", 4),
    0xDE: ("map", 2),
    0xDF: ("map", 4),
}


class _Reader:
    """Goes through the bytes of one value. Never takes a size at its word: it reads on until the bytes end."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.at = 0

    def value(self, depth: int) -> Any:
        mark = self.take(1)[0]
        if mark < 0x80:
            return mark
        if mark >= 0xE0:
            return mark - 0x100
        if mark < 0xC0:
            return self._fixed(mark, depth)
        if mark in _CONSTANTS:
            return _CONSTANTS[mark]
        if mark in _NUMBERS:
            form = _NUMBERS[mark]
            return form.unpack(self.take(form.size))[0]
        if 0xD4 <= mark <= 0xD8:
            return self._sized("extension", 1 << (mark - 0xD4), depth)
        if mark in _SIZED:
            kind, width = _SIZED[mark]
            return self._sized(kind, int.from_bytes(self.take(width), "big"), depth)
        raise ProtocolError(f"0x{mark:02x} is not MessagePack")

    def _fixed(self, mark: int, depth: int) -> Any:
        if mark < 0x90:
            return self._sized("map", mark & 0x0F, depth)
        if mark < 0xA0:
            return self._sized("list", mark & 0x0F, depth)
        return self._sized("text", mark & 0x1F, depth)

    def _sized(self, kind: str, size: int, depth: int) -> Any:
        if kind == "text":
            return text(self.take(size))
        if kind == "bytes":
            return self.take(size)
        if kind == "extension":
            return Extension(self.take(1)[0], self.take(size))
        if depth == 0:
            raise ProtocolError(f"maps and lists nest deeper than {MAX_DEPTH}")
        if kind == "list":
            return [self.value(depth - 1) for _ in range(size)]
        return self._map(size, depth)

    def _map(self, size: int, depth: int) -> dict[str, Any]:
        fields: dict[str, Any] = {}
        for _ in range(size):
            key = self.value(depth - 1)
            if not isinstance(key, str) or key in fields:
                raise ProtocolError(f"a map's keys are text, each once; not so {key!r}")
            fields[key] = self.value(depth - 1)
        return fields

    def take(self, size: int) -> bytes:
        taken = self.data[self.at : self.at + size]
        if len(taken) < size:
            raise ProtocolError("the frame ends too early")
        self.at += size
        return taken


def text(data: bytes) -> str:
    """The text in `data`, which must be UTF-8."""
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise ProtocolError("text that is not UTF-8") from None
