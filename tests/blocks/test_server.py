"""The Prefect server that is current, and what is wrong with it."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest
from prefect.settings import PREFECT_API_URL, PREFECT_HOME, temporary_settings

from blocks.server import prefect_server, trouble_with_prefect

REQUEST = httpx.Request("GET", "http://somebody:hunter2@127.0.0.1:4200/api")


def refusal(status: int) -> httpx.HTTPStatusError:
    return httpx.HTTPStatusError("no", request=REQUEST, response=httpx.Response(status, request=REQUEST))


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (
            refusal(401),
            "answered 401: check PREFECT_API_KEY or PREFECT_API_AUTH_STRING, and",
        ),
        (refusal(500), "answered 500: check its log, and PREFECT_API_URL."),
        (
            httpx.ConnectError("no", request=REQUEST),
            "cannot be reached (ConnectError): check",
        ),
    ],
)
def test_an_answer_or_none_is_told_with_what_to_check_and_without_a_password(
    error: httpx.HTTPError, said: str
) -> None:
    wrapped = RuntimeError("Failed to reach API at http://somebody:hunter2@127.0.0.1:4200/api/")
    wrapped.__cause__ = error
    with temporary_settings({PREFECT_API_URL: str(REQUEST.url)}):
        for one in (error, wrapped):
            told = trouble_with_prefect(one) or ""
            assert told.startswith("The Prefect server (http://127.0.0.1:4200/api) ")
            assert said in told
            assert "hunter2" not in told


def test_a_temporary_server_that_is_late_is_told_without_its_output() -> None:
    late = "Timed out while attempting to connect to ephemeral Prefect API server."
    told = trouble_with_prefect(RuntimeError(f"{late} stdout: a. b."))
    assert told == f"{late} Run this again: the machine may have been busy."


def test_any_other_error_is_not_explained_away() -> None:
    assert trouble_with_prefect(RuntimeError("There is no current event loop")) is None
    assert trouble_with_prefect(ValueError("Unable to determine block schema")) is None


def test_without_an_address_the_server_is_this_user_s_own(tmp_path: Path) -> None:
    with temporary_settings({PREFECT_HOME: tmp_path}, restore_defaults={PREFECT_API_URL}):
        where = f"temporary, on the local database of this user in {tmp_path} (PREFECT_HOME)"
        assert prefect_server() == where
