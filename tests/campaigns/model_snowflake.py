"""Snowflake in memory: sessions, transactions, the lock, and what one session sees of another's commit.

- READ COMMITTED: a statement sees what was committed when it began, and its own transaction's changes.
- A commit can stay hidden from sessions that were open when it was made; one that is opened later sees it.
- The load metadata belongs to the transaction, as everything that COPY does.
- A session whose client is gone keeps its transaction and its lock until Snowflake ends it.
Source: https://docs.snowflake.com/en/sql-reference/transactions
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from typing import Any, Self

from snowflake.connector import errors

from tests.campaigns.model_actors import Actor, Place
from tests.campaigns.model_lake import Bucket
from tests.campaigns.model_statements import STATEMENTS, Result
from tests.campaigns.model_tables import Tables, Transaction

#: What is told of every commit: before, after, the transaction.
Told = Callable[[Tables, Tables, Transaction], None]


class Account:
    """One schema of one account.

    Attributes:
        hides: Whether a commit made now stays hidden from the sessions that are open.
        now: The step of the history.
    """

    def __init__(self, bucket: Bucket, on_commit: Told) -> None:
        self.bucket = bucket
        self.tables = Tables()
        self.sessions: list[ServerSession] = []
        self.hides = False
        self.now: Callable[[], int] = lambda: 0
        self.numbers = itertools.count(1)
        self._on_commit = on_commit

    @property
    def holder(self) -> ServerSession | None:
        """Who holds the lock."""
        return next((one for one in self.sessions if one.transaction and one.transaction.lock), None)

    def commit(self, session: ServerSession, transaction: Transaction) -> None:
        """Make a transaction's changes everybody's."""
        before = self.tables
        self.tables = transaction.over(before)
        for other in self.sessions:
            if other is not session and self.hides and other.seen is None:
                other.seen = before
        session.seen = None
        self._on_commit(before, self.tables, transaction)

    def sabotage(self, change: Callable[[Tables], Tables]) -> None:
        """What an administrator does by hand; every session sees it at once."""
        self.tables = change(self.tables)
        for session in self.sessions:
            if session.seen is not None:
                session.seen = change(session.seen)

    def end_dead_sessions(self) -> None:
        """What Snowflake does after a while; open transactions are undone."""
        for session in list(self.sessions):
            if session.abandoned():
                session.end()


class ServerSession:
    """A session as Snowflake has it.

    Attributes:
        stage: What the stage stands on: ``s3://bucket/prefix/``.
        seen: What it sees of what is committed; None sees all.
        killed: Ended by somebody else.
    """

    def __init__(self, account: Account, stage: str, abandoned: Callable[[], bool]) -> None:
        self.account = account
        self.stage = stage
        self.seen: Tables | None = None
        self.transaction: Transaction | None = None
        self.killed = False
        self.abandoned = abandoned
        account.sessions.append(self)

    @property
    def view(self) -> Tables:
        """What a statement that begins now sees."""
        return self.begun().over(self.seen or self.account.tables)

    def begun(self) -> Transaction:
        """The transaction it is in; without autocommit, any statement begins one."""
        if self.transaction is None:
            self.transaction = Transaction(next(self.account.numbers), self.account.now())
        return self.transaction

    def commit(self) -> None:
        """End the transaction; without changes nothing happens to anybody."""
        transaction, self.transaction = self.transaction, None
        if transaction is not None:
            self.account.commit(self, transaction)

    def rollback(self) -> None:
        """End the transaction, and undo it."""
        self.transaction = None

    def end(self) -> None:
        """End the session."""
        self.rollback()
        if self in self.account.sessions:
            self.account.sessions.remove(self)

    def kill(self) -> None:
        """End the session as SYSTEM$ABORT_SESSION does: its client is told at its next statement."""
        self.killed = True
        self.end()

    def run(self, statement: str, values: Mapping[str, Any]) -> Result:
        """Do one statement, all at once. An error undoes the transaction: TRANSACTION_ABORT_ON_ERROR."""
        if self.killed:
            msg = "Session no longer exists."
            raise errors.ProgrammingError(msg, errno=390111)
        try:
            return STATEMENTS[statement][1](self, values)
        except errors.Error:
            self.rollback()
            raise


class Connection:
    """The connector's connection and cursor in one, for one actor."""

    def __init__(self, account: Account, actor: Actor, stage: str) -> None:
        self._actor = actor
        self._broken = False
        self._session = actor.door(
            Place("connect", lambda: errors.OperationalError("Could not connect.", errno=250001)),
            lambda: ServerSession(account, stage, lambda: self._broken or actor.dead or actor.ended),
        )
        self.description: list[Column] = []
        self.rowcount = 0
        self._rows: list[tuple[Any, ...]] = []

    def cursor(self) -> Self:
        """Itself: one statement at a time is all that is asked."""
        return self

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing to close but the session."""

    def execute(self, sql: str, values: Mapping[str, Any] | None, timeout: int | None) -> None:
        """Run one statement at a door."""
        if self._broken:
            raise _no_answer()
        kind = STATEMENTS[sql][0]
        waits = kind == "take_lock"

        def ready() -> bool:
            return not waits or self._session.account.holder in {None, self._session}

        def failure() -> Exception:
            if waits and not ready():
                self._session.rollback()
                return errors.ProgrammingError("Lock timeout.", errno=625)
            self._broken = True
            return _no_answer()

        result = self._actor.door(
            Place(kind, failure, ready), lambda: self._session.run(sql, dict(values or {}))
        )
        self.description = [Column(name) for name in result.columns]
        self._rows, self.rowcount = result.rows, result.affected

    def fetchall(self) -> list[tuple[Any, ...]]:
        """The rows of the last statement."""
        return self._rows

    def close(self) -> None:
        """End the session, if there is anybody to say so."""
        if not (self._broken or self._actor.dead):
            self._session.end()


class Column:
    """One column of an answer."""

    def __init__(self, name: str) -> None:
        self.name = name.upper()


def _no_answer() -> errors.OperationalError:
    return errors.OperationalError("The connection was lost.", errno=250003)
