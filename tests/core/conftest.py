"""A lake and a warehouse for whoever asks: one S3 and one Snowflake for the session, empty for each test.

They are imported when the first test asks, so that the pure tests stay as quick as they are.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from emulators.s3 import S3Emulator
    from emulators.snowflake import SnowflakeEmulator
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
