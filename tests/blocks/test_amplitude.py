"""The credentials of one Amplitude project."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from prefect.blocks.core import Block
from prefect.testing.standard_test_suites.blocks import BlockStandardTestSuite
from pydantic import SecretStr, ValidationError

from blocks import AmplitudeCredentials
from core.amplitude.archive import ArchiveLimits
from core.amplitude.client import Download
from core.errors import StrangeArchive
from core.hours import ExportHour, ExportWindow
from emulators.amplitude import AmplitudeEmulator, EventSource


def credentials(**changes: Any) -> AmplitudeCredentials:
    given = {"api_key": SecretStr("api-key-1"), "secret_key": SecretStr("secret-key-2"), **changes}
    return AmplitudeCredentials(**given)


class TestAmplitudeCredentials(BlockStandardTestSuite):
    @pytest.fixture
    def block(self) -> type[Block]:
        return AmplitudeCredentials

    def test_has_a_valid_image(self, block: type[Block]) -> None:
        """There is none: the suite's own test would fetch it from the internet."""
        assert block.get_block_type_slug() == "amplitude-credentials"
        assert block._logo_url is None


@pytest.mark.parametrize(
    ("region", "url", "host"),
    [
        ("us", "https://amplitude.com", "amplitude.com"),
        ("eu", "https://analytics.eu.amplitude.com", "analytics.eu.amplitude.com"),
    ],
)
def test_the_region_says_where_exports_come_from(region: str, url: str, host: str) -> None:
    block = credentials(region=region)
    assert (block.url, block.host) == (url, host)
    with block.get_client() as client:
        assert client.host == host


def test_the_region_is_the_us_if_nothing_is_said() -> None:
    assert credentials().region == "us"


def test_another_address_takes_the_place_of_the_regions() -> None:
    block = credentials(region="eu", base_url="http://127.0.0.1:8080/")
    assert (block.url, block.host) == ("http://127.0.0.1:8080", "127.0.0.1:8080")
    with block.get_client() as client:
        assert client.host == "127.0.0.1:8080"


def test_an_address_that_was_blanked_in_a_form_is_none() -> None:
    assert credentials(region="eu", base_url="").url == "https://analytics.eu.amplitude.com"


def test_where_an_archive_stops_being_believable_is_said_to_its_client(tmp_path: Path) -> None:
    hour = ExportHour.parse("2025-12-23T19")
    with AmplitudeEmulator(EventSource(events_per_hour=5)) as emulator:
        keys = [SecretStr(key) for key in emulator.auth]
        block = AmplitudeCredentials(api_key=keys[0], secret_key=keys[1], base_url=emulator.url)
        asked = ExportWindow(hour, hour), tmp_path / "archive.zip"
        with block.get_client() as client:
            assert isinstance(client.download(*asked, clock=lambda: datetime.now(UTC)), Download)
        with block.get_client(ArchiveLimits(max_members=1)) as client, pytest.raises(StrangeArchive):
            client.download(*asked, clock=lambda: datetime.now(UTC))


@pytest.mark.parametrize(
    "wrong",
    [
        {"region": "asia"},
        {"api_key": SecretStr("")},
        {"secret_key": SecretStr("  ")},
        {"base_url": "amplitude.com"},
        {"base_url": "ftp://amplitude.com"},
        {"base_url": "https://"},
    ],
)
def test_what_cannot_be_is_refused_without_showing_a_key(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError) as raised:
        credentials(**wrong)
    (problem,) = raised.value.errors()
    assert problem["loc"] == tuple(wrong)
    assert "api-key-1" not in str(raised.value)
    assert "secret-key-2" not in str(raised.value)


@pytest.mark.parametrize("url", ["https://me:hidden@proxy", "https://host:99999"])
def test_an_address_with_a_password_or_an_impossible_port_is_refused(url: str) -> None:
    with pytest.raises(ValidationError):
        credentials(base_url=url)


def test_its_keys_are_not_shown() -> None:
    shown = (
        f"{credentials()!r} {credentials()} {credentials().model_dump()} {credentials().model_dump_json()}"
    )
    assert "api-key-1" not in shown
    assert "secret-key-2" not in shown
