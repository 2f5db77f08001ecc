"""Every example of the protocol page, read and written again, byte for byte."""

from __future__ import annotations

import re
import unittest
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from cordboard import frames

PAGE = Path(__file__).resolve().parents[3] / "protocol.md"


class Example(NamedTuple):
    """One frame of a dump."""

    line: int
    name: str
    data: bytes


def examples() -> Iterator[Example]:
    """The frames of all `hex` blocks: a line `> Kind` or `< Kind`, then bytes with comments."""
    name, start, digits, inside = "", 0, "", False
    for line, text in enumerate(PAGE.read_text(encoding="utf-8").splitlines(), 1):
        if text.startswith("```"):
            opens = text == "```hex"
            if inside and name:
                yield Example(start, name, bytes.fromhex(digits))
            inside, name, digits = opens, "", ""
        elif inside and text[:2] in ("> ", "< "):
            if name:
                yield Example(start, name, bytes.fromhex(digits))
            name, start, digits = text[2:].strip(), line, ""
        elif inside:
            digits += text.split("#")[0]


class Page(unittest.TestCase):
    def test_every_example_is_read_and_written_as_it_stands(self) -> None:
        for example in examples():
            with self.subTest(line=example.line, name=example.name):
                reader = frames.FrameReader()
                reader.feed(example.data)
                (frame,) = reader
                self.assertEqual(type(frame).__name__, example.name)
                self.assertEqual(frame.encode().hex(" "), example.data.hex(" "))

    def test_every_kind_has_an_example(self) -> None:
        kinds = re.findall(r"^\| `0x([0-9a-f]{2})` \| \[(\w+)\]", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
        self.assertEqual(len(kinds), 19)
        shown = {(f"{example.data[4]:02x}", example.name) for example in examples()}
        self.assertEqual(shown, set(kinds))

    def test_a_stream_may_be_cut_anywhere(self) -> None:
        stream = b"".join(example.data for example in examples())
        for size in (1, 7, 64, len(stream)):
            reader = frames.FrameReader()
            found: list[frames.Frame] = []
            for start in range(0, len(stream), size):
                reader.feed(stream[start : start + size])
                found += reader
            self.assertEqual(b"".join(frame.encode() for frame in found), stream)


if __name__ == "__main__":
    unittest.main()
