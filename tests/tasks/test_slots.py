"""Global concurrency limits, on a real Prefect server."""

from __future__ import annotations

import threading
import uuid
from contextlib import ExitStack
from pathlib import Path

import pytest
from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import GlobalConcurrencyLimitUpdate
from prefect.logging import disable_run_logger
from prefect.settings import PREFECT_API_URL, PREFECT_CLIENT_MAX_RETRIES, temporary_settings
from pydantic import SecretStr

from blocks import AmplitudeCredentials
from core.errors import ExportUnavailable
from tasks.slots import EXPORTS_AT_ONCE, ensure_limit, export_slot, slot

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("prefect_server")]


#: A Prefect server that is gone.
NOWHERE = {PREFECT_API_URL: "http://127.0.0.1:9/api", PREFECT_CLIENT_MAX_RETRIES: 0}


@pytest.fixture
def name() -> str:
    return f"test-{uuid.uuid4().hex[:8]}"


def limit_of(name: str) -> tuple[int, int]:
    """How many slots there are, and how many are taken."""
    with get_client(sync_client=True) as client:
        found = client.read_global_concurrency_limit_by_name(name)
    return found.limit, found.active_slots


def test_a_limit_is_made_once_and_what_somebody_has_set_stays(name: str) -> None:
    ensure_limit(name, 3)
    with get_client(sync_client=True) as client:
        client.update_global_concurrency_limit(name, GlobalConcurrencyLimitUpdate(limit=7))
    ensure_limit(name, 3)
    assert limit_of(name) == (7, 0)


def test_a_slot_is_held_as_long_as_the_block_and_free_again_however_it_ends(name: str) -> None:
    with disable_run_logger():
        with slot(name, 2, wait_seconds=5):
            assert limit_of(name) == (2, 1)
        with pytest.raises(ZeroDivisionError), slot(name, 2, wait_seconds=5):
            _ = 1 / 0
    assert limit_of(name) == (2, 0)


def test_whoever_finds_no_slot_free_waits_and_is_told(name: str) -> None:
    with disable_run_logger(), slot(name, 1, wait_seconds=5):
        with pytest.raises(TimeoutError), slot(name, 1, wait_seconds=0.5):
            pytest.fail("two in one slot")
        assert limit_of(name) == (1, 1)


def test_exports_of_a_project_share_a_limit_of_its_own(name: str, tmp_path: Path) -> None:
    credentials = AmplitudeCredentials(api_key=SecretStr("key"), secret_key=SecretStr("secret"))
    credentials.save(name)
    loaded = AmplitudeCredentials.load(name)
    assert isinstance(loaded, AmplitudeCredentials)
    limit = f"amplitude-exports-{name}"
    with disable_run_logger(), export_slot(loaded):
        assert limit_of(limit) == (EXPORTS_AT_ONCE, 1)
    with get_client(sync_client=True) as client:
        client.update_global_concurrency_limit(limit, GlobalConcurrencyLimitUpdate(limit=1))
    entered = threading.Event()
    refused = pytest.raises(ExportUnavailable, match=f"prefect gcl update {limit} --active-slots 0")
    with disable_run_logger(), export_slot(loaded), refused, export_slot(loaded, wait_seconds=0.5):
        entered.set()
    assert not entered.is_set()


def test_a_slot_that_cannot_be_given_back_costs_no_finished_work(name: str) -> None:
    with ExitStack() as server_gone, disable_run_logger(), slot(name, 1, wait_seconds=5):
        server_gone.enter_context(temporary_settings(NOWHERE))


def test_a_server_that_cannot_be_asked_is_a_matter_for_another_try(name: str) -> None:
    nowhere = AmplitudeCredentials(api_key=SecretStr("key"), secret_key=SecretStr("secret"))
    gone = temporary_settings(NOWHERE)
    refused = pytest.raises(ExportUnavailable, match="check PREFECT_API_URL")
    with gone, disable_run_logger(), refused, export_slot(nowhere):
        pytest.fail("nobody said that it may begin")
