"""``python -m emulators.query [SQL]``: ask the Snowflake that `make up` has started.

Without a statement: what the table and the ledger hold, hour by hour, the newest last.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from emulators.record import HOME

_OVERVIEW = """
SELECT TO_CHAR(ledger.export_hour, 'YYYY-MM-DD"T"HH24') AS export_hour,
       ledger.events AS events_in_ledger, COUNT(raw.export_hour) AS rows_in_table
FROM load_ledger ledger LEFT JOIN events_raw raw ON raw.export_hour = ledger.export_hour
WHERE ledger.export_hour IS NOT NULL
GROUP BY ledger.export_hour, ledger.events
ORDER BY ledger.export_hour
"""


def connect(environment: Mapping[str, str]) -> Any:
    """A connection to the Snowflake that these variables lead to."""
    import snowflake.connector

    return snowflake.connector.connect(
        account=environment["SNOWFLAKE_ACCOUNT"],
        user=environment["SNOWFLAKE_USER"],
        private_key_file=environment["SNOWFLAKE_PRIVATE_KEY_PATH"],
        host=environment["SNOWFLAKE_HOST"],
        port=int(environment["SNOWFLAKE_PORT"]),
        protocol=environment["SNOWFLAKE_PROTOCOL"],
        warehouse=environment["SNOWFLAKE_WAREHOUSE"],
        database=environment["SNOWFLAKE_DATABASE"],
        schema=environment["SNOWFLAKE_SCHEMA"],
        login_timeout=10,
    )


def show(cursor: Any, console: Console) -> None:
    """Print a cursor's rows as a table."""
    table = Table(box=None, pad_edge=False)
    for column in cursor.description:
        table.add_column(column.name.lower(), no_wrap=True)
    for row in cursor.fetchall():
        table.add_row(*["" if value is None else Text(str(value)) for value in row])
    console.print(table)


def main(arguments: list[str] | None = None, home: Path = HOME) -> int:
    """Run one statement and print its rows; 1 if it fails, 2 if no stack was started here."""
    parser = argparse.ArgumentParser(
        prog="python -m emulators.query", description="Ask the Snowflake that `make up` has started."
    )
    parser.add_argument("sql", nargs="?", default=_OVERVIEW, help="one statement; default: hour by hour")
    options = parser.parse_args(arguments)
    try:
        lines = (home / "env").read_text("utf-8").splitlines()
    except OSError:
        sys.stderr.write("There is no stack here: make up starts one.\n")
        return 2
    from snowflake.connector import Error

    try:
        with closing(connect(dict(line.split("=", 1) for line in lines))) as connection:
            show(connection.cursor().execute(options.sql), Console())
    except Error as error:
        sys.stderr.write(f"{' '.join(str(error).split())}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
