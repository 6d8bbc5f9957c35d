"""Counts, views and objects: what the loader reads from the answers.

Source: https://docs.snowflake.com/en/sql-reference/sql/merge,
https://docs.snowflake.com/en/sql-reference/sql/create-table
"""

import json

import pytest
from snowflake.connector.errors import DatabaseError

from tests.contract.warehouses import Warehouse, counts, fails_on_fakesnow, passes_on_fakesnow, run


@passes_on_fakesnow
def test_insert_update_and_delete_tell_the_rows_affected(warehouse: Warehouse) -> None:
    """cursor.rowcount is the number of rows that the statement changed."""
    connection = warehouse.connect()
    run(connection, "CREATE TABLE t (n NUMBER(38, 0))")
    assert counts(connection, "INSERT INTO t VALUES (1), (2), (3)") == 3
    assert counts(connection, "UPDATE t SET n = n + 1 WHERE n > 1") == 2
    assert counts(connection, "UPDATE t SET n = 0 WHERE n > 100") == 0
    assert counts(connection, "DELETE FROM t WHERE n IN (%(some)s)", {"some": [1, 3]}) == 2


@fails_on_fakesnow
def test_merge_counts_inserts_and_updates_with_nulls_as_keys(warehouse: Warehouse) -> None:
    """EQUAL_NULL matches the row without an hour; the answer counts inserted and updated rows apart."""
    connection = warehouse.connect()
    run(connection, "CREATE TABLE ledger (hour TIMESTAMP_NTZ, digest VARCHAR, generation NUMBER(38, 0))")
    run(connection, "INSERT INTO ledger SELECT NULL, NULL, 1")
    loaded = [{"hour": "2025-12-23 19:00:00", "digest": 'a"\\b$c'}, {"hour": None, "digest": None}]
    merge = """
        MERGE INTO ledger USING (
            SELECT value:hour::TIMESTAMP_NTZ AS hour, value:digest::VARCHAR AS digest
            FROM TABLE(FLATTEN(INPUT => PARSE_JSON(%(rows)s)))
        ) AS loaded ON EQUAL_NULL(ledger.hour, loaded.hour)
        WHEN MATCHED THEN UPDATE SET generation = ledger.generation + 1
        WHEN NOT MATCHED THEN INSERT (hour, digest, generation) VALUES (loaded.hour, loaded.digest, 0)
    """
    assert run(connection, merge, {"rows": json.dumps(loaded)}) == [(1, 1)]
    assert counts(connection, merge, {"rows": json.dumps(loaded)}) == 2
    select = "SELECT TO_CHAR(hour, 'YYYY-MM-DD\"T\"HH24'), digest, generation FROM ledger ORDER BY 3"
    assert run(connection, select) == [("2025-12-23T19", 'a"\\b$c', 1), (None, None, 3)]


@fails_on_fakesnow
def test_a_merge_that_meets_a_row_twice_is_an_error_and_changes_nothing(warehouse: Warehouse) -> None:
    """100090 (42P18), while ERROR_ON_NONDETERMINISTIC_MERGE is TRUE, the default.

    https://docs.snowflake.com/en/sql-reference/sql/merge#duplicate-join-behavior
    """
    connection = warehouse.connect()
    run(connection, "CREATE TABLE t (n NUMBER(38, 0), v NUMBER(38, 0))")
    run(connection, "INSERT INTO t VALUES (1, 0)")
    merge = (
        "MERGE INTO t USING (SELECT column1 AS n, column2 AS v FROM VALUES {}) AS s ON t.n = s.n "
        "WHEN MATCHED THEN UPDATE SET v = s.v"
    )
    with pytest.raises(DatabaseError, match="Duplicate row detected during DML action") as caught:
        run(connection, merge.format("(1, 7), (1, 8)"))
    assert (caught.value.errno, caught.value.sqlstate) == (100090, "42P18")
    assert run(connection, "SELECT n, v FROM t") == [(1, 0)]
    run(connection, merge.format("(1, 7), (2, 8)"))
    assert run(connection, "SELECT n, v FROM t") == [(1, 7)]


@fails_on_fakesnow
def test_two_statements_in_one_text_are_refused_and_none_is_run(warehouse: Warehouse) -> None:
    """000008 (0A000); a semicolon at the end, or in a string, separates nothing.

    https://docs.snowflake.com/en/developer-guide/sql-api/submitting-multiple-statements
    """
    connection = warehouse.connect()
    run(connection, "CREATE TABLE t (text VARCHAR)")
    for two in (
        "INSERT INTO t VALUES ('a'); INSERT INTO t VALUES ('b')",
        "BEGIN; COMMIT",
        "SELECT 1; SELECT 2;",
    ):
        with pytest.raises(DatabaseError, match="statement count 2 did not match the desired") as caught:
            run(connection, two)
        assert (caught.value.errno, caught.value.sqlstate) == (8, "0A000")
    run(connection, "INSERT INTO t VALUES ('a;b');")
    assert run(connection, "SELECT text FROM t") == [("a;b",)]


@fails_on_fakesnow
def test_create_table_as_select_if_not_exists_leaves_the_one_row(warehouse: Warehouse) -> None:
    """Said again, it changes nothing: one row, and its first column still refuses NULL."""
    connection = warehouse.connect()
    create = """
        CREATE TABLE IF NOT EXISTS load_lock (
            generation NUMBER(38, 0) NOT NULL, lake VARCHAR, app_id NUMBER(38, 0)
        ) AS SELECT 0, NULL, NULL
    """
    run(connection, create)
    run(connection, "UPDATE load_lock SET generation = 7, lake = 's3://lake/'")
    assert "already exists" in run(connection, create)[0][0]
    assert run(connection, "SELECT generation, lake, app_id FROM load_lock") == [(7, "s3://lake/", None)]
    with pytest.raises(DatabaseError):
        run(connection, "UPDATE load_lock SET generation = NULL")


@fails_on_fakesnow
def test_a_view_types_a_variant_and_keeps_what_does_not_fit_as_null(warehouse: Warehouse) -> None:
    """TRY_ functions give NULL for a value of another type; QUALIFY keeps one row for each key.

    https://docs.snowflake.com/en/sql-reference/functions/try_to_timestamp
    """
    connection = warehouse.connect()
    run(connection, "CREATE TABLE raw (event VARIANT, source_row NUMBER(38, 0))")
    events = [
        {"uuid": "u", "$insert_id": "i", "event_time": "2025-12-23 19:00:01.5", "session_id": -1,
         "user_properties": {"A b": "x"}, "paying": "true", "lat": 1.5},
        {"uuid": "u", "event_time": "yesterday", "session_id": "none", "paying": None, "lat": "north"},
    ]  # fmt: skip
    for number, event in enumerate(events):
        run(
            connection,
            "INSERT INTO raw SELECT PARSE_JSON(%(e)s), %(n)s",
            {"e": json.dumps(event), "n": number},
        )
    run(
        connection,
        """
        CREATE VIEW events AS SELECT
            event:"uuid"::VARCHAR AS uuid,
            event:"$insert_id"::VARCHAR AS insert_id,
            TO_CHAR(TRY_TO_TIMESTAMP_NTZ(event:event_time::VARCHAR), 'YYYY-MM-DD HH24:MI:SS') AS event_time,
            TRY_TO_NUMBER(event:session_id::VARCHAR) AS session_id,
            TRY_TO_BOOLEAN(event:paying::VARCHAR) AS paying,
            TRY_TO_DOUBLE(event:lat::VARCHAR) AS lat,
            event:user_properties::VARIANT AS user_properties,
            source_row
        FROM raw
        """,
    )
    first, second = run(connection, "SELECT * FROM events ORDER BY source_row")
    assert first[:6] == ("u", "i", "2025-12-23 19:00:01", -1, True, 1.5)
    assert json.loads(first[6]) == {"A b": "x"}
    assert second[1:6] == (None, None, None, None, None)
    unique = (
        "SELECT source_row FROM events QUALIFY ROW_NUMBER() OVER (PARTITION BY uuid ORDER BY source_row) = 1"
    )
    assert run(connection, unique) == [(0,)]


@fails_on_fakesnow
def test_a_null_timestamp_is_null(warehouse: Warehouse) -> None:
    """A NULL comes to the client as None."""
    connection = warehouse.connect()
    assert run(connection, "SELECT NULL::TIMESTAMP_NTZ, '2025-12-23 19:00:00'::TIMESTAMP_NTZ")[0][0] is None


@fails_on_fakesnow
def test_session_settings_are_kept(warehouse: Warehouse) -> None:
    """ALTER SESSION SET is seen by SHOW PARAMETERS.

    https://docs.snowflake.com/en/sql-reference/parameters
    """
    connection = warehouse.connect()
    run(connection, "ALTER SESSION SET LOCK_TIMEOUT = 77 QUERY_TAG = 'amplitude' ABORT_DETACHED_QUERY = TRUE")
    found = {row[0]: row[1] for row in run(connection, "SHOW PARAMETERS LIKE '%%T%%' IN SESSION", {})}
    assert (found["LOCK_TIMEOUT"], found["QUERY_TAG"], found["ABORT_DETACHED_QUERY"]) == (
        "77",
        "amplitude",
        "true",
    )


@fails_on_fakesnow
def test_a_parameter_that_there_is_not_is_refused(warehouse: Warehouse) -> None:
    """A misspelt name changes nothing and is told as invalid.

    https://docs.snowflake.com/en/sql-reference/sql/alter-session
    """
    connection = warehouse.connect()
    for statement in ("SET LOCK_TIMEOUTS = 77", "UNSET LOCK_TIMEOUTS"):
        with pytest.raises(DatabaseError, match="invalid parameter 'LOCK_TIMEOUTS'"):
            run(connection, f"ALTER SESSION {statement}")
    run(connection, "ALTER SESSION SET ROWS_PER_RESULTSET = 77")
    run(connection, "ALTER SESSION UNSET ROWS_PER_RESULTSET")


@fails_on_fakesnow
def test_a_missing_table_is_told_by_number(warehouse: Warehouse) -> None:
    """002003 with SQL state 42S02, not a text to search in."""
    with pytest.raises(DatabaseError, match="does not exist or not authorized") as caught:
        run(warehouse.connect(), "SELECT * FROM nothing_here")
    assert (caught.value.errno, caught.value.sqlstate) == (2003, "42S02")
