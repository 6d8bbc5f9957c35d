"""Gzip streams in every form that is legal, and mutations of what they are made of."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from random import Random
from struct import pack

from tests.campaigns.fuzz_bytes import edge, mutated

_TEXT, _HEADER_CRC, _EXTRA, _NAME, _COMMENT = 1, 2, 4, 8, 16
_HEADER_BYTES, _TRAILER_BYTES = 10, 8


def stream_of(content: bytes, *, flags: int = 0, level: int = 6, strategy: int = 0) -> bytes:
    """One gzip stream.

    Args:
        flags: Which optional fields stand in its header (RFC 1952, FLG).
        level: 0 stores, as some writers do with little content.
        strategy: ``zlib.Z_FIXED`` leaves the Huffman tables out.
    """
    header = pack("<2s2BL2B", b"\x1f\x8b", 8, flags, 1_766_500_000, 0, 255)
    if flags & _EXTRA:
        header += pack("<H2sH3s", 7, b"AB", 3, b"xyz")
    if flags & _NAME:
        header += b"events.json\0"
    if flags & _COMMENT:
        header += b"a comment\0"
    if flags & _HEADER_CRC:
        header += pack("<H", zlib.crc32(header) & 0xFFFF)
    packer = zlib.compressobj(level, zlib.DEFLATED, -zlib.MAX_WBITS, 8, strategy)
    body = packer.compress(content) + packer.flush()
    return header + body + pack("<2L", zlib.crc32(content), len(content) & 0xFFFF_FFFF)


def any_stream(chance: Random, content: bytes) -> bytes:
    """``content`` as sound gzip, in a form drawn from all of them: one stream, or several in a row."""
    if chance.random() < 0.3 and content:
        at = chance.randrange(len(content) + 1)
        return any_stream(chance, content[:at]) + any_stream(chance, content[at:])
    return stream_of(
        content,
        flags=chance.choice((0, 0, _TEXT, _HEADER_CRC, _EXTRA, _NAME, _COMMENT, 31)),
        level=chance.choice((0, 1, 6, 9)),
        strategy=chance.choice((zlib.Z_DEFAULT_STRATEGY, zlib.Z_FIXED, zlib.Z_HUFFMAN_ONLY)),
    )


def damaged_stream(chance: Random, payload: bytes, other: bytes) -> bytes:
    """A sound payload with one thing changed; now and then it is as sound as before."""
    return chance.choice(_DAMAGES)(chance, payload, other)


def _header(chance: Random, payload: bytes, _: bytes) -> bytes:
    at = chance.randrange(_HEADER_BYTES)
    return payload[:at] + bytes([edge(chance, 1)]) + payload[at + 1 :]


def _flags(chance: Random, payload: bytes, _: bytes) -> bytes:
    return payload[:3] + bytes([1 << chance.randrange(8) | chance.getrandbits(5)]) + payload[4:]


def _body(chance: Random, payload: bytes, _: bytes) -> bytes:
    at = chance.randrange(_HEADER_BYTES, max(_HEADER_BYTES + 1, len(payload) - _TRAILER_BYTES))
    return (
        payload[:at]
        + bytes(byte ^ 1 << chance.randrange(8) for byte in payload[at : at + 1])
        + payload[at + 1 :]
    )


def _trailer(chance: Random, payload: bytes, _: bytes) -> bytes:
    at = len(payload) - _TRAILER_BYTES + chance.choice((0, 4))
    return payload[:at] + edge(chance, 4).to_bytes(4, "little") + payload[at + 4 :]


def _cut(chance: Random, payload: bytes, _: bytes) -> bytes:
    """Anywhere; every other time within the trailer, where all of the content has come out already."""
    if chance.random() < 0.5:
        return payload[: -chance.randrange(1, _TRAILER_BYTES + 1)]
    return payload[: chance.randrange(len(payload))]


def _rubbish(chance: Random, payload: bytes, _: bytes) -> bytes:
    behind = chance.choice((b"\0", b"\0" * 512, b"\n", b"\x1f", b"\x1f\x8b", b"\x1f\x8b\x08", b"rubbish"))
    return payload + behind


def _join(chance: Random, payload: bytes, other: bytes) -> bytes:
    return payload + other[: chance.choice((len(other), chance.randrange(len(other) + 1)))]


def _no_end(_: Random, payload: bytes, __: bytes) -> bytes:
    """The first deflate block no longer says that it is the last."""
    return payload[:_HEADER_BYTES] + bytes(b & ~1 for b in payload[_HEADER_BYTES:11]) + payload[11:]


def _not_gzip(chance: Random, payload: bytes, _: bytes) -> bytes:
    """What a confused writer could send instead: nothing, zlib, bare deflate, plain JSON."""
    content = b'{"a":1}\n'
    bare = payload[_HEADER_BYTES:-_TRAILER_BYTES]
    return chance.choice((b"", zlib.compress(content), bare, content, b"\n"))


_DAMAGES: tuple[Callable[[Random, bytes, bytes], bytes], ...] = (
    _header, _flags, _body, _body, _trailer, _cut, _rubbish, _join, _no_end, _not_gzip, mutated, mutated,
)  # fmt: skip
