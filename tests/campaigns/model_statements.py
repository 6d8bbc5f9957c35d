"""What each statement of the loader does in Snowflake: text by text, so that no other text can pass.

Lines that are no JSON do not occur here, so nothing is ever rejected.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from snowflake.connector import errors

from core.warehouse import statements
from tests.campaigns.model_lake import BUCKET
from tests.campaigns.model_tables import Entry, LockRow, Row

if TYPE_CHECKING:
    from tests.campaigns.model_snowflake import ServerSession

Values = Mapping[str, Any]

_HOUR = re.compile(r"events/date=([0-9-]{10})/hour=([0-9]{2})/[^/]+$")


@dataclass(frozen=True)
class Result:
    """An answer."""

    columns: tuple[str, ...] = ()
    rows: list[tuple[Any, ...]] = field(default_factory=list)
    affected: int = 0


def begin(session: ServerSession, values: Values) -> Result:
    session.begun()
    return Result()


def commit(session: ServerSession, values: Values) -> Result:
    session.commit()
    return Result()


def rollback(session: ServerSession, values: Values) -> Result:
    session.rollback()
    return Result()


def take_lock(session: ServerSession, values: Values) -> Result:
    """UPDATE works on the newest row, whatever the session sees."""
    transaction = session.begun()
    row = transaction.lock or session.account.tables.lock
    if (row.lake, row.app_id) not in {(None, None), (values["lake"], values["app_id"])}:
        return Result()
    transaction.lock = LockRow(row.generation + 1, values["lake"], values["app_id"])
    transaction.began = session.account.now()
    return Result(affected=1)


def take_lock_of_anybody(session: ServerSession, values: Values) -> Result:
    transaction = session.begun()
    row = transaction.lock or session.account.tables.lock
    lake, app_id = row.lake or values["lake"], row.app_id or values["app_id"]
    transaction.lock = LockRow(row.generation + 1, lake, app_id)
    return Result(affected=1)


def read_lock(session: ServerSession, values: Values) -> Result:
    row = session.view.lock
    return Result(("generation", "lake", "app_id"), [(row.generation, row.lake, row.app_id)])


def read_transaction(session: ServerSession, values: Values) -> Result:
    return Result(("id",), [(session.begun().number,)])


def read_ledger(session: ServerSession, values: Values) -> Result:
    columns = ("export_hour", "digest", "events", "rejected", "run", "exported_at")
    entries = [entry for entry in session.view.ledger.values() if entry.hour is not None]
    return Result(
        columns, [(one.hour, one.digest, one.events, 0, one.run, one.exported_at) for one in entries]
    )


def read_ledger_generation(session: ServerSession, values: Values) -> Result:
    marked = [entry.generation for entry in session.view.ledger.values() if entry.hour is None]
    return Result(("generation",), [(max(marked, default=0),)])


def read_contents(session: ServerSession, values: Values) -> Result:
    first, last = _hour(values["first"]), _hour(values["last"])
    view = session.view
    rows: list[tuple[Any, ...]] = [
        ("ledger", entry.hour, entry.digest, None, entry.events, 0)
        for entry in view.ledger.values()
        if entry.hour is not None and first <= entry.hour <= last
    ]
    found = [row for row in view.rows.values() if first <= row.hour <= last]
    lines = {(row.hour, row.file): set[int]() for row in found}
    for row in found:
        lines[row.hour, row.file].add(row.line)
    counts = Counter((row.hour, row.file) for row in found)
    rows += [("rows", *key[:1], None, key[1], count, len(lines[key])) for key, count in counts.items()]
    return Result(("kind", "export_hour", "digest", "source_file", "row_count", "distinct_rows"), rows)


def read_rejected(session: ServerSession, values: Values) -> Result:
    return Result(("export_hour", "digest"))


def delete_hours(session: ServerSession, values: Values) -> Result:
    """Deletes what it sees; the load metadata stays."""
    hours = {_hour(hour) for hour in values["hours"]}
    gone = {number for number, row in session.view.rows.items() if row.hour in hours}
    transaction = session.begun()
    for number in gone:
        transaction.added.pop(number, None)
    transaction.deleted |= gone
    return Result(affected=len(gone))


def copy_with_force(session: ServerSession, values: Values) -> Result:
    return _copy(session, values["files"], force=True)


def plain_copy(session: ServerSession, values: Values) -> Result:
    return _copy(session, values["files"], force=False)


def merge_ledger(session: ServerSession, values: Values) -> Result:
    transaction, seen = session.begun(), session.view.ledger
    for row in json.loads(values["rows"]):
        hour = None if row["export_hour"] is None else _hour(row["export_hour"])
        at = row.get("exported_at")
        exported_at = None if at is None else datetime.fromisoformat(at).replace(tzinfo=UTC)
        entry = Entry(
            hour, exported_at, row.get("digest"), row.get("events"), values["run"], values["generation"]
        )
        matched = [number for number, held in seen.items() if held.hour == hour]
        for number in matched:
            (transaction.inserted if number in transaction.inserted else transaction.updated)[number] = entry
        if not matched:
            transaction.inserted[next(session.account.numbers)] = entry
    return Result()


def _copy(session: ServerSession, files: list[str], *, force: bool) -> Result:
    transaction, objects = session.begun(), session.account.bucket.objects
    known = session.view.loaded
    answer: list[tuple[Any, ...]] = []
    for name in files:
        key = session.stage.removeprefix(f"s3://{BUCKET}/") + name
        if key not in objects:
            msg = f"Remote file '{name}' was not found."
            raise errors.ProgrammingError(msg, errno=91016)
        body = objects[key]
        if (key, body) in known and not force:
            answer.append((session.stage + name, "LOAD_SKIPPED", 0))
            continue
        match = _HOUR.search(key)
        assert match is not None
        lines = body.decode().splitlines()
        for line, event in enumerate(lines, 1):
            row = Row(f"{match[1]}T{match[2]}", key, line, json.loads(event)["uuid"])
            transaction.added[next(session.account.numbers)] = row
        transaction.loaded.add((key, body))
        answer.append((session.stage + name, "LOADED", len(lines)))
    return Result(("file", "status", "rows_loaded"), answer)


def _hour(timestamp: str) -> str:
    """``2025-12-23T19`` for ``2025-12-23 19:00:00``."""
    return f"{timestamp[:10]}T{timestamp[11:13]}"


#: Negative controls: a COPY that trusts the load metadata, and a lock that does not ask whose schema it is.
COPY_WITHOUT_FORCE = statements.COPY_PARTS.replace("FORCE = TRUE", "").rstrip()
TAKE_LOCK_OF_ANYBODY = statements.TAKE_LOCK.partition("WHERE")[0].rstrip()

#: The kind of door, and what happens behind it.
STATEMENTS: dict[str, tuple[str, Callable[[ServerSession, Values], Result]]] = {
    statements.BEGIN: ("begin", begin),
    statements.COMMIT: ("commit", commit),
    statements.ROLLBACK: ("rollback", rollback),
    statements.TAKE_LOCK: ("take_lock", take_lock),
    statements.READ_LOCK: ("read_lock", read_lock),
    statements.READ_TRANSACTION: ("read_transaction", read_transaction),
    statements.READ_LEDGER: ("read_ledger", read_ledger),
    statements.READ_LEDGER_GENERATION: ("read_ledger_generation", read_ledger_generation),
    statements.READ_CONTENTS: ("read_contents", read_contents),
    statements.READ_REJECTED: ("read_rejected", read_rejected),
    statements.DELETE_HOURS: ("delete_hours", delete_hours),
    statements.COPY_PARTS: ("copy_parts", copy_with_force),
    COPY_WITHOUT_FORCE: ("copy_parts", plain_copy),
    TAKE_LOCK_OF_ANYBODY: ("take_lock", take_lock_of_anybody),
    statements.MERGE_LEDGER: ("merge_ledger", merge_ledger),
}
