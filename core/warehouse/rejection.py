"""Hours with lines that are no JSON: the good lines become rows, the bad ones are kept as they are.

``ON_ERROR = CONTINUE`` does not do this: in a file of JSON it loads the records before the first bad one
and skips the remainder. So the lines are loaded as text, and Snowflake parses them one by one. No line
passes through this process, so neither its length nor its characters matter here.

Source: https://docs.snowflake.com/en/sql-reference/sql/copy-into-table (ON_ERROR)
Source: https://docs.snowflake.com/en/sql-reference/functions/try_parse_json
"""

from __future__ import annotations

from collections.abc import Collection

from core.hours import ExportHour
from core.warehouse import statements
from core.warehouse.contents import HourToLoad, timestamp
from core.warehouse.copying import copy_files
from core.warehouse.refusals import FileDiffers
from core.warehouse.session import Session


def rejections(session: Session, hours: Collection[HourToLoad]) -> set[tuple[ExportHour, str]]:
    """Hour and digest of the exports of these hours that have lines in ``events_rejected``."""
    if not hours:
        return set()
    values = {"hours": [timestamp(hour.hour) for hour in hours]}
    rows = session.run(statements.READ_REJECTED, values, attempt="read the rejected lines").rows
    return {(ExportHour.parse(row["export_hour"]), str(row["digest"])) for row in rows}


def load_good_lines(session: Session, hour: HourToLoad, *, lake_url: str) -> int:
    """Load an hour without the lines that are no JSON, which are kept in ``events_rejected`` instead.

    Guarantees: each line of the hour is then in one of the two tables, under the same file and number;
    lines rejected before for the same hour and digest are replaced. To be called inside the load
    transaction, when the hour has no rows: only its COMMIT makes any of this visible.

    Returns:
        How many lines were rejected.

    Raises:
        LoadRefused: COPY would not take the files, or the counts do not add up. Permanent.
        WarehouseUnavailable: Transient. WarehouseRefused: Permanent.
    """
    export = {"hour": timestamp(hour.hour), "digest": hour.digest}
    attempt = f"load the good lines of {hour.hour}"
    session.run(statements.DELETE_REJECTED, export, attempt=attempt)
    copy_files(
        session,
        statements.COPY_LINES,
        [hour],
        lake_url=lake_url,
        span=str(hour.hour),
        values={"digest": hour.digest},
        as_lines=True,
    )
    session.run(statements.DELETE_BLANK_LINES, export, attempt=attempt)
    good = session.run(statements.INSERT_GOOD_LINES, export, attempt=attempt).affected
    moved = session.run(statements.DELETE_GOOD_LINES, export, attempt=attempt).affected
    bad = session.run(statements.EXPLAIN_BAD_LINES, export, attempt=attempt).affected
    if good != moved or good + bad != hour.events:
        msg = (
            f"Could not {attempt}: of {hour.events:,} lines {good:,} became rows, {moved:,} were taken from "
            f"events_rejected and {bad:,} stayed there. Nothing of it was loaded."
        )
        raise FileDiffers(msg)
    return bad
