"""One session: its settings, its place (role, warehouse, database, schema), its transaction."""

# ruff: noqa: EM101 - what the service says stands where it is said

import secrets
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import duckdb

from emulators.snowflake.account import Account, Statement, new_query_id
from emulators.snowflake.engine import Connection
from emulators.snowflake.errors import SessionGone, SqlError, as_sql_error, no_current
from emulators.snowflake.faults import Fault
from emulators.snowflake.locks import too_many
from emulators.snowflake.parameters import DEFAULTS
from emulators.snowflake.results import Result
from emulators.snowflake.transaction import Transaction


class ConnectionLost(Exception):
    """A planned fault cut the connection: no answer goes out."""


class Session:
    """One login. Statements run one at a time; a second one waits."""

    def __init__(self, account: Account, user: str, parameters: dict[str, str]) -> None:
        self.account = account
        self.id = account.number()
        self.token = secrets.token_urlsafe(24)
        self.master_token = secrets.token_urlsafe(24)
        self.user = user.upper()
        self.role: str | None = "ACCOUNTADMIN"
        self.warehouse: str | None = None
        self.parameters = DEFAULTS | {name.upper(): value for name, value in parameters.items()}
        self.connection = Connection(account.fake, self._context)
        self.transaction: Transaction | None = None
        self.query_id = ""
        self.running = False
        self.closed = False
        self.last_seen = time.monotonic()
        self._cancelled = ""
        self._guard = threading.Lock()

    @property
    def duck(self) -> duckdb.DuckDBPyConnection:
        """The DuckDB connection."""
        return self.connection.duck

    @property
    def autocommit(self) -> bool:
        """Whether a statement outside BEGIN commits by itself."""
        return self.parameters["AUTOCOMMIT"].lower() == "true"

    def _context(self) -> dict[str, str | None]:
        place = self.connection
        return {
            "CURRENT_ROLE": self.role,
            "CURRENT_WAREHOUSE": self.warehouse,
            "CURRENT_USER": self.user,
            "CURRENT_DATABASE": place.database,
            "CURRENT_SCHEMA": place.schema,
            "CURRENT_SESSION": str(self.id),
            "CURRENT_TRANSACTION": str(self.transaction.id) if self.transaction else None,
            "CURRENT_ACCOUNT": "EMULATOR",
        }

    def need_warehouse(self) -> None:
        """Refuse a statement that computes, where the session has no warehouse."""
        if self.warehouse is None:
            raise no_current("warehouse", "")

    def seen(self) -> None:
        """The client gave a sign of life."""
        self.last_seen = time.monotonic()

    def describe(self, sql: str) -> Result:
        """The columns that a query would answer with."""
        with self._guard:
            self.check()
            return self.connection.describe(sql)

    def execute(self, sql: str, params: object = None, query_id: str = "", *, logged: bool = True) -> Result:
        """Run one statement.

        Raises:
            SqlError: as the service would answer; the transaction stays open unless told otherwise.
            SessionGone: the session was ended.
            ConnectionLost: a planned fault; the client gets no answer.
        """
        from emulators.snowflake.statements import run_statement

        with self._guard:
            self.check()
            self.query_id, self.running, self._cancelled = query_id or new_query_id(), True, ""
            fault = self.account.faults.due(sql) if logged else None
            if logged:
                self.account.statements.append(Statement(self.id, sql))
            timer = self._timer()
            try:
                self._before(fault)
                result = run_statement(self, sql, params)
            except (SessionGone, ConnectionLost):
                raise
            except Exception as error:
                failure = self._timed_out(as_sql_error(error))
                self._failed()
                raise failure from error
            finally:
                timer.cancel()
                self.running, self.last_seen = False, time.monotonic()
            result = self._after(fault, result)
            self.account.keep(self.query_id, result)
            return result

    @contextmanager
    def writing(self) -> Iterator[Transaction]:
        """The open transaction, or one for this statement alone; ready to be read and written."""
        transaction = self.transaction
        alone = transaction is None and self.autocommit
        if transaction is None:
            transaction = self.transaction = Transaction(self.account, self.duck)
        try:
            yield transaction
        except BaseException:
            if alone:
                self.rollback()
            raise
        if alone:
            self.commit()

    def commit(self) -> None:
        """Commit what is open; nothing to do without a transaction."""
        if self.transaction:
            transaction, self.transaction = self.transaction, None
            transaction.commit()

    def rollback(self) -> None:
        """Undo what is open."""
        if self.transaction:
            transaction, self.transaction = self.transaction, None
            transaction.rollback()

    def lock(self, table: str, owner: int) -> None:
        """Wait for a table's lock, at most LOCK_TIMEOUT seconds."""
        timeout = float(self.parameters["LOCK_TIMEOUT"])
        self.account.locks.acquire(table, owner, self.query_id, timeout, self.check)

    def check(self) -> None:
        """Raise if the session has ended or its statement was cancelled."""
        if self.closed:
            raise SessionGone
        if self.running and self._cancelled:
            raise SqlError(604, "57014", "SQL execution canceled")

    def cancel(self, reason: str = "canceled") -> None:
        """Stop the statement that runs, if any."""
        if self.running:
            self._cancelled = reason
            self.duck.interrupt()

    def close(self) -> None:
        """End the session: stop its statement, roll back its transaction, free its locks. Safe to repeat."""
        if self.closed:
            return
        self.closed = True
        self.cancel()
        with self._guard:
            self._die()

    def _die(self) -> None:
        self.closed = True
        self.account.sessions.pop(self.token, None)
        try:
            self.rollback()
        finally:
            self.connection.close()

    def _before(self, fault: Fault | None) -> None:
        match fault:
            case Fault(fault="error"):
                raise SqlError(fault.errno, fault.sqlstate, fault.message)
            case Fault(fault="too_many_waiters"):
                raise too_many("01b0c0de-0000-0000-0000-000000000000", "LOAD_LOCK", 1, self.query_id)
            case Fault(fault="kill_session"):
                self._die()
                raise SessionGone
            case Fault(fault="lose_request"):
                self._die()
                raise ConnectionLost
            case Fault(fault="hold"):
                if not fault.gate.hold():
                    raise ConnectionLost
            case Fault(fault="delay"):
                deadline = time.monotonic() + fault.seconds
                while time.monotonic() < deadline:
                    self.check()
                    time.sleep(0.05)

    def _after(self, fault: Fault | None, result: Result) -> Result:
        if fault and fault.fault == "hold_answer":
            fault.gate.hold()
        if fault and fault.fault == "lose_answer":
            self._die()
            raise ConnectionLost
        if fault and fault.fault == "miscount":
            names = [column["name"] for column in result.rowtype]
            place = names.index("rows_loaded")
            result.rows[0][place] = str(int(result.rows[0][place] or 0) - 1)
        return result

    def _timer(self) -> threading.Timer:
        seconds = float(self.parameters["STATEMENT_TIMEOUT_IN_SECONDS"] or 0) or 172800.0
        timer = threading.Timer(seconds, self.cancel, ["timeout"])
        timer.daemon = True
        timer.start()
        return timer

    def _timed_out(self, error: SqlError) -> SqlError:
        if error.errno == 604 and self._cancelled == "timeout":  # noqa: PLR2004
            seconds = self.parameters["STATEMENT_TIMEOUT_IN_SECONDS"]
            limit = f"statement or warehouse timeout of {seconds} second(s)"
            text = f"Statement reached its {limit} and was canceled."
            return SqlError(630, "57014", text)
        return error

    def _failed(self) -> None:
        if self.transaction is None:
            return
        self.transaction.failed()
        if self.parameters["TRANSACTION_ABORT_ON_ERROR"].lower() == "true":
            self.transaction.rollback()
            self.transaction.aborted = True
