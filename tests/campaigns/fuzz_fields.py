"""A zip's records, field by field, and mutations of them.

Source: https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT (4.3.7, 4.3.9, 4.3.12-4.3.16)
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from random import Random
from struct import pack

from tests.campaigns.fuzz_bytes import edge

_STREAMED = 1 << 3
_MAX32 = 0xFFFF_FFFF

_LOCAL = (
    ("signature", 4), ("version", 2), ("flags", 2), ("method", 2), ("time", 2), ("date", 2), ("crc", 4),
    ("packed", 4), ("size", 4), ("name length", 2), ("extra length", 2),
)  # fmt: skip
_CENTRAL = (
    *_LOCAL[:1], ("made by", 2), *_LOCAL[1:], ("comment length", 2), ("disk", 2), ("internal", 2),
    ("external", 4), ("offset", 4),
)  # fmt: skip
_END = (
    ("signature", 4), ("disk", 2), ("directory disk", 2), ("here", 2), ("members", 2),
    ("directory size", 4), ("directory offset", 4), ("comment length", 2),
)  # fmt: skip
_END64 = (
    ("signature", 4), ("record size", 8), ("made by", 2), ("version", 2), ("disk", 4),
    ("directory disk", 4), ("here", 8), ("members", 8), ("directory size", 8), ("directory offset", 8),
)  # fmt: skip
_LOCATOR = (("signature", 4), ("disk", 4), ("end64 offset", 8), ("disks", 4))
_DESCRIPTOR = (("signature", 4), ("crc", 4), ("packed", 4), ("size", 4))
_DESCRIPTOR64 = (("signature", 4), ("crc", 4), ("packed", 8), ("size", 8))
_EXTRA = (("extra id", 2), ("extra size", 2), ("size", 8), ("packed", 8))


@dataclass(frozen=True, slots=True)
class Field:
    """An integer in one of a zip's records.

    Attributes:
        record: ``local``, ``central``, ``descriptor``, ``end``, ``end64`` or ``locator``.
        member: Counted from 0 in the directory's order; -1 in records that belong to no member.
        width: In bytes.
    """

    record: str
    member: int
    name: str
    at: int
    width: int

    def of(self, data: bytes) -> int:
        """Its value."""
        return int.from_bytes(data[self.at : self.at + self.width], "little")


def fields_of(data: bytes) -> tuple[Field, ...]:
    """Every integer in the records of a zip that is sound and was written as ours are."""
    end = list(_record(_END, "end", -1, data.rindex(b"PK\5\6")))
    if data[end[0].at - 20 : end[0].at - 16] == b"PK\6\7":
        end += _record(_LOCATOR, "locator", -1, end[0].at - 20)
        end += _record(_END64, "end64", -1, end[0].at - 76)
    stated = {field.name: field.of(data) for field in end}  # the wide record's word is the last
    directory = stated["directory offset"]
    members: list[Field] = []
    for member in range(stated["members"]):
        central = list(_record(_CENTRAL, "central", member, directory))
        of = {field.name: field.of(data) for field in central}
        directory = central[-1].at + 4 + of["name length"]
        wide = of["extra length"] > 0
        if wide:
            central += _record((*_EXTRA, ("offset", 8)), "central", member, directory)
            of |= {field.name: field.of(data) for field in central[-3:]}
            directory += of["extra length"]
        local = list(_record(_LOCAL, "local", member, of["offset"]))
        begin = of["offset"] + 30 + of["name length"]
        if wide:
            local += _record(_EXTRA, "local", member, begin)
            begin += 20
        if of["flags"] & _STREAMED:
            form = _DESCRIPTOR64 if wide else _DESCRIPTOR
            local += _record(form, "descriptor", member, begin + of["packed"])
        members += central + local
    return (*members, *end)


def altered(chance: Random, data: bytes, fields: Sequence[Field]) -> bytes:
    """One to three mutations of a sound zip's fields."""
    for _ in range(chance.choice((1, 1, 1, 2, 3))):
        mutation = chance.choice(_MUTATIONS)
        if mutation in _RESIZING:
            return mutation(chance, data, fields)  # the fields lie elsewhere now
        data = mutation(chance, data, fields)
    return data


def _record(form: Sequence[tuple[str, int]], record: str, member: int, at: int) -> Iterator[Field]:
    for name, width in form:
        yield Field(record, member, name, at, width)
        at += width


def _put(data: bytes, field: Field, value: int) -> bytes:
    value &= (1 << 8 * field.width) - 1
    return data[: field.at] + value.to_bytes(field.width, "little") + data[field.at + field.width :]


def _set(chance: Random, data: bytes, fields: Sequence[Field]) -> bytes:
    """One field says something else."""
    field = chance.choice(fields)
    return _put(data, field, edge(chance, field.width))


def _nudge(chance: Random, data: bytes, fields: Sequence[Field]) -> bytes:
    """One field is a little off."""
    field = chance.choice(fields)
    return _put(data, field, field.of(data) + chance.choice((-22, -2, -1, 1, 2, 8, 46, 256)))


def _borrow(chance: Random, data: bytes, fields: Sequence[Field]) -> bytes:
    """One field says what another of its kind does: two members share bytes, or the end names a member's."""
    field = chance.choice(fields)
    return _put(
        data, field, chance.choice([other for other in fields if other.width == field.width]).of(data)
    )


def _agree(chance: Random, data: bytes, fields: Sequence[Field]) -> bytes:
    """All records of one member, or all records of the end, say the same wrong thing."""
    field = chance.choice(fields)
    value = chance.choice((edge(chance, field.width), field.of(data) + chance.choice((-1, 1, 2))))
    for other in fields:
        if (other.member, other.name) == (field.member, field.name):
            data = _put(data, other, value)
    return data


def _huge(chance: Random, data: bytes, fields: Sequence[Field]) -> bytes:
    """A wide field is out of reach, or out of the reach of a signed integer, and narrow ones point to it."""
    field = chance.choice([field for field in fields if field.width == 8] or fields)
    for other in fields:
        if (other.member, other.name) == (field.member, field.name):
            bits = 8 * other.width
            high = chance.choice((bits, bits - 1, 45)) if other.width == 8 else bits
            data = _put(data, other, (1 << high) - chance.choice((1, 1, 22, 56)) if other.width == 8 else -1)
    return data


def _extra_field(chance: Random, data: bytes, fields: Sequence[Field]) -> bytes:
    """A member of the directory gets one more extra field, and the lengths around it are put right."""
    lengths = [field for field in fields if (field.record, field.name) == ("central", "extra length")]
    if not lengths:
        return data
    length = chance.choice(lengths)
    record = length.at - 30
    begin = record + 46 + int.from_bytes(data[record + 28 : record + 30], "little") + length.of(data)
    body = b"".join(edge(chance, 8).to_bytes(8, "little") for _ in range(chance.randrange(5)))
    stated = len(body) if chance.random() < 0.7 else edge(chance, 2)
    new = pack("<HH", chance.choice((1, 1, 0x5455, 0x7075)), stated) + body
    for field in fields:
        grows = field is length or field.name in {"directory size", "end64 offset"}
        if grows and field.of(data) != _MAX32:
            data = _put(data, field, field.of(data) + len(new))
        elif (field.record, field.member, field.width) == ("central", length.member, 4) and (
            field.name in {"size", "packed", "offset"} and chance.random() < 0.3
        ):
            data = _put(data, field, _MAX32)  # what a Zip64 field is looked for
    return data[:begin] + new + data[begin:]


def _comment(chance: Random, data: bytes, fields: Sequence[Field]) -> bytes:
    """A comment behind the end record, with another end record in it now and then."""
    length = next(field for field in fields if field.record == "end" and field.name == "comment length")
    end = data[length.at - 20 : length.at + 2]
    comment = chance.choice((b"a comment", b"PK\5\6", end, b"\0" * 300, b"PK\6\7" + end))
    return _put(data, length, len(comment) + chance.choice((0, 0, 1, -1))) + comment


def _prefix(chance: Random, data: bytes, _: Sequence[Field]) -> bytes:
    """Something stands before the first member; offsets are as they were."""
    return chance.choice((b"\0", b"PK", b"#!/bin/sh\n", data[:64], data)) + data


_Mutation = Callable[[Random, bytes, Sequence[Field]], bytes]
_RESIZING: tuple[_Mutation, ...] = (_extra_field, _comment, _prefix)
_MUTATIONS: tuple[_Mutation, ...] = (_set, _set, _nudge, _borrow, _agree, _agree, _huge, *_RESIZING)
