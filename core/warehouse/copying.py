"""COPY, and the comparison of what it says with what the lake says of each file.

FORCE, because DELETE does not clear Snowflake's load metadata: a plain COPY would load nothing.
Source: https://docs.snowflake.com/en/sql-reference/sql/copy-into-table
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from core.warehouse.contents import MAX_FILES_PER_COPY, HourToLoad
from core.warehouse.refusals import FileDiffers
from core.warehouse.session import Session


def copy_files(
    session: Session,
    statement: str,
    hours: Iterable[HourToLoad],
    *,
    lake_url: str,
    span: str,
    values: Mapping[str, Any] | None = None,
    as_lines: bool = False,
) -> None:
    """Load the files of some hours, at most 1,000 a statement.

    Guarantees: when it returns, COPY has named each file, as LOADED, with as many rows as the lake
    counts events.

    Args:
        statement: A COPY that takes ``files``.
        lake_url: What COPY puts before a file's name.
        span: The hours, for messages.
        values: What the statement takes besides.
        as_lines: Whether rows are lines: there may be more of them than events, for some hold white space.

    Raises:
        LoadRefused: COPY would not take the files, or a count differs; some may be loaded, so roll back.
            Permanent.
        WarehouseUnavailable: Transient. WarehouseRefused: Permanent.
    """
    events = {part.file: part.events for hour in hours for part in hour.parts if part.events}
    files = list(events)
    for start in range(0, len(files), MAX_FILES_PER_COPY):
        named = files[start : start + MAX_FILES_PER_COPY]
        attempt = f"load {len(named)} files of {span}"
        asked = {**(values or {}), "files": named}
        answer = session.run(statement, asked, attempt=attempt, reads_files=True)
        said = {str(row["file"]).removeprefix(lake_url): row for row in answer.rows if "file" in row}
        for file in named:
            _compare(file, events[file], said.get(file), attempt, as_lines=as_lines)


def _compare(file: str, events: int, row: Mapping[str, Any] | None, attempt: str, *, as_lines: bool) -> None:
    if row is not None and row["status"] == "LOADED":
        rows = int(row["rows_loaded"])
        if rows == events or (as_lines and rows > events):
            return
    found = "nothing was said of it" if row is None else f"{row['status']}, {row['rows_loaded']} rows"
    msg = f"Could not {attempt}: {file} has {events:,} events; {found}. Nothing of it was loaded."
    raise FileDiffers(msg)
