"""How an archive is spoiled from within: see :class:`emulators.amplitude.faults.Fault`."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator

from core.hours import ExportHour, ExportWindow
from emulators.amplitude.archive import Entry, Layout
from emulators.amplitude.faults import Fault
from emulators.amplitude.members import Member, build_member, gzipped, member_stem
from emulators.amplitude.specs import concerns

_BOMB_PART = 9999


def entries(
    members: Iterable[Member], layout: Layout, window: ExportWindow, fault: Fault | None = None
) -> Iterator[Entry]:
    """The members as they go into the zip, one at a time, spoiled if there is a fault to do it."""
    victim: Member | None = None
    number = -1
    for number, member in enumerate(members):
        entry = Entry(layout.at(number).name(member), member.payload)
        if fault is None or victim is not None or not concerns(fault.hours, member.hour):
            yield entry
            continue
        victim = member
        yield _damaged(entry, fault.kind)
        if fault.kind == "duplicate":
            yield entry
    if fault is not None and victim is not None:
        extra = _extra(fault, victim, window.last + 1)
        if extra is not None:
            yield Entry(extra[0] or layout.at(number + 1).name(extra[1]), extra[1].payload)


def _damaged(entry: Entry, kind: str) -> Entry:
    """An entry with what ``kind`` does to it; as it was, if that concerns others."""
    if kind == "truncated-gzip":
        return Entry(entry.name, entry.payload[: len(entry.payload) * 2 // 3])
    if kind == "flipped-gzip":
        return Entry(entry.name, flip(entry.payload))
    if kind == "flipped-zip":
        return Entry(entry.name, flip(entry.payload), zlib.crc32(entry.payload))
    return entry


def _extra(fault: Fault, like: Member, next_hour: ExportHour) -> tuple[str | None, Member] | None:
    """One member more, and its name if that is not the usual one."""
    line = b'{"uuid":null}'
    if fault.kind == "stranger":
        return fault.name, like
    if fault.kind == "second-app":
        return None, build_member(like.app_id + 1, like.hour, 0, [line], quirky=False)
    if fault.kind == "outside":
        return None, build_member(like.app_id, next_hour, 0, [line], quirky=False)
    if fault.kind == "bomb":
        blanks = b"\n" * (fault.megabytes * 1_000_000)
        stem = member_stem(like.app_id, like.hour, _BOMB_PART)
        return None, Member(like.app_id, like.hour, stem, gzipped(blanks), 0, len(blanks))
    return None


def flip(payload: bytes) -> bytes:
    """Some gzip with one bit of its compressed data turned over, about the middle.

    Guarantees: it no longer gunzips.
    """
    spoiled = bytearray(payload)
    for place in range(len(payload) // 2, len(payload)):
        spoiled[place] ^= 0x10
        if not _gunzips(bytes(spoiled)):
            break
        spoiled[place] ^= 0x10
    return bytes(spoiled)


def _gunzips(payload: bytes) -> bool:
    while payload:
        unpacker = zlib.decompressobj(16 + zlib.MAX_WBITS)
        try:
            unpacker.decompress(payload)
        except zlib.error:
            return False
        if not unpacker.eof:
            return False
        payload = unpacker.unused_data
    return True
