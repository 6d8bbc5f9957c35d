"""What the lake says against what the table holds, hour by hour; pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from core.hours import ExportHour

MAX_FILES_PER_COPY = 1000
MAX_HOURS_PER_TRANSACTION = 168


@dataclass(frozen=True, slots=True)
class PartToLoad:
    """One file of the stage.

    Attributes:
        file: Relative to the stage, as FILES takes it.
        events: Rows that it must become.
    """

    file: str
    events: int

    @property
    def member(self) -> str:
        """What its rows are counted under: the same for every export of an archive's member."""
        return member_of(self.file)


@dataclass(frozen=True, slots=True)
class HourToLoad:
    """What an hour consists of, according to the lake.

    Attributes:
        restored_at: What was loaded from an earlier export may have come from damaged objects.
    """

    hour: ExportHour
    exported_at: datetime
    digest: str
    parts: tuple[PartToLoad, ...]
    restored_at: datetime | None = None

    @property
    def events(self) -> int:
        """Of all parts."""
        return sum(part.events for part in self.parts)

    @property
    def files(self) -> list[str]:
        """What COPY is given: parts without events are left out."""
        return [part.file for part in self.parts if part.events]


@dataclass(frozen=True, slots=True)
class LoadedHour:
    """An hour that was loaded.

    Attributes:
        rejected: Lines that were kept out of it.
    """

    content: HourToLoad
    rejected: int = 0

    @property
    def rows(self) -> int:
        """Events that became rows."""
        return self.content.events - self.rejected


@dataclass(frozen=True, slots=True)
class LedgerEntry:
    """What the ledger says that the table holds of an hour.

    Attributes:
        events: By the manifest.
        rejected: How many of them are no rows, for they were refused.
        run: Who loaded it, if that was asked for.
        exported_at: Of the export that was loaded, if that was asked for.
    """

    digest: str
    events: int
    rejected: int
    run: str = ""
    exported_at: datetime | None = None

    def holds(self, digest: str, restored_at: datetime | None) -> bool:
        """Whether the table has this content, loaded from sound objects."""
        if self.digest != digest:
            return False
        return restored_at is None or self.exported_at is None or self.exported_at >= restored_at


@dataclass(frozen=True, slots=True)
class RowCount:
    """Rows of one part, and how many different lines of it they come from."""

    rows: int
    distinct: int


@dataclass(slots=True)
class TableHour:
    """What the warehouse holds of an hour, read at one moment.

    Attributes:
        rows: By source file.
        rejected: Lines refused, by digest and source file.
    """

    ledger: LedgerEntry | None = None
    rows: dict[str, RowCount] = field(default_factory=dict)
    rejected: dict[tuple[str, str], int] = field(default_factory=dict)

    @property
    def row_count(self) -> int:
        """Of all parts."""
        return sum(count.rows for count in self.rows.values())

    def rejected_of(self, digest: str) -> int:
        """Lines refused of one export."""
        return sum(lines for (of, _), lines in self.rejected.items() if of == digest)


def timestamp(hour: ExportHour) -> str:
    """An hour as the statements take it."""
    return f"{hour.start:%Y-%m-%d %H:%M:%S}"


def member_of(file: str) -> str:
    """A part's name without folder, checksum and extension: ``100011471_2025-12-23_19_0``."""
    return file.rpartition("/")[2].rpartition("-")[0]


def read_contents(rows: Iterable[Mapping[str, Any]]) -> dict[ExportHour, TableHour]:
    """The answer to ``read_contents.sql``, by hour."""
    hours: dict[ExportHour, TableHour] = {}
    for row in rows:
        held = hours.setdefault(ExportHour.parse(row["export_hour"]), TableHour())
        count, distinct = int(row["row_count"] or 0), int(row["distinct_rows"] or 0)
        match row["kind"]:
            case "ledger":
                held.ledger = LedgerEntry(str(row["digest"]), count, distinct)
            case "rows":
                held.rows[str(row["source_file"])] = RowCount(count, distinct)
            case "rejected":
                held.rejected[str(row["digest"]), str(row["source_file"])] = count
    return hours


def difference(wanted: HourToLoad, held: TableHour | None) -> str | None:
    """How the table's rows differ from the lake's hour; None if they agree.

    They agree when, for each member, rows = different lines = events less the lines that were
    rejected for this very digest, all of one export; a member without events has no rows, and no
    other member has any.
    """
    held = held or TableHour()
    expected = {part.member: part.events for part in wanted.parts if part.events}
    for (digest, file), lines in held.rejected.items():
        if digest == wanted.digest:
            expected[member_of(file)] = expected.get(member_of(file), 0) - lines
    found: dict[str, RowCount] = {}
    for file, count in held.rows.items():
        member = member_of(file)
        if member in found:
            return f"{member} has rows of two exports in the table"
        found[member] = count
    for member in sorted(expected.keys() | found.keys()):
        rows, count = expected.get(member, 0), found.get(member, RowCount(0, 0))
        if not rows == count.rows == count.distinct:
            there = f"{count.rows:,} rows ({count.distinct:,} different)"
            return f"{member} has {rows:,} events in the lake and {there}"
    return None


def is_due(wanted: HourToLoad, held: TableHour | None, *, check_rows: bool) -> bool:
    """Whether an hour must be loaded: the ledger names another digest, or its rows differ."""
    if held is None or held.ledger is None or not held.ledger.holds(wanted.digest, wanted.restored_at):
        return True
    return check_rows and difference(wanted, held) is not None


def batches(hours: Iterable[HourToLoad]) -> Iterator[list[HourToLoad]]:
    """Cut hours into transactions of at most 1,000 files and 168 hours; a lone hour may hold more files."""
    batch: list[HourToLoad] = []
    files = 0
    for hour in sorted(hours, key=lambda hour: hour.hour):
        if batch and (
            files + len(hour.files) > MAX_FILES_PER_COPY or len(batch) == MAX_HOURS_PER_TRANSACTION
        ):
            yield batch
            batch, files = [], 0
        batch.append(hour)
        files += len(hour.files)
    if batch:
        yield batch
