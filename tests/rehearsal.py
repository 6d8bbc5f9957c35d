"""All three services and the blocks that point at them, in this process: the stage of the flow tests."""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import snowflake.connector as snowflake_connector
from snowflake.connector import SnowflakeConnection

from blocks.environment import Settings, settings_from
from blocks.pipeline import AmplitudePipeline
from blocks.register import register
from core.hours import ExportHour
from core.lake.store import Lake
from emulators.amplitude import AmplitudeEmulator, EventSource
from emulators.s3 import S3Emulator
from emulators.snowflake import SnowflakeEmulator
from infra.snowflake import WarehouseNames, setup_statements

ACCESS_KEY, SECRET_KEY, BUCKET = "AKIAREHEARSAL", "rehearsal-secret", "lake"


@dataclass(frozen=True)
class Rehearsal:
    """What a test needs to arrange, to act, and to look."""

    name: str
    amplitude: AmplitudeEmulator
    s3: S3Emulator
    snowflake: SnowflakeEmulator | None
    variables: dict[str, str]

    @property
    def settings(self) -> Settings:
        return settings_from(self.variables)

    @property
    def pipeline(self) -> AmplitudePipeline:
        return AmplitudePipeline.load(self.name)  # type: ignore[return-value]

    @property
    def lake(self) -> Lake:
        return self.pipeline.open_lake()

    def register(
        self, name: str | None = None, tuning: Mapping[str, object] | None = None, **variables: str
    ) -> str:
        """Save the blocks, under another name or with some variables changed; the name."""
        merged = {**self.variables, **variables}
        patience = {"retry_seconds": 0, "snowflake_login_seconds": 1}
        register(settings_from(merged), name or self.name, {**patience, **(tuning or {})})
        return name or self.name

    def connect(self) -> SnowflakeConnection:
        assert self.snowflake is not None
        return connect(self.snowflake, database="AMPLITUDE", schema="EVENTS", warehouse="LOADER")

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        with contextlib.closing(self.connect()) as connection, connection.cursor() as cursor:
            cursor.execute(sql)
            return [tuple(row) for row in cursor.fetchall()]

    def rows(self) -> list[tuple[str, str, str]]:
        """(uuid, export hour, hash of the canonical event) of every row of the table, sorted."""
        found = self.query("""SELECT event, TO_CHAR(export_hour, 'YYYY-MM-DD"T"HH24') FROM events_raw""")
        rows = []
        for text, hour in found:
            event = json.loads(text)
            canonical = json.dumps(event, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
            rows.append((event["uuid"], hour, hashlib.sha256(canonical.encode()).hexdigest()))
        return sorted(rows)

    def truth(self, first: str, last: str) -> list[tuple[str, str, str]]:
        """The same, as the generator knows it."""
        hour, end = ExportHour.parse(first), ExportHour.parse(last)
        rows = []
        while hour <= end:
            rows += [
                (truth.uuid, str(truth.export_hour), truth.sha256)
                for truth in self.amplitude.source.truth(hour)
            ]
            hour += 1
        return sorted(rows)


@contextlib.contextmanager
def rehearsal(
    name: str,
    *,
    source: EventSource | None = None,
    warehouse: bool = True,
    save: bool = True,
    dead_session_seconds: float = 300.0,
) -> Iterator[Rehearsal]:
    """Start everything, set it up, and register the blocks under ``name`` if they are to be saved."""
    with contextlib.ExitStack() as stack:
        amplitude = stack.enter_context(AmplitudeEmulator(source or EventSource(events_per_hour=40)))
        s3 = stack.enter_context(S3Emulator(buckets=[BUCKET], access_key=ACCESS_KEY, secret_key=SECRET_KEY))
        variables = {
            "AMP_API_KEY": amplitude.auth[0],
            "AMP_SECRET_KEY": amplitude.auth[1],
            "AMP_BASE_URL": amplitude.url,
            "AWS_ACCESS_KEY": ACCESS_KEY,
            "AWS_SECRET_KEY": SECRET_KEY,
            "AWS_REGION": "us-east-1",
            "AWS_ENDPOINT_URL_S3": s3.url,
            "BUCKET_NAME": BUCKET,
            "BUCKET_PREFIX": "amplitude",
        }
        snowflake = None
        if warehouse:
            snowflake = stack.enter_context(
                SnowflakeEmulator(
                    s3_endpoint=s3.url,
                    s3_access_key=ACCESS_KEY,
                    s3_secret_key=SECRET_KEY,
                    dead_session_seconds=dead_session_seconds,
                )
            )
            with contextlib.closing(connect(snowflake)) as connection, connection.cursor() as cursor:
                for statement in setup_statements(NAMES):
                    cursor.execute(statement)
            variables |= {
                "SNOWFLAKE_ACCOUNT": "rehearsal",
                "SNOWFLAKE_USER": "LOADER",
                "SNOWFLAKE_PRIVATE_KEY": private_key(),
                "SNOWFLAKE_WAREHOUSE": "LOADER",
                "SNOWFLAKE_DATABASE": "AMPLITUDE",
                "SNOWFLAKE_SCHEMA": "EVENTS",
                "SNOWFLAKE_HOST": snowflake.host,
                "SNOWFLAKE_PORT": str(snowflake.port),
                "SNOWFLAKE_PROTOCOL": snowflake.protocol,
            }
        stage = Rehearsal(name, amplitude, s3, snowflake, variables)
        if save:
            stage.register()
        yield stage


NAMES = WarehouseNames(
    database="AMPLITUDE",
    schema="EVENTS",
    warehouse="LOADER",
    role="AMPLITUDE_LOADER",
    integration="AMPLITUDE_LAKE",
    role_arn="arn:aws:iam::123456789012:role/amplitude-lake-reader",
    external_id="rehearsal",
    stage_url=f"s3://{BUCKET}/amplitude/",
)


def connect(snowflake: SnowflakeEmulator, **names: str) -> SnowflakeConnection:
    """A session of an administrator."""
    return snowflake_connector.connect(
        account="rehearsal",
        user="ADMIN",
        password="rehearsal",
        role="ACCOUNTADMIN",
        host=snowflake.host,
        port=snowflake.port,
        protocol=snowflake.protocol,
        **names,
    )


def private_key() -> str:
    """A fresh key, PEM on one line with its line breaks spelled out, as a variable may hold it."""
    from cryptography.hazmat.primitives.asymmetric import rsa
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    return pem.replace("\n", "\\n")


def hours_ago(hours: int) -> str:
    """A complete hour, ``hours`` before the newest one that can be exported now."""
    return str(ExportHour.newest_complete(datetime.now(UTC)) - hours)
