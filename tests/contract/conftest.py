"""Where the cases run: always on the emulator; on the service with `-m live`; on fakesnow with an option.

The service needs LIVE_SNOWFLAKE_ACCOUNT, _USER, _PRIVATE_KEY_FILE (or _PASSWORD), _ROLE, _WAREHOUSE,
_DATABASE, LIVE_BUCKET_NAME, LIVE_STORAGE_INTEGRATION, and LIVE_AWS_ACCESS_KEY, _SECRET_KEY, _REGION to put
files there. (Other names than the project's own, which a test run removes from the environment.)
"""

import logging
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import fakesnow
import pytest

from emulators.s3 import S3Emulator
from emulators.snowflake import SnowflakeEmulator
from tests.contract.warehouses import FAILURES, Warehouse, live_login, live_s3

HERE = Path(__file__).parent
BUCKET = "contract-lake"
LOGIN = {"user": "loader", "password": "any", "account": "contract", "protocol": "http"}


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--stock-fakesnow",
        action="store_true",
        help="run the contract on fakesnow as it comes, and check what each case says about it",
    )


def _stock(config: pytest.Config) -> bool:
    return bool(config.getoption("--stock-fakesnow", default=False))


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "place" not in metafunc.fixturenames:
        return
    places: list[Any] = ["fakesnow"] if _stock(metafunc.config) else ["emulator"]
    if live_login() is not None:
        places.append(pytest.param("live", marks=pytest.mark.live))
    metafunc.parametrize("place", places, scope="session")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.slow)
    if not _stock(config):
        return
    strict = pytest.mark.xfail(strict=True, raises=FAILURES, reason="the case says that it fails on fakesnow")
    for item in items:
        case = getattr(item, "function", None)
        if getattr(case, "on_fakesnow", "") == "fails":
            item.add_marker(strict)


@pytest.fixture(scope="session")
def lake() -> Iterator[S3Emulator]:
    with S3Emulator(buckets=[BUCKET]) as emulator:
        yield emulator


@pytest.fixture(scope="session")
def snowflake_emulator(lake: S3Emulator) -> Iterator[SnowflakeEmulator]:
    with SnowflakeEmulator(lake.url, lake.access_key, lake.secret_key) as emulator:
        yield emulator


@pytest.fixture(scope="session")
def stock() -> Iterator[dict[str, Any]]:
    logging.getLogger("fakesnow.server").setLevel(logging.CRITICAL)
    with fakesnow.server() as login:
        yield login


@pytest.fixture
def warehouse(place: str, request: pytest.FixtureRequest) -> Iterator[Warehouse]:
    if place == "live":
        login = live_login()
        assert login is not None
        made = Warehouse(
            login, os.environ["LIVE_BUCKET_NAME"], live_s3(), os.environ["LIVE_SNOWFLAKE_DATABASE"]
        )
        made.integration = os.environ["LIVE_STORAGE_INTEGRATION"]
    else:
        lake: S3Emulator = request.getfixturevalue("lake")
        s3 = boto3.client(
            "s3", endpoint_url=lake.url, aws_access_key_id=lake.access_key,
            aws_secret_access_key=lake.secret_key, region_name=lake.region,
        )  # fmt: skip
        if place == "fakesnow":
            made = Warehouse(request.getfixturevalue("stock"), BUCKET, s3)
        else:
            emulator: SnowflakeEmulator = request.getfixturevalue("snowflake_emulator")
            made = Warehouse(LOGIN | {"host": emulator.host, "port": emulator.port}, BUCKET, s3)
    with made.opened():
        yield made
