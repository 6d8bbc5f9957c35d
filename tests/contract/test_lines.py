"""Lines as text: how the loader gets the good lines of a file that holds a bad one.

Source: https://docs.snowflake.com/en/sql-reference/sql/create-file-format
"""

import gzip
from typing import Any

import pytest
from snowflake.connector import SnowflakeConnection
from snowflake.connector.errors import DatabaseError

from core.warehouse import statements
from tests.contract.warehouses import Warehouse, copy, counts, fails_on_fakesnow, rows, run

_GOOD = "WHERE TRY_PARSE_JSON(line, 'd') IS NOT NULL"


def lines_of(warehouse: Warehouse) -> SnowflakeConnection:
    """A session in a schema with stage, line format and a table for lines."""
    connection = warehouse.connect()
    warehouse.lake(connection)
    run(connection, statements.CREATE_FILE_FORMATS[1])
    run(
        connection,
        "CREATE TABLE lines (digest VARCHAR, source_file VARCHAR, source_row NUMBER(38, 0), line VARCHAR)",
    )
    return connection


def copy_lines(connection: SnowflakeConnection, *files: str) -> list[Any]:
    """COPY lines as the loader does: a value as a column, a format beside the stage's own."""
    sql = (
        "COPY INTO lines (digest, source_file, source_row, line) "
        "FROM (SELECT %(digest)s, METADATA$FILENAME, METADATA$FILE_ROW_NUMBER, $1 FROM @lake) "
        "FILES = (%(files)s) FILE_FORMAT = (FORMAT_NAME = 'amplitude_lines') "
        "ON_ERROR = ABORT_STATEMENT FORCE = TRUE"
    )
    return run(connection, sql, {"digest": "it's", "files": list(files)})


@fails_on_fakesnow
def test_lines_are_loaded_as_they_are_with_the_numbers_that_their_records_would_have(
    warehouse: Warehouse,
) -> None:
    """No quote, comma, backslash or \\\\N means anything; gzip and broken UTF-8 pass."""
    connection = lines_of(warehouse)
    text = b'{"n":1,"t":"a\\\\n,b"}\n"quoted", \'too\'\n\\N\n{"t":"\xff"}\n'
    warehouse.put("a.json", text)
    warehouse.put("b.json.gz", gzip.compress(b'{"n":1}\n{"n":\n{"n":3}'))
    answers = copy_lines(connection, "a.json", "b.json.gz")
    assert [(answer[1], answer[3]) for answer in answers] == [("LOADED", 4), ("LOADED", 3)]
    found = run(connection, "SELECT source_row, line FROM lines ORDER BY source_file, source_row")
    assert found == [
        (1, '{"n":1,"t":"a\\\\n,b"}'), (2, "\"quoted\", 'too'"), (3, "\\N"), (4, '{"t":"\ufffd"}'),
        (1, '{"n":1}'), (2, '{"n":'), (3, '{"n":3}'),
    ]  # fmt: skip
    assert run(connection, "SELECT DISTINCT digest FROM lines") == [("it's",)]


@fails_on_fakesnow
def test_records_and_lines_of_a_file_have_the_same_numbers(warehouse: Warehouse) -> None:
    connection = lines_of(warehouse)
    warehouse.put("a.json", '{"n":1}\n{"n":2}\r\n{"n":3}')
    copy(connection, "a.json")
    copy_lines(connection, "a.json")
    records = run(connection, "SELECT source_row, event:n::NUMBER FROM events ORDER BY 1")
    lines = run(connection, "SELECT source_row, PARSE_JSON(line):n::NUMBER FROM lines ORDER BY 1")
    assert records == lines == [(1, 1), (2, 2), (3, 3)]


@fails_on_fakesnow
def test_lines_are_parsed_one_by_one_and_a_bad_one_is_null_and_no_error(warehouse: Warehouse) -> None:
    """TRY_PARSE_JSON is NULL for what is no JSON; 'd' lets a key come twice; CHECK_JSON says what is wrong.

    https://docs.snowflake.com/en/sql-reference/functions/try_parse_json
    """
    connection = lines_of(warehouse)
    warehouse.put("a.json", '{"k":1,"k":1}\n{"n":\nnull\n \t\r\n{"n":5}\n')
    copy_lines(connection, "a.json")
    run(connection, "BEGIN")
    select = f"SELECT TRY_PARSE_JSON(line, 'd'), source_row FROM lines {_GOOD}"
    assert counts(connection, f"INSERT INTO events (event, source_row) {select}") == 3
    assert counts(connection, f"DELETE FROM lines {_GOOD}") == 3
    assert counts(connection, "DELETE FROM lines WHERE REGEXP_LIKE(line, '[[:space:]]*')") == 1
    assert counts(connection, "UPDATE lines SET digest = COALESCE(CHECK_JSON(line), 'nothing')") == 1
    run(connection, "COMMIT")
    assert run(connection, "SELECT source_row FROM events ORDER BY 1") == [(1,), (3,), (5,)]
    ((place, reason),) = run(connection, "SELECT source_row, digest FROM lines")
    assert (place, bool(reason)) == (2, True)


@fails_on_fakesnow
def test_lines_that_were_loaded_are_gone_with_their_transaction(warehouse: Warehouse) -> None:
    connection = lines_of(warehouse)
    warehouse.put("a.json", '{"n":\n')
    run(connection, "BEGIN")
    copy_lines(connection, "a.json")
    run(connection, f"INSERT INTO events (event) SELECT TRY_PARSE_JSON(line, 'd') FROM lines {_GOOD}")
    run(connection, "ROLLBACK")
    assert (rows(connection, "lines"), rows(connection)) == (0, 0)


@fails_on_fakesnow
def test_a_missing_file_of_lines_aborts_as_any_other(warehouse: Warehouse) -> None:
    connection = lines_of(warehouse)
    with pytest.raises(DatabaseError) as caught:
        copy_lines(connection, "missing.json")
    assert caught.value.errno == 91016
