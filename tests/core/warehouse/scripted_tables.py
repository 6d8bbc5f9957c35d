"""The tables of a schema in memory, and what the loader's statements do to them."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from snowflake.connector import errors

from core.hours import ExportHour
from core.warehouse.contents import timestamp

LAKE = "s3://lake/amplitude/"
KEYS = "amplitude/"

Row = dict[str, Any]


def failing(number: int, text: str = "so it is") -> Callable[[Mapping[str, Any]], Any]:
    """An answer that is a complaint about the statement."""

    def answer(_: Mapping[str, Any]) -> Any:
        raise errors.ProgrammingError(msg=text, errno=number, sqlstate="42000")

    return answer


@dataclass
class Tables:
    """What a schema holds. Hours are ``2025-12-23T19``; lines are ``good``, ``bad`` or ``blank``.

    Attributes:
        lock: Generation, lake and app id.
        rows: Line numbers, by hour and file.
        rejected: The lines of one export that are no rows, by hour, digest and file.
    """

    lock: list[list[Any]] = field(default_factory=lambda: [[0, None, None]])
    generation: int = 0
    ledger: dict[str, Row] = field(default_factory=dict)
    rows: dict[tuple[str, str], list[int]] = field(default_factory=dict)
    rejected: dict[tuple[str, str, str], list[tuple[int, str]]] = field(default_factory=dict)


@dataclass
class Statements:
    """The statements, each a method of its name; its values are its arguments."""

    tables: Tables
    stage: dict[str, list[str]]

    def take_lock(self, lake: str, app_id: int) -> int:
        free = [row for row in self.tables.lock if row[1:] in ([None, None], [lake, app_id])]
        for row in free:
            row[:] = [row[0] + 1, lake, app_id]
        return len(free)

    def read_lock(self) -> list[Row]:
        return [dict(zip(("generation", "lake", "app_id"), row, strict=True)) for row in self.tables.lock]

    def read_ledger_generation(self) -> list[Row]:
        return [{"generation": self.tables.generation}]

    def read_ledger(self) -> list[Row]:
        asked = ("digest", "events", "rejected", "run", "exported_at")
        return [
            {"export_hour": hour} | {name: row[name] for name in asked}
            for hour, row in self.tables.ledger.items()
        ]

    def read_contents(self, first: str, last: str) -> list[Row]:
        def row(kind: str, hour: str, digest: Any, file: Any, count: int, distinct: int) -> Row:
            return {
                "kind": kind, "export_hour": hour, "digest": digest, "source_file": file,
                "row_count": count, "distinct_rows": distinct,
            }  # fmt: skip

        found = [
            row("ledger", hour, one["digest"], None, one["events"], one["rejected"])
            for hour, one in self.tables.ledger.items()
        ]
        found += [
            row("rows", hour, None, file, len(lines), len(set(lines)))
            for (hour, file), lines in self.tables.rows.items()
        ]
        found += [
            row("rejected", hour, digest, file, len(lines), len(lines))
            for (hour, digest, file), lines in self.tables.rejected.items()
        ]
        return [one for one in found if first <= timestamp(ExportHour.parse(one["export_hour"])) <= last]

    def delete_hours(self, hours: list[str]) -> None:
        gone = {_spelled(hour) for hour in hours}
        self.tables.rows = {place: lines for place, lines in self.tables.rows.items() if place[0] not in gone}

    def copy_parts(self, files: list[str]) -> list[Row]:
        for file in files:
            if "bad" in self._lines(file):
                failing(100069, f"Error parsing JSON in {file}")({})
            numbers = self.tables.rows.setdefault((_hour_of(file), KEYS + file), [])
            numbers += range(1, len(self.stage[file]) + 1)
        return [self._loaded(file) for file in files]

    def copy_lines(self, digest: str, files: list[str]) -> list[Row]:
        for file in files:
            self.tables.rejected[_hour_of(file), digest, KEYS + file] = list(enumerate(self._lines(file), 1))
        return [self._loaded(file) for file in files]

    def read_rejected(self, hours: list[str]) -> list[Row]:
        asked = {_spelled(hour) for hour in hours}
        found = {(hour, digest) for hour, digest, _ in self.tables.rejected if hour in asked}
        return [{"export_hour": hour, "digest": digest} for hour, digest in sorted(found)]

    def delete_rejected(self, hour: str, digest: str) -> int:
        return self._take(hour, digest, {"good", "bad", "blank"})

    def delete_blank_lines(self, hour: str, digest: str) -> int:
        return self._take(hour, digest, {"blank"})

    def insert_good_lines(self, hour: str, digest: str) -> int:
        inserted = 0
        for (of, export, file), lines in self.tables.rejected.items():
            if (of, export) == (_spelled(hour), digest):
                good = [number for number, line in lines if line == "good"]
                self.tables.rows.setdefault((of, file), []).extend(good)
                inserted += len(good)
        return inserted

    def delete_good_lines(self, hour: str, digest: str) -> int:
        return self._take(hour, digest, {"good"})

    def explain_bad_lines(self, hour: str, digest: str) -> int:
        return sum(
            len(lines)
            for place, lines in self.tables.rejected.items()
            if place[:2] == (_spelled(hour), digest)
        )

    def merge_ledger(self, rows: str, generation: int, run: str) -> int:
        merged = json.loads(rows)
        for row in merged:
            hour = row.pop("export_hour")
            if hour is None:
                assert not row
                self.tables.generation = generation
            else:
                row["exported_at"] = datetime.fromisoformat(row["exported_at"])
                self.tables.ledger[_spelled(hour)] = row | {"run": run, "generation": generation}
        return len(merged)

    def _lines(self, file: str) -> list[str]:
        if file not in self.stage:
            failing(91016, f"Remote file '{LAKE}{file}' was not found.")({})
        return self.stage[file]

    def _loaded(self, file: str) -> Row:
        return {"file": LAKE + file, "status": "LOADED", "rows_loaded": len(self.stage[file])}

    def _take(self, hour: str, digest: str, kinds: set[str]) -> int:
        taken = 0
        for place in [place for place in self.tables.rejected if place[:2] == (_spelled(hour), digest)]:
            lines = self.tables.rejected.pop(place)
            if kept := [line for line in lines if line[1] not in kinds]:
                self.tables.rejected[place] = kept
            taken += len(lines) - len(kept)
        return taken


def _spelled(bound: str) -> str:
    """``2025-12-23T19`` of a bound ``2025-12-23 19:00:00``; anything else is an error."""
    return datetime.strptime(bound, "%Y-%m-%d %H:00:00").strftime("%Y-%m-%dT%H")  # noqa: DTZ007


def _hour_of(file: str) -> str:
    _, day, hour, _ = file.split("/")
    return f"{day.removeprefix('date=')}T{hour.removeprefix('hour=')}"
