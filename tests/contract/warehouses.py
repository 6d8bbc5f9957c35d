"""The warehouses that a case can run on, and what a case says about unmodified fakesnow."""

import os
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import boto3
import pytest
import snowflake.connector
from snowflake.connector import SnowflakeConnection
from snowflake.connector.errors import Error

Case = TypeVar("Case", bound=Callable[..., Any])
#: How a case fails when a warehouse refuses or answers wrongly; a slip in the case itself is neither.
FAILURES = (Error, AssertionError, pytest.fail.Exception)
_JSON = "TYPE = JSON MULTI_LINE = FALSE ALLOW_DUPLICATE = TRUE"


def fails_on_fakesnow(case: Case) -> Case:
    """The case fails on fakesnow as it comes; `pytest tests/contract --stock-fakesnow` checks that."""
    case.__dict__["on_fakesnow"] = "fails"
    return case


def passes_on_fakesnow(case: Case) -> Case:
    """The case passes on fakesnow as it comes, and the same command checks that."""
    case.__dict__["on_fakesnow"] = "passes"
    return case


class Warehouse:
    """One place to run a case in: a schema of its own, a stage over a prefix of its own in a bucket."""

    integration = "CONTRACT_LAKE"

    def __init__(self, login: dict[str, Any], bucket: str, s3: Any, database: str = "CONTRACT") -> None:
        self.bucket = bucket
        self.prefix = f"contract-{uuid.uuid4().hex[:8]}/"
        self.database = database
        self.schema = f"CASE_{uuid.uuid4().hex[:8].upper()}"
        self._login = login
        self._s3 = s3
        self._connections: list[SnowflakeConnection] = []

    @property
    def url(self) -> str:
        """The stage's URL."""
        return f"s3://{self.bucket}/{self.prefix}"

    def connect(self, **parameters: Any) -> SnowflakeConnection:
        """Log in with the case's schema current, and session parameters."""
        settings = self._login.get("session_parameters", {}) | {"TIMEZONE": "UTC"} | parameters
        login = self._login | {
            "database": self.database,
            "schema": self.schema,
            "session_parameters": settings,
        }
        connection = snowflake.connector.connect(**login)
        self._connections.append(connection)
        return connection

    def put(self, name: str, text: str | bytes) -> str:
        """Put a file under the stage; returns its whole key."""
        body = text.encode() if isinstance(text, str) else text
        self._s3.put_object(Bucket=self.bucket, Key=self.prefix + name, Body=body)
        return self.prefix + name

    def lines(self, name: str, count: int = 2) -> str:
        """Put a file of as many small events."""
        return self.put(name, "".join(f'{{"n":{n},"from":"{name}"}}\n' for n in range(1, count + 1)))

    def remove(self, name: str) -> None:
        """Remove a file from the bucket."""
        self._s3.delete_object(Bucket=self.bucket, Key=self.prefix + name)

    @contextmanager
    def opened(self) -> Iterator["Warehouse"]:
        """Make the schema, and drop it at the end."""
        setup = snowflake.connector.connect(**self._login)
        run(setup, f"CREATE DATABASE IF NOT EXISTS {self.database}")
        run(setup, f"CREATE SCHEMA {self.database}.{self.schema}")
        try:
            yield self
        finally:
            for connection in self._connections:
                connection.close()
            run(setup, f"DROP SCHEMA IF EXISTS {self.database}.{self.schema}")
            setup.close()

    def lake(self, connection: SnowflakeConnection, file_format: str = _JSON) -> None:
        """Make what a load needs: integration, stage, and the table `events`."""
        run(
            connection,
            f"CREATE STORAGE INTEGRATION IF NOT EXISTS {self.integration} TYPE = EXTERNAL_STAGE "
            "STORAGE_PROVIDER = 'S3' ENABLED = TRUE "
            "STORAGE_AWS_ROLE_ARN = 'arn:aws:iam::123456789012:role/reader' "
            f"STORAGE_ALLOWED_LOCATIONS = ('s3://{self.bucket}/')",
        )
        run(
            connection,
            f"CREATE STAGE lake URL = '{self.url}' STORAGE_INTEGRATION = {self.integration} "
            f"FILE_FORMAT = ({file_format})",
        )
        run(connection, "CREATE TABLE events (event VARIANT, source_file VARCHAR, source_row NUMBER(38, 0))")


def run(connection: SnowflakeConnection, sql: str, params: Any = None) -> list[Any]:
    """Run a statement and give its rows."""
    with connection.cursor() as cursor:
        cursor.execute(sql, params)
        return list(cursor.fetchall())


def counts(connection: SnowflakeConnection, sql: str, params: Any = None) -> int | None:
    """Run a statement and give the rows affected, as the client has them."""
    with connection.cursor() as cursor:
        cursor.execute(sql, params)
        return cursor.rowcount


def copy(connection: SnowflakeConnection, *files: str, options: str = "") -> list[dict[str, Any]]:
    """COPY files with a transformation, as the loader does; gives rows with lower-case names."""
    named = "FILES = (%(files)s)" if files else ""
    sql = (
        "COPY INTO events (event, source_file, source_row) "
        f"FROM (SELECT $1, METADATA$FILENAME, METADATA$FILE_ROW_NUMBER FROM @lake) {named} {options}"
    )
    with connection.cursor(snowflake.connector.DictCursor) as cursor:
        cursor.execute(sql, {"files": list(files)} if files else None)
        return [{str(key).lower(): value for key, value in dict(row).items()} for row in cursor.fetchall()]


def rows(connection: SnowflakeConnection, table: str = "events") -> int:
    """Count a table's rows."""
    return int(run(connection, f"SELECT COUNT(*) FROM {table}")[0][0])


def live_login() -> dict[str, Any] | None:
    """How to log in to the service, from LIVE_SNOWFLAKE_*; None if it is not there."""
    names = ("ACCOUNT", "USER", "ROLE", "WAREHOUSE", "PRIVATE_KEY_FILE", "PRIVATE_KEY_FILE_PWD", "PASSWORD")
    found = {name.lower(): os.environ.get(f"LIVE_SNOWFLAKE_{name}") for name in names}
    login = {name: value for name, value in found.items() if value}
    if "private_key_file" in login:
        login["authenticator"] = "SNOWFLAKE_JWT"
    return login if {"account", "user"} <= login.keys() and os.environ.get("LIVE_BUCKET_NAME") else None


def live_s3() -> Any:
    """A client that puts files into the live bucket, from LIVE_AWS_*."""
    return boto3.client(
        "s3",
        aws_access_key_id=os.environ.get("LIVE_AWS_ACCESS_KEY"),
        aws_secret_access_key=os.environ.get("LIVE_AWS_SECRET_KEY"),
        region_name=os.environ.get("LIVE_AWS_REGION"),
    )
