"""What every frame is: `u32 length | u8 kind | u8 flags | body`."""

from __future__ import annotations

import struct
from abc import ABC, abstractmethod
from typing import ClassVar

PREFIX = struct.Struct(">I")
_HEAD = struct.Struct(">IBB")


class Frame(ABC):
    """One frame, of either side."""

    KIND: ClassVar[int]
    #: The flag bits that this kind defines.
    FLAGS: ClassVar[int] = 0

    def encode(self) -> bytes:
        """The frame as it travels, its length field included."""
        body = self._body()
        return _HEAD.pack(len(body) + 2, self.KIND, self._flags()) + body

    def _flags(self) -> int:
        return 0

    @abstractmethod
    def _body(self) -> bytes: ...

    @classmethod
    @abstractmethod
    def read(cls, flags: int, body: bytes) -> Frame:
        """The frame of this kind with that body, or ProtocolError."""
