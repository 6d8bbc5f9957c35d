"""Transactions: what is undone, what stays, who waits for whom.

Source: https://docs.snowflake.com/en/sql-reference/transactions
"""

import contextlib
import threading
import time

import pytest
from snowflake.connector.errors import DatabaseError

from tests.contract.warehouses import (
    Warehouse,
    copy,
    counts,
    fails_on_fakesnow,
    passes_on_fakesnow,
    rows,
    run,
)


@fails_on_fakesnow
def test_a_rolled_back_copy_loads_again(warehouse: Warehouse) -> None:
    """ROLLBACK undoes the rows and the load metadata with them."""
    connection = warehouse.connect()
    warehouse.lake(connection)
    warehouse.lines("a.json")
    run(connection, "BEGIN")
    copy(connection, "a.json")
    run(connection, "ROLLBACK")
    assert rows(connection) == 0
    assert copy(connection, "a.json")[0]["status"] == "LOADED"
    assert rows(connection) == 2


@fails_on_fakesnow
def test_a_forced_copy_that_is_rolled_back_leaves_nothing(warehouse: Warehouse) -> None:
    """FORCE inside a transaction is undone like any other DML."""
    connection = warehouse.connect()
    warehouse.lake(connection)
    warehouse.lines("a.json")
    run(connection, "BEGIN")
    copy(connection, "a.json", options="FORCE = TRUE")
    assert rows(connection) == 2
    run(connection, "ROLLBACK")
    assert rows(connection) == 0


@fails_on_fakesnow
def test_delete_and_forced_copy_replace_an_hour_as_one(warehouse: Warehouse) -> None:
    """DELETE, COPY with FORCE, COMMIT: others see the old rows until the end, then the new ones."""
    connection, reader = warehouse.connect(), warehouse.connect()
    warehouse.lake(connection)
    warehouse.lines("a.json", 2)
    warehouse.lines("b.json", 3)
    copy(connection, "a.json")
    run(connection, "BEGIN")
    counts(connection, "DELETE FROM events")
    copy(connection, "b.json", options="FORCE = TRUE")
    assert (rows(connection), rows(reader)) == (3, 2)
    run(connection, "COMMIT")
    assert rows(reader) == 3


@fails_on_fakesnow
def test_a_failed_statement_leaves_the_transaction_open(warehouse: Warehouse) -> None:
    """Only the failed statement is undone; COMMIT then commits the others."""
    connection = warehouse.connect()
    run(connection, "CREATE TABLE t (n NUMBER(38, 0) NOT NULL)")
    run(connection, "BEGIN")
    run(connection, "INSERT INTO t SELECT 1")
    with pytest.raises(DatabaseError):
        run(connection, "INSERT INTO t SELECT NULL")
    run(connection, "INSERT INTO t SELECT 2")
    run(connection, "COMMIT")
    assert run(warehouse.connect(), "SELECT n FROM t ORDER BY 1") == [(1,), (2,)]


@fails_on_fakesnow
def test_transaction_abort_on_error_undoes_everything(warehouse: Warehouse) -> None:
    """With TRANSACTION_ABORT_ON_ERROR, statements fail until the transaction is closed, and nothing stays."""
    connection = warehouse.connect(TRANSACTION_ABORT_ON_ERROR=True)
    run(connection, "CREATE TABLE t (n NUMBER(38, 0) NOT NULL)")
    run(connection, "BEGIN")
    run(connection, "INSERT INTO t SELECT 1")
    with pytest.raises(DatabaseError):
        run(connection, "INSERT INTO t SELECT NULL")
    with pytest.raises(DatabaseError):
        run(connection, "INSERT INTO t SELECT 2")
    run(connection, "ROLLBACK")
    assert rows(connection, "t") == 0


@fails_on_fakesnow
def test_an_aborted_transaction_commits_nothing(warehouse: Warehouse) -> None:
    """COMMIT closes a transaction that TRANSACTION_ABORT_ON_ERROR has aborted; nothing of it stays.

    Whether it answers with an error is not documented.

    https://docs.snowflake.com/en/sql-reference/parameters#transaction-abort-on-error
    """
    connection = warehouse.connect(TRANSACTION_ABORT_ON_ERROR=True)
    run(connection, "CREATE TABLE t (n NUMBER(38, 0) NOT NULL)")
    run(connection, "BEGIN")
    run(connection, "INSERT INTO t SELECT 1")
    with pytest.raises(DatabaseError):
        run(connection, "INSERT INTO t SELECT NULL")
    with contextlib.suppress(DatabaseError):
        run(connection, "COMMIT")
    assert rows(warehouse.connect(), "t") == 0


@fails_on_fakesnow
def test_ddl_commits_an_open_transaction(warehouse: Warehouse) -> None:
    """A DDL statement first commits what is open: ROLLBACK then finds nothing to undo."""
    connection = warehouse.connect()
    run(connection, "CREATE TABLE t (n NUMBER(38, 0))")
    run(connection, "BEGIN")
    run(connection, "INSERT INTO t SELECT 1")
    run(connection, "CREATE TABLE other (n NUMBER(38, 0))")
    run(connection, "ROLLBACK")
    assert rows(connection, "t") == 1


@passes_on_fakesnow
def test_rollback_undoes_dml(warehouse: Warehouse) -> None:
    """INSERT, UPDATE and DELETE between BEGIN and ROLLBACK are undone."""
    connection = warehouse.connect()
    run(connection, "CREATE TABLE t (n NUMBER(38, 0))")
    run(connection, "INSERT INTO t SELECT 1")
    run(connection, "BEGIN")
    run(connection, "UPDATE t SET n = 5")
    run(connection, "INSERT INTO t SELECT 2")
    run(connection, "ROLLBACK")
    assert run(connection, "SELECT n FROM t") == [(1,)]


@passes_on_fakesnow
def test_commit_and_rollback_without_a_transaction_are_harmless(warehouse: Warehouse) -> None:
    """Outside a transaction, COMMIT and ROLLBACK do nothing and succeed."""
    connection = warehouse.connect()
    run(connection, "COMMIT")
    run(connection, "ROLLBACK")


@fails_on_fakesnow
def test_each_statement_reads_what_is_committed_when_it_starts(warehouse: Warehouse) -> None:
    """READ COMMITTED: a transaction sees what others commit while it is open."""
    first, second = warehouse.connect(), warehouse.connect()
    run(first, "CREATE TABLE t (n NUMBER(38, 0))")
    run(second, "BEGIN")
    assert rows(second, "t") == 0
    run(first, "INSERT INTO t SELECT 1")
    time.sleep(1 if first.host.endswith("snowflakecomputing.com") else 0)
    assert rows(second, "t") == 1
    run(second, "ROLLBACK")


@fails_on_fakesnow
def test_an_update_waits_for_the_lock_and_builds_on_what_was_committed(warehouse: Warehouse) -> None:
    """A second UPDATE of a table waits until the first one's transaction ends, and then sees its result."""
    first, second = warehouse.connect(), warehouse.connect(LOCK_TIMEOUT=60)
    run(first, "CREATE TABLE load_lock AS SELECT 0::NUMBER(38, 0) AS generation")
    run(first, "BEGIN")
    run(first, "UPDATE load_lock SET generation = generation + 1")
    run(second, "BEGIN")
    waiting = threading.Thread(target=run, args=(second, "UPDATE load_lock SET generation = generation + 1"))
    waiting.start()
    waiting.join(1.0)
    assert waiting.is_alive()
    run(first, "COMMIT")
    waiting.join(60)
    assert run(second, "SELECT generation FROM load_lock") == [(2,)]
    run(second, "COMMIT")
    assert run(warehouse.connect(), "SELECT generation FROM load_lock") == [(2,)]


@fails_on_fakesnow
def test_a_lock_that_is_not_freed_in_time_is_an_error(warehouse: Warehouse) -> None:
    """LOCK_TIMEOUT, in seconds, ends the wait with an error that names the table; the other may go on."""
    first, second = warehouse.connect(), warehouse.connect(LOCK_TIMEOUT=1)
    run(first, "CREATE TABLE load_lock AS SELECT 0::NUMBER(38, 0) AS generation")
    run(first, "BEGIN")
    run(first, "UPDATE load_lock SET generation = 1")
    with pytest.raises(DatabaseError, match=r"has locked table 'LOAD_LOCK' in transaction \d+") as caught:
        run(second, "UPDATE load_lock SET generation = 2")
    assert caught.value.errno == 625
    run(first, "COMMIT")
    assert run(second, "SELECT generation FROM load_lock") == [(1,)]


@fails_on_fakesnow
def test_a_closed_session_gives_its_lock_back(warehouse: Warehouse) -> None:
    """Ending a session rolls back its transaction."""
    first, second = warehouse.connect(), warehouse.connect(LOCK_TIMEOUT=30)
    run(first, "CREATE TABLE load_lock AS SELECT 0::NUMBER(38, 0) AS generation")
    run(first, "BEGIN")
    run(first, "UPDATE load_lock SET generation = 1")
    first.close()
    run(second, "UPDATE load_lock SET generation = generation + 10")
    assert run(second, "SELECT generation FROM load_lock") == [(10,)]
