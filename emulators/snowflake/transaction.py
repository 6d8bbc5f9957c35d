"""Snowflake's transactions over DuckDB's.

Snowflake reads, in each statement, what is committed when that statement starts, and a failed statement
undoes only itself. DuckDB fixes one snapshot for the whole transaction, and an error ends it. So a
transaction keeps a journal of what it has written: before a statement, if another session has committed
since, or after a failure, the DuckDB transaction is begun anew and the journal is run again. Table locks see
to it that nobody has changed or removed those rows meanwhile.

Source: https://docs.snowflake.com/en/sql-reference/transactions
"""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import duckdb
import pyarrow as pa

from emulators.snowflake.account import Account
from emulators.snowflake.history import Loaded


@dataclass(frozen=True)
class Step:
    """One DuckDB statement that wrote, with the Arrow tables that it reads."""

    sql: str
    params: Any = None
    sources: Mapping[str, pa.Table] = field(default_factory=dict)

    def run(self, duck: duckdb.DuckDBPyConnection) -> None:
        """Run it."""
        for name, table in self.sources.items():
            duck.register(name, table)
        try:
            duck.execute(self.sql, self.params)
        finally:
            for name in self.sources:
                with suppress(duckdb.Error):  # DuckDB says nothing but "aborted" after an error
                    duck.unregister(name)


class Transaction:
    """One transaction of one session."""

    def __init__(self, account: Account, duck: duckdb.DuckDBPyConnection) -> None:
        self.id = account.number() + 1_700_000_000_000_000_000
        self.journal: list[Step] = []
        self.loaded: list[Loaded] = []
        self.aborted = False
        self._account = account
        self._duck = duck
        self._begun_at: int | None = None

    def ready(self) -> None:
        """Make DuckDB's transaction show what is committed now, and what this one has written."""
        version = self._account.version
        if self._begun_at == version:
            return
        self._undo()
        self._duck.execute("BEGIN TRANSACTION")
        self._begun_at = version
        for step in self.journal:
            step.run(self._duck)

    def wrote(self, *steps: Step) -> None:
        """Remember what a statement that succeeded has written."""
        self.journal.extend(steps)

    def failed(self) -> None:
        """Forget what a failed statement may have half done; the next statement starts from the journal."""
        self._undo()

    def commit(self) -> None:
        """Commit, and only then tell the others.

        Raises:
            duckdb.Error: nothing was committed; the transaction is over.
        """
        try:
            self.ready()
            self._duck.execute("COMMIT")
            self._begun_at = None
            self._account.history.commit(self.loaded)
            if self.journal:
                self._account.changed()
        finally:
            self._end()

    def rollback(self) -> None:
        """Undo everything, the load history included."""
        self._end()

    def _undo(self) -> None:
        if self._begun_at is not None:
            self._begun_at = None
            self._duck.execute("ROLLBACK")

    def _end(self) -> None:
        try:
            self._undo()
        finally:
            self.journal.clear()
            self._account.locks.release(self.id)
