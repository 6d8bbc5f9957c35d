"""Table locks: UPDATE, DELETE and MERGE hold one to the end of their transaction; others wait in line.

Source: https://docs.snowflake.com/en/sql-reference/transactions#resource-locking
"""

import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from emulators.snowflake.errors import SqlError, locked

MAX_WAITERS = 20


def too_many(holder: str, table: str, transaction: int, waiter: str) -> SqlError:
    """Report the waiter that was one too many."""
    reason = f"the number of waiters for this lock exceeds the {MAX_WAITERS} statements limit"
    return locked(holder, table, transaction, waiter, reason)


@dataclass
class _Lock:
    owner: int
    statement: str
    waiters: deque[object] = field(default_factory=deque)


class TableLocks:
    """Who has locked which table. Fair: waiters get a lock in the order of their asking.

    An owner is a transaction's id, as Snowflake's error text names it.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._locks: dict[str, _Lock] = {}

    def acquire(
        self,
        table: str,
        owner: int,
        statement: str,
        timeout_seconds: float,
        check: Callable[[], None] = lambda: None,
    ) -> None:
        """Lock a table for a transaction, waiting if another has it.

        Args:
            table: its full name.
            owner: the transaction's id.
            statement: the statement's id, for error texts.
            timeout_seconds: how long to wait at most; 0 does not wait.
            check: called about five times a second while waiting; may raise to end the wait.

        Raises:
            SqlError: 000625, when the time is over or too many wait already.
        """
        with self._changed:
            lock = self._locks.get(table)
            if lock is None or lock.owner == owner:
                self._locks[table] = lock or _Lock(owner, statement)
                return
            name = table.rpartition(".")[2]
            if len(lock.waiters) >= MAX_WAITERS:
                raise too_many(lock.statement, name, lock.owner, statement)
            ticket = object()
            lock.waiters.append(ticket)
            deadline = time.monotonic() + timeout_seconds
            try:
                while not (lock.owner == 0 and lock.waiters[0] is ticket):
                    check()
                    left = deadline - time.monotonic()
                    if left <= 0:
                        # The words after "because" are not confirmed for this case.
                        reason = f"the lock timeout of {timeout_seconds:g} seconds was exceeded"
                        raise locked(lock.statement, name, lock.owner, statement, reason)
                    self._changed.wait(min(left, 0.2))
                lock.owner, lock.statement = owner, statement
            finally:
                lock.waiters.remove(ticket)
                self._forget_unused(table, lock)
                self._changed.notify_all()

    def release(self, owner: int) -> None:
        """Free every lock of a transaction."""
        with self._changed:
            for table, lock in list(self._locks.items()):
                if lock.owner == owner:
                    lock.owner = 0
                    self._forget_unused(table, lock)
            self._changed.notify_all()

    def blocks_others(self, owner: int) -> bool:
        """Whether somebody waits for a lock of this transaction."""
        with self._changed:
            return any(lock.owner == owner and lock.waiters for lock in self._locks.values())

    def waiters(self, table: str) -> int:
        """How many statements wait for a table. For tests."""
        with self._changed:
            found = [lock for name, lock in self._locks.items() if name.endswith(table.upper())]
            return sum(len(lock.waiters) for lock in found)

    def _forget_unused(self, table: str, lock: _Lock) -> None:
        if lock.owner == 0 and not lock.waiters:
            self._locks.pop(table, None)
