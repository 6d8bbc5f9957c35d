"""The load transaction: lock, look again, delete, copy, compare, write the ledger, commit.

The lock, because COPY's FORCE switches off Snowflake's own guard against parallel loads.
Source: https://docs.snowflake.com/en/sql-reference/sql/copy-into-table
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC

from core.hours import ExportHour, stretches
from core.warehouse import statements
from core.warehouse.contents import (
    HourToLoad,
    LedgerEntry,
    LoadedHour,
    TableHour,
    is_due,
    read_contents,
    timestamp,
)
from core.warehouse.copying import copy_files
from core.warehouse.lock import SchemaLock, check_still_in, transaction_of
from core.warehouse.rejection import load_good_lines, rejections
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
        self,
        session: Session,
        batch: Sequence[HourToLoad],
        current: CurrentHours,
        *,
        check_rows: bool,
        reject: Collection[ExportHour] = (),
    ) -> list[LoadedHour] | None:
        """Load what still differs. Whatever ends it early leaves nothing visible once the session is closed.

        Args:
            check_rows: Whether rows that differ make an hour due, too.
            reject: Hours to be loaded without the lines that are no JSON; such an hour has COPYs of its own.

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
        ledger = read_ledger(session)
        held = count_rows(session, wanted) if check_rows else {hour: TableHour() for hour in ledger}
        for hour in held:
            held[hour].ledger = ledger.get(hour)
        due = [
            wanted[hour]
            for hour in hours
            if hour in wanted and is_due(wanted[hour], held.get(hour), check_rows=check_rows)
        ]
        if not due:
            session.run(statements.ROLLBACK, attempt="leave the lock")
            return []
        with_bad_lines = self._with_bad_lines(session, due, held, reject)
        session.run(
            statements.DELETE_HOURS,
            {"hours": [timestamp(hour.hour) for hour in due]},
            attempt=f"replace {span}",
        )
        strict = [hour for hour in due if hour.hour not in with_bad_lines]
        copy_files(session, statements.COPY_PARTS, strict, lake_url=self.lock.lake_url, span=span)
        loaded = [
            LoadedHour(hour, load_good_lines(session, hour, lake_url=self.lock.lake_url))
            if hour.hour in with_bad_lines
            else LoadedHour(hour)
            for hour in due
        ]
        self._write_ledger(session, loaded, generation)
        check_still_in(session, transaction, f"load {span}")
        session.run(statements.COMMIT, attempt=f"commit {span}")
        return loaded

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

    def _with_bad_lines(
        self,
        session: Session,
        due: Sequence[HourToLoad],
        held: Mapping[ExportHour, TableHour],
        reject: Collection[ExportHour],
    ) -> set[ExportHour]:
        """Hours that are loaded although lines of them are no JSON: so told, or so loaded before.

        A rejection is for one digest: a reload repeats it, another export is believed to be whole.
        """
        before = rejections(session, due)
        for hour in due:
            entry = held[hour.hour].ledger if hour.hour in held else None
            if entry is not None and entry.rejected:
                before.add((hour.hour, entry.digest))
        return {hour.hour for hour in due if hour.hour in reject or (hour.hour, hour.digest) in before}

    def _write_ledger(self, session: Session, loaded: Sequence[LoadedHour], generation: int) -> None:
        """The loaded hours and the marker row, which has no hour and carries the generation."""
        rows: list[dict[str, object]] = [
            {
                "export_hour": timestamp(one.content.hour),
                "exported_at": f"{one.content.exported_at:%Y-%m-%d %H:%M:%S.%f}",
                "digest": one.content.digest,
                "parts": len(one.content.parts),
                "events": one.content.events,
                "rejected": one.rejected,
            }
            for one in loaded
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
            str(row["digest"]),
            int(row["events"]),
            int(row["rejected"]),
            str(row["run"]),
            row["exported_at"].replace(tzinfo=UTC),
        )
        for row in rows
    }


def _generation_in(session: Session) -> int:
    rows = session.run(statements.READ_LEDGER_GENERATION, attempt="read the ledger's generation").rows
    return int(rows[0]["generation"])


def count_rows(session: Session, hours: Collection[ExportHour]) -> dict[ExportHour, TableHour]:
    """What the warehouse holds of these hours and of those between them, each stretch at one moment.

    One SELECT for each stretch: hours that lie far apart are not a reason to count all between them.
    """
    held: dict[ExportHour, TableHour] = {}
    for stretch in stretches(hours):
        span = {"first": timestamp(stretch.first), "last": timestamp(stretch.last)}
        held |= read_contents(session.run(statements.READ_CONTENTS, span, attempt="count the rows").rows)
    return held
