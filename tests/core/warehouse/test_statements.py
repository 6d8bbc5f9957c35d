"""The SQL: what it promises, read as text and run on the emulator."""

from __future__ import annotations

import json
import re
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from core.warehouse import statements
from tests.core.lake.examples import HOUR
from tests.core.warehouses import Schema

#: Every key that an exported event has.
#: Source: https://amplitude.com/docs/apis/analytics/export
DOCUMENTED = """
    $insert_id $insert_key $schema adid amplitude_attribution_ids amplitude_event_type amplitude_id app city
    client_event_time client_upload_time country data data_type device_brand device_carrier device_family
    device_id device_manufacturer device_model device_type dma event_id event_properties event_time event_type
    global_user_properties group_properties groups idfa ip_address is_attribution_event language library
    location_lat location_lng os_name os_version partner_id paying plan platform processed_time region
    sample_rate server_received_time server_upload_time session_id source_id start_version user_creation_time
    user_id user_properties uuid version_name
""".split()  # noqa: SIM905  # as the documentation lists them

IN_TRANSACTION = {
    "begin": statements.BEGIN,
    "take_lock": statements.TAKE_LOCK,
    "read_lock": statements.READ_LOCK,
    "read_ledger": statements.READ_LEDGER,
    "read_ledger_generation": statements.READ_LEDGER_GENERATION,
    "read_contents": statements.READ_CONTENTS,
    "delete_hours": statements.DELETE_HOURS,
    "copy_parts": statements.COPY_PARTS,
    "read_rejected": statements.READ_REJECTED,
    "delete_rejected": statements.DELETE_REJECTED,
    "copy_lines": statements.COPY_LINES,
    "delete_blank_lines": statements.DELETE_BLANK_LINES,
    "insert_good_lines": statements.INSERT_GOOD_LINES,
    "delete_good_lines": statements.DELETE_GOOD_LINES,
    "explain_bad_lines": statements.EXPLAIN_BAD_LINES,
    "merge_ledger": statements.MERGE_LEDGER,
    "commit": statements.COMMIT,
    "rollback": statements.ROLLBACK,
}


def code(sql: str) -> str:
    """Without comments, in one line."""
    return " ".join(re.sub(r"--.*", "", sql).split())


COPIES = pytest.mark.parametrize("sql", [statements.COPY_PARTS, statements.COPY_LINES])


@COPIES
def test_copy_aborts_at_every_error_and_loads_whatever_snowflake_remembers(sql: str) -> None:
    copy = code(sql)
    assert "ON_ERROR = ABORT_STATEMENT" in copy
    assert "FORCE = TRUE" in copy
    assert "FILES = (" in copy
    assert "PATTERN" not in copy
    assert "PURGE" not in copy


@COPIES
def test_copy_writes_its_patterns_so_that_no_quoting_can_change_them(sql: str) -> None:
    """A backslash in a string literal is an escape; \\d has turned into NULLs."""
    assert "\\" not in sql


def test_lines_have_the_hour_file_and_number_that_their_events_would_have() -> None:
    parts, lines = (
        code(sql).partition("SELECT")[2] for sql in (statements.COPY_PARTS, statements.COPY_LINES)
    )
    for column in (r"\( REGEXP_SUBSTR.*\)::TIMESTAMP_NTZ, ", "METADATA.FILENAME, METADATA.FILE_ROW_NUMBER"):
        (one,), (other,) = re.findall(column, parts), re.findall(column, lines)
        assert one == other


def test_a_line_is_good_by_the_same_test_wherever_it_is_asked() -> None:
    export = "WHERE export_hour = %(hour)s AND digest = %(digest)s"
    for sql in (statements.INSERT_GOOD_LINES, statements.DELETE_GOOD_LINES):
        assert code(sql).endswith(f"{export} AND TRY_PARSE_JSON(line, 'd') IS NOT NULL")


@COPIES
def test_hour_and_time_of_loading_come_from_the_file_and_the_scan(sql: str) -> None:
    copy = code(sql)
    assert "METADATA$FILENAME" in copy
    assert "METADATA$START_SCAN_TIME" in copy
    assert "CURRENT_TIMESTAMP" not in copy


@pytest.mark.parametrize("name", IN_TRANSACTION)
def test_no_statement_of_a_load_changes_a_definition(name: str) -> None:
    """DDL commits what is open."""
    assert not re.search(r"\b(CREATE|ALTER|DROP|TRUNCATE|GRANT|REPLACE)\b", code(IN_TRANSACTION[name]))


@pytest.mark.parametrize("name", IN_TRANSACTION)
def test_a_statement_is_one_statement(name: str) -> None:
    assert ";" not in code(IN_TRANSACTION[name])


@pytest.mark.parametrize("sql", statements.create_statements())
def test_nothing_is_created_that_is_there_and_nothing_replaced(sql: str) -> None:
    assert re.match(r"CREATE (TABLE|VIEW|FILE FORMAT) IF NOT EXISTS ", code(sql))
    assert "REPLACE " not in code(sql)


@pytest.mark.parametrize(
    "option",
    [
        "TYPE = JSON",
        "COMPRESSION = ",
        "MULTI_LINE = FALSE",
        "STRIP_OUTER_ARRAY = ",
        "STRIP_NULL_VALUES = ",
        "ALLOW_DUPLICATE = TRUE",
        "REPLACE_INVALID_CHARACTERS = TRUE",
    ],
)
def test_the_file_format_states_every_option_that_matters(option: str) -> None:
    assert option in code(statements.CREATE_FILE_FORMATS[0])


def test_the_question_to_the_ledger_takes_no_values_so_its_text_is_stable() -> None:
    assert "%(" not in statements.READ_LEDGER


def test_the_lock_s_row_is_put_there_by_the_statement_that_creates_it_and_by_no_loader() -> None:
    lock = next(sql for sql in statements.CREATE_TABLES if "load_lock" in sql)
    assert re.search(r"\) AS SELECT 0, NULL, NULL$", code(lock))
    assert not any("INSERT INTO load_lock" in code(sql) for sql in IN_TRANSACTION.values())


@pytest.mark.parametrize("key", DOCUMENTED)
def test_readers_find_every_documented_key(key: str) -> None:
    assert len(DOCUMENTED) == 55
    assert f'event:"{key}"' in statements.CREATE_VIEWS[0]


# On the emulator


@pytest.fixture
def readable(schema: Schema) -> Schema:
    schema.run(*statements.CREATE_VIEWS)
    return schema


def load(schema: Schema, folder: Path, *events: dict[str, Any] | bytes) -> None:
    lines = [event if isinstance(event, bytes) else json.dumps(event).encode() for event in events]
    schema.pond.commit(folder, HOUR, b"".join(line + b"\n" for line in lines))
    receipt = schema.load(HOUR)
    assert not receipt.failures
    assert receipt.loaded == {HOUR: len(lines)}


@pytest.mark.slow
def test_everything_can_be_created_twice(readable: Schema) -> None:
    readable.run(*statements.create_statements())
    assert readable.read("SELECT generation, lake, app_id FROM load_lock") == [(0, None, None)]
    assert readable.read("SELECT COUNT(*) FROM events_unique") == [(0,)]


@pytest.mark.slow
def test_readers_get_typed_values(readable: Schema, tmp_path: Path) -> None:
    event = dict.fromkeys(DOCUMENTED) | {
        "uuid": "u-1", "amplitude_id": 2**40, "session_id": -1, "event_time": "2025-12-23 19:01:02.345678",
        "server_upload_time": "2025-12-23 19:00:00", "location_lat": 52.5, "is_attribution_event": False,
        "event_properties": {"Name": 1, "name": {"a.b c": [None]}}, "app": 100011471,
    }  # fmt: skip
    load(readable, tmp_path, event)
    (row,) = readable.read(
        "SELECT uuid, amplitude_id, session_id, event_time, server_upload_time, location_lat, "
        "is_attribution_event, app, city, export_hour, source_row FROM events"
    )
    assert row == (
        "u-1", 2**40, -1, datetime(2025, 12, 23, 19, 1, 2, 345678), datetime(2025, 12, 23, 19),  # noqa: DTZ001
        52.5, False, 100011471, None, HOUR.start.replace(tzinfo=None), 1,
    )  # fmt: skip
    ((properties, whole),) = readable.read("SELECT event_properties, event FROM events")
    assert json.loads(properties) == event["event_properties"]
    assert json.loads(whole) == event


@pytest.mark.slow
def test_a_value_that_does_not_fit_its_type_does_not_keep_its_hour_from_being_read(
    readable: Schema, tmp_path: Path
) -> None:
    load(
        readable,
        tmp_path,
        {"uuid": "u-1", "event_time": "yesterday", "session_id": "none", "location_lat": "x"},
    )
    assert readable.read("SELECT uuid, event_time, session_id, location_lat FROM events") == [
        ("u-1", None, None, None)
    ]


@pytest.mark.slow
def test_of_an_event_that_was_exported_twice_readers_see_the_first(readable: Schema, tmp_path: Path) -> None:
    first, second = {"uuid": "u-1", "city": "first"}, {"uuid": "u-1", "city": "second"}
    load(readable, tmp_path, first, second, {"uuid": "u-2"}, {"city": "no uuid"}, {"city": "nor here"})
    found = readable.read("SELECT uuid, city FROM events_unique ORDER BY source_row")
    assert found == [("u-1", "first"), ("u-2", None), (None, "no uuid"), (None, "nor here")]
    assert readable.read("SELECT COUNT(*) FROM events") == [(5,)]


@pytest.mark.slow
def test_lines_that_are_odd_but_readable_do_not_block_their_hour(schema: Schema, tmp_path: Path) -> None:
    load(
        schema,
        tmp_path,
        b'{"uuid":"u-1","uuid":"u-1"}',
        b'{"uuid":"u-2","city":"\xff\xfe"}',
        b'{"uuid":"u-3"}',
    )
    assert schema.uuids() == ["u-1", "u-2", "u-3"]


@pytest.mark.slow
@pytest.mark.parametrize("column", ["event", "export_hour", "source_file", "source_row", "loaded_at"])
def test_no_row_can_lack_what_it_is_counted_by(schema: Schema, tmp_path: Path, column: str) -> None:
    load(schema, tmp_path, {"uuid": "u-1"})
    from emulators.snowflake.errors import SqlError

    with pytest.raises(SqlError, match="NULL"):
        schema.run(f"UPDATE events_raw SET {column} = NULL")
