"""The zip around the members, in every form in which one has been seen.

Written by hand rather than with :mod:`zipfile`, for a stand-in must also be able to write what a
sound writer refuses to: two members of one name, and checksums that do not fit.

Source: https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from struct import pack
from typing import Literal, Self, get_args

from core.errors import InvalidInput
from emulators.amplitude.members import Member

Packing = Literal["stored", "deflated", "mixed"]

_STORED, _DEFLATED = 0, 8
_DESCRIPTOR, _UTF8 = 1 << 3, 1 << 11
_MAX16, _MAX32 = 0xFFFF, 0xFFFFFFFF
_DOS_TIME, _DOS_DATE = 0, (2026 - 1980) << 9 | 1 << 5 | 2


@dataclass(frozen=True, slots=True)
class Entry:
    """One member of a zip.

    Attributes:
        name: As it will stand in the zip.
        payload: Its bytes.
        crc32: The checksum that the zip states; None for the right one.
    """

    name: str
    payload: bytes
    crc32: int | None = None


@dataclass(frozen=True, slots=True)
class Layout:
    """The form of the zip.

    Args:
        packing: How members are packed; ``mixed`` takes turns through packings, folders,
            descriptors and Zip64.
        folder: Names begin with ``<app>/``.
        descriptors: Sizes and checksum stand behind a member's data, as a streaming writer must.
        zip64: Sizes are 64 bits wide even where they need not be.
    """

    packing: Packing = "deflated"
    folder: bool = True
    descriptors: bool = False
    zip64: bool = False

    def at(self, number: int) -> Layout:
        """The form of the ``number``-th member, counted from 0."""
        if self.packing != "mixed":
            return self
        packing: Packing = "deflated" if number & 1 else "stored"
        return Layout(packing, folder=not number & 2, descriptors=bool(number & 4), zip64=bool(number & 8))

    def name(self, member: Member) -> str:
        """A member's name in the zip."""
        return f"{member.app_id}/{member.stem}.json.gz" if self.folder else f"{member.stem}.json.gz"

    @classmethod
    def parse(cls, text: str) -> Self:
        """``stored``, ``deflated`` or ``mixed``, then any of ``flat``, ``descriptors``, ``zip64``, by commas.

        Raises:
            InvalidInput: Another word. Permanent.
        """
        words = set(text.split(","))
        packings = [packing for packing in get_args(Packing) if packing in words]
        flags = {"flat", "descriptors", "zip64"}
        if len(packings) > 1 or words - {*packings} - flags:
            known = f"one of {', '.join(get_args(Packing))} and any of {', '.join(sorted(flags))}"
            msg = f"A layout is {known}, not {text!r}."
            raise InvalidInput(msg)
        return cls(
            packings[0] if packings else "deflated",
            folder="flat" not in words,
            descriptors="descriptors" in words,
            zip64="zip64" in words,
        )


def zip_chunks(entries: Iterable[Entry], layout: Layout) -> Iterator[bytes]:
    """Write a zip, piece by piece.

    Guarantees: one member at a time is in memory; the same entries always give the same bytes;
    Zip64 records are written where sizes, offsets or counts need them.
    """
    offset = 0
    directory: list[bytes] = []
    for number, entry in enumerate(entries):
        form = layout.at(number)
        local, data, tail, central = _member(entry, form, offset)
        directory.append(central)
        offset += len(local) + len(data) + len(tail)
        yield local
        yield data
        if tail:
            yield tail
    records = b"".join(directory)
    yield records
    yield _end(len(directory), len(records), offset, zip64=layout.zip64)


def _member(entry: Entry, form: Layout, offset: int) -> tuple[bytes, bytes, bytes, bytes]:
    """Local header, data, data descriptor (or nothing) and directory record of one member."""
    name = entry.name.encode()
    data = entry.payload
    if form.packing == "deflated":
        packer = zlib.compressobj(1, zlib.DEFLATED, -zlib.MAX_WBITS)
        data = packer.compress(data) + packer.flush()
    crc = zlib.crc32(entry.payload) if entry.crc32 is None else entry.crc32
    packed, size = len(data), len(entry.payload)
    wide = form.zip64 or max(offset, packed, size) >= _MAX32
    flags = (0 if entry.name.isascii() else _UTF8) | (_DESCRIPTOR if form.descriptors else 0)
    start = (
        45 if wide else 20,
        flags,
        _DEFLATED if form.packing == "deflated" else _STORED,
        _DOS_TIME,
        _DOS_DATE,
    )
    seen = (0, 0, 0) if form.descriptors else (crc, packed, size)
    narrow = (seen[0], _MAX32, _MAX32) if wide else seen
    extra = pack("<HHQQ", 1, 16, seen[2], seen[1]) if wide else b""
    local = pack("<4s5H3L2H", b"PK\3\4", *start, *narrow, len(name), len(extra)) + name + extra
    tail = pack("<4sLQQ" if wide else "<4s3L", b"PK\7\10", crc, packed, size) if form.descriptors else b""
    narrow, place = ((crc, _MAX32, _MAX32), _MAX32) if wide else ((crc, packed, size), offset)
    extra = pack("<HHQQQ", 1, 24, size, packed, offset) if wide else b""
    central = pack("<4sH5H3L5H2L", b"PK\1\2", 45, *start, *narrow, len(name), len(extra), 0, 0, 0, 0, place)
    return local, data, tail, central + name + extra


def _end(count: int, size: int, offset: int, *, zip64: bool) -> bytes:
    """The records behind the directory."""
    wide = zip64 or count >= _MAX16 or max(size, offset) >= _MAX32
    end = pack(
        "<4s4H2LH",
        b"PK\5\6",
        0,
        0,
        min(count, _MAX16),
        min(count, _MAX16),
        min(size, _MAX32),
        min(offset, _MAX32),
        0,
    )
    if not wide:
        return end
    record = pack("<4sQ2H2L4Q", b"PK\6\6", 44, 45, 45, 0, 0, count, count, size, offset)
    return record + pack("<4sLQL", b"PK\6\7", 0, offset + size, 1) + end
