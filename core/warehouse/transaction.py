"""The load transaction: lock, look again, delete, copy, compare, write the ledger, commit.

FORCE, because DELETE does not clear Snowflake's load metadata: a plain COPY would load nothing.
The lock, because FORCE switches off Snowflake's own guard against parallel loads.
Source: https://docs.snowflake.com/en/sql-reference/sql/copy-into-table
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

from core.errors import LoadRefused
from core.hours import ExportHour
from core.warehouse import statements
from core.warehouse.contents import (
    MAX_FILES_PER_COPY,
    HourToLoad,
    LedgerEntry,
    TableHour,
    is_due,
    read_contents,
)
from core.warehouse.lock import SchemaLock, check_still_in, transaction_of
from core.warehouse.session import Connect, Session

#: Looks at the lake: what the given hours consist of now. An hour that is not committed is absent.
CurrentHours = Callable[[Collection[ExportHour]], Mapping[ExportHour, HourToLoad]]


@dataclass(frozen=True, slots=True)
class LoadTransaction:
    """How hours of one lake get into one schema.

    Attributes:
        connect: Opens the second session that is asked when this one may be stale.
        lock: The schema's, which says whose events it holds.
        run: Who loads, for the ledger.
    """

    connect: Connect
    lock: SchemaLock
    run: str

    def run_in(
        self, session: Session, batch: Sequence[HourToLoad], current: CurrentHours, *, check_rows: bool
    ) -> list[HourToLoad] | None:
        """Load what still differs. Whatever ends it early leaves nothing visible once the session is closed.

        Returns:
            What was loaded; None if it must begin again in a new session.

        Raises:
            LoadRefused: Snowflake would not take the files, or a count differs. Permanent.
            WarehouseUnavailable: No answer, or the lock was not to be had. Transient.
            WarehouseRefused: Rights, missing objects, another lake's schema. Permanent.
        """
        hours = [hour.hour for hour in batch]
        span = f"{hours[0]} … {hours[-1]}" if len(hours) > 1 else str(hours[0])
        session.run(statements.BEGIN, attempt=f"begin to load {span}")
        generation = self.lock.take(session, f"take the lock to load {span}")
        transaction = transaction_of(session)
        if not self._is_up_to_date(session, generation):
            return None
        wanted = current(hours)
        ledger = {hour: TableHour(ledger=entry) for hour, entry in read_ledger(session).items()}
        held = count_rows(session, wanted) if check_rows else ledger
        due = [
            wanted[hour]
            for hour in hours
            if hour in wanted and is_due(wanted[hour], held.get(hour), check_rows=check_rows)
        ]
        if not due:
            session.run(statements.ROLLBACK, attempt="leave the lock")
            return []
        session.run(
            statements.DELETE_HOURS,
            {"hours": [_timestamp(hour.hour) for hour in due]},
            attempt=f"replace {span}",
        )
        events = {part.file: part.events for hour in due for part in hour.parts if part.events}
        files = list(events)
        for start in range(0, len(files), MAX_FILES_PER_COPY):
            self._copy(
                session, {file: events[file] for file in files[start : start + MAX_FILES_PER_COPY]}, span
            )
        self._write_ledger(session, due, generation)
        check_still_in(session, transaction, f"load {span}")
        session.run(statements.COMMIT, attempt=f"commit {span}")
        return due

    def _is_up_to_date(self, session: Session, generation: int) -> bool:
        """Whether this session sees the last loader's commit; if not, what is needed to begin again is done.

        Snowflake may hide a commit that another session made a moment ago from a session that was
        open already; a session opened now, while the lock is held, sees it.
        Source: https://docs.snowflake.com/en/sql-reference/transactions
        """
        if _generation_in(session) == generation - 1:
            return True
        with Session(self.connect) as witness:
            seen = _generation_in(witness)
        if seen == generation - 1:
            session.run(statements.ROLLBACK, attempt="begin again in a new session")
        else:  # the ledger was damaged or lost: from here on it counts again
            self._write_ledger(session, [], generation)
            session.run(statements.COMMIT, attempt="mend the ledger's generation")
        return False

    def _copy(self, session: Session, events: Mapping[str, int], span: str) -> None:
        attempt = f"load {len(events)} files of {span}"
        answer = session.run(
            statements.COPY_PARTS, {"files": list(events)}, attempt=attempt, reads_files=True
        )
        loaded = {
            str(row["file"]).removeprefix(self.lock.lake_url): row for row in answer.rows if "file" in row
        }
        for file, count in events.items():
            row = loaded.get(file)
            if row is None or row["status"] != "LOADED" or int(row["rows_loaded"]) != count:
                found = (
                    "nothing was said of it" if row is None else f"{row['status']}, {row['rows_loaded']} rows"
                )
                msg = f"Could not {attempt}: {file} has {count:,} events; {found}. Nothing of it was loaded."
                raise LoadRefused(msg)

    def _write_ledger(self, session: Session, loaded: Sequence[HourToLoad], generation: int) -> None:
        """The loaded hours and the marker row, which has no hour and carries the generation."""
        rows: list[dict[str, object]] = [
            {
                "export_hour": _timestamp(hour.hour),
                "exported_at": f"{hour.exported_at:%Y-%m-%d %H:%M:%S.%f}",
                "digest": hour.digest,
                "parts": len(hour.parts),
                "events": hour.events,
                "rejected": 0,
            }
            for hour in loaded
        ]
        values = {
            "rows": json.dumps([*rows, {"export_hour": None}]),
            "generation": generation,
            "run": self.run,
        }
        session.run(statements.MERGE_LEDGER, values, attempt="write the ledger")


def read_ledger(session: Session) -> dict[ExportHour, LedgerEntry]:
    """What the ledger says of every hour. The question's text never changes."""
    rows = session.run(statements.READ_LEDGER, attempt="read the ledger").rows
    return {
        ExportHour.parse(row["export_hour"]): LedgerEntry(
            str(row["digest"]), int(row["events"]), int(row["rejected"]), str(row["run"])
        )
        for row in rows
    }


def _generation_in(session: Session) -> int:
    rows = session.run(statements.READ_LEDGER_GENERATION, attempt="read the ledger's generation").rows
    return int(rows[0]["generation"])


def count_rows(session: Session, hours: Collection[ExportHour]) -> dict[ExportHour, TableHour]:
    """What the warehouse holds of the hours from the first to the last of these, at one moment."""
    if not hours:
        return {}
    span = {"first": _timestamp(min(hours)), "last": _timestamp(max(hours))}
    return read_contents(session.run(statements.READ_CONTENTS, span, attempt="count the rows").rows)


def _timestamp(hour: ExportHour) -> str:
    return f"{hour.start:%Y-%m-%d %H:%M:%S}"
