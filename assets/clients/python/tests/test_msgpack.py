"""MessagePack: what is written, and everything that must be readable or refused."""

from __future__ import annotations

import unittest

from cordboard.errors import ProtocolError
from cordboard.msgpack import Extension, pack, unpack


class Writing(unittest.TestCase):
    def test_integers_take_their_shortest_form(self) -> None:
        forms = {
            0: "00",
            127: "7f",
            128: "cc80",
            255: "ccff",
            256: "cd0100",
            65_535: "cdffff",
            65_536: "ce00010000",
            2**32 - 1: "ceffffffff",
            2**32: "cf0000000100000000",
            2**64 - 1: "cfffffffffffffffff",
        }
        for value, form in forms.items():
            self.assertEqual(pack(value).hex(), form)
        for value in (-1, 2**64):
            with self.assertRaises(ValueError):
                pack(value)

    def test_everything_written_is_read(self) -> None:
        sizes = (0, 1, 15, 16, 31, 32, 255, 256, 65_535, 65_536)
        values: list[object] = ["é" * (size // 2) + "x" * (size % 2) for size in sizes]
        values += [[True] * size for size in sizes]
        values += [{str(number): number for number in range(size)} for size in sizes[:8]]
        for value in values + [True, False]:
            self.assertEqual(unpack(pack(value)), value)

    def test_what_the_protocol_never_says_is_refused(self) -> None:
        for value in (1.5, b"bytes", None, object()):
            with self.assertRaises(TypeError):
                pack(value)


class Reading(unittest.TestCase):
    def test_every_type_can_stand_in_an_unknown_field(self) -> None:
        forms = {
            "c0": None,
            "e0": -32,
            "ff": -1,
            "d0df": -33,
            "d1ff00": -256,
            "d2ffff0000": -65_536,
            "d3" + "ff" * 8: -1,
            "cb3ff8000000000000": 1.5,
            "ca3fc00000": 1.5,
            "c40161": b"a",
            "c5000161": b"a",
            "c60000000161": b"a",
            "d40561": Extension(5, b"a"),
            "d8ff" + "00" * 16: Extension(255, bytes(16)),
            "c7010561": Extension(5, b"a"),
            "da000161": "a",
            "db0000000161": "a",
            "dc000101": [1],
            "dd0000000101": [1],
            "df00000001a16101": {"a": 1},
        }
        for form, value in forms.items():
            self.assertEqual(unpack(bytes.fromhex(form)), value, form)

    def test_what_is_malformed_is_an_error_and_nothing_else(self) -> None:
        bad = (
            "",
            "c1",
            "a2",
            "a261",
            "a1ff",
            "0000",
            "81a161",
            "8101",
            "82a16101a16102",
            "8180",
            "ddffffffff",
            "dbffffffff",
        )
        for form in bad:
            with self.assertRaises(ProtocolError, msg=form):
                unpack(bytes.fromhex(form))

    def test_any_prefix_of_a_value_is_an_error(self) -> None:
        whole = pack({"versions": [1, 70_000], "name": "till-7" * 50, "ok": True})
        for size in range(len(whole)):
            with self.assertRaises(ProtocolError):
                unpack(whole[:size])

    def test_nesting_ends_at_seven(self) -> None:
        self.assertEqual(unpack(b"\x91" * 6 + b"\x90"), [[[[[[[]]]]]]])
        with self.assertRaises(ProtocolError):
            unpack(b"\x91" * 7 + b"\x90")


if __name__ == "__main__":
    unittest.main()
