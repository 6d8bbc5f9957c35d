"""Mutations of bytes that know nothing of what the bytes mean."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

#: Where a reader's arithmetic turns over, for each width in bytes.
_EDGES = {
    width: (0, 1, 2, 1 << bits - 1, (1 << bits - 1) - 1, (1 << bits) - 1, (1 << bits) - 2)
    for width in (1, 2, 4, 8)
    for bits in [8 * width]
}

#: What a zip, a gzip stream or JSON begins with: the reader looks for these.
_MARKS = (
    b"PK\3\4", b"PK\1\2", b"PK\5\6", b"PK\6\6", b"PK\6\7", b"PK\7\10",
    b"\x1f\x8b\x08", b"\n", b"\0", b'{"', b"#", b"/", b"../",
)  # fmt: skip


def mutated(chance: Random, data: bytes, other: bytes) -> bytes:
    """One to four blind mutations in a row.

    Args:
        other: Another input of the same kind, to splice with.
    """
    for _ in range(chance.randrange(1, 5)):
        data = chance.choice(_MUTATIONS)(chance, data, other)
    return data


def edge(chance: Random, width: int) -> int:
    """An unsigned integer of ``width`` bytes (1, 2, 4 or 8), most often one on the edge of something."""
    if chance.random() < 0.8:
        return chance.choice(_EDGES[width])
    return chance.getrandbits(8 * width)


def _place(chance: Random, data: bytes) -> int:
    """Anywhere; every other time near the end, where a zip keeps what is read first."""
    if chance.random() < 0.5:
        return max(0, len(data) - chance.randrange(1, 100))
    return chance.randrange(len(data) + 1)


def _flip(chance: Random, data: bytes, _: bytes) -> bytes:
    at = _place(chance, data)
    return data[:at] + bytes(byte ^ 1 << chance.randrange(8) for byte in data[at : at + 1]) + data[at + 1 :]


def _overwrite(chance: Random, data: bytes, _: bytes) -> bytes:
    at, size = _place(chance, data), chance.randrange(1, 9)
    return data[:at] + chance.randbytes(size) + data[at + size :]


def _integer(chance: Random, data: bytes, _: bytes) -> bytes:
    at, width = _place(chance, data), chance.choice((1, 2, 4, 8))
    return data[:at] + edge(chance, width).to_bytes(width, "little") + data[at + width :]


def _delete(chance: Random, data: bytes, _: bytes) -> bytes:
    at = _place(chance, data)
    return data[:at] + data[at + chance.randrange(1, 33) :]


def _insert(chance: Random, data: bytes, _: bytes) -> bytes:
    at = _place(chance, data)
    new = chance.choice(_MARKS) if chance.random() < 0.5 else chance.randbytes(chance.randrange(1, 17))
    return data[:at] + new + data[at:]


def _cut(chance: Random, data: bytes, _: bytes) -> bytes:
    return data[: _place(chance, data)]


def _behead(chance: Random, data: bytes, _: bytes) -> bytes:
    return data[chance.randrange(1, 65) :]


def _splice(chance: Random, data: bytes, other: bytes) -> bytes:
    return data[: _place(chance, data)] + other[_place(chance, other) :]


def _repeat(chance: Random, data: bytes, _: bytes) -> bytes:
    at = chance.randrange(len(data) + 1)
    stretch = data[at : at + chance.randrange(1, 129)]
    return data[:at] + stretch * chance.randrange(2, 9) + data[at + len(stretch) :]


def _append(_: Random, data: bytes, other: bytes) -> bytes:
    return data + other


_MUTATIONS: tuple[Callable[[Random, bytes, bytes], bytes], ...] = (
    _flip, _flip, _overwrite, _integer, _integer, _delete, _insert, _cut, _behead, _splice, _repeat, _append,
)  # fmt: skip
