"""What a schema of Snowflake holds, as immutable versions, and what a transaction does to it.

Only UPDATE holds a lock here. Snowflake locks for DELETE and MERGE too, so whatever can happen there
between two transactions can happen here, and more.
Source: https://docs.snowflake.com/en/sql-reference/transactions
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Row:
    """One row of ``events_raw``.

    Attributes:
        hour: ``2025-12-23T19``.
        file: The part's whole key in the bucket.
        line: Its line there, from 1.
    """

    hour: str
    file: str
    line: int
    event: str


@dataclass(frozen=True, slots=True)
class Entry:
    """One row of ``load_ledger``; the one without an hour carries the generation."""

    hour: str | None
    exported_at: datetime | None
    digest: str | None
    events: int | None
    run: str
    generation: int


@dataclass(frozen=True, slots=True)
class LockRow:
    """The row of ``load_lock``."""

    generation: int = 0
    lake: str | None = None
    app_id: int | None = None


@dataclass(frozen=True)
class Tables:
    """One committed version of everything.

    Attributes:
        rows, ledger: By the identity of a row, so that equal rows are told apart.
        loaded: Load metadata of ``events_raw``: key and content of files that a COPY has loaded.
    """

    rows: Mapping[int, Row] = field(default_factory=dict)
    ledger: Mapping[int, Entry] = field(default_factory=dict)
    lock: LockRow = LockRow()
    loaded: frozenset[tuple[str, bytes]] = frozenset()

    def rows_of(self) -> dict[str, list[Row]]:
        """Rows by hour."""
        found: dict[str, list[Row]] = {}
        for row in self.rows.values():
            found.setdefault(row.hour, []).append(row)
        return found

    def entries_of(self) -> dict[str, list[Entry]]:
        """Ledger rows by hour, without the one that has none."""
        found: dict[str, list[Entry]] = {}
        for entry in self.ledger.values():
            if entry.hour is not None:
                found.setdefault(entry.hour, []).append(entry)
        return found

    def without(
        self, *, rows: Iterable[int] = (), ledger: Iterable[int] = (), metadata: bool = False
    ) -> Tables:
        """The same after somebody's own DELETE; with the metadata gone, after TRUNCATE."""
        gone, entries = set(rows), set(ledger)
        return replace(
            self,
            rows={number: row for number, row in self.rows.items() if number not in gone},
            ledger={number: entry for number, entry in self.ledger.items() if number not in entries},
            loaded=frozenset() if metadata else self.loaded,
        )


@dataclass
class Transaction:
    """Changes that nobody else sees yet; the load metadata is among them.

    Attributes:
        began: At which step of the history; from when it has the lock, if it takes it.
        lock: The row of ``load_lock``, once it was updated: held to the end.
    """

    number: int
    began: int
    deleted: set[int] = field(default_factory=set)
    added: dict[int, Row] = field(default_factory=dict)
    updated: dict[int, Entry] = field(default_factory=dict)
    inserted: dict[int, Entry] = field(default_factory=dict)
    lock: LockRow | None = None
    loaded: set[tuple[str, bytes]] = field(default_factory=set)

    @property
    def written(self) -> set[str]:
        """Hours that it has written into the ledger."""
        entries = [*self.updated.values(), *self.inserted.values()]
        return {entry.hour for entry in entries if entry.hour is not None}

    def over(self, base: Tables) -> Tables:
        """A version with these changes: what the transaction sees, and what its COMMIT makes.

        What was deleted or updated here and is gone there stays gone.
        """
        kept = {number: row for number, row in base.rows.items() if number not in self.deleted}
        ledger = {number: self.updated.get(number, entry) for number, entry in base.ledger.items()}
        return Tables(
            rows=kept | self.added,
            ledger=ledger | self.inserted,
            lock=self.lock or base.lock,
            loaded=base.loaded | self.loaded,
        )
