"""COPY INTO <table>: which files, what it answers, and what it remembers.

Source: https://docs.snowflake.com/en/sql-reference/sql/copy-into-table
"""

import datetime
import json

import pytest
from snowflake.connector.errors import DatabaseError

from tests.contract.warehouses import Warehouse, copy, counts, fails_on_fakesnow, rows, run


@fails_on_fakesnow
def test_copy_reports_each_file_with_its_full_url(warehouse: Warehouse) -> None:
    """FILE is the whole URL of an external stage, METADATA$FILENAME the whole key in the bucket."""
    connection = warehouse.connect()
    warehouse.lake(connection)
    key = warehouse.lines("hour=19/a.json", 3)
    (answer,) = copy(connection, "hour=19/a.json")
    assert answer["file"] == f"s3://{warehouse.bucket}/{key}"
    assert answer["status"] == "LOADED"
    assert (answer["rows_parsed"], answer["rows_loaded"], answer["errors_seen"]) == (3, 3, 0)
    assert answer["first_error"] is None
    assert run(connection, "SELECT source_file, source_row FROM events ORDER BY 2") == [
        (key, 1), (key, 2), (key, 3)
    ]  # fmt: skip


@fails_on_fakesnow
def test_a_missing_file_aborts_and_nothing_is_loaded(warehouse: Warehouse) -> None:
    """ON_ERROR = ABORT_STATEMENT: the load ends if a file named in FILES cannot be found."""
    connection = warehouse.connect()
    warehouse.lake(connection)
    warehouse.lines("a.json")
    with pytest.raises(DatabaseError, match=r"Remote file '.*missing\.json' was not found") as caught:
        copy(connection, "a.json", "missing.json", options="ON_ERROR = ABORT_STATEMENT")
    assert caught.value.errno == 91016
    assert rows(connection) == 0


@fails_on_fakesnow
def test_more_than_a_thousand_files_are_refused(warehouse: Warehouse) -> None:
    """At most 1,000 names can be given in FILES."""
    connection = warehouse.connect()
    warehouse.lake(connection)
    with pytest.raises(DatabaseError) as caught:
        copy(connection, *(f"{n}.json" for n in range(1001)))
    assert caught.value.errno != 91016  # not because they are missing


@fails_on_fakesnow
def test_a_file_that_was_loaded_is_skipped(warehouse: Warehouse) -> None:
    """A file that the table's load metadata knows, with the same ETag, is not loaded again."""
    connection = warehouse.connect()
    warehouse.lake(connection)
    warehouse.lines("a.json")
    copy(connection)
    (answer,) = copy(connection)
    assert list(answer.values()) == ["Copy executed with 0 files processed."]
    assert rows(connection) == 2


@fails_on_fakesnow
def test_a_changed_file_is_loaded_again(warehouse: Warehouse) -> None:
    """The metadata holds the ETag: another content under the same name is another file."""
    connection = warehouse.connect()
    warehouse.lake(connection)
    warehouse.lines("a.json", 2)
    copy(connection)
    warehouse.lines("a.json", 3)
    copy(connection)
    assert rows(connection) == 5


@fails_on_fakesnow
def test_a_plain_copy_after_delete_loses_the_rows(warehouse: Warehouse) -> None:
    """DELETE does not clear load metadata: this is why the loader uses FORCE.

    https://docs.snowflake.com/en/user-guide/data-load-considerations-load
    """
    connection = warehouse.connect()
    warehouse.lake(connection)
    warehouse.lines("a.json")
    copy(connection, "a.json")
    assert counts(connection, "DELETE FROM events") == 2
    assert all(answer.get("status") != "LOADED" for answer in copy(connection, "a.json"))
    assert rows(connection) == 0


@fails_on_fakesnow
def test_truncate_lets_a_file_load_again(warehouse: Warehouse) -> None:
    """TRUNCATE TABLE removes load metadata with the rows.

    https://docs.snowflake.com/en/sql-reference/sql/truncate-table
    """
    connection = warehouse.connect()
    warehouse.lake(connection)
    warehouse.lines("a.json")
    copy(connection, "a.json")
    run(connection, "TRUNCATE TABLE events")
    assert copy(connection, "a.json")[0]["status"] == "LOADED"
    assert rows(connection) == 2


@fails_on_fakesnow
def test_force_loads_again_and_duplicates(warehouse: Warehouse) -> None:
    """FORCE = TRUE loads files whether or not they were loaded before."""
    connection = warehouse.connect()
    warehouse.lake(connection)
    warehouse.lines("a.json")
    copy(connection, "a.json")
    assert copy(connection, "a.json", options="FORCE = TRUE")[0]["rows_loaded"] == 2
    assert rows(connection) == 4


@fails_on_fakesnow
def test_a_pattern_hides_a_missing_file(warehouse: Warehouse) -> None:
    """PATTERN promises nothing: what is not there is not missed. This is why the loader uses FILES."""
    connection = warehouse.connect()
    warehouse.lake(connection)
    warehouse.lines("hour=19/a.json")
    warehouse.lines("hour=20/b.json")
    answers = copy(connection, options="PATTERN = '.*hour=(19|21)/.*[.]json'")
    assert [answer["status"] for answer in answers] == ["LOADED"]


@fails_on_fakesnow
def test_a_bad_line_aborts_and_names_file_and_line(warehouse: Warehouse) -> None:
    """ABORT_STATEMENT: the error tells file, line and character, and nothing is loaded."""
    connection = warehouse.connect()
    warehouse.lake(connection)
    warehouse.lines("a.json")
    warehouse.put("b.json", '{"n":1}\n{"n":\n{"n":3}\n')
    with pytest.raises(DatabaseError, match=r"Error parsing JSON.*\n.*b\.json', line 2, character") as caught:
        copy(connection, "a.json", "b.json", options="ON_ERROR = ABORT_STATEMENT")
    assert caught.value.errno == 100069
    assert rows(connection) == 0


@fails_on_fakesnow
def test_continue_skips_what_follows_the_first_bad_record_of_a_file_of_json(warehouse: Warehouse) -> None:
    """ON_ERROR = CONTINUE loads the records before it, and skips the remainder: why the loader never uses it.

    PARTIALLY_LOADED, with the first error and its line.
    """
    connection = warehouse.connect()
    warehouse.lake(connection)
    warehouse.put("b.json", '{"n":1}\n{"n":\n{"n":3}\n')
    (answer,) = copy(connection, "b.json", options="ON_ERROR = CONTINUE")
    assert answer["status"] == "PARTIALLY_LOADED"
    assert (answer["rows_loaded"], answer["errors_seen"]) == (1, 1)
    assert answer["first_error"].startswith("Error parsing JSON")
    assert answer["first_error_line"] == 2
    assert run(connection, "SELECT source_row FROM events ORDER BY 1") == [(1,)]


@fails_on_fakesnow
def test_skip_file_leaves_the_bad_file_out(warehouse: Warehouse) -> None:
    """ON_ERROR = SKIP_FILE: the file with an error is LOAD_FAILED, the others are LOADED."""
    connection = warehouse.connect()
    warehouse.lake(connection)
    warehouse.lines("a.json")
    warehouse.put("b.json", '{"n":1}\n{"n":\n')
    answers = copy(connection, "a.json", "b.json", options="ON_ERROR = SKIP_FILE")
    assert {answer["status"] for answer in answers} == {"LOADED", "LOAD_FAILED"}
    assert rows(connection) == 2


@fails_on_fakesnow
def test_a_value_that_cannot_be_cast_ends_the_copy_even_under_continue(warehouse: Warehouse) -> None:
    """An error in the transformation of semi-structured data always aborts."""
    connection = warehouse.connect()
    warehouse.lake(connection)
    run(connection, "CREATE TABLE numbers (n NUMBER(38, 0) NOT NULL)")
    warehouse.put("a.json", '{"n":1}\n{"n":"one"}\n')
    with pytest.raises(DatabaseError):
        run(connection, "COPY INTO numbers FROM (SELECT $1:n::NUMBER FROM @lake) ON_ERROR = CONTINUE")
    assert rows(connection, "numbers") == 0


@fails_on_fakesnow
def test_a_null_does_not_enter_a_not_null_column(warehouse: Warehouse) -> None:
    """A path without an hour gives NULL, and the column refuses it: nothing lands without its hour."""
    connection = warehouse.connect()
    warehouse.lake(connection)
    run(connection, "CREATE TABLE hours (hour VARCHAR NOT NULL)")
    warehouse.lines("no-hour-here/a.json")
    select = "SELECT REGEXP_SUBSTR(METADATA$FILENAME, 'hour=([0-9]{2})/', 1, 1, 'e', 1) FROM @lake"
    with pytest.raises(DatabaseError) as caught:
        run(connection, f"COPY INTO hours FROM ({select})")
    assert caught.value.errno == 100072
    warehouse.lines("hour=07/a.json")
    run(connection, f"COPY INTO hours FROM ({select}) FILES = ('hour=07/a.json')")
    assert run(connection, "SELECT DISTINCT hour FROM hours") == [("07",)]


@fails_on_fakesnow
def test_a_duplicate_key_is_an_error_unless_allowed(warehouse: Warehouse) -> None:
    """ALLOW_DUPLICATE = TRUE keeps the last value of a key that comes twice; FALSE, the default, refuses it.

    https://docs.snowflake.com/en/sql-reference/sql/create-file-format
    """
    connection = warehouse.connect()
    warehouse.lake(connection)
    warehouse.put("a.json", '{"k":1,"k":2}\n')
    strict = "FILE_FORMAT = (TYPE = JSON MULTI_LINE = FALSE ALLOW_DUPLICATE = FALSE)"
    with pytest.raises(DatabaseError, match="duplicate"):
        copy(connection, "a.json", options=strict)
    copy(connection, "a.json")
    assert run(connection, "SELECT event:k::NUMBER FROM events") == [(2,)]


@fails_on_fakesnow
def test_multi_line_lets_a_document_span_lines(warehouse: Warehouse) -> None:
    """MULTI_LINE = TRUE, the default, reads documents over several lines; FALSE reads one a line."""
    connection = warehouse.connect()
    warehouse.lake(connection)
    warehouse.put("a.json", '{"n":\n 1}\n{"n":2}\n')
    with pytest.raises(DatabaseError):
        copy(connection, "a.json")
    copy(connection, "a.json", options="FILE_FORMAT = (TYPE = JSON MULTI_LINE = TRUE)")
    assert run(connection, "SELECT event:n::NUMBER FROM events ORDER BY 1") == [(1,), (2,)]


@fails_on_fakesnow
def test_a_variant_is_the_json_that_was_loaded(warehouse: Warehouse) -> None:
    """Keys that differ by case only, dots and spaces in keys, unicode, nulls: all come back."""
    connection = warehouse.connect()
    warehouse.lake(connection)
    event = {
        "Plan": "a", "plan": "b", "a.b": {"c d": [1, 2.5, None, True]}, "text": 'Zoë \U0001f600 "q" \\ \n',
        "big": 9007199254740993, "negative": -1, "empty": {}, "none": None,
    }  # fmt: skip
    warehouse.put("a.json", json.dumps(event) + "\n" + json.dumps(event, ensure_ascii=False) + "\n")
    copy(connection, "a.json")
    assert [json.loads(row[0]) for row in run(connection, "SELECT event FROM events")] == [event, event]
    select = 'SELECT event:"a.b"."c d"[1]::DOUBLE, event:Plan::VARCHAR, event:none::VARCHAR FROM events'
    assert run(connection, select)[0] == (2.5, "a", None)


@fails_on_fakesnow
def test_gzip_is_recognised(warehouse: Warehouse) -> None:
    """COMPRESSION = AUTO reads plain and gzipped files side by side."""
    import gzip

    connection = warehouse.connect()
    warehouse.lake(connection)
    warehouse.lines("a.json", 1)
    warehouse.put("b.json.gz", gzip.compress(b'{"n":1}\n{"n":2}\n'))
    copy(connection, "a.json", "b.json.gz")
    assert rows(connection) == 3


@fails_on_fakesnow
def test_a_missing_file_is_one_failed_row_where_errors_do_not_abort(warehouse: Warehouse) -> None:
    """Under ON_ERROR = CONTINUE a file that cannot be found is LOAD_FAILED, and the others load."""
    connection = warehouse.connect()
    warehouse.lake(connection)
    warehouse.lines("a.json", 2)
    answers = copy(connection, "a.json", "missing.json", options="ON_ERROR = CONTINUE")
    assert {answer["file"].rpartition("/")[2]: answer["status"] for answer in answers} == {
        "a.json": "LOADED", "missing.json": "LOAD_FAILED"
    }  # fmt: skip


@fails_on_fakesnow
def test_a_stage_can_have_an_alias_in_the_select(warehouse: Warehouse) -> None:
    """`SELECT t.$1 FROM @stage t` reads as `SELECT $1 FROM @stage`.

    https://docs.snowflake.com/en/user-guide/data-load-transform
    """
    connection = warehouse.connect()
    warehouse.lake(connection)
    warehouse.lines("a.json", 2)
    run(connection, "COPY INTO events (event, source_row) FROM (SELECT t.$1, t.$1:n::NUMBER FROM @lake t)")
    assert run(connection, "SELECT event:n::NUMBER, source_row FROM events ORDER BY 1") == [(1, 1), (2, 2)]


@pytest.mark.parametrize(
    ("good", "bad"),
    [
        ("ON_ERROR = 'CONTINUE'", "ON_ERROR = 'IGNORE'"),
        ("ON_ERROR = SKIP_FILE_3", "ON_ERROR = SKIP_FILE_THREE"),
        ("ON_ERROR = 'SKIP_FILE_3%'", "ON_ERROR = 'CONTINUE_3%'"),
        ("FORCE = TRUE", "FORCE = MAYBE"),
        ("PURGE = FALSE", "PURGE = 'PERHAPS'"),
        ("FORCE = TRUE", "FROCE = TRUE"),
        ("FILES = ('a.json', 'b.json')", "FILES = ('a.json' 'b.json')"),
        ("FILES = ('a.json')", "FILES = ()"),
        (
            "FILE_FORMAT = (TYPE = JSON STRIP_OUTER_ARRAY = FALSE)",
            "FILE_FORMAT = (TYPE = JSON STRIP_ALL = FALSE)",
        ),
        (
            "FILE_FORMAT = (TYPE = JSON ALLOW_DUPLICATE = TRUE)",
            "FILE_FORMAT = (TYPE = JSON ALLOW_DUPLICATE = 2)",
        ),
        ("FILE_FORMAT = (TYPE = JSON COMPRESSION = NONE)", "FILE_FORMAT = (TYPE = JSON COMPRESSION = ZIP)"),
    ],
)
@fails_on_fakesnow
def test_an_option_that_cannot_be_is_refused_and_nothing_is_loaded(
    warehouse: Warehouse, good: str, bad: str
) -> None:
    """Options and their values are checked when the statement is compiled."""
    connection = warehouse.connect()
    warehouse.lake(connection)
    warehouse.lines("a.json", 2)
    warehouse.lines("b.json", 2)
    with pytest.raises(DatabaseError, match="SQL compilation error"):
        copy(connection, options=bad)
    assert rows(connection) == 0
    copy(connection, options=good)
    assert rows(connection) > 0


@fails_on_fakesnow
def test_a_stage_with_an_option_that_cannot_be_is_refused(warehouse: Warehouse) -> None:
    """CREATE STAGE checks its options, and those of the file format beside it."""
    connection = warehouse.connect()
    warehouse.lake(connection)
    create = f"CREATE STAGE s URL = '{warehouse.url}' STORAGE_INTEGRATION = {warehouse.integration}"
    for bad in (
        "COLOUR = 'red'",
        "FILE_FORMAT = (TYPE = JSON MULTI_LINE = SOMETIMES)",
        "FILE_FORMAT = (TYPE = YAML)",
    ):
        with pytest.raises(DatabaseError, match="SQL compilation error"):
            run(connection, f"{create} {bad}")
    run(connection, f"{create} FILE_FORMAT = (TYPE = JSON MULTI_LINE = FALSE) COMMENT = 'red'")


@pytest.mark.parametrize(
    "select",
    [
        "ROW_NUMBER() OVER (ORDER BY METADATA$FILE_ROW_NUMBER)",
        "COUNT(*)",
        "(SELECT 1)",
        "$1:n::NUMBER + $2",
        "METADATA$FILE_COLOUR",
        "n",
    ],
)
@fails_on_fakesnow
def test_a_transformation_that_is_no_simple_select_is_refused(warehouse: Warehouse, select: str) -> None:
    """A COPY reorders, omits and casts columns; it aggregates, joins and sorts nothing.

    https://docs.snowflake.com/en/user-guide/data-load-transform
    """
    connection = warehouse.connect()
    warehouse.lake(connection)
    warehouse.lines("a.json", 2)
    with pytest.raises(DatabaseError, match="SQL compilation error"):
        run(connection, f"COPY INTO events (source_row) FROM (SELECT {select} FROM @lake)")
    assert rows(connection) == 0
    run(connection, "COPY INTO events (source_row) FROM (SELECT METADATA$FILE_ROW_NUMBER FROM @lake)")
    assert rows(connection) == 2


@fails_on_fakesnow
def test_the_start_of_the_scan_is_local_time_without_a_zone_and_the_same_instant_with_one(
    warehouse: Warehouse,
) -> None:
    """METADATA$START_SCAN_TIME is a TIMESTAMP_LTZ: as TIMESTAMP_NTZ it is the session's wall clock.

    https://docs.snowflake.com/en/user-guide/querying-metadata
    """
    connection = warehouse.connect()
    warehouse.lake(connection)
    warehouse.lines("a.json", 1)
    run(connection, "CREATE TABLE scans (local TIMESTAMP_NTZ, instant TIMESTAMP_LTZ)")
    select = "METADATA$START_SCAN_TIME::TIMESTAMP_NTZ, METADATA$START_SCAN_TIME"
    before = datetime.datetime.now(datetime.UTC)
    for zone in ("UTC", "America/Los_Angeles"):
        run(connection, f"ALTER SESSION SET TIMEZONE = '{zone}'")
        run(connection, f"COPY INTO scans FROM (SELECT {select} FROM @lake) FORCE = TRUE")
    (utc, early), (angeles, late) = run(connection, "SELECT local, instant FROM scans ORDER BY instant")
    assert abs(utc.replace(tzinfo=datetime.UTC) - before) < datetime.timedelta(minutes=5)
    assert datetime.timedelta(hours=6.9) < utc - angeles < datetime.timedelta(hours=8.1)
    assert abs(late - early) < datetime.timedelta(minutes=5)


@fails_on_fakesnow
def test_a_time_zone_that_there_is_not_is_refused(warehouse: Warehouse) -> None:
    """TIMEZONE takes a name of the time zone database."""
    connection = warehouse.connect()
    with pytest.raises(DatabaseError, match="SQL compilation error"):
        run(connection, "ALTER SESSION SET TIMEZONE = 'Europe/Atlantis'")
    run(connection, "ALTER SESSION SET TIMEZONE = 'Europe/Berlin'")
