"""Sound archives to begin with, in every form that a reader must bear, and tiny: a few hundred bytes each."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from struct import pack_into
from zlib import Z_FIXED

from core.amplitude.archive import ArchiveLimits
from core.hours import ExportHour, ExportWindow
from emulators.amplitude import Entry, Layout
from tests.campaigns.fuzz_fields import Field, fields_of
from tests.campaigns.fuzz_gzip import stream_of
from tests.core.amplitude.archives import APP, LAYOUTS, name_of, zipped

_FIRST = ExportHour.parse("2025-12-23T09")

#: What is asked for: four hours, of one digit and of two.
WINDOW = ExportWindow(_FIRST, _FIRST + 3)

#: Small, so that every cap is reached at little cost.
TIGHT = ArchiveLimits(
    max_members=8,
    max_member_json_bytes=4 << 10,
    max_hour_json_bytes=6 << 10,
    max_archive_gzip_bytes=32 << 10,
    max_ratio=100,
)

#: Wide enough for the ratio to be looked at, which is done once a MiB has come out.
WIDE = ArchiveLimits(
    max_members=8,
    max_member_json_bytes=2 << 20,
    max_hour_json_bytes=3 << 20,
    max_archive_gzip_bytes=1 << 20,
    max_ratio=100,
)

_LINES = b'{"uuid":"a","event_type":"tap"}\n{"uuid":"b"}\n{"uuid":"c","user_properties":{"k":[1,2]}}\n'

#: JSON lines, from an ordinary file to what only a rare writer leaves.
CONTENTS = (
    _LINES,
    _LINES.rstrip(b"\n"),
    b"\n" + _LINES + b"\n\n" + _LINES,
    b"",
    b"\n",
    b" \t\r\n",
    b'{"uuid":"d"}\r\n{"uuid":"e"}\r\n',
    b'{"uuid":1}\n' * 40,
    '{"city":"Zürich – 東京"}\n'.encode() * 3,
)

_FORMS = (
    stream_of(CONTENTS[0]),
    stream_of(CONTENTS[1]) + stream_of(b"\n" + CONTENTS[0]),
    stream_of(CONTENTS[2], flags=8),
    stream_of(CONTENTS[3]),
    stream_of(CONTENTS[7], level=0),
    stream_of(CONTENTS[8], flags=31, level=9),
    stream_of(CONTENTS[6], strategy=Z_FIXED),
    stream_of(CONTENTS[0]) + stream_of(CONTENTS[3]) + stream_of(CONTENTS[4]),
)

_BESIDE = tuple(
    Entry(name, b"")
    for name in (f"{APP}/{APP}_complete", "readme.txt", f"{APP}/-ORG_{APP}_1.json.gz", f"{APP}/")
)


@dataclass(frozen=True, slots=True)
class Seed:
    """A sound archive.

    Attributes:
        fields: Where its records' fields lie in ``data``.
    """

    entries: tuple[Entry, ...]
    layout: Layout
    data: bytes
    fields: tuple[Field, ...]


@cache
def seeds() -> tuple[Seed, ...]:
    """One archive for each layout and way of filling it; the same at every call."""
    everything = [
        Entry(name_of(_FIRST + number // 2, number % 2), payload) for number, payload in enumerate(_FORMS)
    ]
    fillings: list[list[Entry]] = [
        everything[:1],
        everything[1:3],
        [everything[0], _BESIDE[0], *everything[3:5]],
        [*everything[5:7], everything[2]],
        [everything[7], _BESIDE[1], _BESIDE[2], _BESIDE[3]],
        [*everything[:5:2], everything[1], everything[6]],
    ]
    layouts = [*LAYOUTS, Layout("deflated", descriptors=True, zip64=True), Layout("stored", zip64=True)]
    found = [_seed(filling, layout) for layout in layouts for filling in fillings]
    wide = [_seed(filling, layout, pointing=True) for layout in layouts[-2:] for filling in fillings[1::2]]
    empty = [_seed([], Layout()), _seed([], Layout(zip64=True))]
    return (*found, *wide, *empty, _seed(everything[:2], Layout(), comment=b"a comment"))


def _seed(entries: list[Entry], layout: Layout, *, comment: bytes = b"", pointing: bool = False) -> Seed:
    """An archive with these members.

    Args:
        pointing: The end record's own counts are all ones, as they are beyond 65,535 members: only its
            Zip64 form tells.
    """
    if not layout.folder:
        entries = [Entry(entry.name.split("/")[-1] or "readme", entry.payload) for entry in entries]
    data = bytearray(zipped(entries, layout))
    if pointing:
        data[-14:-2] = b"\xff" * 12
    if comment:
        pack_into("<H", data, len(data) - 2, len(comment))
        data += comment
    return Seed(tuple(entries), layout, bytes(data), fields_of(bytes(data)))
