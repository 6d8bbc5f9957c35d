"""A lake and a warehouse for whoever asks: one S3 and one Snowflake for the session, empty for each test.

They are imported when the first test asks, so that the pure tests stay as quick as they are.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from emulators.s3 import S3Emulator
    from emulators.snowflake import SnowflakeEmulator
    from tests.core.journeys import Travel
    from tests.core.lakes import Pond
    from tests.core.warehouses import Schema


@pytest.fixture(scope="session")
def s3() -> Iterator[S3Emulator]:
    from emulators.s3 import S3Emulator
    from tests.core.lakes import BUCKET

    with S3Emulator(buckets=[BUCKET]) as emulator:
        yield emulator


@pytest.fixture
def pond(s3: S3Emulator) -> Iterator[Pond]:
    from tests.core.lakes import Pond

    s3.heal()
    yield Pond(s3)
    s3.heal()


@pytest.fixture(scope="session")
def snowflake(s3: S3Emulator) -> Iterator[SnowflakeEmulator]:
    from emulators.snowflake import SnowflakeEmulator
    from tests.core.warehouses import prepare_account

    with SnowflakeEmulator(s3.url, s3.access_key, s3.secret_key) as emulator:
        prepare_account(emulator)
        yield emulator


@pytest.fixture
def schema(snowflake: SnowflakeEmulator, pond: Pond) -> Iterator[Schema]:
    from tests.core.warehouses import Schema

    snowflake.faults.clear()
    made = Schema(snowflake, pond)
    yield made
    snowflake.faults.clear()
    for connection in made.connections:
        connection.close()


@pytest.fixture
def travel(pond: Pond, schema: Schema, tmp_path: Path) -> Iterator[Travel]:
    from botocore.config import Config

    from emulators.amplitude import AmplitudeEmulator, EventSource
    from tests.core.journeys import Journey
    from tests.core.lake.examples import APP

    # As the pipeline's own client: the checksum that goes along covers the body.
    unsigned: Any = {"addressing_style": "path", "payload_signing_enabled": False}
    pond.lake = pond.again(config=Config(retries={"total_max_attempts": 1}, s3=unsigned))
    folder = tmp_path / "json_data"
    folder.mkdir()
    with ExitStack() as stack:

        def make(
            now: datetime,
            *,
            source: Mapping[str, Any] | EventSource | None = None,
            server: Mapping[str, Any] | None = None,
            **more: Any,
        ) -> Journey:
            if not isinstance(source, EventSource):
                source = EventSource(app_id=APP, events_per_hour=20, constant=True, **(source or {}))
            emulator = stack.enter_context(AmplitudeEmulator(source, **(server or {})))
            journey = Journey(emulator, pond, schema, folder, now, **more)
            emulator.clock = lambda: journey.now
            return journey

        yield make
