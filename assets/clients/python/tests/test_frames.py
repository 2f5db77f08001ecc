"""Frames: what the examples of the page do not show. Bounds, unknown fields, and what must be refused."""

from __future__ import annotations

import unittest

from cordboard import frames, msgpack
from cordboard.errors import ProtocolError


def read(data: bytes) -> frames.Frame:
    reader = frames.FrameReader()
    reader.feed(data)
    (frame,) = reader
    return frame


class Control(unittest.TestCase):
    def test_unknown_fields_are_ignored_and_nil_is_nothing(self) -> None:
        body = msgpack.pack({"code": 503, "reason": "full", "later": [{"any": ["thing"]}]})
        self.assertEqual(frames.decode(0x0C, 0, body), frames.Error(503, "full"))
        nil = b"\x83\xa4code\xcd\x01\xf7\xa6reason\xa4full\xa7request\xc0"
        self.assertEqual(frames.decode(0x0C, 0, nil), frames.Error(503, "full"))

    def test_a_missing_or_wrong_field_is_an_error(self) -> None:
        for fields in (
            {},
            {"code": 503},
            {"code": 65_536, "reason": ""},
            {"code": True, "reason": ""},
            {"code": 1, "reason": 2},
        ):
            with self.assertRaises(ProtocolError, msg=str(fields)):
                frames.decode(0x0C, 0, msgpack.pack(fields))
        with self.assertRaises(ProtocolError):
            frames.decode(0x0C, 0, msgpack.pack([]))

    def test_a_password_is_not_shown(self) -> None:
        self.assertNotIn("secret", repr(frames.RegistrationRequest((1,), "till-7", password="secret")))


class Hot(unittest.TestCase):
    def test_headers_come_back_as_they_went(self) -> None:
        for headers in ({}, {"ttl-ms": "1"}, {"é" * 127: ""}, {str(number): "x" * number for number in range(64)}):
            for payload in (b"", b"\x00\xff" * 100):
                publish = frames.Publish(7, "orders/eu", payload, headers)
                self.assertEqual(read(publish.encode()), publish)

    def test_headers_that_would_cost_the_connection_are_not_sent(self) -> None:
        lives = [{"ttl-ms": life} for life in ("", "0", "soon", "-1", "1.5", "٣", str(2**64))]
        for headers in lives + [
            {"": "x"},
            {"k" * 256: ""},
            {"k": "x" * 65_536},
            {str(number): "" for number in range(65)},
        ]:
            with self.assertRaises(ValueError, msg=str(headers)[:40]):
                frames.Publish(1, "t", b"", headers).encode()
        with self.assertRaises(ValueError):
            frames.Publish(1, "t" * 65_536, b"").encode()

    def test_a_table_may_start_anywhere_and_must_fit(self) -> None:
        records = (frames.Record(b"one"), frames.Record(b"", {"k": "v"}), frames.Record(b""))
        deliver = frames.Deliver(1, 5, 9, "t", records, returns=True, base=4_000_000_000)
        self.assertEqual(read(deliver.encode()), deliver)
        self.assertEqual(deliver.last, 7)
        whole = bytearray(deliver.encode())
        table = 6 + 20 + 3 + 4
        for at, value in ((table, 0), (table + 4, 255), (table + 12, 1), (table - 1, 0), (table - 4, 255)):
            broken = bytearray(whole)
            broken[at] = value
            with self.assertRaises(ProtocolError, msg=str(at)):
                read(bytes(broken))

    def test_bodies_have_exactly_their_size(self) -> None:
        for kind, size in ((0x11, 8), (0x13, 12), (0x14, 13), (0x15, 8), (0x16, 8)):
            frames.decode(kind, 0, bytes(size))
            for wrong in (size - 1, size + 1):
                with self.assertRaises(ProtocolError):
                    frames.decode(kind, 0, bytes(wrong))


class Stream(unittest.TestCase):
    def test_kinds_flags_and_lengths_that_are_not_defined_are_refused(self) -> None:
        for head in ("000000010c", "002000010c00", "000000020d00", "0000000a1501" + "00" * 8, "000000030a0180"):
            with self.assertRaises(ProtocolError, msg=head):
                read(bytes.fromhex(head))

    def test_a_frame_of_the_promised_size_is_taken(self) -> None:
        reader = frames.FrameReader()
        reader.feed(frames.MIN_RECEIVED_LENGTH.to_bytes(4, "big"))
        self.assertIsNone(reader.next())
        reader = frames.FrameReader()
        reader.feed((frames.MIN_RECEIVED_LENGTH + 1).to_bytes(4, "big"))
        with self.assertRaises(ProtocolError):
            reader.next()


if __name__ == "__main__":
    unittest.main()
