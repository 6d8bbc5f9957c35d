"""Tried again only if that could help; and what the logs say of it."""

from __future__ import annotations

import functools
import inspect
import logging
from collections import Counter
from typing import Any

import pytest
from prefect import Task, flow, task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State

from core.errors import (
    DamagedMember,
    ExportRefused,
    ExportUnavailable,
    LakeRefused,
    LakeUnavailable,
    PipelineError,
    WarehouseUnavailable,
)
from flows.opening import patiently
from tasks.download_export import download_export
from tasks.extract_hour import extract_hour
from tasks.gunzip_hour import gunzip_hour
from tasks.load_hours import load_hours
from tasks.plan_windows import plan_windows
from tasks.reconcile import reconcile
from tasks.retries import RETRIES, backoff, quiet_expected_errors, worth_retrying
from tasks.upload_hour import upload_hour
from tests.tasks.conftest import listening

TASKS: list[Task[..., Any]] = [
    plan_windows,
    download_export,
    gunzip_hour,
    upload_hour,
    extract_hour,
    load_hours,
    reconcile,
]
TIMES = {
    ExportUnavailable: 1 + RETRIES,
    LakeUnavailable: 1 + RETRIES,
    WarehouseUnavailable: 1 + RETRIES,
    ExportRefused: 1,
    LakeRefused: 1,
    DamagedMember: 1,
    KeyError: 1,
    MemoryError: 1,
}


@pytest.mark.parametrize("one", TASKS, ids=lambda one: one.name)
def test_every_task_is_tried_three_times_if_that_could_help_and_remembered_by_nobody(
    one: Task[..., Any],
) -> None:
    assert one.retries == RETRIES
    assert one.retry_delay_seconds == [30, 120]
    assert one.retry_jitter_factor == 1
    assert one.retry_condition_fn is worth_retrying
    assert one.cache_policy is NO_CACHE
    assert not one.persist_result


@pytest.mark.parametrize("one", TASKS, ids=lambda one: one.name)
def test_a_flow_changes_how_long_a_task_waits_and_nothing_else(one: Task[..., Any]) -> None:
    changed = patiently(one, 2)
    assert changed.retry_delay_seconds == [2, 8]
    for kept in ("retries", "retry_jitter_factor", "retry_condition_fn", "cache_policy", "task_run_name"):
        assert getattr(changed, kept) is getattr(one, kept)


def test_the_condition_is_a_plain_function_for_prefect_takes_nothing_else() -> None:
    assert inspect.isfunction(worth_retrying)


def test_the_second_wait_is_four_times_the_first() -> None:
    assert (backoff(30), backoff(0)) == ([30, 120], [0, 0])


@pytest.fixture(scope="module")
def tries(prefect_server: None) -> tuple[Counter[str], list[logging.LogRecord]]:
    """How often each was tried in one flow, and what was logged."""
    tried: Counter[str] = Counter()
    options: dict[str, Any] = {
        "retries": RETRIES,
        "retry_delay_seconds": backoff(0),
        "retry_jitter_factor": 1,
    }

    @task(**options, retry_condition_fn=worth_retrying)
    def fail(kind: type[Exception]) -> None:
        tried[kind.__name__] += 1
        raise kind

    @task(**options, retry_condition_fn=functools.partial(worth_retrying))
    def fail_with_a_partial() -> None:
        tried["partial"] += 1
        raise LakeUnavailable

    @task(**options, retry_condition_fn=worth_retrying)
    def mend() -> None:
        tried["mended"] += 1
        if tried["mended"] == 1:
            raise LakeUnavailable

    @flow
    def everything() -> State[Any]:
        for kind in TIMES:
            fail(kind, return_state=True)
        fail_with_a_partial(return_state=True)
        return mend(return_state=True)

    with listening("prefect.task_runs", "prefect.flow_runs") as heard:
        assert everything(return_state=True).is_completed()
    return tried, heard


Tries = tuple["Counter[str]", list[logging.LogRecord]]


@pytest.mark.slow
@pytest.mark.parametrize("kind", TIMES, ids=lambda kind: kind.__name__)
def test_a_task_is_tried_again_only_if_that_could_help(tries: Tries, kind: type[Exception]) -> None:
    assert tries[0][kind.__name__] == TIMES[kind]


@pytest.mark.slow
def test_what_has_mended_is_not_tried_again(tries: Tries) -> None:
    assert tries[0]["mended"] == 2


@pytest.mark.slow
def test_a_condition_that_is_no_plain_function_would_mean_no_retry_at_all(tries: Tries) -> None:
    assert tries[0]["partial"] == 1


def told(records: list[logging.LogRecord], kind: type[Exception]) -> list[logging.LogRecord]:
    return [record for record in records if kind.__name__ in record.getMessage()]


def traced(records: list[logging.LogRecord], kind: type[Exception]) -> list[logging.LogRecord]:
    """Those that come with a traceback of an error of this kind."""
    return [record for record in records if record.exc_info and isinstance(record.exc_info[1], kind)]


@pytest.mark.slow
@pytest.mark.parametrize("kind", [kind for kind in TIMES if issubclass(kind, PipelineError)])
def test_an_error_of_ours_is_logged_without_a_traceback(tries: Tries, kind: type[Exception]) -> None:
    assert told(tries[1], kind)
    assert traced(tries[1], kind) == []


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "shown"), [(LakeRefused, 0), (KeyError, 1)])
def test_a_flow_that_ends_with_an_error_of_ours_shows_no_traceback(
    prefect_server: None, kind: type[Exception], shown: int
) -> None:
    @flow
    def end() -> None:
        raise kind

    with listening("prefect.flow_runs") as heard:
        assert end(return_state=True).is_failed()
    assert told(heard, kind)
    assert len(traced(heard, kind)) == shown


def test_the_filter_takes_tracebacks_of_ours_and_loses_no_line() -> None:
    quiet_expected_errors()
    quiet_expected_errors()
    for name in ("prefect.flow_runs", "prefect.task_runs"):
        logger = logging.getLogger(name)
        ours, foreign = (record_of(logger, error) for error in (LakeRefused("no"), KeyError("no")))
        assert logger.filter(ours)
        assert logger.filter(foreign)
        assert ours.exc_info is None
        assert foreign.exc_info is not None
        assert len(logger.filters) == len(set(logger.filters))


def record_of(logger: logging.Logger, error: Exception) -> logging.LogRecord:
    return logger.makeRecord(logger.name, logging.ERROR, "", 0, "failed", (), (type(error), error, None))
