"""Schemas of an emulated Snowflake account, each set up over a lake of its own."""

from __future__ import annotations

import itertools
import re
from collections.abc import Collection
from typing import Any

import snowflake.connector
from snowflake.connector import SnowflakeConnection

from core.hours import ExportHour
from core.loading import HourReader
from core.warehouse import statements
from core.warehouse.contents import HourToLoad
from core.warehouse.loader import LoadReceipt, Reconciliation, Warehouse
from core.warehouse.session import session_parameters
from emulators.snowflake import SnowflakeEmulator
from tests.core.lake.examples import APP
from tests.core.lakes import BUCKET, Pond

DATABASE = "ANALYTICS"
_numbers = itertools.count(1)


def prepare_account(emulator: SnowflakeEmulator) -> None:
    """Create what all schemas share."""
    emulator.execute(f"CREATE DATABASE {DATABASE}")
    emulator.execute(
        "CREATE STORAGE INTEGRATION AMPLITUDE_LAKE TYPE = EXTERNAL_STAGE STORAGE_PROVIDER = 'S3' "
        "ENABLED = TRUE STORAGE_AWS_ROLE_ARN = 'arn:aws:iam::123456789012:role/reader' "
        f"STORAGE_ALLOWED_LOCATIONS = ('s3://{BUCKET}/')"
    )


class Schema:
    """A schema as a set-up leaves it, without the readers' views, and what a test wants to know of it."""

    def __init__(self, emulator: SnowflakeEmulator, pond: Pond) -> None:
        self.emulator = emulator
        self.pond = pond
        self.name = f"LOADS_{next(_numbers)}"
        self.connections: list[SnowflakeConnection] = []
        url = pond.lake.url.replace("'", "''")
        emulator.execute(f"CREATE SCHEMA {DATABASE}.{self.name}")
        self.run(
            *statements.CREATE_FILE_FORMATS,
            *statements.CREATE_TABLES,
            f"CREATE STAGE amplitude_lake URL = '{url}' STORAGE_INTEGRATION = AMPLITUDE_LAKE "
            "FILE_FORMAT = (FORMAT_NAME = 'amplitude_json')",
        )

    def run(self, *sql: str) -> None:
        """Run statements past the door."""
        for one in (f"USE SCHEMA {DATABASE}.{self.name}", *sql):
            self.emulator.execute(one)

    def ask(self, sql: str) -> list[tuple[Any, ...]]:
        """A question's rows, asked behind the door's back."""
        self.run()
        table = self.emulator.execute(sql).table
        assert table is not None
        return list(zip(*(column.to_pylist() for column in table.columns), strict=True))

    def read(self, sql: str) -> list[tuple[Any, ...]]:
        """A question's rows as a reader gets them, over the connector."""
        with self.connect() as connection, connection.cursor() as cursor:
            cursor.execute(sql)
            return [tuple(row) for row in cursor.fetchall()]

    def connect(self, **changes: Any) -> SnowflakeConnection:
        """Log in as a loader does."""
        parameters = session_parameters("test") | changes.pop("session_parameters", {})
        login = {
            "account": "emulator", "user": "loader", "password": "any", "protocol": "http",
            "host": self.emulator.host, "port": self.emulator.port, "database": DATABASE,
            "schema": self.name, "warehouse": "COMPUTE_WH", "session_parameters": parameters,
            "login_timeout": 5, "network_timeout": 5, "platform_detection_timeout_seconds": 0.0,
        }  # fmt: skip
        connection = snowflake.connector.connect(**(login | changes))
        self.connections.append(connection)
        return connection

    def warehouse(self, **changes: Any) -> Warehouse:
        """The door, for the project that the lake holds."""
        given: dict[str, Any] = {"lake_url": self.pond.lake.url, "app_id": APP, "run": "test"}
        return Warehouse(self.connect, **(given | changes))

    def current(self, *hours: ExportHour) -> dict[ExportHour, HourToLoad]:
        """What the lake says of these hours."""
        return HourReader(self.pond.lake)(hours)

    def load(
        self,
        *hours: ExportHour,
        check_rows: bool = False,
        reject: Collection[ExportHour] = (),
        **changes: Any,
    ) -> LoadReceipt:
        """Load what the lake says of these hours now."""
        current = HourReader(self.pond.lake)
        due = self.current(*hours).values()
        return self.warehouse(**changes).load(due, current, check_rows=check_rows, reject=reject)

    def reconcile(self, *hours: ExportHour) -> Reconciliation:
        """Compare what the lake says of these hours with the table."""
        return self.warehouse().reconcile(hours, HourReader(self.pond.lake))

    def said(self, pattern: str = "") -> list[str]:
        """Statements that arrived since :meth:`forget`, in order."""
        return [one.sql for one in self.emulator.statements if re.search(pattern, one.sql)]

    def forget(self) -> None:
        """Begin to count statements here."""
        self.emulator.statements.clear()

    def generations(self) -> tuple[int, int]:
        """The lock's generation, and the ledger's."""
        ((lock,),) = self.ask("SELECT generation FROM load_lock")
        ((ledger,),) = self.ask(
            "SELECT COALESCE(MAX(generation), 0) FROM load_ledger WHERE export_hour IS NULL"
        )
        return lock, ledger

    def ledger(self) -> dict[str, str]:
        """The digest of each hour, as the ledger has it; an hour that is there twice is an error."""
        rows = self.ask(
            "SELECT TO_CHAR(export_hour, 'YYYY-MM-DD\"T\"HH24'), digest FROM load_ledger "
            "WHERE export_hour IS NOT NULL"
        )
        assert len(dict(rows)) == len(rows)
        return dict(rows)

    def uuids(self) -> list[str]:
        """The events that the table holds, sorted."""
        return sorted(row[0] for row in self.ask('SELECT event:"uuid"::VARCHAR FROM events_raw'))
