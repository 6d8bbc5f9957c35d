"""COPY in the emulator beyond the contract: the project's statements, size, rebuilding, miscounts."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
import snowflake.connector
from snowflake.connector import SnowflakeConnection
from snowflake.connector.errors import DatabaseError

from emulators.s3 import S3Emulator
from emulators.snowflake import Fault, SnowflakeEmulator

pytestmark = pytest.mark.slow
SQL = Path(__file__).parents[2] / "core" / "warehouse" / "sql"
FILE = "events/date=2025-12-23/hour=19/1_2025-12-23_19_0-1a2b3c4d.json"
STATEMENTS = sorted(path.stem for path in SQL.glob("*.sql") if not path.stem.startswith("create_"))


@pytest.fixture(scope="module")
def lake() -> Iterator[S3Emulator]:
    with S3Emulator(buckets=["lake"]) as emulator:
        yield emulator


@pytest.fixture(scope="module")
def emulator(lake: S3Emulator) -> Iterator[SnowflakeEmulator]:
    with SnowflakeEmulator(lake.url, lake.access_key, lake.secret_key) as emulator:
        emulator.execute("CREATE DATABASE raw")
        emulator.execute(
            "CREATE STORAGE INTEGRATION lake TYPE = EXTERNAL_STAGE STORAGE_PROVIDER = 'S3' ENABLED = TRUE "
            "STORAGE_AWS_ROLE_ARN = 'arn:aws:iam::1:role/r' STORAGE_ALLOWED_LOCATIONS = ('s3://lake/amp/')"
        )
        yield emulator


@pytest.fixture
def connection(emulator: SnowflakeEmulator) -> Iterator[SnowflakeConnection]:
    emulator.execute("CREATE OR REPLACE SCHEMA raw.amp")
    emulator.faults.clear()
    with snowflake.connector.connect(
        user="any", password="any", account="any", host=emulator.host, port=emulator.port,
        protocol=emulator.protocol, database="raw", schema="amp",
    ) as connection:  # fmt: skip
        tables = [
            "create_file_format",
            "create_line_format",
            "create_events_raw",
            "create_events_rejected",
            "create_load_ledger",
        ]
        for name in [*tables, "create_load_lock", "create_events", "create_events_unique"]:
            _run(connection, (SQL / f"{name}.sql").read_text())
        _run(
            connection,
            "CREATE STAGE amplitude_lake URL = 's3://lake/amp/' STORAGE_INTEGRATION = lake "
            "FILE_FORMAT = (FORMAT_NAME = amplitude_json)",
        )
        yield connection


def _run(connection: SnowflakeConnection, sql: str, params: Any = None) -> list[Any]:
    with connection.cursor() as cursor:
        cursor.execute(sql, params)
        return list(cursor.fetchall())


def _put(lake: S3Emulator, text: str, name: str = FILE) -> None:
    s3 = boto3.client(
        "s3", endpoint_url=lake.url, aws_access_key_id=lake.access_key, aws_secret_access_key=lake.secret_key,
        region_name=lake.region,
    )  # fmt: skip
    s3.put_object(Bucket="lake", Key=f"amp/{name}", Body=text.encode())


def _copy(connection: SnowflakeConnection, *files: str) -> list[Any]:
    return _run(connection, (SQL / "copy_parts.sql").read_text(), {"files": list(files or [FILE])})


@pytest.mark.parametrize("name", STATEMENTS)
def test_the_projects_statement_runs(name: str, lake: S3Emulator, connection: SnowflakeConnection) -> None:
    _put(lake, '{"uuid":"a"}\n')
    row = {"export_hour": "2025-12-23 19:00:00", "exported_at": "2025-12-23 22:15:03.120", "digest": "d"}
    params = {
        "lake": "s3://lake/amp", "app_id": 1, "run": "it's", "generation": 1, "files": [FILE],
        "hours": ["2025-12-23 19:00:00"], "hour": "2025-12-23 19:00:00", "digest": "d",
        "first": "2025-12-23 00:00:00", "last": "2025-12-23 23:00:00",
        "rows": json.dumps([row | {"parts": 1, "events": 1, "rejected": 0}]),
    }  # fmt: skip
    _run(connection, (SQL / f"{name}.sql").read_text(), params)


def test_a_text_format_is_described_with_what_it_does_to_a_line(connection: SnowflakeConnection) -> None:
    lines = {row[0]: row[2] for row in _run(connection, "DESC FILE FORMAT amplitude_lines")}
    assert (lines["TYPE"], lines["FIELD_DELIMITER"], lines["SKIP_BLANK_LINES"]) == ("CSV", "NONE", "true")
    assert "FIELD_DELIMITER" not in [row[0] for row in _run(connection, "DESC FILE FORMAT amplitude_json")]


def test_an_hour_lands_with_its_hour_file_and_line(lake: S3Emulator, connection: SnowflakeConnection) -> None:
    _put(lake, '{"uuid":"a"}\n{"uuid":"a"}\n')
    _copy(connection)
    select = (
        "SELECT TO_CHAR(export_hour, 'YYYY-MM-DD\"T\"HH24'), source_file, source_row, uuid FROM events_unique"
    )
    assert _run(connection, select) == [("2025-12-23T19", f"amp/{FILE}", 1, "a")]


def test_a_copy_survives_a_later_failure_in_its_transaction(
    lake: S3Emulator, connection: SnowflakeConnection
) -> None:
    _put(lake, '{"uuid":"a"}\n')
    _run(connection, "BEGIN")
    _copy(connection)
    with pytest.raises(DatabaseError):
        _run(connection, "INSERT INTO load_lock SELECT NULL, NULL, NULL")
    with pytest.raises(DatabaseError):
        _copy(connection, "events/date=2025-12-23/hour=20/missing.json")
    _run(connection, "UPDATE load_lock SET generation = generation + 1")
    _run(connection, "COMMIT")
    assert _run(connection, "SELECT COUNT(*), MAX(generation) FROM events_raw, load_lock") == [(1, 1)]


@pytest.mark.parametrize(
    "expression",
    [
        "DISTINCT $1:uuid",
        "CURRENT_TIMESTAMP",
        "CURRENT_TIMESTAMP()",
        "SYSDATE()::VARCHAR",
        "UUID_STRING()",
        "CURRENT_USER()",
        "$1:uuid || CURRENT_USER",
        "COALESCE($1:uuid, '?')",
        "*",
    ],
)
def test_a_transformation_that_is_not_promised_is_refused(
    lake: S3Emulator, connection: SnowflakeConnection, expression: str
) -> None:
    _put(lake, '{"uuid":"a"}\n')
    with pytest.raises(DatabaseError, match=r"within a COPY|only supports simple SELECT"):
        _transform(connection, expression)
    assert _transform(connection, "$1:uuid") == [("a",)]


@pytest.mark.parametrize(
    ("expression", "made"),
    [
        ("UPPER($1:uuid::VARCHAR(10))", "A"),
        ("NVL($1:missing::VARCHAR, '?')", "?"),
        ("CASE WHEN ($1:n = 1) THEN ('one') ELSE ('more') END", "one"),
        ("IFF($1:n IN (1, 2), 'few', 'many')", "few"),
        ("$1:current_user::VARCHAR || SUBSTR(METADATA$FILENAME, 1, 3)", "meamp"),
        ("CAST($1:n AS NUMBER(38, 0))::VARCHAR", "1"),
        ("TRY_CAST($1:uuid::VARCHAR AS NUMBER(38, 0))::VARCHAR", None),
        ("TO_TIMESTAMP_NTZ($1:at::VARCHAR)::VARCHAR", "2025-12-23 19:00:00"),
        ("t.$1:uuid", "a"),
    ],
)
def test_a_documented_transformation_runs(
    lake: S3Emulator, connection: SnowflakeConnection, expression: str, made: str | None
) -> None:
    _put(lake, '{"uuid":"a","n":1,"current_user":"me","at":"2025-12-23 19:00:00"}\n')
    assert _transform(connection, expression) == [(made,)]


def _transform(connection: SnowflakeConnection, expression: str) -> list[Any]:
    _run(connection, "CREATE OR REPLACE TABLE made (text VARCHAR)")
    _run(connection, f"COPY INTO made FROM (SELECT {expression} FROM @amplitude_lake t) FILES = ('{FILE}')")
    return _run(connection, "SELECT text FROM made")


def test_a_row_of_sixteen_megabytes_passes(lake: S3Emulator, connection: SnowflakeConnection) -> None:
    text = "x" * (16 * 1024 * 1024 - 100)
    _put(lake, json.dumps({"uuid": "big", "text": text}) + "\n")
    _copy(connection)
    assert _run(connection, "SELECT LENGTH(event:text::VARCHAR) FROM events_raw") == [(len(text),)]


def test_a_miscount_can_be_planned(
    lake: S3Emulator, emulator: SnowflakeEmulator, connection: SnowflakeConnection
) -> None:
    _put(lake, '{"uuid":"a"}\n{"uuid":"b"}\n')
    emulator.faults.add(Fault("COPY INTO events_raw", "miscount"))
    assert _copy(connection)[0][2:4] == (2, 1)
    assert _run(connection, "SELECT COUNT(*) FROM events_raw") == [(2,)]


def test_a_lake_that_refuses_is_a_sql_error(
    emulator: SnowflakeEmulator, connection: SnowflakeConnection
) -> None:
    _run(
        connection,
        "CREATE STORAGE INTEGRATION IF NOT EXISTS other TYPE = EXTERNAL_STAGE STORAGE_PROVIDER = 'S3' "
        "ENABLED = TRUE STORAGE_AWS_ROLE_ARN = 'arn:aws:iam::1:role/r' STORAGE_ALLOWED_LOCATIONS = ('s3://no-such-bucket/')",
    )
    _run(connection, "CREATE STAGE gone URL = 's3://no-such-bucket/' STORAGE_INTEGRATION = other")
    with pytest.raises(DatabaseError, match="Failure using stage area") as caught:
        _run(connection, "LIST @gone")
    assert caught.value.errno == 91003
