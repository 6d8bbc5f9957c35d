"""Archives made by hand: what the tests put in is what they know."""

from __future__ import annotations

import gzip
from collections.abc import Iterable
from pathlib import Path

from core.amplitude.archive import ArchiveLimits
from core.hours import ExportHour, ExportWindow
from emulators.amplitude import Entry, Layout, zip_chunks

APP = 100011471
HOUR = ExportHour.parse("2025-12-23T19")
ONE_HOUR = ExportWindow(HOUR, HOUR)
DAY = ExportWindow(ExportHour.parse("2025-12-23T00"), ExportHour.parse("2025-12-23T23"))
LIMITS = ArchiveLimits()

LINES = b'{"uuid":1}\n{"uuid":2}\n{"uuid":3}\n'

#: Every form in which a zip has been seen.
LAYOUTS = [
    Layout("stored"),
    Layout("deflated"),
    Layout("deflated", folder=False),
    Layout("deflated", descriptors=True),
    Layout("stored", descriptors=True, zip64=True),
    Layout("mixed"),
]


def stem_of(hour: ExportHour = HOUR, part: int = 0, *, app: int = APP) -> str:
    """``100011471_2025-12-23_19#0``, the hour without a leading zero."""
    return f"{app}_{hour.day}_{hour.start.hour}#{part}"


def name_of(hour: ExportHour = HOUR, part: int = 0, *, app: int = APP) -> str:
    """``100011471/100011471_2025-12-23_19#0.json.gz``."""
    return f"{app}/{stem_of(hour, part, app=app)}.json.gz"


def gzipped(content: bytes = LINES) -> bytes:
    """``content`` as the standard library gzips it; the same bytes every time."""
    return gzip.compress(content, 6, mtime=0)


def zipped(entries: Iterable[Entry | tuple[str, bytes]], layout: Layout | None = None) -> bytes:
    """Names and bytes as a zip."""
    members = [entry if isinstance(entry, Entry) else Entry(*entry) for entry in entries]
    return b"".join(zip_chunks(members, layout or Layout()))


def archive_of(folder: Path, *entries: Entry | tuple[str, bytes], layout: Layout | None = None) -> Path:
    """Names and bytes as a zip on disk."""
    path = folder / "archive.zip"
    path.write_bytes(zipped(entries, layout))
    return path
