"""Hours to load, and what a table can hold of them; both without a warehouse."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

from core.hours import ExportHour
from core.warehouse.contents import HourToLoad, LedgerEntry, PartToLoad, RowCount, TableHour

HOUR = ExportHour.parse("2025-12-23T19")
DIGEST = "5f0c9a" + "0" * 26
OTHER = "a90cf5" + "0" * 26
FOLDER = "events/date=2025-12-23/hour=19/"


def file(number: int = 0, crc32: int = 0x1A2B3C4D, extension: str = "json") -> str:
    """A part of the hour, relative to the stage."""
    return f"{FOLDER}100011471_2025-12-23_19_{number}-{crc32:08x}.{extension}"


def in_bucket(file: str) -> str:
    """As the table names it: the whole key."""
    return f"amplitude/{file}"


def to_load(*events: int, hour: ExportHour = HOUR, digest: str = DIGEST) -> HourToLoad:
    """An hour of that many parts."""
    parts = tuple(PartToLoad(file(number), count) for number, count in enumerate(events))
    return HourToLoad(hour, hour.start + timedelta(hours=3), digest, parts)


def held(
    rows: Mapping[str, tuple[int, int]],
    *,
    ledger: str | None = DIGEST,
    rejected: Mapping[tuple[str, str], int] | None = None,
) -> TableHour:
    """What a table holds: rows and different lines, by file."""
    entry = LedgerEntry(ledger, sum(count for count, _ in rows.values()), 0) if ledger else None
    counts = {in_bucket(file): RowCount(*count) for file, count in rows.items()}
    lines = {(digest, in_bucket(file)): count for (digest, file), count in (rejected or {}).items()}
    return TableHour(entry, counts, lines)
